package explainguard

import (
	"errors"
	"fmt"
	"slices"
)

// Rule is one thing that a plan is judged by. It is a value: compare, list or replace rules as you like.
type Rule struct {
	Name string // short and stable: it stands in front of each finding
	Doc  string // what it finds, why that hurts, and when it stays quiet; the first sentence is a summary

	// Budget names the figure of Budget that sets its limit, "DerivedRows"; "" if it goes by none.
	Budget string

	// Run judges one plan. It must not change it. What it cannot tell it says through Input.CannotTell.
	Run func(*Input) []Finding
}

// Input is what a rule gets to see: one plan, with its work measured.
type Input struct {
	Plan   *Plan
	Work   Work
	Budget Budget // as configured; a zero figure means its default

	Require        []Require // the filters that the Guard declares
	SiblingLimited string    // the call site of a statement of the same package that has a time limit; "" if none is known

	reasons   []Reason
	condition conditions // parsed at first use: most plans need no look at the SQL
	visited   []visit    // see visits
	found     []Finding  // by the rules that ran before
}

// CannotTell records that a rule could not judge the plan, which then is Unanalysable unless something else fails it.
func (p *Input) CannotTell(what, wayOut string) {
	if r := (Reason{What: what, WayOut: wayOut}); !slices.Contains(p.reasons, r) {
		p.reasons = append(p.reasons, r)
	}
}

// validateRules refuses rules that could judge nothing.
func validateRules(rules []*Rule) error {
	if rules != nil && len(rules) == 0 {
		return errors.New("the list of rules is empty, so nothing would be judged; leave Guard.Rules nil for DefaultRules")
	}
	seen := map[string]bool{}
	for i, r := range rules {
		switch {
		case r == nil || r.Run == nil || r.Name == "":
			return fmt.Errorf("rule %d has no Name or no Run", i)
		case r.Budget != "" && !slices.ContainsFunc(figures, func(f figure) bool { return f.name == r.Budget }):
			return fmt.Errorf("rule %s goes by %q, which Budget does not have; leave Rule.Budget empty", r.Name, r.Budget)
		case seen[r.Name]:
			return fmt.Errorf("the list of rules holds %s twice", r.Name)
		}
		seen[r.Name] = true
	}
	return nil
}
