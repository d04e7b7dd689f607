package consistency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"
)

// maxConflicts is how often a run starts over because another runner saved in between.
const maxConflicts = 30

// giveWay waits after the nth conflict for a moment that differs from writer to writer, so that none of them is always the one that loses.
func (w *round) giveWay(n int) {
	_ = sleep(w.later, rand.N(time.Duration(n+1)*5*time.Millisecond))
}

// maxProblems is how many errors beside the checks are kept; all are logged.
const maxProblems = 20

// round is what the checks of one Run, or of one Loop, share.
type round struct {
	runner *Runner
	metas  []Meta
	posts  []*post
	names  []string // of the notifiers
	store  Store
	admit  *admission
	log    *slog.Logger
	// later outlives the run's context, for saving and telling.
	later context.Context
	mem   *memory

	mu       sync.Mutex
	problems []error
}

// memory is what a Runner keeps between runs in the process.
type memory struct {
	mu    sync.Mutex
	store *MemoryStore
	lines map[string]*line // by notifier
	// states are the latest known, for telling people that the store failed.
	states map[string]State
	// found are violations whose keys are masked in the State, by check and identity. They are nowhere else.
	found map[string]map[string]Violation
	// storeTold is when people were told that the store fails for the check.
	storeTold map[string]time.Time
}

func (r *Runner) memory() *memory {
	r.once.Do(func() {
		r.mem = &memory{store: &MemoryStore{}, lines: map[string]*line{}, states: map[string]State{}, found: map[string]map[string]Violation{}, storeTold: map[string]time.Time{}}
	})
	return r.mem
}

func (r *Runner) newRound(ctx context.Context, metas []Meta) (w *round, done func()) {
	mem := r.memory()
	w = &round{runner: r, metas: metas, store: r.Store, log: r.logger(), mem: mem, names: notifierNames(r.Notifiers), admit: newAdmission(r.Checks, r.parallel(), r.perDatabase())}
	if w.store == nil {
		w.store = mem.store
	}
	mem.mu.Lock()
	for i, name := range w.names {
		if mem.lines[name] == nil {
			mem.lines[name] = newLine()
		}
		w.posts = append(w.posts, &post{name: name, notifier: r.Notifiers[i], line: mem.lines[name]})
	}
	mem.mu.Unlock()
	w.later, done = afterwards(ctx)
	return w, done
}

