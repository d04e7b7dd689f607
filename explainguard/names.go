package explainguard

import "strings"

// names is what the server's rewritten statement tells about its query blocks: which tables each reads, under which
// alias. The text is not SQL that a parser must accept ("semi join", "multiple equal(…)", "<cache>(…)"), so only
// its shape is read: quotes, parentheses, the markers /* select#N */, and what follows FROM and JOIN.
type names struct {
	selects []*selectNames // in the order of the text
}

type selectNames struct {
	id      int
	outer   *selectNames // the select whose FROM, condition or list it stands in
	alias   string       // of a derived table
	cte     string
	tables  []tableName
	limit   float64 // LIMIT and OFFSET together; 0 for none, or for one that is not this select's alone
	offset  float64 // of limit, what OFFSET throws away
	written bool    // what UPDATE, DELETE or INSERT name, which have no number
	whole   bool    // every row may be needed whatever the limit: DISTINCT, GROUP BY, HAVING, or anything computed in the select list

	unionLimit, unionOffset float64 // limit and offset of the union that this select is the first of
}

type tableName struct{ schema, table, alias string }

// name gives the plan what the rewritten statement tells: select numbers, CTE names, real table names, and the tables
// of which a row was read while planning, which JSON v2 does not show.
func (p *Plan) name(text names) {
	if len(text.selects) == 0 || p.Root == nil {
		return
	}
	p.nameBlock(p.Root, text.byID(max(p.Root.ID, 1)), text)
	if p.mariaDB() {
		p.nameLookups()
	}
}

// byID returns the select of that number, or nil; 0 is the number of none.
func (t names) byID(id int) *selectNames {
	for _, s := range t.selects {
		if id != 0 && s.id == id {
			return s
		}
	}
	return nil
}

func (p *Plan) nameBlock(b *Block, s *selectNames, text names) {
	if s != nil {
		if b.ID == 0 {
			b.ID = s.id
		}
		if p.mariaDB() {
			text.nameDerived(b, s)
		}
		if b.CTE == "" && b.Kind == BlockDerived {
			b.CTE = s.cte
		}
		p.nameTables(b, s)
		if sure := p.stopEarly(b, s); !sure && p.Format != FormatJSONv1 && !p.Analyzed && !p.mariaDB() && b.shortened() {
			p.v1Shows = true
			p.cannotTell(p.Format.String()+" counts on the LIMIT to end a scan of an index soon, though it might read all of it", "ask for JSON v1, which shows both")
		}
		b.limit, b.offset = s.limit, s.offset
		if b.Root.holdsUnion() {
			b.limit, b.offset = s.unionLimit, s.unionOffset
		}
		if !s.whole {
			b.stops = s.limit
		}
	}
	arms := 0
	for _, in := range b.Blocks() {
		p.nameBlock(in, text.find(in, b, s, arms), text)
		if in.Kind == BlockUnionArm {
			arms++
		}
	}
}

// find returns the select that a block inside outer was made of.
func (t names) find(b, outer *Block, s *selectNames, arm int) *selectNames {
	switch b.Kind {
	case BlockSubquery, BlockSemijoin:
		return t.byID(b.ID)
	case BlockDerived:
		for _, c := range t.selects {
			if b.ID != 0 && c.id == b.ID || b.ID == 0 && c.alias == b.Name && (s == nil || c.outer == s) {
				return c
			}
		}
		if s != nil { // a CTE: the FROM clause names it without a schema
			for _, ref := range s.tables {
				if ref.alias != b.Name || ref.schema != "" {
					continue
				}
				for _, c := range t.selects {
					if c.cte == ref.table {
						return c
					}
				}
			}
		}
	case BlockUnionArm:
		if c := t.byID(b.ID); c != nil || s == nil {
			return c
		}
		// The arms are the selects at the same place as the block's first one.
		for _, c := range t.selects {
			if c.outer == s.outer && c.alias == s.alias && c.cte == s.cte && c.id >= s.id {
				if arm == 0 {
					return c
				}
				arm--
			}
		}
	}
	return nil
}

func (p *Plan) nameTables(b *Block, s *selectNames) {
	known := map[string]tableName{}
	for _, t := range s.tables {
		known[t.alias] = t
	}
	union := b.Root.holdsUnion()
	shown := map[string]bool{}
	b.Root.nameIn(b, known, shown)
	for _, n := range b.Const {
		if t, ok := known[n.Alias]; ok {
			n.Table, n.Schema = t.table, t.schema
		}
		shown[n.Alias] = true
	}
	if union || collapse(b.Message) != "" || b.Message == "No tables used" {
		return
	}
	for _, in := range b.Blocks() {
		if in.Kind == BlockSemijoin { // its tables are joined in the text
			for _, n := range in.Accesses() {
				if t, ok := known[n.Alias]; ok && n.Base {
					n.Table, n.Schema = t.table, t.schema
				}
				shown[n.Alias] = true
			}
		}
	}
	for _, t := range s.tables {
		if !shown[t.alias] && t.schema != "" && !p.mariaDB() && p.reads(b, t) { // MariaDB's plans show them
			b.Const = append(b.Const, &Node{
				Op: OpAccess, Access: AccessConst, Schema: t.schema, Table: t.table, Alias: t.alias,
				Read: 1, Rows: 1, Base: true, Detail: "row read while planning",
			})
		}
	}
}

// reads reports whether a table that only the text names was read; the target of an INSERT is not.
func (p *Plan) reads(b *Block, t tableName) bool {
	target := false
	b.Root.walk(func(n *Node) { target = target || n.Target && (n.Table == t.table || n.Alias == t.alias) })
	return !target && !strings.HasPrefix(p.Rewritten, "insert") && !strings.HasPrefix(p.Rewritten, "replace")
}

func (n *Node) holdsUnion() bool {
	if n == nil {
		return false
	}
	for _, b := range n.Blocks {
		if b.Kind == BlockUnionArm {
			return true
		}
	}
	for _, in := range n.Inputs {
		if in.holdsUnion() {
			return true
		}
	}
	return false
}

func (n *Node) nameIn(b *Block, known map[string]tableName, shown map[string]bool) {
	if n == nil {
		return
	}
	if n.Op == OpAccess || n.Op == OpRecursiveScan || n.Op == OpWrite {
		shown[n.Alias] = true
		if t, ok := known[n.Alias]; ok && n.Base && n.derived() == nil {
			if t.schema == "" && b.Recursive { // the new rows of the CTE itself
				n.Op, n.Base, n.Read = OpRecursiveScan, false, 0
			} else {
				n.Table = t.table
				if t.schema != "" {
					n.Schema = t.schema
				}
			}
		}
	}
	for _, in := range n.Inputs {
		in.nameIn(b, known, shown)
	}
}
