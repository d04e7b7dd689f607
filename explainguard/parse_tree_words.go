package explainguard

import (
	"regexp"
	"slices"
	"strings"
)

// treeWords are the operators that a line names by how it begins, and JSON v2's access_type for them. An operator that has none there
// (a write, the removal of duplicates by weedout) is recognised by its words in both formats.
var treeWords = []struct{ begins, kind string }{
	{"Filter:", "filter"},
	{"Sort:", "sort"},
	{"Sort with duplicate removal:", "sort"},
	{"Sort row IDs:", "sort"},
	{"Sort row IDs with duplicate removal:", "sort"},
	{"Limit:", "limit"},
	{"Limit/Offset:", "limit"},
	{"Offset:", "limit"},
	{"Aggregate using temporary table", "temp_table_aggregate"},
	{"Aggregate:", "aggregate"},
	{"Group aggregate", "aggregate"},
	{"Group (no aggregates)", "aggregate"},
	{"Stream results", "stream"},
	{"Append", "append"},
	{"Window aggregate", "window"},
	{"Window multi-pass aggregate", "window"},
	{"Remove duplicates from input grouped on ", "remove_duplicates_from_groups"},
	{"Remove duplicates from input sorted on ", "remove_duplicates_on_index"},
	{"Invalidate materialized tables (row from ", "invalidate_materialized_tables"},
	{"Alternative plans for IN subquery:", "alternative_plans_for_in_subquery"},
	{"Rows fetched before execution", "rows_fetched_before_execution"},
	{"Zero rows (", "zero_rows"},
	{"Zero input rows (", "zero_rows_aggregated"},
	{"Constant row from ", "constant_row"},
	{"Count rows in ", "count_rows"},
	{"Scan new records on ", "scan_new_records"},
	{"Table scan on ", "table"},
	{"Materialize table function", "materialized_table_function"},
	{"Fill information schema table ", "materialize_information_schema"},
	{"Materialize", "materialize"},
	{"Temporary table", "materialize"},
	{"Union materialize", "materialize"},
	{"Union all materialize", "materialize"},
	{"Intersect materialize", "materialize"},
	{"Intersect all materialize", "materialize"},
	{"Except materialize", "materialize"},
	{"Except all materialize", "materialize"},
	{"Intersect rows sorted by row ID", "rowid_intersection"},
	{"Deduplicate rows sorted by row ID", "rowid_union"},
	{"Sort-deduplicate by row ID", "index_merge"},
}

// words gives an object the fields that JSON v2 has for these words. Words that are not known leave it without an access_type.
func (t *treeReader) words(d object, text string) {
	if t.join(d, text) || t.index(d, text) {
		return
	}
	kind, rest := "", ""
	longest := 0
	for _, w := range treeWords {
		after, ok := strings.CutPrefix(text, w.begins)
		if whole := after == "" || strings.ContainsAny(after[:1], " :") || strings.ContainsAny(w.begins[len(w.begins)-1:], " ("); ok && whole && len(w.begins) > longest {
			kind, rest, longest = w.kind, strings.TrimPrefix(after, " "), len(w.begins)
		}
	}
	if kind != "" {
		t.set(d, "access_type", kind)
	}
	switch kind {
	case "filter":
		t.set(d, "condition", rest)
	case "limit":
		t.limit(d, text)
	case "aggregate":
		t.flag(d, "group_by", strings.HasPrefix(text, "Group"))
	case "table", "constant_row", "count_rows", "scan_new_records", "materialize_information_schema":
		rest, _, _ = strings.Cut(rest, " in secondary engine ")
		t.set(d, "table_name", rest)
	case "invalidate_materialized_tables":
		t.set(d, "table_name", strings.TrimSuffix(rest, ")"))
	case "zero_rows", "zero_rows_aggregated":
		cause := strings.TrimSuffix(strings.TrimSuffix(rest, ", aggregated into one output row"), ")")
		t.set(d, "zero_rows_cause", cause)
	case "materialize":
		t.materialize(d, text)
	case "":
		t.unnamed(d, text)
	}
}

