package consistency

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Defaults of Ledger's times.
const (
	// DefaultLedgerWithin is how long an event may take from one stage to the next when Ledger.Within is zero.
	DefaultLedgerWithin = 10 * time.Minute
	// DefaultLedgerBack is how far a run looks back when Ledger.Back is zero.
	DefaultLedgerBack = 24 * time.Hour
)

// NoColumn says that an EventLog has no column where the default would name one.
const NoColumn = "-"

// What Ledger finds: the value of the column "problem" in its rows, and the first part of their keys.
const (
	// NeverPublished is an event that was requested more than Within ago and not published.
	NeverPublished = "never-published"
	// NeverConsumed is an event that was published (or requested, where there is no publication history) more than Within ago and not consumed by a
	// Consumer that should have.
	NeverConsumed = "never-consumed"
	// ConsumedTwice is an event that the same Consumer consumed more often than its declared Replays explain.
	ConsumedTwice = "consumed-twice"
	// NeverRequested is a publication or a consumption without its request.
	NeverRequested = "never-requested"
	// ConsumedUnpublished is a consumption without its publication.
	ConsumedUnpublished = "consumed-unpublished"
	// OutOfOrder is an event that reached a stage before another event of its aggregate with a smaller sequence did.
	OutOfOrder = "out-of-order"
)

// Ledger is a Check over the life of events: requested (an outbox, or an event request history), published, and consumed by each consumer that should. The
// histories may live in different databases. It finds NeverPublished, NeverConsumed, ConsumedTwice, NeverRequested, ConsumedUnpublished and OutOfOrder, and
// notes how long publication and delivery take (Findings.Notes: p50, p99 and the longest).
//
// A row has the columns problem, event_id, aggregate_type, aggregate_id, type, consumer, since, other_event and detail; Meta.Mask may name any of them.
//
// It reads what happened between Back and Within ago, in batches, so that memory does not grow with the tables: each history by a range of its At
// column and by its id. Both need an index; a Sequence needs one on (aggregate type, aggregate id, sequence), or the server sorts the window. A row that
// was found once and is older than Back is still looked at again by its key, and resolved only when it is all right; see Findings.Windowed.
//
// It reads in read-only sessions as SQL does, up to two connections of each DB at a time, within Meta.Timeout for the whole look: raise that for large windows.
type Ledger struct {
	Meta
	// Requested is where the application writes what is to be published, in the transaction that causes it. Column names that are empty are those of
	// Debezium's outbox event router: id, aggregatetype, aggregateid and type; it has no column for At by default, so At must be named.
	// https://debezium.io/documentation/reference/stable/transformations/outbox-event-router.html#basic-outbox-table
	// Zero: there is none.
	Requested EventLog
	// Published is the history of publications. ID defaults to event_id; it has no other column unless named. It may be the table of Requested with
	// another At, such as published_at. Zero: there is none.
	Published EventLog
	// Consumers are those who should consume the events, each with the history of what it consumed.
	Consumers []Consumer
	// Within is how long an event may take from one stage to the next. Whatever is younger is not judged. Zero: DefaultLedgerWithin.
	Within time.Duration
	// Back is how far a run looks back. Zero: DefaultLedgerBack.
	Back time.Duration
	// Since is when judging begins: what happened before is left alone, for example what was there before the histories were complete. Zero: always.
	Since time.Time
	// ClockSkew is how far apart the clocks that write At may be; it is allowed for in OutOfOrder. Zero: not at all.
	ClockSkew time.Duration
	// AsOf is the moment that all databases show, if they are frozen clones. Zero: now.
	AsOf time.Time
	// MaxRows is the number of violations that are kept; what goes beyond is only counted. Zero: DefaultMaxRows.
	MaxRows int
}

// EventLog is one table in the life of events, and its columns.
type EventLog struct {
	// DB holds the table. Required. MySQL or MariaDB.
	DB *sql.DB
	// Table is its name, optionally with its database: "outbox", "shop.outbox". Required.
	Table string
	// ID identifies the event, in every table of a Ledger. Its default is said at Ledger.Requested and Ledger.Published.
	ID string
	// IDs says how ID is stored. Integers and text need not be declared.
	IDs IDKind
	// At is the column with the time at which the event reached this stage. Required. A row in which it is NULL has not reached it.
	At string
	// Times says how At is stored. DATETIME and TIMESTAMP need not be declared.
	Times TimeKind
	// Location is the time zone of a DATETIME, which stores none. Nil: UTC.
	Location *time.Location
	// AggregateType, AggregateID and Type name the columns that say what the event is about. Shown in rows; see Consumer and Sequence.
	AggregateType, AggregateID, Type string
	// Sequence orders the events of one aggregate: a number, or a time if no two events of an aggregate share one. Where it is given, OutOfOrder is looked for.
	// Aggregates are told apart byte by byte: ids that differ in letter case are two, also where the column's collation makes them one. Up to 16 such spellings are
	// followed at once.
	// Only for Requested and Published; if both have one, that of Published counts for consumers.
	Sequence string
	// Where restricts the rows, for example "topic = ?", with Args.
	Where string
	Args  []any
	// Keep says how long rows stay in this table before they are deleted. A younger event that is not here never was. Zero: they stay. Where it is shorter
	// than the time for which Ledger looks back, orphans are sought only among what is young enough.
	Keep time.Duration
	// Drained says that a request is deleted once it is published, as in Debezium's outbox pattern. Then nothing follows from its absence, and a request that is
	// still here after Within is NeverPublished, unless a Published history shows it. Only for Requested.
	//
	// With Drained and nothing else declared, a healthy table is empty: the number of examined rows is then unknown, and a wrong table looks healthy. Declare Published if
	// you have it.
	Drained bool
}

