package consistency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

var errNothingExamined = Permanent(errors.New("it looked at nothing: the number of examined rows is 0, so finding nothing says nothing; is this the right table and database? A CheckFunc sets Findings.Examined, to -1 where the number is unknown"))

// confirmer runs one check: looks, waits, looks again, and convicts only what every look shows.
type confirmer struct {
	check Check
	meta  Meta
	retry Retry
	// admit waits for the permission to look and returns what gives it back. Waiting between looks needs none.
	admit  func(context.Context) (release func(), err error)
	log    *slog.Logger
	tally  tally
	result Result
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
	if v.outcome == Unknown || v.atLeast {
		c.result.Reason = c.beyondCap(v)
	}
	return c.result
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
			if p, ok := panicOf(err); ok {
				c.log.ErrorContext(ctx, "consistency: the check panicked", "check", c.meta.Name, "panic", fmt.Sprint(p.value), "stack", string(p.stack))
			}
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
	release, err := c.admit(ctx)
	if err != nil {
		return err
	}
	defer release()
	limit := c.meta.timeout()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errLookTimeout)
	defer cancel()
	l := look{start: time.Now()}
	if r, ok := c.check.(Rechecker); ok && c.tally.looks > 0 {
		l.asked = true
		suspects := c.tally.list()
		l.found, err = guardedCall(ctx, func(ctx context.Context) ([]Violation, error) { return r.Recheck(ctx, suspects) })
	} else {
		var f Findings
		f, err = guardedCall(ctx, c.check.Run)
		if err == nil {
			err = f.validate(c.meta.Mask)
		}
		l.found, l.total = f.Violations, max(f.Total, int64(len(f.Violations)))
		if err == nil && c.tally.looks == 0 {
			c.result.Examined, c.result.Suspects = f.Examined, l.total
		}
	}
	l.end = time.Now()
	// A look that was cut off is not an answer, even if the check says that it is one.
	if context.Cause(ctx) == errLookTimeout { //nolint:errorlint // the cause is exactly this value or another one
		err = tookTooLong(limit, err)
	} else if cause := context.Cause(ctx); cause != nil && err == nil {
		err = cause
	}
	if err != nil {
		return err
	}
	c.tally.add(l)
	return nil
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

// beyondCap says in words what the cap on the rows hides.
func (c *confirmer) beyondCap(v verdict) string {
	if v.outcome == Inconsistent {
		return fmt.Sprintf("there may be more: the first look found %d rows, more than could be kept and looked at again", c.result.Suspects)
	}
	return fmt.Sprintf("the first look found %d rows, more than could be kept: none of those that were looked at again was wrong every time, nothing is known about the others; raise SQL.MaxRows, ORDER BY the key, or narrow the query", c.result.Suspects)
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
