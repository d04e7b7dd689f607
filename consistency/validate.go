package consistency

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

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
	if r.PerDatabase < 0 {
		problem("PerDatabase is %d: it must not be negative (0 means %d)", r.PerDatabase, DefaultPerDatabase)
	}
	for i, o := range r.Observers {
		if o == nil {
			problem("Observers[%d] is nil", i)
		}
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
	if m.Remind < 0 {
		errs = append(errs, fmt.Errorf("Meta.Remind is %s: it must not be negative (0 means %s)", m.Remind, DefaultRemind))
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
