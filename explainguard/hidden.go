package explainguard

import (
	"fmt"
	"strings"
)

// hidden finds the query blocks that the rewritten statement holds and the plan does not show. JSON v2 leaves out a
// derived table of one row, SELECT COUNT(*) FROM …, which the server fills while it plans, however much that reads; and
// the subqueries in the select list of a statement that reads from a derived table. Without this both would pass with
// next to no rows.
func (p *Plan) hidden(text names) {
	if p.Root == nil || len(p.Unanalysable) > 0 || p.Analyzed || p.mariaDB() {
		return // collapsed: nothing is to be shown then; of a run, the server's counters tell what is hidden
	}
	shown, recursive := map[int]bool{}, map[string]bool{}
	for _, b := range p.Blocks() {
		shown[b.ID] = true
		if b.Recursive && b.Parent != nil {
			recursive[b.Parent.CTE], recursive[b.Parent.Name] = true, true
		}
	}
	left := p.aliases()
	for _, s := range text.selects {
		if shown[s.id] {
			for _, t := range s.tables {
				left[t.alias]--
			}
		}
	}
	var lost []string
	for _, s := range text.selects {
		if s.id == 0 || shown[s.id] || s.cte != "" && recursive[s.cte] { // JSON v2 does not number the parts of a recursive CTE
			continue
		}
		for _, t := range s.tables {
			if left[t.alias]--; t.schema != "" && left[t.alias] < 0 { // else it is there, in a block without a number
				lost = append(lost, fmt.Sprintf("select #%d", s.id))
				break
			}
		}
	}
	if len(lost) == 0 {
		return
	}
	wayOut := "write the statement without that subquery, or judge it on its own"
	if p.Format != FormatJSONv1 {
		p.v1Shows, wayOut = true, "ask for JSON v1, which does"
	}
	p.cannotTell(fmt.Sprintf("%s does not show %s, as the rewritten statement numbers it", p.Format, strings.Join(lost, ", ")), wayOut)
}

// aliases counts the accesses of a plan by alias.
func (p *Plan) aliases() map[string]int {
	out := map[string]int{}
	for _, b := range p.Blocks() {
		for _, n := range b.Accesses() {
			out[n.Alias]++
		}
	}
	return out
}

// unseenRows is what look-ups by key may read unseen: JSON v2 shows more of such a statement than JSON v1 otherwise (real table
// names, left joins), and it is nothing beside any budget. They are counted all the same.
const unseenRows = 100

// hides returns the accesses that JSON v1 shows and this plan does not, and whether these are more than a few look-ups.
func (p *Plan) hides(v1 *Plan) (lost []*Node, names []string) {
	shown := p.aliases()
	unseen := 0.0
	for _, b := range v1.Blocks() {
		for _, n := range b.Accesses() {
			if !n.Base || n.Access == AccessConst {
				continue
			}
			if shown[n.Alias]--; shown[n.Alias] < 0 {
				lost, names = append(lost, n), append(names, n.Name()+" in the "+b.Title())
				unseen += n.Examined()
				if n.Access != AccessLookup && n.Access != AccessUnique {
					unseen += unseenRows
				}
			}
		}
	}
	if unseen < unseenRows {
		return lost, nil
	}
	return lost, names
}

// countLost counts a few look-ups that the server has done while it planned.
func (p *Plan) countLost(lost []*Node) {
	for _, n := range lost {
		p.Root.Const = append(p.Root.Const, &Node{
			Op: OpAccess, Access: n.Access, Schema: n.Schema, Table: n.Table, Alias: n.Alias, Index: n.Index, KeyColumns: n.KeyColumns, Refs: n.Refs,
			Read: n.Examined(), Rows: n.Examined(), Executions: 1, Base: true, Detail: "read while planning",
		})
	}
}

