package explainguard_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/bench"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// quick is a driver that costs next to nothing, so that what the wrapper adds is seen.
type quick struct{ skip bool }

func (q quick) Connect(context.Context) (driver.Conn, error) { return quickConn(q), nil }
func (q quick) Driver() driver.Driver                        { return nil }

type quickConn struct{ skip bool }

func (c quickConn) Prepare(string) (driver.Stmt, error) { return quickStmt{}, nil }
func (c quickConn) Close() error                        { return nil }
func (c quickConn) Begin() (driver.Tx, error)           { return nil, driver.ErrSkip }
func (c quickConn) QueryContext(_ context.Context, _ string, args []driver.NamedValue) (driver.Rows, error) {
	if c.skip && len(args) > 0 {
		return nil, driver.ErrSkip
	}
	return &quickRows{}, nil
}

type quickStmt struct{}

func (quickStmt) Close() error                               { return nil }
func (quickStmt) NumInput() int                              { return 2 }
func (quickStmt) Exec([]driver.Value) (driver.Result, error) { return driver.ResultNoRows, nil }
func (quickStmt) Query([]driver.Value) (driver.Rows, error)  { return &quickRows{}, nil }
func (quickStmt) QueryContext(context.Context, []driver.NamedValue) (driver.Rows, error) {
	return &quickRows{}, nil
}

type quickRows struct{ fakeRows }

const benchmarked = "SELECT total FROM orders WHERE customer_id = ? AND state = ?"

func ask(db *sql.DB) error {
	rows, err := db.QueryContext(context.Background(), benchmarked, 7, "open")
	if err != nil {
		return err
	}
	return rows.Close()
}

// quickPools are the same driver plain and wrapped.
func quickPools(tb testing.TB, skip bool) (plain, wrapped *sql.DB) {
	plain = sql.OpenDB(quick{skip})
	rec := &explainguard.Recorder{}
	explainguard.Observe(rec, &explainguard.Told{})
	wrapped = sql.OpenDB(explainguard.Wrap(quick{skip}, rec))
	tb.Cleanup(func() {
		require.NoError(tb, plain.Close())
		require.NoError(tb, wrapped.Close())
	})
	return plain, wrapped
}

// BenchmarkCaptureStatement is what a captured statement costs: ours − floor, floor being the same statement on the plain
// driver. The rows named skip are statements that the driver declines and database/sql prepares.
func BenchmarkCaptureStatement(b *testing.B) {
	const ops = 20_000
	repeat := func(db *sql.DB, n int) func() error {
		return func() error {
			for range n {
				if err := ask(db); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for _, skip := range []bool{false, true} {
		plain, wrapped := quickPools(b, skip)
		bench.Benchmark{Name: map[bool]string{false: "capture/statement", true: "capture/statement/skip"}[skip], Runs: 9, Ops: ops, Allocs: true, Ours: repeat(wrapped, ops), Floor: repeat(plain, ops)}.Run(b)
	}

	s := servers.MySQL(b)
	_, err := s.DB.Exec("CREATE TABLE orders (id INT PRIMARY KEY, customer_id INT, state VARCHAR(9), total INT)")
	require.NoError(b, err)
	rec := &explainguard.Recorder{}
	explainguard.Observe(rec, &explainguard.Told{})
	const sent = 2_000
	bench.Benchmark{
		Name: "capture/statement/mysql", Runs: 5, Ops: sent, Allocs: true,
		Ours: repeat(wrappedPool(b, s.DSN, rec, nil), sent), Floor: repeat(openDSN(b, s.DSN, nil), sent),
	}.Run(b)
}

func TestCaptureCostsFewAllocations(t *testing.T) {
	for _, skip := range []bool{false, true} {
		plain, wrapped := quickPools(t, skip)
		count := func(db *sql.DB) float64 {
			return testing.AllocsPerRun(200, func() { require.NoError(t, ask(db)) })
		}
		floor, ours := count(plain), count(wrapped)
		t.Logf("skip %v: %.0f allocations, %.0f on the plain driver", skip, ours, floor)
		require.LessOrEqual(t, ours-floor, 5.0)
	}
}
