package explainguard

import (
	"math"
	"regexp"
	"slices"
	"strings"
)

// stopEarly takes a LIMIT into account where it surely ends a scan: nothing sorts, groups or computes on the way, and no
// table's rows are filtered by more than the index through which they are read. The server's own estimate does so for scans
// in index order only; and there it counts on finding matching rows soon where a filter may drop all of them. It reports
// whether it did.
func (p *Plan) stopEarly(b *Block, s *selectNames) (sure bool) {
	if s.limit <= 0 || s.whole {
		return false
	}
	slot, sorted := b.belowLimit()
	var joins []*Node
	for (*slot).Op == OpJoin {
		j := *slot
		if j.Hash || len(j.Inputs) != 2 || len(j.Blocks) > 0 || j.Join != JoinInner && j.Join != JoinLeft || !unfiltered(j.Inputs[1], j.Join) {
			return false
		}
		joins = append(joins, j)
		slot = &j.Inputs[0]
	}
	if (*slot).Op == OpSort && len((*slot).Inputs) == 1 && len(joins) > 0 { // JSON v2 shows the sort of the first table there
		slot, sorted = &(*slot).Inputs[0], true
	}
	first := *slot
	if len(joins)+1 != len(s.tables) || !unfiltered(first, JoinInner) {
		return false
	}
	need := s.limit
	for _, j := range joins {
		need /= joined(j.Join, 1, passed(j.Inputs[1]))
	}
	need = math.Max(1, need)
	access := first.access()
	if !sorted {
		access.Read = math.Min(access.Read, need)
	}
	for n := first; n != nil; n = n.Inputs[0] {
		n.Rows = math.Min(passed(n), need)
		if n == access {
			break
		}
	}
	for _, j := range slices.Backward(joins) {
		if j.Inputs[0].Op == OpSort {
			j.Inputs[0].Rows = first.Rows
		}
		j.Rows = joined(j.Join, passed(j.Inputs[0]), passed(j.Inputs[1]))
	}
	return true
}

// shortened reports whether a LIMIT stands over the scan of a whole index, which then shows the rows that the server hopes
// to be enough.
func (b *Block) shortened() bool {
	limited := false
	for n := b.Root; n != nil; n = n.Inputs[0] {
		limited = limited || n.Op == OpLimit
		if n.Op == OpAccess && n.Base {
			return limited && n.Access == AccessIndexScan
		}
		if len(n.Inputs) == 0 || n.Op == OpSort || n.Op == OpMaterialize || n.Op == OpJoin && n.Hash {
			return false
		}
	}
	return false
}

// belowLimit descends from the block's root to what a LIMIT stops. sorted: JSON v1 says that the first table is sorted.
func (b *Block) belowLimit() (slot **Node, sorted bool) {
	slot = &b.Root
	for *slot != nil && len((*slot).Inputs) == 1 && len((*slot).Blocks) == 0 {
		switch n := *slot; {
		case n.Op == OpLimit, n.Op == OpStream, n.Op == OpSort && n.Detail == inIndexOrder:
		case n.Op == OpSort && n.sortsFirst && n.Inputs[0].Op == OpJoin:
			sorted = true
		default:
			return slot, sorted
		}
		slot = &(*slot).Inputs[0]
	}
	if *slot == nil {
		*slot = &Node{Op: OpNothing, Rows: 1}
	}
	return slot, sorted
}

// access returns the stored table that a node reads, itself or through filters; nil if it reads none, or more.
func (n *Node) access() *Node {
	for n != nil && n.Op == OpFilter && len(n.Inputs) == 1 && len(n.Blocks) == 0 {
		n = n.Inputs[0]
	}
	if n == nil || n.Op != OpAccess || !n.Base || len(n.Blocks)+len(n.Inputs) > 0 || n.Target {
		return nil
	}
	return n
}

// unfiltered reports whether a node passes on every row that it reads from one stored table.
func unfiltered(n *Node, kind JoinKind) bool {
	access := n.access()
	if access == nil || access.buffered || access.Access == AccessReplanned || access.Access == AccessIndexMerge || access.Access == AccessSkipScan || access.Access == AccessFulltext {
		return false
	}
	conditions := slices.Clone(access.Conditions[:len(access.Conditions)-access.indexed])
	for ; n != access; n = n.Inputs[0] {
		conditions = append(conditions, n.Conditions...)
	}
	for _, c := range conditions {
		if kind == JoinAnti && matchGuard.MatchString(c) || kind == JoinLeft && access.dropsNoOuterRow(c) || access.isLookup(c) {
			continue
		}
		if access.Access != AccessRange && access.Access != AccessLookup || !answeredByIndex(c, access.KeyColumns) {
			return false
		}
	}
	return true
}

