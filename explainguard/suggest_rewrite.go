package explainguard

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sqlc-dev/marino/ast"
	"github.com/sqlc-dev/marino/format"
	"github.com/sqlc-dev/marino/opcode"
	"github.com/sqlc-dev/marino/parser"
)

// fix is a change of a statement: a condition for each arm of a derived table.
type fix struct {
	what  string
	path  []string // the names of the derived tables from the outermost to the one to change
	cte   string   // the common table expression that the last of them is, if it is one
	conds []string // for each arm; "" for one that is narrow already
}

// apply returns the changed statement, in the parser's own spelling.
func (f *fix) apply(query string) (string, error) {
	p := sqlParsers.Get().(*parser.Parser)
	defer sqlParsers.Put(p)
	stmt, err := p.ParseOneStmt(query, "", "")
	if err != nil {
		return "", err
	}
	arms := f.find(stmt)
	if len(arms) == 0 || len(arms) != len(f.conds) {
		return "", fmt.Errorf("derived table %s is not to be found in the statement", strings.Join(f.path, "."))
	}
	for i, arm := range arms {
		if f.conds[i] == "" {
			continue
		}
		cond, err := condition(p, f.conds[i])
		if err != nil {
			return "", err
		}
		if arm.Where == nil {
			arm.Where = cond
			continue
		}
		arm.Where = &ast.BinaryOperationExpr{Op: opcode.LogicAnd, L: &ast.ParenthesesExpr{Expr: arm.Where}, R: cond}
	}
	var b strings.Builder
	const spelling = format.RestoreStringSingleQuotes | format.RestoreStringEscapeBackslash | format.RestoreKeyWordUppercase |
		format.RestoreNameBackQuotes | format.RestoreSpacesAroundBinaryOperation | format.RestoreStringWithoutDefaultCharset
	if err := stmt.Restore(format.NewRestoreCtx(spelling, &b)); err != nil {
		return "", err
	}
	return b.String(), nil
}

func condition(p *parser.Parser, text string) (ast.ExprNode, error) {
	stmt, err := p.ParseOneStmt("SELECT 1 FROM t WHERE "+text, "", "")
	if err != nil {
		return nil, err
	}
	s, ok := stmt.(*ast.SelectStmt)
	if !ok || s.Where == nil {
		return nil, errors.New("not a condition: " + text)
	}
	return s.Where, nil
}

// find returns the SELECTs that the derived table is made of.
func (f *fix) find(stmt ast.StmtNode) []*ast.SelectStmt {
	v := &tableFinder{path: f.path, cte: f.cte}
	stmt.Accept(v)
	return selects(v.found)
}

// tableFinder walks down the names of derived tables; of several with the same name it takes none.
type tableFinder struct {
	path  []string
	cte   string
	found ast.Node
	twice bool
}

// Enter implements ast.Visitor.
func (v *tableFinder) Enter(n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.CommonTableExpression:
		if len(v.path) == 1 && v.cte != "" && strings.EqualFold(n.Name.L, v.cte) && n.Query != nil {
			v.take(n.Query.Query)
		}
	case *ast.TableSource:
		if _, stored := n.Source.(*ast.TableName); stored || len(v.path) == 0 || !strings.EqualFold(n.AsName.L, v.path[0]) {
			break
		}
		if len(v.path) == 1 {
			v.take(n.Source)
			break
		}
		inner := &tableFinder{path: v.path[1:], cte: v.cte}
		n.Source.Accept(inner)
		v.take(inner.found)
		return n, true
	}
	return n, false
}

// Leave implements ast.Visitor.
func (v *tableFinder) Leave(n ast.Node) (ast.Node, bool) { return n, true }

func (v *tableFinder) take(n ast.Node) {
	if v.found != nil && n != nil {
		v.twice = true
	}
	if v.found == nil {
		v.found = n
	}
	if v.twice {
		v.found = nil
	}
}

func selects(n ast.Node) []*ast.SelectStmt {
	switch n := n.(type) {
	case *ast.SelectStmt:
		return []*ast.SelectStmt{n}
	case *ast.SetOprStmt:
		return selects(n.SelectList)
	case *ast.SetOprSelectList:
		if n == nil {
			return nil
		}
		var out []*ast.SelectStmt
		for _, s := range n.Selects {
			out = append(out, selects(s)...)
		}
		return out
	case *ast.SubqueryExpr:
		return selects(n.Query)
	default:
		return nil
	}
}
