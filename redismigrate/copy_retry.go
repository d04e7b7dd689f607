package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// errLater marks what is to be tried again by its nature.
var errLater = errors.New("to be tried again")

// transient reports whether an error may pass by itself: slots that move, a server that loads its data or is a replica for a moment, a
// connection that broke. A server process that was replaced is none: what was proved of it no longer holds.
func transient(err error) bool {
	var replaced *replacedError
	if err == nil || errors.As(err, &replaced) || errors.Is(err, context.Canceled) || errors.Is(err, errCheckpoint) {
		return false
	}
	if errors.Is(err, errLater) {
		return true
	}
	if isServerError(err) {
		return slotMoved(err) || hasPrefix(err, "LOADING", "READONLY", "MASTERDOWN")
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// slotMoved reports whether a node of a cluster answered that another one has the key's slot, or is about to, or that nobody has it now.
func slotMoved(err error) bool { return isElsewhere(err) || hasPrefix(err, "CLUSTERDOWN") }

// isElsewhere reports whether a node says that it does not serve a slot, or not alone at the moment.
func isElsewhere(err error) bool { return hasPrefix(err, "MOVED ", "ASK ", "TRYAGAIN") }

// hasPrefix reports whether the server answered with one of these errors.
func hasPrefix(err error, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return redis.HasErrorPrefix(err, prefix) })
}

const (
	firstWait = 20 * time.Millisecond
	longWait  = time.Second
)

// patience is how often and how long something is tried again while nothing succeeds.
type patience struct {
	limit time.Duration
	since time.Time // of the first failure in a row; zero: none
	next  time.Duration
}

func newPatience(limit time.Duration) *patience { return &patience{limit: limit} }

// progress says that something has succeeded.
func (p *patience) progress() { p.since, p.next = time.Time{}, 0 }

// wait waits before the next try, or returns err when it has gone on for too long, or the context's error.
func (p *patience) wait(ctx context.Context, err error) error {
	if p.since.IsZero() {
		p.since = time.Now()
	}
	if tried := time.Since(p.since); tried >= p.limit {
		return fmt.Errorf("%w; tried again for %s (MaxWait)", err, tried.Round(100*time.Millisecond))
	}
	p.next = min(max(2*p.next, firstWait), longWait)
	return pause(ctx, p.next)
}

// pause waits, or returns the context's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// redirected is where MOVED or ASK sends a client; ask means for this one time only.
func redirected(err error, asked string) (addr string, ask bool) {
	var answer serverError
	if !errors.As(err, &answer) {
		return "", false
	}
	fields := strings.Fields(string(answer))
	if len(fields) < 3 || fields[0] != "MOVED" && fields[0] != "ASK" {
		return "", false
	}
	return announced(fields[2], asked), fields[0] == "ASK"
}
