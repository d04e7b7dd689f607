package consistency

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// fillNumbers makes n rows of about 100 bytes, more than networks buffer.
func fillNumbers(t *testing.T, db *sql.DB, n int) {
	exec(t, db, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(100))", "INSERT INTO t SELECT 0, REPEAT('x', 100)")
	for have := 1; have < n; have *= 2 {
		exec(t, db, fmt.Sprintf("INSERT INTO t SELECT id + %d, v FROM t WHERE id + %d < %d", have, have, n))
	}
}

// during calls do once, in the middle of the rows of a source.
func during(source Source, at int, do func()) FuncSource {
	var once sync.Once
	return func(ctx context.Context, after []any) iter.Seq2[Row, error] {
		return func(yield func(Row, error) bool) {
			n := 0
			for row, err := range source.Rows(ctx, after) {
				if n++; n == at {
					once.Do(do)
				}
				if !yield(row, err) {
					return
				}
			}
		}
	}
}

func TestAServerKilledInTheMiddleHasNoMissingRows(t *testing.T) {
	t.Parallel()
	own, other := servers.OwnMySQL(t), servers.MariaDB(t).DB
	const n = 200_000
	fillNumbers(t, own.DB, n)
	fillNumbers(t, other, n)
	exec(t, other, "DELETE FROM t WHERE id = 10", "UPDATE t SET v = 'y' WHERE id = 199990")
	check := tables(own.DB, other)
	check.Key, check.Compare = []Column{{Name: "id", Kind: KindInteger}}, []Column{{Name: "v", Kind: KindText}}
	whole := check
	check.Right = during(check.Right, 5000, func() { require.NoError(t, own.Kill()) })
	f, err := check.Run(t.Context())
	require.ErrorContains(t, err, "orders: query: the connection to the server was lost")
	require.Zero(t, f)
	_, err = whole.Recheck(t.Context(), []Violation{{Key: "10"}})
	require.Error(t, err, "a server that is down has not healed anything")
	require.NoError(t, own.Start())
	f, err = whole.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, "10 199990", keysOf(f.Violations))
}

func TestKillQueryAndTimeLimitsAreUnknown(t *testing.T) {
	left, right := servers.MySQL(t).DB, servers.MariaDB(t).DB
	const n = 100_000
	for _, db := range []*sql.DB{left, right} {
		fillNumbers(t, db, n)
	}
	check := tables(left, right)
	check.Key, check.Compare = []Column{{Name: "id", Kind: KindInteger}}, []Column{{Name: "v", Kind: KindText}}
	kill := check
	kill.Left = during(check.Left, 3000, func() {
		var id int64
		require.NoError(t, right.QueryRow("SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'SELECT id, v FROM t%'").Scan(&id))
		exec(t, right, fmt.Sprintf("KILL QUERY %d", id))
	})
	_, err := kill.Run(t.Context())
	require.ErrorContains(t, err, "billing: query: ")

	slow := check
	slow.Timeout = 1500 * time.Millisecond
	slow.Left = during(check.Left, 3000, func() { time.Sleep(2 * time.Second) })
	_, err = slow.Run(t.Context())
	require.Error(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	stopped := check
	stopped.Left = during(check.Left, 3000, cancel)
	_, err = stopped.Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
	var running int
	for _, db := range []*sql.DB{left, right} { // nothing runs on
		require.NoError(t, db.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'SELECT id, v FROM t%'").Scan(&running))
		require.Zero(t, running)
	}
	f, err := check.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(2*n), f.Examined)
	require.Zero(t, f.Total)
}

func TestAFrozenCloneDoesNotConvictWhatChangedSince(t *testing.T) {
	live, clone, right := servers.MySQL(t).DB, servers.MySQL(t).DB, servers.MariaDB(t).DB
	const create = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), changed TIMESTAMP NOT NULL)"
	for _, db := range []*sql.DB{live, clone, right} {
		exec(t, db, create, `INSERT INTO t VALUES (1, 'a', '2026-01-01'), (2, 'a', '2026-01-01'), (3, 'a', '2026-01-01'), (4, 'a', '2026-01-01'), (6, 'a', '2026-01-01')`)
	}
	exec(t, right, "UPDATE t SET v = 'wrong' WHERE id = 1") // a real fault, and older than the clone
	for _, db := range []*sql.DB{live, right} {             // since the clone was made: changed, made anew, deleted
		exec(t, db, "UPDATE t SET v = 'b', changed = '2026-03-01' WHERE id = 2", "INSERT INTO t VALUES (5, 'a', '2026-03-01')", "DELETE FROM t WHERE id = 3")
	}
	exec(t, right, "UPDATE t SET v = 'c', changed = '2026-03-01' WHERE id = 6") // a fault made since: a later clone will show it
	const query = "SELECT id, v, changed FROM t ORDER BY id"
	check := Reconcile{
		Meta: Meta{Name: "t", Retry: fast, Timeout: 3 * time.Minute}, Left: Query{DB: clone, SQL: query}, ConfirmLeft: Query{DB: live, SQL: query}, Right: Query{DB: right, SQL: query},
		Key: []Column{{Name: "id"}}, Compare: []Column{{Name: "v"}}, AsOf: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), ChangedAt: Column{Name: "changed"},
	}
	f, err := check.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, "1 3", keysOf(f.Violations), "what changed since is left out; what was deleted since no column can tell")
	require.Equal(t, int64(5), f.Examined)
	exec(t, right, "UPDATE t SET v = 'wrong still', changed = '2026-03-02' WHERE id = 1") // what is live is looked at as it is
	still, err := check.Recheck(t.Context(), f.Violations)
	require.NoError(t, err)
	require.Equal(t, "1", keysOf(still))
	exec(t, right, "UPDATE t SET v = 'wrong', changed = '2026-01-01' WHERE id = 1")
	r := runOne(t.Context(), t, check)
	require.Equal(t, "1", keysOf(r.Violations), r.Reason)
	require.Equal(t, Inconsistent, r.Outcome)
	require.Equal(t, int64(1), r.Healed.Rows)

	// A cut-off before everything leaves nothing to look at, which is not consistent.
	check.AsOf = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err = check.Run(t.Context())
	require.ErrorIs(t, err, errNothingExamined)
}

