package consistency

import (
	"fmt"
	"time"
)

// RowPhase is where a row stands in its life after a run, seen from the run before.
type RowPhase int

const (
	// RowNew is a row that was convicted for the first time.
	RowNew RowPhase = iota + 1
	// RowContinuing is a row that was convicted before and still is.
	RowContinuing
	// RowResolved is a row that was convicted before and was found to be all right by a look that would have shown it.
	RowResolved
	// RowReappeared is a row that is convicted again after it had been resolved. That is louder than a new one: a repair did not hold.
	RowReappeared
)

// String returns "new", "continuing", "resolved" or "reappeared".
func (p RowPhase) String() string {
	switch p {
	case RowNew:
		return "new"
	case RowContinuing:
		return "continuing"
	case RowResolved:
		return "resolved"
	case RowReappeared:
		return "reappeared"
	}
	return "RowPhase(?)"
}

// MarshalText returns String.
func (p RowPhase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (p *RowPhase) UnmarshalText(text []byte) error {
	for known := RowNew; known <= RowReappeared; known++ {
		if string(text) == known.String() {
			*p = known
			return nil
		}
	}
	return fmt.Errorf("%q is not a phase of a row", text)
}

// A TrackedRow is a convicted row and what is known of its life.
type TrackedRow struct {
	Violation
	// Phase is where the row stood after the latest run that could tell.
	Phase RowPhase
	// FirstSeen is when the row was first convicted since it was last all right, LastSeen when it last was.
	FirstSeen, LastSeen time.Time
	// ResolvedAt is when the row was last found to be all right; zero: never.
	ResolvedAt time.Time
	// Appearances counts how often the row became inconsistent: 1 for a row that never was resolved in between.
	Appearances int
	// MutedBy says who muted the row; empty: nobody. A muted row is counted but does not cause a reminder. It ends when the row is resolved.
	MutedBy string
}

// Point is one run in the history of a check.
type Point struct {
	At      time.Time
	Outcome Outcome
	// Total is the number of convicted rows; AtLeast says that there may be more.
	Total   int64
	AtLeast bool
	// New, Resolved and Reappeared count the rows that changed in this run.
	New, Resolved, Reappeared int
	Healed                    int64
	Duration                  time.Duration
}

// Incident is the time from the first conviction until every row is resolved. Notifiers keep one conversation for each.
type Incident struct {
	// ID is unique for the check, and short. A notifier puts it into its message, so that it finds its own message again.
	ID string
	// Opened is when it began.
	Opened time.Time
	// AckedBy says who is on it, AckedUntil until when there are no reminders. New and reappeared rows are told all the same.
	AckedBy    string    `json:",omitempty"`
	AckedUntil time.Time `json:",omitzero"`
	// Acks are the answers that were counted, so that each counts once although a notifier shows it in every run.
	Acks []Ack `json:",omitempty"`
	// Peak is the largest Total.
	Peak int64
}

// Delivery is what one notifier was told of a check.
type Delivery struct {
	// Receipt is what the notifier returned last in this conversation, which lasts from the first event that is not all well until the notifier was told that
	// all is well.
	Receipt Receipt `json:",omitempty"`
	// Incident is the ID of the incident that the notifier believes to be open; empty: none.
	Incident string `json:",omitempty"`
	// Told is when an event was last delivered that said something new; zero: never.
	Told time.Time `json:",omitzero"`
	// Reminded is when people were last told loudly that something is wrong (an opening, a change for the worse, a reminder, an unknown outcome); zero: never
	// since all was well.
	Reminded time.Time `json:",omitzero"`
	// Pending holds what was not delivered yet: it is delivered with the next event, so that nothing is lost when a process is killed or
	// the notifier fails.
	Pending *Change `json:",omitempty"`
}

// Change is what became different between two moments: the counts, and whether something happened that people must be told.
type Change struct {
	New, Resolved, Reappeared int
	// Opened and Closed say that an incident began or ended.
	Opened, Closed bool
	// OutcomeChanged says that the outcome is another one, From which.
	OutcomeChanged bool
	From           Outcome
	// ColumnsAdded and ColumnsRemoved are the columns by which the rows differ in shape from those of the run before.
	ColumnsAdded, ColumnsRemoved []string `json:",omitempty"`
}

// State is what is remembered of one check between runs. It is made by Advance and kept by a Store. The values of masked columns are not in it.
type State struct {
	// Version is the store's, for telling that somebody else has saved in between; zero: never saved. Only a Store sets it.
	Version int64 `json:"-"`
	// Check is the name of the check.
	Check string
	// Outcome is the latest one, Since when it has been this, LastRun when the check last ran, Reason why it is Unknown.
	Outcome        Outcome
	Since, LastRun time.Time
	Reason         string
	// Total is the number of rows that are wrong as far as is known, after the latest run that could tell; AtLeast: there may be more.
	Total   int64
	AtLeast bool
	// Notes are the figures that the latest run which could tell gave beside its verdict; see Findings.Notes.
	Notes []string
	// CleanSince is since when every run has been Consistent; zero: the latest was not. An Unknown run ends it: nobody could tell.
	CleanSince time.Time
	// Rows are the rows that are wrong as far as is known, by FirstSeen and Key. An Unknown run does not change them. At most 10,000, or as many as one run
	// convicts; beyond about 4 MiB together they keep their Key only.
	Rows []TrackedRow
	// Gone are the rows that were resolved, the latest first, at most 1,000: they tell a reappearance. The latest 100 keep their Row.
	Gone []TrackedRow
	// Incident is the open one; nil: there is none.
	Incident *Incident `json:",omitempty"`
	// Closed is the incident that was closed last.
	Closed *Incident `json:",omitempty"`
	// Columns are the columns of the rows when there last were any.
	Columns []string
	// History holds the latest 400 runs, oldest first.
	History []Point
	// Deliveries is what each notifier was told, by the notifier's name.
	Deliveries map[string]Delivery
	// Salt is the random part of the key that makes the identities of rows whose Key is masked; see Runner.Secret.
	Salt []byte `json:",omitempty"`
	// Masked are the columns that were masked when this was saved.
	Masked []string `json:",omitempty"`
}

// Oldest is since when the oldest row has been wrong; zero: there is none.
func (s State) Oldest() time.Time {
	var oldest time.Time
	for _, r := range s.Rows {
		if oldest.IsZero() || r.FirstSeen.Before(oldest) {
			oldest = r.FirstSeen
		}
	}
	return oldest
}

// AckKind is what a person decided.
type AckKind int

const (
	// AckSeen is "somebody is on it": no reminders until Ack.Until.
	AckSeen AckKind = iota + 1
	// AckMute is "these rows": the rows that were wrong at Ack.At cause no reminder any more, until they are resolved.
	AckMute
)

// An Ack is a person's answer to a notification.
type Ack struct {
	Kind AckKind
	// By is who answered, as the notifier names people.
	By string
	// At is when; zero: not known, then it counts from the run that first saw it, and an AckMute is about the rows that were known before that run.
	At time.Time
	// Until is when an AckSeen ends; zero: 24 h after At.
	Until time.Time
}
