package explainguard_test

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/DATA-DOG/go-sqlmock"
	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// mustNotPass checks what every failure has in common: an error, an Unanalysable report that says the same, and a failed
// assertion, none of which holds the password.
func mustNotPass(ctx context.Context, t *testing.T, g *explainguard.Guard, query string, want ...string) error {
	t.Helper()
	r, err := g.Check(ctx, query)
	require.Error(t, err)
	require.NotNil(t, r)
	require.Equal(t, explainguard.Unanalysable, r.Verdict)
	require.False(t, r.Passed())
	require.Equal(t, err.Error(), r.Reasons[0].What)
	for _, w := range want {
		require.ErrorContains(t, err, w)
	}
	require.NotContains(t, err.Error()+r.String(), secret)
	fake := &fakeT{TB: t}
	p := g.Assert(fake, query)
	require.NotNil(t, p)
	require.Len(t, fake.errors, 1)
	require.Contains(t, fake.errors[0], "UNANALYSABLE")
	require.NotContains(t, fake.errors[0], secret)
	return err
}

const secret = "sup3r-s3cret"

func TestExplainErrorsNameTheWayOut(t *testing.T) {
	db := shop.open(t, nil)
	g := &explainguard.Guard{DB: db}

	t.Run("wrong credentials", func(t *testing.T) {
		bad := shop.open(t, func(c *mysql.Config) { c.Passwd = secret })
		mustNotPass(t.Context(), t, &explainguard.Guard{DB: bad}, "SELECT 1", "1045", "check user and password in the DSN")
	})
	t.Run("nothing listens", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		addr := l.Addr().String()
		require.NoError(t, l.Close())
		bad := shop.open(t, func(c *mysql.Config) { c.Addr, c.Passwd = addr, secret })
		mustNotPass(t.Context(), t, &explainguard.Guard{DB: bad}, "SELECT 1", addr, "check that the address in the DSN is right")
	})
	t.Run("something listens and says nothing", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		bad := shop.open(t, func(c *mysql.Config) {
			c.Addr, c.Passwd, c.Timeout, c.ReadTimeout = l.Addr().String(), secret, time.Second, time.Second
		})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		err = mustNotPass(ctx, t, &explainguard.Guard{DB: bad}, "SELECT 1", "give the context more time")
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
	t.Run("no free connection", func(t *testing.T) {
		one := shop.open(t, nil)
		one.SetMaxOpenConns(1)
		tx, err := one.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		defer tx.Rollback()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err = explainguard.Explain(ctx, one, "SELECT 1")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "all 1 connections that SetMaxOpenConns allows are in use")
	})
	t.Run("cancelled context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := explainguard.Explain(ctx, db, "SELECT * FROM orders")
		require.ErrorIs(t, err, context.Canceled)
		require.EqualError(t, err, "explainguard: explain: connect to the server: context canceled: the caller ended it before the server had answered")
		r, err := g.Check(ctx, "SELECT * FROM orders")
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, explainguard.Unanalysable, r.Verdict)
	})
	t.Run("syntax error", func(t *testing.T) {
		mustNotPass(t.Context(), t, g, "SELECT FROM WHERE", "1064", "syntax error")
	})
	t.Run("missing table", func(t *testing.T) {
		mustNotPass(t.Context(), t, g, "SELECT * FROM nowhere", "nowhere", "create the table")
	})
	t.Run("missing column", func(t *testing.T) {
		mustNotPass(t.Context(), t, g, "SELECT nothing FROM orders", "nothing", "the schema here differs")
	})
	t.Run("missing argument", func(t *testing.T) {
		mustNotPass(t.Context(), t, g, "SELECT * FROM orders WHERE customer_id = ?", "expected 1 arguments, got 0; pass one argument for each placeholder")
	})
	t.Run("missing privilege", func(t *testing.T) {
		admin := shop.open(t, nil)
		dsn, err := shop.load()
		require.NoError(t, err)
		config, err := mysql.ParseDSN(dsn)
		require.NoError(t, err)
		name := "eg_" + strings.TrimPrefix(config.DBName, "tashikame_") // users are the server's, which others may use too
		_, err = admin.ExecContext(t.Context(), "CREATE USER '"+name+"'@'%' IDENTIFIED BY '"+secret+"'")
		require.NoError(t, err)
		defer func() {
			_, err := admin.ExecContext(context.WithoutCancel(t.Context()), "DROP USER '"+name+"'@'%'")
			require.NoError(t, err)
		}()
		_, err = admin.ExecContext(t.Context(), "GRANT SELECT ON `"+config.DBName+"`.notes TO '"+name+"'")
		require.NoError(t, err)
		poor := shop.open(t, func(c *mysql.Config) { c.User, c.Passwd = name, secret })
		mustNotPass(t.Context(), t, &explainguard.Guard{DB: poor}, "SELECT * FROM orders", "orders", "same privileges as the statement")
		// And one who may only read is enough.
		r, err := (&explainguard.Guard{DB: poor}).Check(t.Context(), "SELECT * FROM notes")
		require.NoError(t, err)
		require.Equal(t, explainguard.Pass, r.Verdict, r)
	})
	t.Run("locked table", func(t *testing.T) { refusesLockedTable(t, g) })
	t.Run("no database", func(t *testing.T) {
		mustNotPass(t.Context(), t, &explainguard.Guard{}, "SELECT 1", "set Guard.DB")
		_, err := explainguard.Explain(t.Context(), nil, "SELECT 1")
		require.ErrorContains(t, err, "set DB")
	})
	t.Run("format that cannot be asked for", func(t *testing.T) {
		mustNotPass(t.Context(), t, &explainguard.Guard{DB: db, Format: 99}, "SELECT 1", "cannot be asked for")
	})
	t.Run("single-table write in v2", func(t *testing.T) {
		r, err := (&explainguard.Guard{DB: db, Format: explainguard.FormatJSONv2}).Check(t.Context(), "DELETE FROM orders WHERE id = 1")
		require.NoError(t, err)
		require.Equal(t, explainguard.Unanalysable, r.Verdict)
		require.Contains(t, r.String(), "ask for JSON v1")
	})
}

