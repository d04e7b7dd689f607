package explainguard

import (
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/sqlc-dev/marino/parser"
)

// quickReader reads the commoner part of what a server prints as a rewritten statement, straight into scopes: names in backticks,
// keywords in its one spelling, a few operators. It takes a tenth of the SQL parser's time. It must never see a condition that the
// parser would not, so whatever it does not know for certain makes it give up, and the parser reads the statement instead; also
// everything that the parser rejects, so that both ways lead to the same verdict.
//
// This file reads words and names, conditions_quick_expr.go expressions, conditions_quick_func.go calls, conditions_quick_query.go what is around them.
type quickReader struct {
	text   string
	pos    int
	failed bool
	depth  int

	terms   []term    // where the args of terms live: a term's stay valid when this is replaced by a larger one
	stack   []term    // the args of the terms that are being read
	aliases []string  // of the FROM clauses that are being read
	windows *[]window // where those of the select list that is being read go; nil elsewhere
	over    bool      // inside OVER (…)

	wordAt, wordEnd int // the last word that was looked at: most are asked for several times
}

var quickReaders = sync.Pool{New: func() any { return &quickReader{} }}

// How deep a statement may be nested, and how much a reader keeps for the next statement.
const (
	quickDepth = 100
	quickKept  = 1024
)

// readQuick returns the scopes of a rewritten statement, and false if only the SQL parser can tell.
func readQuick(text string) ([]*scope, bool) {
	if !utf8.ValidString(text) {
		return nil, false
	}
	r := quickReaders.Get().(*quickReader)
	r.text = text
	main := r.query(nil)
	r.space()
	ok := !r.failed && r.pos == len(text) && len(main) > 0
	r.reset()
	quickReaders.Put(r)
	return main, ok
}

// reset forgets the statement, with all that points into it.
func (r *quickReader) reset() {
	terms, stack, aliases := r.terms, r.stack, r.aliases
	*r = quickReader{}
	if cap(terms) <= quickKept {
		clear(terms)
		r.terms = terms[:0]
	}
	if cap(stack) <= quickKept {
		clear(stack[:cap(stack)])
		r.stack = stack[:0]
	}
	if cap(aliases) <= quickKept {
		clear(aliases[:cap(aliases)])
		r.aliases = aliases[:0]
	}
}

// giveUp leaves the statement to the SQL parser. Reading goes on to nowhere: no word and no sign is found any more.
func (r *quickReader) giveUp() {
	r.failed = true
	r.pos = len(r.text)
}

// deeper reports whether one more level is allowed; the caller decrements depth.
func (r *quickReader) deeper() bool {
	r.depth++
	if r.depth > quickDepth {
		r.giveUp()
	}
	return !r.failed
}

// space skips blanks and the numbers of selects.
func (r *quickReader) space() {
	for r.pos < len(r.text) {
		switch c := r.text[r.pos]; {
		case c == ' ':
			r.pos++
		case c == '/' && strings.HasPrefix(r.text[r.pos:], "/*"):
			rest, ok := strings.CutPrefix(r.text[r.pos:], "/* select#")
			n := 0
			for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
				n++
			}
			if !ok || n == 0 || !strings.HasPrefix(rest[n:], " */") {
				r.giveUp()
				return
			}
			r.pos = len(r.text) - len(rest) + n + len(" */")
		default:
			return
		}
	}
}

// peek returns the next sign, 0 at the end.
func (r *quickReader) peek() byte {
	r.space()
	if r.pos >= len(r.text) {
		return 0
	}
	return r.text[r.pos]
}

func (r *quickReader) sign(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.pos++
	return true
}

func (r *quickReader) need(ok bool) {
	if !ok {
		r.giveUp()
	}
}

// word returns the next word without taking it, "" if there is none.
func (r *quickReader) word() string {
	c := r.peek()
	if r.wordEnd > 0 && r.wordAt == r.pos {
		return r.text[r.pos:r.wordEnd]
	}
	if c < 'A' || c > 'z' || c > 'Z' && c < 'a' && c != '_' {
		return ""
	}
	end := r.pos
	for end < len(r.text) && isWord(r.text[end]) {
		end++
	}
	if end < len(r.text) && r.text[end] == '$' { // may be part of a name
		r.giveUp()
		return ""
	}
	r.wordAt, r.wordEnd = r.pos, end
	return r.text[r.pos:end]
}

func (r *quickReader) take(word string) bool {
	if r.word() != word {
		return false
	}
	r.pos += len(word)
	return true
}

// words takes a phrase.
func (r *quickReader) words(first string, more ...string) bool {
	if !r.take(first) {
		return false
	}
	for _, w := range more {
		r.need(r.take(w))
	}
	return !r.failed
}

// rewritten reports whether notSQL might change the quoted text, as it does not know quotes.
func rewritten(quoted string) bool {
	return strings.Contains(quoted, " join ") || strings.Contains(quoted, "<cache>(") || strings.Contains(quoted, "multiple equal(")
}

// quoted takes what stands in quotes, with a doubled quote as it is.
func (r *quickReader) quoted() string {
	start := r.pos + 1
	quote := r.text[r.pos]
	odd := false
	for i := start; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case c == quote && i+1 < len(r.text) && r.text[i+1] == quote:
			i++
		case c == quote:
			out := r.text[start:i]
			r.pos = i + 1
			if odd && rewritten(out) {
				r.giveUp()
			}
			return out
		case c < ' ' || c == 0x7f || c == '\\':
			r.giveUp()
			return ""
		case c == ' ' || c == '<':
			odd = true
		}
	}
	r.giveUp()
	return ""
}

// name takes a name in backticks.
func (r *quickReader) name() string {
	if r.peek() != '`' {
		r.giveUp()
		return ""
	}
	out := r.quoted()
	if strings.Contains(out, "``") {
		out = strings.ReplaceAll(out, "``", "`")
	}
	if out == "" || out[len(out)-1] == ' ' {
		r.giveUp()
	}
	return out
}

// sqlKeywords are the words that cannot be names, or perhaps cannot: in upper case.
var sqlKeywords = sync.OnceValue(func() map[string]bool {
	out := map[string]bool{}
	for _, k := range parser.Keywords {
		out[k.Word] = true
	}
	return out
})

// bareName takes the name of a common table expression, which MariaDB does not quote.
func (r *quickReader) bareName() string {
	if r.peek() == '`' {
		return r.name()
	}
	w := r.word()
	for i := range len(w) {
		if w[i] >= 0x80 {
			r.giveUp()
		}
	}
	if w == "" || strings.HasPrefix(w, "_") || sqlKeywords()[strings.ToUpper(w)] {
		r.giveUp()
		return ""
	}
	r.pos += len(w)
	return w
}

// chain takes up to three names with points between them.
func (r *quickReader) chain() (names [3]string, n int) {
	for {
		names[n] = r.name()
		n++
		if r.pos >= len(r.text) || r.text[r.pos] != '.' || r.failed {
			return names, n
		}
		r.pos++
		if n == len(names) || r.pos >= len(r.text) || r.text[r.pos] != '`' {
			r.giveUp()
			return names, n
		}
	}
}
