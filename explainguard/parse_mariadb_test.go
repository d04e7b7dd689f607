package explainguard_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

const mariaScan = `{"table_name": "t", "access_type": "ALL", "rows": 5, "filtered": 100}`

// What a newer MariaDB may say is kept as a node, named, and never passes.
func TestParseKeepsMariaDBsUnknownOperators(t *testing.T) {
	block := func(inside string) string { return `{"query_block": {"select_id": 1, ` + inside + `}}` }
	table := func(more string) string {
		return block(`"nested_loop": [{"table": {"table_name": "t", "access_type": "ALL", "rows": 5, "filtered": 100, ` + more + `}}]`)
	}
	for name, c := range map[string]struct{ text, says string }{
		"operator":              {block(`"warp": {"nested_loop": [{"table": ` + mariaScan + `}]}`), "warp"},
		"operator list":         {block(`"warps": [{"table": ` + mariaScan + `}], "table": ` + mariaScan), "warps"},
		"beside the block":      {`{"query_block": {"select_id": 1, "table": ` + mariaScan + `}, "warp_block": {"a": 1}}`, "warp_block"},
		"in a join":             {block(`"nested_loop": [{"warp-join": {"table": ` + mariaScan + `}}]`), "warp-join"},
		"under a table":         {table(`"warped": {"query_block": {"select_id": 2}}`), "warped"},
		"under a materialized":  {table(`"materialized": {"query_block": {"select_id": 2, "table": ` + mariaScan + `}, "warped": {"a": 1}}`), "warped"},
		"under a subquery":      {block(`"table": ` + mariaScan + `, "subqueries": [{"warp_cache": {"query_block": {"select_id": 2, "table": ` + mariaScan + `}}}]`), "warp_cache"},
		"under a union":         {block(`"union_result": {"query_specifications": [{"query_block": {"table": ` + mariaScan + `}, "warp": {"a": 1}}]}`), "warp"},
		"access":                {strings.Replace(table(`"a": 1`), "ALL", "warp", 1), `access_type "warp"`},
		"hashed access":         {strings.Replace(table(`"a": 1`), "ALL", "hash_warp", 1), `access_type "warp"`},
		"no rows":               {strings.Replace(table(`"a": {}, "r_loops": 1`), `"rows": 5, `, "", 1), "no row estimate for table t"},
		"message":               {block(`"table": {"message": "Warped away"}`), "Warped away"},
		"deleting all rows":     {block(`"table": {"message": "Deleting all rows"}`), "no figure for a DELETE without WHERE"},
		"empty subquery":        {block(`"table": ` + mariaScan + `, "subqueries": [{}]`), "does not say what the subquery"},
		"empty derived":         {strings.Replace(table(`"materialized": {}`), `"t"`, `"<derived2>"`, 1), "does not say what the derived table <derived2> does"},
		"row not found":         {table(`"unique_row_not_found": true`), "unique row not found"},
		"impossible ON":         {table(`"impossible_on_condition": true`), "impossible on condition"},
		"filter without figure": {table(`"rowid_filter": {"range": {"key": "k"}}`), "no row estimate for the row id filter on table t"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := explainguard.Parse([]byte(c.text))
			require.NoError(t, err)
			require.Equal(t, explainguard.FormatMariaDB, p.Format)
			require.False(t, p.Analysable())
			var all []string
			for _, r := range p.Unanalysable {
				require.NotEmpty(t, r.WayOut)
				all = append(all, r.What)
			}
			require.Contains(t, strings.Join(all, "\n"), c.says)
			require.Equal(t, explainguard.Unanalysable, (&explainguard.Guard{}).Judge(p).Verdict)
		})
	}
}

