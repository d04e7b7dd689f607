package consistency

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/DATA-DOG/go-sqlmock"
	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// fast makes errors end soon where a test waits for them in real time.
var fast = &Retry{Attempts: 2, Delay: 10 * time.Millisecond, Errors: 1, ErrorDelay: 10 * time.Millisecond}

// open opens the server once more, with the configuration changed.
func open(t *testing.T, server *servers.MySQLServer, change func(*mysql.Config)) *sql.DB {
	cfg, err := mysql.ParseDSN(server.DSN)
	require.NoError(t, err)
	change(cfg)
	connector, err := mysql.NewConnector(cfg)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func exec(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := db.Exec(s)
		require.NoError(t, err, s)
	}
}

func ordersServer(t *testing.T) *servers.MySQLServer { return withOrders(t, servers.MySQL(t)) }

func withOrders(t *testing.T, server *servers.MySQLServer) *servers.MySQLServer {
	exec(t, server.DB, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)")
	return server
}

// onEach runs a test on each kind of server that SQL supports, with the table t.
func onEach(t *testing.T, test func(t *testing.T, server *servers.MySQLServer)) {
	t.Run("MySQL", func(t *testing.T) { test(t, ordersServer(t)) })
	t.Run("MariaDB", func(t *testing.T) { test(t, withOrders(t, servers.MariaDB(t))) })
}

// oldNames is how the server's variables on transactions begin: MariaDB's before 11.1 do so too.
func oldNames(t *testing.T) string {
	if isMariaDB(t) {
		return "tx"
	}
	return "transaction"
}

// isMariaDB reports which kind a test runs on.
func isMariaDB(t *testing.T) bool { return strings.Contains(t.Name(), "/MariaDB") }

func sqlCheck(db *sql.DB, query string) SQL {
	return SQL{Meta: Meta{Name: "x", Retry: fast}, DB: db, Query: query, Key: []string{"id"}}
}

func TestSQLConvictsTheRowsOfItsQuery(t *testing.T) { onEach(t, testSQLConvictsTheRowsOfItsQuery) }

func testSQLConvictsTheRowsOfItsQuery(t *testing.T, server *servers.MySQLServer) {
	check := sqlCheck(server.DB, "SELECT v AS n, id FROM t WHERE id > ? ORDER BY id -- the bad ones")
	check.Args = []any{1}
	check.Population = "SELECT COUNT(*) FROM t WHERE id < ?;"
	check.PopulationArgs = []any{100}
	r := runOne(t.Context(), t, check)
	require.Equal(t, Inconsistent, r.Outcome, r.Reason)
	require.Equal(t, int64(2), r.Total)
	require.False(t, r.AtLeast)
	require.Equal(t, int64(3), r.Examined)
	require.Equal(t, 2, r.Attempts)
	require.Equal(t, []Violation{
		{Key: "2", Row: Row{{"n", int64(2)}, {"id", int64(2)}}},
		{Key: "3", Row: Row{{"n", int64(3)}, {"id", int64(3)}}},
	}, r.Violations)

	check.Args = []any{99}
	r = runOne(t.Context(), t, check)
	require.Equal(t, Consistent, r.Outcome, r.Reason)
	require.Equal(t, 1, r.Attempts)
}

func TestNamesInJapanese(t *testing.T) { onEach(t, testNamesInJapanese) }

func testNamesInJapanese(t *testing.T, server *servers.MySQLServer) {
	exec(t, server.DB, "CREATE TABLE 注文 (番号 VARCHAR(20) PRIMARY KEY, 状態 VARCHAR(20))", "INSERT INTO 注文 VALUES ('注-1', '未入金'), ('注-2', '入金済')")
	check := SQL{Meta: Meta{Name: "入金のない注文", Retry: fast}, DB: server.DB, Query: "SELECT 番号, 状態 FROM 注文 WHERE 状態 = '未入金' -- 確認", Key: []string{"番号"}}
	r := runOne(t.Context(), t, check)
	require.Equal(t, "1 inconsistent: 入金のない注文", r.Headline())
	require.Equal(t, []Violation{{Key: "注-1", Row: Row{{"番号", "注-1"}, {"状態", "未入金"}}}}, r.Violations)
}

func TestSQLOverNothingIsUnknown(t *testing.T) { onEach(t, testSQLOverNothingIsUnknown) }