// Consumer is who should consume events.
type Consumer struct {
	// Name identifies it. Required.
	Name string
	// Log is its history of consumption, often the one that makes it idempotent. ID defaults to event_id. Required.
	Log EventLog
	// Column is the column of Log that holds Name, where consumers share the table. Empty: the table is this consumer's own.
	Column string
	// AggregateTypes and Types restrict what it should consume, by the columns of Published, or of Requested if there is no Published. Empty: all.
	AggregateTypes, Types []string
	// Since is when it began: earlier events are none of its business. Zero: always.
	Since time.Time
	// Replays are the times at which its offset was rewound. Each explains one more consumption of an event.
	Replays []Replay
}

// Replay is a declared time in which a consumer consumes again what it had consumed: an offset was rewound.
type Replay struct {
	From, Until time.Time
	// Reason is for those who read the declaration later.
	Reason string
}

func (r Replay) covers(t time.Time) bool { return !t.Before(r.From) && t.Before(r.Until) }

func (c Consumer) expects(e event) bool {
	return !e.at.Before(c.Since) && (len(c.AggregateTypes) == 0 || slices.Contains(c.AggregateTypes, e.aggregateType)) &&
		(len(c.Types) == 0 || slices.Contains(c.Types, e.typ))
}

func (c Consumer) replaying(t time.Time) bool {
	return slices.ContainsFunc(c.Replays, func(r Replay) bool { return r.covers(t) })
}

func (e EventLog) declared() bool { return e.Table != "" || e.DB != nil }

func (l Ledger) within() time.Duration { return defaultTo(l.Within, DefaultLedgerWithin) }
func (l Ledger) back() time.Duration   { return defaultTo(l.Back, DefaultLedgerBack) }
func (l Ledger) maxRows() int          { return defaultTo(l.MaxRows, DefaultMaxRows) }

func defaultTo[T comparable](v, instead T) T {
	var zero T
	if v == zero {
		return instead
	}
	return v
}

// normal returns the ledger with the defaults of its columns filled in.
func (l Ledger) normal() Ledger {
	if l.Requested.declared() {
		r := &l.Requested
		r.ID, r.AggregateType, r.AggregateID, r.Type = defaultTo(r.ID, "id"), defaultTo(r.AggregateType, "aggregatetype"), defaultTo(r.AggregateID, "aggregateid"), defaultTo(r.Type, "type")
	}
	l.Published.ID = defaultTo(l.Published.ID, "event_id")
	l.Consumers = slices.Clone(l.Consumers)
	logs := []*EventLog{&l.Requested, &l.Published}
	for i := range l.Consumers {
		l.Consumers[i].Log.ID = defaultTo(l.Consumers[i].Log.ID, "event_id")
		logs = append(logs, &l.Consumers[i].Log)
	}
	for _, log := range logs {
		for _, column := range []*string{&log.AggregateType, &log.AggregateID, &log.Type} {
			if *column == NoColumn {
				*column = ""
			}
		}
	}
	return l
}