// refusesLockedTable: a statement on a table that another session has locked does not pass.
func refusesLockedTable(t *testing.T, g *explainguard.Guard) {
	t.Helper()
	lock, err := g.DB.Conn(t.Context())
	require.NoError(t, err)
	_, err = lock.ExecContext(t.Context(), "LOCK TABLES notes WRITE")
	require.NoError(t, err)
	defer func() {
		_, err := lock.ExecContext(context.WithoutCancel(t.Context()), "UNLOCK TABLES")
		require.NoError(t, err)
		require.NoError(t, lock.Close())
	}()
	mustNotPass(t.Context(), t, g, "SELECT * FROM notes", "Lock wait timeout", "locked by another session")
}

func TestExplainOnOddServers(t *testing.T) {
	serve := func(t *testing.T, variables map[string]string, answer string) *sql.DB {
		db, mock, err := sqlmock.New()
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		mock.MatchExpectationsInOrder(false)
		rows := sqlmock.NewRows([]string{"Variable_name", "Value"})
		for name, value := range variables {
			rows.AddRow(name, value)
		}
		mock.ExpectQuery("SHOW SESSION VARIABLES").WillReturnRows(rows)
		for range 12 {
			mock.ExpectExec("SET SESSION").WillReturnResult(sqlmock.NewResult(0, 0))
		}
		mock.ExpectPrepare("EXPLAIN FORMAT=JSON").ExpectQuery().WillReturnRows(sqlmock.NewRows([]string{"EXPLAIN"}).AddRow(answer))
		mock.ExpectQuery("SHOW WARNINGS").WillReturnRows(sqlmock.NewRows([]string{"Level", "Code", "Message"}))
		return db
	}
	for name, c := range map[string]struct {
		variables map[string]string
		answer    string
		format    explainguard.Format
		want      string
	}{
		"too old for v2": {map[string]string{"version": "8.0.36", "lock_wait_timeout": "31536000"}, "", explainguard.FormatJSONv2,
			"MySQL 8.0.36 has no explain JSON format version 2"},
		"v1 of MariaDB": {map[string]string{"version": "10.11.6-MariaDB"}, "", explainguard.FormatJSONv1,
			"the server is MariaDB 10.11.6-MariaDB, which tells its plans in a JSON of its own; leave Format unset (JSON v1 was asked for)"},
		"MariaDB's of MySQL": {map[string]string{"version": "9.7.4"}, "", explainguard.FormatMariaDB,
			"the server is MySQL 9.7.4, and MariaDB JSON is of MariaDB alone; leave Format unset"},
		"TREE answer":  {map[string]string{"version": "9.7.4"}, "-> Table scan on t  (cost=1 rows=1)", 0, "the server answered with TREE"},
		"other JSON":   {map[string]string{"version": "9.7.4"}, `{"a":1}`, 0, "neither query_block"},
		"empty answer": {map[string]string{"version": "9.7.4"}, "", 0, "it is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			g := &explainguard.Guard{DB: serve(t, c.variables, c.answer), Format: c.format}
			r, err := g.Check(t.Context(), "SELECT * FROM t")
			require.ErrorContains(t, err, c.want)
			require.Equal(t, explainguard.Unanalysable, r.Verdict)
		})
	}
}

