package explainguard_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// valuer is an argument that tells the server when it is asked for its value.
type valuer struct{ f *fakeServer }

// Value implements driver.Valuer.
func (v valuer) Value() (driver.Value, error) { return "valued", v.f.called("value") }

func (v valuer) String() string { return "valuer" }

// odd cannot be converted by default.
type odd struct{ n int }

// drive does to a pool what programs do and writes down what comes back.
func drive(db *sql.DB, f *fakeServer) (said []string) {
	say := func(what string, v ...any) { said = append(said, what+": "+fmt.Sprintln(v...)) }
	ctx := context.Background()
	say("ping", db.PingContext(ctx))

	type runner interface {
		ExecContext(context.Context, string, ...any) (sql.Result, error)
		QueryRowContext(context.Context, string, ...any) *sql.Row
	}
	use := func(who string, db runner) {
		for _, args := range [][]any{
			{}, {1}, {valuer{f}}, {sql.Named("name", 3)}, {odd{4}}, {1, 2}, {nil}, {[]byte("b")}, {time.Unix(5, 0).UTC()}, {uint64(1 << 63)},
		} {
			query := "?"
			if len(args) == 0 {
				query = "no args"
			}
			result, err := db.ExecContext(ctx, query, args...)
			say(who+" exec", err)
			if err == nil {
				n, err := result.RowsAffected()
				say("affected", n, err)
				id, err := result.LastInsertId()
				say("last id", id, err)
			}
			var n int
			say(who+" query", db.QueryRowContext(ctx, query, args...).Scan(&n), n)
		}
		canceled, cancel := context.WithCancel(ctx)
		cancel()
		_, err := db.ExecContext(canceled, "canceled")
		say(who+" exec canceled", err)
		say(who+" query canceled", db.QueryRowContext(canceled, "canceled").Scan(new(int)))
	}
	use("pool", db)

	stmt, err := db.PrepareContext(ctx, "prepared ?")
	say("prepare", err)
	if err == nil {
		for _, args := range [][]any{{1}, {}, {odd{1}}, {valuer{f}}, {sql.Named("x", 1)}} {
			_, err := stmt.ExecContext(ctx, args...)
			say("statement exec", err)
			say("statement query", stmt.QueryRowContext(ctx, args...).Scan(new(int)))
		}
		say("close", stmt.Close())
	}

	for _, o := range []*sql.TxOptions{nil, {}, {ReadOnly: true}, {Isolation: sql.LevelSerializable}} {
		tx, err := db.BeginTx(ctx, o)
		say("begin", err)
		if err != nil {
			continue
		}
		use("tx", tx)
		say("commit", tx.Commit())
		say("rollback", tx.Rollback())
	}

	// The context of a transaction ends: is the connection kept?
	canceled, cancel := context.WithCancel(ctx)
	tx, err := db.BeginTx(canceled, nil)
	say("begin", err)
	if err == nil {
		cancel()
		for deadline := time.Now().Add(5 * time.Second); db.Stats().InUse > 0 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		say("commit", tx.Commit())
		say("open", db.Stats().OpenConnections)
	}
	cancel()

	conn, err := db.Conn(ctx)
	say("conn", err)
	if err == nil {
		use("conn", conn)
		say("ping", conn.PingContext(ctx))
		say("close", conn.Close())
	}
	return said
}

