package consistency

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"unicode/utf8"
)

// rowBuilder turns what a source delivers into rows of cells. An error names the side, the column and the key.
type rowBuilder struct {
	ctx     context.Context
	meeting *meeting
	side    int
	p       *pairing
}

func (b *rowBuilder) begin(columns []resolvedColumn) (err error) {
	b.p, err = b.meeting.join(b.ctx, b.side, columns)
	return err
}

// appendRow appends one row.
func (b *rowBuilder) appendRow(dst []byte, raw []sql.RawBytes) ([]byte, error) {
	readers := b.p.readers[b.side]
	start := len(dst)
	for i, value := range raw {
		if value == nil {
			if i < b.p.keys {
				return dst, b.problem(dst[start:], i, nil, errNullKey)
			}
			dst = appendCell(dst, nil)
			continue
		}
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		var err error
		if dst, err = readers[i].append(dst, value); err != nil {
			return dst, b.problem(dst[start:at], i, value, err)
		}
		n := len(dst) - at - 4
		if uint64(n) >= nullLength {
			return dst, b.problem(dst[start:at], i, nil, errors.New("it is longer than 4 GiB"))
		}
		dst[at], dst[at+1], dst[at+2], dst[at+3] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
	}
	return dst, nil
}

// problem says which value cannot be read. done are the cells that could be.
func (b *rowBuilder) problem(done []byte, i int, value []byte, err error) error {
	rule, name := b.p.rules[i], b.p.names[b.side]
	what := fmt.Sprintf("%s: column %q", name, rule.name(b.side))
	if i >= b.p.keys {
		what += " of the row with the key " + b.p.showKey(done)
	}
	if value == nil {
		return Permanent(fmt.Errorf("%s: %w", what, err))
	}
	shown := fmt.Sprintf("%q", clipText(value, 60))
	if b.p.masks(rule) {
		shown = masked
	}
	return Permanent(fmt.Errorf("%s is %s, %w: correct the data, or Column.Kind (%s)", what, shown, err, b.p.kinds[i]))
}

// showKey writes the key at the front of a row for people.
func (p *pairing) showKey(row []byte) string {
	for _, c := range p.rules[:p.keys] {
		if p.masks(c) {
			return masked
		}
	}
	return clipText([]byte(keyText(p.keyKinds, keyOf(row, p.keys))), 200)
}

// clipText shortens what is shown to people; it never cuts a character in two.
func clipText(b []byte, limit int) string {
	if len(b) <= limit {
		return string(b)
	}
	end := limit
	for end > 0 && end > limit-utf8.UTFMax && !utf8.RuneStart(b[end]) {
		end--
	}
	return fmt.Sprintf("%s… (%d bytes)", b[:end], len(b))
}

// orderSink batches the rows of one side for the merge and checks their order.
type orderSink struct {
	rowBuilder
	after, upTo []byte // as cells; nil: no bound
	current     *batch
	last        []byte // the key of the row before, as cells
	full, free  chan *batch
}

func (s *orderSink) row(raw []sql.RawBytes) (err error) {
	b := s.current
	start := len(b.data)
	if b.data, err = s.appendRow(b.data, raw); err != nil {
		return err
	}
	row := b.data[start:]
	if s.last != nil {
		if c := compareKeyCells(s.p.keyKinds, s.last, row); c >= 0 {
			return s.outOfOrder(row, c == 0)
		}
	}
	end := keyEnd(row, s.p.keys)
	s.last = row[:end:end]
	if s.after != nil && compareKeyCells(s.p.keyKinds, row, s.after) <= 0 || s.upTo != nil && compareKeyCells(s.p.keyKinds, row, s.upTo) > 0 {
		s.last = bytes.Clone(s.last)
		b.data = b.data[:start]
		if len(b.ends) == 0 {
			return s.ctx.Err() // otherwise the end of the context would not be seen as long as nothing is handed over
		}
		return nil
	}
	b.ends = append(b.ends, len(b.data))
	if len(b.ends) < batchRows && len(b.data) < batchBytes {
		return nil
	}
	s.last = bytes.Clone(s.last) // the batch will be used again
	return s.flush()
}

func (s *orderSink) flush() error {
	if len(s.current.ends) == 0 {
		return nil
	}
	if s.ctx.Err() != nil { // a source that was left behind must not send any more: full may be closed
		return context.Cause(s.ctx)
	}
	select {
	case s.full <- s.current:
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
	select {
	case s.current = <-s.free:
		s.current.reset()
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
	return nil
}

// outOfOrder says what is wrong with the order of a source, and the way out.
func (s *orderSink) outOfOrder(row []byte, same bool) error {
	name, before, now := s.p.names[s.side], s.p.showKey(s.last), s.p.showKey(row)
	if same {
		wayOut := "choose columns that identify a row"
		for _, c := range s.p.rules[:s.p.keys] {
			if c.Fold || c.TrimSpace {
				wayOut += ", or take Fold and TrimSpace from the key"
				break
			}
		}
		return Permanent(fmt.Errorf("%s: two rows have the key %s: %s", name, now, wayOut))
	}
	wayOut := "ORDER BY the key columns"
	for i, k := range s.p.keyKinds {
		c := s.p.rules[i]
		switch {
		case k == KindText && c.Fold:
			wayOut = fmt.Sprintf("%s is ordered by the bytes of its text in small letters, not by a collation: ORDER BY CAST(LOWER(%s) AS BINARY)", c.name(s.side), c.name(s.side))
		case k == KindText:
			wayOut = fmt.Sprintf("%s is ordered by the bytes of its text, not by a collation: ORDER BY CAST(%s AS BINARY) on MySQL and MariaDB, COLLATE \"C\" elsewhere", c.name(s.side), c.name(s.side))
		case k == KindInteger || k == KindDecimal:
			wayOut += fmt.Sprintf(" (%s as numbers)", c.name(s.side))
		}
	}
	return Permanent(fmt.Errorf("%s is out of order: the key %s came before %s; %s", name, before, now, wayOut))
}
