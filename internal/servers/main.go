package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TB is what the harness needs of a test or benchmark.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// bringUpTimeout bounds the wait for a server, an image pulled or built included.
const bringUpTimeout = pullTimeout + buildTimeout + startTimeout

type closer interface{ Close() error }

// given brings something up for a test and closes it when the test ends.
func given[S closer](tb TB, what string, start func(ctx context.Context) (S, error)) S {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bringUpTimeout)
	defer cancel()
	s, err := start(ctx)
	if err != nil {
		tb.Fatalf("servers: this test needs %s, and there is none: %v", what, err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("servers: clean up %s: %v", what, err)
		}
	})
	return s
}

var (
	closersMu sync.Mutex
	closers   []func(context.Context) error
)

// shared makes a server that is started at its first use in this process, and removed by Close. A failure is kept: what
// could not be started for one test is not tried again, minutes long, for each of the others.
func shared(start func(ctx context.Context) (string, func(context.Context) error, error)) func(ctx context.Context) (string, error) {
	var once sync.Once
	var address string
	var failed error
	return func(ctx context.Context) (string, error) {
		once.Do(func() {
			var remove func(context.Context) error
			if address, remove, failed = start(ctx); failed == nil {
				closersMu.Lock()
				defer closersMu.Unlock()
				closers = append(closers, remove)
			}
		})
		return address, failed
	}
}

// Close removes the shared servers of this process. Programs call it at their end; tests have Main.
func Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), controlTimeout)
	defer cancel()
	closersMu.Lock()
	defer closersMu.Unlock()
	var errs []error
	for _, remove := range closers {
		errs = append(errs, remove(ctx))
	}
	closers = nil
	errs = append(errs, endWatchdog())
	return errors.Join(errs...)
}

// Main runs a package's tests, removes its servers, and fails when goroutines are left. It returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }
func Main(m *testing.M, options ...goleak.Option) int {
	code := m.Run()
	if err := Close(); err != nil {
		fmt.Fprintln(os.Stderr, "servers: clean up:", err)
		code = max(code, 1)
	}
	if code != 0 {
		return code // a test that failed half-way may well have left a goroutine
	}
	// go-redis dials in the background, and a dial that nobody waits for any more may take its time to fail.
	err := goleak.Find(options...)
	for deadline := time.Now().Add(20 * time.Second); err != nil && time.Now().Before(deadline); {
		err = goleak.Find(options...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "servers: goroutines are left after the tests:", err)
		return 1
	}
	return code
}
