package consistency

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// scan reads the rows of a range in the neutral order of their keys.
//
// Where an index has that order it reads page after page, each in a statement of its own, which leaves the server no old row versions to keep. Otherwise the server sorts: one
// statement, whose snapshot lasts until the last row was taken.
func (s *tableSession) scan(ctx context.Context, want scanRequest, key keyColumns, sink rowSink) error {
	_, worst := key.classes()
	unique, inOrder := s.schema.uniqueOver(key.columns())
	if worst == orderForeign || !inOrder {
		return s.sorted(ctx, want, key, sink)
	}
	p := &pageSink{rowSink: sink, key: key, padded: worst == orderPadded}
	after := want.after
	for {
		where, err := key.between(after, want.upTo, true)
		if errors.Is(err, errNoLiteral) {
			return s.sorted(ctx, want, key, sink)
		}
		if err != nil {
			return err
		}
		stmt, err := s.statement(want.columns, unique, where, key.exprs(true))
		if err != nil {
			return err
		}
		p.rows = 0
		if err := s.read(ctx, stmt+fmt.Sprintf(" LIMIT %d", pageRows), want.columns, p); err != nil {
			return err
		}
		if p.rows < pageRows {
			return nil
		}
		if after, err = p.last(); err != nil {
			return err
		}
	}
}

// sorted has the server sort. The bounds are left to the sink where they cannot be written.
func (s *tableSession) sorted(ctx context.Context, want scanRequest, key keyColumns, sink rowSink) error {
	where, err := key.between(want.after, want.upTo, false)
	if err != nil && !errors.Is(err, errNoLiteral) {
		return err
	}
	stmt, err := s.statement(want.columns, nil, where, key.exprs(false))
	if err != nil {
		return err
	}
	return s.read(ctx, stmt, want.columns, sink)
}

// fetch reads the rows that have one of these keys, perhaps more.
func (s *tableSession) fetch(ctx context.Context, want scanRequest, key keyColumns, keys []neutralKey, sink rowSink) error {
	once := &beginOnce{rowSink: sink}
	for batch := range slices.Chunk(keys, lookupKeys) {
		where, err := key.among(batch)
		if errors.Is(err, errNoLiteral) {
			return errNoFetch
		}
		if err != nil {
			return err
		}
		stmt, err := s.statement(want.columns, nil, where, nil)
		if err != nil {
			return err
		}
		if err := s.read(ctx, stmt, want.columns, once); err != nil {
			return err
		}
	}
	return nil
}

// statement writes SELECT columns FROM the table through the index (nil: the server chooses) WHERE both conditions ("": none).
func (s *tableSession) statement(columns []string, through *uniqueKey, where string, order []string) (string, error) {
	list, err := s.selectList(columns)
	if err != nil {
		return "", err
	}
	stmt := "SELECT " + list + s.from(through, where)
	if len(order) > 0 {
		stmt += " ORDER BY " + strings.Join(order, ", ")
	}
	return stmt, nil
}

// from writes the part of a statement that chooses the rows.
func (s *tableSession) from(through *uniqueKey, where string) string {
	text := " FROM " + s.schema.quoted
	if through != nil && s.where == "" { // with a condition of the user's another index may be the better one
		text += " FORCE INDEX (" + quoteName(through.name) + ")"
	}
	var conditions []string
	for _, c := range []string{s.where, where} {
		if c != "" {
			conditions = append(conditions, c)
		}
	}
	if len(conditions) > 0 {
		text += " WHERE " + strings.Join(conditions, " AND ")
	}
	return text
}

// read runs a statement that s.where is part of, and hands its rows to the sink.
func (s *tableSession) read(ctx context.Context, stmt string, columns []string, sink rowSink) error {
	return s.query(ctx, "read "+s.schema.quoted, stmt, s.table.Args, newRowReader(scanRequest{columns: columns}, true, sink).read)
}

// beginOnce is a sink over several statements, which begins once.
type beginOnce struct {
	rowSink
	begun bool
}

func (b *beginOnce) begin(columns []resolvedColumn) error {
	if b.begun {
		return nil
	}
	b.begun = true
	return b.rowSink.begin(columns)
}

