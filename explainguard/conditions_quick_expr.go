package explainguard

import "strings"

// keep moves the args that were read since mark to where they stay.
func (r *quickReader) keep(mark int) []term {
	args := r.stack[mark:]
	if cap(r.terms)-len(r.terms) < len(args) {
		r.terms = make([]term, 0, max(64, 2*cap(r.terms), len(args)))
	}
	at := len(r.terms)
	r.terms = append(r.terms, args...)
	r.stack = r.stack[:mark]
	return r.terms[at:len(r.terms):len(r.terms)]
}

// mixed is what a term of the given parts tells: nothing, but whether it depends on a row.
func mixed(parts ...term) term {
	for _, p := range parts {
		if p.dependsOnRow() {
			return term{}
		}
	}
	return term{shape: shapeUnclear}
}

// dependsOnRow reports whether the term surely is no constant. What conditions are made of may be one, as 1 = 1 is.
func (t *term) dependsOnRow() bool {
	switch t.shape {
	case shapeOther, shapeColumn, shapeRow:
		return true
	case shapeAnd, shapeOr, shapeEqual, shapeOrder:
		for i := range t.args {
			if t.args[i].dependsOnRow() {
				return true
			}
		}
		return false
	case shapeBetween, shapeIn:
		return true
	default:
		return false
	}
}

// certain gives up if it takes the parser to tell whether a side of a comparison is a constant.
func (r *quickReader) certain(t *term) {
	switch t.shape {
	case shapeUnclear:
		r.giveUp()
	case shapeAnd, shapeOr, shapeEqual, shapeOrder:
		if !t.dependsOnRow() {
			r.giveUp()
		}
	case shapeRow:
		for i := range t.args {
			r.certain(&t.args[i])
		}
	}
}

// expression reads a condition, or any value.
func (r *quickReader) expression() term {
	if !r.deeper() {
		return term{}
	}
	defer func() { r.depth-- }()
	t := r.conjunction()
	for r.take("or") {
		mark := len(r.stack)
		r.stack = append(r.stack, t, r.conjunction())
		t = term{shape: shapeOr, args: r.keep(mark)}
	}
	return t
}

func (r *quickReader) conjunction() term {
	t := r.negation()
	if r.word() != "and" {
		return t
	}
	mark := len(r.stack)
	r.stack = append(r.stack, t)
	for r.take("and") {
		r.stack = append(r.stack, r.negation())
	}
	return term{shape: shapeAnd, args: r.keep(mark)}
}

func (r *quickReader) negation() term {
	if r.take("not") {
		if !r.deeper() {
			return term{}
		}
		defer func() { r.depth-- }()
		return mixed(r.negation())
	}
	return r.predicate()
}

// predicate reads one test. A second one behind it, as in a = b = c, is left standing, so that its reader gives up.
func (r *quickReader) predicate() term {
	left := r.operand()
	if shape, op := r.comparisonSign(); op != "" {
		right := r.operand()
		if shape == shapeOther {
			return mixed(left, right)
		}
		r.certain(&left)
		r.certain(&right)
		mark := len(r.stack)
		r.stack = append(r.stack, left, right)
		return term{shape: shape, text: op, args: r.keep(mark)}
	}
	switch r.word() {
	case "is":
		r.pos += len("is")
		r.take("not")
		r.need(r.take("null") || r.take("true") || r.take("false"))
		return term{}
	case "not":
		r.pos += len("not")
		if w := r.word(); w != "in" && w != "between" && w != "like" {
			r.giveUp()
		}
		t := r.test(left)
		if t.shape == shapeIn || t.shape == shapeBetween {
			return term{}
		}
		return t
	case "in", "between", "like":
		return r.test(left)
	}
	return left
}

func (r *quickReader) test(left term) term {
	mark := len(r.stack)
	switch r.word() {
	case "in":
		r.pos += len("in")
		if r.selectFollows() {
			r.subquery()
			return term{}
		}
		r.need(r.sign('('))
		r.certain(&left)
		r.stack = append(r.stack, left)
		r.list()
		for i := mark + 1; i < len(r.stack); i++ {
			r.certain(&r.stack[i])
		}
		return term{shape: shapeIn, args: r.keep(mark)}
	case "between":
		r.pos += len("between")
		from := r.operand()
		r.need(r.take("and"))
		to := r.operand()
		r.certain(&from)
		r.certain(&to)
		r.stack = append(r.stack, left, from, to)
		return term{shape: shapeBetween, args: r.keep(mark)}
	default:
		r.pos += len("like")
		r.unit()
		return term{}
	}
}

