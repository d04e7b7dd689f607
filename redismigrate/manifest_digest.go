package redismigrate

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The serialized types whose members come in the order of a hash table, which may change although the value does not.
const (
	rdbSet          = 2
	rdbHash         = 4
	rdbHashTTL2     = 22 // Valkey's hash with expiries of fields; an early form of Redis' used the number too
	rdbHashTTLEarly = 23
	rdbHashTTL      = 24 // Redis' hash with expiries of fields
)

// payloadTrailer is the format's version (2 bytes) and the checksum (8 bytes), with which a DUMP payload ends.
const payloadTrailer = 10

// Digests of values. Two payloads of one server process have the same digest if and only if they hold the same value, but for "x".
const (
	digestOrdered = "c" // the payload's own checksum, CRC-64
	digestMembers = "m" // a sum over the members, in whatever order they come
	digestOther   = "x" // the payload's checksum, of a type whose members may change their order: when it differs, nothing is proved
)

// digestPayload digests a DUMP payload of size bytes, holding no more of it than one read needs.
func digestPayload(r io.Reader, size int64) (string, error) {
	if size < payloadTrailer+1 {
		return "", fmt.Errorf("a DUMP payload of %d bytes is none", size)
	}
	tail := &trailing{}
	in := bufio.NewReader(io.TeeReader(io.LimitReader(r, size), tail))
	kind, err := in.ReadByte()
	if err != nil {
		return "", err
	}
	letter, sum := digestOrdered, []byte(nil)
	switch kind {
	case rdbSet, rdbHash, rdbHashTTL:
		if sum, err = memberSum(in, kind); err != nil {
			return "", err
		}
		letter = digestMembers
	case rdbHashTTL2, rdbHashTTLEarly:
		letter = digestOther
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return "", err
	}
	if tail.seen != size {
		return "", io.ErrUnexpectedEOF
	}
	if sum == nil {
		sum = tail.last[len(tail.last)-8:]
	}
	return fmt.Sprintf("%s%d:%s", letter, kind, hex.EncodeToString(sum)), nil
}

// trailing remembers the end of what is written to it.
type trailing struct {
	last []byte
	seen int64
}

func (t *trailing) Write(p []byte) (int, error) {
	t.seen += int64(len(p))
	t.last = append(t.last, p[max(0, len(p)-payloadTrailer):]...)
	t.last = t.last[max(0, len(t.last)-payloadTrailer):]
	return len(p), nil
}

// memberSum adds up the digests of members, so that their order does not matter.
func memberSum(in *bufio.Reader, kind byte) ([]byte, error) {
	var a, b uint64
	if kind == rdbHashTTL { // the earliest expiry comes first, the fields' are relative to it
		var at [8]byte
		if _, err := io.ReadFull(in, at[:]); err != nil {
			return nil, err
		}
		a = binary.LittleEndian.Uint64(at[:])
	}
	n, _, err := rdbLength(in, nil)
	if err != nil {
		return nil, err
	}
	for range n {
		h := sha256.New()
		if kind == rdbHashTTL {
			if _, _, err := rdbLength(in, h); err != nil {
				return nil, err
			}
		}
		if err := rdbString(in, h); err != nil {
			return nil, err
		}
		if kind != rdbSet {
			if err := rdbString(in, h); err != nil {
				return nil, err
			}
		}
		sum := h.Sum(nil)
		a += binary.LittleEndian.Uint64(sum)
		b += binary.LittleEndian.Uint64(sum[8:])
	}
	out := binary.LittleEndian.AppendUint64(nil, n)
	out = binary.LittleEndian.AppendUint64(out, a)
	return binary.LittleEndian.AppendUint64(out, b), nil
}

var errPayload = errors.New("a DUMP payload is not of the form that Redis documents")

// rdbLength reads a length; special is true where the number is a special encoding instead. What is read goes to h too.
func rdbLength(in *bufio.Reader, h io.Writer) (n uint64, special bool, err error) {
	var raw [9]byte
	raw[0], err = in.ReadByte()
	if err != nil {
		return 0, false, err
	}
	size := 1
	more := func(k int) error {
		_, err := io.ReadFull(in, raw[size:size+k])
		size += k
		return err
	}
	switch first := raw[0]; {
	case first>>6 == 0:
		n = uint64(first & 0x3f)
	case first>>6 == 1:
		err = more(1)
		n = uint64(first&0x3f)<<8 | uint64(raw[1])
	case first == 0x80:
		err = more(4)
		n = uint64(binary.BigEndian.Uint32(raw[1:]))
	case first == 0x81:
		err = more(8)
		n = binary.BigEndian.Uint64(raw[1:])
	case first>>6 == 3:
		n, special = uint64(first&0x3f), true
	default:
		err = errPayload
	}
	if err == nil && h != nil {
		_, err = h.Write(raw[:size])
	}
	return n, special, err
}

// rdbString copies one string, as it is encoded, to h. One server always encodes the same string the same way.
func rdbString(in *bufio.Reader, h io.Writer) error {
	n, special, err := rdbLength(in, h)
	if err != nil {
		return err
	}
	if special {
		switch n {
		case 0, 1, 2: // an integer of 1, 2 or 4 bytes
			n = 1 << n
		case 3: // compressed: its length, its length before, its bytes
			if n, special, err = rdbLength(in, h); err == nil && !special {
				_, special, err = rdbLength(in, h)
			}
			if err != nil || special {
				return errors.Join(errPayload, err)
			}
		default:
			return errPayload
		}
	}
	if n > 1<<62 {
		return errPayload
	}
	_, err = io.CopyN(h, in, int64(n))
	return err
}

// digestOf is digestPayload for a payload in memory.
func digestOf(payload string) (string, error) {
	if size := len(payload); size > payloadTrailer {
		switch kind := payload[0]; kind {
		case rdbSet, rdbHash, rdbHashTTL, rdbHashTTL2, rdbHashTTLEarly:
		default: // the usual case, without the machinery
			return fmt.Sprintf("%s%d:%x", digestOrdered, kind, payload[size-8:]), nil
		}
	}
	return digestPayload(strings.NewReader(payload), int64(len(payload)))
}
