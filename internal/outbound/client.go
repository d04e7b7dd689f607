package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// Client returns a copy of c (nil: a client that gives up after timeout) that follows no redirect, since that could carry a secret to another
// host, and reads no more than maxAnswer bytes of an answer.
func Client(c *http.Client, timeout time.Duration, maxAnswer int64) *http.Client {
	out := &http.Client{Timeout: timeout}
	if c != nil {
		*out = *c
	}
	out.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	next := out.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	out.Transport = limited{next, maxAnswer}
	return out
}

type limited struct {
	next http.RoundTripper
	max  int64
}

// RoundTrip makes the request and bounds the answer.
func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, l.max), resp.Body}
	}
	return resp, err
}

// CloseIdleConnections passes it on, so that http.Client.CloseIdleConnections works.
func (l limited) CloseIdleConnections() {
	if c, ok := l.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Reason says in words of ours why a request got no answer. The error's own text may quote the URL, or what the other side sent.
func Reason(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsTimeout {
			return "the host name was not resolved in time"
		}
		return "the host name is not known: does this machine have a way out, or need a proxy (HTTPS_PROXY)?"
	}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the other side's certificate was not accepted (" + certificateReason(cert.Err) + ")"
	}
	var timeout net.Error
	switch op, isOp := errors.AsType[*net.OpError](err); {
	case errors.Is(err, context.Canceled):
		return "it was cancelled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case isOp && op.Op == "dial":
		return "no connection could be made"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe), isOp:
		return "the connection broke"
	}
	return "the request failed"
}

func certificateReason(err error) string {
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "it is for another host name"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "it is signed by an authority that this machine does not know"
	}
	return "it is not valid"
}
