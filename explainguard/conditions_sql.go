package explainguard

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sqlc-dev/marino/ast"
	"github.com/sqlc-dev/marino/parser"
)

// sqlConditions judges by the statement as the server rewrote it. This file, conditions_scope.go and conditions_term.go alone
// know the SQL parser.
type sqlConditions struct{ main []*scope }

const multipleEqual = "multiple_equal"

// The server's own words that are not SQL, and what they mean for the conditions. A semi join narrows as a join does;
// an anti join must not, as a left join.
var notSQL = strings.NewReplacer(" semi join ", " join ", " anti join ", " left join ", "<cache>(", "(",
	"multiple equal(", multipleEqual+"(")

// sqlParsers are kept for the next statement: a new one costs more than a short statement's parsing.
var sqlParsers = sync.Pool{New: func() any { return parser.New() }}

func readSQL(text string) (*sqlConditions, error) {
	if main, ok := readQuick(text); ok {
		return &sqlConditions{main: main}, nil
	}
	return parseSQL(text)
}

func parseSQL(text string) (*sqlConditions, error) {
	p := sqlParsers.Get().(*parser.Parser)
	defer sqlParsers.Put(p) // the statement does not point into it
	stmt, err := p.ParseOneStmt(notSQL.Replace(text), "", "")
	if err != nil {
		return nil, err
	}
	c := &sqlConditions{}
	switch s := stmt.(type) {
	case *ast.InsertStmt:
		c.main = scopes(s.Select, nil)
	case *ast.UpdateStmt:
		c.main = []*scope{newScope(s.TableRefs, s.Where, nil, ctes(s.With, nil))}
	case *ast.DeleteStmt:
		c.main = []*scope{newScope(s.TableRefs, s.Where, nil, ctes(s.With, nil))}
	default:
		c.main = scopes(stmt, nil)
	}
	if len(c.main) == 0 {
		return nil, errors.New("it holds no query")
	}
	return c, nil
}

// in returns the scopes that a block of the plan was made of, by the names of the derived tables on the way to it.
func (c *sqlConditions) in(b *Block) []*scope {
	if b == nil {
		return nil
	}
	if b.Kind == BlockMain {
		return c.main
	}
	outer := c.in(b.Parent)
	switch b.Kind {
	case BlockUnionArm:
		n := 0
		for _, sibling := range b.Parent.Blocks() {
			if sibling == b && n < len(outer) {
				return outer[n : n+1]
			}
			if sibling.Kind == BlockUnionArm {
				n++
			}
		}
	case BlockDerived:
		for _, s := range outer {
			if src, ok := s.sources.get(strings.ToLower(b.Name)); ok && src.arms != nil {
				return src.arms
			}
		}
	case BlockSemijoin: // its tables are joined in the text
		return outer
	}
	return nil
}

func (c *sqlConditions) knows(outer, derived *Block) bool {
	return len(c.in(outer)) > 0 && len(c.in(derived)) > 0
}

func (c *sqlConditions) missing(outer *Block, access *Node, derived *Block) (lack, bool) {
	alias := strings.ToLower(access.Name())
	for _, s := range c.in(outer) {
		src, ok := s.sources.get(alias)
		if !ok {
			continue
		}
		for _, name := range src.names() {
			want, ok := s.values.get(alias + "." + name)
			if !ok || want.outerRow || s.asNarrowAsOutside(src, alias, name, want, outer) || !want.discrete() && !fewInRange(outer, want) {
				continue
			}
			add, ok := s.forAll(access, outer, name, want)
			if !ok {
				continue
			}
			columns := src.wide(name, want)
			if allNarrow(columns) {
				continue
			}
			l := lack{outside: want.on(want.column)}
			var lacking, conditions []string
			for _, column := range columns {
				condition := ""
				if column != "" {
					condition = add.on(column)
					lacking, conditions = append(lacking, column), append(conditions, condition)
				}
				l.arms = append(l.arms, condition)
			}
			l.column = strings.Join(lacking, ", nor ")
			l.add = strings.Join(conditions, "` and, in the other arm of the union, `")
			return l, true
		}
	}
	return lack{}, false
}

