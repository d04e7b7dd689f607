package consistency

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
)

// Validate says all that is wrong with the declaration, without connecting. The Runner calls it at its start.
func (r Reconcile) Validate() error {
	var errs []error
	problem := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	sources := []struct {
		name   string
		source Source
	}{{"Left", r.Left}, {"Right", r.Right}, {"ConfirmLeft", r.ConfirmLeft}, {"ConfirmRight", r.ConfirmRight}}
	var outer []string // sources that cannot say the kinds of their columns
	for i, s := range sources {
		switch raw := s.source.(type) {
		case nil:
			if i < 2 {
				problem("Reconcile.%s is nil: set it to a source: a Query, a Table, a FuncSource or your own", s.name)
			}
		case rawSource:
			if isNil(raw) {
				problem("Reconcile.%s is a nil %T", s.name, raw)
			} else if err := raw.validate(); err != nil {
				problem("Reconcile.%s: %w", s.name, err)
			}
		default:
			if isNil(raw) {
				problem("Reconcile.%s is a nil %T", s.name, raw)
			}
			outer = append(outer, "Reconcile."+s.name)
		}
	}
	if l, r := r.layout().names[0], r.layout().names[1]; l == r {
		problem("Reconcile.LeftName and RightName are both %q: give the sides different names", l)
	}
	if len(r.Key) == 0 {
		problem("Reconcile.Key is empty: name the columns that identify a row")
	}
	if r.MaxRows < 0 {
		problem("Reconcile.MaxRows is %d: it must not be negative (0 means %d)", r.MaxRows, DefaultMaxRows)
	}
	if r.CheckpointEvery < 0 || r.CheckpointMaxAge < 0 {
		problem("Reconcile.CheckpointEvery (%s) and CheckpointMaxAge (%s) must not be negative (0 means the default)", r.CheckpointEvery, r.CheckpointMaxAge)
	}
	errs = append(errs, r.validateColumns(outer)...)
	errs = append(errs, r.validateAsOf()...)
	errs = append(errs, r.validateMask()...)
	if left, ok := r.Left.(Query); ok && left.DB != nil {
		if right, ok := r.Right.(Query); ok && right.DB == left.DB && left.DB.Stats().MaxOpenConnections == 1 {
			problem("Reconcile.Left and Right share a *sql.DB that has one connection (SetMaxOpenConns): both sides are read at the same time, allow at least 3")
		}
	}
	return errors.Join(errs...)
}

func isNil(v any) bool {
	switch rv := reflect.ValueOf(v); rv.Kind() { //nolint:exhaustive // no other kind can be nil here
	case reflect.Func, reflect.Pointer, reflect.Map, reflect.Chan, reflect.Slice:
		return rv.IsNil()
	}
	return false
}

func (r Reconcile) validateColumns(outer []string) []error {
	var errs []error
	problem := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	var seen [2]map[string]string
	seen[0], seen[1] = map[string]string{}, map[string]string{}
	check := func(where string, c Column, key bool) {
		if strings.TrimSpace(c.Name) == "" {
			problem("%s.Name is empty", where)
			return
		}
		for side := range seen {
			folded := strings.ToLower(c.name(side))
			if first, twice := seen[side][folded]; twice && where != "ChangedAt" {
				problem("%s names the column %q, which %s names already", where, c.name(side), first)
			}
			seen[side][folded] = where
		}
		if c.Kind < KindAuto || c.Kind > KindBool {
			problem("%s (%s): there is no %s", where, c.Name, c.Kind)
			return
		}
		if c.Kind == KindAuto {
			if len(outer) > 0 {
				problem("%s (%s): set Kind: %s cannot say how its values are to be read", where, c.Name, strings.Join(outer, " and "))
			}
		} else if err := c.fits(c.Kind); err != nil {
			problem("%s: %w", where, err)
		}
		if c.Scale < 0 || c.Scale != 0 && !c.HasScale {
			problem("%s (%s): Scale is %d: it must not be negative, and counts only with HasScale: true", where, c.Name, c.Scale)
		}
		if c.Tolerance < 0 || math.IsNaN(c.Tolerance) || math.IsInf(c.Tolerance, 0) {
			problem("%s (%s): Tolerance is %g: it must be a number that is not negative", where, c.Name, c.Tolerance)
		}
		if key && (c.Kind == KindFloat || c.Kind == KindJSON) {
			problem("%s (%s) is %s, which has no exact order: choose another key", where, c.Name, c.Kind)
		}
		if key && (c.EmptyIsNull || c.HasScale || c.Tolerance != 0) {
			problem("%s (%s): EmptyIsNull, HasScale and Tolerance are for compared columns: a key is exact", where, c.Name)
		}
	}
	for i, c := range r.Key {
		check(fmt.Sprintf("Reconcile.Key[%d]", i), c, true)
	}
	for i, c := range r.Compare {
		check(fmt.Sprintf("Reconcile.Compare[%d]", i), c, false)
	}
	if r.ChangedAt.Name != "" {
		check("ChangedAt", r.ChangedAt, false)
	}
	return errs
}

func (r Reconcile) validateAsOf() []error {
	var errs []error
	if r.AsOf.IsZero() {
		if r.ChangedAt.Name != "" {
			errs = append(errs, errors.New("Reconcile.ChangedAt is set but AsOf is not: say when the frozen side was made"))
		}
		return errs
	}
	if r.ChangedAt.Name == "" {
		errs = append(errs, errors.New("Reconcile.AsOf is set but ChangedAt is not: name the column that says when a row last changed"))
	} else if r.ChangedAt.Kind != KindAuto && r.ChangedAt.Kind != KindTime {
		errs = append(errs, fmt.Errorf("Reconcile.ChangedAt (%s) is %s: it must be a time", r.ChangedAt.Name, r.ChangedAt.Kind))
	}
	if r.ConfirmLeft == nil && r.ConfirmRight == nil {
		errs = append(errs, errors.New("Reconcile.AsOf is set but neither ConfirmLeft nor ConfirmRight: what is frozen cannot heal; give the look that convicts the live database"))
	}
	return errs
}

func (r Reconcile) validateMask() []error {
	var errs []error
	for _, m := range r.Mask {
		found := false
		for i, c := range append(append([]Column{}, r.Key...), r.Compare...) {
			if !isMasked([]string{m}, c.Name) && !isMasked([]string{m}, c.name(1)) {
				continue
			}
			found = true
			if i < len(r.Key) && r.Checkpoints != nil {
				errs = append(errs, fmt.Errorf("Reconcile.Checkpoints would keep values of the key column %q, which Meta.Mask hides: do without one of them", c.Name))
			}
		}
		if !found {
			errs = append(errs, fmt.Errorf("Meta.Mask names %q, which is neither in Reconcile.Key nor in Compare: correct it, or values meant to be hidden are shown", m))
		}
	}
	return errs
}
