package consistency

import (
	"fmt"
	"math"
	"time"
)

// ages counts durations in classes that are each a twentieth wider than the one before, so that a quantile is known to 5 % in constant memory.
type ages struct {
	classes map[int]int64
	count   int64
	longest time.Duration
}

const ageStep = 1.05

func (a *ages) add(d time.Duration) {
	d = max(d, 0) // clocks differ
	class := -1
	if d >= time.Millisecond {
		class = int(math.Log(float64(d)/float64(time.Millisecond)) / math.Log(ageStep))
	}
	if a.classes == nil {
		a.classes = map[int]int64{}
	}
	a.classes[class]++
	a.count++
	a.longest = max(a.longest, d)
}

// quantile returns an age that the part q of all did not exceed, at most 5 % too long.
func (a *ages) quantile(q float64) time.Duration {
	lowest, highest := math.MaxInt, math.MinInt
	for c := range a.classes {
		lowest, highest = min(lowest, c), max(highest, c)
	}
	need := int64(math.Ceil(q * float64(a.count)))
	for c := lowest; c <= highest; c++ {
		if need -= a.classes[c]; need <= 0 {
			upper := time.Duration(float64(time.Millisecond) * math.Pow(ageStep, float64(c+1)))
			return min(upper, a.longest)
		}
	}
	return a.longest
}

// note says the ages in words; empty if there are none.
func (a *ages) note(what string) string {
	if a.count == 0 {
		return ""
	}
	return fmt.Sprintf("%s took p50 %s, p99 %s, at most %s (%s)", what, roundAge(a.quantile(0.5)), roundAge(a.quantile(0.99)), roundAge(a.longest), plural(int(a.count), "event"))
}

func roundAge(d time.Duration) time.Duration {
	if d >= 10*time.Second {
		return d.Round(time.Second)
	}
	return d.Round(time.Millisecond)
}
