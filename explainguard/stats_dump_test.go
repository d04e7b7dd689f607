package explainguard_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestDumpStatsOnlyReads(t *testing.T) {
	dsn, err := smartList.load()
	require.NoError(t, err)
	db := openDSN(t, dsn, nil)
	db.SetMaxOpenConns(1)
	id, before := connectionID(t, db), variables(t, db)
	s, err := explainguard.DumpStats(t.Context(), db, explainguard.DumpOptions{Tables: []string{"pages"}, Taken: "2026-11-21"})
	require.NoError(t, err)
	require.Equal(t, id, connectionID(t, db))
	require.Equal(t, before, variables(t, db), "the session is as it was")
	require.Len(t, s.Tables, 1)
	require.Equal(t, "2026-11-21", s.Taken)
	again, err := explainguard.DumpStats(t.Context(), db, explainguard.DumpOptions{Tables: []string{"pages"}, Taken: "2026-11-21"})
	require.NoError(t, err)
	require.Equal(t, written(t, s), written(t, again), "the same statistics give the same bytes")

	s, err = explainguard.DumpStats(t.Context(), db, explainguard.DumpOptions{GroupRows: 100_000})
	require.NoError(t, err)
	require.Equal(t, []string{
		"customers.ix_tenant: the biggest group of tenant_id",
		"reservations.ix_customer: the biggest group of customer_id", "reservations.ix_page: the biggest group of page_id",
		"reservations.ix_tenant: the biggest group of tenant_id",
	}, s.Unknown(), "large tables are not counted, and that is said")
	s, err = explainguard.DumpStats(t.Context(), db, explainguard.DumpOptions{GroupTime: time.Millisecond})
	require.NoError(t, err)
	require.Contains(t, s.Unknown(), "reservations.ix_page: the biggest group of page_id", "what takes too long is given up, and that is said")

	_, err = explainguard.DumpStats(t.Context(), db, explainguard.DumpOptions{Tables: []string{"nowhere"}})
	require.ErrorContains(t, err, `no InnoDB table "nowhere"`)
	_, err = explainguard.DumpStats(t.Context(), openDSN(t, dsn, func(c *mysql.Config) { c.DBName = "" }), explainguard.DumpOptions{})
	require.ErrorContains(t, err, "the DSN selects no database")
	_, err = explainguard.DumpStats(t.Context(), openDSN(t, dsn, func(c *mysql.Config) { c.DBName = "mysql" }), explainguard.DumpOptions{})
	require.ErrorContains(t, err, "mysql is a system database")
	_, err = explainguard.DumpStats(t.Context(), servers.MySQL(t).DB, explainguard.DumpOptions{})
	require.ErrorContains(t, err, "has no InnoDB table that this account may see")
	_, err = explainguard.DumpStats(t.Context(), nil, explainguard.DumpOptions{})
	require.ErrorContains(t, err, "no database")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = explainguard.DumpStats(ctx, db, explainguard.DumpOptions{})
	require.ErrorIs(t, err, context.Canceled)
}

// TestDumpStatsWithoutTheSystemTables: an account that may only read its database, as on many managed servers, still gets what judges story 2.
func TestDumpStatsWithoutTheSystemTables(t *testing.T) {
	admin := smartList.open(t, nil)
	dsn, err := smartList.load()
	require.NoError(t, err)
	config, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	name := "du_" + strings.TrimPrefix(config.DBName, "tashikame_")
	mustExec(t, admin, "CREATE USER '"+name+"'@'%' IDENTIFIED BY '"+secret+"'", "GRANT SELECT ON `"+config.DBName+"`.* TO '"+name+"'")
	t.Cleanup(func() { mustExec(t, smartList.open(t, nil), "DROP USER '"+name+"'@'%'") })
	poor := openDSN(t, dsn, func(c *mysql.Config) { c.User, c.Passwd = name, secret })
	s, err := explainguard.DumpStats(t.Context(), poor, explainguard.DumpOptions{})
	require.NoError(t, err)
	rich := savedStats(t)
	for i, table := range s.Tables {
		require.InEpsilon(t, rich.Tables[i].Rows, table.Rows, 0.01)
		require.InEpsilon(t, rich.Tables[i].Pages, table.Pages, 0.01)
		for j, ix := range table.Indexes {
			require.InEpsilon(t, rich.Tables[i].Indexes[j].Distinct[0], ix.Distinct[0], 0.01)
			require.Equal(t, rich.Tables[i].Indexes[j].Biggest, ix.Biggest)
		}
	}
	assertStory2(t, emptySmartList(t), s)
}

func assertStory2(t *testing.T, db *sql.DB, stats *explainguard.Stats) {
	t.Helper()
	g := &explainguard.Guard{DB: db, Stats: stats}
	for q, want := range map[string]explainguard.Verdict{"bad": explainguard.Fail, "good": explainguard.Pass} {
		r, err := g.Check(t.Context(), query(t, q))
		require.NoError(t, err)
		require.Equal(t, want, r.Verdict, "%s", r)
	}
}

// TestStatsHistograms: values leave the server by permission only, and then drive the estimates.
func TestStatsHistograms(t *testing.T) {
	source, target := servers.MySQL(t).DB, servers.MySQL(t).DB
	ddl := "CREATE TABLE orders (id INT PRIMARY KEY, status VARCHAR(10), secret VARCHAR(20), `数` INT)"
	mustExec(t, source, ddl, "SET SESSION cte_max_recursion_depth = 10000",
		"INSERT INTO orders WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 2000) SELECT n, IF(n % 100 = 0, 'it''s\\\\', 'paid'), CONCAT('hush', n), n FROM s",
		"ANALYZE TABLE orders", "ANALYZE TABLE orders UPDATE HISTOGRAM ON status, secret, `数` WITH 8 BUCKETS")
	mustExec(t, target, ddl)
	s, err := explainguard.DumpStats(t.Context(), source, explainguard.DumpOptions{HistogramValues: []string{"orders.status"}})
	require.NoError(t, err)
	text := written(t, s)
	require.NotContains(t, text, "hush")
	require.NotContains(t, text, "aHVza", "nor in base64")
	require.Contains(t, text, `{"column":"secret","type":"equi-height","data":"string","buckets":8,"nulls":0,"greatest":0.125}`)
	require.NotContains(t, text, "last-updated")
	require.Contains(t, s.Unknown(), "orders.secret: the histogram's values")
	s, err = explainguard.ReadStats(strings.NewReader(text))
	require.NoError(t, err)
	g := &explainguard.Guard{DB: target, Stats: s}
	for query, want := range map[string]float64{
		"SELECT * FROM orders WHERE status = 'paid'":     1980,
		`SELECT * FROM orders WHERE status = 'it''s\\'`:  20,
		"SELECT * FROM orders WHERE secret = 'whatever'": 200, // the server's guess
	} {
		r, err := g.Check(t.Context(), query)
		require.NoError(t, err)
		require.Equal(t, explainguard.Pass, r.Verdict, "%s", r)
		require.InDelta(t, want, r.Plan.Root.Root.Rows, 1, query)
	}
	_, err = explainguard.DumpStats(t.Context(), source, explainguard.DumpOptions{HistogramValues: []string{"orders.id"}})
	require.ErrorContains(t, err, `there is no histogram of "orders.id"`)
	mustExec(t, target, "ALTER TABLE orders MODIFY status INT")
	err = s.Apply(t.Context(), target, explainguard.ApplyOptions{})
	require.ErrorContains(t, err, "write the histogram of orders.status: the server says: ")
}
