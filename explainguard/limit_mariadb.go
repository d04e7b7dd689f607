package explainguard

import (
	"context"
	"math"
	"regexp"
	"slices"
	"strings"
)

// A statement with LIMIT that reads a table in the order of an index may stop early. MariaDB then writes the limit where
// the table's rows belong: "rows": 10, also when a condition keeps so little that all of 6,000,000 rows are read
// before ten have passed, and also when a temporary table on the way takes all of them. What is cut so is settled here: a cut
// is believed where nothing stands between the scan and the LIMIT, or where the server has put a condition's
// selectivity on top (the figure is larger than the limit); elsewhere all rows count, as they may be read.

// cut is a scan whose figure may be the LIMIT's.
type cut struct {
	block *Block
	scan  *Node
}

// cuts returns the scans in index order behind which something may drop rows. With a file sort the order is not the index's.
func (p *Plan) cuts() (out []cut) {
	for _, b := range p.Blocks() {
		n, blocked := b.Root, len(b.conditions) > 0
		for n != nil && n.Op != OpAccess {
			switch {
			case n.Op == OpSort:
				n = nil
				continue
			case n.Op == OpTemp, n.Op == OpWindow, n.Op == OpDistinct:
				blocked = true
			case len(n.Inputs) == 0:
				n = nil
				continue
			case n.Op == OpJoin && n.Join != JoinInner && n.Join != JoinLeft:
				blocked = true
			}
			n = n.Inputs[0]
		}
		if n == nil || n.Access != AccessIndexScan || !n.Base || n.Actual != nil {
			continue
		}
		for _, a := range b.Accesses() {
			blocked = blocked || slices.ContainsFunc(a.Conditions, func(c string) bool { return !a.dropsNoOuterRow(c) }) || len(a.Blocks) > 0 || a != n && a.Rows >= 0 && a.Rows < a.Read
		}
		if blocked {
			out = append(out, cut{b, n})
		}
	}
	return out
}

// settleCuts does without a server what can be done: the next table of a join tells how many rows there are.
func (p *Plan) settleCuts() {
	for _, c := range p.cuts() {
		if c.scan.uncut > 0 {
			c.whole(c.scan.uncut)
		} else if !c.believed() {
			p.cannotTell(c.what(), "let Explain ask the server, or pass ANALYZE FORMAT=JSON")
		}
	}
}

func (c cut) what() string {
	return "MariaDB's JSON alone does not tell whether the rows of table " + c.scan.Name() + " are all that are read, or the statement's LIMIT"
}

// believed reports whether the server itself expects a condition to drop rows.
func (c cut) believed() bool { return c.block.stops > 0 && c.scan.Read > 1.05*c.block.stops }

// whole counts all rows of the scan.
func (c cut) whole(rows float64) {
	n := c.scan
	n.Detail = "in index order; it ends early only if enough rows pass"
	n.Read, n.Rows = math.Max(n.Read, rows), math.Max(n.Rows, rows)
	c.block.Root.walkOwn(func(n *Node) {
		if n.uncut > 0 {
			n.Rows = math.Max(n.Rows, n.uncut)
		}
	})
}

// settleCuts asks for the rows of the tables that are scanned in index order.
func (s *session) settleCuts(ctx context.Context, p *Plan) error {
	for _, c := range p.cuts() {
		if c.believed() {
			continue
		}
		rows := c.scan.uncut
		if rows <= 0 && c.scan.Schema != "" {
			from := quoteName(c.scan.Schema, c.scan.Table)
			if len(c.scan.partitions) > 0 {
				quoted := make([]string, len(c.scan.partitions))
				for i, name := range c.scan.partitions {
					quoted[i] = quoteIdentifier(name)
				}
				from += " PARTITION (" + strings.Join(quoted, ", ") + ")"
			}
			all, err := s.tabular(ctx, "EXPLAIN SELECT 1 FROM "+from)
			if err != nil {
				return explained(ctx, "ask for the rows of table "+c.scan.Table, err)
			}
			if len(all) == 1 {
				rows = all[0].rows
			}
		}
		switch {
		case rows > 0:
			c.whole(rows)
		default:
			p.cannotTell(c.what(), "run ANALYZE TABLE, then try again")
		}
	}
	p.execute()
	return nil
}

// stopAtMatches takes into account what reads no further than to its first match: semijoins and antijoins, and a subquery that is nothing but
// one look-up in an index (index_subquery).
func (p *Plan) stopAtMatches() {
	for _, b := range p.Blocks() {
		b.Root.walkOwn(func(n *Node) {
			switch {
			case len(n.Inputs) == 2 && n.Inputs[1].Rows == n.Inputs[1].Read: // else a rowid filter may drop rows, which is no condition
				n.stopAtMatch()
			case n.perRow && n.Access == AccessLookup && !n.lookupOnly && n.Rows == n.Read && len(b.conditions) == 0 && unfiltered(n, JoinSemi) && p.bareLookup(n):
				n.Read, n.Rows = math.Min(n.Read, 1), math.Min(n.Rows, 1)
			}
		})
	}
}

// bareLookup reports whether the rewritten statement says of a look-up in a subquery, <index_lookup>(value in table on index …), that no further
// condition decides which row is a match ("where …", "having …"), nor a look for NULL: the plan itself says nothing of these. In doubt,
// as where one of several look-ups in indexes of that name has a condition, or not each is there, it does not.
func (p *Plan) bareLookup(n *Node) bool {
	parts := strings.Split(p.Rewritten, " on "+n.Index)
	for _, rest := range parts[1:] {
		if !strings.HasPrefix(rest, ")") {
			return false
		}
	}
	lookups := 0
	p.Root.walkAll(func(other *Node) {
		if other.perRow && other.Index == n.Index {
			lookups++
		}
	})
	return n.Index != "" && len(parts)-1 >= lookups
}

// fromOn matches a condition that MariaDB puts at the inner table of a left join and that says of a column that it is not NULL. If the
// column is an outer table's, it comes from ON, for WHERE would have tested it there; so it drops no row of the join.
var fromOn = regexp.MustCompile("^(?:trigcond\\()+(`[^`]+`|[\\pL\\pN_$]+)\\.(?:`[^`]+`|[\\pL\\pN_$]+) is not null\\)+$")

// dropsNoOuterRow reports whether a condition of an inner table leaves the rows of a left join alone.
func (n *Node) dropsNoOuterRow(condition string) bool {
	m := fromOn.FindStringSubmatch(condition)
	return m != nil && strings.Trim(m[1], "`") != n.Name()
}
