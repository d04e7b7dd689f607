package redismigrate

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// deleter is one pass over one db: a scan that hands batches of keys to workers that delete them.
type deleter struct {
	plan  *PrunePlan
	to    *session
	tally *DBTally
	pass  int
	pace  *pacer
	said  *lastProgress

	found   int64 // keys that were handed on to be deleted
	service int   // service keys that were seen

	limit, before int64 // of deletions by the plan; done before this pass
	deleted, gone atomic.Int64
	pending       atomic.Int64 // handed on, not answered yet
}

// batch is what one round trip to one master deletes.
type batch struct {
	node *node
	keys []string
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
	workers := d.plan.opt.Workers * len(d.to.nodes)
	err := fanOut(ctx, workers, d.scan, func(b batch) error { return d.remove(ctx, b) })
	d.tally.Deleted += d.deleted.Load()
	d.tally.Gone += d.gone.Load()
	return err
}

// scan goes over the db and hands on what is to be deleted, each master's keys apart.
func (d *deleter) scan(ctx context.Context, hand func(batch) error) error {
	filling := make(map[*node][]string, len(d.to.nodes))
	send := func(n *node) error {
		full := batch{n, filling[n]}
		delete(filling, n)
		size := int64(len(full.keys))
		if d.before+d.deleted.Load()+d.pending.Load()+size > d.limit {
			return refuse("the target %s holds more keys to delete than the plan confirmed (%d, and at most %d): somebody fills it; stop the writer and make a new plan, or raise MaxExtra", d.to.addr, d.plan.Total().Delete, d.limit)
		}
		d.pending.Add(size)
		d.found += size
		return hand(full)
	}
	var scanned int64
	service, err := newWalker(d.to, d.plan.opt.ScanCount).pages(ctx, d.tally.DB, nil, func(p page) error {
		keys := filling[p.node]
		for _, key := range p.keys {
			if d.plan.keep.has(key) {
				continue
			}
			if keys == nil {
				keys = make([]string, 0, d.plan.opt.Batch)
			}
			if keys = append(keys, key); len(keys) == d.plan.opt.Batch {
				filling[p.node] = keys
				if err := send(p.node); err != nil {
					return err
				}
				keys = nil
			}
		}
		filling[p.node] = keys
		scanned += int64(len(p.keys))
		d.said.report(d.plan.opt, Progress{Job: "prune", DB: d.tally.DB, Pass: d.pass, Scanned: scanned, Total: d.to.id.keys[d.tally.DB], Done: d.found, Held: d.pace.held()})
		return nil
	})
	d.service = service
	for n, keys := range filling {
		if err == nil && len(keys) > 0 {
			err = send(n)
		}
	}
	return err
}

// remove deletes a batch: in a cluster with a command for the keys of each slot, all in one round trip to the master that showed them. A
// master that has given a slot away answers so and deletes nothing there: the next pass finds those keys where they are then.
func (d *deleter) remove(ctx context.Context, b batch) error {
	asked := int64(len(b.keys))
	if err := d.pace.wait(ctx, asked); err != nil {
		return err
	}
	runs := [][]string{b.keys}
	if d.to.cluster != nil {
		runs = bySlot(b.keys)
	}
	// Not interrupted by ctx: what was sent is waited for, shortly, so that it can be counted (session.cutConnections bounds it).
	ctx = context.WithoutCancel(ctx)
	commands := make([]*redis.Cmd, len(runs))
	pipe := b.node.db(d.tally.DB).Pipeline()
	for i, keys := range runs {
		args := make([]any, 1, len(keys)+1)
		args[0] = d.plan.command
		for _, key := range keys {
			args = append(args, key)
		}
		commands[i] = redis.NewCmd(ctx, args...)
	}
	if len(commands) == 1 {
		_ = b.node.db(d.tally.DB).Process(ctx, commands[0]) // its error is the command's
	} else {
		for _, cmd := range commands {
			_ = pipe.Process(ctx, cmd) // queued
		}
		_, _ = pipe.Exec(ctx) // each command has its own error
	}
	var failed error
	for i, cmd := range commands {
		n, err := cmd.Int64()
		switch {
		case err == nil:
			d.deleted.Add(n)
			d.gone.Add(int64(len(runs[i])) - n)
		case !isElsewhere(err) && failed == nil:
			failed = b.node.fail(fmt.Sprintf("%s %d keys of db %d", d.plan.command, len(runs[i]), d.tally.DB), err)
		}
	}
	d.pending.Add(-asked)
	return failed
}
