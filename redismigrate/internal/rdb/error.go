package rdb

import (
	"errors"
	"fmt"
	"io"
)

// FormatError says where a snapshot is not what it should be.
type FormatError struct {
	// Offset is the byte at which it shows, counted from 0.
	Offset int64
	// Problem says what is wrong and what can be done.
	Problem string
	// Where says which key's value or which other part the byte belongs to, where that is known.
	Where string
	// Truncated is true when nothing is wrong but that the file ends.
	Truncated bool
}

func (e *FormatError) Error() string {
	text := fmt.Sprintf("byte %d", e.Offset)
	if e.Where != "" {
		text += ", " + e.Where
	}
	return text + ": " + e.Problem
}

// Unwrap lets errors.Is find io.ErrUnexpectedEOF in the error of a truncated file.
func (e *FormatError) Unwrap() error {
	if e.Truncated {
		return io.ErrUnexpectedEOF
	}
	return nil
}

const damaged = "the file is damaged (redis-check-rdb can tell more), or not what its header says; take it again from where it was saved"

func (r *Reader) errorAt(offset int64, format string, args ...any) error {
	return &FormatError{Offset: offset, Problem: fmt.Sprintf(format, args...)}
}

// placed adds to a format error what was being read.
func (r *Reader) placed(err error) error {
	var format *FormatError
	if !errors.As(err, &format) || format.Where != "" {
		return err
	}
	switch {
	case r.inKey:
		shown, more := r.lastKey[:min(r.lastKeyLen, len(r.lastKey))], ""
		if r.lastKeyLen > len(r.lastKey) {
			more = "…"
		}
		format.Where = fmt.Sprintf("in the %s %q%s of db %d", TypeName(r.rec.Type), shown, more, r.db)
	case r.lastKeyLen >= 0:
		format.Where = fmt.Sprintf("somewhere after the key %q", r.lastKey[:min(r.lastKeyLen, len(r.lastKey))])
	}
	return err
}
