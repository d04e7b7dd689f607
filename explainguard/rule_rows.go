package explainguard

import "fmt"

// RowsBudget fails a statement that examines more rows at stored tables than Budget.RowsExamined.
var RowsBudget = &Rule{
	Name: "rows-budget",
	Doc: `One run of the statement examines more rows than its budget.

The rows of each table access are multiplied by how often it runs, block by block: a line of EXPLAIN that says 10 rows
inside one that says 20,000 is 200,000. Temporary tables are not counted. Budget.RowsExamined sets the limit.`,
	Run: runRowsBudget,
}

func runRowsBudget(p *Input) []Finding {
	limit := p.Budget.rowsExamined()
	if unlimited(limit) || p.Work.Total <= limit {
		return nil
	}
	block, node := heaviest(p.Work)
	what := fmt.Sprintf("the statement examines %s rows", about(p.Work.Total, p.Work.LowerBound))
	if node != nil {
		what += fmt.Sprintf("; most of them, %s, at %s in the %s", rows(node.Examined()), node.Name(), block.Title())
	}
	return []Finding{{
		Rule: "rows-budget", Block: block, Node: node, What: what, Figure: p.Work.Total, Limit: limit,
		WayOut: "narrow that access (a filter it can use, an index for it), or set Budget.RowsExamined if this statement may cost that much",
	}}
}

// heaviest is the access that examines the most rows, and the block it belongs to.
func heaviest(w Work) (block *Block, node *Node) {
	for _, bw := range w.Blocks {
		for _, n := range bw.Block.Accesses() {
			if node == nil || n.Examined() > node.Examined() {
				block, node = bw.Block, n
			}
		}
	}
	return block, node
}
