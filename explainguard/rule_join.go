package explainguard

import (
	"fmt"
	"math"
	"strings"
)

// JoinWithoutCondition fails a join that compares every row of one side with every row of the other.
var JoinWithoutCondition = &Rule{
	Name: "join-without-condition",
	Doc: `A join compares each row of one side with each row of the other.

Either no condition ties the two sides (a forgotten ON, a comma too many, the same constant on both sides), and the result is every pair; or the
condition is none that an index or a hash table serves (a <, an OR, a <>), and every pair is tested. Such a join may read few rows, since it keeps
them in memory, and still run for hours: its cost is the product.

It stays quiet up to Budget.JoinPairs pairs, when one side is at most one row, for LATERAL and table functions such as JSON_TABLE, which depend on
the other side by nature, for EXISTS and IN, which stop at the first match, and where the server chooses an index anew for each row.`,
	Budget: "JoinPairs",
	Run:    runJoinWithoutCondition,
}

func runJoinWithoutCondition(p *Input) []Finding {
	limit := p.Budget.joinPairs()
	if unlimited(limit) {
		return nil
	}
	var found []Finding
	for _, v := range p.visits() {
		n := v.node
		if n.Op != OpJoin || len(n.Inputs) != 2 || n.Join == JoinSemi || n.Join == JoinAnti || n.Hash && len(n.HashKeys) > 0 {
			continue
		}
		left, right := passed(n.Inputs[0]), most(n.Inputs[1])
		if left <= 1 || right <= 1 || left*right*n.Executions <= limit { // before anything costly
			continue
		}
		outer, inner := n.Inputs[0].aliases(), n.Inputs[1].aliases()
		if dependsOn(n.Inputs[1], outer) {
			continue
		}
		tying := tyingConditions(v, outer, inner)
		right = candidates(n.Inputs[1], outer, inner)
		pairs := left * right * n.Executions
		if right <= 1 || pairs <= limit {
			continue
		}
		f := Finding{Rule: "join-without-condition", Block: v.block, Node: lastAccess(n.Inputs[1]), Figure: pairs, Limit: limit, Unit: "pairs of rows"}
		f.explains = n.Inputs[1].appendAccesses(nil)
		a, b := side(n.Inputs[0]), side(n.Inputs[1])
		product := fmt.Sprintf("%s × %s = %s pairs", rows(left*n.Executions), rows(right), rows(pairs))
		if tying == "" {
			f.What = fmt.Sprintf("no condition joins %s to %s in the %s: each row is paired with each, %s", b, a, v.block.Title(), product)
			f.WayOut = fmt.Sprintf("add the condition that ties %s to %s; if every pair is wanted, raise Budget.JoinPairs", b, a)
		} else {
			f.What = fmt.Sprintf("each row of %s is compared with each of %s in the %s: %s, as nothing serves %s", b, a, v.block.Title(), product, tying)
			f.WayOut = "join by an equality as well (of the whole condition, not inside OR), index the compared column, or narrow one side before"
		}
		found = append(found, f)
	}
	return found
}

// most is how many rows a join's inner side may have to compare at most.
func most(n *Node) float64 {
	r := passed(n)
	if n.Op == OpFilter && len(n.Inputs) == 1 {
		return math.Max(r, most(n.Inputs[0]))
	}
	if n.Op == OpAccess {
		return math.Max(r, n.Read)
	}
	return r
}

// candidates is how many rows of the inner side are compared with an outer row: those before conditions between the two
// sides. Where such a condition and one on the inner side alone come with a single figure, it is taken for what is left.
func candidates(n *Node, outer, inner map[string]bool) float64 {
	between, alone := 0, 0
	for _, c := range n.Conditions {
		for _, part := range conjuncts(c) {
			if ties(part, outer, inner) {
				between++
			} else if len(columnsIn(part)) > 0 {
				alone++
			}
		}
	}
	switch {
	case between == 0 || alone > 0:
		return passed(n)
	case n.Op == OpFilter && len(n.Inputs) == 1:
		return candidates(n.Inputs[0], outer, inner)
	case n.Op == OpAccess:
		return math.Max(n.Read, passed(n))
	default:
		return passed(n)
	}
}

// dependsOn reports whether a join's inner side is reached by means of the outer row, or anew for each: then its rows are not all compared.
func dependsOn(n *Node, outer map[string]bool) bool {
	switch {
	case n.Op == OpTableFunction, n.Op == OpAlternative, n.Op == OpRecursiveScan, n.Access == AccessReplanned, n.Access == AccessUnique, n.Access == AccessFulltext,
		strings.HasPrefix(string(n.Op), "unknown"):
		return true
	}
	for _, b := range n.Blocks {
		if b.Kind == BlockDerived && b.Dependent {
			return true
		}
	}
	if n.Access == AccessLookup && len(n.Refs) == 0 {
		return true // by what, the server does not say
	}
	for _, ref := range n.Refs {
		parts := strings.Split(strings.ReplaceAll(ref, "`", ""), ".")
		if len(parts) < 2 && ref != "const" || len(parts) >= 2 && outer[parts[len(parts)-2]] {
			return true
		}
	}
	for _, in := range n.Inputs {
		if dependsOn(in, outer) {
			return true
		}
	}
	return false
}

// tyingConditions returns the conditions between the two sides of a join, as a person would write them: tested in the inner side, or on the pairs, by
// the filters right above the join.
func tyingConditions(v visit, outer, inner map[string]bool) string {
	var out []string
	add := func(n *Node) {
		for _, c := range n.Conditions {
			for _, part := range conjuncts(c) {
				if ties(part, outer, inner) {
					out = append(out, part)
				}
			}
		}
	}
	if v.parent != nil && v.parent.Op == OpFilter {
		add(v.parent)
	}
	add(v.node)
	var within func(*Node)
	within = func(n *Node) {
		add(n)
		for _, in := range n.Inputs {
			within(in)
		}
	}
	within(v.node.Inputs[1])
	return plainAll(out)
}

// side names the tables on one side of a join.
func side(n *Node) string {
	var names []string
	for _, a := range n.appendAccesses(nil) {
		names = append(names, a.Name())
	}
	if len(names) > 3 {
		names = append(names[:2], fmt.Sprintf("%d more", len(names)-2))
	}
	return strings.Join(names, ", ")
}

func lastAccess(n *Node) *Node {
	list := n.appendAccesses(nil)
	if len(list) == 0 {
		return nil
	}
	return list[len(list)-1]
}
