package redismigrate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const restorePayloads = "RESTORE payloads"

// trait is one property of a server that is compared.
type trait struct {
	item     string
	severity Severity
	why      string
	// of says how the server is in it; ok is false when it did not tell.
	of func(s *Server) (value string, ok bool)
	// near, if set, says of two values that differ whether they do so within what a rehearsal tolerates.
	near func(rehearsal, production *Server) bool
}

func (t trait) compare(rehearsal, production *Server) Discrepancy {
	a, okA := t.of(rehearsal)
	b, okB := t.of(production)
	d := Discrepancy{Item: t.item, Severity: t.severity, Rehearsal: orWords(a, "none"), Production: orWords(b, "none"), Why: t.why}
	switch {
	case !okA || !okB:
		for _, side := range []struct {
			ok   bool
			text *string
		}{{okA, &d.Rehearsal}, {okB, &d.Production}} {
			if !side.ok {
				*side.text = "could not tell"
			}
		}
	case a == b, t.near != nil && t.near(rehearsal, production):
		d.Verdict, d.Severity, d.Why = Match, Note, ""
	default:
		d.Verdict = Mismatch
	}
	return d
}

// How much larger production may be than the rehearsal for the rehearsal's figures to hold: a tenth, and for memory what the buffers of
// clients may take.
const (
	similar     = 1.1
	bufferSlack = 16 << 20
)

// traits are compared in this order.
var traits = []trait{
	{item: "service", severity: Blocker, of: tellsService, why: "managed services restrict other commands than servers of one's own; rehearse from and to the same service"},
	{item: "software", severity: Blocker, of: tells("Flavour", func(s *Server) string { return string(s.Flavour) }), why: "Redis and Valkey differ in payload versions and commands"},
	{item: "version", severity: Blocker, of: tells("Version", func(s *Server) string { return s.release() }), why: "another version dumps other payloads, and knows other commands"},
	{item: "form", severity: Blocker, of: tellsForm, why: "a cluster has db 0 only, needs a client that speaks it, and spreads keys over its masters"},
	{item: "role", severity: Blocker, of: tellsRole, why: "a replica takes no writes"},
	{item: "TLS", severity: Blocker, of: yesNo(func(s *Server) bool { return s.TLS }), why: "the client of the rehearsal must be able to reach production, with its certificates; and encryption costs time"},
	{item: "dbs in use", severity: Blocker, of: tellsDBs, why: "a snapshot of several dbs cannot be restored to a service with one, and keys of one db may clash with those of another"},
	{item: "number of dbs", severity: Serious, of: tells("Databases", func(s *Server) string { return numberOrNone(s.Databases) }), why: "a db that the rehearsal used may not exist"},
	{item: "DUMP payloads", severity: Blocker, of: tells("DumpVersion", func(s *Server) string { return numberOrNone(s.DumpVersion) }), why: "a target takes only the payload versions that it knows"},
	{item: restorePayloads, severity: Blocker, of: tells("RestoreVersion", func(s *Server) string { return rangesInWords(s.RestoreVersions) }), why: "a payload that the rehearsal's target took may be refused"},
	{item: "keys", severity: Serious, of: tellsKeys, near: nearKeys, why: "the rehearsal's times do not hold for more keys; rehearse on a restored snapshot of production"},
	{item: "data size", severity: Serious, of: tells("UsedMemory", func(s *Server) string { return byteText(s.UsedMemory) }), near: nearSize, why: "the rehearsal's times and memory do not hold for more data; measure, and rehearse on a restored snapshot of production"},
	{item: "memory limit", severity: Serious, of: tellsLimit, why: "the target of the real run may fill up where that of the rehearsal did not"},
	{item: "headroom", severity: Serious, of: tellsHeadroom, near: nearHeadroom, why: "production has less memory left than the rehearsal had: a copy, or the fork of a snapshot, can fill it"},
	{item: "eviction policy", severity: Serious, of: tells("Policy", func(s *Server) string { return s.Policy }), why: "a policy that evicts deletes keys without a word when memory is full; noeviction refuses writes"},
	{item: "persistence", severity: Serious, of: tells("Persistence", func(s *Server) string { return s.Persistence }), why: "it decides what a crash loses, and slows writes"},
	{item: "replicas", severity: Serious, of: tellsReplicas, why: "replicas must follow every write; the rehearsal's speed and lag do not hold"},
	{item: "functions", severity: Serious, of: tells("Functions", func(s *Server) string { return strings.Join(s.Functions, ", ") }), why: "functions are not keys, and move by themselves"},
	{item: "service keys", severity: Note, of: tells("ServiceKeys", func(s *Server) string { return strings.Join(s.ServiceKeys, ", ") }), why: "they belong to the service, and stay where they are"},
	{item: "other clients", severity: Note, of: tellsClients, why: "others use production meanwhile: the rehearsal does not show what they suffer, nor what they change"},
}

