package explainguard_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// trees are outputs of EXPLAIN FORMAT=TREE and EXPLAIN ANALYZE FORMAT=TREE as MySQL 9.7.4 gave them.
func trees(tb testing.TB) map[string][]byte {
	tb.Helper()
	return saved(tb, ".txt")
}

func parse(t *testing.T, text string) *explainguard.Plan {
	t.Helper()
	p, err := explainguard.Parse([]byte(text))
	require.NoError(t, err)
	return p
}

// The saved runs: both formats of one statement tell the same, and nothing in them is unknown.
func TestSavedRuns(t *testing.T) {
	seen := 0
	for name, text := range plans(t) {
		name, ok := strings.CutSuffix(name, ".analyze")
		if !ok || name == "stopped" { // how far it came differs
			continue
		}
		if name == "limit_order_filter" { // the LIMIT is read from the rewritten statement, which TREE alone does not hold
			continue
		}
		seen++
		json, tree := parse(t, string(text)), parse(t, string(trees(t)[name+".analyze"]))
		for _, p := range []*explainguard.Plan{json, tree} {
			require.True(t, p.Analyzed, name)
			require.NotContains(t, shape(p), "not known", name)
		}
		a, b := accesses(json), accesses(tree)
		require.GreaterOrEqual(t, len(a), len(b), name) // JSON tells of tables read while planning
		w := explainguard.Measure(json).Total
		require.InDelta(t, w, explainguard.Measure(tree).Total, 0.01*w+1.01, name)
		e := explainguard.Estimate(json).Total
		require.InDelta(t, e, explainguard.Estimate(tree).Total, 0.01*e+1.01, name)
		require.False(t, parse(t, string(trees(t)[name+".tree"])).Analyzed)
	}
	require.Greater(t, seen, 20)
}

// The figures of story 2's runs, counted by hand from the server's text: 5 customers, 2 pages, 20,000 customers of the tenant, and 40,000
// look-ups that found two reservations each.
func TestStoryRun(t *testing.T) {
	for _, text := range []string{string(plans(t)["bad.analyze"]), string(trees(t)["bad.analyze"])} {
		p := parse(t, text)
		w := explainguard.Measure(p)
		require.InDelta(t, 100_007, w.Total, 0)
		require.InDelta(t, 5, w.Blocks[0].Own, 0)
		require.InDelta(t, 100_002, w.Blocks[1].Own, 0)
		require.False(t, w.LowerBound)
		if p.Format == explainguard.FormatTree {
			p.Rewritten = parse(t, string(plans(t)["bad.analyze"])).Rewritten
		}
		p.Query, p.ServerVersion, p.TimeLimit = query(t, "bad"), "9.7.4", &explainguard.TimeLimit{Limit: time.Second}
		r := (&explainguard.Guard{}).Judge(p)
		require.Equal(t, explainguard.Fail, r.Verdict)
		require.Contains(t, unwrapped(r), "derived table st examined 100,002 rows, although the main query wants only")
		require.Contains(t, unwrapped(r), "the statement examined 100,007 rows")
		name := map[explainguard.Format]string{explainguard.FormatJSONv2: "json", explainguard.FormatTree: "tree"}[p.Format]
		golden(t, "testdata/golden/story2.analyze."+name+".txt", r.String())
	}
	stopped := parse(t, string(plans(t)["stopped.analyze"]))
	stopped.Stopped = 200 * time.Millisecond
	golden(t, "testdata/golden/stopped.txt", (&explainguard.Guard{}).Judge(stopped).String())
}

func unwrapped(r *explainguard.Report) string { return strings.Join(strings.Fields(r.String()), " ") }

// What a newer or older server says in words that are not known is kept as a node and never passes.
func TestTreeKeepsUnknownOperators(t *testing.T) {
	scan := "Table scan on t  (cost=1.25 rows=10)\n"
	for name, c := range map[string]struct{ text, says string }{
		"operator":            {"-> Warp 9  (cost=1 rows=1)\n    -> " + scan, "Warp 9"},
		"known words further": {"-> Sort-merge join: t.a  (cost=1 rows=1)\n    -> " + scan, "Sort-merge join"},
		"append what":         {"-> Appendix  (cost=1 rows=1)\n    -> " + scan, "Appendix"},
		"index access":        {"-> Index warp on t using ix (a = 1)  (cost=1 rows=1)\n", "Index warp on t"},
		"distance":            {"-> Index distance scan on t using ix  (cost=1 rows=1)\n", "Index distance scan"},
		"join":                {"-> Nested loop full join  (cost=1 rows=1)\n    -> " + scan + "    -> " + scan, "Nested loop full join"},
		"join of one":         {"-> Nested loop inner join  (cost=1 rows=1)\n    -> " + scan, "a join of 1 inputs"},
		"no rows":             {"-> Table scan on t\n", "no row estimate for table t"},
		"odd rows":            {"-> Table scan on t  (cost=1 rows=many)\n", "no row estimate for table t"},
		"negative rows":       {"-> Table scan on t  (cost=1 rows=-5)\n", "no row estimate for table t"},
		"heading of nothing":  {"-> Hash\n", "Hash"},
		"not executable":      {"-> <not executable by iterator executor>\n", "does not show the plan"},
		"zero rows":           {"-> Zero rows (Warped)  (cost=0..0 rows=0)\n", "Warped"},
	} {
		t.Run(name, func(t *testing.T) {
			p := parse(t, c.text)
			require.False(t, p.Analysable())
			require.Contains(t, p.Unanalysable[0].String(), c.says)
			require.Equal(t, explainguard.Unanalysable, (&explainguard.Guard{}).Judge(p).Verdict)
		})
	}
}

