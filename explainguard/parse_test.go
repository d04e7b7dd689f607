package explainguard_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// plans are EXPLAIN outputs as MySQL 9.7.4 and MariaDB 11.8.6 gave them; old_join is of 10.11.
func plans(tb testing.TB) map[string][]byte {
	tb.Helper()
	return saved(tb, ".json")
}

// saved are the files of testdata/plans with that extension, by what stands before it.
func saved(tb testing.TB, extension string) map[string][]byte {
	tb.Helper()
	files, err := filepath.Glob("testdata/plans/*" + extension)
	require.NoError(tb, err)
	require.Greater(tb, len(files), 40)
	out := map[string][]byte{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(tb, err)
		out[strings.TrimSuffix(filepath.Base(f), extension)] = text
	}
	return out
}

func TestParseRefusesWhatIsNoPlan(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":    "",
		"blank":      " \n\t",
		"TREE, two":  "-> Table scan on t  (cost=1.25 rows=10)\n-> Table scan on u  (cost=1.25 rows=10)\n",
		"TREE, bent": "-> Filter: (t.a = 1)  (cost=1.25 rows=10)\n            -> Table scan on t  (cost=1.25 rows=10)\n",
		"table text": "+----+-------------+\n| id | select_type |\n",
		"array":      "[]",
		"other JSON": `{"Plan": {"Node Type": "Seq Scan"}}`,
		"cut off":    `{"query_block": {"select_id": 1, "table": {"table_na`,
		"null block": `{"query_block": null}`,
		"null plan":  `{"query_plan": null, "json_schema_version": "2.0"}`,
		"twice":      `{"query_plan": {}} {"query_plan": {}}`,
	} {
		t.Run(name, func(t *testing.T) {
			p, err := explainguard.Parse([]byte(text))
			require.ErrorIs(t, err, explainguard.ErrUnknownFormat)
			require.Nil(t, p)
			require.Equal(t, explainguard.Unanalysable, (&explainguard.Guard{}).Judge(p).Verdict)
		})
	}
}

// What a newer server may say is kept as a node, named, and never passes.
func TestParseKeepsUnknownOperators(t *testing.T) {
	scan := `{"operation": "Table scan on t", "access_type": "table", "table_name": "t", "schema_name": "d", "estimated_rows": 5.0}`
	v1scan := `{"table_name": "t", "access_type": "ALL", "rows_examined_per_scan": 5, "rows_produced_per_join": 5, "filtered": "100.00"`
	for name, c := range map[string]struct{ text, says string }{
		"v2 operator":      {`{"query_plan": {"operation": "Warp 9", "access_type": "warp", "inputs": [` + scan + `]}}`, "warp (Warp 9)"},
		"v2 no type":       {`{"query_plan": {"operation": "Warp 9", "inputs": [` + scan + `]}}`, "Warp 9"},
		"v2 index access":  {`{"query_plan": {"operation": "Warp on t", "access_type": "index", "index_access_type": "warp", "table_name": "t", "estimated_rows": 5}}`, "Warp on t"},
		"v2 join type":     {`{"query_plan": {"operation": "x", "access_type": "join", "join_type": "warp join", "inputs": [` + scan + `,` + scan + `]}}`, "join of type warp join"},
		"v2 join of one":   {`{"query_plan": {"operation": "x", "access_type": "join", "join_type": "inner join", "inputs": [` + scan + `]}}`, "a join of 1 inputs"},
		"v2 children":      {`{"query_plan": {"operation": "x", "access_type": "filter", "inputs": [` + scan + `], "inputs_from_warp": [` + scan + `]}}`, "inputs_from_warp"},
		"v2 no rows":       {`{"query_plan": {"operation": "Table scan on t", "access_type": "table", "table_name": "t"}}`, "no row estimate for table t"},
		"v2 empty":         {`{"query_plan": {}}`, "not known"},
		"v1 operator":      {`{"query_block": {"select_id": 1, "warp_operation": {"table": ` + v1scan + `}}}}`, "warp_operation"},
		"v1 access":        {`{"query_block": {"select_id": 1, "table": {"table_name": "t", "access_type": "warp", "rows_examined_per_scan": 5}}}`, `access_type "warp"`},
		"v1 under a table": {`{"query_block": {"select_id": 1, "table": ` + v1scan + `, "warp_subqueries": [{"a": 1}]}}}`, "warp_subqueries"},
		"v1 no block":      {`{"query_block": {"select_id": 1, "table": {"table_name": "st", "access_type": "ALL", "rows_examined_per_scan": 5, "materialized_from_subquery": {}}}}`, "does not say what the derived table st does"},
		"v1 no rows":       {`{"query_block": {"select_id": 1, "table": {"table_name": "t", "access_type": "ALL"}}}`, "no row estimate for table t"},
		"v1 no name":       {`{"query_block": {"select_id": 1, "table": {"access_type": "ALL"}}}`, "table without a name"},
		"v1 new message":   {`{"query_block": {"select_id": 1, "message": "Warped away"}}`, "Warped away"},
		"v2 zero rows":     {`{"query_plan": {"operation": "Zero rows (Warped)", "access_type": "zero_rows"}}`, "Zero rows (Warped)"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := explainguard.Parse([]byte(c.text))
			require.NoError(t, err)
			require.False(t, p.Analysable())
			require.Len(t, p.Unanalysable, 1)
			require.Contains(t, p.Unanalysable[0].What, c.says)
			require.NotEmpty(t, p.Unanalysable[0].WayOut)
			r := (&explainguard.Guard{}).Judge(p)
			require.Equal(t, explainguard.Unanalysable, r.Verdict)
			require.Contains(t, strings.Join(strings.Fields(r.String()), " "), c.says)
		})
	}
}

