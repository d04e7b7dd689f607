package explainguard

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"
)

// The TREE format says in words what JSON v2 says in fields: MySQL prints both from one tree of operators. So each line is
// turned into the fields that JSON v2 would have had (parse_tree_words.go), and the reader of JSON v2 reads them: an operator is understood in
// both formats, or in none. What TREE does not tell are schemas, real table names (it knows aliases), and the columns of a range.

// treeLine is one "-> …" of the text.
type treeLine struct {
	level    int
	text     string
	children []*treeLine
}

// isTree reports whether a text looks like EXPLAIN FORMAT=TREE: it starts with an arrow, perhaps after the client's column name.
func isTree(text string) bool {
	return strings.HasPrefix(treeText(text), "->")
}

// treeText strips what the mysql client puts in front with \G.
func treeText(text string) string {
	if strings.HasPrefix(text, "*") { // "*** 1. row ***"
		_, text, _ = strings.Cut(text, "\n")
		text = strings.TrimSpace(text)
	}
	return strings.TrimSpace(strings.TrimPrefix(text, "EXPLAIN:"))
}

const treeStep = 4

// maxTreeDepth bounds the recursion over a text that somebody made up; real plans are far below it, as are JSON documents
// that the JSON parser takes.
const maxTreeDepth = 300

// treeRoots reads the indentation. A line without an arrow belongs to the one before it: a literal in a condition may hold a line break.
func treeRoots(text string) ([]*treeLine, error) {
	var roots []*treeLine
	var open []*treeLine // the line that is open at each level
	for number, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimLeft(line, " ")
		indent := len(line) - len(trimmed)
		body, isNode := strings.CutPrefix(trimmed, "->")
		if !isNode || indent%treeStep != 0 || indent/treeStep > len(open) {
			if isNode && len(open) > 0 && strings.Count(open[len(open)-1].text, "'")%2 == 0 {
				return nil, fmt.Errorf("line %d is indented by %d spaces, which fits no line above it", number+1, indent)
			}
			if len(open) == 0 {
				return nil, fmt.Errorf("line %d does not start with ->", number+1)
			}
			open[len(open)-1].text += "\n" + line
			continue
		}
		n := &treeLine{level: indent / treeStep, text: strings.TrimPrefix(body, " ")}
		if n.level >= maxTreeDepth {
			return nil, fmt.Errorf("line %d is nested more than %d levels deep", number+1, maxTreeDepth)
		}
		open = append(open[:n.level], n)
		if n.level == 0 {
			roots = append(roots, n)
		} else {
			parent := open[n.level-1]
			parent.children = append(parent.children, n)
		}
	}
	return roots, nil
}

// parseTree reads the TREE text into the plan.
func (p *Plan) parseTree(text string) error {
	roots, err := treeRoots(treeText(text))
	if err != nil {
		return err
	}
	t := treeReader{}
	objects := t.siblings(nil, roots)
	if len(objects) != 1 {
		return fmt.Errorf("it has %d operators at the top, where a plan has one; pass the output of one EXPLAIN", len(objects))
	}
	v2{p}.parse(t.arena.NewObject(), objects[0])
	return nil
}

type treeReader struct{ arena fastjson.Arena }

// headings are lines that say something about the operator under them and have no figures of their own.
var headings = regexp.MustCompile(`^(?i:hash|batch input rows|repeat until convergence|disable deduplication|limit table size: \d+ (?:unique )?row\(s\)|` +
	`clustered primary key \(scanned separately\))(?:, (?:disable deduplication|repeat until convergence))*$`)

var subqueryHeading = regexp.MustCompile(`^Select #\d+ \(subquery in ([^;)]+)(?:; ([^)]*))?\)$`)

// siblings turns lines of one level into objects. A subquery in the select list stands on the level of the operator to which it belongs, after it;
// only a window function's stands under it.
func (t *treeReader) siblings(parent object, lines []*treeLine) []object {
	var out []object
	for _, l := range lines {
		heading := strings.TrimSpace(l.text)
		subquery := subqueryHeading.FindStringSubmatch(heading)
		if subquery == nil && !headings.MatchString(heading) {
			out = append(out, t.operator(l))
			continue
		}
		under := t.siblings(nil, l.children)
		if len(under) == 0 { // a heading of nothing: kept as an operator, which is not known
			out = append(out, t.operator(l))
			continue
		}
		for _, in := range under {
			t.set(in, "heading", heading)
		}
		if subquery == nil {
			out = append(out, under...)
			continue
		}
		in := under[0]
		in.Set("subquery", t.arena.NewTrue())
		t.set(in, "subquery_location", subquery[1])
		if subquery[2] == "dependent" {
			in.Set("dependent", t.arena.NewTrue())
		}
		if owner := lastOperator(out); subquery[1] == "projection" && owner != nil && str(parent, "access_type") != "window" {
			t.add(owner, v2SelectList, under...)
			continue
		}
		out = append(out, under...)
	}
	return out
}

