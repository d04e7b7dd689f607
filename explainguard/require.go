package explainguard

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Require declares that whatever reads a table must narrow a column of it: to constants, by IN, = or BETWEEN, or to a
// row of an outer query, by itself or through a column that is equal to it. RequiredFilter judges it after the optimizer's
// own push-down.
type Require struct {
	Table  string // the stored table's name, alone or as "schema.table"; letter case does not matter
	Column string // its column; letter case does not matter

	// Everywhere asks the same of the main query and of subqueries, whatever they cost: a tenant's column that every
	// statement must filter by. Without it, derived tables (inline views, views, common table expressions) that examine
	// more than Budget.DerivedRows rows are looked at.
	Everywhere bool
}

func (r Require) String() string { return r.Table + "." + r.Column }

func validateRequire(list []Require, rules []*Rule) error {
	var errs []error
	for i, r := range list {
		if strings.TrimSpace(r.Table) == "" {
			errs = append(errs, fmt.Errorf("required filter %d names no Table", i))
		}
		if strings.TrimSpace(r.Column) == "" {
			errs = append(errs, fmt.Errorf("required filter %d (table %q) names no Column", i, r.Table))
		}
		for _, part := range []string{r.Table, r.Column} {
			if strings.Contains(part, "`") {
				errs = append(errs, fmt.Errorf("required filter %d: write the name %s without backticks", i, part))
			}
		}
		if slices.Contains(list[:i], r) {
			errs = append(errs, fmt.Errorf("required filter %d declares %s twice", i, r))
		}
	}
	if len(list) > 0 && rules != nil && !slices.ContainsFunc(rules, func(r *Rule) bool { return r != nil && r.Name == RequiredFilter.Name }) {
		errs = append(errs, errors.New("Guard.Require is set, but Guard.Rules holds no RequiredFilter, so nothing would look at it; add the rule"))
	}
	return errors.Join(errs...)
}
