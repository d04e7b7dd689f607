package explainguard

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
)

// conn wraps a connection. database/sql uses a connection from one goroutine at a time, so its fields need no lock.
//
// Here are the methods whose presence makes no difference to database/sql, because without the wrapped connection's they do
// what database/sql does without them. Those that would make a difference are in capture_variants.go.
type conn struct {
	raw  driver.Conn
	rec  *Recorder
	id   uint64
	inTx bool
	lost bool // a fault has closed raw

	borrowed bool // for an observer: nobody is told of its statements, and raw stays open

	// skipped are statements that the wrapped connection declined (driver.ErrSkip) and that database/sql will prepare next.
	skipped []*Statement
}

func (c *conn) unwrap() driver.Conn { return c.raw }

// lose closes the connection under the program's feet.
func (c *conn) lose() {
	if !c.lost {
		c.lost = true
		_ = c.raw.Close() // nobody is there to hear that it failed
	}
}

// Prepare implements driver.Conn.
func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.prepared(query, func() (driver.Stmt, error) { return c.raw.Prepare(query) })
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.prepared(query, func() (driver.Stmt, error) {
		if p, ok := c.raw.(driver.ConnPrepareContext); ok {
			return p.PrepareContext(ctx, query)
		}
		raw, err := c.raw.Prepare(query)
		if err == nil && ctx.Err() != nil {
			_ = raw.Close()
			return nil, ctx.Err()
		}
		return raw, err
	})
}

func (c *conn) prepared(query string, prepare func() (driver.Stmt, error)) (driver.Stmt, error) {
	if c.lost {
		return nil, driver.ErrBadConn
	}
	s := c.takeSkipped(query)
	raw, err := prepare()
	if err != nil {
		if s != nil {
			return nil, s.end(err, !errors.Is(err, driver.ErrBadConn))
		}
		return nil, err
	}
	return wrapStmt(c, raw, query, s), nil
}

// skip keeps a statement that the connection declined, until it is prepared.
func (c *conn) skip(s *Statement) {
	if s != nil {
		c.skipped = append(c.skipped, s)
	}
}

// takeSkipped returns the declined statement with this text, or nil. Two goroutines in one transaction may have declined statements
// at a time.
func (c *conn) takeSkipped(query string) *Statement {
	for i, s := range c.skipped {
		if s.Query == query {
			c.skipped = slices.Delete(c.skipped, i, i+1)
			return s
		}
	}
	return nil
}

// forgetSkipped ends what was declined and then never prepared.
func (c *conn) forgetSkipped() {
	for _, s := range c.skipped {
		_ = s.end(driver.ErrSkip, false)
	}
	clear(c.skipped)
	c.skipped = c.skipped[:0]
}

// Close implements driver.Conn.
func (c *conn) Close() error {
	c.forgetSkipped()
	if c.lost || c.borrowed {
		return nil
	}
	return c.raw.Close()
}

// Ping implements driver.Pinger.
func (c *conn) Ping(ctx context.Context) error {
	if c.lost {
		return driver.ErrBadConn
	}
	if p, ok := c.raw.(driver.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}

// CheckNamedValue implements driver.NamedValueChecker.
func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.raw.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip // what database/sql does by itself
}

// Begin implements driver.Conn.
func (c *conn) Begin() (driver.Tx, error) {
	return c.begun(context.Background(), func() (driver.Tx, error) {
		return c.raw.Begin() //nolint:staticcheck // old drivers have nothing else
	})
}

// BeginTx implements driver.ConnBeginTx.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	return c.begun(ctx, func() (driver.Tx, error) {
		if b, ok := c.raw.(driver.ConnBeginTx); ok {
			return b.BeginTx(ctx, opts)
		}
		// The errors are those of database/sql.
		if opts.Isolation != 0 {
			return nil, errors.New("sql: driver does not support non-default isolation level")
		}
		if opts.ReadOnly {
			return nil, errors.New("sql: driver does not support read-only transactions")
		}
		tx, err := c.raw.Begin() //nolint:staticcheck // old drivers have nothing else
		if err == nil && ctx.Err() != nil {
			_ = tx.Rollback()
			return nil, ctx.Err()
		}
		return tx, err
	})
}

func (c *conn) begun(ctx context.Context, begin func() (driver.Tx, error)) (driver.Tx, error) {
	switch {
	case c.lost:
		return nil, driver.ErrBadConn
	case c.borrowed:
		return nil, errors.New("explainguard: the connection is the program's: to begin a transaction would commit its own")
	}
	var raw driver.Tx
	done := false
	err := c.strikes(ctx, OnBegin, func() (err error) {
		raw, err = begin()
		done = err == nil
		return err
	}, nil)
	if err != nil {
		if done { // and the program is told that it is not
			_ = raw.Rollback()
		}
		return nil, err
	}
	c.inTx = true
	return &tx{ctx, c, raw}, nil
}

type tx struct {
	ctx context.Context // that it was begun with
	c   *conn
	raw driver.Tx
}

// Commit implements driver.Tx.
func (t *tx) Commit() error {
	t.c.inTx = false
	return t.c.strikes(t.ctx, OnCommit, t.raw.Commit, t.raw.Rollback)
}

// Rollback implements driver.Tx.
func (t *tx) Rollback() error {
	t.c.inTx = false
	return t.c.strikes(t.ctx, OnRollback, t.raw.Rollback, t.raw.Rollback)
}

// values are the arguments for drivers that know neither names nor contexts.
func values(ctx context.Context, named []driver.NamedValue) ([]driver.Value, error) {
	args := make([]driver.Value, len(named))
	for i, v := range named {
		if v.Name != "" {
			return nil, errors.New("sql: driver does not support the use of Named Parameters")
		}
		args[i] = v.Value
	}
	return args, ctx.Err()
}

// namedValues are the arguments of a call that knows no names.
func namedValues(args []driver.Value) []driver.NamedValue {
	named := make([]driver.NamedValue, len(args))
	for i, v := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return named
}
