package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// Apply deletes from the target what the plan does not keep, with UNLINK, in passes until one finds nothing to delete, and then removes
// the canary. The confirmation must be the plan's Confirmation. All interlocks of PlanPrune are checked again before the first deletion,
// and that the target is the same server process with the canary untouched; before each further pass too.
//
// When it is stopped midway, by its context or by an error, the Result says what was deleted, and Apply of the same plan finishes the
// job. After a broken connection a few batches (PruneOptions.Batch × Workers keys at most) may have been deleted without being counted. It refuses (ErrRefused) a plan that was applied to its end, or discarded.
func (p *PrunePlan) Apply(ctx context.Context, confirmation string) (Result, error) {
	if p == nil || p.keep == nil {
		return Result{}, fmt.Errorf("redismigrate: prune: %w", refuse("the plan is empty; PlanPrune makes one"))
	}
	if strings.TrimSpace(confirmation) != p.Confirmation() {
		return Result{}, fmt.Errorf("redismigrate: prune: %w", refuse("the confirmation is %q but must be %q", confirmation, p.Confirmation()))
	}
	if !p.mu.TryLock() {
		return Result{}, fmt.Errorf("redismigrate: prune: %w", refuse("this plan is being applied already"))
	}
	defer p.mu.Unlock()
	if p.done || p.dropped {
		return Result{}, fmt.Errorf("redismigrate: prune: %w", refuse("this plan was applied to its end or discarded; make a new one"))
	}
	start := time.Now()
	r := Result{}
	err := p.apply(ctx, &r)
	r.Elapsed = time.Since(start)
	r.sum()
	p.deleted += r.Deleted
	if err != nil {
		return r, fmt.Errorf("redismigrate: prune: %w", err)
	}
	return r, nil
}

func (p *PrunePlan) apply(ctx context.Context, r *Result) error {
	from, to, err := openPair(ctx, &p.source, &p.target, p.targetRun, false)
	if err != nil {
		var replaced *replacedError
		if errors.As(err, &replaced) {
			return refuse("%v; the plan was made for the process before: make a new plan", err)
		}
		return err
	}
	defer from.close()
	defer to.close()
	for _, c := range p.dbs {
		r.DBs = append(r.DBs, DBTally{DB: c.DB})
	}
	if err := p.canary.check(ctx, from, to); err != nil {
		return err
	}
	if err := p.stillKeepsSomething(ctx, to); err != nil {
		return err
	}
	var found int64
	service := make([]int, len(r.DBs))
	r.Passes, err = untilClean(ctx, p.opt.MaxPasses, func(n int) (bool, error) {
		if n > 1 {
			if err := p.recheck(ctx, from, to); err != nil {
				return false, err
			}
		}
		found = 0
		for i := range r.DBs {
			d := p.newDeleter(to, &r.DBs[i], p.deleted+sumDeleted(r.DBs), n)
			err := d.run(ctx)
			found += d.found
			service[i] = d.service
			if err != nil {
				return false, err
			}
		}
		return found == 0, nil
	})
	if errors.Is(err, errNotClean) {
		return fmt.Errorf("target %s: after %d passes the last one still found %d keys to delete: a client keeps writing keys that are not to be kept; stop it and apply the plan again, or raise MaxPasses", to.addr, r.Passes, found)
	}
	if err != nil {
		return err
	}
	for i := range r.DBs {
		// What is left after a clean pass is kept; unlike the pass, DBSIZE counts no key twice.
		if r.DBs[i].Kept, err = to.ownSize(ctx, r.DBs[i].DB, service[i]); err != nil {
			return err
		}
	}
	if err := p.canary.remove(ctx, to); err != nil {
		return err
	}
	p.done, r.Complete = true, true
	return nil
}

// recheck proves between two passes that everything is still as it was.
func (p *PrunePlan) recheck(ctx context.Context, from, to *session) error {
	for _, s := range []*session{from, to} {
		id, err := readIdentity(ctx, s.db(s.opts.DB))
		if err != nil {
			return s.fail("ask INFO who it is", err)
		}
		s.id = id
	}
	if err := checkApart(from, to); err != nil {
		return err
	}
	return p.canary.check(ctx, from, to)
}

