package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/internal/outbound"
)

// DefaultTimeout is the time limit of one request when Notifier.Timeout is zero.
const DefaultTimeout = 5 * time.Second

// Notifier posts each event as JSON to a URL. Its methods may be called concurrently as long as its fields are not changed.
type Notifier struct {
	// URL is where to post. Required. It is in no error and no log, since such URLs often are secrets.
	URL string `json:"-"`
	// Secret signs each request, see Verify. Empty: requests are not signed.
	Secret string `json:"-"`
	// Header is sent with each request, for example an Authorization. Its values are in no error and no log.
	Header http.Header `json:"-"`
	// LoudOnly leaves out quiet events. By default each result is posted, good ones included: silence is not health.
	LoudOnly bool
	// Timeout limits one request. Zero: DefaultTimeout.
	Timeout time.Duration
	// MaxRows and MaxBytes limit the rows of an event. Zero: consistency.DefaultReportRows and consistency.DefaultReportBytes.
	MaxRows, MaxBytes int
	// HTTPClient makes the requests. Nil: one with the default transport. No redirect is followed.
	HTTPClient *http.Client `json:"-"`
}

var _ consistency.Notifier = Notifier{}

// String does not show the URL.
func (n Notifier) String() string { return "webhook.Notifier" }

// GoString is String.
func (n Notifier) GoString() string { return n.String() }

// Validate says what is missing or cannot work.
func (n Notifier) Validate() error {
	var errs []error
	u, err := url.Parse(n.URL)
	switch {
	case n.URL == "":
		errs = append(errs, errors.New("webhook.Notifier.URL is empty: set it to where the events are to be posted"))
	case err != nil:
		errs = append(errs, fmt.Errorf("webhook.Notifier.URL (%d characters) is not a URL", len(n.URL)))
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		errs = append(errs, fmt.Errorf("webhook.Notifier.URL (%d characters) does not begin with https:// or http:// and a host", len(n.URL)))
	}
	if n.Timeout < 0 {
		errs = append(errs, fmt.Errorf("webhook.Notifier.Timeout is %s: it must not be negative (0 means %s)", n.Timeout, DefaultTimeout))
	}
	for name, values := range n.Header {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) {
			errs = append(errs, fmt.Errorf("webhook.Notifier.Header has the name %q, which no header can have", name))
		}
		for _, v := range values {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				errs = append(errs, fmt.Errorf("webhook.Notifier.Header %q has a value with a control character: was it read from a file with its line end?", name))
			}
		}
	}
	return errors.Join(errs...)
}

// Notify posts the event: the object that consistency.JSONNotifier writes. Of what was delivered it needs to remember nothing, so the Receipt is empty.
func (n Notifier) Notify(ctx context.Context, e consistency.Event) (consistency.Receipt, error) {
	if err := n.Validate(); err != nil {
		return "", err
	}
	if n.LoudOnly && !e.Kind.Loud() {
		return "", nil
	}
	body, err := consistency.EventJSON(e, n.MaxRows, n.MaxBytes)
	if err != nil {
		return "", err
	}
	return "", n.post(ctx, e.Kind.String(), idempotencyKey(e.Check.Name, e.Incident.ID, e.Kind.String(), stamp(e.Started)), body)
}

// Digest posts how all checks stand: at, the counts consistent, inconsistent and unknown, and checks, the worst first.
func (n Notifier) Digest(ctx context.Context, d consistency.Digest) error {
	if err := n.Validate(); err != nil {
		return err
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(newDigest(d)); err != nil {
		return fmt.Errorf("webhook: write the digest as JSON: %w", err)
	}
	return n.post(ctx, "digest", idempotencyKey("", "", "digest", stamp(d.At)), bytes.TrimSuffix(body.Bytes(), []byte{'\n'}))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// maxAnswer is how much of an answer is read, so that the connection can be used again.
const maxAnswer = 64 << 10

// post posts the body, again where that can help: after 408, 429 and 5xx, and when there was no answer.
func (n Notifier) post(ctx context.Context, event, key string, body []byte) error {
	timeout := n.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	client := outbound.Client(n.HTTPClient, 0, maxAnswer)
	return outbound.Try(ctx, func(ctx context.Context) *outbound.Failure {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.URL, bytes.NewReader(body))
		if err != nil {
			return &outbound.Failure{Err: fmt.Errorf("webhook: post %s: the request could not be made: is the URL right?", event)}
		}
		for name, values := range n.Header {
			req.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("User-Agent", "tashikame")
		req.Header.Set(HeaderEvent, event)
		req.Header.Set(HeaderIdempotencyKey, key)
		if n.Secret != "" {
			sign(req.Header, n.Secret, time.Now(), body)
		}
		resp, err := client.Do(req)
		if err != nil {
			return &outbound.Failure{Err: fmt.Errorf("webhook: post %s: %s", event, outbound.Reason(err)), Again: true}
		}
		defer func() { _ = resp.Body.Close() }()
		drain(resp.Body)
		return judge(event, resp)
	})
}

// judge says what an answer means. Nothing that the receiver has sent is in the error.
func judge(event string, resp *http.Response) *outbound.Failure {
	code := resp.StatusCode
	if code >= 200 && code < 300 {
		return nil
	}
	f := &outbound.Failure{Again: code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout}
	if f.Again {
		f.After = outbound.RetryAfter(resp.Header)
	}
	hint := ""
	switch {
	case code >= 300 && code < 400:
		hint = ": redirects are not followed, since what is secret would go along: set URL to where it leads"
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		hint = ": compare Header and Secret with what the receiver expects"
	case code == http.StatusNotFound, code == http.StatusGone:
		hint = ": is the URL still right?"
	case code == http.StatusRequestEntityTooLarge:
		hint = ": lower MaxBytes"
	}
	f.Err = fmt.Errorf("webhook: post %s: the receiver answered %d %s%s", event, code, http.StatusText(code), hint)
	if !f.Again {
		f.Err = consistency.Permanent(f.Err)
	}
	return f
}
