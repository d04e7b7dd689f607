package explainguard

import (
	"slices"
	"strings"
)

// visit is one operator with where it stands. Rules that look at each operator go over visits.
type visit struct {
	node   *Node
	parent *Node // the operator that takes its rows, in the same block; nil for a block's topmost
	block  *Block
}

// visits returns every operator of the plan that stands in a tree, outer blocks first, an operator before its inputs. Tables of which one row was read
// while planning are left out: they read one row.
func (p *Input) visits() []visit {
	if p.visited == nil {
		p.visited = make([]visit, 0, 32)
		for _, w := range p.Work.Blocks {
			p.visit(w.Block, w.Block.Root, nil)
		}
	}
	return p.visited
}

func (p *Input) visit(b *Block, n, parent *Node) {
	if n == nil {
		return
	}
	p.visited = append(p.visited, visit{n, parent, b})
	for _, in := range n.Inputs {
		p.visit(b, in, n)
	}
}

// within returns the accesses of a block and of those inside it.
func (p *Input) within(b *Block) []*Node {
	var all []*Node
	for _, v := range p.visits() {
		if v.node.isAccess() && v.block.within(b) {
			all = append(all, v.node)
		}
	}
	return all
}

// explained returns the name of a rule that has accounted for this access already, or "".
func (p *Input) explained(n *Node) string {
	for _, f := range p.found {
		if slices.Contains(f.explains, n) {
			return f.Rule
		}
	}
	return ""
}

// conditions are what is tested on the rows of an access before they are passed on: JSON v1 prints them beside the access, others as a
// filter above it.
func (v visit) conditions() []string {
	if v.filtered() {
		return slices.Concat(v.parent.Conditions, v.node.Conditions)
	}
	return v.node.Conditions
}

// ownConditions are those of the conditions that test the access's own columns alone, as a person would write them. What joins it to
// another table is left out, as servers show that in different places, and so is IS NOT NULL, which the server adds.
func (v visit) ownConditions() string {
	var out []string
	for _, c := range v.conditions() {
	parts:
		for _, part := range conjuncts(c) {
			refs := columnsIn(part)
			for _, ref := range refs {
				if ref.alias != v.node.Alias {
					continue parts
				}
			}
			if len(refs) > 0 && !strings.Contains(part, "select#") && !strings.Contains(part, "select #") && !strings.HasSuffix(part, " is not null") {
				out = append(out, plain(part))
			}
		}
	}
	slices.Sort(out) // servers order them differently
	return shorten(strings.Join(out, " and "), 120)
}

func (v visit) filtered() bool {
	return v.parent != nil && v.parent.Op == OpFilter && len(v.parent.Inputs) == 1
}

// kept is how many of the rows that one execution of an access reads pass its conditions; unknown if the server does not say.
func (v visit) kept() float64 {
	if v.filtered() {
		return v.parent.Rows
	}
	return v.node.Rows
}

// where names the block for the end of a sentence, with how often it runs.
func (v visit) where() string {
	at := " in the " + v.block.Title()
	if v.node.Executions > 1 {
		at += ", " + rows(v.node.Executions) + " times"
	}
	return at
}
