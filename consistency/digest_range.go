package consistency

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// keyRange are the rows with after < key ≤ upTo; nil: no bound.
type keyRange struct{ after, upTo neutralKey }

// rangeTask is a range on its way: workers digest it, the reader takes the tasks in the order of the keys.
type rangeTask struct {
	keyRange
	done   chan struct{}
	rows   [2]int64    // of the parts that are the same
	differ []leafRange // of the others
	err    error
}

// leafRange is a range that differs and is to be read.
type leafRange struct {
	keyRange
	rows int64
}

// compareRanges compares the ranges of keys one after the other, several at a time.
func (plan *digestPlan) compareRanges(ctx context.Context, found *differences) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	todo := make(chan *rangeTask)
	inOrder := make(chan *rangeTask, 4*plan.parallel) // what is in memory at a time
	var all sync.WaitGroup
	var divideErr error
	all.Go(func() {
		defer close(todo)
		defer close(inOrder)
		if divideErr = plan.divide(ctx, todo, inOrder); divideErr != nil {
			cancel(divideErr)
		}
	})
	workErrs := make([]error, plan.parallel)
	for i := range workErrs {
		all.Go(func() { workErrs[i] = plan.work(ctx, todo) })
	}
	err = plan.readRanges(ctx, inOrder, found)
	if err != nil {
		cancel(err)
	}
	all.Wait()
	if err == nil {
		err = divideErr
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause // what went wrong first
	}
	return errors.Join(append([]error{err}, workErrs...)...) // a statement may run on
}

// divide walks over the bigger table's index and hands out the ranges: together they are all keys that there could be.
func (plan *digestPlan) divide(ctx context.Context, todo, inOrder chan<- *rangeTask) (err error) {
	side := plan.sides[plan.bigger]
	s, err := side.open(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", plan.p.names[plan.bigger], err)
	}
	defer func() {
		if cerr := s.close(ctx); err == nil {
			err = cerr
		}
	}()
	pace, err := s.stride(ctx, side.key, side.unique)
	if err != nil {
		return fmt.Errorf("%s: %w", plan.p.names[plan.bigger], err)
	}
	var after neutralKey
	for {
		upTo := pace.next(after)
		if upTo == nil {
			if upTo, err = s.boundary(ctx, side.key, side.unique, after, nil, plan.rangeRows); err != nil {
				return fmt.Errorf("%s: %w", plan.p.names[plan.bigger], err)
			}
			pace.asked(after, upTo, plan.rangeRows)
		}
		task := &rangeTask{keyRange: keyRange{after, upTo}, done: make(chan struct{})}
		for _, to := range []chan<- *rangeTask{inOrder, todo} {
			select {
			case to <- task:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if upTo == nil {
			return nil
		}
		after = upTo
	}
}

// work digests ranges until there are no more.
func (plan *digestPlan) work(ctx context.Context, todo <-chan *rangeTask) (err error) {
	var sessions [2]*digestSession
	var opened bool
	var failed error
	defer func() { err = closeBoth(ctx, sessions) }()
	for task := range todo {
		if !opened {
			opened = true
			if sessions, failed = plan.openBoth(ctx); failed != nil {
				sessions = [2]*digestSession{} // closed already
			}
		}
		if task.err = failed; failed == nil {
			task.err = plan.narrow(ctx, sessions, task, task.keyRange, 0)
		}
		close(task.done)
		failed = task.err
	}
	return nil
}

// narrow digests a range and divides it until what differs is small.
func (plan *digestPlan) narrow(ctx context.Context, sessions [2]*digestSession, task *rangeTask, within keyRange, depth int) error {
	where, err := plan.conditions(within)
	if err != nil {
		return err
	}
	digests, err := digestBoth(ctx, sessions, where)
	if err != nil {
		return err
	}
	if digests[0].same(digests[1]) {
		task.rows[0] += digests[0].rows
		task.rows[1] += digests[1].rows
		return nil
	}
	bigger := 0
	if digests[1].rows > digests[0].rows {
		bigger = 1
	}
	rows := digests[bigger].rows
	if rows <= plan.leafRows || depth > 40 {
		task.leaf(within, rows, plan.rangeRows)
		return nil
	}
	side, s := plan.sides[bigger], sessions[bigger]
	step := max(rows/digestParts, plan.leafRows)
	for after := within.after; ; {
		upTo, err := s.boundary(ctx, side.key, side.unique, after, within.upTo, step)
		if err != nil {
			return err
		}
		if upTo == nil {
			upTo = within.upTo
		}
		part := keyRange{after, upTo}
		if sameKey(part.after, within.after) && sameKey(part.upTo, within.upTo) {
			task.leaf(within, rows, plan.rangeRows) // the rows went away meanwhile
			return nil
		}
		if err := plan.narrow(ctx, sessions, task, part, depth+1); err != nil {
			return err
		}
		if sameKey(upTo, within.upTo) {
			return nil
		}
		after = upTo
	}
}

// sameKey compares bounds; nil is one of its own.
func sameKey(a, b neutralKey) bool {
	if (a == nil) != (b == nil) || len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// leaf notes a range to be read. It is put together with its neighbour while both are small.
func (t *rangeTask) leaf(r keyRange, rows, most int64) {
	if n := len(t.differ); n > 0 {
		last := &t.differ[n-1]
		if r.after != nil && sameKey(last.upTo, r.after) && last.rows+rows <= most {
			last.upTo, last.rows = r.upTo, last.rows+rows
			return
		}
	}
	t.differ = append(t.differ, leafRange{r, rows})
}

// conditions writes a range for both servers.
func (plan *digestPlan) conditions(r keyRange) (where [2]string, err error) {
	for side, d := range plan.sides {
		if where[side], err = d.key.between(r.after, r.upTo, true); err != nil {
			return where, fmt.Errorf("%s: %w", plan.p.names[side], err)
		}
	}
	return where, nil
}

// readRanges takes the ranges in the order of the keys and reads what differs.
func (plan *digestPlan) readRanges(ctx context.Context, inOrder <-chan *rangeTask, found *differences) (err error) {
	var sessions [2]*digestSession
	defer func() {
		if cerr := closeBoth(ctx, sessions); err == nil {
			err = cerr
		}
	}()
	for task := range inOrder {
		select {
		case <-task.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if task.err != nil {
			return task.err
		}
		found.examined[0] += task.rows[0]
		found.examined[1] += task.rows[1]
		for _, leaf := range task.differ {
			if sessions[0] == nil {
				if sessions, err = plan.openBoth(ctx); err != nil {
					sessions = [2]*digestSession{}
					return err
				}
			}
			where, err := plan.conditions(leaf.keyRange)
			if err != nil {
				return err
			}
			var parts [2]extent
			for side, d := range plan.sides {
				_, worst := d.key.classes()
				parts[side] = extent{where: where[side], sorted: worst != orderNeutral}
			}
			if err := plan.readPart(ctx, sessions, parts, found); err != nil {
				return err
			}
		}
	}
	return nil
}
