package consistency

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// identityOf makes the identity of a row out of its key: 128 bits of HMAC-SHA256. Without the salt, which is random for each check and kept in its State, equal keys of two checks cannot
// even be seen to be equal. The secret is nowhere but in the program.
func identityOf(salt, secret []byte, key string) string {
	mac := hmac.New(sha256.New, slices.Concat(salt, secret))
	mac.Write([]byte(key))
	return "#" + hex.EncodeToString(mac.Sum(nil)[:16])
}

// prepare makes a loaded state fit for the columns that are masked now: rows that were kept before a column was masked lose its values, and keep their identity.
func (s State) prepare(mask []string, secret []byte) State {
	if len(mask) == 0 && s.Salt == nil {
		return s
	}
	s = s.clone()
	if s.Salt == nil {
		s.Salt = make([]byte, 16)
		_, _ = rand.Read(s.Salt) // never fails, says its documentation
	}
	same := slices.Equal(s.Masked, mask)
	s.Masked = slices.Clone(mask)
	for _, rows := range [][]TrackedRow{s.Rows, s.Gone} {
		for i := range rows {
			v := rows[i].Violation
			if v.Identity == "" {
				v.Identity = identityOf(s.Salt, secret, v.Key)
			}
			if !same && len(mask) > 0 {
				id, unseen := v.Identity, v.Row == nil
				if v = maskViolation(v, mask); unseen { // nobody knows any more what of the key is hidden now
					v.Key, v.Row = masked, nil
				}
				v.Identity = id
			}
			rows[i].Violation = v
		}
	}
	return s
}

// identify returns what tells a violation, as a check found it, from others in the state.
func (s State) identify(secret []byte) func(Violation) string {
	if s.Salt == nil {
		return Violation.ID
	}
	return func(v Violation) string { return identityOf(s.Salt, secret, v.Key) }
}

// published returns the violations as they may be shown and kept.
func (s State) published(found []Violation, mask []string, secret []byte) []Violation {
	if s.Salt == nil {
		return maskViolations(found, mask)
	}
	out := make([]Violation, len(found))
	for i, v := range found {
		if out[i] = v; len(mask) > 0 {
			out[i] = maskViolation(v, mask)
		}
		out[i].Identity = identityOf(s.Salt, secret, v.Key)
	}
	return out
}

// tracked returns the rows of earlier runs as the confirmer needs them; found are violations with their full keys, by identity.
func (s State) tracked(found map[string]Violation) []tracked {
	out := make([]tracked, 0, len(s.Rows))
	for _, row := range s.Rows {
		t := tracked{id: row.ID(), violation: row.Violation, askable: row.Identity == "" || !strings.Contains(row.Key, masked)}
		if v, known := found[t.id]; known {
			t.violation, t.askable = v, true
		}
		out = append(out, t)
	}
	return out
}
