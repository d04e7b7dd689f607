package explainguard

import "fmt"

// RowsBudget fails a statement that examines more rows at stored tables than Budget.RowsExamined.
var RowsBudget = &Rule{
	Name: "rows-budget",
	Doc: `One run of the statement examines more rows than its budget.

The rows of each table access are multiplied by how often it runs, block by block: a line of EXPLAIN that says 10 rows
inside one that says 20,000 is 200,000. Temporary tables are not counted. Budget.RowsExamined sets the limit. Of a statement that
was run (Guard.Analyze) the rows are those that were really read.`,
	Budget: "RowsExamined",
	Run:    runRowsBudget,
}

func runRowsBudget(p *Input) []Finding {
	limit := p.Budget.rowsExamined()
	if unlimited(limit) {
		return nil
	}
	if p.Work.Total <= limit {
		if p.Plan.Analyzed && p.Work.Total+p.Plan.Unseen > limit {
			p.CannotTell(fmt.Sprintf("the plan shows %s examined rows, but the server counted about %s more reads in this run, which together "+
				"are more than %s: of a stored function, of a subquery that EXPLAIN ANALYZE leaves out, or of internal temporary tables",
				rows(p.Work.Total), rows(p.Plan.Unseen), rows(limit)),
				"look into the functions that the statement calls, or raise Budget.RowsExamined")
		}
		return nil
	}
	block, node := heaviest(p.Work)
	what := fmt.Sprintf("the statement %s %s rows", examines(p.Plan), about(p.Work.Total, p.Work.LowerBound))
	way := "narrow that access (a filter it can use, an index for it), or set Budget.RowsExamined if this statement may cost that much"
	if node != nil {
		if rule := p.explained(node); rule != "" {
			way = "do what " + rule + " says about that access, or set Budget.RowsExamined if this statement may cost that much"
		}
		what += fmt.Sprintf("; most of them, %s, at %s in the %s", rows(node.Examined()), node.Name(), block.Title())
	}
	return []Finding{{
		Rule: "rows-budget", Block: block, Node: node, What: what, Figure: p.Work.Total, Limit: limit,
		WayOut: way,
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

// examines is the verb for what a plan's figures tell: what is expected, or what happened.
func examines(p *Plan) string {
	if p.Analyzed {
		return "examined"
	}
	return "examines"
}
