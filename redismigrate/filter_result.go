package redismigrate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tashikame-go/tashikame/redismigrate/internal/rdb"
)

// FilterCount counts what a Filter kept and what it left out.
type FilterCount struct {
	Kept    int64 `json:"kept"`
	Dropped int64 `json:"dropped"`
}

func (k *FilterCount) add(o FilterCount) {
	k.Kept += o.Kept
	k.Dropped += o.Dropped
}

// FilteredDB counts the keys of one db of the snapshot.
type FilteredDB struct {
	DB int `json:"db"`
	// Target is the db to which its kept keys went.
	Target int `json:"target"`
	FilterCount
	// Expired are the selected keys whose expiry had passed when Filter began: kept too, unless FilterOptions.DropExpired.
	Expired int64 `json:"expired"`
}

// CollidingKey is a kept key that stands in two dbs which become one.
type CollidingKey struct {
	// Key is empty when the input could not be read a second time.
	Key string `json:"key,omitempty"`
	// DBs are the two dbs, Offsets where in the file its record begins in each.
	DBs     [2]int   `json:"dbs"`
	Offsets [2]int64 `json:"offsets"`
	Target  int      `json:"target"`
}

// String is a line for an error: `key "user:1" in db 0 and in db 3, which both become db 0`.
func (c CollidingKey) String() string {
	key := fmt.Sprintf("key %.100q", c.Key)
	if c.Key == "" {
		key = fmt.Sprintf("the key at bytes %d and %d of the file", c.Offsets[0], c.Offsets[1])
	}
	return fmt.Sprintf("%s in db %d and in db %d, which both become db %d", key, c.DBs[0], c.DBs[1], c.Target)
}

// FilterResult says what a Filter did, also when it returns an error.
type FilterResult struct {
	// Complete is true when the output is a whole snapshot. Otherwise no server loads it. The zero value claims nothing.
	Complete bool `json:"complete"`
	// Format of input and output: REDIS0012, VALKEY080.
	Format string `json:"format"`
	// Server that wrote the snapshot, as it says itself: "redis 8.0.2".
	Server string `json:"server,omitempty"`
	// Checksummed is true when the input carries a checksum and it was right. If it carries none (rdbchecksum no), damage inside values
	// cannot be seen. The output always carries one.
	Checksummed bool `json:"checksummed"`
	// AOFBase is true when the input is the base of an append-only file: what was written later is in other files and not in the output.
	AOFBase bool `json:"aof_base"`
	// FilterCount counts keys, over all dbs; Expired are the selected ones whose expiry had passed.
	FilterCount
	Expired int64 `json:"expired"`
	// DBs has one entry for each db of the snapshot that has keys, also if it takes no part, and for each of FilterOptions.DBs; ascending.
	DBs []FilteredDB `json:"dbs"`
	// Types counts keys by type: "string", "hash", …, and "module ReJSON-RL" for a module's.
	Types map[string]FilterCount `json:"types"`
	// Functions counts function libraries.
	Functions FilterCount `json:"functions"`
	// ModuleAux names the modules that keep data beside the keys; ModuleAuxRecords counts these data.
	ModuleAux        []string    `json:"module_aux,omitempty"`
	ModuleAuxRecords FilterCount `json:"module_aux_records"`
	// DroppedFields are the fields about replication and append-only file that were left out.
	DroppedFields []string `json:"dropped_fields,omitempty"`
	// Collisions is how many kept keys stand in two dbs that become one; Colliding lists the first ten of them.
	Collisions int64          `json:"collisions"`
	Colliding  []CollidingKey `json:"colliding,omitempty"`
	// BytesIn is how much of the input was consumed, BytesOut how much of the output was written.
	BytesIn  int64         `json:"bytes_in"`
	BytesOut int64         `json:"bytes_out"`
	Elapsed  time.Duration `json:"elapsed_ns"`

	outside int64
}

