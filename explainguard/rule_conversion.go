package explainguard

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ImplicitConversion fails a statement whose comparison converts an indexed column, so that the index is of no use.
var ImplicitConversion = &Rule{
	Name: "implicit-conversion",
	Doc: `A comparison converts an indexed column, so the index cannot be used.

The classic: a VARCHAR column compared with a number, WHERE code = 7, or with a Go int as argument. '7', '07' and '7.0' are all equal to 7, so MySQL converts
each row's code to a number and reads the whole table. The same happens when two columns of different type or collation are joined, and when a
comparison forces another collation. The other way round, a number column compared with a string, is harmless.

It follows MySQL's warning 1739 and stays quiet when the table's access examines no more than Budget.ConversionRows rows, and when the table is
read by an index after all: by another one, or by a range that the server plans anew for each row of the other table, as it can where two columns
differ in collation only.`,
	Budget: "ConversionRows",
	Run:    runImplicitConversion,
}

// warnConversion is ER_WARN_INDEX_NOT_APPLICABLE.
const warnConversion = 1739

var conversionWords = regexp.MustCompile("(?s)on index '(.+)' due to type or collation conversion on field '(.+)'")

func runImplicitConversion(p *Input) []Finding {
	limit := p.Budget.conversionRows()
	if unlimited(limit) {
		return nil
	}
	type lost struct{ index, column string }
	var seen []lost
	var found []Finding
	for _, w := range p.Plan.Warnings {
		if w.Code != warnConversion {
			continue
		}
		m := conversionWords.FindStringSubmatch(w.Message)
		if m == nil {
			continue
		}
		l := lost{m[1], m[2]}
		if slices.Contains(seen, l) { // one warning for look-ups, another for ranges
			continue
		}
		seen = append(seen, l)
		for _, v := range p.visits() {
			n := v.node
			if !n.isAccess() || !n.Base || !n.readsAll() || n.Examined() <= limit {
				continue
			}
			condition := p.conditionOn(v, l.column)
			if condition == "" {
				continue
			}
			f := Finding{Rule: "implicit-conversion", Block: v.block, Node: n, Figure: n.Examined(), Limit: limit, explains: []*Node{n}}
			cause, way := conversionCause(condition, n.Alias, l.column)
			f.What = fmt.Sprintf("%s.%s is compared as %s, which %s, so the index %s on it is of no use: %s examines %s rows%s",
				n.Name(), l.column, plain(condition), cause, l.index, n.described(), rows(n.Examined()), v.where())
			f.WayOut = way
			found = append(found, f)
		}
	}
	return found
}

// conditionOn returns the part of a condition that compares the column of an access: from those beside it, or of the
// operators above it in the block.
func (p *Input) conditionOn(v visit, column string) string {
	want := columnRef{v.node.Alias, column}
	of := func(conditions []string) string {
		for _, c := range conditions {
			for _, part := range conjuncts(c) {
				if slices.Contains(columnsIn(part), want) {
					return part
				}
			}
		}
		return ""
	}
	if c := of(v.conditions()); c != "" {
		return c
	}
	for _, up := range p.visits() {
		if up.block == v.block && (up.node.Op == OpFilter || up.node.Op == OpJoin) {
			if c := of(slices.Concat(up.node.HashKeys, up.node.Conditions)); c != "" {
				return c
			}
		}
	}
	return ""
}

// conversionCause says which of the known conversions a condition shows, and the way out of it.
func conversionCause(condition, alias, column string) (cause, way string) {
	refs := columnsIn(condition)
	other := ""
	for _, r := range refs {
		if r != (columnRef{alias, column}) {
			other = r.alias + "." + r.column
		}
	}
	lower := strings.ToLower(condition)
	name := alias + "." + column
	switch {
	case strings.Contains(lower, " collate "):
		return "forces a collation that the index does not have",
			"leave COLLATE away, or put it on the constant side with the column's own collation, or index the column with that collation"
	case other != "" && (strings.Contains(lower, " as double)") || strings.Contains(lower, " as decimal") || strings.Contains(lower, " as signed)") || strings.Contains(lower, " as datetime")):
		return "converts both columns to one type",
			fmt.Sprintf("give %s and %s the same type, or convert the other side explicitly, as CAST(%s AS CHAR) where %s is a string", name, other, other, name)
	case other != "":
		return "converts the column's character set or collation to that of " + other,
			fmt.Sprintf("give %s and %s the same character set and collation (ALTER TABLE … CONVERT TO), or convert the other side explicitly", name, other)
	case numberCompared(condition):
		return "converts a string column to a number for each row",
			"pass the value as a string: quote the literal, or give a Go string (strconv.Itoa) instead of an int as argument"
	default:
		return "converts the column for each row", "pass the value in the column's own type, character set and collation"
	}
}

// numberCompared reports whether a condition holds a bare number.
func numberCompared(condition string) bool {
	for i := 0; i < len(condition); i++ {
		switch c := condition[i]; {
		case c == '\'' || c == '"' || c == '`':
			i = skipQuoted(condition, i) - 1
		case c >= '0' && c <= '9':
			return true
		case startsName(c):
			for i+1 < len(condition) && (isWord(condition[i+1]) || condition[i+1] == '$') {
				i++
			}
		}
	}
	return false
}
