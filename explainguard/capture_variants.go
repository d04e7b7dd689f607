package explainguard

import (
	"context"
	"database/sql/driver"
)

// These are conn with one more method set each. database/sql treats a connection without them differently in a way that no method could
// imitate: without Query or Exec it does not convert the arguments before it prepares; with ResetSession and IsValid both it
// keeps the connection of a transaction whose context has ended.
type (
	connQuery conn
	connExec  conn
	connReset conn
	connValid conn
)

// wrapConn wraps a connection.
func wrapConn(raw driver.Conn, rec *Recorder) driver.Conn {
	return (&conn{raw: raw, rec: rec, id: connections.Add(1)}).variant()
}

// variant returns the connection with the methods for which raw has one, and no others.
func (c *conn) variant() driver.Conn {
	raw := c.raw
	q, e, r, v := (*connQuery)(c), (*connExec)(c), (*connReset)(c), (*connValid)(c)
	var has int
	if _, ok := raw.(driver.QueryerContext); ok {
		has |= 8
	} else if _, ok := raw.(driver.Queryer); ok { //nolint:staticcheck // old drivers have nothing else
		has |= 8
	}
	if _, ok := raw.(driver.ExecerContext); ok {
		has |= 4
	} else if _, ok := raw.(driver.Execer); ok { //nolint:staticcheck // old drivers have nothing else
		has |= 4
	}
	if _, ok := raw.(driver.SessionResetter); ok {
		has |= 2
	}
	if _, ok := raw.(driver.Validator); ok {
		has |= 1
	}
	switch has {
	case 1:
		return struct {
			*conn
			*connValid
		}{c, v}
	case 2:
		return struct {
			*conn
			*connReset
		}{c, r}
	case 3:
		return struct {
			*conn
			*connReset
			*connValid
		}{c, r, v}
	case 4:
		return struct {
			*conn
			*connExec
		}{c, e}
	case 5:
		return struct {
			*conn
			*connExec
			*connValid
		}{c, e, v}
	case 6:
		return struct {
			*conn
			*connExec
			*connReset
		}{c, e, r}
	case 7:
		return struct {
			*conn
			*connExec
			*connReset
			*connValid
		}{c, e, r, v}
	case 8:
		return struct {
			*conn
			*connQuery
		}{c, q}
	case 9:
		return struct {
			*conn
			*connQuery
			*connValid
		}{c, q, v}
	case 10:
		return struct {
			*conn
			*connQuery
			*connReset
		}{c, q, r}
	case 11:
		return struct {
			*conn
			*connQuery
			*connReset
			*connValid
		}{c, q, r, v}
	case 12:
		return struct {
			*conn
			*connQuery
			*connExec
		}{c, q, e}
	case 13:
		return struct {
			*conn
			*connQuery
			*connExec
			*connValid
		}{c, q, e, v}
	case 14:
		return struct {
			*conn
			*connQuery
			*connExec
			*connReset
		}{c, q, e, r}
	case 15:
		return struct {
			*conn
			*connQuery
			*connExec
			*connReset
			*connValid
		}{c, q, e, r, v}
	}
	return c
}

// QueryContext implements driver.QueryerContext.
func (q *connQuery) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c := (*conn)(q)
	if c.lost {
		return nil, driver.ErrBadConn
	}
	s := c.newStatement(ctx, 1, query, args, false, false)
	if err := s.before(c); err != nil {
		return nil, err
	}
	rows, err := q.send(ctx, query, args)
	if err == driver.ErrSkip { //nolint:errorlint // database/sql compares it so
		c.skip(s)
		return nil, err
	}
	return c.queried(s, rows, err)
}

func (q *connQuery) send(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if raw, ok := q.raw.(driver.QueryerContext); ok {
		return raw.QueryContext(ctx, query, args)
	}
	plain, err := values(ctx, args)
	if err != nil {
		return nil, err
	}
	return q.raw.(driver.Queryer).Query(query, plain) //nolint:staticcheck // old drivers have nothing else
}

// Query implements driver.Queryer, for programs that call it on a raw connection.
func (q *connQuery) Query(query string, args []driver.Value) (driver.Rows, error) {
	return q.QueryContext(context.Background(), query, namedValues(args))
}

// ExecContext implements driver.ExecerContext.
func (e *connExec) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c := (*conn)(e)
	if c.lost {
		return nil, driver.ErrBadConn
	}
	s := c.newStatement(ctx, 1, query, args, true, false)
	if err := s.before(c); err != nil {
		return nil, err
	}
	result, err := e.send(ctx, query, args)
	if err == driver.ErrSkip { //nolint:errorlint // database/sql compares it so
		c.skip(s)
		return nil, err
	}
	return c.executed(s, result, err)
}

func (e *connExec) send(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if raw, ok := e.raw.(driver.ExecerContext); ok {
		return raw.ExecContext(ctx, query, args)
	}
	plain, err := values(ctx, args)
	if err != nil {
		return nil, err
	}
	return e.raw.(driver.Execer).Exec(query, plain) //nolint:staticcheck // old drivers have nothing else
}

// Exec implements driver.Execer, for programs that call it on a raw connection.
func (e *connExec) Exec(query string, args []driver.Value) (driver.Result, error) {
	return e.ExecContext(context.Background(), query, namedValues(args))
}

// ResetSession implements driver.SessionResetter.
func (r *connReset) ResetSession(ctx context.Context) error {
	c := (*conn)(r)
	c.forgetSkipped()
	if c.lost {
		return driver.ErrBadConn
	}
	return c.raw.(driver.SessionResetter).ResetSession(ctx)
}

// IsValid implements driver.Validator.
func (v *connValid) IsValid() bool {
	c := (*conn)(v)
	c.forgetSkipped()
	return !c.lost && c.raw.(driver.Validator).IsValid()
}
