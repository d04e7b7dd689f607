package consistency

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// layout is what of a Reconcile both sides have to read: the key, the compared columns, and the column that says when a row changed.
type layout struct {
	rules          []Column
	keys, compared int
	changedAt      bool
	names          [2]string // of the sides
	mask           []string
}

func (r Reconcile) layout() layout {
	l := layout{keys: len(r.Key), compared: len(r.Compare), mask: r.Describe().Mask, names: [2]string{"left", "right"}}
	l.rules = append(append(l.rules, r.Key...), r.Compare...)
	if r.ChangedAt.Name != "" {
		changed := r.ChangedAt
		l.rules, l.changedAt = append(l.rules, changed), true
	}
	if r.LeftName != "" {
		l.names[0] = r.LeftName
	}
	if r.RightName != "" {
		l.names[1] = r.RightName
	}
	return l
}

// request is what to read of one side.
func (l layout) request(side int, after, upTo neutralKey) scanRequest {
	want := scanRequest{keys: l.keys, rules: l.rules, after: after, upTo: upTo}
	for _, c := range l.rules {
		want.columns = append(want.columns, c.name(side))
	}
	return want
}

func (l layout) declaredKinds() []Kind {
	kinds := make([]Kind, len(l.rules))
	for i, c := range l.rules {
		kinds[i] = c.Kind
	}
	return kinds
}

func (l layout) masks(c Column) bool { return isMasked(l.mask, c.Name) || isMasked(l.mask, c.name(1)) }

// name is the column's name on a side: 0 is the left.
func (c Column) name(side int) string {
	if side == 1 && c.Right != "" {
		return c.Right
	}
	return c.Name
}

// pairing is a layout whose kinds are settled.
type pairing struct {
	layout
	kinds    []Kind
	keyKinds []Kind
	readers  [2][]cellReader
}

// pair settles the kinds from what both sides say about their columns.
func (l layout) pair(sides [2][]resolvedColumn) (*pairing, error) {
	p := &pairing{layout: l}
	var errs []error
	for i, rule := range l.rules {
		both := [2]resolvedColumn{sides[0][i], sides[1][i]}
		kind, err := agreeKind(rule, both, l.names)
		if err == nil && i < l.keys && (kind == KindFloat || kind == KindJSON) {
			err = fmt.Errorf("key column %q is %s, which has no exact order: choose another key, or declare its Kind", rule.Name, kind)
		}
		if err == nil && i >= l.keys+l.compared && kind != KindTime {
			err = fmt.Errorf("ChangedAt: column %q is %s and not a time", rule.Name, kind)
		}
		if err == nil {
			err = rule.fits(kind)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.kinds = append(p.kinds, kind)
		for side := range both {
			p.readers[side] = append(p.readers[side], cellReader{kind: kind, rule: rule, key: i < l.keys, from: both[side]})
		}
	}
	if len(errs) > 0 {
		return nil, Permanent(errors.Join(errs...))
	}
	p.keyKinds = p.kinds[:l.keys]
	return p, nil
}

// fits says which rules of the column its kind does not know.
func (c Column) fits(kind Kind) error {
	var errs []error
	for _, rule := range []struct {
		name  string
		set   bool
		kinds []Kind
	}{
		{"Fold", c.Fold, []Kind{KindText}},
		{"TrimSpace", c.TrimSpace, []Kind{KindText}},
		{"EmptyIsNull", c.EmptyIsNull, []Kind{KindText, KindBinary}},
		{"HasScale", c.HasScale, []Kind{KindDecimal, KindTime}},
		{"Tolerance", c.Tolerance != 0, []Kind{KindFloat}},
		{"Location", c.Location != nil, []Kind{KindTime}},
	} {
		fits := !rule.set
		for _, k := range rule.kinds {
			fits = fits || k == kind
		}
		if !fits {
			errs = append(errs, fmt.Errorf("column %q is %s, and Column.%s is for %s only", c.Name, kind, rule.name, kindList(rule.kinds)))
		}
	}
	return errors.Join(errs...)
}

func kindList(kinds []Kind) string {
	text := kinds[0].String()
	for _, k := range kinds[1:] {
		text += " and " + k.String()
	}
	return text
}

// meeting is where the two sides, reading at the same time, settle the kinds before their first row.
type meeting struct {
	layout layout
	mu     sync.Mutex
	sides  [2][]resolvedColumn
	come   int
	done   chan struct{}
	result *pairing
	err    error
}

func newMeeting(l layout) *meeting { return &meeting{layout: l, done: make(chan struct{})} }

// settled is a meeting that is over: its kinds are known.
func settled(p *pairing) *meeting {
	m := &meeting{layout: p.layout, done: make(chan struct{}), result: p}
	close(m.done)
	return m
}

func (m *meeting) join(ctx context.Context, side int, columns []resolvedColumn) (*pairing, error) {
	m.mu.Lock()
	if m.result == nil && m.err == nil {
		m.sides[side] = columns
		if m.come++; m.come == 2 {
			m.result, m.err = m.layout.pair(m.sides)
			close(m.done)
		}
	}
	m.mu.Unlock()
	select {
	case <-m.done:
		return m.result, m.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
