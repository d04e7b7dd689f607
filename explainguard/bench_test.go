package explainguard_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
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

// BenchmarkJudgeParsed is BenchmarkJudgePlan without reading the bytes: the rules, and the SQL parser that derived-filter needs.
func BenchmarkJudgeParsed(b *testing.B) {
	text, err := os.ReadFile("testdata/plans/bad.v2.json")
	if err != nil {
		b.Fatal(err)
	}
	p, err := explainguard.Parse(text)
	if err != nil {
		b.Fatal(err)
	}
	const ops = 2000
	g := &explainguard.Guard{}
	bench.Benchmark{
		Name: "judge/plan/parsed", Runs: 5, Ops: ops, Allocs: true,
		Ours: func() error {
			for range ops {
				if g.Judge(p).Verdict != explainguard.Fail {
					return errors.New("the bad plan was not failed")
				}
			}
			return nil
		},
	}.Run(b)
}

// BenchmarkJudgeEveryPlan judges each of the saved plans of MySQL from its bytes: what a plan costs on average.
func BenchmarkJudgeEveryPlan(b *testing.B) {
	files, err := filepath.Glob("testdata/plans/*.v[12].json")
	if err != nil || len(files) < 40 {
		b.Fatal(len(files), err)
	}
	var texts [][]byte
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			b.Fatal(err)
		}
		texts = append(texts, text)
	}
	const rounds = 40
	g := &explainguard.Guard{}
	bench.Benchmark{
		Name: "judge/plan/mean", Runs: 5, Ops: rounds * len(texts), Allocs: true,
		Ours: func() error {
			for range rounds {
				for _, text := range texts {
					p, err := explainguard.Parse(text)
					if err != nil {
						return err
					}
					if r := g.Judge(p); r.Plan != p {
						return errors.New("the plan was not judged")
					}
				}
			}
			return nil
		},
		Floor: func() error {
			for range rounds {
				for _, text := range texts {
					var doc any
					if err := json.Unmarshal(text, &doc); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}.Run(b)
}
