package explainguard

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Sentinel inserts one row into a table of a test database, so that a statement which looks it up by its whole primary or unique key
// can be planned: on an empty table MySQL finds no such row while it plans, and stops planning. The values are those that
// the statement compares with (id 1, tenant_id 1); other columns get their default, NULL, or, if they allow neither, a
// small value of their type. Foreign keys are not checked. The row is committed. Call remove when the test ends; the statistics that a Guard applied
// stay as they are, but the table's AUTO_INCREMENT may have moved.
//
// If a row with these values is there already, nothing is inserted, and remove does nothing.
//
// It refuses a table with more than 1,000 rows, which may be production's, and one whose triggers would run. A CHECK or a
// unique key that rejects the row is an error that names it: pass values for those columns too.
func Sentinel(ctx context.Context, db *sql.DB, table string, values map[string]any) (remove func(context.Context) error, err error) {
	if db == nil {
		return nil, errors.New("explainguard: sentinel row: no database: pass one")
	}
	row := &sentinel{table: table, values: values}
	err = inSession(ctx, db, false, func(s *session) error { return row.insert(ctx, s) })
	if err != nil {
		return nil, fmt.Errorf("explainguard: sentinel row for table %s: %w", table, err)
	}
	return func(ctx context.Context) error {
		if err := row.remove(ctx, db); err != nil {
			return fmt.Errorf("explainguard: remove the sentinel row of table %s: %w", table, err)
		}
		return nil
	}, nil
}

type sentinel struct {
	table  string
	values map[string]any // the caller's

	schema string
	key    []string // by which the row is found again
	keys   []any
	there  bool // it was there before
}

// column is what information_schema says of a column.
type column struct {
	name, dataType, columnType string
	length                     sql.NullInt64
	optional                   bool // NULL, a default or AUTO_INCREMENT fills it
	counts                     bool // AUTO_INCREMENT
	generated, primary         bool
	srid                       sql.NullInt64
}

const sentinelCandidates = 8

func (r *sentinel) insert(ctx context.Context, s *session) error {
	if err := s.setAll(ctx, variables(s.was.readOnly(), "0", "autocommit", "1", "lock_wait_timeout", strconv.Itoa(applyLockWait),
		"foreign_key_checks", "0", "sql_mode", "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO")...); err != nil {
		return err
	}
	c, err := readCatalogue(ctx, s)
	if err != nil {
		return err
	}
	d := c.table(r.table)
	if d == nil {
		return fmt.Errorf("the database %s has no such InnoDB table; run the migrations, or correct the name", c.schema)
	}
	r.schema = c.schema
	only := applier{session: s, catalogue: &catalogue{schema: c.schema, tables: []declared{*d}}, stats: &Stats{}}
	if err := only.interlock(ctx); err != nil {
		return fmt.Errorf("%w; or insert the row in the test's own fixtures", err)
	}
	columns, err := readColumns(ctx, s, c.schema, d.name)
	if err != nil {
		return err
	}
	if err := r.fits(columns); err != nil {
		return err
	}
	if r.there, err = r.exists(ctx, s.conn); err != nil || r.there {
		return err
	}
	if err := r.noTriggers(ctx, s.conn); err != nil {
		return err
	}
	return r.try(ctx, s.conn, columns)
}

// fits refuses values for columns that are not there or cannot be set.
func (r *sentinel) fits(columns []column) error {
	var names []string
	for _, c := range columns {
		names = append(names, c.name)
	}
	for _, name := range slices.Sorted(maps.Keys(r.values)) {
		at := slices.IndexFunc(columns, func(c column) bool { return strings.EqualFold(c.name, name) })
		if at < 0 {
			return fmt.Errorf("there is no column %q; it has %s", name, strings.Join(names, ", "))
		}
		if columns[at].generated {
			return fmt.Errorf("column %q is generated; pass values for the columns that it is computed from", name)
		}
	}
	return nil
}

// exists asks whether a row with the caller's values is there.
func (r *sentinel) exists(ctx context.Context, conn *sql.Conn) (found bool, err error) {
	where, args := matching(r.values)
	err = conn.QueryRowContext(ctx, "SELECT EXISTS(SELECT 1 FROM "+quoteName(r.schema, r.table)+" WHERE "+where+")", args...).Scan(&found)
	if err != nil {
		return false, explained(ctx, "look whether the row is there", err)
	}
	return found, nil
}

