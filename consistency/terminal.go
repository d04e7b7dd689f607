package consistency

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tashikame-go/tashikame/internal/columns"
)

// Table writes the summary as a table for a terminal or a log: the worst checks first, one line each, and a line with the totals at the end. It is plain text
// without colours. Wide characters take two columns, so that Japanese names stay aligned; control characters are replaced.
//
// states, where given, are the checks' states after the run (from a Store); they fill the columns CHANGE ("+3 −7": rows that are new or reappeared, and resolved) and
// SINCE (since when the outcome is what it is), which are left out otherwise.
func (s Summary) Table(w io.Writer, states ...State) error {
	byName := make(map[string]State, len(states))
	for _, state := range states {
		byName[state.Check] = state
	}
	lines := [][]string{{"OUTCOME", "COUNT", "CHANGE", "SINCE", "TOOK", "CHECK", "REASON"}}
	for _, r := range worstFirst(s.Results) {
		change, since := "", ""
		if state, ok := byName[r.Check.Name]; ok {
			change, since = latestChange(state), state.Since.UTC().Format("2006-01-02 15:04Z")
		}
		lines = append(lines, []string{r.Outcome.String(), countText(r), change, since, r.Duration.Round(time.Millisecond).String(), columns.Printable(r.Check.Name), columns.Printable(r.Reason)})
	}
	if len(states) == 0 {
		for i, line := range lines {
			lines[i] = slices.Delete(line, 2, 4)
		}
	}
	var b strings.Builder
	columns.Write(&b, lines, map[string]bool{"COUNT": true, "TOOK": true})
	b.WriteString(s.String() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// worstFirst orders by outcome, then severity, then count; else the order of the run stays.
func worstFirst(results []Result) []Result {
	sorted := slices.Clone(results)
	slices.SortStableFunc(sorted, func(a, b Result) int {
		return badness{a.Outcome, a.Check.Severity, a.Total}.before(badness{b.Outcome, b.Check.Severity, b.Total})
	})
	return sorted
}

// badness is what decides which check people see first.
type badness struct {
	outcome  Outcome
	severity Severity
	total    int64
}

// before compares two for sorting, the worse first: by outcome, then severity, then count.
func (a badness) before(b badness) int {
	rank := map[Outcome]int{Inconsistent: 0, Unknown: 1, Consistent: 2}
	loudness := map[Severity]int{SeverityCritical: 0, SeverityNormal: 1, SeverityMinor: 2}
	return cmp.Or(cmp.Compare(rank[a.outcome], rank[b.outcome]), cmp.Compare(loudness[a.severity], loudness[b.severity]), cmp.Compare(b.total, a.total))
}

// countText is the number of convicted rows; an unknown outcome has none, not even 0.
func countText(r Result) string {
	switch {
	case r.Outcome == Unknown:
		return "?"
	case r.AtLeast:
		return strconv.FormatInt(r.Total, 10) + "+"
	}
	return strconv.FormatInt(r.Total, 10)
}

// latestChange is what the latest run changed.
func latestChange(s State) string {
	if len(s.History) == 0 {
		return ""
	}
	p := s.History[len(s.History)-1]
	return movedText(p.New+p.Reappeared, p.Resolved)
}
