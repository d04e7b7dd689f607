package consistency

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// DefaultTimeout is the time limit of one look at the data when Meta.Timeout is zero.
const DefaultTimeout = time.Minute

// DefaultRemind is the time between two reminders when Meta.Remind is zero.
const DefaultRemind = 24 * time.Hour

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
	//
	// Past a cap on the rows the Runner also asks about rows that earlier runs convicted. Those come out of the Store: their Key is as Run gave it, but
	// the values of their Row are what is left after JSON and masking, so go by Key.
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
	// Remind is the time after which people are told again about what is still wrong or still unknown. Zero: DefaultRemind. A run that ends a hundredth of it
	// too early still reminds, so that a run of every day reminds every day.
	Remind time.Duration
	// Schedule says when Runner.Loop runs the check; nil: when Loop's own schedule says.
	Schedule Schedule
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

func (m Meta) remind() time.Duration {
	if m.Remind <= 0 {
		return DefaultRemind
	}
	return m.Remind
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
	// Content, if not empty, is a digest of what was compared. A row whose Content differs from look to look is still changing: it is neither
	// convicted nor healed.
	Content string `json:",omitempty"`
	// Identity tells rows apart whose Key is masked. Only a Runner sets it: a keyed hash of the Key before masking, see Runner.Secret. Empty: Key is
	// the identity.
	Identity string `json:",omitempty"`
}

// ID is what tells the row from every other one, over looks and runs: Identity where the Key is masked, else Key.
func (v Violation) ID() string {
	if v.Identity != "" {
		return v.Identity
	}
	return v.Key
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
	// Windowed says that the check looks only at what is young enough. A row of an earlier run that is not in Violations is then resolved only if a
	// Recheck no longer returns it, not because it grew old.
	Windowed bool
	// Notes are figures that people want to see beside the verdict, such as how long deliveries take. They hold no value of a masked column.
	Notes []string
	// Breakdown says how Total divides, where a check tells several faults apart: Reconcile tells apart what is missing on either side and what differs.
	Breakdown []Count
}

// A Count is a number of rows with one fault.
type Count struct {
	// Fault is what is wrong with them, for example "missing in billing".
	Fault string
	Rows  int64
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
