package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
	"unsafe"

	"github.com/tashikame-go/tashikame/redismigrate/internal/rdb"
)

// FilterOptions tune Filter. The zero value keeps the selected keys of every db, where they are.
type FilterOptions struct {
	// DBs are the dbs of the snapshot that take part; keys of others are dropped. Empty: all.
	DBs []int
	// DBMap says to which db the kept keys of a db go: {1: 0, 3: 0} makes one db of dbs 0, 1 and 3, as a store with only db 0 (MemoryDB, a
	// cluster) needs it. A db that it does not name keeps its number. A key that is kept from two dbs that become one is refused
	// (ErrRefused), with both dbs named.
	DBMap map[int]int
	// DropExpired leaves out keys whose expiry had passed when Filter began. By default they are kept as they are: a master that loads the
	// snapshot leaves them out by its own clock.
	DropExpired bool
	// DropFunctions leaves out function libraries (Redis 7). By default they are kept: the snapshot does not say whose they are.
	DropFunctions bool
	// DropModuleAux leaves out data that modules keep beside the keys, for example search indexes. By default they are kept, and then only
	// a server with these modules loads the output; FilterResult.ModuleAux names them.
	DropModuleAux bool
	// TempDir is where fingerprints of keys are sorted when dbs are made one: 32 bytes a key beyond the first 131,072, no key names.
	// Default os.TempDir(). The file has no name there and vanishes with the process (on Windows: with the end of Filter).
	TempDir string
	// Progress, if set, is told about every 16 MiB of input, and at the end: Scanned are the keys of the present db that were looked at,
	// Total how many the snapshot says it has (0: it does not say), Done how many of them were kept. It must be quick.
	Progress func(Progress)
}

// Filter reads a snapshot (dump.rdb) and writes one that holds only the selected keys, without any server. Each kept key keeps, byte for
// byte, its value, expiry, and idle time or access frequency. It reads the formats REDIS0006 to REDIS0012 (Redis 2.6 to 8.2, Valkey 7 and
// 8) and VALKEY080 (Valkey 9), and writes the format that it reads: the output loads in servers that would load the input.
//
// Memory is bounded whatever the snapshot holds: about 1 MiB, or 4 MiB where names are long; values are passed through in pieces. A key's name may not be longer than
// 1 MiB. Where DBMap makes one db of several, it takes 4 MiB more, and FilterOptions.TempDir.
//
// The output is complete, and loads, only when Filter returns no error: its end mark and checksum are written last, when the whole input
// was read, its checksum (if it has one) was right and nothing followed it. Without them every server refuses to load. It is refused
// (ErrRefused) when no key was kept, when one key would stand twice in a db, and when the snapshot was taken during a slot migration. If
// the input is seekable (a file), a key that stands twice is named, and is truly the same; else it is told by 128 bits of hash,
// which mistake two of a thousand million keys for one with a probability below 10^-20, and by its places in the file.
//
// Left out are, always: what ties the snapshot to its server's replication and append-only file (fields repl-…, aof-…), and hints of
// sizes, which would be wrong: servers need neither. A Read or Write that blocks ends with the context if the input or output has
// SetReadDeadline or SetWriteDeadline (connections and pipes do); any other must be ended by the caller.
func Filter(ctx context.Context, in io.Reader, out io.Writer, keep Selector, opt FilterOptions) (FilterResult, error) {
	start := time.Now()
	f := &filter{opt: opt, ctx: ctx, now: start.UnixMilli()}
	err := f.run(in, out, keep)
	f.finish()
	f.result.Elapsed = time.Since(start)
	if err != nil {
		if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w (%w)", cause, err)
		}
		return f.result, fmt.Errorf("redismigrate: filter: %w", err)
	}
	f.result.Complete = true
	return f.result, nil
}

// progressEvery is how many reads of the input lie between two reports.
const progressEvery = 64

type filter struct {
	opt    FilterOptions
	ctx    context.Context
	now    int64
	keys   *selection
	from   *rdb.Reader
	to     *rdb.Writer
	twins  *twinFinder
	result FilterResult

	db      *FilteredDB // where the reader is
	takes   bool        // it takes part
	total   int64       // keys that it is said to have
	written int         // the db that was selected last in the output; -1: none
	types   [256]FilterCount
	modules map[string]FilterCount
	reads   int
}

func (f *filter) run(in io.Reader, out io.Writer, keep Selector) (err error) {
	if f.keys, err = keep.compile(); err != nil {
		return err
	}
	if err := f.opt.validate(); err != nil {
		return err
	}
	defer endWith(f.ctx, in, out)()
	seeker, origin := seekable(in)
	if f.from, err = rdb.NewReader(in, f.onRead); err != nil {
		return err
	}
	f.to = rdb.NewWriter(out, f.from.Header())
	f.twins = newTwinFinder(f.opt)
	defer f.twins.close()
	f.result.Format = f.from.Header().String()
	f.written = -1
	for _, db := range f.opt.DBs { // those without keys show in the result too
		f.enter(db)
	}
	f.enter(0) // where a snapshot is that selects none
	for {
		record, err := f.from.Next()
		if err == io.EOF { //nolint:errorlint // only the bare one is the end: an input may wrap it in an error of its own
			break
		}
		if err == nil {
			err = f.take(record)
		}
		if err != nil {
			return err
		}
	}
	f.report()
	f.finish()
	if f.result.Kept == 0 {
		return refuse("the selector %s keeps none of the %d keys (%d of them outside DBs, %d expired); nothing that loads was written: correct the selector", f.keys.text, f.result.Dropped, f.result.outside, f.result.Expired)
	}
	if err := f.twins.report(f.ctx, &f.result, seeker, origin, f.from.Header()); err != nil {
		return err
	}
	f.result.Checksummed = f.from.Checksummed()
	return f.to.End()
}

