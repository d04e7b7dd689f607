package explainguard

import "strings"

// selectFollows reports whether a parenthesis opens here in which a query stands.
func (r *quickReader) selectFollows() bool {
	start := r.pos
	if !r.sign('(') {
		return false
	}
	w := r.word()
	if !r.failed {
		r.pos = start
	}
	return w == "select" || w == "with"
}

// subquery reads a query in parentheses of which only the end matters.
func (r *quickReader) subquery() {
	windows, over := r.windows, r.over
	r.windows, r.over = nil, false
	r.need(r.sign('('))
	r.query(nil)
	r.need(r.sign(')'))
	r.windows, r.over = windows, over
}

// query reads a SELECT or a union of such, up to the end or the closing parenthesis.
func (r *quickReader) query(known map[string]source) []*scope {
	if !r.deeper() {
		return nil
	}
	defer func() { r.depth-- }()
	if r.take("with") {
		known = r.with(known)
	}
	var all []*scope
	for {
		inside := r.selectFollows() // an arm of a union may stand in parentheses, with a LIMIT of its own
		var arms []*scope
		limited := false
		if inside {
			r.need(r.sign('(') && r.word() != "with")
			arms = r.query(known)
			r.need(r.sign(')'))
		} else {
			arms = make([]*scope, 1)
			arms[0], limited = r.selected(known)
		}
		more := r.take("union") || r.take("except") || r.take("intersect")
		if inside && !more {
			r.need(all != nil) // else the parentheses are the whole query's
		}
		if r.failed {
			return nil
		}
		if !more { // a LIMIT behind the last arm is the union's
			return closeAll(append(all, arms...), limited)
		}
		all = append(all, closeAll(arms, limited)...)
		if !r.take("all") {
			r.take("distinct")
		}
	}
}

// with reads the common table expressions.
func (r *quickReader) with(outside map[string]source) map[string]source {
	recursive := r.take("recursive")
	known := map[string]source{}
	for name, s := range outside {
		known[name] = s
	}
	for {
		name := strings.ToLower(r.bareName())
		var s source
		if r.sign('(') {
			for {
				s.columns = append(s.columns, strings.ToLower(r.name()))
				if r.failed || !r.sign(',') {
					break
				}
			}
			r.need(r.sign(')'))
		}
		r.need(r.take("as") && r.sign('('))
		arms := r.query(known)
		r.need(r.sign(')'))
		if !recursive {
			s.arms = arms
		}
		known[name] = s
		if r.failed || !r.sign(',') {
			return known
		}
	}
}

// selected reads one SELECT, and reports whether it has a LIMIT.
func (r *quickReader) selected(known map[string]source) (*scope, bool) {
	s := &scope{}
	r.need(r.take("select"))
	r.hint()
	for r.take("distinct") || r.take("straight_join") || r.take("sql_calc_found_rows") || r.take("sql_buffer_result") {
	}
	windows, over := r.windows, r.over
	r.windows, r.over = &s.windows, false
	s.fields = make([]resultColumn, 0, 8)
	for {
		s.fields = append(s.fields, r.field())
		if r.failed || !r.sign(',') {
			break
		}
	}
	r.windows = nil
	dual := !r.take("from") || r.take("dual")
	if !dual {
		mark := len(r.aliases)
		r.tables(s, known)
		r.aliases = r.aliases[:mark]
	}
	if r.take("where") {
		t := r.expression()
		s.condition(&t)
	}
	if r.words("group", "by") {
		r.sorting()
		r.words("with", "rollup")
	}
	if r.take("having") {
		r.need(!dual)
		r.expression()
	}
	if r.words("order", "by") {
		r.sorting()
	}
	limited := r.take("limit")
	if limited {
		r.count()
		if r.sign(',') {
			r.count()
		}
	}
	r.windows, r.over = windows, over
	if r.failed {
		return s, false
	}
	s.settle()
	return s, limited
}

