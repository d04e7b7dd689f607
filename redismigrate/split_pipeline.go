package redismigrate

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// processAll carries out a pipeline or a transaction.
func (s *Split) processAll(ctx context.Context, cmds []redis.Cmder) error {
	if len(cmds) >= 2 && strings.EqualFold(cmds[0].Name(), "multi") && strings.EqualFold(cmds[len(cmds)-1].Name(), "exec") {
		return s.transaction(ctx, cmds)
	}
	return s.pipeline(ctx, cmds)
}

// setAll gives an error to commands that have none.
func setAll(cmds []redis.Cmder, err error) {
	for _, cmd := range cmds {
		if cmd.Err() == nil {
			cmd.SetErr(err)
		}
	}
}

func firstError(cmds []redis.Cmder) error {
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			return err
		}
	}
	return nil
}

// transaction carries out MULTI … EXEC: on the old store if it touches none of the split's keys, else where all of its keys are.
func (s *Split) transaction(ctx context.Context, wrappedCmds []redis.Cmder) error {
	cmds := wrappedCmds[1 : len(wrappedCmds)-1]
	fail := func(err error) error {
		setAll(wrappedCmds, err)
		return err
	}
	var all plannedCommand
	others := 0
	for _, cmd := range cmds {
		p := s.planCommand(cmd)
		switch {
		case p.err != nil:
			return fail(p.err)
		case len(p.keys) == 0:
			others++
		}
		for _, k := range p.keys {
			all.add(k)
		}
	}
	if len(all.keys) == 0 {
		s.count.others.Add(int64(len(cmds)))
		return s.sendTx(ctx, s.stores[oldSide], cmds)
	}
	if others > 0 {
		return fail(s.refusal(wrappedCmds[0], "some of its keys are part of the split and others are not, so that they are not on one store: use a transaction for each"))
	}
	if s.stores[oldSide].cluster || s.stores[newSide].cluster {
		for _, k := range all.keys[1:] {
			if slotOf(k) != slotOf(all.keys[0]) {
				return fail(s.refusal(wrappedCmds[0], fmt.Sprintf("keys %q and %q are in different slots of a cluster, so that no server can carry it out as a whole: give them a hash tag in common", clipped(all.keys[0]), clipped(k))))
			}
		}
	}
	if len(all.keys) > 100 {
		return fail(s.refusal(wrappedCmds[0], "it touches more than 100 of the split's keys, each of which may have to be brought first: make several transactions of it"))
	}
	l, err := s.current()
	if err != nil {
		s.count.refused.Add(1)
		return fail(err)
	}
	err = s.inTime(ctx, l, func(ctx context.Context) error {
		if l.state.direct() {
			s.count.direct.Add(int64(len(cmds)))
			_, err := answeredAs(s.sendTx(ctx, s.stores[l.state.toward()], cmds))
			return err
		}
		return s.carry(ctx, l, &watchedCommands{s: s, cmds: cmds, guarded: all.keys})
	})
	if err != nil {
		return fail(err)
	}
	return firstError(wrappedCmds) // what a server has answered is the commands' own
}

func (s *Split) sendTx(ctx context.Context, st *splitStore, cmds []redis.Cmder) error {
	_, err := st.client.TxPipelined(ctx, func(p redis.Pipeliner) error { return addAll(ctx, p, cmds) })
	return err
}

func addAll(ctx context.Context, p redis.Pipeliner, cmds []redis.Cmder) error {
	for _, cmd := range cmds {
		if err := p.Process(ctx, cmd); err != nil {
			return err
		}
	}
	return nil
}

// pipeline carries out commands, those on one key in their order.
func (s *Split) pipeline(ctx context.Context, cmds []redis.Cmder) error {
	var others []redis.Cmder
	var ours []*plannedCommand
	for _, cmd := range cmds {
		p := s.planCommand(cmd)
		switch {
		case p.err != nil: // as any command of a pipeline may fail, while the others are carried out
			cmd.SetErr(p.err)
		case len(p.keys) == 0:
			others = append(others, cmd)
		default:
			ours = append(ours, &p)
		}
	}
	if len(others) > 0 {
		s.count.others.Add(int64(len(others)))
		s.sendPipeline(ctx, s.stores[oldSide], others)
	}
	if len(ours) > 0 {
		s.pipelineOfOurs(ctx, ours)
	}
	return firstError(cmds)
}

