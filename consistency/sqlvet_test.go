package consistency

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// Statements against a table t(id, v) that hold what a lexer may get wrong. want is a piece of the refusal, "" where the statement must pass.
var trickyStatements = []struct{ query, want string }{
	// Plain reading.
	{"SELECT id FROM t", ""},
	{"select id from t", ""},
	{"(SELECT id FROM t) UNION (SELECT 3)", ""},
	{"((SELECT id FROM t))", ""},
	{"WITH c AS (SELECT 1 AS id) SELECT id FROM c", ""},
	{"TABLE t", ""},
	{"VALUES ROW(1, 2)", ""},
	{"  \n\t-- first a comment\n# another\n/* and a third */ SELECT id FROM t", ""},
	{"SELECT id FROM t;", ""},
	{"SELECT id FROM t ; -- done; INSERT INTO t VALUES (90, 1)", ""},
	{"SELECT id FROM t; /* INSERT INTO t VALUES (91, 1) */ # ;", ""},
	{"SELECT 'it''s; INSERT' AS a, 'a\\'; DELETE FROM t; -- ' AS b", ""},
	{`SELECT "a;b" AS a, "say ""x;"" \"y;\"" AS b`, ""},
	{"SELECT id AS `a;``b` FROM t", ""},
	{"SELECT 'a' 'b', _utf8mb4'c', N'd', x'41', b'01', 0x41, 0b01", ""},
	{"SELECT 1--1 AS two", ""},
	{"SELECT 1 --", ""},
	{"SELECT t.id FROM t WHERE t.v <=> NULL OR t.v != 1 AND NOT t.v <> 2", ""},
	{"SELECT INSERT('abc', 1, 1, 'x'), REPLACE('abc', 'b', 'y'), UPPER('into')", ""},
	{"SELECT 'INTO OUTFILE', `id` AS `into`, `id` AS `update` FROM t", ""},
	{"SELECT SUBSTRING('abc' FROM 1 FOR 2) FROM t USE INDEX FOR JOIN (PRIMARY)", ""},
	{"SELECT /*+ MAX_EXECUTION_TIME(1000) */ id FROM t", ""},
	{"SELECT @@version, @@GLOBAL.max_connections, @@session.sql_mode", ""},
	{"SELECT 注文 FROM (SELECT id AS 注文 FROM t) AS 表", ""},
	{"SELECT 'ソ表能' AS a /* 表;INSERT */", ""},
	{"SELECT 1.5, .5, 1., 1e5, 1.5e-5, 1E+5 FROM t", ""},
	{"SELECT 2024_x FROM (SELECT 1 AS 2024_x) AS d", ""},
	{"SELECT a$b FROM (SELECT 1 AS a$b) AS d", ""},
	{"SELECT JSON_EXTRACT('{\"a\":1}', '$.a'), SLEEP(0)", ""},
	{"SELECT id FROM t WHERE v IN (SELECT v FROM t FOR UPDATE)", "FOR UPDATE"},
	// Not reading.
	{"", "empty"},
	{" -- nothing", "empty"},
	{";", "empty"},
	{"CREATE TABLE x (a INT)", "begins with CREATE"},
	{"INSERT INTO t VALUES (92, 1)", "begins with INSERT"},
	{"SET GLOBAL max_connections = 77", "begins with SET"},
	{"SET PERSIST max_connections = 77", "begins with SET"},
	{"DO GET_LOCK('x', 0)", "begins with DO"},
	{"CALL p()", "begins with CALL"},
	{"FLUSH TABLES", "begins with FLUSH"},
	{"EXPLAIN ANALYZE SELECT 1", "begins with EXPLAIN"},
	{"`SELECT` 1", "begins with SELECT"},
	{"WITH c AS (SELECT 1 AS a) DELETE FROM t WHERE id IN (SELECT a FROM c)", "DELETE"},
	{"WITH c AS (SELECT 1 AS a) UPDATE t, c SET v = 9 WHERE id = a", "UPDATE"},
	{"WITH c AS (SELECT 1 AS a)\n/**/dElEtE FROM t", "line 2 holds DELETE"},
	// Two statements.
	{"SELECT 1; INSERT INTO t VALUES (93, 1)", "second statement (INSERT)"},
	{"SELECT 1;;", "second statement"},
	{"SELECT '\\\\'; INSERT INTO t VALUES (94, 1); -- '", "second statement (INSERT)"},
	{"SELECT 'a\\''; INSERT INTO t VALUES (95, 1); -- '", "second statement"},
	{"SELECT 1 -- x\n; INSERT INTO t VALUES (96, 1)", "second statement (INSERT)"},
	{"SELECT 1 -- x\r; INSERT INTO t VALUES (96, 1)", ""}, // a carriage return ends no comment
	{"SELECT 1 --x\n; INSERT INTO t VALUES (96, 1)", "second statement (INSERT)"},
	{"SELECT 1 /* /* */; INSERT INTO t VALUES (97, 1) /* */", "second statement (INSERT)"},
	{"SELECT 1 /*/; INSERT INTO t VALUES (98, 1) /*/", ""}, // all of it is one comment
	{"SELECT `a\\`; INSERT INTO t VALUES (99, 1); -- `", "second statement (INSERT)"},
	// Executable comments and hints.
	{"SELECT 1 /*! INTO @x */", "executable comment"},
	{"SELECT 1 /*!50000 ; INSERT INTO t VALUES (89, 1) */", "executable comment"},
	{"SELECT 1 /*M! INTO @x */", "executable comment"},
	{"SELECT /*+ QB_NAME(`a*/`) */ 1; INSERT INTO t VALUES (88, 1) -- `) */ 1", "hint"},
	// Writing somewhere, variables, locks.
	{"SELECT 1 INTO OUTFILE '/tmp/x'", "INTO"},
	{"SELECT 1 INTO DUMPFILE '/tmp/x'", "INTO"},
	{"SELECT 1 INTO @x", "INTO"},
	{"SELECT 1\u00a0INTO @x", "user variable"},
	{"SELECT 1e5INTO @x", "letter right after it (1e5I"},
	{"SELECT 1.5INTO @x", "letter right after it (1.5I"},
	{"SELECT 1.INTO @x", "letter right after it (1.I"},
	{"SELECT .5INTO @x", "letter right after it (.5I"},
	{"SELECT 1e+5INTO @x", "letter right after it (1e+5I"},
	{"SELECT 1.5e-5INTO @x", "letter right after it"},
	{"SELECT `t`.5INTO @x", "letter right after it"},
	{"SELECT 'a'.INTO @x", "INTO"},
	{"TABLE t INTO @x, @y", "INTO"},
	{"SELECT @x := 5", "user variable"},
	{"SELECT id FROM t WHERE v > @since", "user variable (@since)"},
	{"SELECT @'x'", "user variable"},
	{"SELECT id FROM t FOR UPDATE", "FOR UPDATE"},
	{"SELECT id FROM t FOR /* */ UPDATE SKIP LOCKED", "FOR UPDATE"},
	{"SELECT id FROM t FOR SHARE", "FOR SHARE"},
	{"SELECT id FROM t LOCK IN SHARE MODE", "LOCK"},
	{"SELECT GET_LOCK('x', 0)", "GET_LOCK"},
	{"SELECT `get_lock` /* */ ('x', 0)", "GET_LOCK"},
	{"SELECT RELEASE_ALL_LOCKS()", "RELEASE_ALL_LOCKS"},
	{"SELECT LAST_INSERT_ID(5)", "LAST_INSERT_ID"},
	{"SELECT group_replication_switch_to_multi_primary_mode()", "replication"},
	// MariaDB's own.
	{"SELECT NEXTVAL(s)", "NEXTVAL, which writes"},
	{"SELECT nextval /* */ (s)", "NEXTVAL, which writes"},
	{"SELECT NEXT VALUE FOR s", "sequence"},
	{"SELECT next/**/value\nFOR s", "sequence"},
	{"SELECT PREVIOUS VALUE FOR s", "sequence"},
	{"SELECT SETVAL(s, 100)", "SETVAL, which writes"},
	{"SELECT LASTVAL(s)", "LASTVAL"},
	{"SELECT id FROM t PROCEDURE ANALYSE()", "PROCEDURE"},
	{"SELECT id FROM t LIMIT ROWS EXAMINED 1", "ROWS EXAMINED"},
	{"SELECT id FROM t LIMIT 5 ROWS /**/ examined 10", "ROWS EXAMINED"},
	{"SET STATEMENT max_statement_time = 0 FOR SELECT 1", "begins with SET"},
	{"BEGIN NOT ATOMIC INSERT INTO t VALUES (85, 1); END", "second statement"},
	{"EXECUTE IMMEDIATE 'DELETE FROM t'", "begins with EXECUTE"},
	{"SELECT spider_direct_sql('DELETE FROM t', 'x', '')", "Spider"},
	{"SELECT 1 AS next, 2 AS previous, 3 AS value", ""},
	// What cannot be read exactly.
	{"SELECT 'abc", "never closed"},
	{"SELECT 1 /* abc", "never closed"},
	{"SELECT $$ ' $$; INSERT INTO t VALUES (87, 1) -- '", "begins with $"},
	{"SELECT 1\x00; INSERT INTO t VALUES (86, 1)", "control character 0x00"},
	{"SELECT '\x00'", "NUL"},
	{"SELECT \\N", "backslash"},
	{"SELECT '\xff'", "UTF-8"},
}

