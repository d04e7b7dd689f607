package explainguard_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// seen collects the statements of a recorder.
type seen struct {
	mu   sync.Mutex
	list []*explainguard.Statement
	open int // begun, not ended
}

func watch(rec *explainguard.Recorder) *seen {
	s := &seen{}
	explainguard.Observe(rec, &explainguard.Told{
		Begin: func(*explainguard.Statement) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.open++
		},
		End: func(st *explainguard.Statement) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.open--
			s.list = append(s.list, st)
		},
	})
	return s
}

// take returns what was seen since the last time.
func (s *seen) take(t testing.TB) []*explainguard.Statement {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Zero(t, s.open, "every begin has its end")
	list := s.list
	s.list = nil
	return list
}

// wrappedPool opens a pool on the server through the wrapper.
func wrappedPool(tb testing.TB, dsn string, rec *explainguard.Recorder, change func(*mysql.Config)) *sql.DB {
	tb.Helper()
	config, err := mysql.ParseDSN(dsn)
	require.NoError(tb, err)
	if change != nil {
		change(config)
	}
	connector, err := mysql.NewConnector(config)
	require.NoError(tb, err)
	db := sql.OpenDB(explainguard.Wrap(connector, rec))
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	return db
}

func TestCaptureStatementsOnce(t *testing.T) {
	s := servers.MySQL(t)
	for _, interpolate := range []bool{false, true} {
		rec := &explainguard.Recorder{}
		saw := watch(rec)
		db := wrappedPool(t, s.DSN, rec, func(c *mysql.Config) { c.InterpolateParams = interpolate })
		ctx := context.Background()

		var n int
		require.NoError(t, db.QueryRowContext(ctx, "SELECT 1").Scan(&n))
		require.NoError(t, db.QueryRowContext(ctx, "SELECT ? + ?", 1, uint8(2)).Scan(&n))
		require.Equal(t, 3, n)
		_, err := db.ExecContext(ctx, "DO ?", []byte("x"))
		require.NoError(t, err)
		got := saw.take(t)
		require.Len(t, got, 3)
		require.Equal(t, "SELECT 1", got[0].Query)
		require.Nil(t, got[0].Args)
		require.Equal(t, "SELECT ? + ?", got[1].Query)
		require.Equal(t, []any{int64(1), uint64(2)}, got[1].Args)
		require.Equal(t, []any{[]byte("x")}, got[2].Args)
		require.True(t, got[2].Exec)
		for _, st := range got {
			require.False(t, st.Prepared)
			require.False(t, st.InTx)
			require.True(t, st.Sent)
			require.Positive(t, st.Took)
			require.NotEmpty(t, st.Callers())
		}

		stmt, err := db.PrepareContext(ctx, "SELECT ?")
		require.NoError(t, err)
		tx, err := db.BeginTx(ctx, nil)
		require.NoError(t, err)
		require.NoError(t, tx.StmtContext(ctx, stmt).QueryRow(5).Scan(&n))
		require.NoError(t, tx.Commit())
		require.NoError(t, stmt.QueryRow(6).Scan(&n))
		require.NoError(t, stmt.Close())
		got = saw.take(t)
		require.Len(t, got, 2)
		require.True(t, got[0].Prepared)
		require.True(t, got[0].InTx)
		require.True(t, got[1].Prepared)
		require.False(t, got[1].InTx)

		db.SetMaxOpenConns(1)
		tx, err = db.BeginTx(ctx, nil)
		require.NoError(t, err)
		require.NoError(t, tx.Rollback())
		require.NoError(t, db.QueryRowContext(ctx, "SELECT 1").Scan(&n))
		require.False(t, saw.take(t)[0].InTx, "on the connection of a transaction that was rolled back")
	}
}

