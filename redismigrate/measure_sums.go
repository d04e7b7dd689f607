package redismigrate

import "math"

// sums is what is known of a group of keys. The keys fall into two parts: those that are weighed whatever the fraction, for example while a
// type is rare, and the rest, of which a fraction is weighed. In a full census there is no rest.
type sums struct {
	whole, rest weighed
	selected    int64
}

// weighed is one part of a group.
type weighed struct {
	keys    int64   // in the part
	n       int64   // of them, weighed
	bytes   int64   // of those n
	squares float64 // of their bytes
	ttl     [6]int64
}

func (s sums) keys() int64 { return s.whole.keys + s.rest.keys }

// observed is what the weighed keys weigh together: that much there is for certain.
func (s sums) observed() int64 { return s.whole.bytes + s.rest.bytes }

func (s *sums) add(o sums) { s.combine(o, 1) }

// without returns the sums of the other keys.
func (s sums) without(part sums) sums {
	s.combine(part, -1)
	return s
}

func (s *sums) combine(o sums, sign int64) {
	s.whole.combine(o.whole, sign)
	s.rest.combine(o.rest, sign)
	s.selected += sign * o.selected
}

func (w *weighed) combine(o weighed, sign int64) {
	w.keys += sign * o.keys
	w.n += sign * o.n
	w.bytes += sign * o.bytes
	w.squares += float64(sign) * o.squares
	for i, n := range o.ttl {
		w.ttl[i] += sign * n
	}
}

// part returns one of the two.
func (s *sums) part(whole bool) *weighed {
	if whole {
		return &s.whole
	}
	return &s.rest
}

// weigh adds the weight of a key that was counted before.
func (w *weighed) weigh(bytes int64, ttl int) {
	w.n++
	w.bytes += bytes
	w.squares += float64(bytes) * float64(bytes)
	w.ttl[ttl]++
}

// estimate is the likely weight of all keys of the group.
func (s sums) estimate() int64 {
	return s.whole.bytes + s.rest.bytes + int64(math.Round(float64(s.rest.keys-s.rest.n)*s.restMean()))
}

// restMean is the mean weight of the rest; that of the other keys of the group where none of the rest was weighed.
func (s sums) restMean() float64 {
	if s.rest.n > 0 {
		return float64(s.rest.bytes) / float64(s.rest.n)
	}
	if s.whole.n > 0 {
		return float64(s.whole.bytes) / float64(s.whole.n)
	}
	return 0
}

const (
	leastSample = 30  // with fewer the mean says too little of the keys that were not weighed
	unseen      = 3.7 // with 97.5 % confidence, at most unseen/n of the keys are of a kind of which a sample of n shows none
)

// low is the weight that the group has at least, with 97.5 % confidence: what was observed, or, if more, Student's lower limit of the
// mean, less the share of keys that may all be smaller than any in the sample. Weights are skewed to the right, which makes this limit
// hold more often than it says; the upper limit of the mean would fail for the same reason, and is not used.
func (s sums) low() int64 {
	floor := float64(s.observed())
	n, all := float64(s.rest.n), float64(s.rest.keys)
	if n < leastSample || n >= all {
		return int64(floor)
	}
	mean := float64(s.rest.bytes) / n
	variance := max(0, (s.rest.squares-n*mean*mean)/(n-1))
	student := 1.96 + 2.72/(n-1)
	likely := all*mean*(1-unseen/n) - student*all*math.Sqrt(variance/n*(1-n/all))
	return int64(max(floor, float64(s.whole.bytes)+likely))
}

// bounds is the estimate of a group among all keys. No sample can exclude that one key that it missed is larger than all others together,
// so the upper bound is not taken from the sample: it is what the memory of the servers leaves when all other keys weigh no more than
// their own lower bound. limit is that memory; NoBound where the servers do not tell.
func (s sums) bounds(all sums, limit int64) Estimate {
	e := Estimate{Value: s.estimate(), Low: s.low(), High: NoBound}
	if s.rest.keys == s.rest.n { // all were weighed
		e.Low, e.High = e.Value, e.Value
		return e
	}
	if limit != NoBound {
		e.High = max(e.Value, limit-all.without(s).low())
	}
	e.Low = min(e.Low, e.Value)
	return e
}

// ttls scales the times to live of the weighed keys up to all keys, so that their sum is the number of keys.
func (s sums) ttls() TTLs {
	var out [6]int64
	for _, part := range []weighed{s.whole, s.rest} {
		from := part
		if from.n == 0 {
			from = s.whole
		}
		for i, n := range apportion(part.keys, from.ttl) {
			out[i] += n
		}
	}
	return TTLs{out[0], out[1], out[2], out[3], out[4], out[5]}
}

// apportion splits a total in proportion to parts, in whole numbers that add up (by running sums).
func apportion(total int64, parts [6]int64) [6]int64 {
	var sum, before, given int64
	for _, n := range parts {
		sum += n
	}
	var out [6]int64
	if sum == 0 {
		return out
	}
	for i, n := range parts {
		before += n
		upTo := int64(math.Round(float64(total) * float64(before) / float64(sum)))
		out[i] = upTo - given
		given = upTo
	}
	return out
}

// ttlClass is the index in TTLs of a time to live in milliseconds; negative: none.
func ttlClass(ms int64) int {
	switch {
	case ms < 0:
		return 0
	case ms <= 60_000:
		return 1
	case ms <= 3_600_000:
		return 2
	case ms <= 86_400_000:
		return 3
	case ms <= 30*86_400_000:
		return 4
	}
	return 5
}
