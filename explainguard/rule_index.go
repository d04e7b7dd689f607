package explainguard

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// UnselectiveIndex fails a statement that reads many rows through an index and throws most of them away.
var UnselectiveIndex = &Rule{
	Name: "unselective-index",
	Doc: `An index is used, but few of the rows that it gives are kept.

EXPLAIN shows an index and looks fine. Yet an index on tenant_id gives the 40,000 rows of a large tenant, each is fetched, and 3 of them have
the wanted e-mail address. The index lacks the other columns of the filter.

It judges by the optimizer's estimate, which without statistics on a column is a rule of thumb (10 % for an equality). It stays quiet when the access
reads no more than Budget.IndexRows rows over all its executions, or no more than ten in each; when at least the share Budget.IndexKept
of them passes; for a statement that writes, which write-scan judges; when all that the index lacks is an IS NULL, of which the optimizer
takes 10 % for true although the deleted_at of a soft delete is NULL in nearly every row; and where the server does not tell how many rows are kept: when
rows are found by an index alone, by several indexes together (index merge), or on the inner side of a hash join.`,
	Budget: "IndexRows",
	Run:    runUnselectiveIndex,
}

// fewEachTime is how many rows an execution may read through an index without anybody asking how many are kept: they lie side by side.
const fewEachTime = 10

func runUnselectiveIndex(p *Input) []Finding {
	limit, share := p.Budget.indexRows(), p.Budget.indexKept()
	if unlimited(limit) || p.Plan.Writes != "" {
		return nil
	}
	var found []Finding
	for _, v := range p.visits() {
		n := v.node
		if !n.isAccess() || !n.Base || n.Read <= fewEachTime || n.Examined() <= limit || p.explained(n) != "" {
			continue
		}
		switch n.Access {
		case AccessLookup, AccessRange:
		default:
			continue
		}
		kept := v.kept()
		if kept < 0 || kept >= share*n.Read || len(v.conditions()) == 0 || v.lacksOnlyNulls() || p.joinedByHash(v) {
			continue
		}
		wanted := v.missingColumns()
		f := Finding{Rule: "unselective-index", Block: v.block, Node: n, Figure: n.Examined(), Limit: limit, explains: []*Node{n}}
		f.What = fmt.Sprintf("the index %s gives %s rows of %s%s, and about %s of them (%s) are kept", n.Index, rows(n.Examined()), n.described(), v.where(),
			rows(kept*n.Executions), percent(kept/n.Read))
		if len(wanted) > 0 {
			f.What += ": it does not narrow " + strings.Join(wanted, ", ")
			f.WayOut = fmt.Sprintf("add an index on (%s) of %s, if that is more selective, or filter by a column that is",
				strings.Join(slices.Concat(n.KeyColumns, wanted), ", "), n.Table)
		} else {
			f.WayOut = "add an index that serves the whole filter, or filter by a column that is more selective"
		}
		found = append(found, f)
	}
	return found
}

// onlyNull matches a condition that is nothing but an IS NULL.
var onlyNull = regexp.MustCompile(`^\(*[^()]+ is null\)*$`)

// lacksOnlyNulls reports whether, of what the access tests, its index narrows all but IS NULL.
func (v visit) lacksOnlyNulls() bool {
	nulls := 0
	for _, c := range v.conditions() {
		for _, part := range strings.Split(strings.ToLower(c), " and ") {
			switch {
			case onlyNull.MatchString(strings.TrimSpace(part)):
				nulls++
			case slices.ContainsFunc(columnsIn(part), func(ref columnRef) bool { return !v.narrows(ref.column) }):
				return false
			}
		}
	}
	return nulls > 0
}

// narrows reports whether a column is among those that the index narrows, whatever its case.
func (v visit) narrows(column string) bool {
	return slices.ContainsFunc(v.node.KeyColumns, func(k string) bool { return strings.EqualFold(k, column) })
}

// joinedByHash reports whether the access is the inner side of a hash join. Both formats then count what the join keeps among what the access keeps,
// whatever conditions they print beside it.
func (p *Input) joinedByHash(v visit) bool {
	for _, up := range p.visits() {
		if j := up.node; j.Op == OpJoin && j.Hash && len(j.Inputs) == 2 && (j.Inputs[1] == v.node || v.filtered() && j.Inputs[1] == v.parent) {
			return true
		}
	}
	return false
}

// missingColumns are columns of the access that its conditions test and that its index does not narrow.
func (v visit) missingColumns() []string {
	var out []string
	for _, c := range v.conditions() {
		for _, ref := range columnsIn(c) {
			if ref.alias == v.node.Alias && !slices.Contains(v.node.KeyColumns, ref.column) && !slices.Contains(out, ref.column) {
				out = append(out, ref.column)
			}
		}
	}
	slices.Sort(out) // servers order conditions differently
	return out
}

func percent(share float64) string {
	switch v := share * 100; {
	case v > 0 && v < 0.1:
		return "less than 0.1 %"
	case v < 10:
		return fmt.Sprintf("%.1f %%", v)
	default:
		return fmt.Sprintf("%.0f %%", v)
	}
}
