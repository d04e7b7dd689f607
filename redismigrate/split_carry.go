package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// runner tries to run a command, or several as one, on a store where all of its keys must be.
type runner interface {
	keys() []string
	reads() bool // it only reads, and one key

	// run tries it on a store. An error is the command's own, or that the store did not answer; then it is over.
	run(ctx context.Context, st *splitStore, free bool) (splitTold, error)

	// after is run behind a first script on the same connection, in one round trip; ok is false if it cannot.
	after(ctx context.Context, st *splitStore, first func(redis.Pipeliner) *redis.Cmd) (arrived *redis.Cmd, a splitTold, err error, ok bool)
}

// carry takes an errand through the stores until it is over.
func (s *Split) carry(ctx context.Context, l *lease, r runner) error {
	keys := r.keys()
	afar := !s.seen.has(l.hash(keys[0]))
	e := newErrand[splitValue](l.state.toward(), false, r.reads(), afar)
	over, err := s.errandOf(ctx, e, keys, r)
	if err != nil {
		return err
	}
	if over.failed {
		return over.why
	}
	for _, k := range keys {
		s.seen.add(l.hash(k))
	}
	return nil
}

// outcome is how an errand ended.
type outcome struct {
	failed bool
	why    error // of a store that would not take a key
}

// errandOf goes the errand. r is nil for a sweep, which has no command.
func (s *Split) errandOf(ctx context.Context, e splitErrand, keys []string, r runner) (out outcome, err error) {
	ran := false
	for e.next.kind != askNothing {
		if e.next.kind == askFinish && e.then.kind == askNothing && ran { // also when the time is over: the command was carried out
			s.finishBehind(keys, e.next)
			return out, nil
		}
		if err := ctx.Err(); err != nil {
			return out, s.onItsWay(keys[e.next.key], e, err)
		}
		a := e.next
		key, st := keys[a.key], s.stores[a.side]
		switch a.kind {
		case askRun:
			t, err := r.run(ctx, st, a.free)
			if err != nil {
				s.finishBehind(keys, e.owed)
				return out, err
			}
			ran = ran || t.done
			e = e.step(t)
		case askArrive:
			t, after, err := s.arrive(ctx, st, e, key, r)
			switch {
			case err != nil && after != nil: // nor is it known whether the command was carried out behind it
				return out, after.err
			case err != nil:
				return out, s.onItsWay(key, e, err)
			}
			if t.refused && out.why == nil {
				out.why = fmt.Errorf("redismigrate: split %s: key %q cannot come to the %s store and stays where it is: %w", s.id, clipped(key), sideNames[a.side], notRun{t.why})
			}
			e = e.step(t.splitTold)
			if after != nil {
				if after.err != nil {
					s.finishBehind(keys, e.owed)
					return out, after.err
				}
				ran = ran || after.told.done
				switch {
				case e.next.kind == askRun && e.next.side == a.side:
					e = e.step(after.told)
				case after.told.done: // somebody else has brought the key
					return outcome{}, nil
				}
			}
		default:
			t, err := s.ask(ctx, st, a, key)
			if err != nil {
				return out, s.onItsWay(key, e, err)
			}
			e = e.step(t)
		}
	}
	out.failed = e.failed
	if e.failed {
		s.count.rejected.Add(1)
		s.opt.Logger.Warn("redismigrate: a key could not be handed over and stays where it is", "split", s.id, "key", clipped(keys[0]), "error", out.why)
	}
	return out, nil
}

var sideNames = [2]string{"old", "new"}

// ErrSplitNotRun is wrapped by the error of a command that was certainly not carried out: it may be sent again. Of any other error, but the server's own, nobody knows.
var ErrSplitNotRun = errors.New("the command was not carried out")

// notRun is an error of a command that was not carried out.
type notRun struct{ error }

func (e notRun) Unwrap() []error { return []error{e.error, ErrSplitNotRun} }

// onItsWay says what an error in the middle of a hand-over means for whoever sent the command.
func (s *Split) onItsWay(key string, e splitErrand, err error) error {
	doing := map[askKind]string{askDepart: "leaves", askArrive: "arrives at", askFinish: "is forgotten by", askRefuse: "is refused by", askReturn: "returns to", askRun: "is used on"}[e.next.kind]
	return fmt.Errorf("redismigrate: split %s: key %q, which %s the %s store: the command was not run; the key is on its way, and the next to use it takes it further: %w",
		s.id, clipped(key), doing, sideNames[e.next.side], notRun{err})
}

// finishesBehind is how many finishes may be under way behind their commands.
const finishesBehind = 64

// finishBehind tells the other side, behind the command's back, that its key has arrived. Should that fail, the mover does it.
func (s *Split) finishBehind(keys []string, a ask[splitValue]) {
	if a.kind != askFinish {
		return
	}
	select {
	case s.room <- struct{}{}:
	default:
		return // the mover does it
	}
	s.behind.Go(func() {
		defer func() { <-s.room }()
		ctx, cancel := context.WithTimeout(context.Background(), s.opt.CommandTimeout)
		defer cancel()
		_, _ = s.ask(ctx, s.stores[a.side], a, keys[a.key])
	})
}

