package rdb

import "fmt"

// Opcodes: records that are no key.
const (
	opSlotImport  = 243 // Valkey 9: a slot migration that was under way
	opSlotInfo    = 244 // cluster: how many keys of a slot follow
	opFunction2   = 245
	opFunctionOld = 246 // release candidates of Redis 7.0 only
	opModuleAux   = 247
	opIdle        = 248
	opFreq        = 249
	opAux         = 250
	opResizeDB    = 251
	opExpireMilli = 252
	opExpire      = 253
	opSelectDB    = 254
	opEnd         = 255
)

// Types of values. What differs between those of one kind is the coding, not what a user sees.
const (
	typeString           = 0
	typeList             = 1
	typeSet              = 2
	typeZSet             = 3
	typeHash             = 4
	typeZSet2            = 5 // scores as 8 binary bytes
	typeModuleOld        = 6 // release candidates of Redis 4.0 only; no reader knows where it ends
	typeModule2          = 7
	typeHashZipmap       = 9
	typeListZiplist      = 10
	typeSetIntset        = 11
	typeZSetZiplist      = 12
	typeHashZiplist      = 13
	typeListQuicklist    = 14
	typeStream           = 15
	typeHashListpack     = 16
	typeZSetListpack     = 17
	typeListQuicklist2   = 18
	typeStream2          = 19
	typeSetListpack      = 20
	typeStream3          = 21
	typeHashTTLOld       = 22 // Redis 7.4 release candidates; in Valkey 9 the same number is typeValkeyHashTTL
	typeHashListpackOld  = 23 // Redis 7.4 release candidates
	typeHashTTL          = 24 // Redis 7.4: fields with expiries
	typeHashListpackTTL  = 25 // Redis 7.4: the same, small
	typeValkeyHashTTL    = 22 // Valkey 9: fields with expiries
	firstTypeOfOneVendor = 22
)

var typeNames = [...]string{
	typeString: "string", typeList: "list", typeSet: "set", typeZSet: "zset", typeHash: "hash", typeZSet2: "zset",
	typeModule2: "module", typeHashZipmap: "hash", typeListZiplist: "list", typeSetIntset: "set", typeZSetZiplist: "zset",
	typeHashZiplist: "hash", typeListQuicklist: "list", typeStream: "stream", typeHashListpack: "hash", typeZSetListpack: "zset",
	typeListQuicklist2: "list", typeStream2: "stream", typeSetListpack: "set", typeStream3: "stream", typeHashTTLOld: "hash",
	typeHashListpackOld: "hash", typeHashTTL: "hash", typeHashListpackTTL: "hash",
}

// TypeName is the word that TYPE answers for a value of this type byte: "string", "list", "set", "zset", "hash" or "stream". It is
// "module" for a module's type, and "" for an unknown byte.
func TypeName(typ byte) string {
	if int(typ) < len(typeNames) {
		return typeNames[typ]
	}
	return ""
}

// Header is what a snapshot begins with.
type Header struct {
	// Valkey tells Valkey's own format (since Valkey 9) from Redis', which older Valkeys write too.
	Valkey bool
	// Version of the format, not of the server.
	Version int
}

// The versions that the Reader reads.
const (
	minRedis  = 6  // Redis 2.6
	maxRedis  = 12 // Redis 7.4 to 8.2
	theValkey = 80 // Valkey 9.0, 9.1
)

// String is the header as it stands in the file: REDIS0012, VALKEY080.
func (h Header) String() string {
	if h.Valkey {
		return fmt.Sprintf("VALKEY%03d", h.Version)
	}
	return fmt.Sprintf("REDIS%04d", h.Version)
}

// holds reports whether a value of this type can stand in a snapshot of this format. Redis and Valkey gave the same numbers to different
// things.
func (h Header) holds(typ byte) bool {
	switch {
	case typ == typeModuleOld || TypeName(typ) == "":
		return false
	case typ < firstTypeOfOneVendor:
		return true
	case h.Valkey:
		return typ == typeValkeyHashTTL
	}
	return h.Version >= 12
}

// moduleName takes the name out of a module type's id: nine letters of six bits each, then ten bits of the module's own version.
func moduleName(id uint64) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var name [9]byte
	id >>= 10
	for i := len(name) - 1; i >= 0; i-- {
		name[i] = letters[id&63]
		id >>= 6
	}
	return string(name[:])
}