func (o FilterOptions) validate() error {
	for _, db := range o.DBs {
		if db < 0 || db > math.MaxInt32 {
			return fmt.Errorf("DBs names db %d; dbs are numbered from 0, and no server has so many", db)
		}
	}
	for from, to := range o.DBMap {
		if min(from, to) < 0 || max(from, to) > math.MaxInt32 {
			return fmt.Errorf("DBMap sends db %d to db %d; dbs are numbered from 0, and no server has so many", from, to)
		}
	}
	return nil
}

// endWith makes a blocked Read and Write end when the context does, where they can.
func endWith(ctx context.Context, in io.Reader, out io.Writer) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		past := time.Unix(1, 0)
		if d, ok := in.(interface{ SetReadDeadline(time.Time) error }); ok {
			_ = d.SetReadDeadline(past) // a regular file has none, and does not block
		}
		if d, ok := out.(interface{ SetWriteDeadline(time.Time) error }); ok {
			_ = d.SetWriteDeadline(past)
		}
	})
}

// onRead is called before each read of the input.
func (f *filter) onRead() error {
	if f.reads++; f.reads%progressEvery == 0 {
		f.report()
	}
	return f.ctx.Err()
}

func (f *filter) report() {
	if f.opt.Progress != nil && f.db != nil {
		f.opt.Progress(Progress{Job: "filter", DB: f.db.DB, Pass: 1, Scanned: f.db.Kept + f.db.Dropped, Total: f.total, Done: f.db.Kept})
	}
}

// take decides on one record.
func (f *filter) take(r *rdb.Record) error {
	switch r.Kind {
	case rdb.Key:
		return f.key(r)
	case rdb.SelectDB:
		f.enter(int(r.DB))
	case rdb.ResizeDB:
		f.total = int64(r.Keys)
	case rdb.SlotImport:
		return refuse("the snapshot was taken while the slot migration %q brought keys into this node: some are there twice, or not yet; take a snapshot when none is under way (CLUSTER GETSLOTMIGRATIONS)", r.Name)
	case rdb.Aux:
		return f.aux(r)
	case rdb.Function:
		return f.pass(!f.opt.DropFunctions, &f.result.Functions)
	case rdb.ModuleAux:
		if !slices.Contains(f.result.ModuleAux, r.Module) {
			f.result.ModuleAux = append(f.result.ModuleAux, r.Module)
		}
		return f.pass(!f.opt.DropModuleAux, &f.result.ModuleAuxRecords)
	}
	return nil
}

// pass copies or leaves out the record, and counts it.
func (f *filter) pass(keep bool, count *FilterCount) error {
	if !keep {
		count.Dropped++
		return nil
	}
	count.Kept++
	return f.from.Pass(f.to)
}

// enter notes to which db the keys that follow belong.
func (f *filter) enter(db int) {
	f.report()
	f.total = 0
	f.takes = len(f.opt.DBs) == 0 || slices.Contains(f.opt.DBs, db)
	for i := range f.result.DBs {
		if f.result.DBs[i].DB == db {
			f.db = &f.result.DBs[i]
			return
		}
	}
	f.result.DBs = append(f.result.DBs, FilteredDB{DB: db, Target: Move{DBMap: f.opt.DBMap}.targetDB(db)})
	f.db = &f.result.DBs[len(f.result.DBs)-1]
}

func (f *filter) key(r *rdb.Record) error {
	name := unsafe.String(unsafe.SliceData(r.Name), len(r.Name)) // good until Pass; a Selector's function is told to clone what it keeps
	expired := r.Expires && r.ExpireAt < f.now
	keep := f.takes && f.keys.has(name)
	if keep && expired {
		f.db.Expired++
		keep = !f.opt.DropExpired
	}
	count := &f.types[r.Type]
	if !keep {
		f.db.Dropped++
		count.Dropped++
		f.countModule(r, false)
		return nil
	}
	if f.written != f.db.Target {
		f.written = f.db.Target
		f.to.SelectDB(uint64(f.written))
	}
	if err := f.twins.see(name, r.Offset, f.db); err != nil {
		return err
	}
	f.db.Kept++
	count.Kept++
	f.countModule(r, true)
	return f.from.Pass(f.to)
}

func (f *filter) countModule(r *rdb.Record, kept bool) {
	if r.Module == "" {
		return
	}
	if f.modules == nil {
		f.modules = map[string]FilterCount{}
	}
	count := f.modules[r.Module]
	if kept {
		count.Kept++
	} else {
		count.Dropped++
	}
	f.modules[r.Module] = count
}
