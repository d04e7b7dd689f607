package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// SweepOptions tune Sweep. The zero value is sensible.
type SweepOptions struct {
	// MaxRate is how many keys a second are handed over at most. 0: as fast as it goes.
	MaxRate int64
	// Batch is how many keys are on their way at a time, and BatchBytes how much memory their values may take together. Commands on a key that is on its way take it
	// further themselves, so that a batch holds nobody up. Defaults 128, 8 MiB.
	Batch      int
	BatchBytes int64
	// MaxPasses is after how many passes over both stores it gives up when there is still something to hand over, because processes in the neighbouring state take keys back.
	// Default 20.
	MaxPasses int
	// Progress is called now and then.
	Progress func(Progress)
}

func (o SweepOptions) withDefaults() SweepOptions {
	o.Batch = orDefault(o.Batch, 128)
	o.BatchBytes = orDefault(o.BatchBytes, int64(8<<20))
	o.MaxPasses = orDefault(o.MaxPasses, 20)
	return o
}

// SweepResult says what a Sweep did, also when it returns an error.
type SweepResult struct {
	// Complete is true when a pass over both stores found nothing more to do.
	Complete bool          `json:"complete"`
	State    SplitState    `json:"state"`
	Passes   int           `json:"passes"`
	Moved    int64         `json:"moved"`   // keys that were handed over, those that do not exist among them
	Adopted  int64         `json:"adopted"` // keys of the new store that got their record
	Ghosts   int64         `json:"ghosts"`  // values that were left on a store that their key had gone from, and were deleted
	Elapsed  time.Duration `json:"elapsed_ns"`
	// Undecided are keys that could not be handed over, up to 100, with the reason; they are where they were.
	Undecided []UndecidedKey `json:"undecided,omitempty"`
}

// UndecidedKey is a key that keeps a split from going on, and why.
type UndecidedKey struct {
	Key   string `json:"key"`
	Store string `json:"store"` // "old" or "new": where it was found
	Why   string `json:"why"`
}

// Sweep hands over the keys that no command has brought along: in state home to the old store, in state away to the new one. It goes over both stores until a pass finds nothing
// more. It may be killed and called again at any time, and run beside commands of all processes.
func (s *Split) Sweep(ctx context.Context, opt SweepOptions) (SweepResult, error) {
	start := time.Now()
	w := &sweeper{s: s, opt: opt.withDefaults()}
	if w.opt.MaxRate > 0 {
		w.pace = newPacer(w.opt.MaxRate)
	}
	err := w.run(ctx)
	w.result.Elapsed = time.Since(start)
	if err != nil {
		err = fmt.Errorf("redismigrate: split %s: sweep: %w", s.id, err)
	}
	return w.result, err
}

type sweeper struct {
	s      *Split
	opt    SweepOptions
	pace   *pacer
	result SweepResult
	state  SplitState
	todo   int64 // found in the present pass
	stuck  int64 // of these, those that could not be handed over
	report Progress
}

func (w *sweeper) run(ctx context.Context) error {
	l, err := w.s.awaitState(ctx)
	if err != nil {
		return err
	}
	w.state, w.result.State = l.state, l.state
	if l.state.direct() {
		return fmt.Errorf("in state %s there is nothing to hand over; keys are on their way in home and away", l.state)
	}
	from, to := w.s.stores[l.state.toward().other()], w.s.stores[l.state.toward()]
	for w.result.Passes < w.opt.MaxPasses {
		w.result.Passes++
		w.todo, w.stuck = 0, 0
		w.result.Undecided = nil
		w.report = Progress{Job: "sweep", Pass: w.result.Passes}
		away, err := from.scan(ctx, func(ctx context.Context, names []string) error { return w.page(ctx, from, names, w.leave) })
		if err != nil {
			return err
		}
		home, err := to.scan(ctx, func(ctx context.Context, names []string) error { return w.page(ctx, to, names, w.look) })
		if err != nil {
			return err
		}
		if w.todo == 0 && w.stuck == 0 && !away && !home {
			w.result.Complete = true
			return nil
		}
		if n := w.stuck; n > 0 && n >= w.todo {
			return fmt.Errorf("%d keys could not be handed over and stay where they are, the first: %s: %s", n, clipped(w.result.Undecided[0].Key), w.result.Undecided[0].Why)
		}
	}
	return fmt.Errorf("after %d passes keys are still taken back by others: wait until every process is in state %s", w.result.Passes, w.state)
}