func testSQLOverNothingIsUnknown(t *testing.T, server *servers.MySQLServer) {
	check := sqlCheck(server.DB, "SELECT id FROM t WHERE v < 0")
	for population, want := range map[string]string{
		"SELECT COUNT(*) FROM t WHERE id > 100": "looked at nothing",
		"SELECT id FROM t":                      "one row with one whole number",
		"SELECT id FROM t WHERE id > 100":       "one row with one whole number",
		"SELECT 1, 2":                           "one row with one whole number",
		"SELECT NULL":                           "one row with one whole number",
		"SELECT 'many'":                         "one row with one whole number",
		"SELECT -1":                             "one row with one whole number",
		"SELECT COUNT(*) FROM missing":          "population: Error 1146",
	} {
		check.Population = population
		r := runOne(t.Context(), t, check)
		require.Equal(t, Unknown, r.Outcome, population)
		require.Contains(t, r.Reason, want)
	}
	// The table is emptied between two looks: healed by vanishing is not healed.
	check.Query, check.Population = "SELECT id FROM t", "SELECT COUNT(*) FROM t"
	_, err := check.Run(t.Context())
	require.NoError(t, err)
	exec(t, server.DB, "DELETE FROM t")
	_, err = check.Recheck(t.Context(), violations("1 2"))
	require.ErrorIs(t, err, errNothingExamined)
}

func TestSQLResultsThatCannotBeJudgedAreUnknown(t *testing.T) {
	onEach(t, testSQLResultsThatCannotBeJudgedAreUnknown)
}

func testSQLResultsThatCannotBeJudgedAreUnknown(t *testing.T, server *servers.MySQLServer) {
	for query, want := range map[string]string{
		"SELECT v FROM t":                         `the result has no key column "id", only v`,
		"SELECT id, v, v FROM t":                  `two columns named "v"`,
		"SELECT id, v AS ID FROM t":               `two columns named "ID"`,
		"SELECT id % 2 AS id FROM t":              "two rows have the key 1 (id)",
		"SELECT NULLIF(id, 2) AS id FROM t":       "a key column is NULL",
		"SELECT JSON_OBJECT() AS id FROM t":       map[bool]string{false: "cannot be part of a key", true: "two rows have the key {}"}[isMariaDB(t)], // to MariaDB it is text
		"SELECT id, 1 AS other FROM t LIMIT 2, 1": "",
	} {
		r := runOne(t.Context(), t, sqlCheck(server.DB, query))
		if want == "" {
			require.Equal(t, Inconsistent, r.Outcome)
			continue
		}
		require.Equal(t, Unknown, r.Outcome, query)
		require.Contains(t, r.Reason, want)
		require.Equal(t, 1, r.Errors, "trying again cannot mend it")
	}
	check := sqlCheck(server.DB, "SELECT id FROM t")
	check.Mask = []string{"emial"}
	require.Contains(t, runOne(t.Context(), t, check).Reason, `no column "emial" to mask`)
	check = sqlCheck(server.DB, "SELECT 'secret' AS id FROM t")
	check.Mask = []string{"ID"}
	r := runOne(t.Context(), t, check)
	require.Contains(t, r.Reason, "two rows have the key ***")
	require.NotContains(t, r.Reason, "secret")
	quoting, number := "UUID_TO_BIN(CONCAT('secret', id)) = ''", "1411 (HY000)"
	if isMariaDB(t) {
		exec(t, server.DB, "CREATE FUNCTION refuse(s TEXT) RETURNS INT DETERMINISTIC BEGIN DECLARE m TEXT DEFAULT CONCAT('Incorrect string value: ''', s, ''''); SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = m; RETURN 1; END")
		quoting, number = "refuse(CONCAT('secret', id)) = 1", "1644 (45000)"
	}
	check = sqlCheck(server.DB, "SELECT id, 'secret' AS email FROM t WHERE "+quoting)
	require.Contains(t, runOne(t.Context(), t, check).Reason, "Incorrect string value: 'secret1'", "the server quotes values in its messages")
	check.Mask = []string{"email"}
	r = runOne(t.Context(), t, check)
	require.Contains(t, r.Reason, "Error "+number+": Incorrect string value: '***'")
	require.NotContains(t, fmt.Sprintf("%+v", r), "secret")
}

func TestSQLKeepsAFewRowsAndCountsAll(t *testing.T) { onEach(t, testSQLKeepsAFewRowsAndCountsAll) }

