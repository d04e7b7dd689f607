package explainguard

import (
	"fmt"
	"strings"
)

// InList fails a statement with a very long IN list, and one for which the optimizer gave up ranges for want of memory.
var InList = &Rule{
	Name: "in-list",
	Doc: `An IN list is longer than Budget.InListValues, or too long for the optimizer.

A list that comes from data grows with the data. From 200 values on (eq_range_index_dive_limit) the optimizer no longer looks into the index for each, but
takes an average, so a large group among them is not seen. Each length is a statement of its own to digests, monitoring and caches of prepared
statements. And when the ranges of all values need more than range_optimizer_max_mem_size (8 MiB, some 35,000 values), MySQL warns with 3170, uses no range
at all, and reads the table.

It counts the values of each IN (…) in the statement's text, as it was sent, placeholders too; of (a, b) IN ((1, 2), …) the rows. It reads no
subqueries, and stays quiet up to the limit, whatever the size of the table: the list is the matter. Warning 3170 fails at any length.`,
	Budget: "InListValues",
	Run:    runInList,
}

// warnRangeMemory is ER_CAPACITY_EXCEEDED, which the range optimizer gives as a warning.
const warnRangeMemory = 3170

func runInList(p *Input) []Finding {
	limit := p.Budget.inListValues()
	if unlimited(limit) {
		return nil
	}
	values, column := longestList(p.Plan, limit)
	f := Finding{
		Rule: "in-list", Block: p.Plan.Root, Figure: float64(values), Limit: limit, Unit: "values",
		WayOut: "ask in batches of a few hundred values; or put the values into a table (a temporary one, or JSON_TABLE of one argument) and join it; or ask by what the values were found by",
	}
	for _, w := range p.Plan.Warnings {
		if w.Code == warnRangeMemory && strings.Contains(w.Message, "range_optimizer_max_mem_size") {
			f.What = "the optimizer gave up index ranges, as the statement's lists need more memory than range_optimizer_max_mem_size allows, and reads whole tables or by other indexes instead"
			if values > 0 {
				f.What += fmt.Sprintf(" (the longest list%s holds %s values)", of(column), rows(float64(values)))
			}
			return []Finding{f}
		}
	}
	if float64(values) <= limit {
		return nil
	}
	f.What = fmt.Sprintf("an IN list%s holds %s values", of(column), rows(float64(values)))
	return []Finding{f}
}

func of(column string) string {
	if column == "" {
		return ""
	}
	return " of " + column
}

// longestList counts the values of the statement's longest IN list, and names what it is compared with. A text that is too
// short to hold a list over the limit is not looked at, unless the server complained.
func longestList(p *Plan, limit float64) (longest int, column string) {
	text := p.Query
	if text == "" {
		text = p.Rewritten
	}
	if float64(len(text)) < 2*limit && !p.warned(warnRangeMemory) {
		return 0, ""
	}
	before, last := "", ""
	words(text, func(word string, _, end int) bool {
		switch {
		case word == "(" && strings.EqualFold(last, "in"):
			if n := listLength(text[end:]); n > longest {
				longest, column = n, before
			}
		case strings.EqualFold(word, "in"):
			before = nameBefore(text[:end-len(word)])
		}
		last = word
		return true
	})
	return longest, column
}

func (p *Plan) warned(code int) bool {
	for _, w := range p.Warnings {
		if w.Code == code {
			return true
		}
	}
	return false
}

// listLength counts the members of a list whose opening parenthesis has been read; 0 for a subquery.
func listLength(text string) int {
	n, depth := 0, 0
	for i := 0; i < len(text); {
		next, comment := skipComment(text, i)
		switch c := text[i]; {
		case comment != commentNone:
			i = next
			continue
		case isSpace(c):
			i++
			continue
		case n == 0 && isWord(c):
			word := strings.ToUpper(text[i:min(len(text), i+6)])
			if word == "SELECT" || strings.HasPrefix(word, "WITH ") || strings.HasPrefix(word, "TABLE ") {
				return 0
			}
		case c == '\'' || c == '"' || c == '`':
			n = max(n, 1)
			i = skipQuoted(text, i)
			continue
		case c == '(':
			depth++
		case c == ')' && depth == 0:
			return n
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			n++
		}
		n = max(n, 1)
		i++
	}
	return n
}

// nameBefore returns the column that stands before the word IN, or NOT IN; "" if it is no plain name.
func nameBefore(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > 4 && strings.EqualFold(text[len(text)-4:], " not") {
		text = strings.TrimSpace(text[:len(text)-4])
	}
	start := len(text)
	for start > 0 && (isWord(text[start-1]) || text[start-1] == '.' || text[start-1] == '`') {
		start--
	}
	return strings.ReplaceAll(text[start:], "`", "")
}
