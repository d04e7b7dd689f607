package explainguard

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/valyala/fastjson"
)

// ranged is one way to read a range of an index that the optimizer weighed, as its trace tells.
type ranged struct {
	alias  string // "" if the trace does not say
	index  string
	ranges []string
	rows   float64
	dives  bool // equalities were counted in the index as well
}

// trace reads which ranges the optimizer estimated for the statement that was explained last. Every one of them bears on
// the plan: also one that was not chosen tells the optimizer how many rows a condition keeps.
func (s *session) trace(ctx context.Context) (weighed []ranged, whole bool, err error) {
	var text []byte
	var missing int64
	var denied bool
	err = s.conn.QueryRowContext(ctx, "SELECT TRACE, MISSING_BYTES_BEYOND_MAX_MEM_SIZE, INSUFFICIENT_PRIVILEGES FROM information_schema.OPTIMIZER_TRACE").
		Scan(&text, &missing, &denied)
	if err != nil {
		return nil, false, explained(ctx, "read the optimizer's trace", err)
	}
	if missing > 0 || denied {
		return nil, false, nil
	}
	weighed, err = readTrace(text)
	return weighed, err == nil, nil
}

func readTrace(text []byte) ([]ranged, error) {
	parser := parsers.Get()
	defer parsers.Put(parser)
	doc, err := parser.ParseBytes(text)
	if err != nil {
		return nil, err
	}
	if len(objs(doc, "steps")) == 0 {
		return nil, errors.New("the trace is empty")
	}
	var out []ranged
	gather(doc, "", &out)
	return out, nil
}

func gather(v object, table string, out *[]ranged) {
	switch v.Type() {
	case fastjson.TypeObject:
		if t := str(v, "table"); t != "" {
			table = t
		}
		if has(v, "ranges") && has(v, "rows") && has(v, "rowid_ordered") {
			*out = append(*out, ranged{alias: traceAlias(table), index: str(v, "index"), ranges: strs(v, "ranges"), rows: num(v, "rows"), dives: isTrue(v, "index_dives_for_eq_ranges")})
		}
		for _, key := range sorted(v) {
			gather(v.Get(key), table, out)
		}
	case fastjson.TypeArray:
		for _, in := range v.GetArray() {
			gather(in, table, out)
		}
	}
}

// traceAlias takes the alias out of "`customers` `c`".
func traceAlias(table string) string {
	if !strings.Contains(table, "`") { // MariaDB quotes what needs it only
		return table
	}
	last := ""
	for i := 0; i < len(table); {
		if table[i] != '`' {
			i++
			continue
		}
		end := skipQuoted(table, i)
		last = unquote(table[i:end])
		i = end
	}
	return last
}

// counted reports whether the number of rows of these ranges was taken from statistics, not from the index that is empty here.
func (r ranged) counted() bool {
	for _, text := range r.ranges {
		if !isEquality(text) {
			return false
		}
	}
	return len(r.ranges) > 0 && !r.dives
}

// isEquality reports whether a range is one value of each of its columns, "tenant_id = 1 AND id = 5", or as MariaDB prints it
// "(1,5) <= (tenant_id,id) <= (1,5)". Every other range is printed with < or <=; values stand in quotes, or are numbers.
func isEquality(text string) bool {
	if value, _ := samePoint(text); value != "" {
		return true
	}
	equal := false
	for i := 0; i < len(text); {
		switch {
		case text[i] == '\'' || text[i] == '"' || text[i] == '`':
			next := skipQuoted(text, i)
			if text[next-1] != text[i] || next == i+1 { // it does not end
				return false
			}
			i = next
		case text[i] == '<' || text[i] == '>':
			return false
		case strings.HasPrefix(text[i:], " = "):
			equal = true
			i += 3
		case strings.HasPrefix(text[i:], " AND "):
			if !equal {
				return false
			}
			equal = false
			i += 5
		default:
			i++
		}
	}
	return equal
}

// samePoint returns the value in MariaDB's "(value) <= (columns) <= (value)"; "" if the two differ.
func samePoint(text string) (value, columns string) {
	const between = ") <= ("
	first, last := strings.Index(text, between), strings.LastIndex(text, between)
	if first < 1 || last <= first || text[0] != '(' || text[len(text)-1] != ')' {
		return "", ""
	}
	value, columns = text[1:first], text[min(first+len(between), last):last]
	if value != text[last+len(between):len(text)-1] || strings.ContainsAny(columns, "'\"<>=()") {
		return "", ""
	}
	return value, columns
}

// nullIn reports whether an equality compares with NULL, and whether it is nothing but that on the index's first column.
func nullIn(text string) (null, alone bool) {
	if value, columns := samePoint(text); value != "" {
		return value == "NULL" || strings.HasPrefix(value, "NULL,") || strings.HasSuffix(value, ",NULL") || strings.Contains(value, ",NULL,"),
			!strings.Contains(columns, ",")
	}
	return equalsNull.MatchString(text), strings.HasSuffix(text, "= NULL") && !strings.Contains(text, " AND ")
}