// isLookup reports whether a condition says nothing but what the index looks up, as MariaDB repeats it for a look-up that gives an order.
// As to an index on the first characters of a column, see answeredByIndex.
func (n *Node) isLookup(condition string) bool {
	column, with, ok := strings.Cut(condition, " <=> ")
	if !ok || n.Access != AccessLookup || strings.ContainsAny(with, "' ()") {
		return false
	}
	plain := func(s string) string { return strings.ReplaceAll(s, "`", "") }
	column, with = plain(column), plain(with)
	for i, c := range n.KeyColumns {
		if i < len(n.Refs) && column == n.Name()+"."+c && (n.Refs[i] == with || strings.HasSuffix(n.Refs[i], "."+with)) {
			return true
		}
	}
	return false
}

// comparisons are the words of a condition that a range of an index answers exactly; the second group only on the last of
// its columns.
var (
	equalities   = map[string]bool{"=": true, "<=>": true, "in": true, "is": true, "null": true, "and": true, "or": true, "date": true, "timestamp": true}
	inequalities = map[string]bool{"<": true, ">": true, "<=": true, ">=": true, "between": true}
)

// answeredByIndex reports whether a condition compares nothing but these columns of an index with constants, so that
// reading the index's range leaves nothing to filter. In doubt it does not. One thing no plan tells: of an index on the first characters of a
// column, KEY (c(10)), it names the column alone, and the rest of the value is compared row by row. Then more may be read than is counted.
func answeredByIndex(condition string, columns []string) bool {
	if len(columns) == 0 {
		return false
	}
	last, column := columns[len(columns)-1], ""
	for i := 0; i < len(condition); {
		start := i
		switch c := condition[i]; {
		case c == '\'':
			i = skipQuoted(condition, i)
		case c == '`' || isWord(c):
			name := ""
			for i < len(condition) && (condition[i] == '`' || condition[i] == '.' || isWord(condition[i])) {
				from := i
				switch condition[i] {
				case '`':
					i = skipQuoted(condition, i)
					name = unquote(condition[from:i])
				case '.':
					i++
				default:
					for i < len(condition) && isWord(condition[i]) {
						i++
					}
					name = condition[from:i]
				}
			}
			word := strings.ToLower(condition[start:i])
			switch {
			case equalities[word], isNumber(word):
			case inequalities[word]:
				if column != last {
					return false
				}
			case slices.Contains(columns, name):
				column = name
			default:
				return false // another column, or a function
			}
		case c == '<' || c == '>' || c == '=':
			for i < len(condition) && strings.IndexByte("<>=", condition[i]) >= 0 {
				i++
			}
			op := condition[start:i]
			if !equalities[op] && (!inequalities[op] || column != last) {
				return false
			}
		case c == ' ' || c == '(' || c == ')' || c == ',' || c == '-':
			i++
		default:
			return false
		}
	}
	return true
}

func isNumber(word string) bool {
	return strings.Trim(word, "0123456789.") == ""
}

// stopAtMatch takes into account that a semijoin or antijoin reads no further than to the first match: with nothing to
// filter, that is the first row.
func (n *Node) stopAtMatch() {
	if n.Op != OpJoin || n.Hash || len(n.Inputs) != 2 || n.Join != JoinSemi && n.Join != JoinAnti || !unfiltered(n.Inputs[1], n.Join) {
		return
	}
	access := n.Inputs[1].access()
	access.Read = math.Min(access.Read, 1)
	for in := n.Inputs[1]; ; in = in.Inputs[0] {
		in.Rows = math.Min(passed(in), 1)
		if in == access {
			return
		}
	}
}

// matchGuard is the condition with which JSON v1 says that an antijoin wants no match, of NOT EXISTS and of LEFT JOIN … IS NULL.
var matchGuard = regexp.MustCompile(`^<if>\((?:is_not_null_compl\([^()]*\), <if>\(found_match\([^()]*\), false, true\)|found_match\([^()]*\), \(\S+ is null\)), true\)$`)
