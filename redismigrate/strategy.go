package redismigrate

import (
	"fmt"
	"slices"
	"strings"
)

// Strategy is a way to get the selected keys from one store to the other.
type Strategy string

// The strategies that MakePlan weighs.
const (
	// PruneAfterRestore restores the source's whole snapshot into the target and deletes there what does not belong.
	PruneAfterRestore Strategy = "prune after restore"
	// CopyKeys transfers the selected keys with DUMP and RESTORE, or by type where their payloads do not fit.
	CopyKeys Strategy = "copy"
	// FilteredSnapshot writes a snapshot that holds only the selected keys, without a server, and restores that.
	FilteredSnapshot Strategy = "filtered snapshot"
	// MigrateKeys has the source send the keys itself, with MIGRATE … COPY.
	MigrateKeys Strategy = "migrate"
	// LiveSplit lets the application go over by itself, without a window: see Split.
	LiveSplit Strategy = "live split"
)

// Possibility says whether a strategy can be carried out between two servers.
type Possibility int

const (
	// Undecided means that something that decides it is not known; the Option's Reasons say what.
	Undecided Possibility = iota
	// Possible means that nothing known speaks against it.
	Possible
	// Impossible means that it cannot work; the Option's Reasons say why.
	Impossible
)

func (p Possibility) String() string {
	switch p {
	case Possible:
		return "possible"
	case Impossible:
		return "impossible"
	}
	return "could not tell"
}

// MarshalText writes the possibility as words.
func (p Possibility) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Option is one strategy, weighed.
type Option struct {
	Strategy Strategy    `json:"strategy"`
	Verdict  Possibility `json:"verdict"`
	// Reasons say why it is impossible, or what is not known. Empty when it is possible.
	Reasons []string `json:"reasons,omitempty"`
	// Cautions do not rule it out, but somebody must have read them.
	Cautions []string `json:"cautions,omitempty"`
	// Needs is what the target must have room for at its fullest moment, in bytes.
	Needs Estimate `json:"needs_bytes"`
	// Moved and Deleted are how many keys and bytes are transferred to, and deleted on, the target.
	Moved   Work `json:"moved"`
	Deleted Work `json:"deleted"`
}

// Work is an amount of keys and bytes that a strategy has to get through.
type Work struct {
	Keys  Estimate `json:"keys"`
	Bytes Estimate `json:"bytes"`
}

// weighing collects what speaks against one strategy.
type weighing struct {
	in *planInput
	Option
}

func (w *weighing) impossible(format string, args ...any) {
	w.Verdict = Impossible
	w.Reasons = append(w.Reasons, fmt.Sprintf(format, args...))
}

func (w *weighing) unknown(format string, args ...any) {
	if w.Verdict == Possible {
		w.Verdict = Undecided
	}
	w.Reasons = append(w.Reasons, fmt.Sprintf(format, args...))
}

func (w *weighing) caution(format string, args ...any) {
	w.Cautions = append(w.Cautions, fmt.Sprintf(format, args...))
}

// weigh decides about one strategy. What rules out every strategy (the client, the room) is said with each, so that each can be read alone.
func weigh(in *planInput, s Strategy) Option {
	w := &weighing{in: in, Option: Option{Strategy: s, Verdict: Possible}}
	w.Moved = Work{in.selected.Keys, in.selected.Bytes}
	w.Needs = in.selected.Bytes
	switch s {
	case PruneAfterRestore:
		w.prune()
	case CopyKeys:
		w.copy()
	case FilteredSnapshot:
		w.filter()
	case MigrateKeys:
		w.migrate()
	case LiveSplit:
		w.live()
	}
	w.client()
	w.dbs()
	w.room()
	return w.Option
}

