package consistency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

var errNothingExamined = Permanent(errors.New("it looked at nothing: the number of examined rows is 0, so finding nothing says nothing; is this the right table and database? A CheckFunc sets Findings.Examined, to -1 where the number is unknown"))

// confirmer runs one check: looks, waits, looks again, and convicts only what every look shows.
type confirmer struct {
	check Check
	meta  Meta
	retry Retry
	// admit waits for the permission to look and returns what gives it back. Waiting between looks needs none.
	admit func(context.Context) (release func(), err error)
	log   *slog.Logger
	// tracked are rows that earlier runs convicted, and identity says which one a violation of this run is.
	tracked  []tracked
	identity func(Violation) string
	tally    tally
	result   Result
}

// tracked is a row that an earlier run convicted.
type tracked struct {
	id        string
	violation Violation
	askable   bool // its key is known, so that Recheck can be asked about it
}

func (c *confirmer) run(ctx context.Context) Result {
	c.result = Result{Check: c.meta, Examined: -1, Started: time.Now()}
	err := c.looks(ctx)
	c.result.Duration = time.Since(c.result.Started)
	c.result.Attempts = c.tally.looks
	c.result.Healed = c.tally.healed
	if err != nil {
		c.result.Err = err
		c.result.Reason = c.cutOff(err)
		return c.result
	}
	v := c.tally.verdict()
	c.result.Outcome = v.outcome
	c.result.Violations = v.convicted
	c.result.Total = int64(len(v.convicted))
	c.result.AtLeast = v.atLeast
	c.result.Changing = int64(v.changing)
	c.result.Reason = c.reason(v)
	if v.outcome != Unknown && len(c.tracked) > 0 {
		c.clear(ctx)
	}
	c.result.Duration = time.Since(c.result.Started)
	return c.result
}

// clear finds out which of the rows that earlier runs convicted are all right now. Those that no look proved anything about are asked about by key: one look suffices to
// clear a row, and one that fails leaves it as it was.
func (c *confirmer) clear(ctx context.Context) {
	wrong, right := map[string]bool{}, map[string]bool{}
	for _, s := range c.tally.suspects {
		wrong[c.identity(s.violation)] = true
	}
	for key := range c.tally.right {
		right[c.identity(Violation{Key: key})] = true
	}
	asked := map[string]string{} // identity by key
	var ask []Violation
	lost := 0 // rows that nobody can ask about
	for _, t := range c.tracked {
		switch {
		case wrong[t.id]:
		case right[t.id] || !c.tally.open && !c.result.Windowed:
			c.result.Cleared = append(c.result.Cleared, t.id)
		case t.askable:
			asked[t.violation.Key] = t.id
			ask = append(ask, t.violation)
		default:
			lost++
		}
	}
	r, ok := c.check.(Rechecker)
	if !ok || len(ask) == 0 {
		c.result.outOfWindow(nil, lost+len(ask))
		return
	}
	var still []Violation
	_, err := c.limited(ctx, func(ctx context.Context) (err error) {
		still, err = guardedCall(ctx, func(ctx context.Context) ([]Violation, error) { return r.Recheck(ctx, ask) })
		return err
	})
	if err != nil {
		c.result.Errors++
		c.logPanic(ctx, err)
		c.log.WarnContext(ctx, "consistency: rows that earlier runs found could not be looked at again", "check", c.meta.Name, "rows", len(ask), "error", err)
		c.result.because(fmt.Sprintf("%s of earlier runs could not be looked at again: %s", plural(len(ask), "row"), oneLine(err)))
		c.result.outOfWindow(nil, lost+len(ask))
		return
	}
	c.result.outOfWindow(still, lost)
	for _, v := range still {
		delete(asked, v.Key)
	}
	for _, t := range c.tracked {
		if id, gone := asked[t.violation.Key]; gone && id == t.id {
			c.result.Cleared = append(c.result.Cleared, t.id)
		}
	}
}

// looks makes the looks that are needed. An error means that the verdict is Unknown.
func (c *confirmer) looks(ctx context.Context) error {
	for n := 1; n <= c.retry.Attempts && !c.tally.settled(); n++ {
		if n > 1 {
			if err := sleep(ctx, c.retry.before(n)); err != nil {
				return context.Cause(ctx)
			}
		}
		for {
			err := c.once(ctx)
			if err == nil {
				break
			}
			c.result.Errors++
			c.logPanic(ctx, err)
			if ctx.Err() != nil || isPermanent(err) || c.result.Errors > c.retry.Errors {
				return err
			}
			c.log.WarnContext(ctx, "consistency: a look failed and is tried again", "check", c.meta.Name, "look", n, "errors", c.result.Errors, "error", err)
			if sleep(ctx, c.retry.afterError(c.result.Errors)) != nil {
				return err
			}
		}
	}
	return nil
}

var errLookTimeout = errors.New("the look took longer than its time limit")

// tookTooLong says that a look was cut off, after what the check itself has to say about it.
func tookTooLong(limit time.Duration, err error) error {
	if err == nil || err == context.DeadlineExceeded { //nolint:errorlint // only the bare error says nothing of its own
		return Permanent(fmt.Errorf("%w of %s: make the check cheaper or raise Meta.Timeout", errLookTimeout, limit))
	}
	return Permanent(fmt.Errorf("%w (%w of %s, Meta.Timeout)", err, errLookTimeout, limit))
}

