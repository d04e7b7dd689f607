package explainguard_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// judgeShop judges a statement on the shop in both formats, and requires that both say the same.
func judgeShop(t *testing.T, budget explainguard.Budget, rule *explainguard.Rule, query string, args ...any) *explainguard.Report {
	t.Helper()
	var last *explainguard.Report
	for _, format := range []explainguard.Format{explainguard.FormatJSONv1, explainguard.FormatJSONv2} {
		g := &explainguard.Guard{DB: shop.open(t, nil), Format: format, Budget: budget, Rules: []*explainguard.Rule{rule}}
		r, err := g.Check(t.Context(), query, args...)
		require.NoError(t, err)
		if last != nil {
			require.Equal(t, brief(last), brief(r), "%s\n%s", last, r)
		}
		last = r
	}
	return last
}

// The classic: an int argument for a VARCHAR column, as the driver sends it in a prepared statement and as text.
func TestConversionOfArguments(t *testing.T) {
	const query = "SELECT id FROM products WHERE sku = ?"
	budget := explainguard.Budget{ConversionRows: 100}
	db := ownShop(t)
	_, err := db.ExecContext(t.Context(), "ALTER TABLE products ADD KEY ix_sku (sku)")
	require.NoError(t, err)
	for _, interpolate := range []bool{false, true} {
		dsn := ownDSN(t, db)
		pool := openDSN(t, dsn, func(c *mysql.Config) { c.InterpolateParams = interpolate })
		for _, format := range []explainguard.Format{explainguard.FormatJSONv1, explainguard.FormatJSONv2} {
			g := &explainguard.Guard{DB: pool, Format: format, Budget: budget, Rules: []*explainguard.Rule{explainguard.ImplicitConversion}}
			for _, bad := range []any{7, int64(7), uint8(7), 7.5, true} {
				r, err := g.Check(t.Context(), query, bad)
				require.NoError(t, err)
				require.Equal(t, explainguard.Fail, r.Verdict, "%T %v\n%s\n%v", bad, bad, r, r.Plan.Warnings)
				require.Contains(t, r.Findings[0].What, "products.sku is compared as products.sku = ")
				require.Contains(t, r.Findings[0].WayOut, "Go string")
				require.InDelta(t, 200, r.Findings[0].Figure, 2)
			}
			for _, good := range []any{"sku7", []byte("sku7"), "あ"} {
				r, err := g.Check(t.Context(), query, good)
				require.NoError(t, err)
				require.Equal(t, explainguard.Pass, r.Verdict, "%T\n%s", good, r)
			}
			r, err := g.Check(t.Context(), query, nil)
			require.NoError(t, err)
			require.Equal(t, explainguard.Unanalysable, r.Verdict, "= NULL finds nothing, so nothing is planned")
		}
	}
}

func TestOffsetAndLimitOfArguments(t *testing.T) {
	r := judgeShop(t, explainguard.Budget{}, explainguard.LargeOffset, "SELECT id FROM orders ORDER BY id LIMIT ? OFFSET ?", 50, 2000)
	require.Equal(t, explainguard.Fail, r.Verdict, r)
	require.Equal(t, 2000.0, r.Findings[0].Figure)
	r = judgeShop(t, explainguard.Budget{}, explainguard.LargeOffset, "SELECT id FROM orders ORDER BY id LIMIT ? OFFSET ?", 50, 1000)
	require.Equal(t, explainguard.Pass, r.Verdict, r)
	r = judgeShop(t, explainguard.Budget{}, explainguard.FullScan, "SELECT id, total FROM orders LIMIT ?", 50)
	require.Equal(t, explainguard.Pass, r.Verdict, r)
}

func TestInListOfArguments(t *testing.T) {
	list := func(n int) (string, []any) {
		args := make([]any, n)
		for i := range args {
			args[i] = i
		}
		return "SELECT id FROM orders WHERE id IN (?" + strings.Repeat(", ?", n-1) + ")", args
	}
	query, args := list(1000)
	require.Equal(t, explainguard.Pass, judgeShop(t, explainguard.Budget{}, explainguard.InList, query, args...).Verdict)
	query, args = list(1001)
	r := judgeShop(t, explainguard.Budget{}, explainguard.InList, query, args...)
	require.Equal(t, explainguard.Fail, r.Verdict)
	require.Equal(t, "an IN list of id holds 1,001 values", r.Findings[0].What)
	require.Contains(t, r.String(), "limit:   1,000 values")
	require.Equal(t, explainguard.Pass, judgeShop(t, explainguard.Budget{InListValues: explainguard.Unlimited}, explainguard.InList, query, args...).Verdict)

	// 40,000 values need more than the 8 MiB that range_optimizer_max_mem_size allows by default.
	var literals strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&literals, ",%d", i)
	}
	query = "SELECT id FROM orders WHERE customer_id IN (0" + literals.String() + ")"
	r = judgeShop(t, explainguard.Budget{InListValues: 1e6}, explainguard.InList, query)
	require.Equal(t, explainguard.Fail, r.Verdict, "the server's warning fails at any length")
	require.Contains(t, r.Findings[0].What, "the optimizer gave up index ranges")
	require.Contains(t, r.Findings[0].What, "the longest list of customer_id holds 40,001 values")
}

