package explainguard

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// RuleUnanalysable is the name by which a Waiver waives that a statement could not be judged; no rule has it.
const RuleUnanalysable = "unanalysable"

// longestWaiver is how far ahead a waiver may expire, in years. What must be lived with for longer is no exception: it is
// the budget.
const longestWaiver = 1

// Waiver lets what one rule finds at one statement pass until a day, with a reason. What it waives stays in the report
// (Report.Waived). When it has expired, it waives nothing, and the finding says so.
//
// Rule, Reason and Expires are required, and at least one of Query, Table and CallSite, all of which must match: a rule is
// not switched off by waivers, but by Guard.Rules or its Budget.
type Waiver struct {
	Rule string // the rule's name, or RuleUnanalysable

	// Query is a part of the statement: letter case and white space do not matter. Take a part without values.
	Query string

	// Table is the name of a stored table, alone or as "schema.table", at which something was found: the table of the
	// guilty access, else one that the guilty block reads, else one that the statement reads.
	Table string

	// CallSite is the end of the path of the file that sent the statement, "orders/repository.go", or of the function,
	// "orders.(*Repository).Find". Line numbers move too often to be asked for.
	CallSite string

	Reason  string    // why it may pass; shown in each report
	Expires time.Time // the moment from which it waives nothing, at most a year ahead
}

// String says until when something is waived, and why.
func (w Waiver) String() string {
	return fmt.Sprintf("waived until %s because %s", w.Expires.Format(time.DateOnly), strings.Join(strings.Fields(w.Reason), " "))
}

// Waived is a finding that does not count for now.
type Waived struct {
	Finding
	By Waiver
}

// subject names a waiver in an error or a list.
func (w Waiver) subject() string {
	s := fmt.Sprintf("for rule %q", w.Rule)
	for _, sel := range []struct{ name, value string }{{"Query", w.Query}, {"Table", w.Table}, {"CallSite", w.CallSite}} {
		if sel.value != "" {
			s += fmt.Sprintf(", %s %q", sel.name, shorten(sel.value, 60))
		}
	}
	return s
}

// validateWaivers refuses waivers that would waive nothing, or too much. rules are the names that findings can have.
func validateWaivers(waivers []Waiver, rules []string, now time.Time) error {
	var errs []error
	for i, w := range waivers {
		refuse := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("waiver %d (%s): %s", i, w.subject(), fmt.Sprintf(format, args...)))
		}
		switch {
		case w.Rule == "":
			refuse("it names no Rule")
		case !slices.Contains(rules, w.Rule):
			refuse("there is no such rule; the names are %s", strings.Join(rules, ", "))
		}
		for _, sel := range []struct{ name, value string }{{"Query", w.Query}, {"Table", w.Table}, {"CallSite", w.CallSite}} {
			if sel.value != "" && strings.TrimSpace(sel.value) == "" {
				refuse("%s is blank; leave it empty or say what to match", sel.name)
			}
		}
		if w.Query == "" && w.Table == "" && w.CallSite == "" {
			refuse("it would waive the rule everywhere; add a Query, Table or CallSite, or leave the rule out of Guard.Rules")
		}
		if _, keyword := explainable[strings.ToUpper(strings.TrimSpace(w.Query))]; keyword {
			refuse("its Query is in nearly every statement; take a part that only the meant one has")
		}
		if strings.TrimSpace(w.Reason) == "" {
			refuse("it gives no Reason")
		}
		switch latest := now.AddDate(longestWaiver, 0, 0); {
		case w.Expires.IsZero():
			refuse("it never Expires; set the day by which this will be dealt with, at most a year ahead")
		case w.Expires.After(latest):
			refuse("it Expires on %s, more than a year ahead; take a day before %s, or raise the budget if this is to stay",
				w.Expires.Format(time.DateOnly), latest.Format(time.DateOnly))
		}
	}
	return errors.Join(errs...)
}

// waive moves what is waived from a finished report's Findings and Reasons to Waived, and judges what is left. It returns
// the waivers that matched, the expired ones too. To do it twice changes nothing.
func waive(r *Report, waivers []Waiver, now time.Time) (used []Waiver) {
	if len(waivers) == 0 {
		return nil
	}
	decide := func(f Finding) (by *Waiver, expired bool) {
		for _, w := range waivers {
			if !w.matches(r, f) {
				continue
			}
			used = append(used, w)
			inForce := now.Before(w.Expires)
			if by == nil || expired && inForce {
				by, expired = &w, !inForce
			}
		}
		return by, expired
	}
	before := len(r.Waived)
	var findings []Finding
	for _, f := range r.Findings {
		by, expired := decide(f)
		switch {
		case by == nil:
		case expired:
			f.Note = by.String() + "; expired"
		default:
			r.Waived = append(r.Waived, Waived{f, *by})
			continue
		}
		findings = append(findings, f)
	}
	var reasons []Reason
	for _, reason := range r.Reasons {
		f := Finding{Rule: RuleUnanalysable, What: reason.What, WayOut: reason.WayOut}
		by, expired := decide(f)
		switch {
		case by == nil:
		case expired:
			reason.Note = by.String() + "; expired"
		default:
			r.Waived = append(r.Waived, Waived{f, *by})
			continue
		}
		reasons = append(reasons, reason)
	}
	r.Findings, r.Reasons = findings, reasons
	if len(r.Waived) > before {
		r.Verdict = r.verdict()
	}
	return used
}

func (w Waiver) matches(r *Report, f Finding) bool {
	return w.Rule == f.Rule && (w.Query != "" || w.Table != "" || w.CallSite != "") &&
		(w.Query == "" || strings.Contains(folded(r.Query), folded(w.Query))) &&
		(w.Table == "" || f.touches(r.Plan, w.Table)) &&
		(w.CallSite == "" || r.CallSite.endsWith(w.CallSite))
}

func folded(query string) string { return strings.ToLower(strings.Join(strings.Fields(query), " ")) }

// endsWith reports whether the file or the function ends with these whole elements of a path.
func (c CallSite) endsWith(end string) bool {
	if file, ok := strings.CutSuffix(c.File, end); ok && c.File != "" && (file == "" || strings.HasSuffix(file, "/")) {
		return true
	}
	function, ok := strings.CutSuffix(c.Function, end)
	return ok && c.Function != "" && (function == "" || strings.HasSuffix(function, "/") || strings.HasSuffix(function, "."))
}

// touches reports whether something was found at a stored table of that name.
func (f Finding) touches(p *Plan, table string) bool {
	if f.Node != nil && f.Node.Table != "" && f.Node.derived() == nil {
		return f.Node.named(table)
	}
	for _, b := range p.Blocks() {
		if f.Block != nil && !b.within(f.Block) {
			continue
		}
		found := false
		b.Root.walk(func(n *Node) { found = found || n.derived() == nil && n.named(table) })
		for _, n := range b.Const {
			found = found || n.named(table)
		}
		if found {
			return true
		}
	}
	return false
}

// named reports whether the node's table has that name, alone or as "schema.table".
func (n *Node) named(table string) bool {
	return n.Table != "" && (strings.EqualFold(n.Table, table) || strings.EqualFold(n.Schema+"."+n.Table, table))
}
