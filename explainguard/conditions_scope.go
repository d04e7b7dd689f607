package explainguard

import (
	"strings"

	"github.com/sqlc-dev/marino/ast"
	"github.com/sqlc-dev/marino/format"
	"github.com/sqlc-dev/marino/opcode"
)

// scope is one SELECT: its columns, its sources, and what its conditions say about columns ("alias.column").
type scope struct {
	fields  []*ast.SelectField
	sources map[string]source
	values  map[string]kept     // a column → the constants it is compared with
	equal   map[string][]string // a column → the columns that take its values over
	closed  bool                // LIMIT or a window function: a filter inside changes the result
}

type source struct {
	arms    []*scope // of a derived table or CTE; nil for a stored table
	columns []string // the column names that a CTE declares
}

// kept is a set of constants: the column it is written on and the rest of the condition, "IN (1, 2)" or "= 1".
type kept struct{ column, test string }

// ctes adds the common table expressions of a WITH clause to those known outside.
func ctes(with *ast.WithClause, known map[string]source) map[string]source {
	if with == nil {
		return known
	}
	out := map[string]source{}
	for name, s := range known {
		out[name] = s
	}
	for _, cte := range with.CTEs {
		var s source
		for _, column := range cte.ColNameList {
			s.columns = append(s.columns, column.L)
		}
		if cte.Query != nil && !cte.IsRecursive && !with.IsRecursive {
			s.arms = scopes(cte.Query.Query, out)
		}
		out[cte.Name.L] = s
	}
	return out
}

// scopes returns a query's SELECTs: one, or the arms of a union.
func scopes(n ast.Node, known map[string]source) []*scope {
	switch n := n.(type) {
	case *ast.SelectStmt:
		known = ctes(n.With, known)
		s := newScope(n.From, n.Where, n.Fields, known)
		s.closed = n.Limit != nil || len(n.WindowSpecs) > 0 || windowed(n.Fields)
		return []*scope{s}
	case *ast.SetOprStmt:
		known = ctes(n.With, known)
		return closeAll(scopes(n.SelectList, known), n.Limit != nil)
	case *ast.SetOprSelectList:
		known = ctes(n.With, known)
		var out []*scope
		for _, s := range n.Selects {
			out = append(out, scopes(s, known)...)
		}
		return closeAll(out, n.Limit != nil)
	case *ast.SubqueryExpr:
		return scopes(n.Query, known)
	case *ast.TableSource:
		return scopes(n.Source, known)
	default:
		return nil
	}
}

func closeAll(scopes []*scope, closed bool) []*scope {
	for _, s := range scopes {
		s.closed = s.closed || closed
	}
	return scopes
}

func windowed(fields *ast.FieldList) bool {
	if fields == nil {
		return false
	}
	for _, f := range fields.Fields {
		if _, ok := f.Expr.(*ast.WindowFuncExpr); ok {
			return true
		}
	}
	return false
}

func newScope(from *ast.TableRefsClause, where ast.ExprNode, fields *ast.FieldList, known map[string]source) *scope {
	s := &scope{sources: map[string]source{}, values: map[string]kept{}, equal: map[string][]string{}}
	if fields != nil {
		s.fields = fields.Fields
	}
	if from != nil {
		s.from(from.TableRefs, known)
	}
	s.condition(where, nil)
	s.propagate()
	return s
}

// from reads a FROM clause and returns the aliases in it.
func (s *scope) from(n ast.ResultSetNode, known map[string]source) []string {
	switch n := n.(type) {
	case *ast.Join:
		if n == nil {
			return nil
		}
		left := s.from(n.Left, known)
		right := s.from(n.Right, known)
		if n.On != nil {
			var nullable []string
			switch n.Tp {
			case ast.LeftJoin:
				nullable = right
			case ast.RightJoin:
				nullable = left
			}
			s.condition(n.On.Expr, nullable)
		}
		return append(left, right...)
	case *ast.TableSource:
		alias := n.AsName.L
		switch t := n.Source.(type) {
		case *ast.TableName:
			if alias == "" {
				alias = t.Name.L
			}
			src := source{}
			if t.Schema.L == "" {
				src = known[t.Name.L]
			}
			s.sources[alias] = src
		case *ast.Join:
			return s.from(t, known)
		default:
			s.sources[alias] = source{arms: scopes(n.Source, known)}
		}
		return []string{alias}
	default:
		return nil
	}
}

