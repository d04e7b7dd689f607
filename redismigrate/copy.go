package redismigrate

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// CopyOptions tune Copy. The zero value is what most want.
type CopyOptions struct {
	// ScanCount is the COUNT given to SCAN. Default 5,000.
	ScanCount int
	// Batch is how many keys one round trip copies at most. Default 500.
	Batch int
	// BatchBytes is how many bytes of values, by MEMORY USAGE on the source, one round trip copies. Default 4 MiB. Larger single values
	// travel alone. All workers together hold at most Workers × BatchBytes, or the one value that is larger than that.
	BatchBytes int64
	// Workers is how many batches are copied at the same time. Default 4.
	Workers int
	// MaxSkew is by how much the servers' clocks may differ. Default 5 s. Expiries are copied as points in time: on a target whose clock
	// is ahead, keys expire early, or are gone at once.
	MaxSkew time.Duration
	// Progress, if set, is told of each batch that was scanned. It is never called twice at the same time, and must be quick.
	Progress func(Progress)
}

func (o CopyOptions) withDefaults() CopyOptions {
	o.Batch = orDefault(o.Batch, 500)
	o.BatchBytes = orDefault(o.BatchBytes, 4<<20)
	o.Workers = min(orDefault(o.Workers, 4), poolSize/2)
	o.MaxSkew = orDefault(o.MaxSkew, 5*time.Second)
	return o
}

// maxExisting bounds Result.Existing.
const maxExisting = 100

// Copy copies the selected keys with DUMP and RESTORE, each to the db of the same number, with its value, type and the point in time at
// which it expires. Keys that the target has already are left as they are (RESTORE without REPLACE: on a live target they are newer) and
// counted, those that differ listed. So Copy may be run again after a stop. Nothing is written to the source.
//
// The keys are gone over once: keys that are added to the source meanwhile may be missed, and a key that is written meanwhile may get its
// old value with its new expiry; Verify tells. It refuses (ErrRefused) a target that is the source under any name, its master or a replica.
//
// When it is stopped midway, by its context or by an error, the Result says what was copied.
func Copy(ctx context.Context, m Move, opt CopyOptions) (Result, error) {
	start := time.Now()
	c := &copier{opt: opt.withDefaults()}
	err := c.run(ctx, m)
	c.result.Elapsed = time.Since(start)
	c.result.sum()
	if err != nil {
		return c.result, fmt.Errorf("redismigrate: copy: %w", err)
	}
	c.result.Complete = true
	return c.result, nil
}

type copier struct {
	opt      CopyOptions
	from, to *session
	compare  *verifier
	memory   *budget
	offset   time.Duration // of the target's clock against ours

	mu     sync.Mutex // over what follows
	result Result
}

