package explainguard

import "fmt"

// DependentSubquery fails a statement whose correlated subquery runs often and reads much in all.
var DependentSubquery = &Rule{
	Name: "dependent-subquery",
	Doc: `A correlated subquery, or a LATERAL table, runs again for row after row of the query around it.

EXPLAIN shows it once, with the rows of one execution. A subquery in the select list runs for each row that is returned, one in a condition for
each row that is tested, also for those that are dropped afterwards.

It stays quiet unless the subquery runs more than Budget.SubqueryExecutions times and examines more than Budget.SubqueryRows rows over all its
executions. Rows found by a single-row look-up in a unique key are not counted: that is what a join would do as well. A subquery inside a subquery is named by the
outer one of them that repeats.`,
	Budget: "SubqueryRows",
	Run:    runDependentSubquery,
}

func runDependentSubquery(p *Input) []Finding {
	times, limit := p.Budget.subqueryExecutions(), p.Budget.subqueryRows()
	if unlimited(times) || unlimited(limit) {
		return nil
	}
	var found []Finding
	var named []*Block
blocks:
	for _, w := range p.Work.Blocks {
		b := w.Block
		if !b.Dependent || b.Executions <= times || w.Total() <= limit {
			continue
		}
		for _, outer := range named {
			if b.within(outer) {
				continue blocks
			}
		}
		examined := 0.0
		var worst *Node
		all := p.within(b)
		for _, n := range all {
			if n.Access == AccessUnique {
				continue
			}
			examined += n.Examined()
			if worst == nil || n.Examined() > worst.Examined() {
				worst = n
			}
		}
		if examined <= limit {
			continue
		}
		named = append(named, b)
		found = append(found, Finding{
			Rule: "dependent-subquery", Block: b, Figure: examined, Limit: limit, explains: all,
			What: fmt.Sprintf("%s runs %s times (limit %s) and examines %s rows in all, most of them at %s (%s)",
				b.Title(), about(b.Executions, b.Unbounded), rows(times), rows(examined), worst.described(), worst.Access),
			WayOut: subqueryWayOut(b, worst),
		})
	}
	return found
}

func subqueryWayOut(b *Block, worst *Node) string {
	switch {
	case worst.readsAll():
		return fmt.Sprintf("index the column of %s by which the subquery is tied to the outer row, or compute it for all rows at once: join a derived table that groups by that column", worst.Name())
	case b.Kind == BlockDerived:
		return "narrow the rows before they reach the LATERAL table, or add an index that gives its rows in the wanted order"
	default:
		return "narrow the outer rows first, or compute it for all of them at once: join a derived table that groups by the column that ties the two"
	}
}
