package explainguard

import "strings"

// frame is one level of parentheses.
type frame struct {
	current *selectNames // the select being read at this level
	from    bool         // inside its FROM clause
	list    bool         // inside its select list
	opened  []*selectNames
	cte     string // the name before AS (
	ident   string // the last identifier before the parenthesis
}

type nameReader struct {
	text  string
	pos   int
	stack []frame
	names names
	prev  string // the last keyword or punctuation
	ident string // the last identifier seen, for WITH x AS (
}

func readNames(text string) names {
	r := nameReader{text: text, stack: append(make([]frame, 0, 8), frame{})}
	for r.pos < len(r.text) {
		r.step()
	}
	return r.names
}

func (r *nameReader) top() *frame { return &r.stack[len(r.stack)-1] }

func (r *nameReader) step() {
	switch c := r.text[r.pos]; {
	case c == '\'' || c == '"':
		r.pos = skipQuoted(r.text, r.pos)
		r.prev = "value"
	case c == '`':
		end := skipQuoted(r.text, r.pos)
		r.identifier(unquote(r.text[r.pos:end]), end)
	case c == '/' && strings.HasPrefix(r.text[r.pos:], "/* select#"):
		end := strings.Index(r.text[r.pos:], "*/")
		if end < 0 {
			r.pos = len(r.text)
			return
		}
		r.selectMarker(r.text[r.pos+len("/* select#") : r.pos+end])
		r.pos += end + 2
	case c == '/' && strings.HasPrefix(r.text[r.pos:], "/*"):
		end := strings.Index(r.text[r.pos+2:], "*/")
		if end < 0 {
			r.pos = len(r.text)
			return
		}
		r.pos += end + 4
	case c == '(':
		f := r.top()
		inFrom := f.from && (r.prev == "from" || r.prev == "join" || r.prev == "(" || r.prev == "," || r.prev == "lateral")
		if f.list && f.current != nil {
			f.current.whole = true // an aggregate, perhaps
		}
		f2 := frame{current: f.current, from: inFrom, ident: r.ident}
		if r.prev == "as" {
			f2.cte = r.ident
		}
		r.stack = append(r.stack, f2)
		r.prev = "("
		r.pos++
	case c == ')':
		r.close()
	case c == ',':
		r.prev = ","
		r.pos++
	case isWord(c):
		start := r.pos
		for r.pos < len(r.text) && isWord(r.text[r.pos]) {
			r.pos++
		}
		r.word(r.text[start:r.pos])
	default:
		r.pos++
	}
}

func (r *nameReader) selectMarker(number string) {
	id := 0
	for _, c := range strings.TrimSpace(number) {
		if c < '0' || c > '9' {
			break
		}
		id = id*10 + int(c-'0')
	}
	r.opens(id)
}

// opens begins a select at this level of parentheses.
func (r *nameReader) opens(id int) {
	f := r.top()
	if all := r.names.selects; len(all) > 0 && all[0].written && all[0].id == id {
		all[0].id = 0 // INSERT … SELECT: the table written is not the SELECT's
	}
	s := &selectNames{id: id, cte: f.cte}
	if len(r.stack) > 1 {
		s.outer = r.stack[len(r.stack)-2].current
	}
	f.current, f.from = s, false
	f.opened = append(f.opened, s)
	r.names.selects = append(r.names.selects, s)
}

func (r *nameReader) close() {
	r.pos++
	r.prev = ")"
	if len(r.stack) == 1 {
		return
	}
	closed := *r.top()
	r.ident = closed.ident // WITH x (columns) AS (
	r.stack = r.stack[:len(r.stack)-1]
	if len(closed.opened) == 0 {
		return
	}
	// A derived table: its alias follows.
	rest := strings.TrimLeft(r.text[r.pos:], " ")
	if r.top().from && strings.HasPrefix(rest, "`") {
		alias := unquote(rest[:skipQuoted(rest, 0)])
		for _, s := range closed.opened {
			s.alias = alias
		}
	}
	// Selects of a union in parentheses, ((…) union (…)), belong together with those around them.
	r.top().opened = append(r.top().opened, closed.opened...)
}