// page looks at a page of SCAN.
func (w *sweeper) page(ctx context.Context, st *splitStore, names []string, each func(context.Context, *splitStore, []found) error) error {
	l, err := w.s.awaitState(ctx)
	if err != nil {
		return err
	}
	if l.state != w.state {
		return fmt.Errorf("the state is %s now, it was %s: begin again", l.state, w.state)
	}
	list, err := w.s.looked(ctx, st, names, true)
	if err == nil && len(list) > 0 {
		err = each(ctx, st, list)
	}
	w.report.Scanned += int64(len(names))
	if w.opt.Progress != nil {
		w.report.Held = w.pace.held()
		w.opt.Progress(w.report)
	}
	return err
}

// leave hands over what is on the store that keys are to leave.
func (w *sweeper) leave(ctx context.Context, st *splitStore, list []found) error {
	var batch []string
	var bytes int64
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := w.handOver(ctx, st, batch)
		batch, bytes = batch[:0], 0
		return err
	}
	for _, f := range list {
		if f.recorded && f.standing == gone {
			if err := w.ghost(ctx, st, f); err != nil {
				return err
			}
			continue
		}
		if len(batch) > 0 && (len(batch) >= w.opt.Batch || bytes+f.bytes > w.opt.BatchBytes) {
			if err := flush(); err != nil {
				return err
			}
		}
		if !f.recorded || f.standing != leaving { // those are somebody's command's, or are helped along now: they do not ask for another pass
			w.todo++
		}
		batch, bytes = append(batch, f.key), bytes+f.bytes
	}
	return flush()
}

// look sees to what is on the store that keys are to be on.
func (w *sweeper) look(ctx context.Context, st *splitStore, list []found) error {
	var adopted []string
	for _, f := range list {
		switch {
		case f.recorded && f.standing == gone:
			if err := w.ghost(ctx, st, f); err != nil {
				return err
			}
		case f.recorded && f.standing == leaving: // somebody in the neighbouring state has begun to take it away, and ended
			w.todo++
			if err := w.alone(ctx, f.key, splitErrand{toward: st.side, sweep: true, from: st.side, next: ask[splitValue]{kind: askDepart, side: st.side, help: true}}); err != nil {
				return err
			}
		case !f.recorded && st.side == newSide: // created in the state new: the record that it is here comes with a hand-over of no value
			w.todo++
			w.result.Adopted++
			adopted = append(adopted, f.key)
		}
	}
	for batch := range slices.Chunk(adopted, w.opt.Batch) {
		if err := w.handOver(ctx, w.s.stores[oldSide], batch); err != nil {
			return err
		}
	}
	return nil
}

// scriptGhost deletes a value that was left on a store that its key has gone from. KEYS: record, key.
var scriptGhost = redis.NewScript(`
local r = redis.call('GET', KEYS[1])
if r and string.sub(r, 1, 1) == 'g' then return redis.call('UNLINK', KEYS[2]) end
return 0
`)

// ghost deletes what is there of a key that has gone: a late command has made it, whose sender was told that nobody knows.
func (w *sweeper) ghost(ctx context.Context, st *splitStore, f found) error {
	if !f.exists {
		return nil
	}
	n, err := scriptGhost.Run(ctx, st.client, []string{recordOf(f.key), f.key}).Int64()
	w.result.Ghosts += n
	return st.fail("delete what a late command has left", err)
}

// alone goes one errand.
func (w *sweeper) alone(ctx context.Context, key string, e splitErrand) error {
	ctx, cancel := context.WithTimeout(ctx, w.s.opt.CommandTimeout)
	defer cancel()
	out, err := w.s.errandOf(ctx, e, []string{key}, nil)
	if err == nil && out.failed {
		w.stuck++
	}
	if err == nil && out.failed && len(w.result.Undecided) < maxUndecided {
		w.result.Undecided = append(w.result.Undecided, UndecidedKey{Key: key, Store: sideNames[e.from], Why: out.why.Error()})
	}
	return err
}

const maxUndecided = 100

