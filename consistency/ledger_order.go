package consistency

import (
	"context"
	"time"
)

// order goes over the events by aggregate and sequence: did each reach the later stages in that order?
func (k *ledgerLook) order(ctx context.Context) error {
	if k.requested != nil && k.requested.Sequence != "" && k.published != nil {
		if err := k.orderOf(ctx, k.requested, []*ledgerLog{k.published}, []string{""}); err != nil {
			return err
		}
	}
	source := k.published
	if source == nil || source.Sequence == "" {
		source = k.requested
	}
	if source == nil || source.Sequence == "" {
		return nil
	}
	names := make([]string, len(k.Consumers))
	for i, c := range k.Consumers {
		names[i] = c.Name
	}
	return k.orderOf(ctx, source, k.consumers, names)
}

func (k *ledgerLook) orderOf(ctx context.Context, source *ledgerLog, stages []*ledgerLog, consumers []string) error {
	if len(stages) == 0 {
		return nil
	}
	walks := make([]orderWalks, len(stages))
	return k.reader.scan(ctx, source, k.from, k.until, true, func(events []event) error {
		ids := idsOf(events)
		for i, stage := range stages {
			reached, err := k.reader.lookup(ctx, stage, ids, nil)
			if err != nil {
				return err
			}
			for _, e := range events {
				a := reached[e.id]
				if a == nil || consumers[i] != "" && e.at.Before(k.Consumers[i].Since) {
					continue // not there at all is another fault
				}
				if other, at, wrong := walks[i].of(e).next(e, a.at, k.ClockSkew); wrong {
					k.found.add(outOfOrder(e, stageVerb(consumers[i]), consumers[i], a.at, other, at))
				}
			}
		}
		return nil
	})
}

func stageVerb(consumer string) string {
	if consumer == "" {
		return "published"
	}
	return "consumed"
}

// orderWalks has a walk for each of the aggregates seen last. Aggregates are told apart byte by byte, as a message broker tells keys apart, and the server may sort
// them by a collation for which "A-1" and "a-1" are one: then their events come mixed.
type orderWalks struct {
	recent [orderVariants]*orderWalk // the latest first
}

// orderVariants is how many spellings of one aggregate may come mixed.
const orderVariants = 16

// of returns the walk of the event's aggregate.
func (w *orderWalks) of(e event) *orderWalk {
	i := 0
	for ; i < orderVariants-1; i++ {
		if r := w.recent[i]; r == nil || r.current.aggregateType == e.aggregateType && r.current.aggregateID == e.aggregateID {
			break
		}
	}
	walk := w.recent[i]
	if walk == nil || walk.current.aggregateType != e.aggregateType || walk.current.aggregateID != e.aggregateID {
		walk = &orderWalk{}
	}
	copy(w.recent[1:i+1], w.recent[:i])
	w.recent[0] = walk
	return walk
}

// orderWalk follows the events of one aggregate in the order of their sequence. It is pure.
type orderWalk struct {
	current event // for the sequence at hand
	// latest is the event with a smaller sequence that reached the stage last; tied is the same with those of the sequence at hand.
	latest, tied     event
	latestAt, tiedAt time.Time
}

// next takes the next event and when it reached the stage. wrong: it overtook other, which has a smaller sequence.
func (w *orderWalk) next(e event, at time.Time, skew time.Duration) (other event, otherAt time.Time, wrong bool) {
	if e.sequence != w.current.sequence {
		w.latest, w.latestAt = w.tied, w.tiedAt
	}
	w.current = e
	if at.After(w.tiedAt) {
		w.tied, w.tiedAt = e, at
	}
	return w.latest, w.latestAt, !w.latestAt.IsZero() && at.Add(skew).Before(w.latestAt)
}
