package rdb

// skipValue consumes a value of this type. It is told from the next record by its structure alone: nothing is decoded, and nothing is
// kept.
func (r *Reader) skipValue(typ byte) error {
	switch typ {
	case typeString, typeHashZipmap, typeListZiplist, typeSetIntset, typeZSetZiplist, typeHashZiplist, typeHashListpack, typeZSetListpack,
		typeSetListpack, typeHashListpackOld:
		return r.skipString()
	case typeHashListpackTTL:
		if err := r.skip(8); err != nil { // the earliest expiry of a field
			return err
		}
		return r.skipString()
	case typeHashTTL:
		if err := r.skip(8); err != nil {
			return err
		}
	case typeStream, typeStream2, typeStream3:
		return r.skipStream(typ)
	}
	n, err := r.count()
	if err != nil {
		return err
	}
	switch typ {
	case typeList, typeSet, typeListQuicklist:
		return r.skipStrings(n)
	case typeHash:
		for ; n > 0 && err == nil; n-- {
			err = r.skipStrings(2)
		}
	case typeZSet:
		for ; n > 0 && err == nil; n-- {
			if err = r.skipString(); err == nil {
				err = r.skipTextScore()
			}
		}
	case typeZSet2:
		for ; n > 0 && err == nil; n-- {
			if err = r.skipString(); err == nil {
				err = r.skip(8)
			}
		}
	case typeListQuicklist2:
		for ; n > 0 && err == nil; n-- {
			if _, err = r.count(); err == nil { // what kind of node
				err = r.skipString()
			}
		}
	default:
		return r.skipHashFields(n)
	}
	return err
}

// skipHashFields consumes a large hash whose fields expire.
func (r *Reader) skipHashFields(n uint64) (err error) {
	for ; n > 0 && err == nil; n-- {
		if r.header.Valkey { // name, value, expiry
			if err = r.skipStrings(2); err == nil {
				err = r.skip(8)
			}
		} else if _, err = r.count(); err == nil { // expiry, name, value
			err = r.skipStrings(2)
		}
	}
	return err
}

// skipTextScore consumes a score that is written as text: one byte of length, or of a value that has no digits.
func (r *Reader) skipTextScore() error {
	n, err := r.readByte()
	if err != nil || n >= 253 { // not a number, +inf, -inf
		return err
	}
	return r.skip(uint64(n))
}

const streamIDSize = 16

// skipStream consumes a stream: its nodes, what is known about it as a whole, and its consumer groups.
func (r *Reader) skipStream(typ byte) error {
	nodes, err := r.count()
	if err != nil {
		return err
	}
	for ; nodes > 0; nodes-- {
		if err := r.skipStrings(2); err != nil { // the first id, and the entries
			return err
		}
	}
	numbers := 3 // length, last id
	if typ != typeStream {
		numbers += 5 // first id, highest deleted id, entries ever added
	}
	if err := r.skipCounts(numbers); err != nil {
		return err
	}
	groups, err := r.count()
	if err != nil {
		return err
	}
	for ; groups > 0; groups-- {
		if err := r.skipGroup(typ); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reader) skipCounts(n int) error {
	for range n {
		if _, err := r.count(); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reader) skipGroup(typ byte) error {
	if err := r.skipString(); err != nil {
		return err
	}
	numbers := 2 // last delivered id
	if typ != typeStream {
		numbers++ // entries read
	}
	if err := r.skipCounts(numbers); err != nil {
		return err
	}
	pending, err := r.count()
	if err != nil {
		return err
	}
	for ; pending > 0; pending-- {
		if err := r.skip(streamIDSize + 8); err != nil { // when it was delivered
			return err
		}
		if _, err := r.count(); err != nil { // how often
			return err
		}
	}
	consumers, err := r.count()
	if err != nil {
		return err
	}
	for ; consumers > 0; consumers-- {
		if err := r.skipConsumer(typ); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reader) skipConsumer(typ byte) error {
	if err := r.skipString(); err != nil {
		return err
	}
	times := uint64(8) // when it was last seen
	if typ == typeStream3 {
		times += 8 // when it was last given something
	}
	if err := r.skip(times); err != nil {
		return err
	}
	at := r.offset()
	pending, err := r.count()
	if err != nil {
		return err
	}
	if pending > 1<<50 {
		return r.errorAt(at, "a consumer with %d pending entries; %s", pending, damaged)
	}
	return r.skip(pending * streamIDSize)
}

// Opcodes inside a module's data, which is why it can be skipped without the module.
const (
	moduleEnd = iota
	moduleSigned
	moduleUnsigned
	moduleFloat
	moduleDouble
	moduleString
)

// skipModule consumes a module's data up to its end mark.
func (r *Reader) skipModule() error {
	for {
		at := r.offset()
		op, err := r.count()
		if err != nil {
			return err
		}
		switch op {
		case moduleEnd:
			return nil
		case moduleSigned, moduleUnsigned:
			_, err = r.count()
		case moduleFloat:
			err = r.skip(4)
		case moduleDouble:
			err = r.skip(8)
		case moduleString:
			err = r.skipString()
		default:
			err = r.errorAt(at, "%d is no opcode of a module's data; %s", op, damaged)
		}
		if err != nil {
			return err
		}
	}
}

// skipSlotRanges consumes the slots of a slot migration.
func (r *Reader) skipSlotRanges() error {
	at := r.offset()
	n, err := r.count()
	if err != nil {
		return err
	}
	if n > 1<<14 {
		return r.errorAt(at, "a slot migration of %d ranges, but there are only 16384 slots; %s", n, damaged)
	}
	return r.skipCounts(2 * int(n))
}
