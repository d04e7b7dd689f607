package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// What copyBig answers besides success and failures of a server.
var (
	// errNotInPieces says that a value cannot be copied in pieces (a module's type, say). It travels whole then.
	errNotInPieces = errors.New("the value cannot be copied in pieces")
	// errKeyExists says that the target has the key already; nothing of it was changed.
	errKeyExists = errors.New("the target has the key already")
	// errKeyGone says that the source no longer has the key, or that it has expired.
	errKeyGone = errors.New("the source no longer has the key")
)

// copyBig copies one key whose value is too large for one DUMP, a piece at a time, and makes it appear as a whole. expireAt is in Unix
// milliseconds, -1 for never; it is read again together with the value. It is a variable so that a test can watch it.
var copyBig = func(ctx context.Context, from, to *session, fromDB, toDB int, key string, expireAt int64) error {
	return newTypedCopy(from, to).copyKey(ctx, fromDB, toDB, key)
}

// chooseStrategy decides how the values travel, before anything is written.
func (c *copier) chooseStrategy(ctx context.Context) error {
	refused, untold, err := unreadPayload(ctx, c.from, c.to)
	if err != nil {
		return err
	}
	switch c.opt.Strategy {
	case "", CopyKeys:
		if refused != "" {
			c.typed = newTypedCopy(c.from, c.to)
			c.note("%s, so keys are copied by the commands of their types: encodings, idle times and access frequencies do not go along, and keys of a module's type cannot", refused)
		} else if untold != "" {
			c.note("whether the target reads what the source's DUMP writes could not be told (%s); where it does not, the copy stops with an error", untold)
		}
		return nil
	case MigrateKeys:
		if refused != "" {
			return refuse("MIGRATE cannot be used: %s; use the default strategy, which copies keys by their types then", refused)
		}
		c.note("MIGRATE hands on how long a key has left, not when it expires: expiries arrive later by as long as the keys were on their way")
		c.migrate, err = newMigrator(ctx, c.from, c.to, c.opt.TargetFromSource)
		return err
	}
	return fmt.Errorf("CopyOptions.Strategy is %q; Copy knows %q, its default, and %q", c.opt.Strategy, CopyKeys, MigrateKeys)
}

// unreadPayload says in words that some master of the target does not read what some master of the source dumps, "" if all do, or why that
// cannot be told.
func unreadPayload(ctx context.Context, from, to *session) (refused, untold string, err error) {
	takes := make([]bool, highestPayload+1)
	for i, n := range to.nodes {
		some, why, err := n.restoreVersions(ctx)
		if err != nil || why != "" {
			return "", why, err
		}
		for v := range takes {
			takes[v] = some[v] && (i == 0 || takes[v])
		}
	}
	for _, n := range from.nodes {
		v, why, err := n.dumpVersion(ctx)
		if err != nil {
			return "", "", err
		}
		switch {
		case v == 0:
			untold = n.addr + ": " + why
		case v > highestPayload || !takes[v]:
			return fmt.Sprintf("the target %s (version %s) does not read what DUMP of the source %s (version %s) writes (payload version %d)", to.addr, to.id.version, n.addr, from.id.version, v), "", nil
		}
	}
	return "", untold, nil
}

// byType copies a group of keys by the commands of their types.
func (w *carrier) byType(ctx context.Context, b *trip, items []item) {
	at, sum, largest := map[string]int{}, int64(0), int64(0)
	keys := make([]string, len(items))
	for i, it := range items {
		keys[i], at[it.key] = it.key, i
		sum += it.bytes
		largest = max(largest, it.bytes)
	}
	free, err := w.room.take(ctx, w.to.serves(ctx, keys[0]), sum)
	if err != nil {
		b.fail(err)
		return
	}
	defer free()
	outcome := func(key string, err error) error {
		it := items[at[key]]
		delete(at, key)
		return w.typedOutcome(b, it, err)
	}
	if sum > 0 && largest <= w.opt.BatchBytes && !w.from.isBlind() {
		err = w.typed.copySmall(ctx, b.db.DB, b.toDB, keys, outcome)
	} else {
		for _, key := range keys {
			if err == nil {
				err = outcome(key, w.typed.copyKey(ctx, b.db.DB, b.toDB, key))
			}
		}
	}
	if err == nil {
		return
	}
	if !transient(err) {
		b.fail(err)
		return
	}
	for _, i := range at { // those of which nothing is known
		items[i].lost = true
		w.later(b, items[i], err, w.to)
	}
}

// typedOutcome counts what became of one key; an error of it stops the copy.
func (w *carrier) typedOutcome(b *trip, it item, err error) error {
	var cannot *cannotError
	switch {
	case err == nil:
		w.settle(b, 1, Tally{Copied: 1, Bytes: it.bytes})
	case errors.Is(err, errKeyExists):
		b.busy = append(b.busy, it)
	case errors.Is(err, errKeyGone):
		w.settle(b, 1, Tally{Gone: 1})
	case errors.As(err, &cannot):
		w.leaveOut(b, it, cannot)
	case transient(err):
		it.lost = true
		w.later(b, it, err, w.to)
	default:
		return err
	}
	return nil
}

// leaveOut counts a key that cannot be copied, and lists it while there is room.
func (w *carrier) leaveOut(b *trip, it item, why *cannotError) {
	w.mu.Lock()
	if len(w.result.Uncopiable) < maxExisting {
		w.result.Uncopiable = append(w.result.Uncopiable, Difference{Kind: Missing, DB: b.db.DB, Key: strings.Clone(it.key), Detail: why.why})
	}
	w.mu.Unlock()
	w.settle(b, 1, Tally{Uncopied: 1})
}

// uncopied is the error of a copy that had to leave out keys.
func (r *Result) uncopied() error {
	r.sum()
	if r.Uncopied == 0 {
		return nil
	}
	text := fmt.Sprintf("%d keys were left out, all others are done", r.Uncopied)
	if len(r.Uncopiable) > 0 { // those of an earlier, killed try are not listed
		first := r.Uncopiable[0]
		text += fmt.Sprintf("; the first: key %q of db %d: %s", clipped(first.Key), first.DB, first.Detail)
	}
	return errors.New(text)
}
