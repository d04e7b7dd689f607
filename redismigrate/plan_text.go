package redismigrate

import (
	"fmt"
	"strconv"
	"strings"
)

// String is the plan for a person to read.
func (p *Plan) String() string {
	if p == nil || p.input == nil {
		return "an empty plan"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "move %s\n  from %s\n  to   %s\n\nstrategies\n", p.Keys, p.From, p.To)
	for _, o := range p.Options {
		mark := ""
		if o.Strategy == p.Chosen {
			mark = "   <- chosen"
		}
		fmt.Fprintf(&b, "  %-20s %-15s%s\n", o.Strategy, o.Verdict, mark)
		for _, r := range o.Reasons {
			fmt.Fprintf(&b, "      because  %s\n", r)
		}
		if o.Verdict == Impossible {
			continue
		}
		fmt.Fprintf(&b, "      moves    %s keys, %s", countRange(o.Moved.Keys), byteRange(o.Moved.Bytes))
		if o.Deleted.Keys.High > 0 {
			fmt.Fprintf(&b, "; deletes %s keys", countRange(o.Deleted.Keys))
		}
		fmt.Fprintf(&b, "; the target needs %s\n", byteRange(o.Needs))
		for _, c := range o.Cautions {
			fmt.Fprintf(&b, "      mind     %s\n", c)
		}
	}
	if len(p.Warnings) > 0 {
		b.WriteString("\nwarnings\n")
		for _, w := range p.Warnings {
			fmt.Fprintf(&b, "  %s\n", w)
		}
	}
	if p.Chosen == "" {
		b.WriteString("\nno strategy is known to be possible; see the reasons")
		return b.String()
	}
	b.WriteString("\nsteps\n")
	var window Window
	for i, s := range p.Steps {
		if s.Window != window {
			window = s.Window
			fmt.Fprintf(&b, " %s\n", window)
		}
		fmt.Fprintf(&b, "  %2d. %s: %s\n      way back: %s\n", i+1, s.Name, s.What, s.Back)
	}
	return strings.TrimRight(b.String(), "\n")
}

// countRange writes a count with its bounds, where it has some: "300000", "300000 (290000 to 310000)".
func countRange(e Estimate) string {
	return rangeText(e, func(n int64) string { return strconv.FormatInt(n, 10) })
}

// byteRange writes bytes with their bounds.
func byteRange(e Estimate) string { return rangeText(e, byteText) }

func rangeText(e Estimate, text func(int64) string) string {
	value, low, high := text(e.Value), text(e.Low), text(e.High)
	if low == value && high == value {
		return value
	}
	return fmt.Sprintf("%s (%s to %s)", value, low, high)
}

func joinQuoted(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = strconv.Quote(s)
	}
	return strings.Join(quoted, ", ")
}