// pageSink hands the rows of several pages on, and keeps the key of the last one.
type pageSink struct {
	rowSink
	key     keyColumns
	padded  bool // see orderPadded
	begun   bool
	readers []cellReader
	rows    int
	raw     [][]byte // the key of the last row
}

func (p *pageSink) begin(columns []resolvedColumn) error {
	if p.begun {
		return nil
	}
	p.begun = true
	p.readers = p.key.readers(columns)
	p.raw = make([][]byte, len(p.key))
	for i := range p.raw {
		p.raw[i] = []byte{} // nil is NULL, '' is not
	}
	return p.rowSink.begin(columns)
}

func (p *pageSink) row(raw []sql.RawBytes) error {
	p.rows++
	for i := range p.raw {
		if p.padded && p.key[i].kind == KindText && hasControl(raw[i]) {
			return Permanent(fmt.Errorf("the key column %q holds a text with a control character, which its collation %s does not order by bytes: read the table with a Query that has ORDER BY CAST(%s AS BINARY), or make the column's collation one with NO PAD",
				p.key[i].column.name, p.key[i].column.collation, quoteName(p.key[i].column.name)))
		}
		if raw[i] == nil {
			return Permanent(fmt.Errorf("column %q: %w", p.key[i].column.name, errNullKey))
		}
		p.raw[i] = append(p.raw[i][:0], raw[i]...)
	}
	return p.rowSink.row(raw)
}

// hasControl reports whether a text has a character below the space.
func hasControl(text []byte) bool {
	return bytes.IndexFunc(text, func(r rune) bool { return r < ' ' }) >= 0
}

// last returns the key of the last row in the neutral form.
func (p *pageSink) last() (neutralKey, error) { return neutralKeyOf(p.key, p.readers, p.raw) }

// readers read the key columns of a row.
func (k keyColumns) readers(columns []resolvedColumn) []cellReader {
	readers := make([]cellReader, len(k))
	for i, c := range k {
		readers[i] = cellReader{kind: c.kind, rule: c.rule, key: true, from: columns[i]}
	}
	return readers
}

func neutralKeyOf[T ~[]byte](k keyColumns, readers []cellReader, raw []T) (neutralKey, error) {
	key := make(neutralKey, len(k))
	for i := range k {
		if raw[i] == nil {
			return nil, Permanent(fmt.Errorf("column %q: %w", k[i].column.name, errNullKey))
		}
		text, err := readers[i].append(nil, raw[i])
		if err != nil {
			return nil, Permanent(fmt.Errorf("the key column %q holds a value %w: correct the data, or Column.Kind (%s)", k[i].column.name, err, k[i].kind))
		}
		key[i] = string(text)
	}
	return key, nil
}

// rowSinkFunc makes a Row of each row for a caller outside.
type rowSinkFunc struct {
	yield   func(Row, error) bool
	columns []resolvedColumn
}

func (s *rowSinkFunc) begin(columns []resolvedColumn) error {
	s.columns = columns
	return nil
}

func (s *rowSinkFunc) row(raw []sql.RawBytes) error {
	row := make(Row, len(raw))
	for i, c := range s.columns {
		row[i].Name = c.name
		if raw[i] == nil {
			continue
		}
		reader := cellReader{kind: c.kind, from: c}
		text, err := reader.append(nil, raw[i])
		if err != nil {
			return Permanent(fmt.Errorf("column %q holds a value %w", c.name, err))
		}
		row[i].Value = publicValue(c.kind, string(text))
	}
	if !s.yield(row, nil) {
		return errEnough
	}
	return nil
}

// keyFilter lets only the rows with these keys pass: a collation finds more.
type keyFilter struct {
	rowSink
	key     keyColumns
	keys    []neutralKey
	wanted  map[string]bool
	readers []cellReader
}

func (f *keyFilter) begin(columns []resolvedColumn) error {
	f.wanted = make(map[string]bool, len(f.keys))
	for _, k := range f.keys {
		f.wanted[string(keyCells(k))] = true
	}
	f.readers = f.key.readers(columns)
	return f.rowSink.begin(columns)
}

func (f *keyFilter) row(raw []sql.RawBytes) error {
	key, err := neutralKeyOf(f.key, f.readers, raw[:len(f.key)])
	if err != nil || !f.wanted[string(keyCells(key))] {
		return err
	}
	return f.rowSink.row(raw)
}