func (c *copier) run(ctx context.Context, m Move) error {
	sel, err := m.Keys.compile()
	if err != nil {
		return err
	}
	if err := sameDBs(m); err != nil {
		return err
	}
	if c.from, c.to, err = openPair(ctx, m.From, m.To, "", true); err != nil {
		return err
	}
	defer c.from.close()
	defer c.to.close()
	if err := c.checkClocks(ctx); err != nil {
		return err
	}
	for _, db := range c.from.dbs { // a target with fewer dbs shows before anything is written
		if err := c.to.db(db).Ping(ctx).Err(); err != nil {
			return c.to.fail(fmt.Sprintf("select db %d", db), err)
		}
		c.result.DBs = append(c.result.DBs, DBTally{DB: db})
	}
	if _, err := c.to.absoluteExpiry(ctx); err != nil {
		return err
	}
	c.compare = &verifier{opt: VerifyOptions{}.withDefaults(), from: c.from, to: c.to}
	c.memory = newBudget(int64(c.opt.Workers) * c.opt.BatchBytes)
	c.result.Passes = 1
	for i := range c.result.DBs {
		if err := c.copyDB(ctx, sel, &c.result.DBs[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkClocks refuses servers whose clocks are apart.
func (c *copier) checkClocks(ctx context.Context) error {
	source, target, within, err := clocks(ctx, c.from, c.to)
	if err != nil {
		return err
	}
	c.offset = time.Until(target)
	skew := target.Sub(source)
	return judgeSkew(skew, within, c.opt.MaxSkew, c.to.addr)
}

func judgeSkew(skew, within, limit time.Duration, addr string) error {
	if skew.Abs()-within <= limit {
		return nil
	}
	word := "ahead of"
	if skew < 0 {
		word = "behind"
	}
	return refuse("the clock of the target %s is %s %s the source's, more than %s: every expiry would be off by that much; set the clocks right (NTP), or raise MaxSkew", addr, skew.Abs().Round(time.Millisecond), word, limit)
}

func (c *copier) copyDB(ctx context.Context, sel *selection, tally *DBTally) error {
	return fanOut(ctx, c.opt.Workers, func(ctx context.Context, hand func([]string) error) error {
		report := func(scanned, done int64) {
			if c.opt.Progress != nil {
				c.opt.Progress(Progress{Job: "copy", DB: tally.DB, Pass: 1, Scanned: scanned, Total: c.from.id.keys[tally.DB], Done: done})
			}
		}
		return newWalker(c.from, c.opt.ScanCount).inBatches(ctx, tally.DB, c.opt.Batch, sel.has, hand, report)
	}, func(keys []string) error { return c.copyBatch(ctx, tally, keys) })
}

func (c *copier) copyBatch(ctx context.Context, tally *DBTally, keys []string) error {
	groups, err := c.from.weigh(ctx, tally.DB, keys, c.opt.BatchBytes)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		free := c.memory.take(g.bytes)
		err := c.copyGroup(ctx, tally, g)
		free()
		if err != nil {
			return err
		}
	}
	return nil
}

// copyGroup copies keys in one round trip on each side.
func (c *copier) copyGroup(ctx context.Context, tally *DBTally, g group) error {
	values, err := c.from.dump(ctx, tally.DB, g.keys)
	if err != nil {
		return err
	}
	// Not interrupted by ctx: what was sent is waited for, shortly, so that it can be counted (session.cutConnections bounds it).
	ctx2 := context.WithoutCancel(ctx)
	pipe := c.to.db(tally.DB).Pipeline()
	now := time.Now().Add(c.offset).UnixMilli()
	answers := make([]*redis.Cmd, len(g.keys))
	var done Tally
	for i, key := range g.keys {
		v := &values[i]
		if v.gone || v.expireAt >= 0 && v.expireAt <= now { // RESTORE would answer OK and create nothing
			done.Gone++
			continue
		}
		answers[i] = pipe.Do(ctx2, "RESTORE", key, max(v.expireAt, 0), v.payload, "ABSTTL") // 0: no expiry
		v.payload = ""                                                                      // held by the pipeline only
	}
	if _, err := pipe.Exec(ctx2); err != nil && !isServerError(err) {
		c.addCarriedOut(tally, done, answers)
		return c.to.fail(fmt.Sprintf("RESTORE %d keys of db %d", len(g.keys), tally.DB), err)
	}
	var failed error
	var busy []string
	for i, answer := range answers {
		if answer == nil {
			continue
		}
		switch err := answer.Err(); {
		case err == nil:
			done.Copied++
		case strings.HasPrefix(err.Error(), "BUSYKEY"):
			done.Exists++
			busy = append(busy, g.keys[i])
		case failed == nil:
			failed = c.restoreError(tally.DB, g.keys[i], err)
		}
	}
	existing, differs, err := c.existing(ctx, tally.DB, busy, g.bytes)
	done.Differs = differs
	c.mu.Lock()
	defer c.mu.Unlock()
	tally.add(done)
	if room := maxExisting - len(c.result.Existing); len(existing) > room {
		existing = existing[:max(room, 0)]
	}
	c.result.Existing = append(c.result.Existing, existing...)
	if failed != nil {
		return failed
	}
	return err
}

// addCarriedOut counts what was answered before a connection broke.
func (c *copier) addCarriedOut(tally *DBTally, done Tally, answers []*redis.Cmd) {
	for _, answer := range answers {
		if answer != nil && answer.Err() == nil && answer.Val() != nil {
			done.Copied++
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	tally.add(done)
}

// existing tells which of the keys that the target had already differ from the source's.
func (c *copier) existing(ctx context.Context, db int, keys []string, bytes int64) (listed []Difference, differs int64, err error) {
	if len(keys) == 0 {
		return nil, 0, nil
	}
	if bytes <= c.opt.BatchBytes {
		if keys, err = c.compare.unequal(ctx, db, keys); err != nil {
			return nil, 0, err
		}
	}
	for _, key := range keys {
		found, outcome, err := c.compare.lookTwice(ctx, db, key)
		if err != nil {
			return nil, 0, err
		}
		if outcome == keyOpaque {
			found = append(found, Difference{Kind: ValueDiff, DB: db, Key: key, Detail: "a module's type, serialized differently"})
		}
		if len(found) > 0 {
			differs++
			found[0].Key = strings.Clone(key)
			listed = append(listed, found[0])
		}
	}
	return listed, differs, nil
}

// restoreError says what a refused RESTORE means.
func (c *copier) restoreError(db int, key string, err error) error {
	text := err.Error()
	if strings.Contains(text, "DUMP payload version or checksum are wrong") {
		return fmt.Errorf("target %s (version %s): RESTORE of key %q in db %d: %w: the source (version %s) writes a newer format than the target reads; upgrade the target to at least the source's version, or restore a snapshot made by a server of the target's version",
			c.to.addr, c.to.id.version, key, db, err, c.from.id.version)
	}
	return c.to.fail(fmt.Sprintf("RESTORE of key %q in db %d", key, db), err)
}

// budget bounds the bytes that are held at the same time.
type budget struct {
	mu          sync.Mutex
	freed       *sync.Cond
	total, free int64
}

func newBudget(total int64) *budget {
	b := &budget{total: total, free: total}
	b.freed = sync.NewCond(&b.mu)
	return b
}

// take waits until n bytes are free, all of them if n is more than there are, and returns the function that gives them back. It needs no
// context: those who hold bytes are bound by theirs.
func (b *budget) take(n int64) (free func()) {
	n = max(0, min(n, b.total))
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.free < n {
		b.freed.Wait()
	}
	b.free -= n
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.free += n
		b.freed.Broadcast()
	}
}