// The figures of one plan after another, by hand.
func TestParseCountsAsMariaDBRuns(t *testing.T) {
	loop := func(entries ...string) string { return `"nested_loop": [` + strings.Join(entries, ", ") + `]` }
	tab := func(name, access, rows, more string) string {
		return `{"table": {"table_name": "` + name + `", "access_type": "` + access + `", "rows": ` + rows + more + `}}`
	}
	derived := func(lateral string) string {
		return tab("<derived2>", "ref", "1", `, "filtered": 100, "materialized": {`+lateral+`"query_block": {"select_id": 2, `+loop(tab("x", "ref", "30", ``))+`}}`)
	}
	subquery := func(wrap, inside string) string {
		sub := `{"query_block": {"select_id": 2, ` + inside + `}}`
		if wrap != "" {
			sub = `{"` + wrap + `": ` + sub + `}`
		}
		return loop(tab("a", "ALL", "100", `, "filtered": 100, "attached_condition": "a.x > (subquery#2)"`)) + `, "subqueries": [` + sub + `]`
	}
	for name, c := range map[string]struct {
		block string
		want  float64
	}{
		"a join":                              {loop(tab("a", "ALL", "100", `, "filtered": 50`), tab("b", "ref", "3", ``)), 100 + 50*3},
		"loops beat the product":              {loop(tab("a", "ALL", "100", `, "filtered": 100`), tab("b", "ref", "1", `, "loops": 7.5`), tab("c", "ref", "2", `, "loops": 14`)), 100 + 7.5 + 28},
		"five rows of which 1 % pass":         {loop(tab("a", "ALL", "5", `, "filtered": 1`), tab("b", "ref", "7", ``)), 12},
		"block nested loop":                   {loop(tab("a", "ALL", "100", ``), `{"block-nl-join": {"table": {"table_name": "b", "access_type": "ALL", "rows": 50}, "join_type": "BNL"}}`), 100 + 5000},
		"hash join":                           {loop(tab("a", "ALL", "100", ``), `{"block-nl-join": {"table": {"table_name": "b", "access_type": "hash_ALL", "rows": 50}, "join_type": "BNLH"}}`), 150},
		"batched key access":                  {loop(tab("a", "ALL", "100", ``), `{"block-nl-join": {"table": {"table_name": "b", "access_type": "ref", "rows": 5}, "join_type": "BKA"}}`), 600},
		"a derived table":                     {loop(tab("a", "ALL", "100", ``), derived("")), 130},
		"a lateral one, for each row":         {loop(tab("a", "ALL", "100", ``), derived(`"lateral": 1, `)), 100 + 100*30},
		"sorted before the join":              {loop(`{"read_sorted_file": {"filesort": {"sort_key": "a.x", "table": {"table_name": "a", "access_type": "ALL", "rows": 100}}}}`, tab("b", "eq_ref", "1", ``)), 200},
		"range checked":                       {loop(tab("a", "ALL", "10", ``), `{"range-checked-for-each-record": {"keys": ["k"], "table": {"table_name": "b", "access_type": "ALL", "rows": 50}}}`), 510},
		"weedout":                             {loop(`{"duplicates_removal": [` + tab("a", "ALL", "10", ``) + `, ` + tab("b", "ref", "3", ``) + `]}`), 40},
		"a row id filter is read once":        {loop(tab("a", "ALL", "10", ``), tab("b", "ref", "3", `, "rowid_filter": {"range": {"key": "k"}, "rows": 40}`)), 10 + 30 + 40},
		"a cached subquery, for each row":     {subquery("subquery_cache", loop(tab("b", "ref", "3", ``))), 100 + 300},
		"a correlated one":                    {subquery("", loop(tab("b", "ref", "3", `, "ref": ["d.a.id"]`))), 100 + 300},
		"correlated by a condition":           {subquery("", loop(tab("b", "ALL", "3", `, "attached_condition": "b.y = '(' and b.x > a.`+"`order`"+`"`))), 100 + 300},
		"correlated by HAVING":                {subquery("", `"having_condition": "max(b.x) > a.x", `+loop(tab("b", "ALL", "3", ``))), 100 + 300},
		"correlated two levels down":          {subquery("", loop(tab("b", "ALL", "3", ``))+`, "subqueries": [{"expression_cache": {"query_block": {"select_id": 3, `+loop(tab("c", "ref", "2", `, "ref": ["a.id"]`))+`}}}]`), 100 + 100*(3+3*2)},
		"a look-up":                           {subquery("", loop(tab("b", "unique_subquery", "1", `, "ref": ["func"]`))), 200},
		"a materialized one":                  {subquery("materialization", loop(tab("b", "ALL", "3", ``))), 103},
		"union":                               {`"union_result": {"query_specifications": [{"query_block": {"select_id": 1, ` + loop(tab("a", "ALL", "10", ``)) + `}}, {"query_block": {"select_id": 2, "operation": "UNION", ` + loop(tab("b", "ALL", "20", ``)) + `}}]}`, 30},
		"LIMIT cut the first table's figure":  {loop(tab("a", "index", "10", ``), tab("b", "eq_ref", "1", `, "loops": 6000`)), 20},
		"and a condition keeps it from that":  {loop(tab("a", "index", "10", `, "attached_condition": "a.x = 1"`), tab("b", "eq_ref", "1", `, "loops": 6000`)), 12000},
		"or a condition on the other table":   {loop(tab("a", "index", "10", ``), tab("b", "eq_ref", "1", `, "loops": 6000, "attached_condition": "b.x = 1"`)), 12000},
		"or a temporary table":                {`"temporary_table": {` + loop(tab("a", "index", "10", ``), tab("b", "eq_ref", "1", `, "loops": 6000`)) + `}`, 12000},
		"single-table write":                  {`"filesort": {"table": {"delete": 1, "table_name": "a", "access_type": "range", "key": "k", "rows": 12}}`, 12},
		"the subquery of an UPDATE's value":   {`"table": {"update": 1, "table_name": "a", "access_type": "range", "key": "k", "rows": 12}, "subqueries": [{"query_block": {"select_id": 2, ` + loop(tab("b", "ref", "3", `, "ref": ["d.a.id"]`)) + `}}]`, 48},
		"window functions":                    {`"window_functions_computation": {"sorts": [{"filesort": {"sort_key": "a.x"}}], "temporary_table": {` + loop(tab("a", "ALL", "10", ``)) + `}}`, 10},
		"duplicates of a window function":     {`"duplicate_removal": {"window_functions_computation": {"sorts": [{"filesort": {"sort_key": "a.x"}}], "temporary_table": {` + loop(tab("a", "ALL", "10", ``)) + `}}}`, 10},
		"rows found while planning cost once": {loop(tab("a", "const", "1", ``), tab("b", "ref", "3", `, "ref": ["const"]`)), 4},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := explainguard.Parse([]byte(`{"query_block": {"select_id": 1, ` + c.block + `}}`))
			require.NoError(t, err)
			require.True(t, p.Analysable(), p.Unanalysable)
			require.InDelta(t, c.want, explainguard.Measure(p).Total, 0.01)
		})
	}
}

