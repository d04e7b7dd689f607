package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tashikame-go/tashikame/redismigrate"
)

// tell goes over to the new store, back, and over again, while the service is in use. It fails if anything is lost, or if a step cannot be taken.
func tell(ctx context.Context, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute) // images may have to be built first
	defer cancel()
	say := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	say("Starting two real Redis servers …")
	old, fresh, err := startTwo(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, old.Close(), fresh.Close()) }()
	dir, err := os.MkdirTemp("", "redissplit")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// HINCRBY that is sent twice counts twice, and the demo is to tell whether the split does that: so the client must not.
	crew := &crew{oldURL: old.URL + "?max_retries=-1", newURL: fresh.URL + "?max_retries=-1", dir: dir, runs: map[string]*process{}}
	if err := fill(ctx, old.Client, crew); err != nil {
		return err
	}

	split, err := openSplit(ctx, crew.oldURL, crew.newURL)
	if err != nil {
		return err
	}
	defer split.Close()
	if err := split.Begin(ctx); err != nil { // before any process has the split's client: without a state it refuses every command
		return err
	}
	defer func() { err = errors.Join(err, crew.stopAll()) }()
	if err := crew.startAll(ctx); err != nil {
		return err
	}
	read, err := crew.total() // the processes have read all of their sessions
	if err != nil {
		return err
	}
	t := &teller{say: say, split: split, crew: crew, since: time.Now(), until: read}
	say("The old one holds the sessions of a service, and carts; the new one is empty. Two processes serve: log in, touch, read, log out.\n" +
		"Each writes down what was acknowledged, and compares every answer with that.\n")
	if err := t.walk(ctx); err != nil {
		return err
	}
	return t.end(ctx, old.Client, fresh.Client)
}

// teller is the operator, who tells what happens.
type teller struct {
	say   func(format string, args ...any)
	split *redismigrate.Split
	crew  *crew
	since time.Time // of the present period
	until tally     // that were counted before
}

// leg is the stay in a state, and the step out of it.
type leg struct {
	says   string
	first  func(context.Context) error // what is done in the state
	during func(context.Context) error // what happens while the step is taken
	to     redismigrate.SplitState
}

// walk goes through the states, forth and back and forth again.
func (t *teller) walk(ctx context.Context) error {
	const home, away = redismigrate.SplitHome, redismigrate.SplitAway
	t.say("%-8s %12s %8s %12s %12s %8s", "state", "keys on old", "on new", "commands/s", "on average", "errors")
	for _, l := range []leg{
		{to: home},
		{to: away},
		{to: redismigrate.SplitNew, first: t.killAndSweep},
		{says: "And back, as if something were wrong with the new one:", to: away},
		{to: home, first: t.sweep},
		{to: redismigrate.SplitOld, first: t.sweep},
		{says: "And over again, while both processes are restarted one after the other, as a deployment does:", to: home, during: t.crew.restart("a")},
		{to: away, during: t.crew.restart("b")},
		{to: redismigrate.SplitNew, first: t.sweep},
		{to: redismigrate.SplitSealed},
	} {
		if err := t.take(ctx, l); err != nil {
			return err
		}
	}
	records, err := t.split.Forget(ctx)
	if err != nil {
		return err
	}
	audit, err := t.split.Audit(ctx, redismigrate.SplitSealed)
	if err != nil {
		return err
	}
	if err := t.tellOf(redismigrate.SplitSealed, audit); err != nil {
		return err
	}
	t.aside("%s records of where a key is were deleted, as nobody looks at them any more.", thousands(records))
	return nil
}

// take stays in a state, goes to the next one, and then tells of the first.
func (t *teller) take(ctx context.Context, l leg) error {
	if l.says != "" {
		t.say("\n%s", l.says)
	}
	state := t.split.State()
	if l.first != nil {
		if err := l.first(ctx); err != nil {
			return err
		}
	}
	audit, err := t.split.Audit(ctx, state) // counts the keys
	if err != nil {
		return err
	}
	if err := together(ctx, l.during, func(ctx context.Context) error { return t.split.Step(ctx, l.to) }); err != nil {
		return err
	}
	return t.tellOf(state, audit)
}

// aside tells of what happens in a state.
func (t *teller) aside(format string, args ...any) { t.say("         "+format, args...) }

// tellOf tells of a state: what was counted in it, and what the service did in the meantime.
func (t *teller) tellOf(state redismigrate.SplitState, audit redismigrate.SplitAudit) error {
	total, err := t.crew.total()
	if err != nil {
		return err
	}
	now := time.Now()
	did, took := total.minus(t.until), now.Sub(t.since)
	t.until, t.since = total, now
	average := did.Took.Seconds() * 1000 / float64(max(1, did.Commands))
	t.say("%-8s %12s %8s %12s %9.2f ms %8d", state, thousands(audit.Old), thousands(audit.New), thousands(int64(float64(did.Commands)/took.Seconds())), average, did.Errors)
	return nil
}

// killAndSweep kills a process in the middle of hand-overs.
func (t *teller) killAndSweep(ctx context.Context) error {
	wait(ctx, 300*time.Millisecond)
	if err := t.crew.kill("a"); err != nil {
		return err
	}
	audit, err := t.split.Audit(ctx, redismigrate.SplitAway)
	if err != nil {
		return err
	}
	t.aside("Commands bring their keys along: %s so far. Then process a is killed (SIGKILL), and a new one goes by what it had written down.", thousands(audit.New))
	return together(ctx, func(ctx context.Context) error { return t.crew.start(ctx, "a") }, t.sweep)
}

// sweep hands over the keys that no command has brought along.
func (t *teller) sweep(ctx context.Context) error {
	result, err := t.split.Sweep(ctx, redismigrate.SweepOptions{MaxRate: 5000})
	if err != nil {
		return err
	}
	t.aside("The sweep hands over what no command has brought along: %s keys in %.1f s.", thousands(result.Moved), result.Elapsed.Seconds())
	if result.Adopted > 0 {
		t.aside("It also gives a record to the %s keys that were made in state new.", thousands(result.Adopted))
	}
	return nil
}

// end ends the service and settles the account.
func (t *teller) end(ctx context.Context, old, fresh *redis.Client) error {
	if err := t.crew.stopAll(); err != nil {
		return err
	}
	total, err := t.crew.total()
	if err != nil {
		return err
	}
	found, err := settle(ctx, old, fresh, t.crew)
	if err != nil {
		return err
	}
	brought := total.ToNew + total.ToOld
	total = total.plus(found)
	t.say("\n%s commands, which brought %s keys along; %d errors, %d of which left open whether the command was carried out. %s values were compared:",
		thousands(total.Commands), thousands(brought), total.Errors, total.Uncertain, thousands(total.Compared))
	return verdict(t.say, total)
}

// verdict is the last line.
func verdict(say func(format string, args ...any), total tally) error {
	say("lost %d, stale %d, resurrected %d, repeated %d", total.Lost, total.Stale, total.Resurrected, total.Repeated)
	switch {
	case total.wrong() > 0:
		return errors.New("the stores do not hold what was acknowledged")
	case total.Compared == 0:
		return errors.New("nothing was compared")
	}
	return nil
}

// together does all at the same time. When one fails, the others are told to end.
func together(ctx context.Context, all ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make(chan error)
	n := 0
	for _, do := range all {
		if do != nil {
			n++
			go func() { errs <- do(ctx) }()
		}
	}
	var first error
	for range n {
		if err := <-errs; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	return first
}

// thousands writes a number with commas.
func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