// once looks at the data one time and adds what it saw to the tally.
func (c *confirmer) once(ctx context.Context) error {
	var l look
	start, err := c.limited(ctx, func(ctx context.Context) (err error) {
		if r, ok := c.check.(Rechecker); ok && c.tally.looks > 0 {
			l.asked = true
			suspects := c.tally.list()
			l.found, err = guardedCall(ctx, func(ctx context.Context) ([]Violation, error) { return r.Recheck(ctx, suspects) })
			return err
		}
		f, err := guardedCall(ctx, c.check.Run)
		if err == nil {
			err = f.validate(c.meta.Mask)
		}
		l.found, l.total = f.Violations, max(f.Total, int64(len(f.Violations)))
		if err == nil && c.tally.looks == 0 {
			c.result.Examined, c.result.Suspects, c.result.Windowed, c.result.Notes = f.Examined, l.total, f.Windowed, f.notes()
		}
		return err
	})
	if err != nil {
		return err
	}
	l.start, l.end = start, time.Now()
	c.tally.add(l)
	return nil
}

// notes are the notes and, in words, how what was found divides.
func (f Findings) notes() []string {
	var parts []string
	for _, c := range f.Breakdown {
		if c.Rows > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.Rows, c.Fault))
		}
	}
	if len(parts) == 0 {
		return f.Notes
	}
	return append(slices.Clone(f.Notes), "the first look found "+strings.Join(parts, ", "))
}

// limited looks once at the data, when it is admitted and for as long as Meta.Timeout allows.
func (c *confirmer) limited(ctx context.Context, look func(context.Context) error) (start time.Time, err error) {
	release, err := c.admit(ctx)
	if err != nil {
		return start, err
	}
	defer release()
	limit := c.meta.timeout()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errLookTimeout)
	defer cancel()
	start = time.Now()
	err = look(ctx)
	// A look that was cut off is not an answer, even if the check says that it is one.
	if context.Cause(ctx) == errLookTimeout { //nolint:errorlint // the cause is exactly this value or another one
		err = tookTooLong(limit, err)
	} else if cause := context.Cause(ctx); cause != nil && err == nil {
		err = cause
	}
	return start, err
}

func (c *confirmer) logPanic(ctx context.Context, err error) {
	if p, ok := panicOf(err); ok {
		c.log.ErrorContext(ctx, "consistency: the check panicked", "check", c.meta.Name, "panic", fmt.Sprint(p.value), "stack", string(p.stack))
	}
}

// validate says what makes findings useless. mask are the columns that a message must not show.
func (f Findings) validate(mask []string) error {
	kept := int64(len(f.Violations))
	if f.Total < 0 || f.Total > 0 && f.Total < kept {
		return Permanent(fmt.Errorf("the check contradicts itself: Findings.Total is %d with %d Violations", f.Total, kept))
	}
	if f.Total == 0 && kept == 0 && f.Examined == 0 {
		return errNothingExamined
	}
	seen := make(map[string]bool, kept)
	for i, v := range f.Violations {
		if v.Key == "" {
			return Permanent(fmt.Errorf("violation %d of %d has no Key: without one it cannot be recognised at the second look", i+1, kept))
		}
		if seen[v.Key] {
			return Permanent(fmt.Errorf("two violations have the key %s: a key must identify one row", maskViolation(v, mask).Key))
		}
		seen[v.Key] = true
	}
	return nil
}

// cutOff says in words how far the check came before err ended it.
func (c *confirmer) cutOff(err error) string {
	reason := oneLine(err)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, errLookTimeout) {
		reason += ": the run ended before the check did"
	}
	if c.result.Errors > 1 {
		reason += fmt.Sprintf(" (%s failed)", plural(c.result.Errors, "look"))
	}
	if n := len(c.tally.suspects); n > 0 {
		reason += fmt.Sprintf("; until then %s looked wrong in %d of %s", plural(n, "row"), c.tally.looks, plural(c.retry.Attempts, "look"))
	}
	return reason
}

// reason says in words what the looks left open; empty: nothing.
func (c *confirmer) reason(v verdict) string {
	var parts []string
	if v.changing > 0 {
		parts = append(parts, fmt.Sprintf("%s wrong in every look but with other content each time, so still changing: neither convicted nor all right; raise Retry.Delay if such rows settle later", plural(v.changing, "row was", "rows were")))
	}
	switch unseen := c.tally.open || v.undecided > 0; {
	case unseen && v.outcome == Inconsistent:
		parts = append(parts, fmt.Sprintf("there may be more: the first look found %d rows, more than could be kept and looked at again", c.result.Suspects))
	case unseen:
		parts = append(parts, fmt.Sprintf("the first look found %d rows, more than could be kept: none of those that were looked at again was wrong every time, nothing is known about the others; raise SQL.MaxRows, ORDER BY the key, or narrow the query", c.result.Suspects))
	}
	return strings.Join(parts, "; ")
}

// plural is the number and the thing; forms are its plural where that is not made with an s.
func plural(n int, thing string, forms ...string) string {
	switch {
	case n == 1:
		return "1 " + thing
	case len(forms) > 0:
		return fmt.Sprintf("%d %s", n, forms[0])
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
