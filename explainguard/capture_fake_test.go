package explainguard_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
)

// fakeServer is a server in the process. It writes down every call that its driver gets, which is how a wrapped connection is compared
// with a plain one.
type fakeServer struct {
	mu    sync.Mutex
	calls []string
	skip  bool                                   // connections decline statements with arguments
	conn  func(*fakeConn) driver.Conn            // gives a connection its optional methods
	stmt  func(*fakeStmt) driver.Stmt            // and a statement
	fails func(call string) error                // may be nil
	rows  func() driver.Rows                     // nil: one row
	check func(v any) (any, error)               // what CheckNamedValue does; nil: driver.ErrSkip
	hears func(ctx context.Context, call string) // may be nil
}

func (f *fakeServer) called(format string, args ...any) error {
	call := fmt.Sprintf(format, args...)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
	if f.fails != nil {
		return f.fails(call)
	}
	return nil
}

func (f *fakeServer) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

// Connect implements driver.Connector.
func (f *fakeServer) Connect(context.Context) (driver.Conn, error) {
	if err := f.called("connect"); err != nil {
		return nil, err
	}
	c := &fakeConn{f}
	if f.conn == nil {
		return c, nil
	}
	return f.conn(c), nil
}

func (f *fakeServer) Driver() driver.Driver { return fakeDriver{f} }

type fakeDriver struct{ f *fakeServer }

func (d fakeDriver) Open(string) (driver.Conn, error) { return d.f.Connect(context.Background()) }

// fakeConn has what every connection must have; the types made from it have one optional method each.
type (
	fakeConn     struct{ f *fakeServer }
	fakeQuery    fakeConn
	fakeOldQuery fakeConn
	fakeExec     fakeConn
	fakeOldExec  fakeConn
	fakeReset    fakeConn
	fakeValid    fakeConn
	fakePrepare  fakeConn
	fakeBegin    fakeConn
	fakePing     fakeConn
	fakeCheck    fakeConn
)

func (c *fakeConn) Prepare(query string) (driver.Stmt, error) {
	if err := c.f.called("prepare %s", query); err != nil {
		return nil, err
	}
	s := &fakeStmt{c.f, query}
	if c.f.stmt == nil {
		return s, nil
	}
	return c.f.stmt(s), nil
}

func (c *fakeConn) Close() error { return c.f.called("close") }

func (c *fakeConn) Begin() (driver.Tx, error) { return fakeTx{c.f}, c.f.called("begin") }

func (c *fakeQuery) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if c.f.skip && len(args) > 0 {
		return nil, driver.ErrSkip
	}
	return c.f.answer(ctx, "query context", query, args)
}

func (c *fakeOldQuery) Query(query string, args []driver.Value) (driver.Rows, error) {
	if c.f.skip && len(args) > 0 {
		return nil, driver.ErrSkip
	}
	return c.f.answer(context.Background(), "query", query, args)
}

func (c *fakeExec) ExecContext(_ context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if c.f.skip && len(args) > 0 {
		return nil, driver.ErrSkip
	}
	return driver.RowsAffected(7), c.f.called("exec context %s %v", query, args)
}

func (c *fakeOldExec) Exec(query string, args []driver.Value) (driver.Result, error) {
	if c.f.skip && len(args) > 0 {
		return nil, driver.ErrSkip
	}
	return driver.RowsAffected(7), c.f.called("exec %s %v", query, args)
}

func (c *fakeReset) ResetSession(context.Context) error { return c.f.called("reset session") }

func (c *fakeValid) IsValid() bool { return c.f.called("is valid") == nil }

func (c *fakePrepare) PrepareContext(_ context.Context, query string) (driver.Stmt, error) {
	if err := c.f.called("with context:"); err != nil {
		return nil, err
	}
	return (*fakeConn)(c).Prepare(query)
}

func (c *fakeBegin) BeginTx(_ context.Context, o driver.TxOptions) (driver.Tx, error) {
	return fakeTx{c.f}, c.f.called("begin %v", o)
}