var equalsNull = regexp.MustCompile(`= NULL( AND |$)`)

// doubts finds what the optimizer did not take from the statistics, or what those do not tell.
func (st *standing) doubts(p *Plan, weighed []ranged, whole bool) {
	accesses := p.baseAccesses()
	for _, n := range accesses {
		t := st.table(n.Schema, n.Table)
		if t == nil && n.Schema == "" && !n.Target {
			p.cannotTell("the server does not say which table "+n.Name()+" stands for", "leave Guard.Format unset, so that JSON v2 is asked for")
		}
		if t == nil {
			continue
		}
		if !whole {
			switch n.Access {
			case AccessConst, AccessUnique:
			default:
				p.cannotTell("the optimizer's trace, which tells what its estimates for table "+n.Name()+" are based on, is incomplete",
					"run the tests with an account that may see the trace: SELECT on all tables of the statement, SHOW VIEW on its views")
			}
			continue
		}
		for _, r := range weighed {
			if r.alias == "" || strings.EqualFold(r.alias, n.Alias) {
				st.doubtRange(p, n, t, r)
			}
		}
		st.doubtIndexes(p, n, t)
	}
}

const rangeWayOut = "compare with = or IN instead, or insert realistic rows, run ANALYZE TABLE and judge without Guard.Stats"

func (st *standing) doubtRange(p *Plan, n *Node, t *fitted, r ranged) {
	// A column with such a name would make the text ambiguous.
	odd := t.index(r.index) == nil || strings.ContainsAny(strings.Join(t.index(r.index).columns, ""), "'\"<>") && t.index(r.index).plain
	if odd || !r.counted() {
		p.cannotTell(fmt.Sprintf("how many rows of %s lie in a range (%s of index %s) is counted in the index itself, which is not production's",
			n.Name(), shorten(strings.Join(r.ranges, " OR "), 80), r.index), rangeWayOut)
		return
	}
	for _, text := range r.ranges {
		null, alone := nullIn(text)
		if !null {
			continue
		}
		ix := t.index(r.index)
		if alone && ix != nil && ix.stats != nil && ix.stats.Nulls >= 0 && r.rows >= 0.9*float64(ix.stats.Nulls) {
			continue
		}
		p.cannotTell(fmt.Sprintf("how many rows of %s have NULL (%s of index %s) is not what the average tells", n.Name(), shorten(text, 80), r.index),
			"dump the statistics with a longer DumpOptions.GroupTime if they were not counted; else judge with realistic rows and without Guard.Stats")
	}
}

func (f *fitted) index(name string) *fittedIndex {
	for i := range f.indexes {
		if strings.EqualFold(f.indexes[i].name, name) {
			return &f.indexes[i]
		}
	}
	return nil
}

func (st *standing) doubtIndexes(p *Plan, n *Node, t *fitted) {
	for _, ix := range t.declared.spatial {
		if uses(p, ix.columns) {
			p.guessed = true
			p.cannotTell(fmt.Sprintf("index %s of table %s is a spatial one: there are no statistics for it, and nothing is in it here", ix.name, t.declared.name), rangeWayOut)
		}
	}
	for i := range t.indexes {
		ix := &t.indexes[i]
		if ix.stats == nil && uses(p, ix.columns) {
			p.guessed = true
			p.cannotTell(unknownIndex(t.declared.name, ix.name)+", which the statement may use", unknownIndexWayOut)
		}
	}
	ix := t.index(n.Index)
	if st.stats.Mode != ModeBiggest || ix == nil || ix.stats == nil || n.Access == AccessUnique || n.Access == AccessConst || n.Access == AccessIndexScan {
		return
	}
	if st.stats.groupUnknown(ix.stats) && len(n.KeyColumns) < len(ix.columns)+1 {
		p.cannotTell(fmt.Sprintf("how large the biggest group of index %s of table %s is was not counted", ix.name, t.declared.name),
			"dump the statistics with a higher DumpOptions.GroupRows and GroupTime, or set Guard.Stats to Averages() to judge by averages")
	}
}

// uses reports whether the statement compares, orders or computes with one of the columns; it may always do so with an expression. What
// it only returns does not count.
func uses(p *Plan, columns []string) bool {
	text := strings.ToLower(returned.ReplaceAllString(p.Rewritten, ""))
	names := func(c string) bool { return strings.Contains(text, quoteIdentifier(c)) } // the server quotes every name
	if text == "" {
		text = strings.ToLower(p.Query)
		names = func(c string) bool { return strings.Contains(text, c) }
	}
	for _, c := range columns {
		if i := strings.LastIndex(c, "("); i > 0 && c[0] != '(' { // of a prefix
			c = c[:i]
		}
		if c[0] == '(' || names(strings.ToLower(c)) {
			return true
		}
	}
	return false
}

// returned matches the columns of a select list, as the server writes them.
var returned = regexp.MustCompile("(?:`(?:[^`]|``)*`\\.)*`(?:[^`]|``)*` AS `(?:[^`]|``)*`")