// tells is a trait that the card has a field of; Untold may name it.
func tells(field string, value func(*Server) string) func(*Server) (string, bool) {
	optional := slices.Contains([]string{"Functions", "ServiceKeys"}, field) // of which none is an answer
	return func(s *Server) (string, bool) {
		v := value(s)
		return v, s.Untold[field] == "" && (v != "" || optional)
	}
}

func yesNo(of func(*Server) bool) func(*Server) (string, bool) {
	return func(s *Server) (string, bool) { return map[bool]string{true: "yes", false: "no"}[of(s)], true }
}

// numberOrNone is "" for none.
func numberOrNone(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// release is the version without its last number, which stands for repairs.
func (s *Server) release() string {
	parts := strings.SplitN(s.Version, ".", 3)
	return strings.Join(parts[:min(len(parts), 2)], ".")
}

// tellsService: a server that names no service is one of one's own as far as it says.
func tellsService(s *Server) (string, bool) { return orWords(s.Service, "none that it names"), true }

func tellsForm(s *Server) (string, bool) {
	if s.Cluster {
		return fmt.Sprintf("cluster of %d masters", len(s.Nodes)), len(s.Nodes) > 0
	}
	return "one server", len(s.Nodes) == 1
}

func tellsRole(s *Server) (string, bool) {
	role := ""
	for _, n := range s.Nodes {
		if n.Role != "master" {
			return n.Role, n.Role != ""
		}
		role = n.Role
	}
	return role, role != ""
}

func tellsDBs(s *Server) (string, bool) {
	return joinInts(usedDBs(s)), len(s.Nodes) > 0
}

func tellsKeys(s *Server) (string, bool) { return strconv.FormatInt(keyCount(s), 10), len(s.Nodes) > 0 }

func nearKeys(rehearsal, production *Server) bool {
	return float64(keyCount(production)) <= similar*float64(keyCount(rehearsal))
}

func nearSize(rehearsal, production *Server) bool {
	return float64(production.UsedMemory) <= similar*float64(rehearsal.UsedMemory)+bufferSlack
}

func tellsLimit(s *Server) (string, bool) {
	if s.MaxMemory == 0 {
		return "no limit", s.Untold["MaxMemory"] == "" && s.Policy != ""
	}
	return byteText(s.MaxMemory), s.Untold["MaxMemory"] == ""
}

func tellsHeadroom(s *Server) (string, bool) {
	free, ok := s.Headroom()
	return byteText(free), ok
}

func nearHeadroom(rehearsal, production *Server) bool {
	a, _ := rehearsal.Headroom()
	b, _ := production.Headroom()
	return float64(b)*similar+bufferSlack >= float64(a)
}

func tellsReplicas(s *Server) (string, bool) {
	n := 0
	for _, node := range s.Nodes {
		n += len(node.Replicas)
	}
	return strconv.Itoa(n), len(s.Nodes) > 0
}

func tellsClients(s *Server) (string, bool) {
	return strconv.Itoa(s.Clients), s.Untold["Clients"] == "" && len(s.Nodes) > 0
}