func (r *nameReader) word(word string) {
	f := r.top()
	switch w := strings.ToLower(word); w {
	case "from", "update", "into":
		f.from, f.list = true, false
		r.prev = "from"
	case "join", "straight_join":
		r.prev = "join"
	case "lateral", "as":
		r.prev = w
	case "on", "where", "group", "having", "order", "union", "except", "intersect", "window", "set", "values", "select":
		// A condition that follows ON stands in parentheses of its own; the FROM clause goes on after it.
		if w != "on" {
			f.from = false
		}
		if f.current != nil && (w == "having" || w == "group") {
			f.current.whole = true
		}
		if w == "select" && f.current == nil { // MariaDB does not number a select that is the only one
			r.opens(1)
		}
		f.list = w == "select"
		r.prev = w
	case "distinct", "sql_calc_found_rows":
		if f.current != nil {
			f.current.whole = true
		}
	case "limit":
		f.from = false
		sum, offset := limitOf(r.text[r.pos:])
		switch {
		case f.current != nil && len(f.opened) == 1, f.current != nil && len(r.stack) == 1 && len(f.opened) == 0: // the latter of UPDATE and DELETE
			f.current.limit, f.current.offset = sum, offset
		case len(f.opened) > 1:
			f.opened[0].unionLimit, f.opened[0].unionOffset = sum, offset
		}
		r.prev = w
	default:
		r.prev = w
		r.ident = word // MariaDB does not quote the name of a CTE
	}
}

// limitOf reads "10" or "20,10" at the start of a text: the sum, and the 20.
func limitOf(text string) (sum, offset float64) {
	var n float64
	for _, c := range strings.TrimLeft(text, " ") {
		switch {
		case c >= '0' && c <= '9':
			n = n*10 + float64(c-'0')
		case c == ',':
			offset, n = n, 0
		default:
			return offset + n, offset
		}
	}
	return offset + n, offset
}

// identifier reads `a`.`b`.`c` and, in a FROM clause, the alias after it.
func (r *nameReader) identifier(first string, end int) {
	schema, last, parts := "", first, 1
	for end+1 < len(r.text) && r.text[end] == '.' && r.text[end+1] == '`' {
		next := skipQuoted(r.text, end+1)
		schema, last = last, unquote(r.text[end+1:next])
		parts++
		end = next
	}
	r.ident = last
	f := r.top()
	expected := r.prev == "from" || r.prev == "join" || r.prev == "," || r.prev == "("
	r.pos = end
	if f.from && expected && parts <= 2 {
		t := tableName{schema: schema, table: last, alias: last}
		if end+1 < len(r.text) && r.text[end] == ' ' && r.text[end+1] == '`' {
			next := skipQuoted(r.text, end+1)
			t.alias = unquote(r.text[end+1 : next])
			r.pos = next
		}
		if f.current != nil {
			f.current.tables = append(f.current.tables, t)
		} else { // UPDATE, DELETE and the target of INSERT have no select number
			if len(r.names.selects) == 0 {
				r.names.selects = append(r.names.selects, &selectNames{id: 1, written: true})
			}
			f.current = r.names.selects[0]
			f.current.tables = append(f.current.tables, t)
		}
	}
	r.prev = "identifier"
}

func isWord(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
}

// skipQuoted returns the position after the quoted text that starts at pos; the quote is doubled or escaped inside.
func skipQuoted(s string, pos int) int {
	q := s[pos]
	for i := pos + 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && q != '`':
			i++
		case s[i] == q && i+1 < len(s) && s[i+1] == q:
			i++
		case s[i] == q:
			return i + 1
		}
	}
	return len(s)
}

func unquote(s string) string {
	if len(s) < 2 {
		return ""
	}
	return strings.ReplaceAll(strings.TrimSuffix(s[1:], "`"), "``", "`")
}
