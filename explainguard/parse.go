package explainguard

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// ErrUnknownFormat is wrapped by Parse's error when the bytes are no EXPLAIN output that it reads.
var ErrUnknownFormat = errors.New("not an EXPLAIN format that can be read")

// Parse reads the output of MySQL's EXPLAIN FORMAT=JSON, version 1 or 2, and of FORMAT=TREE, and of EXPLAIN ANALYZE in the formats that it
// has; and MariaDB's EXPLAIN and ANALYZE FORMAT=JSON. It tells them apart by content. A plan that was read but cannot be judged is no error:
// its Unanalysable says why. JSON v1, TREE and MariaDB's JSON alone know tables by their aliases only; Explain adds their real names from the
// server's rewritten statement.
func Parse(explain []byte) (*Plan, error) {
	p, err := parse(explain, FormatUnknown)
	if err != nil {
		return nil, err
	}
	if p.mariaDB() {
		p.settleCuts()
	}
	p.finish()
	return p, nil
}

// parse is Parse for whoever has more to add before the plan is finished, and may know its format.
func parse(explain []byte, format Format) (*Plan, error) {
	text := bytes.TrimSpace(explain)
	switch {
	case len(text) == 0:
		return nil, fmt.Errorf("explainguard: parse: %w: it is empty", ErrUnknownFormat)
	case text[0] != '{' && isTree(string(text)):
		p := &Plan{Format: FormatTree}
		if err := p.parseTree(string(text)); err != nil {
			return nil, fmt.Errorf("explainguard: parse: %w: it starts like FORMAT=TREE, but %w", ErrUnknownFormat, err)
		}
		return p, nil
	case text[0] != '{':
		return nil, fmt.Errorf("explainguard: parse: %w: it starts with %s; "+
			"only FORMAT=JSON and FORMAT=TREE are read: run EXPLAIN FORMAT=JSON, or let Explain do it", ErrUnknownFormat, startOf(text))
	}
	parser := parsers.Get()
	defer parsers.Put(parser) // what the plan keeps of the document is copied
	doc, err := parser.ParseBytes(text)
	if err != nil {
		return nil, fmt.Errorf("explainguard: parse: %w: it is no complete JSON document (%w)", ErrUnknownFormat, err)
	}
	p := &Plan{}
	if tree := obj(doc, "query_plan"); tree != nil {
		p.Format = FormatJSONv2
		v2{p}.parse(doc, tree)
	} else if block := obj(doc, "query_block"); block != nil {
		if format == FormatMariaDB || mariaDB(text, block) {
			p.Format = FormatMariaDB
			maria{p}.parse(doc, block)
		} else {
			p.Format = FormatJSONv1
			v1{p}.parse(block)
		}
	} else {
		return nil, fmt.Errorf("explainguard: parse: %w: it has neither query_block (JSON v1) nor query_plan (JSON v2), but %s",
			ErrUnknownFormat, keysOf(doc))
	}
	return p, nil
}

// finish does what needs the whole tree: names from the rewritten statement, executions, collapsed blocks.
func (p *Plan) finish() {
	text := readNames(p.Rewritten)
	if p.Rewritten != "" {
		p.name(text)
	}
	p.forcedRanges()
	for _, b := range p.Blocks() {
		if what := collapse(b.Message); what != "" {
			p.noRows("the plan collapsed: "+b.Title()+": "+b.Message, what)
		}
	}
	if p.mariaDB() {
		p.stopAtMatches()
	}
	p.hidden(text)
	p.execute()
}

// collapse returns the way out when a block's message says that the optimizer stopped planning, else "".
func collapse(message string) string {
	m := strings.ToLower(message)
	switch {
	case m == "", m == "no tables used", m == "select tables optimized away":
		return ""
	case strings.Contains(m, "const table"), strings.Contains(m, "unique row"), strings.Contains(m, "min/max"):
		return "the row that the statement looks up by key does not exist here; insert it (Sentinel does), or pass a key that exists"
	case strings.Contains(m, "impossible"), strings.Contains(m, "limit"):
		return "with these arguments the statement can return nothing, so nothing was planned; pass arguments that find rows"
	default:
		return "the optimizer planned nothing; pass arguments and data with which the statement returns rows"
	}
}

// mariaDB recognises the keys that only MariaDB's query_block has, and that a message stands for a table there.
func mariaDB(text []byte, block object) bool {
	for _, key := range []string{`"rows":`, `"r_rows":`, `"r_loops":`} {
		if bytes.Contains(text, []byte(key)) {
			return true
		}
	}
	return tableless(block)
}

// tableless reports whether a message, or a mere name, stands where the table of a block, or of a union's arm, belongs.
func tableless(block object) bool {
	for _, arm := range objs(obj(block, "union_result"), "query_specifications") {
		if tableless(obj(arm, "query_block")) {
			return true
		}
	}
	t := obj(block, "table")
	return t != nil && !has(t, "access_type") && has(t, "table_name") != has(t, "message")
}

func startOf(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return fmt.Sprintf("%q", shorten(string(line), 40))
}

func keysOf(doc object) string {
	keys := sorted(doc)
	if len(keys) == 0 {
		return "nothing"
	}
	for i, k := range keys {
		keys[i] = shorten(k, 30)
	}
	if len(keys) > 5 {
		keys = append(keys[:5], "…")
	}
	return strings.Join(keys, ", ")
}

// shorten cuts a text to so many characters, and says so with an ellipsis.
func shorten(s string, limit int) string {
	if len(s) <= limit && isPlain(s) {
		return s // as most are
	}
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}

// isPlain reports whether a text is words with single spaces between them.
func isPlain(s string) bool {
	was := byte(' ')
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c >= 0x80 || c == ' ' && was == ' ' {
			return false
		}
		was = c
	}
	return s == "" || was != ' '
}