// fill takes from JSON v1 the rows of tables that are counted as a whole, of which this plan gives no figure.
func (p *Plan) fill(v1 *Plan) {
	counted := map[string][]*Node{}
	p.Root.walkAll(func(n *Node) {
		if n.Op == OpAccess && n.Access == AccessCount && n.Read == 0 {
			counted[n.Alias] = append(counted[n.Alias], n)
		}
	})
	told := map[string][]*Node{}
	v1.Root.walkAll(func(n *Node) {
		if n.Op == OpAccess && n.Base {
			told[n.Alias] = append(told[n.Alias], n)
		}
	})
	for alias, nodes := range counted {
		if from := told[alias]; len(nodes) == 1 && len(from) == 1 && from[0].Read > 0 { // else it is not clear which is which
			nodes[0].Read = from[0].Read
			p.nowKnown(noEstimate(nodes[0]))
		}
	}
	if p.v1Shows = len(p.Unanalysable) > 0; !p.v1Shows {
		p.hidden(readNames(p.Rewritten)) // it has not looked while something else was the matter
	}
	p.execute()
}

// mayHide reports whether a statement as it was sent has, or through a view may have, more query blocks than the server's
// rewritten text of it: merged ones, which is fine, or such as the server has run while it planned.
func mayHide(query, rewritten string) bool {
	selects, text := 0, strings.ToLower(rewritten)
	prev, from := "", false
	for i := 0; i < len(query); {
		next, comment := skipComment(query, i)
		if comment != commentNone {
			i = next
			continue
		}
		word := ""
		switch c := query[i]; {
		case c == '`':
			next = skipQuoted(query, i)
			word = query[i:next]
		case c == '\'' || c == '"':
			next = skipQuoted(query, i)
			prev = ""
		case isWord(c):
			for next = i; next < len(query) && isWord(query[next]); {
				next++
			}
			word = strings.ToLower(query[i:next])
		default:
			next = i + 1
			if !isSpace(c) {
				prev = string(c)
			}
		}
		i = next
		switch word {
		case "":
			continue
		case "select":
			selects, from = selects+1, false
		case "update", "delete":
			if prev == "" {
				selects++ // the rewritten text counts them as selects, too
			}
		case "from", "join", "straight_join":
			from = true
		case "where", "group", "having", "order", "limit", "union", "except", "intersect", "set", "on", "using", "window":
			from = from && (word == "on" || word == "using")
		default:
			named := prev == "from" || prev == "join" || prev == "straight_join" || prev == "," || prev == "."
			last := i >= len(query) || query[i] != '.' && query[i] != '('
			if from && named && last && !strings.Contains(text, "`"+strings.Trim(strings.ToLower(word), "`")+"`") {
				return true // a view, or a table expression that was merged
			}
		}
		prev = word
	}
	for _, s := range readNames(rewritten).selects {
		if s.id != 0 {
			selects--
		}
	}
	return selects > 0
}

// complete asks for JSON v1 where JSON v2 shows less: single-table writes, the rows of a COUNT(*), and blocks that the
// server runs while it plans. It returns p itself, which then says what it lacks, or what askV1 gave.
func (s *session) complete(p *Plan, want Format, query string, askV1 func() (*Plan, error)) (*Plan, error) {
	_, hasVersions := s.was["explain_json_format_version"]
	if p.Format == FormatJSONv1 || !hasVersions || !p.v1Shows && !mayHide(query, p.Rewritten) {
		return p, nil
	}
	p1, err := askV1()
	if err != nil {
		return nil, err
	}
	if p1.Format != FormatJSONv1 {
		return p, nil // the hypergraph optimizer has JSON v2 alone
	}
	lost, names := p.hides(p1)
	if want == FormatUnknown && (p.v1Shows || len(names) > 0) {
		return p1, nil
	}
	if p.v1Shows {
		p.fill(p1)
	}
	switch {
	case p.v1Shows: // it says so itself
	case len(names) > 0:
		p.cannotTell(fmt.Sprintf("%s does not show %s, which the server reads while it plans", p.Format, strings.Join(names, ", ")),
			"ask for JSON v1, which does")
	case p.Analysable():
		p.countLost(lost)
	}
	return p, nil
}