// A program and the wrapped driver notice nothing: each driver call is the same one, in the same order.
func TestCaptureKeepsEveryInterface(t *testing.T) {
	checks := map[string]func(any) (any, error){
		"check skips": nil,
		"check accepts": func(v any) (any, error) {
			if o, ok := v.(odd); ok {
				return int64(o.n), nil
			}
			return driver.DefaultParameterConverter.ConvertValue(v)
		},
		"check removes": func(v any) (any, error) {
			if _, ok := v.(odd); ok {
				return nil, driver.ErrRemoveArgument
			}
			return v, driver.ErrSkip
		},
	}
	for connKind, conn := range connKinds {
		for stmtKind, stmt := range stmtKinds {
			for checkKind, check := range checks {
				for _, skip := range []bool{false, true} {
					if checkKind != "check skips" && connKind != "check" && connKind != "all" && stmtKind != "check" && stmtKind != "all" {
						continue // nobody asks
					}
					f := &fakeServer{conn: conn, stmt: stmt, check: check, skip: skip}
					plain := sql.OpenDB(f)
					plain.SetMaxOpenConns(1)
					want := drive(plain, f)
					require.NoError(t, plain.Close())
					wantCalls := f.take()

					for _, watched := range []string{"by nobody", "", "for idle connections too"} {
						rec := &explainguard.Recorder{}
						saw := &seen{}
						if watched != "by nobody" {
							saw = watch(rec)
						}
						if watched == "for idle connections too" { // which wraps rows
							explainguard.Observe(rec, &explainguard.ToldIdle{Idle: func(*explainguard.Statement, driver.Conn) {}})
						}
						db := sql.OpenDB(explainguard.Wrap(f, rec))
						db.SetMaxOpenConns(1)
						got := drive(db, f)
						require.NoError(t, db.Close())
						name := fmt.Sprintf("connection with %s, statement with %s, %s, skip %v, watched %s", connKind, stmtKind, checkKind, skip, watched)
						require.Equal(t, want, got, name)
						require.Equal(t, wantCalls, f.take(), name)
						require.Equal(t, watched == "by nobody", len(saw.take(t)) == 0, name)
					}
				}
			}
		}
	}
}

// What (*sql.Conn).Raw hands over has an interface exactly if the driver's connection has it, or if that makes no difference.
func TestCaptureRawHasTheDriversInterfaces(t *testing.T) {
	has := func(c any) (found []bool) {
		_, q := c.(driver.QueryerContext)
		_, e := c.(driver.ExecerContext)
		_, r := c.(driver.SessionResetter)
		_, v := c.(driver.Validator)
		return append(found, q, e, r, v)
	}
	for kind, conn := range connKinds {
		if kind == "old Q and E" {
			continue // has them in another form
		}
		f := &fakeServer{conn: conn}
		db := sql.OpenDB(explainguard.Wrap(f, nil))
		c, err := db.Conn(context.Background())
		require.NoError(t, err)
		require.NoError(t, c.Raw(func(dc any) error {
			raw := explainguard.Unwrap(dc)
			require.IsType(t, conn(&fakeConn{f}), raw, kind)
			require.Equal(t, has(raw), has(dc), kind)
			require.Same(t, raw.(interface{ unwrapped() *fakeConn }).unwrapped(), explainguard.Unwrap(raw).(interface{ unwrapped() *fakeConn }).unwrapped())
			return nil
		}))
		require.NoError(t, c.Close())
		require.NoError(t, db.Close())
	}
}

func (c *fakeConn) unwrapped() *fakeConn { return c }

// closingServer is a connector with a Close.
type closingServer struct {
	*fakeServer
	closed int
	err    error
}

func (c *closingServer) Close() error {
	c.closed++
	return c.err
}

func TestCaptureConnectorIsTheDrivers(t *testing.T) {
	f := &closingServer{fakeServer: &fakeServer{}, err: io.ErrClosedPipe}
	db := sql.OpenDB(explainguard.Wrap(f, nil))
	require.Equal(t, f.Driver(), db.Driver())
	require.ErrorIs(t, db.Close(), io.ErrClosedPipe)
	require.Equal(t, 1, f.closed)

	db = sql.OpenDB(explainguard.Wrap(nil, nil))
	require.ErrorContains(t, db.Ping(), "the connector is nil")
	require.NotNil(t, db.Driver())
	require.NoError(t, db.Close())

	refused := errors.New("refused")
	db = sql.OpenDB(explainguard.Wrap(&fakeServer{fails: func(string) error { return refused }}, nil))
	require.Equal(t, refused, db.Ping())
	require.NoError(t, db.Close())
}