func TestMaskedColumnsAreNowhere(t *testing.T) {
	left, right := servers.MySQL(t).DB, servers.MariaDB(t).DB
	for i, db := range []*sql.DB{left, right} {
		exec(t, db, "CREATE TABLE t (id VARCHAR(20) PRIMARY KEY, mail VARCHAR(50), v INT)", fmt.Sprintf("INSERT INTO t VALUES ('sasa', 'secret%d@example.com', %d), ('shared', 'secret', 1)", i, i))
	}
	check := tables(left, right)
	check.Left, check.Right = Query{DB: left, SQL: "SELECT * FROM t ORDER BY CAST(id AS BINARY)"}, Query{DB: right, SQL: "SELECT id AS nr, mail AS post, v FROM t ORDER BY CAST(id AS BINARY)"}
	check.Key, check.Compare, check.Mask = []Column{{Name: "id", Right: "nr"}}, []Column{{Name: "mail", Right: "post"}, {Name: "v"}}, []string{"POST", "nr"}
	r := runOne(t.Context(), t, check)
	require.Equal(t, Inconsistent, r.Outcome, r.Reason)
	text := fmt.Sprintf("%v", r)
	require.NotContains(t, text, "secret")
	require.NotContains(t, text, "sasa")
	require.Equal(t, Row{{"id", masked}, {"difference", "mail, v"}, {"orders.mail", masked}, {"billing.post", masked}, {"orders.v", int64(0)}, {"billing.v", int64(1)}}, r.Violations[0].Row)
	// Nor in errors.
	check.Compare[0].Kind = KindInteger
	_, err := check.Run(t.Context())
	require.ErrorContains(t, err, `of the row with the key *** is ***, which is no whole number`)
	check.Left = Query{DB: left, SQL: "SELECT * FROM t ORDER BY CAST(id AS BINARY) DESC"}
	check.Compare = nil
	check.Mask = []string{"nr"}
	_, err = check.Run(t.Context())
	require.ErrorContains(t, err, "orders is out of order: the key *** came before ***")
}

func TestContentMovesWithWhatIsComparedOnly(t *testing.T) {
	left, right := servers.MySQL(t).DB, servers.MariaDB(t).DB
	kindTables(t, left, right)
	check := tables(left, right)
	check.Compare[0].Fold = true
	content := func() map[string]string {
		f, err := check.Run(t.Context())
		require.NoError(t, err)
		out := map[string]string{}
		for _, v := range f.Violations {
			out[v.Key] = v.Content
		}
		return out
	}
	first := content()
	require.Len(t, first, 3)
	require.Equal(t, first, content())
	exec(t, left, "UPDATE t SET v = 'C' WHERE id = 3") // only letter case
	require.Equal(t, first, content())
	exec(t, left, "UPDATE t SET v = 'moved' WHERE id = 3")
	require.NotEqual(t, first["3"], content()["3"])
	exec(t, right, "INSERT INTO t VALUES (3, 'other')")
	second := content()
	require.Equal(t, first["4"], second["4"])
	exec(t, left, "UPDATE t SET v = NULL WHERE id = 3")
	third := content()
	exec(t, left, "UPDATE t SET v = '' WHERE id = 3")
	require.NotEqual(t, third["3"], content()["3"], "NULL is not ''")
}

func TestLongValuesAreShortenedAndTheRowsBounded(t *testing.T) {
	left, right := servers.MySQL(t).DB, servers.MariaDB(t).DB
	for i, db := range []*sql.DB{left, right} {
		exec(t, db, "CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT)", fmt.Sprintf("INSERT INTO t VALUES (1, CONCAT(REPEAT('注', 5000000), %d)), (2, 'a')", i))
	}
	f, err := tables(left, right).Run(t.Context())
	require.NoError(t, err)
	require.Len(t, f.Violations, 1)
	shown, _ := f.Violations[0].Row.Get("orders.v")
	require.Contains(t, shown, "注… (15000001 bytes)")
	require.Less(t, len(shown.(string)), 1100)
}
