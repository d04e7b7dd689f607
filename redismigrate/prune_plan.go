package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// DBCount says what a plan found in one db of the target.
type DBCount struct {
	DB     int   `json:"db"`
	Keep   int64 `json:"keep"`
	Delete int64 `json:"delete"`
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
	return fmt.Sprintf("delete %d keys and keep %d on %s (run_id %s)", t.Delete, t.Keep, p.addr, shortIDs(p.targetRuns))
}

// expires is when the canaries do.
func (p *PrunePlan) expires() time.Time { return p.made.Add(p.opt.Valid) }

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
	switch {
	case p.clients.total > 0 && p.opt.AllowClients:
		fmt.Fprintf(&b, "  %d other clients are connected, and allowed: %s\n", p.clients.total, p.clients)
	case p.clients.total > 0:
		fmt.Fprintf(&b, "  %d other clients are connected, and Apply refuses while they are: %s\n", p.clients.total, p.clients)
	}
	if p.clients.untold != nil {
		fmt.Fprintf(&b, "  whether other clients are connected could not be told, so Apply needs AllowClients: %v\n", p.clients.untold)
	}
	if a := p.Advice(); a.CopyIsFaster && a.Prune > time.Second {
		fmt.Fprintf(&b, "  %s\n", a)
	}
	fmt.Fprintf(&b, "  to apply until %s, confirm: %s", p.expires().Format("2006-01-02 15:04 MST"), p.Confirmation())
	return b.String()
}

// Discard gives the plan up: it removes the canaries from the target. The plan cannot be applied any more. Without Discard or Apply the
// canaries expire by themselves (PruneOptions.Valid).
func (p *PrunePlan) Discard(ctx context.Context) error {
	if p == nil || p.keep == nil {
		return errors.New("redismigrate: discard: the plan is empty; PlanPrune makes one")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done || p.dropped {
		return nil
	}
	to, err := openSession(ctx, "target", &p.target, sessionOptions{runIDs: p.targetRuns})
	if err != nil {
		return fmt.Errorf("redismigrate: discard: %w", err)
	}
	defer to.close()
	if err := p.canaries.remove(ctx, to); err != nil {
		return fmt.Errorf("redismigrate: discard: %w", err)
	}
	p.dropped = true
	return nil
}
