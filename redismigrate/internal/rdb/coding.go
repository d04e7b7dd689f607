package rdb

import (
	"encoding/binary"
	"strconv"
)

// MaxName is the longest name that is read: of a key, an auxiliary field, a slot migration. Values may be of any length.
const MaxName = 1 << 20

// Special codings of a string.
const (
	codedInt8 = iota
	codedInt16
	codedInt32
	codedLZF
)

// length reads a length. If special is true, it is not one, but says in which special way a string is coded.
func (r *Reader) length() (n uint64, special bool, err error) {
	if r.pos == r.end {
		if err := r.fill(1); err != nil {
			return 0, false, err
		}
	}
	b := r.buf[r.pos]
	switch {
	case b < 0x40:
		r.pos++
		return uint64(b), false, nil
	case b < 0x80:
		if err := r.fill(2); err != nil {
			return 0, false, err
		}
		n = uint64(b&0x3f)<<8 | uint64(r.buf[r.pos+1])
		r.pos += 2
		return n, false, nil
	case b >= 0xc0:
		r.pos++
		return uint64(b & 0x3f), true, nil
	case b == 0x80:
		if err := r.fill(5); err != nil {
			return 0, false, err
		}
		n = uint64(binary.BigEndian.Uint32(r.buf[r.pos+1:]))
		r.pos += 5
		return n, false, nil
	case b == 0x81:
		if err := r.fill(9); err != nil {
			return 0, false, err
		}
		n = binary.BigEndian.Uint64(r.buf[r.pos+1:])
		r.pos += 9
		return n, false, nil
	}
	return 0, false, r.errorAt(r.offset(), "no length begins with byte 0x%02x; %s", b, damaged)
}

// count reads a length where nothing else may stand.
func (r *Reader) count() (uint64, error) {
	at := r.offset()
	n, special, err := r.length()
	if err == nil && special {
		err = r.errorAt(at, "a length is needed here, but a string's coding (0x%02x) stands here; %s", 0xc0|n, damaged)
	}
	return n, err
}

// quickLength reads a length of one or two bytes; size is 0 where there is none. It is small enough to be inlined.
func quickLength(b []byte) (n, size int) {
	switch {
	case b[0] < 0x40:
		return int(b[0]), 1
	case b[0] < 0x80:
		return int(b[0]&0x3f)<<8 | int(b[1]), 2
	}
	return 0, 0
}

// skipString consumes a string.
func (r *Reader) skipString() error {
	if b := r.buf[r.pos:r.end]; len(b) >= 8 { // nearly all strings, plain or compressed, are short and at hand
		n, size := quickLength(b)
		if b[0] == 0xc0|codedLZF {
			packed, more := quickLength(b[1:])
			if _, last := quickLength(b[1+more:]); more > 0 && last > 0 {
				n, size = packed, 1+more+last
			}
		}
		if size > 0 && size+n <= len(b) {
			r.pos += size + n
			return nil
		}
	}
	at := r.offset()
	n, special, err := r.length()
	if err != nil {
		return err
	}
	if special {
		switch n {
		case codedInt8, codedInt16, codedInt32:
			n = 1 << n
		case codedLZF:
			if n, err = r.count(); err != nil {
				return err
			}
			if _, err = r.count(); err != nil { // the length that it decompresses to
				return err
			}
		default:
			return r.errorAt(at, "no string is coded as 0x%02x; %s", 0xc0|n, damaged)
		}
	}
	return r.skip(n)
}

func (r *Reader) skipStrings(n uint64) error {
	for ; n > 0; n-- {
		if err := r.skipString(); err != nil {
			return err
		}
	}
	return nil
}

// name is a string that was read: its bytes lie in the window from start on, counted from where it holds, or else in the scratch buffer.
type name struct {
	start, n int
	scratch  bool
}

// readName reads a string of at most MaxName bytes. The window must be holding.
func (r *Reader) readName() (name, error) {
	if b := r.buf[r.pos:r.end]; len(b) >= 2 {
		if n, size := quickLength(b); size > 0 && size+n <= len(b) {
			r.pos += size + n
			return name{start: r.pos - n - r.held, n: n}, nil
		}
	}
	at := r.offset()
	n, special, err := r.length()
	if err != nil {
		return name{}, err
	}
	if !special {
		if n > MaxName {
			return name{}, r.tooLong(at, n)
		}
		if err := r.fill(int(n)); err != nil {
			return name{}, err
		}
		r.pos += int(n)
		return name{start: r.pos - int(n) - r.held, n: int(n)}, nil
	}
	if n == codedLZF {
		return r.readCompressed(at)
	}
	if n > codedInt32 {
		return name{}, r.errorAt(at, "no string is coded as 0x%02x; %s", 0xc0|n, damaged)
	}
	if err := r.fill(1 << n); err != nil {
		return name{}, err
	}
	b := r.buf[r.pos:]
	var value int64
	switch n {
	case codedInt8:
		value = int64(int8(b[0]))
	case codedInt16:
		value = int64(int16(binary.LittleEndian.Uint16(b)))
	case codedInt32:
		value = int64(int32(binary.LittleEndian.Uint32(b)))
	}
	r.pos += 1 << n
	r.scratch = strconv.AppendInt(r.scratch[:0], value, 10)
	return name{n: len(r.scratch), scratch: true}, nil
}

func (r *Reader) readCompressed(at int64) (name, error) {
	packed, err := r.count()
	if err != nil {
		return name{}, err
	}
	n, err := r.count()
	if err != nil {
		return name{}, err
	}
	if n > MaxName || packed > MaxName {
		return name{}, r.tooLong(at, max(n, packed))
	}
	if err := r.fill(int(packed)); err != nil {
		return name{}, err
	}
	var ok bool
	if r.scratch, ok = decompress(r.scratch[:0], r.buf[r.pos:r.pos+int(packed)], int(n)); !ok {
		return name{}, r.errorAt(at, "a compressed string does not decompress to the %d bytes that it claims; %s", n, damaged)
	}
	r.pos += int(packed)
	return name{n: len(r.scratch), scratch: true}, nil
}

func (r *Reader) tooLong(at int64, n uint64) error {
	return r.errorAt(at, "a name of %d bytes; names of at most %d bytes are read: %s", n, MaxName, damaged)
}

// bytes returns the name's bytes, good until the window moves on.
func (r *Reader) bytes(n name) []byte {
	if n.scratch {
		return r.scratch[:n.n]
	}
	from := r.held + n.start
	return r.buf[from : from+n.n]
}
