package explainguard_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
)

func variablesOfMariaDB(t *testing.T, db *sql.DB) map[string]string {
	t.Helper()
	return without(sessionVariables(t, db, "information_schema.session_variables"), "TIMESTAMP", "RAND_SEED1", "RAND_SEED2",
		"PSEUDO_THREAD_ID", "LAST_GTID", "WARNING_COUNT", "ERROR_COUNT", "GTID_BINLOG_STATE", "GTID_CURRENT_POS", "IN_TRANSACTION")
}

// The session is put back whatever it was, after a plan and after an error.
func TestExplainPutsMariaDBsSessionBack(t *testing.T) {
	for name, change := range map[string]func(*mysql.Config){
		"server's defaults": nil,
		"odd but legal": withDefaults("sql_notes", "0", "max_error_count", "0", "max_statement_time", "7.5", "autocommit", "0",
			"note_verbosity", "''", "lock_wait_timeout", "77"),
		"read-only":          withDefaults("tx_read_only", "1", "note_verbosity", "'basic,unusable_keys,explain'"),
		"driver interpolate": func(c *mysql.Config) { c.InterpolateParams, c.MultiStatements = true, true },
	} {
		t.Run(name, func(t *testing.T) {
			db := shopOnMariaDB.open(t, change)
			db.SetMaxOpenConns(1) // Explain gets, and gives back, this very connection
			id, before := connectionID(t, db), variablesOfMariaDB(t, db)
			e := explainguard.Explainer{DB: db}
			p := explain(t, e, "SELECT * FROM orders WHERE customer_id = ? AND total > ? LIMIT ?", 7, 3, 10)
			require.Contains(t, p.Rewritten, "`orders`.`customer_id` = 7")
			require.Contains(t, p.Rewritten, "limit 10")
			require.Equal(t, "orders", p.Root.Accesses()[0].Table)
			require.Equal(t, before["VERSION"], p.ServerVersion)
			explain(t, e, "UPDATE orders SET total = 1 WHERE customer_id = ?", 7)
			_, err := e.Explain(t.Context(), "SELECT * FROM nowhere")
			require.ErrorContains(t, err, "create the table")
			require.Equal(t, id, connectionID(t, db), "the connection went back to the pool")
			require.Equal(t, before, variablesOfMariaDB(t, db))
		})
	}
}

func TestExplainOnMariaDBRefusesMySQLsFormats(t *testing.T) {
	db := shopOnMariaDB.open(t, nil)
	for _, format := range []explainguard.Format{explainguard.FormatJSONv1, explainguard.FormatJSONv2, 99} {
		mustNotPass(t.Context(), t, &explainguard.Guard{DB: db, Format: format}, "SELECT 1", "the server is MariaDB 1", "leave Format unset", format.String())
	}
	mustNotPass(t.Context(), t, &explainguard.Guard{DB: shop.open(t, nil), Format: explainguard.FormatMariaDB}, "SELECT 1", "the server is MySQL 9")
	_, err := explainguard.Explainer{DB: db, Analyze: time.Second}.Explain(t.Context(), "SELECT 1")
	require.ErrorContains(t, err, "the server is MariaDB 1")
	require.ErrorContains(t, err, "give its answer to Parse")
	p := explain(t, explainguard.Explainer{DB: db, Format: explainguard.FormatMariaDB}, "SELECT * FROM orders WHERE customer_id = 7")
	require.True(t, p.Analysable())
}