// unnamed reads the operators to which JSON v2 gives no access_type either.
func (t *treeReader) unnamed(d object, text string) {
	switch {
	case strings.HasPrefix(text, "Remove duplicate ") && strings.HasSuffix(text, "(weedout)"):
		t.set(d, "semijoin_strategy", "weedout")
	case strings.HasPrefix(text, "Insert into "), strings.HasPrefix(text, "Replace into "):
		_, table, _ := strings.Cut(text, " into ")
		t.set(d, "table_name", table)
	}
}

var treeRows = regexp.MustCompile(`^(Limit|Offset|Limit/Offset): (\d+)(?:/(\d+))? row\(s\)`)

// limit gives what JSON v2 calls limit, which is rows and offset together.
func (t *treeReader) limit(d object, text string) {
	m := treeRows.FindStringSubmatch(text)
	if m == nil || m[1] == "Offset" {
		return
	}
	t.number(d, "limit", m[2])
	if m[3] != "" {
		both := num(d, "limit")
		t.number(d, "limit_offset", m[3])
		if offset := num(d, "limit_offset"); both >= 0 && offset >= 0 {
			d.Set("limit", t.arena.NewNumberFloat64(both+offset))
		}
	}
}

var invalidatedBy = regexp.MustCompile(`\(invalidate on row from (.*)\)$`)

func (t *treeReader) materialize(d object, text string) {
	t.flag(d, "temp_table", strings.HasPrefix(text, "Temporary table"))
	t.flag(d, "union", strings.HasPrefix(text, "Union ") || strings.HasPrefix(text, "Materialize union CTE "))
	t.flag(d, "intersect", strings.HasPrefix(text, "Intersect "))
	t.flag(d, "except", strings.HasPrefix(text, "Except "))
	t.flag(d, "recursive", strings.HasPrefix(text, "Materialize recursive CTE "))
	if m := invalidatedBy.FindStringSubmatch(text); m != nil {
		t.strings(d, "cache_invalidators", strings.Split(m[1], "; "))
	}
}

var (
	nestedJoin = regexp.MustCompile(`^(Nested loop|Batched key access) (inner|left|semi|anti)[ -]?join\b`)
	hashedJoin = regexp.MustCompile(`^(?:(Inner|Left) hash join|Hash (semi|anti)-?join)\b`)
)

// join reads the joins; which tables take part is told by the lines below.
func (t *treeReader) join(d object, text string) bool {
	var kind string
	algorithm := "nested_loop"
	if m := nestedJoin.FindStringSubmatch(text); m != nil {
		kind = m[2]
		if m[1] == "Batched key access" {
			algorithm = "batch_key_access"
		}
	} else if m := hashedJoin.FindStringSubmatch(text); m != nil {
		kind, algorithm = strings.ToLower(m[1]+m[2]), "hash"
	} else {
		return false
	}
	t.set(d, "access_type", "join")
	t.set(d, "join_type", kind+" join")
	t.set(d, "join_algorithm", algorithm)
	return true
}

// indexWords matches "Covering index range scan on ": who leads, and what is done with the index.
var indexWords = regexp.MustCompile(`^(?:(?:(Single-row|Multi-range|Full-text) )?(?:[Cc]overing )?[Ii]ndex |Indexed full text )` +
	`(scan|range scan|lookup|search|skip scan|skip scan for grouping|skip scan for deduplication|distance scan) on `)

var indexAccess = map[string]string{
	"scan": "index_scan", "range scan": "index_range_scan", "lookup": "index_lookup", "search": "full_text_search",
	"skip scan": "index_skip_scan", "skip scan for grouping": "group_index_skip_scan",
	"skip scan for deduplication": "group_index_skip_scan", "distance scan": "index_distance_scan",
}

const (
	replanned    = " (re-planned for each iteration)"
	pushedWords  = ", with index condition: "
	reverseWords = " (reverse)"
)

