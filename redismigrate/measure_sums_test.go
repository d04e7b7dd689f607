package redismigrate

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// sampled draws n of the sizes, and returns the sums of the sample beside the true total.
func drawn(rng *rand.Rand, sizes []int64, n int) (s sums, truth int64) {
	s.rest.keys = int64(len(sizes))
	for _, size := range sizes {
		truth += size
	}
	for _, i := range rng.Perm(len(sizes))[:n] {
		s.rest.weigh(sizes[i], 0)
	}
	return s, truth
}

// The 95 % bounds hold in at least 93 % of samples, of whatever distribution, also for a part of the keys; and they are narrow where sizes are tame and
// the servers' memory is known.
func TestSampledBoundsHold(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	pareto := func(alpha float64) func(int) int64 {
		return func(int) int64 { return int64(min(60/math.Pow(1-rng.Float64(), 1/alpha), 2e9)) }
	}
	lognormal := func(sigma float64) func(int) int64 {
		return func(int) int64 { return 50 + int64(200*math.Exp(sigma*rng.NormFloat64())) }
	}
	for name, d := range map[string]struct {
		size func(i int) int64
		tame bool
	}{
		"constant":              {func(int) int64 { return 200 }, true},
		"uniform":               {func(int) int64 { return 50 + rng.Int64N(400) }, true},
		"exponential":           {func(int) int64 { return 50 + int64(200*rng.ExpFloat64()) }, true},
		"lognormal 1":           {lognormal(1), false},
		"lognormal 2":           {lognormal(2), false},
		"lognormal 3":           {lognormal(3), false},
		"pareto 1.5":            {pareto(1.5), false},
		"pareto 1.05":           {pareto(1.05), false},
		"one key of 2 GB":       {func(i int) int64 { return map[bool]int64{true: 2 << 30, false: 200}[i == 17] }, false},
		"one in 200 is large":   {func(int) int64 { return map[bool]int64{true: 1 << 20, false: 100}[rng.IntN(200) == 0] }, false},
		"one in 200 is small":   {func(int) int64 { return map[bool]int64{true: 50, false: 5000}[rng.IntN(200) == 0] }, false},
		"one in 2,000 is small": {func(int) int64 { return map[bool]int64{true: 50, false: 5000}[rng.IntN(2000) == 0] }, false},
		"half and half":         {func(i int) int64 { return map[bool]int64{true: 60, false: 6000}[i%2 == 0] }, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{40, 200, 800} {
				const population, draws = 3000, 200
				all, part, held, widest := 0, 0, 0, 0.0
				for range draws / 4 { // some populations, some samples of each
					sizes := make([]int64, population)
					for i := range sizes {
						sizes[i] = d.size(i)
					}
					for range 4 {
						whole, truth := drawn(rng, sizes, n)
						limit := truth + truth/20 // memory that is not keys
						e := whole.bounds(whole, limit)
						require.LessOrEqual(t, e.Low, e.Value)
						require.LessOrEqual(t, e.Value, e.High)
						if e.Low <= truth && truth <= e.High {
							all++
						}
						widest = max(widest, float64(e.High-e.Low)/float64(truth))

						// A group: the first half of the keys, sampled by half.
						a, trueA := drawn(rng, sizes[:population/2], n/2)
						b, _ := drawn(rng, sizes[population/2:], n-n/2)
						both := a
						both.add(b)
						if g := a.bounds(both, limit); g.Low <= trueA && trueA <= g.High {
							part++
						}
						unlimited := whole.bounds(whole, NoBound)
						require.EqualValues(t, NoBound, unlimited.High, "nothing excludes a huge key that the sample missed")
						if unlimited.Low <= truth {
							held++
						}
					}
				}
				for what, hits := range map[string]int{"the total": all, "a group": part, "the lower bound": held} {
					require.GreaterOrEqual(t, float64(hits)/draws, 0.93, "%s of samples of %d", what, n)
				}
				if d.tame && n >= 200 {
					require.Less(t, widest, 0.35, "the bounds say something")
				}
			}
		})
	}
}

func TestSumsOfAFullCensusAreExact(t *testing.T) {
	var s sums
	for i := range int64(100) {
		s.whole.keys++
		s.whole.weigh(i, int(i%6))
	}
	require.Equal(t, Estimate{4950, 4950, 4950}, s.bounds(s, 1<<40))
	require.Equal(t, TTLs{17, 17, 17, 17, 16, 16}, s.ttls())
	s.rest.keys = 10 // that could not be weighed
	e := s.bounds(s, 10_000)
	require.Equal(t, Estimate{4950 + 495, 4950, 10_000}, e)
	require.EqualValues(t, NoBound, s.bounds(s, NoBound).High)
	require.Zero(t, (sums{}).bounds(s, 10_000))
}

func TestTTLsAddUp(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for range 200 {
		var s sums
		s.rest.keys = 1000 + rng.Int64N(1e9)
		for range 1 + rng.IntN(500) {
			s.rest.weigh(1, rng.IntN(6))
		}
		ttl := s.ttls()
		require.Equal(t, s.keys(), ttl.None+ttl.Minute+ttl.Hour+ttl.Day+ttl.Month+ttl.Longer)
	}
	for ms, want := range map[int64]int{-1: 0, 0: 1, 60_000: 1, 60_001: 2, 3_600_000: 2, 3_600_001: 3, 86_400_000: 3, 86_400_001: 4, 2_592_000_000: 4, 2_592_000_001: 5} {
		require.Equal(t, want, ttlClass(ms), ms)
	}
}

func TestEstimateAsJSON(t *testing.T) {
	for text, e := range map[string]Estimate{
		`{"value":5,"low":4,"high":null}`: {5, 4, NoBound},
		`{"value":5,"low":4,"high":9}`:    {5, 4, 9},
	} {
		out, err := json.Marshal(e)
		require.NoError(t, err)
		require.Equal(t, text, string(out))
		var back Estimate
		require.NoError(t, json.Unmarshal(out, &back))
		require.Equal(t, e, back)
	}
	var missing Estimate
	require.NoError(t, json.Unmarshal([]byte(`{"value":5,"low":4}`), &missing))
	require.Equal(t, Estimate{5, 4, NoBound}, missing)
	require.Error(t, json.Unmarshal([]byte(`{"value":"x"}`), &missing))
}

func TestKeyMemory(t *testing.T) {
	require.EqualValues(t, NoBound, keyMemory("# Memory\r\n"))
	require.EqualValues(t, 9_000_000, keyMemory("used_memory:10000000\r\nused_memory_startup:1000000\r\n"))
	require.EqualValues(t, 10_000_000-6_000_000+48*1000+1<<20,
		keyMemory("used_memory:10000000\r\nused_memory_startup:1000000\r\nused_memory_overhead:6000000\r\ndb0:keys=400,expires=0\r\ndb3:keys=600,expires=0\r\n"))
	// A fresh Redis 8 counts more overhead than it uses.
	require.EqualValues(t, 38_632, keyMemory("used_memory:709160\r\nused_memory_startup:670528\r\nused_memory_overhead:737288\r\n"))
}
