package explainguard_test

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/internal/smartlist"
)

// withDefaults makes every new session of a pool start with these variables.
func withDefaults(pairs ...string) func(*mysql.Config) {
	return func(c *mysql.Config) {
		if c.Params == nil {
			c.Params = map[string]string{}
		}
		for i := 0; i < len(pairs); i += 2 {
			c.Params[pairs[i]] = pairs[i+1]
		}
	}
}

// The ways in which a session may have been set up by somebody else.
var sessions = map[string]func(*mysql.Config){
	"server's defaults":  nil,
	"TREE, JSON v1":      withDefaults("explain_format", "'TREE'", "explain_json_format_version", "1"),
	"TREE, JSON v2":      withDefaults("explain_format", "'TREE'", "explain_json_format_version", "2"),
	"odd but legal":      withDefaults("sql_notes", "0", "max_error_count", "0", "max_execution_time", "7000", "autocommit", "0"),
	"driver interpolate": func(c *mysql.Config) { c.InterpolateParams, c.MultiStatements = true, true },
}

func variables(t *testing.T, db *sql.DB) map[string]string {
	t.Helper()
	return without(sessionVariables(t, db, "performance_schema.session_variables WHERE variable_name NOT LIKE 'gtid%'"),
		"timestamp", "pseudo_thread_id", "rand_seed1", "rand_seed2", "statement_id", "external_user")
}

func sessionVariables(t *testing.T, db *sql.DB, from string) map[string]string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT variable_name, variable_value FROM "+from)
	require.NoError(t, err)
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var name, value string
		require.NoError(t, rows.Scan(&name, &value))
		out[name] = value
	}
	require.NoError(t, rows.Err())
	require.Greater(t, len(out), 300)
	return out
}

func without(m map[string]string, names ...string) map[string]string {
	for _, n := range names {
		delete(m, n)
	}
	return m
}

func connectionID(t *testing.T, db *sql.DB) int64 {
	t.Helper()
	var id int64
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&id))
	return id
}

func TestSmartlistIsTheSameInBothFormats(t *testing.T) {
	for name, change := range sessions {
		t.Run(name, func(t *testing.T) {
			db := smartList.open(t, change)
			db.SetMaxOpenConns(1) // Explain gets, and gives back, this very connection
			id, before := connectionID(t, db), variables(t, db)
			for _, q := range []string{"bad", "good", "single"} {
				v1 := explain(t, explainguard.Explainer{DB: db, Format: explainguard.FormatJSONv1}, query(t, q))
				v2 := explain(t, explainguard.Explainer{DB: db, Format: explainguard.FormatJSONv2}, query(t, q))
				require.Equal(t, explainguard.FormatJSONv1, v1.Format)
				require.Equal(t, explainguard.FormatJSONv2, v2.Format)
				s1, s2 := shape(v1), shape(v2)
				if q == "single" { // JSON v2 does not name the index of a look-up made while planning
					s1 = strings.Replace(s1, "const PRIMARY", "const", 1)
				}
				require.Equal(t, s1, s2, q)
				w1, w2 := explainguard.Measure(v1).Total, explainguard.Measure(v2).Total
				require.InEpsilon(t, w1, w2, 0.1, q)
				t.Logf("%s: v1 %.0f rows, v2 %.0f rows", q, w1, w2)
			}
			assertStory(t, db)
			require.Equal(t, id, connectionID(t, db), "the connection went back to the pool")
			require.Equal(t, before, variables(t, db))
		})
	}
}

// assertStory is the job of story 2: the bad query fails, naming st and the figure; the good one passes.
func assertStory(t *testing.T, db *sql.DB) {
	t.Helper()
	for _, format := range []explainguard.Format{explainguard.FormatUnknown, explainguard.FormatJSONv1, explainguard.FormatJSONv2} {
		g := &explainguard.Guard{DB: db, Format: format}
		for _, q := range []string{"bad", "single"} {
			fake := &fakeT{TB: t}
			p := g.Assert(fake, query(t, q))
			require.Len(t, fake.errors, 1)
			work := explainguard.Measure(p)
			st := p.Blocks()[1]
			require.Equal(t, "st", st.Name)
			figure := strconv.Itoa(int(work.Of(st).Total()+0.5)/1000) + ","
			require.Contains(t, fake.errors[0], "derived table st examines "+figure)
			require.Contains(t, fake.errors[0], "inside st, nothing narrows c.id")
			require.Contains(t, fake.errors[0], "to the WHERE inside st")
		}
		fake := &fakeT{TB: t}
		g.Assert(fake, query(t, "good"))
		require.Empty(t, fake.errors)
	}
}

