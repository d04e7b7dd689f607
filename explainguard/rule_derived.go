package explainguard

import (
	"fmt"
	"strings"
)

// DerivedFilter fails a derived table that reads much although the query around it wants few of its rows.
var DerivedFilter = &Rule{
	Name: "derived-filter",
	Doc: `A derived table (inline view, view, common table expression) is not narrowed by what the query around it wants.

The outer query keeps a few values of a column, say customers.id IN (1, 2, 3), and joins the derived table on it; but
the derived table is filled first, for every customer, and then looked up a few times. EXPLAIN's outer lines look
harmless. The optimizer pushes some conditions into derived tables by itself (those on the derived table's own columns, not
those on a table joined with it), so the rule judges the statement as the server rewrote it; if that text cannot be
parsed, the conditions in the plan.

What narrows is =, <=>, IN, an OR of these, (a, b) IN ((1, 2), …), and a range by which an index finds few rows: up to
1,000 between two ends, up to 100 with one.

It stays quiet when the block examines no more than Budget.DerivedRows rows, when nothing outside narrows a column that
the block passes through unchanged, when the block is narrowed already by the column by which the table outside is looked
up, and when a filter inside would change the result (LIMIT, a window function whose PARTITION BY does not hold the column).
An IN (subquery) outside narrows only if the optimizer knows values for it.`,
	Budget: "DerivedRows",
	Run:    runDerivedFilter,
}

// conditions answers what a derived block could be narrowed by, and is not.
type conditions interface {
	missing(outer *Block, access *Node, derived *Block) (lack, bool)

	// narrowed reports whether a block narrows a column of one of its accesses, and how that was judged if not by the
	// rewritten statement.
	narrowed(b *Block, n *Node, column string) (bool, string)
}

// lack is a filter that the outer block has on a derived table's column and that the derived table does not have inside.
type lack struct {
	outside string   // what the outer block keeps: "customers.id IN (1, 2, 3)"
	column  string   // what nothing narrows inside: "c.id"
	add     string   // the condition to add: "c.id IN (1, 2, 3)"; "" where only the column is known
	arms    []string // the same for each arm of a union; "" for one that is narrow already
	judged  string   // "" when the rewritten statement was read, else how it was judged instead
}

func runDerivedFilter(p *Input) []Finding {
	limit := p.Budget.derivedRows()
	if unlimited(limit) {
		return nil
	}
	var found []Finding
	for _, outer := range p.Plan.Blocks() {
		for _, access := range outer.Accesses() {
			d := access.derived()
			if d == nil || d.Kind != BlockDerived {
				continue
			}
			work := p.Work.Of(d).Total()
			if work <= limit {
				continue
			}
			if p.condition == nil {
				p.condition = readConditions(p.Plan)
			}
			miss, ok := p.condition.missing(outer, access, d)
			if !ok {
				continue
			}
			found = append(found, Finding{
				Rule: "derived-filter", Block: d, Figure: work, Limit: limit, explains: p.within(d),
				What: fmt.Sprintf("%s %s %s rows, although the %s wants only %s: inside %s, nothing narrows %s%s",
					d.Title(), examines(p.Plan), about(work, p.Work.LowerBound), outer.Title(), miss.outside, d.Name, miss.column, miss.judged),
				WayOut: wayOut(d, miss),
				fix:    miss.fix(d),
			})
		}
	}
	return found
}

// fix is the change that adds the filter, where it is known as a whole.
func (l lack) fix(d *Block) *fix {
	if len(l.arms) == 0 || strings.Contains(l.add, "…") {
		return nil
	}
	f := &fix{what: "add " + "`" + l.add + "` to the WHERE inside " + d.Name, cte: d.CTE, conds: l.arms}
	for b := d; b != nil; b = b.Parent {
		if b.Kind == BlockDerived {
			f.path = append([]string{b.Name}, f.path...)
		}
	}
	return f
}

