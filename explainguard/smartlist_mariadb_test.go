package explainguard_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/internal/smartlist"
)

// An expected difference: MariaDB rewrites story 2's view into LATERAL DERIVED (split_materialized), which fills it anew
// for each of the five customers and for that customer only. Without that, it derives st.customer_id IN (…) from the
// join and pushes it into the view (condition_pushdown_for_derived). So it passes, and rightly. Where both rewrites are off,
// the view is filled for the whole tenant, as MySQL does it, and fails.
func TestSmartlistOnMariaDB(t *testing.T) {
	for _, c := range []struct {
		setting string
		want    explainguard.Verdict
		lateral bool
	}{
		{"split_materialized=on", explainguard.Pass, true},
		{"split_materialized=off", explainguard.Pass, false},
		{neitherRewrite, explainguard.Fail, false},
	} {
		t.Run(c.setting, func(t *testing.T) {
			db := smartListOnMariaDB.open(t, withLimit(c.setting))
			conn, err := db.Conn(t.Context())
			require.NoError(t, err)
			defer conn.Close()
			g := &explainguard.Guard{DB: db}
			r, err := g.Check(t.Context(), unhinted(t, "bad"))
			require.NoError(t, err)
			require.Equal(t, c.want, r.Verdict, r)
			st := r.Plan.Blocks()[1]
			require.Equal(t, "derived table st", st.Title())
			estimate := r.Work.Total
			really, _ := measured(t, conn, unhinted(t, "bad"))
			handlers := handlerReadsOnMariaDB(t, conn, unhinted(t, "bad"))
			t.Logf("%s: estimate %.0f rows, ANALYZE %.0f, Handler_read_%% %.0f", c.setting, estimate, really, handlers)
			require.LessOrEqual(t, estimate, 2.5*really, "the server takes tenant 1 for twice as large as it is")
			require.GreaterOrEqual(t, 2*estimate, really)
			require.GreaterOrEqual(t, handlers, really, "the counters include look-ups and temporary tables")
			require.Equal(t, c.lateral, st.Dependent)
			if c.lateral {
				require.InDelta(t, 5, st.Executions, 0.1, "once for each customer that the page shows")
			} else {
				require.InDelta(t, 1, st.Executions, 0)
			}
			if c.want == explainguard.Pass {
				require.Less(t, estimate, 100.0)
				return
			}
			text := fmt.Sprint(r.Findings)
			require.Contains(t, text, "derived table st examines "+fmt.Sprint(int(r.Work.Of(st).Total()+0.5)/1000)+",")
			require.Contains(t, text, "inside st, nothing narrows c.id")
			require.Contains(t, text, "to the WHERE inside st")
		})
	}
	db := smartListOnMariaDB.open(t, withLimit(neitherRewrite))
	g := &explainguard.Guard{DB: db}
	r, err := g.Check(t.Context(), unhinted(t, "good"))
	require.NoError(t, err)
	require.Equal(t, explainguard.Pass, r.Verdict, r)
	r, err = g.Check(t.Context(), unhinted(t, "single"))
	require.NoError(t, err)
	require.Equal(t, explainguard.Fail, r.Verdict, r)
}

// unhinted is a query without MySQL's time limit, which is a comment to MariaDB; a rule fails it for that.
func unhinted(tb testing.TB, name string) string {
	tb.Helper()
	return strings.Replace(query(tb, name), " /*+ MAX_EXECUTION_TIME(1000) */", "", 1)
}

// withLimit switches rewrites of the optimizer, and gives the session MariaDB's time limit.
func withLimit(optimizer string) func(*mysql.Config) {
	if optimizer != "default" {
		optimizer = "'" + optimizer + "'"
	}
	return withDefaults("optimizer_switch", optimizer, "max_statement_time", "10")
}

const neitherRewrite = "split_materialized=off,condition_pushdown_for_derived=off"

func handlerReadsOnMariaDB(t *testing.T, conn *sql.Conn, query string) (sum float64) {
	t.Helper()
	for _, q := range []string{"FLUSH STATUS", query} {
		_, err := conn.ExecContext(t.Context(), q)
		require.NoError(t, err)
	}
	require.NoError(t, conn.QueryRowContext(t.Context(),
		"SELECT SUM(variable_value) FROM information_schema.session_status WHERE variable_name LIKE 'Handler\\_read%'").Scan(&sum))
	return sum
}

// The same statement on the empty schema is no pass.
func TestSmartlistOnEmptyTablesOfMariaDBIsNoPass(t *testing.T) {
	s := servers.MariaDB(t)
	require.NoError(t, smartlist.Create(t.Context(), s.DB))
	for _, change := range []func(*mysql.Config){withLimit("default"), withLimit(neitherRewrite)} {
		for _, q := range []string{"bad", "good", "single"} {
			r, err := (&explainguard.Guard{DB: openDSN(t, s.DSN, change)}).Check(t.Context(), unhinted(t, q))
			require.NoError(t, err)
			require.Equal(t, explainguard.Unanalysable, r.Verdict, "%s:\n%s", q, r)
			require.NotEmpty(t, r.Reasons[0].WayOut)
		}
	}
}
