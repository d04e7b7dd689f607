package explainguard

import (
	"math"
	"strconv"
	"strings"
)

// Work is how many rows a plan examines at stored tables: rows read per execution, times executions, block by
// block. Temporary tables are not counted, as they never hold more than was read to fill them or than is passed on.
type Work struct {
	Total  float64 // rows examined at stored tables in one run of the statement
	Blocks []BlockWork

	// LowerBound is set when a part of the plan runs more often than can be known, or holds an unknown operator:
	// Total is then the least that will be examined.
	LowerBound bool

	examined func(*Node) float64
}

// BlockWork is the work of one query block.
type BlockWork struct {
	Block  *Block
	Own    float64 // rows examined by the block's own accesses, over all its executions
	Nested float64 // the same for the blocks inside it
}

// Total is the block's own work and that of the blocks inside it.
func (w BlockWork) Total() float64 { return w.Own + w.Nested }

// Measure multiplies a plan's figures out: of an analyzed plan those of what happened, else the optimizer's estimates. It is pure: the same
// plan gives the same work.
func Measure(p *Plan) Work { return measure(p, (*Node).Examined) }

// Estimate is Measure by the optimizer's estimates, also of an analyzed plan.
func Estimate(p *Plan) Work { return measure(p, (*Node).Estimated) }

func measure(p *Plan, examined func(*Node) float64) Work {
	w := Work{examined: examined}
	if p == nil || p.Root == nil {
		w.LowerBound = true
		return w
	}
	w.LowerBound = len(p.Unanalysable) > 0
	w.add(p.Root)
	w.examined = nil
	w.Total = w.Blocks[0].Total()
	return w
}

// Of returns the work of one block; the zero BlockWork if the plan does not hold it.
func (w Work) Of(b *Block) BlockWork {
	for _, bw := range w.Blocks {
		if bw.Block == b {
			return bw
		}
	}
	return BlockWork{}
}

func (w *Work) add(b *Block) float64 {
	i := len(w.Blocks)
	w.Blocks = append(w.Blocks, BlockWork{Block: b})
	if b.Unbounded {
		w.LowerBound = true
	}
	for _, n := range b.Const {
		w.Blocks[i].Own += w.examined(n)
	}
	own, nested := w.addNode(b.Root)
	w.Blocks[i].Own += own
	w.Blocks[i].Nested = nested
	return w.Blocks[i].Total()
}

func (w *Work) addNode(n *Node) (own, nested float64) {
	if n == nil {
		return 0, 0
	}
	own = w.examined(n)
	for _, in := range n.Inputs {
		o, x := w.addNode(in)
		own += o
		nested += x
	}
	for _, b := range n.Blocks {
		nested += w.add(b)
	}
	return own, nested
}

// execute fills in Executions: how often each node and block runs for one run of the statement.
func (p *Plan) execute() {
	if p.Root == nil {
		return
	}
	e := executions{plan: p, rows: map[string]float64{}, remat: map[string]float64{}}
	e.block(p.Root, 1)
}

type executions struct {
	plan  *Plan
	rows  map[string]float64 // alias → rows that reach the next join step, for LATERAL tables
	remat map[string]float64 // LATERAL table → rows for which it runs again (JSON v1)
}

func (e *executions) block(b *Block, times float64) {
	b.Executions = times
	if b.Recursive && !e.plan.Analyzed {
		b.Unbounded = true
		e.plan.cannotTell(
			"the recursive part of "+b.ofWhat()+" runs until it finds no new rows, and a plan does not say how often",
			"the figures are lower bounds; run the statement on realistic data to see how deep it goes")
	}
	for _, n := range b.Const {
		n.Executions = 1 // read while planning, kept for every execution
	}
	e.node(b.Root, times)
}

func (b *Block) ofWhat() string {
	if b.Parent != nil {
		b = b.Parent
	}
	if b.Kind == BlockDerived { // whether the name of the CTE is known yet or not
		return "derived table " + b.Name
	}
	return b.Title()
}