// comparisonSign takes one of = <=> < <= > >= <> !=; "" if there is none.
func (r *quickReader) comparisonSign() (shape, string) {
	r.space()
	end := r.pos
	for end < len(r.text) && strings.IndexByte("<=>!", r.text[end]) >= 0 {
		end++
	}
	op := r.text[r.pos:end]
	switch op {
	case "":
		return shapeOther, ""
	case "=", "<=>":
		r.pos = end
		return shapeEqual, op
	case "<", "<=", ">", ">=":
		r.pos = end
		return shapeOrder, op
	case "<>", "!=":
		r.pos = end
		return shapeOther, op
	default:
		r.giveUp()
		return shapeOther, ""
	}
}

// operand reads a value, a sum of such or a product.
func (r *quickReader) operand() term {
	t := r.unit()
	for {
		switch r.peek() {
		case '+', '*', '/':
			r.pos++
		case '-':
			r.pos++
			if r.peek() == '-' { // might begin a remark
				r.giveUp()
			}
		default:
			return t
		}
		t = mixed(t, r.unit())
		if r.failed {
			return t
		}
	}
}

func (r *quickReader) unit() term {
	switch r.peek() {
	case '`':
		names, n := r.chain()
		t := term{shape: shapeColumn}
		t.column = strings.ToLower(names[n-1])
		if n > 1 {
			t.alias = strings.ToLower(names[n-2])
		}
		return t
	case '\'':
		return term{shape: shapeConstant, text: r.str()}
	case '(':
		return r.parenthesis()
	case '-', '!':
		return r.signed()
	case '<':
		if strings.HasPrefix(r.text[r.pos:], "<cache>(") {
			r.pos += len("<cache>")
			t := r.parenthesis()
			r.need(t.shape != shapeRow)
			return t
		}
	case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return term{shape: shapeConstant, text: r.number()}
	default:
		if w := r.word(); w != "" {
			return r.called(w)
		}
	}
	r.giveUp()
	return term{}
}

func (r *quickReader) signed() term {
	minus := r.text[r.pos] == '-'
	r.pos++
	if r.pos >= len(r.text) || !r.deeper() {
		r.giveUp()
		return term{}
	}
	defer func() { r.depth-- }()
	if c := r.text[r.pos]; minus && c >= '0' && c <= '9' {
		return term{shape: shapeConstant, text: "-" + r.number()}
	}
	if c := r.text[r.pos]; c == '-' || c == '=' || c == '>' {
		r.giveUp()
	}
	return mixed(r.unit())
}

// number takes a number that is spelled as the parser would spell it.
func (r *quickReader) number() string {
	start, points := r.pos, 0
	for r.pos < len(r.text) && (isWord(r.text[r.pos]) || r.text[r.pos] == '.') {
		c := r.text[r.pos]
		if c == '.' {
			points++
		} else if c < '0' || c > '9' {
			r.giveUp()
			return ""
		}
		r.pos++
	}
	out := r.text[start:r.pos]
	whole, part, _ := strings.Cut(out, ".")
	if points > 1 || points == 1 && part == "" || len(out) > 18 || whole == "" || len(whole) > 1 && whole[0] == '0' {
		r.giveUp()
	}
	return out
}

// str takes a string and writes it as SQL.
func (r *quickReader) str() string {
	start := r.pos
	r.quoted()
	out := r.text[start:r.pos]
	if r.peek() == '\'' || r.failed { // 'a' 'b' is one string
		r.giveUp()
		return ""
	}
	return out
}

// parenthesis reads (value), (a, b) or (select …).
func (r *quickReader) parenthesis() term {
	if r.selectFollows() {
		r.subquery()
		return term{}
	}
	if !r.sign('(') || !r.deeper() {
		r.giveUp()
		return term{}
	}
	defer func() { r.depth-- }()
	mark := len(r.stack)
	r.list()
	if len(r.stack) != mark+1 {
		return term{shape: shapeRow, args: r.keep(mark)}
	}
	t := r.stack[mark]
	r.stack = r.stack[:mark]
	t.paren = true
	return t
}

// list reads values up to the closing parenthesis onto the stack.
func (r *quickReader) list() {
	for {
		t := r.expression()
		r.stack = append(r.stack, t)
		if r.failed || r.sign(')') {
			return
		}
		r.need(r.sign(','))
	}
}