func testSQLKeepsAFewRowsAndCountsAll(t *testing.T, server *servers.MySQLServer) {
	check := sqlCheck(server.DB, "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 300) SELECT (a.i - 1) * 300 + b.i AS id FROM n a, n b ORDER BY id")
	check.MaxRows = 10
	f, err := check.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(90000), f.Total)
	require.Len(t, f.Violations, 10)

	r := runOne(t.Context(), t, check)
	require.Equal(t, Inconsistent, r.Outcome)
	require.Equal(t, int64(10), r.Total)
	require.True(t, r.AtLeast)
	require.Equal(t, "10+ inconsistent: x", r.Headline())
	require.Contains(t, r.Reason, "the first look found 90000 rows")

	// Without an order each look keeps other rows first; the suspects are found again wherever they are.
	suspects := violations("89999 90000 500000")
	still, err := check.Recheck(t.Context(), suspects)
	require.NoError(t, err)
	require.Equal(t, "89999 90000", keysOf(still))

	// Big rows: the memory is bounded, not only the number.
	check = sqlCheck(server.DB, "SELECT id, REPEAT('x', 5000000) AS big FROM t ORDER BY id")
	f, err = check.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(3), f.Total)
	require.Len(t, f.Violations, 1)
	_, err = check.Recheck(t.Context(), violations("1 2 3"))
	require.ErrorContains(t, err, "only 1 of the 3 suspects")
}

func TestSQLValuesAreTheSameWhateverTheDSNSays(t *testing.T) {
	onEach(t, testSQLValuesAreTheSameWhateverTheDSNSays)
}

func testSQLValuesAreTheSameWhateverTheDSNSays(t *testing.T, server *servers.MySQLServer) {
	exec(t, server.DB, `CREATE TABLE v (id BIGINT UNSIGNED PRIMARY KEY, big BIGINT, price DECIMAL(30,10), f FLOAT, d DOUBLE, s VARCHAR(50), blank TEXT, missing TEXT,
		bin VARBINARY(10), printable BINARY(2), flags BIT(10), yes BOOL, doc JSON, dt DATETIME(3), ts DATETIME, day DATE, tm TIME(2), y YEAR, e ENUM('a','b'))`,
		`INSERT INTO v VALUES (18446744073709551615, -9007199254740993, 12345678901234567890.1234567890, 0.1, 0.1, '日本 <b>', '', NULL,
		0xff00, 'ab', b'1000000001', 1, '{"z": 9007199254740993, "a": "é"}', '2026-03-29 02:30:00.120', '2026-11-21 10:00:00', '2026-01-02', '-11:22:33.50', 2026, 'b')`)
	want := `{"id":"18446744073709551615","big":"-9007199254740993","price":"12345678901234567890.1234567890","f":0.1,"d":0.1,"s":"日本 <b>","blank":"","missing":null,` +
		`"bin":"0xff00","printable":"0x6162","flags":513,"yes":1,"doc":{"a":"é","z":9007199254740993},"dt":"2026-03-29 02:30:00.120","ts":"2026-11-21 10:00:00","day":"2026-01-02",` +
		`"tm":"-11:22:33.50","y":2026,"e":"b"}`
	if isMariaDB(t) { // whose JSON is text
		want = strings.Replace(want, `{"a":"é","z":9007199254740993}`, `"{\"z\": 9007199254740993, \"a\": \"é\"}"`, 1)
	}
	for name, change := range map[string]func(*mysql.Config){
		"as it is":          func(*mysql.Config) {},
		"parseTime":         func(c *mysql.Config) { c.ParseTime = true },
		"loc":               func(c *mysql.Config) { c.ParseTime, c.Loc = true, time.FixedZone("JST", 9*3600) },
		"interpolateParams": func(c *mysql.Config) { c.InterpolateParams, c.MultiStatements = true, true },
	} {
		check := sqlCheck(open(t, server, change), "SELECT * FROM v WHERE s <> ?")
		check.Args = []any{"x"}
		f, err := check.Run(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, "18446744073709551615", f.Violations[0].Key)
		got, err := f.Violations[0].Row.MarshalJSON()
		require.NoError(t, err)
		require.Equal(t, want, string(got), name)
	}
	// Every kind of column that can name a row.
	check := sqlCheck(open(t, server, func(c *mysql.Config) { c.ParseTime = true }), "SELECT * FROM v")
	check.Key = []string{"ID", "price", "f", "s", "blank", "bin", "flags", "dt", "day", "tm", "e"}
	f, err := check.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, `18446744073709551615,12345678901234567890.1234567890,0.1,日本 <b>,"",0xff00,513,2026-03-29 02:30:00.120,2026-01-02,-11:22:33.50,b`, f.Violations[0].Key)
}