// Validate says all that is wrong with the declaration, without connecting. The Runner calls it at its start.
func (l Ledger) Validate() error {
	l = l.normal()
	var errs []error
	problem := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"Within", l.Within}, {"Back", l.Back}, {"ClockSkew", l.ClockSkew}} {
		if d.value < 0 {
			problem("Ledger.%s is %s: it must not be negative (0 means the default)", d.name, d.value)
		}
	}
	if l.back() <= l.within() {
		problem("Ledger.Back (%s) must be longer than Ledger.Within (%s), or nothing is ever judged", l.back(), l.within())
	}
	if l.MaxRows < 0 {
		problem("Ledger.MaxRows is %d: it must not be negative (0 means %d)", l.MaxRows, DefaultMaxRows)
	}
	asks := len(l.Consumers) > 0 || l.Requested.declared() && (l.Published.declared() || l.Requested.Drained)
	switch {
	case !l.Requested.declared() && !l.Published.declared():
		problem("Ledger has neither Requested nor Published: without one of them nobody knows what should have been consumed")
	case !asks:
		problem("Ledger has one history and nothing to hold against it: add Published, Consumers, or Requested.Drained if requests are deleted once published")
	case len(l.Consumers) > 0 && !l.Published.declared() && l.Requested.Drained:
		problem("Ledger.Requested is Drained and there is no Published: nobody knows what the Consumers should have consumed; add Published, or do without Consumers")
	}
	if l.Published.Drained {
		problem("Ledger.Published.Drained: only Requested can be; set Keep for a history from which old rows are deleted")
	}
	if l.Requested.Drained && l.Requested.Sequence != "" {
		problem("Ledger.Requested.Sequence: requests that are deleted once published (Drained) cannot show the order; give Published the Sequence")
	}
	if isMasked(l.Mask, "event_id") && !isMasked(l.Mask, "other_event") {
		problem("Meta.Mask hides event_id but not other_event, which holds the same kind of value: mask both")
	}
	for _, m := range l.Mask {
		if !slices.ContainsFunc(ledgerColumns, func(c string) bool { return strings.EqualFold(c, m) }) {
			problem("Meta.Mask names %q, but a row of a Ledger has only the columns %s", m, strings.Join(ledgerColumns, ", "))
		}
	}
	for _, log := range l.logs() {
		errs = append(errs, log.problems(l.within())...)
	}
	for i, c := range l.Consumers {
		errs = append(errs, l.consumerProblems(i, c)...)
	}
	return errors.Join(errs...)
}

func (l Ledger) consumerProblems(i int, c Consumer) (errs []error) {
	where := fmt.Sprintf("Ledger.Consumers[%d]", i)
	problem := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(where+": "+format, args...))
	}
	if strings.TrimSpace(c.Name) == "" {
		problem("Name is empty: say who consumes")
	}
	if c.Log.Sequence != "" || c.Log.Drained {
		problem("Log: Sequence and Drained are for Requested and Published")
	}
	for j, other := range l.Consumers[:i] {
		if other.Name == c.Name {
			problem("Consumers[%d] has the same Name %q", j, c.Name)
		}
	}
	for j, r := range c.Replays {
		if !r.From.Before(r.Until) {
			problem("Replays[%d] ends before it begins: set From and Until", j)
		}
	}
	source, name := l.Requested, "Requested"
	if l.Published.declared() {
		source, name = l.Published, "Published"
	}
	if len(c.AggregateTypes) > 0 && source.AggregateType == "" {
		problem("AggregateTypes needs the column %s.AggregateType", name)
	}
	if len(c.Types) > 0 && source.Type == "" {
		problem("Types needs the column %s.Type", name)
	}
	return errs
}

// logs returns the declared histories with their names, in the order requested, published, consumers.
func (l Ledger) logs() []*ledgerLog {
	var logs []*ledgerLog
	for _, log := range []*ledgerLog{{EventLog: l.Requested, name: "Requested"}, {EventLog: l.Published, name: "Published"}} {
		if log.declared() {
			logs = append(logs, log)
		}
	}
	for i, c := range l.Consumers {
		logs = append(logs, &ledgerLog{EventLog: c.Log, name: fmt.Sprintf("Consumers[%d].Log", i), column: c.Column, consumer: c.Name})
	}
	return logs
}

func (l *ledgerLog) problems(within time.Duration) (errs []error) {
	problem := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("the Ledger's %s: %w", l.name, fmt.Errorf(format, args...)))
	}
	if l.DB == nil {
		problem("DB is nil: set it to the database that holds the table")
	}
	if strings.TrimSpace(l.Table) == "" {
		problem("Table is empty: name the table")
	}
	if strings.TrimSpace(l.At) == "" {
		problem("At is empty: name the column with the time (Debezium's outbox has none by default: add one, for example created_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6), and an index on it)")
	}
	if l.Sequence != "" && l.AggregateID == "" {
		problem("Sequence needs AggregateID: the order is kept within one aggregate")
	}
	if l.Keep < 0 || l.Keep > 0 && l.Keep <= 2*within {
		problem("Keep is %s: it must be longer than twice Within (%s), or nothing can be told before rows are deleted", l.Keep, within)
	}
	if l.IDs < IDAuto || l.IDs > IDSwappedUUID {
		problem("IDs is %d, which is no IDKind", l.IDs)
	}
	if l.Times < TimeAuto || l.Times > TimeUnixMicros {
		problem("Times is %d, which is no TimeKind", l.Times)
	}
	if l.Where == "" && len(l.Args) > 0 {
		problem("Args is set but Where is empty")
	}
	if l.DB != nil && l.Table != "" && l.At != "" {
		if err := vetAnyMode(l.selectRows("1 = 1", "")); err != nil {
			problem("Where: %w", err)
		}
	}
	return errs
}
