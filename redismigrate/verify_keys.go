package redismigrate

import (
	"context"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
)

// sumBuckets is how many parts the keys are summed up in.
const sumBuckets = 1 << 12

// keySums tells whether two stores hold the same keys, in constant memory: each key of the source adds its hash to one of many sums, each
// of the target takes its hash away. Where a sum and its count come to zero, both hold the same keys (but for a chance of less than one in
// 10^15, and the hash has a secret seed); only the keys of other buckets have to be asked for one by one. SCAN may show a key twice, which
// makes a bucket differ too, and costs no more than that.
type keySums struct {
	seed maphash.Seed
	mu   sync.Mutex
	at   [sumBuckets]struct {
		sum   uint64
		count int64
	}
}

func newKeySums(seed maphash.Seed) *keySums { return &keySums{seed: seed} }

// add counts a key: n is 1 for the source, -1 for the target.
func (s *keySums) add(key string, n int64) {
	hash := maphash.String(s.seed, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.at[hash%sumBuckets]
	b.sum += hash * uint64(n)
	b.count += n
}

// differs reports whether the key is in a bucket whose keys have to be asked for.
func (s *keySums) differs(key string) bool {
	b := &s.at[maphash.String(s.seed, key)%sumBuckets]
	return b.sum != 0 || b.count != 0
}

func (s *keySums) settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.at {
		if b.sum != 0 || b.count != 0 {
			return false
		}
	}
	return true
}

// backward goes over all keys of a db of the target: those that are selected are summed up, the others are extra.
func (v *verifier) backward(ctx context.Context, target int, sums *keySums) error {
	return v.overKeys(ctx, v.to, target, 2, func(key string) bool {
		v.count(func(o *Verification) { o.Scanned++ })
		if !v.keys.has(key) {
			return true
		}
		sums.add(key, -1)
		return false
	}, func(keys []string) error {
		there, err := v.to.exist(ctx, target, keys) // it may have expired meanwhile
		if err != nil {
			return err
		}
		for i, key := range keys {
			if there[i] == 0 {
				v.count(func(o *Verification) { o.Gone++ })
			} else if err := v.report(Difference{Kind: Extra, DB: target, Key: key, Detail: "not selected"}); err != nil {
				return err
			}
		}
		return nil
	})
}

// settle asks, in both directions, for the keys of the buckets that did not come to zero.
func (v *verifier) settle(ctx context.Context, target int, sources []int, sums *keySums) error {
	err := v.overKeys(ctx, v.to, target, 3, func(key string) bool { return v.keys.has(key) && sums.differs(key) },
		func(keys []string) error { return v.extras(ctx, target, sources, keys) })
	if err != nil || v.share == 1 {
		return err // what is compared was seen on the target
	}
	for _, db := range sources {
		err := v.overKeys(ctx, v.from, db, 3, func(key string) bool { return v.keys.has(key) && !v.sampled(key) && sums.differs(key) },
			func(keys []string) error { return v.absent(ctx, db, keys) })
		if err != nil {
			return err
		}
	}
	return nil
}

// extras reports those selected keys of the target that are not on the source, and those that are in several of its dbs.
func (v *verifier) extras(ctx context.Context, target int, sources []int, keys []string) error {
	found := make([][]int, len(keys)) // the dbs of the source that have the key
	for _, db := range sources {
		there, err := v.from.exist(ctx, db, keys)
		if err != nil {
			return err
		}
		for i := range keys {
			if there[i] > 0 {
				found[i] = append(found[i], db)
			}
		}
	}
	for i, key := range keys {
		var err error
		switch {
		case len(found[i]) == 0:
			err = v.confirmExtra(ctx, target, sources, key)
		case len(found[i]) > 1:
			err = v.report(Difference{Kind: Collision, DB: target, Key: key, Detail: "on the source in dbs " + joinInts(found[i]) + ", which go to one"})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// absent examines those keys of a db of the source that are not on the target.
func (v *verifier) absent(ctx context.Context, db int, keys []string) error {
	there, err := v.to.exist(ctx, v.move.targetDB(db), keys)
	if err != nil {
		return err
	}
	for i, key := range keys {
		if there[i] == 0 {
			if _, err := v.examine(ctx, db, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// confirmExtra looks again: the key may have expired or come meanwhile.
func (v *verifier) confirmExtra(ctx context.Context, target int, sources []int, key string) error {
	b, err := v.to.look(ctx, target, key)
	if err != nil {
		return err
	}
	now := []int64{b.now}
	for _, db := range sources {
		a, err := v.from.look(ctx, db, key)
		if err != nil {
			return err
		}
		if a.kind != "none" {
			return nil // it is there after all
		}
		now = append(now, a.now)
	}
	if b.kind == "none" || v.expired(b.expireAt, now...) {
		v.count(func(o *Verification) { o.Gone++ })
		return nil
	}
	return v.report(Difference{Kind: Extra, DB: target, Key: key, Detail: "not on the source"})
}

// exist asks for each key whether it is there: 1 or 0.
func (s *session) exist(ctx context.Context, db int, keys []string) (there []int64, err error) {
	l := s.lane(db)
	defer func() { s.giveBack(l, err == nil) }()
	if err := l.queue(ctx, keys, func(to []string, key string) []string { return append(to, "EXISTS", key) }); err != nil {
		return nil, err
	}
	if err := l.send(); err != nil {
		return nil, err
	}
	there = make([]int64, len(keys))
	if err := l.numbers(keys, "EXISTS", there); err != nil {
		return nil, err
	}
	for i, key := range keys {
		if there[i] == noNumber { // its slot has moved: the client that follows slots asks again
			if there[i], err = s.db(db).Exists(ctx, key).Result(); err != nil {
				return nil, s.fail("EXISTS", err)
			}
		}
	}
	return there, nil
}

// maxSeen bounds the memory for telling a difference that SCAN shows twice from two.
const maxSeen = 1 << 18

// report counts a difference once, writes it, and lists it while there is room.
func (v *verifier) report(d Difference) error {
	d.Key = strings.Clone(d.Key)
	v.mu.Lock()
	defer v.mu.Unlock()
	id := maphash.String(v.seed, fmt.Sprint(d.Kind, d.DB, ":", d.Key))
	if _, again := v.seen[id]; again {
		return nil
	}
	if len(v.seen) < maxSeen {
		v.seen[id] = struct{}{}
	}
	v.out.Total++
	v.out.ByKind[d.Kind]++
	if len(v.out.Differences) < v.opt.MaxListed {
		v.out.Differences = append(v.out.Differences, d)
	}
	if v.opt.Differences == nil {
		return nil
	}
	line, err := d.MarshalJSON()
	if err == nil {
		_, err = v.opt.Differences.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write a difference to VerifyOptions.Differences: %w", err)
	}
	return nil
}
