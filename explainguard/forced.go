package explainguard

import "strings"

// forcedRanges makes a plan unanalysable whose only estimate is no estimate: MySQL does not look into an index that is forced on a
// statement's only table, and says 1 row for whatever range.
func (p *Plan) forcedRanges() {
	if !strings.Contains(p.Rewritten, " FORCE INDEX") && !strings.Contains(p.Rewritten, " INDEX(") {
		return
	}
	for _, b := range p.Blocks() {
		list := b.Accesses()
		if len(list) == 1 && list[0].Access == AccessRange && list[0].Read == 1 {
			p.cannotTell("the index "+list[0].Index+" of "+list[0].Name()+" is forced, and MySQL then takes a range of it for 1 row, however many there are",
				"write USE INDEX, whose ranges are estimated, or judge the statement without the hint")
		}
	}
}
