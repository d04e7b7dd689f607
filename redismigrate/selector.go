package redismigrate

import (
	"errors"
	"fmt"
	"strings"
)

// Selector says which keys belong to a job. The zero value selects nothing and is refused by every job.
//
// A key is selected when one Include pattern matches it, no Exclude pattern does, and Match (if set) agrees. With no Include at all,
// Match decides alone. Patterns are Redis' own glob patterns (those of KEYS and SCAN MATCH), over bytes:
//
//	session:*       keys that begin so
//	user:?:cart     one byte in between
//	log:[0-9]*      a class of bytes; [^0-9] is its opposite
//	what\?          a backslash takes the next byte literally
//
// Keys that the service itself keeps (ElastiCacheMasterReplicationTimestamp), this package's canaries and the records of a Split are never selected.
type Selector struct {
	// ID names the selection in plans and results, for example "sessions". Required when Match is set: a function cannot be shown.
	ID string
	// Include are patterns of which one must match.
	Include []string
	// Exclude are patterns of which none may match.
	Exclude []string
	// Match narrows Include, or decides alone when Include is empty. It must be quick, give the same answer for the same key every time,
	// and be safe for concurrent use. The string shares memory with a batch of keys: clone it to keep it.
	Match func(key string) bool
}

// Validate says what is wrong with the selector, or nil. Jobs call it themselves.
func (s Selector) Validate() error {
	_, err := s.compile()
	return err
}

// String describes the selector without its function: `sessions (include "session:*"; exclude "session:tmp:*"; and a function)`.
func (s Selector) String() string {
	var parts []string
	if len(s.Include) > 0 {
		parts = append(parts, fmt.Sprintf("include %q", s.Include))
	}
	if len(s.Exclude) > 0 {
		parts = append(parts, fmt.Sprintf("exclude %q", s.Exclude))
	}
	if s.Match != nil {
		parts = append(parts, "a Match function")
	}
	if len(parts) == 0 {
		parts = append(parts, "nothing")
	}
	if s.ID == "" {
		return strings.Join(parts, "; ")
	}
	return s.ID + " (" + strings.Join(parts, "; ") + ")"
}

// selection is a Selector made ready: patterns compiled, slices copied, so that a later change of the Selector changes no running job.
type selection struct {
	text             string
	include, exclude []*glob
	match            func(string) bool
}

func (s Selector) compile() (*selection, error) {
	if len(s.Include) == 0 && s.Match == nil {
		if len(s.Exclude) > 0 {
			return nil, errors.New(`the selector has only Exclude patterns and so selects nothing; add Include ("*" means every key) or Match`)
		}
		return nil, errors.New("the selector is empty and selects nothing; set Include or Match")
	}
	if s.Match != nil && strings.TrimSpace(s.ID) == "" {
		return nil, errors.New("the selector has a Match function but no ID; a function cannot be shown in a plan, so name the selection")
	}
	sel := &selection{text: s.String(), match: s.Match}
	for _, list := range []struct {
		name     string
		patterns []string
		to       *[]*glob
	}{{"Include", s.Include, &sel.include}, {"Exclude", s.Exclude, &sel.exclude}} {
		for i, pattern := range list.patterns {
			g, err := compileGlob(pattern)
			if err != nil {
				return nil, fmt.Errorf("selector: %s[%d] %q: %w", list.name, i, pattern, err)
			}
			*list.to = append(*list.to, g)
		}
	}
	return sel, nil
}

// has reports whether the key is selected.
func (s *selection) has(key string) bool {
	if s == nil || isServiceKey(key) {
		return false
	}
	if len(s.include) > 0 {
		if !anyMatch(s.include, key) {
			return false
		}
	} else if s.match == nil {
		return false
	}
	return !anyMatch(s.exclude, key) && (s.match == nil || s.match(key))
}

func anyMatch(globs []*glob, key string) bool {
	for _, g := range globs {
		if g.match(key) {
			return true
		}
	}
	return false
}

const (
	canaryPrefix   = "tashikame:canary:"
	elastiCacheKey = "ElastiCacheMasterReplicationTimestamp" // its replication clock
)

// isServiceKey reports whether a key belongs to the managed service or to this package: such keys are never selected, counted, copied,
// compared or deleted.
func isServiceKey(key string) bool {
	return key == elastiCacheKey || strings.HasPrefix(key, canaryPrefix) || strings.HasPrefix(key, recordPrefix)
}
