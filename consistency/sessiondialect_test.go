package consistency

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/DATA-DOG/go-sqlmock"
	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestDialectOfWhatAServerCallsItself(t *testing.T) {
	for version, want := range map[string]string{
		"5.7.20":                              "MySQL 5.7.20 transaction_read_only transaction_isolation max_execution_time",
		"5.7.44-log":                          "MySQL 5.7.44 transaction_read_only transaction_isolation max_execution_time",
		"8.0.36-28":                           "MySQL 8.0.36 transaction_read_only transaction_isolation max_execution_time", // Percona
		"8.0.39.amzn":                         "MySQL 8.0.39 transaction_read_only transaction_isolation max_execution_time",
		"9.7.4-2":                             "MySQL 9.7.4 transaction_read_only transaction_isolation max_execution_time",
		"10.5.0-MariaDB":                      "MariaDB 10.5.0 tx_read_only tx_isolation max_statement_time",
		"10.11.18-MariaDB-0+deb12u1-log":      "MariaDB 10.11.18 tx_read_only tx_isolation max_statement_time",
		"11.0.6-mariadb":                      "MariaDB 11.0.6 tx_read_only tx_isolation max_statement_time",
		"11.1.1-MariaDB":                      "MariaDB 11.1.1 transaction_read_only transaction_isolation max_statement_time",
		"11.8.6-MariaDB-0+deb13u1 from D":     "MariaDB 11.8.6 transaction_read_only transaction_isolation max_statement_time",
		"5.7.19":                              "",
		"8.0.2":                               "",
		"10.4.34-MariaDB":                     "",
		"5.5.5-10.4.34-MariaDB":               "",
		"8.0.11-TiDB-v7.5.1":                  "",
		"5.7.25-OceanBase_CE-v4.2.1":          "",
		"8.0.30-Vitess":                       "",
		"PostgreSQL 17.2 on x86_64-pc-linux":  "",
		"":                                    "",
		"Microsoft SQL Server 2022 (RTM) 16.": "",
	} {
		d, err := dialectOf(version)
		if want == "" {
			require.ErrorContains(t, err, fmt.Sprintf("this server is %q", version))
			require.ErrorContains(t, err, "MySQL (5.7.20 or newer) and MariaDB (10.5.0 or newer)")
			require.ErrorContains(t, err, "CheckFunc")
			require.True(t, isPermanent(err))
			continue
		}
		require.NoError(t, err, version)
		require.Equal(t, want, fmt.Sprint(d.name, " ", d.version, " ", d.readOnly, " ", d.isolation, " ", d.timeLimit))
	}
}

func TestLimitsAreWrittenInTheUnitOfTheServer(t *testing.T) {
	my, err := dialectOf("8.4.0")
	require.NoError(t, err)
	maria, err := dialectOf("11.8.0-MariaDB")
	require.NoError(t, err)
	require.Equal(t, "1500", my.limit(1500*time.Millisecond))
	require.Equal(t, "1.5", maria.limit(1500*time.Millisecond))
	require.Equal(t, "0.001", maria.limit(time.Millisecond+time.Microsecond))
	require.Equal(t, "2073600000", my.limit(1000*24*time.Hour), "below 2³²")
	require.Equal(t, "2073600", maria.limit(1000*24*time.Hour))
}

// testInSession runs f in a session of this kind and returns its error, after the session was given back.
func testInSession(t *testing.T, db *sql.DB, begin func(*session, context.Context) error, f func(ctx context.Context, s *session) error) error {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := openSession(ctx, db)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.close(ctx)) }()
	require.NoError(t, begin(s, ctx))
	return f(ctx, s)
}

func count(ctx context.Context, s *session, table string) (n int64, err error) {
	err = s.query(ctx, "count", "SELECT COUNT(*) FROM "+table, nil, func(rows *sql.Rows) (err error) {
		n, err = readCount(rows)
		return err
	})
	return n, err
}