func wayOut(d *Block, miss lack) string {
	if miss.add == "" {
		return fmt.Sprintf("filter %s inside %s by the same values as outside", miss.column, d.Name)
	}
	return fmt.Sprintf("add `%s` to the WHERE inside %s", miss.add, d.Name)
}

// readConditions reads the rewritten statement, and falls back to the plan's own conditions.
func readConditions(p *Plan) conditions {
	plan := planConditions{plan: p}
	if p.Rewritten == "" {
		plan.judged = " (judged by the plan alone, as the rewritten statement is not known)"
		return plan
	}
	sql, err := readSQL(p.Rewritten)
	if err != nil {
		plan.judged = " (judged by the plan alone, as the rewritten statement could not be parsed)"
		return plan
	}
	// What the statement hides (the body of a view), the plan may tell.
	plan.judged = " (judged by the plan alone, as the rewritten statement does not show the body of a view)"
	return bothConditions{sql, plan}
}

type bothConditions struct {
	sql  *sqlConditions
	plan planConditions
}

func (c bothConditions) missing(outer *Block, access *Node, derived *Block) (lack, bool) {
	if c.sql.knows(outer, derived) {
		return c.sql.missing(outer, access, derived)
	}
	return c.plan.missing(outer, access, derived)
}

// planConditions judges by what the plan itself says: by which columns an access looks rows up, and the conditions
// that the server prints beside it. It sees less than the statement tells.
type planConditions struct {
	plan   *Plan
	judged string
}

func (c planConditions) missing(outer *Block, access *Node, derived *Block) (lack, bool) {
	for i, column := range access.KeyColumns {
		if i >= len(access.Refs) {
			break
		}
		ref := strings.Split(strings.ReplaceAll(access.Refs[i], "`", ""), ".")
		if len(ref) < 2 {
			continue // compared with a constant: the server would have pushed it, had it been able to
		}
		alias, outerColumn := ref[len(ref)-2], ref[len(ref)-1]
		for _, n := range outer.Accesses() {
			if n.Alias != alias || !narrows(n, outerColumn) {
				continue
			}
			if c.narrowedInside(derived, column, n, outerColumn) {
				continue
			}
			return lack{outside: "some " + alias + "." + outerColumn, column: column, judged: c.judged}, true
		}
	}
	return lack{}, false
}

// narrows reports whether an access keeps only some given values of a column.
func narrows(n *Node, column string) bool {
	for i, k := range n.KeyColumns {
		if k != column {
			continue
		}
		switch n.Access {
		case AccessConst, AccessRange:
			return true
		case AccessLookup, AccessUnique:
			if i < len(n.Refs) && n.Refs[i] == "const" {
				return true
			}
		}
	}
	for _, c := range n.Conditions {
		c = strings.ReplaceAll(c, "`", "")
		for _, op := range []string{" in (", " = "} {
			if at := strings.Index(c, "."+column+op); at >= 0 && constant(c[at+len(column)+1+len(op):]) {
				return true
			}
		}
	}
	return false
}

// constant reports whether a text starts with a literal.
func constant(s string) bool {
	return s != "" && (s[0] >= '0' && s[0] <= '9' || s[0] == '\'' || s[0] == '-')
}

// narrowedInside reports whether the block narrows the derived table's column, by that name, or the column outside that
// it is compared with, in the same table.
func (c planConditions) narrowedInside(derived *Block, column string, outside *Node, outerColumn string) bool {
	found := false
	for _, b := range c.plan.Blocks() {
		if !b.within(derived) {
			continue
		}
		for _, n := range b.Accesses() {
			found = found || narrows(n, column) || n.Table == outside.Table && narrows(n, outerColumn)
		}
		b.Root.walk(func(n *Node) { // a filter above the access
			found = found || n.Op == OpFilter && narrows(&Node{Conditions: n.Conditions}, column)
		})
	}
	return found
}
