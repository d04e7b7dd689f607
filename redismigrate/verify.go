package redismigrate

import (
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"sync"
	"time"
)

// VerifyOptions tune Verify. The zero value is what most want.
type VerifyOptions struct {
	// Sample chooses how many of the selected keys have type, value and expiry compared: 0 all of them, below 1 that fraction, from 1 on
	// about so many, chosen evenly and anew in each run. That every selected key is on the target, and nothing else is, is checked for all
	// keys in any case. A clean sample comes to SampleMatch, and to a bound on how many keys may differ all the same (Verification.Bound).
	Sample float64
	// TTLTolerance is by how much two expiries may differ. Default 50 ms.
	TTLTolerance time.Duration
	// MaxListed is how many differences are listed in Verification.Differences; all are counted. Default 1,000.
	MaxListed int
	// Differences, if set, is written every difference when it is found: one JSON object a line, as Difference.MarshalJSON has it. An error
	// of the writer ends the run. It is never called twice at the same time.
	Differences io.Writer
	// ScanCount is the COUNT given to SCAN. Default 5,000.
	ScanCount int
	// Batch is how many keys are compared in one round trip. Default 1,000.
	Batch int
	// BatchBytes is how many bytes of values, by MEMORY USAGE, one round trip may make each side send. Default 4 MiB. A larger single value
	// is compared in pieces.
	BatchBytes int64
	// Workers is how many batches are compared at the same time. Default 4.
	Workers int
	// Progress, if set, is told of each batch of keys. Pass 1 goes over the source, 2 over the target, and 3, which most runs do not need,
	// over both again. It is never called twice at the same time, and must be quick.
	Progress func(Progress)
}

// Verify compares both ways: each selected key of m.From must be on m.To, in the db that m.DBMap says, with equal type, value and expiry;
// and m.To must hold nothing else: a key there that is not selected, or not on the source, is extra. After a prune, that means exactly the
// kept keys. A key that is in two dbs of the source which go to one of the target is a collision.
//
// Values are compared by content, whatever their encoding, order of members or server version. Keys that expire on both sides meanwhile
// are no difference, and a difference must show in two looks. The verdict is Unknown when no key was compared, when a module's value could
// not be, or, with an error, when the run was not finished; differences found until then are listed. Nothing is written on either side.
func Verify(ctx context.Context, m Move, opt VerifyOptions) (*Verification, error) {
	start := time.Now()
	v := &verifier{opt: opt.withDefaults(), move: m, seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}, out: Verification{ByKind: map[Kind]int64{}}}
	err := v.run(ctx)
	v.out.Elapsed = time.Since(start)
	if err != nil {
		v.out.Reason = "not finished: " + err.Error()
		return &v.out, fmt.Errorf("redismigrate: verify: %w", err)
	}
	v.out.judge()
	return &v.out, nil
}

func (o VerifyOptions) withDefaults() VerifyOptions {
	o.TTLTolerance = orDefault(o.TTLTolerance, 50*time.Millisecond)
	o.MaxListed = orDefault(o.MaxListed, 1000)
	o.Batch = orDefault(o.Batch, 1000)
	o.BatchBytes = orDefault(o.BatchBytes, 4<<20)
	o.Workers = min(orDefault(o.Workers, 4), poolSize/2)
	return o
}

// verifier compares two sessions. Where a method takes one db, it is the source's; move says which of the target belongs to it.
type verifier struct {
	opt      VerifyOptions
	move     Move
	keys     *selection
	from, to *session
	seed     maphash.Seed
	share    float64 // of the keys whose values are compared

	mu   sync.Mutex // over what follows
	out  Verification
	seen map[uint64]struct{}
}

func (v *verifier) run(ctx context.Context) error {
	var err error
	if v.keys, err = v.move.Keys.compile(); err != nil {
		return err
	}
	if err := v.move.checkDBs(); err != nil {
		return err
	}
	if err := checkSample(v.opt.Sample); err != nil {
		return err
	}
	if v.from, err = openSession(ctx, "source", v.move.From, sessionOptions{noTouch: true}); err != nil {
		return err
	}
	defer v.from.close()
	if v.to, err = openSession(ctx, "target", v.move.To, sessionOptions{noTouch: true}); err != nil {
		return err
	}
	defer v.to.close()
	for _, id := range v.from.expected() {
		if slices.Contains(v.to.expected(), id) {
			return refuse("source %s and target %s are one server process (run_id %.8s); comparing it with itself proves nothing", v.from.addr, v.to.addr, id)
		}
	}
	targets := v.targetDBs()
	for _, s := range []*session{v.from, v.to} {
		if err := s.checkReach(targets); err != nil {
			return err
		}
		if _, err := s.absoluteExpiry(ctx); err != nil {
			return err
		}
	}
	if err := v.from.probeSizes(ctx); err != nil {
		return err
	}
	if err := v.chooseShare(ctx); err != nil {
		return err
	}
	for _, db := range targets {
		if err := v.intoDB(ctx, db, v.move.sourceDBs(v.from.dbs, db)); err != nil {
			return err
		}
	}
	for _, db := range v.to.id.usedDBs {
		if !slices.Contains(targets, db) {
			v.out.Outside = append(v.out.Outside, DBCount{DB: db, Keep: v.to.id.keys[db]})
		}
	}
	return nil
}

