package explainguard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrUnknownFormat is wrapped by Parse's error when the bytes are no EXPLAIN output that it reads.
var ErrUnknownFormat = errors.New("not an EXPLAIN format that can be read")

// Parse reads the output of EXPLAIN FORMAT=JSON of MySQL, version 1 or 2, which it tells apart by content. A plan
// that was read but cannot be judged is no error: its Unanalysable says why. JSON v1 alone knows tables by their
// aliases only; Explain adds their real names from the server's rewritten statement.
func Parse(explain []byte) (*Plan, error) {
	text := bytes.TrimSpace(explain)
	switch {
	case len(text) == 0:
		return nil, fmt.Errorf("explainguard: parse: %w: it is empty", ErrUnknownFormat)
	case text[0] != '{':
		return nil, fmt.Errorf("explainguard: parse: %w: it starts with %s; "+
			"only FORMAT=JSON is read: run EXPLAIN FORMAT=JSON, or let Explain do it", ErrUnknownFormat, startOf(text))
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("explainguard: parse: %w: it is no complete JSON document (%w)", ErrUnknownFormat, err)
	}
	p := &Plan{}
	if tree, ok := doc["query_plan"].(map[string]any); ok {
		p.Format = FormatJSONv2
		v2{p}.parse(doc, tree)
	} else if block, ok := doc["query_block"].(map[string]any); ok {
		if mariaDB(text) {
			return nil, fmt.Errorf("explainguard: parse: %w: it is MariaDB's JSON; only MySQL's is read", ErrUnknownFormat)
		}
		p.Format = FormatJSONv1
		v1{p}.parse(block)
	} else {
		return nil, fmt.Errorf("explainguard: parse: %w: it has neither query_block (JSON v1) nor query_plan (JSON v2), but %s",
			ErrUnknownFormat, keysOf(doc))
	}
	p.finish()
	return p, nil
}

// finish does what needs the whole tree: names from the rewritten statement, executions, collapsed blocks.
func (p *Plan) finish() {
	if p.Rewritten != "" {
		p.name(readNames(p.Rewritten))
	}
	for _, b := range p.Blocks() {
		if what := collapse(b.Message); what != "" {
			p.cannotTell("the plan collapsed: "+b.Title()+": "+b.Message, what)
		}
	}
	p.execute()
}

// collapse returns the way out when a block's message says that the optimizer stopped planning, else "".
func collapse(message string) string {
	m := strings.ToLower(message)
	switch {
	case m == "", m == "no tables used", m == "select tables optimized away":
		return ""
	case strings.Contains(m, "const table"), strings.Contains(m, "unique row"), strings.Contains(m, "min/max"):
		return "the row that the statement looks up by key does not exist here; insert it, or pass a key that exists"
	case strings.Contains(m, "impossible"), strings.Contains(m, "limit"):
		return "with these arguments the statement can return nothing, so nothing was planned; pass arguments that find rows"
	default:
		return "the optimizer planned nothing; pass arguments and data with which the statement returns rows"
	}
}

// mariaDB recognises the keys that only MariaDB's query_block has.
func mariaDB(text []byte) bool {
	return bytes.Contains(text, []byte(`"rows":`)) || bytes.Contains(text, []byte(`"r_rows":`)) ||
		bytes.Contains(text, []byte(`"r_loops":`))
}

func startOf(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return fmt.Sprintf("%q", shorten(string(line), 40))
}

func keysOf(doc map[string]any) string {
	if len(doc) == 0 {
		return "nothing"
	}
	keys := make([]string, 0, len(doc))
	for k := range doc {
		keys = append(keys, shorten(k, 30))
	}
	slices.Sort(keys)
	if len(keys) > 5 {
		keys = append(keys[:5], "…")
	}
	return strings.Join(keys, ", ")
}

// shorten cuts a text to so many characters, and says so with an ellipsis.
func shorten(s string, limit int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}

// The readers of loosely typed JSON: a missing or odd value is the zero value, and unknown for a number.

func str(d map[string]any, key string) string { s, _ := d[key].(string); return s }

func flag(d map[string]any, key string) bool { b, _ := d[key].(bool); return b }

func num(d map[string]any, key string) float64 {
	switch v := d[key].(type) {
	case float64:
		if v >= 0 {
			return v
		}
	case string: // JSON v1 writes percentages and costs as strings
		var f float64
		if err := json.Unmarshal([]byte(v), &f); err == nil && f >= 0 {
			return f
		}
	}
	return unknown
}

func obj(d map[string]any, key string) map[string]any { m, _ := d[key].(map[string]any); return m }

func objs(d map[string]any, key string) []map[string]any {
	list, _ := d[key].([]any)
	var out []map[string]any
	for _, v := range list {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func strs(d map[string]any, key string) []string {
	list, _ := d[key].([]any)
	var out []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// holdsNodes reports whether a value of an unknown key could hold plan nodes.
func holdsNodes(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return len(v) > 0
	case []any:
		for _, e := range v {
			if _, ok := e.(map[string]any); ok {
				return true
			}
		}
	}
	return false
}

// sorted returns a map's keys in order, so that the same document gives the same plan each time.
func sorted(d map[string]any) []string {
	keys := make([]string, 0, len(d))
	for k := range d {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