// needs requires one of these commands on a server; the first is the usual one.
func (w *weighing) needs(side string, server *Server, what string, commands ...string) {
	best, reason := Absent, ""
	for _, c := range commands {
		p := server.Commands[c]
		if p == Allowed {
			return
		}
		if best != Untold && (p == Untold || p == Forbidden) {
			best = p
		}
		if text := server.Untold[c]; text != "" {
			reason = ": " + text
		}
	}
	names := strings.Join(commands, " or ")
	switch best {
	case Forbidden:
		w.impossible("the user on the %s %s may not run %s, which is needed to %s; grant it, or use a user that has it", side, server.Addr, names, what)
	case Absent:
		w.impossible("the %s %s does not offer %s, which is needed to %s%s", side, server.Addr, names, what, ofService(server))
	default:
		w.unknown("whether the %s %s allows %s, which is needed to %s, could not be told%s", side, server.Addr, names, what, reason)
	}
}

func ofService(s *Server) string {
	if s.Service == "" {
		return ""
	}
	return " (" + serviceName(s) + " takes it away)"
}

// serviceName is a service in the middle of a sentence.
func serviceName(s *Server) string {
	if strings.HasPrefix(s.Service, "a managed service") { // not recognised
		return "the managed service"
	}
	return s.Service
}

func (w *weighing) prune() {
	in := w.in
	w.Needs = in.census.Total.Bytes
	w.Moved = Work{in.census.Total.Keys, in.census.Total.Bytes}
	w.Deleted = Work{minus(in.census.Total.Keys, in.selected.Keys), minus(in.census.Total.Bytes, in.selected.Bytes)}
	w.snapshot()
	w.restorable("a snapshot of the whole store", usedDBs(in.source))
	w.needs("target", in.target, "go over its keys", "SCAN")
	w.needs("target", in.target, "delete what does not belong", "UNLINK", "DEL")
	if w.Deleted.Keys.High == 0 {
		w.caution("every key is selected, so that nothing is left to prune: the restored snapshot is the result")
	}
	w.caution("writes to the source after the snapshot was taken are not in it: stop the writers of the selected keys before, or accept to lose them")
}

func (w *weighing) filter() {
	w.snapshot()
	dbs := usedDBs(w.in.source)
	for i, db := range dbs {
		dbs[i] = w.in.move.targetDB(db)
	}
	slices.Sort(dbs)
	w.restorable("the filtered snapshot", slices.Compact(dbs))
	if to := w.in.target; to.Service != "" {
		w.caution("%s must be able to import a snapshot file of yours into %s", serviceName(to), to.Addr)
	}
	w.caution("writes to the source after the snapshot was taken are not in it: stop the writers of the selected keys before, or accept to lose them")
}

// snapshot looks for a way to get a snapshot of the source.
func (w *weighing) snapshot() {
	s := w.in.source
	if s.Can("BGSAVE") || s.Can("SAVE") || s.Can("PSYNC") || s.Can("SYNC") {
		return
	}
	if s.Service != "" {
		w.caution("the source %s does not allow BGSAVE; take the snapshot with the backup function of %s", s.Addr, serviceName(s))
		return
	}
	w.needs("source", s, "take a snapshot", "BGSAVE", "PSYNC")
}

// restorable asks whether the target can load a snapshot of the source.
func (w *weighing) restorable(what string, dbs []int) {
	from, to := w.in.source, w.in.target
	if to.Cluster && (len(dbs) > 1 || len(dbs) == 1 && dbs[0] != 0) {
		w.impossible("%s holds the dbs %s, but the target %s is a cluster, which has db 0 only, and refuses to restore it; Filter can write one with all keys in db 0, or copy", what, joinInts(dbs), to.Addr)
	}
	if to.Cluster && !from.Cluster {
		w.caution("the target is a cluster of %d masters: each loads only the keys of its slots, so the service must be able to spread a snapshot, or each master be given it and pruned", len(to.Nodes))
	}
	if from.Flavour != to.Flavour && from.Flavour != "" && to.Flavour != "" {
		w.caution("source (%s %s) and target (%s %s) are of different software; rehearse that the one loads the other's snapshot", from.Flavour, from.Version, to.Flavour, to.Version)
	}
	w.payloads(func(dump, restore int) {
		w.impossible("the source %s writes version %d of the snapshot format, the target %s loads up to %d", from.Addr, dump, to.Addr, restore)
	})
	if n := keyCount(to); n > 0 {
		w.caution("the target %s holds %d keys already; restoring a snapshot replaces them", to.Addr, n)
	}
}