// A session that cannot be put back must not serve anybody else.
func TestExplainDropsASpoiltConnection(t *testing.T) {
	db, mock, err := sqlmock.New()
	require.NoError(t, err)
	mock.ExpectQuery("SHOW SESSION VARIABLES").WillReturnRows(sqlmock.NewRows([]string{"Variable_name", "Value"}).
		AddRow("version", "9.7.4").AddRow("lock_wait_timeout", "50").AddRow("transaction_read_only", "OFF"))
	mock.ExpectExec("SET SESSION lock_wait_timeout = 1").WillReturnResult(sqlmock.NewResult(0, 0))
	mock.ExpectExec("SET SESSION transaction_read_only = 1").WillReturnResult(sqlmock.NewResult(0, 0))
	mock.ExpectPrepare("EXPLAIN FORMAT=JSON").ExpectQuery().WillReturnError(&mysql.MySQLError{Number: 1146, Message: "no such table"})
	mock.ExpectExec("SET SESSION lock_wait_timeout = 50, transaction_read_only = 0").WillReturnError(errors.New("broken pipe"))
	mock.ExpectClose()
	_, err = explainguard.Explain(t.Context(), db, "SELECT * FROM t")
	require.ErrorContains(t, err, "1146")
	require.NoError(t, mock.ExpectationsWereMet(), "the session was to be put back, and the connection closed when that failed")
	require.Zero(t, db.Stats().OpenConnections)
	_ = db.Close()
}

// A context that ends while the server plans leaves no changed session behind.
func TestExplainCancelledInTheMiddle(t *testing.T) {
	db := shop.open(t, nil)
	db.SetMaxOpenConns(1)
	before := variables(t, db)
	id := connectionID(t, db)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	// MySQL runs this constant subquery while it plans, for much longer.
	_, err := explainguard.Explain(ctx, db, slowToPlan)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotEqual(t, id, connectionID(t, db), "the connection was interrupted and must be a new one")
	require.Equal(t, before, variables(t, db))
}

const slowToPlan = "SELECT * FROM orders WHERE customer_id = (SELECT MAX(a.qty * b.qty * SIN(a.id + b.id)) FROM items a, items b, items c)"

// Constant subqueries are bounded by the server, too, when the caller has all the time in the world.
func TestExplainBoundsPlanning(t *testing.T) {
	db := shop.open(t, withDefaults("max_execution_time", "300"))
	db.SetMaxOpenConns(1)
	before := variables(t, db)
	_, err := explainguard.Explain(t.Context(), db, slowToPlan)
	require.ErrorContains(t, err, "3024")
	require.ErrorContains(t, err, "MySQL runs constant subqueries while it plans")
	require.Equal(t, before, variables(t, db), "the session is put back after an error")
}

