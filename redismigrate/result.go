package redismigrate

import (
	"fmt"
	"strings"
	"time"
)

// Tally counts keys.
type Tally struct {
	// Kept are the keys that a prune left in place because the selector keeps them, as of its last, clean pass; 0 while it has not
	// come that far.
	Kept int64 `json:"kept"`
	// Deleted are the keys that the target reported as deleted by the prune.
	Deleted int64 `json:"deleted"`
	// Copied are the keys that were written to the target by the copy.
	Copied int64 `json:"copied"`
	// Exists are the keys that the target had already; they were left as they are.
	Exists int64 `json:"exists"`
	// Differs are those of Exists whose value or expiry on the target is not that of the source.
	Differs int64 `json:"differs"`
	// Unclear are the keys that a copy sent and whose answer was lost with the connection; sent again, they were there with the source's
	// value: written by the first try, or there before. Each selected key is in one of Copied, Exists, Unclear, Uncopied and Gone.
	Unclear int64 `json:"unclear"`
	// Bytes are the serialized values of Copied.
	Bytes int64 `json:"bytes"`
	// Uncopied are the keys that could not be carried to this target: a module's type that it does not read, hash fields that expire where
	// it knows no such thing, a value that changed during each try. The copy goes on without them and ends with an error.
	Uncopied int64 `json:"uncopied"`
	// Gone are the keys that SCAN showed but that were no longer there when their turn came: expired meanwhile, removed by another
	// client, or shown twice by SCAN and already handled. A few are normal.
	Gone int64 `json:"gone"`
}

func (t *Tally) add(o Tally) {
	t.Kept += o.Kept
	t.Deleted += o.Deleted
	t.Copied += o.Copied
	t.Exists += o.Exists
	t.Differs += o.Differs
	t.Unclear += o.Unclear
	t.Bytes += o.Bytes
	t.Uncopied += o.Uncopied
	t.Gone += o.Gone
}

// DBTally is the Tally of one db.
type DBTally struct {
	DB int `json:"db"`
	Tally
}

// Result says what a Copy or an Apply did, also when it returns an error: what is counted was done.
type Result struct {
	// Complete is true when the job came to its end. The zero value claims nothing.
	Complete bool `json:"complete"`
	// Tally is the sum over all dbs.
	Tally
	// DBs has one entry for each db of the job, ascending.
	DBs []DBTally `json:"dbs"`
	// Passes is how many times the keys were gone over, the last and clean one included.
	Passes int `json:"passes"`
	// Elapsed is the wall-clock time of the job.
	Elapsed time.Duration `json:"elapsed_ns"`
	// Existing lists up to 100 of the keys that are counted in Differs.
	Existing []Difference `json:"existing,omitempty"`
	// Uncopiable lists up to 100 of the keys that are counted in Uncopied, with the reason.
	Uncopiable []Difference `json:"uncopiable,omitempty"`
	// Notes say what a person should know besides the figures: what a copy could not carry over, or where it went on from.
	Notes []string `json:"notes,omitempty"`
}

// String is one line for a log: "deleted 700000, kept 300000, gone 12 in 2 passes, 2.1s".
func (r Result) String() string {
	var b strings.Builder
	if !r.Complete {
		b.WriteString("incomplete: ")
	}
	sep := ""
	part := func(name string, n int64) {
		if n != 0 {
			fmt.Fprintf(&b, "%s%s %d", sep, name, n)
			sep = ", "
		}
	}
	part("copied", r.Copied)
	part("deleted", r.Deleted)
	part("kept", r.Kept)
	part("already there", r.Exists)
	part("already there with another value or expiry", r.Differs)
	part("sent twice and there", r.Unclear)
	part("could not be copied", r.Uncopied)
	part("gone meanwhile", r.Gone)
	if sep == "" {
		b.WriteString("nothing done")
	}
	fmt.Fprintf(&b, " in %d passes, %s", r.Passes, r.Elapsed.Round(time.Millisecond))
	return b.String()
}

// sum fills the total from the dbs.
func (r *Result) sum() {
	r.Tally = Tally{}
	for _, db := range r.DBs {
		r.add(db.Tally)
	}
}

// Progress is one report of a running job.
type Progress struct {
	Job  string // "plan prune", "prune", "copy" or "verify"
	DB   int    // the db that is being gone over
	Pass int    // 1 for the first
	// Scanned is how many keys of this db SCAN has shown in this pass; Total is how many the db held when the pass began there.
	Scanned, Total int64
	// Done is how many keys of this pass have been handed on to be deleted, copied or compared.
	Done int64
	// Held says what a Throttle holds the job up for: "held to 0 keys/s: replica 10.0.0.7:6379 of 10.0.0.5:6379 is 2097152 bytes behind
	// (limit 1048576)". Empty: nothing does.
	Held string
	// Bytes is, for a copy, how many bytes of serialized values the target has taken from this db.
	Bytes int64
}
