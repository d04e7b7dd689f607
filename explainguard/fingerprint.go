package explainguard

import (
	"strings"
)

// fingerprint is the shape of a statement: two statements that differ in their values only have the same.
//
// Literals become ?, an IN list of values of any length becomes (…), the rows of VALUES become one, comments and white space go (optimizer
// hints and executable comments stay, as they change what the server does), keywords are written in capitals. Names keep their case, since on
// some servers tables t and T are two. Text in double quotes is a string, as it is in MySQL unless ANSI_QUOTES is set.
func fingerprint(query string) string {
	var s scanner
	s.query = query
	s.tokens = make([]string, 0, len(query)/4+8)
	s.scan()
	return spell(collapseRows(collapseIn(s.tokens)))
}

const value = "?"

type scanner struct {
	query  string
	tokens []string
}

func (s *scanner) scan() {
	q := s.query
	for i := 0; i < len(q); {
		c := q[i]
		next, comment := skipComment(q, i)
		switch {
		case comment == commentExecutable:
			s.add(q[i:next])
			i = next
		case comment != commentNone:
			if strings.HasPrefix(q[i:], "/*+") {
				s.add(strings.Join(strings.Fields(q[i:next]), " "))
			}
			i = next
		case isSpace(c):
			i++
		case c == '\'' || c == '"':
			end := skipQuoted(q, i)
			s.value()
			i = end
		case c == '`':
			end := skipQuoted(q, i)
			s.add(q[i:end])
			i = end
		case c >= '0' && c <= '9' || c == '.' && i+1 < len(q) && isDigit(q[i+1]) && !s.qualifies(i):
			end, number := skipNumber(q, i)
			if number && !s.qualifies(i) {
				s.value()
			} else {
				s.add(q[i:end])
			}
			i = end
		case isWord(c) && c != '@':
			end := i
			for end < len(q) && isWord(q[end]) && q[end] != '@' {
				end++
			}
			i = s.word(i, end)
		case c == '@':
			end := i + 1
			for end < len(q) && (isWord(q[end]) || q[end] == '@' || q[end] == '.') {
				end++
			}
			if end < len(q) && end == i+1 && (q[end] == '`' || q[end] == '\'' || q[end] == '"') {
				end = skipQuoted(q, end)
			}
			s.add(q[i:end])
			i = end
		default:
			end := i + 1
			for end < len(q) && end < i+3 && isOperator(q[i:end+1]) {
				end++
			}
			s.add(q[i:end])
			i = end
		}
	}
	for len(s.tokens) > 0 && s.tokens[len(s.tokens)-1] == ";" {
		s.tokens = s.tokens[:len(s.tokens)-1]
	}
}

func (s *scanner) add(token string) { s.tokens = append(s.tokens, token) }

func (s *scanner) last(back int) string {
	if len(s.tokens) < back {
		return ""
	}
	return s.tokens[len(s.tokens)-back]
}

// qualifies reports whether what starts at i is the second part of a name: t.1a.
func (s *scanner) qualifies(i int) bool {
	if i == 0 || len(s.tokens) == 0 {
		return false
	}
	if s.query[i] == '.' {
		last := s.last(1)
		return isWord(s.query[i-1]) && last != value || s.query[i-1] == '`'
	}
	return s.last(1) == "."
}

// value adds a literal, and takes in its sign, its character set, and a string right before it that it continues.
func (s *scanner) value() {
	if last := s.last(1); (last == "-" || last == "+") && len(s.tokens) > 0 && signs(s.last(2)) {
		s.tokens = s.tokens[:len(s.tokens)-1]
	}
	s.add(value)
}

// signs reports whether a minus after this token is a sign, not a subtraction.
func signs(token string) bool {
	switch token {
	case "", "(", ",", "=", "<", ">", "<=", ">=", "<>", "!=", "<=>", ":=", "+", "-", "*", "/", "%", "&&", "||", "&", "|", "^", "<<", ">>":
		return true
	case "NULL", "END", "TRUE", "FALSE":
		return false
	}
	return keywords[token]
}

