package consistency

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// A Notifier tells people the result of a check.
type Notifier interface {
	// Notify delivers one event. The Runner calls it for one event at a time, in the order in which the checks finish, good results
	// included. It must return soon after ctx ends; a Notifier that does not is left behind and not called again in this run.
	Notify(ctx context.Context, e Event) (Receipt, error)
}

// Event is what a Notifier is told: the result of one check.
type Event struct {
	Result
}

// Receipt is a notifier's own reference to what it delivered, for example a thread, so that it can follow up there. It may be empty.
type Receipt string

// notifyTimeout bounds one call of Notify, and all that is left to deliver after the run's context ended.
const notifyTimeout = 10 * time.Second

// delivery hands events to notifiers, each in a goroutine of its own, so that one that fails or hangs delays no other one.
type delivery struct {
	queues []chan Event
	errs   []error // by notifier
	wg     sync.WaitGroup
	stop   func()
}

// startDelivery starts the goroutines; capacity is the number of events that will be sent at most.
func startDelivery(ctx context.Context, notifiers []Notifier, capacity int, log *slog.Logger) *delivery {
	// What is known is told even when the run is interrupted, but not for longer than notifyTimeout.
	deliver, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var mu sync.Mutex
	var late *time.Timer
	unhook := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		late = time.AfterFunc(notifyTimeout, cancel)
	})
	d := &delivery{errs: make([]error, len(notifiers)), stop: func() {
		unhook()
		cancel()
		mu.Lock()
		defer mu.Unlock()
		if late != nil {
			late.Stop()
		}
	}}
	for i, n := range notifiers {
		queue := make(chan Event, capacity)
		d.queues = append(d.queues, queue)
		d.wg.Go(func() { d.errs[i] = deliverAll(deliver, n, queue, log) })
	}
	return d
}

func (d *delivery) send(e Event) {
	for _, q := range d.queues {
		q <- e // never blocks: the queue holds an event for each check
	}
}

// finish waits until everything is delivered or given up, and returns what went wrong.
func (d *delivery) finish() []error {
	for _, q := range d.queues {
		close(q)
	}
	d.wg.Wait()
	d.stop()
	var errs []error
	for _, err := range d.errs {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// deliverAll tells one notifier every event of the queue and returns the first error with the number of events that were lost.
func deliverAll(ctx context.Context, n Notifier, queue <-chan Event, log *slog.Logger) error {
	var first error
	lost, hung := 0, false
	for e := range queue {
		var err error
		if hung {
			lost++
			continue
		}
		if err = ctx.Err(); err == nil {
			err = deliverOne(ctx, n, e)
		}
		if err == nil {
			continue
		}
		lost++
		hung = isAbandoned(err)
		if p, ok := panicOf(err); ok {
			log.Error("consistency: a notifier panicked", "notifier", fmt.Sprintf("%T", n), "check", e.Check.Name, "panic", fmt.Sprint(p.value), "stack", string(p.stack))
		} else {
			log.Error("consistency: a notification was not delivered", "notifier", fmt.Sprintf("%T", n), "check", e.Check.Name, "error", err)
		}
		if first == nil {
			first = fmt.Errorf("consistency: notify with %T about %s: %w", n, e.Check.Name, err)
		}
	}
	if lost > 1 {
		first = fmt.Errorf("%w (%d events in all were not delivered by it)", first, lost)
	}
	return first
}

func deliverOne(ctx context.Context, n Notifier, e Event) error {
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	_, err := guardedCall(ctx, func(ctx context.Context) (Receipt, error) { return n.Notify(ctx, e) })
	return err
}
