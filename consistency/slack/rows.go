package slack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tashikame-go/tashikame/consistency"
)

const (
	// maxFile is the size of the file with all rows. Rows past it are left out whole, and counted.
	maxFile = 4 << 20
	// maxValue is the size of one value in the file, fenceValue in a message. What is longer is shortened, with its full size.
	maxValue   = 64 << 10
	fenceValue = 300
	// fenceRow is the size of a row in a message above which its values are shortened.
	fenceRow = 1000
)

// shownRow is how a row is written, in a message and in the file.
type shownRow struct {
	Phase   consistency.RowPhase `json:"phase"`
	Since   string               `json:"since,omitempty"`
	MutedBy string               `json:"muted_by,omitempty"`
	Key     string               `json:"key"`
	Row     consistency.Row      `json:"row,omitempty"` // a State may have dropped what a row looks like
}

// wrong returns the rows that are wrong, what people do not know yet first (reappeared, then new), then the oldest.
func wrong(e consistency.Event) []consistency.TrackedRow {
	var rows []consistency.TrackedRow
	for _, r := range e.Rows {
		if r.Phase != consistency.RowResolved {
			rows = append(rows, r)
		}
	}
	if len(e.Rows) == 0 {
		for _, v := range e.Violations {
			rows = append(rows, consistency.TrackedRow{Violation: v, Phase: consistency.RowNew, FirstSeen: e.Started})
		}
	}
	rank := map[consistency.RowPhase]int{consistency.RowReappeared: 0, consistency.RowNew: 1, consistency.RowContinuing: 2}
	slices.SortStableFunc(rows, func(a, b consistency.TrackedRow) int {
		if d := rank[a.Phase] - rank[b.Phase]; d != 0 {
			return d
		}
		if d := a.FirstSeen.Compare(b.FirstSeen); d != 0 {
			return d
		}
		return strings.Compare(a.Key, b.Key)
	})
	return rows
}

// fresh returns those of wrong's rows that people do not know yet.
func fresh(rows []consistency.TrackedRow) []consistency.TrackedRow {
	for i, r := range rows {
		if r.Phase == consistency.RowContinuing {
			return rows[:i]
		}
	}
	return rows
}

// rowJSON writes one row as JSON, values longer than limit bytes shortened. shortened reports whether any was.
func rowJSON(r consistency.TrackedRow, limit int) (out []byte, shortened bool) {
	key := shorten(r.Key, limit)
	s := shownRow{Phase: r.Phase, MutedBy: shorten(r.MutedBy, limit), Key: key, Row: make(consistency.Row, len(r.Row))}
	shortened = key != r.Key
	if !r.FirstSeen.IsZero() {
		s.Since = r.FirstSeen.UTC().Format(time.RFC3339)
	}
	for i, f := range r.Row {
		value, cut := shortenValue(f.Value, limit)
		s.Row[i] = consistency.Field{Name: shorten(f.Name, limit), Value: value}
		shortened = shortened || cut
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil { // a Row does not fail; a phase that is none might
		return fmt.Appendf(nil, `{"key":%q}`, key), true
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), shortened
}

func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", cut(s, limit), len(s))
}

// shortenValue does so with what can be long, before it is written as JSON: a value may be hundreds of megabytes.
func shortenValue(v any, limit int) (any, bool) {
	switch v := v.(type) {
	case string:
		return shorten(v, limit), len(v) > limit
	case []byte:
		if len(v) > limit/2 {
			return fmt.Sprintf("0x%x… (%d bytes)", v[:limit/2], len(v)), true
		}
	case json.RawMessage:
		if len(v) > limit {
			return fmt.Sprintf("%s… (%d bytes)", cut(string(v[:limit+1]), limit), len(v)), true
		}
	}
	return v, false
}

// fence returns as many of the rows, one a line, as fit into limit characters as a code block, and how many those are; cut says that values were shortened.
// A row never ends the block: three backticks are written as JSON escapes.
func fence(rows []consistency.TrackedRow, limit int) (text string, shown int, cut bool) {
	const open, end = "```\n", "```"
	used := length(open) + length(end)
	var b strings.Builder
	for _, r := range rows {
		// The short form is made first: it is cheap however huge the row is.
		one, short := rowJSON(r, fenceRow)
		if len(one) > fenceRow {
			for limit := fenceValue; ; limit /= 4 { // many columns
				if one, short = rowJSON(r, limit); len(one) <= 2*fenceRow || limit < 4 {
					break
				}
			}
		}
		text := escape(strings.ReplaceAll(string(one), "```", "\\u0060\\u0060\\u0060")) + "\n"
		if used += length(text); used > limit {
			break
		}
		b.WriteString(text)
		cut = cut || short
		shown++
	}
	if shown == 0 {
		return "", 0, false
	}
	return open + b.String() + end, shown, cut
}

// file returns the rows as a JSON array, one row a line, and how many of them it holds.
func file(rows []consistency.TrackedRow) (content []byte, held int) {
	content = []byte("[")
	missed := 0
	for _, r := range rows {
		one, _ := rowJSON(r, maxValue)
		if len(content)+len(one)+4 > maxFile {
			if missed++; missed == 100 {
				break
			}
			continue // a later one may be smaller
		}
		if held > 0 {
			content = append(content, ',')
		}
		content = append(append(content, '\n'), one...)
		held++
	}
	return append(content, "\n]\n"...), held
}