// stillKeepsSomething refuses when nothing that the selector keeps is left on the target. The plan's witnesses answer at once; when all
// of them have expired, the target is scanned up to the first key that is kept.
func (p *PrunePlan) stillKeepsSomething(ctx context.Context, to *session) error {
	for _, w := range p.witnesses {
		n, err := to.db(w.db).Exists(ctx, w.key).Result()
		if err != nil {
			return to.fail("look for keys to keep", err)
		}
		if n > 0 {
			return nil
		}
	}
	errFound := errors.New("found")
	for _, c := range p.dbs {
		_, err := newWalker(to, p.opt.ScanCount).walk(ctx, c.DB, func(keys []string) error {
			for _, key := range keys {
				if p.keep.has(key) {
					return errFound
				}
			}
			return nil
		})
		if errors.Is(err, errFound) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return refuse("nothing that the selector %s keeps is left on the target %s, so everything would be deleted; make a new plan", p.keep.text, to.addr)
}

func sumDeleted(dbs []DBTally) (n int64) {
	for _, db := range dbs {
		n += db.Deleted
	}
	return n
}

// deleter is one pass over one db: a scan that hands batches of keys to workers that delete them.
type deleter struct {
	plan  *PrunePlan
	to    *session
	tally *DBTally
	pass  int

	found   int64 // keys that were handed on to be deleted
	service int   // service keys that were seen

	limit, before int64 // of deletions by the plan; done before this pass
	deleted, gone atomic.Int64
	pending       atomic.Int64 // handed on, not answered yet
}

func (p *PrunePlan) newDeleter(to *session, tally *DBTally, before int64, pass int) *deleter {
	planned := p.Total().Delete
	extra := p.opt.MaxExtra
	switch {
	case extra == 0:
		extra = 1000 + planned/100
	case extra < 0:
		extra = 0
	}
	return &deleter{plan: p, to: to, tally: tally, pass: pass, before: before, limit: planned + extra}
}

func (d *deleter) run(ctx context.Context) error {
	err := fanOut(ctx, d.plan.opt.Workers, d.scan, func(args []any) error { return d.unlink(ctx, args) })
	d.tally.Deleted += d.deleted.Load()
	d.tally.Gone += d.gone.Load()
	return err
}

// scan goes over the db and hands on what is to be deleted, as the arguments of UNLINK.
func (d *deleter) scan(ctx context.Context, hand func([]any) error) error {
	var batch []any
	send := func() error {
		n := int64(len(batch) - 1)
		if d.before+d.deleted.Load()+d.pending.Load()+n > d.limit {
			return refuse("the target %s holds more keys to delete than the plan confirmed (%d, and at most %d): somebody fills it; stop the writer and make a new plan, or raise MaxExtra", d.to.addr, d.plan.Total().Delete, d.limit)
		}
		d.pending.Add(n)
		d.found += n
		full := batch
		batch = nil
		return hand(full)
	}
	var scanned int64
	service, err := newWalker(d.to, d.plan.opt.ScanCount).walk(ctx, d.tally.DB, func(keys []string) error {
		for _, key := range keys {
			if d.plan.keep.has(key) {
				continue
			}
			if batch == nil {
				batch = append(make([]any, 0, d.plan.opt.Batch+1), "UNLINK")
			}
			if batch = append(batch, key); len(batch) == cap(batch) {
				if err := send(); err != nil {
					return err
				}
			}
		}
		scanned += int64(len(keys))
		d.plan.opt.report(Progress{Job: "prune", DB: d.tally.DB, Pass: d.pass, Scanned: scanned, Total: d.to.id.keys[d.tally.DB], Done: d.found})
		return nil
	})
	d.service = service
	if err == nil && batch != nil {
		err = send()
	}
	return err
}

func (d *deleter) unlink(ctx context.Context, args []any) error {
	asked := int64(len(args) - 1)
	// Not interrupted by ctx: what was sent is waited for, shortly, so that it can be counted (session.cutConnections bounds it).
	n, err := d.to.db(d.tally.DB).Do(context.WithoutCancel(ctx), args...).Int64()
	if err != nil {
		return d.to.fail(fmt.Sprintf("UNLINK %d keys of db %d", asked, d.tally.DB), err)
	}
	d.deleted.Add(n)
	d.gone.Add(asked - n)
	d.pending.Add(-asked)
	return nil
}
