package rdb

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Writer writes a snapshot: its header, what is put in, and with End what makes it complete. Without End no server loads it. An error of
// the underlying writer stays, and End returns it.
type Writer struct {
	out io.Writer
	buf []byte
	n   int64
	crc uint64
	err error
}

// NewWriter begins a snapshot with the header. Nothing is written before the first buffer is full, or End.
func NewWriter(out io.Writer, h Header) *Writer {
	w := &Writer{out: out, buf: make([]byte, 0, bufferSize)}
	w.buf = append(w.buf, h.String()...)
	return w
}

// Written is how many bytes the underlying writer has taken.
func (w *Writer) Written() int64 { return w.n }

// Write puts bytes in. It never fails; see Err.
func (w *Writer) Write(p []byte) {
	for len(p) > cap(w.buf)-len(w.buf) {
		n := cap(w.buf) - len(w.buf)
		w.buf = append(w.buf, p[:n]...)
		p = p[n:]
		w.crc = Checksum(w.crc, w.buf)
		w.flush()
	}
	w.buf = append(w.buf, p...)
}

// SelectDB says to which db the keys that follow belong.
func (w *Writer) SelectDB(db uint64) {
	var b [10]byte
	w.Write(appendLength(append(b[:0], opSelectDB), db))
}

// Err is the first error of the underlying writer.
func (w *Writer) Err() error { return w.err }

// End writes the end mark and the checksum.
func (w *Writer) End() error {
	w.Write([]byte{opEnd})
	w.crc = Checksum(w.crc, w.buf)
	w.flush()
	w.buf = binary.LittleEndian.AppendUint64(w.buf, w.crc)
	w.flush()
	return w.err
}

func (w *Writer) flush() {
	if w.err == nil {
		n, err := w.out.Write(w.buf)
		w.n += int64(n)
		if err == nil && n < len(w.buf) {
			err = io.ErrShortWrite
		}
		if err != nil {
			w.err = fmt.Errorf("write the output (%d bytes are written): %w", w.n, err)
		}
	}
	w.buf = w.buf[:0]
}

func appendLength(b []byte, n uint64) []byte {
	switch {
	case n < 1<<6:
		return append(b, byte(n))
	case n < 1<<14:
		return append(b, 0x40|byte(n>>8), byte(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, 0x80), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, 0x81), n)
}
