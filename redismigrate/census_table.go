package redismigrate

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tashikame-go/tashikame/internal/columns"
)

// tableWidth is how many columns of a terminal a census takes at most.
const tableWidth = 120

// String is the census as tables for a terminal, at most 120 columns wide: first what the figures are worth, then prefixes, types, dbs and the
// biggest keys. Wide characters take two columns; names that are no text are quoted, and long ones cut.
func (c *Census) String() string {
	if c == nil {
		return "no census"
	}
	var b strings.Builder
	c.writeHead(&b)
	for _, part := range []struct {
		name   string
		groups []Group
	}{{"PREFIX", c.Prefixes}, {"TYPE", c.Types}, {"DB", c.DBs}} {
		if len(part.groups) > 0 {
			b.WriteString("\n")
			c.writeGroups(&b, part.name, part.groups)
		}
	}
	if len(c.Biggest) > 0 {
		b.WriteString("\n")
		lines := [][]string{{"BIGGEST", "DB", "TYPE", "BYTES", "ELEMENTS"}}
		for _, k := range c.Biggest {
			elements := "?"
			if k.Elements >= 0 {
				elements = count(k.Elements)
			}
			lines = append(lines, []string{shownName(k.Key), strconv.Itoa(k.DB), shownName(k.Type), bytesText(k.Bytes), elements})
		}
		writeTable(&b, lines, map[string]bool{"DB": true, "BYTES": true, "ELEMENTS": true})
	}
	return b.String()
}

// writeHead says what was counted and what the figures are worth.
func (c *Census) writeHead(b *strings.Builder) {
	where := shownName(c.Addr)
	if c.Replica {
		where += " (a replica)"
	}
	fmt.Fprintf(b, "%s: %s keys, %s by %s, in %s\n", where, estimateText(c.Total.Keys, count), estimateText(c.Total.Bytes, bytesText), c.Method,
		c.Elapsed.Round(time.Millisecond))
	if c.Selected != nil {
		fmt.Fprintf(b, "selected: %s keys, %s\n", estimateText(c.Selected.Keys, count), estimateText(c.Selected.Bytes, bytesText))
	}
	if !c.Complete {
		b.WriteString("NOT COMPLETE: the run was stopped midway, all figures are too small\n")
	}
	if c.Approximate {
		b.WriteString("approximate: the keys changed while they were counted, or SCAN showed some twice\n")
	}
	if c.Sampled {
		fmt.Fprintf(b, "sampled: %s keys were weighed; bytes lie between LOW and HIGH with %.0f %% confidence, TTLs are estimates\n", count(c.Weighed), c.Confidence*100)
	}
	if c.Method == ByLength {
		b.WriteString("MEMORY USAGE is not allowed: bytes are the length of names and values, less than the memory that they take\n")
	}
	if c.Gone > 0 || c.ServiceKeys > 0 {
		fmt.Fprintf(b, "not counted: %s keys that were gone when their turn came, %s service keys\n", count(c.Gone), count(c.ServiceKeys))
	}
}

// writeGroups writes one table of groups. TTLs are percentages of the keys.
func (c *Census) writeGroups(b *strings.Builder, name string, groups []Group) {
	head := []string{name, "KEYS", "BYTES"}
	if c.Sampled {
		head = append(head, "LOW", "HIGH")
	}
	head = append(head, "TTL none", "1m", "1h", "1d", "30d", "more")
	if c.Selected != nil {
		head = append(head, "SELECTED")
	}
	right := map[string]bool{}
	for _, column := range head[1:] {
		right[column] = true
	}
	lines := [][]string{head}
	for _, g := range groups {
		line := []string{shownName(g.Name), count(g.Keys.Value), bytesText(g.Bytes.Value)}
		if c.Sampled {
			line = append(line, bytesText(g.Bytes.Low), bytesText(g.Bytes.High))
		}
		for _, n := range []int64{g.TTL.None, g.TTL.Minute, g.TTL.Hour, g.TTL.Day, g.TTL.Month, g.TTL.Longer} {
			line = append(line, percent(n, g.Keys.Value))
		}
		if c.Selected != nil {
			line = append(line, count(g.Selected))
		}
		lines = append(lines, line)
	}
	writeTable(b, lines, right)
}

// writeTable aligns lines, and cuts their first cells so that they fit.
func writeTable(b *strings.Builder, lines [][]string, right map[string]bool) {
	room := tableWidth
	for i := range lines[0] {
		widest := 0
		for _, line := range lines {
			widest = max(widest, columns.Width(line[i]))
		}
		if i > 0 {
			room -= widest + 2
		}
	}
	for _, line := range lines {
		line[0] = cutText(line[0], room)
	}
	columns.Write(b, lines, right)
}

// cutText cuts a text to a number of columns.
func cutText(text string, width int) string {
	if columns.Width(text) <= width {
		return text
	}
	end, used := 0, 1 // the mark
	for i, r := range text {
		if used += columns.Width(string(r)); used > width {
			break
		}
		end = i + len(string(r))
	}
	return text[:end] + "…"
}

// shownName quotes a name that is no plain text.
func shownName(name string) string {
	if !isText(name) || name != strings.TrimFunc(name, unicode.IsSpace) {
		return strconv.Quote(name)
	}
	return name
}

// estimateText is the figure, with its bounds where they differ.
func estimateText(e Estimate, text func(int64) string) string {
	switch {
	case e.Low == e.Value && e.High == e.Value:
		return text(e.Value)
	case e.High == NoBound:
		return fmt.Sprintf("about %s (%s or more)", text(e.Value), text(e.Low))
	}
	return fmt.Sprintf("about %s (%s to %s)", text(e.Value), text(e.Low), text(e.High))
}

// count writes a number with separators: 1,234,567.
func count(n int64) string {
	if n == NoBound {
		return "?"
	}
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// bytesText writes a number of bytes: 1.2 GiB.
func bytesText(n int64) string {
	switch {
	case n == NoBound:
		return "?"
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/(1<<10), 0
	for value >= 1023.95 && unit < len(byteUnits)-1 {
		value /= 1 << 10
		unit++
	}
	return fmt.Sprintf("%.1f %s", value, byteUnits[unit])
}

var byteUnits = []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

// percent is n of all, and never 0 or 100 when that is not so.
func percent(n, all int64) string {
	switch {
	case n <= 0 || all <= 0:
		return "-"
	case n >= all:
		return "100%"
	}
	return fmt.Sprintf("%d%%", min(99, max(1, (n*100+all/2)/all)))
}
