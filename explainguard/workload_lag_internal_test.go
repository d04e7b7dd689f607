package explainguard

import (
	"database/sql"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// lagging is a pool that a workload watches, and whose EXPLAINs the test holds up.
func lagging(t *testing.T) (db *sql.DB, w *workload, other *sql.DB) {
	t.Helper()
	s := servers.MySQL(t)
	for _, q := range []string{
		"CREATE TABLE seats (id INT PRIMARY KEY AUTO_INCREMENT, hall INT NOT NULL, KEY ix_hall (hall))",
		"INSERT INTO seats (hall) VALUES (1),(1),(1),(2),(2),(3),(4)",
		"ANALYZE TABLE seats",
	} {
		_, err := s.DB.Exec(q)
		require.NoError(t, err)
	}
	config, err := mysql.ParseDSN(s.DSN)
	require.NoError(t, err)
	connector, err := mysql.NewConnector(config)
	require.NoError(t, err)
	rec := &Recorder{}
	db = sql.OpenDB(Wrap(connector, rec))
	w = (&Guard{}).newWorkload(s.DB, false, rec)
	rec.observe(w)
	t.Cleanup(func() {
		w.catchUp(0)
		require.NoError(t, w.planner.close(t.Context()))
		require.NoError(t, db.Close())
	})
	return db, w, s.DB
}

// holdUp keeps EXPLAINs from starting until the returned function is called.
func (w *workload) holdUp() (goOn func()) {
	a, b := <-w.planner.seats, <-w.planner.seats
	return func() { w.planner.seats <- a; w.planner.seats <- b }
}

func TestAReadNeedNotWaitForItsPlanButAWriteDoes(t *testing.T) {
	db, w, _ := lagging(t)
	read := func(hall int) {
		var n int
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT MAX(id) FROM seats WHERE hall = ? AND id > 0", hall).Scan(&n))
	}
	read(1)
	require.Empty(t, w.behind, "the first plan of a statement is waited for")
	goOn := w.holdUp()
	read(2)
	require.Len(t, w.behind, 1)
	written := make(chan error)
	go func() {
		_, err := db.ExecContext(t.Context(), "DELETE FROM seats WHERE hall = ?", 2)
		written <- err
	}()
	select {
	case <-written:
		t.Fatal("the rows were deleted before the plan of the statement that read them was there")
	case <-time.After(200 * time.Millisecond):
	}
	goOn()
	require.NoError(t, <-written)
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Empty(t, w.behind)
	for _, tuple := range w.order[0].tuples {
		require.GreaterOrEqual(t, tuple.rows, 0.0, "each plan has been judged")
	}
	require.Len(t, w.order[0].tuples, 2)
}

func TestAPlanThatFailsBehindAReadIsAskedForAgain(t *testing.T) {
	db, w, other := lagging(t)
	read := func(hall int) error {
		var n sql.NullInt64
		return db.QueryRowContext(t.Context(), "SELECT MAX(id) FROM seats WHERE hall = ? AND id > 0", hall).Scan(&n)
	}
	require.NoError(t, read(1))
	goOn := w.holdUp()
	require.NoError(t, read(2))
	_, err := other.ExecContext(t.Context(), "RENAME TABLE seats TO gone")
	require.NoError(t, err)
	goOn()
	w.catchUp(0)
	e := w.order[0]
	require.NoError(t, e.err, "what became of the table after the statement is not held against it")
	require.Len(t, e.tuples, 1)
	_, err = other.ExecContext(t.Context(), "RENAME TABLE gone TO seats")
	require.NoError(t, err)
	require.NoError(t, read(2))
	require.Empty(t, w.behind, "its plans are waited for from now on")
	require.Len(t, e.tuples, 2)
	require.Equal(t, 3, e.calls)
}