// Version 1 cuts fan-outs to integers; the rows of two tables together tell the fraction.
func TestParseRepairsTruncation(t *testing.T) {
	nested := func(tables ...string) string {
		return `{"query_block": {"select_id": 1, "nested_loop": [{"table": ` + strings.Join(tables, `}, {"table": `) + `}]}}`
	}
	for name, c := range map[string]struct {
		text string
		want float64
	}{
		"1.95 cut to 1": {nested(
			`{"table_name": "a", "access_type": "ALL", "rows_examined_per_scan": 1000, "rows_produced_per_join": 1000, "filtered": "100.00"}`,
			`{"table_name": "b", "access_type": "ref", "rows_examined_per_scan": 1, "rows_produced_per_join": 1950, "filtered": "100.00"}`), 2950},
		"5 × 1 % cut to 0 still runs once": {nested(
			`{"table_name": "a", "access_type": "ALL", "rows_examined_per_scan": 5, "rows_produced_per_join": 0, "filtered": "1.00"}`,
			`{"table_name": "b", "access_type": "ref", "rows_examined_per_scan": 7, "rows_produced_per_join": 0, "filtered": "100.00"}`), 12},
		"filtered 0.00": {nested(
			`{"table_name": "a", "access_type": "ALL", "rows_examined_per_scan": 5, "rows_produced_per_join": 0, "filtered": "0.00"}`,
			`{"table_name": "b", "access_type": "ref", "rows_examined_per_scan": 7, "rows_produced_per_join": 0, "filtered": "0.00"}`), 12},
		"a product that contradicts the table's own count is not believed": {nested(
			`{"table_name": "a", "access_type": "ALL", "rows_examined_per_scan": 10, "rows_produced_per_join": 10, "filtered": "100.00"}`,
			`{"table_name": "b", "access_type": "ref", "rows_examined_per_scan": 2, "rows_produced_per_join": 1, "filtered": "100.00"}`,
			`{"table_name": "c", "access_type": "ref", "rows_examined_per_scan": 1, "rows_produced_per_join": 5000, "filtered": "100.00"}`), 10 + 20 + 40},
		"a hash join reads its tables once": {nested(
			`{"table_name": "a", "access_type": "ALL", "rows_examined_per_scan": 1000, "rows_produced_per_join": 1000, "filtered": "100.00"}`,
			`{"table_name": "b", "access_type": "ALL", "rows_examined_per_scan": 50, "rows_produced_per_join": 5000, "filtered": "10.00", "using_join_buffer": "hash join"}`), 1050},
		"a block nested loop does not": {nested(
			`{"table_name": "a", "access_type": "ALL", "rows_examined_per_scan": 1000, "rows_produced_per_join": 1000, "filtered": "100.00"}`,
			`{"table_name": "b", "access_type": "ALL", "rows_examined_per_scan": 50, "rows_produced_per_join": 5000, "filtered": "10.00", "using_join_buffer": "Block Nested Loop"}`), 51000},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := explainguard.Parse([]byte(c.text))
			require.NoError(t, err)
			require.InDelta(t, c.want, explainguard.Measure(p).Total, 0.5)
		})
	}
}

// FuzzParse: whatever the bytes, Parse gives a plan or an error; figures are never negative or no numbers; each node and
// block is reached exactly once; the same bytes give the same plan; judging and printing do not fail.
func FuzzParse(f *testing.F) {
	for _, text := range plans(f) {
		f.Add(text)
	}
	for _, text := range trees(f) {
		f.Add(text)
	}
	f.Add([]byte("-> Table scan on t"))
	g := &explainguard.Guard{}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := explainguard.Parse(text)
		if err != nil {
			require.Nil(t, p)
			return
		}
		require.NotNil(t, p.Root)
		w := explainguard.Measure(p)
		seen := map[*explainguard.Block]bool{}
		var sum float64
		for _, b := range w.Blocks {
			require.False(t, seen[b.Block], "a block is reached twice")
			seen[b.Block] = true
			require.False(t, math.IsNaN(b.Own) || b.Own < 0, "%v rows", b.Own)
			sum += b.Own
			if b.Block != p.Root {
				require.NotNil(t, b.Block.Parent)
				require.True(t, seen[b.Block.Parent], "the outer block comes first")
			}
			for _, n := range b.Block.Accesses() {
				require.False(t, math.IsNaN(n.Read) || math.IsNaN(n.Executions) || n.Read < 0, "%+v", n)
			}
		}
		require.Len(t, p.Blocks(), len(w.Blocks))
		if !math.IsInf(w.Total, 0) && !math.IsInf(sum, 0) {
			require.InEpsilon(t, sum+1, w.Total+1, 1e-6)
		}
		again, err := explainguard.Parse(text)
		require.NoError(t, err)
		one, two := g.Judge(p).String(), g.Judge(again).String()
		require.Equal(t, one, two)
		if g.Judge(p).Passed() {
			require.True(t, p.Analysable())
		}
	})
}
