package rdb

import (
	"encoding/binary"
	"io"
	"math"
)

// readHead reads a record up to where its body begins.
func (r *Reader) readHead() error {
	rec := &r.rec
	for {
		at := r.offset()
		op, err := r.readByte()
		if err != nil {
			return err
		}
		if r.holds[op] {
			rec.Kind, rec.Type = Key, op
			return r.readKey()
		}
		switch op {
		case opExpireMilli:
			if err := r.fill(8); err != nil {
				return err
			}
			rec.Expires, rec.ExpireAt = true, int64(binary.LittleEndian.Uint64(r.buf[r.pos:]))
			r.pos += 8
		case opExpire:
			if err := r.fill(4); err != nil {
				return err
			}
			rec.Expires, rec.ExpireAt = true, 1000*int64(int32(binary.LittleEndian.Uint32(r.buf[r.pos:])))
			r.pos += 4
		case opIdle:
			_, err = r.count()
		case opFreq:
			_, err = r.readByte()
		default:
			if at != rec.Offset { // what these opcodes say is about the next key
				return r.errorAt(at, "an expiry, idle time or frequency must be followed by a key, but byte 0x%02x follows; %s", op, damaged)
			}
			return r.readOther(op)
		}
		if err != nil {
			return err
		}
	}
}

func (r *Reader) readKey() error {
	rec := &r.rec
	name, err := r.readName()
	if err != nil {
		return err
	}
	rec.body = bodyValue
	if rec.Type == typeModule2 {
		id, err := r.count()
		if err != nil {
			return err
		}
		rec.Module, rec.body = moduleName(id), bodyModule
	}
	rec.Name = r.bytes(name)
	r.lastKeyLen, r.inKey = len(rec.Name), true
	copy(r.lastKey[:], rec.Name)
	return nil
}

// readOther reads a record that is no key.
func (r *Reader) readOther(op byte) (err error) {
	rec := &r.rec
	switch {
	case op == opSelectDB:
		rec.Kind = SelectDB
		at := r.offset()
		if r.db, err = r.count(); err == nil && r.db > math.MaxInt32 {
			err = r.errorAt(at, "db %d: no server has so many; %s", r.db, damaged)
		}
		rec.DB = r.db
	case op == opResizeDB:
		rec.Kind = ResizeDB
		if rec.Keys, err = r.count(); err == nil {
			rec.WithExpiry, err = r.count()
		}
	case op == opAux:
		rec.Kind = Aux
		err = r.readAux()
	case op == opFunction2:
		rec.Kind, rec.body = Function, bodyString
	case op == opModuleAux:
		rec.Kind, rec.body = ModuleAux, bodyModule
		var id uint64
		if id, err = r.count(); err == nil {
			rec.Module = moduleName(id)
		}
	case op == opSlotInfo:
		rec.Kind = SlotInfo
		for i := 0; i < 3 && err == nil; i++ { // the slot, its keys, those that expire
			_, err = r.count()
		}
	case op == opSlotImport && r.header.Valkey:
		rec.Kind = SlotImport
		var n name
		if n, err = r.readName(); err == nil {
			rec.Name = append([]byte(nil), r.bytes(n)...)
			err = r.skipSlotRanges()
		}
	case op == opEnd:
		r.ended = true
	default:
		err = r.unknown(op)
	}
	return err
}

func (r *Reader) unknown(op byte) error {
	at := r.offset() - 1
	switch op {
	case opFunctionOld:
		return r.errorAt(at, "functions in the format of a release candidate of Redis 7.0 (opcode 0xf6), which no released server reads; remove them (FUNCTION FLUSH) and take a new snapshot")
	case typeModuleOld:
		return r.errorAt(at, "a module's value in the format of a release candidate of Redis 4.0 (type 6), which no released server reads; delete the key and take a new snapshot")
	}
	return r.errorAt(at, "byte 0x%02x is neither a type nor an opcode that is known of %v; a newer server or one with extensions wrote the file, or it is damaged (redis-check-rdb tells): copy the keys over the wire instead, or take the snapshot from a replica of a known version", op, r.header)
}

// maxAuxValue is up to which length the value of an auxiliary field is looked at.
const maxAuxValue = 1 << 10

func (r *Reader) readAux() error {
	rec := &r.rec
	n, err := r.readName()
	if err != nil {
		return err
	}
	rec.Name = append([]byte(nil), r.bytes(n)...)
	if err := r.fill(1); err != nil {
		return err
	}
	// A long or compressed value is the body: it need not fit into memory.
	if b := r.buf[r.pos]; b < 0x80 && r.shortAhead() || b >= 0xc0 && b < 0xc0|codedLZF {
		if n, err = r.readName(); err == nil {
			rec.Value = append(r.aux[:0], r.bytes(n)...)
			r.aux = rec.Value
		}
		return err
	}
	rec.body = bodyString
	return nil
}

// shortAhead reports whether a plain string of at most maxAuxValue bytes is next.
func (r *Reader) shortAhead() bool {
	b := r.buf[r.pos]
	return b < 0x40 || int(b&0x3f)<<8 < maxAuxValue
}

// readEnd reads what follows the end mark.
func (r *Reader) readEnd() error {
	r.settle()
	at := r.offset()
	if err := r.fill(8); err != nil {
		return err
	}
	said := binary.LittleEndian.Uint64(r.buf[r.pos:])
	r.pos += 8
	r.summed = r.pos
	if r.sum = said != 0; r.sum && said != r.crc {
		return r.errorAt(at, "the checksum does not fit: the file says %016x, its bytes give %016x; it was damaged after it was saved: take it again from where it was saved, or take a new snapshot", said, r.crc)
	}
	if r.pos == r.end {
		if err := r.more(); err == io.EOF { //nolint:errorlint // as io.Reader demands it
			return nil
		} else if err != nil {
			return err
		}
	}
	if r.buf[r.pos] == '*' {
		return r.errorAt(r.offset(), "the snapshot is followed by commands: this is an append-only file with a snapshot in front, and later writes are in the commands; take a snapshot (BGSAVE) instead")
	}
	return r.errorAt(r.offset(), "the snapshot ends but the file goes on; %s", damaged)
}