// Explaining never changes data, and MariaDB does run cheap constant subqueries, with their functions, while it plans.
func TestExplainWritesNothingOnMariaDB(t *testing.T) {
	db := ownShopOnMariaDB(t)
	for _, s := range []string{
		"CREATE TABLE side (n INT)",
		"CREATE FUNCTION wf() RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO side VALUES (1); RETURN 7; END",
		"CREATE SEQUENCE sq",
	} {
		_, err := db.ExecContext(t.Context(), s)
		require.NoError(t, err)
	}
	orders := count(t, db, "orders")
	for _, writes := range []string{"(SELECT MAX(wf()) FROM notes WHERE id < 3)", "wf()", "(SELECT wf())"} {
		_, err := explainguard.Explain(t.Context(), db, "SELECT * FROM orders WHERE customer_id = "+writes)
		require.ErrorContains(t, err, "1792")
		require.ErrorContains(t, err, "a function in the statement writes")
		require.Zero(t, count(t, db, "side"), writes)
		for _, statement := range []string{"DELETE FROM orders WHERE customer_id = " + writes, "SELECT id FROM orders WHERE customer_id = " + writes + " FOR UPDATE"} {
			_, _ = explainguard.Explain(t.Context(), db, statement) // rolled back, whatever it says
			require.Zero(t, count(t, db, "side"), statement)
		}
		// The server itself, asked without care, does write: this is what the test is about.
		_, err = db.ExecContext(t.Context(), "EXPLAIN SELECT * FROM orders WHERE customer_id = "+writes)
		require.NoError(t, err)
		require.NotZero(t, count(t, db, "side"))
		_, err = db.ExecContext(t.Context(), "TRUNCATE side")
		require.NoError(t, err)
	}
	for _, s := range []string{
		"DELETE FROM orders", "UPDATE orders SET total = 0", "INSERT INTO orders SELECT * FROM orders", "REPLACE INTO notes (body) VALUES ('x')",
		"UPDATE orders o JOIN customers c ON c.id = o.customer_id SET o.total = 1", "DELETE FROM notes WHERE id < 5 RETURNING id",
		"SELECT * FROM orders WHERE customer_id = 7 FOR UPDATE", "SELECT * FROM orders WHERE customer_id = 7 LOCK IN SHARE MODE",
		"INSERT INTO notes (body) VALUES ('x') RETURNING id",
	} {
		p, err := explainguard.Explain(t.Context(), db, s)
		require.NoError(t, err, s)
		require.True(t, p.Analysable(), "%s: %v", s, p.Unanalysable)
	}
	require.Equal(t, orders, count(t, db, "orders"))
	require.Equal(t, 500, count(t, db, "notes"))
	// MariaDB names no figure for a DELETE without WHERE in its JSON; it reads everything.
	p := explain(t, explainguard.Explainer{DB: db}, "DELETE FROM orders")
	require.InDelta(t, 6000, explainguard.Measure(p).Total, 100)
	require.Equal(t, "orders", p.Root.Accesses()[0].Table)
}

func TestExplainErrorsOnMariaDBNameTheWayOut(t *testing.T) {
	db := shopOnMariaDB.open(t, nil)
	g := &explainguard.Guard{DB: db}
	for query, want := range map[string]string{
		"SELECT FROM WHERE":                          "syntax error",
		"SELECT * FROM nowhere":                      "create the table",
		"SELECT nothing FROM orders":                 "the schema here differs",
		"SELECT * FROM orders WHERE customer_id = ?": "expected 1 arguments, got 0; pass one argument for each placeholder",
	} {
		mustNotPass(t.Context(), t, g, query, want)
	}
	mustNotPass(t.Context(), t, &explainguard.Guard{DB: shopOnMariaDB.open(t, func(c *mysql.Config) { c.Passwd = secret })}, "SELECT 1",
		"1045", "check user and password in the DSN")
	t.Run("locked table", func(t *testing.T) { refusesLockedTable(t, g) })
}

// What planning runs is bounded by the server, and the session is put back after that.
func TestExplainBoundsPlanningOnMariaDB(t *testing.T) {
	const slow = "SELECT * FROM orders WHERE customer_id = (SELECT BENCHMARK(100000000, SIN(1)))"
	db := shopOnMariaDB.open(t, withDefaults("max_statement_time", "0.3"))
	db.SetMaxOpenConns(1)
	before := variablesOfMariaDB(t, db)
	_, err := explainguard.Explain(t.Context(), db, slow)
	require.ErrorContains(t, err, "1969")
	require.ErrorContains(t, err, "MariaDB runs cheap constant subqueries and functions while it plans")
	require.Equal(t, before, variablesOfMariaDB(t, db), "the session is put back after an error")

	unbounded := shopOnMariaDB.open(t, nil)
	unbounded.SetMaxOpenConns(1)
	before = variablesOfMariaDB(t, unbounded)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = explainguard.Explain(ctx, unbounded, slow)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, before, variablesOfMariaDB(t, unbounded))
}

