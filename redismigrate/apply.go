package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Apply deletes from the target what the plan does not keep, in passes until one finds nothing to delete, and then removes the canaries.
// The masters of a cluster are worked on side by side. The confirmation must be the plan's Confirmation. All interlocks of PlanPrune are
// checked again before the first deletion, and that source and target are the same server processes with the canaries untouched; before
// each further pass too, and the canaries every second. It refuses a target that other clients are connected to, unless
// PruneOptions.AllowClients.
//
// When it is stopped midway, by its context or by an error, the Result says what was deleted, and Apply of the same plan finishes the
// job. After a broken connection a few batches (PruneOptions.Batch × Workers keys at most, of each master) may have been deleted without
// being counted. In a cluster, slots may move and replicas take over meanwhile: it waits for them to settle (PruneOptions.Settle), and a
// pass during which any did is not taken for clean. It refuses (ErrRefused) a plan that was applied to its end, or discarded.
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
	name := connectionName()
	from, to, err := openProved(ctx, &p.source, &p.target, sessionOptions{name: name, runIDs: p.sourceRuns}, sessionOptions{name: name, runIDs: p.targetRuns})
	if err != nil {
		var replaced *replacedError
		if errors.As(err, &replaced) {
			return refuse("%v; the plan was made with the process before: make a new plan", err)
		}
		return err
	}
	defer from.close()
	defer to.close()
	for _, c := range p.dbs {
		r.DBs = append(r.DBs, DBTally{DB: c.DB})
	}
	said := &lastProgress{}
	paced, stop := startThrottle(ctx, p.opt.Throttle, to)
	defer stop()
	service := make([]int, len(r.DBs))
	var found int64
	var unsettled bool
	r.Passes, err = untilClean(ctx, p.opt.MaxPasses, func(n int) (bool, error) {
		layout, err := p.prove(ctx, from, to)
		if err == nil && n == 1 {
			err = p.stillKeepsSomething(ctx, to)
		}
		if err != nil {
			return false, err
		}
		found = 0
		err = p.guarded(ctx, from, to, func() { said.again(p.opt, paced.held()) }, func(ctx context.Context) error {
			for i := range r.DBs {
				d := p.newDeleter(to, &r.DBs[i], p.deleted+sumDeleted(r.DBs), n)
				d.pace, d.said = paced, said
				err := d.run(ctx)
				found += d.found
				service[i] = d.service
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return false, err
		}
		after, err := to.layout(ctx)
		unsettled = err != nil || after != layout // a key may have changed its place behind the scan's back
		return found == 0 && !unsettled, ctx.Err()
	})
	switch {
	case errors.Is(err, errNotClean) && unsettled:
		return fmt.Errorf("target %s: after %d passes slots of the cluster still change hands, so that no pass sees every key; let the resharding or the fail-over end, then apply the plan again", to.addr, r.Passes)
	case errors.Is(err, errNotClean):
		return fmt.Errorf("target %s: after %d passes the last one still found %d keys to delete: a client keeps writing keys that are not to be kept; stop it and apply the plan again, or raise MaxPasses", to.addr, r.Passes, found)
	case err != nil:
		return err
	}
	for i := range r.DBs {
		// What is left after a clean pass is kept; unlike the pass, DBSIZE counts no key twice.
		if r.DBs[i].Kept, err = to.ownSize(ctx, r.DBs[i].DB, service[i]); err != nil {
			return err
		}
	}
	if err := p.canaries.remove(ctx, to); err != nil {
		return err
	}
	p.done, r.Complete = true, true
	return nil
}

// prove proves before each pass that everything is as it was when the plan was made, and returns the layout of a cluster.
func (p *PrunePlan) prove(ctx context.Context, from, to *session) (layout string, err error) {
	if err := from.relocate(ctx); err != nil {
		return "", err
	}
	if layout, err = to.settled(ctx, p.opt.Settle); err != nil {
		return "", err
	}
	if err := checkApart(from, to); err != nil {
		return "", err
	}
	if err := p.canaries.check(ctx, from, to); err != nil {
		return "", err
	}
	if p.opt.AllowClients {
		return layout, nil
	}
	others, err := clientsOf(ctx, to)
	if err != nil {
		return "", err
	}
	return layout, others.refusal(to)
}

// guardEvery is how often the canaries are looked at in the middle of a pass.
const guardEvery = time.Second

// guarded runs a pass, and stops it when a canary is not as it should be any more. A look that fails says nothing: the pass itself will
// meet the trouble, and no further pass begins without a proof. also is called at each look.
func (p *PrunePlan) guarded(ctx context.Context, from, to *session, also func(), pass func(context.Context) error) error {
	running, stop := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(guardEvery)
		defer tick.Stop()
		for {
			select {
			case <-running.Done():
				return
			case <-tick.C:
			}
			also()
			if err := p.canaries.check(running, from, to); errors.Is(err, ErrRefused) {
				stop(err)
				return
			}
		}
	}()
	err := pass(running)
	stop(nil)
	<-ended
	if cause := context.Cause(running); errors.Is(cause, ErrRefused) {
		return cause
	}
	return err
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
