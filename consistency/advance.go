package consistency

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"maps"
	"slices"
	"strings"
	"time"
)

// Limits of what a State keeps.
const (
	maxTracked     = 10_000  // rows that are wrong; one run's convicted rows are kept whatever their number
	maxGone        = 1_000   // rows that were resolved
	goneWithRow    = 100     // of these, how many keep what they looked like
	maxTrackedSize = 4 << 20 // bytes of the rows' JSON; beyond it rows keep their keys only
	maxHistory     = 400
	maxAcks        = 50
)

// ackLasts is how long an AckSeen lasts that does not say until when.
const ackLasts = 24 * time.Hour

// Advance returns what is known after a run, and what happened in it, as seen by somebody who heard of every run before. It is pure: no clock, no I/O, and it changes
// none of its arguments. now is when the run ended; acks are what people answered to what they were told before.
//
// A row is resolved only where the result proves it: the outcome is Consistent, or it is Inconsistent with an exact count, or the row is in Result.Cleared. An Unknown
// result resolves and forgets nothing; it ends CleanSince.
func Advance(s State, r Result, acks []Ack, now time.Time) (State, Event) {
	before := s
	s = s.clone()
	if !now.After(s.LastRun) { // a clock that was put back: the order of the runs is what counts
		now = s.LastRun.Add(1)
	}
	s.Check = r.Check.Name
	s.answer(acks, now)
	change := Change{}
	if s.LastRun.IsZero() {
		s.Since = now
	} else if r.Outcome != s.Outcome {
		s.Since, change.OutcomeChanged, change.From = now, true, s.Outcome
	}
	s.Outcome, s.LastRun, s.Reason = r.Outcome, now, r.Reason
	switch {
	case r.Outcome != Consistent:
		s.CleanSince = time.Time{}
	case s.CleanSince.IsZero():
		s.CleanSince = r.Started
		if r.Started.IsZero() {
			s.CleanSince = now
		}
	}
	if r.Outcome != Unknown {
		s.columns(r, &change)
		s.Notes = r.Notes
		s.rows(r, now, &change)
		s.AtLeast = r.AtLeast
		s.Total = max(r.Total, int64(len(s.Rows)))
		s.incident(r, now, &change)
	}
	e := Event{
		Result: r, Change: change, Rows: s.eventRows(before.LastRun), Oldest: s.Oldest(), CleanSince: s.CleanSince, Since: s.Since, Muted: s.muted(),
		Incident: s.eventIncident(change.Closed),
	}
	e.Kind = kindOf(s, change, view{open: before.Incident != nil, told: !before.LastRun.IsZero(), reminded: before.LastRun, remind: noReminder})
	s.point(r, change, now)
	for name, d := range s.Deliveries {
		merged := change
		if d.Pending != nil {
			merged = d.Pending.then(change, s.Outcome)
		}
		d.Pending = nil
		if !merged.empty() {
			d.Pending = &merged
		}
		s.Deliveries[name] = d
	}
	s.trim()
	return s, e
}

// clone copies whatever Advance may change in place.
func (s State) clone() State {
	s.Rows, s.Gone, s.History = slices.Clone(s.Rows), slices.Clone(s.Gone), slices.Clone(s.History)
	s.Deliveries = maps.Clone(s.Deliveries)
	if s.Incident != nil {
		incident := *s.Incident
		incident.Acks = slices.Clone(incident.Acks)
		s.Incident = &incident
	}
	return s
}

// resolves reports whether a row is proven to be all right by a result that does not show it.
func (r Result) resolves() func(id string) bool {
	exact := r.Changing == 0 && !r.AtLeast && !r.Windowed && r.Total == int64(len(r.Violations)) &&
		(r.Outcome == Consistent && r.Total == 0 || r.Outcome == Inconsistent && r.Total > 0)
	cleared := make(map[string]bool, len(r.Cleared))
	for _, id := range r.Cleared {
		cleared[id] = true
	}
	return func(id string) bool { return exact || cleared[id] }
}

// rows moves every row one step on in its life.
func (s *State) rows(r Result, now time.Time, change *Change) {
	shown := make(map[string]Violation, len(r.Violations))
	var order []string
	for _, v := range r.Violations {
		v.Content = ""
		if _, twice := shown[v.ID()]; !twice {
			order = append(order, v.ID())
		}
		shown[v.ID()] = v
	}
	resolves := r.resolves()
	var rows, resolved []TrackedRow
	for _, row := range s.Rows {
		id := row.ID()
		if v, still := shown[id]; still {
			row.Violation, row.Phase, row.LastSeen = v, RowContinuing, now
			delete(shown, id)
		} else if resolves(id) {
			row.Phase, row.ResolvedAt, row.MutedBy = RowResolved, now, ""
			resolved = append(resolved, row)
			change.Resolved++
			continue
		} else {
			row.Phase = RowContinuing
		}
		rows = append(rows, row)
	}
	gone := make(map[string]TrackedRow, len(s.Gone))
	for _, row := range s.Gone {
		gone[row.ID()] = row
	}
	limit := max(maxTracked, len(r.Violations))
	back := map[string]bool{}
	for _, id := range order {
		v, fresh := shown[id]
		if !fresh || len(rows) >= limit {
			continue
		}
		row := TrackedRow{Violation: v, Phase: RowNew, FirstSeen: now, LastSeen: now, Appearances: 1}
		if old, was := gone[id]; was {
			row.Phase, row.ResolvedAt, row.Appearances = RowReappeared, old.ResolvedAt, old.Appearances+1
			back[id] = true
			change.Reappeared++
		} else {
			change.New++
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b TrackedRow) int {
		return cmp.Or(a.FirstSeen.Compare(b.FirstSeen), strings.Compare(a.Key, b.Key), strings.Compare(a.Identity, b.Identity))
	})
	s.Rows = rows
	s.Gone = slices.DeleteFunc(s.Gone, func(row TrackedRow) bool { return back[row.ID()] })
	s.Gone = append(resolved, s.Gone...)
}

