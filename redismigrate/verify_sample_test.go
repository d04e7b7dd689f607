package redismigrate

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBoundIsExact(t *testing.T) {
	choose := func(n, k int64) float64 {
		if k < 0 || k > n {
			return 0
		}
		c := 1.0
		for i := range k {
			c = c * float64(n-i) / float64(i+1)
		}
		return c
	}
	for all := int64(1); all <= 14; all++ {
		for sample := int64(0); sample <= all; sample++ {
			for k := int64(0); k <= sample; k++ {
				want := int64(-1) // by counting every case
				for d := k; d <= all-(sample-k); d++ {
					p := 0.0
					for i := range k + 1 {
						p += choose(d, i) * choose(all-d, sample-i) / choose(all, sample)
					}
					if p > 0.05+1e-9 {
						want = d
					}
				}
				require.Equal(t, want, mostThatDiffer(all, sample, k, 0.05), "%d of %d with %d", sample, all, k)
			}
		}
	}
}

func TestBoundOfLargeSamples(t *testing.T) {
	// The rule of three: none of n differs, so at most about 3/n of all do.
	require.InDelta(t, 3.0/1000*1e6, float64(mostThatDiffer(1_000_000, 1000, 0, 0.05)), 20)
	// Clopper and Pearson's one-sided bound for 3 of 500: 1.543 %.
	require.InDelta(t, 0.015433, float64(mostThatDiffer(10_000_000, 500, 3, 0.05))/1e7, 1e-4)
	require.EqualValues(t, 7, mostThatDiffer(1000, 1000, 7, 0.05), "all were compared")
	require.EqualValues(t, 1000, mostThatDiffer(1000, 0, 0, 0.05), "none was compared")
	require.Less(t, mostThatDiffer(300_000_000, 3_000_000, 1_000_000, 0.05), int64(101_000_000))
}

func TestVerdictOfASample(t *testing.T) {
	v := Verification{Selected: 10_000, Compared: 1000, sample: 0.1}
	v.judge()
	require.Equal(t, SampleMatch, v.Verdict)
	require.NotEqual(t, Match, v.Verdict, "a sample never reads as a full match")
	require.Contains(t, v.String(), "sample match: ")
	require.Contains(t, v.String(), "values of 1000 of 10000 keys were compared: with 95 % confidence at most 28 of the 10000 differ")
	v = Verification{Selected: 10_000, sample: 0.1}
	v.judge()
	require.Equal(t, Unknown, v.Verdict)
	require.Contains(t, v.Reason, "the sample has none of the 10000 selected ones")
	v = Verification{Selected: 10, Compared: 10, sample: 1}
	v.judge()
	require.Equal(t, Match, v.Verdict)
	require.Nil(t, v.Bound)
	v = Verification{Selected: 10, sample: 1}
	v.judge()
	require.Equal(t, Unknown, v.Verdict)
	v = Verification{Selected: 10, Compared: 5, Total: 1, differ: 1, sample: 0.5}
	v.judge()
	require.Equal(t, Mismatch, v.Verdict)
	require.EqualValues(t, 1, v.Bound.Differ)
}

func TestSampleIsRefused(t *testing.T) {
	for _, bad := range []float64{-1, -0.1, math.NaN(), math.Inf(1), math.Inf(-1)} {
		require.ErrorContains(t, checkSample(bad), "a fraction below 1, or a number of keys", fmt.Sprint(bad))
	}
}
