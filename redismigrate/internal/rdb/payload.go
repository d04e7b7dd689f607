package rdb

import "encoding/binary"

// Payload returns what DUMP would return, and RESTORE takes, for a value: the type byte, the value in snapshot coding, the version of the
// format (two bytes, low byte first) and the CRC-64 of all that. A server refuses a payload of a version that it does not know with the
// same words as one with a wrong checksum ("DUMP payload version or checksum are wrong"), so tiny payloads of rising version tell which
// versions it takes:
//
//	 9  Redis 5.0 to 6.2
//	10  Redis 7.0
//	11  Redis 7.2, Valkey 7.2 and 8.x
//	12  Redis 7.4 to 8.2
//	80  Valkey 9
//
// A server takes every version up to its own; Valkey takes none from 12 to 79, which are Redis'.
func Payload(version uint16, typ byte, body []byte) []byte {
	p := make([]byte, 0, 1+len(body)+10)
	p = append(p, typ)
	p = append(p, body...)
	p = binary.LittleEndian.AppendUint16(p, version)
	return binary.LittleEndian.AppendUint64(p, Checksum(0, p))
}
