package explainguard_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tashikame-go/tashikame/explainguard"
)

// tally counts statements.
type tally struct{ agree, alarms, misses, unknown int }

func (t tally) String() string {
	return fmt.Sprintf("%5d agree, %3d false alarms, %3d misses, %3d could not tell", t.agree, t.alarms, t.misses, t.unknown)
}

// verdicts counts how many statements of a format pass and fail as they should.
func verdicts(all []outcome, format explainguard.Format) (t tally) {
	for _, o := range all {
		bad := len(o.problems) > 0
		switch {
		case o.format != format:
		case o.report.Verdict == explainguard.Unanalysable:
			t.unknown++
		case bad == (o.report.Verdict == explainguard.Fail):
			t.agree++
		case bad:
			t.misses++
		default:
			t.alarms++
		}
	}
	return t
}

// agreement prints how far the verdicts, and each rule in the default format, agree with what really happened.
func agreement(all []outcome) string {
	var b strings.Builder
	for _, format := range []explainguard.Format{explainguard.FormatUnknown, explainguard.FormatJSONv1, explainguard.FormatJSONv2, explainguard.FormatTree} {
		name := format.String()
		if format == explainguard.FormatUnknown {
			name = "default"
		}
		fmt.Fprintf(&b, "verdicts, %-24s %s\n", name, verdicts(all, format))
	}
	type counts struct{ expected, named, exact, missed, alarms int }
	rules := map[string]*counts{}
	of := func(rule string) *counts {
		if rules[rule] == nil {
			rules[rule] = &counts{}
		}
		return rules[rule]
	}
	for _, o := range all {
		if o.format != explainguard.FormatUnknown {
			continue
		}
		want := map[string]bool{}
		for _, p := range o.problems {
			want[p.rule] = true
			of(p.rule).expected++
			switch namedBy(p, o.report) {
			case p.rule:
				of(p.rule).named++
			case "":
				of(p.rule).missed++
			default:
				of(p.rule).exact++
			}
		}
		said := map[string]bool{}
		for _, f := range o.report.Findings {
			if !want[f.Rule] && !said[f.Rule] {
				of(f.Rule).alarms++
			}
			said[f.Rule] = true
		}
	}
	fmt.Fprintf(&b, "%-24s %8s %6s %14s %6s %12s\n", "rule (default format)", "problems", "named", "by more exact", "missed", "false alarms")
	for _, rule := range slices.Sorted(maps.Keys(rules)) {
		c := rules[rule]
		fmt.Fprintf(&b, "%-24s %8d %6d %14d %6d %12d\n", rule, c.expected, c.named, c.exact, c.missed, c.alarms)
	}
	return b.String()
}