func (s *Split) sendPipeline(ctx context.Context, st *splitStore, cmds []redis.Cmder) {
	if _, err := st.client.Pipelined(ctx, func(p redis.Pipeliner) error { return addAll(ctx, p, cmds) }); err != nil && firstError(cmds) == nil {
		setAll(cmds, err)
	}
}

func (s *Split) pipelineOfOurs(ctx context.Context, ours []*plannedCommand) {
	cmds := make([]redis.Cmder, len(ours))
	for i, p := range ours {
		cmds[i] = p.cmd
	}
	l, err := s.current()
	if err != nil {
		s.count.refused.Add(int64(len(ours)))
		setAll(cmds, err)
		return
	}
	kept := ours[:0]
	for _, p := range ours {
		if p.iterates(l) {
			p.cmd.SetErr(s.refusal(p.cmd, refuseCursor))
			continue
		}
		kept = append(kept, p)
	}
	if len(kept) == 0 {
		return
	}
	sent := make([]redis.Cmder, len(kept))
	for i, p := range kept {
		sent[i] = p.cmd
	}
	err = s.inTime(ctx, l, func(ctx context.Context) error {
		if l.state.direct() {
			s.count.direct.Add(int64(len(sent)))
			s.sendPipeline(ctx, s.stores[l.state.toward()], sent)
			return nil
		}
		return s.carryAll(ctx, l, kept)
	})
	if err != nil {
		setAll(sent, err)
	}
}

// carryAll takes a pipeline's commands to their keys: in one round trip those that are alone with their keys, and whose keys are there; then the others, in their order.
func (s *Split) carryAll(ctx context.Context, l *lease, ours []*plannedCommand) error {
	st := s.stores[l.state.toward()]
	groups := groupByKeys(ours)
	pipe := st.client.Pipeline()
	var alone []*scriptedCommand
	for _, g := range groups {
		if len(g) == 1 && g[0].scripted() {
			alone = append(alone, &scriptedCommand{s: s, p: g[0]})
		}
	}
	missing := map[*plannedCommand]bool{}
	if len(alone) > 0 {
		s.count.scripted.Add(int64(len(alone)))
		for _, c := range alone {
			if err := pipe.Process(ctx, inScript(c.p, st.side, false, false)); err != nil {
				return err
			}
		}
		_, _ = pipe.Exec(ctx) // each is looked at
		for _, c := range alone {
			if t, _ := c.outcome(c.p.cmd.Err()); !t.done && c.p.cmd.Err() == nil {
				missing[c.p] = true
			}
		}
	}
	for _, g := range groups {
		switch {
		case len(g) > 1 || !g[0].scripted():
			s.carryGroup(ctx, l, g)
		case missing[g[0]]:
			if err := s.carryCommand(ctx, l, g[0]); err != nil && g[0].cmd.Err() == nil {
				g[0].cmd.SetErr(err)
			}
		}
	}
	return nil
}

// carryGroup runs commands that share keys as a transaction: else one could be carried out before another that came first, when their key arrives in between.
func (s *Split) carryGroup(ctx context.Context, l *lease, g []*plannedCommand) {
	w := &watchedCommands{s: s}
	var all plannedCommand
	for _, p := range g {
		w.cmds = append(w.cmds, p.cmd)
		for _, k := range p.keys {
			all.add(k)
		}
	}
	w.guarded = all.keys
	w.read = len(g) == 1 && g[0].treatment.reads && len(all.keys) == 1
	if len(all.keys) > 100 {
		setAll(w.cmds, s.refusal(g[0].cmd, "it and others of its pipeline share more than 100 keys, each of which may have to be brought first: make several pipelines of it"))
		return
	}
	if err := s.carry(ctx, l, w); err != nil {
		setAll(w.cmds, err)
	}
}

// groupByKeys puts commands that share a key, directly or through others, into one group, each in the order of the pipeline.
func groupByKeys(ours []*plannedCommand) (groups [][]*plannedCommand) {
	parent := make([]int, len(ours))
	find := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	first := map[string]int{}
	for i, p := range ours {
		parent[i] = i
		for _, k := range p.keys {
			if j, ok := first[k]; ok {
				a, b := find(i), find(j)
				parent[max(a, b)] = min(a, b)
			} else {
				first[k] = i
			}
		}
	}
	at := map[int]int{}
	for i, p := range ours {
		root := find(i)
		g, ok := at[root]
		if !ok {
			g = len(groups)
			at[root] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], p)
	}
	return groups
}