func count(t *testing.T, db *sql.DB, table string) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n))
	return n
}

// Explaining never changes data: not by the statement, not by a function that planning runs, not by what rides on it.
func TestExplainWritesNothing(t *testing.T) {
	db := ownShop(t)
	admin, err := db.Conn(t.Context())
	require.NoError(t, err)
	for _, s := range []string{
		"CREATE TABLE side (n INT)",
		"SET GLOBAL log_bin_trust_function_creators = 1",
		"CREATE FUNCTION wf() RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO side VALUES (1); RETURN 7; END",
	} {
		_, err := admin.ExecContext(t.Context(), s)
		require.NoError(t, err)
	}
	require.NoError(t, admin.Close())
	orders := count(t, db, "orders")

	writesWhilePlanning := "orders WHERE customer_id = (SELECT MAX(wf()) FROM notes WHERE id < 3)"
	_, err = explainguard.Explain(t.Context(), db, "SELECT * FROM "+writesWhilePlanning)
	require.ErrorContains(t, err, "a function in the statement writes")
	require.Zero(t, count(t, db, "side"))
	_, _ = explainguard.Explain(t.Context(), db, "DELETE FROM "+writesWhilePlanning) // rolled back, whatever it says
	require.Zero(t, count(t, db, "side"))
	// The server itself, asked without care, does write: this is what the test is about.
	_, err = db.ExecContext(t.Context(), "EXPLAIN SELECT * FROM "+writesWhilePlanning)
	require.NoError(t, err)
	require.NotZero(t, count(t, db, "side"))

	for _, s := range []string{
		"DELETE FROM orders", "UPDATE orders SET total = 0", "INSERT INTO orders SELECT * FROM orders", "REPLACE INTO notes (body) VALUES ('x')",
		"UPDATE orders o JOIN customers c ON c.id = o.customer_id SET o.total = 1", "WITH x AS (SELECT 1 a) DELETE FROM orders WHERE id IN (SELECT a FROM x)",
	} {
		_, err := explainguard.Explain(t.Context(), db, s)
		require.NoError(t, err, s)
	}
	require.Equal(t, orders, count(t, db, "orders"))
	require.Equal(t, 500, count(t, db, "notes"))
}

// Functions that planning runs must not leave a lock, or an insert id, to whoever gets the connection next.
func TestExplainLeavesNoMarkOnTheSession(t *testing.T) {
	db := shop.open(t, nil)
	db.SetMaxOpenConns(1)
	other := shop.open(t, nil)
	for call, check := range map[string]string{
		"GET_LOCK('explainguard_test', 1)": "SELECT IS_FREE_LOCK('explainguard_test')",
		"LAST_INSERT_ID(77)":               "SELECT LAST_INSERT_ID() = 0",
	} {
		_, err := explainguard.Explain(t.Context(), db, "SELECT * FROM orders WHERE customer_id = (SELECT MAX("+call+") FROM notes WHERE id < 3)")
		require.NoError(t, err)
		require.Eventually(t, func() bool { // the server needs a moment to end the session
			var mine, theirs bool
			require.NoError(t, db.QueryRowContext(t.Context(), check).Scan(&mine))
			require.NoError(t, other.QueryRowContext(t.Context(), check).Scan(&theirs))
			return mine && theirs
		}, 10*time.Second, 20*time.Millisecond, call)
	}
}

