package explainguard

import (
	"fmt"
	"strings"
)

// RequiredFilter fails a block that reads a table without the filter that Guard.Require declares for it.
var RequiredFilter = &Rule{
	Name: "required-filter",
	Doc: `A block reads a table without the filter that Guard.Require declares.

A team that was hit by an inline view over all customers can declare that it must not happen again, whatever the query around
it says: Require{Table: "customers", Column: "id"}. Each derived table (inline view, view, common table expression) that
reads customers must then narrow customers.id: to constants by =, IN or BETWEEN, or to a row of an outer query, by
itself or through a column equal to it. The statement is judged as the optimizer rewrote it, so a condition that it pushed into
the derived table counts. With Everywhere, the main query and subqueries are asked for the filter too.

It stays quiet without Guard.Require, where the derived table examines no more than Budget.DerivedRows rows
(not with Everywhere), and where the optimizer merged the derived table into the query around it.`,
	Budget: "DerivedRows",
	Run:    runRequiredFilter,
}

func runRequiredFilter(p *Input) []Finding {
	var found []Finding
	for _, b := range p.Plan.Blocks() {
		for _, n := range b.Accesses() {
			for _, need := range p.Require {
				if f, ok := p.lacks(need, b, n); ok {
					found = append(found, f)
				}
			}
		}
	}
	return found
}

// lacks judges one access by one required filter.
func (p *Input) lacks(need Require, b *Block, n *Node) (Finding, bool) {
	nameless := n.Schema == "" && p.Plan.Format == FormatJSONv1 // the alias stands in its place
	if !n.Base || !n.named(need.Table) && !nameless {
		return Finding{}, false
	}
	d := b
	for d != nil && d.Kind != BlockDerived {
		d = d.Parent
	}
	f := Finding{Block: b, Node: n}
	examines := ""
	if !need.Everywhere {
		if d == nil {
			return Finding{}, false
		}
		f.Figure, f.Limit = p.Work.Of(d).Total(), p.Budget.derivedRows()
		if f.Figure <= f.Limit || unlimited(f.Limit) {
			return Finding{}, false
		}
		examines = fmt.Sprintf(", and the %s examines %s rows", d.Title(), about(f.Figure, p.Work.LowerBound))
	}
	if !n.named(need.Table) {
		p.CannotTell(fmt.Sprintf("whether the %s reads %s, of which Guard.Require asks a filter: JSON v1 knows its table %s by the alias alone",
			b.Title(), need.Table, n.Name()), "leave the format unset where MySQL is 8.3 or newer, or write the view's query out in the statement")
		return Finding{}, false
	}
	ok, judged := p.narrowed(b, n, need.Column)
	if ok {
		return Finding{}, false
	}
	column := n.Name() + "." + need.Column
	f.What = fmt.Sprintf("the %s reads %s, and nothing there narrows %s, which Guard.Require asks for%s%s", b.Title(), n.Table, column, examines, judged)
	f.WayOut = fmt.Sprintf("add a condition on %s (=, IN or BETWEEN) to the WHERE of the %s, or join it there with a column that has one", column, b.Title())
	return f, true
}

// narrowed reports whether a block narrows a column of one of its accesses, and how that was judged if not by the statement.
func (p *Input) narrowed(b *Block, n *Node, column string) (ok bool, judged string) {
	if n.Access == AccessConst {
		return true, "" // one row, read while planning: the statement shows its values in place of its columns
	}
	if p.condition == nil {
		p.condition = readConditions(p.Plan)
	}
	return p.condition.narrowed(b, n, strings.ToLower(column))
}

// narrowed implements conditions.
func (c bothConditions) narrowed(b *Block, n *Node, column string) (bool, string) {
	alias := strings.ToLower(n.Name())
	for _, s := range c.sql.in(b) {
		if _, ok := s.sources.get(alias); ok {
			k, _ := s.values.get(alias + "." + column)
			return k.narrow(), ""
		}
	}
	return c.plan.narrowed(b, n, column)
}

// narrowed implements conditions.
func (c planConditions) narrowed(b *Block, n *Node, column string) (bool, string) {
	return planNarrows(b, n, column, map[string]bool{}), c.judged
}

// planNarrows looks for a condition on a column in a block's plan, through the columns by which tables are looked up.
func planNarrows(b *Block, n *Node, column string, seen map[string]bool) bool {
	own := strings.ToLower(n.Name()) + "." + column
	if seen[own] {
		return false
	}
	seen[own] = true
	if n.Access == AccessConst {
		return true
	}
	var texts []string
	b.Root.walk(func(m *Node) { texts = append(texts, m.Conditions...) })
	for _, text := range texts {
		text = strings.ToLower(strings.ReplaceAll(text, "`", ""))
		for _, op := range []string{" in (", " = ", " between "} {
			for at := 0; ; {
				i := strings.Index(text[at:], own+op)
				if i < 0 {
					break
				}
				at += i + len(own+op)
				if constant(text[at:]) {
					return true
				}
			}
		}
	}
	for i, key := range n.KeyColumns {
		if !strings.EqualFold(key, column) {
			continue
		}
		if i >= len(n.Refs) || n.Access != AccessLookup && n.Access != AccessUnique {
			continue
		}
		ref := strings.Split(strings.ToLower(strings.ReplaceAll(n.Refs[i], "`", "")), ".")
		if len(ref) < 2 {
			return ref[0] == "const"
		}
		inside := false
		for _, m := range b.Accesses() {
			if strings.EqualFold(m.Name(), ref[len(ref)-2]) {
				inside = true
				if planNarrows(b, m, ref[len(ref)-1], seen) {
					return true
				}
			}
		}
		if !inside {
			return true // a column of an outer query's row
		}
	}
	return false
}
