package consistency

import (
	"errors"
	"fmt"
	"time"
)

// Retry says how often and how far apart a check looks before it convicts a row, and how much failing it tolerates. The zero value
// means the defaults named below: three looks, the second 10 s after the first, the third 20 s after the second.
//
// In a distributed system healthy data looks wrong for a moment: a row is convicted only when the same key shows in every one of Attempts looks.
// A row that is wrong for less than Delay can never be in two of them. A healthy check looks once: where a look finds
// nothing there is nothing to confirm.
type Retry struct {
	// Attempts is the number of looks that must all show a row. Zero: 3. With 1 a row is convicted at first sight.
	Attempts int
	// Delay is the least time between the end of the first look and the start of the second; it doubles for each further look, up to
	// MaxDelay. Zero: 10 s. Make it longer than the longest time that healthy data may look wrong.
	Delay time.Duration
	// MaxDelay is the longest wait, between looks and after errors. Zero: 1 min, or Delay where that is longer.
	MaxDelay time.Duration
	// Errors is the number of failing looks that are tried again in one run of a check. Zero: 2. A failing look counts neither as
	// "the row is gone" nor as "the row is there". When the budget is spent the check ends as Unknown. An error marked with Permanent is not tried again.
	Errors int
	// ErrorDelay is the wait after the first failing look; it doubles with each further one, up to MaxDelay. Zero: 1 s.
	ErrorDelay time.Duration
}

func (r Retry) withDefaults() Retry {
	if r.Attempts == 0 {
		r.Attempts = 3
	}
	if r.Delay == 0 {
		r.Delay = 10 * time.Second
	}
	if r.MaxDelay == 0 {
		r.MaxDelay = max(time.Minute, r.Delay)
	}
	if r.Errors == 0 {
		r.Errors = 2
	}
	if r.ErrorDelay == 0 {
		r.ErrorDelay = min(time.Second, r.MaxDelay)
	}
	return r
}

func (r Retry) validate() error {
	var errs []error
	for _, f := range []struct {
		name  string
		value int64
		text  string
	}{
		{"Retry.Attempts", int64(r.Attempts), fmt.Sprint(r.Attempts)},
		{"Retry.Delay", int64(r.Delay), r.Delay.String()},
		{"Retry.MaxDelay", int64(r.MaxDelay), r.MaxDelay.String()},
		{"Retry.Errors", int64(r.Errors), fmt.Sprint(r.Errors)},
		{"Retry.ErrorDelay", int64(r.ErrorDelay), r.ErrorDelay.String()},
	} {
		if f.value < 0 {
			errs = append(errs, fmt.Errorf("%s is %s: it must not be negative (0 means the default)", f.name, f.text))
		}
	}
	if d := r.withDefaults(); d.MaxDelay < d.Delay && r.MaxDelay > 0 {
		errs = append(errs, fmt.Errorf("the longest wait (Retry.MaxDelay, %s) is shorter than Retry.Delay (%s): raise MaxDelay or lower Delay", d.MaxDelay, d.Delay))
	}
	return errors.Join(errs...)
}

// before returns the wait before look n, which is 2 or more.
func (r Retry) before(n int) time.Duration { return doubled(r.Delay, n-2, r.MaxDelay) }

// afterError returns the wait after the nth failing look.
func (r Retry) afterError(n int) time.Duration { return doubled(r.ErrorDelay, n-1, r.MaxDelay) }

func doubled(d time.Duration, times int, limit time.Duration) time.Duration {
	for range times {
		if d >= limit/2 {
			return limit
		}
		d *= 2
	}
	return min(d, limit)
}
