package explainguard

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/sqlc-dev/marino/ast"
	"github.com/sqlc-dev/marino/parser"
)

// sqlConditions judges by the statement as the server rewrote it. This file and conditions_scope.go alone
// know the SQL parser.
type sqlConditions struct{ main []*scope }

const multipleEqual = "multiple_equal"

// The server's own words that are not SQL, and what they mean for the conditions. A semi join narrows as a join does;
// an anti join must not, as a left join.
var notSQL = strings.NewReplacer(" semi join ", " join ", " anti join ", " left join ", "<cache>(", "(",
	"multiple equal(", multipleEqual+"(")

func readSQL(text string) (*sqlConditions, error) {
	stmt, err := parser.New().ParseOneStmt(notSQL.Replace(text), "", "")
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
			if src, ok := s.sources[strings.ToLower(b.Name)]; ok && src.arms != nil {
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

func (c *sqlConditions) missing(outer *Block, access *Node, _ *Block) (lack, bool) {
	alias := strings.ToLower(access.Name())
	for _, s := range c.in(outer) {
		src, ok := s.sources[alias]
		if !ok {
			continue
		}
		for _, name := range src.names() {
			want, ok := s.values[alias+"."+name]
			if !ok || s.sharedButWider(access, outer, name) {
				continue
			}
			columns := src.wide(name)
			if len(columns) == 0 {
				continue
			}
			var add []string
			for _, column := range columns {
				add = append(add, column+" "+want.test)
			}
			return lack{
				outside: want.column + " " + want.test,
				column:  strings.Join(columns, ", nor "),
				add:     strings.Join(add, "` and, in the other arm of the union, `"),
			}, true
		}
	}
	return lack{}, false
}

// sharedButWider reports whether a CTE that was filled once for several references is wanted wider by another of them, so
// that a filter inside would take rows from that.
func (s *scope) sharedButWider(access *Node, outer *Block, name string) bool {
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
			if _, ok := s.values[strings.ToLower(n.Name())+"."+name]; b != outer || !ok {
				return true
			}
		}
	}
	return false
}

// names are the column names of a derived table.
func (src source) names() []string {
	if src.columns != nil || len(src.arms) == 0 {
		return src.columns
	}
	var out []string
	for _, f := range src.arms[0].fields {
		out = append(out, fieldName(f))
	}
	return out
}

func fieldName(f *ast.SelectField) string {
	if f.AsName.L != "" {
		return f.AsName.L
	}
	if c, ok := f.Expr.(*ast.ColumnNameExpr); ok {
		return c.Name.Name.L
	}
	return ""
}

// wide returns the columns inside a derived table that stand for one of its own and that nothing narrows there: one for
// each arm of a union that lacks a filter.
func (src source) wide(name string) []string {
	at := slices.Index(src.names(), name)
	for _, arm := range src.arms {
		if at < 0 || at >= len(arm.fields) || arm.closed {
			return nil
		}
	}
	var columns []string
	for _, arm := range src.arms {
		column := columnOf(arm.fields[at].Expr)
		if _, narrowed := arm.values[column]; narrowed || column == "" {
			continue
		}
		alias, inner, _ := strings.Cut(column, ".")
		if deeper := arm.sources[alias]; deeper.arms != nil && len(deeper.wide(inner)) == 0 {
			continue
		}
		columns = append(columns, column)
	}
	return columns
}
