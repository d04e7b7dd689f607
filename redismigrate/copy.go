package redismigrate

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// CopyOptions tune Copy. The zero value is what most want.
type CopyOptions struct {
	// ScanCount is the COUNT given to SCAN. Default 1,000: longer calls hold up the workers' own reads.
	ScanCount int
	// Batch is how many keys one round trip copies at most. Default 500.
	Batch int
	// BatchBytes is how many bytes of values one round trip copies, by MEMORY USAGE on the source. Default 1 MiB. A larger single value
	// travels alone and is passed on as it arrives: it is never held whole. All workers together hold about Workers × BatchBytes for each
	// master.
	BatchBytes int64
	// BigKey is the size, by MEMORY USAGE on the source, from which a key is copied in pieces instead of by one DUMP, which would hold up
	// both servers and take each that much memory. Default 64 MiB. Where MEMORY USAGE is not allowed, every value goes by DUMP.
	BigKey int64
	// Workers is how many batches are copied at the same time, for each master of a cluster. Default 4.
	Workers int
	// MaxSkew is by how much the servers' clocks may differ. Default 5 s. Expiries are copied as points in time: on a target whose clock
	// is ahead, keys expire early, or are gone at once.
	MaxSkew time.Duration
	// MaxWait is how long Copy goes on trying when nothing succeeds any more because slots move, a server is loading, has become a
	// replica, or does not answer. Default 30 s. A server that was restarted is another one: the copy stops, and may be begun again.
	MaxWait time.Duration
	// Checkpoint, if set, remembers how far the copy is, about every second, so that a copy that was killed goes on from there when it is
	// called again with the same Move. See FileCheckpoint.
	Checkpoint Checkpoint
	// Throttle makes Copy slow down when the target suffers. The zero value does not.
	Throttle Throttle
	// Strategy is how values are moved: CopyKeys, the default, by DUMP and RESTORE through this program, or, where the target does not read
	// the source's payloads, by the commands of their types; or MigrateKeys: the source itself sends them (MIGRATE with COPY, so that it
	// keeps them). It answers nobody else meanwhile, must reach the target by itself, and hands on how long a key has left rather than when
	// it expires. It is refused where it cannot be used: managed services forbid it, either side is a cluster, the target wants TLS.
	Strategy Strategy
	// TargetFromSource is the host:port at which the source server reaches the target, for MigrateKeys. Default: the target's own address, as
	// it was given.
	TargetFromSource string
	// Progress, if set, is told of each batch that was scanned. It is never called twice at the same time, and must be quick.
	Progress func(Progress)

	savePause time.Duration // between two saves of the checkpoint; a second
}

func (o CopyOptions) withDefaults() CopyOptions {
	o.ScanCount = orDefault(o.ScanCount, 1000)
	o.Batch = orDefault(o.Batch, 500)
	o.BatchBytes = orDefault(o.BatchBytes, 1<<20)
	o.BigKey = orDefault(o.BigKey, 64<<20)
	o.Workers = min(orDefault(o.Workers, 4), maxWorkers)
	o.MaxSkew = orDefault(o.MaxSkew, 5*time.Second)
	o.MaxWait = orDefault(o.MaxWait, 30*time.Second)
	o.savePause = orDefault(o.savePause, time.Second)
	return o
}

const (
	maxExisting = 100 // bounds Result.Existing
	maxWorkers  = 32
)

// Copy copies the selected keys with DUMP and RESTORE, each to the db that m.DBMap names or else to the one of the same number, with its
// value, type and the point in time at which it expires. How long a key was idle, or how often it was used, goes along where the target
// evicts by it. Keys that the target has already are left as they are (RESTORE without REPLACE: on a live target they are newer) and
// counted, those that differ listed. So Copy may be run again after a stop; with a Checkpoint it goes on where it was. Nothing is written
// to the source. Either side may be a cluster.
//
// The keys are gone over once: keys that are added to the source meanwhile may be missed, and a key that is written meanwhile may arrive
// with its new value and its old expiry; Verify tells. Only when slots of a source cluster moved, they are gone over again.
//
// It refuses (ErrRefused), before anything is written: a target that is the source under any name, its master or a replica; clocks that
// are apart; a key that is in two dbs that go to one; a target whose memory will not do, or might be made to do by evicting keys; the
// checkpoint of another plan. While it runs it stops before the target's memory is full. A checkpoint that says the copy is finished
// is ErrFinished.
//
// When it is stopped midway, by its context or by an error, the Result says what was copied.
func Copy(ctx context.Context, m Move, opt CopyOptions) (Result, error) {
	start := time.Now()
	c := &copier{opt: opt.withDefaults(), move: m}
	err := c.run(ctx)
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
	move     Move
	keys     *selection
	from, to *session
	compare  *verifier
	offset   time.Duration // of the target's clock against ours
	prefix   string        // of all selected keys; "" when there is none
	access   string        // "IDLETIME" or "FREQ" when it is carried along
	absolute bool          // PEXPIRETIME may be used on the source
	room     *room         // the target's memory; nil where it has no limit
	saver    *saver        // nil without a checkpoint
	pace     *pacer
	idle     chan *carrier
	typed    *typedCopy // what copies by types, where the target does not read the source's payloads; else nil
	migrate  *migrator  // what has the source send the keys, where that was chosen; else nil

	mu     sync.Mutex // over what follows
	result Result
}

