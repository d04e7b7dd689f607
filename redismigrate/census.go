package redismigrate

import (
	"encoding/json"
	"math"
	"time"
)

// Census is what Measure found a store to hold. As text it is a table (String), as JSON everything.
type Census struct {
	Addr string `json:"addr"`
	// Replica is true when a replica was measured, which is the better place: it does not hold up the master's clients.
	Replica bool          `json:"replica"`
	At      time.Time     `json:"at"`
	Elapsed time.Duration `json:"elapsed_ns"`
	// Complete is true when the run came to its end: every key was counted that was there all the time. False means that it was stopped midway,
	// and that all figures are too small; their upper bounds are then NoBound.
	Complete bool `json:"complete"`
	// Approximate is true when the number of keys that were counted is not what DBSIZE says: keys came, went or expired meanwhile, or SCAN showed
	// some twice. The bounds of Total.Keys, and of those of the dbs, then span what was counted and what DBSIZE said before and after.
	Approximate bool `json:"approximate"`
	// Sampled is true when not all keys were weighed; then bytes and TTLs are estimates, and the bounds of bytes hold with Confidence (0.95). The
	// keys themselves, and their types, are always counted one by one. Each line is estimated by itself, so lines add up only roughly.
	Sampled    bool    `json:"sampled"`
	Confidence float64 `json:"confidence,omitempty"`
	// Weighed is how many keys were weighed.
	Weighed int64 `json:"weighed"`
	// Method says how bytes were measured: see ByMemory and ByLength.
	Method string `json:"method"`
	// MemoryLimit is what all keys of the servers together can weigh, from INFO memory: what is allocated less what is known to be something
	// else. NoBound (JSON null) where the server does not tell. Upper bounds of a sample rest on it.
	MemoryLimit Bytes `json:"memory_limit"`
	// Gone counts keys that SCAN showed and that were not there when their turn came: expired or deleted. They are in no other figure.
	Gone int64 `json:"gone"`
	// ServiceKeys counts keys of the managed service and canaries of this package. They are in no other figure.
	ServiceKeys int64 `json:"service_keys"`
	// Total is over all keys; Selected over those that the selector chose, if one was given.
	Total    Amount  `json:"total"`
	Selected *Amount `json:"selected,omitempty"`
	// DBs (ascending), Types (heaviest first) and Prefixes (heaviest first, or in the order given) split the total. The last of Prefixes may be
	// "(other)": all that is in none of the groups before.
	DBs      []Group `json:"dbs"`
	Types    []Group `json:"types"`
	Prefixes []Group `json:"prefixes"`
	// Biggest are the largest of the keys that were weighed, largest first. In a sampled census there may be larger ones.
	Biggest []BigKey `json:"biggest,omitempty"`
}

// The methods of a census.
const (
	// ByMemory is MEMORY USAGE: the bytes that key and value take in memory.
	ByMemory = "MEMORY USAGE"
	// ByLength stands in where MEMORY USAGE is not allowed: the bytes of name and content, without what the server needs to keep them. It is less
	// than the memory that keys take: small keys take several times as much.
	ByLength = "length of names and values"
)

// NoBound is the High of an Estimate that could not be told. In JSON it is null.
const NoBound = math.MaxInt64

// Group is a part of a census: a db, a type or a prefix.
type Group struct {
	Name string `json:"name"`
	Amount
	// Selected is how many of the keys the selector chose.
	Selected int64 `json:"selected"`
	// Glob, of a prefix, is a pattern for Selector.Include that matches all of its keys; Exact says that it matches no other key that was counted.
	Glob  string `json:"glob,omitempty"`
	Exact bool   `json:"exact,omitempty"`
}

// Amount counts keys and what they weigh.
type Amount struct {
	Keys  Estimate `json:"keys"`
	Bytes Estimate `json:"bytes"`
	// TTL counts the keys by the time that they had left to live.
	TTL TTLs `json:"ttl"`
}

// Estimate is a figure and the bounds within which it lies. High may be NoBound.
type Estimate struct {
	Value int64 `json:"value"`
	Low   int64 `json:"low"`
	High  int64 `json:"high"`
}

// Bytes is a number of bytes, or NoBound, which is null in JSON.
type Bytes int64

// MarshalJSON writes NoBound as null.
func (b Bytes) MarshalJSON() ([]byte, error) {
	if b == NoBound {
		return []byte("null"), nil
	}
	return json.Marshal(int64(b))
}

// UnmarshalJSON reads null as NoBound.
func (b *Bytes) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*b = NoBound
		return nil
	}
	return json.Unmarshal(text, (*int64)(b))
}

type estimateJSON struct {
	Value int64 `json:"value"`
	Low   int64 `json:"low"`
	High  Bytes `json:"high"`
}

// MarshalJSON writes an upper bound that could not be told as null.
func (e Estimate) MarshalJSON() ([]byte, error) {
	return json.Marshal(estimateJSON{e.Value, e.Low, Bytes(e.High)})
}

// UnmarshalJSON reads what MarshalJSON writes. An upper bound that is missing is none: NoBound.
func (e *Estimate) UnmarshalJSON(text []byte) error {
	in := estimateJSON{High: NoBound}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*e = Estimate{in.Value, in.Low, int64(in.High)}
	return nil
}

// TTLs counts keys by time left to live.
type TTLs struct {
	None   int64 `json:"none"`   // without expiry
	Minute int64 `json:"minute"` // up to a minute
	Hour   int64 `json:"hour"`   // up to an hour
	Day    int64 `json:"day"`    // up to a day
	Month  int64 `json:"month"`  // up to 30 days
	Longer int64 `json:"longer"` // more
}

// BigKey is a key that weighs much.
type BigKey struct {
	DB   int    `json:"db"`
	Key  string `json:"key"` // in JSON, bytes that are not UTF-8 are replaced
	Type string `json:"type"`
	// Bytes is by the census' method.
	Bytes int64 `json:"bytes"`
	// Elements is how many members, fields or entries the value has, for a string its bytes; -1 when it could not be told: the key is gone, or of
	// a module's type.
	Elements int64 `json:"elements"`
}
