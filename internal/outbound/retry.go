package outbound

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// Tries is how often something is tried at most.
	Tries = 4
	// AskedTries holds instead where the other side names a wait: it is only busy.
	AskedTries = 12
	// MaxWait is the longest wait that the other side may ask for.
	MaxWait = time.Minute
	// firstWait is the wait after the first failure where the other side does not name one; it doubles.
	firstWait = 500 * time.Millisecond
)

// Failure is why one try failed.
type Failure struct {
	// Err is what to tell; it must be fit to be shown.
	Err error
	// Again says that another try may succeed.
	Again bool
	// After is how long the other side asks to wait; zero: it does not.
	After time.Duration
}

// Try calls do until it returns nil, trying again cannot help, the tries are spent or ctx ends. The error wraps that of the last try.
func Try(ctx context.Context, do func(ctx context.Context) *Failure) error {
	for try := 1; ; try++ {
		f := do(ctx)
		switch {
		case f == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", f.Err, context.Cause(ctx))
		case !f.Again:
			return f.Err
		case try >= Tries && f.After == 0, try >= AskedTries:
			return fmt.Errorf("%w (tried %d times)", f.Err, try)
		}
		wait := f.After
		if wait == 0 {
			wait = firstWait << (try - 1)
		}
		if wait > MaxWait {
			return fmt.Errorf("%w (it asks to wait %s, which is too long)", f.Err, wait)
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
			return fmt.Errorf("%w (another try is due in %s, and there is only %s left)", f.Err, wait, time.Until(deadline).Round(time.Millisecond))
		}
		if err := Sleep(ctx, wait); err != nil {
			return fmt.Errorf("%w: %w", f.Err, err)
		}
	}
}

// Sleep waits for d or until ctx ends, and returns why it did.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// RetryAfter reads the header of that name, seconds or a date (RFC 9110, section 10.2.3). Zero: there is none that makes sense.
func RetryAfter(h http.Header) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
