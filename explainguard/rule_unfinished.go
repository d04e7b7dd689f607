package explainguard

// Unfinished fails a statement that was run and did not end in time.
var Unfinished = &Rule{
	Name: "unfinished",
	Doc: `The statement was run and did not end within its limit.

It had to be stopped. What it had examined by then is in the plan; how much it would have examined nobody knows, so that no figure of it
can be taken for a pass. It stays quiet about statements that were only explained (Guard.Analyze is 0).`,
	Run: runUnfinished,
}

func runUnfinished(p *Input) []Finding {
	if p.Plan.Stopped == 0 {
		return nil
	}
	f := Finding{
		Rule: "unfinished", Block: p.Plan.Root,
		What:   "the statement was run and did not end within " + roundTime(p.Plan.Stopped),
		WayOut: "make it faster, or set a longer time for Analyze if it may take that long",
	}
	if p.Plan.Analyzed {
		block, node := heaviest(p.Work)
		f.What += "; by then it had examined " + about(p.Work.Total, true) + " rows"
		if node != nil && node.Examined() > 0 {
			f.Block, f.Node = block, node
			f.What += ", most of them, " + rows(node.Examined()) + ", at " + node.Name() + " in the " + block.Title()
		}
	}
	return []Finding{f}
}
