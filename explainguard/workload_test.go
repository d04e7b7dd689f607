package explainguard_test

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// suiteT is a test inside a test: it records what it is told, and runs its cleanups when it ends.
type suiteT struct {
	testing.TB
	name     string
	mu       sync.Mutex
	errors   []string
	logs     []string
	fatal    string
	cleanups []func()
}

func (s *suiteT) Helper()      {}
func (s *suiteT) Name() string { return s.name }

func (s *suiteT) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, f)
}

func (s *suiteT) Errorf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errors = append(s.errors, fmt.Sprintf(format, args...))
}

func (s *suiteT) Logf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs = append(s.logs, fmt.Sprintf(format, args...))
}

func (s *suiteT) Fatalf(format string, args ...any) {
	s.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (s *suiteT) log() string { return strings.Join(s.logs, "\n") }

// inTest runs a test to its end.
func inTest(t testing.TB, f func(tb *suiteT)) *suiteT {
	t.Helper()
	tb := &suiteT{TB: t, name: "TestSuite/" + t.Name()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for i := len(tb.cleanups) - 1; i >= 0; i-- {
				tb.cleanups[i]()
			}
		}()
		f(tb)
	}()
	<-done
	return tb
}

func exec(tb testing.TB, db interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}, query string, args ...any) {
	tb.Helper()
	_, err := db.ExecContext(context.Background(), query, args...)
	require.NoError(tb, err, query)
}

func ints(tb testing.TB, db interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}, query string, args ...any) []int {
	tb.Helper()
	rows, err := db.QueryContext(context.Background(), query, args...)
	require.NoError(tb, err, query)
	defer rows.Close()
	var all []int
	for rows.Next() {
		var n int
		require.NoError(tb, rows.Scan(&n))
		all = append(all, n)
	}
	require.NoError(tb, rows.Err())
	return all
}

// bookings is a database with a small and a large tenant.
func bookings(tb testing.TB) *servers.MySQLServer {
	tb.Helper()
	s := servers.MySQL(tb)
	for _, q := range []string{
		"CREATE TABLE bookings (id INT PRIMARY KEY AUTO_INCREMENT, tenant INT NOT NULL, note VARCHAR(40), KEY ix_tenant (tenant))",
		"CREATE TABLE guests (id INT PRIMARY KEY, booking_id INT NOT NULL, name VARCHAR(40), KEY ix_booking (booking_id))",
		"CREATE TABLE empty_one (id INT PRIMARY KEY, n INT)",
		"SET SESSION cte_max_recursion_depth = 100000",
		"INSERT INTO bookings (tenant, note) SELECT IF(n <= 3000, 1, 2 + n % 500), CONCAT('メモ', n) FROM (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 4000) SELECT n FROM s) x",
		"INSERT INTO guests SELECT id, id, note FROM bookings",
		"ANALYZE TABLE bookings, guests",
	} {
		conn, err := s.DB.Conn(context.Background())
		require.NoError(tb, err)
		exec(tb, conn, "SET SESSION cte_max_recursion_depth = 100000")
		exec(tb, conn, q)
		require.NoError(tb, conn.Close())
	}
	return s
}

func TestSuiteWorstArgumentsCount(t *testing.T) {
	s := bookings(t)
	g := &explainguard.Guard{Budget: explainguard.Budget{RowsExamined: 1}} // all fail, one by far
	tb := inTest(t, func(tb *suiteT) {
		db := g.Open(tb, s.DSN)
		for _, tenant := range []int{2, 3, 1, 4} { // 1 is the large one
			ints(tb, db, "SELECT id FROM bookings WHERE tenant = ?", tenant)
		}
	})
	require.Len(t, tb.errors, 1, tb.errors)
	require.Contains(t, tb.errors[0], "rows-budget")
	require.Contains(t, tb.errors[0], "workload_test.go:")
	require.Contains(t, tb.errors[0], ", run 4 times")
	require.Contains(t, tb.errors[0], "arguments: 1")
	require.Contains(t, tb.log(), "4 statements of 1 shapes from 1 places: 0 pass, 1 fail, 0 could not be told")
}

func TestSuitePasses(t *testing.T) {
	s := bookings(t)
	g := &explainguard.Guard{}
	tb := inTest(t, func(tb *suiteT) {
		db := g.Open(tb, s.DSN)
		require.NotEmpty(tb, ints(tb, db, "SELECT id FROM bookings WHERE tenant = ?", 2))
		exec(tb, db, "INSERT INTO bookings (tenant, note) VALUES (?, ?), (?, ?)", 7, "a;b?", 8, []byte("x"))
		exec(tb, db, "UPDATE bookings SET note = ? WHERE id = ?", "it's", 5)
		exec(tb, db, "DELETE FROM bookings WHERE id = ?", 6)
		exec(tb, db, "SET SESSION sort_buffer_size = 300000")
		exec(tb, db, "CREATE TABLE fresh (id INT PRIMARY KEY)")
		require.Empty(tb, ints(tb, db, "SELECT id FROM bookings WHERE id = ?", 999999)) // no such row
		require.Empty(tb, ints(tb, db, "SELECT id FROM fresh WHERE id = ?", 1))         // no row at all
		var n int
		require.NoError(tb, db.QueryRow("SELECT COUNT(*) FROM bookings WHERE note LIKE ?", "%1").Scan(&n))
		_, err := db.Exec("INSERT INTO bookings (id, tenant) VALUES (1, 1)")
		require.Error(tb, err)
	})
	require.Empty(t, tb.errors)
	require.Contains(t, tb.log(), "0 fail, 0 could not be told; 1 failed themselves and are not judged as good; without a plan: CREATE TABLE ×1, SET ×1")
}
