package consistency

import "time"

func (c Change) empty() bool {
	return c.New == 0 && c.Resolved == 0 && c.Reappeared == 0 && !c.Opened && !c.Closed && !c.OutcomeChanged && len(c.ColumnsAdded) == 0 && len(c.ColumnsRemoved) == 0
}

// then is c followed by next; outcome is the one after both.
func (c Change) then(next Change, outcome Outcome) Change {
	out := Change{
		New: c.New + next.New, Resolved: c.Resolved + next.Resolved, Reappeared: c.Reappeared + next.Reappeared,
		Opened: c.Opened || next.Opened, Closed: c.Closed || next.Closed,
		ColumnsAdded:   append(without(c.ColumnsAdded, next.ColumnsRemoved), without(next.ColumnsAdded, c.ColumnsRemoved)...),
		ColumnsRemoved: append(without(c.ColumnsRemoved, next.ColumnsAdded), without(next.ColumnsRemoved, c.ColumnsAdded)...),
	}
	from := outcome
	if next.OutcomeChanged {
		from = next.From
	}
	if c.OutcomeChanged {
		from = c.From
	}
	if from != outcome {
		out.OutcomeChanged, out.From = true, from
	}
	return out
}

// view is what somebody was told so far.
type view struct {
	open     bool // an incident is open, as far as he knows
	told     bool // he was ever told anything
	reminded time.Time
	remind   time.Duration
}

const noReminder = time.Duration(1<<63 - 1)

// reminderSlack is how much too early a reminder may come: a daily run that ends a few seconds earlier than the day before must not wait one more day.
func reminderSlack(remind time.Duration) time.Duration { return remind / 100 }

// reminderAt is the period's beginning that a reminder at now belongs to, so that coming early does not add up.
func reminderAt(last, now time.Time, remind time.Duration) time.Time {
	periods := (now.Sub(last) + reminderSlack(remind)) / remind
	return last.Add(periods * remind)
}

// kindOf is what happened, for somebody with that view, to whom change is news. It goes by levels and not by edges: what was not delivered is made up for.
func kindOf(s State, change Change, v view) EventKind {
	open := s.Incident != nil
	due := v.remind != noReminder && !s.LastRun.Before(v.reminded.Add(v.remind-reminderSlack(v.remind)))
	acked := open && s.LastRun.Before(s.Incident.AckedUntil)
	switch {
	case open && !v.open:
		return EventOpened
	case open && change.New+change.Reappeared > 0:
		return EventWorse
	case s.Outcome == Unknown:
		if change.OutcomeChanged || v.reminded.IsZero() || due && !acked {
			return EventUnknown
		}
	case !open && (v.open || change.Opened && change.Closed):
		return EventResolved
	case !open && v.told && change.OutcomeChanged && change.From == Unknown:
		return EventRecovered
	case open && due && !acked && (len(s.Rows) == 0 || s.muted() < len(s.Rows)):
		return EventReminder
	}
	return EventQuiet
}
