package explainguard

import (
	"strings"

	"github.com/sqlc-dev/marino/ast"
	"github.com/sqlc-dev/marino/format"
	"github.com/sqlc-dev/marino/opcode"
)

// shape is what a term of a condition is, as far as conditions tell something of columns.
type shape byte

const (
	shapeOther   shape = iota // anything else; it tells nothing
	shapeUnclear              // the quick reader only: it holds no column, and whether it is a constant takes the SQL parser
	shapeColumn
	shapeConstant
	shapeRow     // (a, b)
	shapeAnd     // of any number of args
	shapeOr      // of two
	shapeEqual   // =, <=> or multiple equal(…)
	shapeOrder   // <, <=, > or >=
	shapeBetween // column, from, to
	shapeIn      // column, values…
)

// term is one expression of a condition.
type term struct {
	shape shape
	paren bool // it stands in parentheses
	args  []term

	columnRef              // of shapeColumn
	text      string       // of shapeOrder: the operator; of a constant that the quick reader read: the SQL
	expr      ast.ExprNode // without its parentheses; nil if the quick reader read it
}

// termOf is the term that an expression stands for.
func termOf(e ast.ExprNode) term {
	paren := false
	for {
		inner, ok := e.(*ast.ParenthesesExpr)
		if !ok {
			break
		}
		e, paren = inner.Expr, true
	}
	t := term{paren: paren, expr: e}
	switch e := e.(type) {
	case *ast.BinaryOperationExpr:
		switch e.Op {
		case opcode.LogicAnd:
			t.shape = shapeAnd
		case opcode.LogicOr:
			t.shape = shapeOr
		case opcode.EQ, opcode.NullEQ:
			t.shape = shapeEqual
		case opcode.LT, opcode.LE, opcode.GT, opcode.GE:
			t.shape = shapeOrder
			t.text = map[opcode.Op]string{opcode.LT: "<", opcode.LE: "<=", opcode.GT: ">", opcode.GE: ">="}[e.Op]
		default:
			return t
		}
		t.args = termsOf(e.L, e.R)
	case *ast.ColumnNameExpr:
		t.shape, t.columnRef = shapeColumn, columnRef{alias: e.Name.Table.L, column: e.Name.Name.L}
	case *ast.RowExpr:
		t.shape, t.args = shapeRow, termsOf(e.Values...)
	case *ast.FuncCallExpr:
		if e.FnName.L == multipleEqual {
			t.shape, t.args = shapeEqual, termsOf(e.Args...)
		}
	case *ast.BetweenExpr:
		if !e.Not {
			t.shape, t.args = shapeBetween, termsOf(e.Expr, e.Left, e.Right)
		}
	case *ast.PatternInExpr:
		if !e.Not && e.Sel == nil {
			t.shape, t.args = shapeIn, append(termsOf(e.Expr), termsOf(e.List...)...)
		}
	}
	return t
}

func termsOf(list ...ast.ExprNode) []term {
	out := make([]term, len(list))
	for i, e := range list {
		out[i] = termOf(e)
	}
	return out
}

// columnName returns "alias.column" for a column, else "".
func (t *term) columnName() string {
	if t.shape != shapeColumn {
		return ""
	}
	return t.alias + "." + t.column
}

// isConstant reports whether the term does not depend on a row.
func (t *term) isConstant() bool {
	if t.expr != nil {
		return constantExpr(t.expr)
	}
	return t.shape == shapeConstant
}

// sql writes a constant as SQL.
func (t *term) sql() string {
	if t.expr == nil {
		return t.text
	}
	var b strings.Builder
	if err := t.expr.Restore(format.NewRestoreCtx(format.RestoreStringSingleQuotes|format.RestoreKeyWordUppercase|
		format.RestoreStringWithoutCharset, &b)); err != nil {
		return "?"
	}
	return b.String()
}

func constantExpr(e ast.ExprNode) bool {
	switch e := e.(type) {
	case ast.ValueExpr, ast.ParamMarkerExpr:
		return true
	case *ast.UnaryOperationExpr:
		return constantExpr(e.V)
	case *ast.ParenthesesExpr:
		return constantExpr(e.Expr)
	case *ast.BinaryOperationExpr:
		return constantExpr(e.L) && constantExpr(e.R)
	case *ast.FuncCastExpr:
		return constantExpr(e.Expr)
	case *ast.FuncCallExpr: // DATE'2024-01-01'
		for _, arg := range e.Args {
			if !constantExpr(arg) {
				return false
			}
		}
		return true
	default:
		return false
	}
}
