package consistency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// notifyTimeout bounds one call of a notifier, and all that is left to save and to deliver after the run's context ended.
const notifyTimeout = 10 * time.Second

// afterwards returns a context that outlives ctx by notifyTimeout: what is known is saved and told even when a run is interrupted.
func afterwards(ctx context.Context) (context.Context, func()) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var mu sync.Mutex
	var late *time.Timer
	unhook := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		late = time.AfterFunc(notifyTimeout, cancel)
	})
	return later, func() {
		unhook()
		cancel()
		mu.Lock()
		defer mu.Unlock()
		if late != nil {
			late.Stop()
		}
	}
}

// post is the way to one notifier: one call at a time, and none while one that did not return is still out.
type post struct {
	name     string
	notifier Notifier
	line     *line

	mu    sync.Mutex
	first error // what went wrong first
	lost  int   // events that were not delivered
}

// line is shared by all runs of a Runner.
type line struct {
	turn chan struct{}
	mu   sync.Mutex
	away chan struct{} // closed while an abandoned call has not returned
}

func newLine() *line { return &line{turn: make(chan struct{}, 1), away: make(chan struct{})} }

var errStillOut = errors.New("an earlier call did not return when its context ended and is still out: it is not called again until it does")

// call calls f when it is its turn.
func call[T any](ctx context.Context, l *line, f func(context.Context) (T, error)) (T, error) {
	var none T
	l.mu.Lock()
	away := l.away
	l.mu.Unlock()
	select {
	case <-away:
		return none, errStillOut
	default:
	}
	select {
	case l.turn <- struct{}{}:
	case <-away:
		return none, errStillOut
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
	if ctx.Err() != nil {
		<-l.turn
		return none, context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	returned := false
	value, err := guardedCall(ctx, func(ctx context.Context) (T, error) {
		defer func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			returned = true
			select {
			case <-l.away:
				l.away = make(chan struct{})
			default:
			}
			<-l.turn
		}()
		return f(ctx)
	})
	if isAbandoned(err) {
		l.mu.Lock()
		if !returned {
			close(l.away)
		}
		l.mu.Unlock()
	}
	return value, err
}

// failed notes that an event was not delivered.
func (p *post) failed(log *slog.Logger, what string, err error) {
	if pe, ok := panicOf(err); ok {
		log.Error("consistency: a notifier panicked", "notifier", p.name, "check", what, "panic", fmt.Sprint(pe.value), "stack", string(pe.stack))
	} else {
		log.Error("consistency: a notification was not delivered", "notifier", p.name, "check", what, "error", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost++
	// Those that waited in line may be heard before the call that made them wait: it is the one to name.
	if p.first == nil || errors.Is(p.first, errStillOut) && !errors.Is(err, errStillOut) {
		p.first = fmt.Errorf("consistency: notify with %s about %s: %w", p.name, what, err)
	}
}

// problem is what went wrong in all; nil: nothing did.
func (p *post) problem() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost > 1 {
		return fmt.Errorf("%w (%d events in all were not delivered by it)", p.first, p.lost)
	}
	return p.first
}

// notifierNames returns what each notifier is remembered by.
func notifierNames(notifiers []Notifier) []string {
	names := make([]string, len(notifiers))
	used := map[string]int{}
	for i, n := range notifiers {
		name := fmt.Sprintf("%T", n)
		if named, ok := n.(interface{ Name() string }); ok {
			if own := named.Name(); own != "" {
				name = own
			}
		}
		if used[name]++; used[name] > 1 {
			name = fmt.Sprintf("%s#%d", name, used[name])
		}
		names[i] = name
	}
	return names
}

// acks asks the notifiers what people answered in the open conversations.
func (w *round) acks(ctx context.Context, s State) []Ack {
	var all []Ack
	for _, p := range w.posts {
		asker, ok := p.notifier.(interface {
			Acks(context.Context, Receipt) ([]Ack, error)
		})
		d := s.Deliveries[p.name]
		if !ok || d.Receipt == "" || s.Incident == nil {
			continue
		}
		acks, err := call(ctx, p.line, func(ctx context.Context) ([]Ack, error) { return asker.Acks(ctx, d.Receipt) })
		if err != nil {
			w.log.Warn("consistency: the answers of people could not be read", "notifier", p.name, "check", s.Check, "error", err)
			continue
		}
		all = append(all, acks...)
	}
	return all
}
