package redismigrate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Severity says what a difference between two servers means for what was rehearsed on the one and is to be done on the other. The zero value is
// the worst.
type Severity int

const (
	// Blocker means that a step that worked in the rehearsal can fail in production.
	Blocker Severity = iota
	// Serious means that the steps work, but what the rehearsal measured or proved does not hold: time, size, durability.
	Serious
	// Note means that the difference is good to know and changes nothing of the plan.
	Note
)

func (s Severity) String() string {
	switch s {
	case Serious:
		return "serious"
	case Note:
		return "note"
	}
	return "blocker"
}

// MarshalText writes the severity as a word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Discrepancy is one item in which two servers were compared.
type Discrepancy struct {
	// Item is what was compared: "service", "memory", or a command's name.
	Item string `json:"item"`
	// Verdict is Match when both are the same in it, Mismatch when they differ, and Unknown when one of them did not tell.
	Verdict Verdict `json:"verdict"`
	// Severity is that of a difference; of an Unknown item, that of the difference that there may be.
	Severity Severity `json:"severity"`
	// Rehearsal and Production say how it is on each.
	Rehearsal  string `json:"rehearsal"`
	Production string `json:"production"`
	// Why says why it matters, and what a person does about it. Empty for a Match.
	Why string `json:"why,omitempty"`
}

// String is one line: `blocker  MIGRATE: rehearsal allowed, production absent: …`.
func (d Discrepancy) String() string {
	rank := d.Severity.String()
	switch d.Verdict {
	case Match:
		return fmt.Sprintf("same     %s: %s", d.Item, d.Rehearsal)
	case Unknown:
		rank = "unknown"
	}
	text := fmt.Sprintf("%-8s %s: rehearsal %s, production %s", rank, d.Item, d.Rehearsal, d.Production)
	if d.Why != "" {
		text += ": " + d.Why
	}
	return text
}

// Comparison is what Compare found: all items, those that matter most first.
type Comparison struct {
	Rehearsal  string        `json:"rehearsal"`  // its address
	Production string        `json:"production"` // its address
	Items      []Discrepancy `json:"items"`
}

// Verdict is Mismatch when the servers differ in something that is more than a note, else Unknown when something that is more than a note
// could not be told, else Match.
func (c Comparison) Verdict() Verdict {
	v := Unknown
	if len(c.Items) > 0 {
		v = Match
	}
	for _, d := range c.Items {
		switch {
		case d.Severity == Note || d.Verdict == Match:
		case d.Verdict == Mismatch:
			return Mismatch
		default:
			v = Unknown
		}
	}
	return v
}

// Differing are the items in which the servers differ, those that matter most first.
func (c Comparison) Differing() []Discrepancy { return c.with(Mismatch) }

// Untold are the items that could not be compared.
func (c Comparison) Untold() []Discrepancy { return c.with(Unknown) }

func (c Comparison) with(v Verdict) (out []Discrepancy) {
	for _, d := range c.Items {
		if d.Verdict == v {
			out = append(out, d)
		}
	}
	return out
}

// String lists what differs and what could not be told, a line each, and counts the rest.
func (c Comparison) String() string {
	lines := []string{fmt.Sprintf("%s: rehearsal %s, production %s", c.Verdict(), c.Rehearsal, c.Production)}
	for _, d := range slices.Concat(c.Differing(), c.Untold()) {
		lines = append(lines, d.String())
	}
	return strings.Join(append(lines, fmt.Sprintf("same     in %d of %d items", len(c.with(Match)), len(c.Items))), "\n")
}

// Compare says in what the server of a rehearsal and that of production differ, and why it matters. Both cards should have been made with the same
// InspectOptions. It asks no server.
func Compare(rehearsal, production *Server) Comparison {
	if rehearsal == nil || production == nil {
		return Comparison{Items: []Discrepancy{{Item: "server", Rehearsal: presence(rehearsal), Production: presence(production), Why: "there is no card to compare; run Inspect on both"}}}
	}
	c := Comparison{Rehearsal: rehearsal.Addr, Production: production.Addr}
	for _, t := range traits {
		if t.item == restorePayloads && rehearsal.Untold["RestoreVersion"] == targetsOnly && production.Untold["RestoreVersion"] == targetsOnly {
			continue // two sources are not asked
		}
		c.Items = append(c.Items, t.compare(rehearsal, production))
	}
	names := map[string]bool{}
	for _, s := range []*Server{rehearsal, production} {
		for name := range s.Commands {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if rehearsal.Cluster != production.Cluster && strings.HasPrefix(name, "CLUSTER ") {
			continue // said by the form
		}
		c.Items = append(c.Items, compareCommand(name, rehearsal, production))
	}
	slices.SortStableFunc(c.Items, func(a, b Discrepancy) int {
		return cmp.Or(cmp.Compare(order(a.Verdict), order(b.Verdict)), cmp.Compare(a.Severity, b.Severity))
	})
	return c
}

// order puts differences first, then what could not be told.
func order(v Verdict) int {
	switch v {
	case Mismatch:
		return 0
	case Unknown:
		return 1
	}
	return 2
}

func presence(s *Server) string {
	if s == nil {
		return "no card"
	}
	return s.Addr
}

// compareCommand compares one permission. What production allows and the rehearsal did not is no danger: the rehearsed steps do without.
func compareCommand(name string, rehearsal, production *Server) Discrepancy {
	a, b := rehearsal.Commands[name], production.Commands[name]
	d := Discrepancy{Item: name, Verdict: Mismatch, Severity: Blocker, Rehearsal: a.inWords(), Production: b.inWords()}
	reason := cmp.Or(production.Untold[name], production.Notes[name])
	switch {
	case a == Untold && b == Allowed:
		d.Verdict, d.Severity, d.Why = Unknown, Note, "production allows it, so nothing that was rehearsed fails for it"
	case a == Untold && b == Untold:
		d.Verdict, d.Severity, d.Why = Unknown, Serious, "neither server told; "+cmp.Or(reason, "it was not probed")
	case a == Untold:
		d.Verdict, d.Severity, d.Why = Unknown, Serious, "if the rehearsal used it, production will refuse it"
	case b == Untold && a == Allowed:
		d.Verdict, d.Why = Unknown, "the rehearsal may use it; find out about production first: "+cmp.Or(reason, "it was not probed")
	case b == Untold:
		d.Verdict, d.Severity, d.Why = Unknown, Note, "the rehearsal did without it"
	case a == b && rehearsal.Notes[name] == "" && production.Notes[name] == "", a == b && a != Allowed:
		d.Verdict, d.Severity = Match, Note
	case a == b && rehearsal.Notes[name] != "":
		d.Verdict, d.Severity = Match, Note
		d.Rehearsal += " (" + rehearsal.Notes[name] + ")"
	case a == b:
		d.Severity, d.Production = Serious, d.Production+" ("+production.Notes[name]+")"
		d.Why = "the rehearsal's user may run it on every key, production's may not; give both the same ACL"
	case a == Allowed:
		d.Why = "a rehearsed step that runs it fails in production; choose a strategy without it, or rehearse on a server that refuses it too"
		if reason != "" {
			d.Why += " (" + reason + ")"
		}
	default:
		d.Severity, d.Why = Note, "the rehearsal did without it"
	}
	return d
}
