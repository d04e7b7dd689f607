package consistency

import (
	"fmt"
	"strings"
	"time"
)

// ledgerColumns are the columns of a Ledger's rows, whatever is wrong, so that the shape of its result never changes.
var ledgerColumns = []string{"problem", "event_id", "aggregate_type", "aggregate_id", "type", "consumer", "since", "other_event", "detail"}

// ledgerKey is the key of a violation: all that it takes to look at it again, without its row.
func ledgerKey(problem, id, consumer, other string) string {
	parts := []string{problem, escapeKeyText(id)}
	if consumer != "" || other != "" {
		parts = append(parts, escapeKeyText(consumer))
	}
	if other != "" {
		parts = append(parts, escapeKeyText(other))
	}
	return strings.Join(parts, ",")
}

// ledgerRow makes the violation. Nothing in it changes from look to look, and detail holds no value that a mask may have to hide.
func ledgerRow(problem string, e event, consumer string, since time.Time, other, detail string) Violation {
	key := ledgerKey(problem, e.id, consumer, other)
	values := []string{problem, e.id, e.aggregateType, e.aggregateID, e.typ, consumer, since.UTC().Format(time.RFC3339Nano), other, detail}
	row := make(Row, len(values))
	for i, v := range values {
		row[i] = Field{Name: ledgerColumns[i], Value: v}
		if v == "" {
			row[i].Value = nil
		}
	}
	return Violation{Key: key, Row: row}
}

func neverPublished(e event, drained bool) Violation {
	detail := "requested, and not in the publication history"
	if drained {
		detail = "still among the requests, which are deleted once published"
	}
	return ledgerRow(NeverPublished, e, "", e.at, "", detail)
}

func neverConsumed(e event, consumer, stage string) Violation {
	return ledgerRow(NeverConsumed, e, consumer, e.at, "", stage+", and not consumed by "+consumer)
}

func consumedTwice(e event, consumer string, a *arrival) Violation {
	detail := fmt.Sprintf("consumed %d times by %s", a.rows, consumer)
	if explained := a.rows - a.unexplained(); explained > 0 {
		detail += fmt.Sprintf("; the declared replays explain %d of them", explained)
	}
	return ledgerRow(ConsumedTwice, e, consumer, a.latest, "", detail)
}

func orphan(e event, consumer string, unpublished bool) Violation {
	switch {
	case unpublished:
		return ledgerRow(ConsumedUnpublished, e, consumer, e.at, "", "consumed by "+consumer+", and not in the publication history")
	case consumer != "":
		return ledgerRow(NeverRequested, e, consumer, e.at, "", "consumed by "+consumer+", and not among the requests")
	}
	return ledgerRow(NeverRequested, e, "", e.at, "", "published, and not among the requests")
}

func outOfOrder(e event, stage, consumer string, at time.Time, other event, otherAt time.Time) Violation {
	return ledgerRow(OutOfOrder, e, consumer, at, other.id, fmt.Sprintf("%s %s before other_event, which comes first in the aggregate", stage, otherAt.Sub(at)))
}

// ledgerSeen bounds how many keys are remembered so that an event which is twice in a log is counted once.
const ledgerSeen = 100_000

// ledgerFindings collects the violations of one look: counts all, keeps the first.
type ledgerFindings struct {
	maxRows    int
	violations []Violation
	total      int64
	byProblem  map[string]int64
	seen       map[string]bool
}

func (f *ledgerFindings) add(v Violation) {
	if f.seen[v.Key] {
		return
	}
	if f.seen == nil {
		f.seen, f.byProblem = map[string]bool{}, map[string]int64{}
	}
	if len(f.seen) < ledgerSeen {
		f.seen[v.Key] = true
	}
	f.total++
	problem, _, _ := strings.Cut(v.Key, ",")
	f.byProblem[problem]++
	if len(f.violations) < f.maxRows {
		f.violations = append(f.violations, v)
	}
}

// breakdown says how the total divides.
func (f *ledgerFindings) breakdown() []Count {
	var counts []Count
	for _, problem := range []string{NeverPublished, NeverConsumed, ConsumedTwice, NeverRequested, ConsumedUnpublished, OutOfOrder} {
		if n := f.byProblem[problem]; n > 0 {
			counts = append(counts, Count{Fault: problem, Rows: n})
		}
	}
	return counts
}
