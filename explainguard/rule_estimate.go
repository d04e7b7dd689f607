package explainguard

import (
	"fmt"
	"math"
)

// EstimateOff fails a statement that was run where the optimizer had expected something else by far.
var EstimateOff = &Rule{
	Name: "estimate-off",
	Doc: `The optimizer's estimate for a table access is far from what really happened.

The optimizer chose the plan by its estimates. Where they are off by a factor, the plan is good by luck, and a guard that judges by
estimates (one that does not run the statement) says too little or too much. Rows are counted over all executions of the access. Only the
first access of a query block that is off is named: those that it feeds are off because of it, unless they are off by as much again.

It speaks only of statements that were run (Guard.Analyze), and stays quiet when both figures are below Budget.EstimateRows, when they
differ by no more than Budget.EstimateRatio, and when fewer rows were read than expected because nobody asked for more: an access that
never ran, or one under a LIMIT, EXISTS or anti join, which end at the first match.`,
	Run: runEstimateOff,
}

func runEstimateOff(p *Input) []Finding {
	limit, least := p.Budget.estimateRatio(), p.Budget.estimateRows()
	if !p.Plan.Analyzed || p.Plan.Stopped > 0 || unlimited(limit) || unlimited(least) {
		return nil
	}
	var found []Finding
	for _, bw := range p.Work.Blocks {
		b := bw.Block
		early := map[*Node]bool{}
		b.Root.endsEarly(b.mayEndEarly(), early)
		known := 1.0 // by which factor what came before was off
		for _, n := range b.Accesses() {
			if n.Actual == nil || !n.Base || n.Actual.Loops == 0 || n.Access == AccessConst || n.Access == AccessCount {
				continue
			}
			estimated, actual := n.Estimated(), n.Examined()
			off := math.Max(actual, 1) / math.Max(estimated, 1)
			if math.Max(estimated, actual) < least || off < 1 && early[n] {
				continue
			}
			if factor(off/known) <= limit || factor(off) <= limit {
				continue
			}
			known = off
			found = append(found, Finding{
				Rule: "estimate-off", Block: b, Node: n, Figure: actual, Limit: estimated * limit,
				What: fmt.Sprintf("%s in the %s examined %s rows, where the optimizer had expected %s: off by a factor of %s",
					n.Name(), b.Title(), rows(actual), rows(estimated), rows(math.Round(factor(off)))),
				WayOut: estimateWayOut(n),
			})
			if off < 1 {
				found[len(found)-1].Limit = estimated / limit
			}
		}
	}
	return found
}

// factor is by how much a ratio is away from 1, in either direction.
func factor(ratio float64) float64 { return math.Max(ratio, 1/ratio) }

func estimateWayOut(n *Node) string {
	return fmt.Sprintf("run ANALYZE TABLE %s; if that does not help, its values are skewed or correlated: ANALYZE TABLE … UPDATE HISTOGRAM ON the filtered columns, "+
		"or an index over them together", n.Table)
}

// mayEndEarly reports whether who reads the block's rows may stop before the last one.
func (b *Block) mayEndEarly() bool {
	return b.Kind == BlockSubquery // EXISTS and IN end at the first match
}

// endsEarly collects the accesses whose rows need not all be asked for.
func (n *Node) endsEarly(early bool, to map[*Node]bool) {
	if n == nil {
		return
	}
	early = early || n.Op == OpLimit
	if n.Op == OpSort || n.Op == OpAggregate || n.Op == OpTemp { // these read all that they get
		early = false
	}
	to[n] = early
	for i, in := range n.Inputs {
		inner := early || i > 0 && n.Op == OpJoin && (n.Join == JoinSemi || n.Join == JoinAnti)
		in.endsEarly(inner, to)
	}
}