func TestExplainTakesOneStatementOnly(t *testing.T) {
	db := shop.open(t, func(c *mysql.Config) { c.MultiStatements = true })
	g := &explainguard.Guard{DB: db}
	for query, want := range map[string]string{
		"SELECT 1; DROP TABLE notes":                  `"DROP TABLE notes" follows a semicolon`,
		"SELECT 1 /* ; */ ; -- x\n DELETE FROM notes": "follows a semicolon",
		"ANALYZE DELETE FROM notes":                   "starts with ANALYZE",
		"INTO @v SELECT 1":                            "starts with INTO",
		"FOR CONNECTION 5":                            "starts with FOR",
		"FORMAT=TREE SELECT 1":                        "starts with FORMAT",
		"/*!80000 ANALYZE */ DELETE FROM notes":       "executable comment",
		"SELECT 1 /*! ; DROP TABLE notes */":          "executable comment",
		"EXPLAIN SELECT 1":                            "starts with EXPLAIN already",
		"SET GLOBAL max_connections = 1":              "not for SET",
		"CREATE TABLE x (a INT)":                      "not for CREATE",
		"CALL p()":                                    "not for CALL",
		"SHOW TABLES":                                 "not for SHOW",
		"":                                            "it is empty",
		"  -- nothing\n":                              "it is empty",
		"= 1":                                         "it starts with",
	} {
		t.Run(query, func(t *testing.T) {
			mustNotPass(t.Context(), t, g, query, want)
		})
	}
	_, err := explainguard.Explain(t.Context(), db, "CALL p()")
	require.ErrorIs(t, err, explainguard.ErrNotExplainable)
	require.Equal(t, 500, count(t, db, "notes"))
	for _, query := range []string{
		"SELECT 1;", "select ';' ; -- done", "(SELECT 1) UNION (SELECT 2)", "SELECT /*+ MAX_EXECUTION_TIME(5) */ 1", "TABLE notes",
		"SELECT 'it''s; \\'; fine' # end", "VALUES ROW(1)", "WITH x AS (SELECT 1 a) SELECT * FROM x", "SELECT 1 -- ;",
	} {
		_, err := explainguard.Explain(t.Context(), db, query)
		require.NoError(t, err, query)
	}
}

// The real arguments decide the plan; LIMIT takes one, too.
func TestExplainUsesTheArguments(t *testing.T) {
	db := shop.open(t, nil)
	q := "SELECT * FROM orders WHERE customer_id IN (?, ?) AND placed_on > ? ORDER BY id LIMIT ?"
	one, err := explainguard.Explain(t.Context(), db, q, 7, 7, "2024-01-01", 10)
	require.NoError(t, err)
	require.Contains(t, one.Rewritten, "limit 10")
	require.Equal(t, q, one.Query)
	hit, err := explainguard.Explain(t.Context(), db, "SELECT * FROM customers WHERE id = ?", 7)
	require.NoError(t, err)
	require.True(t, hit.Analysable())
	miss, err := explainguard.Explain(t.Context(), db, "SELECT * FROM customers WHERE id = ?", 7_000_000)
	require.NoError(t, err)
	require.False(t, miss.Analysable())
}

// An empty table's estimate says nothing, also where it is more than one row: five values of an index count as five.
func TestExplainDistrustsEmptyTables(t *testing.T) {
	s := servers.MySQL(t)
	_, err := s.DB.ExecContext(t.Context(), "CREATE TABLE `空っぽ` (id INT PRIMARY KEY, k INT, KEY ix_k (k))")
	require.NoError(t, err)
	g := &explainguard.Guard{DB: s.DB}
	check := func() *explainguard.Report {
		r, err := g.Check(t.Context(), "SELECT * FROM `空っぽ` WHERE k IN (1, 2, 3, 4, 5)")
		require.NoError(t, err)
		return r
	}
	r := check()
	require.Equal(t, explainguard.Unanalysable, r.Verdict, r)
	require.Contains(t, r.Reasons[0].What, "table 空っぽ is empty here")
	_, err = s.DB.ExecContext(t.Context(), "INSERT INTO `空っぽ` VALUES (1, 1), (2, 2)")
	require.NoError(t, err)
	require.Equal(t, explainguard.Pass, check().Verdict)
}

