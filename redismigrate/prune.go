package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// PruneOptions tune PlanPrune and the Apply of its plan. The zero value is what most want.
type PruneOptions struct {
	// ScanCount is the COUNT given to SCAN. Default 5,000. Smaller values hold up the server's other clients for less time per call.
	ScanCount int
	// Batch is how many keys one UNLINK names. Default 1,000: measured fastest, and about 2 ms of the server's time each.
	Batch int
	// Workers is how many connections delete at the same time, while another one scans. Default 2.
	Workers int
	// MaxPasses bounds how often Apply goes over the keys until a pass finds nothing to delete. Default 10.
	MaxPasses int
	// MaxExtra is how many keys more than planned Apply may delete before it stops. Default 1,000 plus 1 % of the planned number. More
	// means that somebody fills the target with keys that nobody confirmed. Negative means none.
	MaxExtra int64
	// Valid is how long the plan may be applied; its canary expires then. Default 24 hours.
	Valid time.Duration
	// Progress, if set, is told of each batch that was scanned. It is never called twice at the same time, and must be quick.
	Progress func(Progress)
}

func (o PruneOptions) withDefaults() PruneOptions {
	o.Batch = orDefault(o.Batch, 1000)
	o.Workers = min(orDefault(o.Workers, 2), poolSize/2)
	o.MaxPasses = orDefault(o.MaxPasses, 10)
	o.Valid = orDefault(o.Valid, 24*time.Hour)
	return o
}

// DBCount says what a plan found in one db of the target.
type DBCount struct {
	DB     int   `json:"db"`
	Keep   int64 `json:"keep"`
	Delete int64 `json:"delete"`
}

// PrunePlan is what PlanPrune found and Apply does. Only PlanPrune makes a usable one: the zero value refuses to be applied.
type PrunePlan struct {
	source, target Endpoint
	keep           *selection
	opt            PruneOptions
	addr           string
	targetRun      string
	dbs            []DBCount
	outside        []DBCount
	approximate    bool
	canary         canary
	made           time.Time
	witnesses      []witness

	mu      sync.Mutex // held by Apply and Discard
	deleted int64      // by all Applies of this plan
	done    bool
	dropped bool
}

// witness is a key that the plan saw and keeps.
type witness struct {
	db  int
	key string
}

// maxWitnesses bounds the kept keys that a plan remembers per db, to see quickly at Apply that there still is something to keep.
const maxWitnesses = 64

// PlanPrune counts, by a full scan of the target, what a prune to the keys of keep would keep and delete in each db, and plants a canary
// key there. It deletes nothing. The source is the store that the target was restored from: it is never written to, and serves to prove
// that the target is another store. The dbs are the target's.
//
// It refuses (ErrRefused) a target that is the source under any name, its master or a replica of it or of anything else, and a selector
// that would keep nothing; it gives an error when source or target cannot be reached, since then nothing can be proved.
func PlanPrune(ctx context.Context, source, target *Endpoint, keep Selector, opt PruneOptions) (*PrunePlan, error) {
	p, err := planPrune(ctx, source, target, keep, opt.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("redismigrate: plan prune: %w", err)
	}
	return p, nil
}

func planPrune(ctx context.Context, source, target *Endpoint, keep Selector, opt PruneOptions) (*PrunePlan, error) {
	sel, err := keep.compile()
	if err != nil {
		return nil, err
	}
	from, to, err := openPair(ctx, source, target, "", false)
	if err != nil {
		return nil, err
	}
	defer from.close()
	defer to.close()
	if len(to.dbs) == 0 {
		return nil, refuse("the target %s holds no keys at all; restore the snapshot first", to.addr)
	}
	p := &PrunePlan{source: source.clone(), target: target.clone(), keep: sel, opt: opt, addr: to.addr, targetRun: to.id.runID, made: time.Now()}
	p.canary = newCanary(to.dbs[0], to.id, opt.Valid)
	// UNLINK of a key that is not there shows now whether the user may use the command at all.
	if err := to.db(p.canary.db).Unlink(ctx, p.canary.key).Err(); err != nil {
		return nil, to.fail("try UNLINK on a key that does not exist", err)
	}
	for _, db := range to.dbs {
		if err := p.count(ctx, newWalker(to, opt.ScanCount), db); err != nil {
			return nil, err
		}
	}
	total := p.Total()
	if total.Keep == 0 {
		return nil, refuse("the selector %s keeps nothing on the target %s: all %d keys of %s would be deleted; check the selector and the dbs", sel.text, to.addr, total.Delete, to.coverageText())
	}
	for _, db := range to.id.usedDBs {
		if !to.covers(db) {
			p.outside = append(p.outside, DBCount{DB: db, Keep: to.id.keys[db]})
		}
	}
	if err := p.canary.plant(ctx, from, to); err != nil {
		return nil, err
	}
	return p, nil
}

