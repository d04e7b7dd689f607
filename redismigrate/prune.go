package redismigrate

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// PruneOptions tune PlanPrune and the Apply of its plan. The zero value is what most want.
type PruneOptions struct {
	// ScanCount is the COUNT given to SCAN. Default 5,000. Smaller values hold up the server's other clients for less time per call.
	ScanCount int
	// Batch is how many keys one UNLINK names, or in a cluster how many keys one round trip to a master deletes. Default 1,000: measured
	// fastest, and about 2 ms of the server's time each.
	Batch int
	// Workers is how many connections delete at the same time on each master, while another one scans. Default 2.
	Workers int
	// MaxPasses bounds how often Apply goes over the keys until a pass finds nothing to delete. Default 10.
	MaxPasses int
	// MaxExtra is how many keys more than planned Apply may delete before it stops. Default 1,000 plus 1 % of the planned number. More
	// means that somebody fills the target with keys that nobody confirmed. Negative means none.
	MaxExtra int64
	// Valid is how long the plan may be applied; its canaries expire then. Default 24 hours.
	Valid time.Duration
	// AllowClients lets Apply go on while others are connected to the target. By default that is refused, with their addresses and
	// names: a store that is in use is not a fresh copy. It is refused too where the server does not say who is connected (CLIENT LIST).
	// Replicas do not count.
	AllowClients bool
	// Settle is how long Apply waits for a cluster whose slots are being moved, or where a replica takes over. Default 30 seconds.
	Settle time.Duration
	// Throttle makes Apply slow down when the target suffers. The zero value does not.
	Throttle Throttle
	// Manifest, if set, takes what the plan keeps, one line of JSON for each key with its type, its expiry and a digest of its value, so
	// that VerifyManifest can prove later that nothing else was touched, whatever the source has become by then. It costs one more scan
	// and reads every kept value once (DUMP): about as long as a copy without its writing half. Memory stays bounded; the file has some
	// 120 bytes a key.
	Manifest io.Writer
	// ManifestKeysOnly leaves the values out of the manifest: it is cheaper, and proves less.
	ManifestKeysOnly bool
	// Progress, if set, is told of each batch that was scanned. It is never called twice at the same time, and must be quick.
	Progress func(Progress)
}

func (o PruneOptions) withDefaults() PruneOptions {
	o.Batch = orDefault(o.Batch, 1000)
	o.Workers = min(orDefault(o.Workers, 2), poolSize/2)
	o.MaxPasses = orDefault(o.MaxPasses, 10)
	o.Valid = orDefault(o.Valid, 24*time.Hour)
	o.Settle = orDefault(o.Settle, 30*time.Second)
	return o
}

func (o PruneOptions) report(p Progress) {
	if o.Progress != nil {
		o.Progress(p)
	}
}

// lastProgress is said again while a throttle holds a prune up, since then there is no other.
type lastProgress struct {
	mu   sync.Mutex
	last Progress
}

func (l *lastProgress) report(o PruneOptions, p Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = p
	o.report(p)
}

func (l *lastProgress) again(o PruneOptions, held string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last.Held = held; held != "" {
		o.report(l.last)
	}
}