// Words of older servers, and figures in all their forms.
func TestTreeReadsOlderWords(t *testing.T) {
	for text, want := range map[string]float64{
		"-> Table scan on t  (cost=1.25 rows=10)\n":          10,
		"EXPLAIN: -> Table scan on t  (cost=1.25 rows=10)\n": 10,
		"*************************** 1. row ***************************\nEXPLAIN: -> Table scan on t  (cost=1.25 rows=1.95e+6)\n": 1.95e6,
		"-> Table scan on t  (rows=12)\n": 12,
		"-> Table scan on t  (cost=1.25 rows=10) (actual time=0.010..0.020 rows=7 loops=2)":                                                                                 14,
		"-> Table scan on t  (actual time=0.010..0.020 rows=7 loops=1)\n":                                                                                                   7,
		"-> Table scan on t  (cost=1.25 rows=10) (never executed)\n":                                                                                                        0,
		"-> Nested loop anti-join  (cost=1 rows=1)\n    -> Table scan on t  (cost=1 rows=10)\n    -> Index lookup on u using k (a=t.a)  (cost=1 rows=3)\n":                  20,
		"-> Nested loop left join  (cost=1 rows=1)\n    -> Table scan on t  (cost=1 rows=10)\n    -> Single-row index lookup on u using PRIMARY (a=t.a)  (cost=1 rows=1)\n": 20,
		"-> Indexed full text search on t using ft (body='x')  (cost=1 rows=4)\n":                                                                                           4,
		"-> Index range scan on t using PRIMARY, with index condition: (t.a < 4)  (cost=1 rows=4)\n":                                                                        4,
		"-> Inner hash join (t.a = u.a)  (cost=1 rows=30)\n    -> Table scan on t  (cost=1 rows=10)\n    -> Hash\n        -> Table scan on u  (cost=1 rows=30)\n":           40,
		"-> Inner hash join (no condition)  (cost=1 rows=30) (actual time=0..1 rows=3e+6 loops=1)\n    -> Table scan on t  (cost=1 rows=10) (actual time=0..1 rows=2000 loops=1)\n    -> Hash\n        -> Table scan on u  (cost=1 rows=30) (actual time=0..1 rows=1500 loops=1)\n": 3500,
	} {
		p := parse(t, text)
		if strings.Contains(text, "(actual time") && !strings.Contains(text, "cost") {
			p.Unanalysable = nil // without an estimate: what happened is known all the same
		}
		require.InDelta(t, want, explainguard.Measure(p).Total, 0, text)
		require.Equal(t, strings.Contains(text, "(actual") || strings.Contains(text, "(never"), p.Analyzed)
		require.True(t, p.Analysable(), "%s: %v", text, p.Unanalysable)
	}
}

// What a run says that a multiplication would get wrong.
func TestRunsAreCountedAsTheyWere(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want float64
	}{
		"look-ups that find nothing": {"-> Nested loop antijoin  (cost=1 rows=1) (actual time=0..1 rows=10 loops=1)\n" +
			"    -> Table scan on t  (cost=1 rows=10) (actual time=0..1 rows=10 loops=1)\n" +
			"    -> Index lookup on u using k (a = t.a)  (cost=1 rows=3) (actual time=0..1 rows=0 loops=10)\n", 20},
		"a constant row is read once": {"-> Nested loop left join  (cost=1 rows=1) (actual time=0..1 rows=10 loops=1)\n" +
			"    -> Table scan on t  (cost=1 rows=10) (actual time=0..1 rows=10 loops=1)\n" +
			"    -> Constant row from n  (cost=0.1 rows=1) (actual time=0..1 rows=0 loops=10)\n", 11},
		"the alternative ran as well": {"-> Alternative plans for IN subquery: Index lookup unless b IS NULL  (cost=1 rows=1) (actual time=0..1 rows=1 loops=5)\n" +
			"    -> Index lookup on d using ix_b (b = p.a)  (cost=1 rows=3) (actual time=0..1 rows=3 loops=4)\n" +
			"    -> Table scan on d  (cost=1 rows=3000) (actual time=0..1 rows=2000 loops=1)\n", 2012},
	} {
		p := parse(t, c.text)
		require.InDelta(t, c.want, explainguard.Measure(p).Total, 0, name)
		require.True(t, p.Analysable(), "%s: %v", name, p.Unanalysable)
	}
	for _, name := range []string{"cte_recursive", "cte_recursive_twice"} { // how deep it went is known
		p := parse(t, string(plans(t)[name+".analyze"]))
		require.True(t, p.Analysable(), "%v", p.Unanalysable)
		require.False(t, explainguard.Measure(p).LowerBound)
		require.InDelta(t, 201, explainguard.Measure(p).Total, 2)
	}
}