// asNarrowAsOutside reports whether the block is narrowed by the very column by which the table outside is looked up, so
// that a further column of that table, joined too, would take nothing away.
func (s *scope) asNarrowAsOutside(src source, alias, name string, want kept, outer *Block) bool {
	table, column, _ := strings.Cut(want.column, ".")
	if table == alias {
		return false
	}
	for _, n := range outer.Accesses() {
		if strings.ToLower(n.Name()) != table {
			continue
		}
		for _, key := range n.KeyColumns {
			if strings.EqualFold(key, column) {
				return false
			}
		}
		for _, key := range n.KeyColumns {
			for _, other := range src.names() {
				k, ok := s.values.get(alias + "." + other)
				if ok && other != name && s.follows(alias+"."+other, table+"."+strings.ToLower(key)) && allNarrow(src.wide(other, k)) {
					return true
				}
			}
		}
	}
	return false
}

// fewInRange reports whether the outer block reads the column's range by an index and finds few rows there.
func fewInRange(outer *Block, want kept) bool {
	table, column, _ := strings.Cut(want.column, ".")
	for _, n := range outer.Accesses() {
		if strings.ToLower(n.Name()) == table && n.Access == AccessRange && len(n.KeyColumns) > 0 &&
			strings.EqualFold(n.KeyColumns[0], column) && n.Read >= 0 {
			return n.Read <= fewRows || want.closed && n.Read <= fewBetween
		}
	}
	return false
}

// Up to how many rows a range outside counts as a wish for few: with one end, which may as well keep most, and with two.
const (
	fewRows    = 100
	fewBetween = 1000
)

// forAll returns what a filter inside must keep, so that it serves each reference to a CTE that was filled once for
// several; false where another reference wants rows that nothing outside narrows.
func (s *scope) forAll(access *Node, outer *Block, name string, want kept) (kept, bool) {
	d := access.derived()
	top := outer
	for top.Parent != nil {
		top = top.Parent
	}
	for _, b := range top.appendBlocks(nil) {
		for _, n := range b.Accesses() {
			if n.SharesWith == "" || d == nil || n.SharesWith != d.CTE && n.SharesWith != strconv.Itoa(d.ID) {
				continue
			}
			if b != outer {
				return kept{}, false
			}
			other, _ := s.values.get(strings.ToLower(n.Name()) + "." + name)
			var ok bool
			if want, ok = want.or(other); !ok {
				return kept{}, false
			}
		}
	}
	return want, true
}

// names are the column names of a derived table.
func (src source) names() []string {
	if src.columns != nil || len(src.arms) == 0 {
		return src.columns
	}
	var out []string
	for _, f := range src.arms[0].fields {
		out = append(out, f.name)
	}
	return out
}

// column returns the column inside that stands for one of the derived table's own; "" if it is computed.
func (src source) column(arm int, name string) string {
	at := slices.Index(src.names(), name)
	if at < 0 || at >= len(src.arms[arm].fields) || name == "" {
		return ""
	}
	return src.arms[arm].fields[at].column()
}

// wide returns the columns inside a derived table that stand for one of its own and that nothing narrows there as the
// wish outside does: one for each arm of a union, "" for an arm that needs no filter or cannot have one.
func (src source) wide(name string, want kept) []string {
	columns := make([]string, len(src.arms))
	for i, arm := range src.arms {
		column := src.column(i, name)
		if column == "" { // computed: the arm is narrow, or cannot be narrowed by its WHERE
			continue
		}
		if !arm.filterable(column) {
			return nil
		}
		if k, ok := arm.values.get(column); ok && (k.narrow() || !want.discrete()) {
			continue
		}
		alias, inner, _ := strings.Cut(column, ".")
		if deeper, _ := arm.sources.get(alias); deeper.arms != nil && allNarrow(deeper.wide(inner, want)) {
			continue
		}
		columns[i] = column
	}
	return columns
}

func allNarrow(columns []string) bool {
	return !slices.ContainsFunc(columns, func(c string) bool { return c != "" })
}
