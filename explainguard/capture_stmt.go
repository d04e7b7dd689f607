package explainguard

import (
	"context"
	"database/sql/driver"
	"errors"
)

// stmt wraps a prepared statement.
type stmt struct {
	c     *conn
	raw   driver.Stmt
	query string
	// adopted is the statement for which database/sql prepared this one, after the connection had declined it. It has begun already.
	adopted *Statement
}

// stmtConverter is a stmt whose driver has a ColumnConverter; without one database/sql converts arguments differently.
type stmtConverter struct{ *stmt }

// ColumnConverter implements driver.ColumnConverter.
func (s stmtConverter) ColumnConverter(i int) driver.ValueConverter {
	return s.raw.(driver.ColumnConverter).ColumnConverter(i) //nolint:staticcheck // drivers have it, database/sql uses it
}

func wrapStmt(c *conn, raw driver.Stmt, query string, adopted *Statement) driver.Stmt {
	s := &stmt{c, raw, query, adopted}
	if _, ok := raw.(driver.ColumnConverter); ok { //nolint:staticcheck // drivers have it, database/sql uses it
		return stmtConverter{s}
	}
	return s
}

// NumInput implements driver.Stmt.
func (t *stmt) NumInput() int { return t.raw.NumInput() }

// Close implements driver.Stmt.
func (t *stmt) Close() error {
	if s := t.adopted; s != nil { // its arguments did not fit
		t.adopted = nil
		_ = s.end(driver.ErrSkip, false)
	}
	return t.raw.Close()
}

// CheckNamedValue implements driver.NamedValueChecker: the statement's if it has one, else the connection's.
func (t *stmt) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := t.raw.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return t.c.CheckNamedValue(v)
}

// begin returns the statement that is about to be sent, or nil if nobody wants to know, and whether it must not be.
func (t *stmt) begin(ctx context.Context, args []driver.NamedValue, exec bool) (*Statement, error) {
	if t.c.lost {
		return nil, driver.ErrBadConn
	}
	if s := t.adopted; s != nil {
		t.adopted = nil
		s.Args = copyArgs(args) // database/sql has converted them again, for the statement
		return s, nil
	}
	s := t.c.newStatement(ctx, 2, t.query, args, exec, true)
	return s, s.before(t.c)
}

// QueryContext implements driver.StmtQueryContext.
func (t *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s, err := t.begin(ctx, args, false)
	if err != nil {
		return nil, err
	}
	rows, err := t.sendQuery(ctx, args)
	return t.c.queried(s, rows, err)
}

func (t *stmt) sendQuery(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if raw, ok := t.raw.(driver.StmtQueryContext); ok {
		return raw.QueryContext(ctx, args)
	}
	plain, err := values(ctx, args)
	if err != nil {
		return nil, err
	}
	return t.raw.Query(plain) //nolint:staticcheck // old drivers have nothing else
}

// Query implements driver.Stmt.
func (t *stmt) Query(args []driver.Value) (driver.Rows, error) {
	return t.QueryContext(context.Background(), namedValues(args))
}

// ExecContext implements driver.StmtExecContext.
func (t *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s, err := t.begin(ctx, args, true)
	if err != nil {
		return nil, err
	}
	result, err := t.sendExec(ctx, args)
	return t.c.executed(s, result, err)
}

func (t *stmt) sendExec(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if raw, ok := t.raw.(driver.StmtExecContext); ok {
		return raw.ExecContext(ctx, args)
	}
	plain, err := values(ctx, args)
	if err != nil {
		return nil, err
	}
	return t.raw.Exec(plain) //nolint:staticcheck // old drivers have nothing else
}

// Exec implements driver.Stmt.
func (t *stmt) Exec(args []driver.Value) (driver.Result, error) {
	return t.ExecContext(context.Background(), namedValues(args))
}

// queried ends a statement that was asked for rows.
func (c *conn) queried(s *Statement, raw driver.Rows, err error) (driver.Rows, error) {
	if s == nil {
		return raw, err
	}
	if err != nil {
		return raw, s.end(err, !errors.Is(err, driver.ErrBadConn))
	}
	if err := s.strikeAt(AfterExecution, c); err != nil {
		_ = raw.Close()
		return nil, s.end(err, true)
	}
	_ = s.end(nil, true)
	if in, who := s.inRows(), s.wantingIdle(); in != nil || who != nil {
		raw = &watchedRows{Rows: raw, c: c, s: s, faults: in, idlers: who}
	}
	return raw, nil
}

// executed ends a statement that was asked for a result.
func (c *conn) executed(s *Statement, raw driver.Result, err error) (driver.Result, error) {
	if s == nil {
		return raw, err
	}
	sent := !errors.Is(err, driver.ErrBadConn)
	if err == nil {
		if err = s.strikeAt(AfterExecution, c); err != nil {
			raw = nil
		}
	}
	if err = s.end(err, sent); err == nil {
		s.idle(c, s.wantingIdle())
	}
	return raw, err
}
