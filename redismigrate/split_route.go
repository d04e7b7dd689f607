package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// splitHook is what makes the split's client one: it carries every command out itself.
type splitHook struct{ s *Split }

// DialHook implements redis.Hook.
func (h splitHook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (h splitHook) ProcessHook(redis.ProcessHook) redis.ProcessHook { return h.s.process }

// ProcessPipelineHook implements redis.Hook.
func (h splitHook) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return h.s.processAll
}

// SplitRefusedError is the error of a command that a split does not carry out. It was not sent.
type SplitRefusedError struct {
	Split   string
	Command string // its name
	Why     string // and what to do instead
}

// Error implements error.
func (e *SplitRefusedError) Error() string {
	return fmt.Sprintf("redismigrate: split %s: %s is refused: %s", e.Split, e.Command, e.Why)
}

// Unwrap says that it was not carried out.
func (e *SplitRefusedError) Unwrap() error { return ErrSplitNotRun }

func (s *Split) refusal(cmd redis.Cmder, why string) error {
	s.count.refused.Add(1)
	return &SplitRefusedError{Split: s.id, Command: strings.ToUpper(cmd.FullName()), Why: why}
}

// errAmbiguous says that nobody knows whether a command was carried out.
var errAmbiguous = errors.New("its answer came too late to be relied on: whether it was carried out is not known; look, or send it again if that does no harm")

// errand of the split's own values.
type (
	splitErrand = errand[splitValue]
	splitTold   = told[splitValue]
)

// splitValue is a key's value on its way: its serialized form, "" for none, and when it expires, in Unix milliseconds, -1 for never.
type splitValue struct {
	payload string
	at      int64
}

// plan is where a command goes.
type plannedCommand struct {
	cmd       redis.Cmder
	keys      []string // the split's that it names, each once; none: it goes to the old store
	first     int      // the position of its first key
	treatment treatment
	err       error // why it goes nowhere
}

// planCommand finds a command's keys and decides on them.
func (s *Split) planCommand(cmd redis.Cmder) (p plannedCommand) {
	p.cmd = cmd
	args := cmd.Args()
	p.treatment = treatmentOf(args)
	if p.treatment.refuse != "" {
		p.err = s.refusal(cmd, p.treatment.refuse)
		return p
	}
	at, err := p.treatment.keys(args)
	if err != nil {
		p.err = s.refusal(cmd, err.Error())
		return p
	}
	if len(at) == 0 {
		p.err = s.refusal(cmd, "it names no key, so that it could run on either store: declare the keys that it touches, or use a store's own client (Split.Old or Split.New)")
		return p
	}
	p.first = at[0]
	others := ""
	for i, pos := range at {
		key := argText(args[pos])
		if !s.keys.has(key) {
			others = key
			if i > 0 && len(p.keys) > 0 {
				break
			}
			continue
		}
		if p.add(key); len(p.keys) > mostKeys {
			p.err = s.refusal(cmd, fmt.Sprintf("it names more than %d of the split's keys, each of which may have to be brought first: make several commands of it", mostKeys))
			return p
		}
	}
	switch {
	case len(p.keys) == 0:
		return p
	case others != "" || len(p.keys) > 0 && !s.all(args, at):
		p.err = s.refusal(cmd, fmt.Sprintf("key %q is part of the split and key %q is not, so that they are not on one store: use a command for each", clipped(p.keys[0]), clipped(others)))
	case s.stores[oldSide].cluster || s.stores[newSide].cluster:
		for _, key := range p.keys[1:] {
			if slotOf(key) != slotOf(p.keys[0]) {
				p.err = s.refusal(cmd, fmt.Sprintf("keys %q and %q are in different slots of a cluster, so that no server can carry it out as a whole: use a command for each", clipped(p.keys[0]), clipped(key)))
				break
			}
		}
	}
	return p
}

// mostKeys is how many of the split's keys one command may name.
const mostKeys = 100

// all reports whether all keys at those positions are the split's.
func (s *Split) all(args []any, at []int) bool {
	for _, pos := range at {
		if !s.keys.has(argText(args[pos])) {
			return false
		}
	}
	return true
}

