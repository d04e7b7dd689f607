package explainguard

import (
	"database/sql/driver"
	"io"
	"reflect"
	"slices"
)

// watchedRows wraps rows that a fault will strike, or whose end somebody waits for; all others are the wrapped driver's own. The
// optional methods that the wrapped rows lack do what database/sql does without them.
type watchedRows struct {
	driver.Rows
	c      *conn
	s      *Statement
	faults []*armedFault // that have not struck yet
	idlers []idleObserver
	seen   int   // rows
	failed error // the error of the strike, from then on
	closed bool
}

// Next implements driver.Rows.
func (r *watchedRows) Next(dest []driver.Value) error {
	if r.failed != nil {
		return r.failed
	}
	for i := 0; i < len(r.faults); {
		f := r.faults[i]
		if r.seen < f.AfterRows {
			i++
			continue
		}
		r.faults = slices.Delete(r.faults, i, i+1)
		if r.failed = f.strike(r.s, r.c); r.failed != nil {
			return r.failed
		}
	}
	err := r.Rows.Next(dest)
	if err == nil {
		r.seen++
	}
	return err
}

// Close implements driver.Rows.
func (r *watchedRows) Close() error {
	err := r.Rows.Close()
	if !r.closed {
		r.closed = true
		if err == nil {
			r.s.idle(r.c, r.idlers)
		}
	}
	return err
}

// HasNextResultSet implements driver.RowsNextResultSet.
func (r *watchedRows) HasNextResultSet() bool {
	n, ok := r.Rows.(driver.RowsNextResultSet)
	return ok && r.failed == nil && n.HasNextResultSet()
}

// NextResultSet implements driver.RowsNextResultSet.
func (r *watchedRows) NextResultSet() error {
	if r.failed != nil {
		return r.failed
	}
	if n, ok := r.Rows.(driver.RowsNextResultSet); ok {
		return n.NextResultSet()
	}
	return io.EOF
}

// ColumnTypeScanType implements driver.RowsColumnTypeScanType.
func (r *watchedRows) ColumnTypeScanType(i int) reflect.Type {
	if c, ok := r.Rows.(driver.RowsColumnTypeScanType); ok {
		return c.ColumnTypeScanType(i)
	}
	return reflect.TypeFor[any]()
}

// ColumnTypeDatabaseTypeName implements driver.RowsColumnTypeDatabaseTypeName.
func (r *watchedRows) ColumnTypeDatabaseTypeName(i int) string {
	if c, ok := r.Rows.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return c.ColumnTypeDatabaseTypeName(i)
	}
	return ""
}

// ColumnTypeLength implements driver.RowsColumnTypeLength.
func (r *watchedRows) ColumnTypeLength(i int) (length int64, ok bool) {
	if c, ok := r.Rows.(driver.RowsColumnTypeLength); ok {
		return c.ColumnTypeLength(i)
	}
	return 0, false
}

// ColumnTypeNullable implements driver.RowsColumnTypeNullable.
func (r *watchedRows) ColumnTypeNullable(i int) (nullable, ok bool) {
	if c, ok := r.Rows.(driver.RowsColumnTypeNullable); ok {
		return c.ColumnTypeNullable(i)
	}
	return false, false
}

// ColumnTypePrecisionScale implements driver.RowsColumnTypePrecisionScale.
func (r *watchedRows) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	if c, ok := r.Rows.(driver.RowsColumnTypePrecisionScale); ok {
		return c.ColumnTypePrecisionScale(i)
	}
	return 0, 0, false
}