// targetDBs are the dbs of the target that are to be looked at: its own, and those that the source's keys go to.
func (v *verifier) targetDBs() []int {
	dbs := slices.Clone(v.to.dbs)
	for _, db := range v.from.dbs {
		dbs = append(dbs, v.move.targetDB(db))
	}
	slices.Sort(dbs)
	return slices.Compact(dbs)
}

// checkReach refuses dbs that a target cannot have: a cluster's client would look into its only one instead.
func (s *session) checkReach(targets []int) error {
	if s.cluster == nil || s.side != "target" {
		return nil
	}
	for _, db := range targets {
		if db != 0 {
			return fmt.Errorf("%s %s is a cluster, which has db 0 only, but keys of the source go to db %d; map each of the source's dbs to 0 (DBMap)", s.side, s.addr, db)
		}
	}
	return nil
}

// intoDB verifies one db of the target, against the dbs of the source whose keys go there.
func (v *verifier) intoDB(ctx context.Context, target int, sources []int) error {
	sums := newKeySums(v.seed)
	for _, db := range sources {
		if err := v.forward(ctx, db, sums); err != nil {
			return err
		}
	}
	if err := v.backward(ctx, target, sums); err != nil {
		return err
	}
	if sums.settled() {
		return nil
	}
	return v.settle(ctx, target, sources, sums)
}

// forward compares each selected key of a db of the source that the sample has. The others are only summed up.
func (v *verifier) forward(ctx context.Context, db int, sums *keySums) error {
	return v.overKeys(ctx, v.from, db, 1, func(key string) bool {
		if !v.keys.has(key) {
			return false
		}
		v.out.Selected++ // nobody else touches it
		if !v.sampled(key) {
			sums.add(key, 1)
			return false
		}
		return true
	}, func(keys []string) error { return v.compare(ctx, db, keys, sums) })
}

// overKeys walks one side and hands out batches of the wanted keys; wanted is called by one at a time.
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

// compare compares keys of the source with the target: first all of them by their serialized form, then the small ones of those that are
// not equal that way by what they contain, and what is still not equal one by one.
func (v *verifier) compare(ctx context.Context, db int, keys []string, sums *keySums) (err error) {
	a, b := v.from.lane(db), v.to.lane(v.move.targetDB(db))
	defer func() {
		v.from.giveBack(a, err == nil)
		v.to.giveBack(b, err == nil)
	}()
	groups, err := v.groups(ctx, a, keys)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		suspects := g.keys
		if g.bytes <= v.opt.BatchBytes { // a larger one is compared in pieces
			if suspects, err = v.unequalOn(ctx, a, b, g.keys, func(equal string) { sums.add(equal, 1) }); err != nil {
				return err
			}
		}
		v.count(func(o *Verification) { o.Compared += int64(len(g.keys) - len(suspects)) })
		for _, key := range suspects {
			there, err := v.examine(ctx, db, key)
			if err != nil {
				return err
			}
			if there {
				sums.add(key, 1)
			}
		}
	}
	return nil
}

// groups cuts keys into what one round trip fetches.
func (v *verifier) groups(ctx context.Context, a *lane, keys []string) ([]group, error) {
	if v.from.isBlind() {
		return v.from.weigh(ctx, a.db, keys, v.opt.BatchBytes)
	}
	sizes := make([]int64, len(keys))
	if err := a.sizes(ctx, keys, sizes); err != nil {
		return nil, err
	}
	return cutGroups(keys, v.opt.BatchBytes, func(i int) int64 { return max(sizes[i], 0) }), nil
}

// unequal returns the keys that are not plainly equal on both sides.
func (v *verifier) unequal(ctx context.Context, db int, keys []string) (suspects []string, err error) {
	a, b := v.from.lane(db), v.to.lane(v.move.targetDB(db))
	defer func() {
		v.from.giveBack(a, err == nil)
		v.to.giveBack(b, err == nil)
	}()
	return v.unequalOn(ctx, a, b, keys, func(string) {})
}

func (v *verifier) unequalOn(ctx context.Context, a, b *lane, keys []string, equal func(key string)) ([]string, error) {
	pairs, err := v.readPairs(ctx, a, b, keys)
	if err != nil {
		return nil, err
	}
	var suspects []string
	var unlike []pair
	for _, p := range pairs {
		sameTime := p.there() && v.sameExpiry(p.expiresA, p.expiresB)
		switch {
		case sameTime && p.equal:
			equal(p.key)
		case sameTime && p.small():
			unlike = append(unlike, p)
		default:
			suspects = append(suspects, p.key)
		}
	}
	if len(unlike) > 0 {
		if err := v.readContents(ctx, a, b, unlike); err != nil {
			return nil, err
		}
		for _, p := range unlike {
			if p.equal {
				equal(p.key)
			} else {
				suspects = append(suspects, p.key)
			}
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
