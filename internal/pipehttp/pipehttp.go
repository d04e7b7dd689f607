// Package pipehttp serves HTTP over pipes in memory. Unlike sockets these work with testing/synctest, so that tests of waits take no time.
package pipehttp

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// Serve starts a server for the rest of the test, and returns a client whose every connection, to whatever host, leads there.
func Serve(tb testing.TB, h http.Handler) *http.Client {
	tb.Helper()
	l := &listener{conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: h}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(l) })
	transport := &http.Transport{DialContext: l.dial}
	tb.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		wg.Wait()
	})
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

type listener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *listener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Accept returns what dial makes.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and dial.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is a name only.
func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
