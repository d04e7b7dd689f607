package redismigrate

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/bench"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// tripCounter counts round trips of a store's client.
type tripCounter struct {
	mu    sync.Mutex
	trips []string
}

func (c *tripCounter) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trips = append(c.trips, what)
}

func (c *tripCounter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *tripCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.add(cmd.Name())
		return next(ctx, cmd)
	}
}

func (c *tripCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.add(fmt.Sprintf("pipeline of %d", len(cmds)))
		return next(ctx, cmds)
	}
}

// TestSplitCostsFewRoundTrips counts what goes over the wire for one command, the reading of the state aside.
func TestSplitCostsFewRoundTrips(t *testing.T) {
	t.Parallel()
	old, fresh := ownPair(t)
	ctx := t.Context()
	var ends [2]*Endpoint
	for i, server := range []*servers.RedisServer{old, fresh} {
		o := server.Options(0)
		o.DisableIdentity = true // which takes a round trip of each new connection
		ends[i] = &Endpoint{Options: o}
	}
	s, err := NewSplit(ctx, Move{From: ends[0], To: ends[1], Keys: sessions}, quickSplit())
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.Begin(ctx))
	sees(t, SplitOld, s)
	for _, key := range []string{"session:1", "session:2", "session:3"} {
		require.NoError(t, s.Client().Set(ctx, key, "v", 0).Err())
	}
	counters := [2]*tripCounter{{}, {}}
	for i, st := range s.stores {
		st.client.AddHook(counters[i])
	}
	// trips runs f and returns what it sent to the old and the new store before it returned.
	trips := func(f func() error) (total int, how string) {
		t.Helper()
		require.Eventually(t, func() bool { return len(s.room) == 0 }, time.Second, time.Millisecond) // finishes of commands before
		for _, c := range counters {
			c.mu.Lock()
			c.trips = nil
			c.mu.Unlock()
		}
		require.NoError(t, f())
		var all []string
		for i, c := range counters {
			c.mu.Lock()
			for _, trip := range c.trips {
				if (trip != "get" || i != int(newSide)) && trip != "hello" { // the state; a new connection
					all = append(all, sideNames[i]+" "+trip)
				}
			}
			c.mu.Unlock()
		}
		return len(all), strings.Join(all, ", ")
	}
	get := func(key string) func() error { return func() error { return s.Client().Append(ctx, key, "x").Err() } }
	for _, state := range []SplitState{SplitOld, SplitHome, SplitAway, SplitNew} {
		put(t, s, state)
		switch state {
		case SplitOld:
			n, how := trips(get("session:1"))
			require.Equal(t, 1, n, how)
		case SplitHome:
			n, how := trips(get("session:1"))
			require.LessOrEqual(t, n, 2, how) // the first of this process in this state
			n, how = trips(get("session:1"))
			require.Equal(t, 1, n, how)
		case SplitAway:
			n, how := trips(get("session:2"))
			require.Contains(t, how, "old evalsha, new pipeline of 2")
			require.LessOrEqual(t, n, 3, how) // the third is the finish, which the command does not wait for
			n, how = trips(get("session:2"))
			require.Equal(t, 1, n, how)
			n, how = trips(func() error {
				if err := s.Client().Get(ctx, "session:nobody").Err(); !isNil(err) {
					return err
				}
				return nil
			})
			require.Equal(t, 2, n, how)
		case SplitNew:
			n, how := trips(get("session:2"))
			require.Equal(t, 1, n, how)
		}
	}
}

// BenchmarkSplitCommand is what the split adds to a command. Floor: the client that the program had before.
func BenchmarkSplitCommand(b *testing.B) {
	ctx := b.Context()
	old, fresh := servers.OwnRedis(b), servers.OwnRedis(b)
	s, err := NewSplit(ctx, Move{From: &Endpoint{URL: old.URL}, To: &Endpoint{URL: fresh.URL}, Keys: sessions}, quickSplit())
	require.NoError(b, err)
	defer s.Close()
	require.NoError(b, s.Begin(ctx))
	plain := redis.NewClient(old.Options(0))
	defer plain.Close()
	require.NoError(b, plain.MSet(ctx, "other:1", "v", "session:1", "v").Err())
	require.NoError(b, s.New().Set(ctx, "session:1", "v", 0).Err())
	const ops = 20_000
	run := func(c *redis.Client, key string) func() error {
		return func() error {
			for range ops {
				if err := c.Get(ctx, key).Err(); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for _, state := range []SplitState{SplitOld, SplitAway, SplitNew} {
		require.NoError(b, s.New().Set(ctx, s.kept.key, state.String()+" 0", 0).Err())
		s.readState(ctx)
		bench.Benchmark{Name: "split/command-" + state.String(), Runs: 9, Ops: ops, Allocs: true, Ours: run(s.Client(), "session:1"), Floor: run(plain, "other:1")}.Run(b)
	}
}

// nothing is a store's client that answers at once, so that what the split itself takes is seen.
type nothing struct{}

func (nothing) DialHook(next redis.DialHook) redis.DialHook { return next }
func (nothing) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(context.Context, redis.Cmder) error { return nil }
}
func (nothing) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error { return nil }
}

// BenchmarkSplitItself is BenchmarkSplitCommand without a server: what the split takes of the program's own time.
func BenchmarkSplitItself(b *testing.B) {
	ctx := b.Context()
	old, fresh := servers.OwnRedis(b), servers.OwnRedis(b)
	s, err := NewSplit(ctx, Move{From: &Endpoint{URL: old.URL}, To: &Endpoint{URL: fresh.URL}, Keys: sessions}, SplitOptions{MaxAge: 1 << 40})
	require.NoError(b, err)
	defer s.Close()
	require.NoError(b, s.Begin(ctx))
	s.readState(ctx)
	s.Old().AddHook(nothing{})
	plain := redis.NewClient(old.Options(0))
	defer plain.Close()
	plain.AddHook(nothing{})
	const ops = 200_000
	run := func(c *redis.Client) func() error {
		return func() error {
			for range ops {
				if err := c.Get(ctx, "session:1").Err(); err != nil {
					return err
				}
			}
			return nil
		}
	}
	bench.Benchmark{Name: "split/itself", Runs: 5, Ops: ops, Allocs: true, Ours: run(s.Client()), Floor: run(plain)}.Run(b)
}
