package explainguard

import (
	"fmt"
	"math"
	"strings"
)

// SortTemporary fails a statement that sorts many rows, or puts many into a temporary table.
var SortTemporary = &Rule{
	Name: "sort-temporary",
	Doc: `Many rows are sorted without an index (filesort), or go through an internal temporary table.

All of them must be read before the first is returned, and what does not fit the buffers goes to disk. A LIMIT does not help: it spares memory, but every row still
comes in. What counts is the rows that come in to ORDER BY, GROUP BY, DISTINCT, a window function, UNION or the materialization of a
derived table, over all executions.

It stays quiet when none of a block's sorts and temporary tables takes in more than Budget.SortRows rows. The sort of what was grouped or made distinct
before is left out, and so is a derived table that holds groups or is filled again for each row: how many groups there will be is seldom known, and the grouping itself is judged. There is one
finding for a block, at the operator that takes in most, and none when derived-filter or dependent-subquery has said already that these rows should not be
read.`,
	Budget: "SortRows",
	Run:    runSortTemporary,
}

func runSortTemporary(p *Input) []Finding {
	limit := p.Budget.sortRows()
	if unlimited(limit) {
		return nil
	}
	var found []Finding
	at := map[*Block]int{}
	report := func(b *Block, n *Node, taken float64, what, way string) {
		f := Finding{Rule: "sort-temporary", Block: b, Node: n, Figure: taken, Limit: limit, What: what, WayOut: way}
		if i, ok := at[b]; !ok {
			at[b] = len(found)
			found = append(found, f)
		} else if taken > found[i].Figure*1.001 {
			found[i] = f
		}
		if n == nil {
			return
		}
		if scan := n.sortsScan(); scan != nil && b.limit > 0 {
			at := &found[at[b]]
			at.explains = append(at.explains, scan)
			at.WayOut = fmt.Sprintf("add an index on the columns of ORDER BY: then the reading of %s ends after %s rows", scan.Name(), rows(b.limit))
		}
	}
	for _, v := range p.visits() {
		n := v.node
		if (n.Filesort || n.TempTable) && !p.tooMuchComesIn(n) {
			if taken := n.takenIn() * n.Executions; taken > limit {
				report(v.block, n, taken, fmt.Sprintf("%s%s rows %s%s", v.block.subject(), rows(taken), v.doneTo(), v.block.stopped()), n.sortWayOut())
			}
		}
		for _, b := range n.Blocks {
			if b.Kind != BlockDerived && b.Kind != BlockSemijoin || b.Dependent || n.Access == AccessConst || groups(b.Root) || p.tooMuchComesIn(b.Root) {
				continue
			}
			if taken := b.rowsOut(); taken > limit {
				report(b, nil, taken, fmt.Sprintf("%s is filled with %s rows before the query around it reads the first", b.Title(), rows(taken)),
					"narrow "+b.Name+" inside, or write it so that the optimizer can merge it into the query (without GROUP BY, DISTINCT, LIMIT or UNION)")
			}
		}
	}
	return found
}

// tooMuchComesIn reports whether a rule has said already that a node's rows should not be read at all, so that what is done with them is no
// matter of its own.
func (p *Input) tooMuchComesIn(n *Node) bool {
	for _, access := range n.appendAccesses(nil) {
		if rule := p.explained(access); rule == "derived-filter" || rule == "dependent-subquery" {
			return true
		}
	}
	return false
}

// sortsScan returns the scan of one whole table, without any condition, that is read for nothing but this sort.
func (n *Node) sortsScan() *Node {
	if !n.Filesort || n.Op != OpSort {
		return nil
	}
	for n.Op == OpSort || n.Op == OpStream {
		if len(n.Inputs) != 1 {
			return nil
		}
		n = n.Inputs[0]
	}
	if n.Op == OpAccess && n.Base && n.readsAll() && len(n.Conditions) == 0 {
		return n
	}
	return nil
}

// takenIn is how many rows one execution of an operator sorts or puts into a temporary table; 0 if it is not known.
func (n *Node) takenIn() float64 {
	if n.Op == OpUnion {
		sum := 0.0
		for _, b := range n.Blocks {
			sum += b.rowsOut()
		}
		return sum
	}
	if len(n.Inputs) == 0 {
		return 0
	}
	in := n.Inputs[0]
	if n.sortsFirst {
		for in.Op == OpJoin {
			in = in.Inputs[0]
		}
	}
	if groups(in) {
		return 0
	}
	return passed(in)
}

// groups reports whether the rows that a node passes on are groups or distinct values.
func groups(n *Node) bool {
	for n != nil {
		switch n.Op {
		case OpAggregate, OpDistinct:
			return true
		case OpTemp:
			if strings.Contains(n.Detail, "deduplication") {
				return true
			}
		case OpSort, OpStream, OpLimit, OpFilter, OpWindow, OpMaterialize:
		default:
			return false
		}
		if len(n.Inputs) != 1 {
			return false
		}
		n = n.Inputs[0]
	}
	return false
}

// rowsOut is how many rows a block returns, its LIMIT included.
func (b *Block) rowsOut() float64 {
	out := passed(b.Root)
	if b.Root == nil {
		return 0
	}
	if b.limit > 0 {
		out = math.Min(out, b.limit)
	}
	return out
}

func (b *Block) subject() string {
	if b.Executions > 1 {
		return "the " + b.Title() + ", run " + rows(b.Executions) + " times, has "
	}
	return "the " + b.Title() + " has "
}

func (b *Block) stopped() string {
	if b.limit > 0 {
		return fmt.Sprintf(", to return %s", rows(b.limit-b.offset))
	}
	return ""
}

// doneTo says what happens to the rows that come in, and for what. Servers that sort below a window or a grouping show that as an operator of its own.
func (v visit) doneTo() string {
	why := map[Op]string{OpSort: "ORDER BY", OpAggregate: "GROUP BY", OpDistinct: "DISTINCT", OpWindow: "a window function", OpUnion: "UNION"}
	n, reason := v.node, why[v.node.Op]
	switch {
	case n.Op == OpSort && v.parent != nil && (v.parent.Op == OpWindow || v.parent.Op == OpAggregate):
		reason = why[v.parent.Op]
	case n.Op == OpUnion && strings.Contains(strings.ToLower(n.Detail), "intersect"):
		reason = "INTERSECT"
	case n.Op == OpUnion && strings.Contains(strings.ToLower(n.Detail), "except"):
		reason = "EXCEPT"
	case n.Op == OpTemp && groups(n):
		reason = why[OpDistinct]
	}
	if reason != "" {
		reason = " for " + reason
	}
	switch {
	case n.Filesort && n.TempTable:
		return "sorted and put into a temporary table" + reason
	case n.Filesort:
		return "sorted (filesort)" + reason
	default:
		return "put into a temporary table" + reason
	}
}

func (n *Node) sortWayOut() string {
	switch n.Op {
	case OpUnion:
		return "write UNION ALL where no row can come twice, and narrow its arms"
	case OpDistinct, OpTemp:
		return "narrow the rows before, or ask with EXISTS instead of joining and removing duplicates; an index on the distinct columns gives them in order"
	case OpWindow:
		return "narrow the rows before the window function, in a derived table"
	case OpAggregate:
		return "add an index that begins with the columns that are compared with constants and goes on with those of GROUP BY, or narrow the rows before"
	default:
		return "add an index that begins with the columns that are compared with constants and goes on with those of ORDER BY, or narrow the rows before"
	}
}
