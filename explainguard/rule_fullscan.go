package explainguard

import (
	"fmt"
	"strings"
)

// FullScan fails a statement that reads a whole table or a whole index of more than Budget.FullScanRows rows.
var FullScan = &Rule{
	Name: "full-scan",
	Doc: `A whole table, or a whole index of it, is read.

The time that takes grows with the table, whatever the statement returns; what is quick with the rows of a test or of the first customers holds the
database for minutes in some years. A scan that a join or a correlated subquery repeats counts as often as it runs.

It stays quiet when the scans of the table read no more than Budget.FullScanRows rows, so a scan of a small table is fine; when LIMIT surely ends
the reading before; for a statement that writes, which write-scan judges; and when a rule that runs before it (derived-filter, implicit-conversion,
join-without-condition, dependent-subquery, write-scan, sort-temporary for ORDER BY … LIMIT) has named the scan and its cause.`,
	Budget: "FullScanRows",
	Run:    runFullScan,
}

func runFullScan(p *Input) []Finding {
	limit := p.Budget.fullScanRows()
	if unlimited(limit) || p.Plan.Writes != "" {
		return nil
	}
	var found []Finding
	for _, v := range p.visits() {
		n := v.node
		if !n.isAccess() || !n.readsAll() || n.Examined() <= limit || p.explained(n) != "" {
			continue
		}
		f := Finding{Rule: "full-scan", Block: v.block, Node: n, Figure: n.Examined(), Limit: limit, explains: []*Node{n}}
		f.What = fmt.Sprintf("%s is read whole%s (%s): %s rows", n.described(), v.where(), n.Access, rows(n.Examined()))
		if tested := v.ownConditions(); tested != "" {
			f.What += ", each tested for " + tested
			f.WayOut = "give that condition an index that serves it (on the bare columns, not on a function of them), or narrow " + n.Name() + " by a column that has one"
		} else if v.parent != nil && v.parent.Op == OpJoin && v.parent.Hash {
			f.WayOut = "index the column by which " + n.Name() + " is joined and narrow the other side, or narrow " + n.Name() + " by a condition that an index serves"
		} else {
			f.WayOut = "narrow " + n.Name() + " by a condition that an index serves, or read it in pages by key; if every row is wanted, keep the result or raise Budget.FullScanRows"
		}
		found = append(found, f)
	}
	return found
}

// readsAll reports whether the access reads the table, or an index of it, from end to end.
func (n *Node) readsAll() bool {
	return n.Access == AccessTableScan || n.Access == AccessIndexScan || n.Access == AccessCount
}

// described names a table by its alias and, where that differs, its name.
func (n *Node) described() string {
	if n.Table != "" && n.Alias != "" && n.Table != n.Alias {
		return n.Alias + " (" + n.Table + ")"
	}
	return n.Name()
}

// plainAll writes conditions in one line.
func plainAll(conditions []string) string {
	var out []string
	for _, c := range conditions {
		if c = plain(c); c != "" {
			out = append(out, c)
		}
	}
	return shorten(strings.Join(out, " and "), 120)
}
