package explainguard_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// The filled databases on MariaDB.
var (
	smartListOnMariaDB = &dataset{fill: smartList.fill, file: smartList.file, on: servers.StartMariaDB}
	shopOnMariaDB      = &dataset{file: shop.file, on: servers.StartMariaDB}
)

func ownShopOnMariaDB(tb testing.TB) *sql.DB {
	tb.Helper()
	s := servers.MariaDB(tb)
	require.NoError(tb, runFile(context.Background(), s.DSN, shop.file))
	return s.DB
}

// measured is what ANALYZE FORMAT=JSON says that a statement read at stored tables: rows × loops, index entries that a
// condition or a filter dropped included. A block nested loop compares each row of its buffer with each of the table,
// and is counted so. The JSON is read without our parser.
func measured(t *testing.T, conn *sql.Conn, query string, args ...any) (rows float64, text string) {
	t.Helper()
	require.NoError(t, conn.QueryRowContext(t.Context(), "ANALYZE FORMAT=JSON "+query, args...).Scan(&text))
	var doc any
	require.NoError(t, json.Unmarshal([]byte(text), &doc))
	return addUp(doc, nil), text
}

// uncounted is a subquery that became a look-up in an index: ANALYZE shows no loops of it, however often it ran.
var uncounted = regexp.MustCompile(`"access_type": "(index|unique)_subquery"`)

// reallyRead is measured, and by the server's counters where ANALYZE leaves something out.
func reallyRead(t *testing.T, conn *sql.Conn, query string) (rows float64, text string) {
	t.Helper()
	rows, text = measured(t, conn, query)
	if uncounted.MatchString(text) {
		rows = handlerReadsOnMariaDB(t, conn, query)
	}
	return rows, text
}

func addUp(v any, join map[string]any) (sum float64) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			sum += addUp(e, nil)
		}
	case map[string]any:
		figure := func(d map[string]any, key string) float64 {
			f, _ := d[key].(float64)
			return f
		}
		if name, ok := v["table_name"].(string); ok && !strings.HasPrefix(name, "<") && v["table_function"] == nil {
			read := figure(v, "r_loops") * max(figure(v, "r_rows"), figure(v, "r_index_rows"))
			if join != nil && join["join_type"] == "BNL" {
				read = figure(join, "r_loops") * figure(join, "r_effective_rows")
			}
			sum += read
			if f, ok := v["rowid_filter"].(map[string]any); ok {
				sum += figure(f, "r_buffer_rows") + figure(f, "r_rows")
			}
		}
		for key, e := range v {
			var in map[string]any
			if key == "table" && v["join_type"] != nil {
				in = v
			}
			sum += addUp(e, in)
		}
	}
	return sum
}

// What ANALYZE reads may differ from what the plan promises, for these reasons.
var unlikeMeasured = map[string]string{
	"hash_three":          "no rows match, so the last of three joined tables is never read",
	"json_table":          "the server takes a JSON document for 40 rows",
	"japanese":            "without a histogram every customer may have this name",
	"range_checked":       "each row may need the whole table",
	"fulltext":            "the server takes every full-text search for one row, as MySQL does",
	"fulltext_join":       "the server takes every full-text search for one row, as MySQL does",
	"loosescan_two":       "a semijoin stops at the first match",
	"limit_nested_filter": "how soon ten rows pass a condition the server does not know: all may have to be read",
	"limit_order_filter":  "how soon three rows pass a condition the server does not know: all may have to be read",
}

// The estimate is within 2× of what ANALYZE measured.
func TestMariaDBEstimateAgainstReality(t *testing.T) {
	db := shopOnMariaDB.open(t, nil)
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	compared := 0
	for _, f := range sections(t, statements) {
		name, ok := strings.CutSuffix(f.name, ".sql")
		if !ok || !strings.HasPrefix(f.data, "SELECT") && !strings.HasPrefix(f.data, "WITH") || notOfMariaDB[name] != "" {
			continue
		}
		p := explain(t, explainguard.Explainer{DB: db}, f.data)
		really, text := measured(t, conn, f.data)
		estimate := explainguard.Measure(p).Total
		analyzed, err := explainguard.Parse([]byte(text))
		require.NoError(t, err)
		require.True(t, analyzed.Analyzed)
		require.False(t, p.Analyzed)
		require.InDelta(t, really, actually(analyzed), 1, "%s: the parser adds up what ANALYZE says", name)
		if uncounted.MatchString(text) {
			really, _ = reallyRead(t, conn, f.data)
		}
		if explainguard.Measure(p).LowerBound {
			require.LessOrEqual(t, estimate, 2*really+1, name)
			continue
		}
		if unlikeMeasured[name] != "" {
			require.Greater(t, math.Abs(estimate-really), math.Max(estimate, really)/2, "%s is as measured now", name)
			continue
		}
		require.LessOrEqual(t, estimate, 2*really+1, name)
		require.GreaterOrEqual(t, 2*estimate+1, really, name)
		compared++
	}
	require.Greater(t, compared, 50)
}