// condition reads a conjunction. Of an outer join's ON clause only what it says about the nullable side holds.
func (s *scope) condition(e ast.ExprNode, nullable []string) {
	switch e := e.(type) {
	case *ast.ParenthesesExpr:
		s.condition(e.Expr, nullable)
	case *ast.BinaryOperationExpr:
		switch e.Op {
		case opcode.LogicAnd:
			s.condition(e.L, nullable)
			s.condition(e.R, nullable)
		case opcode.EQ:
			s.equality([]ast.ExprNode{e.L, e.R}, nullable)
		}
	case *ast.FuncCallExpr:
		if e.FnName.L == multipleEqual {
			s.equality(e.Args, nullable)
		}
	case *ast.PatternInExpr:
		if column := columnOf(e.Expr); column != "" && !e.Not && e.Sel == nil && constants(e.List) {
			s.keep(column, "IN ("+list(e.List)+")", nullable)
		}
	}
}

func (s *scope) equality(sides []ast.ExprNode, nullable []string) {
	var columns []string
	constant := ""
	for _, e := range sides {
		if c := columnOf(e); c != "" {
			columns = append(columns, c)
		} else if constants([]ast.ExprNode{e}) {
			constant = list([]ast.ExprNode{e})
		}
	}
	for i, c := range columns {
		if constant != "" {
			s.keep(c, "= "+constant, nullable)
		}
		for _, other := range columns[:i] {
			s.link(c, other, nullable)
			s.link(other, c, nullable)
		}
	}
}

func (s *scope) keep(column, test string, nullable []string) {
	if nullable == nil || on(column, nullable) {
		if _, ok := s.values[column]; !ok {
			s.values[column] = kept{column: column, test: test}
		}
	}
}

// link says that what narrows one column narrows the other. From the nullable side of an outer join nothing comes back.
func (s *scope) link(from, to string, nullable []string) {
	if nullable == nil || on(to, nullable) {
		s.equal[from] = append(s.equal[from], to)
	}
}

func on(column string, aliases []string) bool {
	for _, a := range aliases {
		if strings.HasPrefix(column, a+".") {
			return true
		}
	}
	return false
}

func (s *scope) propagate() {
	for column := range s.equal {
		alias, _, _ := strings.Cut(column, ".")
		if _, own := s.sources[alias]; !own && column != "" {
			// A column of an outer query: a correlated block is narrowed by it.
			s.values[column] = kept{column: column, test: "= its outer row"}
		}
	}
	queue := make([]string, 0, len(s.values))
	for column := range s.values {
		queue = append(queue, column)
	}
	for len(queue) > 0 {
		column := queue[0]
		queue = queue[1:]
		for _, to := range s.equal[column] {
			if _, ok := s.values[to]; !ok {
				s.values[to] = s.values[column]
				queue = append(queue, to)
			}
		}
	}
}

// columnOf returns "alias.column" for a column, else "".
func columnOf(e ast.ExprNode) string {
	switch e := e.(type) {
	case *ast.ParenthesesExpr:
		return columnOf(e.Expr)
	case *ast.ColumnNameExpr:
		return e.Name.Table.L + "." + e.Name.Name.L
	default:
		return ""
	}
}

// constants reports whether no expression depends on a row.
func constants(list []ast.ExprNode) bool {
	for _, e := range list {
		switch e := e.(type) {
		case ast.ValueExpr, *ast.UnaryOperationExpr, ast.ParamMarkerExpr:
		case *ast.ParenthesesExpr:
			if !constants([]ast.ExprNode{e.Expr}) {
				return false
			}
		case *ast.FuncCallExpr: // DATE'2024-01-01'
			if !constants(e.Args) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// maxListed is how many constants a message shows.
const maxListed = 12

func list(exprs []ast.ExprNode) string {
	var b strings.Builder
	for i, e := range exprs {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == maxListed {
			b.WriteString("…")
			break
		}
		if err := e.Restore(format.NewRestoreCtx(format.RestoreStringSingleQuotes|format.RestoreKeyWordUppercase|
			format.RestoreStringWithoutCharset, &b)); err != nil {
			b.WriteString("?")
		}
	}
	return b.String()
}