// word adds a name, a keyword or a literal that starts with a letter, and returns where it ends.
func (s *scanner) word(start, end int) int {
	w := s.query[start:end]
	if end < len(s.query) && s.query[end] == '\'' && (strings.EqualFold(w, "x") || strings.EqualFold(w, "b") || strings.EqualFold(w, "n") || w[0] == '_' && len(w) > 3) {
		s.value() // x'4D', b'01', N'…', _utf8mb4'…'
		return skipQuoted(s.query, end)
	}
	if s.last(1) == "." {
		s.add(w)
		return end
	}
	up := upper(w)
	if !keywords[up] {
		s.add(w)
		return end
	}
	switch up {
	case "NULL", "TRUE", "FALSE":
		switch s.last(1) {
		case "(", ",", "=", "<", ">", "<=", ">=", "<>", "!=", "<=>", "THEN", "ELSE":
			s.add(value)
			return end
		}
	}
	s.add(up)
	return end
}

func upper(w string) string {
	if len(w) > 24 {
		return w
	}
	return strings.ToUpper(w)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// skipNumber returns the end of what starts with a digit or a dot, and whether it is a number: 1a is a name.
func skipNumber(q string, i int) (end int, number bool) {
	start := i
	if q[i] == '0' && i+2 < len(q) && (q[i+1] == 'x' || q[i+1] == 'b') {
		for end = i + 2; end < len(q) && isWord(q[end]); end++ {
		}
		return end, true
	}
	for i < len(q) && isDigit(q[i]) {
		i++
	}
	if i < len(q) && q[i] == '.' {
		for i++; i < len(q) && isDigit(q[i]); i++ {
		}
	}
	if i < len(q) && (q[i] == 'e' || q[i] == 'E') {
		j := i + 1
		if j < len(q) && (q[j] == '+' || q[j] == '-') {
			j++
		}
		if j < len(q) && isDigit(q[j]) {
			for i = j; i < len(q) && isDigit(q[i]); i++ {
			}
		}
	}
	if i < len(q) && isWord(q[i]) {
		for i < len(q) && isWord(q[i]) {
			i++
		}
		return i, false
	}
	return i, i > start
}

// isOperator lists the operators of more than one character.
func isOperator(s string) bool {
	switch s {
	case "<=", ">=", "<>", "!=", "<=>", ":=", "&&", "||", "<<", ">>", "->", "->>":
		return true
	}
	return false
}

// collapseIn makes every IN list of values one shape.
func collapseIn(tokens []string) []string {
	out := tokens[:0]
	for i := 0; i < len(tokens); i++ {
		out = append(out, tokens[i])
		if tokens[i] != "IN" || i+1 >= len(tokens) || tokens[i+1] != "(" {
			continue
		}
		if end, tuple := valueList(tokens, i+1); end > 0 {
			out = append(out, "(")
			if len(tuple) > 0 {
				out = append(out, tuple...)
			}
			out = append(out, "…", ")")
			i = end
		}
	}
	return out
}

// valueList returns where a list of values, or of tuples of values, ends that opens at token i, and the first tuple; 0 if it holds
// anything else.
func valueList(tokens []string, i int) (end int, tuple []string) {
	depth := 0
	for j := i; j < len(tokens); j++ {
		switch tokens[j] {
		case "(":
			depth++
			if depth > 2 {
				return 0, nil
			}
		case ")":
			depth--
			if depth == 1 && tuple == nil {
				tuple = append(tuple, tokens[i+1:j+1]...)
			}
			if depth == 0 {
				return j, tuple
			}
		case ",", value:
		default:
			return 0, nil
		}
	}
	return 0, nil
}

// collapseRows leaves one of equal rows after VALUES.
func collapseRows(tokens []string) []string {
	out := make([]string, 0, len(tokens))
	for i := 0; i < len(tokens); {
		out = append(out, tokens[i])
		i++
		if last := out[len(out)-1]; last != "VALUES" && last != "VALUE" {
			continue
		}
		seen := map[string]bool{}
		for {
			end := rowEnd(tokens, i)
			if end == 0 {
				break
			}
			row := strings.Join(tokens[i:end], "\x00")
			if !seen[row] {
				if len(seen) > 0 {
					out = append(out, ",")
				}
				seen[row] = true
				out = append(out, tokens[i:end]...)
			}
			i = end
			if i >= len(tokens) || tokens[i] != "," || rowEnd(tokens, i+1) == 0 {
				break
			}
			i++
		}
	}
	return out
}

// rowEnd returns the position after the row (…) or ROW(…) that starts at token i; 0 if none does.
func rowEnd(tokens []string, i int) int {
	if i < len(tokens) && tokens[i] == "ROW" {
		i++
	}
	if i >= len(tokens) || tokens[i] != "(" {
		return 0
	}
	depth := 0
	for ; i < len(tokens); i++ {
		switch tokens[i] {
		case "(":
			depth++
		case ")":
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// spell writes tokens with one way of spacing.
func spell(tokens []string) string {
	n := 0
	for _, t := range tokens {
		n += len(t) + 1
	}
	var b strings.Builder
	b.Grow(n)
	before := ""
	for _, t := range tokens {
		if before != "" && spaced(before, t) {
			b.WriteByte(' ')
		}
		b.WriteString(t)
		before = t
	}
	return b.String()
}

func spaced(before, t string) bool {
	switch {
	case t == "," || t == ")" || t == "." || t == ";", before == "(" || before == ".":
		return false
	case t == "(":
		return !functions[before] && (signs(before) || before == ")")
	}
	return true
}

// keywords are written in capitals, whatever their case in a statement. A word that is missing here only makes two shapes of one where
// its case differs. functions are those that are followed by their arguments.
var keywords, functions = map[string]bool{}, map[string]bool{}

func init() {
	for w := range strings.FieldsSeq(`ALL AND ANALYZE ANY AS ASC BEGIN BETWEEN BINARY BOTH BY CALL CASE CHARACTER CHECK COLLATE COMMIT CROSS
		CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DATABASE DAY DEFAULT DELAYED DELETE DESC DISTINCT DISTINCTROW DIV DO DUPLICATE ELSE
		END ESCAPE EXCEPT EXISTS EXPLAIN FALSE FETCH FIRST FOLLOWING FOR FORCE FROM FULL GROUP HAVING HIGH_PRIORITY HOUR IGNORE IN INDEX INNER INSERT INTERSECT
		INTERVAL INTO IS JOIN KEY LATERAL LEADING LEFT LIKE LIMIT LOCK LOCKED LOW_PRIORITY MATCH MEMBER MINUTE MOD MODE MONTH NATURAL NOT NOWAIT NULL OF OFFSET ON
		OR ORDER OUTER OVER PARTITION PRECEDING QUICK RANGE RECURSIVE REGEXP RELEASE REPLACE RIGHT RLIKE ROLLBACK ROLLUP ROW ROWS SAVEPOINT SECOND SELECT SEPARATOR SET SHARE
		SHOW SKIP SOUNDS SQL_BIG_RESULT SQL_BUFFER_RESULT SQL_CALC_FOUND_ROWS SQL_NO_CACHE SQL_SMALL_RESULT START STRAIGHT_JOIN TABLE THEN TO TRAILING TRANSACTION TRUE
		UNBOUNDED UNION UNKNOWN UPDATE USE USING VALUE VALUES WEEK WHEN WHERE WINDOW WITH XOR YEAR`) {
		keywords[w] = true
	}
	for w := range strings.FieldsSeq(`ABS AVG CAST CEIL COALESCE CONCAT CONVERT COUNT CURDATE DATE DATE_ADD DATE_FORMAT DATE_SUB DATEDIFF EXTRACT FLOOR GREATEST
		GROUP_CONCAT IF IFNULL JSON_EXTRACT LAG LEAD LEAST LENGTH LOWER MAX MIN NOW NULLIF RANK ROUND ROW_NUMBER SUBSTRING SUM TIMESTAMP TRIM UPPER UUID`) {
		keywords[w], functions[w] = true, true
	}
}