func (e *executions) node(n *Node, times float64) {
	if n == nil {
		return
	}
	n.Executions = times
	if n.Op == OpJoin && len(n.Inputs) == 2 && !n.Hash {
		e.node(n.Inputs[0], times)
		// An estimate below one row still means that the inner side may run: count it once.
		e.node(n.Inputs[1], math.Max(1, times*passed(n.Inputs[0])))
	} else {
		for _, in := range n.Inputs {
			e.node(in, times)
		}
	}
	if n.lookupOnly && !e.plan.Analyzed {
		e.plan.cannotTell("how often "+n.Detail+" falls back to reading everything depends on how many values are NULL",
			"write NOT EXISTS or EXISTS instead of IN, or declare the compared column NOT NULL")
	}
	out := times * passed(n)
	if n.passesFor != "" {
		e.rows[n.passesFor] = out
	}
	for _, lateral := range n.rematFor {
		e.remat[lateral] = math.Max(e.remat[lateral], out)
	}
	for _, b := range n.Blocks {
		e.block(b, e.timesOf(b, n, times))
	}
}

// timesOf is how often a block that hangs on node n runs.
func (e *executions) timesOf(b *Block, n *Node, times float64) float64 {
	switch {
	case b.Kind == BlockUnionArm:
		return times
	case !b.Dependent:
		return 1
	case b.Kind == BlockDerived:
		again := e.remat[b.Name]
		for _, alias := range b.perRowOf {
			again = math.Max(again, e.rows[alias])
		}
		if again > 0 {
			return math.Max(1, again)
		}
		return math.Max(1, times)
	case b.Location == locationCondition && n.Op == OpAccess:
		return math.Max(1, times*math.Max(n.Read, 0)) // tested on each row read
	case b.Location == locationSelectList:
		return math.Max(1, times*passed(n.computes(b))) // computed for each row passed on
	default: // tested on, or computed for, each row that comes in
		rows := 1.0
		if len(n.Inputs) > 0 {
			rows = passed(n.Inputs[0])
		}
		return math.Max(1, times*rows)
	}
}

// computes is the node whose rows a subquery of the select list is computed for: this one, or, if rows are sorted by the
// subquery, what goes into that sort, whatever a LIMIT leaves of it.
func (n *Node) computes(b *Block) *Node {
	word := "(select #" + strconv.Itoa(b.ID) + ")"
	for in := n; len(in.Inputs) == 1; in = in.Inputs[0] {
		if in.Op == OpSort && strings.Contains(in.Detail, word) {
			return in.Inputs[0]
		}
	}
	return n
}

// passed is how many rows a node passes on per execution; where the server gave no figure, the most it can be.
func passed(n *Node) float64 {
	if n == nil {
		return 1
	}
	if n.Rows >= 0 {
		return n.Rows
	}
	switch n.Op {
	case OpUnion:
		var sum float64
		for _, b := range n.Blocks {
			if b.Kind == BlockUnionArm {
				sum += passed(b.Root)
			}
		}
		return sum
	case OpAccess:
		if b := n.derived(); b != nil {
			return passed(b.Root)
		}
		return math.Max(n.Read, 1)
	case OpLimit:
		if n.limit > 0 && len(n.Inputs) == 1 {
			return math.Min(n.limit, passed(n.Inputs[0]))
		}
	case OpJoin:
		if len(n.Inputs) == 2 {
			return joined(n.Join, passed(n.Inputs[0]), passed(n.Inputs[1]))
		}
	}
	if len(n.Inputs) > 0 {
		return passed(n.Inputs[len(n.Inputs)-1])
	}
	return 1
}

// joined is the rows that a join passes on, given those of its outer side and those of its inner side for each of them.
func joined(kind JoinKind, outer, inner float64) float64 {
	switch kind {
	case JoinLeft:
		return outer * math.Max(1, inner)
	case JoinSemi:
		return outer * math.Min(1, inner)
	case JoinAnti:
		return outer
	default:
		return outer * inner
	}
}

const (
	locationCondition  = "condition"
	locationSelectList = "select list"
)