// A plan that was parsed from bytes alone has no statement: what needs it stays quiet, the rest speaks.
func TestRulesJudgeBytesAlone(t *testing.T) {
	db := shop.open(t, nil)
	g := &explainguard.Guard{Budget: tight}
	for _, version := range []string{"1", "2"} {
		conn, err := db.Conn(t.Context())
		require.NoError(t, err)
		defer conn.Close()
		_, err = conn.ExecContext(t.Context(), "SET SESSION explain_json_format_version = "+version)
		require.NoError(t, err)
		var text string
		require.NoError(t, conn.QueryRowContext(t.Context(), "EXPLAIN FORMAT=JSON SELECT n.id FROM notes n, products p WHERE n.id > 1 ORDER BY n.body LIMIT 7, 10").Scan(&text))
		p, err := explainguard.Parse([]byte(text))
		require.NoError(t, err)
		r := g.Judge(p)
		found := fmt.Sprint(brief(r))
		require.Contains(t, found, "join-without-condition")
		require.Contains(t, found, "sort-temporary")
		require.Equal(t, version == "2", strings.Contains(found, "large-offset"), "only version 2 holds the statement: %s", found)
	}
}

func TestBudgetOfShares(t *testing.T) {
	g := &explainguard.Guard{DB: shop.open(t, nil), Budget: explainguard.Budget{IndexKept: 1.5}}
	_, err := g.Check(t.Context(), "SELECT 1")
	require.ErrorContains(t, err, "IndexKept is 1.5; it is a share of at most 1; set IndexRows to Unlimited")
	const query = "SELECT id FROM orders WHERE status = 'new' AND total = 450"
	budget := func(kept float64) explainguard.Budget { return explainguard.Budget{IndexKept: kept} }
	require.Equal(t, explainguard.Fail, judgeShop(t, budget(0), explainguard.UnselectiveIndex, query).Verdict)
	require.Equal(t, explainguard.Fail, judgeShop(t, budget(0.11), explainguard.UnselectiveIndex, query).Verdict)
	require.Equal(t, explainguard.Pass, judgeShop(t, budget(0.09), explainguard.UnselectiveIndex, query).Verdict)
}

// A rule that has named a scan's cause speaks for full-scan; silenced, it does not. The total refers to it.
func TestAScanIsNamedOnce(t *testing.T) {
	db := shop.open(t, nil)
	check := func(budget explainguard.Budget, query string) *explainguard.Report {
		r, err := (&explainguard.Guard{DB: db, Budget: budget}).Check(t.Context(), query)
		require.NoError(t, err)
		return r
	}
	const sorted = "SELECT id FROM items ORDER BY qty LIMIT 5"
	r := check(explainguard.Budget{}, sorted)
	require.Equal(t, []string{"sort-temporary in the main query", "rows-budget: items in the main query"}, brief(r))
	require.Contains(t, r.Findings[1].WayOut, "do what sort-temporary says")
	r = check(explainguard.Budget{SortRows: explainguard.Unlimited}, sorted)
	require.Equal(t, []string{"full-scan: items in the main query", "rows-budget: items in the main query"}, brief(r))
	require.Contains(t, r.Findings[1].WayOut, "do what full-scan says")
	r = check(explainguard.Budget{SortRows: explainguard.Unlimited, FullScanRows: explainguard.Unlimited}, sorted)
	require.Equal(t, []string{"rows-budget: items in the main query"}, brief(r))
	require.Contains(t, r.Findings[0].WayOut, "narrow that access")
	// A locked table is not a matter of reading.
	r = check(explainguard.Budget{LockedRows: explainguard.Unlimited}, "DELETE FROM orders")
	require.Empty(t, brief(r))
}

func ownDSN(t *testing.T, db interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) string {
	t.Helper()
	var name string
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT DATABASE()").Scan(&name))
	dsn, err := shop.load()
	require.NoError(t, err)
	config, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	config.DBName = name
	return config.FormatDSN()
}