var (
	analyzed = regexp.MustCompile(`-> (.*?) {1,2}\((?:cost=[^)]*\) \()?actual time=\S+ rows=(\S+) loops=(\d+)\)`)
	scanned  = regexp.MustCompile(`(?:Table scan|Index scan|[Ii]ndex range scan|[Ii]ndex lookup|[Ii]ndex scan|skip scan[a-z ]*) on (\S+)`)
)

// reallyExamined runs EXPLAIN ANALYZE and adds up rows × loops at stored tables.
func reallyExamined(t *testing.T, conn *sql.Conn, query string, derived ...string) float64 {
	t.Helper()
	var text string
	require.NoError(t, conn.QueryRowContext(t.Context(), "EXPLAIN ANALYZE FORMAT=TREE "+query).Scan(&text))
	var total float64
	seen := 0
	for line := range strings.Lines(text) {
		m := analyzed.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		s := scanned.FindStringSubmatch(m[1])
		if s == nil || strings.HasPrefix(s[1], "<") || contains(derived, s[1]) {
			continue
		}
		rows, err := strconv.ParseFloat(m[2], 64)
		require.NoError(t, err)
		loops, err := strconv.ParseFloat(m[3], 64)
		require.NoError(t, err)
		total += rows * loops
		seen++
	}
	require.Equal(t, 4, seen, "customers, c, p and r:\n%s", text)
	return total
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// handlerReads is the sum of Handler_read_% for one run of a query.
func handlerReads(t *testing.T, conn *sql.Conn, query string) float64 {
	t.Helper()
	exec := func(q string) {
		_, err := conn.ExecContext(t.Context(), q)
		require.NoError(t, err)
	}
	exec("FLUSH STATUS")
	exec(query)
	var sum float64
	require.NoError(t, conn.QueryRowContext(t.Context(),
		"SELECT SUM(variable_value) FROM performance_schema.session_status WHERE variable_name LIKE 'Handler\\_read%'").Scan(&sum))
	return sum
}

func TestSmartlistEstimateAgainstReality(t *testing.T) {
	db := smartList.open(t, nil)
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	for _, q := range []string{"bad", "good"} {
		p, err := explainguard.Explain(context.WithoutCancel(t.Context()), db, query(t, q))
		require.NoError(t, err)
		estimate := explainguard.Measure(p).Total
		really := reallyExamined(t, conn, query(t, q), "st")
		handlers := handlerReads(t, conn, query(t, q))
		t.Logf("%s: estimate %.0f, EXPLAIN ANALYZE %.0f, Handler_read_%% %.0f", q, estimate, really, handlers)
		require.LessOrEqual(t, estimate, 2*really, q)
		require.GreaterOrEqual(t, estimate, really/2, q)
		// The counters include key look-ups and temporary tables, so they bound what really happened from above.
		require.GreaterOrEqual(t, handlers, really, q)
		require.LessOrEqual(t, estimate, 2*handlers, q)
	}
}

// The same statement on the empty schema is no pass, though everything in it is small there.
func TestSmartlistOnEmptyTablesIsNoPass(t *testing.T) {
	db := servers.MySQL(t).DB
	require.NoError(t, smartlist.Create(t.Context(), db))
	for _, q := range []string{"bad", "good", "single"} {
		for _, format := range []explainguard.Format{explainguard.FormatJSONv1, explainguard.FormatJSONv2} {
			r, err := (&explainguard.Guard{DB: db, Format: format}).Check(t.Context(), query(t, q))
			require.NoError(t, err)
			require.Equal(t, explainguard.Unanalysable, r.Verdict, "%s %s:\n%s", q, format, r)
			require.NotEmpty(t, r.Reasons)
			require.NotEmpty(t, r.Reasons[0].WayOut)
			if q == "single" {
				require.Contains(t, fmt.Sprint(r.Reasons), "no matching row in const table")
			} else {
				require.Contains(t, fmt.Sprint(r.Reasons), "table customers is empty here")
			}
		}
	}
}
