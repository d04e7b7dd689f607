package consistency

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// checkFile is a check file taken apart: what stands where, not yet what it means.
type checkFile struct {
	headers map[string]header
	parts   []checkPart
}

type header struct {
	value string
	line  int
}

// checkPart is a statement; header is "" where it stands alone, else "left" or "right".
type checkPart struct {
	header, db string
	line       int // of its header, or of its first word
	sql        string
	sqlLine    int // of the first line of sql
}

// headerNames are all headers that there are.
var headerNames = []string{"compare", "confirm-db", "confirm-left", "confirm-right", "db", "key", "left", "mask", "max-rows", "name", "owner",
	"population", "remind", "retry", "right", "runbook", "schedule", "severity", "timeout"}

// headerLine is a comment of one word and a colon, looseHeader one that somebody may have meant to be it.
var (
	headerLine  = regexp.MustCompile(`^-- +([\p{L}\p{N}_-]+):(?:[ \t]+(.*))?$`)
	looseHeader = regexp.MustCompile(`^[ \t]*(?:--|#|/\*)[ \t]*([\p{L}\p{N}_-]+)[ \t]*:`)
)

// parseCheckFile splits a file into its header and its statements.
func parseCheckFile(src []byte) (checkFile, []lineError) {
	if problems := badBytes(src); len(problems) > 0 {
		return checkFile{}, problems
	}
	p := &fileParser{out: checkFile{headers: map[string]header{}}}
	for i, line := range strings.Split(string(src), "\n") {
		p.line(i+1, line)
	}
	p.end()
	return p.out, p.problems
}

func badBytes(src []byte) []lineError {
	at := func(i int) int { return 1 + bytes.Count(src[:i], []byte{'\n'}) }
	switch i := bytes.IndexByte(src, '\r'); {
	case bytes.HasPrefix(src, []byte("\xef\xbb\xbf")):
		return []lineError{{1, "the file begins with a byte order mark, which some clients take for a part of the SQL: save it as UTF-8 without BOM"}}
	case bytes.HasPrefix(src, []byte("\xff\xfe")), bytes.HasPrefix(src, []byte("\xfe\xff")):
		return []lineError{{1, "the file is in UTF-16: save it as UTF-8 without BOM"}}
	case i >= 0:
		return []lineError{{at(i), "the line ends with a carriage return (CRLF): save the file with LF, and keep it so with \"*.sql text eol=lf\" in .gitattributes"}}
	case !utf8.Valid(src):
		i := 0
		for r, n := utf8.DecodeRune(src); r != utf8.RuneError || n > 1; r, n = utf8.DecodeRune(src[i:]) {
			i += n
		}
		return []lineError{{at(i), "the line is not valid UTF-8: save the file as UTF-8"}}
	}
	return nil
}

// fileParser takes a file line by line.
type fileParser struct {
	out      checkFile
	problems []lineError
	part     *checkPart // that the lines belong to
	sql      []string   // its lines, from sqlLine on
	blocked  bool       // inside of a /* comment in front of the statement
}

func (p *fileParser) problem(line int, format string, args ...any) {
	p.problems = append(p.problems, lineError{line, fmt.Sprintf(format, args...)})
}

func (p *fileParser) line(n int, line string) {
	if m := headerLine.FindStringSubmatch(line); m != nil && !p.blocked {
		name, value := m[1], strings.TrimSpace(m[2])
		late := p.part != nil
		switch {
		case name == "left" || name == "right":
			p.side(n, name, value)
			return
		case late && slices.Contains(headerNames, strings.ToLower(name)):
			p.problem(n, "the header %q stands after the SQL or after -- left:, where it would be passed over: move it to the top of the file", name)
		case !late:
			p.header(n, name, value)
			return
		}
	} else if m := looseHeader.FindStringSubmatch(line); m != nil && slices.Contains(headerNames, strings.ToLower(m[1])) && !p.blocked {
		p.problem(n, "this looks like a header and is none: write it at the beginning of a line as \"-- %s: …\"", strings.ToLower(m[1]))
		if p.part == nil {
			return // or it would be taken for the beginning of the SQL
		}
	}
	if len(p.sql) == 0 {
		if line = p.afterComments(line); line == "" {
			return
		}
		if p.part == nil {
			p.part = &checkPart{line: n}
		}
		p.part.sqlLine = n
	}
	p.sql = append(p.sql, line)
}

