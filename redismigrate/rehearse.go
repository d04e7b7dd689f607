package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// RehearseOptions tune Rehearse.
type RehearseOptions struct {
	// Copy, Prune, Verify and Measure are the options of the steps, as they will be on the day. Their Progress is kept.
	Copy    CopyOptions
	Prune   PruneOptions
	Verify  VerifyOptions
	Measure MeasureOptions
	// Restore is how long it took to restore the snapshot into the stand-in's target, measured by whoever did it, since the service does
	// that itself. Zero: not measured; then the forecast leaves it out and says so.
	Restore time.Duration
	// Window is how long the maintenance window is. Zero: there is none, and no abort line.
	Window time.Duration
	// Back is how long the way back takes: from the decision until the application works on the old store again.
	Back time.Duration
}

// Rehearsal is what a run of the plan on stand-ins took, and what that says about the day. Attach it to the change request.
type Rehearsal struct {
	Strategy Strategy  `json:"strategy"`
	At       time.Time `json:"at"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	// Verdict is Match when the plan was run to its end on the stand-ins and verified, and, where there is a window, the forecast's high
	// end fits into it; Mismatch when the verification found differences or the window does not suffice; else Unknown.
	Verdict Verdict `json:"verdict"`
	// Reasons say why the verdict is not Match.
	Reasons []string `json:"reasons,omitempty"`
	// Discrepancies are how the stand-ins differ from the stores of the plan, or may differ; Compare explains them.
	Discrepancies []Discrepancy `json:"discrepancies,omitempty"`
	// Share is how much of the plan's keys the stand-in held: 1 means that nothing is extrapolated.
	Share float64 `json:"share"`
	// Steps are those inside the window that were measured, in order; Types how fast keys of each type can be read and written.
	Steps []StepTiming `json:"steps"`
	Types []TypeTiming `json:"types,omitempty"`
	// Total is the forecast of all steps for the full size.
	Total Forecast `json:"total"`
	// Window and Back are those of the options.
	Window time.Duration `json:"window_ns,omitempty"`
	Back   time.Duration `json:"back_ns,omitempty"`
	// Verification is what Verify found on the stand-ins.
	Verification *Verification `json:"verification,omitempty"`
	// Warnings say what the figures leave out.
	Warnings []string `json:"warnings,omitempty"`
}

// StepTiming is one step, measured and forecast.
type StepTiming struct {
	Name     string        `json:"name"`
	Measured Work          `json:"measured"`
	Elapsed  time.Duration `json:"elapsed_ns"`
	Full     Work          `json:"full"`
	Forecast Forecast      `json:"forecast"`
	// AbortAt is the abort line: when the step is not over so long after the window began, what is left would no longer fit into the window
	// (by the high end of the forecast), or the way back would not: then go back. Zero without a window.
	AbortAt time.Duration `json:"abort_at_ns,omitempty"`
	// BackIsFaster says that at the beginning of this step the way back takes less than what is left to do.
	BackIsFaster bool `json:"back_is_faster"`
}

// Rehearse runs the plan's chosen strategy between two stand-ins, which should be of the same kind and size as the real ones, verifies the
// result, and forecasts the day from what it took. For PruneAfterRestore the stand-in's target must have had the snapshot restored into
// it; for FilteredSnapshot the filtered one (see Filter), which is then only verified.
//
// It writes to, and deletes from, the stand-in's target, after the same interlocks as on the day. It refuses (ErrRefused) stand-ins that
// are the stores of the plan. The selector and the map of dbs are the plan's; those of standIn must be empty.
func Rehearse(ctx context.Context, p *Plan, standIn Move, opt RehearseOptions) (*Rehearsal, error) {
	if p == nil || p.input == nil {
		return nil, errors.New("redismigrate: rehearse: the plan is empty; MakePlan makes one")
	}
	if p.Chosen == "" {
		return nil, fmt.Errorf("redismigrate: rehearse: %w", refuse("the plan has no strategy that is known to be possible; see its Options"))
	}
	if p.Chosen == LiveSplit {
		return nil, fmt.Errorf("redismigrate: rehearse: %w", refuse("a live split is rehearsed by the application itself: run it, with Split's client, on stand-ins, under load, forth and back"))
	}
	r := &rehearser{plan: p, opt: opt, out: &Rehearsal{Strategy: p.Chosen, At: time.Now(), Window: opt.Window, Back: opt.Back}}
	err := r.run(ctx, standIn)
	r.judge(err)
	if err != nil {
		return r.out, fmt.Errorf("redismigrate: rehearse: %w", err)
	}
	return r.out, nil
}

// nested is an error of another job of this package, without the package's name once more.
type nested struct{ err error }

func (n nested) Error() string { return strings.TrimPrefix(n.err.Error(), "redismigrate: ") }
func (n nested) Unwrap() error { return n.err }

type rehearser struct {
	plan   *Plan
	opt    RehearseOptions
	move   Move
	census *Census // of the stand-in's source
	out    *Rehearsal
}

func (r *rehearser) run(ctx context.Context, standIn Move) error {
	if len(standIn.Keys.Include)+len(standIn.Keys.Exclude) > 0 || standIn.Keys.Match != nil || len(standIn.DBMap) > 0 {
		return errors.New("the stand-ins' move has a selector or a map of dbs of its own; the plan's are used, so leave them empty")
	}
	r.move = Move{From: standIn.From, To: standIn.To, Keys: r.plan.input.move.Keys, DBMap: r.plan.input.move.DBMap}
	if err := r.look(ctx); err != nil {
		return err
	}
	if err := r.carryOut(ctx); err != nil {
		return err
	}
	err := r.timed(ctx, stepVerify, r.selected, func(note func(int64)) error {
		o := r.opt.Verify
		o.Progress = noting(note, o.Progress)
		v, err := Verify(ctx, r.move, o)
		r.out.Verification = v
		return err
	})
	if err != nil || r.plan.Chosen != CopyKeys {
		return err
	}
	r.out.Types, err = timeTypes(ctx, r.move, r.census.Types)
	return err
}

// look compares the stand-ins with the plan's stores, and measures them.
func (r *rehearser) look(ctx context.Context) error {
	for _, s := range []struct {
		e    *Endpoint
		opt  InspectOptions
		real *Server
		name *string
	}{{r.move.From, InspectOptions{}, r.plan.input.source, &r.out.From}, {r.move.To, InspectOptions{Target: true}, r.plan.input.target, &r.out.To}} {
		stand, err := Inspect(ctx, s.e, s.opt)
		if err != nil {
			return nested{err}
		}
		*s.name = stand.Addr
		for _, other := range []*Server{r.plan.input.source, r.plan.input.target} {
			if err := checkCards(other, stand); err != nil {
				return fmt.Errorf("the stand-in %s is a store of the plan: %w", stand.Addr, err)
			}
		}
		c := Compare(stand, s.real)
		for _, d := range append(c.Differing(), c.Untold()...) {
			if !s.opt.Target || !slices.Contains([]string{"keys", "dbs in use", "functions"}, d.Item) { // the target's are what the plan puts there
				r.out.Discrepancies = append(r.out.Discrepancies, d)
			}
		}
	}
	o := r.opt.Measure
	o.Keys = r.move.Keys
	census, err := Measure(ctx, r.move.From, o)
	if err != nil {
		return nested{err}
	}
	if census.Selected.Keys.Value == 0 {
		return refuse("the selector selects none of the %d keys of the stand-in %s: there is nothing to rehearse", census.Total.Keys.Value, census.Addr)
	}
	r.census = census
	return nil
}

// carryOut runs the chosen strategy.
func (r *rehearser) carryOut(ctx context.Context) error {
	switch r.plan.Chosen {
	case PruneAfterRestore:
		r.restored(r.total)
		return r.prune(ctx)
	case FilteredSnapshot:
		r.restored(r.selected)
		r.warn("filtering the snapshot is not part of this rehearsal; Filter's Result has its time")
		return nil
	}
	return r.timed(ctx, stepCopy, r.selected, func(note func(int64)) error {
		o := r.opt.Copy
		o.Progress = noting(note, o.Progress)
		_, err := Copy(ctx, r.move, o)
		return err
	})
}

func (r *rehearser) prune(ctx context.Context) error {
	var plan *PrunePlan
	o := r.opt.Prune
	progress := o.Progress
	err := r.timed(ctx, stepPlan, r.total, func(note func(int64)) (err error) {
		o.Progress = noting(note, progress)
		plan, err = PlanPrune(ctx, r.move.From, r.move.To, r.move.Keys, o)
		return err
	})
	if err != nil {
		return err
	}
	return r.timed(ctx, stepPrune, r.dropped, func(note func(int64)) error {
		plan.opt.Progress = noting(note, progress)
		_, err := plan.Apply(ctx, plan.Confirmation()) // a stand-in: Rehearse was called to do this
		return err
	})
}

// restored counts the restoring that was done beforehand.
func (r *rehearser) restored(work func(*Census, Amount) Work) {
	if r.opt.Restore <= 0 {
		r.warn("how long restoring the snapshot takes was not given (RehearseOptions.Restore): the forecast leaves it out")
		return
	}
	r.add(stepRestore, r.opt.Restore, work, nil)
}

// timed runs a step and keeps what it took.
func (r *rehearser) timed(ctx context.Context, name string, work func(*Census, Amount) Work, step func(note func(int64)) error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	meter := newSpeedometer()
	start := time.Now()
	err := step(meter.note)
	elapsed := time.Since(start)
	if err != nil {
		return nested{err}
	}
	r.add(name, elapsed, work, speeds(meter.marks))
	return nil
}

func (r *rehearser) add(name string, elapsed time.Duration, work func(*Census, Amount) Work, speeds []float64) {
	measured, full := work(r.census, *r.census.Selected), work(r.plan.input.census, r.plan.input.selected)
	r.out.Steps = append(r.out.Steps, StepTiming{Name: name, Measured: measured, Elapsed: elapsed, Full: full, Forecast: forecast(elapsed, measured, full, speeds)})
}

func (r *rehearser) warn(format string, args ...any) {
	r.out.Warnings = append(r.out.Warnings, fmt.Sprintf(format, args...))
}

func (r *rehearser) selected(_ *Census, s Amount) Work { return Work{s.Keys, s.Bytes} }
func (r *rehearser) total(c *Census, _ Amount) Work    { return Work{c.Total.Keys, c.Total.Bytes} }
func (r *rehearser) dropped(c *Census, s Amount) Work {
	return Work{minus(c.Total.Keys, s.Keys), minus(c.Total.Bytes, s.Bytes)}
}

// noting tells how far a step is, before whoever else wants to know.
func noting(note func(int64), also func(Progress)) func(Progress) {
	db, base, last := -1, int64(0), int64(0)
	return func(p Progress) {
		if p.DB != db { // each db counts from zero
			db, base = p.DB, base+last
		}
		last = p.Scanned
		note(base + last)
		if also != nil {
			also(p)
		}
	}
}

// judge sums up.
func (r *rehearser) judge(err error) {
	out := r.out
	say := func(v Verdict, format string, args ...any) {
		if out.Verdict != Mismatch {
			out.Verdict = v
		}
		out.Reasons = append(out.Reasons, fmt.Sprintf(format, args...))
	}
	for _, s := range out.Steps {
		out.Total = out.Total.plus(s.Forecast)
	}
	if r.census != nil {
		out.Share = float64(r.census.Selected.Keys.Value) / float64(r.plan.input.selected.Keys.Value)
		if out.Share < 0.5 {
			r.warn("the stand-in held %.0f %% of the selected keys: the forecast is an extrapolation, and what shows only at full size is not in it", 100*out.Share)
		}
	}
	abortLines(out)
	v := out.Verification
	switch {
	case err != nil:
		say(Unknown, "not finished: %v", err)
		return
	case v == nil || v.Verdict == Unknown:
		say(Unknown, "the result on the stand-ins could not be verified")
	case v.Verdict == Mismatch:
		say(Mismatch, "the result on the stand-ins is wrong: %s", v)
	default:
		out.Verdict = Match
	}
	for _, d := range out.Discrepancies {
		if d.Verdict == Mismatch && d.Severity == Blocker {
			say(Unknown, "the stand-ins differ from the stores of the plan in what can make a step fail: %s", d)
		}
	}
	if out.Window > 0 && out.Total.High > out.Window {
		say(Mismatch, "the forecast's high end, %s, does not fit into the window of %s", roundTime(out.Total.High), out.Window)
	}
	if len(out.Warnings) > 0 && out.Window > 0 && out.Verdict == Match && r.opt.Restore <= 0 && r.plan.Chosen != CopyKeys && r.plan.Chosen != MigrateKeys {
		say(Unknown, "restoring the snapshot was not measured, so it cannot be told whether the window suffices")
	}
}

// abortLines says for each step until when it must be over.
func abortLines(r *Rehearsal) {
	var left Forecast
	for i := len(r.Steps) - 1; i >= 0; i-- {
		s := &r.Steps[i]
		if r.Window > 0 {
			s.AbortAt = max(0, min(r.Window-left.High, r.Window-r.Back))
		}
		left = left.plus(s.Forecast)
		s.BackIsFaster = r.Back < left.Likely
	}
}
