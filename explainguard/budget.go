package explainguard

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Unlimited as a figure of a Budget says that there is no limit.
const Unlimited = math.MaxFloat64

// The defaults of a Budget.
const (
	DefaultRowsExamined = 10_000
	DefaultDerivedRows  = 1_000
	DefaultUntimedRows  = 100_000

	DefaultEstimateRatio = 10
	DefaultEstimateRows  = 1_000

	DefaultRepeated = 20

	DefaultFullScanRows       = 5_000
	DefaultIndexRows          = 1_000
	DefaultIndexKept          = 0.2
	DefaultJoinPairs          = 100_000
	DefaultSortRows           = 5_000
	DefaultSubqueryExecutions = 100
	DefaultSubqueryRows       = 1_000
	DefaultConversionRows     = 1_000
	DefaultInListValues       = 1_000
	DefaultOffsetRows         = 1_000
	DefaultLockedRows         = 1_000
)

// Budget is what a statement may cost. The zero value of each figure is its default.
type Budget struct {
	// RowsExamined is how many rows one run of the statement may examine at stored tables, by the optimizer's
	// estimate, every loop multiplied. Default 10,000; Unlimited lifts it.
	RowsExamined float64

	// DerivedRows is how many rows a derived table may examine before the rule derived-filter looks at its filters.
	// Default 1,000, so that small tables stay quiet; Unlimited silences the rule.
	DerivedRows float64

	// FullScanRows is how many rows the scans of one whole table, or of one whole index, may read in one run of the statement
	// (rule full-scan). Default 5,000: lists of countries, plans and settings are smaller; a table that has outgrown it goes on growing,
	// and the scan with it. It is half of the default for all rows examined, so that a scan is named before it fills the budget alone.
	// Unlimited silences the rule.
	FullScanRows float64

	// IndexRows is how many rows the reading through one index may cost before the rule unselective-index looks at how many of
	// them are kept. Default 1,000: each may lie on a page of its own, so that these are up to 16 MiB of a table. Unlimited silences the rule.
	IndexRows float64

	// IndexKept is the least share, above 0 and up to 1, of the rows read through an index that must pass the statement's other
	// conditions (rule unselective-index). Default 0.2: without statistics on a column the optimizer takes 10 % for an equality, which
	// an index could serve, and 33 % for a comparison, which may well want that many.
	IndexKept float64

	// JoinPairs is how many pairs of rows one join may compare for want of an equality between its sides (rule
	// join-without-condition). Default 100,000: at 0.12 µs for a pair, as measured on MySQL 9.7, some 12 ms, which is more than
	// scanning the default for all rows examined takes. Unlimited silences the rule.
	JoinPairs float64

	// SortRows is how many rows one operator may sort, or put into a temporary table, in one run of the statement (rule
	// sort-temporary). Default 5,000: sorting a row costs more than scanning it (0.4 µs and 0.3 µs on MySQL 9.7), so with the reading this weighs as much as the default for all
	// rows examined; and with 100 bytes a row, the default sort buffer of 256 KiB holds half of them. Unlimited silences the rule.
	SortRows float64

	// SubqueryExecutions is how often a correlated subquery or LATERAL table may run in one run of the statement (rule
	// dependent-subquery). Default 100, which is a long page of results. Unlimited silences the rule.
	SubqueryExecutions float64

	// SubqueryRows is how many rows a correlated subquery or LATERAL table may examine over all its executions before the rule
	// dependent-subquery looks at how often it runs; single-row look-ups by a unique key are not counted. Default 1,000. Unlimited silences the rule.
	SubqueryRows float64

	// ConversionRows is how many rows an access may examine although an index was at hand that a conversion made unusable (rule
	// implicit-conversion). Default 1,000: below, a scan costs little more than the look-up. Unlimited silences the rule.
	ConversionRows float64

	// InListValues is how many values one IN list may hold (rule in-list). Default 1,000: loaders that read in batches stay below.
	// Unlimited silences the rule.
	InListValues float64

	// OffsetRows is how many rows OFFSET may throw away in one run of the statement (rule large-offset). Default 1,000: twenty pages of 50. Unlimited
	// silences the rule.
	OffsetRows float64

	// LockedRows is how many rows of one table a statement may lock by reading them (rule write-scan). Default 1,000, lower than for
	// reads: whoever wants one of these rows waits until the transaction ends. Unlimited silences the rule.
	LockedRows float64

	// UntimedRows is how many rows a SELECT may examine without a limit on its time (rule max-execution-time). Default
	// 100,000; Unlimited asks no statement for one, while hints without effect are still found.
	UntimedRows float64

	// EstimateRatio is by which factor the optimizer's estimate for a table access may differ from what a run really examined
	// (Guard.Analyze), before the rule estimate-off speaks. Default 10; Unlimited silences the rule.
	EstimateRatio float64

	// EstimateRows is how many rows, estimated or examined, an access must have before the rule estimate-off looks at it. Default
	// 1,000, so that small figures stay quiet.
	EstimateRows float64

	// Repeated is how often one test may run the same query, with different values, from the same place in the code: more is a
	// loop that asks for one row after another (N+1) where one query would do. It goes for captured statements that
	// only read. Default 20, since fixtures are small and a few look-ups in a row are no harm; Unlimited lifts it.
	Repeated float64

	// Queries is how many statements one test may send. Default: no limit, since fixtures are sent as well.
	Queries float64

	// TestRows is how many rows all captured statements of one test may examine together, by the optimizer's estimates.
	// Default: no limit.
	TestRows float64
}

// figure is one figure of a Budget: what validates it and what the rules' documentation says about it.
type figure struct {
	name     string
	standard float64 // its default
	of       func(*Budget) *float64
}