func TestSQLCannotWrite(t *testing.T) { onEach(t, testSQLCannotWrite) }

func testSQLCannotWrite(t *testing.T, server *servers.MySQLServer) {
	exec(t, server.DB,
		"CREATE FUNCTION writes() RETURNS INT DETERMINISTIC BEGIN INSERT INTO t VALUES (50, 1); RETURN 1; END",
		"CREATE FUNCTION unlocks() RETURNS INT DETERMINISTIC BEGIN SET SESSION "+oldNames(t)+"_read_only = 0; INSERT INTO t VALUES (51, 1); RETURN 1; END",
		"CREATE FUNCTION creates() RETURNS INT DETERMINISTIC BEGIN CREATE TEMPORARY TABLE tmp (a INT); RETURN 1; END",
		"CREATE VIEW harmless AS SELECT writes() AS id")
	state := func() (s string) {
		require.NoError(t, server.DB.QueryRow(`SELECT CONCAT_WS('|', (SELECT GROUP_CONCAT(id, ':', v ORDER BY id) FROM t), @@GLOBAL.max_connections,
			(SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()))`).Scan(&s))
		return s
	}
	before := state()
	for _, many := range []bool{false, true} {
		db := open(t, server, func(c *mysql.Config) { c.MultiStatements, c.InterpolateParams = many, many })
		for query, want := range map[string]string{
			"CREATE TABLE x (id INT)":                    "begins with CREATE",
			"INSERT INTO t VALUES (60, 1)":               "begins with INSERT",
			"SET GLOBAL max_connections = 77":            "begins with SET",
			"SELECT 1 AS id; INSERT INTO t VALUES (1,2)": "second statement",
			"SELECT writes() AS id":                      "Error 1792",
			"SELECT unlocks() AS id":                     "Error 1792",
			"SELECT creates() AS id":                     "Error 1792",
			"SELECT id FROM harmless":                    "Error 1792",
		} {
			check := sqlCheck(db, query)
			_, err := check.Run(t.Context())
			require.ErrorContains(t, err, want, query)
			_, err = check.Recheck(t.Context(), violations("1"))
			require.ErrorContains(t, err, want, query)
			s, err := (&Runner{Checks: []Check{check}, Logger: quiet()}).Run(t.Context())
			if strings.HasPrefix(want, "Error") { // the server refused: Unknown
				require.NoError(t, err)
				require.Equal(t, Unknown, s.Results[0].Outcome)
				require.Contains(t, s.Results[0].Reason, "the query writes, perhaps in a stored function")
			} else { // refused at the start
				require.ErrorContains(t, err, want)
			}
			require.Equal(t, before, state(), query)
		}
		// Behind the lexer stand two more guards: the session, and a server that prepares one statement only.
		for query, want := range map[string]string{
			"CREATE TABLE x (id INT)":                    "Error 1792",
			"INSERT INTO t VALUES (60, 1)":               "Error 1792",
			"DELETE FROM t":                              "Error 1792",
			"TRUNCATE t":                                 "Error 1792",
			"SELECT 1 AS id; INSERT INTO t VALUES (1,2)": "Error 1064",
		} {
			require.ErrorContains(t, unvetted(t, db, query), want, query)
			require.Equal(t, before, state(), query)
		}
	}
}

// unvetted runs a query in a check's session without asking the lexer.
func unvetted(t *testing.T, db *sql.DB, query string) error {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := openSession(ctx, db)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.close(ctx)) }()
	require.NoError(t, s.begin(ctx))
	return s.query(ctx, "query", query, nil, func(r *sql.Rows) error {
		for r.Next() {
		}
		return nil
	})
}

