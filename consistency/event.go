package consistency

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// eventRows are the rows that are wrong and those that were resolved after since, each with its phase seen from then.
func (s State) eventRows(since time.Time) []TrackedRow {
	rows := make([]TrackedRow, 0, len(s.Rows))
	for _, row := range s.Rows {
		row.Phase = RowContinuing
		if row.FirstSeen.After(since) {
			row.Phase = RowNew
			if row.Appearances > 1 {
				row.Phase = RowReappeared
			}
		}
		rows = append(rows, row)
	}
	for _, row := range s.Gone {
		if row.ResolvedAt.After(since) {
			rows = append(rows, row)
		}
	}
	return rows
}

// enroll makes the notifiers known to the state. One that is new will be told what is wrong already as if it had just happened.
func (s State) enroll(names []string) State {
	s = s.clone()
	for _, name := range names {
		if _, known := s.Deliveries[name]; known {
			continue
		}
		if s.Deliveries == nil {
			s.Deliveries = map[string]Delivery{}
		}
		d := Delivery{}
		if s.Incident != nil {
			d.Pending = &Change{New: len(s.Rows), Opened: true}
		}
		s.Deliveries[name] = d
	}
	return s
}

// eventFor is the event e of Advance as the notifier has to hear it, which may have missed others.
func (s State) eventFor(name string, e Event) Event {
	d := s.Deliveries[name]
	e.Change = Change{}
	if d.Pending != nil {
		e.Change = *d.Pending
	}
	e.Kind = kindOf(s, e.Change, view{open: d.Incident != "", told: !d.Told.IsZero(), reminded: d.Reminded, remind: e.Check.remind()})
	e.Incident = s.eventIncident(e.Kind == EventResolved)
	since := d.Told
	if since.IsZero() && len(s.History) > 1 { // nobody is told what was resolved before he came
		since = s.History[len(s.History)-2].At
	}
	seen := make(map[string]Row, len(e.Rows)) // the state may have dropped what rows look like; the event has it
	for _, row := range e.Rows {
		seen[row.ID()] = row.Row
	}
	e.Rows = s.eventRows(since)
	for i, row := range e.Rows {
		if row.Row == nil {
			e.Rows[i].Row = seen[row.ID()]
		}
		if d.Told.IsZero() && row.Phase == RowContinuing {
			e.Rows[i].Phase = RowNew
		}
	}
	e.Previous = d.Receipt
	return e
}

// delivered is the state after the notifier was told e. The state may have moved on since e was made: then what is pending stays so.
func (s State) delivered(name string, e Event, receipt Receipt) State {
	s = s.clone()
	d := s.Deliveries[name]
	if receipt != "" {
		d.Receipt = receipt
	}
	if d.Pending == nil && e.empty() || d.Pending != nil && reflect.DeepEqual(*d.Pending, e.Change) {
		d.Pending = nil
		if !e.empty() || e.Kind.Loud() || d.Told.IsZero() {
			d.Told = s.LastRun
		}
	}
	switch {
	case e.Kind == EventResolved:
		d.Incident = ""
	case s.Incident != nil && s.Incident.ID == e.Incident.ID:
		d.Incident = e.Incident.ID
	}
	switch first := e.OutcomeChanged || d.Reminded.IsZero(); {
	case e.Kind == EventOpened, e.Kind == EventWorse, e.Kind == EventUnknown && first:
		d.Reminded = s.LastRun
	case e.Kind == EventReminder, e.Kind == EventUnknown:
		d.Reminded = reminderAt(d.Reminded, s.LastRun, e.Check.remind())
	case e.Kind == EventResolved, e.Kind == EventRecovered:
		d.Reminded = time.Time{}
	}
	if e.Outcome == Consistent && d.Incident == "" {
		d.Receipt = "" // all is well and was said: the conversation is over
	}
	if s.Deliveries == nil {
		s.Deliveries = map[string]Delivery{}
	}
	s.Deliveries[name] = d
	return s
}

// Wrong is the number of rows that are wrong as far as is known: those of the result, and those of earlier runs that nothing has resolved.
func (e Event) Wrong() int64 {
	known := int64(0)
	for _, row := range e.Rows {
		if row.Phase != RowResolved {
			known++
		}
	}
	return max(e.Total, known)
}

// Headline is the event in one line, the count first: "128 (+3 −7, oldest 4d): orders-without-payment". +3 are new or came back, −7 were resolved since this notifier was
// last told; "128+" means at least 128. An unknown outcome says why.
func (e Event) Headline() string {
	var parts []string
	if moved := movedText(e.New+e.Reappeared, e.Resolved); moved != "" {
		parts = append(parts, moved)
	}
	if n := e.Reappeared; n > 0 {
		parts = append(parts, fmt.Sprintf("%d reappeared", n))
	}
	at := e.Started.Add(e.Duration)
	if age := ageText(at.Sub(e.Oldest)); !e.Oldest.IsZero() && age != "" {
		parts = append(parts, "oldest "+age)
	}
	if age := ageText(at.Sub(e.CleanSince)); !e.CleanSince.IsZero() && age != "" {
		parts = append(parts, "clean for "+age)
	}
	more := ""
	if len(parts) > 0 {
		more = " (" + strings.Join(parts, ", ") + ")"
	}
	wrong := e.Wrong()
	count := fmt.Sprint(wrong)
	if e.AtLeast {
		count += "+"
	}
	if e.Outcome != Unknown {
		return count + more + ": " + e.Check.Name
	}
	reason := e.Reason
	if reason == "" {
		reason = "the check has not run"
	}
	known := ""
	if wrong > 0 {
		known = fmt.Sprintf(" now, %s known%s", count, more)
	}
	return fmt.Sprintf("could not tell%s: %s: %s", known, e.Check.Name, reason)
}

// movedText says how many rows became wrong and how many right: "+3 −7"; what is 0 is left out.
func movedText(wrong, right int) string {
	var parts []string
	if wrong > 0 {
		parts = append(parts, fmt.Sprintf("+%d", wrong))
	}
	if right > 0 {
		parts = append(parts, fmt.Sprintf("−%d", right))
	}
	return strings.Join(parts, " ")
}

// ageText is a time span as people say it, in its largest unit: "4d", "3h", "12m"; empty: less than a minute.
func ageText(d time.Duration) string {
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return ""
}
