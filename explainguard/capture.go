package explainguard

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/go-sql-driver/mysql"
)

// DriverName is the name under which importing this package registers go-sql-driver/mysql, wrapped without a Recorder: what is run on
// sql.Open(DriverName, dsn) is told to the Recorder of its context (see WithRecorder), and to nobody if that has none.
const DriverName = "explainguard"

func init() {
	sql.Register(DriverName, &wrappedDriver{raw: &mysql.MySQLDriver{}})
}

// Wrap returns a connector that behaves as c does and tells rec, and the Recorder of a statement's context (see WithRecorder),
// of every statement. rec may be nil.
//
//	connector, err := mysql.NewConnector(config)
//	…
//	rec := &explainguard.Recorder{}
//	db := sql.OpenDB(explainguard.Wrap(connector, rec))
//
// A program notices nothing: every optional interface of database/sql/driver that matters is there if the wrapped connection
// or statement has it and absent if not; rows and results are the wrapped driver's own, except while a Fault strikes in rows; db.Driver() returns
// the wrapped driver. Only what (*sql.Conn).Raw hands over is ours: it has the driver interfaces, Unwrap gives the
// original.
func Wrap(c driver.Connector, rec *Recorder) driver.Connector {
	return &connector{raw: c, rec: rec}
}

// Register makes a driver available to sql.Open by a name, wrapped as by Wrap; rec may be nil. It is for libraries that
// take a driver's name and a DSN. Unlike sql.Register it returns an error if the name is taken.
func Register(name string, d driver.Driver, rec *Recorder) error {
	registering.Lock()
	defer registering.Unlock()
	switch {
	case d == nil:
		return fmt.Errorf("explainguard: register %q: the driver is nil", name)
	case slices.Contains(sql.Drivers(), name):
		return fmt.Errorf("explainguard: register %q: a driver of this name is there already; choose another name", name)
	}
	sql.Register(name, &wrappedDriver{raw: d, rec: rec})
	return nil
}

var registering sync.Mutex

// Unwrap returns the wrapped driver's own connection if driverConn, which (*sql.Conn).Raw hands over, is a wrapped one, else
// driverConn itself. What is run on the result is not recorded.
func Unwrap(driverConn any) any {
	for {
		w, ok := driverConn.(interface{ unwrap() driver.Conn })
		if !ok {
			return driverConn
		}
		driverConn = w.unwrap()
	}
}

type connector struct {
	raw driver.Connector
	rec *Recorder
}

var connections atomic.Uint64

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	if c.raw == nil {
		return nil, errors.New("explainguard: wrap: the connector is nil")
	}
	raw, err := c.raw.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return wrapConn(raw, c.rec), nil
}

// Driver returns the wrapped driver itself: programs look at its type.
func (c *connector) Driver() driver.Driver {
	if c.raw == nil {
		return &wrappedDriver{rec: c.rec}
	}
	return c.raw.Driver()
}

// Close implements io.Closer, which database/sql asks for when the pool is closed.
func (c *connector) Close() error {
	if closer, ok := c.raw.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

type wrappedDriver struct {
	raw driver.Driver
	rec *Recorder
}

// Open implements driver.Driver.
func (d *wrappedDriver) Open(dsn string) (driver.Conn, error) {
	if d.raw == nil {
		return nil, errors.New("explainguard: wrap: the driver is nil")
	}
	raw, err := d.raw.Open(dsn)
	if err != nil {
		return nil, err
	}
	return wrapConn(raw, d.rec), nil
}

// OpenConnector implements driver.DriverContext. A driver that has it is asked at once; for another one the DSN is looked
// at when the first connection is made, as database/sql does.
func (d *wrappedDriver) OpenConnector(dsn string) (driver.Connector, error) {
	if dc, ok := d.raw.(driver.DriverContext); ok {
		raw, err := dc.OpenConnector(dsn)
		if err != nil {
			return nil, err
		}
		return Wrap(raw, d.rec), nil
	}
	return Wrap(dsnConnector{dsn, d.raw}, d.rec), nil
}

type dsnConnector struct {
	dsn    string
	driver driver.Driver
}

// Connect implements driver.Connector.
func (c dsnConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }

// Driver implements driver.Connector.
func (c dsnConnector) Driver() driver.Driver { return c.driver }