// The server dies between two calls and comes back: one is Unanalysable, the next as before.
func TestExplainOverARestart(t *testing.T) {
	s := servers.OwnMySQL(t)
	_, err := s.DB.ExecContext(t.Context(), "CREATE TABLE t (id INT PRIMARY KEY)")
	require.NoError(t, err)
	_, err = s.DB.ExecContext(t.Context(), "INSERT INTO t VALUES (1)")
	require.NoError(t, err)
	g := &explainguard.Guard{DB: s.DB}
	r, err := g.Check(t.Context(), "SELECT * FROM t")
	require.NoError(t, err)
	require.Equal(t, explainguard.Pass, r.Verdict)
	require.NoError(t, s.Kill())
	r, err = g.Check(t.Context(), "SELECT * FROM t")
	require.Error(t, err)
	require.Equal(t, explainguard.Unanalysable, r.Verdict)
	require.NoError(t, s.Start())
	r, err = g.Check(t.Context(), "SELECT * FROM t")
	require.NoError(t, err)
	require.Equal(t, explainguard.Pass, r.Verdict)
}

// With the hypergraph optimizer the server answers in JSON v2 whatever was asked; both names of a plan must do.
func TestExplainWithTheHypergraphOptimizer(t *testing.T) {
	db := smartList.open(t, withDefaults("optimizer_switch", "'hypergraph_optimizer=on'"))
	for _, format := range []explainguard.Format{explainguard.FormatUnknown, explainguard.FormatJSONv1, explainguard.FormatJSONv2} {
		g := &explainguard.Guard{DB: db, Format: format}
		r, err := g.Check(t.Context(), query(t, "bad"))
		require.NoError(t, err)
		require.Equal(t, explainguard.Fail, r.Verdict, r)
		require.Equal(t, "st", r.Findings[0].Block.Name)
		require.Empty(t, r.Reasons)
		r, err = g.Check(t.Context(), query(t, "good"))
		require.NoError(t, err)
		require.Equal(t, explainguard.Pass, r.Verdict, r)
	}
}

// JSON v2 leaves out single-table writes and the rows of a COUNT(*): version 1 is asked for those.
func TestExplainFallsBackToV1(t *testing.T) {
	db := shop.open(t, nil)
	for query, want := range map[string]explainguard.Format{
		"SELECT * FROM orders":                              explainguard.FormatJSONv2,
		"SELECT COUNT(*) FROM orders":                       explainguard.FormatJSONv1,
		"UPDATE orders SET total = 1 WHERE customer_id = 7": explainguard.FormatJSONv1,
		"DELETE FROM orders":                                explainguard.FormatJSONv1,
	} {
		p, err := explainguard.Explain(t.Context(), db, query)
		require.NoError(t, err)
		require.Equal(t, want, p.Format, query)
		require.True(t, p.Analysable(), "%s: %v", query, p.Unanalysable)
		require.Contains(t, p.ServerVersion, ".")
	}
	p, err := explainguard.Explain(t.Context(), db, "DELETE FROM orders")
	require.NoError(t, err)
	require.InDelta(t, 6000, explainguard.Measure(p).Total, 100)
}

// When the context ends, the session is put back all the same, under a deadline of its own.
func TestExplainPutsTheSessionBackAfterTheContextEnded(t *testing.T) {
	db, mock, err := sqlmock.New()
	require.NoError(t, err)
	mock.ExpectQuery("SHOW SESSION VARIABLES").WillReturnRows(sqlmock.NewRows([]string{"Variable_name", "Value"}).
		AddRow("version", "9.7.4").AddRow("lock_wait_timeout", "50"))
	mock.ExpectExec("SET SESSION lock_wait_timeout = 1").WillReturnResult(sqlmock.NewResult(0, 0))
	mock.ExpectPrepare("EXPLAIN FORMAT=JSON").ExpectQuery().WillDelayFor(time.Minute).WillReturnRows(sqlmock.NewRows([]string{"EXPLAIN"}))
	mock.ExpectExec("SET SESSION lock_wait_timeout = 50").WillDelayFor(50 * time.Millisecond).WillReturnResult(sqlmock.NewResult(0, 0))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = explainguard.Explain(ctx, db, "SELECT * FROM t")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, mock.ExpectationsWereMet())
	require.Equal(t, 1, db.Stats().OpenConnections, "a session that was put back serves others")
	_ = db.Close()
}
