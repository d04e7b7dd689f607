package consistency

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ledgerSuspect is a violation to be looked at again, read out of its key: of its row, a Store may have kept less.
type ledgerSuspect struct {
	violation                    Violation
	problem, id, consumer, other string
}

var errLedgerKey = errors.New("a row cannot be looked at again by its key: Meta.Mask hides event_id or consumer, or another version of the check found it")

func readSuspect(v Violation) (ledgerSuspect, error) {
	s := ledgerSuspect{violation: v}
	parts := splitKey(v.Key)
	for i, into := range []*string{&s.problem, &s.id, &s.consumer, &s.other} {
		if i >= len(parts) {
			break
		}
		var err error
		if *into, err = unescapeKeyPart(parts[i]); err != nil || *into == masked {
			return s, Permanent(errLedgerKey)
		}
	}
	if len(parts) < 2 || ledgerKey(s.problem, s.id, s.consumer, s.other) != v.Key {
		return s, Permanent(errLedgerKey)
	}
	return s, nil
}

// Recheck looks at the suspects by their key, however old they are. Masked values make that impossible for rows of earlier runs, which is an error.
func (l Ledger) Recheck(ctx context.Context, suspects []Violation) ([]Violation, error) {
	list := make([]ledgerSuspect, 0, len(suspects))
	for _, v := range suspects {
		s, err := readSuspect(v)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	var wrong []Violation
	_, err := l.look(ctx, func(ctx context.Context, k *ledgerLook) (err error) {
		wrong, err = k.recheck(ctx, list)
		return err
	})
	return wrong, err
}

func (k *ledgerLook) recheck(ctx context.Context, suspects []ledgerSuspect) ([]Violation, error) {
	// One lookup a log for all suspects.
	var ids []string
	for _, s := range suspects {
		ids = append(ids, s.id)
		if s.other != "" {
			ids = append(ids, s.other)
		}
	}
	known := map[*ledgerLog]map[string]*arrival{}
	look := func(l *ledgerLog, replays []Replay) (err error) {
		if l != nil {
			known[l], err = k.reader.lookup(ctx, l, ids, replays)
		}
		return err
	}
	if err := errors.Join(look(k.requested, nil), look(k.published, nil)); err != nil {
		return nil, err
	}
	for i, log := range k.consumers {
		if err := look(log, k.Consumers[i].Replays); err != nil {
			return nil, err
		}
	}
	var wrong []Violation
	for _, s := range suspects {
		v, still, err := k.stillWrong(s, known)
		if err != nil {
			return nil, err
		}
		if still {
			wrong = append(wrong, v)
		}
	}
	return wrong, nil
}

// origin is what the logs tell of an event now, from the first stage that still holds it.
func (k *ledgerLook) origin(id string, known map[*ledgerLog]map[string]*arrival, stages ...*ledgerLog) (event, bool) {
	for _, l := range stages {
		if a := known[l][id]; l != nil && a != nil {
			return a.event, true
		}
	}
	return event{id: id}, false
}

// stillWrong judges one suspect by what the logs hold now.
func (k *ledgerLook) stillWrong(s ledgerSuspect, known map[*ledgerLog]map[string]*arrival) (Violation, bool, error) {
	var log *ledgerLog
	var consumer Consumer
	for i := range k.consumers {
		if s.consumer != "" && k.Consumers[i].Name == s.consumer {
			log, consumer = k.consumers[i], k.Consumers[i]
		}
	}
	if s.consumer != "" && log == nil {
		return Violation{}, false, nil // no longer a consumer
	}
	stage := log // where the event is, or should be
	if stage == nil {
		stage = k.published
	}
	source := k.published // of what is to be consumed
	if source == nil {
		source = k.requested
	}
	here := known[stage][s.id]
	still, since := false, time.Time{}
	switch s.problem {
	case NeverPublished:
		e, found := k.origin(s.id, known, k.requested)
		since = e.at
		still = k.published != nil && here == nil || k.published == nil && found // drained: gone means published
	case NeverConsumed:
		e, found := k.origin(s.id, known, source)
		since = e.at
		still = here == nil && (!found || consumer.expects(e)) // what should have been consumed may be deleted by now
	case ConsumedTwice:
		if here != nil && here.unexplained() > 1 {
			e, _ := k.origin(s.id, known, source, log)
			return consumedTwice(e, s.consumer, here), !here.latest.Before(k.Since), nil
		}
	case NeverRequested, ConsumedUnpublished:
		upstream := k.requested
		if s.problem == ConsumedUnpublished {
			upstream = k.published
		}
		if here != nil {
			since = here.at
			still = upstream != nil && !upstream.Drained && known[upstream][s.id] == nil && !here.at.Before(consumer.Since)
		}
	case OutOfOrder:
		if other := known[stage][s.other]; here != nil && other != nil {
			since, still = here.at, here.at.Add(k.ClockSkew).Before(other.at)
		}
	default:
		return Violation{}, false, Permanent(fmt.Errorf("%w: it names the unknown problem %q", errLedgerKey, s.problem))
	}
	if !since.IsZero() && since.Before(k.Since) {
		return Violation{}, false, nil // before judging begins
	}
	return s.violation, still, nil
}
