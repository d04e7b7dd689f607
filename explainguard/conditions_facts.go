package explainguard

import (
	"slices"
	"strings"
)

// facts is what conditions say about columns ("alias.column").
type facts struct {
	values named[kept] // a column → what it is compared with
	equal  []link
}

// link says that what narrows one column narrows another.
type link struct{ from, to string }

// kept is what a condition keeps of a column: some values, a range, or what an outer row has.
type kept struct {
	column   string   // the column that it is written on
	values   []string // constants: the first ones, more than maxListed if there are more
	ranges   []string // tests: "BETWEEN 1 AND 9", "> 3"
	closed   bool     // the range has two ends
	outerRow bool
}

func (k kept) discrete() bool { return len(k.values) > 0 || k.outerRow }

// narrow reports whether the column is narrowed to something that does not grow with the table.
func (k kept) narrow() bool { return k.discrete() || k.closed }

// on writes the condition for a column.
func (k kept) on(column string) string {
	switch {
	case k.outerRow:
		return column + " = its outer row"
	case len(k.values) == 1:
		return column + " = " + k.values[0]
	case len(k.values) > maxListed:
		return column + " IN (" + strings.Join(k.values[:maxListed], ", ") + ", …)"
	case len(k.values) > 0:
		return column + " IN (" + strings.Join(k.values, ", ") + ")"
	default:
		return column + " " + strings.Join(k.ranges, " AND "+column+" ")
	}
}

// or is what is kept by either of two conditions on the same column.
func (k kept) or(other kept) (kept, bool) {
	if k.outerRow || other.outerRow || len(k.values) == 0 || len(other.values) == 0 {
		return kept{}, false
	}
	both := kept{column: k.column, values: slices.Clone(k.values)}
	for _, v := range other.values {
		if !slices.Contains(both.values, v) && len(both.values) <= maxListed {
			both.values = append(both.values, v)
		}
	}
	return both, true
}

// condition reads a conjunction.
func (f *facts) condition(t *term) {
	switch t.shape {
	case shapeAnd:
		for i := range t.args {
			f.condition(&t.args[i])
		}
	case shapeOr:
		f.disjunction(t.args)
	case shapeEqual:
		f.equality(t.args)
	case shapeOrder:
		f.comparison(t)
	case shapeBetween:
		if column := t.args[0].columnName(); column != "" && t.args[1].isConstant() && t.args[2].isConstant() {
			f.keep(column, kept{ranges: []string{"BETWEEN " + t.args[1].sql() + " AND " + t.args[2].sql()}, closed: true})
		}
	case shapeIn:
		f.in(&t.args[0], t.args[1:])
	}
}

// in reads column IN (1, 2) and (column, other) IN ((1, 2), (3, 4)).
func (f *facts) in(left *term, list []term) {
	if left.shape == shapeRow && !left.paren {
		for i := range left.args {
			var ith []term
			for _, item := range list {
				if item.shape == shapeRow && !item.paren && len(item.args) == len(left.args) {
					ith = append(ith, item.args[i])
				}
			}
			if len(ith) == len(list) {
				f.in(&left.args[i], ith)
			}
		}
		return
	}
	column := left.columnName()
	if column == "" {
		return
	}
	for i := range list {
		if !list[i].isConstant() {
			return
		}
	}
	k := kept{values: make([]string, 0, min(len(list), maxListed+1))}
	for i := range list {
		if v := list[i].sql(); !slices.Contains(k.values, v) {
			k.values = append(k.values, v)
		}
		if len(k.values) > maxListed {
			break
		}
	}
	f.keep(column, k)
}

// disjunction keeps of a column what either side keeps of it.
func (f *facts) disjunction(args []term) {
	var sides [2]facts
	for i := range sides {
		sides[i].condition(&args[i])
		sides[i].propagate()
	}
	for _, v := range sides[0].values {
		if other, ok := sides[1].values.get(v.name); ok {
			if both, ok := v.value.or(other); ok {
				f.keep(v.name, both)
			}
		}
	}
}

