package explainguard

// DefaultFigure returns the default of a figure of Budget by its field's name, for the rules' documentation.
func DefaultFigure(name string) (standard float64, ok bool) {
	for _, f := range figures {
		if f.name == name {
			return f.standard, true
		}
	}
	return 0, false
}

// Limits is what a finding says about its limit.
func Limits(f Finding) string { return f.limit() }

// Waive applies waivers to a report as a Guard does.
var Waive = waive

// SessionLimit is the limit that a session's variables set.
var SessionLimit = sessionLimit

// JudgeWithSibling judges a plan as the captured statement of a package in which another one has a time limit.
func JudgeWithSibling(p *Plan, budget Budget, rules []*Rule, sibling string) *Report {
	return judge(p, judging{budget: budget, rules: rules, siblingLimited: sibling})
}

// Explains are the accesses whose rows a finding accounts for.
func Explains(f Finding) []*Node { return f.explains }
