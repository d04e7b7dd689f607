package redismigrate

import (
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// Verdict is what a verification came to.
type Verdict int

const (
	// Unknown means it could not tell: nothing was compared, the run was not finished, or a value could not be compared.
	Unknown Verdict = iota
	// Match means every selected key of the source is on the target with equal type, value and expiry, and nothing else is.
	Match
	// Mismatch means at least one difference was found.
	Mismatch
	// SampleMatch means what Match does, but type, value and expiry were compared for a sample of the keys only, as VerifyOptions.Sample
	// asked: Verification.Bound says how many of the others may differ.
	SampleMatch
)

func (v Verdict) String() string {
	switch v {
	case Match:
		return "match"
	case Mismatch:
		return "mismatch"
	case SampleMatch:
		return "sample match"
	}
	return "unknown"
}

// MarshalText writes the verdict as a word.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Kind says in what way a key differs.
type Kind string

// The kinds of differences.
const (
	Missing   Kind = "missing"   // selected and on the source, not on the target
	Extra     Kind = "extra"     // on the target, but not selected or not on the source
	TypeDiff  Kind = "type"      // of different types
	ValueDiff Kind = "value"     // of one type, with different values
	TTLDiff   Kind = "ttl"       // of different expiry
	Collision Kind = "collision" // on the source in two dbs that go to one of the target
)

// Difference is one key that differs. It shows no values, which may be secret.
type Difference struct {
	Kind Kind
	// DB is the source's; of Extra and Collision it is the target's.
	DB int
	// Key is the key's bytes; in JSON it is "key", or "key_base64" where it is no valid UTF-8.
	Key string
	// Detail says where: `hash field "user"`, `expires 1500 ms later on the target`.
	Detail string
}

// MarshalJSON writes kind, db, key (or key_base64) and detail.
func (d Difference) MarshalJSON() ([]byte, error) {
	out := struct {
		Kind   Kind   `json:"kind"`
		DB     int    `json:"db"`
		Key    string `json:"key,omitempty"`
		Binary []byte `json:"key_base64,omitempty"`
		Detail string `json:"detail,omitempty"`
	}{Kind: d.Kind, DB: d.DB, Key: d.Key, Detail: d.Detail}
	if !utf8.ValidString(d.Key) {
		out.Key, out.Binary = "", []byte(d.Key)
	}
	return json.Marshal(out)
}

// String is one line: `value  db 0  "user:1"  hash field "name"`.
func (d Difference) String() string {
	return fmt.Sprintf("%-7s  db %d  %q  %s", d.Kind, d.DB, d.Key, d.Detail)
}

// Verification is what Verify found.
type Verification struct {
	Verdict Verdict `json:"verdict"`
	// Reason says why the verdict is Unknown.
	Reason string `json:"reason,omitempty"`
	// Selected are the selected keys that SCAN showed on the source.
	Selected int64 `json:"selected"`
	// Compared are those of them whose type, value and expiry were compared with the target's.
	Compared int64 `json:"compared"`
	// Scanned are the keys of the target that were looked at in the other direction.
	Scanned int64 `json:"scanned"`
	// Gone are keys that expired or were deleted on both sides while the verification ran, which is no difference.
	Gone int64 `json:"gone"`
	// Uncompared are keys whose serialized forms differ and whose type (a module's) this package cannot take apart.
	Uncompared int64 `json:"uncompared"`
	// Total is how many differences there are; ByKind splits it. A key with another value and another expiry counts as two.
	Total  int64          `json:"total"`
	ByKind map[Kind]int64 `json:"by_kind,omitempty"`
	// Differences lists the first of them (VerifyOptions.MaxListed).
	Differences []Difference `json:"differences,omitempty"`
	// Outside are dbs of the target that hold keys but were not part of the verification.
	Outside []DBCount `json:"outside,omitempty"`
	// Bound is what the sample says of the keys that were not compared; nil when all were to be.
	Bound   *Bound        `json:"bound,omitempty"`
	Elapsed time.Duration `json:"elapsed_ns"`

	differ int64   // keys on both sides that differ
	sample float64 // the share of the keys that was to be compared; 0 and 1: all
}

// judge comes to the verdict of a run that was finished.
func (v *Verification) judge() {
	if v.sample > 0 && v.sample < 1 {
		v.Bound = boundOf(v.Selected, v.Compared, v.differ)
	}
	switch {
	case v.Total > 0:
		v.Verdict = Mismatch
	case v.Selected == 0:
		v.Reason = "no key was compared: the selector matches nothing on the source"
	case v.Uncompared > 0:
		v.Reason = fmt.Sprintf("%d keys of module types could not be compared", v.Uncompared)
	case v.Compared == 0 && v.Bound != nil:
		v.Reason = fmt.Sprintf("no key was compared: the sample has none of the %d selected ones; raise Sample", v.Selected)
	case v.Compared == 0:
		v.Reason = fmt.Sprintf("no key was compared: all %d selected ones were gone when their turn came", v.Selected)
	case v.Bound != nil:
		v.Verdict = SampleMatch
	default:
		v.Verdict = Match
	}
}

// String is one line for a log.
func (v *Verification) String() string {
	if v == nil {
		return Unknown.String()
	}
	text := fmt.Sprintf("%s: %d keys compared, %d keys of the target scanned, %d differences", v.Verdict, v.Compared, v.Scanned, v.Total)
	for _, kind := range []Kind{Missing, Extra, Collision, TypeDiff, ValueDiff, TTLDiff} {
		if n := v.ByKind[kind]; n > 0 {
			text += fmt.Sprintf(", %s %d", kind, n)
		}
	}
	if v.Bound != nil {
		text += "; " + v.Bound.String()
	}
	if v.Reason != "" {
		text += " (" + v.Reason + ")"
	}
	for _, c := range v.Outside {
		text += fmt.Sprintf("; db %d of the target with %d keys was not looked at", c.DB, c.Keep)
	}
	return text
}
