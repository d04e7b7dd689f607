package consistency

import (
	"context"
	"errors"
	"slices"
	"time"
)

// ledgerLook is one look of a Ledger.
type ledgerLook struct {
	Ledger
	reader               ledgerReader
	requested, published *ledgerLog // nil: there is none
	consumers            []*ledgerLog
	now, from, until     time.Time
	found                ledgerFindings
	examined             int64
	notes                []string
}

// look opens a look, calls f, and closes it.
func (l Ledger) look(ctx context.Context, f func(context.Context, *ledgerLook) error) (_ *ledgerLook, err error) {
	if err := l.Validate(); err != nil {
		return nil, Permanent(err)
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout())
	defer cancel()
	look := &ledgerLook{Ledger: l.normal()}
	defer func() {
		if cerr := look.reader.close(ctx); cerr != nil {
			err = errors.Join(err, cerr)
		}
		err = maskError(err, l.Mask)
	}()
	logs := look.logs()
	for _, log := range logs {
		switch log.name {
		case "Requested":
			look.requested = log
		case "Published":
			look.published = log
		default:
			look.consumers = append(look.consumers, log)
		}
	}
	look.now = l.AsOf
	if look.now.IsZero() {
		look.now = time.Now()
	}
	look.from, look.until = look.now.Add(-l.back()), look.now.Add(-l.within())
	if look.from.Before(l.Since) {
		look.from = l.Since
	}
	look.found.maxRows = l.maxRows()
	if err := look.reader.settle(ctx, logs); err != nil {
		return nil, err
	}
	return look, f(ctx, look)
}

