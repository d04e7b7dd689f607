package rdb

import (
	"bytes"
	"errors"
	"io"
	"strconv"
)

const headerSize = 9

// readHeader reads the magic word and the version, and says of anything else what it looks like.
func (r *Reader) readHeader() error {
	for r.end < headerSize {
		if err := r.more(); err != nil {
			if !errors.Is(err, io.EOF) {
				return err
			}
			break
		}
	}
	b := r.buf[:min(r.end, headerSize)]
	redis, isRedis := bytes.CutPrefix(b, []byte("REDIS"))
	valkey, isValkey := bytes.CutPrefix(b, []byte("VALKEY"))
	begun := len(b) > 0 && (bytes.HasPrefix([]byte("REDIS"), b) || bytes.HasPrefix([]byte("VALKEY"), b))
	if !isRedis && !isValkey && !begun {
		return r.notASnapshot(b)
	}
	if len(b) < headerSize {
		return &FormatError{Offset: int64(len(b)), Truncated: true, Problem: "the file ends within its header: it is truncated; copy it again in full"}
	}
	digits := redis
	if isValkey {
		digits = valkey
	}
	version, err := strconv.ParseUint(string(digits), 10, 16)
	if err != nil {
		return r.errorAt(0, "the header %q names no version; %s", b, damaged)
	}
	r.use(Header{Valkey: isValkey, Version: int(version)})
	r.pos = headerSize
	switch {
	case isValkey && version == theValkey, isRedis && version >= minRedis && version <= maxRedis:
		return nil
	case isRedis && version < minRedis:
		return r.errorAt(0, "format %v is older than those that are read (from REDIS%04d on); load it into a newer server and save it again", r.header, minRedis)
	}
	return r.errorAt(0, "format %v is newer than those that are read (REDIS%04d to REDIS%04d, VALKEY%03d), and what its bytes mean is not known: copy the keys over the wire instead", r.header, minRedis, maxRedis, theValkey)
}

func (r *Reader) notASnapshot(b []byte) error {
	if len(b) == 0 {
		return &FormatError{Truncated: true, Problem: "the file is empty; copy it again in full"}
	}
	for _, known := range []struct{ begin, problem string }{
		{"\x1f\x8b", "the file is compressed with gzip; unpack it first (gunzip)"},
		{"\x28\xb5\x2f\xfd", "the file is compressed with zstd; unpack it first (unzstd)"},
		{"\x04\x22\x4d\x18", "the file is compressed with lz4; unpack it first (unlz4)"},
		{"PK\x03\x04", "the file is a zip archive; unpack it first"},
		{"BZh", "the file is compressed with bzip2; unpack it first"},
		{"*", "the file looks like an append-only file (AOF): commands, not a snapshot; take a snapshot (BGSAVE), or use the .base.rdb of a newer server's appendonlydir, which lacks what was written later"},
		{"file ", "the file looks like the manifest of an append-only file, not like a snapshot; take a snapshot (BGSAVE)"},
		{"$EOF:", "the file looks like a recorded replication stream; take a snapshot instead (redis-cli --rdb, BGSAVE)"},
	} {
		if bytes.HasPrefix(b, []byte(known.begin)) {
			return r.errorAt(0, "%s", known.problem)
		}
	}
	return r.errorAt(0, "the file begins with %q and not with REDIS or VALKEY: it is no snapshot, or an encrypted or compressed one", b)
}