// ask asks one store about a hand-over.
func (s *Split) ask(ctx context.Context, st *splitStore, a ask[splitValue], key string) (t splitTold, err error) {
	names := []string{recordOf(key), key}
	store := st.side.recordMark()
	switch a.kind {
	case askDepart:
		how := ""
		if a.unless {
			how = "unless"
		}
		if a.help {
			how = "help"
		}
		reply, err := scriptDepart.run(ctx, st.client, names, store, how).Slice()
		if err != nil {
			return t, st.fail("hand over a key", err)
		}
		if t, err = departed(reply); err == nil && t.standing == leaving {
			s.count.departed.Add(1)
		}
		return t, err
	case askFinish:
		done, err := scriptFinish.run(ctx, st.client, names, store, a.over.seq).Int()
		if err == nil && done == 1 {
			s.count.moved[a.side.other()].Add(1)
		}
		return t, st.fail("finish the hand-over of a key", err)
	case askRefuse:
		reply, err := scriptRefuse.run(ctx, st.client, names, store, a.over.seq).Slice()
		if err != nil {
			return t, st.fail("refuse a key", err)
		}
		return noted(reply, a.over.seq)
	case askReturn:
		return t, st.fail("take a key back", scriptReturn.run(ctx, st.client, names, store, a.over.seq).Err())
	case askArrive:
		reply, err := s.arriveBy(ctx, st.client, a, key).Result()
		told, err := arrivedAs(st, reply, err, a.over.seq)
		return told.splitTold, err
	}
	return t, fmt.Errorf("no such question: %d", a.kind)
}

// arrivedTold is what a store says to a value that arrives.
type arrivedTold struct {
	splitTold
	why error // it was refused
}

func (s *Split) arriveBy(ctx context.Context, c redis.Scripter, a ask[splitValue], key string) *redis.Cmd {
	return scriptArrive.Run(ctx, c, []string{recordOf(key), key}, a.side.recordMark(), a.over.seq, a.over.value.at, a.over.value.payload)
}

// arrivedAs reads the answer to arrive. An error of the server's own that says it does not take the value is no error but a refusal.
func arrivedAs(st *splitStore, reply any, err error, seq int64) (t arrivedTold, _ error) {
	if err != nil {
		if isServerError(err) && !transient(err) {
			t.refused, t.standing, t.why = true, leaving, st.fail("RESTORE", err)
			return t, nil
		}
		return t, st.fail("take a key over", err)
	}
	list, ok := reply.([]any)
	if !ok {
		return t, st.fail("take a key over", errReply)
	}
	t.splitTold, err = noted(list, seq)
	if t.refused {
		t.why = errors.New("it was refused before")
	}
	return t, err
}

// afterwards is what became of a command that was sent behind the key that it waited for.
type afterwards struct {
	told splitTold
	err  error
}

// arrive brings a value to a store and, in the same round trip, runs the command there if that is what comes next.
func (s *Split) arrive(ctx context.Context, st *splitStore, e splitErrand, key string, r runner) (arrivedTold, *afterwards, error) {
	a := e.next
	if r != nil && a.side == e.toward {
		cmd, told, err, ok := r.after(ctx, st, func(p redis.Pipeliner) *redis.Cmd {
			return scriptArrive.Eval(ctx, p, []string{recordOf(key), key}, a.side.recordMark(), a.over.seq, a.over.value.at, a.over.value.payload)
		})
		if ok {
			reply, replyErr := cmd.Result()
			t, arriveErr := arrivedAs(st, reply, replyErr, a.over.seq)
			if arriveErr != nil {
				switch {
				case err != nil:
					return t, &afterwards{told, err}, arriveErr
				case told.done: // the command ran all the same: somebody else has brought the key
					return t, &afterwards{told, nil}, nil
				}
				return t, nil, arriveErr
			}
			return t, &afterwards{told, err}, nil
		}
	}
	reply, err := s.arriveBy(ctx, st.client, a, key).Result()
	t, err := arrivedAs(st, reply, err, a.over.seq)
	return t, nil, err
}

// departed reads the answer to depart: standing, number, expiry and value.
func departed(reply []any) (t splitTold, err error) {
	if len(reply) < 2 {
		return t, errReply
	}
	mark, _ := reply[0].(string)
	seq, ok := reply[1].(int64)
	if !ok {
		return t, errReply
	}
	if mark == "a" {
		t.absent = true
		return t, nil
	}
	if t.standing, ok = standingOf(mark); !ok {
		return t, errReply
	}
	t.over.seq, t.over.value.at = seq, -1
	if t.standing != leaving || len(reply) < 4 {
		return t, nil
	}
	text, _ := reply[2].(string)
	if t.over.value.at, err = strconv.ParseInt(text, 10, 64); err != nil {
		return t, errReply
	}
	if t.over.value.payload, ok = reply[3].(string); !ok {
		return t, errReply
	}
	return t, nil
}

// noted reads the answer to arrive and refuse: what the record is then.
func noted(reply []any, seq int64) (t splitTold, err error) {
	if len(reply) != 2 {
		return t, errReply
	}
	mark, _ := reply[0].(string)
	has, ok := reply[1].(int64)
	standing, known := standingOf(mark)
	if !ok || !known {
		return t, errReply
	}
	t.standing = standing
	t.refused = standing == gone && has == seq
	return t, nil
}

func standingOf(mark string) (standing, bool) {
	switch mark {
	case "h":
		return here, true
	case "l":
		return leaving, true
	case "g":
		return gone, true
	}
	return gone, false
}

// notHere reads the error by which scriptRun says that a key is not here.
func notHere(err error) (t splitTold, ok bool) {
	if err == nil {
		return t, false
	}
	rest, ok := strings.CutPrefix(err.Error(), elsewhere+" ")
	if !ok {
		return t, false
	}
	number, mark, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(number)
	standing, known := standingOf(strings.TrimSpace(mark))
	if err != nil || !known || n > 127 {
		return t, false
	}
	t.key, t.standing = int8(n), standing //nolint:gosec // checked
	return t, true
}
