package explainguard_test

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/bench"
)

// BenchmarkJudgePlan judges story 2's bad plan from the server's bytes; no server takes part. The floor reads the same
// bytes as JSON and does nothing with them.
func BenchmarkJudgePlan(b *testing.B) {
	text, err := os.ReadFile("testdata/plans/bad.v2.json")
	if err != nil {
		b.Fatal(err)
	}
	const ops = 2000
	g := &explainguard.Guard{}
	bench.Benchmark{
		Name: "judge/plan", Runs: 5, Ops: ops, Allocs: true,
		Ours: func() error {
			for range ops {
				p, err := explainguard.Parse(text)
				if err != nil {
					return err
				}
				if g.Judge(p).Verdict != explainguard.Fail {
					return errors.New("the bad plan was not failed")
				}
			}
			return nil
		},
		Floor: func() error {
			for range ops {
				var doc any
				if err := json.Unmarshal(text, &doc); err != nil {
					return err
				}
			}
			return nil
		},
	}.Run(b)
}
