package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// SplitAudit is what a look at all keys of both stores found.
type SplitAudit struct {
	// Old and New are the split's keys that exist on each store.
	Old int64 `json:"old"`
	New int64 `json:"new"`
	// Undecided counts what keeps the split from going to the state that was asked for; Examples are up to 100 of them.
	Undecided int64          `json:"undecided"`
	Examples  []UndecidedKey `json:"examples,omitempty"`
}

// Clean reports whether nothing keeps the split from that step.
func (a SplitAudit) Clean() bool { return a.Undecided == 0 }

// undecided notes a key.
func (a *SplitAudit) undecided(f found, st *splitStore, why string) {
	a.Undecided++
	if len(a.Examples) < maxUndecided {
		a.Examples = append(a.Examples, UndecidedKey{Key: f.key, Store: sideNames[st.side], Why: why})
	}
}

// needs is what must hold before a step: no key of the split is left on a store, and every key of the new store has a record.
func needs(from, to SplitState) (empty [2]bool, recorded bool) {
	switch {
	case from == SplitHome && to == SplitOld:
		empty[newSide] = true
	case from == SplitAway && to == SplitNew, to == SplitSealed:
		empty[oldSide] = true
	case from == SplitAway && to == SplitHome:
		recorded = true
	}
	return empty, recorded
}

// Audit looks at all keys of both stores and says what keeps the split from going to a state (the present one: nothing is asked for, and the keys are counted); it changes nothing.
func (s *Split) Audit(ctx context.Context, to SplitState) (SplitAudit, error) {
	l, err := s.awaitState(ctx)
	if err != nil {
		return SplitAudit{}, err
	}
	a, err := s.audit(ctx, l.state, to)
	if err != nil {
		err = fmt.Errorf("redismigrate: split %s: audit: %w", s.id, err)
	}
	return a, err
}

const (
	auditTries = 5
	auditPause = 50 * time.Millisecond
)

// lookedAgain looks at keys by their names.
func (s *Split) lookedAgain(ctx context.Context, st *splitStore, keys []string) ([]found, error) {
	pipe := st.client.Pipeline()
	there := make([]*redis.IntCmd, len(keys))
	for i, k := range keys {
		there[i] = pipe.Exists(ctx, k)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, st.fail("look at keys again", err)
	}
	var names []string
	for i, k := range keys {
		names = append(names, recordOf(k))
		if there[i].Val() > 0 {
			names = append(names, k)
		}
	}
	return s.looked(ctx, st, names, false)
}

func (s *Split) audit(ctx context.Context, from, to SplitState) (SplitAudit, error) {
	empty, recorded := needs(from, to)
	for range auditTries {
		var a SplitAudit
		again := false
		var moving []string // keys whose hand-over away from the store that is to be empty was under way
		judge := func(f found, st *splitStore) {
			switch {
			case empty[st.side] && f.exists && f.recorded && f.standing == gone:
				a.undecided(f, st, "a value of it was left where it has gone from")
			case empty[st.side] && (f.exists || f.recorded && f.standing == here):
				a.undecided(f, st, "it has not been handed over")
			case recorded && st.side == newSide && f.exists && !f.recorded:
				a.undecided(f, st, "it has no record yet")
			}
		}
		// The store that is to be empty comes last: a hand-over to it would be seen on the other one first, where nobody begins one any more.
		order := []*splitStore{s.stores[newSide], s.stores[oldSide]}
		if empty[newSide] {
			slices.Reverse(order)
		}
		last := order[1]
		for _, st := range order {
			changed, err := st.scan(ctx, func(ctx context.Context, names []string) error {
				list, err := s.looked(ctx, st, names, false)
				if err != nil {
					return err
				}
				for _, f := range list {
					if f.exists {
						*[2]*int64{&a.Old, &a.New}[st.side]++
					}
					switch {
					case !f.recorded || f.standing != leaving:
						judge(f, st)
					case empty[st.side]:
						moving = append(moving, f.key)
					case empty != [2]bool{}:
						a.undecided(f, st, unfinished)
					}
				}
				return nil
			})
			if err != nil {
				return a, err
			}
			again = again || changed
		}
		if again {
			continue
		}
		err := s.auditMoving(ctx, &a, last, moving, judge)
		return a, err
	}
	return SplitAudit{}, errors.New("masters or slots of a store changed during each look at its keys; wait until they are at rest")
}

const unfinished = "its hand-over was begun and not finished"

// auditMoving looks again at keys that were on their way. Commands hand keys over all the time, new ones among them: only those hand-overs count that nobody finishes.
func (s *Split) auditMoving(ctx context.Context, a *SplitAudit, st *splitStore, moving []string, judge func(found, *splitStore)) error {
	for left := s.opt.CommandTimeout + stepMargin; ; left -= auditPause {
		var still []string
		for page := range slices.Chunk(moving, scanPage) {
			list, err := s.lookedAgain(ctx, st, page)
			if err != nil {
				return err
			}
			for _, f := range list {
				switch {
				case !f.recorded || f.standing != leaving:
					judge(f, st)
				case left > 0:
					still = append(still, f.key)
				default:
					a.undecided(f, st, unfinished)
				}
			}
		}
		if moving = still; len(moving) == 0 {
			return nil
		}
		if err := pause(ctx, auditPause); err != nil {
			return err
		}
	}
}

