package consistency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// A frozen clone can never heal anything: what is still wrong is asked of the live database.
func TestConfirmConvictsOnAnotherDatabase(t *testing.T) {
	onEach(t, func(t *testing.T, clone *servers.MySQLServer) {
		start := servers.MySQL
		if isMariaDB(t) {
			start = servers.MariaDB
		}
		live := withOrders(t, start(t))
		exec(t, live.DB, "UPDATE t SET v = 0 WHERE id = 2", "INSERT INTO t VALUES (9, 9)")
		check := sqlCheck(clone.DB, "SELECT id, v FROM t WHERE v > 1")
		check.Population = "SELECT COUNT(*) FROM t"
		check.Confirm = live.DB
		r := runOne(t.Context(), t, check)
		require.Equal(t, Inconsistent, r.Outcome, r.Reason)
		require.Equal(t, "3", keysOf(r.Violations), "2 healed since; 9 was never a suspect")
		require.Equal(t, int64(1), r.Healed.Rows)
		require.Equal(t, int64(3), r.Examined)

		exec(t, live.DB, "DELETE FROM t")
		r = runOne(t.Context(), t, check)
		require.Equal(t, Unknown, r.Outcome, "an empty live database heals nothing")
		require.Contains(t, r.Reason, "looked at nothing")
		check.Confirm = nil
		require.Equal(t, "2 3", keysOf(runOne(t.Context(), t, check).Violations))
	})
}

// judge is an Admitter that remembers what it was asked.
type judge struct {
	mu    sync.Mutex
	asked []string
	err   map[string]error
}

func (j *judge) Admit(_ context.Context, db *sql.DB, query string, args ...any) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if db == nil {
		return errors.New("no database")
	}
	text := fmt.Sprint(query, args)
	j.asked = append(j.asked, text)
	return j.err[text]
}

func TestAQueryThatIsNotAdmittedIsNotSent(t *testing.T) {
	server := ordersServer(t)
	check := sqlCheck(server.DB, "SELECT id FROM t WHERE v > ?; -- all of them")
	check.Args = []any{1}
	check.Population, check.PopulationArgs = "SELECT COUNT(*) FROM t WHERE v < ?", []any{100}
	j := &judge{err: map[string]error{}}
	check.Admit = j
	require.Equal(t, Inconsistent, runOne(t.Context(), t, check).Outcome)
	require.Equal(t, []string{"SELECT id FROM t WHERE v > ?[1]", "SELECT COUNT(*) FROM t WHERE v < ?[100]"}, j.asked, "once for each run, as they are sent")

	check.Query = "SELECT id FROM missing WHERE v > ?" // were it sent, the error would be another one
	for what, refused := range map[string]string{"query": "SELECT id FROM missing WHERE v > ?[1]", "population": "SELECT COUNT(*) FROM t WHERE v < ?[100]"} {
		j.err = map[string]error{refused: errors.New("it reads 200000 rows, 100 are allowed")}
		r := runOne(t.Context(), t, check)
		require.Equal(t, Unknown, r.Outcome)
		require.Equal(t, what+": it was not sent, because it was not admitted: it reads 200000 rows, 100 are allowed", r.Reason)
		require.Equal(t, 1, r.Errors, "trying again cannot mend it")
	}
	j.err = map[string]error{"SELECT id FROM missing WHERE v > ?[1]": errors.New("Error 1040: Too many connections")}
	require.Equal(t, 2, runOne(t.Context(), t, check).Errors, "the judge could not be asked: that may pass")
}
