package explainguard

import (
	"regexp"
	"slices"
	"strings"
)

// nameDerived gives derived tables the aliases by which the statement knows them. MariaDB's plans number them: <derived2>
// is the derived table of select 2. Only the first reference to a CTE has that CTE's number; the others have numbers
// of their own, in the order in which the statement names them, and the text shows no select for those.
func (t names) nameDerived(b *Block, s *selectNames) {
	var pending []*Node
	taken := map[string]bool{}
	b.Root.walkOwn(func(n *Node) {
		if strings.HasPrefix(n.Alias, "<derived") {
			pending = append(pending, n)
		} else if n.Op == OpAccess {
			taken[n.Alias] = true
		}
	})
	slices.SortStableFunc(pending, func(x, y *Node) int { return derivedID(x.Table) - derivedID(y.Table) })
	var later []*Node
	for _, n := range pending {
		c := t.byID(derivedID(n.Table))
		switch {
		case c != nil && c.alias != "":
			n.rename(c.alias)
			taken[c.alias] = true
		case c == nil || c.cte == "" || !n.renameTo(s, taken, func(ref tableName) bool { return ref.schema == "" && ref.table == c.cte }):
			later = append(later, n)
		}
	}
	for _, n := range later { // views, and what refers to a CTE again
		n.renameTo(s, taken, func(tableName) bool { return true })
	}
}

func derivedID(table string) int {
	return number(strings.TrimPrefix(table, "<derived"))
}

// renameTo takes the first name of the FROM clause that fits and is free.
func (n *Node) renameTo(s *selectNames, taken map[string]bool, fits func(tableName) bool) bool {
	for _, ref := range s.tables {
		if taken[ref.alias] || !fits(ref) {
			continue
		}
		taken[ref.alias] = true
		n.rename(ref.alias)
		return true
	}
	return false
}

func (n *Node) rename(alias string) {
	n.Alias, n.Table = alias, alias
	if d := n.derived(); d != nil {
		d.Name = alias
	}
}

// indexLookup is how MariaDB prints a subquery that became a look-up: neither FROM nor a select's number.
var indexLookup = regexp.MustCompile(`<(?:primary_)?index_lookup>\(.*? in (\S+) on (\S+) `)

// nameLookups names the tables of subqueries that became look-ups.
func (p *Plan) nameLookups() {
	for _, b := range p.Blocks() {
		for _, n := range b.Accesses() {
			if !n.Base || n.Schema != "" {
				continue
			}
			schema := schemaOf(p.Rewritten, n.Alias)
			for _, m := range indexLookup.FindAllStringSubmatch(p.Rewritten, -1) {
				if m[2] == n.Index && schema != "" {
					n.Table, n.Schema = m[1], schema
				}
			}
			if n.Op == OpAccess && n.Detail == mariaDeletesAll { // its name stands in the text alone
				if text := readNames(p.Rewritten); len(text.selects) > 0 && len(text.selects[0].tables) > 0 {
					t := text.selects[0].tables[0]
					n.Schema, n.Table, n.Alias = t.schema, t.table, t.alias
				}
			}
		}
	}
}

// schemaOf finds `schema`.`alias`. in a text.
func schemaOf(text, alias string) string {
	at := strings.Index(text, "."+quoteIdentifier(alias)+".")
	if at <= 0 || text[at-1] != '`' {
		return ""
	}
	for start := at - 2; start >= 0; start-- {
		if text[start] != '`' {
			continue
		}
		if start > 0 && text[start-1] == '`' { // a doubled quote inside the name
			start--
			continue
		}
		return unquote(text[start:at])
	}
	return ""
}