// Run reads what happened between Back and Within ago.
func (l Ledger) Run(ctx context.Context) (Findings, error) {
	look, err := l.look(ctx, func(ctx context.Context, look *ledgerLook) error {
		for _, pass := range []func(context.Context) error{look.requests, look.publications, look.consumptions, look.order} {
			if err := pass(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Findings{}, err
	}
	if look.published == nil && len(look.consumers) == 0 {
		look.examined = -1 // a drained outbox alone: none is the healthy number
	}
	return Findings{Violations: look.found.violations, Total: look.found.total, Examined: look.examined, Breakdown: look.found.breakdown(), Notes: look.notes, Windowed: true}, nil
}

// requests goes over the requests: was each published? Without a publication history: was it consumed?
func (k *ledgerLook) requests(ctx context.Context) error {
	if k.requested == nil {
		return nil
	}
	var publication ages
	var publications *ledgerFeed
	if k.published != nil {
		publications = k.feed(k.published)
	}
	consumed := k.deliveries()
	err := k.reader.scan(ctx, k.requested, k.from, k.until, false, func(events []event) error {
		k.examined += int64(len(events))
		switch {
		case k.published != nil:
			published, err := publications.lookup(ctx, events)
			if err != nil {
				return err
			}
			for _, e := range events {
				if a := published[e.id]; a == nil {
					k.found.add(neverPublished(e, false))
				} else {
					publication.add(a.at.Sub(e.at))
				}
			}
			return nil
		case k.requested.Drained:
			for _, e := range events {
				k.found.add(neverPublished(e, true))
			}
			return nil
		}
		return k.delivered(ctx, events, "requested", consumed)
	})
	if err != nil {
		return err
	}
	k.note(publication.note("publication"))
	k.noteDelivery(consumed)
	return nil
}

// publications goes over the publications: was each requested, and consumed?
func (k *ledgerLook) publications(ctx context.Context) error {
	if k.published == nil {
		return nil
	}
	consumed := k.deliveries()
	var requests *ledgerFeed
	if k.requested != nil {
		requests = k.feed(k.requested)
	}
	err := k.reader.scan(ctx, k.published, k.from, k.until, false, func(events []event) error {
		k.examined += int64(len(events))
		if k.requested != nil {
			if err := k.orphans(ctx, events, requests, Consumer{}); err != nil {
				return err
			}
		}
		return k.delivered(ctx, events, "published", consumed)
	})
	k.noteDelivery(consumed)
	return err
}

// consumptions goes over what each consumer consumed: once, and something that was there to be consumed?
func (k *ledgerLook) consumptions(ctx context.Context) error {
	upstream := k.published
	if upstream == nil {
		upstream = k.requested
	}
	for i, log := range k.consumers {
		consumer := k.Consumers[i]
		sources := k.feed(upstream)
		err := k.reader.scan(ctx, log, k.from, k.until, false, func(events []event) error {
			k.examined += int64(len(events))
			if err := k.orphans(ctx, events, sources, consumer); err != nil {
				return err
			}
			all, err := k.reader.lookup(ctx, log, idsOf(events), consumer.Replays)
			if err != nil {
				return err
			}
			var twice []event
			for _, e := range events {
				// The latest row speaks for all of them, so that the event is found in one batch only.
				if a := all[e.id]; a != nil && a.unexplained() > 1 && e.at.Equal(a.latest) {
					twice = append(twice, e)
				}
			}
			return k.addWithOrigin(ctx, twice, upstream, func(e event) Violation {
				return consumedTwice(e, consumer.Name, all[e.id])
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// delivery is what a pass tells of one consumer.
type delivery struct {
	ages
	feed *ledgerFeed
}

func (k *ledgerLook) deliveries() []delivery {
	all := make([]delivery, len(k.consumers))
	for i, log := range k.consumers {
		all[i].feed = k.feed(log)
	}
	return all
}

// delivered finds the events that a consumer should have consumed and did not.
func (k *ledgerLook) delivered(ctx context.Context, events []event, stage string, deliveries []delivery) error {
	for i, consumer := range k.Consumers {
		var expected []event
		for _, e := range events {
			if consumer.expects(e) {
				expected = append(expected, e)
			}
		}
		consumed, err := deliveries[i].feed.lookup(ctx, expected)
		if err != nil {
			return err
		}
		for _, e := range expected {
			if a := consumed[e.id]; a == nil {
				k.found.add(neverConsumed(e, consumer.Name, stage))
			} else {
				deliveries[i].add(a.at.Sub(e.at))
			}
		}
	}
	return nil
}

// orphans finds the events, publications or those that a consumer consumed, of which the stage before knows nothing although it should.
func (k *ledgerLook) orphans(ctx context.Context, events []event, feed *ledgerFeed, consumer Consumer) error {
	upstream := feed.log
	if upstream.Drained {
		return nil
	}
	var judged []event
	for _, e := range events {
		if k.stillKept(e, upstream, consumer) {
			judged = append(judged, e)
		}
	}
	known, err := feed.lookup(ctx, judged)
	if err != nil {
		return err
	}
	for _, e := range judged {
		if known[e.id] == nil {
			k.found.add(orphan(e, consumer.Name, upstream == k.published))
		}
	}
	return nil
}

// stillKept reports whether upstream must still hold the event: it has not reached the age at which its rows are deleted.
func (k *ledgerLook) stillKept(e event, upstream *ledgerLog, consumer Consumer) bool {
	if e.at.Before(consumer.Since) {
		return false
	}
	if upstream.Keep == 0 {
		return true
	}
	return e.at.After(k.now.Add(k.within()-upstream.Keep)) && !consumer.replaying(e.at)
}

// addWithOrigin adds violations of events of which the log at hand may not say what they are about, and the one before does.
func (k *ledgerLook) addWithOrigin(ctx context.Context, events []event, upstream *ledgerLog, violation func(event) Violation) error {
	origin, err := k.reader.lookup(ctx, upstream, idsOf(events), nil)
	if err != nil {
		return err
	}
	for _, e := range events {
		if o := origin[e.id]; o != nil {
			e.aggregateType, e.aggregateID, e.typ = defaultTo(e.aggregateType, o.aggregateType), defaultTo(e.aggregateID, o.aggregateID), defaultTo(e.typ, o.typ)
		}
		k.found.add(violation(e))
	}
	return nil
}

func (k *ledgerLook) note(n string) {
	if n != "" {
		k.notes = append(k.notes, n)
	}
}

func (k *ledgerLook) noteDelivery(deliveries []delivery) {
	for i := range deliveries {
		k.note(deliveries[i].note("delivery to " + k.Consumers[i].Name))
	}
}

// idsOf returns the ids of the events, each once.
func idsOf(events []event) []string {
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.id
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
