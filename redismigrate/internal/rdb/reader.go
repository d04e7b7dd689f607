package rdb

import "io"

// Kind says what a record is.
type Kind uint8

// The kinds of records.
const (
	Key        Kind = iota + 1 // a key with its value
	SelectDB                   // the keys that follow are in Record.DB
	ResizeDB                   // how many keys follow: a hint
	SlotInfo                   // how many keys of a slot follow: a hint
	SlotImport                 // a slot migration was under way when the snapshot was taken
	Aux                        // a field about the snapshot
	Function                   // a function library
	ModuleAux                  // data of a module that belong to no key
)

// Record is what stands in a snapshot from one opcode or type to the next. Its byte slices are good until Pass or Next.
type Record struct {
	Kind Kind
	// Offset of its first byte in the file.
	Offset int64
	// DB is the db of a Key, or the one that SelectDB names.
	DB uint64
	// Name is a key's name, an auxiliary field's, or a slot migration's.
	Name []byte
	// Value of an auxiliary field, where it is of at most 1 KiB.
	Value []byte
	// Type is a value's type byte; see TypeName.
	Type byte
	// Module is the type name of a module's value or auxiliary data.
	Module string
	// Expires tells whether the key expires, at ExpireAt (Unix milliseconds).
	Expires  bool
	ExpireAt int64
	// Keys and WithExpiry are what ResizeDB says.
	Keys, WithExpiry uint64

	body body
}

// body says what of a record is still to be read when Next returns it.
type body uint8

const (
	bodyNone body = iota
	bodyValue
	bodyString
	bodyModule
)

// Reader reads a snapshot record by record. Its memory is bounded: a buffer of 256 KiB, and twice to four times the longest name if that
// is longer.
type Reader struct {
	window
	header  Header
	holds   [256]bool // the types that the format has
	db      uint64
	rec     Record
	pending bool // rec's body is not consumed yet
	ended   bool
	sum     bool // the file has a checksum, and it was right
	scratch []byte
	aux     []byte

	lastKey    [100]byte // for errors
	lastKeyLen int
	inKey      bool
}

// NewReader reads the header of a snapshot. onRead, if not nil, is called each time before more of the input is read, about every 256 KiB; an
// error that it returns ends the reading.
func NewReader(in io.Reader, onRead func() error) (*Reader, error) {
	r := newReader(in, onRead)
	if err := r.readHeader(); err != nil {
		return nil, err
	}
	return r, nil
}

// ReadKeyAt returns the name of the key whose record begins at the reader's position, in a file of this header.
func ReadKeyAt(in io.Reader, h Header) (string, error) {
	r := newReader(in, nil)
	r.use(h)
	rec, err := r.Next()
	if err != nil {
		return "", err
	}
	if rec.Kind != Key {
		return "", r.errorAt(0, "no key begins here")
	}
	return string(rec.Name), nil
}

func newReader(in io.Reader, onRead func() error) *Reader {
	if onRead == nil {
		onRead = func() error { return nil }
	}
	return &Reader{window: window{in: in, onRead: onRead, buf: make([]byte, bufferSize), held: -1}, lastKeyLen: -1}
}

func (r *Reader) use(h Header) {
	r.header = h
	for typ := range r.holds {
		r.holds[typ] = h.holds(byte(typ))
	}
}

// Header is what the file began with.
func (r *Reader) Header() Header { return r.header }

// Offset is how many bytes of the file are consumed.
func (r *Reader) Offset() int64 { return r.offset() }

// Checksummed reports whether the file carries a checksum. It is known, and was found to be right, when Next has returned io.EOF.
func (r *Reader) Checksummed() bool { return r.sum }

// Next reads the next record as far as its name. What Pass has not passed on of the one before is left out. After the last record, and only
// when the file ends there and its checksum, if it has one, is right, the error is io.EOF.
func (r *Reader) Next() (*Record, error) {
	if r.pending {
		if err := r.Pass(nil); err != nil {
			return nil, err
		}
	}
	if r.ended {
		return nil, io.EOF
	}
	r.held = r.pos
	rec := &r.rec // reset by hand: whole records are large, and there are millions
	rec.Offset, rec.DB, rec.Expires, rec.body = r.offset(), r.db, false, bodyNone
	if rec.Kind != Key || rec.Module != "" {
		*rec = Record{Offset: rec.Offset, DB: rec.DB}
	}
	r.pending = true
	if err := r.readHead(); err != nil {
		return nil, r.placed(err)
	}
	if r.ended {
		r.held, r.pending = -1, false
		if err := r.readEnd(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	return &r.rec, nil
}

// Pass consumes the rest of the record and writes all of it, as it stands, to the writer, if that is not nil. A record is passed once.
func (r *Reader) Pass(to *Writer) error {
	if !r.pending {
		return nil
	}
	r.pending = false
	r.to, r.sent, r.held = to, r.held, -1
	var err error
	switch r.rec.body {
	case bodyValue:
		err = r.skipValue(r.rec.Type)
	case bodyString:
		err = r.skipString()
	case bodyModule:
		err = r.skipModule()
	}
	if to != nil && err == nil {
		to.Write(r.buf[r.sent:r.pos])
		err = to.err
	}
	r.to = nil
	if err != nil {
		return r.placed(err)
	}
	r.inKey = false
	return nil
}

func (r *Reader) readByte() (byte, error) {
	if r.pos == r.end {
		if err := r.fill(1); err != nil {
			return 0, err
		}
	}
	r.pos++
	return r.buf[r.pos-1], nil
}