// PrunePlan is what PlanPrune found and Apply does. Only PlanPrune and LoadPrunePlan make a usable one: the zero value refuses to be
// applied.
type PrunePlan struct {
	source, target Endpoint
	keep           *selection
	patterns       Selector // as given, without its function
	opt            PruneOptions
	addr           string
	sourceRuns     []string // the processes that the plan was made with
	targetRuns     []string // and for
	command        string   // that deletes: UNLINK or DEL
	dbs            []DBCount
	outside        []DBCount
	approximate    bool
	scanRate       float64 // keys/s, as measured while counting
	clients        foreignClients
	canaries       canaries
	made           time.Time
	witnesses      []witness

	mu      sync.Mutex // held by Apply and Discard
	deleted int64      // by all Applies of this plan in this process
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

// PlanPrune counts, by a full scan of the target, what a prune to the keys of keep would keep and delete in each db, and plants canary
// keys there: one in each db, and in a cluster one on each master. It deletes nothing. The source is the store that the target was
// restored from: it is never written to, and serves to prove that the target is another store. The dbs are the target's.
//
// It refuses (ErrRefused) a target that is the source under any name, its master or a replica of it or of anything else, or what the
// source itself was made from, and a selector that would keep nothing; it gives an error when source or target cannot be reached, since
// then nothing can be proved. A target that was restored from the source's snapshot, or was its replica until it was detached
// (REPLICAOF NO ONE), names the source's replication id as its former one (master_replid2); that is how a new store is made, and no
// reason to refuse. But so does the store that took over from the source in a fail-over: give the address of the store that serves now as
// the source.
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
	name := connectionName()
	from, to, err := openProved(ctx, source, target, sessionOptions{name: name}, sessionOptions{name: name, noTouch: opt.Manifest != nil})
	if err != nil {
		return nil, err
	}
	defer from.close()
	defer to.close()
	if len(to.dbs) == 0 {
		return nil, refuse("the target %s holds no keys at all; restore the snapshot first", to.addr)
	}
	p := &PrunePlan{source: source.clone(), target: target.clone(), keep: sel, patterns: keep.patterns(), opt: opt, addr: to.addr,
		sourceRuns: from.expected(), targetRuns: to.expected(), made: time.Now()}
	if p.command, err = deleteCommand(ctx, to); err != nil {
		return nil, err
	}
	start := time.Now()
	for _, db := range to.dbs {
		if err := p.count(ctx, newWalker(to, opt.ScanCount), db); err != nil {
			return nil, err
		}
	}
	total := p.Total()
	p.scanRate = float64(total.Keep+total.Delete) / time.Since(start).Seconds()
	if total.Keep == 0 {
		return nil, refuse("the selector %s keeps nothing on the target %s: all %d keys of %s would be deleted; check the selector and the dbs", sel.text, to.addr, total.Delete, to.coverageText())
	}
	for _, db := range to.id.usedDBs {
		if !to.covers(db) {
			p.outside = append(p.outside, DBCount{DB: db, Keep: to.id.keys[db]})
		}
	}
	if p.clients, err = clientsOf(ctx, to); err != nil {
		return nil, err
	}
	if opt.Manifest != nil {
		if err := p.writeManifest(ctx, to); err != nil {
			return nil, err
		}
	}
	if p.canaries, err = newCanaries(ctx, to, p.fingerprint(), opt.Valid, p.command); err != nil {
		return nil, err
	}
	if err := p.canaries.plant(ctx, from, to); err != nil {
		return nil, err
	}
	return p, nil
}

// deleteCommand returns UNLINK, which frees memory in the background, or where the server or the user may not use it DEL. That a key
// which does not exist is deleted shows now whether the user may use the command at all.
func deleteCommand(ctx context.Context, to *session) (string, error) {
	var errs []error
	for _, command := range []string{"UNLINK", "DEL"} {
		err := to.db(to.dbs[0]).Do(ctx, command, canaryPrefix+"probe").Err()
		if err == nil {
			return command, nil
		}
		errs = append(errs, to.fail("try "+command+" on a key that does not exist", err))
		if !isServerError(err) {
			break
		}
	}
	return "", errors.Join(errs...)
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

// fingerprint is of all that a person confirms: who, what, and how many. The canaries carry it.
func (p *PrunePlan) fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %v %v %q", p.keep.text, p.Confirmation(), p.dbs, p.sourceRuns, p.target.coverageOrNone())
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// coverageOrNone is coverage for an endpoint that may be wrong.
func (e Endpoint) coverageOrNone() string {
	opts, err := e.options()
	if err != nil {
		return ""
	}
	return e.coverage(opts)
}