// payloads compares the versions that the one writes and the other takes; newer is told when the source's is too new.
func (w *weighing) payloads(newer func(dump, restore int)) {
	dump, restore := w.in.source.DumpVersion, w.in.target.RestoreVersion
	switch {
	case dump == 0:
		w.unknown("which payload version the source %s writes could not be told%s", w.in.source.Addr, because(w.in.source, "DumpVersion"))
	case restore == 0:
		w.unknown("which payload version the target %s takes could not be told%s (Inspect it as a target)", w.in.target.Addr, because(w.in.target, "RestoreVersion"))
	default: // not every version below the highest: Valkey 9 takes 80, but not Redis' 12
		if takes, _ := w.in.target.TakesPayload(dump); !takes {
			newer(dump, restore)
		}
	}
}

func because(s *Server, field string) string {
	if reason := s.Untold[field]; reason != "" {
		return ": " + reason
	}
	return ""
}

func (w *weighing) copy() {
	from, to := w.in.source, w.in.target
	w.needs("source", from, "go over its keys", "SCAN")
	w.payloads(func(dump, restore int) {
		w.caution("the source %s writes payload version %d, the target %s takes up to %d: the keys are copied by type instead, which is slower; rehearse it", from.Addr, dump, to.Addr, restore)
	})
	w.needs("source", from, "read the values", "DUMP")
	w.needs("target", to, "write the values", "RESTORE")
	w.caution("a key that is written while it is copied may arrive old: stop the writers of the selected keys before, and let Verify have the last word")
}

func (w *weighing) migrate() {
	from, to := w.in.source, w.in.target
	w.needs("source", from, "send the keys", "MIGRATE")
	w.needs("target", to, "receive the keys", "RESTORE")
	w.payloads(func(dump, restore int) {
		w.impossible("the source %s writes payload version %d, the target %s takes up to %d, and MIGRATE cannot change it", from.Addr, dump, to.Addr, restore)
	})
	if to.TLS {
		w.impossible("the target %s wants TLS, which MIGRATE speaks only where the source is configured for it (tls-replication); that cannot be seen from here", to.Addr)
	}
	if to.Cluster {
		w.impossible("the target %s is a cluster, and one MIGRATE reaches one node only", to.Addr)
	}
	w.caution("the source blocks its other clients while it sends a batch, and must reach the target over the network by itself; rehearse both")
}

// splitRecord is about what the records of one key take on both stores together, in bytes: measured on Redis 8.0 with keys of 20 characters (123 on each).
const splitRecord = 250

func (w *weighing) live() {
	from, to := w.in.source, w.in.target
	if !w.in.app.GoRedis {
		w.impossible("a live split is a hook of go-redis, and the application is not said to use that (ClientAbilities.GoRedis)")
	}
	for side, s := range map[string]*Server{"source": from, "target": to} {
		w.needs(side, s, "look at a record and run a command as a whole", "EVAL")
		w.needs(side, s, "hand keys over", "DUMP")
		w.needs(side, s, "take keys over, which the way back needs of both", "RESTORE")
		w.needs(side, s, "go over its keys", "SCAN")
		if strings.HasPrefix(s.Policy, "allkeys-") {
			w.impossible("the %s %s may evict any key (maxmemory-policy %s), also the records that say where a key is; set volatile-lru, volatile-ttl or noeviction while the split lasts", side, s.Addr, s.Policy)
		}
	}
	w.payloads(func(dump, restore int) {
		w.impossible("the source %s writes payload version %d, the target %s takes up to %d", from.Addr, dump, to.Addr, restore)
	})
	switch takes, told := from.TakesPayload(to.DumpVersion); {
	case to.DumpVersion == 0 || !told:
		w.unknown("whether the source %s takes the target's payloads, for the way back, is not known: Inspect it as a target as well", from.Addr)
	case !takes:
		w.impossible("the target %s writes payload version %d, which the source %s does not take, so that there would be no way back", to.Addr, to.DumpVersion, from.Addr)
	}
	if dbs := w.in.targetDBs(); len(dbs) > 1 {
		w.caution("the keys are in %d dbs, and a client speaks to one: make a split for each", len(dbs))
	}
	w.Needs.High += w.in.selected.Keys.High * splitRecord
	w.caution("commands that cannot be carried out in two places are refused while it lasts (SPLIT.md): run the application's own tests with a Split's client first")
}