func (r *quickReader) count() {
	c := r.peek()
	r.need(c >= '0' && c <= '9')
	if !r.failed {
		r.need(!strings.Contains(r.number(), "."))
	}
}

// hint skips the optimizer hints of a SELECT.
func (r *quickReader) hint() {
	for r.pos < len(r.text) && r.text[r.pos] == ' ' {
		r.pos++
	}
	rest := r.text[r.pos:]
	if !strings.HasPrefix(rest, "/*+ ") {
		return
	}
	end := strings.Index(rest, "*/")
	if end < 0 || strings.Contains(rest[3:end], "/*") || rewritten(rest[:end]) {
		r.giveUp()
		return
	}
	r.pos += end + len("*/")
}

// field reads one column of the result.
func (r *quickReader) field() resultColumn {
	t := r.expression()
	var out resultColumn
	if t.shape == shapeColumn {
		out.passes, out.inside = true, t.columnRef
		if !t.paren {
			out.name = t.column
		}
	}
	if r.take("AS") || r.take("as") {
		out.name = strings.ToLower(r.name())
	}
	return out
}

// sorting reads the list of GROUP BY or ORDER BY.
func (r *quickReader) sorting() {
	for {
		r.expression()
		if !r.take("desc") && !r.take("DESC") {
			r.take("asc")
		}
		if r.failed || !r.sign(',') {
			return
		}
	}
}

// tables reads joined tables, whose aliases are appended to those known.
func (r *quickReader) tables(s *scope, known map[string]source) {
	if !r.deeper() {
		return
	}
	defer func() { r.depth-- }()
	r.table(s, known)
	for !r.failed {
		mark := len(r.aliases)
		w := r.word()
		start := r.pos
		outer := w == "left" || w == "anti"
		switch w {
		case "join", "straight_join":
			r.pos += len(w)
		case "left":
			r.words("left", "join")
		case "semi", "anti": // the server's own words, which notSQL knows when they are spelled just so
			r.pos += len(w)
			r.need(start > 0 && r.text[start-1] == ' ' && strings.HasPrefix(r.text[r.pos:], " join ") && r.words("join"))
		default:
			return
		}
		r.table(s, known)
		on := r.take("on")
		r.need(on || !outer)
		if !on {
			continue
		}
		t := r.expression()
		switch {
		case r.failed:
		case outer:
			s.outerJoin(&t, r.aliases[mark:])
		default:
			s.condition(&t)
		}
	}
}

// table reads one table of a FROM clause, or several joined in parentheses.
func (r *quickReader) table(s *scope, known map[string]source) {
	lateral := r.take("lateral")
	switch {
	case r.peek() == '(':
		if !r.selectFollows() && !r.unionFollows() {
			r.need(!lateral && r.sign('('))
			r.tables(s, known)
			r.need(r.sign(')'))
			return
		}
		r.pos++
		arms := r.query(known)
		r.need(r.sign(')'))
		alias := strings.ToLower(r.name())
		r.need(r.peek() != '(')
		s.sources.set(alias, source{arms: arms})
		r.aliases = append(r.aliases, alias)
	case r.peek() == '`' && !lateral:
		names, n := r.chain()
		src := source{table: names[n-1]}
		alias := strings.ToLower(src.table)
		switch n {
		case 1:
			if cte, ok := known[alias]; ok {
				src = cte
			}
		case 2:
			src.schema = names[0]
		default:
			r.giveUp()
		}
		if r.peek() == '`' {
			alias = strings.ToLower(r.name())
		}
		s.sources.set(alias, src)
		r.aliases = append(r.aliases, alias)
	default:
		r.giveUp()
	}
}

// unionFollows reports whether a query opens here whose first arm stands in parentheses.
func (r *quickReader) unionFollows() bool {
	start := r.pos
	r.pos++
	follows := r.selectFollows()
	if !r.failed {
		r.pos = start
	}
	return follows
}
