package consistency

import (
	"context"
	"fmt"
	"time"
)

// A Notifier tells people the result of a check.
//
// What was delivered is remembered by the notifier's name, over restarts. That is its type ("slack.Notifier", "slack.Notifier#2" for a second one); a notifier that
// has a method Name() string is called so.
//
// A notifier may also implement
//
//	Acks(ctx context.Context, r Receipt) ([]Ack, error)  // what people answered in an open conversation; asked before each event
//	Digest(ctx context.Context, d Digest) error          // told once per Runner.DigestEvery
type Notifier interface {
	// Notify delivers one event. The Runner calls it for one event at a time, in the order in which the checks finish, good results
	// included. It must return soon after ctx ends; a Notifier that does not is left behind and not called again in this run.
	Notify(ctx context.Context, e Event) (Receipt, error)
}

// Event is what a Notifier is told: the result of one check and how it differs from what this notifier was told before.
type Event struct {
	Result
	// Kind is what happened.
	Kind EventKind
	// Change is what became different since this notifier was last told successfully.
	Change
	// Incident is the open incident, or the one that this event closes; zero ID: there is none. An unknown outcome alone makes no incident.
	Incident Incident
	// Rows are all rows known to be wrong, and those that were resolved since the notifier was last told, each with its phase and age.
	Rows []TrackedRow
	// Oldest is since when the oldest row has been wrong; zero: none is.
	Oldest time.Time
	// CleanSince is since when every run has been Consistent; zero: not now.
	CleanSince time.Time
	// Since is since when the outcome is what it is.
	Since time.Time
	// Muted is the number of rows that somebody muted.
	Muted int
	// Previous is the Receipt that this notifier returned last in this conversation, which lasts from the first event that is not all well until the notifier was
	// told that all is well; empty: this is the first event of one.
	Previous Receipt
}

// EventKind is what happened to a check, as far as people care.
type EventKind int

const (
	// EventQuiet is the zero value: nothing that people must be told. A notifier that keeps a headline current updates it.
	EventQuiet EventKind = iota
	// EventOpened means: rows are wrong, and none was before.
	EventOpened
	// EventWorse means: rows are wrong that were not before (new or reappeared), in an open incident.
	EventWorse
	// EventReminder means: it is still wrong, and the last telling was at least Meta.Remind ago.
	EventReminder
	// EventResolved means: every row is all right now.
	EventResolved
	// EventUnknown means: the check could not tell, and before it could; or it still cannot and the last telling was at least Meta.Remind ago.
	EventUnknown
	// EventRecovered means: the check can tell again, and all is well.
	EventRecovered
)

// String returns "quiet", "opened", "worse", "reminder", "resolved", "unknown" or "recovered".
func (k EventKind) String() string {
	names := [...]string{"quiet", "opened", "worse", "reminder", "resolved", "unknown", "recovered"}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("EventKind(%d)", int(k))
	}
	return names[k]
}

// MarshalText returns String.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Loud reports whether people are to be told, as against a headline that is only kept current.
func (k EventKind) Loud() bool { return k != EventQuiet }

// Receipt is a notifier's own reference to what it delivered, for example a thread, so that it can follow up there. It may be empty.
type Receipt string
