package slack

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/tashikame-go/tashikame/consistency"
)

// icon is what is seen first in a list of channels and on a phone.
func icon(e consistency.Event) string {
	switch {
	case well(e):
		return "✅"
	case e.Outcome == consistency.Unknown:
		return "❓"
	case e.Check.Severity == consistency.SeverityCritical:
		return "🚨"
	case e.Check.Severity == consistency.SeverityMinor:
		return "🟡"
	}
	return "🔴"
}

// parentText is the first message of a thread: how the check stands, and all that is needed to know whose it is and since when. It is kept current.
func parentText(e consistency.Event, mention string) string {
	lines := []string{icon(e) + " *" + headline(e) + "*"}
	add := func(show bool, format string, args ...any) {
		if show {
			lines = append(lines, fmt.Sprintf(format, args...))
		}
	}
	bad := !well(e)
	facts := []string{"severity " + e.Check.Severity.String()}
	if e.Check.Owner != "" {
		facts = append(facts, "owner "+line(e.Check.Owner, 200))
	}
	switch {
	case !bad && !e.Incident.Opened.IsZero():
		facts = append(facts, "from "+date(e.Incident.Opened)+" to "+date(at(e)))
	case !e.Incident.Opened.IsZero():
		facts = append(facts, "since "+date(e.Incident.Opened))
	case !e.Since.IsZero():
		facts = append(facts, "since "+date(e.Since))
	}
	if e.Incident.Peak > e.Wrong() {
		facts = append(facts, fmt.Sprintf("at most %d at a time", e.Incident.Peak))
	}
	lines = append(lines, strings.Join(facts, " · "))
	add(bad && e.Check.Runbook != "", "runbook: %s", line(e.Check.Runbook, 500))
	add(e.Outcome == consistency.Unknown, "why: %s", line(reason(e), 1000))
	add(e.Outcome == consistency.Inconsistent && e.Reason != "", "note: %s", line(e.Reason, 600))
	add(bad && e.Incident.AckedBy != "" && e.Incident.AckedUntil.After(at(e)), "👀 %s is on it until %s", person(e.Incident.AckedBy), date(e.Incident.AckedUntil))
	add(bad && e.Muted > 0, "🔕 %s muted", count(int64(e.Muted), "row"))
	add(bad && mention != "", "%s", mention)
	return strings.Join(lines, "\n")
}

func reason(e consistency.Event) string {
	if e.Reason == "" {
		return "the check has not run"
	}
	return e.Reason
}

var userID = regexp.MustCompile(`^[UW][A-Z0-9]{5,}$`)

// person shows who acknowledged. Acks names people by their ID, which Slack shows as their name of today.
func person(by string) string {
	if userID.MatchString(by) {
		return "<@" + by + ">"
	}
	return line(by, 80)
}

// news is what an event says inside a thread that people already have, without the rows. Empty: nothing.
func news(e consistency.Event, mention string) string {
	head := icon(e) + " *" + headline(e) + "*"
	var lines []string
	kind := e.Kind
	if kind == consistency.EventReminder && e.Outcome == consistency.Unknown {
		kind = consistency.EventUnknown
	}
	switch kind {
	case consistency.EventOpened, consistency.EventWorse:
		lines = append(lines, head)
		if mention != "" {
			lines = append(lines, mention)
		}
	case consistency.EventReminder:
		lines = append(lines, head, "Still inconsistent"+sinceText(e)+".")
		if mention != "" {
			lines = append(lines, mention)
		}
	case consistency.EventUnknown:
		lines = append(lines, head, line(reason(e), 1500))
		if mention != "" {
			lines = append(lines, mention)
		}
	case consistency.EventResolved:
		text := "Resolved"
		if !e.Incident.Opened.IsZero() {
			text += " after " + age(at(e).Sub(e.Incident.Opened))
		}
		if n := max(e.Incident.Peak, int64(e.Resolved)); n > 0 {
			text += fmt.Sprintf("; %s at a time at most", count(n, "row"))
		}
		lines = append(lines, head, text+".")
	case consistency.EventRecovered:
		lines = append(lines, head, "The check can tell again, and all is well.")
	case consistency.EventQuiet:
	}
	return strings.Join(lines, "\n")
}

func sinceText(e consistency.Event) string {
	if e.Incident.Opened.IsZero() {
		return ""
	}
	return " since " + date(e.Incident.Opened)
}

// rowsText is what is said of the rows: those that people do not know yet (all, where there are none such), as many as fit, and how many more there are.
// attach says that some of them did not fit or were shortened, so that a file is needed; note is what to say about that file.
func rowsText(e consistency.Event, used int, note string) (text string, attach bool) {
	all := wrong(e)
	show := all
	var lines []string
	if known := fresh(all); len(known) > 0 && len(known) < len(all) {
		show = known
	}
	if e.Reappeared > 0 {
		lines = append(lines, fmt.Sprintf("%s reappeared: a repair did not hold.", count(int64(e.Reappeared), "row")))
	}
	if len(e.ColumnsAdded) > 0 || len(e.ColumnsRemoved) > 0 {
		lines = append(lines, "The columns have changed: "+line(columns(e), 400))
	}
	reserved := used + 2*length(strings.Join(lines, "\n")) + 700 // what is said below the rows
	block, shown, cut := fence(show, maxText-reserved)
	if shown > 0 {
		lines = append(lines, block)
	}
	attach = shown < len(show) || cut
	if n := len(show) - shown; n > 0 {
		lines = append(lines, fmt.Sprintf("and %s more like these.", count(int64(n), "row")))
	}
	if n := len(all) - len(show); n > 0 {
		lines = append(lines, fmt.Sprintf("and %s that you were told of before.", count(int64(n), "row")))
	}
	if n := e.Total - int64(len(all)); n > 0 {
		lines = append(lines, fmt.Sprintf("%s beyond the check's limit of rows not known one by one.", countAre(n)))
	}
	if attach && note != "" {
		lines = append(lines, note)
	}
	return strings.Join(lines, "\n"), attach
}

func countAre(n int64) string {
	if n == 1 {
		return "1 row is"
	}
	return fmt.Sprintf("%d rows are", n)
}

func columns(e consistency.Event) string {
	var parts []string
	for _, c := range e.ColumnsAdded {
		parts = append(parts, "+"+c)
	}
	for _, c := range e.ColumnsRemoved {
		parts = append(parts, "−"+c)
	}
	return strings.Join(parts, ", ")
}
