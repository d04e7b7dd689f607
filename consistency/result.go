package consistency

import (
	"fmt"
	"strings"
	"time"
)

// Outcome is the verdict of a check.
type Outcome int

const (
	// Unknown is the zero value: nobody could tell. It is as loud as Inconsistent.
	Unknown Outcome = iota
	// Consistent means that a successful look found nothing, or that every suspect healed in time.
	Consistent
	// Inconsistent means that at least one row was wrong in every look.
	Inconsistent
)

// String returns "unknown", "consistent" or "inconsistent".
func (o Outcome) String() string {
	switch o {
	case Unknown:
		return "unknown"
	case Consistent:
		return "consistent"
	case Inconsistent:
		return "inconsistent"
	}
	return fmt.Sprintf("Outcome(%d)", int(o))
}

// MarshalText returns String.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (o *Outcome) UnmarshalText(text []byte) error {
	for _, known := range []Outcome{Unknown, Consistent, Inconsistent} {
		if string(text) == known.String() {
			*o = known
			return nil
		}
	}
	return fmt.Errorf("%q is not an outcome", text)
}

// Healed counts suspects that were wrong in the first look and not any more in a later one.
type Healed struct {
	// Rows is the number of them.
	Rows int64
	// Longest is the longest time it took at most: from the start of the first look to the end of the one that no longer showed the row.
	// Where it comes close to the waiting time of Retry, wait longer.
	Longest time.Duration
}

// Result is what one run of a check came to. The values of masked columns are not in it.
type Result struct {
	// Check describes the check.
	Check Meta
	// Outcome is the verdict.
	Outcome Outcome
	// Total is the number of convicted rows: wrong in every look. It equals len(Violations).
	Total int64
	// AtLeast says that there may be more than Total, because a cap hid rows; Reason says how many the first look counted.
	AtLeast bool
	// Violations are the convicted rows as last seen.
	Violations []Violation
	// Examined is the number of rows that the first look examined; less than zero: unknown.
	Examined int64
	// Suspects is the number of rows that were wrong in the first look.
	Suspects int64
	// Changing is the number of rows that were wrong in every look but with other content each time; they are not in Total. The outcome is
	// never Consistent then.
	Changing int64
	// Cleared are the rows (see Violation.ID) that were wrong in an earlier run and that a look of this one proved to be all right: a complete look that did not show
	// them, or one that asked for them by key. Past a cap only these count as resolved.
	Cleared []string
	// Windowed and Notes are those of the first look's Findings.
	Windowed bool
	Notes    []string
	// Healed counts the suspects that turned out to be all right.
	Healed Healed
	// Attempts is the number of looks that succeeded, Errors of those that failed.
	Attempts, Errors int
	// Started is when the check began, Duration how long it took, waiting included.
	Started  time.Time
	Duration time.Duration
	// Reason says in words a person can act on why the outcome is Unknown, why Total is a lower bound, or what else the run could not find out.
	Reason string
	// Err is the error behind an Unknown outcome, if it was an error, for errors.Is and errors.As.
	Err error
}

// because adds to what Reason says.
func (r *Result) because(reason string) {
	if r.Reason != "" {
		reason = r.Reason + "; " + reason
	}
	r.Reason = reason
}

// Headline is the result in one line, the count first: "128 inconsistent: orders-without-payment". "128+" means at least 128.
// An unknown outcome says why.
func (r Result) Headline() string {
	switch r.Outcome {
	case Inconsistent:
		more := ""
		if r.AtLeast {
			more = "+"
		}
		return fmt.Sprintf("%d%s inconsistent: %s", r.Total, more, r.Check.Name)
	case Consistent:
		return "0 inconsistent: " + r.Check.Name
	case Unknown:
	}
	reason := r.Reason
	if reason == "" {
		reason = "the check has not run"
	}
	return fmt.Sprintf("could not tell: %s: %s", r.Check.Name, reason)
}

// Summary holds the results of all checks of one run, in the order of Runner.Checks.
type Summary struct {
	// Results holds one result for each check.
	Results []Result
	// Started is when the run began, Duration how long it took.
	Started  time.Time
	Duration time.Duration
}

// Count returns the number of results with that outcome.
func (s Summary) Count(o Outcome) int {
	n := 0
	for _, r := range s.Results {
		if r.Outcome == o {
			n++
		}
	}
	return n
}

// Outcome is the worst outcome: Inconsistent if any check is, else Unknown if any check is or there is no result at all, else Consistent.
func (s Summary) Outcome() Outcome {
	switch {
	case s.Count(Inconsistent) > 0:
		return Inconsistent
	case len(s.Results) > 0 && s.Count(Consistent) == len(s.Results):
		return Consistent
	}
	return Unknown
}

// String is the summary in one line: "1 inconsistent, 0 unknown, 4 consistent (5 checks)".
func (s Summary) String() string {
	return fmt.Sprintf("%d inconsistent, %d unknown, %d consistent (%s)", s.Count(Inconsistent), s.Count(Unknown), s.Count(Consistent), plural(len(s.Results), "check"))
}

// oneLine returns the text of an error, possibly a joined one, without line feeds.
func oneLine(err error) string { return strings.Join(strings.Split(err.Error(), "\n"), "; ") }
