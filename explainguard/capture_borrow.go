package explainguard

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync/atomic"
)

// onConn makes one driver connection into a pool, for an Explainer that must see what the connection sees. Closing the pool
// leaves the connection open. It is for idleObserver; nothing else may use raw meanwhile.
func onConn(raw driver.Conn) *sql.DB {
	db := sql.OpenDB(&borrowing{raw: raw})
	db.SetMaxOpenConns(1)
	return db
}

type borrowing struct {
	raw   driver.Conn
	taken atomic.Bool
}

// Connect implements driver.Connector.
func (b *borrowing) Connect(context.Context) (driver.Conn, error) {
	if b.taken.Swap(true) {
		return nil, errors.New("explainguard: the program's connection is gone")
	}
	return (&conn{raw: b.raw, borrowed: true}).variant(), nil
}

// Driver implements driver.Connector.
func (b *borrowing) Driver() driver.Driver { return &wrappedDriver{} }