func (c *copier) run(ctx context.Context) (err error) {
	if c.keys, err = c.move.Keys.compile(); err != nil {
		return err
	}
	c.prefix = c.move.Keys.plainPrefix()
	if err := c.move.checkDBs(); err != nil {
		return err
	}
	if c.from, c.to, err = openPair(ctx, c.move.From, c.move.To, nil, true); err != nil {
		return err
	}
	defer c.from.close()
	defer c.to.close()
	if err := c.checkClocks(ctx); err != nil {
		return err
	}
	if err := c.checkTargetDBs(ctx); err != nil {
		return err
	}
	if c.absolute, err = c.from.absoluteExpiry(ctx); err != nil {
		return err
	}
	if _, err := c.to.absoluteExpiry(ctx); err != nil {
		return err
	}
	slots, err := c.from.slotMap(ctx)
	if err != nil {
		return err
	}
	if err := c.resume(ctx, slots); err != nil {
		return err
	}
	if err := c.checkCollisions(ctx); err != nil {
		return err
	}
	if err := c.checkRoom(ctx); err != nil {
		return err
	}
	if err := c.chooseStrategy(ctx); err != nil {
		return err
	}
	if err := c.chooseAccess(ctx); err != nil {
		return err
	}
	c.compare = &verifier{opt: VerifyOptions{}.withDefaults(), move: c.move, from: c.from, to: c.to}
	var calm func()
	c.pace, calm = startThrottle(ctx, c.opt.Throttle, c.to)
	defer calm()
	if err = c.passes(ctx, slots); err == nil {
		err = c.result.uncopied()
	}
	return c.saver.last(ctx, err)
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

// checkTargetDBs makes a target with fewer dbs show before anything is written.
func (c *copier) checkTargetDBs(ctx context.Context) error {
	for _, db := range c.from.dbs {
		to := c.move.targetDB(db)
		if c.to.cluster != nil && to != 0 {
			return refuse("the target %s is a cluster, which has db 0 only, but the keys of db %d go to db %d; map it to db 0 (Move.DBMap)", c.to.addr, db, to)
		}
		if err := c.to.keyless(to).Ping(ctx).Err(); err != nil {
			return c.to.fail(fmt.Sprintf("select db %d", to), err)
		}
		c.result.DBs = append(c.result.DBs, DBTally{DB: db})
	}
	return nil
}

// maxPasses bounds how often the keys are gone over because slots moved.
const maxPasses = 3

// passes goes over all keys, and again while slots of the source move: a key that moved may have been missed on both of its nodes.
func (c *copier) passes(ctx context.Context, slots slotMap) error {
	workers := min(c.opt.Workers*max(len(c.from.nodes), len(c.to.nodes)), maxWorkers)
	c.idle = make(chan *carrier, workers)
	for range workers {
		c.idle <- &carrier{copier: c}
	}
	for {
		c.result.Passes++
		for i := range c.result.DBs {
			err := c.copyDB(ctx, workers, &c.result.DBs[i])
			c.closePipes(workers)
			if err != nil {
				return err
			}
		}
		now, err := c.from.slotMap(ctx)
		switch {
		case err != nil:
			return err
		case now.settled && now.text == slots.text:
			return nil
		case c.result.Passes == maxPasses:
			return fmt.Errorf("source %s: its slots kept moving during %d passes, so keys may have been missed; let the resharding come to its end, then start again", c.from.addr, maxPasses)
		}
		if c.result.Passes == 1 {
			c.note("slots of the source moved during the copy, so its keys were gone over again; what the next pass found equal on the target is not counted twice")
		}
		slots = now
		c.saver.startOver(slots)
	}
}

// closePipes ends the workers' connections to the dbs that are done; all workers are idle.
func (c *copier) closePipes(workers int) {
	for range workers {
		w := <-c.idle
		w.close()
		c.idle <- w
	}
}

func (c *copier) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.result.Notes, text) {
		c.result.Notes = append(c.result.Notes, text)
	}
}