func (p *plannedCommand) add(key string) {
	for _, k := range p.keys {
		if k == key {
			return
		}
	}
	p.keys = append(p.keys, key)
}

// scripted reports whether a command can run inside a script with the same reply: a generic command's would have another form there in RESP3.
func (p *plannedCommand) scripted() bool {
	if p.treatment.native || len(p.cmd.Args()) > mostScripted || p.first > 100 {
		return false
	}
	switch p.cmd.(type) {
	case *redis.Cmd, *redis.RawCmd, *redis.RawWriteToCmd, *redis.ZeroCopyStringCmd:
		return false
	}
	return true
}

// iterates reports whether a command goes on with a cursor that the other store may have given.
func (p *plannedCommand) iterates(l *lease) bool {
	at := p.treatment.cursor
	if at == 0 || at >= len(p.cmd.Args()) || argText(p.cmd.Args()[at]) == "0" {
		return false
	}
	return !l.state.direct() || l.state == SplitNew && time.Since(l.since) < cursorLife
}

// cursorLife is how long a program may have kept a cursor.
const cursorLife = 10 * time.Minute

const refuseCursor = "its cursor may be of the other store, where the key was, and elements would be missed: begin again from cursor 0 when the split is in state new or old, or read the key whole (HGETALL, SMEMBERS, ZRANGE)"

// process carries out one command.
func (s *Split) process(ctx context.Context, cmd redis.Cmder) error {
	if strings.EqualFold(cmd.Name(), "ping") {
		return s.ping(ctx, cmd)
	}
	p := s.planCommand(cmd)
	if p.err != nil {
		cmd.SetErr(p.err)
		return p.err
	}
	if len(p.keys) == 0 {
		s.count.others.Add(1)
		return s.stores[oldSide].client.Process(ctx, cmd)
	}
	if err := s.processOne(ctx, &p); err != nil {
		cmd.SetErr(err)
	}
	return cmd.Err()
}

func (s *Split) processOne(ctx context.Context, p *plannedCommand) error {
	l, err := s.current()
	if err != nil {
		s.count.refused.Add(1)
		return err
	}
	if p.iterates(l) {
		return s.refusal(p.cmd, refuseCursor)
	}
	return s.inTime(ctx, l, func(ctx context.Context) error {
		if l.state.direct() {
			s.count.direct.Add(1)
			return s.stores[l.state.toward()].client.Process(ctx, p.cmd)
		}
		return s.carryCommand(ctx, l, p)
	})
}

// inTime gives a command its time, and refuses to believe an answer that comes after it.
func (s *Split) inTime(ctx context.Context, l *lease, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.CommandTimeout)
	defer cancel()
	err := f(ctx)
	if time.Now().After(l.until.Add(s.opt.CommandTimeout)) {
		s.count.ambiguous.Add(1)
		return fmt.Errorf("redismigrate: split %s: %w (the process, or the network, stood still)", s.id, errors.Join(errAmbiguous, err))
	}
	return err
}

// carryCommand takes a command to its keys.
func (s *Split) carryCommand(ctx context.Context, l *lease, p *plannedCommand) error {
	if p.scripted() {
		return s.carry(ctx, l, &scriptedCommand{s: s, p: p})
	}
	return s.carry(ctx, l, &watchedCommands{s: s, cmds: []redis.Cmder{p.cmd}, guarded: p.keys, read: p.treatment.reads && len(p.keys) == 1})
}

// ping asks both stores.
func (s *Split) ping(ctx context.Context, cmd redis.Cmder) error {
	if err := s.stores[newSide].client.Ping(ctx).Err(); err != nil {
		err = s.stores[newSide].fail("PING", err)
		cmd.SetErr(err)
		return err
	}
	return s.stores[oldSide].client.Process(ctx, cmd)
}

var keySeed = maphash.MakeSeed()

func (l *lease) hash(key string) uint64 { return maphash.String(keySeed, key) ^ l.salt }