// actually is what was read at stored tables, by the plan of an ANALYZE.
func actually(p *explainguard.Plan) (sum float64) {
	for _, b := range p.Blocks() {
		for _, n := range b.Accesses() {
			if n.Base && n.Actual != nil {
				sum += n.Actual.Rows * n.Actual.Loops
			}
		}
	}
	return sum
}

// MariaDB writes the LIMIT where the rows of a scan in index order belong. The first figure is the server's own.
func TestMariaDBLimitDoesNotHideAScan(t *testing.T) {
	db := shopOnMariaDB.open(t, nil)
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	const joined = "FROM customers c JOIN orders o ON o.customer_id = c.id "
	for query, want := range map[string]float64{
		// Nothing stands between the scan and the LIMIT.
		"SELECT * FROM orders ORDER BY id LIMIT 10":                              10,
		"SELECT * FROM orders ORDER BY placed_on DESC LIMIT 10 OFFSET 50":        60,
		"SELECT c.id, o.status " + joined + "ORDER BY o.status LIMIT 10":         20,
		"SELECT customer_id, COUNT(*) FROM orders GROUP BY customer_id LIMIT 10": 30,
		// The server knows how many rows have this status: 10 of them are among 40.
		"SELECT * FROM orders WHERE status = 'new' ORDER BY placed_on LIMIT 10": 40,
		// All of these read everything, and the server's figure is 10.
		"SELECT * FROM orders WHERE total = 777 ORDER BY id LIMIT 10":                                                        6000,
		"SELECT * FROM orders WHERE total = 777 ORDER BY id LIMIT 10 OFFSET 50":                                              6000,
		"SELECT customer_id FROM orders WHERE customer_id + 0 = 777 ORDER BY customer_id LIMIT 10":                           6000,
		"SELECT id FROM orders HAVING id * 2 = 777777 ORDER BY id LIMIT 10":                                                  6000,
		"SELECT customer_id, COUNT(*) FROM orders WHERE total = 777 GROUP BY customer_id ORDER BY customer_id LIMIT 10":      6000,
		"SELECT * FROM (SELECT * FROM orders WHERE total = 777 ORDER BY id LIMIT 10) x":                                      6000,
		"(SELECT * FROM orders WHERE total = 777 ORDER BY id LIMIT 10) UNION ALL (SELECT * FROM orders ORDER BY id LIMIT 3)": 6003,
		"SELECT DISTINCT c.id, o.status " + joined + "ORDER BY o.status LIMIT 10":                                            12000,
		"SELECT c.id, o.status " + joined + "WHERE c.name = 'zz' ORDER BY o.placed_on LIMIT 10":                              12000,
	} {
		p := explain(t, explainguard.Explainer{DB: db}, query)
		require.True(t, p.Analysable(), "%s: %v", query, p.Unanalysable)
		total := explainguard.Measure(p).Total
		really, _ := measured(t, conn, query)
		require.InDelta(t, want, total, 0.02*want, query)
		require.LessOrEqual(t, really, 1.05*total+1, query)
	}
	for _, query := range []string{
		"DELETE FROM orders WHERE total = 777 ORDER BY id LIMIT 10", "UPDATE orders SET total = 1 WHERE total = 777 ORDER BY id LIMIT 10",
	} {
		require.InDelta(t, 6000, explainguard.Measure(explain(t, explainguard.Explainer{DB: db}, query)).Total, 100, query)
	}
	// From the bytes alone it is not to be told, and then nothing is claimed.
	var text string
	require.NoError(t, conn.QueryRowContext(t.Context(), "EXPLAIN FORMAT=JSON SELECT * FROM orders WHERE total = 777 ORDER BY id LIMIT 10").Scan(&text))
	p, err := explainguard.Parse([]byte(text))
	require.NoError(t, err)
	require.Equal(t, explainguard.Unanalysable, (&explainguard.Guard{}).Judge(p).Verdict)
	require.Contains(t, p.Unanalysable[0].What, "or the statement's LIMIT")
}

