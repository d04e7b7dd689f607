package explainguard_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// tight is a budget under which the shop's few rows are many.
var tight = explainguard.Budget{
	FullScanRows: 150, IndexRows: 50, JoinPairs: 1000, SortRows: 50, SubqueryExecutions: 50, SubqueryRows: 50,
	ConversionRows: 50, InListValues: 2, OffsetRows: 5, LockedRows: 100,
}

const findings = "testdata/shop/findings.txtar"

// brief names what was found, without figures.
func brief(r *explainguard.Report) (lines []string) {
	for _, f := range r.Findings {
		line := f.Rule
		if f.Node != nil && f.Node.Name() != "" {
			line += ": " + f.Node.Name()
		}
		if f.Block != nil {
			line += " in the " + f.Block.Title()
		}
		lines = append(lines, line)
	}
	return lines
}

// TestFindingsOfTheShop holds each statement of the shop against what a person found right to be said about it: with the
// default budget, and (after "tight") with one under which the shop's few rows are many. Both formats must find the same, with
// figures within 10 % of each other. A statement that is not listed has no findings.
func TestFindingsOfTheShop(t *testing.T) {
	db := shop.open(t, nil)
	want := map[string]string{}
	if !*update {
		for _, s := range sections(t, findings) {
			want[s.name] = s.data
		}
	}
	var out strings.Builder
	for _, f := range sections(t, statements) {
		name, ok := strings.CutSuffix(f.name, ".sql")
		if !ok {
			continue
		}
		for mode, budget := range map[string]explainguard.Budget{"": {}, " tight": tight} {
			t.Run(name+mode, func(t *testing.T) {
				check := func(format explainguard.Format) *explainguard.Report {
					r, err := (&explainguard.Guard{DB: db, Format: format, Budget: budget}).Check(t.Context(), f.data)
					require.NoError(t, err)
					return r
				}
				v1, v2 := check(explainguard.FormatJSONv1), check(explainguard.FormatJSONv2)
				if !*update {
					require.Equal(t, want[name+mode], text(brief(v1)), v1)
				}
				delete(want, name+mode)
				if strings.Contains(fmt.Sprint(v2.Reasons), "ask for JSON v1") {
					return // version 2 does not show it
				}
				require.Equal(t, brief(v1), brief(v2), "%s\n%s", v1, v2)
				for i := range v1.Findings {
					require.True(t, near(v1.Findings[i].Figure, v2.Findings[i].Figure), "%s\n%s", v1, v2)
				}
			})
		}
		if *update {
			for _, mode := range []string{"", " tight"} {
				budget := explainguard.Budget{}
				if mode != "" {
					budget = tight
				}
				r, err := (&explainguard.Guard{DB: db, Format: explainguard.FormatJSONv1, Budget: budget}).Check(t.Context(), f.data)
				require.NoError(t, err)
				if len(r.Findings) > 0 {
					fmt.Fprintf(&out, "-- %s%s --\n%s", name, mode, text(brief(r)))
				}
			}
		}
	}
	require.Empty(t, want, "statements that are gone")
	if *update {
		require.NoError(t, os.WriteFile(findings, []byte(out.String()), 0o600))
	}
}

func text(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

// TestRuleLimitsAreExact: whatever a rule finds in its examples, it finds no more when the limit is exactly the figure, still finds when the
// limit is the next smaller number, and says nothing when there is no limit.
func TestRuleLimitsAreExact(t *testing.T) {
	for _, rule := range explainguard.DefaultRules() {
		if rule.Budget == "" {
			continue
		}
		t.Run(rule.Name, func(t *testing.T) {
			file := readRuleFile(t, rule.Name)
			server := ruleServers[0]
			s := server.open(t)
			require.NoError(t, runSQL(t.Context(), s.DSN, file.schema))
			for _, c := range file.cases {
				if c.bad == "" || !c.on(server.name) {
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					g := c.guard(t, s, rule)
					r, err := g.Check(t.Context(), c.bad)
					require.NoError(t, err)
					for _, f := range r.Findings {
						if f.Figure <= f.Limit {
							continue // fails at any figure
						}
						at := func(limit float64) []string {
							g := c.guard(t, s, rule)
							setFigure(t, &g.Budget, rule.Budget, limit)
							judged := g.Judge(r.Plan)
							require.Empty(t, judged.Reasons, judged)
							return brief(judged)
						}
						name := brief(&explainguard.Report{Findings: []explainguard.Finding{f}})[0]
						require.NotContains(t, at(f.Figure), name, "at the limit")
						require.True(t, slices.Contains(at(f.Figure*0.999), name), "over the limit: %v", at(f.Figure*0.999))
						require.Empty(t, at(explainguard.Unlimited))
					}
				})
			}
		})
	}
}
