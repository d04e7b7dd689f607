package statuspage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tashikame-go/tashikame/consistency"
)

// Limits on what is shown of rows; the JSON of the page has all of it.
const (
	maxCellBytes = 500
	maxJSONBytes = 64 << 10
)

// table is the rows of a check as a table.
type table struct {
	Columns []string
	Lines   []line
	Total   int
}

type line struct {
	Key, Phase, Class, Muted string
	FirstSeen, ResolvedAt    *moment
	Appearances              int
	Cells                    []cell
}

type cell struct {
	Text string
	Null bool
}

func (p *Page) table(rows []consistency.TrackedRow, limit int, now time.Time) table {
	t := table{Total: len(rows)}
	for _, r := range rows[:min(limit, len(rows))] {
		for _, f := range r.Row {
			if !slices.Contains(t.Columns, f.Name) {
				t.Columns = append(t.Columns, f.Name)
			}
		}
	}
	for _, r := range rows[:min(limit, len(rows))] {
		l := line{Key: cut(r.Key), Phase: r.Phase.String(), Class: "phase", Muted: r.MutedBy, FirstSeen: p.moment(r.FirstSeen, now), ResolvedAt: p.moment(r.ResolvedAt, now), Appearances: r.Appearances}
		if r.Phase == consistency.RowReappeared {
			l.Class = "phase loud"
		}
		for _, c := range t.Columns {
			l.Cells = append(l.Cells, cellOf(r.Row, c))
		}
		t.Lines = append(t.Lines, l)
	}
	return t
}

func cellOf(r consistency.Row, column string) cell {
	value, ok := r.Get(column)
	switch v := value.(type) {
	case nil:
		return cell{Text: map[bool]string{true: "NULL", false: ""}[ok], Null: true}
	case string:
		return cell{Text: cut(v)}
	}
	one, err := consistency.Row{{Name: "v", Value: value}}.MarshalJSON()
	if err != nil {
		return cell{Text: cut(fmt.Sprint(value))}
	}
	return cell{Text: cut(strings.Trim(strings.TrimSuffix(strings.TrimPrefix(string(one), `{"v":`), "}"), `"`))}
}

// cut shortens a text that would make the page unreadable.
func cut(s string) string {
	if len(s) <= maxCellBytes {
		return s
	}
	end := maxCellBytes
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s… (%d bytes)", s[:end], len(s))
}

// rowsJSON is the rows as JSON, one a line, whole rows only.
func rowsJSON(rows []consistency.TrackedRow, limit int) string {
	var out strings.Builder
	out.WriteString("[")
	shown := 0
	for _, r := range rows {
		var one bytes.Buffer
		encoder := json.NewEncoder(&one)
		encoder.SetEscapeHTML(false) // html/template escapes it
		err := encoder.Encode(struct {
			Key string          `json:"key"`
			Row consistency.Row `json:"row"`
		}{r.Key, r.Row})
		if err != nil || shown == limit || out.Len()+one.Len() > maxJSONBytes {
			break
		}
		if shown++; shown > 1 {
			out.WriteString(",")
		}
		out.WriteString("\n")
		out.Write(bytes.TrimSpace(one.Bytes()))
	}
	out.WriteString("\n]")
	if shown < len(rows) {
		fmt.Fprintf(&out, "\n%d of %d rows", shown, len(rows))
	}
	return out.String()
}
