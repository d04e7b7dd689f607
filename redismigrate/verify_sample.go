package redismigrate

import (
	"context"
	"fmt"
	"hash/maphash"
	"math"
)

// sampleConfidence is that of Bound.
const sampleConfidence = 0.95

// Bound is what a sample says of all keys, for type, value and expiry. (Missing, extra and colliding keys are found among all keys.)
type Bound struct {
	// Compared is how many keys were compared, and Differ how many of them differ.
	Compared int64 `json:"compared"`
	Differ   int64 `json:"differ"`
	// Of is how many keys the sample was drawn from.
	Of int64 `json:"of"`
	// AtMost is how many of those differ at most, with this Confidence (0.95): had more differed, so few in the sample would have been
	// less likely than 1 - Confidence. It is exact for an even sample (hypergeometric), and close to the rule of three when none differs.
	AtMost     int64   `json:"at_most"`
	Confidence float64 `json:"confidence"`
}

// String is a sentence: "of 1000 keys 100 were compared; with 95 % confidence at most 28 of 1000 differ in type, value or expiry".
func (b Bound) String() string {
	return fmt.Sprintf("values of %d of %d keys were compared: with %.0f %% confidence at most %d of the %d differ", b.Compared, b.Of, 100*b.Confidence, b.AtMost, b.Of)
}

func boundOf(of, compared, differ int64) *Bound {
	of = max(of, compared)
	return &Bound{Compared: compared, Differ: differ, Of: of, AtMost: mostThatDiffer(of, compared, differ, 1-sampleConfidence), Confidence: sampleConfidence}
}

// mostThatDiffer is the largest number d of differing keys among all for which a sample of so many shows no more than k with at least this
// probability.
func mostThatDiffer(all, sample, k int64, probability float64) int64 {
	low, high := k, all-(sample-k) // so many did not differ
	for low < high {
		d := low + (high-low+1)/2
		if atMostShown(all, sample, d, k) > probability {
			low = d
		} else {
			high = d - 1
		}
	}
	return low
}

// atMostShown is the probability that an even sample, of so many of all keys, shows at most k of d.
func atMostShown(all, sample, d, k int64) float64 {
	if first := sample - (all - d); first > k {
		return 0 // more must show
	}
	sum := 0.0
	for i := min(k, d); i >= max(0, sample-(all-d)); i-- {
		p := math.Exp(logChoose(d, i) + logChoose(all-d, sample-i) - logChoose(all, sample))
		if sum += p; p < sum*1e-12 {
			break // the terms only fall from here
		}
	}
	return sum
}

// logChoose is the logarithm of how many ways there are to choose k of n.
func logChoose(n, k int64) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}

// checkSample refuses what is no share and no number.
func checkSample(sample float64) error {
	if sample < 0 || math.IsNaN(sample) || math.IsInf(sample, 0) {
		return fmt.Errorf("option Sample is %v; set 0 for all keys, a fraction below 1, or a number of keys", sample)
	}
	return nil
}

// chooseShare makes a share of what VerifyOptions.Sample asks for. For a number, the selected keys are counted first.
func (v *verifier) chooseShare(ctx context.Context) error {
	v.share = v.opt.Sample
	if v.share == 0 {
		v.share = 1
	}
	if v.opt.Sample >= 1 {
		selected := 0 // walk calls back one at a time
		for _, db := range v.from.dbs {
			_, err := newWalker(v.from, v.opt.ScanCount).walk(ctx, db, func(keys []string) error {
				for _, key := range keys {
					if v.keys.has(key) {
						selected++
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		v.share = min(1, v.opt.Sample/float64(max(1, selected)))
	}
	v.out.sample = v.share
	return nil
}

// sampled reports whether a key is in the sample. Both directions come to the same, for it hangs on the key alone, by a hash with a secret
// seed.
func (v *verifier) sampled(key string) bool {
	return v.share == 1 || float64(maphash.String(v.seed, key)>>11) < v.share*(1<<53)
}