// errors are what went wrong beside the checks.
func (w *round) errors() []error {
	w.mu.Lock()
	defer w.mu.Unlock()
	errs := w.problems
	for _, p := range w.posts {
		if err := p.problem(); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// check runs one check: look, advance its state, save that, tell. Whenever the process is killed, what is saved says what was not told yet.
func (w *round) check(ctx context.Context, i int) Result {
	check, meta := w.runner.Checks[i], w.metas[i]
	w.log.InfoContext(ctx, "consistency: the check begins", "check", meta.Name)
	started := time.Now()
	w.observe(func(o Observer) { o.CheckStarted(meta, started) })
	s, loadErr := w.load(meta)
	c := &confirmer{
		check: check, meta: meta, retry: meta.retry(), admit: w.admit.of(check), log: w.log, tracked: s.tracked(w.foundBefore(meta.Name)), identity: s.identify(w.runner.Secret),
	}
	found := c.run(ctx)
	if loadErr != nil { // it may have come back meanwhile
		s, loadErr = w.load(meta)
	}
	if loadErr != nil {
		return w.storeFailed(meta, found, loadErr)
	}
	acks := w.acks(w.later, s)
	for n := 0; ; n++ {
		r := found
		r.Violations = s.published(found.Violations, meta.Mask, w.runner.Secret)
		next, e := Advance(s, r, acks, time.Now())
		version, err := w.save(meta.Name, next)
		if errors.Is(err, ErrConflict) && n < maxConflicts {
			w.giveWay(n)
			if s, err = w.load(meta); err == nil {
				continue
			}
		}
		if err != nil {
			return w.storeFailed(meta, found, err)
		}
		next.Version = version
		w.remember(meta, found.Violations, next)
		w.observe(func(o Observer) { o.CheckFinished(e, next) })
		w.tell(&record{round: w, state: next}, e)
		return r
	}
}

func (w *round) load(meta Meta) (State, error) {
	s, err := w.loadAny(meta.Name)
	if err != nil {
		return State{}, err
	}
	return s.prepare(meta.Mask, w.runner.Secret).enroll(w.names), nil
}

func (w *round) save(check string, s State) (int64, error) {
	ctx, cancel := context.WithTimeout(w.later, storeTimeout)
	defer cancel()
	return guardedCall(ctx, func(ctx context.Context) (int64, error) { return w.store.Save(ctx, check, s) })
}

// storeFailed tells that what is known of the check could not be read or kept. The state stays as it was, and nothing is reported resolved.
func (w *round) storeFailed(meta Meta, found Result, err error) Result {
	w.mem.mu.Lock()
	s := w.mem.states[meta.Name]
	told := w.mem.storeTold[meta.Name]
	due := told.IsZero() || time.Since(told) >= meta.remind()
	if due {
		w.mem.storeTold[meta.Name] = time.Now()
	}
	w.mem.mu.Unlock()
	r := found
	r.Violations = s.published(found.Violations, meta.Mask, w.runner.Secret)
	was := ""
	if r.Outcome == Consistent {
		r.Outcome = Unknown
		was = "the looks found nothing wrong, but "
	}
	r.because(was + "the store failed, so that nobody knows what was wrong before: " + oneLine(err))
	r.Err = errors.Join(r.Err, err)
	w.problem("consistency: the store failed", meta.Name, err)
	e := Event{Result: r, Rows: s.eventRows(s.LastRun), Oldest: s.Oldest(), Since: s.Since, Muted: s.muted(), Incident: s.eventIncident(false)}
	if due {
		e.Kind = EventUnknown
	}
	w.observe(func(o Observer) { o.CheckFinished(e, s) })
	w.tell(nil, e)
	return r
}

// remember keeps in the process what the store may not hold or may not give back.
func (w *round) remember(meta Meta, found []Violation, s State) {
	w.mem.mu.Lock()
	defer w.mem.mu.Unlock()
	delete(w.mem.storeTold, meta.Name)
	w.mem.states[meta.Name] = s
	if s.Salt == nil {
		return
	}
	identity := s.identify(w.runner.Secret)
	byID := make(map[string]Violation, len(found))
	for _, v := range found {
		byID[identity(v)] = v
	}
	kept := make(map[string]Violation, len(s.Rows))
	for _, row := range s.Rows {
		if v, ok := byID[row.ID()]; ok {
			kept[row.ID()] = Violation{Key: v.Key, Row: v.Row}
		} else if v, ok := w.mem.found[meta.Name][row.ID()]; ok {
			kept[row.ID()] = Violation{Key: v.Key} // what it looks like is of no use any more
		}
	}
	w.mem.found[meta.Name] = kept
}

// problem logs what went wrong beside the checks, and keeps the first of it for the error of Run.
func (w *round) problem(what, check string, err error) {
	w.log.Error(what, "check", check, "error", err)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.problems) < maxProblems {
		w.problems = append(w.problems, err)
	}
}

func (w *round) foundBefore(check string) map[string]Violation {
	w.mem.mu.Lock()
	defer w.mem.mu.Unlock()
	return w.mem.found[check] // replaced as a whole, never changed
}

func (w *round) observe(f func(Observer)) {
	for _, o := range w.runner.Observers {
		func() {
			defer func() {
				if p := recover(); p != nil {
					w.log.Error("consistency: an observer panicked", "observer", fmt.Sprintf("%T", o), "panic", fmt.Sprint(p))
				}
			}()
			f(o)
		}()
	}
}

// record is the saved state of one check while the notifiers are told.
type record struct {
	*round
	mu    sync.Mutex
	state State
}

// tell tells every notifier, side by side, and saves what each returned. rec is nil where nothing can be saved.
func (w *round) tell(rec *record, e Event) {
	events := make([]Event, len(w.posts))
	for i, p := range w.posts {
		if rec != nil {
			events[i] = rec.state.eventFor(p.name, e)
			continue
		}
		events[i] = e
		w.mem.mu.Lock()
		events[i].Previous = w.mem.states[e.Check.Name].Deliveries[p.name].Receipt
		w.mem.mu.Unlock()
	}
	var wg sync.WaitGroup
	for i, p := range w.posts {
		own := events[i]
		wg.Go(func() {
			receipt, err := call(w.later, p.line, func(ctx context.Context) (Receipt, error) { return p.notifier.Notify(ctx, own) })
			if err != nil {
				p.failed(w.log, e.Check.Name, err)
				return
			}
			if rec == nil {
				return
			}
			if err := rec.delivered(p.name, own, receipt); err != nil {
				w.problem("consistency: what was told could not be saved, so it will be told again", e.Check.Name, err)
			}
		})
	}
	wg.Wait()
}

// delivered saves that the notifier was told.
func (rec *record) delivered(name string, e Event, receipt Receipt) error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	check := e.Check.Name
	for n := 0; ; n++ {
		next := rec.state.delivered(name, e, receipt)
		if reflect.DeepEqual(next.Deliveries[name], rec.state.Deliveries[name]) {
			return nil
		}
		version, err := rec.save(check, next)
		if err == nil {
			next.Version = version
			rec.state = next
			rec.mem.mu.Lock()
			rec.mem.states[check] = next
			rec.mem.mu.Unlock()
			return nil
		}
		if !errors.Is(err, ErrConflict) || n >= maxConflicts {
			return err
		}
		rec.giveWay(n)
		if rec.state, err = rec.load(e.Check); err != nil {
			return err
		}
	}
}
