package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// VerifyOptions tune Verify. The zero value is what most want.
type VerifyOptions struct {
	// TTLTolerance is by how much two expiries may differ. Default 50 ms.
	TTLTolerance time.Duration
	// MaxListed is how many differences are listed; all are counted. Default 1,000.
	MaxListed int
	// ScanCount is the COUNT given to SCAN. Default 5,000.
	ScanCount int
	// Batch is how many keys are compared in one round trip. Default 250.
	Batch int
	// BatchBytes is how many bytes of values, by MEMORY USAGE, one round trip may fetch from each side. Default 4 MiB. A larger single
	// value is compared in pieces.
	BatchBytes int64
	// Workers is how many batches are compared at the same time. Default 4.
	Workers int
	// Progress, if set, is told of each batch of keys. It is never called twice at the same time, and must be quick.
	Progress func(Progress)
}

// Verify compares both ways: each selected key of m.From must be on m.To with equal type, value and expiry; and m.To must hold nothing
// else: a key there that is not selected, or not on the source, is extra. After a prune, that means exactly the kept keys.
//
// Values are compared by content, whatever their encoding, order of members or server version. Keys that expire on both sides meanwhile
// are no difference. The verdict is Unknown when no key was compared, when a module's value could not be, or, with an error, when the run
// was not finished; differences found until then are listed. Nothing is written on either side.
func Verify(ctx context.Context, m Move, opt VerifyOptions) (*Verification, error) {
	start := time.Now()
	v := &verifier{opt: opt.withDefaults(), seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}, out: Verification{ByKind: map[Kind]int64{}}}
	err := v.run(ctx, m)
	v.out.Elapsed = time.Since(start)
	switch {
	case err != nil:
		v.out.Reason = "not finished: " + err.Error()
		return &v.out, fmt.Errorf("redismigrate: verify: %w", err)
	case v.out.Total > 0:
		v.out.Verdict = Mismatch
	case v.out.Compared == 0:
		v.out.Reason = "no key was compared: the selector matches nothing on the source"
	case v.out.Uncompared > 0:
		v.out.Reason = fmt.Sprintf("%d keys of module types could not be compared", v.out.Uncompared)
	default:
		v.out.Verdict = Match
	}
	return &v.out, nil
}

func (o VerifyOptions) withDefaults() VerifyOptions {
	o.TTLTolerance = orDefault(o.TTLTolerance, 50*time.Millisecond)
	o.MaxListed = orDefault(o.MaxListed, 1000)
	o.Batch = orDefault(o.Batch, 250)
	o.BatchBytes = orDefault(o.BatchBytes, 4<<20)
	o.Workers = min(orDefault(o.Workers, 4), poolSize/2)
	return o
}

// maxSeen bounds the memory for telling a difference that SCAN shows twice from two.
const maxSeen = 1 << 18

type verifier struct {
	opt      VerifyOptions
	keys     *selection
	from, to *session
	seed     maphash.Seed

	mu   sync.Mutex // over what follows
	out  Verification
	seen map[uint64]struct{}
}

func (v *verifier) run(ctx context.Context, m Move) error {
	var err error
	if v.keys, err = m.Keys.compile(); err != nil {
		return err
	}
	if err := sameDBs(m); err != nil {
		return err
	}
	if v.from, err = openSession(ctx, "source", m.From, sessionOptions{noTouch: true}); err != nil {
		return err
	}
	defer v.from.close()
	if v.to, err = openSession(ctx, "target", m.To, sessionOptions{noTouch: true}); err != nil {
		return err
	}
	defer v.to.close()
	if v.from.id.runID == v.to.id.runID {
		return refuse("source %s and target %s are one server process (run_id %.8s); comparing it with itself proves nothing", v.from.addr, v.to.addr, v.to.id.runID)
	}
	for _, s := range []*session{v.from, v.to} {
		if _, err := s.absoluteExpiry(ctx); err != nil {
			return err
		}
	}
	for _, db := range union(v.from.dbs, v.to.dbs) {
		if err := v.forward(ctx, db); err != nil {
			return err
		}
		if err := v.backward(ctx, db); err != nil {
			return err
		}
	}
	for _, db := range v.to.id.usedDBs {
		if !v.to.covers(db) {
			v.out.Outside = append(v.out.Outside, DBCount{DB: db, Keep: v.to.id.keys[db]})
		}
	}
	return nil
}

// sameDBs refuses endpoints that name different dbs.
func sameDBs(m Move) error {
	if m.From == nil || m.To == nil {
		return errors.New("the move needs both From and To")
	}
	from, err := m.From.options()
	if err != nil {
		return fmt.Errorf("source: %w", err)
	}
	to, err := m.To.options()
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	if a, b := m.From.coverage(from), m.To.coverage(to); a != b {
		return fmt.Errorf("the source names %s but the target %s; keys keep their db number, so name the same dbs on both (DBs or AllDBs)", a, b)
	}
	return nil
}

// forward compares each selected key of the source.
func (v *verifier) forward(ctx context.Context, db int) error {
	return v.overKeys(ctx, v.from, db, 1, v.keys.has, func(keys []string) error { return v.compare(ctx, db, keys) })
}

// backward looks for keys of the target that should not be there.
func (v *verifier) backward(ctx context.Context, db int) error {
	all := func(string) bool { return true }
	return v.overKeys(ctx, v.to, db, 2, all, func(keys []string) error { return v.extras(ctx, db, keys) })
}

