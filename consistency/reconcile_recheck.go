package consistency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// fetchKeys is how many keys one look-up asks for.
const fetchKeys = 200

// Recheck looks again at the suspects: by key on ConfirmLeft and ConfirmRight, where both can find rows by key, else by comparing everything once more and keeping the suspects.
func (r Reconcile) Recheck(ctx context.Context, suspects []Violation) ([]Violation, error) {
	if err := r.Validate(); err != nil {
		return nil, Permanent(err)
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout())
	defer cancel()
	live := r
	if r.ConfirmLeft != nil {
		live.Left = r.ConfirmLeft
	}
	if r.ConfirmRight != nil {
		live.Right = r.ConfirmRight
	}
	if r.ConfirmLeft != nil || r.ConfirmRight != nil {
		live.AsOf = time.Time{} // what is live has no past
	}
	still, err := live.again(ctx, suspects)
	return still, r.hide(err)
}

// again returns the suspects that are still wrong on Left and Right.
func (r Reconcile) again(ctx context.Context, suspects []Violation) ([]Violation, error) {
	if len(suspects) == 0 {
		return nil, nil
	}
	found := newDifferences(r)
	found.maxRows = len(suspects)
	err := r.byKey(ctx, suspects, found)
	if errors.Is(err, errNoFetch) {
		found, err = r.byReadingAll(ctx, suspects)
	}
	if err != nil {
		return nil, err
	}
	if total := found.counts.total(); total > int64(len(found.kept)) {
		return nil, fmt.Errorf("only %d of the %d suspects that are still wrong could be kept: lower Reconcile.MaxRows", len(found.kept), total)
	}
	return found.kept, nil
}

// byReadingAll compares everything and keeps the suspects.
func (r Reconcile) byReadingAll(ctx context.Context, suspects []Violation) (*differences, error) {
	found := newDifferences(r)
	found.maxRows, found.wanted = len(suspects), make(map[string]bool, len(suspects))
	for _, s := range suspects {
		found.wanted[s.Key] = true
	}
	if err := merge(ctx, [2]Source{r.Left, r.Right}, newMeeting(r.layout()), nil, nil, found); err != nil {
		return nil, err
	}
	_, err := found.findings()
	return found, err
}

// byKey looks the suspects up on both sides.
func (r Reconcile) byKey(ctx context.Context, suspects []Violation, found *differences) error {
	if !canFetch(r.Left) || !canFetch(r.Right) {
		return errNoFetch
	}
	l := r.layout()
	for _, c := range r.Key {
		if c.Fold || c.TrimSpace { // the neutral key is not what the source holds
			return errNoFetch
		}
	}
	keys := make([]neutralKey, len(suspects))
	for i, s := range suspects {
		key, err := parseKeyText(s.Key, l.keys)
		if err != nil {
			return Permanent(err)
		}
		keys[i] = key
	}
	read := 0
	for start := 0; start < len(keys); start += fetchKeys {
		end := min(start+fetchKeys, len(keys))
		n, err := r.compareKeys(ctx, l, keys[start:end], found)
		if err != nil {
			return err
		}
		read += n
	}
	if read == 0 && len(keys) > 0 {
		// Nothing there on either side: rows that were deleted, or the wrong database?
		return r.anyRow(ctx, l)
	}
	return nil
}

func canFetch(s Source) bool {
	if _, raw := s.(rawSource); raw {
		_, ok := s.(fetchSource)
		return ok
	}
	_, ok := s.(Lookup)
	return ok
}

// compareKeys looks keys up on both sides at the same time and compares what is there. n is the number of rows that there were.
func (r Reconcile) compareKeys(ctx context.Context, l layout, keys []neutralKey, found *differences) (n int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	m := newMeeting(l)
	wanted := make(map[string]bool, len(keys))
	for _, k := range keys {
		wanted[string(keyCells(k))] = true
	}
	var sinks [2]*fetchSink
	var errs [2]error
	done := make(chan struct{})
	for side, source := range [2]Source{r.Left, r.Right} {
		sinks[side] = &fetchSink{rowBuilder: rowBuilder{ctx: ctx, meeting: m, side: side}, wanted: wanted, rows: map[string][]byte{}}
		go func() {
			defer func() { done <- struct{}{} }()
			sink, err := guardedCall(ctx, func(ctx context.Context) (*fetchSink, error) {
				return sinks[side], fetchFrom(ctx, source, l.request(side, nil, nil), l.declaredKinds(), keys, sinks[side])
			})
			if err == nil {
				err = context.Cause(ctx)
			}
			if err == nil && sink.p == nil {
				err = errors.New("the source ended before it began")
			}
			if errs[side] = onSide(l.names[side], err); err != nil {
				cancel(errs[side])
			}
		}()
	}
	<-done
	<-done
	if errs[0] != nil || errs[1] != nil {
		return 0, context.Cause(ctx)
	}
	found.settled(m.result)
	for _, k := range keys {
		cells := keyCells(k)
		left, right := sinks[0].rows[string(cells)], sinks[1].rows[string(cells)]
		switch {
		case left == nil && right == nil:
			continue
		case left == nil:
			err = found.missing(0, right)
		case right == nil:
			err = found.missing(1, left)
		default:
			err = found.pair(left, right)
		}
		if err != nil {
			return 0, err
		}
	}
	return len(sinks[0].rows) + len(sinks[1].rows), nil
}

func fetchFrom(ctx context.Context, source Source, want scanRequest, kinds []Kind, keys []neutralKey, sink rowSink) error {
	if raw, ok := source.(fetchSource); ok {
		return raw.fetch(ctx, want, keys, sink)
	}
	return outerSource{source}.fetch(ctx, want, kinds, keys, sink)
}

// fetchSink keeps the rows that were looked up.
type fetchSink struct {
	rowBuilder
	wanted map[string]bool
	rows   map[string][]byte
}

func (s *fetchSink) row(raw []sql.RawBytes) error {
	row, err := s.appendRow(nil, raw)
	if err != nil {
		return err
	}
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	key := string(row[:keyEnd(row, s.p.keys)])
	if !s.wanted[key] {
		return nil // a collation finds more than was asked for
	}
	if _, twice := s.rows[key]; twice {
		return Permanent(fmt.Errorf("%s: two rows have the key %s: choose columns that identify a row", s.p.names[s.side], s.p.showKey(row)))
	}
	s.rows[key] = row
	return nil
}

var errFound = errors.New("there is a row")

// anyRow returns nil if at least one of the sources has a row.
func (r Reconcile) anyRow(ctx context.Context, l layout) error {
	err := merge(ctx, [2]Source{r.Left, r.Right}, newMeeting(l), nil, nil, firstRow{})
	switch {
	case errors.Is(err, errFound):
		return nil
	case err != nil:
		return err
	}
	return errNothingExamined
}

// firstRow ends a merge at its first row.
type firstRow struct{}

func (firstRow) settled(*pairing)          {}
func (firstRow) same([]byte) error         { return errFound }
func (firstRow) missing(int, []byte) error { return errFound }
func (firstRow) pair(_, _ []byte) error    { return errFound }