// Programs use byte slices again while the statement is still of interest.
func TestCaptureCopiesArguments(t *testing.T) {
	for _, skip := range []bool{false, true} {
		rec := &explainguard.Recorder{}
		saw := watch(rec)
		f := &fakeServer{conn: connKinds["all"], skip: skip, check: func(v any) (any, error) { return v, nil }}
		db := sql.OpenDB(explainguard.Wrap(f, rec))
		raw, doc := []byte("raw"), json.RawMessage("{}")
		_, err := db.Exec("INSERT ?, ?, ?, ?", raw, doc, []byte(nil), sql.Named("n", 5))
		if skip { // the fake's prepared statements know no names
			require.Error(t, err)
		} else {
			require.NoError(t, err)
		}
		raw[0], doc[0] = 'X', 'X'
		require.Equal(t, []any{[]byte("raw"), json.RawMessage("{}"), []byte(nil), sql.Named("n", 5)}, saw.take(t)[0].Args)
		require.NoError(t, db.Close())
	}
}

// Whatever becomes of a statement, its begin has one end.
func TestCaptureEndsWhatItBegan(t *testing.T) {
	s := servers.MySQL(t)
	rec := &explainguard.Recorder{}
	saw := watch(rec)
	db := wrappedPool(t, s.DSN, rec, nil)
	ctx := context.Background()

	_, err := db.Exec("SELEC ?", 1) // fails when it is prepared
	require.Error(t, err)
	got := saw.take(t)
	require.Len(t, got, 1)
	require.Equal(t, err, got[0].Err)
	require.True(t, got[0].Sent)

	_, err = db.Exec("DO ?", 1, 2) // prepared, but never sent
	require.ErrorContains(t, err, "expected 1 arguments, got 2")
	got = saw.take(t)
	require.Len(t, got, 1)
	require.Equal(t, driver.ErrSkip, got[0].Err)
	require.False(t, got[0].Sent)

	_, err = db.Prepare("SELEC ?") // nothing was run
	require.Error(t, err)
	require.Empty(t, saw.take(t))

	conn, err := db.Conn(ctx) // a program that takes ErrSkip for an answer
	require.NoError(t, err)
	require.Equal(t, driver.ErrSkip, conn.Raw(func(dc any) error {
		_, err := dc.(driver.QueryerContext).QueryContext(ctx, "SELECT ?", []driver.NamedValue{{Ordinal: 1, Value: int64(1)}})
		return err
	}))
	require.NoError(t, conn.Close())
	got = saw.take(t)
	require.Len(t, got, 1)
	require.False(t, got[0].Sent)

	// Calls without a context, as some programs make on the raw connection.
	conn, err = db.Conn(ctx)
	require.NoError(t, err)
	require.NoError(t, conn.Raw(func(dc any) error {
		_, err := dc.(driver.Execer).Exec("DO 1", nil) //nolint:staticcheck // it is what programs may do
		if err != nil {
			return err
		}
		rows, err := dc.(driver.Queryer).Query("SELECT 1", nil) //nolint:staticcheck // it is what programs may do
		if err != nil {
			return err
		}
		if err := rows.Close(); err != nil {
			return err
		}
		stmt, err := dc.(driver.Conn).Prepare("DO ?")
		if err != nil {
			return err
		}
		_, err = stmt.Exec([]driver.Value{int64(5)}) //nolint:staticcheck // it is what programs may do
		return errors.Join(err, stmt.Close())
	}))
	require.NoError(t, conn.Close())
	got = saw.take(t)
	require.Len(t, got, 3)
	require.Equal(t, []any{int64(5)}, got[2].Args)
	require.NotNil(t, got[2].Context())
}

