package explainguard_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// endless reads 6,000³ rows.
const endless = "SELECT COUNT(*) FROM orders a JOIN orders b ON a.total <> b.total JOIN orders c ON c.total <> b.total"

// running is how many statements like endless the server is busy with in this test's database.
func running(t *testing.T, db *sql.DB, like string) int {
	t.Helper()
	var n int
	require.NoError(t, db.QueryRowContext(context.Background(), "SELECT COUNT(*) FROM performance_schema.processlist WHERE db = DATABASE() AND info LIKE ? AND id <> CONNECTION_ID()",
		"EXPLAIN ANALYZE%"+like+"%").Scan(&n))
	return n
}

// A run that reaches its limit fails, says how far it had come, leaves nothing running, and gives the connection back as it was.
func TestAnalyzeStopsAtItsLimit(t *testing.T) {
	watch := shop.open(t, nil)
	hinted := "SELECT /*+ MAX_EXECUTION_TIME(60000) */ COUNT(*) FROM orders a JOIN orders b ON a.total <> b.total JOIN orders c ON c.total <> b.total"
	for name, c := range map[string]struct {
		query   string
		pool    int
		format  explainguard.Format
		atLeast time.Duration
		partial bool // the server told how far it had come
		kept    bool // the connection went back to the pool
	}{
		"max_execution_time":            {query: endless, pool: 1, partial: true, kept: true},
		"TREE":                          {query: endless, pool: 1, format: explainguard.FormatTree, partial: true, kept: true},
		"a hint that overrules it":      {query: hinted, pool: 2, atLeast: 750 * time.Millisecond, partial: true, kept: true},
		"no second connection":          {query: hinted, pool: 1, atLeast: 750 * time.Millisecond},
		"the statement's own limit":     {query: "SELECT /*+ MAX_EXECUTION_TIME(100) */ SUM(a.total + b.total + c.total) FROM orders a, orders b, orders c", pool: 1, partial: true, kept: true},
		"asleep":                        {query: "SELECT SLEEP(3) FROM orders", pool: 1, partial: true, kept: true},
		"while planning":                {query: "SELECT * FROM customers WHERE id = (SELECT COUNT(*) FROM orders a, orders b, orders c WHERE a.total <> b.total + c.total)", pool: 1, kept: true},
		"with index condition pushdown": {query: "SELECT COUNT(*) FROM orders o FORCE INDEX (ix_customer), orders b, orders c WHERE o.customer_id < 500 AND o.customer_id % 2 = 0 AND o.total <> b.total + c.total", pool: 1, partial: true, kept: true},
	} {
		t.Run(name, func(t *testing.T) {
			db := shop.open(t, nil)
			db.SetMaxOpenConns(c.pool)
			id, before := connectionID(t, db), variables(t, db)
			const limit = 300 * time.Millisecond
			g := &explainguard.Guard{DB: db, Analyze: limit, Format: c.format, Budget: explainguard.Budget{RowsExamined: explainguard.Unlimited}}
			started := time.Now()
			r, err := g.Check(t.Context(), c.query)
			took := time.Since(started)
			if name == "while planning" { // the statement could not even be planned
				require.ErrorContains(t, err, "planning took longer than")
				require.Equal(t, explainguard.Unanalysable, r.Verdict)
				return
			}
			require.NoError(t, err)
			require.Equal(t, explainguard.Fail, r.Verdict, "%s", r)
			require.Equal(t, "unfinished", r.Findings[0].Rule)
			require.Equal(t, c.partial, r.Plan.Analyzed)
			require.Positive(t, r.Plan.Stopped)
			require.LessOrEqual(t, r.Plan.Stopped, limit)
			require.Greater(t, took, c.atLeast)
			require.Less(t, took, 10*time.Second)
			require.NotContains(t, r.String(), "limit:   0 rows")
			if c.partial {
				require.Contains(t, r.Findings[0].What, "by then it had examined at least")
			}
			// Without the rule it still is no pass.
			g.Rules = []*explainguard.Rule{explainguard.RowsBudget}
			require.Equal(t, explainguard.Unanalysable, g.Judge(r.Plan).Verdict)
			require.Eventually(t, func() bool { return running(t, watch, "FROM orders") == 0 }, 5*time.Second, 20*time.Millisecond, "it runs on")
			if c.kept {
				require.Equal(t, id, connectionID(t, db))
				require.Equal(t, before, variables(t, db))
			} else {
				require.NotEqual(t, id, connectionID(t, db))
			}
		})
	}
}

// Who ends the context gets that as an error, and the statement ends on the server.
func TestAnalyzeEndsWithItsContext(t *testing.T) {
	watch := shop.open(t, nil)
	db := shop.open(t, nil)
	db.SetMaxOpenConns(1)
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	query := "SELECT SUM(a.total + b.total + c.total) AS gone FROM orders a, orders b, orders c"
	r, err := (&explainguard.Guard{DB: db, Analyze: time.Minute}).Check(ctx, query)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, explainguard.Unanalysable, r.Verdict)
	require.Eventually(t, func() bool { return running(t, watch, "AS gone") == 0 }, 5*time.Second, 20*time.Millisecond, "it runs on")
	require.NoError(t, db.PingContext(t.Context()))
}