// afterComments returns what a line in front of a statement holds of it.
func (p *fileParser) afterComments(line string) string {
	line = strings.TrimSpace(line)
	if p.blocked {
		_, rest, closed := strings.Cut(line, "*/")
		if p.blocked = !closed; p.blocked {
			return ""
		}
		return p.afterComments(rest)
	}
	if strings.HasPrefix(line, "#") || line == "--" || strings.HasPrefix(line, "-- ") || strings.HasPrefix(line, "--\t") {
		return ""
	}
	// An executable comment and a hint are for the lexer.
	if rest, ok := strings.CutPrefix(line, "/*"); ok && !strings.HasPrefix(rest, "!") && !strings.HasPrefix(rest, "+") && !strings.HasPrefix(rest, "M!") {
		p.blocked = true
		return p.afterComments(rest)
	}
	return line
}

func (p *fileParser) header(n int, name, value string) {
	if !slices.Contains(headerNames, name) {
		if near := nearest(strings.ToLower(name), headerNames); near != "" {
			p.problem(n, "unknown header %q: did you mean %s?", name, near)
		} else {
			p.problem(n, "unknown header %q: there are %s; a comment that is no header does not begin with one word and a colon", name, strings.Join(headerNames, ", "))
		}
		return
	}
	if first, twice := p.out.headers[name]; twice {
		p.problem(n, "the header %q stands here a second time: line %d has it already", name, first.line)
		return
	}
	p.out.headers[name] = header{value, n}
	if value == "" {
		p.problem(n, "the header %q has no value: remove it or write one", name)
	}
}

// side begins the left or the right statement.
func (p *fileParser) side(n int, name, db string) {
	switch {
	case p.part != nil && p.part.header == "" && len(p.sql) > 0:
		p.problem(n, "a statement stands before -- %s: in a reconciliation each stands after its -- left: or -- right:", name)
	case db == "":
		p.problem(n, "the header %q names no database: write -- %s: and its name", name, name)
	}
	p.finish()
	p.part = &checkPart{header: name, db: db, line: n}
}

// finish ends the statement that was begun.
func (p *fileParser) finish() {
	if p.part == nil {
		return
	}
	p.part.sql = strings.TrimSpace(strings.Join(p.sql, "\n"))
	p.out.parts = append(p.out.parts, *p.part)
	p.part, p.sql = nil, nil
}

func (p *fileParser) end() {
	p.finish()
	if p.blocked {
		p.problem(1, "a comment (/*) in front of the statement is never closed")
	}
	count := map[string]int{}
	for _, part := range p.out.parts {
		if part.sql == "" {
			p.problem(part.line, "there is no statement after -- %s:", part.header)
		}
		if count[part.header]++; count[part.header] == 2 && part.header != "" {
			p.problem(part.line, "the header %q stands here a second time: a reconciliation has one statement on each side", part.header)
		}
	}
	switch {
	case len(p.out.parts) == 0:
		p.problem(1, "there is no statement in the file: write the SELECT that returns the rows which must not exist")
	case count["left"] > 0 && count["right"] == 0, count["right"] > 0 && count["left"] == 0:
		missing := map[bool]string{true: "right", false: "left"}[count["left"] > 0]
		p.problem(p.out.parts[0].line, "there is no -- %s: a reconciliation needs both sides", missing)
	}
}

// nearest returns the name that word was probably meant to be, or "".
func nearest(word string, names []string) string {
	best, at := "", 3
	for _, name := range names {
		d := edits(word, name)
		if len(word) > 2 && len(name) > 2 && strings.HasPrefix(name, word[:3]) {
			d = min(d, 2) // retires, pop
		}
		if d < at && d < len(name) {
			best, at = name, d
		}
	}
	return best
}

// edits is the number of letters to change, to add or to remove between two words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