func TestVetSQL(t *testing.T) {
	for _, c := range trickyStatements {
		_, err := vetSQL(c.query, lexMode{})
		if c.want == "" {
			require.NoError(t, err, c.query)
		} else {
			require.ErrorContains(t, err, c.want, c.query)
			require.ErrorContains(t, err, "the query was not sent", c.query)
		}
	}
}

func TestVetSQLCutsWhatFollowsTheStatement(t *testing.T) {
	stmt, err := vetSQL("SELECT ';' ; -- x", lexMode{})
	require.NoError(t, err)
	require.Equal(t, "SELECT ';' ", stmt)
}

func TestVetSQLReadsAsTheSessionsSQLModeDoes(t *testing.T) {
	hidden := `SELECT '\'; INSERT INTO t VALUES (1, 1); -- '`
	_, err := vetSQL(hidden, lexMode{})
	require.NoError(t, err, "with backslash escapes all of it is one string")
	_, err = vetSQL(hidden, lexMode{noBackslash: true})
	require.ErrorContains(t, err, "second statement")

	hidden = `SELECT "\"; INSERT INTO t VALUES (1, 1); -- "`
	_, err = vetSQL(hidden, lexMode{})
	require.NoError(t, err)
	_, err = vetSQL(hidden, lexMode{ansiQuotes: true})
	require.ErrorContains(t, err, "second statement", "an identifier has no backslash escapes")

	require.NoError(t, vetAnyMode(`SELECT '\'`), "right under NO_BACKSLASH_ESCAPES: only the server can say")
	require.ErrorContains(t, vetAnyMode("DELETE FROM t"), "begins with DELETE")
}