// MayStep says what keeps the split from going to a neighbouring state: nil means that it may. It takes at least as long as every process needs to see the present state and to end
// what it has begun (SplitOptions.MaxAge and CommandTimeout of all processes must be this one's), and then goes over both stores. Processes that stood still for longer than that, before
// they sent a command, are its limit.
//
// A split is sealed only when a look at all keys finds none on the old store and none on its way.
func (s *Split) MayStep(ctx context.Context, to SplitState) error {
	_, err := s.mayStep(ctx, to)
	if err != nil {
		return fmt.Errorf("redismigrate: split %s: %w", s.id, err)
	}
	return nil
}

// mayStep returns the state from which the step may be taken, as it is kept.
func (s *Split) mayStep(ctx context.Context, to SplitState) (kept string, err error) {
	from, kept, waited, err := s.settledState(ctx)
	if err != nil {
		return "", err
	}
	if !from.neighbours(to) {
		return "", refuse("from %s no step leads to %s; states are gone through one at a time: old, home, away, new, sealed, and back as long as it is not sealed", from, to)
	}
	if err := pause(ctx, s.opt.settling()-waited); err != nil {
		return "", err
	}
	for range 2 { // what was sent to a server before comes before this
		for _, st := range s.stores {
			list, err := st.masters(ctx)
			if err != nil {
				return "", err
			}
			for _, c := range list {
				if err := c.Ping(ctx).Err(); err != nil {
					return "", st.fail("PING "+c.Options().Addr, err)
				}
			}
		}
	}
	if empty, recorded := needs(from, to); empty != [2]bool{} || recorded {
		a, err := s.audit(ctx, from, to)
		if err != nil {
			return "", err
		}
		if !a.Clean() {
			k := a.Examples[0]
			return "", refuse("%d keys keep it from %s, such as %q on the %s store: %s; hand them over first (Sweep)", a.Undecided, to, clipped(k.Key), k.Store, k.Why)
		}
	}
	return kept, nil
}

// settledState reads the state, and for how long it has been the same.
func (s *Split) settledState(ctx context.Context) (state SplitState, kept string, since time.Duration, err error) {
	if s.kept == nil {
		s.readState(ctx)
		l, err := s.current()
		if err == nil && l.err != nil {
			err = l.err
		}
		if err != nil {
			return SplitUnknown, "", 0, err
		}
		return l.state, "", 0, nil // since when is not known
	}
	state, kept, err = s.kept.read(ctx)
	if err != nil {
		return state, kept, 0, err
	}
	_, at, _ := strings.Cut(kept, " ")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return state, kept, 0, fmt.Errorf("key %s holds %q, which no split has written", s.kept.key, clipped(kept))
	}
	now, err := s.stores[newSide].client.Time(ctx).Result()
	if err != nil {
		return state, kept, 0, s.stores[newSide].fail("TIME", err)
	}
	return state, kept, now.Sub(time.UnixMilli(ms)), nil
}

// Step goes to a neighbouring state, if MayStep says so, for a split whose state is kept in the new store. It returns when the state is written; every process sees it within MaxAge.
func (s *Split) Step(ctx context.Context, to SplitState) error {
	if s.kept == nil {
		return fmt.Errorf("redismigrate: split %s: its state is kept elsewhere (SplitOptions.States): ask MayStep, then change it there", s.id)
	}
	kept, err := s.mayStep(ctx, to)
	if err == nil {
		err = s.kept.write(ctx, kept, to)
	}
	if err != nil {
		return fmt.Errorf("redismigrate: split %s: step to %s: %w", s.id, to, err)
	}
	s.readState(ctx)
	return nil
}

// Forget deletes the records, when nobody looks at them any more: in the states sealed and old. Of a split that has gone back to old, they must be forgotten before another one of the
// same keys begins.
func (s *Split) Forget(ctx context.Context) (records int64, err error) {
	records, err = s.forget(ctx)
	if err != nil {
		err = fmt.Errorf("redismigrate: split %s: forget: %w", s.id, err)
	}
	return records, err
}

func (s *Split) forget(ctx context.Context) (records int64, err error) {
	state, _, since, err := s.settledState(ctx)
	switch {
	case err != nil:
		return 0, err
	case state != SplitSealed && state != SplitOld:
		return 0, refuse("in state %s the records say where each key is; they can be forgotten in sealed and in old", state)
	}
	if err := pause(ctx, s.opt.settling()-since); err != nil {
		return 0, err
	}
	// The new store first: a record there that is of a later hand-over than a first one would keep the key from arriving, should the split begin anew.
	for _, st := range []*splitStore{s.stores[newSide], s.stores[oldSide]} {
		_, err := st.scan(ctx, func(ctx context.Context, names []string) error {
			pipe := st.client.Pipeline()
			var cmds []*redis.IntCmd
			for _, name := range names {
				if key, ok := keyOfRecord(name); ok && s.keys.has(key) {
					cmds = append(cmds, pipe.Unlink(ctx, name))
				}
			}
			if len(cmds) == 0 {
				return nil
			}
			if _, err := pipe.Exec(ctx); err != nil {
				return st.fail("delete records", err)
			}
			for _, cmd := range cmds {
				records += cmd.Val()
			}
			return nil
		})
		if err != nil {
			return records, err
		}
	}
	return records, nil
}
