package consistency

import (
	"bytes"
	"context"
	"database/sql"
	"iter"
)

// A FuncSource is a Source made of a Go function, so that Redis, an API or a file can stand on one side. See Source.Rows for what it must do. The Kind of
// every column must be declared, since a function cannot say it.
type FuncSource func(ctx context.Context, after []any) iter.Seq2[Row, error]

// Rows calls f.
func (f FuncSource) Rows(ctx context.Context, after []any) iter.Seq2[Row, error] {
	return f(ctx, after)
}

// What follows is how the sources of this package (Query, Table) are read: without a Row being made of each row, and with what the server knows about
// the columns.
//
// The neutral form of a value is a text, the same for all servers and drivers; see cellReader. Two values are in the neutral order as compareCells says:
//
//	KindInteger  -12, 0, 18446744073709551615           by number, of any size
//	KindDecimal  -12.5, 0, 3 (no zeros at the end)      by number, of any size
//	KindFloat    as strconv 'g' -1; 0 for -0, NaN, ±Inf  never a key
//	KindText     UTF-8 as it is                          by bytes
//	KindBinary   the bytes                               by bytes
//	KindTime     2006-01-02 15:04:05[.999999999], UTC    by instant (no zeros at the end of the fraction)
//	KindDate     2006-01-02                              by date
//	KindBool     false, true                             false first
//	KindJSON     as it is written                        never a key
//
// Keys of several columns are ordered by the first, then the second and so on. Rules of a Column (Fold, TrimSpace, EmptyIsNull, Scale, Tolerance, the order
// of the keys of a JSON object) are applied where two values differ in the neutral form; in a key Fold and TrimSpace are part of the neutral form.
// A decimal is rounded to Column.Scale half away from zero, as ROUND does; of a second's fraction what lies beyond Scale is cut off.

// neutralKey is the key of a row: the neutral forms of its key columns.
type neutralKey []string

// zoneRule says how a KindTime is written by its source.
type zoneRule int

const (
	// zoneColumn: a date and time without a zone (DATETIME), in Column.Location. A func source's text may carry an offset, which then wins.
	zoneColumn zoneRule = iota
	// zoneUTC: the source writes UTC, whatever offset a driver puts on it (TIMESTAMP in a session with time_zone '+00:00').
	zoneUTC
	// zoneWritten: the offset that is written with each value is right (TIMESTAMP WITH TIME ZONE elsewhere).
	zoneWritten
)

// resolvedColumn is a column as its source has it.
type resolvedColumn struct {
	name string // as the source writes it
	kind Kind   // KindAuto: the source cannot say
	typ  string // the server's name of the type as the driver gives it: "DECIMAL", "UNSIGNED BIGINT", "TIMESTAMP"; "" if there is none
	zone zoneRule
	bits bool // BIT: values are the bytes of a number, the highest first
	// wall: an offset that a driver writes with a value is of the DSN, not of the data (DATETIME with parseTime=true).
	wall bool
}

// scanRequest says what to read of a source.
type scanRequest struct {
	columns []string // names on this side; the key columns come first
	keys    int      // how many of them are the key
	rules   []Column // in the order of columns
	// after and upTo bound the keys: after < key ≤ upTo. Nil: no bound.
	after, upTo neutralKey
}

// rowSink takes what a source reads. An error of either method ends the reading and is returned by scan and fetch as it is. Rows outside of the range
// that was asked for are left out by the sink, so that a source may deliver more.
type rowSink interface {
	// begin is called once before the first row, also where there is none, with the columns in the order of scanRequest.columns.
	begin(columns []resolvedColumn) error
	// row takes one row, valid during the call only. A nil is NULL.
	row(raw []sql.RawBytes) error
}

// rawSource is a source of this package.
type rawSource interface {
	Source
	// scan reads the rows of the range in the neutral order of their keys. The sink checks the order.
	scan(ctx context.Context, want scanRequest, sink rowSink) error
	// describe says in one line what is read, for the fingerprint of a checkpoint. No DSN.
	describe() string
	// validate says what is wrong with the declaration, without connecting.
	validate() error
}

// fetchSource is a source that can find rows by key.
type fetchSource interface {
	rawSource
	// fetch reads the rows that have one of these keys, in any order; rows with other keys that it reads as well are ignored by the caller.
	// errNoFetch: it cannot, in a way that is sure to find them all.
	fetch(ctx context.Context, want scanRequest, keys []neutralKey, sink rowSink) error
}

// compareKeys compares two neutral keys in the neutral order.
func compareKeys(kinds []Kind, a, b neutralKey) int {
	for i, k := range kinds {
		if c := compareCells(k, []byte(a[i]), []byte(b[i])); c != 0 {
			return c
		}
	}
	return 0
}

// compareCells compares two values that are not NULL in the neutral order of their kind.
func compareCells(k Kind, a, b []byte) int {
	switch k {
	case KindInteger, KindDecimal:
		return compareNumbers(a, b)
	case KindAuto, KindFloat, KindText, KindBinary, KindTime, KindDate, KindJSON, KindBool:
	}
	return bytes.Compare(a, b)
}

// compareNumbers compares two numbers in the neutral form, of any size.
func compareNumbers(a, b []byte) int {
	negA, negB := len(a) > 0 && a[0] == '-', len(b) > 0 && b[0] == '-'
	switch {
	case negA && !negB:
		return -1
	case negB && !negA:
		return 1
	case negA:
		return compareDigits(b[1:], a[1:])
	}
	return compareDigits(a, b)
}

func compareDigits(a, b []byte) int {
	wholeA, fractionA, _ := bytes.Cut(a, []byte{'.'})
	wholeB, fractionB, _ := bytes.Cut(b, []byte{'.'})
	if len(wholeA) != len(wholeB) {
		if len(wholeA) < len(wholeB) {
			return -1
		}
		return 1
	}
	if c := bytes.Compare(wholeA, wholeB); c != 0 {
		return c
	}
	return bytes.Compare(fractionA, fractionB)
}
