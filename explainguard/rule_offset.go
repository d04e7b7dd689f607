package explainguard

import (
	"fmt"
	"math"
)

// LargeOffset fails a statement whose OFFSET throws many rows away.
var LargeOffset = &Rule{
	Name: "large-offset",
	Doc: `OFFSET reads rows only to throw them away.

LIMIT 50 OFFSET 100000 reads, joins and sorts 100,050 rows to return 50, and each further page costs more. Rows that come or go meanwhile are
shown twice or never.

It takes the OFFSET from the statement as the server rewrote it, so an argument counts with its value, and stays quiet when no more than
Budget.OffsetRows rows are thrown away by the optimizer's estimate: an OFFSET beyond the end of a small table throws away only what is there.`,
	Budget: "OffsetRows",
	Run:    runLargeOffset,
}

func runLargeOffset(p *Input) []Finding {
	limit := p.Budget.offsetRows()
	if unlimited(limit) {
		return nil
	}
	var found []Finding
	for _, w := range p.Work.Blocks {
		b := w.Block
		if b.offset <= 0 {
			continue
		}
		times := math.Max(1, b.Executions)
		away := math.Min(b.offset, beforeLimit(b.Root)) * times
		if away <= limit {
			continue
		}
		f := Finding{Rule: "large-offset", Block: b, Figure: away, Limit: limit}
		f.What = fmt.Sprintf("the %s throws away %s rows by OFFSET to return at most %s", b.Title(), rows(away), rows((b.limit-b.offset)*times))
		f.WayOut = "remember the last row of the page before and go on after it (WHERE (sorted column, id) > (?, ?) ORDER BY sorted column, id LIMIT n), or find the page's keys in a covering index first and join the rest"
		found = append(found, f)
	}
	return found
}

// beforeLimit is how many rows come to a block's LIMIT.
func beforeLimit(n *Node) float64 {
	for n != nil && len(n.Inputs) == 1 && (n.Op == OpLimit || n.Op == OpWrite || n.Op == OpStream || n.Op == OpTemp || n.Op == OpMaterialize) {
		n = n.Inputs[0]
	}
	return passed(n)
}
