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

	Waived []Waived // what was found, or could not be told, and does not count because of a Waiver

	Query  string // the statement as it was sent; "" for a plan judged by itself, or a finding about a whole test
	Args   []any
	Work   Work
	Budget Budget // as configured; a zero figure means its default

	// Of a statement that was captured or asserted in a test.
	Test     string   // the test's full name; "" if none is known
	CallSite CallSite // the first caller outside libraries
	Calls    int      // how often the statement ran in the test, with whatever arguments; 0 if it was not captured
	// Collapsed is, of a captured statement, with how many of the arguments that were explained it finds no row here, so that its plan
	// collapsed: nothing could be told of these, and it is judged by the others.
	Collapsed int
}

// CallSite is a place in the code that sent a statement. The zero value is that none is known.
type CallSite struct {
	File     string // as the compiler knows it
	Line     int
	Function string // with its package path
}

// String returns file:line, or "" if the call site is not known.
func (c CallSite) String() string {
	if c.File == "" {
		return ""
	}
	return c.File + ":" + strconv.Itoa(c.Line)
}

// Passed reports whether the verdict is Pass; it is false for a nil Report.
func (r *Report) Passed() bool { return r != nil && r.Verdict == Pass }

// Finding is something that a rule found.
type Finding struct {
	Rule   string  // the rule's name
	Block  *Block  // the guilty block, or nil
	Node   *Node   // the guilty operator, or nil if the block as a whole is
	What   string  // what is the matter, with the figure
	Figure float64 // what was measured, in Unit; 0 with a Limit of 0 where the rule goes by no figure
	Limit  float64 // what was allowed
	Unit   string  // of Figure and Limit; "" is rows
	WayOut string  // what to do
	Note   string  // "waived until 2026-01-31 because …; expired"; else ""

	// Suggestion is a change that was explained again and reads much less; nil if none was found.
	Suggestion *Suggestion

	fix *fix // a change of the statement that may help

	// explains are accesses whose rows this finding accounts for, so that a less exact rule need not name them again.
	explains []*Node
}

// judging is what a plan is judged by.
type judging struct {
	budget         Budget
	rules          []*Rule
	require        []Require
	siblingLimited string // the call site of a statement of the same package that has a time limit; "" if none is known
}

// judge applies rules to a plan. It is pure.
func judge(p *Plan, by judging) *Report {
	r := &Report{Plan: p, Budget: by.budget}
	if p == nil || p.Root == nil {
		r.Reasons = []Reason{{What: "there is no plan", WayOut: "parse or explain a statement first"}}
		return r
	}
	r.Query, r.Work = p.Query, Measure(p)
	if p.guessed {
		r.Reasons = p.Unanalysable
		return r
	}
	in := &Input{Plan: p, Work: r.Work, Budget: by.budget, Require: by.require, SiblingLimited: by.siblingLimited}
	for _, rule := range by.rules {
		in.found = r.Findings
		for _, f := range rule.Run(in) {
			if f.Rule == "" {
				f.Rule = rule.Name
			}
			r.Findings = append(r.Findings, f)
		}
	}
	r.Reasons = append(append(r.Reasons, p.Unanalysable...), in.reasons...)
	r.Verdict = r.verdict()
	return r
}

// verdict is what follows from the findings and reasons of a report that was judged.
func (r *Report) verdict() Verdict {
	switch {
	case len(r.Findings) > 0:
		return Fail
	case len(r.Reasons) == 0:
		return Pass
	default:
		return Unanalysable
	}
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
