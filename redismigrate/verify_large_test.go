package redismigrate

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// TestVerifyHoldsNoLargeValue compares values of 200 MB, and collections of as much in large members, in little memory.
func TestVerifyHoldsNoLargeValue(t *testing.T) {
	onOnePair(t, map[string]func(t *testing.T, source, target *servers.RedisServer){"large": func(t *testing.T, source, target *servers.RedisServer) {
		ctx := t.Context()
		for _, s := range []*servers.RedisServer{source, target} {
			c := redis.NewClient(&redis.Options{Addr: s.Addr, ReadTimeout: 2 * time.Minute})
			t.Cleanup(func() { c.Close() })
			require.NoError(t, c.SetRange(ctx, "string", 200<<20, "x").Err())
			require.NoError(t, c.Eval(ctx, `
				local order = {}
				for i = 1, 60 do order[i] = ARGV[1] == 'up' and i or 61 - i end
				for _, i in ipairs(order) do
					redis.call('HSET', 'hash', 'field' .. i, string.rep(i, 500000))
					redis.call('SADD', 'set', i .. string.rep('x', 500000))
				end
				for i = 1, 100 do redis.call('RPUSH', 'list', string.rep(i, 500000)) end
				return 1`,
				nil, map[bool]string{true: "up"}[s == source]).Err())
		}
		var peak uint64
		heap := func() uint64 {
			sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
			metrics.Read(sample)
			return sample[0].Value.Uint64()
		}
		runtime.GC()
		before, stop, stopped := heap(), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				case <-time.After(2 * time.Millisecond):
					peak = max(peak, heap())
				}
			}
		}()
		m := Move{From: all(source), To: all(target), Keys: everything}
		v, err := Verify(ctx, m, VerifyOptions{})
		close(stop)
		<-stopped
		require.NoError(t, err)
		require.Equal(t, Match, v.Verdict, "%v", v.Differences)
		require.EqualValues(t, 4, v.Compared)
		t.Logf("the heap grew by %d MiB", (peak-min(before, peak))>>20)
		require.Less(t, peak, before+100<<20)

		require.NoError(t, target.Client.SetRange(ctx, "string", 150<<20, "y").Err())
		require.NoError(t, target.Client.LSet(ctx, "list", 77, "y").Err())
		v, err = Verify(ctx, m, VerifyOptions{})
		require.NoError(t, err)
		require.ElementsMatch(t, []Difference{{ValueDiff, 0, "string", "byte 157286400"}, {ValueDiff, 0, "list", "element 77"}}, v.Differences)
	}})
}
