package redismigrate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// typedCopy copies keys by the commands of their types instead of DUMP and RESTORE: for a target that does not read the source's payloads,
// and, piece by piece, for values too large to be held. A value is built on the target under a name of its own and gets its real one, by
// RENAMENX, when it is whole: so a key never shows half, and one that is there is never touched.
type typedCopy struct {
	from, to *session
	job      string // distinguishes the unfinished keys of one job from those of another
	last     atomic.Int64
	seed     maphash.Seed

	cannotWatch atomic.Bool // the source does not allow WATCH
	noFieldTTL  atomic.Bool // the source does not know expiries of hash fields
}

func newTypedCopy(from, to *session) *typedCopy {
	return &typedCopy{from: from, to: to, job: rand.Text()[:12], seed: maphash.MakeSeed()}
}

// unfinished returns a name that no other key has, in the same slot of a cluster as key. Its prefix keeps it out of every selection.
func (t *typedCopy) unfinished(key string) string {
	return fmt.Sprintf("%scopying:%s:%s:%d", canaryPrefix, tagBeside(key), t.job, t.last.Add(1))
}

// cannotError says that a key cannot be carried to that target, and why. Nothing was written under its name.
type cannotError struct {
	db         int
	key, kind  string
	why        string
	underlying error
}

func (e *cannotError) Error() string {
	kind := ""
	if e.kind != "" {
		kind = " (" + e.kind + ")"
	}
	return fmt.Sprintf("key %q of db %d%s cannot be copied: %s", clipped(e.key), e.db, kind, e.why)
}

func (e *cannotError) Unwrap() error { return e.underlying }

// clipped keeps a key that is shown short.
func clipped(key string) string {
	const most = 200
	if len(key) <= most {
		return key
	}
	return fmt.Sprintf("%s… (%d bytes)", key[:most], len(key))
}

// errUnsteady says that the value changed while it was read.
var errUnsteady = errors.New("the key changes all the time: it changed during each try to read it piece by piece")

// errDraftGone says that the unfinished key is not there, or not whole.
var errDraftGone = errors.New("the unfinished copy of the key vanished or lost members on the target; was it evicted (maxmemory-policy), or does another client delete keys there?")

// typedTries is how often a key is begun anew when it changes meanwhile, or its slot moves to another node.
const typedTries = 4

// copyKey copies one key, whatever its size. It returns nil when the target has it now, errKeyExists, errKeyGone, or a *cannotError.
func (t *typedCopy) copyKey(ctx context.Context, fromDB, toDB int, key string) error {
	var err error
	for try := range typedTries {
		if try > 0 {
			if err := pause(ctx, 50*time.Millisecond<<try); err != nil {
				return err
			}
		}
		err = t.tryKey(ctx, fromDB, toDB, key)
		switch {
		case errors.Is(err, errUnsteady), errors.Is(err, errDraftGone), otherValue(err):
		case slotMoved(err):
			for _, s := range []*session{t.from, t.to} {
				if s.cluster != nil {
					s.cluster.ReloadState(ctx)
				}
			}
		default:
			return err
		}
	}
	if errors.Is(err, errDraftGone) || slotMoved(err) {
		return fmt.Errorf("copy key %q of db %d by its type: %w", clipped(key), fromDB, err)
	}
	return &cannotError{
		db: fromDB, key: key, underlying: errUnsteady,
		why: fmt.Sprintf("it changed during each of %d tries to read it piece by piece; copy it again while nothing writes to it", typedTries),
	}
}

// otherValue reports whether a server answered that what it has is not what it had a moment ago: another type, no such group, no such key.
func otherValue(err error) bool {
	if !isServerError(err) {
		return false
	}
	for _, part := range []string{"WRONGTYPE", "NOGROUP", "no such key"} {
		if strings.Contains(err.Error(), part) {
			return true
		}
	}
	return false
}

// of returns the client of the server that has a key: pieces of one value, and what watches it, must reach one server.
func (s *session) of(ctx context.Context, db int, key string) (*redis.Client, error) {
	if s.cluster == nil {
		return s.client(s.addr, db), nil
	}
	c, err := s.masterOf(ctx, key)
	if err != nil {
		return nil, s.fail("find the node of a key", err)
	}
	return c, nil
}

func (t *typedCopy) tryKey(ctx context.Context, fromDB, toDB int, key string) error {
	source, err := t.from.of(ctx, fromDB, key)
	if err != nil {
		return err
	}
	target, err := t.to.of(ctx, toDB, key)
	if err != nil {
		return err
	}
	there, err := target.Exists(ctx, key).Result()
	if err != nil {
		return t.to.fail("EXISTS", err)
	}
	if there > 0 {
		return errKeyExists
	}
	return t.watching(ctx, source, key, func(steady func() (bool, error)) error {
		look, err := t.from.look(ctx, fromDB, key)
		if err != nil {
			return err
		}
		if look.kind == "none" {
			return errKeyGone
		}
		r := &reading{t: t, c: source, db: fromDB, key: key, kind: look.kind}
		d := &draft{s: t.to, c: target, name: t.unfinished(key), kind: look.kind}
		err = t.build(ctx, r, d, steady)
		if err == nil {
			err = d.publish(ctx, key, look.expireAt)
		}
		if err != nil {
			d.discard(ctx)
		}
		if errors.Is(err, errDraftGone) && look.expireAt >= 0 && d.now(ctx) >= look.expireAt {
			return errKeyGone // it expired before it could get its name
		}
		return err
	})
}

// build makes the draft equal to the value, or returns errUnsteady.
func (t *typedCopy) build(ctx context.Context, r *reading, d *draft, steady func() (bool, error)) error {
	sum := uint64(0)
	err := r.pieces(ctx, func(p piece) error {
		sum += p.sum(t.seed)
		return d.put(ctx, r, p)
	})
	if err != nil {
		return err
	}
	var same bool
	if steady != nil {
		same, err = steady()
	} else { // a second look, since nothing watches the key
		again := uint64(0)
		second := &reading{t: t, c: r.c, db: r.db, key: r.key, kind: r.kind}
		err = second.pieces(ctx, func(p piece) error {
			again += p.sum(t.seed)
			return nil
		})
		same = again == sum
	}
	if err != nil {
		return err
	}
	if !same {
		return errUnsteady
	}
	return d.checkLength(ctx)
}

// watching runs work while the source watches the key for changes (WATCH, which writes nothing). steady reports whether there was none; it
// is nil where WATCH is not allowed.
func (t *typedCopy) watching(ctx context.Context, source *redis.Client, key string, work func(steady func() (bool, error)) error) error {
	if t.cannotWatch.Load() {
		return work(nil)
	}
	began := false
	err := source.Watch(ctx, func(tx *redis.Tx) error {
		began = true
		return work(func() (bool, error) {
			_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Exists(ctx, key).Err() })
			switch {
			case errors.Is(err, redis.TxFailedErr):
				return false, nil
			case isServerError(err) && !slotMoved(err): // it may WATCH, but not EXEC: once more without
				t.cannotWatch.Store(true)
				return false, nil
			}
			return err == nil, t.from.fail("EXEC", err)
		})
	}, key)
	switch {
	case began:
		return err
	case isServerError(err) && !slotMoved(err):
		t.cannotWatch.Store(true)
		return work(nil)
	}
	return t.from.fail("WATCH", err)
}