func matching(values map[string]any) (where string, args []any) {
	parts := []string{"TRUE"}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		parts = append(parts, quoteIdentifier(name)+" <=> ?")
		args = append(args, values[name])
	}
	return strings.Join(parts, " AND "), args
}

// noTriggers refuses a table whose triggers would run: what they do cannot be taken back.
func (r *sentinel) noTriggers(ctx context.Context, conn *sql.Conn) error {
	var names sql.NullString
	err := conn.QueryRowContext(ctx, "SELECT GROUP_CONCAT(TRIGGER_NAME ORDER BY TRIGGER_NAME SEPARATOR ', ') FROM information_schema.TRIGGERS "+
		"WHERE EVENT_OBJECT_SCHEMA = ? AND EVENT_OBJECT_TABLE = ? AND EVENT_MANIPULATION IN ('INSERT', 'DELETE')", r.schema, r.table).Scan(&names)
	if err != nil {
		return explained(ctx, "list the triggers", err)
	}
	if names.Valid {
		return fmt.Errorf("its triggers (%s) would run, and what they do cannot be taken back; insert the row in the test's own fixtures", names.String)
	}
	return nil
}

// try inserts the row, with other small values if the first collide with rows that are there or with a CHECK.
func (r *sentinel) try(ctx context.Context, conn *sql.Conn, columns []column) error {
	var rejected error
	for candidate := range sentinelCandidates {
		row, err := r.row(columns, candidate)
		if err != nil {
			return err
		}
		var names, exprs []string
		var args []any
		for _, f := range row {
			names, exprs = append(names, quoteIdentifier(f.name)), append(exprs, f.expression)
			args = append(args, f.args...)
		}
		res, err := conn.ExecContext(ctx, "INSERT INTO "+quoteName(r.schema, r.table)+" ("+strings.Join(names, ", ")+") VALUES ("+strings.Join(exprs, ", ")+")", args...)
		if isError(err, errDuplicate, errCheckViolated, errCheckMariaDB) {
			rejected = err
			continue
		}
		if err != nil {
			return granting(explained(ctx, "insert it", err), "GRANT INSERT, DELETE ON "+quoteName(r.schema, r.table)+" TO "+theAccount)
		}
		return r.remember(columns, row, res)
	}
	return fmt.Errorf("the table rejects it: %w; pass values for the columns of that constraint", rejected)
}

// remember keeps what identifies the row: its primary key, or all that was inserted.
func (r *sentinel) remember(columns []column, row []field, res sql.Result) error {
	primary := slices.ContainsFunc(columns, func(c column) bool { return c.primary })
	for _, c := range columns {
		if primary && !c.primary {
			continue
		}
		at := slices.IndexFunc(row, func(f field) bool { return f.name == c.name })
		switch {
		case at >= 0:
			if row[at].expression != "?" { // a geometry, in no primary key
				continue
			}
			r.key, r.keys = append(r.key, c.name), append(r.keys, row[at].args[0])
		case c.counts:
			id, err := res.LastInsertId()
			if err != nil {
				return fmt.Errorf("learn the row's number: %w", err)
			}
			r.key, r.keys = append(r.key, c.name), append(r.keys, id)
		}
	}
	return nil
}

func (r *sentinel) remove(ctx context.Context, db *sql.DB) error {
	if r.there {
		return nil
	}
	return inSession(ctx, db, false, func(s *session) error {
		if err := s.setAll(ctx, variables(s.was.readOnly(), "0", "autocommit", "1", "foreign_key_checks", "0", "sql_safe_updates", "0")...); err != nil {
			return err
		}
		var parts []string
		for _, name := range r.key {
			parts = append(parts, quoteIdentifier(name)+" <=> ?")
		}
		_, err := s.conn.ExecContext(ctx, "DELETE FROM "+quoteName(r.schema, r.table)+" WHERE "+strings.Join(parts, " AND ")+" LIMIT 1", r.keys...)
		if isError(err, errNoSuchTable) { // dropped meanwhile, and the row with it
			return nil
		}
		if err != nil {
			return explained(ctx, "delete it", err)
		}
		return nil
	})
}
