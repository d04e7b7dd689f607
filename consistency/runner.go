package consistency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// DefaultParallel is the number of checks that look at data at the same time when Runner.Parallel is zero.
const DefaultParallel = 4

// Runner runs checks and tells the notifiers. Its methods may be called concurrently as long as its fields are not changed.
type Runner struct {
	// Checks are the checks to run. Required: a Runner without checks is an error, since it would never find anything.
	Checks []Check
	// Notifiers are told the result of each check as soon as it is there, good results included: silence is not health.
	Notifiers []Notifier
	// Parallel limits how many checks look at data at the same time. A check that waits for its next look does not count. Zero: DefaultParallel.
	Parallel int
	// Logger takes what is of use to find out what happened, such as the stack of a check that panicked. Nil: slog.Default().
	Logger *slog.Logger
}

// Run runs every check once and returns when all have ended and the notifiers were told.
//
// What is wrong with the data, or with a check, is in the Summary and not in the error: a check that fails, panics or is cut off is Unknown there, and the
// others go on. The error is about the run itself:
//   - the configuration is wrong: all problems are listed, no check was run, the Summary is empty (its Outcome is Unknown);
//   - a notifier failed: the Summary is complete;
//   - ctx ended: the checks that had not finished are Unknown.
//
// The notifiers are told what is known even after ctx ended, for 10 s at most; one that ignores its own context is left behind 10 s after that.
func (r *Runner) Run(ctx context.Context) (Summary, error) {
	metas, err := r.validate()
	if err != nil {
		return Summary{}, err
	}
	started := time.Now()
	out := startDelivery(ctx, r.Notifiers, len(r.Checks), r.logger())
	slots := make(chan struct{}, r.parallel())
	admit := func(ctx context.Context) (func(), error) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		select {
		case slots <- struct{}{}:
			return func() { <-slots }, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	results := make([]Result, len(r.Checks))
	var wg sync.WaitGroup
	for i, check := range r.Checks {
		wg.Go(func() {
			c := &confirmer{check: check, meta: metas[i], retry: metas[i].retry(), admit: admit, log: r.logger()}
			res := c.run(ctx)
			res.Violations = maskViolations(res.Violations, metas[i].Mask)
			results[i] = res
			out.send(Event{Result: res})
		})
	}
	wg.Wait()
	errs := out.finish()
	if ctx.Err() != nil {
		errs = append([]error{fmt.Errorf("consistency: the run was ended early: %w", context.Cause(ctx))}, errs...)
	}
	return Summary{Results: results, Started: started, Duration: time.Since(started)}, errors.Join(errs...)
}

func (r *Runner) logger() *slog.Logger {
	if r.Logger == nil {
		return slog.Default()
	}
	return r.Logger
}

func (r *Runner) parallel() int {
	if r.Parallel == 0 {
		return DefaultParallel
	}
	return r.Parallel
}

// validate returns what each check says about itself, or everything that is wrong with the configuration.
func (r *Runner) validate() ([]Meta, error) {
	var problems []string
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if len(r.Checks) == 0 {
		problem("Checks is empty: without a check nothing can be found")
	}
	if r.Parallel < 0 {
		problem("Parallel is %d: it must not be negative (0 means %d)", r.Parallel, DefaultParallel)
	}
	for i, n := range r.Notifiers {
		if n == nil {
			problem("Notifiers[%d] is nil", i)
		}
	}
	metas := make([]Meta, len(r.Checks))
	first := map[string]int{}
	for i, c := range r.Checks {
		where := fmt.Sprintf("Checks[%d]", i)
		meta, err := describe(c)
		if err != nil {
			problem("%s: %v", where, err)
			continue
		}
		metas[i] = meta
		if strings.TrimSpace(meta.Name) != "" {
			where += fmt.Sprintf(" (%s)", strconv.QuoteToGraphic(meta.Name))
		}
		for _, err := range append(meta.problems(), validateCheck(c)...) {
			problem("%s: %v", where, err)
		}
		if j, ok := first[meta.Name]; ok && meta.Name != "" {
			problem("%s: Checks[%d] has the same name: names must be unique", where, j)
		} else {
			first[meta.Name] = i
		}
	}
	switch len(problems) {
	case 0:
		return metas, nil
	case 1:
		return nil, fmt.Errorf("consistency: the Runner cannot start: %s", problems[0])
	}
	return nil, fmt.Errorf("consistency: the Runner cannot start, %d problems:\n  - %s", len(problems), strings.Join(problems, "\n  - "))
}

// describe asks a check for its Meta. A nil pointer in the interface panics in there.
func describe(c Check) (m Meta, err error) {
	if c == nil {
		return Meta{}, errors.New("the check is nil")
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("Describe panicked (%v): is the check a nil %T?", p, c)
		}
	}()
	return c.Describe(), nil
}

// validateCheck asks a check that can tell whether its declaration is complete.
func validateCheck(c Check) (errs []error) {
	v, ok := c.(interface{ Validate() error })
	if !ok {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			errs = []error{fmt.Errorf("Validate panicked: %v", p)}
		}
	}()
	return unjoin(v.Validate())
}

func (m Meta) problems() []error {
	var errs []error
	if strings.TrimSpace(m.Name) == "" {
		errs = append(errs, errors.New("Meta.Name is empty: name the check after what must never happen, for example orders-without-payment"))
	} else if strings.TrimSpace(m.Name) != m.Name || strings.ContainsFunc(m.Name, unicode.IsControl) {
		errs = append(errs, fmt.Errorf("Meta.Name %q begins or ends with a space or holds a control character", m.Name))
	}
	if m.Timeout < 0 {
		errs = append(errs, fmt.Errorf("Meta.Timeout is %s: it must not be negative (0 means %s)", m.Timeout, DefaultTimeout))
	}
	if m.Retry != nil {
		errs = append(errs, unjoin(m.Retry.validate())...)
	}
	for i, column := range m.Mask {
		if strings.TrimSpace(column) == "" {
			errs = append(errs, fmt.Errorf("Meta.Mask[%d] is empty", i))
		}
	}
	return errs
}

func unjoin(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
