package consistency

import (
	"context"
	"database/sql"
	"time"
)

const (
	// feedPage is how many rows a feed reads at once.
	feedPage = 4 * ledgerBatch
	// feedHeld is how many events a feed remembers at most.
	feedHeld = 8 * ledgerBatch
	// feedPages is how many pages a feed reads at most for one batch.
	feedPages = 4
)

// ledgerFeed reads a log in the order of At beside another one that is read in that order too, and remembers the last rows: reading on costs a tenth of looking
// up by id. What it does not hold is looked up, and what was found tells it where to read. It says whether an event is in the log, and when it first was
// there among what it read; not how often.
type ledgerFeed struct {
	reader   *ledgerReader
	log      *ledgerLog
	ahead    time.Duration // how far it reads beyond the batch
	position time.Time     // zero: nobody knows where to read
	over     bool          // there is nothing more to read, or it cannot go on
	held     []*arrival    // in the order of At
	known    map[string]*arrival
}

func (k *ledgerLook) feed(log *ledgerLog) *ledgerFeed {
	return &ledgerFeed{reader: &k.reader, log: log, ahead: k.within(), known: map[string]*arrival{}}
}

// lookup returns what the log holds of the events, which come in the order of At.
func (f *ledgerFeed) lookup(ctx context.Context, events []event) (map[string]*arrival, error) {
	found := make(map[string]*arrival, len(events))
	if len(events) == 0 {
		return found, nil
	}
	first, last := events[0].at, events[len(events)-1].at
	missing := f.take(idsOf(events), found)
	for range feedPages {
		if len(missing) == 0 || f.position.IsZero() || f.over || f.position.After(last.Add(f.ahead)) || !f.room(first) {
			break
		}
		if err := f.read(ctx); err != nil {
			return nil, err
		}
		missing = f.take(missing, found)
	}
	rest, err := f.reader.lookup(ctx, f.log, missing, nil)
	if err != nil {
		return nil, err
	}
	for id, a := range rest {
		found[id] = a
		if f.position.IsZero() || a.at.Before(f.position) && len(f.known) == 0 {
			f.position = a.at
		}
	}
	return found, nil
}

// take moves what the feed holds to found, and returns the others.
func (f *ledgerFeed) take(ids []string, found map[string]*arrival) (missing []string) {
	for _, id := range ids {
		if a := f.known[id]; a != nil {
			found[id] = a
		} else {
			missing = append(missing, id)
		}
	}
	return missing
}

// room forgets the oldest where the feed is full, unless they belong to what is still to come. It reports whether a page can be read.
func (f *ledgerFeed) room(first time.Time) bool {
	forget := 0
	for len(f.held)-forget > feedHeld-feedPage {
		if !f.held[forget].at.Before(first) {
			break
		}
		delete(f.known, f.held[forget].id)
		forget++
	}
	f.held = append(f.held[:0], f.held[forget:]...)
	return len(f.held) <= feedHeld-feedPage
}

// read reads the next page. It begins where the last one ended, with the rows of that moment once more.
func (f *ledgerFeed) read(ctx context.Context) error {
	s, err := f.reader.session(ctx, f.log.DB)
	if err != nil {
		return err
	}
	query, args := f.log.pageFrom(f.position)
	from, rows := f.position, 0
	err = f.reader.query(ctx, s, f.log, query, args, func(r *sql.Rows) error {
		return f.log.each(r, func(e event) error {
			rows++
			f.position = e.at
			if e.at.Before(from) || f.known[e.id] != nil {
				return nil
			}
			a := &arrival{event: e, rows: 1, latest: e.at}
			f.known[e.id] = a
			f.held = append(f.held, a)
			return nil
		})
	})
	// A page of one moment only: it cannot be got past. All is looked up from here on.
	f.over = rows < feedPage || !f.position.After(from)
	return err
}
