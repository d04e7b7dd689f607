package explainguard

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// The names of findings about a whole test.
const (
	ruleRepeated = "repeated-query"
	ruleQueries  = "test-queries"
	ruleTestRows = "test-rows"
)

// finish judges the test: an error for each bad statement, and one for each figure of the whole test that is exceeded.
func (w *workload) finish(g *Guard, tb testing.TB) {
	tb.Helper()
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.catchUp(0)
	// Statements that still run are waited for, as their EXPLAIN holds a session; their context is the test's, which has ended.
	ctx, cancel := context.WithTimeout(context.Background(), plannedTimeout+5*time.Second)
	defer cancel()
	if err := w.planner.close(ctx); err != nil {
		tb.Logf("explainguard: put the sessions back: %v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, jobs := range w.jobs { // their rows were never closed: what another connection told stands
		for _, j := range jobs {
			if j.later && (j.plan != nil || j.err != nil) {
				w.take(j)
			}
		}
	}
	w.limitSiblings()
	for _, r := range w.reports(tb.Name()) {
		g.waive(r.Report)
		if !r.quiet {
			g.suggest(ctx, w.planner.db, r.Report, false)
		}
		if err := record(r.Report); err != nil {
			tb.Errorf("%v", err)
		}
		switch {
		case r.quiet || r.Passed():
		case r.Verdict == Unanalysable && g.AllowUnanalysable:
			tb.Logf("%s", r)
		default:
			tb.Errorf("%s", r)
		}
	}
	tb.Logf("explainguard: %s", w.summary())
}

// limitSiblings judges anew what passed without a time limit where another statement of the same package has one: a hint does not travel
// from the query that finds the ids to the one that reads by them.
func (w *workload) limitSiblings() {
	limited := map[string]string{} // by package: the call site of a statement whose hint is in force
	for _, e := range w.order {
		for _, r := range []*Report{e.pass, e.fail, e.unclear, e.collapsed} {
			if r == nil || r.Plan == nil || r.Plan.TimeLimit == nil || r.Plan.TimeLimit.Source != LimitByHint {
				continue
			}
			if p := packageOf(e.site.Function); p != "" && limited[p] == "" {
				limited[p] = e.site.String()
			}
		}
	}
	for _, e := range w.order {
		sibling := limited[packageOf(e.site.Function)]
		if sibling == "" || e.fail != nil || e.pass == nil {
			continue
		}
		by := w.by
		by.siblingLimited = sibling
		r := judge(e.pass.Plan, by)
		r.Query, r.Args = e.pass.Query, e.pass.Args
		if r.Verdict == Fail {
			e.fail = r
		}
	}
}

// told is a report and what the test is told besides.
type told struct {
	*Report
	also  []string
	quiet bool // another report speaks for it
}

const maxAlso = 5

// String is the report, and where else it goes for.
func (t told) String() string {
	text := t.Report.String() + strings.Join(t.also[:min(len(t.also), maxAlso)], "")
	if more := len(t.also) - maxAlso; more > 0 {
		text += fmt.Sprintf("  and at %d more places\n", more)
	}
	return text
}

// reports returns what is known at the end of the test, bad statements first in the order in which they were first sent.
func (w *workload) reports(test string) []told {
	var all []told
	byShape := map[string]int{} // of a failed shape, the place in all
	byError := map[string]int{}
	for _, e := range w.order {
		r := e.verdict()
		if r == nil {
			continue
		}
		r.Test, r.CallSite, r.Calls, r.Collapsed = test, e.site, e.calls, e.collapses
		t := told{Report: r}
		group, key := byShape, e.shape
		if r.Plan == nil && e.err != nil {
			group, key = byError, e.err.Error()
			if !fromServer(e.err) {
				key = "" // the same outage, whatever its words
			}
		}
		if at, ok := group[key]; ok && !r.Passed() && !all[at].Passed() {
			// One error for each statement, for each cause: the others are places where it is sent as well.
			first := &all[at]
			if r.Verdict == Fail && (first.Verdict != Fail || r.Work.Total > first.Work.Total) {
				first.Report, t.Report = t.Report, first.Report
			}
			first.also = append(first.also, fmt.Sprintf("  also at %s, run %d times\n", siteName(t.CallSite), t.Calls))
			t.quiet = true
		} else if !r.Passed() {
			group[key] = len(all)
		}
		all = append(all, t)
	}
	for _, r := range w.wholeTest(test) {
		all = append(all, told{Report: r})
	}
	return all
}

func siteName(c CallSite) string {
	if c.File == "" {
		return "an unknown place"
	}
	return c.String()
}

// verdict returns the report on one statement shape at one call site; nil if it never came to an end that can be judged.
func (e *entry) verdict() *Report {
	switch {
	case e.calls == 0:
		return nil
	case e.fail != nil:
		return e.fail
	case e.err != nil:
		return &Report{Query: e.errQuery, Args: e.errArgs, Reasons: []Reason{{
			What:   "the statement could not be explained: " + e.err.Error(),
			WayOut: "if it needs what only its own session has, set Guard.SameConnection",
		}}}
	case e.unclear != nil: // its arguments may be those that lead to another plan
		return e.unclear
	case e.pass != nil:
		// Arguments that find nothing collapse the plan; those that found something showed what it is.
		return e.pass
	case e.collapsed != nil:
		return e.collapsed
	}
	return &Report{Reasons: []Reason{{
		What:   "the statement could not be explained: its rows were never closed, or EXPLAIN had failed too often before",
		WayOut: "close the rows before the test ends",
	}}}
}

// examined is what the calls of an entry examined together. Calls with arguments that were not explained count like the average of those that
// were.
func (e *entry) examined() (total float64) {
	calls, unknown := 0, e.others
	for _, t := range e.tuples {
		if t.rows < 0 {
			unknown += t.calls
			continue
		}
		total += t.rows * float64(t.calls)
		calls += t.calls
	}
	if calls > 0 {
		total += total / float64(calls) * float64(unknown)
	}
	return total
}

// wholeTest returns the findings about the test as a whole.
func (w *workload) wholeTest(test string) []*Report {
	var all []*Report
	limit := orDefault(w.by.budget.Repeated, DefaultRepeated)
	for _, e := range w.order {
		if e.text.writes || float64(e.calls) <= limit || len(e.tuples) < 2 || e.site.File == "" {
			continue
		}
		all = append(all, &Report{
			Verdict: Fail, Test: test, CallSite: e.site, Calls: e.calls, Query: e.shape, Budget: w.by.budget,
			Findings: []Finding{{
				Rule: ruleRepeated, Figure: float64(e.calls), Limit: limit, Unit: "calls",
				What: fmt.Sprintf("the same query ran %d times from the same line, each time with other values: one row after another (N+1)", e.calls),
				WayOut: "ask for all of them at once (a join, an IN list; Preload or Joins with GORM), " +
					"or set Budget.Repeated if this test means to; name a helper through which all queries go in Guard.SkipFrames",
			}},
		})
	}
	if limit := w.by.budget.Queries; limit > 0 && float64(w.total) > limit {
		all = append(all, w.totalReport(test, ruleQueries, "statements", float64(w.total), limit,
			fmt.Sprintf("the test sent %d statements", w.total),
			"send fewer (see which come most often above), or raise Budget.Queries",
			func(e *entry) float64 { return float64(e.calls) }))
	}
	if limit := w.by.budget.TestRows; limit > 0 {
		var sum float64
		for _, e := range w.order {
			sum += e.examined()
		}
		if sum > limit {
			all = append(all, w.totalReport(test, ruleTestRows, "", sum, limit,
				fmt.Sprintf("all statements of the test together examine about %s rows", rows(sum)),
				"narrow those that examine most, or raise Budget.TestRows", (*entry).examined))
		}
	}
	return all
}

func (w *workload) totalReport(test, rule, unit string, figure, limit float64, what, wayOut string, by func(*entry) float64) *Report {
	most := slices.Clone(w.order)
	slices.SortStableFunc(most, func(a, b *entry) int { return cmp.Compare(by(b), by(a)) })
	var lines []string
	for _, e := range most[:min(len(most), 3)] {
		lines = append(lines, fmt.Sprintf("%s at %s: %s", rows(by(e)), siteName(e.site), shorten(e.shape, 60)))
	}
	if lines != nil {
		what += "; most: " + strings.Join(lines, "; ")
	}
	return &Report{Verdict: Fail, Test: test, Calls: w.total, Budget: w.by.budget, Findings: []Finding{{
		Rule: rule, Figure: figure, Limit: limit, Unit: unit, What: what, WayOut: wayOut,
	}}}
}

// summary is one line about the whole test.
func (w *workload) summary() string {
	places := map[CallSite]bool{}
	shapes := map[string]bool{}
	var verdicts [3]int
	beyond, collapses, judged := 0, 0, 0
	for _, e := range w.order {
		places[e.site], shapes[e.shape] = true, true
		if r := e.verdict(); r != nil {
			verdicts[r.Verdict]++
			if e.collapses > 0 && r.Passed() {
				collapses, judged = collapses+e.collapses, judged+1
			}
		}
		if !e.text.valuesOnly {
			beyond += e.others
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d statements of %d shapes from %d places: %d pass, %d fail, %d could not be told", w.total, len(shapes), len(places),
		verdicts[Pass], verdicts[Fail], verdicts[Unanalysable])
	if beyond > 0 {
		fmt.Fprintf(&b, "; %d ran with arguments beyond the first %d, which are not explained", beyond, w.limit)
	}
	if collapses > 0 {
		fmt.Fprintf(&b, "; %d of those that pass were also run with %d arguments that find no row here, of which nothing can be told", judged, collapses)
	}
	if w.failed > 0 {
		fmt.Fprintf(&b, "; %d failed themselves and are not judged as good", w.failed)
	}
	if len(w.other) > 0 {
		var verbs []string
		for _, verb := range slices.Sorted(maps.Keys(w.other)) {
			verbs = append(verbs, fmt.Sprintf("%s ×%d", verb, w.other[verb]))
		}
		b.WriteString("; without a plan: " + strings.Join(verbs, ", "))
	}
	return b.String()
}