// columns notices that the rows have another shape than before.
func (s *State) columns(r Result, change *Change) {
	var now []string
	for _, v := range r.Violations {
		for _, f := range v.Row {
			if !slices.Contains(now, f.Name) {
				now = append(now, f.Name)
			}
		}
	}
	if len(now) == 0 {
		return
	}
	if len(s.Columns) > 0 {
		change.ColumnsAdded, change.ColumnsRemoved = without(now, s.Columns), without(s.Columns, now)
	}
	s.Columns = now
}

// without returns the elements of a that are not in b; nil: none.
func without(a, b []string) []string {
	var out []string
	for _, x := range a {
		if !slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

func (s *State) incident(r Result, now time.Time, change *Change) {
	wrong := len(s.Rows) > 0 || r.Outcome == Inconsistent
	switch {
	case wrong && s.Incident == nil:
		s.Incident = &Incident{ID: incidentID(s.Check, now), Opened: now}
		change.Opened = true
	case !wrong && s.Incident != nil:
		s.Closed, s.Incident = s.Incident, nil
		change.Closed = true
	}
	if s.Incident != nil {
		s.Incident.Peak = max(s.Incident.Peak, s.Total)
	}
}

// incidentID is short enough to be read out and made of what no other incident of the check has: its beginning.
func incidentID(check string, opened time.Time) string {
	sum := sha256.Sum256([]byte(check + "\x00" + opened.UTC().Format(time.RFC3339Nano)))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))
}

// eventIncident is the open incident or, if the event closes one, that.
func (s State) eventIncident(closes bool) Incident {
	switch {
	case s.Incident != nil:
		return *s.Incident
	case closes && s.Closed != nil:
		return *s.Closed
	}
	return Incident{}
}

// answer takes each answer of people into account once.
func (s *State) answer(acks []Ack, now time.Time) {
	if s.Incident == nil {
		return
	}
	for _, a := range acks {
		counted := slices.ContainsFunc(s.Incident.Acks, func(b Ack) bool {
			return a.Kind == b.Kind && a.By == b.By && (a.At.IsZero() || !a.At.After(b.At))
		})
		if counted || a.Kind != AckSeen && a.Kind != AckMute {
			continue
		}
		knownAt := a.At
		if a.At.IsZero() {
			a.At, knownAt = now, s.LastRun
		}
		if a.Until.IsZero() {
			a.Until = a.At.Add(ackLasts)
		}
		s.Incident.Acks = append(s.Incident.Acks, a)
		if n := len(s.Incident.Acks) - maxAcks; n > 0 {
			s.Incident.Acks = s.Incident.Acks[n:]
		}
		switch a.Kind {
		case AckSeen:
			if a.Until.After(s.Incident.AckedUntil) {
				s.Incident.AckedBy, s.Incident.AckedUntil = a.By, a.Until
			}
		case AckMute:
			for i, row := range s.Rows {
				if !row.FirstSeen.After(knownAt) {
					s.Rows[i].MutedBy = cmp.Or(a.By, "somebody")
				}
			}
		}
	}
}

func (s State) muted() int {
	n := 0
	for _, row := range s.Rows {
		if row.MutedBy != "" {
			n++
		}
	}
	return n
}

func (s *State) point(r Result, change Change, now time.Time) {
	s.History = append(s.History, Point{
		At: now, Outcome: r.Outcome, Total: s.Total, AtLeast: s.AtLeast, New: change.New, Resolved: change.Resolved, Reappeared: change.Reappeared,
		Healed: r.Healed.Rows, Duration: r.Duration,
	})
	s.History = slices.Clone(s.History[max(0, len(s.History)-maxHistory):])
}

// trim drops what goes beyond the limits. No row that is wrong is ever dropped, only what it looks like.
func (s *State) trim() {
	if len(s.Gone) > maxGone {
		s.Gone = slices.Clone(s.Gone[:maxGone])
	}
	for i := goneWithRow; i < len(s.Gone); i++ {
		s.Gone[i].Row = nil
	}
	size := 0
	for _, rows := range [][]TrackedRow{s.Rows, s.Gone} {
		for i := range rows {
			if rows[i].Row == nil {
				continue
			}
			text, _ := rows[i].Row.MarshalJSON()
			if size += len(text); size > maxTrackedSize {
				rows[i].Row = nil
			}
		}
	}
}