// count counts one db. SCAN may show a key twice while the server resizes its table, so the sum is held against DBSIZE, and the scan
// repeated when they disagree.
func (p *PrunePlan) count(ctx context.Context, w walker, db int) error {
	const attempts = 3
	for attempt := 1; ; attempt++ {
		c, total, witnesses := DBCount{DB: db}, w.id.keys[db], []witness(nil)
		service, err := w.walk(ctx, db, func(keys []string) error {
			for _, key := range keys {
				if !p.keep.has(key) {
					c.Delete++
					continue
				}
				if c.Keep++; len(witnesses) < maxWitnesses {
					witnesses = append(witnesses, witness{db, strings.Clone(key)})
				}
			}
			p.opt.report(Progress{Job: "plan prune", DB: db, Pass: attempt, Scanned: c.Keep + c.Delete, Total: total})
			return nil
		})
		if err != nil {
			return err
		}
		size, err := w.ownSize(ctx, db, service)
		if err != nil {
			return err
		}
		if size == c.Keep+c.Delete || attempt == attempts {
			p.approximate = p.approximate || size != c.Keep+c.Delete
			p.dbs = append(p.dbs, c)
			p.witnesses = append(p.witnesses, witnesses...)
			return nil
		}
	}
}

func (o PruneOptions) report(p Progress) {
	if o.Progress != nil {
		o.Progress(p)
	}
}

// DBs returns the counts of each db of the plan, ascending.
func (p *PrunePlan) DBs() []DBCount { return append([]DBCount(nil), p.dbs...) }

// Total returns the sum of DBs; its DB is -1.
func (p *PrunePlan) Total() DBCount {
	t := DBCount{DB: -1}
	for _, c := range p.dbs {
		t.Keep += c.Keep
		t.Delete += c.Delete
	}
	return t
}

// Approximate reports that the keys changed while they were counted, so that the counts may be off by a little.
func (p *PrunePlan) Approximate() bool { return p.approximate }

// Outside returns the dbs of the target that hold keys but are not part of the plan, with all of their keys in Keep: Apply leaves them alone.
func (p *PrunePlan) Outside() []DBCount { return append([]DBCount(nil), p.outside...) }

// Confirmation is the text that Apply wants: it names the target and the counts. Print it, and have a person type it; a program that
// passes it straight on has asked nobody.
func (p *PrunePlan) Confirmation() string {
	t := p.Total()
	return fmt.Sprintf("delete %d keys and keep %d on %s (run_id %.8s)", t.Delete, t.Keep, p.addr, p.targetRun)
}

// String is the plan for a person to read, several lines.
func (p *PrunePlan) String() string {
	if p == nil || p.keep == nil {
		return "an empty plan"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "prune %s to %s\n", p.addr, p.keep.text)
	for _, c := range p.dbs {
		fmt.Fprintf(&b, "  db %-3d keep %10d   delete %10d\n", c.DB, c.Keep, c.Delete)
	}
	t := p.Total()
	fmt.Fprintf(&b, "  total  keep %10d   delete %10d\n", t.Keep, t.Delete)
	if p.approximate {
		b.WriteString("  the keys changed while they were counted: the counts are approximate\n")
	}
	for _, c := range p.outside {
		fmt.Fprintf(&b, "  db %d holds %d keys but is not part of the plan: it is left alone\n", c.DB, c.Keep)
	}
	fmt.Fprintf(&b, "  to apply until %s, confirm: %s", p.made.Add(p.opt.Valid).Format("2006-01-02 15:04 MST"), p.Confirmation())
	return b.String()
}

// Discard gives the plan up: it removes the canary from the target. The plan cannot be applied any more. Without Discard or Apply the
// canary expires by itself (PruneOptions.Valid).
func (p *PrunePlan) Discard(ctx context.Context) error {
	if p == nil || p.keep == nil {
		return errors.New("redismigrate: discard: the plan is empty; PlanPrune makes one")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done || p.dropped {
		return nil
	}
	to, err := openSession(ctx, "target", &p.target, sessionOptions{runID: p.targetRun})
	if err != nil {
		return fmt.Errorf("redismigrate: discard: %w", err)
	}
	defer to.close()
	if err := p.canary.remove(ctx, to); err != nil {
		return fmt.Errorf("redismigrate: discard: %w", err)
	}
	p.dropped = true
	return nil
}