func TestASnapshotSeesOneMomentAndPlainReadsEachTheirOwn(t *testing.T) {
	onEach(t, func(t *testing.T, server *servers.MySQLServer) {
		dirty, err := server.DB.Begin()
		require.NoError(t, err)
		defer dirty.Rollback()
		_, err = dirty.Exec("INSERT INTO t VALUES (70, 1)")
		require.NoError(t, err)
		for name, begin := range map[string]func(*session, context.Context) error{"snapshot": (*session).begin, "plain": (*session).beginPlain} {
			// A pool whose connections would read what is not committed, or keep a transaction open.
			db := open(t, server, func(c *mysql.Config) {
				c.Params = map[string]string{"autocommit": "0", oldNames(t) + "_isolation": "'READ-UNCOMMITTED'"}
			})
			exec(t, server.DB, "DELETE FROM t WHERE id >= 100")
			require.NoError(t, testInSession(t, db, begin, func(ctx context.Context, s *session) error {
				n, err := count(ctx, s, "t")
				require.NoError(t, err)
				require.Equal(t, int64(3), n, "%s: what is not committed is not read", name)
				exec(t, server.DB, "INSERT INTO t VALUES (100, 1)")
				n, err = count(ctx, s, "t")
				require.NoError(t, err)
				require.Equal(t, map[string]int64{"snapshot": 3, "plain": 4}[name], n, name)
				for _, query := range []string{"INSERT INTO t VALUES (101, 1)", "CREATE TABLE x (a INT)", "DELETE FROM t", "TRUNCATE t"} {
					err := s.query(ctx, "query", query, nil, func(*sql.Rows) error { return nil })
					require.ErrorContains(t, err, "Error 1792", "%s: %s", name, query)
				}
				return nil
			}))
		}
	})
}

func TestPinnedSettingsArePutBack(t *testing.T) {
	onEach(t, func(t *testing.T, server *servers.MySQLServer) {
		db := open(t, server, func(*mysql.Config) {})
		db.SetMaxOpenConns(1)
		exec(t, db, "SET SESSION time_zone = '+09:00', sql_mode = '', character_set_results = NULL, group_concat_max_len = 4242")
		state := func() (s string) {
			require.NoError(t, db.QueryRow("SELECT CONCAT_WS('|', CONNECTION_ID(), @@SESSION.time_zone, @@SESSION.sql_mode, COALESCE(@@SESSION.character_set_results, 'null'), @@SESSION.group_concat_max_len)").Scan(&s))
			return s
		}
		before := state()
		require.NoError(t, testInSession(t, db, (*session).beginPlain, func(ctx context.Context, s *session) error {
			require.NoError(t, s.pin(ctx, []setting{{"time_zone", "'+00:00'"}, {"sql_mode", "'ANSI_QUOTES'"}, {"character_set_results", "utf8mb4"}, {"group_concat_max_len", "99999"}}))
			require.NoError(t, s.pin(ctx, []setting{{"time_zone", "'+01:00'"}}))
			return s.query(ctx, "zone", "SELECT @@SESSION.time_zone", nil, func(rows *sql.Rows) error {
				require.True(t, rows.Next())
				var zone string
				require.NoError(t, rows.Scan(&zone))
				require.Equal(t, "+01:00", zone)
				return nil
			})
		}))
		require.Equal(t, before, state())
	})
}

// A reader that leaves off early neither reads the rest nor leaves it running on the server.
func TestLeavingOffStopsTheStatement(t *testing.T) {
	onEach(t, func(t *testing.T, server *servers.MySQLServer) {
		db := open(t, server, func(*mysql.Config) {})
		enough := fmt.Errorf("that is enough")
		for rows, query := range map[int]string{
			2: "SELECT id FROM t",
			// Far more than is read on after leaving off; the server would then compute on.
			500: "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT REPEAT('x', 4000) AS id FROM n UNION ALL SELECT BENCHMARK(1000000000000, CRC32('leaving_off'))",
		} {
			n := 0
			err := testInSession(t, db, (*session).begin, func(ctx context.Context, s *session) error {
				return s.stream(ctx, "query", query, nil, func([]column) error { return nil }, func([]any) error {
					if n++; n == rows {
						return enough
					}
					return nil
				})
			})
			require.ErrorIs(t, err, enough)
			require.Equal(t, rows, n)
			require.Eventually(t, func() bool { return running(t, server, "leaving_off") == 0 }, 30*time.Second, 10*time.Millisecond, "the statement runs on")
			require.Zero(t, db.Stats().InUse)
		}
	})
}

