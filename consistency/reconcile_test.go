package consistency

import (
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func kindTables(t *testing.T, left, right *sql.DB) {
	exec(t, left, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))", "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (5, NULL), (10, '')")
	exec(t, right, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))", "INSERT INTO t VALUES (1, 'a'), (2, 'B'), (4, 'd'), (5, ''), (10, '')")
}

func tables(left, right *sql.DB) Reconcile {
	const query = "SELECT id, v FROM t ORDER BY id"
	return Reconcile{
		Meta: Meta{Name: "t", Retry: fast, Timeout: 3 * time.Minute}, LeftName: "orders", RightName: "billing",
		Left: Query{DB: left, SQL: query}, Right: Query{DB: right, SQL: query}, Key: []Column{{Name: "id"}}, Compare: []Column{{Name: "v"}},
	}
}

func TestReconcileTellsFaultsApart(t *testing.T) {
	left, right := servers.MySQL(t).DB, servers.MySQL(t).DB
	kindTables(t, left, right)
	check := tables(left, right)
	f, err := check.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(4), f.Total)
	require.Equal(t, []Count{{"missing in orders", 1}, {"missing in billing", 1}, {"different", 2}}, f.Breakdown)
	require.Equal(t, int64(10), f.Examined)
	rows := map[string]Row{}
	for _, v := range f.Violations {
		rows[v.Key] = v.Row
		require.NotEmpty(t, v.Content)
	}
	require.Equal(t, map[string]Row{
		"2": {{"id", int64(2)}, {"difference", "v"}, {"orders.v", "b"}, {"billing.v", "B"}},
		"3": {{"id", int64(3)}, {"difference", "missing in billing"}, {"orders.v", "c"}},
		"4": {{"id", int64(4)}, {"difference", "missing in orders"}, {"billing.v", "d"}},
		"5": {{"id", int64(5)}, {"difference", "v"}, {"orders.v", nil}, {"billing.v", ""}},
	}, rows)

	still, err := check.Recheck(t.Context(), f.Violations)
	require.NoError(t, err)
	require.ElementsMatch(t, f.Violations, still)
	exec(t, right, "UPDATE t SET v = 'b' WHERE id = 2", "INSERT INTO t VALUES (3, 'x')", "DELETE FROM t WHERE id = 4")
	still, err = check.Recheck(t.Context(), f.Violations)
	require.NoError(t, err)
	require.Len(t, still, 2)
	require.Equal(t, Row{{"id", int64(3)}, {"difference", "v"}, {"orders.v", "c"}, {"billing.v", "x"}}, still[0].Row)
	require.Equal(t, "5", still[1].Key)
	r := runOne(t.Context(), t, check)
	require.Equal(t, "2 inconsistent: t", r.Headline(), r.Reason)
}
