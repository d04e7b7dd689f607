package rdb

import (
	"encoding/binary"
	"math/bits"
)

// jones is the polynomial of the CRC-64 that Redis uses, in its usual notation (the highest power first).
const jones = 0xad93d23594c935a9

// crcTables lets sixteen bytes be taken in one step: crcTables[k][b] is what byte b adds to the checksum when k more bytes follow it.
// hash/crc64 of the standard library builds such tables anew at each call for a polynomial that is not one of its own two.
var crcTables = func() (t [16][256]uint64) {
	reflected := bits.Reverse64(jones)
	for b := range uint64(256) {
		crc := b
		for range 8 {
			crc = crc>>1 ^ reflected&-(crc&1)
		}
		t[0][b] = crc
	}
	for b := range 256 {
		for k := 1; k < len(t); k++ {
			before := t[k-1][b]
			t[k][b] = t[0][byte(before)] ^ before>>8
		}
	}
	return t
}()

// Checksum returns the CRC-64 of p appended to what crc is the checksum of; begin with 0. It is the one that Redis and Valkey write at the
// end of a snapshot and of a DUMP payload (Jones' polynomial, reflected, begun with 0, not inverted).
func Checksum(crc uint64, p []byte) uint64 {
	t := &crcTables
	for len(p) >= 16 {
		a := crc ^ binary.LittleEndian.Uint64(p)
		b := binary.LittleEndian.Uint64(p[8:16])
		crc = t[15][byte(a)] ^ t[14][byte(a>>8)] ^ t[13][byte(a>>16)] ^ t[12][byte(a>>24)] ^
			t[11][byte(a>>32)] ^ t[10][byte(a>>40)] ^ t[9][byte(a>>48)] ^ t[8][a>>56] ^
			t[7][byte(b)] ^ t[6][byte(b>>8)] ^ t[5][byte(b>>16)] ^ t[4][byte(b>>24)] ^
			t[3][byte(b>>32)] ^ t[2][byte(b>>40)] ^ t[1][byte(b>>48)] ^ t[0][b>>56]
		p = p[16:]
	}
	for _, c := range p {
		crc = t[0][byte(crc)^c] ^ crc>>8
	}
	return crc
}