// A subquery of which nothing tells whether it is correlated is judged neither way.
func TestParseDoesNotGuessWhetherASubqueryIsCorrelated(t *testing.T) {
	const text = `{"query_block": {"select_id": 1, "nested_loop": [{"table": {"table_name": "a", "access_type": "ALL", "rows": 100, "filtered": 100}}],
		"subqueries": [{"query_block": {"select_id": 2, %"nested_loop": [{"table": {"table_name": "b", "access_type": "ALL", "rows": 3, "filtered": 100 ?}}]}}]}}`
	p, err := explainguard.Parse([]byte(strings.NewReplacer("%", "", "?", "").Replace(text)))
	require.NoError(t, err)
	require.Len(t, p.Unanalysable, 1)
	require.Contains(t, p.Unanalysable[0].What, "whether subquery #2 of the main query runs once or again for each row")
	require.Contains(t, p.Unanalysable[0].WayOut, "EXPLAIN EXTENDED")
	// ANALYZE counted.
	for loops, want := range map[string]float64{"1": 103, "0": 100, "100": 400} {
		p, err := explainguard.Parse([]byte(strings.NewReplacer("%", `"r_loops": `+loops+`, `, "?", `, "r_loops": `+loops+`, "r_rows": 3`).
			Replace(strings.Replace(text, `"select_id": 1,`, `"select_id": 1, "r_loops": 1,`, 1))))
		require.NoError(t, err)
		require.True(t, p.Analyzed)
		require.True(t, p.Analysable(), p.Unanalysable)
		require.InDelta(t, want, explainguard.Measure(p).Total, 0.01, "loops %s", loops)
	}
}

func TestParseReadsWhatAnalyzeMeasured(t *testing.T) {
	p, err := explainguard.Parse(plans(t)["hash_left.mariadb-analyze"])
	require.NoError(t, err)
	require.True(t, p.Analyzed)
	n, products := p.Root.Accesses()[0], p.Root.Accesses()[1]
	require.Equal(t, 500.0, n.Actual.Rows)
	require.Equal(t, 1.0, n.Actual.Loops)
	require.Positive(t, n.Actual.Millis)
	require.Equal(t, 200.0, products.Actual.Rows, "a block nested loop compares each of them")
	require.Equal(t, 500.0, products.Actual.Loops, "with each row of its buffer")
	p, err = explainguard.Parse(plans(t)["derived.mariadb-analyze"])
	require.NoError(t, err)
	require.Equal(t, 100.0, p.Blocks()[1].Accesses()[0].Actual.Loops)
	p, err = explainguard.Parse(plans(t)["derived.mariadb"])
	require.NoError(t, err)
	require.False(t, p.Analyzed)
	require.Nil(t, p.Root.Accesses()[0].Actual)
}

// Every plan that is kept is of the format that its name says.
func TestParseTellsMySQLAndMariaDBApart(t *testing.T) {
	for name, text := range plans(t) {
		p, err := explainguard.Parse(text)
		require.NoError(t, err)
		_, ending, _ := strings.Cut(name, ".")
		want := map[string]explainguard.Format{
			"v1": explainguard.FormatJSONv1, "v2": explainguard.FormatJSONv2, "analyze": explainguard.FormatJSONv2,
			"mariadb": explainguard.FormatMariaDB, "mariadb-analyze": explainguard.FormatMariaDB,
		}[ending]
		require.Equal(t, want, p.Format, name)
		require.Equal(t, strings.HasSuffix(ending, "analyze"), p.Analyzed, name)
	}
}
