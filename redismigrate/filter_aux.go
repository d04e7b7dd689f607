package redismigrate

import (
	"strings"

	"github.com/tashikame-go/tashikame/redismigrate/internal/rdb"
)

// aux decides on a field about the snapshot. Kept is what describes the data; left out is what would make the server that loads the output
// take itself for the source's continuation: with repl-id and repl-offset, replicas of the source could go on with it as if nothing had
// been left out, and aof-base makes a snapshot part of an append-only file. used-mem, the source's memory, would be wrong.
func (f *filter) aux(r *rdb.Record) error {
	name, value := string(r.Name), string(r.Value)
	keep := true
	switch {
	case strings.HasPrefix(name, "repl-"):
		keep = false
	case strings.HasPrefix(name, "aof-"):
		keep = false
		f.result.AOFBase = f.result.AOFBase || value == "1"
	case name == "used-mem":
		keep = false
	case name == "redis-ver" || name == "valkey-ver":
		f.result.Server = strings.TrimSuffix(name, "-ver") + " " + value
	}
	if !keep {
		f.result.DroppedFields = append(f.result.DroppedFields, name)
		return nil
	}
	return f.from.Pass(f.to)
}
