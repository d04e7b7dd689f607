package consistency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// ledgerBatch is how many events are judged at once.
	ledgerBatch = 570
	// ledgerValues is how many values one IN has at most. From 200 on (eq_range_index_dive_limit) the optimizer no longer asks the index but believes its
	// statistics, and where those are old it reads the whole table.
	// https://dev.mysql.com/doc/refman/9.7/en/range-optimization.html#equality-range-optimization
	ledgerValues = 190
)

// ledgerReader reads the logs in read-only sessions: one a database for what is looked up by id, another while a window is being read.
type ledgerReader struct {
	lookups map[*sql.DB]*session
}

// session returns the session for lookups in that database.
func (r *ledgerReader) session(ctx context.Context, db *sql.DB) (*session, error) {
	if s := r.lookups[db]; s != nil {
		return s, nil
	}
	s, err := beginSession(ctx, db)
	if err != nil {
		return nil, err
	}
	if r.lookups == nil {
		r.lookups = map[*sql.DB]*session{}
	}
	r.lookups[db] = s
	return s, nil
}

func beginSession(ctx context.Context, db *sql.DB) (*session, error) {
	s, err := openSession(ctx, db)
	if err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

func (r *ledgerReader) close(ctx context.Context) error {
	var errs []error
	for _, s := range r.lookups {
		errs = append(errs, s.close(ctx))
	}
	return errors.Join(errs...)
}

// settle asks the server what the columns are.
func (r *ledgerReader) settle(ctx context.Context, logs []*ledgerLog) error {
	uuids := false
	for _, l := range logs {
		err := r.types(ctx, l)
		if err != nil {
			return err
		}
		uuids = uuids || l.IDs != IDAuto
	}
	for _, l := range logs {
		if uuids && l.IDs == IDAuto {
			if l.integerID {
				return Permanent(fmt.Errorf("table %s (Ledger.%s): column %s is an integer, and another table of the Ledger holds UUIDs: they cannot be the ids of the same events", l.Table, l.name, l.ID))
			}
			l.IDs = IDUUID
		}
	}
	return nil
}

func (r *ledgerReader) types(ctx context.Context, l *ledgerLog) error {
	s, err := r.session(ctx, l.DB)
	if err != nil {
		return fmt.Errorf("the Ledger's %s: %w", l.name, err)
	}
	query := "SELECT " + quoteName(l.ID) + ", " + quoteName(l.At) + " FROM " + quoteTable(l.Table) + " LIMIT 0"
	return r.query(ctx, s, l, query, nil, func(rows *sql.Rows) error {
		types, err := rows.ColumnTypes()
		if err != nil {
			return advise("read the column types", err)
		}
		return l.settle(types[0].DatabaseTypeName(), types[1].DatabaseTypeName())
	})
}

func (r *ledgerReader) query(ctx context.Context, s *session, l *ledgerLog, query string, args []any, read func(*sql.Rows) error) error {
	vetted, err := s.vet(query)
	if err != nil {
		return fmt.Errorf("the Ledger's %s: %w", l.name, err)
	}
	return s.query(ctx, fmt.Sprintf("table %s (Ledger.%s)", l.Table, l.name), vetted, args, read)
}

// each calls f with every row of a result, as an event.
func (l *ledgerLog) each(rows *sql.Rows, f func(event) error) error {
	var values [6]any
	dest := make([]any, len(values))
	for i := range values {
		dest[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return advise("read the result", err)
		}
		id, err := l.canonicalID(values[0])
		if err != nil {
			return err
		}
		at, err := l.time(values[1])
		if err != nil {
			return err
		}
		if err := f(event{id: id, at: at, aggregateType: ledgerText(values[2]), aggregateID: ledgerText(values[3]), typ: ledgerText(values[4]), sequence: ledgerText(values[5])}); err != nil {
			return err
		}
	}
	return rows.Err()
}

// ledgerText is a value of a column that is only shown, or compared with itself.
func ledgerText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []byte:
		return strings.ToValidUTF8(string(v), "\uFFFD")
	case time.Time:
		return v.Format(time.RFC3339Nano)
	}
	return fmt.Sprint(v)
}

// scan reads the events of a window in batches, in the order of At. Ordered: by aggregate and sequence instead.
func (r *ledgerReader) scan(ctx context.Context, l *ledgerLog, from, until time.Time, ordered bool, batch func([]event) error) (err error) {
	if !from.Before(until) {
		return nil
	}
	s, err := beginSession(ctx, l.DB)
	if err != nil {
		return fmt.Errorf("the Ledger's %s: %w", l.name, err)
	}
	defer func() {
		if cerr := s.close(ctx); cerr != nil {
			err = errors.Join(err, cerr)
		}
	}()
	query, args := l.between(from, until, ordered)
	events := make([]event, 0, ledgerBatch)
	flush := func() error {
		if len(events) == 0 {
			return nil
		}
		defer func() { events = events[:0] }()
		return batch(events)
	}
	return r.query(ctx, s, l, query, args, func(rows *sql.Rows) error {
		err := l.each(rows, func(e event) error {
			if e.at.Before(from) || !e.at.Before(until) {
				return nil
			}
			if events = append(events, e); len(events) == ledgerBatch {
				return flush()
			}
			return nil
		})
		if err != nil {
			return err
		}
		return flush()
	})
}

// arrival is what a log holds of one event, however many rows that are.
type arrival struct {
	event     // the earliest row
	rows      int64
	latest    time.Time
	inReplays []int64 // rows in each of the consumer's replays
}

// lookup returns what the log holds of these events, by their id.
func (r *ledgerReader) lookup(ctx context.Context, l *ledgerLog, ids []string, replays []Replay) (map[string]*arrival, error) {
	found := make(map[string]*arrival, len(ids))
	for some := range slices.Chunk(ids, ledgerValues/l.forms()) {
		query, args, err := l.withIDs(some)
		if err != nil {
			return nil, Permanent(err)
		}
		if query == "" {
			continue
		}
		s, err := r.session(ctx, l.DB)
		if err != nil {
			return nil, fmt.Errorf("the Ledger's %s: %w", l.name, err)
		}
		err = r.query(ctx, s, l, query, args, func(rows *sql.Rows) error {
			return l.each(rows, func(e event) error {
				a := found[e.id]
				if a == nil {
					a = &arrival{event: e, latest: e.at, inReplays: make([]int64, len(replays))}
					found[e.id] = a
				}
				a.add(e, replays)
				return nil
			})
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (a *arrival) add(e event, replays []Replay) {
	a.rows++
	if e.at.Before(a.at) {
		a.event = e
	}
	if e.at.After(a.latest) {
		a.latest = e.at
	}
	for i, r := range replays {
		if r.covers(e.at) {
			a.inReplays[i]++
			break
		}
	}
}

// unexplained is how often the event arrived beyond what the replays explain: each explains one arrival inside of it. More than one is too often.
func (a *arrival) unexplained() int64 {
	n := a.rows
	for _, r := range a.inReplays {
		n -= min(r, 1)
	}
	return n
}
