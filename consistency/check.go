package consistency

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// DefaultTimeout is the time limit of one look at the data when Meta.Timeout is zero.
const DefaultTimeout = time.Minute

// A Check looks for inconsistent data.
type Check interface {
	// Describe says what the check is called and how it is to be run. The Runner calls it once, at the start.
	Describe() Meta
	// Run looks once at the data, now. A non-nil error means "could not tell": it never counts as good and never as bad.
	// Run must return soon after ctx ends.
	Run(ctx context.Context) (Findings, error)
}

// A Rechecker is a Check that can look again at given suspects only, which is cheaper and, past a cap on the rows, more
// certain than running the whole check again. When a Check implements it, the second and every later look uses it.
type Rechecker interface {
	// Recheck returns those suspects that are still wrong, with their rows as they are now. A suspect that it does not return
	// is taken as healed, so it must answer for every one of them or return an error ("could not tell").
	Recheck(ctx context.Context, suspects []Violation) ([]Violation, error)
}

// Meta is what every check says about itself. A check that embeds Meta has its Describe method.
type Meta struct {
	// Name identifies the check in logs, notifications and, over time, in its history. Required, unique within a Runner.
	Name string
	// Owner is who should act on a finding, for example a team. It is shown in notifications.
	Owner string
	// Runbook says how to repair what the check finds, usually a URL. It is shown in notifications.
	Runbook string
	// Severity says how loud a bad or an unknown outcome is. The zero value is SeverityNormal.
	Severity Severity
	// Retry says how often and how far apart the check looks before a row is convicted. Nil: the defaults of Retry.
	Retry *Retry
	// Timeout limits one look (one Run or one Recheck), not the waiting between looks. Zero: DefaultTimeout.
	// A look that is cut off by it ends as Unknown.
	Timeout time.Duration
	// Mask names columns (in any letter case) whose values must not be shown. They are replaced in rows and in keys before a
	// Result is made, so that neither a notifier nor the caller of Runner.Run sees them.
	Mask []string
}

// Describe returns m itself, so that a check which embeds Meta describes itself.
func (m Meta) Describe() Meta { return m }

func (m Meta) timeout() time.Duration {
	if m.Timeout == 0 {
		return DefaultTimeout
	}
	return m.Timeout
}

func (m Meta) retry() Retry {
	if m.Retry == nil {
		return Retry{}.withDefaults()
	}
	return m.Retry.withDefaults()
}

// Severity says how loud a bad or an unknown outcome of a check is.
type Severity int

const (
	// SeverityNormal is the zero value: the slog notifier logs at error level.
	SeverityNormal Severity = iota
	// SeverityMinor is for checks that can wait: the slog notifier logs at warning level.
	SeverityMinor
	// SeverityCritical is for checks that somebody is woken up for. The slog notifier logs at error level and names the severity.
	SeverityCritical
)

// String returns "normal", "minor" or "critical".
func (s Severity) String() string {
	switch s {
	case SeverityNormal:
		return "normal"
	case SeverityMinor:
		return "minor"
	case SeverityCritical:
		return "critical"
	}
	return fmt.Sprintf("Severity(%d)", int(s))
}

// A Violation is one inconsistent row.
type Violation struct {
	// Key identifies the row across looks and across runs: the same row must always have the same Key, two rows never.
	// Required. The function Key makes one out of one or several values.
	Key string
	// Row is what a person needs to see in order to act, in the order of the columns.
	Row Row
}

// Findings is what one look at the data found.
type Findings struct {
	// Violations holds the inconsistent rows, or the first of them where there are too many to keep.
	Violations []Violation
	// Total is the number of inconsistent rows, those included that a cap left out of Violations. Zero: len(Violations).
	Total int64
	// Examined is the number of rows that were looked at; less than zero: unknown. A look that examined nothing and found nothing
	// is Unknown, because a check over an empty or wrong table would otherwise be green forever. That includes the zero value:
	// a check has to say what it looked at.
	Examined int64
}

// CheckFunc is a Check made of a Go function, for whatever is not one SQL query.
type CheckFunc struct {
	Meta
	// Func is called for each look at the data. Required.
	Func func(ctx context.Context) (Findings, error)
}

// Run calls Func.
func (c CheckFunc) Run(ctx context.Context) (Findings, error) {
	if err := c.Validate(); err != nil {
		return Findings{}, err
	}
	return c.Func(ctx)
}

// Validate says what is missing. The Runner calls it at its start.
func (c CheckFunc) Validate() error {
	if c.Func == nil {
		return errors.New("CheckFunc.Func is nil: set it to the function that looks at the data")
	}
	return nil
}

// Permanent marks err as one that trying again cannot mend (a syntax error, a missing privilege): the check then ends as
// Unknown at once instead of spending its error budget. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanentError{err}
}

type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

func isPermanent(err error) bool {
	_, ok := errors.AsType[permanentError](err)
	return ok
}