// finish sums up.
func (f *filter) finish() {
	r := &f.result
	r.FilterCount, r.Expired, r.outside, r.Types = FilterCount{}, 0, 0, map[string]FilterCount{}
	r.DBs = slices.DeleteFunc(slices.Clone(r.DBs), func(db FilteredDB) bool {
		return db.FilterCount == FilterCount{} && !slices.Contains(f.opt.DBs, db.DB)
	})
	slices.SortFunc(r.DBs, func(a, b FilteredDB) int { return cmp.Compare(a.DB, b.DB) })
	f.db = nil
	for _, db := range r.DBs {
		r.add(db.FilterCount)
		r.Expired += db.Expired
		if len(f.opt.DBs) > 0 && !slices.Contains(f.opt.DBs, db.DB) {
			r.outside += db.Dropped
		}
	}
	for typ, count := range f.types {
		if name := rdb.TypeName(byte(typ)); name != "module" && count != (FilterCount{}) {
			count.add(r.Types[name])
			r.Types[name] = count
		}
	}
	for name, count := range f.modules {
		r.Types["module "+name] = count
	}
	if f.from != nil {
		r.BytesIn = f.from.Offset()
	}
	if f.to != nil {
		r.BytesOut = f.to.Written()
	}
}

// String is one line for a log, with what a person must know before using the output:
// "kept 300 of 1000 keys (db 0 → 0: 200, db 3 → 0: 100) of a REDIS0012 snapshot, 81230 bytes → 30112, 4ms".
func (r FilterResult) String() string {
	var b strings.Builder
	if !r.Complete {
		b.WriteString("incomplete, do not use the output: ")
	}
	var dbs []string
	for _, db := range r.DBs {
		dbs = append(dbs, fmt.Sprintf("db %d → %d: %d", db.DB, db.Target, db.Kept))
	}
	fmt.Fprintf(&b, "kept %d of %d keys", r.Kept, r.Kept+r.Dropped)
	if len(dbs) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(dbs, ", "))
	}
	if r.Format != "" {
		fmt.Fprintf(&b, " of a %s snapshot", r.Format)
	}
	fmt.Fprintf(&b, ", %d bytes → %d, %s", r.BytesIn, r.BytesOut, r.Elapsed.Round(time.Millisecond))
	for _, note := range r.Notes() {
		b.WriteString("; " + note)
	}
	return b.String()
}

// Notes are the sentences that a person should read before using the output. None means nothing is out of the ordinary.
func (r FilterResult) Notes() []string {
	var notes []string
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if r.AOFBase {
		note("the input is the base of an append-only file: what was written after it is not in the output")
	}
	if r.Complete && !r.Checksummed {
		note("the input carries no checksum (rdbchecksum no): damage inside values could not be seen")
	}
	targets := map[int]bool{}
	mapped := false
	for _, db := range r.DBs {
		if db.Kept > 0 {
			targets[db.Target] = true
			mapped = mapped || db.Target != db.DB
		}
	}
	if mapped && len(targets) > 1 {
		note("the output holds %s: stores with only db 0 (MemoryDB, a cluster) do not take it", dbsInWords(slices.Sorted(maps.Keys(targets))))
	}
	if r.Expired > 0 {
		note("%d selected keys had expired: a master leaves them out when it loads", r.Expired)
	}
	if n := r.Functions.Kept; n > 0 {
		note("%d function libraries were kept", n)
	}
	if n := r.Functions.Dropped; n > 0 {
		note("%d function libraries were left out", n)
	}
	if r.ModuleAuxRecords.Kept > 0 {
		note("data of the modules %s were kept: a server without them does not load the output", strings.Join(r.ModuleAux, ", "))
	}
	if r.ModuleAuxRecords.Dropped > 0 {
		note("data that the modules %s keep beside the keys were left out", strings.Join(r.ModuleAux, ", "))
	}
	return notes
}
