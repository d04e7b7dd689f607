package consistency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
)

// digestSide is one of the two tables as digests read it.
type digestSide struct {
	table  Table
	schema *tableSchema
	key    keyColumns
	unique *uniqueKey // over the key columns
	fields []string   // of a row's text; the key's come first
	form   digestForm
}

// keyText is the text of the key alone.
func (d *digestSide) keyText() string { return rowText(d.fields[:len(d.key)]) }

// extent is a part of a table: a condition, "" for all of it.
type extent struct {
	where  string
	sorted bool // by the server; false: the index has the neutral order
}

// digest is what the rows of a part of a table came to.
type digest struct {
	rows, hashed int64 // hashed is less where the text of a row could not be written exactly
	sums         [2]big.Int
}

// exact reports whether it stands for all its rows.
func (d *digest) exact() bool { return d.rows == d.hashed }

// same reports whether two digests say that the rows are the same.
func (d *digest) same(other *digest) bool {
	return d.exact() && other.exact() && d.rows == other.rows && d.sums[0].Cmp(&other.sums[0]) == 0 && d.sums[1].Cmp(&other.sums[1]) == 0
}

// add makes d the digest of its rows and of those of other, which has no row in common.
func (d *digest) add(other *digest) {
	d.rows += other.rows
	d.hashed += other.hashed
	for i := range d.sums {
		d.sums[i].Add(&d.sums[i], &other.sums[i])
	}
}

// scanned are the columns of a result: rows, rows with a hash, and both sums.
type scanned struct {
	rows, hashed int64
	sums         [2]sql.NullString
}

func (s *scanned) dest() []any { return []any{&s.rows, &s.hashed, &s.sums[0], &s.sums[1]} }

func (s *scanned) digest() (*digest, error) {
	d := &digest{rows: s.rows, hashed: s.hashed}
	for i, text := range s.sums {
		if !text.Valid { // the sum of no rows
			continue
		}
		if _, ok := d.sums[i].SetString(text.String, 10); !ok {
			return nil, Permanent(fmt.Errorf("the digest came as %q, which is no whole number", clip(text.String)))
		}
	}
	return d, nil
}

// digestSession is a session on the table of a side.
type digestSession struct {
	*tableSession
	side *digestSide
}

func (d *digestSide) open(ctx context.Context) (*digestSession, error) {
	s, err := d.table.open(ctx, d.schema)
	if err != nil {
		return nil, err
	}
	return &digestSession{tableSession: s, side: d}, nil
}

// ask is query without preparing where all of the statement is ours and its numbers read the same in text: one way to the server and back instead of three.
func (s *tableSession) ask(ctx context.Context, what, stmt string, read func(*sql.Rows) error) error {
	if s.where != "" {
		return s.query(ctx, what, stmt, s.table.Args, read)
	}
	s.running = true
	rows, err := s.conn.QueryContext(ctx, stmt)
	if err != nil {
		return advise(what, err)
	}
	defer rows.Close()
	readErr := read(rows)
	if err := rows.Err(); err != nil { // why reading ended early comes first
		return advise(what, err)
	}
	if readErr != nil {
		return readErr
	}
	if err := rows.Close(); err != nil {
		return advise(what, err)
	}
	s.running = false
	return nil
}

// digest asks for the digest of a part of the table.
func (s *digestSession) digest(ctx context.Context, where string) (d *digest, err error) {
	what := "digest of " + s.schema.quoted
	stmt := digestQuery(s.side.form, rowText(s.side.fields), s.from(nil, where), "")
	err = s.ask(ctx, what, stmt, func(rows *sql.Rows) error {
		for rows.Next() {
			var got scanned
			if err := rows.Scan(got.dest()...); err != nil {
				return advise(what, err)
			}
			if d, err = got.digest(); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err == nil && d == nil {
		err = fmt.Errorf("%s: the server returned no row", what)
	}
	return d, err
}

// buckets asks for the digests of a part of the table, by what the key's hash leaves when it is divided.
func (s *digestSession) buckets(ctx context.Context, where string, divisor int, each func(bucket int, d *digest)) error {
	what := "digests of " + s.schema.quoted
	stmt := digestQuery(s.side.form, rowText(s.side.fields), s.from(nil, where), s.side.bucket(divisor))
	return s.ask(ctx, what, stmt, func(rows *sql.Rows) error {
		for rows.Next() {
			var bucket sql.NullInt64
			var got scanned
			if err := rows.Scan(append([]any{&bucket}, got.dest()...)...); err != nil {
				return advise(what, err)
			}
			d, err := got.digest()
			if err != nil {
				return err
			}
			if !bucket.Valid {
				return Permanent(fmt.Errorf("%s: %w", what, errKeyUnwritable))
			}
			each(int(bucket.Int64), d)
		}
		return rows.Err()
	})
}

var errKeyUnwritable = errors.New("the hash of a key is NULL")

// bucket is the expression for the bucket of a row.
func (d *digestSide) bucket(divisor int) string {
	return fmt.Sprintf("CRC32(%s) %% %d", d.keyText(), divisor)
}

// boundary returns the key of the row that comes n rows after the key (nil: from the start) in the order of the index, not beyond upTo; nil: there are not as many rows.
func (s *tableSession) boundary(ctx context.Context, key keyColumns, through *uniqueKey, after, upTo neutralKey, n int64) (neutralKey, error) {
	where, err := key.between(after, upTo, true)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(key))
	for i, k := range key {
		names[i] = k.column.name
	}
	stmt, err := s.statement(names, through, where, key.exprs(true))
	if err != nil {
		return nil, err
	}
	last := &pageSink{rowSink: discard{}, key: key}
	read := newRowReader(scanRequest{columns: names}, true, last).read // keys are exact in text as well: there is no FLOAT among them
	if err := s.ask(ctx, "divide "+s.schema.quoted, stmt+fmt.Sprintf(" LIMIT 1 OFFSET %d", n-1), read); err != nil {
		return nil, err
	}
	if last.rows == 0 {
		return nil, nil
	}
	return last.last()
}

// discard is a sink that keeps nothing.
type discard struct{}

func (discard) begin([]resolvedColumn) error { return nil }
func (discard) row([]sql.RawBytes) error     { return nil }

// snapshot calls f between the start and the end of a transaction in which the server shows one state of the data.
func (s *digestSession) snapshot(ctx context.Context, f func() error) error {
	if err := s.exec(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"); err != nil {
		return advise("take a snapshot", err)
	}
	if err := f(); err != nil {
		return err // closing the session ends the transaction
	}
	return advise("end the snapshot", s.exec(ctx, "COMMIT"))
}

// extentSource is a source of the rows of a part of the table, in the session's transaction. It counts them.
type extentSource struct {
	Table
	session *digestSession
	extent  extent
	rows    int64
}

func (e *extentSource) scan(ctx context.Context, want scanRequest, sink rowSink) error {
	s := e.session
	stmt, err := s.statement(want.columns, nil, e.extent.where, s.side.key.exprs(!e.extent.sorted))
	if err != nil {
		return err
	}
	counting := &pageSink{rowSink: sink, key: s.side.key}
	defer func() { e.rows = int64(counting.rows) }()
	return s.read(ctx, stmt, want.columns, counting)
}
