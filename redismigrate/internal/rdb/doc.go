// Package rdb reads and writes the snapshot format of Redis and Valkey as far as a split needs it: it finds where each key and each value
// begins and ends without decoding the values, so that they can be passed on byte for byte.
//
// The format, in one paragraph: a magic word and a version ("REDIS0011", "VALKEY080"); then records that begin with one byte, an opcode
// (a db follows, an expiry follows, …) or the type of a value, which is followed by the key and the value; then the opcode 255 and, since
// version 5, eight bytes of CRC-64 over everything before (zero when the server was told to write none). What DUMP returns is one value in
// the same coding, with a trailer; see [Payload].
//
// The package knows nothing of selectors, dbs that collapse, or servers.
package rdb