// handOver hands over a batch: all depart, all arrive, all are finished, in one round trip each. Whatever does not go so goes alone.
func (w *sweeper) handOver(ctx context.Context, from *splitStore, keys []string) error {
	if err := w.pace.wait(ctx, int64(len(keys))); err != nil {
		return err
	}
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, w.s.opt.CommandTimeout)
	defer cancel()
	to := w.s.stores[from.side.other()]
	values := make([]splitTold, len(keys))
	odd := map[int]bool{}
	err := batchOf(ctx, from, len(keys), func(p redis.Pipeliner, i int) *redis.Cmd {
		return scriptDepart.anyway.EvalSha(ctx, p, []string{recordOf(keys[i]), keys[i]}, from.side.recordMark(), "")
	}, func(i int, reply []any) (err error) {
		values[i], err = departed(reply)
		return err
	}, scriptDepart.anyway, odd)
	if err != nil {
		return from.fail("hand over keys", err)
	}
	going := make([]int, 0, len(keys))
	for i, v := range values {
		if !odd[i] && v.standing == leaving {
			going = append(going, i)
		}
	}
	oddTo := map[int]bool{}
	err = batchOf(ctx, to, len(going), func(p redis.Pipeliner, j int) *redis.Cmd {
		k, v := keys[going[j]], values[going[j]].over
		return scriptArrive.EvalSha(ctx, p, []string{recordOf(k), k}, to.side.recordMark(), v.seq, v.value.at, v.value.payload)
	}, func(j int, reply []any) error {
		t, err := noted(reply, values[going[j]].over.seq)
		oddTo[j] = t.refused
		return err
	}, scriptArrive, oddTo)
	if err != nil {
		return to.fail("take keys over", err)
	}
	arrived := make([]int, 0, len(going))
	for j, i := range going {
		if oddTo[j] {
			odd[i] = true
		} else {
			arrived = append(arrived, i)
		}
	}
	oddBack := map[int]bool{}
	err = batchOf(ctx, from, len(arrived), func(p redis.Pipeliner, j int) *redis.Cmd {
		k := keys[arrived[j]]
		return scriptFinish.anyway.EvalSha(ctx, p, []string{recordOf(k), k}, from.side.recordMark(), values[arrived[j]].over.seq)
	}, nil, scriptFinish.anyway, oddBack)
	if err != nil {
		return from.fail("finish the hand-over of keys", err)
	}
	for j, i := range arrived {
		odd[i] = odd[i] || oddBack[j]
	}
	done := int64(len(arrived) - len(oddBack))
	w.s.count.moved[to.side].Add(done)
	w.result.Moved += done
	w.report.Done += done
	for i := range keys {
		if odd[i] {
			before := w.s.count.moved[to.side].Load()
			if err := w.alone(whole, keys[i], newSweep[splitValue](to.side)); err != nil {
				return err
			}
			if w.s.count.moved[to.side].Load() > before {
				w.result.Moved++
			}
		}
	}
	return nil
}

// batchOf sends one script for each of n keys in one round trip. Those that the server answers with an error are odd; an error is that it did not answer.
func batchOf(ctx context.Context, st *splitStore, n int, send func(p redis.Pipeliner, i int) *redis.Cmd, read func(i int, reply []any) error, script *redis.Script, odd map[int]bool) error {
	if n == 0 {
		return nil
	}
	for try := range 2 {
		cmds := make([]*redis.Cmd, n)
		pipe := st.client.Pipeline()
		for i := range n {
			cmds[i] = send(pipe, i)
		}
		_, _ = pipe.Exec(ctx) // each is looked at
		unknown := false
		for _, cmd := range cmds {
			unknown = unknown || cmd.Err() != nil && redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT")
		}
		if unknown && try == 0 { // each step may be done twice
			if err := loadScript(ctx, st, script); err == nil || !notCompiled(err) {
				if err != nil {
					return err
				}
				continue
			}
		}
		for i, cmd := range cmds {
			switch err := cmd.Err(); {
			case err != nil && isServerError(err):
				odd[i] = true
			case err != nil:
				return err
			case read != nil:
				reply, err := cmd.Slice()
				if err == nil {
					err = read(i, reply)
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	}
	return errors.New("the server forgets scripts as soon as they are loaded")
}

// loadScript loads a script on each master.
func loadScript(ctx context.Context, st *splitStore, script *redis.Script) error {
	list, err := st.masters(ctx)
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := script.Load(ctx, c).Err(); err != nil {
			return err
		}
	}
	return nil
}
