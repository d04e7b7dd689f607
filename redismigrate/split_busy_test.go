package redismigrate

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// A service writes keys that never existed, hundreds a second, while the operator sweeps and steps: there always are hand-overs under way, and they keep nobody from going on.
func TestSplitStepsBesideNewKeys(t *testing.T) {
	t.Parallel()
	old, fresh := ownPair(t)
	opt := quickSplit()
	opt.MaxAge, opt.CommandTimeout = 2*time.Second, 2*time.Second
	operator := openSplit(t, old.URL, fresh.URL, opt)
	require.NoError(t, operator.Begin(t.Context()))
	service := openSplit(t, old.URL, fresh.URL, opt)
	put(t, operator, SplitHome, SplitAway)
	sees(t, SplitAway, service)
	var writers sync.WaitGroup
	var n, failed atomic.Int64
	stop := make(chan struct{})
	for range 16 {
		writers.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(2 * time.Millisecond):
				}
				if err := service.Client().Set(t.Context(), fmt.Sprintf("session:%d", n.Add(1)), 1, 0).Err(); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	defer writers.Wait()
	defer close(stop)
	for range 3 {
		time.Sleep(300 * time.Millisecond)
		r, err := operator.Sweep(t.Context(), SweepOptions{})
		require.NoError(t, err)
		require.True(t, r.Complete)
		require.LessOrEqual(t, r.Passes, 3)
		for _, to := range []SplitState{SplitNew, SplitHome} {
			require.NoError(t, operator.MayStep(t.Context(), to))
		}
	}
	require.Zero(t, failed.Load())
	require.Greater(t, n.Load(), int64(1000))
	require.NoError(t, operator.Step(t.Context(), SplitNew))
}

// late is a command whose answer comes just as its time is over.
type late struct{ runner }

func (l late) after(context.Context, *splitStore, func(redis.Pipeliner) *redis.Cmd) (*redis.Cmd, splitTold, error, bool) {
	return nil, splitTold{}, nil, false // as of a transaction
}

func (l late) run(ctx context.Context, st *splitStore, free bool) (splitTold, error) {
	t, err := l.runner.run(ctx, st, free)
	if t.done {
		<-ctx.Done()
	}
	return t, err
}

func TestSplitNeverSaysThatACommandWasNotRunThatWas(t *testing.T) {
	t.Parallel()
	old, fresh := ownPair(t)
	s := begun(t, old, fresh)
	put(t, s, SplitHome, SplitAway)
	l, err := s.current()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	cmd := redis.NewIntCmd(ctx, "hincrby", "session:1", "hits", 1)
	p := s.planCommand(cmd)
	err = s.carry(ctx, l, late{&watchedCommands{s: s, cmds: []redis.Cmder{cmd}, guarded: p.keys}})
	require.NoError(t, err)
	require.Equal(t, int64(1), cmd.Val())
}

// When the connection breaks after the value and the command were sent together, nobody knows what became of the command.
func TestSplitKnowsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	old, fresh := ownPair(t)
	s := begun(t, old, fresh)
	c, ctx := s.Client(), t.Context()
	require.NoError(t, c.Set(ctx, "session:1", "1", 0).Err())
	put(t, s, SplitHome, SplitAway)
	s.New().AddHook(cutPipelines{})
	err := c.Incr(ctx, "session:1").Err()
	require.ErrorIs(t, err, errCut)
	require.NotErrorIs(t, err, ErrSplitNotRun)
	require.Equal(t, "2", fresh.Client.Get(ctx, "session:1").Val(), "it was carried out")
	require.ErrorIs(t, c.BLPop(ctx, time.Second, "session:1").Err(), ErrSplitNotRun)
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, c.Incr(canceled, "session:2").Err(), context.Canceled)
}

// cutPipelines loses the answers of pipelines.
type cutPipelines struct{}

var errCut = fmt.Errorf("the connection broke: %w", context.DeadlineExceeded)

func (cutPipelines) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (cutPipelines) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (cutPipelines) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		_ = next(ctx, cmds)
		for _, cmd := range cmds {
			cmd.SetErr(errCut)
		}
		return errCut
	}
}

// A hand-over that nobody finishes keeps a split from going on, in either direction, until the mover has seen to it.
func TestSplitSeesWhatNobodyFinishes(t *testing.T) {
	t.Parallel()
	old, fresh := ownPair(t)
	s := begun(t, old, fresh)
	c, ctx := s.Client(), t.Context()
	put(t, s, SplitHome, SplitAway)
	for name, from := range map[string]side{"to the new store": oldSide, "to the old store, by a process that was in home": newSide} {
		t.Run(name, func(t *testing.T) {
			key := "session:" + name
			require.NoError(t, c.Set(ctx, key, "x", 0).Err()) // on the new store
			if from == oldSide {
				put(t, s, SplitHome)
				require.NoError(t, c.Append(ctx, key, "").Err())
				put(t, s, SplitAway)
			}
			_, err := s.ask(ctx, s.stores[from], ask[splitValue]{kind: askDepart, side: from}, key)
			require.NoError(t, err)
			require.ErrorContains(t, s.MayStep(ctx, SplitNew), unfinished)
			r, err := s.Sweep(ctx, SweepOptions{})
			require.NoError(t, err)
			require.True(t, r.Complete)
			require.NoError(t, s.MayStep(ctx, SplitNew))
			require.Equal(t, "x", c.Get(ctx, key).Val())
		})
	}
}