// Two goroutines may share a transaction; each statement keeps its own arguments and is recorded once.
func TestCaptureOfASharedTransaction(t *testing.T) {
	s := servers.MySQL(t)
	rec := &explainguard.Recorder{}
	saw := watch(rec)
	db := wrappedPool(t, s.DSN, rec, nil)
	tx, err := db.Begin()
	require.NoError(t, err)
	var wg sync.WaitGroup
	const each = 40
	for g := range 4 {
		wg.Go(func() {
			for i := range each {
				if _, err := tx.Exec(fmt.Sprintf("DO ?, %d", i%2), g*each+i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, tx.Rollback())
	args := map[any]bool{}
	for _, st := range saw.take(t) {
		require.True(t, st.InTx)
		require.True(t, st.Sent)
		args[st.Args[0]] = true
		require.Equal(t, fmt.Sprintf("DO ?, %d", st.Args[0].(int64)%each%2), st.Query)
	}
	require.Len(t, args, 4*each)
}

func askFromHere(db *sql.DB) error { return db.QueryRow("SELECT ?", 1).Scan(new(int)) }

// The callers are those of the program, however the statement came to be sent.
func TestCaptureKnowsTheCallers(t *testing.T) {
	for _, skip := range []bool{false, true} {
		rec := &explainguard.Recorder{}
		saw := watch(rec)
		db := sql.OpenDB(explainguard.Wrap(&fakeServer{conn: connKinds["all"], skip: skip}, rec))
		require.NoError(t, askFromHere(db))
		stmt, err := db.Prepare("SELECT ?")
		require.NoError(t, err)
		require.NoError(t, stmt.QueryRow(1).Scan(new(int)))
		_, err = stmt.Exec(1)
		require.NoError(t, err)
		_, err = db.Exec("DO ?", 1)
		require.NoError(t, err)
		require.NoError(t, stmt.Close())
		require.NoError(t, db.Close())
		for i, st := range saw.take(t) {
			frames := runtime.CallersFrames(st.Callers())
			first, _ := frames.Next()
			require.Truef(t, strings.HasPrefix(first.Function, "database/sql.ctxDriver"), "statement %d: the wrapper's own frames are left out, and no others: %s", i, first.Function)
			var functions []string
			for more := true; more; {
				var f runtime.Frame
				f, more = frames.Next()
				functions = append(functions, f.Function)
			}
			mine := "github.com/tashikame-go/tashikame/explainguard_test.TestCaptureKnowsTheCallers"
			require.Contains(t, functions, mine)
			if i == 0 {
				at := slices.Index(functions, mine)
				require.Equal(t, "github.com/tashikame-go/tashikame/explainguard_test.askFromHere", functions[at-1])
			}
		}
	}
}

// On the program's own connection an observer sees what is not committed yet, and the program notices nothing.
func TestCaptureLendsTheIdleConnection(t *testing.T) {
	s := servers.MySQL(t)
	_, err := s.DB.Exec("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, n INT)")
	require.NoError(t, err)
	for _, interpolate := range []bool{false, true} {
		rec := &explainguard.Recorder{}
		var mu sync.Mutex
		var rows []int
		var ran []string
		lent := &explainguard.ToldIdle{
			Wants: func(s *explainguard.Statement) bool { return s.Query != "SELECT 'unwanted'" },
			Idle: func(s *explainguard.Statement, raw driver.Conn) {
				mu.Lock()
				defer mu.Unlock()
				ran = append(ran, s.Query)
				db := explainguard.OnConn(raw)
				defer db.Close()
				// The statement's context carries a Recorder: what observers send is not told to anybody.
				ctx := context.WithoutCancel(s.Context())
				var n int
				if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM t WHERE id > ?", 0).Scan(&n); err != nil {
					t.Error(err)
				}
				rows = append(rows, n)
				if _, err := db.BeginTx(ctx, nil); err == nil {
					t.Error("the program's transaction would be committed")
				}
			},
		}
		explainguard.Observe(rec, lent)
		saw := watch(rec)
		db := wrappedPool(t, s.DSN, rec, func(c *mysql.Config) { c.InterpolateParams = interpolate })
		db.SetMaxOpenConns(1)
		ctx := explainguard.WithRecorder(t.Context(), rec)
		tx, err := db.BeginTx(ctx, nil)
		require.NoError(t, err)
		for i := range 3 {
			result, err := tx.ExecContext(ctx, "INSERT INTO t (n) VALUES (?)", i)
			require.NoError(t, err)
			id, err := result.LastInsertId()
			require.NoError(t, err)
			require.Positive(t, id)
		}
		r, err := tx.QueryContext(ctx, "SELECT n FROM t WHERE n >= ?", 0)
		require.NoError(t, err)
		require.True(t, r.Next())
		mu.Lock()
		require.Len(t, ran, 3, "not before the rows are closed")
		mu.Unlock()
		require.NoError(t, r.Close())
		require.NoError(t, tx.QueryRowContext(ctx, "SELECT 'unwanted'").Scan(new(string)))
		require.NoError(t, tx.Rollback())
		require.Equal(t, []int{1, 2, 3, 3}, rows)
		require.Len(t, saw.take(t), 5)

		_, err = db.ExecContext(ctx, "DO nonsense(")
		require.Error(t, err)
		require.Len(t, ran, 4, "nothing to lend after an error")

		explainguard.Unobserve(rec, lent)
		require.NoError(t, db.QueryRowContext(ctx, "SELECT COUNT(*) FROM t").Scan(new(int)))
		require.Len(t, ran, 4)
	}
}

// Libraries that take a driver's name and a DSN find one that tells the context's Recorder.
func TestCaptureByDriverName(t *testing.T) {
	s := servers.MySQL(t)
	db, err := sql.Open(explainguard.DriverName, s.DSN)
	require.NoError(t, err)
	defer db.Close()
	rec := &explainguard.Recorder{}
	saw := watch(rec)
	require.NoError(t, db.QueryRow("SELECT 1").Scan(new(int)))
	require.Empty(t, saw.take(t), "nobody's")
	require.NoError(t, db.QueryRowContext(explainguard.WithRecorder(t.Context(), rec), "SELECT 1").Scan(new(int)))
	require.Len(t, saw.take(t), 1)
	require.IsType(t, &mysql.MySQLDriver{}, db.Driver())

	_, err = sql.Open(explainguard.DriverName, "no DSN")
	require.Error(t, err, "at once, as with the driver itself")
}

// countingObserver is another value each time.
type countingObserver struct{ n *int64 }

// Value implements driver.Valuer.
func (c countingObserver) Value() (driver.Value, error) {
	*c.n++
	return *c.n, nil
}

// database/sql asks for values again when it prepares what the driver declined: those that were sent are recorded.
func TestCaptureRecordsTheArgumentsThatWereSent(t *testing.T) {
	s := servers.MySQL(t)
	rec := &explainguard.Recorder{}
	saw := watch(rec)
	for _, interpolate := range []bool{false, true} {
		db := wrappedPool(t, s.DSN, rec, func(c *mysql.Config) { c.InterpolateParams = interpolate })
		var n, got int64
		require.NoError(t, db.QueryRow("SELECT ?", countingObserver{&n}).Scan(&got))
		require.Equal(t, []any{got}, saw.take(t)[0].Args)
	}
}

// A dead connection costs database/sql a try: each try is a statement, and only the one that was sent says so.
func TestCaptureTellsTriesApart(t *testing.T) {
	dead := map[string]bool{}
	f := &fakeServer{conn: connKinds["all"], stmt: stmtKinds["all"], fails: func(call string) error {
		kind, _, _ := strings.Cut(call, "context")
		if strings.Contains(call, "context ") && !strings.HasPrefix(call, "with") && !dead[kind] {
			dead[kind] = true
			return driver.ErrBadConn
		}
		return nil
	}}
	rec := &explainguard.Recorder{}
	saw := watch(rec)
	db := sql.OpenDB(explainguard.Wrap(f, rec))
	defer db.Close()
	stmt, err := db.Prepare("prepared")
	require.NoError(t, err)
	defer stmt.Close()
	for name, run := range map[string]func() error{
		"exec":           func() error { _, err := db.Exec("DO 1"); return err },
		"query":          func() error { return db.QueryRow("SELECT 1").Scan(new(int)) },
		"prepared exec":  func() error { _, err := stmt.Exec(); return err },
		"prepared query": func() error { return stmt.QueryRow().Scan(new(int)) },
	} {
		require.NoError(t, run(), name)
		tries := saw.take(t)
		require.Len(t, tries, 2, name)
		require.False(t, tries[0].Sent, name)
		require.Equal(t, driver.ErrBadConn, tries[0].Err, name)
		require.True(t, tries[1].Sent, name)
		require.NotEqual(t, tries[0].Conn, tries[1].Conn, name)
	}
}