func (c *fakePing) Ping(context.Context) error { return c.f.called("ping") }

func (c *fakeCheck) CheckNamedValue(v *driver.NamedValue) error { return c.f.checkValue("conn", v) }

func (f *fakeServer) checkValue(who string, v *driver.NamedValue) (err error) {
	if err := f.called("%s checks %d %v", who, v.Ordinal, v.Value); err != nil || f.check == nil {
		return driver.ErrSkip
	}
	v.Value, err = f.check(v.Value)
	return err
}

type fakeTx struct{ f *fakeServer }

func (t fakeTx) Commit() error   { return t.f.called("commit") }
func (t fakeTx) Rollback() error { return t.f.called("rollback") }

type (
	fakeStmt struct {
		f     *fakeServer
		query string
	}
	fakeStmtExec      fakeStmt
	fakeStmtQuery     fakeStmt
	fakeStmtCheck     fakeStmt
	fakeStmtConverter fakeStmt
)

func (s *fakeStmt) NumInput() int { return strings.Count(s.query, "?") }

func (s *fakeStmt) Close() error { return s.f.called("close statement") }

func (s *fakeStmt) Exec(args []driver.Value) (driver.Result, error) {
	return driver.RowsAffected(8), s.f.called("statement exec %v", args)
}

func (s *fakeStmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.f.answer(context.Background(), "statement query", s.query, args)
}

func (s *fakeStmtExec) ExecContext(_ context.Context, args []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(8), s.f.called("statement exec context %v", args)
}

func (s *fakeStmtQuery) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.f.answer(ctx, "statement query context", s.query, args)
}

func (s *fakeStmtCheck) CheckNamedValue(v *driver.NamedValue) error { return s.f.checkValue("stmt", v) }

func (s *fakeStmtConverter) ColumnConverter(i int) driver.ValueConverter {
	return converterFunc(func(v any) (driver.Value, error) {
		if err := s.f.called("column %d converts %v", i, v); err != nil {
			return nil, err
		}
		if n, ok := v.(int); ok {
			return int64(n) * 10, nil
		}
		return driver.DefaultParameterConverter.ConvertValue(v)
	})
}

type converterFunc func(any) (driver.Value, error)

func (f converterFunc) ConvertValue(v any) (driver.Value, error) { return f(v) }

func (f *fakeServer) answer(ctx context.Context, how, query string, args any) (driver.Rows, error) {
	call := fmt.Sprintf("%s %s %v", how, query, args)
	if err := f.called("%s", call); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil { // else database/sql would close the rows while, or before, they are read
		return nil, err
	}
	if f.hears != nil {
		f.hears(ctx, call)
	}
	if f.rows != nil {
		return f.rows(), nil
	}
	return &fakeRows{n: 1}, nil
}

// fakeRows are n rows of one column: 1, 2, 3 …
type fakeRows struct{ n, at int }

func (r *fakeRows) Columns() []string { return []string{"n"} }
func (r *fakeRows) Close() error      { return nil }
func (r *fakeRows) Next(dest []driver.Value) error {
	if r.at >= r.n {
		return io.EOF
	}
	r.at++
	dest[0] = int64(r.at)
	return nil
}

// fullRows has every optional method, and two result sets.
type fullRows struct {
	fakeRows
	sets int
}

func (r *fullRows) HasNextResultSet() bool { return r.sets > 1 }
func (r *fullRows) NextResultSet() error {
	if r.sets <= 1 {
		return io.EOF
	}
	r.sets--
	r.at = 0
	return nil
}
func (r *fullRows) ColumnTypeScanType(int) reflect.Type               { return reflect.TypeFor[int64]() }
func (r *fullRows) ColumnTypeDatabaseTypeName(int) string             { return "BIGINT" }
func (r *fullRows) ColumnTypeLength(int) (int64, bool)                { return 20, true }
func (r *fullRows) ColumnTypeNullable(int) (nullable, ok bool)        { return true, true }
func (r *fullRows) ColumnTypePrecisionScale(int) (int64, int64, bool) { return 20, 3, true }
