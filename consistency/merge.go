package consistency

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
)

// visitor takes what a merge sees, in the order of the keys. Rows are valid during the call only.
type visitor interface {
	// settled is called once, before any row.
	settled(p *pairing)
	// same takes the number of rows that are the same on both sides.
	same(row []byte) error
	// missing takes a row that one side does not have.
	missing(side int, row []byte) error
	// pair takes two rows with the same key that are not the same byte for byte.
	pair(left, right []byte) error
}

// stream is one side of a merge as its consumer sees it.
type stream struct {
	full, free chan *batch
	current    *batch
	at         int
	err        error // why it ended; set before full is closed
}

// next returns the next row; ok is false at a clean end only.
func (s *stream) next() (row []byte, ok bool, err error) {
	for {
		if s.current != nil {
			if s.at < len(s.current.ends) {
				row = s.current.row(s.at)
				s.at++
				return row, true, nil
			}
			s.free <- s.current // never blocks: it has room for all batches
			s.current = nil
		}
		b, ok := <-s.full
		if !ok {
			return nil, false, s.err
		}
		s.current, s.at = b, 0
	}
}

// merge reads both sources at the same time and visits their rows by key. Nothing was missing unless it returns nil: a side that failed is an error.
func merge(ctx context.Context, sources [2]Source, m *meeting, after, upTo neutralKey, v visitor) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var streams [2]*stream
	for side := range sources {
		s := &stream{full: make(chan *batch, batches), free: make(chan *batch, batches)}
		for range batches - 1 {
			s.free <- &batch{}
		}
		streams[side] = s
		go func() {
			s.err = produce(ctx, sources[side], m, side, after, upTo, s)
			if s.err != nil {
				cancel(s.err)
			}
			close(s.full)
		}()
	}
	err := mergeStreams(m, streams, v)
	cancel(err)
	for _, s := range streams { // nothing may run on when the caller goes on
		for range s.full { // until it has ended
		}
		if err == nil {
			err = s.err
		}
	}
	if err != nil {
		return context.Cause(ctx) // what went wrong first: the other side then ends with it
	}
	return nil
}

// produce reads one side into batches.
func produce(ctx context.Context, source Source, m *meeting, side int, after, upTo neutralKey, s *stream) error {
	sink := &orderSink{rowBuilder: rowBuilder{ctx: ctx, meeting: m, side: side}, after: keyCells(after), upTo: keyCells(upTo), current: &batch{}, full: s.full, free: s.free}
	_, err := guardedCall(ctx, func(ctx context.Context) (struct{}, error) {
		if err := scanSource(ctx, source, m.layout.request(side, after, upTo), m.layout.declaredKinds(), sink); err != nil {
			return struct{}{}, err
		}
		if sink.p == nil {
			return struct{}{}, errors.New("the source ended before it began")
		}
		return struct{}{}, sink.flush()
	})
	if err == nil {
		err = context.Cause(ctx) // a source that just stops when its context ends has not come to its end
	}
	return onSide(m.layout.names[side], err)
}

// onSide says on which side an error happened, unless it says so itself.
func onSide(name string, err error) error {
	if err == nil || strings.HasPrefix(err.Error(), name+": ") || strings.HasPrefix(err.Error(), name+" is ") || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

func scanSource(ctx context.Context, source Source, want scanRequest, kinds []Kind, sink rowSink) error {
	if raw, ok := source.(rawSource); ok {
		return raw.scan(ctx, want, sink)
	}
	return outerSource{source}.scan(ctx, want, kinds, sink)
}

func mergeStreams(m *meeting, streams [2]*stream, v visitor) error {
	left, lok, err := streams[0].next()
	if err != nil {
		return err
	}
	right, rok, err := streams[1].next()
	if err != nil {
		return err
	}
	<-m.done // both sides began, or next had failed
	kinds := m.result.keyKinds
	v.settled(m.result)
	for lok || rok {
		order := 0
		switch {
		case !rok:
			order = -1
		case !lok:
			order = 1
		case bytes.Equal(left, right):
			if err := v.same(left); err != nil {
				return err
			}
		default:
			if order = compareKeyCells(kinds, left, right); order == 0 {
				if err := v.pair(left, right); err != nil {
					return err
				}
			}
		}
		if order < 0 {
			err = v.missing(1, left)
		} else if order > 0 {
			err = v.missing(0, right)
		}
		if err != nil {
			return err
		}
		if order <= 0 {
			if left, lok, err = streams[0].next(); err != nil {
				return err
			}
		}
		if order >= 0 {
			if right, rok, err = streams[1].next(); err != nil {
				return err
			}
		}
	}
	return nil
}
