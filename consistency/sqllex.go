package consistency

import (
	"fmt"
	"strings"
)

// The lexer splits one statement as MySQL does (sql/sql_lex.cc is the authority; the tests compare with a real server). It does not
// understand every form; what it does not understand, or what two servers might split differently, it refuses.

type tokenKind int

const (
	tokenWord   tokenKind = iota // a keyword, a bare identifier
	tokenQuoted                  // `identifier`, or "identifier" under ANSI_QUOTES; text is without quotes
	tokenString
	tokenNumber
	tokenPunct // one byte
)

type token struct {
	kind  tokenKind
	text  string
	start int  // offset of the first byte
	glued bool // nothing, not even a comment, lies between this token and the one before
}

// lexMode is what of sql_mode changes where a token ends.
type lexMode struct {
	noBackslash bool // NO_BACKSLASH_ESCAPES: a backslash in a string is an ordinary character
	ansiQuotes  bool // ANSI_QUOTES: "x" is an identifier
}

type lexer struct {
	src    string
	mode   lexMode
	pos    int
	glued  bool
	tokens []token
}

// lexSQL returns the tokens of src; comments are dropped.
func lexSQL(src string, mode lexMode) ([]token, error) {
	l := &lexer{src: src, mode: mode}
	for l.pos < len(l.src) {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	return l.tokens, nil
}

func (l *lexer) next() error {
	c := l.src[l.pos]
	switch {
	case c == ' ' || c >= '\t' && c <= '\r':
		l.pos++
		l.glued = false
	case c < ' ' || c == 0x7f:
		return l.refuse(l.pos, "holds the control character 0x%02x outside of a string", c)
	case c == '#':
		l.lineComment()
	case c == '-' && l.at(1) == '-' && (l.pos+2 >= len(l.src) || l.at(2) <= ' ' || l.at(2) == 0x7f):
		l.lineComment()
	case c == '/' && l.at(1) == '*':
		return l.comment()
	case c == '\'' || c == '"' || c == '`':
		return l.quoted(c)
	case isDigit(c) || c == '.' && isDigit(l.at(1)):
		return l.number()
	case c == '$':
		return l.refuse(l.pos, "holds a word that begins with $, which newer servers read as the start of a quoted text: write it in backticks")
	case isIdent(c):
		start := l.pos
		for l.pos < len(l.src) && isIdent(l.src[l.pos]) {
			l.pos++
		}
		l.emit(tokenWord, start, l.src[start:l.pos])
	case c == '\\':
		return l.refuse(l.pos, "holds a backslash outside of a string")
	default:
		l.pos++
		l.emit(tokenPunct, l.pos-1, l.src[l.pos-1:l.pos])
	}
	return nil
}

// at returns the byte n places on, or 0.
func (l *lexer) at(n int) byte {
	if l.pos+n < len(l.src) {
		return l.src[l.pos+n]
	}
	return 0
}

func (l *lexer) emit(kind tokenKind, start int, text string) {
	l.tokens = append(l.tokens, token{kind: kind, text: text, start: start, glued: l.glued && len(l.tokens) > 0})
	l.glued = true
}

// lineComment skips # and -- comments; only a line feed ends them.
func (l *lexer) lineComment() {
	if n := strings.IndexByte(l.src[l.pos:], '\n'); n >= 0 {
		l.pos += n + 1
	} else {
		l.pos = len(l.src)
	}
	l.glued = false
}

func (l *lexer) comment() error {
	start := l.pos
	if l.at(2) == '!' || (l.at(2) == 'M' || l.at(2) == 'm') && l.at(3) == '!' {
		return l.refuse(start, "holds an executable comment (/*! … */), which is code for some servers and a comment for others: write the code plainly or remove it")
	}
	n := strings.Index(l.src[start+2:], "*/")
	if n < 0 {
		return l.refuse(start, "holds a comment (/*) that is never closed")
	}
	body := l.src[start+2 : start+2+n]
	if strings.HasPrefix(body, "+") && strings.ContainsAny(body, "'\"`") {
		// The server reads quotes inside of a hint, so that it may end elsewhere than at the first */.
		return l.refuse(start, "holds an optimizer hint (/*+ … */) with quotes in it: write the hint without quotes")
	}
	l.pos = start + 2 + n + 2
	l.glued = false
	return nil
}

func (l *lexer) quoted(quote byte) error {
	start := l.pos
	kind := tokenString
	if quote == '`' || quote == '"' && l.mode.ansiQuotes {
		kind = tokenQuoted
	}
	escapes := kind == tokenString && !l.mode.noBackslash
	var text strings.Builder
	for l.pos++; l.pos < len(l.src); l.pos++ {
		c := l.src[l.pos]
		switch {
		case c == 0:
			return l.refuse(l.pos, "holds a NUL byte")
		case c == '\\' && escapes:
			l.pos++
			text.WriteByte(l.at(0))
		case c == quote && l.at(1) == quote:
			l.pos++
			text.WriteByte(c)
		case c == quote:
			l.pos++
			l.emit(kind, start, text.String())
			return nil
		default:
			text.WriteByte(c)
		}
	}
	return l.refuse(start, "holds a quoted text (%c) that is never closed", quote)
}

// number takes a number, or an identifier that begins with digits (2024_orders). Where a number ends depends on what follows
// (1e5INTO is a number and INTO, 1f5INTO is one identifier), so a letter right after anything but plain digits is refused.
func (l *lexer) number() error {
	start := l.pos
	l.digits()
	plain := l.src[start] != '.' // nothing but digits so far
	afterDot := len(l.tokens) > 0 && l.glued && l.tokens[len(l.tokens)-1].text == "."
	if l.at(0) == '.' {
		plain = false
		l.pos++
		l.digits()
	}
	if c := l.at(0); c == 'e' || c == 'E' {
		switch sign := l.at(1); {
		case isDigit(sign), (sign == '+' || sign == '-') && isDigit(l.at(2)):
			plain = false
			l.pos += 2
			l.digits()
		}
	}
	if l.pos >= len(l.src) || !isIdent(l.src[l.pos]) {
		l.emit(tokenNumber, start, l.src[start:l.pos])
		return nil
	}
	if !plain || afterDot {
		return l.refuse(start, "holds a number with a letter right after it (%s…): put a space between them, or the name in backticks", l.src[start:l.pos+1])
	}
	for l.pos < len(l.src) && isIdent(l.src[l.pos]) {
		l.pos++
	}
	l.emit(tokenWord, start, l.src[start:l.pos]) // 0x1f and 0b01 too: no keyword begins with a digit
	return nil
}

func (l *lexer) digits() {
	for l.pos < len(l.src) && isDigit(l.src[l.pos]) {
		l.pos++
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isIdent reports whether c may stand inside of a bare identifier. Bytes of 0x80 and above are parts of UTF-8 characters.
func isIdent(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$' || c >= 0x80
}

func (l *lexer) refuse(at int, format string, args ...any) error {
	return refusal(l.src, at, format, args...)
}

func refusal(src string, at int, format string, args ...any) error {
	return fmt.Errorf("the query was not sent: line %d "+format, append([]any{1 + strings.Count(src[:at], "\n")}, args...)...)
}