func TestAnalyzeRefuses(t *testing.T) {
	db := ownShop(t)
	count := func() (n int) {
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT (SELECT COUNT(*) FROM notes) + (SELECT COUNT(*) FROM nothing)").Scan(&n))
		return n
	}
	before := count()
	_, err := db.ExecContext(t.Context(), "CREATE FUNCTION writes() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO notes (body) VALUES ('x'); RETURN 1; END")
	require.NoError(t, err)
	for query, want := range map[string]string{
		"INSERT INTO notes (body) VALUES ('x')":                           "would run it",
		"INSERT INTO notes (body) SELECT sku FROM products":               "would run it",
		"UPDATE orders SET total = 1":                                     "would run it",
		"DELETE FROM notes":                                               "would run it",
		"DELETE n FROM notes n JOIN products p ON p.id = n.id":            "would run it",
		"REPLACE INTO notes SELECT id, sku FROM products":                 "would run it",
		"WITH n AS (SELECT 1 id) DELETE FROM notes WHERE id IN (TABLE n)": "would run it",
		"SELECT writes() FROM products":                                   "1792",
		"SELECT id FROM products WHERE price > 0 AND writes() = 1":        "1792",
		"ANALYZE TABLE notes":                                             "ANALYZE",
		"SELECT 1; DELETE FROM notes":                                     "more than one statement",
		"SELECT * FROM products WHERE id = ?":                             "pass one argument for each placeholder",
	} {
		g := &explainguard.Guard{DB: db, Analyze: time.Second}
		r, err := g.Check(t.Context(), query)
		require.ErrorContains(t, err, want, query)
		require.Equal(t, explainguard.Unanalysable, r.Verdict)
		require.Equal(t, before, count(), query)
	}
	for _, e := range []explainguard.Explainer{{DB: db, Analyze: -1}, {DB: db, Analyze: time.Microsecond}, {DB: db, Analyze: time.Second, Format: explainguard.FormatJSONv1}} {
		_, err := e.Explain(t.Context(), "SELECT 1")
		require.Error(t, err)
	}
}

// What a session can leave behind, or wait for.
func TestAnalyzeAndLocks(t *testing.T) {
	db := ownShop(t)
	var free int
	explain(t, explainguard.Explainer{DB: db, Analyze: time.Second}, "SELECT GET_LOCK('explainguard analyze', 0)")
	require.Eventually(t, func() bool {
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT IS_FREE_LOCK('explainguard analyze')").Scan(&free))
		return free == 1
	}, 5*time.Second, 20*time.Millisecond)

	forUpdate := "SELECT * FROM products WHERE id = 5 OR id = 6 FOR UPDATE"
	p := explain(t, explainguard.Explainer{DB: db, Analyze: time.Second}, forUpdate)
	require.InDelta(t, 2, explainguard.Measure(p).Total, 0)
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	_, err = tx.ExecContext(t.Context(), forUpdate) // nobody holds them any more
	require.NoError(t, err)
	started := time.Now()
	p = explain(t, explainguard.Explainer{DB: db, Analyze: 30 * time.Second}, forUpdate) // nor does it wait for them
	require.InDelta(t, 2, explainguard.Measure(p).Total, 0)
	require.Less(t, time.Since(started), 900*time.Millisecond)
}

// Reads that no line of the answer shows are told by the server's counters.
func TestAnalyzeUnseen(t *testing.T) {
	db := ownShop(t)
	for _, ddl := range []string{
		"CREATE FUNCTION n_orders(c BIGINT) RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM orders WHERE total <> c)",
		"CREATE FUNCTION one_order(c BIGINT) RETURNS INT READS SQL DATA RETURN (SELECT total FROM orders WHERE id = c)",
	} {
		_, err := db.ExecContext(t.Context(), ddl)
		require.NoError(t, err)
	}
	g := &explainguard.Guard{DB: db, Analyze: 20 * time.Second}
	for query, want := range map[string]float64{
		"SELECT n_orders(id) FROM products WHERE id <= 10":                                                                                60_000,
		"SELECT COUNT(one_order(id)) FROM customers WHERE id > 100":                                                                       1_900,
		"SELECT COUNT(*) FROM customers c WHERE c.tenant_id = 3 GROUP BY (SELECT MAX(o.total) FROM orders o WHERE o.customer_id <> c.id)": 600_000,
	} {
		r, err := g.Check(t.Context(), query)
		require.NoError(t, err)
		require.InDelta(t, want, r.Plan.Unseen, 0.1*want, query)
		if want > 10_000 {
			require.Equal(t, explainguard.Unanalysable, r.Verdict, "%s", r)
			require.Contains(t, r.Reasons[0].What, "more reads in this run")
		}
		g.Budget.RowsExamined = 1_000_000
		r, err = g.Check(t.Context(), query)
		require.NoError(t, err)
		require.Equal(t, explainguard.Pass, r.Verdict, "%s", r)
		g.Budget.RowsExamined = 0
	}
}

// A pushed index condition hides rows; without it they are counted, and the session gets it back.
func TestAnalyzeCountsWhatIndexConditionsHide(t *testing.T) {
	for switched, change := range map[string]func(*mysql.Config){"on": nil, "off": withDefaults("optimizer_switch", "'index_condition_pushdown=off'")} {
		t.Run(switched, func(t *testing.T) {
			db := shop.open(t, change)
			db.SetMaxOpenConns(1)
			before := variables(t, db)
			for _, format := range []explainguard.Format{explainguard.FormatUnknown, explainguard.FormatTree} {
				p := explain(t, explainguard.Explainer{DB: db, Format: format, Analyze: 10 * time.Second},
					"SELECT * FROM orders WHERE customer_id < 50 AND customer_id % 7 = 0")
				require.InDelta(t, 147, explainguard.Measure(p).Total, 0.5)
				require.Equal(t, explainguard.AccessRange, accesses(p)[0].Access)
			}
			require.Equal(t, before, variables(t, db))
		})
	}
}
