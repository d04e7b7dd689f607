package explainguard_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

var errTooLong = &mysql.MySQLError{Number: 3024, SQLState: [5]byte{'H', 'Y', '0', '0', '0'}, Message: "Query execution was interrupted, maximum statement execution time exceeded"}

// faulty opens a wrapped pool on a fake server whose connections have all methods.
func faulty(t *testing.T, f *fakeServer) (*sql.DB, *explainguard.Recorder) {
	t.Helper()
	if f.conn == nil {
		f.conn = connKinds["all"]
	}
	rec := &explainguard.Recorder{}
	db := sql.OpenDB(explainguard.Wrap(f, rec))
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db, rec
}

func arm(t *testing.T, rec *explainguard.Recorder, faults ...explainguard.Fault) (disarm func() error) {
	t.Helper()
	disarm, err := rec.Arm(faults...)
	require.NoError(t, err)
	return disarm
}

// sent are the calls that are statements.
func sent(calls []string) (statements []string) {
	for _, c := range calls {
		if strings.HasPrefix(c, "query") || strings.HasPrefix(c, "exec") || strings.HasPrefix(c, "statement") {
			statements = append(statements, c)
		}
	}
	return statements
}

func TestFaultChoosesStatements(t *testing.T) {
	boom := errors.New("boom")
	queries := []string{"SELECT a FROM t", "SELECT b FROM t", "SELECT a FROM u", "SELECT a FROM t"}
	for name, c := range map[string]struct {
		fault explainguard.Fault
		fails []int // indexes
	}{
		"text":              {explainguard.Fault{Contains: "FROM t"}, []int{0, 1, 3}},
		"text and pattern":  {explainguard.Fault{Contains: "FROM t", Pattern: regexp.MustCompile("^SELECT a")}, []int{0, 3}},
		"function":          {explainguard.Fault{Match: func(s *explainguard.Statement) bool { return s.Args[0] == int64(2) }}, []int{2}},
		"the second":        {explainguard.Fault{Contains: "FROM t", Skip: 1, Times: 1}, []int{1}},
		"all but the first": {explainguard.Fault{Contains: "FROM t", Skip: 1}, []int{1, 3}},
		"twice":             {explainguard.Fault{Contains: "SELECT", Times: 2}, []int{0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeServer{}
			db, rec := faulty(t, f)
			saw := watch(rec)
			c.fault.Err = boom
			disarm := arm(t, rec, c.fault)
			var fails []int
			for i, q := range queries {
				if err := db.QueryRow(q, i).Scan(new(int)); err != nil {
					require.Equal(t, boom, err)
					fails = append(fails, i)
				}
			}
			require.Equal(t, c.fails, fails)
			require.Len(t, sent(f.take()), len(queries)-len(fails), "what fails before it is sent does not reach the server")
			for i, s := range saw.take(t) {
				require.Equal(t, s.Err == nil, s.Sent, i)
			}
			require.NoError(t, disarm())
			require.NoError(t, db.QueryRow(queries[0], 2).Scan(new(int)), "a disarmed fault is gone")
			require.NoError(t, disarm())
		})
	}
}

// A statement that the driver declines and database/sql prepares is struck once, not once per try.
func TestFaultStrikesAPreparedStatementOnce(t *testing.T) {
	f := &fakeServer{skip: true}
	db, rec := faulty(t, f)
	disarm := arm(t, rec, explainguard.Fault{Contains: "?", Skip: 1, Times: 1, Err: errTooLong, When: explainguard.AfterExecution})
	for i := range 3 {
		err := db.QueryRow("SELECT ?", i).Scan(new(int))
		require.Equal(t, i == 1, err != nil, i)
	}
	require.NoError(t, disarm())

	stmt, err := db.Prepare("DO ?")
	require.NoError(t, err)
	disarm = arm(t, rec, explainguard.Fault{Contains: "DO", Skip: 1, Times: 1, Err: errTooLong})
	for i := range 3 {
		_, err := stmt.Exec(i)
		require.Equal(t, i == 1, err != nil, i)
	}
	require.NoError(t, stmt.Close())
	require.NoError(t, disarm())
}

func TestFaultDelayHonoursTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{}
		db, rec := faulty(t, f)
		disarm := arm(t, rec, explainguard.Fault{Contains: "slow", Delay: time.Second})
		start := time.Now()
		require.NoError(t, db.QueryRow("slow").Scan(new(int)))
		require.Equal(t, time.Second, time.Since(start))
		require.NotEmpty(t, sent(f.take()))

		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		start = time.Now()
		require.Equal(t, context.DeadlineExceeded, db.QueryRowContext(ctx, "slow").Scan(new(int)))
		require.Equal(t, 300*time.Millisecond, time.Since(start))
		calls := f.take()
		require.Empty(t, sent(calls))
		require.Contains(t, calls, "close", "the connection is lost, as with go-sql-driver/mysql")
		require.NoError(t, disarm())
	})
}

// "The first query passes, the second hangs."
func TestFaultHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, rec := faulty(t, &fakeServer{})
		hang := explainguard.Fault{Contains: "FROM customers", Skip: 1, Delay: explainguard.Hang}
		disarm := arm(t, rec, hang)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		require.NoError(t, db.QueryRowContext(ctx, "SELECT id FROM customers").Scan(new(int)))
		require.Equal(t, context.DeadlineExceeded, db.QueryRowContext(ctx, "SELECT * FROM customers").Scan(new(int)))
		require.NoError(t, disarm())

		// Without a deadline it is the program that is at fault, and the test neither waits forever nor passes.
		hang.Skip = 0
		disarm = arm(t, rec, hang)
		start := time.Now()
		err := db.QueryRow("SELECT 1 FROM customers").Scan(new(int))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Zero(t, time.Since(start))
		require.ErrorContains(t, disarm(), "its context can never end")

		disarm = arm(t, rec, hang)
		err = db.QueryRowContext(t.Context(), "SELECT 1 FROM customers").Scan(new(int))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(start))
		require.ErrorContains(t, disarm(), "had not ended after 1m0s")
	})
}

func TestFaultDropsTheConnection(t *testing.T) {
	f := &fakeServer{}
	db, rec := faulty(t, f)
	db.SetMaxOpenConns(1)

	// As a server that goes away while it works.
	disarm := arm(t, rec, explainguard.Fault{Contains: "UPDATE", Times: 1, Drop: true, When: explainguard.AfterExecution})
	tx, err := db.Begin()
	require.NoError(t, err)
	_, err = tx.Exec("UPDATE t")
	require.ErrorIs(t, err, mysql.ErrInvalidConn)
	_, err = tx.Exec("SELECT 1")
	require.ErrorIs(t, err, driver.ErrBadConn, "the transaction is lost with it")
	_, err = tx.Prepare("SELECT 1")
	require.ErrorIs(t, err, driver.ErrBadConn)
	_ = tx.Rollback()
	require.NoError(t, disarm())
	calls := f.take()
	require.Equal(t, []string{"exec context UPDATE t []"}, sent(calls))
	require.Equal(t, 1, howOften(calls, "close"))
	require.NoError(t, db.Ping())
	require.Equal(t, 1, howOften(f.take(), "connect"))

	// As a connection that has died unnoticed: database/sql tries again on another one, and the program notices nothing.
	saw := watch(rec)
	disarm = arm(t, rec, explainguard.Fault{Contains: "SELECT", Times: 1, Drop: true, Err: driver.ErrBadConn})
	require.NoError(t, db.QueryRow("SELECT 1").Scan(new(int)))
	require.NoError(t, disarm())
	statements := saw.take(t)
	require.Len(t, statements, 2)
	require.False(t, statements[0].Sent)
	require.True(t, statements[1].Sent)
	require.NotEqual(t, statements[0].Conn, statements[1].Conn)
}

