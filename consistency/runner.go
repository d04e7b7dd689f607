package consistency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// DefaultParallel is the number of checks that look at data at the same time when Runner.Parallel is zero.
const DefaultParallel = 4

// DefaultPerDatabase is the number of looks that are taken at the same time on one *sql.DB when Runner.PerDatabase is zero.
const DefaultPerDatabase = 2

// Runner runs checks, remembers what they found, and tells the notifiers. Its methods may be called concurrently as long as its fields are not changed. It must not be copied.
type Runner struct {
	// Checks are the checks to run. Required: a Runner without checks is an error, since it would never find anything.
	Checks []Check
	// Store remembers the state of each check between runs. Nil: the Runner's own memory, which ends with the process, so that a program that runs once tells
	// everything anew each time.
	Store Store
	// Notifiers are told the result of each check as soon as it is there, good results included: silence is not health.
	Notifiers []Notifier
	// DigestEvery is the time between two digests, for the notifiers that have a method Digest; it is remembered in Store. Zero: DefaultDigestEvery; less: never.
	DigestEvery time.Duration
	// Observers see what the Runner does, for metrics and pages.
	Observers []Observer
	// Lock lets one runner at a time work, over many processes. Nil: nobody else runs these checks, or twice the work does no harm.
	Lock Locker
	// Parallel limits how many checks look at data at the same time. A check that waits for its next look does not count. Zero: DefaultParallel.
	Parallel int
	// PerDatabase limits how many of these looks are on the same *sql.DB, for SQL checks and those that have a method Databases() []*sql.DB. Zero: DefaultPerDatabase.
	PerDatabase int
	// Secret makes the identities of rows whose key is masked (Meta.Mask) impossible to guess for those who can read the Store: with the salt that is stored there they could
	// else try all e-mail addresses they know. Keep it where the program's other secrets are. Changing it makes such rows look new once. Empty: the salt alone.
	Secret []byte
	// Logger takes what is of use to find out what happened: a line when a check begins, and for example the stack of one that panicked. Nil: slog.Default().
	Logger *slog.Logger

	once sync.Once
	mem  *memory
}

// Run runs every check once and returns when all have ended and the notifiers were told.
//
// What is wrong with the data, or with a check, is in the Summary and not in the error: a check that fails, panics or is cut off is Unknown there, and the
// others go on. The error is about the run itself:
//   - the configuration is wrong: all problems are listed, no check was run, the Summary is empty (its Outcome is Unknown);
//   - another runner holds the lock (errors.Is(err, ErrLocked), which is no failure), or it could not be asked for: no check was run;
//   - the Store failed: nothing is reported resolved, and a check that found nothing is Unknown;
//   - a notifier failed: the Summary is complete, and what was not delivered is delivered with the next run;
//   - ctx or the lock ended: the checks that had not finished are Unknown.
//
// What is known is saved and told even after ctx ended, for 10 s at most; a notifier that ignores its own context is left behind 10 s after that.
func (r *Runner) Run(ctx context.Context) (Summary, error) {
	metas, err := r.validate()
	if err != nil {
		return Summary{}, err
	}
	ctx, release, err := r.acquire(ctx)
	if err != nil {
		return Summary{}, err
	}
	defer release()
	started := time.Now()
	w, done := r.newRound(ctx, metas)
	defer done()
	results := make([]Result, len(r.Checks))
	var wg sync.WaitGroup
	for i := range r.Checks {
		wg.Go(func() { results[i] = w.check(ctx, i) })
	}
	wg.Wait()
	w.digest(started, nil)
	errs := w.errors()
	if ctx.Err() != nil {
		errs = append([]error{fmt.Errorf("consistency: the run was ended early: %w", context.Cause(ctx))}, errs...)
	}
	return Summary{Results: results, Started: started, Duration: time.Since(started)}, errors.Join(errs...)
}

// acquire takes the lock, if there is one.
func (r *Runner) acquire(ctx context.Context) (held context.Context, release func(), err error) {
	if r.Lock == nil {
		return ctx, func() {}, nil
	}
	held, release, err = r.Lock.Acquire(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("consistency: no check was run: %w", err)
	}
	return held, release, nil
}

func (r *Runner) logger() *slog.Logger {
	if r.Logger == nil {
		return slog.Default()
	}
	return r.Logger
}

func (r *Runner) parallel() int {
	if r.Parallel == 0 {
		return DefaultParallel
	}
	return r.Parallel
}

func (r *Runner) perDatabase() int {
	if r.PerDatabase == 0 {
		return DefaultPerDatabase
	}
	return r.PerDatabase
}
