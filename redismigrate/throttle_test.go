package redismigrate

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNextRate(t *testing.T) {
	require.Equal(t, 1000.0, nextRate(1000, 5000, 0.9), "just below its limit, it stays")
	require.Equal(t, 1000.0, nextRate(1000, 5000, 1))
	require.Equal(t, 750.0, nextRate(1000, 5000, 1.1))
	require.InDelta(t, 1000/1.9, nextRate(1000, 5000, 1.9), 1e-9, "the farther over the limit, the fewer")
	require.Zero(t, nextRate(1000, 5000, 2))
	require.Zero(t, nextRate(1000, 5000, math.Inf(1)))
	require.Equal(t, 1250.0, nextRate(1000, 5000, 0.5))
	require.Equal(t, 5000.0, nextRate(4500, 5000, 0), "never above the ceiling")
	require.Equal(t, 250.0, nextRate(0, 5000, 0), "out of a standstill")
}

// passes counts the keys that get through in a time, one batch after the other.
func passes(t *testing.T, p *pacer, batch int64, during time.Duration) (keys int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	for p.wait(ctx, batch) == nil {
		keys += batch
		time.Sleep(time.Millisecond) // the work itself
	}
	return keys
}

func TestPacerKeepsARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(20_000)
		require.InEpsilon(t, 200_000, passes(t, p, 1000, 10*time.Second), 0.03)
		time.Sleep(time.Minute)
		require.InEpsilon(t, 20_000, passes(t, p, 1000, time.Second), 0.11, "what was not used is not saved up")
		require.InEpsilon(t, 200_000, passes(t, newPacer(20_000), 50_000, 10*time.Second), 0.3, "a batch above the rate waits the longer")
	})
}

func TestPacerWithoutLimitsHoldsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, (*pacer)(nil).wait(t.Context(), 1<<40))
		p := newPacer(0)
		for range 100 {
			require.NoError(t, p.wait(t.Context(), 1<<30))
			p.sample(strain{load: 1}, time.Now())
		}
		require.Empty(t, p.held())
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, (*pacer)(nil).wait(ended, 1), context.Canceled)
		require.ErrorIs(t, p.wait(ended, 1), context.Canceled)
	})
}

func TestPacerSlowsDownAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(0)
		second := func(load float64) int64 {
			var keys int64
			for range 10 {
				keys += passes(t, p, 100, sampleEvery)
				p.sample(strain{load, "a reason"}, time.Now())
			}
			return keys
		}
		free := second(0.5)
		require.InEpsilon(t, 100_000, free, 0.05)
		require.Empty(t, p.held())
		second(1.3)
		slower := second(1.3)
		require.Less(t, slower, free/4)
		require.Contains(t, p.held(), "a reason")
		for range 4 {
			require.LessOrEqual(t, second(0.9), slower, "below the limit but near it, it stays")
		}
		second(5)
		require.Zero(t, second(5), "at a standstill")
		require.Contains(t, p.held(), "held to 0 keys/s: a reason")
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.ErrorIs(t, p.wait(ctx, 1), context.DeadlineExceeded, "a wait ends with its context")
		require.Positive(t, second(0), "it starts again")
		for range 3 {
			second(0)
		}
		require.InEpsilon(t, free, second(0), 0.05, "and is as fast as before")
		require.Empty(t, p.held())
	})
}

// The nodes of a cluster report one after the other, in no time.
func TestSamplesAtOneMomentAreNoMeasurement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(0)
		time.Sleep(sampleEvery)
		require.NoError(t, p.wait(t.Context(), 1000))
		p.sample(strain{}, time.Now())
		time.Sleep(time.Nanosecond)
		require.NoError(t, p.wait(t.Context(), 1000))
		p.sample(strain{}, time.Now())
		require.LessOrEqual(t, p.peak, 10_000.1)
	})
}

func TestReplicaLagIsRead(t *testing.T) {
	lag := func(info string) strain { return Throttle{MaxReplicaLag: 100}.lag("m:1", info) }
	require.Zero(t, lag("role:master\r\nconnected_slaves:0\r\nmaster_repl_offset:500\r\n"))
	s := lag("role:master\r\nconnected_slaves:2\r\nslave0:ip=10.0.0.7,port=6379,state=online,offset=480,lag=0\r\nslave1:ip=10.0.0.8,port=6379,state=online,offset=350,lag=1\r\nmaster_repl_offset:500\r\n")
	require.InDelta(t, 1.5, s.load, 1e-9)
	require.Equal(t, "replica 10.0.0.8:6379 of m:1 is 150 bytes behind (limit 100)", s.why)
	s = lag("slave0:ip=10.0.0.7,port=6379,state=wait_bgsave,offset=0,lag=0\r\nmaster_repl_offset:500\r\n")
	require.EqualValues(t, 2, s.load)
	require.Contains(t, s.why, "is being synchronised (wait_bgsave)")
	require.EqualValues(t, 2, lag("").load, "what is not told is not taken for good")
	require.EqualValues(t, 2, lag("slave0:ip=a,port=1,state=online\r\nmaster_repl_offset:500\r\n").load)
	require.Zero(t, lag("slave0:ip=a,port=1,state=online,offset=510\r\nmaster_repl_offset:500\r\n").load)
}

func TestTheWorstNodeCounts(t *testing.T) {
	w := &strains{byNode: map[string]strain{}}
	require.EqualValues(t, 3, w.set("a", strain{3, "a"}).load)
	require.EqualValues(t, 3, w.set("b", strain{1, "b"}).load)
	require.EqualValues(t, 1, w.set("a", strain{0, "a"}).load)
}
