package consistency

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// callGrace is how long a call may take to return after its context ended, before it is left behind.
const callGrace = 10 * time.Second

// panicError is a panic turned into an error; the stack goes to the log, not into notifications.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("it panicked: %v (the stack is in the log)", e.value)
}

var (
	errAbandoned = fmt.Errorf("it did not return within %s after its time was up and was left behind: it must return when its context ends", callGrace)
	errGoexit    = errors.New("its goroutine ended without returning (runtime.Goexit, for example t.FailNow outside of the test's goroutine)")
)

// guardedCall calls f so that neither a panic in it nor f ignoring the end of ctx can take the caller down.
func guardedCall[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		r := result{err: errGoexit}
		defer func() {
			if p := recover(); p != nil {
				r = result{err: Permanent(&panicError{value: p, stack: debug.Stack()})}
			}
			done <- r
		}()
		value, err := f(ctx)
		r = result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
	}
	grace := time.NewTimer(callGrace)
	defer grace.Stop()
	select {
	case r := <-done:
		return r.value, r.err
	case <-grace.C:
		var none T
		return none, Permanent(errAbandoned)
	}
}

// sleep waits for d, or until ctx ends, which it reports.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func isAbandoned(err error) bool { return errors.Is(err, errAbandoned) }

func panicOf(err error) (*panicError, bool) { return errors.AsType[*panicError](err) }