// client asks whether the application could use the target at all.
func (w *weighing) client() {
	app, to := w.in.app, w.in.target
	if to.Cluster && !app.Cluster {
		w.impossible("the target %s is a cluster, but the application's client does not speak the cluster protocol", to.Addr)
	}
	if to.TLS && !app.TLS {
		w.impossible("the target %s is reached by TLS, but the application's client does not speak TLS", to.Addr)
	}
	if !app.DBs {
		for _, db := range w.in.targetDBs() {
			if db != 0 {
				w.impossible("the keys go to db %d, but the application's client uses db 0 only; map them there (Move.DBMap)", db)
			}
		}
	}
}

// dbs asks whether the target has the dbs that the keys go to.
func (w *weighing) dbs() {
	to := w.in.target
	for _, db := range w.in.targetDBs() {
		switch {
		case to.Cluster && db != 0:
			w.impossible("the keys go to db %d, but the target %s is a cluster, which has db 0 only; map them there (Move.DBMap)", db, to.Addr)
		case to.Databases > 0 && db >= to.Databases:
			w.impossible("the keys go to db %d, but the target %s has %d dbs", db, to.Addr, to.Databases)
		}
	}
}

// room asks whether the target can hold what the strategy puts there, at its fullest.
func (w *weighing) room() {
	to, need := w.in.target, w.Needs
	switch {
	case to.MaxMemory == 0 && to.Policy == "":
		w.unknown("how much memory the target %s has could not be told%s; it needs room for %s", to.Addr, because(to, "MaxMemory"), byteRange(need))
		return
	case to.MaxMemory == 0:
		w.caution("the target %s has no maxmemory: it needs %s and ends with the machine's memory", to.Addr, byteRange(need))
		return
	}
	free := to.MaxMemory - to.UsedMemory
	switch {
	case need.Low > free:
		w.impossible("the target %s has room for %s (maxmemory %s, used %s), but needs %s", to.Addr, byteText(max(free, 0)), byteText(to.MaxMemory), byteText(to.UsedMemory), byteRange(need))
	case need.High > free:
		w.unknown("the target %s has room for %s and needs %s: too close to tell; measure all keys, or give it more memory", to.Addr, byteText(free), byteRange(need))
	case need.High > free-free/10:
		w.caution("the target %s would be more than 90 %% full: it has room for %s and needs %s", to.Addr, byteText(free), byteRange(need))
	}
	if strings.HasPrefix(to.Policy, "allkeys-") || strings.HasPrefix(to.Policy, "volatile-") {
		w.caution("when its memory is full, the target %s evicts keys silently (maxmemory-policy %s)", to.Addr, to.Policy)
	}
}

func usedDBs(s *Server) []int {
	var dbs []int
	for _, d := range s.DBs {
		if d.Keys > 0 {
			dbs = append(dbs, d.DB)
		}
	}
	slices.Sort(dbs)
	return dbs
}

func keyCount(s *Server) (n int64) {
	for _, d := range s.DBs {
		n += d.Keys
	}
	return n
}

// minus subtracts a part from its whole.
func minus(whole, part Estimate) Estimate {
	return Estimate{max(whole.Value-part.Value, 0), max(whole.Low-part.High, 0), max(whole.High-part.Low, 0)}
}