// turned is a comparison with its sides exchanged.
var turned = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<="}

// comparison reads a range that is open at one end. Two of them may close it.
func (f *facts) comparison(t *term) {
	op, value := t.text, &t.args[1]
	column := t.args[0].columnName()
	if column == "" {
		column, value = t.args[1].columnName(), &t.args[0]
		op = turned[op]
	}
	if column == "" || !value.isConstant() {
		return
	}
	k, _ := f.values.get(column)
	if k.discrete() {
		return
	}
	for _, test := range k.ranges {
		k.closed = k.closed || test[0] != op[0]
	}
	k.column = column
	k.ranges = append(slices.Clone(k.ranges), op+" "+value.sql())
	f.values.set(column, k)
}

func (f *facts) equality(sides []term) {
	columns := make([]string, 0, 4)
	constant := ""
	for i := range sides {
		if c := sides[i].columnName(); c != "" {
			columns = append(columns, c)
		} else if sides[i].isConstant() {
			constant = sides[i].sql()
		}
	}
	for i, c := range columns {
		if constant != "" {
			f.keep(c, kept{values: []string{constant}})
		}
		for _, other := range columns[:i] {
			f.link(c, other)
			f.link(other, c)
		}
	}
}

// outerJoin reads the ON clause of an outer join. It decides which rows of the nullable side are joined, and nothing about
// the other side, from which values come over.
func (f *facts) outerJoin(t *term, nullable []string) {
	var says facts
	says.condition(t)
	for _, v := range says.values {
		if on(v.name, nullable) {
			f.keep(v.name, v.value)
		}
	}
	for _, l := range says.equal {
		if on(l.to, nullable) {
			f.link(l.from, l.to)
		}
	}
	says.propagate() // what the clause says of the other side narrows this one through an equality, within the clause alone
	for _, v := range says.values {
		if on(v.name, nullable) {
			f.keep(v.name, v.value)
		}
	}
}

// keep notes what is kept of a column: values rather than a range, the first ones rather than later ones.
func (f *facts) keep(column string, k kept) {
	if k.column == "" {
		k.column = column
	}
	if had, ok := f.values.get(column); !ok || !had.discrete() && k.discrete() || !had.narrow() && k.narrow() {
		f.values.set(column, k)
	}
}

func (f *facts) link(from, to string) { f.equal = append(f.equal, link{from, to}) }

// follows reports whether a column takes the values of another over, at first or at second hand.
func (f *facts) follows(column, other string) bool {
	queue := []string{other}
	seen := map[string]bool{other: true}
	for len(queue) > 0 {
		if queue[0] == column {
			return true
		}
		for _, l := range f.equal {
			if l.from == queue[0] && !seen[l.to] {
				seen[l.to] = true
				queue = append(queue, l.to)
			}
		}
		queue = queue[1:]
	}
	return false
}

func on(column string, aliases []string) bool {
	for _, a := range aliases {
		if strings.HasPrefix(column, a+".") {
			return true
		}
	}
	return false
}

// propagate carries what is kept of a column over to those that are equal to it: values first, then ranges.
func (f *facts) propagate() {
	if len(f.equal) == 0 {
		return
	}
	queue := make([]string, 0, len(f.values)+len(f.equal))
	for _, discrete := range [...]bool{true, false} {
		queue = queue[:0]
		for i := range f.values {
			if f.values[i].value.discrete() == discrete {
				queue = append(queue, f.values[i].name)
			}
		}
		slices.Sort(queue)
		for at := 0; at < len(queue); at++ {
			column := queue[at]
			k, _ := f.values.get(column)
			for _, l := range f.equal {
				if l.from != column {
					continue
				}
				if had, ok := f.values.get(l.to); !ok || discrete && !had.discrete() {
					f.values.set(l.to, k)
					queue = append(queue, l.to)
				}
			}
		}
	}
}

// maxListed is how many constants a message shows.
const maxListed = 12
