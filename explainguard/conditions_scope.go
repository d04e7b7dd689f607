package explainguard

import (
	"strings"

	"github.com/sqlc-dev/marino/ast"
)

// scope is one SELECT: its columns, its sources, and what its conditions say about columns ("alias.column").
type scope struct {
	fields  []resultColumn
	sources named[source]
	facts            // what its conditions say
	closed  bool     // LIMIT: a filter inside changes the result
	windows []window // of each window function, what its rows are divided by
}

// resultColumn is a column of a SELECT's result.
type resultColumn struct {
	name   string    // as it is called outside; "" if it has no name there
	passes bool      // it is a column inside, passed through
	inside columnRef // which one
}

// column returns the column inside that stands for it; "" if it is computed.
func (c resultColumn) column() string {
	if !c.passes {
		return ""
	}
	return c.inside.alias + "." + c.inside.column
}

// window is a window function's PARTITION BY: a filter on one of these columns takes whole partitions away, any other
// filter changes what the function sees.
type window map[string]bool

type source struct {
	arms    []*scope // of a derived table or CTE; nil for a stored table
	columns []string // the column names that a CTE declares

	schema, table string // of a stored table
}

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
		s.closed = n.Limit != nil
		s.windows = windowsOf(n)
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

// windowsOf returns the partitions of a query's window functions.
func windowsOf(n *ast.SelectStmt) []window {
	if n.Fields == nil {
		return nil
	}
	named := map[string]ast.WindowSpec{}
	for _, spec := range n.WindowSpecs {
		named[spec.Name.L] = spec
	}
	var out []window
	for _, f := range n.Fields.Fields {
		find := &windowFinder{named: named}
		if f.Expr != nil {
			f.Expr.Accept(find)
		}
		out = append(out, find.found...)
	}
	return out
}

// windowFinder collects the window functions of an expression.
type windowFinder struct {
	named map[string]ast.WindowSpec
	found []window
}

// Enter implements ast.Visitor.
func (f *windowFinder) Enter(n ast.Node) (ast.Node, bool) {
	_, query := n.(*ast.SubqueryExpr) // whose windows are its own
	if w, ok := n.(*ast.WindowFuncExpr); ok {
		partition := window{}
		// OVER w, and OVER (w …): what a named window does not say, the one that it is built on does.
		for spec, depth := w.Spec, 0; depth <= len(f.named); depth++ {
			if spec.PartitionBy != nil {
				for _, item := range spec.PartitionBy.Items {
					t := termOf(item.Expr)
					partition[t.columnName()] = true
				}
			}
			base := spec.Ref.L
			if base == "" && spec.OnlyAlias {
				base = spec.Name.L
			}
			next, ok := f.named[base]
			if !ok {
				break
			}
			spec = next
		}
		f.found = append(f.found, partition)
	}
	return n, query
}

// Leave implements ast.Visitor.
func (f *windowFinder) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// filterable reports whether a filter on one of the scope's columns leaves the rows that it keeps as they are.
func (s *scope) filterable(column string) bool {
	for _, w := range s.windows {
		if !w[column] {
			return false
		}
	}
	return !s.closed
}

func newScope(from *ast.TableRefsClause, where ast.ExprNode, fields *ast.FieldList, known map[string]source) *scope {
	s := &scope{}
	if fields != nil {
		for _, f := range fields.Fields {
			s.fields = append(s.fields, resultColumnOf(f))
		}
	}
	if from != nil {
		s.from(from.TableRefs, known)
	}
	if where != nil {
		t := termOf(where)
		s.condition(&t)
	}
	s.settle()
	return s
}

func resultColumnOf(f *ast.SelectField) resultColumn {
	out := resultColumn{name: f.AsName.L}
	if f.Expr == nil { // *
		return out
	}
	if c, ok := f.Expr.(*ast.ColumnNameExpr); ok && out.name == "" {
		out.name = c.Name.Name.L
	}
	if t := termOf(f.Expr); t.shape == shapeColumn {
		out.passes, out.inside = true, t.columnRef
	}
	return out
}

// settle draws the conclusions from what the conditions say, once all are read.
func (s *scope) settle() {
	s.fromInside()
	s.fromOuterRows()
	s.propagate()
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
			on := termOf(n.On.Expr)
			switch n.Tp {
			case ast.LeftJoin:
				s.outerJoin(&on, right)
			case ast.RightJoin:
				s.outerJoin(&on, left)
			default:
				s.condition(&on)
			}
		}
		return append(left, right...)
	case *ast.TableSource:
		alias := n.AsName.L
		switch t := n.Source.(type) {
		case *ast.TableName:
			if alias == "" {
				alias = t.Name.L
			}
			src := source{schema: t.Schema.O, table: t.Name.O}
			if cte, ok := known[t.Name.L]; ok && t.Schema.L == "" {
				src = cte
			}
			s.sources.set(alias, src)
		case *ast.Join:
			return s.from(t, known)
		default:
			s.sources.set(alias, source{arms: scopes(n.Source, known)})
		}
		return []string{alias}
	default:
		return nil
	}
}

// fromInside takes over what a derived table of the scope keeps by itself: all that comes out of it is narrowed so.
func (s *scope) fromInside() {
	for _, src := range s.sources {
		if len(src.value.arms) != 1 || len(src.value.arms[0].values) == 0 {
			continue
		}
		for _, name := range src.value.names() {
			if k, ok := src.value.arms[0].values.get(src.value.column(0, name)); ok && k.discrete() {
				s.keep(src.name+"."+name, kept{values: k.values})
			}
		}
	}
}

// fromOuterRows notes the columns that are compared with a column of an outer query: a correlated block is narrowed by it.
func (s *scope) fromOuterRows() {
	for _, l := range s.equal {
		alias, _, _ := strings.Cut(l.from, ".")
		if _, own := s.sources.get(alias); !own && l.from != "" {
			s.values.set(l.from, kept{column: l.from, outerRow: true})
		}
	}
}
