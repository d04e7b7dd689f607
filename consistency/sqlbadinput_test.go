package consistency

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestSQLBadInput(t *testing.T) { onEach(t, testSQLBadInput) }

func testSQLBadInput(t *testing.T, server *servers.MySQLServer) {
	cfg, err := mysql.ParseDSN(server.DSN)
	require.NoError(t, err)
	user := "c" + server.Database[max(0, len(server.Database)-20):]
	exec(t, server.DB, "CREATE TABLE hidden (id INT)", "CREATE USER '"+user+"' IDENTIFIED BY 'kept-secret-1'", "GRANT SELECT ON t TO '"+user+"'")
	t.Cleanup(func() { _, _ = server.DB.Exec("DROP USER '" + user + "'") })
	as := func(password string) *sql.DB {
		return open(t, server, func(c *mysql.Config) { c.User, c.Passwd = user, password })
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never says a word
	require.NoError(t, err)
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	at := func(addr string) *sql.DB { return open(t, server, func(c *mysql.Config) { c.Addr = addr }) }
	locker, err := server.DB.Conn(t.Context())
	require.NoError(t, err)
	defer locker.Close()
	exec(t, server.DB, "CREATE TABLE locked (id INT)")
	_, err = locker.ExecContext(t.Context(), "LOCK TABLES locked WRITE")
	require.NoError(t, err)
	defer locker.ExecContext(context.WithoutCancel(t.Context()), "UNLOCK TABLES")

	full := open(t, server, func(*mysql.Config) {})
	full.SetMaxOpenConns(1)
	taken, err := full.Conn(t.Context())
	require.NoError(t, err)
	defer taken.Close()

	cases := []struct {
		name   string
		db     *sql.DB
		query  string
		reason []string
	}{
		{"silent", at(silent.Addr().String()), "SELECT id FROM t", []string{"silent: connect: ", "check the address, the network", "time limit of 4s"}},
		{"closed", at(closed.Addr().String()), "SELECT id FROM t", []string{"connect: ", "connection refused", "check the address, the network"}},
		{"wrong-password", as("not-" + "kept-secret-1"), "SELECT id FROM t", []string{"Error 1045", "check the account"}},
		{"no-privilege", as("kept-secret-1"), "SELECT id FROM hidden", []string{"Error 1142", "hidden", "GRANT SELECT on this table"}},
		{"syntax", server.DB, "SELECT id FRM t", []string{"query: Error 1064", "correct the query"}},
		{"missing-table", server.DB, "SELECT id FROM missing", []string{"Error 1146", "missing", "check the table name"}},
		{"missing-column", server.DB, "SELECT nope FROM t", []string{"Error 1054", "nope"}},
		{"locked", server.DB, "SELECT id FROM locked", []string{"Error 1205", "somebody holds a lock", "(2 looks failed)"}},
		{"too-long", server.DB, "SELECT id FROM t WHERE SLEEP(60) = 0", []string{"time limit", "raise Meta.Timeout"}},
		{"too-long-and-the-query-lifts-the-limit", server.DB, "SELECT /*+ MAX_EXECUTION_TIME(600000) */ id FROM t WHERE SLEEP(61) = 0", []string{"query: context deadline exceeded", "Meta.Timeout"}},
		{"too-long-without-an-error", server.DB, "SELECT SLEEP(60) AS id", []string{"time limit", "raise Meta.Timeout"}},
		{"pool-in-use", full, "SELECT id FROM t", []string{"connect: ", "every connection of the pool was in use (SetMaxOpenConns)"}},
		{"wrong-args", server.DB, "SELECT id FROM t WHERE id = ?", []string{"query: ", "expected 1 arguments", "SQL.Args"}},
	}
	if isMariaDB(t) { // which knows no such hint: the limit holds
		for i, c := range cases {
			if c.name == "too-long-and-the-query-lifts-the-limit" {
				cases[i].reason = []string{"query: Error 1969", "raise Meta.Timeout"}
			}
		}
	}
	runner := &Runner{Logger: quiet(), Parallel: len(cases) + 2, Checks: []Check{
		SQL{Meta: Meta{Name: "good", Retry: fast}, DB: server.DB, Query: "SELECT id FROM t WHERE id < 0", Key: []string{"id"}},
		SQL{Meta: Meta{Name: "bad", Retry: fast}, DB: as("kept-secret-1"), Query: "SELECT id FROM t WHERE id = 2", Key: []string{"id"}},
	}}
	for _, c := range cases {
		runner.Checks = append(runner.Checks, SQL{Meta: Meta{Name: c.name, Retry: fast, Timeout: 4 * time.Second}, DB: c.db, Query: c.query, Key: []string{"id"}})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := runner.Run(ctx)
	require.NoError(t, err)
	require.Equal(t, Consistent, s.Results[0].Outcome, s.Results[0].Reason)
	require.Equal(t, Inconsistent, s.Results[1].Outcome, s.Results[1].Reason)
	for i, c := range cases {
		r := s.Results[i+2]
		require.Equal(t, Unknown, r.Outcome, c.name)
		for _, want := range c.reason {
			require.Contains(t, r.Headline(), want, c.name)
		}
		require.Contains(t, r.Headline(), "could not tell: "+c.name+": ")
		t.Log(r.Headline())
		require.NotContains(t, fmt.Sprintf("%+v", r), "kept-secret-1")
		if cfg.Passwd != "" {
			require.NotContains(t, r.Reason, ":"+cfg.Passwd+"@")
		}
	}
	require.NoError(t, server.DB.Ping())
	require.Eventually(t, func() bool { return running(t, server, "SLEEP") == 0 }, 20*time.Second, 50*time.Millisecond)
}

// running counts the statements of the test's database that hold text, other than this very question.
func running(t *testing.T, server *servers.MySQLServer, text string) (n int) {
	require.NoError(t, server.DB.QueryRow(`SELECT COUNT(*) FROM information_schema.processlist
		WHERE db = DATABASE() AND INFO LIKE CONCAT('%', ?, '%') AND ID <> CONNECTION_ID()`, text).Scan(&n))
	return n
}

// The statement works: SLEEP looks itself from time to time whether its client is still there, ordinary statements do not.
func TestTheEndOfTheContextStopsTheStatementOnTheServer(t *testing.T) {
	onEach(t, testTheEndOfTheContextStopsTheStatementOnTheServer)
}

func testTheEndOfTheContextStopsTheStatementOnTheServer(t *testing.T, server *servers.MySQLServer) {
	for _, conns := range []int{1, 0} {
		t.Run(fmt.Sprintf("MaxOpenConns %d", conns), func(t *testing.T) {
			db := open(t, server, func(*mysql.Config) {})
			db.SetMaxOpenConns(conns)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan Result)
			go func() {
				s, _ := (&Runner{Logger: quiet(), Checks: []Check{sqlCheck(db, "SELECT BENCHMARK(1000000000000, CRC32('burning')) AS id")}}).Run(ctx)
				done <- s.Results[0]
			}()
			require.Eventually(t, func() bool { return running(t, server, "burning") == 1 }, 20*time.Second, 10*time.Millisecond)
			cancel()
			r := <-done
			require.Equal(t, Unknown, r.Outcome)
			require.ErrorIs(t, r.Err, context.Canceled)
			require.NotContains(t, r.Reason, "could not be stopped")
			require.Eventually(t, func() bool { return running(t, server, "burning") == 0 }, 20*time.Second, 10*time.Millisecond,
				"the statement runs on after the context ended")
			require.NoError(t, db.Ping(), "the pool is usable afterwards")
			require.Zero(t, db.Stats().InUse)
		})
	}
}

func TestTheSessionIsLeftAsItWas(t *testing.T) { onEach(t, testTheSessionIsLeftAsItWas) }

func testTheSessionIsLeftAsItWas(t *testing.T, server *servers.MySQLServer) {
	db := open(t, server, func(*mysql.Config) {})
	db.SetMaxOpenConns(1)
	limit, value, variables := "max_execution_time", "12345", "performance_schema.session_variables"
	if isMariaDB(t) {
		limit, value, variables = "max_statement_time", "12345.006789", "information_schema.session_variables"
	}
	exec(t, db, "SET SESSION "+limit+" = "+value+", lock_wait_timeout = 678, innodb_lock_wait_timeout = 91, autocommit = 0, "+oldNames(t)+"_isolation = 'READ-COMMITTED', completion_type = 'CHAIN', sql_mode = 'ANSI_QUOTES'")
	session := func() map[string]string {
		vars := map[string]string{}
		rows, err := db.Query("SELECT LOWER(variable_name), variable_value FROM " + variables + " WHERE LOWER(variable_name) NOT IN ('timestamp', 'gtid_executed', 'rand_seed1', 'rand_seed2', 'warning_count', 'error_count', 'statement_id', 'last_gtid', 'in_transaction') UNION SELECT 'connection', CONNECTION_ID()")
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var name, value sql.NullString
			require.NoError(t, rows.Scan(&name, &value))
			vars[name.String] = value.String
		}
		require.NoError(t, rows.Err())
		return vars
	}
	before := session()
	require.Greater(t, len(before), 300)
	for query, want := range map[string]Outcome{
		`SELECT "id" FROM t WHERE "id" < 0`: Consistent, // read as the session's sql_mode says
		`SELECT id FROM t`:                  Inconsistent,
		`SELECT id FRM t`:                   Unknown,
		`SELECT id, id FROM t`:              Unknown,
		`SELECT 'x' AS id INTO OUTFILE 'f'`: Unknown,
		`SELECT '\'; DELETE FROM t; -- '`:   Unknown,
	} {
		_, err := sqlCheck(db, query).Run(t.Context())
		require.Equal(t, want == Unknown, err != nil, "%s: %v", query, err)
		for name, now := range session() { // one at a time: a table of all of them says nothing
			require.Equal(t, before[name], now, "%s after %s", name, query)
		}
	}
	exec(t, db, "SET SESSION completion_type = 'NO_CHAIN', autocommit = 1", "INSERT INTO t VALUES (900, 1)") // the connection can write again

	exec(t, db, "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'")
	_, err := sqlCheck(db, `SELECT '\'; DELETE FROM t; -- ' AS id`).Run(t.Context())
	require.ErrorContains(t, err, "second statement", "the session's sql_mode decides where a string ends")
	f, err := sqlCheck(db, `SELECT '\' AS id`).Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, `\\`, f.Violations[0].Key)

	// Where the look was cut off the connection is thrown away, and the next one is as new.
	check := sqlCheck(db, "SELECT id FROM t WHERE SLEEP(60) = 0")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err = check.Run(ctx)
	require.Error(t, err)
	var readOnly, now float64
	require.NoError(t, db.QueryRow("SELECT @@"+oldNames(t)+"_read_only, @@"+limit).Scan(&readOnly, &now))
	require.Zero(t, readOnly)
	wanted, err := strconv.ParseFloat(value, 64)
	require.NoError(t, err)
	require.Contains(t, []float64{0, wanted}, now, "a new connection, or the old one as it was")
}

