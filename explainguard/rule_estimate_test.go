package explainguard_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

func TestEstimateOff(t *testing.T) {
	scan := func(table string, estimated, actual, loops any) string {
		return fmt.Sprintf("Table scan on %s  (cost=1 rows=%v) (actual time=0..1 rows=%v loops=%v)\n", table, estimated, actual, loops)
	}
	lookup := func(table string, estimated, actual, loops any) string {
		return fmt.Sprintf("Index lookup on %s using ix (a = t.a)  (cost=1 rows=%v) (actual time=0..1 rows=%v loops=%v)\n", table, estimated, actual, loops)
	}
	nested := func(kind string, estimated any, tables ...string) string {
		out := fmt.Sprintf("-> Nested loop %s  (cost=1 rows=%v) (actual time=0..1 rows=1 loops=1)\n", kind, estimated)
		for _, table := range tables {
			out += "    -> " + table
		}
		return out
	}
	for name, c := range map[string]struct {
		text   string
		budget explainguard.Budget
		want   []string // table: factor
	}{
		"exact":                                   {text: "-> " + scan("t", 5000, 5000, 1)},
		"within the ratio":                        {text: "-> " + scan("t", 1000, 9999, 1)},
		"too low":                                 {text: "-> " + scan("t", 1000, 10_100, 1), want: []string{"t examined 10,100 rows, where the optimizer had expected 1,000: off by a factor of 10"}},
		"too high":                                {text: "-> " + scan("t", 30_000, 1000, 1), want: []string{"t examined 1,000 rows, where the optimizer had expected 30,000: off by a factor of 30"}},
		"small figures":                           {text: "-> " + scan("t", 1, 999, 1)},
		"small figures, told to look":             {text: "-> " + scan("t", 1, 999, 1), budget: explainguard.Budget{EstimateRows: 100}, want: []string{"t examined 999"}},
		"another ratio":                           {text: "-> " + scan("t", 1000, 9999, 1), budget: explainguard.Budget{EstimateRatio: 5}, want: []string{"t examined 9,999"}},
		"silenced":                                {text: "-> " + scan("t", 1, 1e6, 1), budget: explainguard.Budget{EstimateRatio: explainguard.Unlimited}},
		"not run":                                 {text: "-> Table scan on t  (cost=1 rows=1000000)\n"},
		"never executed":                          {text: nested("inner join", 10, scan("t", 10, 0, 1), "Table scan on u  (cost=1 rows=1e+6) (never executed)\n")},
		"over all executions":                     {text: nested("inner join", 30, scan("t", 10, 10, 1), lookup("u", 3, 300, 10)), want: []string{"u examined 3,000 rows, where the optimizer had expected 30"}},
		"those it feeds are off because of it":    {text: nested("inner join", 300, scan("t", 100, 5000, 1), lookup("u", 3, 3, 5000)), want: []string{"t examined"}},
		"unless they are off by as much again":    {text: nested("inner join", 300, scan("t", 100, 5000, 1), lookup("u", 3, 300, 5000)), want: []string{"t examined", "u examined 1,500,000"}},
		"a LIMIT ended it":                        {text: "-> Limit: 5 row(s)  (cost=1 rows=5) (actual time=0..1 rows=5 loops=1)\n    -> " + scan("t", 30_000, 5, 1)},
		"a LIMIT does not excuse too low":         {text: "-> Limit: 5 row(s)  (cost=1 rows=5) (actual time=0..1 rows=5 loops=1)\n    -> " + scan("t", 5, 30_000, 1), want: []string{"t examined"}},
		"a LIMIT over a sort ends nothing":        {text: "-> Limit: 5 row(s)  (cost=1 rows=5) (actual time=0..1 rows=5 loops=1)\n    -> Sort: t.a  (cost=1 rows=5) (actual time=0..1 rows=5 loops=1)\n        -> " + scan("t", 30_000, 5, 1), want: []string{"t examined"}},
		"a semijoin ends at the first match":      {text: nested("semijoin", 10, scan("t", 10, 10, 1), scan("u", 30_000, 1, 10))},
		"a semijoin's outer side has no excuse":   {text: nested("semijoin", 10, scan("t", 30_000, 10, 1), scan("u", 1, 1, 10)), want: []string{"t examined"}},
		"an index merge counts what its parts do": {text: "-> Deduplicate rows sorted by row ID  (cost=1 rows=6) (actual time=0..1 rows=6 loops=1)\n    -> Index range scan on t using a over (a = 1)  (cost=1 rows=3) (actual time=0..1 rows=2000 loops=1)\n    -> Index range scan on t using b over (b = 1)  (cost=1 rows=3) (actual time=0..1 rows=3 loops=1)\n", want: []string{"t examined 2,003 rows, where the optimizer had expected 6"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := &explainguard.Guard{Budget: c.budget, Rules: []*explainguard.Rule{explainguard.EstimateOff}}
			r := g.Judge(parse(t, c.text))
			require.Len(t, r.Findings, len(c.want), "%s", r)
			for i, want := range c.want {
				require.Contains(t, strings.Replace(r.Findings[i].What, " in the main query", "", 1), want)
				require.NotNil(t, r.Findings[i].Node)
				require.Contains(t, r.Findings[i].WayOut, "ANALYZE TABLE "+r.Findings[i].Node.Table)
			}
			want := explainguard.Pass
			if len(c.want) > 0 {
				want = explainguard.Fail
			}
			require.Equal(t, want, r.Verdict, "%s", r)
		})
	}
}

// On real data: an estimate goes wrong where two columns depend on each other, and is told only when the statement was run.
func TestEstimateOffOnAServer(t *testing.T) {
	db := ownShop(t)
	query := "SELECT COUNT(*) FROM orders o JOIN items i ON i.order_id = o.id WHERE o.total BETWEEN 0 AND 499 AND o.placed_on >= '2024-01-01' AND o.status <> 'x'"
	g := &explainguard.Guard{DB: db, Budget: explainguard.Budget{EstimateRatio: 1.5}, Rules: []*explainguard.Rule{explainguard.EstimateOff}}
	r, err := g.Check(t.Context(), query)
	require.NoError(t, err)
	require.Equal(t, explainguard.Pass, r.Verdict, "%s", r)
	g.Analyze = time.Minute
	r, err = g.Check(t.Context(), query)
	require.NoError(t, err)
	require.Equal(t, explainguard.Fail, r.Verdict, "%s", r)
	require.Equal(t, "estimate-off", r.Findings[0].Rule)
	require.True(t, strings.Contains(r.Findings[0].What, "examined 18,000 rows"), "%s", r)
}