// scene is a server where everything that slips through does harm: multiple statements allowed, no session guard, all privileges.
type scene struct {
	db     *sql.DB
	before string
}

func newScene(t *testing.T, server *servers.MySQLServer) *scene {
	sep := "?"
	if strings.Contains(server.DSN, "?") {
		sep = "&"
	}
	db, err := sql.Open("mysql", server.DSN+sep+"multiStatements=true")
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	_, err = db.Exec("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1), (2, 2)")
	require.NoError(t, err)
	s := &scene{db: db}
	s.before = s.state(t)
	return s
}

// state is all that a statement could have changed.
func (s *scene) state(t *testing.T) string {
	var state string
	held := "(SELECT COUNT(*) FROM performance_schema.data_locks WHERE object_schema = DATABASE())"
	if isMariaDB(t) { // has no such table, and counts all transactions: those of other tests too
		held = "@@in_transaction"
	}
	require.NoError(t, s.db.QueryRow(`SELECT CONCAT_WS('|', (SELECT GROUP_CONCAT(id, ':', v ORDER BY id) FROM t), @@GLOBAL.max_connections, @x IS NULL, @y IS NULL,
		(SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()), IS_FREE_LOCK('x'),
		`+held+`)`).Scan(&state))
	return state
}

// send runs a statement as text, as the harshest program would, and reads all of its results.
func (s *scene) send(query string) error {
	rows, err := s.db.QueryContext(context.Background(), query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for {
		for rows.Next() {
		}
		if !rows.NextResultSet() {
			return rows.Err()
		}
	}
}

func TestWhatTheLexerAcceptsChangesNothingOnTheServer(t *testing.T) {
	t.Run("MySQL", func(t *testing.T) { acceptedChangesNothing(t, servers.MySQL(t)) })
	t.Run("MariaDB", func(t *testing.T) { acceptedChangesNothing(t, servers.MariaDB(t)) })
}

func acceptedChangesNothing(t *testing.T, server *servers.MySQLServer) {
	s := newScene(t, server)
	unknown := 0
	for _, c := range trickyStatements {
		if c.want != "" {
			continue
		}
		stmt, err := vetSQL(c.query, lexMode{})
		require.NoError(t, err)
		for _, text := range []string{stmt, c.query} {
			err := s.send(text)
			if isMariaDB(t) && strings.Contains(fmt.Sprint(err), "Error 1064") { // MySQL's own syntax: the lexer may pass what the server does not know
				unknown++
			} else {
				require.NoError(t, err, "a statement that the lexer accepts on purpose must run: %q", text)
			}
			require.Equal(t, s.before, s.state(t), "changed by %q", text)
		}
	}
	require.LessOrEqual(t, unknown, 2*5)
	// The scene would show a statement that slips through.
	require.NoError(t, s.send("SELECT 1; INSERT INTO t VALUES (100, 1)"))
	require.NotEqual(t, s.before, s.state(t))
}

// TestLexerAgainstTheServer throws statements of shuffled fragments at a server without any other guard. The lexer is right when nothing that it accepts
// changes anything; the count of what it refused although it would have done harm shows that the throw was worth something.
func TestLexerAgainstTheServer(t *testing.T) {
	t.Run("MySQL", func(t *testing.T) { lexerAgainst(t, servers.MySQL(t)) })
	t.Run("MariaDB", func(t *testing.T) { lexerAgainst(t, servers.MariaDB(t)) })
}

func lexerAgainst(t *testing.T, server *servers.MySQLServer) {
	s := newScene(t, server)
	fragments := []string{"'", `\'`, `\\`, `"`, "`", "--", "-- ", "#", "/*", "*/", "/*!", "/*+", "\n", "\r", ";", " ", "1e5", "1.", ".5", "0x1", "t.", "`t`.", "@@", "INTO @x", "INTO@y", "''",
		"; INSERT INTO t VALUES (77, 7)", "; DELETE FROM t", "id", "AS a", "é", "表", "x'4'", "N'", "$$", "/**/", "/*! INTO @y */", `'\'; DELETE FROM t; -- '`, `"\"; DELETE FROM t; -- "`, `'\\'; DELETE FROM t; -- '`, `'\''; DELETE FROM t; -- '`, "FROM t", "FOR UPDATE", "(", ")", ","}
	for _, mode := range []struct {
		name string
		lexMode
	}{{"", lexMode{}}, {"NO_BACKSLASH_ESCAPES", lexMode{noBackslash: true}}, {"ANSI_QUOTES", lexMode{ansiQuotes: true}}} {
		_, err := s.db.Exec("SET SESSION sql_mode = '" + mode.name + "'")
		require.NoError(t, err)
		rnd := rand.New(rand.NewPCG(1, 2))
		accepted, ran, harmful := 0, 0, 0
		for range 4000 {
			query := "SELECT 1"
			for range 1 + rnd.IntN(9) {
				query += fragments[rnd.IntN(len(fragments))]
			}
			_, err := vetSQL(query, mode.lexMode)
			if err == nil {
				accepted++
			} else if rnd.IntN(4) > 0 { // of the refused ones try a few
				continue
			}
			if s.send(query) == nil && err == nil {
				ran++
			}
			if now := s.state(t); now != s.before {
				require.Error(t, err, "accepted but harmful: %q", query)
				harmful++
				_, err := s.db.Exec("REPLACE INTO t VALUES (1, 1), (2, 2); DELETE FROM t WHERE id > 2; SET @x = NULL, @y = NULL")
				require.NoError(t, err)
			}
		}
		t.Logf("sql_mode %q: accepted %d, of which %d ran; harmful and refused: %d", mode.name, accepted, ran, harmful)
		require.Greater(t, ran, 100)
		require.Greater(t, harmful, 5)
	}
}

func FuzzVetSQL(f *testing.F) {
	for _, c := range trickyStatements {
		f.Add(c.query, false, false)
		f.Add(c.query, true, true)
	}
	f.Fuzz(func(t *testing.T, query string, noBackslash, ansiQuotes bool) {
		mode := lexMode{noBackslash, ansiQuotes}
		stmt, err := vetSQL(query, mode)
		if err != nil {
			return
		}
		require.True(t, strings.HasPrefix(query, stmt))
		tokens, err := lexSQL(stmt, mode)
		require.NoError(t, err)
		for i, tok := range tokens {
			require.False(t, tok.kind == tokenPunct && tok.text == ";", "what is sent is one statement: %q", stmt)
			require.NotContains(t, []string{"INTO", "DELETE", "UPDATE"}, strings.ToUpper(bareWord(tokens, i)), stmt)
		}
		// Whatever is accepted, nothing can be appended to it or ridden on it: what follows is seen as what it is, not swallowed.
		for _, rider := range []string{"\n; DELETE FROM t", "\nINTO @x", "\nFOR UPDATE"} {
			_, err := vetSQL(stmt+rider, mode)
			require.Error(t, err, fmt.Sprintf("%q", stmt+rider))
		}
	})
}

// bareWord returns the word at i where it is not a qualified name.
func bareWord(tokens []token, i int) string {
	if tokens[i].kind != tokenWord || qualified(tokens, i) {
		return ""
	}
	return tokens[i].text
}
