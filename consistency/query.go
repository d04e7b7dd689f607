package consistency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
)

// Query is a Source: a SELECT on any database/sql driver, ordered by the key.
//
// The rows must come in the order that Reconcile defines, which is checked row by row: ORDER BY the key columns. Text is ordered by the bytes of its UTF-8, which no
// ordinary collation does: on MySQL and MariaDB write ORDER BY CAST(name AS BINARY) (a latin1 column: CAST(CONVERT(name USING utf8mb4) AS BINARY)), on PostgreSQL
// ORDER BY name COLLATE "C". A source that is out of order is an error, never a difference.
//
// On MySQL and MariaDB it is run as SQL runs its query: vetted, in a session that cannot write, with time_zone '+00:00' and character_set_results utf8mb4, whatever the
// DSN says; rows can then be looked up by key, for which the query is wrapped in SELECT … FROM (query) WHERE key IN (…), so that its columns need names that occur once. On other databases it
// runs in a read-only transaction where the driver has them, and the second look reads the whole query again. Use an account that may only SELECT.
type Query struct {
	// DB is where the query runs. Required. Reconcile holds one connection of each side's pool at the same time.
	DB *sql.DB
	// SQL selects the key columns and the compared columns; further ones are ignored. Required.
	SQL string
	// Args are the values for SQL.
	Args []any
	// Brake, if not nil, is asked before each reading, about DB.
	Brake *Brake
}

// errNoFetch says that rows cannot be found by key in a way that is sure to find them all; the whole source is read instead.
var errNoFetch = errors.New("the source cannot find rows by key")

func (q Query) validate() error {
	var errs []error
	if q.DB == nil {
		errs = append(errs, errors.New("Query.DB is nil: set it to the database to read"))
	}
	if strings.TrimSpace(q.SQL) == "" {
		errs = append(errs, errors.New("Query.SQL is empty: write the SELECT, ordered by the key"))
	}
	return errors.Join(errs...)
}

func (q Query) describe() string { return fmt.Sprintf("query %s %v", q.SQL, q.Args) }

// Rows yields the rows as they come. A query alone does not know its key: after must be nil; Reconcile continues it where it left off by itself. ctx needs a deadline.
func (q Query) Rows(ctx context.Context, after []any) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if after != nil {
			yield(nil, Permanent(errors.New("a Query by itself cannot continue after a key: it does not know which columns are the key; use it in a Reconcile")))
			return
		}
		if err := q.validate(); err != nil {
			yield(nil, Permanent(err))
			return
		}
		sink := &rowYielder{yield: yield}
		err := q.read(ctx, func(r queryReader) error { return r.run(ctx, r.text, q.Args, sink.all) })
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

var errEnough = errors.New("the consumer wants no more rows")

// rowYielder makes a Row of each row, as a SQL check does.
type rowYielder struct {
	yield func(Row, error) bool
}

func (y *rowYielder) all(rows *sql.Rows) error {
	columns, err := columnsOf(rows)
	if err != nil {
		return err
	}
	values, dest := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		dest[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return advise("read the result", err)
		}
		row := make(Row, len(values))
		for i, v := range values {
			row[i] = Field{Name: columns[i].name, Value: columns[i].convert(v)}
		}
		if !y.yield(row, nil) {
			return errEnough
		}
	}
	return rows.Err()
}

// queryReader runs statements on one connection: on MySQL and MariaDB in the read-only session, elsewhere in a transaction.
type queryReader struct {
	mysql bool
	text  string // the query, ready to be sent or wrapped
	run   func(ctx context.Context, text string, args []any, read func(*sql.Rows) error) error
}

// read opens a connection, calls f, and puts the connection back as it was.
func (q Query) read(ctx context.Context, f func(queryReader) error) (err error) {
	if err := q.Brake.Ready(ctx, q.DB); err != nil {
		return err
	}
	mysql, err := isMySQL(ctx, q.DB)
	if err != nil {
		return err
	}
	if !mysql {
		return q.readElsewhere(ctx, f)
	}
	return inReadSession(ctx, q.DB, func(s *session) error {
		text, err := s.vet(q.SQL)
		if err != nil {
			return err
		}
		run := func(ctx context.Context, text string, args []any, read func(*sql.Rows) error) error {
			return s.query(ctx, "query", text, args, read)
		}
		return f(queryReader{mysql: true, text: text, run: run})
	})
}

// inReadSession calls f with a read-only session on MySQL or MariaDB whose time zone and character set of results do not depend on the DSN.
func inReadSession(ctx context.Context, db *sql.DB, f func(*session) error) (err error) {
	s, err := openSession(ctx, db)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := s.close(ctx); cerr != nil {
			err = errors.Join(err, cerr)
		}
	}()
	if err := s.beginPlain(ctx); err != nil { // one statement sees one state of the data anyway
		return err
	}
	pinned := []setting{{"time_zone", "'+00:00'"}, {"character_set_results", "'utf8mb4'"}}
	if err := s.pin(ctx, pinned); err != nil {
		return advise("set the session's time zone and character set", err)
	}
	return f(s)
}

