package explainguard

import "strings"

// The functions that are called as name(value, …), and those that sum rows up.
var (
	quickFunctions = map[string]bool{
		"coalesce": true, "ifnull": true, "nullif": true, "concat": true, "lower": true, "upper": true, "abs": true, "round": true,
		"floor": true, "greatest": true, "least": true, "length": true, "char_length": true, "date_format": true, "lcase": true,
		"ucase": true, "json_extract": true, "json_unquote": true, "if": true, "year": true, "month": true,
	}
	quickAggregates = map[string]bool{"count": true, "sum": true, "min": true, "max": true, "avg": true}
	quickRanks      = map[string]bool{"row_number": true, "rank": true, "dense_rank": true}
)

// called reads what starts with a word.
func (r *quickReader) called(w string) term {
	r.pos += len(w)
	next := byte(0)
	if r.pos < len(r.text) {
		next = r.text[r.pos]
	}
	switch {
	case next == '\'' && (w == "DATE" || w == "TIMESTAMP"):
		return term{shape: shapeConstant, text: w + " " + r.str()}
	case w == "true" || w == "TRUE":
		return term{shape: shapeConstant, text: "TRUE"}
	case w == "false" || w == "FALSE":
		return term{shape: shapeConstant, text: "FALSE"}
	case w == "null" || w == "NULL":
		return term{shape: shapeConstant, text: "NULL"}
	case w == "case":
		return r.cases()
	case w == "exists":
		r.need(next == '(' && r.selectFollows())
		r.subquery()
		return term{}
	case w == "multiple" && strings.HasPrefix(r.text[r.pos:], " equal("):
		r.pos += len(" equal(")
		mark := len(r.stack)
		r.list()
		for i := mark; i < len(r.stack); i++ {
			r.certain(&r.stack[i])
		}
		return term{shape: shapeEqual, args: r.keep(mark)}
	case next != '(':
		r.giveUp()
		return term{}
	}
	r.pos++
	switch {
	case quickAggregates[w]:
		distinct := r.take("distinct")
		r.arguments(distinct && w == "count")
		r.window()
		return term{}
	case quickRanks[w]:
		r.need(r.sign(')') && (r.word() == "OVER" || r.word() == "over"))
		r.window()
		return term{}
	case quickFunctions[w]:
		return r.arguments(true)
	}
	r.giveUp()
	return term{}
}

// arguments reads what a function is called with, and tells whether the call depends on a row.
func (r *quickReader) arguments(many bool) term {
	mark := len(r.stack)
	r.list()
	r.need(many || len(r.stack) == mark+1)
	t := mixed(r.stack[mark:]...)
	r.stack = r.stack[:mark]
	return t
}

// window reads OVER (PARTITION BY … ORDER BY …) if it follows a function.
func (r *quickReader) window() {
	if !r.take("OVER") && !r.take("over") {
		return
	}
	r.need(r.sign('(') && !r.over)
	if r.failed {
		return
	}
	r.over = true
	partition := window{}
	if r.take("PARTITION") || r.take("partition") {
		r.need(r.take("BY") || r.take("by"))
		for {
			t := r.expression()
			partition[t.columnName()] = true
			if r.failed || !r.sign(',') {
				break
			}
		}
	}
	if r.take("ORDER") || r.take("order") {
		r.need(r.take("BY") || r.take("by"))
		r.sorting()
	}
	r.need(r.sign(')'))
	r.over = false
	if r.windows != nil {
		*r.windows = append(*r.windows, partition)
	}
}

func (r *quickReader) cases() term {
	if r.word() != "when" {
		r.expression()
	}
	r.need(r.word() == "when")
	for r.take("when") {
		r.expression()
		r.need(r.take("then"))
		r.expression()
	}
	if r.take("else") {
		r.expression()
	}
	r.need(r.take("end"))
	return term{}
}