// overKeys walks one side and hands out batches of the wanted keys.
func (v *verifier) overKeys(ctx context.Context, side *session, db, pass int, wanted func(string) bool, work func([]string) error) error {
	return fanOut(ctx, v.opt.Workers, func(ctx context.Context, hand func([]string) error) error {
		report := func(scanned, done int64) {
			if v.opt.Progress != nil {
				v.opt.Progress(Progress{Job: "verify", DB: db, Pass: pass, Scanned: scanned, Total: side.id.keys[db], Done: done})
			}
		}
		return newWalker(side, v.opt.ScanCount).inBatches(ctx, db, v.opt.Batch, wanted, hand, report)
	}, work)
}

// compare compares keys of the source with the target. What is equal byte for byte when serialized is equal: DUMP writes the whole value,
// and its format's version, so equal payloads load as equal values. Anything else is looked at one by one.
func (v *verifier) compare(ctx context.Context, db int, keys []string) error {
	groups, err := v.from.weigh(ctx, db, keys, v.opt.BatchBytes)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		suspects := g.keys
		if g.bytes <= v.opt.BatchBytes { // a larger one is compared in pieces
			if suspects, err = v.unequal(ctx, db, g.keys); err != nil {
				return err
			}
		}
		v.count(func(o *Verification) { o.Compared += int64(len(g.keys) - len(suspects)) })
		for _, key := range suspects {
			if err := v.examine(ctx, db, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// unequal returns the keys that are not plainly equal on both sides.
func (v *verifier) unequal(ctx context.Context, db int, keys []string) ([]string, error) {
	var theirs []dumped
	var theirErr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		theirs, theirErr = v.to.dump(ctx, db, keys)
	}()
	ours, err := v.from.dump(ctx, db, keys)
	<-done
	if err = errors.Join(err, theirErr); err != nil {
		return nil, err
	}
	var suspects []string
	for i, key := range keys {
		a, b := ours[i], theirs[i]
		if a.gone || b.gone || a.payload != b.payload || !v.sameExpiry(a.expireAt, b.expireAt) {
			suspects = append(suspects, key)
		}
	}
	return suspects, nil
}

// sameExpiry compares two expiries, in Unix milliseconds; -1: none.
func (v *verifier) sameExpiry(a, b int64) bool {
	if a < 0 || b < 0 {
		return a < 0 && b < 0
	}
	return max(a, b)-min(a, b) <= v.opt.TTLTolerance.Milliseconds()
}

// extras reports those keys of the target that are not selected or not on the source.
func (v *verifier) extras(ctx context.Context, db int, keys []string) error {
	v.count(func(o *Verification) { o.Scanned += int64(len(keys)) })
	var selected []string
	for _, key := range keys {
		if v.keys.has(key) {
			selected = append(selected, key)
			continue
		}
		if err := v.confirmExtra(ctx, db, key, "not selected"); err != nil {
			return err
		}
	}
	if len(selected) == 0 {
		return nil
	}
	pipe := v.from.db(db).Pipeline()
	there := make([]*redis.IntCmd, len(selected))
	for i, key := range selected {
		there[i] = pipe.Exists(ctx, key)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return v.from.fail("EXISTS", err)
	}
	for i, key := range selected {
		if there[i].Val() == 0 {
			if err := v.confirmExtra(ctx, db, key, "not on the source"); err != nil {
				return err
			}
		}
	}
	return nil
}

// confirmExtra looks again: the key may have expired meanwhile.
func (v *verifier) confirmExtra(ctx context.Context, db int, key, why string) error {
	a, err := v.from.look(ctx, db, key)
	if err != nil {
		return err
	}
	b, err := v.to.look(ctx, db, key)
	if err != nil {
		return err
	}
	if b.kind == "none" || a.kind == "none" && v.expired(b.expireAt, a.now, b.now) {
		v.count(func(o *Verification) { o.Gone++ })
		return nil
	}
	if v.keys.has(key) && a.kind != "none" {
		return nil // it is there after all
	}
	v.report(Difference{Kind: Extra, DB: db, Key: key, Detail: why})
	return nil
}

// expired reports whether a key with this expiry may have expired by now by either server's clock.
func (v *verifier) expired(at int64, now ...int64) bool {
	for _, n := range now {
		if at >= 0 && at <= n+v.opt.TTLTolerance.Milliseconds() {
			return true
		}
	}
	return false
}

func (v *verifier) count(f func(*Verification)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f(&v.out)
}

// report counts a difference once, and lists it while there is room.
func (v *verifier) report(d Difference) {
	v.mu.Lock()
	defer v.mu.Unlock()
	id := maphash.String(v.seed, fmt.Sprint(d.Kind, d.DB, ":", d.Key))
	if _, again := v.seen[id]; again {
		return
	}
	if len(v.seen) < maxSeen {
		v.seen[id] = struct{}{}
	}
	v.out.Total++
	v.out.ByKind[d.Kind]++
	if len(v.out.Differences) < v.opt.MaxListed {
		v.out.Differences = append(v.out.Differences, Difference{d.Kind, d.DB, string([]byte(d.Key)), d.Detail})
	}
}

// union of two ascending lists, ascending.
func union(a, b []int) []int {
	var out []int
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0] < b[0]:
			out, a = append(out, a[0]), a[1:]
		case len(a) == 0 || b[0] < a[0]:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return out
}
