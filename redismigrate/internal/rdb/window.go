package rdb

import "io"

// bufferSize is how much is read at once.
const bufferSize = 256 << 10

// window is the part of the file that is in memory: what is consumed lies before pos, what is read ahead between pos and end. Consumed
// bytes enter the checksum and go to the writer in large pieces, when the window moves on.
type window struct {
	in       io.Reader
	onRead   func() error // called before each read
	buf      []byte
	pos, end int
	base     int64 // offset in the file of buf[0]
	held     int   // if not negative, consumed bytes from here on stay in memory
	summed   int   // consumed bytes before this one are in crc
	crc      uint64
	to       *Writer // where consumed bytes go, if anywhere
	sent     int     // consumed bytes before this one have gone there
}

func (w *window) offset() int64 { return w.base + int64(w.pos) }

// settle brings the checksum and the writer up to pos.
func (w *window) settle() {
	if w.summed < w.pos {
		w.crc = Checksum(w.crc, w.buf[w.summed:w.pos])
		w.summed = w.pos
	}
	if w.to != nil && w.sent < w.pos {
		w.to.Write(w.buf[w.sent:w.pos])
		w.sent = w.pos
	}
}

// more reads on: at least one byte, or it returns an error, at the end of the file io.EOF.
func (w *window) more() error {
	if err := w.onRead(); err != nil {
		return err
	}
	w.settle()
	if w.to != nil && w.to.err != nil {
		return w.to.err
	}
	from := w.pos
	if w.held >= 0 {
		from = w.held
		w.held = 0
	}
	if from > 0 {
		copy(w.buf, w.buf[from:w.end])
		w.base += int64(from)
		w.pos, w.end, w.summed, w.sent = w.pos-from, w.end-from, w.summed-from, w.sent-from
	}
	if w.end == len(w.buf) { // full of what is held: only as much more as has really come, whatever a length in the file claims
		w.buf = append(w.buf, make([]byte, len(w.buf))...)
	}
	for range 100 {
		n, err := w.in.Read(w.buf[w.end:])
		w.end += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// fill makes n bytes ready at pos.
func (w *window) fill(n int) error {
	for w.end-w.pos < n {
		if err := w.more(); err != nil {
			if err == io.EOF { //nolint:errorlint // as io.Reader demands it
				return &FormatError{
					Offset: w.base + int64(w.end), Truncated: true,
					Problem: "the file ends here, in the middle: it is truncated; copy it again in full, or take a new snapshot",
				}
			}
			return err
		}
	}
	return nil
}

// skip consumes n bytes, however many.
func (w *window) skip(n uint64) error {
	for {
		ready := uint64(w.end - w.pos)
		if n <= ready {
			w.pos += int(n)
			return nil
		}
		n -= ready
		w.pos = w.end
		if err := w.fill(1); err != nil {
			return err
		}
	}
}