func TestServersThatOnlySpeakTheProtocolAreRefused(t *testing.T) {
	db, mock, err := sqlmock.New()
	require.NoError(t, err)
	defer db.Close()
	mock.ExpectQuery("SELECT VERSION").WillReturnRows(sqlmock.NewRows([]string{"v", "id", "mode", "charset"}).AddRow("8.0.11-TiDB-v7.5.1", 1, "", "utf8mb4"))
	mock.ExpectClose()
	_, err = sqlCheck(db, "SELECT id FROM t").Run(t.Context())
	require.ErrorContains(t, err, `this server is "8.0.11-TiDB-v7.5.1"`)
	require.True(t, isPermanent(err))
}

func TestASQLModeWithAnotherLanguageIsRefused(t *testing.T) {
	server := withOrders(t, servers.MariaDB(t))
	for _, mode := range []string{"ORACLE", "MSSQL"} {
		db := open(t, server, func(c *mysql.Config) { c.Params = map[string]string{"sql_mode": "'" + mode + "'"} })
		_, err := sqlCheck(db, "SELECT id FROM t").Run(t.Context())
		require.ErrorContains(t, err, "sql_mode holds "+mode)
		require.True(t, isPermanent(err))
	}
}

// The table of SQL's comment, measured: what the lexer, the session alone, and an account that may only SELECT stop.
func TestWhatEachGuardStops(t *testing.T) {
	onEach(t, func(t *testing.T, server *servers.MySQLServer) {
		lock := "GET_LOCK('consistency-" + server.Database + "', 0)"
		user := "s" + server.Database[max(0, len(server.Database)-20):]
		exec(t, server.DB,
			"CREATE FUNCTION takes_lock() RETURNS INT DETERMINISTIC BEGIN RETURN "+lock+"; END",
			"CREATE FUNCTION adds() RETURNS INT DETERMINISTIC BEGIN INSERT INTO t VALUES (50, 1); RETURN 1; END",
			"CREATE USER '"+user+"' IDENTIFIED BY 'r'", "GRANT SELECT ON "+server.Database+".* TO '"+user+"'")
		t.Cleanup(func() { _, _ = server.DB.Exec("DROP USER '" + user + "'") })
		reader := open(t, server, func(c *mysql.Config) { c.User, c.Passwd = user, "r" })
		type stops struct{ lexer, session, account bool }
		cases := map[string]stops{
			"INSERT INTO t VALUES (60, 1)":              {true, true, true},
			"TRUNCATE t":                                {true, true, true},
			"SELECT adds()":                             {false, true, true},
			"SELECT 1 INTO OUTFILE '/tmp/" + user + "'": {true, !isMariaDB(t), true}, // our MySQL runs with --secure-file-priv=NULL
			"SELECT 1 INTO @v":                          {true, false, false},
			"SELECT id FROM t FOR UPDATE":               {true, true, !isMariaDB(t)},
			"SELECT id FROM t LOCK IN SHARE MODE":       {true, false, false},
			"SELECT " + lock:                            {true, false, false},
			"SELECT takes_lock()":                       {false, false, true},
		}
		if isMariaDB(t) {
			exec(t, server.DB, "CREATE SEQUENCE s")
			for query, s := range map[string]stops{
				"SELECT NEXTVAL(s)":                                  {true, true, true},
				"SELECT NEXT VALUE FOR s":                            {true, true, true},
				"SELECT SETVAL(s, 100)":                              {true, true, true},
				"SELECT PREVIOUS VALUE FOR s":                        {true, false, false},
				"SELECT id FROM t PROCEDURE ANALYSE()":               {true, false, false},
				"SELECT id FROM t LIMIT ROWS EXAMINED 1":             {true, false, false},
				"SELECT 1 /*M! INTO @x */":                           {true, false, false},
				"SET STATEMENT max_statement_time = 0 FOR SELECT 1":  {true, false, false},
				"BEGIN NOT ATOMIC INSERT INTO t VALUES (61, 1); END": {true, true, true},
			} {
				cases[query] = s
			}
		}
		for query, want := range cases {
			_, onlyAccount := reader.Exec(query)
			got := stops{vetAnyMode(query) != nil, unvetted(t, server.DB, query) != nil, onlyAccount != nil}
			require.Equal(t, want, got, query)
		}
	})
}
