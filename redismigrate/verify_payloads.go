package redismigrate

import (
	"bytes"
	"context"
	"encoding/binary"
)

// payload is what is remembered of a serialized value that was read past.
type payload struct {
	length  int64 // in bytes; below 0: there is none
	kind    byte  // of the value's encoding, its first byte
	version uint16
}

// payloadTail is what DUMP puts after the value: two bytes of version, eight of checksum.
const payloadTail = 10

// lastCommonKind is the highest type byte that means the same to every server. Those above are of hashes with expiring fields, which Redis
// and Valkey number for themselves.
const lastCommonKind = 21

// pair is one key on both sides.
type pair struct {
	key                string
	a, b               payload
	expiresA, expiresB int64
	equal              bool // the values are
}

// comparePayloads reads two serialized values side by side and compares them on the way, so that neither has to be held. Equal payloads
// are equal values, for DUMP writes the whole value. Of two versions, values are equal when all but the version and the checksum is, and
// the type byte means the same to both: reading does not depend on the version.
func comparePayloads(p, q *rawPipe) (a, b payload, equal bool, err error) {
	if a.length, err = p.payloadLength(); err != nil {
		return a, b, false, p.node.fail("DUMP", err)
	}
	if b.length, err = q.payloadLength(); err != nil {
		return a, b, false, q.node.fail("DUMP", err)
	}
	if a.length != b.length || a.length < 0 {
		if err := p.skim(&a); err != nil {
			return a, b, false, p.node.fail("DUMP", err)
		}
		err = q.skim(&b)
		return a, b, false, q.node.fail("DUMP", err)
	}
	equal = true
	for left := a.length - payloadTail; left > 0; {
		x, err := p.window(left)
		if err != nil {
			return a, b, false, p.node.fail("DUMP", err)
		}
		y, err := q.window(left)
		if err != nil {
			return a, b, false, q.node.fail("DUMP", err)
		}
		n := min(len(x), len(y))
		if left == a.length-payloadTail {
			a.kind, b.kind = x[0], y[0]
		}
		equal = equal && bytes.Equal(x[:n], y[:n])
		if err := p.discard(n); err != nil {
			return a, b, false, p.node.fail("DUMP", err)
		}
		if err := q.discard(n); err != nil {
			return a, b, false, q.node.fail("DUMP", err)
		}
		left -= int64(n)
	}
	x, err := p.tail()
	if err != nil {
		return a, b, false, p.node.fail("DUMP", err)
	}
	y, err := q.tail()
	if err != nil {
		return a, b, false, q.node.fail("DUMP", err)
	}
	a.version, b.version = binary.LittleEndian.Uint16(x[:]), binary.LittleEndian.Uint16(y[:])
	if a.version == b.version {
		return a, b, equal && x == y, nil
	}
	return a, b, equal && a.kind <= lastCommonKind, nil
}

// payloadLength reads the beginning of a reply to DUMP.
func (p *rawPipe) payloadLength() (int64, error) {
	n, err := p.length()
	switch {
	case slotMoved(err):
		return noNumber, nil
	case err == nil && n >= 0 && n <= payloadTail:
		err = errReply
	}
	return n, err
}

// skim reads past a payload.
func (p *rawPipe) skim(v *payload) error {
	if v.length < 0 {
		return nil
	}
	first, err := p.window(1)
	if err != nil {
		return err
	}
	v.kind = first[0]
	for left := v.length - payloadTail; left > 0; {
		n := min(left, 1<<30)
		if err := p.discard(int(n)); err != nil {
			return err
		}
		left -= n
	}
	tail, err := p.tail()
	v.version = binary.LittleEndian.Uint16(tail[:])
	return err
}

func (p *rawPipe) tail() (tail [payloadTail]byte, err error) {
	b, err := p.window(payloadTail)
	if err != nil {
		return tail, err
	}
	copy(tail[:], b)
	if err := p.discard(payloadTail); err != nil {
		return tail, err
	}
	return tail, p.endBulk()
}

// readPairs compares the serialized values of keys, and reads when they expire. db is the source's.
func (v *verifier) readPairs(ctx context.Context, a, b *lane, keys []string) ([]pair, error) {
	for _, l := range []*lane{a, b} {
		if err := l.askExpiries(ctx, keys); err != nil {
			return nil, err
		}
		if err := l.queue(ctx, keys, func(to []string, key string) []string { return append(to, "DUMP", key) }); err != nil {
			return nil, err
		}
		if err := l.send(); err != nil {
			return nil, err
		}
	}
	expires := make([]int64, 2*len(keys))
	if err := a.expiries(ctx, keys, expires[:len(keys)]); err != nil {
		return nil, err
	}
	if err := b.expiries(ctx, keys, expires[len(keys):]); err != nil {
		return nil, err
	}
	pairs := make([]pair, len(keys))
	for i, key := range keys {
		p := pair{key: key, expiresA: expires[i], expiresB: expires[len(keys)+i]}
		var err error
		if p.a, p.b, p.equal, err = comparePayloads(a.pipes[a.s.owner(key)], b.pipes[b.s.owner(key)]); err != nil {
			return nil, err
		}
		pairs[i] = p
	}
	return pairs, nil
}
