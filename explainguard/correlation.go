package explainguard

import (
	"slices"
	"strings"
)

// correlation says whether a subquery runs again for each row of the block around it. MariaDB's JSON has no word for it.
type correlation int

const (
	notCorrelated   correlation = iota
	isCorrelated                // the server says so, or the subquery mentions a table of the block around it
	maybeCorrelated             // nothing tells: a correlated expression may stand in its select list, which no plan shows
)

// correlate settles what the plan itself tells about its subqueries, and says what it does not.
func (p *Plan) correlate() {
	for _, b := range p.Blocks() {
		if b.correlation != maybeCorrelated {
			continue
		}
		switch {
		case b.looksUp() || b.mentionsOuter() || b.everRan() > 1:
			b.correlation = isCorrelated
		case p.Analyzed:
			b.correlation = notCorrelated
		}
		b.Dependent = b.correlation == isCorrelated
		if b.correlation == maybeCorrelated {
			p.cannotTell(b.uncertain(), "let Explain ask the server, which also reads EXPLAIN EXTENDED, or pass ANALYZE FORMAT=JSON")
		}
	}
}

func (b *Block) uncertain() string {
	return "MariaDB's JSON alone does not tell whether " + b.Name + " of the " + b.Parent.Title() + " runs once or again for each row"
}

// everRan is how often ANALYZE saw the block, or the first that it reads, run; 0 if it never did.
func (b *Block) everRan() float64 {
	ran := b.ran
	for _, in := range b.Blocks() {
		if in.Kind == BlockUnionArm {
			ran = max(ran, in.ran)
		}
	}
	if all := b.Accesses(); len(all) > 0 && all[0].Actual != nil {
		ran = max(ran, all[0].Actual.Loops)
	}
	return max(ran, 0)
}

// looksUp reports whether the block is a look-up of a value that comes from outside.
func (b *Block) looksUp() bool {
	for _, n := range b.Accesses() {
		if n.perRow {
			return true
		}
	}
	return false
}

// mentionsOuter reports whether the block, or one inside it, mentions a table of a block around it.
func (b *Block) mentionsOuter() bool {
	outer := map[string]bool{}
	for up := b.Parent; up != nil; up = up.Parent {
		for _, n := range up.Accesses() {
			outer[n.Name()] = true
		}
	}
	var texts []string
	for _, in := range b.appendBlocks(nil) {
		texts = append(texts, in.conditions...)
		for _, n := range in.Accesses() {
			delete(outer, n.Name())
			texts = append(append(texts, n.Conditions...), n.Refs...)
		}
	}
	return slices.ContainsFunc(texts, func(text string) bool { return mentions(text, outer) })
}

// mentions reports whether a condition or a reference names a column of one of these tables: alias.column, also behind
// a schema. The server quotes a name where it must.
func mentions(text string, aliases map[string]bool) bool {
	var chain []string
	found := func() bool {
		ok := len(chain) == 2 && aliases[chain[0]] || len(chain) > 2 && aliases[chain[len(chain)-2]]
		chain = chain[:0]
		return ok
	}
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\'' || c == '"':
			i = skipQuoted(text, i)
		case c == '`' || isWord(c) || c == '$':
			end := i
			var name string
			if c == '`' {
				end = skipQuoted(text, i)
				name = unquote(text[i:end])
			} else {
				for end < len(text) && (isWord(text[end]) || text[end] == '$') {
					end++
				}
				name = text[i:end]
			}
			chain = append(chain, name)
			i = end
			if i < len(text) && text[i] == '.' {
				i++
				continue
			}
			if found() {
				return true
			}
		default:
			chain = chain[:0]
			i++
		}
	}
	return found()
}

// tabularRow is a row of EXPLAIN EXTENDED: what MariaDB says there and not in its JSON.
type tabularRow struct {
	id         int
	selectType string
	table      string
	rows       float64
	extra      string
}

// tell adds to a MariaDB plan what EXPLAIN EXTENDED of the same statement says.
func (p *Plan) tell(rows []tabularRow) {
	types := map[int]string{}
	for _, row := range rows {
		if types[row.id] == "" {
			types[row.id] = row.selectType
		}
	}
	for _, b := range p.Blocks() {
		if t := types[b.ID]; b.correlation == maybeCorrelated && t != "" {
			b.correlation = notCorrelated
			if strings.HasPrefix(t, "DEPENDENT") || strings.HasPrefix(t, "UNCACHEABLE") {
				b.correlation = isCorrelated
			}
			b.Dependent = b.correlation == isCorrelated
			p.nowKnown(b.uncertain())
		}
		for _, n := range b.Accesses() {
			for _, row := range rows {
				if row.id == b.ID && row.table == n.Table && strings.Contains(row.extra, "Full scan on NULL key") {
					n.lookupOnly, n.Detail = true, "the look-up in "+n.Name()
				}
			}
		}
		if n := b.Root; n != nil && n.Op == OpNothing && n.Detail == mariaDeletesAll {
			for _, row := range rows {
				if row.rows >= 0 && strings.Contains(row.extra, mariaDeletesAll) {
					*n = Node{Op: OpAccess, Access: AccessTableScan, Read: row.rows, Rows: row.rows, Base: true, Detail: mariaDeletesAll}
					p.nowKnownOf(mariaDeletesAll)
				}
			}
		}
	}
}

// nowKnownOf takes back the reasons that start with a text.
func (p *Plan) nowKnownOf(what string) {
	p.Unanalysable = slices.DeleteFunc(p.Unanalysable, func(r Reason) bool { return strings.HasPrefix(r.What, what) })
}
