package explainguard

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// ErrNotExplainable is wrapped by the error for a statement for which MySQL has no plan (SET, DDL, CALL, …).
var ErrNotExplainable = errors.New("not an explainable statement")

// explainable are the statements that EXPLAIN takes; true where the statement only reads.
var explainable = map[string]bool{
	"SELECT": true, "WITH": true, "TABLE": true, "VALUES": true,
	"INSERT": false, "UPDATE": false, "DELETE": false, "REPLACE": false,
}

// statement is one statement that may be put behind EXPLAIN.
type statement struct {
	text     string // without a trailing semicolon
	verb     string // what it does, in capitals: of WITH … the verb that follows, if it was found
	readOnly bool

	// marksSession is set when planning might change the session: MySQL runs constant subqueries, with their functions.
	marksSession bool

	forUpdate bool // it may lock the rows that it reads
}

// marksSession reports whether a text may leave something behind in a session.
func marksSession(query string) bool {
	return containsFold(query, "get_lock") || containsFold(query, "last_insert_id") || strings.Contains(query, ":=")
}

// containsFold reports whether a text holds another one, which is ASCII in lower case. (A regular expression takes twenty times as long.)
func containsFold(s, lower string) bool {
	for i := 0; i+len(lower) <= len(s); i++ {
		if s[i]|0x20 == lower[0] && strings.EqualFold(s[i:i+len(lower)], lower) {
			return true
		}
	}
	return false
}

var forUpdate = regexp.MustCompile(`(?i)\bfor\s+update\b`)

// firstWord returns the word that a statement begins with, after comments and parentheses.
func firstWord(query string) string {
	for i := 0; i < len(query); {
		next, comment := skipComment(query, i)
		switch {
		case comment != commentNone:
			i = next
		case isSpace(query[i]) || query[i] == '(':
			i++
		default:
			start := i
			for i < len(query) && isWord(query[i]) {
				i++
			}
			return query[start:i]
		}
	}
	return ""
}

// oneStatement refuses what must not follow the word EXPLAIN: a second statement, a keyword that changes what EXPLAIN
// does (ANALYZE would run the statement, FOR CONNECTION and INTO are something else), and comments that are code.
func oneStatement(query string) (statement, error) {
	var first string
	with := ""
	end := len(query)
	depth := 0
	for i := 0; i < len(query); {
		next, comment := skipComment(query, i)
		switch {
		case comment == commentExecutable:
			return statement{}, fmt.Errorf("%w: it contains an executable comment %s, which the server runs as code; write it out or remove it",
				ErrNotExplainable, shorten(query[i:next], 30))
		case comment != commentNone || isSpace(query[i]):
			i = max(next, i+1)
			continue
		case end < len(query):
			return statement{}, fmt.Errorf("it holds more than one statement: %q follows a semicolon; pass one statement at a time",
				shorten(query[i:], 30))
		}
		switch c := query[i]; {
		case c == '\'' || c == '"' || c == '`':
			i = skipQuoted(query, i)
		case c == ';':
			end = i
			i++
		case c == '(' || c == ')':
			if c == '(' {
				depth++
			} else {
				depth--
			}
			i++
		case isWord(c):
			start := i
			for i < len(query) && isWord(query[i]) {
				i++
			}
			w := strings.ToUpper(query[start:i])
			if first == "" {
				first = w
				if _, ok := explainable[first]; !ok {
					return statement{}, refuse(first)
				}
			} else if first == "WITH" && with == "" && depth == 0 {
				if _, ok := explainable[w]; ok { // the statement that uses the common table expressions
					with = w
				}
			}
		default:
			if first == "" && c != '(' {
				return statement{}, fmt.Errorf("%w: it starts with %q", ErrNotExplainable, shorten(query[i:], 20))
			}
			i++
		}
	}
	if first == "" {
		return statement{}, fmt.Errorf("%w: it is empty", ErrNotExplainable)
	}
	verb := first
	if with != "" {
		verb = with
	}
	return statement{text: strings.TrimSpace(query[:end]), verb: verb, readOnly: explainable[verb], marksSession: marksSession(query), forUpdate: forUpdate.MatchString(query)}, nil
}

func refuse(first string) error {
	switch first {
	case "EXPLAIN", "DESCRIBE", "DESC":
		return fmt.Errorf("%w: it starts with %s already; pass the bare statement", ErrNotExplainable, first)
	case "ANALYZE", "FORMAT", "INTO", "FOR", "EXTENDED", "PARTITIONS":
		return fmt.Errorf("%w: it starts with %s, which after EXPLAIN means something else; pass the bare statement", ErrNotExplainable, first)
	default:
		return fmt.Errorf("%w: MySQL has plans for SELECT, WITH, TABLE, VALUES, INSERT, UPDATE, DELETE and REPLACE, not for %s",
			ErrNotExplainable, shorten(first, 30))
	}
}

type commentKind int

const (
	commentNone commentKind = iota
	commentPlain
	commentExecutable
)

// skipComment returns the position after the comment that starts at pos, if one does. Optimizer hints are plain comments here.
func skipComment(s string, pos int) (int, commentKind) {
	rest := s[pos:]
	switch {
	case strings.HasPrefix(rest, "#"), rest == "--", strings.HasPrefix(rest, "--") && len(rest) > 2 && isSpace(rest[2]):
		if nl := strings.IndexByte(rest, '\n'); nl >= 0 {
			return pos + nl + 1, commentPlain
		}
		return len(s), commentPlain
	case strings.HasPrefix(rest, "/*"):
		kind := commentPlain
		if strings.HasPrefix(rest, "/*!") || strings.HasPrefix(rest, "/*M!") {
			kind = commentExecutable
		}
		if end := strings.Index(rest[2:], "*/"); end >= 0 {
			return pos + 2 + end + 2, kind
		}
		return len(s), kind
	default:
		return pos, commentNone
	}
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' || c == 0 }
