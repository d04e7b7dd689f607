package redismigrate

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

var (
	everything = Selector{ID: "everything", Include: []string{"*"}}
	sessions   = Selector{ID: "sessions", Include: []string{"session:*"}}
)

// own starts a server of the test's own that allows DEBUG DIGEST.
func own(t *testing.T, args ...string) *servers.RedisServer {
	t.Helper()
	return servers.OwnRedis(t, append([]string{"--enable-debug-command", "yes", "--save", ""}, args...)...)
}

// ownPair starts two servers.
func ownPair(t *testing.T) (source, target *servers.RedisServer) {
	t.Helper()
	return own(t), own(t)
}

// onOnePair runs tests one after the other on the same two servers, emptied before each: starting servers takes longer than most tests.
func onOnePair(t *testing.T, tests map[string]func(t *testing.T, source, target *servers.RedisServer)) {
	t.Helper()
	source, target := ownPair(t)
	for name, test := range tests {
		for _, s := range []*servers.RedisServer{source, target} {
			require.NoError(t, s.Client.FlushAll(t.Context()).Err())
		}
		t.Run(name, func(t *testing.T) { test(t, source, target) })
	}
}

// all is an endpoint for every db of a server.
func all(s *servers.RedisServer) *Endpoint { return &Endpoint{URL: s.URL, AllDBs: true} }

func client(t *testing.T, s *servers.RedisServer, db int) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.Addr, DB: db})
	t.Cleanup(func() { c.Close() })
	return c
}

// digest is the server's own digest of all of its dbs; equal digests mean equal data (expiries only as far as there is one).
func digest(t *testing.T, s *servers.RedisServer) string {
	t.Helper()
	d, err := s.Client.Do(context.Background(), "DEBUG", "DIGEST").Text()
	require.NoError(t, err)
	return d
}

// unchanged fails the test if, at its end, a server's data is not what it is now.
func unchanged(t *testing.T, list ...*servers.RedisServer) {
	t.Helper()
	for _, s := range list {
		before := digest(t, s)
		t.Cleanup(func() { require.Equal(t, before, digest(t, s), "the data of %s was changed", s.Addr) })
	}
}

// mixedDBs are the dbs that fillMixed uses.
var mixedDBs = []int{0, 1, 3}

// fillMixed writes n keys of all types, a third of them sessions, a third with an expiry, spread over three dbs. It returns how many of
// them are sessions, by db, and how many are not.
func fillMixed(t *testing.T, s *servers.RedisServer, n int) (keep, drop map[int]int64) {
	t.Helper()
	ctx := t.Context()
	keep, drop = map[int]int64{}, map[int]int64{}
	for at, db := range mixedDBs {
		c := client(t, s, db)
		pipe := c.Pipeline()
		for i := at; i < n; i += len(mixedDBs) {
			key := fmt.Sprintf("%s:%d", []string{"session", "user", "カート", "log\x00\xff"}[i/3%4], i)
			if strings.HasPrefix(key, "session:") {
				keep[db]++
			} else {
				drop[db]++
			}
			writeValue(ctx, pipe, key, i)
			if i/3%3 == 0 {
				pipe.PExpire(ctx, key, time.Hour+time.Duration(i)*time.Millisecond)
			}
			if pipe.Len() > 5000 {
				_, err := pipe.Exec(ctx)
				require.NoError(t, err)
			}
		}
		_, err := pipe.Exec(ctx)
		require.NoError(t, err)
	}
	return keep, drop
}

// writeValue writes a value of the i-th type.
func writeValue(ctx context.Context, pipe redis.Pipeliner, key string, i int) {
	switch i / 12 % 7 {
	case 0:
		pipe.Set(ctx, key, fmt.Sprintf("value %d", i), 0)
	case 1:
		pipe.HSet(ctx, key, "id", i, "name", "山田", "blob", "\x00\xff")
	case 2:
		pipe.RPush(ctx, key, i, "b", "c")
	case 3:
		pipe.SAdd(ctx, key, i, "b", "c")
	case 4:
		pipe.ZAdd(ctx, key, redis.Z{Score: float64(i) / 3, Member: "a"}, redis.Z{Score: math.Inf(1), Member: "b"})
	case 5:
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: key, ID: "1-1", Values: []any{"f", i, "g", "x"}})
		pipe.XGroupCreate(ctx, key, "group", "0")
		pipe.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "group", Consumer: "consumer", Streams: []string{key, ">"}, Count: 1})
	case 6:
		pipe.Set(ctx, key, i, 0) // encoded as an integer
	}
}

// verified requires that the target holds exactly the selected keys of the source.
func verified(t *testing.T, m Move) *Verification {
	t.Helper()
	v, err := Verify(t.Context(), m, VerifyOptions{})
	require.NoError(t, err)
	require.Equal(t, Match, v.Verdict, "%v\n%v", v, v.Differences)
	return v
}

// copied makes the target a copy of the whole source.
func copied(t *testing.T, source, target *servers.RedisServer) Result {
	t.Helper()
	r, err := Copy(t.Context(), Move{From: all(source), To: &Endpoint{URL: target.URL, AllDBs: true}, Keys: everything}, CopyOptions{})
	require.NoError(t, err)
	return r
}

// proxy forwards a TCP port to a server, as docker, kubectl or a load balancer do; it returns its address. onBytes, if set, sees how many
// bytes went to the server.
func proxy(t *testing.T, to string, onBytes func(n int)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var group sync.WaitGroup
	group.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			group.Go(func() {
				io.Copy(in, out)
				in.Close()
				out.Close()
			})
			group.Go(func() {
				io.Copy(io.MultiWriter(out, counter(func(n int) {
					if onBytes != nil {
						onBytes(n)
					}
				})), in)
				in.Close()
				out.Close()
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		group.Wait()
	})
	return listener.Addr().String()
}

type counter func(n int)

func (c counter) Write(p []byte) (int, error) {
	c(len(p))
	return len(p), nil
}