// What no session can stop, measured, so that the advice in SQL's comment stays true: a function that sets a global variable. The
// account that may only SELECT is what stops it.
func TestOnlyTheAccountStopsAFunctionThatSetsAGlobal(t *testing.T) {
	server := servers.OwnMySQL(t)
	exec(t, server.DB, "CREATE TABLE t (id INT PRIMARY KEY)",
		"CREATE FUNCTION sets_global() RETURNS INT DETERMINISTIC BEGIN SET GLOBAL max_connections = 177; RETURN 1; END",
		"CREATE USER reader IDENTIFIED BY 'r'", "GRANT SELECT ON *.* TO reader")
	reader := open(t, server, func(c *mysql.Config) { c.User, c.Passwd = "reader", "r" })
	limit := func() (n int) {
		require.NoError(t, server.DB.QueryRow("SELECT @@GLOBAL.max_connections").Scan(&n))
		return n
	}
	require.Contains(t, runOne(t.Context(), t, sqlCheck(reader, "SELECT sets_global() AS id")).Reason, "Error 1370")
	require.NotEqual(t, 177, limit())
	require.Equal(t, Inconsistent, runOne(t.Context(), t, sqlCheck(server.DB, "SELECT sets_global() AS id")).Outcome)
	require.Equal(t, 177, limit(), "if this fails the guards have become stronger: correct the comment of SQL")
}

func TestASecondConnectionOfAProxyIsRefused(t *testing.T) {
	for name, answer := range map[string][]int64{"another connection": {8, 1}, "the setting was swallowed": {7, 0}} {
		t.Run(name, func(t *testing.T) {
			db, mock, err := sqlmock.New()
			require.NoError(t, err)
			defer db.Close()
			mock.ExpectQuery("SELECT VERSION").WillReturnRows(sqlmock.NewRows(strings.Split("abcd", "")).AddRow("8.0.40", 7, "", "utf8mb4"))
			mock.ExpectQuery("SELECT CONCAT_WS").WillReturnRows(sqlmock.NewRows([]string{"server"}).AddRow("s"))
			mock.ExpectQuery("SELECT @@SESSION").WillReturnRows(sqlmock.NewRows(strings.Split("abcdef", "")).AddRow(0, 0, 1, 1, "REPEATABLE-READ", 1))
			for range 3 {
				mock.ExpectExec("S.*").WillReturnResult(sqlmock.NewResult(0, 0))
			}
			mock.ExpectQuery("SELECT CONNECTION_ID").WillReturnRows(sqlmock.NewRows([]string{"a", "b"}).AddRow(answer[0], answer[1]))
			mock.ExpectClose()
			_, err = sqlCheck(db, "SELECT id FROM t").Run(t.Context())
			require.ErrorContains(t, err, "could not be made read-only")
			require.True(t, isPermanent(err))
		})
	}
}

func TestAnotherDatabaseThanMySQLIsRefused(t *testing.T) {
	db, mock, err := sqlmock.New()
	require.NoError(t, err)
	defer db.Close()
	mock.ExpectQuery("SELECT VERSION").WillReturnError(errors.New(`pq: column "global.server_uuid" does not exist`))
	mock.ExpectClose()
	_, err = sqlCheck(db, "SELECT id FROM t").Run(t.Context())
	require.ErrorContains(t, err, "this is not a MySQL server (5.7.20 or newer)")
	require.ErrorContains(t, err, "CheckFunc")
	require.True(t, isPermanent(err))
}

func TestACharsetWhereTheLexerCouldBeWrongIsRefused(t *testing.T) {
	onEach(t, testACharsetWhereTheLexerCouldBeWrongIsRefused)
}

func testACharsetWhereTheLexerCouldBeWrongIsRefused(t *testing.T, server *servers.MySQLServer) {
	db := open(t, server, func(c *mysql.Config) { _ = c.Apply(mysql.Charset("cp932", "")) })
	_, err := sqlCheck(db, "SELECT id FROM t WHERE 'ソ' = ''").Run(t.Context())
	require.ErrorContains(t, err, "the connection speaks cp932")
	_, err = sqlCheck(db, "SELECT id FROM t WHERE 'a' = ''").Run(t.Context())
	require.NoError(t, err, "ASCII means the same everywhere")
}

func TestRowsAreJSONInTheOrderOfTheQuery(t *testing.T) {
	onEach(t, testRowsAreJSONInTheOrderOfTheQuery)
}

func testRowsAreJSONInTheOrderOfTheQuery(t *testing.T, server *servers.MySQLServer) {
	f, err := sqlCheck(server.DB, "SELECT v AS z, id, NULL AS a FROM t ORDER BY id LIMIT 1").Run(t.Context())
	require.NoError(t, err)
	out, err := json.Marshal(f.Violations[0].Row)
	require.NoError(t, err)
	require.Equal(t, `{"z":1,"id":1,"a":null}`, string(out))
}