func howOften(list []string, item string) (n int) {
	for _, x := range list {
		if x == item {
			n++
		}
	}
	return n
}

func TestFaultOnTransactions(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		fault explainguard.Fault
		calls []string
	}{
		{explainguard.Fault{On: explainguard.OnBegin}, nil},
		{explainguard.Fault{On: explainguard.OnBegin, When: explainguard.AfterExecution}, []string{"begin {0 false}", "rollback"}},
		{explainguard.Fault{On: explainguard.OnCommit}, []string{"begin {0 false}", "rollback"}},
		{explainguard.Fault{On: explainguard.OnCommit, When: explainguard.AfterExecution}, []string{"begin {0 false}", "commit"}},
		{explainguard.Fault{On: explainguard.OnRollback}, []string{"begin {0 false}", "rollback"}},
	} {
		f := &fakeServer{}
		db, rec := faulty(t, f)
		c.fault.Err = boom
		disarm := arm(t, rec, c.fault)
		tx, err := db.Begin()
		if err == nil {
			if c.fault.On == explainguard.OnCommit {
				err = tx.Commit()
			} else {
				err = tx.Rollback()
			}
		}
		require.Equal(t, boom, err)
		require.NoError(t, disarm())
		var calls []string
		for _, call := range f.take() {
			if strings.HasPrefix(call, "begin") || call == "commit" || call == "rollback" {
				calls = append(calls, call)
			}
		}
		require.Equal(t, c.calls, calls, "%s %s", c.fault.On, c.fault.When)
	}
}

func TestFaultThatMakesNoSenseIsRefused(t *testing.T) {
	boom := errors.New("boom")
	rec := &explainguard.Recorder{}
	for want, f := range map[string]explainguard.Fault{
		"set Contains, Pattern or Match":     {Err: boom},
		"nothing happens":                    {Contains: "x"},
		"Skip is negative (-1)":              {Contains: "x", Err: boom, Skip: -1},
		"Times is negative (-2)":             {Contains: "x", Err: boom, Times: -2},
		"Delay is negative":                  {Contains: "x", Delay: -1},
		"AfterRows is negative":              {Contains: "x", Err: boom, When: explainguard.InRows, AfterRows: -1},
		"AfterRows needs When: InRows":       {Contains: "x", Err: boom, AfterRows: 1},
		"no moment When(9)":                  {Contains: "x", Err: boom, When: 9},
		"nothing to strike called Target(9)": {Err: boom, On: 9},
		"choose by Skip and Times":           {Contains: "x", Err: boom, On: explainguard.OnCommit},
		"a COMMIT has no rows":               {Err: boom, On: explainguard.OnCommit, When: explainguard.InRows},
	} {
		_, err := rec.Arm(explainguard.Fault{Contains: "fine", Err: boom}, f)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "fault 2 (")
	}
	_, err := (*explainguard.Recorder)(nil).Arm(explainguard.Fault{Contains: "x", Err: boom})
	require.ErrorContains(t, err, "the Recorder is nil")

	// None of the good ones is armed beside a bad one.
	db := sql.OpenDB(explainguard.Wrap(&fakeServer{}, rec))
	defer db.Close()
	require.NoError(t, db.QueryRow("fine").Scan(new(int)))
}

func TestFaultThatNeverStruckIsReported(t *testing.T) {
	boom := errors.New("boom")
	db, rec := faulty(t, &fakeServer{})
	disarm := arm(t, rec,
		explainguard.Fault{Name: "absent", Contains: "no such", Err: boom},
		explainguard.Fault{Name: "late", Contains: "SELECT", Skip: 5, Err: boom},
		explainguard.Fault{Contains: "SELECT", Times: 1, Err: boom},
		explainguard.Fault{Pattern: regexp.MustCompile("^SELECT$"), Times: 1, Err: boom},
	)
	require.Equal(t, boom, db.QueryRow("SELECT").Scan(new(int)))
	err := disarm()
	require.ErrorContains(t, err, "fault absent never struck: no statement matched")
	require.ErrorContains(t, err, "fault late never struck: statements that matched: 1, and the first 5 are skipped")
	require.ErrorContains(t, err, "fault /^SELECT$/ never struck: statements that matched failed before it could: 1")
	require.NotContains(t, err.Error(), `"SELECT"`)
}

