package explainguard

import (
	"errors"
	"fmt"
	"math"
)

// Unlimited as a figure of a Budget says that there is no limit.
const Unlimited = math.MaxFloat64

// The defaults of a Budget.
const (
	DefaultRowsExamined = 10_000
	DefaultDerivedRows  = 1_000
)

// Budget is what a statement may cost. The zero value of each figure is its default.
type Budget struct {
	// RowsExamined is how many rows one run of the statement may examine at stored tables, by the optimizer's
	// estimate, every loop multiplied. Default 10,000; Unlimited lifts it.
	RowsExamined float64

	// DerivedRows is how many rows a derived table may examine before the rule derived-filter looks at its filters.
	// Default 1,000, so that small tables stay quiet; Unlimited silences the rule.
	DerivedRows float64
}

func (b Budget) rowsExamined() float64 { return orDefault(b.RowsExamined, DefaultRowsExamined) }

func (b Budget) derivedRows() float64 { return orDefault(b.DerivedRows, DefaultDerivedRows) }

func orDefault(v, standard float64) float64 {
	if v == 0 {
		return standard
	}
	return v
}

func (b Budget) validate() error {
	var errs []error
	check := func(name string, v float64) {
		switch {
		case math.IsNaN(v):
			errs = append(errs, fmt.Errorf("the budget for %s is not a number; leave it 0 for the default, or set a positive figure or Unlimited", name))
		case v < 0:
			errs = append(errs, fmt.Errorf("the budget for %s is %v; leave it 0 for the default, or set a positive figure or Unlimited", name, v))
		}
	}
	check("RowsExamined", b.RowsExamined)
	check("DerivedRows", b.DerivedRows)
	return errors.Join(errs...)
}

// unlimited reports whether a figure sets no limit.
func unlimited(v float64) bool { return v >= Unlimited }