func TestAServerKilledInTheMiddleIsUnknown(t *testing.T) {
	t.Parallel()
	server := servers.OwnMySQL(t)
	exec(t, server.DB, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	other := ordersServer(t)
	good := sqlCheck(other.DB, "SELECT id FROM t WHERE id < 0")
	good.Name = "good"
	type outcome struct {
		Summary
		err error
	}
	done := make(chan outcome)
	go func() {
		s, err := (&Runner{Logger: quiet(), Checks: []Check{sqlCheck(server.DB, "SELECT id FROM t WHERE SLEEP(600) = 0"), good}}).Run(t.Context())
		done <- outcome{s, err}
	}()
	require.Eventually(t, func() bool { return running(t, server, "SLEEP(600)") == 1 }, 30*time.Second, 10*time.Millisecond)
	require.NoError(t, server.Kill())
	s := <-done
	require.NoError(t, s.err)
	require.Equal(t, Unknown, s.Results[0].Outcome)
	require.Contains(t, s.Results[0].Reason, "(2 looks failed)")
	t.Log(s.Results[0].Headline())
	require.Equal(t, Consistent, s.Results[1].Outcome)

	require.NoError(t, server.Start())
	require.Equal(t, Inconsistent, runOne(t.Context(), t, sqlCheck(server.DB, "SELECT id FROM t")).Outcome, "the pool is usable afterwards")
}
