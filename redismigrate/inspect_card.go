package redismigrate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// cardWidth is how wide a line of the card may be, in bytes.
const cardWidth = 110

// cardNodes is how many masters the card lists.
const cardNodes = 6

// String is the card for a terminal.
func (s *Server) String() string {
	if s == nil {
		return "no server"
	}
	c := &cardText{}
	c.line("server", "%s, %s", s.Addr, s.software())
	c.line("asked", "%s, as %s%s", s.At.Format("2006-01-02 15:04:05 MST"), orWords(s.User, "a user that the server does not name"), map[bool]string{true: ", over TLS"}[s.TLS])
	c.line("form", "%s", s.form())
	c.line("keys", "%s", s.keysInWords())
	c.line("memory", "%s", s.memoryInWords())
	c.line("kept by", "%s; clients besides this one: %s", s.told("Persistence", orWords(s.Persistence, "")), s.told("Clients", fmt.Sprint(s.Clients)))
	c.line("payloads", "DUMP writes version %s; RESTORE takes %s", s.told("DumpVersion", fmt.Sprint(s.DumpVersion)), s.told("RestoreVersion", rangesInWords(s.RestoreVersions)))
	if len(s.Functions) > 0 || s.Untold["Functions"] != "" {
		c.line("functions", "%s", s.told("Functions", strings.Join(s.Functions, ", ")))
	}
	if len(s.ServiceKeys) > 0 {
		c.line("its own", "%s", strings.Join(s.ServiceKeys, ", "))
	}
	for i, n := range s.Nodes {
		if i == cardNodes {
			c.line("", "and %d more masters", len(s.Nodes)-i)
			break
		}
		if s.Cluster || len(n.Replicas) > 0 || n.Role != "master" {
			c.line("node", "%s", n.inWords())
		}
	}
	for _, p := range []Permission{Forbidden, Absent, Untold, Allowed} {
		var names []string
		for _, name := range slices.Sorted(maps.Keys(s.Commands)) {
			if s.Commands[name] != p {
				continue
			}
			if p == Allowed && s.Notes[name] != "" {
				name += "*" // explained below
			}
			names = append(names, name)
		}
		if len(names) > 0 {
			c.list(p.inWords(), names)
		}
	}
	c.notes(s.Notes, func(name string) bool { return s.Commands[name] != Allowed })
	c.notes(s.Untold, nil)
	c.notes(s.Notes, func(name string) bool { return s.Commands[name] == Allowed })
	return c.String()
}

// inWords is the permission as a person says it.
func (p Permission) inWords() string {
	if p == Untold {
		return "could not tell"
	}
	return p.String()
}

// told is the value, or that there is none.
func (s *Server) told(field, value string) string {
	if s.Untold[field] == "" {
		return orWords(value, "none")
	}
	if value == "" || value == "0" {
		return "could not tell"
	}
	return value + " (could not tell all)"
}

func orWords(value, words string) string {
	if value == "" {
		return words
	}
	return value
}

func (s *Server) software() string {
	text := orWords(strings.TrimSpace(string(s.Flavour)+" "+s.Version), "software that could not be told")
	if s.Untold["Version"] != "" {
		text += " (masters differ)"
	}
	if s.Service != "" {
		text += ", " + s.Service
	}
	return text
}

func (s *Server) form() string {
	if s.Cluster {
		return fmt.Sprintf("a cluster of %d masters", len(s.Nodes))
	}
	if len(s.Nodes) == 1 {
		return fmt.Sprintf("one server, %s; %s dbs", orWords(s.Nodes[0].Role, "role not told"), s.told("Databases", fmt.Sprint(s.Databases)))
	}
	return "could not tell"
}

func (s *Server) keysInWords() string {
	var parts []string
	for _, db := range s.DBs {
		parts = append(parts, fmt.Sprintf("db %d: %d (%d expire)", db.DB, db.Keys, db.Expires))
	}
	return fmt.Sprintf("%d; %s", keyCount(s), orWords(strings.Join(parts, ", "), "all dbs are empty"))
}

func (s *Server) memoryInWords() string {
	limit := "no limit"
	if s.MaxMemory > 0 {
		limit = "of " + byteText(s.MaxMemory)
	}
	text := fmt.Sprintf("%s used, %s, %s", s.told("UsedMemory", byteText(s.UsedMemory)), s.told("MaxMemory", limit), s.told("Policy", s.Policy))
	if free, ok := s.Headroom(); ok {
		text += ", room for " + byteText(free)
		if s.MaxMemory == 0 {
			text += " in the machine's memory"
		}
	}
	return text
}

func (n ServerNode) inWords() string {
	parts := []string{n.Addr, orWords(n.Role, "role not told")}
	if n.ReplicaOf != "" {
		parts = append(parts, "of "+n.ReplicaOf)
	}
	if n.Slots > 0 {
		parts = append(parts, fmt.Sprintf("%d slots", n.Slots))
	}
	parts = append(parts, fmt.Sprintf("%d keys", n.Keys), byteText(n.UsedMemory))
	for _, r := range n.Replicas {
		lag := fmt.Sprintf("%d bytes behind", r.LagBytes)
		if r.LagBytes < 0 {
			lag = "lag not told"
		}
		parts = append(parts, fmt.Sprintf("replica %s %s, %s", r.Addr, r.State, lag))
	}
	return strings.Join(parts, ", ")
}

func rangesInWords(ranges []VersionRange) string {
	var parts []string
	for _, r := range ranges {
		if r.From == r.To {
			parts = append(parts, fmt.Sprint(r.From))
		} else {
			parts = append(parts, fmt.Sprintf("%d to %d", r.From, r.To))
		}
	}
	return strings.Join(parts, ", ")
}

// cardText is text of lines that begin with a name.
type cardText struct{ strings.Builder }

func (c *cardText) line(name, format string, args ...any) {
	fmt.Fprintf(c, "%-16s%s\n", name, fmt.Sprintf(format, args...))
}

// list writes names, broken into lines.
func (c *cardText) list(name string, names []string) {
	c.wrap(fmt.Sprintf("%-16s", name), strings.Repeat(" ", 16), strings.Split(strings.Join(names, ",\x00"), "\x00"))
}

// wrap writes words, broken into lines.
func (c *cardText) wrap(first, further string, words []string) {
	at := len(first)
	c.WriteString(first)
	for i, w := range words {
		switch {
		case i == 0:
		case at+1+len(w) > cardWidth:
			c.WriteString("\n" + further)
			at = len(further)
		default:
			c.WriteString(" ")
			at++
		}
		c.WriteString(w)
		at += len(w)
	}
	c.WriteString("\n")
}

// cardNames is of how many commands a shared reason names.
const cardNames = 8

// notes writes the reasons, each once with all that it is the reason of.
func (c *cardText) notes(notes map[string]string, pick func(name string) bool) {
	byText := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(notes)) {
		if pick == nil || pick(name) {
			byText[notes[name]] = append(byText[notes[name]], name)
		}
	}
	texts := slices.SortedFunc(maps.Keys(byText), func(a, b string) int { return strings.Compare(byText[a][0], byText[b][0]) })
	for _, text := range texts {
		names := byText[text]
		who := strings.Join(names[:min(len(names), cardNames)], ", ")
		if more := len(names) - cardNames; more > 0 {
			who += fmt.Sprintf(" and %d more", more)
		}
		c.wrap("  ", "    ", strings.Split(who+": "+text, " "))
	}
}
