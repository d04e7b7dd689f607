package explainguard

import (
	"math"
	"strconv"
	"strings"
)

// Verdict is what is known about a statement. Its zero value is that nothing is.
type Verdict int

// The verdicts.
const (
	Unanalysable Verdict = iota // could not tell: an error, a collapsed or unknown plan; never to be taken for a pass
	Pass                        // the plan was understood as a whole and no rule found anything
	Fail                        // a rule found something
)

// String returns the verdict's name.
func (v Verdict) String() string {
	switch v {
	case Pass:
		return "Pass"
	case Fail:
		return "Fail"
	default:
		return "Unanalysable"
	}
}

// Report is a judgement on one statement. A nil or zero Report is Unanalysable.
type Report struct {
	Plan     *Plan // nil if there is none
	Verdict  Verdict
	Findings []Finding

	// Reasons say why nothing, or not everything, can be told. A report may fail and have reasons: what was found is
	// certain, and there may be more.
	Reasons []Reason

	Query  string // the statement as it was sent; "" for a plan judged by itself
	Args   []any
	Work   Work
	Budget Budget // as configured; a zero figure means its default
}

// Passed reports whether the verdict is Pass; it is false for a nil Report.
func (r *Report) Passed() bool { return r != nil && r.Verdict == Pass }

// Finding is something that a rule found.
type Finding struct {
	Rule   string  // the rule's name
	Block  *Block  // the guilty block, or nil
	Node   *Node   // the guilty operator, or nil if the block as a whole is
	What   string  // what is the matter, with the figure
	Figure float64 // what was measured, in the rule's unit: rows
	Limit  float64 // what was allowed
	WayOut string  // what to do
}

// judge applies rules to a plan. It is pure.
func judge(p *Plan, budget Budget, rules []*Rule) *Report {
	r := &Report{Plan: p, Budget: budget}
	if p == nil || p.Root == nil {
		r.Reasons = []Reason{{What: "there is no plan", WayOut: "parse or explain a statement first"}}
		return r
	}
	r.Query, r.Work = p.Query, Measure(p)
	in := &Input{Plan: p, Work: r.Work, Budget: budget}
	for _, rule := range rules {
		for _, f := range rule.Run(in) {
			if f.Rule == "" {
				f.Rule = rule.Name
			}
			r.Findings = append(r.Findings, f)
		}
	}
	r.Reasons = append(append(r.Reasons, p.Unanalysable...), in.reasons...)
	switch {
	case len(r.Findings) > 0:
		r.Verdict = Fail
	case len(r.Reasons) == 0:
		r.Verdict = Pass
	}
	return r
}

// rows prints a number of rows: whole where it is large, with decimals where a fraction tells something.
func rows(v float64) string {
	switch {
	case v < 0:
		return "?"
	case v >= 1e15:
		return strconv.FormatFloat(v, 'e', 2, 64)
	case v < 10 && math.Abs(v-math.Round(v)) > 0.005:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	digits := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// about prints rows, and says so when they are the least that it can be.
func about(v float64, lowerBound bool) string {
	if lowerBound {
		return "at least " + rows(v)
	}
	return rows(v)
}