// faultT is a test whose end can be seen.
type faultT struct {
	fakeT
	fatal    []string
	cleanups []func()
}

func (f *faultT) Fatalf(format string, args ...any) { f.fatal = append(f.fatal, format) }
func (f *faultT) Cleanup(c func())                  { f.cleanups = append(f.cleanups, c) }

func TestInjectEndsWithTheTest(t *testing.T) {
	db, rec := faulty(t, &fakeServer{})
	ft := &faultT{}
	rec.Inject(ft, explainguard.Fault{Contains: "SELECT", Err: errTooLong}, explainguard.Fault{Contains: "no such", Err: errTooLong})
	require.Error(t, db.QueryRow("SELECT 1").Scan(new(int)))
	require.Empty(t, ft.errors)
	for _, c := range ft.cleanups {
		c()
	}
	require.Len(t, ft.errors, 1)
	require.Contains(t, ft.errors[0], `"no such" never struck`)
	require.NoError(t, db.QueryRow("SELECT 1").Scan(new(int)))

	ft = &faultT{}
	rec.Inject(ft, explainguard.Fault{})
	require.Len(t, ft.fatal, 1)
	require.Empty(t, ft.cleanups)
}

// Tests that run in parallel on one pool see their own statements and strike their own.
func TestRecordersOfContextsDoNotMix(t *testing.T) {
	pool := &explainguard.Recorder{}
	all := watch(pool)
	db := sql.OpenDB(explainguard.Wrap(&fakeServer{conn: connKinds["all"]}, pool))
	defer db.Close()
	const tests, statements = 8, 50
	var wg sync.WaitGroup
	for range tests {
		wg.Go(func() {
			rec := &explainguard.Recorder{}
			own := watch(rec)
			disarm, err := rec.Arm(explainguard.Fault{Contains: "SELECT", Skip: statements - 1, Err: errTooLong})
			if err != nil {
				t.Error(err)
				return
			}
			ctx := explainguard.WithRecorder(t.Context(), rec)
			for i := range statements {
				if err := db.QueryRowContext(ctx, "SELECT ?", i).Scan(new(int)); (err != nil) != (i == statements-1) {
					t.Error(i, err)
				}
			}
			if err := disarm(); err != nil {
				t.Error(err)
			}
			got := own.take(t)
			if len(got) != statements {
				t.Error(len(got))
			}
			for i, s := range got {
				if s.Args[0] != int64(i) || s.Context() == nil {
					t.Error(i, s.Args)
				}
			}
		})
	}
	wg.Wait()
	require.Len(t, all.take(t), tests*statements, "the pool's recorder hears all of them")

	// One recorder in both places hears a statement once.
	require.NoError(t, db.QueryRowContext(explainguard.WithRecorder(t.Context(), pool), "SELECT 1").Scan(new(int)))
	require.Len(t, all.take(t), 1)
	// And none is no reason to fail.
	require.NoError(t, db.QueryRowContext(explainguard.WithRecorder(t.Context(), nil), "SELECT 1").Scan(new(int)))
}

// The worst of errors: the statement was executed, the driver says that it was not, and database/sql runs it again.
func TestFaultAfterExecutionIsSent(t *testing.T) {
	f := &fakeServer{}
	db, rec := faulty(t, f)
	saw := watch(rec)
	disarm := arm(t, rec, explainguard.Fault{Contains: "INSERT", Times: 1, When: explainguard.AfterExecution, Err: driver.ErrBadConn})
	_, err := db.Exec("INSERT")
	require.NoError(t, err)
	require.Len(t, sent(f.take()), 2)
	for _, s := range saw.take(t) {
		require.True(t, s.Sent)
	}
	require.NoError(t, disarm())
}
