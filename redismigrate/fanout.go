package redismigrate

import (
	"context"
	"errors"
	"sync"
)

// fanOut runs produce here and work on what it hands out in several goroutines, and returns when all of them are done. The first error,
// or the end of ctx, stops the rest: work that has begun is finished, nothing further begins. At most 2 × workers items are held.
func fanOut[T any](ctx context.Context, workers int, produce func(ctx context.Context, hand func(T) error) error, work func(T) error) error {
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	items := make(chan T, workers)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for item := range items {
				if running.Err() != nil {
					continue // drain
				}
				if err := work(item); err != nil {
					stop(err)
				}
			}
		})
	}
	err := produce(running, func(item T) error {
		select {
		case items <- item:
			return nil
		case <-running.Done():
			return running.Err()
		}
	})
	close(items)
	group.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if cause := context.Cause(running); cause != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return cause // work failed; produce ended for it, or was over
	}
	return err
}