var figures = []figure{
	{"RowsExamined", DefaultRowsExamined, func(b *Budget) *float64 { return &b.RowsExamined }},
	{"DerivedRows", DefaultDerivedRows, func(b *Budget) *float64 { return &b.DerivedRows }},
	{"FullScanRows", DefaultFullScanRows, func(b *Budget) *float64 { return &b.FullScanRows }},
	{"IndexRows", DefaultIndexRows, func(b *Budget) *float64 { return &b.IndexRows }},
	{"IndexKept", DefaultIndexKept, func(b *Budget) *float64 { return &b.IndexKept }},
	{"JoinPairs", DefaultJoinPairs, func(b *Budget) *float64 { return &b.JoinPairs }},
	{"SortRows", DefaultSortRows, func(b *Budget) *float64 { return &b.SortRows }},
	{"SubqueryExecutions", DefaultSubqueryExecutions, func(b *Budget) *float64 { return &b.SubqueryExecutions }},
	{"SubqueryRows", DefaultSubqueryRows, func(b *Budget) *float64 { return &b.SubqueryRows }},
	{"ConversionRows", DefaultConversionRows, func(b *Budget) *float64 { return &b.ConversionRows }},
	{"InListValues", DefaultInListValues, func(b *Budget) *float64 { return &b.InListValues }},
	{"OffsetRows", DefaultOffsetRows, func(b *Budget) *float64 { return &b.OffsetRows }},
	{"LockedRows", DefaultLockedRows, func(b *Budget) *float64 { return &b.LockedRows }},
	{"UntimedRows", DefaultUntimedRows, func(b *Budget) *float64 { return &b.UntimedRows }},
	{"EstimateRatio", DefaultEstimateRatio, func(b *Budget) *float64 { return &b.EstimateRatio }},
	{"EstimateRows", DefaultEstimateRows, func(b *Budget) *float64 { return &b.EstimateRows }},
	{"Repeated", DefaultRepeated, func(b *Budget) *float64 { return &b.Repeated }},
	{"Queries", Unlimited, func(b *Budget) *float64 { return &b.Queries }},
	{"TestRows", Unlimited, func(b *Budget) *float64 { return &b.TestRows }},
}

// Set sets the figure of that name ("RowsExamined"), for budgets that come from a file or a command line. Letter case does not
// matter, 0 is the figure's default. An unknown name is an error that lists the known ones.
func (b *Budget) Set(name string, v float64) error {
	var names []string
	for _, f := range figures {
		if !strings.EqualFold(f.name, name) {
			names = append(names, f.name)
			continue
		}
		var alone Budget
		*f.of(&alone) = v
		if err := alone.validate(); err != nil {
			return fmt.Errorf("explainguard: %w", err)
		}
		*f.of(b) = v
		return nil
	}
	return fmt.Errorf("explainguard: a budget has no figure %q; its figures are %s", name, strings.Join(names, ", "))
}

func (b Budget) rowsExamined() float64 { return orDefault(b.RowsExamined, DefaultRowsExamined) }

func (b Budget) derivedRows() float64 { return orDefault(b.DerivedRows, DefaultDerivedRows) }

func (b Budget) fullScanRows() float64 { return orDefault(b.FullScanRows, DefaultFullScanRows) }

func (b Budget) indexRows() float64 { return orDefault(b.IndexRows, DefaultIndexRows) }

func (b Budget) indexKept() float64 { return orDefault(b.IndexKept, DefaultIndexKept) }

func (b Budget) joinPairs() float64 { return orDefault(b.JoinPairs, DefaultJoinPairs) }

func (b Budget) sortRows() float64 { return orDefault(b.SortRows, DefaultSortRows) }

func (b Budget) subqueryExecutions() float64 {
	return orDefault(b.SubqueryExecutions, DefaultSubqueryExecutions)
}

func (b Budget) subqueryRows() float64 { return orDefault(b.SubqueryRows, DefaultSubqueryRows) }

func (b Budget) conversionRows() float64 { return orDefault(b.ConversionRows, DefaultConversionRows) }

func (b Budget) inListValues() float64 { return orDefault(b.InListValues, DefaultInListValues) }

func (b Budget) offsetRows() float64 { return orDefault(b.OffsetRows, DefaultOffsetRows) }

func (b Budget) lockedRows() float64 { return orDefault(b.LockedRows, DefaultLockedRows) }

func (b Budget) untimedRows() float64 { return orDefault(b.UntimedRows, DefaultUntimedRows) }

func (b Budget) estimateRatio() float64 { return orDefault(b.EstimateRatio, DefaultEstimateRatio) }

func (b Budget) estimateRows() float64 { return orDefault(b.EstimateRows, DefaultEstimateRows) }

func orDefault(v, standard float64) float64 {
	if v == 0 {
		return standard
	}
	return v
}

func (b Budget) validate() error {
	var errs []error
	for _, f := range figures {
		name, v := f.name, *f.of(&b)
		switch {
		case math.IsNaN(v):
			errs = append(errs, fmt.Errorf("the budget for %s is not a number; leave it 0 for the default, or set a positive figure or Unlimited", name))
		case v < 0:
			errs = append(errs, fmt.Errorf("the budget for %s is %v; leave it 0 for the default, or set a positive figure or Unlimited", name, v))
		}
	}
	if b.IndexKept > 1 {
		errs = append(errs, fmt.Errorf("the budget for IndexKept is %v; it is a share of at most 1; set IndexRows to Unlimited to silence the rule", b.IndexKept))
	}
	return errors.Join(errs...)
}

// unlimited reports whether a figure sets no limit.
func unlimited(v float64) bool { return v >= Unlimited }
