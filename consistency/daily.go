package consistency

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// DefaultDigestEvery is the time between two digests when Runner.DigestEvery is zero.
const DefaultDigestEvery = 24 * time.Hour

// A Digest says how all checks stand, the good ones included: silence is not health. A notifier that has a method
//
//	Digest(ctx context.Context, d Digest) error
//
// is told one once per Runner.DigestEvery.
type Digest struct {
	// At is when it was made.
	At time.Time
	// Checks are all checks of the Runner, the worst first.
	Checks []Standing
}

// Standing is how one check stands.
type Standing struct {
	Check Meta
	// Outcome is the latest one; Unknown too where the check has never run, should have run again long ago, or its state cannot be read: Reason says so.
	Outcome Outcome
	// Since is since when, LastRun when the check last ran; zero: never.
	Since, LastRun time.Time
	Reason         string
	// Total is the number of rows that are wrong as far as is known; AtLeast: there may be more. Oldest is since when the oldest is; Muted of them are muted.
	Total   int64
	AtLeast bool
	Oldest  time.Time
	Muted   int
	// AckedBy says who is on it now; empty: nobody.
	AckedBy string
	// CleanSince is since when every run has been Consistent; zero: not now.
	CleanSince time.Time
}

// Count returns the number of checks with that outcome.
func (d Digest) Count(o Outcome) int {
	n := 0
	for _, s := range d.Checks {
		if s.Outcome == o {
			n++
		}
	}
	return n
}

// Headline is the digest in one line: "1 inconsistent, 0 unknown, 4 consistent (5 checks)".
func (d Digest) Headline() string {
	return fmt.Sprintf("%d inconsistent, %d unknown, %d consistent (%s)", d.Count(Inconsistent), d.Count(Unknown), d.Count(Consistent), plural(len(d.Checks), "check"))
}

// Headline is the standing in one line, the count first: "128 (oldest 4d): orders-without-payment".
func (s Standing) Headline(now time.Time) string {
	e := Event{Result: Result{Check: s.Check, Outcome: s.Outcome, Total: s.Total, AtLeast: s.AtLeast, Reason: s.Reason, Started: now}, Oldest: s.Oldest, CleanSince: s.CleanSince}
	return e.Headline()
}

type digester interface {
	Digest(ctx context.Context, d Digest) error
}

// digestState is the name under which it is remembered who was told a digest of these checks. No check can have it.
func (w *round) digestState() string {
	var names []string
	for _, m := range w.metas {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	return "\x01digest " + hex.EncodeToString(sum[:8])
}

// digest tells the digest to those who have not heard one for DigestEvery. One that was never told any is told as soon as every check has run, or DigestEvery after started. schedules
// say when each check should have run; nil: it is not known.
func (w *round) digest(started time.Time, schedules []Schedule) {
	every := w.digestEvery()
	var posts []*post
	for _, p := range w.posts {
		if _, ok := p.notifier.(digester); ok {
			posts = append(posts, p)
		}
	}
	if every < 0 || len(posts) == 0 {
		return
	}
	name := w.digestState()
	s, err := w.loadAny(name)
	if err != nil {
		w.problem("consistency: the store failed", "the digest", err)
		return
	}
	now := time.Now()
	var made *Digest
	due := func(p *post) bool {
		last := s.Deliveries[p.name].Reminded
		if !last.IsZero() {
			return !now.Before(last.Add(every - reminderSlack(every)))
		}
		if made == nil {
			made = w.makeDigest(now, schedules)
		}
		allRan := !slices.ContainsFunc(made.Checks, func(c Standing) bool { return c.LastRun.IsZero() })
		return allRan || !now.Before(started.Add(every))
	}
	told := make([]bool, len(posts))
	var wg sync.WaitGroup
	for i, p := range posts {
		if !due(p) {
			continue
		}
		if made == nil {
			made = w.makeDigest(now, schedules)
		}
		d := Digest{At: made.At, Checks: slices.Clone(made.Checks)}
		wg.Go(func() {
			_, err := call(w.later, p.line, func(ctx context.Context) (struct{}, error) { return struct{}{}, p.notifier.(digester).Digest(ctx, d) })
			if err != nil {
				p.failed(w.log, "the digest", err)
				return
			}
			told[i] = true
		})
	}
	wg.Wait()
	if slices.Contains(told, true) {
		w.saveDigestTold(name, s, posts, told, now, every)
	}
}

func (w *round) saveDigestTold(name string, s State, posts []*post, told []bool, now time.Time, every time.Duration) {
	for n := 0; ; n++ {
		next := s.clone()
		if next.Deliveries == nil {
			next.Deliveries = map[string]Delivery{}
		}
		for i, p := range posts {
			if d := next.Deliveries[p.name]; told[i] {
				if d.Told = now; d.Reminded.IsZero() {
					d.Reminded = now
				} else {
					d.Reminded = reminderAt(d.Reminded, now, every)
				}
				next.Deliveries[p.name] = d
			}
		}
		_, err := w.save(name, next)
		if errors.Is(err, ErrConflict) && n < maxConflicts {
			w.giveWay(n)
			if s, err = w.loadAny(name); err == nil {
				continue
			}
		}
		if err != nil {
			w.problem("consistency: the store failed, so the digest will be told again", "the digest", err)
		}
		return
	}
}

// makeDigest reads how every check stands.
func (w *round) makeDigest(now time.Time, schedules []Schedule) *Digest {
	d := &Digest{At: now}
	for i, meta := range w.metas {
		s, err := w.loadAny(meta.Name)
		st := Standing{Check: meta, Outcome: s.Outcome, Since: s.Since, LastRun: s.LastRun, Reason: s.Reason, Total: s.Total, AtLeast: s.AtLeast, Oldest: s.Oldest(), Muted: s.muted(), CleanSince: s.CleanSince}
		if s.Incident != nil && now.Before(s.Incident.AckedUntil) {
			st.AckedBy = s.Incident.AckedBy
		}
		switch {
		case err != nil:
			st.Outcome, st.CleanSince, st.Reason = Unknown, time.Time{}, "its state cannot be read: "+oneLine(err)
		case s.LastRun.IsZero():
			st.Reason = "it has not run yet"
		case schedules != nil && overdue(schedules[i], s.LastRun, now):
			st.Outcome, st.CleanSince = Unknown, time.Time{}
			st.Reason = fmt.Sprintf("it last ended %s ago and has missed two runs of its schedule since: does it hang? The log says when it began", now.Sub(s.LastRun).Round(time.Second))
		}
		d.Checks = append(d.Checks, st)
	}
	slices.SortStableFunc(d.Checks, func(a, b Standing) int {
		return cmp.Or(badness{a.Outcome, a.Check.Severity, a.Total}.before(badness{b.Outcome, b.Check.Severity, b.Total}), strings.Compare(a.Check.Name, b.Check.Name))
	})
	return d
}

// overdue reports whether two runs should have begun since the last one ended.
func overdue(s Schedule, last, now time.Time) bool {
	next := nextRun(s, last)
	if next.IsZero() {
		return false
	}
	second := nextRun(s, next)
	return !second.IsZero() && second.Before(now)
}

func (w *round) loadAny(name string) (State, error) {
	ctx, cancel := context.WithTimeout(w.later, storeTimeout)
	defer cancel()
	return guardedCall(ctx, func(ctx context.Context) (State, error) { return w.store.Load(ctx, name) })
}