// readElsewhere reads on a database of another make.
func (q Query) readElsewhere(ctx context.Context, f func(queryReader) error) error {
	type querier interface {
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
	var on querier
	tx, err := q.DB.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	switch {
	case err == nil:
		defer func() { _ = tx.Rollback() }() // nothing was written
		on = tx
	case isConnectionError(err):
		return advise("connect", err)
	default: // the driver knows no read-only transactions
		on = q.DB
	}
	run := func(ctx context.Context, text string, args []any, read func(*sql.Rows) error) error {
		rows, err := on.QueryContext(ctx, text, args...)
		if err != nil {
			return advise("query", err)
		}
		defer rows.Close()
		readErr := read(rows)
		if err := rows.Err(); err != nil { // why reading ended early comes first
			return advise("query", err)
		}
		if readErr != nil {
			return readErr
		}
		return advise("query", rows.Close())
	}
	return f(queryReader{text: q.SQL, run: run})
}

// isMySQL asks for a variable that only MySQL, MariaDB and what speaks for them know.
func isMySQL(ctx context.Context, db *sql.DB) (bool, error) {
	var comment string
	err := db.QueryRowContext(ctx, "SELECT @@version_comment").Scan(&comment)
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil, isConnectionError(err), mysqlErrorNumber(err) != 0:
		return false, advise("connect", err)
	}
	return false, nil
}

func (q Query) scan(ctx context.Context, want scanRequest, sink rowSink) error {
	return q.read(ctx, func(r queryReader) error {
		from := newRowReader(want, r.mysql, sink)
		if want.after == nil && want.upTo == nil {
			return r.run(ctx, r.text, q.Args, from.read)
		}
		where, args, err := q.bounds(ctx, r, want)
		if errors.Is(err, errNoFetch) { // read all: the sink leaves out what lies outside
			return r.run(ctx, r.text, q.Args, from.read)
		}
		if err != nil {
			return err
		}
		return r.run(ctx, wrapped(r.text, where, want), append(q.Args[:len(q.Args):len(q.Args)], args...), from.read)
	})
}

func (q Query) fetch(ctx context.Context, want scanRequest, keys []neutralKey, sink rowSink) error {
	return q.read(ctx, func(r queryReader) error {
		args, err := q.keyColumns(ctx, r, want)
		if err != nil {
			return err
		}
		where, values, err := args.in(keys)
		if err != nil {
			return err
		}
		return r.run(ctx, wrapped(r.text, where, scanRequest{}), append(q.Args[:len(q.Args):len(q.Args)], values...), newRowReader(want, r.mysql, sink).read)
	})
}

// bounds returns the condition for the range, or errNoFetch where the server would not order as the neutral order does.
func (q Query) bounds(ctx context.Context, r queryReader, want scanRequest) (string, []any, error) {
	columns, err := q.keyColumns(ctx, r, want)
	if err != nil {
		return "", nil, err
	}
	return columns.between(want.after, want.upTo)
}

// keyColumns asks the server for the types of the key columns; no row is read.
func (q Query) keyColumns(ctx context.Context, r queryReader, want scanRequest) (keyConditions, error) {
	if !r.mysql {
		return nil, errNoFetch
	}
	types := &typesOnly{}
	read := newRowReader(want, true, types)
	if err := r.run(ctx, "SELECT * FROM ("+r.text+"\n) AS tashikame_rows LIMIT 0", q.Args, read.read); err != nil {
		return nil, err
	}
	columns := make(keyConditions, want.keys)
	for i := range columns {
		columns[i] = keyCondition{rule: want.rules[i], column: types.columns[i]}
	}
	return columns, nil
}

// typesOnly is a sink that wants the columns and no rows.
type typesOnly struct{ columns []resolvedColumn }

func (t *typesOnly) begin(columns []resolvedColumn) error { t.columns = columns; return nil }
func (*typesOnly) row([]sql.RawBytes) error               { return nil }

// wrapped puts a condition around the query, and the order where want has columns. What the query orders by inside says nothing about the result outside.
func wrapped(text, where string, want scanRequest) string {
	out := "SELECT * FROM (" + text + "\n) AS tashikame_rows WHERE " + where
	for i := range want.keys {
		if i == 0 {
			out += " ORDER BY "
		} else {
			out += ", "
		}
		out += quoteName(want.columns[i])
	}
	return out
}

// wallClock writes an instant in the neutral form as the server of the column would.
func wallClock(text string, column resolvedColumn, loc *time.Location) (string, error) {
	t, err := time.Parse("2006-01-02 15:04:05.999999999", text)
	if err != nil {
		return "", errNoFetch // a zero date
	}
	if column.zone == zoneColumn && loc != nil {
		t = t.In(loc)
	}
	return t.Format("2006-01-02 15:04:05.000000"), nil
}
