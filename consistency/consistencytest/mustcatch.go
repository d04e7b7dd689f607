package consistencytest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tashikame-go/tashikame/consistency"
)

// MustCatch proves that a check sees the fault it was written for. A check that was never seen to fail proves nothing: it may look at the wrong table, or its
// condition may never hold.
//
// The check runs as a Runner runs it, with waits of a millisecond between looks:
//  1. it must be Consistent, over at least one row where it tells how many it examined;
//  2. plant makes the fault and returns what takes it away again;
//  3. it must be Inconsistent, with the same keys in every look: else nothing would ever be convicted;
//  4. the fault is removed;
//  5. it must be Consistent again.
//
// Anything else ends the test with a message that says which step failed and what the check said. The fault is taken away in any case. Plant healthy rows before
// MustCatch: over an empty table no check can tell anything.
func MustCatch(tb testing.TB, check consistency.Check, plant func(ctx context.Context) (remove func(ctx context.Context) error, err error)) {
	tb.Helper()
	if check == nil || plant == nil {
		tb.Fatalf("MustCatch: the check or plant is nil")
		return
	}
	name := check.Describe().Name
	r, err := lookAt(tb.Context(), check)
	switch {
	case err != nil:
		tb.Fatalf("MustCatch: %v", err)
	case r.Outcome != consistency.Consistent:
		tb.Fatalf("MustCatch: %s must be silent before the fault is planted, but: %s%s", name, r.Headline(), rowsOf(r))
	}
	remove, err := plant(tb.Context())
	if remove != nil {
		removed := false
		once := remove
		remove = func(ctx context.Context) error {
			if removed {
				return nil
			}
			removed = true
			return once(ctx)
		}
		defer func() {
			if err := remove(context.WithoutCancel(tb.Context())); err != nil {
				tb.Errorf("MustCatch: the fault that was planted for %s could not be removed: %v", name, err)
			}
		}()
	}
	switch {
	case err != nil:
		tb.Fatalf("MustCatch: the fault for %s could not be planted: %v", name, err)
	case remove == nil:
		tb.Fatalf("MustCatch: plant returned no function that removes the fault again")
	}
	r, err = lookAt(tb.Context(), check)
	switch {
	case err != nil:
		tb.Fatalf("MustCatch: %v", err)
	case r.Outcome == consistency.Consistent && r.Suspects > 0:
		tb.Fatalf("MustCatch: %s sees the planted fault in its first look and not in a later one, so that it would never be convicted: "+
			"does the key, or what Recheck and the Confirm database look at, differ from look to look?", name)
	case r.Outcome == consistency.Consistent:
		tb.Fatalf("MustCatch: %s does not see the planted fault: %s%s", name, r.Headline(), examined(r))
	case r.Outcome != consistency.Inconsistent:
		tb.Fatalf("MustCatch: %s cannot tell that the planted fault is there: %s", name, r.Headline())
	}
	if err := remove(tb.Context()); err != nil {
		tb.Fatalf("MustCatch: the fault that was planted for %s could not be removed: %v", name, err)
	}
	r, err = lookAt(tb.Context(), check)
	switch {
	case err != nil:
		tb.Fatalf("MustCatch: %v", err)
	case r.Outcome != consistency.Consistent:
		tb.Fatalf("MustCatch: %s must be silent after the fault was removed, but: %s%s", name, r.Headline(), rowsOf(r))
	}
}

// lookAt runs the check as a Runner does, without the waits of production.
func lookAt(ctx context.Context, check consistency.Check) (consistency.Result, error) {
	m := check.Describe()
	attempts := 3
	if m.Retry != nil && m.Retry.Attempts == 2 {
		attempts = 2
	}
	// At least two looks: a key that differs from look to look is to be noticed also where production looks once.
	m.Retry = &consistency.Retry{Attempts: attempts, Delay: time.Millisecond, MaxDelay: time.Millisecond, ErrorDelay: time.Millisecond}
	var quick consistency.Check = hurried{check, m}
	if r, ok := check.(consistency.Rechecker); ok {
		quick = hurriedRechecker{hurried{check, m}, r}
	}
	runner := consistency.Runner{Checks: []consistency.Check{quick}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	summary, err := runner.Run(ctx)
	if len(summary.Results) == 0 {
		return consistency.Result{}, err
	}
	return summary.Results[0], nil
}

// hurried is a check with another Retry.
type hurried struct {
	consistency.Check
	meta consistency.Meta
}

// Describe says what the check says, but for Retry.
func (h hurried) Describe() consistency.Meta { return h.meta }

// Validate asks the check, if it can be asked.
func (h hurried) Validate() error {
	if v, ok := h.Check.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

type hurriedRechecker struct {
	hurried
	consistency.Rechecker
}

func examined(r consistency.Result) string {
	if r.Examined < 0 {
		return ""
	}
	return fmt.Sprintf(" (rows examined: %d)", r.Examined)
}

// rowsOf shows the keys of the first convicted rows.
func rowsOf(r consistency.Result) string {
	var keys []string
	for i, v := range r.Violations {
		if i == 5 {
			keys = append(keys, "…")
			break
		}
		keys = append(keys, v.Key)
	}
	if len(keys) == 0 {
		return ""
	}
	return " (" + strings.Join(keys, "; ") + ")"
}