// index reads "… index … on alias using index (columns = values) over ranges (reverse), with index condition: …".
func (t *treeReader) index(d object, text string) bool {
	m := indexWords.FindStringSubmatch(text)
	if m == nil {
		return false
	}
	rest, pushed, hasPushed := cutOutsideQuotes(text[len(m[0]):], pushedWords)
	if hasPushed {
		t.set(d, "pushed_index_condition", pushed)
	}
	kind := indexAccess[m[2]]
	if m[1] == "Multi-range" {
		kind = "multi_range_read"
	}
	if alias, ok := strings.CutSuffix(rest, replanned); ok {
		rest, kind = alias, "dynamic_index_range_scan"
	}
	rest = strings.TrimSuffix(rest, reverseWords)
	alias, rest, _ := strings.Cut(rest, " using ")
	rest, ranges, hasRanges := cutOutsideQuotes(rest, " over ")
	name, condition, hasCondition := strings.Cut(rest, " (")
	t.set(d, "access_type", "index")
	t.set(d, "index_access_type", kind)
	t.set(d, "table_name", alias)
	if name != "" {
		t.set(d, "index_name", name)
	}
	if hasRanges {
		t.strings(d, "ranges", []string{ranges})
		t.strings(d, "key_columns", rangeColumns(ranges))
	}
	if hasCondition {
		condition = strings.TrimSuffix(condition, ")")
		t.set(d, "lookup_condition", condition)
		columns, refs := lookupParts(condition)
		t.strings(d, "key_columns", columns)
		t.strings(d, "lookup_references", refs)
	}
	return true
}

// rangeColumns returns the columns in "(tenant_id = 3 AND '2024-06-01' <= created_at) OR …", in the order of the index. One that is named as a
// word of the language is left out, so that less is known.
func rangeColumns(ranges string) (columns []string) {
	for i := 0; i < len(ranges); {
		start := i
		switch c := ranges[i]; {
		case c == '\'' || c == '"' || c == '`':
			i = skipQuoted(ranges, i)
			if c != '`' {
				continue
			}
		case isWord(c):
			for i < len(ranges) && isWord(ranges[i]) {
				i++
			}
		default:
			i++
			continue
		}
		name := ranges[start:i]
		if name[0] == '`' {
			name = unquote(name)
		}
		if name != "" && !isDigit(name[0]) && !keywords[strings.ToUpper(name)] && !slices.Contains(columns, name) {
			columns = append(columns, name)
		}
	}
	return columns
}

// lookupParts splits "tenant_id = 3, id = o.customer_id" into columns and what they are compared with, in JSON v2's words: "const", a
// column, or "func".
func lookupParts(condition string) (columns, refs []string) {
	for more := true; more; {
		var part string
		part, condition, more = cutOutsideQuotes(condition, ", ")
		column, value, ok := strings.Cut(part, "=")
		if !ok {
			continue
		}
		columns = append(columns, strings.TrimSpace(column))
		refs = append(refs, reference(strings.TrimSuffix(strings.TrimSpace(value), " or NULL")))
	}
	return columns, refs
}

// anyColumn matches a column within an expression; without one it is a constant, as database() is.
var anyColumn = regexp.MustCompile("[\\pL\\pN_$`]\\.[\\pL_$`]")

var columnPath = regexp.MustCompile("^(?:[\\pL\\pN_$]+|`[^`]+`)(?:\\.(?:[\\pL\\pN_$]+|`[^`]+`))+$")

func reference(value string) string {
	switch {
	case columnPath.MatchString(value):
		return strings.ReplaceAll(value, "`", "")
	case strings.HasPrefix(value, "'") || !anyColumn.MatchString(value):
		return "const"
	default:
		return "func"
	}
}

// cutOutsideQuotes is strings.Cut at the first separator that stands neither in quotes nor in parentheses.
func cutOutsideQuotes(s, sep string) (before, after string, found bool) {
	depth := 0
	for i := 0; i < len(s); {
		if depth == 0 && strings.HasPrefix(s[i:], sep) {
			return s[:i], s[i+len(sep):], true
		}
		switch s[i] {
		case '\'', '"', '`':
			i = skipQuoted(s, i)
			continue
		case '(':
			depth++
		case ')':
			depth--
		}
		i++
	}
	return s, "", false
}