// An empty table's estimate says nothing, on MariaDB neither; names of any kind are read.
func TestExplainDistrustsEmptyTablesOfMariaDB(t *testing.T) {
	s := servers.MariaDB(t)
	const table = "`空っぽ ``の` `表``名`"
	_, err := s.DB.ExecContext(t.Context(), "CREATE TABLE `空っぽ ``の` (id INT PRIMARY KEY, k INT, KEY `ix k` (k))")
	require.NoError(t, err)
	g := &explainguard.Guard{DB: s.DB}
	check := func(query string) *explainguard.Report {
		r, err := g.Check(t.Context(), query)
		require.NoError(t, err)
		return r
	}
	for _, query := range []string{
		"SELECT * FROM " + table + " WHERE k IN (1, 2, 3, 4, 5)",
		"SELECT COUNT(*) FROM " + table,
		"SELECT * FROM (SELECT k, COUNT(*) n FROM " + table + " GROUP BY k) `派``生` WHERE n > 3",
		"SELECT 1 WHERE EXISTS (SELECT 1 FROM " + table + " WHERE k > 3)",
		"SELECT id, k IN (SELECT k FROM " + table + ") FROM " + table,
	} {
		r := check(query)
		require.Equal(t, explainguard.Unanalysable, r.Verdict, "%s\n%s", query, r)
	}
	r := check("SELECT * FROM " + table + " WHERE k IN (1, 2, 3, 4, 5)")
	require.Contains(t, r.Reasons[0].What, "table 空っぽ `の is empty here")
	_, err = s.DB.ExecContext(t.Context(), "INSERT INTO `空っぽ ``の` VALUES (1, 1), (2, 2)")
	require.NoError(t, err)
	r = check("SELECT * FROM " + table + " WHERE k IN (1, 2, 3, 4, 5)")
	require.Equal(t, explainguard.Pass, r.Verdict, r)
	require.Equal(t, "表`名", r.Plan.Root.Accesses()[0].Alias)
	r = check("SELECT * FROM (SELECT k, COUNT(*) n FROM " + table + " GROUP BY k) `派``生` WHERE n > 3")
	require.Equal(t, explainguard.Pass, r.Verdict, r)
	require.Equal(t, "派`生", r.Plan.Blocks()[1].Name)
}

// The server dies between two calls and comes back: one is Unanalysable, the next as before.
func TestExplainOverARestartOfMariaDB(t *testing.T) {
	s := servers.OwnMariaDB(t)
	_, err := s.DB.ExecContext(t.Context(), "CREATE TABLE t (id INT PRIMARY KEY)")
	require.NoError(t, err)
	_, err = s.DB.ExecContext(t.Context(), "INSERT INTO t VALUES (1)")
	require.NoError(t, err)
	g := &explainguard.Guard{DB: s.DB}
	check := func() explainguard.Verdict {
		r, _ := g.Check(t.Context(), "SELECT * FROM t")
		return r.Verdict
	}
	require.Equal(t, explainguard.Pass, check())
	require.NoError(t, s.Kill())
	require.Equal(t, explainguard.Unanalysable, check())
	require.NoError(t, s.Start())
	require.Equal(t, explainguard.Pass, check())
}

// MySQL's time limit hint means nothing to MariaDB: it is a comment there.
func TestMariaDBIgnoresMySQLsTimeLimit(t *testing.T) {
	p := explain(t, explainguard.Explainer{DB: shopOnMariaDB.open(t, nil)}, "SELECT /*+ MAX_EXECUTION_TIME(5) */ * FROM orders")
	require.NotContains(t, p.Rewritten, "MAX_EXECUTION_TIME")
	require.Empty(t, p.Warnings)
}

// What MySQL says with warning 1739 MariaDB says with note 1105: an index that a conversion makes useless.
func TestMariaDBTellsOfAUselessIndex(t *testing.T) {
	p := explain(t, explainguard.Explainer{DB: shopOnMariaDB.open(t, nil)}, "SELECT * FROM orders WHERE status = 3")
	require.Len(t, p.Warnings, 1)
	require.Equal(t, 1105, p.Warnings[0].Code)
	require.Contains(t, p.Warnings[0].Message, "Cannot use key `ix_status`")
}