// Each of these statements, under each of these settings, is a plan that is understood. Together they show every key that
// MariaDB's JSON is known to have.
func TestMariaDBVariedPlansAreUnderstood(t *testing.T) {
	s := servers.MariaDB(t)
	require.NoError(t, runFile(t.Context(), s.DSN, shop.file))
	require.NoError(t, runFile(t.Context(), s.DSN, "testdata/shop/varied_schema.mariadb.sql"))
	text, err := os.ReadFile("testdata/shop/varied.mariadb.sql")
	require.NoError(t, err)
	conn, err := s.DB.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	keys := map[string]bool{}
	plans := 0
	for _, setting := range []string{
		"", "optimizer_switch='semijoin=off'", "optimizer_switch='materialization=off,firstmatch=off'",
		"optimizer_switch='firstmatch=off,materialization=off,loosescan=off'", "optimizer_switch='semijoin=off,materialization=off'",
		"join_cache_level=4", "join_cache_level=0",
		"join_cache_level=8, optimizer_switch='mrr=on,mrr_sort_keys=on,join_cache_hashed=on,join_cache_bka=on'",
		"optimizer_switch='split_materialized=off,condition_pushdown_for_derived=off,derived_merge=off,subquery_cache=off'",
		"optimizer_switch='rowid_filter=off,index_merge_sort_intersection=on,mrr=on,extended_keys=off,table_elimination=off'",
	} {
		if setting != "" {
			_, err := conn.ExecContext(t.Context(), "SET optimizer_switch=default, join_cache_level=default, "+setting)
			require.NoError(t, err)
		}
		for query := range strings.Lines(string(text)) {
			if strings.HasPrefix(query, "--") {
				continue
			}
			var plan string
			require.NoError(t, conn.QueryRowContext(t.Context(), "EXPLAIN FORMAT=JSON "+query).Scan(&plan), query)
			var doc any
			require.NoError(t, json.Unmarshal([]byte(plan), &doc))
			collectKeys(doc, keys)
			p, err := explainguard.Parse([]byte(plan))
			require.NoError(t, err, query)
			if !strings.Contains(query, "information_schema") { // has no figures, by which the format is told
				require.Equal(t, explainguard.FormatMariaDB, p.Format, query)
			}
			require.NotContains(t, fmt.Sprint(p.Unanalysable), "not known", "%s, %s:\n%s", setting, query, plan)
			plans++
		}
	}
	t.Logf("%d plans", plans)
	var nested []string
	for key := range keys {
		nested = append(nested, key)
	}
	slices.Sort(nested)
	known := strings.Fields(mariaDBKeys)
	for _, key := range nested {
		require.Contains(t, known, key, "a key that may hold a plan and is not on the list")
	}
	for _, key := range known {
		if key == "expression_cache" || key == "intersect" {
			continue // of 10.11, where the former is what newer versions call subquery_cache
		}
		require.Contains(t, nested, key, "this key was seen once and is not any more")
	}
}

// mariaDBKeys are the keys that hold objects.
const mariaDBKeys = `block-nl-join buffer duplicate_removal duplicates_removal expression_cache filesort index_merge intersect
	materialization materialized nested_loop query_block query_specifications range range-checked-for-each-record read_sorted_file
	recursive_union rowid_filter sort_intersect sort_union sorts subqueries subquery_cache table temporary_table union union_result
	window_functions_computation`

func collectKeys(v any, keys map[string]bool) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			collectKeys(e, keys)
		}
	case map[string]any:
		for key, e := range v {
			switch e := e.(type) {
			case map[string]any:
				keys[key] = true
			case []any:
				if _, ok := e[0].(map[string]any); ok {
					keys[key] = true
				}
			}
			collectKeys(e, keys)
		}
	}
}
