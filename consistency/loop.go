package consistency

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// lockRetry is how often a Loop that waits for its turn asks for the lock.
	lockRetry = 15 * time.Second
	// longestSleep is after how long a Loop looks at the clock again: it may have been set, or the machine been asleep.
	longestSleep = time.Minute
)

// Loop runs each check when its own schedule (Meta.Schedule) or else s says so, until ctx ends; then it cuts off what is looking, saves and tells what is known, and returns nil.
// It returns an error only when the configuration is wrong or no schedule has a next time. What fails later is logged, told, and does not end it.
//
// A check never overlaps with itself: times that come while it runs are left out. A check whose time came while nobody ran (as its LastRun in the Store says) runs at once, once.
// One that never ran waits for its time.
//
// With Lock, the Loop works as long as it holds the lock, and asks for it every 15 s when it does not: of many processes one works and the others stand by.
func (r *Runner) Loop(ctx context.Context, s Schedule) error {
	metas, err := r.validate()
	if err != nil {
		return err
	}
	schedules := make([]Schedule, len(metas))
	never := 0
	for i, m := range metas {
		if schedules[i] = m.Schedule; m.Schedule == nil {
			schedules[i] = s
		}
		if schedules[i] == nil {
			return fmt.Errorf("consistency: the Loop cannot start: the check %q has no Meta.Schedule and Loop was given none, for example Every(time.Hour)", m.Name)
		}
		if nextRun(schedules[i], time.Now()).IsZero() {
			never++
			r.logger().Warn("consistency: a check will never run: its schedule has no next time", "check", m.Name)
		}
	}
	if never == len(metas) {
		return errors.New("consistency: the Loop cannot start: no schedule has a next time")
	}
	for ctx.Err() == nil {
		held, release, err := r.acquire(ctx)
		if err != nil {
			if errors.Is(err, ErrLocked) {
				r.logger().Debug("consistency: another runner works, this one stands by")
			} else if ctx.Err() == nil {
				r.logger().Error("consistency: the lock could not be asked for", "error", err)
			}
			_ = sleep(ctx, lockRetry)
			continue
		}
		r.lead(held, metas, schedules)
		release()
		if ctx.Err() == nil && held.Err() == nil {
			return errors.New("consistency: the Loop ended: no schedule has a next time any more")
		}
		if ctx.Err() == nil {
			r.logger().Error("consistency: the lock was lost, the checks were stopped", "error", context.Cause(held))
		}
	}
	return nil
}

// lead runs the checks on their schedules until ctx ends or no schedule has a next time.
func (r *Runner) lead(ctx context.Context, metas []Meta, schedules []Schedule) {
	w, done := r.newRound(ctx, metas)
	defer done()
	started := time.Now()
	end := make(chan struct{})
	var checks, daily sync.WaitGroup
	for i := range metas {
		checks.Go(func() { w.follow(ctx, i, schedules[i]) })
	}
	daily.Go(func() {
		for {
			select {
			case <-end:
				return
			case <-ctx.Done():
				return
			case <-time.After(min(longestSleep, max(w.digestEvery()/10, time.Second))):
				w.digest(started, schedules)
			}
		}
	})
	checks.Wait()
	close(end)
	daily.Wait()
}

func (w *round) digestEvery() time.Duration {
	if w.runner.DigestEvery == 0 {
		return DefaultDigestEvery
	}
	return w.runner.DigestEvery
}

// follow runs one check on its schedule.
func (w *round) follow(ctx context.Context, i int, s Schedule) {
	last := w.lastRun(ctx, w.metas[i])
	for ctx.Err() == nil {
		next := nextRun(s, last)
		if next.IsZero() {
			return
		}
		for left := time.Until(next); left > 0; left = time.Until(next) {
			if sleep(ctx, min(left, longestSleep)) != nil {
				return
			}
		}
		w.check(ctx, i)
		last = time.Now()
	}
}

// lastRun is when the check last ran, by whomever; now if it never did or nobody knows.
func (w *round) lastRun(ctx context.Context, meta Meta) time.Time {
	now := time.Now()
	s, err := w.loadAny(meta.Name)
	if err != nil {
		w.log.WarnContext(ctx, "consistency: when the check last ran is not known", "check", meta.Name, "error", err)
		return now
	}
	if s.LastRun.IsZero() || s.LastRun.After(now) {
		return now
	}
	return s.LastRun
}

// nextRun asks a schedule for its next time after t. One that panics or goes backwards is asked again in a minute.
func nextRun(s Schedule, t time.Time) (next time.Time) {
	defer func() {
		if recover() != nil || !next.IsZero() && !next.After(t) {
			next = t.Add(time.Minute)
		}
	}()
	return s.Next(t)
}