func lastOperator(siblings []object) object {
	for i := len(siblings) - 1; i >= 0; i-- {
		if !isTrue(siblings[i], "subquery") {
			return siblings[i]
		}
	}
	return nil
}

// The figures at the end of a line. The server leaves estimates out where it has none, and prints large numbers as 1.95e+6.
var (
	treeNever    = regexp.MustCompile(`\s+\(never executed\)\s*$`)
	treeActual   = regexp.MustCompile(`\s+\(actual time=([^\s()]+?)\.\.([^\s()]+) rows=([^\s()]+) loops=([^\s()]+)\)\s*$`)
	treeEstimate = regexp.MustCompile(`\s+\((?:cost=\S+ )?rows=([^\s()]+)\)\s*$`)
)

func (t *treeReader) operator(l *treeLine) object {
	d := t.arena.NewObject()
	text := l.text
	switch at := treeActual.FindStringSubmatchIndex(text); {
	case at != nil:
		for i, key := range []string{"actual_first_row_ms", "actual_last_row_ms", "actual_rows", "actual_loops"} {
			t.number(d, key, text[at[2+2*i]:at[3+2*i]])
		}
		text = text[:at[0]]
	case treeNever.MatchString(text):
		text = treeNever.ReplaceAllString(text, "")
		d.Set("actual_rows", t.arena.NewNull())
		d.Set("actual_loops", t.arena.NewNull())
	}
	if at := treeEstimate.FindStringSubmatchIndex(text); at != nil {
		t.number(d, "estimated_rows", text[at[2]:at[3]])
		text = text[:at[0]]
	}
	text = strings.TrimSpace(text)
	t.set(d, "operation", text)
	t.words(d, text)
	for _, in := range t.siblings(d, l.children) {
		t.add(d, v2Inputs, in)
	}
	return d
}

// number sets a figure; what is no number is left out, and the reader then misses it.
func (t *treeReader) number(d object, key, text string) {
	if f, err := strconv.ParseFloat(text, 64); err == nil && f >= 0 && f <= maxFigure {
		d.Set(key, t.arena.NewNumberFloat64(f))
	}
}

// maxFigure is more than any server's figure; beyond it sums would overflow.
const maxFigure = 1e300

func (t *treeReader) set(d object, key, value string) { d.Set(key, t.arena.NewString(value)) }

func (t *treeReader) flag(d object, key string, on bool) {
	if on {
		d.Set(key, t.arena.NewTrue())
	}
}

// add appends to a list, which is made when the first item comes.
func (t *treeReader) add(d object, key string, items ...object) {
	list := d.Get(key)
	if list == nil {
		list = t.arena.NewArray()
		d.Set(key, list)
	}
	n := len(list.GetArray())
	for i, item := range items {
		list.SetArrayItem(n+i, item)
	}
}

func (t *treeReader) strings(d object, key string, values []string) {
	for _, v := range values {
		t.add(d, key, t.arena.NewString(v))
	}
}

// nameLike takes the rewritten statement, schemas and table names from another plan of the same statement, one that says them.
func (p *Plan) nameLike(other *Plan) {
	type name struct{ schema, table string }
	names := map[string]name{}
	other.Root.walkAll(func(n *Node) {
		if n.Base && n.Op == OpAccess {
			it := name{n.Schema, n.Table}
			if before, twice := names[n.Alias]; twice && before != it {
				it = name{} // the alias means different tables in different blocks
			}
			names[n.Alias] = it
		}
	})
	p.Root.walkAll(func(n *Node) {
		if it := names[n.Alias]; n.Base && n.Op == OpAccess && it.table != "" {
			n.Schema, n.Table = it.schema, it.table
		}
	})
	p.Rewritten = other.Rewritten
	p.finish()
}
