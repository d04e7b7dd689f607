package explainguard

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Actual is what EXPLAIN ANALYZE saw an operator do.
type Actual struct {
	Rows   float64 // passed on, per loop
	Loops  float64 // how often the operator ran; 0: never
	Millis float64 // until the last row had come, per loop, with everything under it
}

// actualOf reads the figures of an operator that was run; nil if the plan is of one that was not.
func actualOf(d object) *Actual {
	if !has(d, "actual_loops") && !has(d, "actual_rows") {
		return nil
	}
	return &Actual{
		Rows:   math.Max(num(d, "actual_rows"), 0),
		Loops:  math.Max(num(d, "actual_loops"), 0),
		Millis: math.Max(num(d, "actual_last_row_ms"), 0),
	}
}

// examinedActually is the rows that an access read over all its loops. A loop that finds nothing counts as one row: it descends an index or
// opens a table all the same, and nested in a join that multiplies temporary rows it may be the only work there is.
func (n *Node) examinedActually() float64 {
	switch {
	case !n.Base || n.Actual.Loops == 0:
		return 0
	case n.Access == AccessConst:
		return 1 // read while planning, kept for every loop
	case n.Access == AccessCount:
		return math.Max(n.Read, 0) * n.Actual.Loops // it passes on one row, the count, and reads them all
	case len(n.merged) > 0:
		var sum float64
		for _, part := range n.merged {
			if part.Actual != nil {
				sum += part.examinedActually()
			}
		}
		return sum
	default:
		return math.Max(n.Actual.Rows, 1) * n.Actual.Loops
	}
}

// readPerLoop is what a report shows beside the loops: their product is examinedActually, save for loops without rows.
func (n *Node) readPerLoop() float64 {
	switch {
	case n.Actual.Loops == 0:
		return 0
	case n.Access == AccessCount, len(n.merged) > 0:
		return n.examinedActually() / n.Actual.Loops
	default:
		return n.Actual.Rows
	}
}

// times is how often a block ran, or is expected to.
func (b *Block) times() float64 {
	if b.Root != nil && b.Root.Actual != nil {
		return b.Root.Actual.Loops
	}
	return b.Executions
}

// unseen is how many reads the session's counters show beyond those that the plan explains. It errs on the side of too many: internal
// temporary tables that no line shows (window frames, for one) are in it.
func (p *Plan) unseen(counted handlerReads) float64 {
	var known handlerReads
	p.Root.walkAll(func(n *Node) {
		if n.Actual == nil || n.Actual.Loops == 0 {
			return
		}
		all := n.Actual.Rows * n.Actual.Loops
		for _, in := range n.Inputs {
			if in.Actual != nil && (n.Op == OpTemp || n.Op == OpMaterialize || n.Detail == "Aggregate using temporary table") {
				// Each row looks for its group, or for itself, in the temporary table.
				known.keys += in.Actual.Rows * in.Actual.Loops
				known.steps += in.Actual.Rows * in.Actual.Loops
			}
		}
		switch {
		case n.Op == OpTemp, n.Op == OpRecursiveScan, n.Op == OpTableFunction:
			known.steps += all + n.Actual.Loops
		case n.Op != OpAccess:
			return
		case n.Access == AccessCount:
			known.steps += n.Read * n.Actual.Loops
		case n.Access == AccessIndexMerge:
			for _, part := range n.merged {
				if part.Actual != nil {
					known.steps += part.Actual.Rows * part.Actual.Loops
					known.keys += part.ranges * part.Actual.Loops
				}
			}
		default:
			known.steps += all + n.Actual.Loops // and the end of the range
		}
		known.keys += n.Actual.Loops
		switch n.Access { // a look-up for each range, or each group
		case AccessRange:
			known.keys += n.ranges * n.Actual.Loops
		case AccessSkipScan:
			if !strings.Contains(n.Detail, " skip scan on ") { // else one for each value of the first column, which nobody tells
				known.keys += all
			}
		case AccessReplanned, AccessIndexMerge:
			known.keys += all
		}
	})
	return beyond(counted.steps, known.steps) + beyond(counted.keys, known.keys)
}

var moreRanges = regexp.MustCompile(` OR \((\d+) more\)$`)

// rangesIn counts the ranges that the server lists; TREE cuts a long list.
func rangesIn(ranges []string) float64 {
	count := 0.0
	for _, r := range ranges {
		if m := moreRanges.FindStringSubmatch(r); m != nil {
			more, _ := strconv.ParseFloat(m[1], 64) // digits
			count += more - 1
		}
		count += float64(strings.Count(r, " OR ") + 1)
	}
	return count
}

// beyond is what a count exceeds another by, if that is more than roundings explain: TREE prints three digits.
func beyond(counted, known float64) float64 {
	if counted <= 1.01*known+unseenSlack {
		return 0
	}
	return counted - known
}

// unseenSlack is how many reads the server needs for itself: opening tables, looking up const rows.
const unseenSlack = 20
