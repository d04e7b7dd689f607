package explainguard_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// reading are the statements that EXPLAIN ANALYZE may run.
func reading(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, f := range sections(t, statements) {
		name, ok := strings.CutSuffix(f.name, ".sql")
		verb, _, _ := strings.Cut(f.data, " ")
		if ok && !strings.Contains("INSERT UPDATE DELETE REPLACE", verb) {
			out[name] = f.data
		}
	}
	require.Greater(t, len(out), 60)
	return out
}

// TestTreeIsLikeJSON explains each statement as TREE and as JSON v2, with both optimizers: the same blocks, tables, accesses, indexes, and
// rows examined within 1 %, which is what TREE's roundings take.
func TestTreeIsLikeJSON(t *testing.T) {
	for optimizer, change := range optimizers {
		t.Run(optimizer, func(t *testing.T) {
			db := shop.open(t, change)
			for _, f := range sections(t, statements) {
				name, ok := strings.CutSuffix(f.name, ".sql")
				if !ok {
					continue
				}
				t.Run(name, func(t *testing.T) {
					v2 := explain(t, explainguard.Explainer{DB: db, Format: explainguard.FormatJSONv2}, f.data)
					tree := explain(t, explainguard.Explainer{DB: db, Format: explainguard.FormatTree}, f.data)
					require.Equal(t, explainguard.FormatTree, tree.Format)
					require.False(t, tree.Analyzed)
					require.Equal(t, shape(v2), strings.ReplaceAll(shape(tree), "! TREE ", "! JSON v2 "))
					require.NotContains(t, shape(tree), "not known")
					require.Equal(t, details(v2), details(tree))
					w2, wt := explainguard.Measure(v2), explainguard.Measure(tree)
					require.InDelta(t, w2.Total, wt.Total, 0.01*w2.Total+0.01)
					require.Equal(t, w2.LowerBound, wt.LowerBound)
				})
			}
		})
	}
}

// details prints more of what TREE and JSON v2 agree on than shape does.
func details(p *explainguard.Plan) string {
	var b strings.Builder
	for _, block := range p.Blocks() {
		for _, n := range block.Accesses() {
			b.WriteString(n.Alias + " " + n.Schema + " " + n.Detail + "\n")
			if n.Access == explainguard.AccessLookup || n.Access == explainguard.AccessUnique {
				for i, c := range n.KeyColumns {
					ref := strings.Split(n.Refs[i], ".")
					b.WriteString("  " + c + " = " + strings.Join(ref[max(0, len(ref)-2):], ".") + "\n")
				}
			}
		}
	}
	return b.String()
}

// TestAnalyzedFigures runs each statement in both formats: every access did the same in both, and what the plan says was examined is
// what the server's own counters say.
func TestAnalyzedFigures(t *testing.T) {
	for optimizer, change := range optimizers {
		t.Run(optimizer, func(t *testing.T) {
			db := shop.open(t, change)
			db.SetMaxOpenConns(1)
			for name, text := range reading(t) {
				t.Run(name, func(t *testing.T) {
					counted := counting(t, db, text)
					v2 := explain(t, explainguard.Explainer{DB: db, Format: explainguard.FormatJSONv2, Analyze: time.Minute}, text)
					tree := explain(t, explainguard.Explainer{DB: db, Format: explainguard.FormatTree, Analyze: time.Minute}, text)
					require.True(t, v2.Analyzed)
					require.True(t, tree.Analyzed)
					require.Zero(t, v2.Stopped)
					require.Equal(t, shape(v2), strings.ReplaceAll(shape(tree), "! TREE ", "! JSON v2 "))
					a, b := accesses(v2), accesses(tree)
					require.Len(t, b, len(a))
					for i := range a {
						require.Equal(t, a[i].Actual == nil, b[i].Actual == nil, "%s", a[i].Name())
						if a[i].Actual != nil {
							require.InDelta(t, a[i].Actual.Rows, b[i].Actual.Rows, 0.01*a[i].Actual.Rows+0.001, "rows of %s", a[i].Name())
							require.InDelta(t, a[i].Actual.Loops, b[i].Actual.Loops, 0.01*a[i].Actual.Loops, "loops of %s", a[i].Name())
						}
					}
					w2, wt := explainguard.Measure(v2).Total, explainguard.Measure(tree).Total
					require.InDelta(t, w2, wt, 0.01*w2+0.01)
					require.InDelta(t, v2.Unseen, tree.Unseen, 0.02*w2+25)
					t.Logf("examined %.0f, unseen %.0f, counters %+v, estimated %.0f", w2, v2.Unseen, counted, explainguard.Estimate(v2).Total)
					if name == "info_schema" { // which reads the dictionary, of whatever databases there are
						return
					}
					// Nothing is left out: what was counted is what the plan shows, what it reads again from its temporary tables,
					// and Unseen.
					require.LessOrEqual(t, counted.steps, 1.02*(w2+temporary(v2)+v2.Unseen)+math.Max(25, counted.ends), name)
				})
			}
		})
	}
}

// Story 2's statements: the same verdicts by what happened, in both formats, and by TREE's estimates.
func TestSmartlistAnalyzed(t *testing.T) {
	db := smartList.open(t, nil)
	for _, format := range []explainguard.Format{explainguard.FormatJSONv2, explainguard.FormatTree} {
		for _, analyze := range []time.Duration{0, time.Minute} {
			g := &explainguard.Guard{DB: db, Format: format, Analyze: analyze}
			for name, fails := range map[string]bool{"bad": true, "single": true, "good": false} {
				r, err := g.Check(t.Context(), query(t, name))
				require.NoError(t, err)
				require.Equal(t, format, r.Plan.Format)
				require.Equal(t, analyze > 0, r.Plan.Analyzed)
				if !fails {
					require.Equal(t, explainguard.Pass, r.Verdict, "%s", r)
					continue
				}
				require.Equal(t, explainguard.Fail, r.Verdict, "%s", r)
				if analyze > 0 && name == "bad" {
					require.Contains(t, unwrapped(r), "the statement examined 100,007 rows")
				}
				require.Contains(t, unwrapped(r), "inside st, nothing narrows c.id")
			}
		}
	}
}
