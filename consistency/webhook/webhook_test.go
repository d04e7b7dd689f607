package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/consistency/webhook"
	"github.com/tashikame-go/tashikame/internal/pipehttp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const address = "http://hooks.test/T0/SECRET?key=SECRET"

// receiver answers as it is told, then with 200.
type receiver struct {
	mu      sync.Mutex
	answers []http.HandlerFunc
	got     []*http.Request
	bodies  []string
	at      []time.Time
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	r.mu.Lock()
	r.got, r.bodies, r.at = append(r.got, q), append(r.bodies, string(body)), append(r.at, time.Now())
	answer := func(http.ResponseWriter, *http.Request) {}
	if len(r.answers) > 0 {
		answer, r.answers = r.answers[0], r.answers[1:]
	}
	r.mu.Unlock()
	answer(w, q)
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprint(w, "go away, SECRET")
	}
}

func hang(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() }
func broken(http.ResponseWriter, *http.Request)   { panic(http.ErrAbortHandler) }

func with(t *testing.T, f func(t *testing.T, r *receiver, n webhook.Notifier)) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		f(t, r, webhook.Notifier{URL: address, Secret: "s3", HTTPClient: pipehttp.Serve(t, r), Header: http.Header{"authorization": {"Bearer SECRET"}}})
	})
}

func event() consistency.Event {
	return consistency.Event{
		Result: consistency.Result{
			Check: consistency.Meta{Name: "入金のない注文", Owner: "payments"}, Outcome: consistency.Inconsistent, Total: 1, Started: time.Now(),
			Violations: []consistency.Violation{{Key: "7", Row: consistency.Row{{Name: "id", Value: 7}, {Name: "note", Value: "<b>&"}}}},
		},
		Kind: consistency.EventOpened, Incident: consistency.Incident{ID: "i1"},
	}
}

func TestNotify(t *testing.T) {
	with(t, func(t *testing.T, r *receiver, n webhook.Notifier) {
		receipt, err := n.Notify(t.Context(), event())
		require.NoError(t, err)
		require.Empty(t, receipt)
		require.Len(t, r.got, 1)
		want, err := consistency.EventJSON(event(), 0, 0)
		require.NoError(t, err)
		require.Equal(t, string(want), r.bodies[0])
		require.Contains(t, r.bodies[0], `"check":"入金のない注文"`)
		h := r.got[0].Header
		require.Equal(t, "POST", r.got[0].Method)
		require.Equal(t, "application/json", h.Get("Content-Type"))
		require.Equal(t, "opened", h.Get(webhook.HeaderEvent))
		require.Equal(t, "Bearer SECRET", h.Get("Authorization"))
		require.Len(t, h.Get(webhook.HeaderIdempotencyKey), 32)
		require.NoError(t, webhook.Verify("s3", h, []byte(r.bodies[0]), time.Minute))
	})
}

func TestIdempotencyKey(t *testing.T) {
	with(t, func(t *testing.T, r *receiver, n webhook.Notifier) {
		send := func(change func(e *consistency.Event)) string {
			e := event()
			e.Started = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
			change(&e)
			_, err := n.Notify(t.Context(), e)
			require.NoError(t, err)
			return r.got[len(r.got)-1].Header.Get(webhook.HeaderIdempotencyKey)
		}
		same := send(func(*consistency.Event) {})
		require.Equal(t, same, send(func(*consistency.Event) {}))
		keys := []string{same}
		for _, change := range []func(e *consistency.Event){
			func(e *consistency.Event) { e.Kind = consistency.EventWorse },
			func(e *consistency.Event) { e.Incident.ID = "i2" },
			func(e *consistency.Event) { e.Check.Name = "x" },
			func(e *consistency.Event) { e.Started = e.Started.Add(time.Nanosecond) },
		} {
			keys = append(keys, send(change))
		}
		slices.Sort(keys)
		require.Len(t, slices.Compact(keys), 5)
		r.answers = []http.HandlerFunc{status(503), broken}
		before := len(r.got)
		send(func(*consistency.Event) {})
		require.Len(t, r.got[before:], 3)
		for i, q := range r.got[before:] {
			require.Equal(t, same, q.Header.Get(webhook.HeaderIdempotencyKey), "each try")
			require.NoError(t, webhook.Verify("s3", q.Header, []byte(r.bodies[before+i]), time.Minute), "each try is signed")
		}
	})
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		again  bool
		says   string
	}{
		{"204", status(204), false, ""},
		{"301", status(301, "Location", "http://evil.test/"), false, "the receiver answered 301 Moved Permanently: redirects are not followed, since what is secret would go along"},
		{"307 to itself", status(307, "Location", "/SECRET"), false, "307 Temporary Redirect"},
		{"400", status(400), false, "400 Bad Request"},
		{"401", status(401), false, "compare Header and Secret"},
		{"404", status(404), false, "is the URL still right?"},
		{"408", status(408), true, "408 Request Timeout"},
		{"413", status(413), false, "lower MaxBytes"},
		{"429", status(429, "Retry-After", "2"), true, "429 Too Many Requests"},
		{"429 with a date", status(429, "Retry-After", "Sat, 01 Jan 2000 00:00:02 GMT"), true, "429 Too Many Requests"},
		{"429 odd", status(429, "Retry-After", "SECRET"), true, "429 Too Many Requests"},
		{"500", status(500), true, "500 Internal Server Error"},
		{"503", status(503, "Retry-After", "3"), true, "503 Service Unavailable"},
		{"503 for long", status(503, "Retry-After", "3600"), false, "it asks to wait 1h0m0s, which is too long"},
		{"broken", broken, true, "the connection broke"},
		{"hang", hang, true, "no answer in time"},
		{"endless", func(w http.ResponseWriter, q *http.Request) {
			for q.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			with(t, func(t *testing.T, r *receiver, n webhook.Notifier) {
				r.answers = []http.HandlerFunc{c.answer}
				_, err := n.Notify(t.Context(), event())
				require.Equal(t, c.again || c.says == "", err == nil, "%v", err)
				require.Len(t, r.got, map[bool]int{true: 2, false: 1}[c.again])
				if c.again {
					r.answers = slices.Repeat([]http.HandlerFunc{c.answer}, 12)
					_, err = n.Notify(t.Context(), event())
					require.ErrorContains(t, err, " times)")
				}
				if c.says != "" {
					require.ErrorContains(t, err, "webhook: post opened: ")
					require.ErrorContains(t, err, c.says)
					require.NotContains(t, err.Error(), "SECRET")
					require.NotContains(t, err.Error(), "hooks.test")
				}
			})
		})
	}
}

func TestRetryAfter(t *testing.T) {
	with(t, func(t *testing.T, r *receiver, n webhook.Notifier) {
		r.answers = []http.HandlerFunc{status(429, "Retry-After", "7")}
		_, err := n.Notify(t.Context(), event())
		require.NoError(t, err)
		require.Equal(t, 7*time.Second, r.at[1].Sub(r.at[0]))

		r.answers = []http.HandlerFunc{status(429, "Retry-After", "7")}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		started := time.Now()
		_, err = n.Notify(ctx, event())
		require.ErrorContains(t, err, "another try is due in 7s, and there is only 5s left")
		require.Zero(t, time.Since(started))
	})
}

func TestContextEnds(t *testing.T) {
	with(t, func(t *testing.T, r *receiver, n webhook.Notifier) {
		r.answers = []http.HandlerFunc{status(500), status(500), status(500)}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(700*time.Millisecond, func() { cancel(errors.New("the pod is shutting down")) })
		_, err := n.Notify(ctx, event())
		require.ErrorContains(t, err, "500 Internal Server Error: the pod is shutting down")
		require.Len(t, r.got, 2)

		r.answers = []http.HandlerFunc{hang}
		ctx, cancel2 := context.WithTimeout(t.Context(), time.Second)
		defer cancel2()
		_, err = n.Notify(ctx, event())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotContains(t, err.Error(), "SECRET")
	})
}

func TestQuietAndDigest(t *testing.T) {
	with(t, func(t *testing.T, r *receiver, n webhook.Notifier) {
		quiet := event()
		quiet.Kind = consistency.EventQuiet
		_, err := n.Notify(t.Context(), quiet)
		require.NoError(t, err)
		require.Len(t, r.got, 1)
		n.LoudOnly = true
		_, err = n.Notify(t.Context(), quiet)
		require.NoError(t, err)
		require.Len(t, r.got, 1)

		at := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
		require.NoError(t, n.Digest(t.Context(), consistency.Digest{At: at, Checks: []consistency.Standing{{Check: consistency.Meta{Name: "a"}, Outcome: consistency.Consistent}}}))
		require.JSONEq(t, `{"at":"2026-11-22T09:00:00Z","consistent":1,"inconsistent":0,"unknown":0,"checks":[{"check":"a","outcome":"consistent","total":0,"severity":"normal"}]}`, r.bodies[1])
		require.Equal(t, "digest", r.got[1].Header.Get(webhook.HeaderEvent))
		require.NoError(t, n.Digest(t.Context(), consistency.Digest{At: at, Checks: []consistency.Standing{{Check: consistency.Meta{Name: "在庫"}, Reason: "<no answer>"}}}))
		require.Contains(t, r.bodies[2], `"unknown":1,"checks":[{"check":"在庫","outcome":"unknown","total":0,"severity":"normal","reason":"<no answer>"}]`)
		require.NoError(t, webhook.Verify("s3", r.got[2].Header, []byte(r.bodies[2]), time.Minute))
	})
}

func TestManyRowsAreBounded(t *testing.T) {
	with(t, func(t *testing.T, r *receiver, n webhook.Notifier) {
		e := event()
		e.Total = 1000
		e.Violations = slices.Repeat(e.Violations, 1000)
		_, err := n.Notify(t.Context(), e)
		require.NoError(t, err)
		require.Contains(t, r.bodies[0], `"left_out":980`)
		require.Less(t, len(r.bodies[0]), 20<<10)
		e.Violations, e.Total = nil, 0
		_, err = n.Notify(t.Context(), e)
		require.NoError(t, err)
		require.Contains(t, r.bodies[1], `"rows":[]`)
	})
}

func TestVerify(t *testing.T) {
	with(t, func(t *testing.T, r *receiver, n webhook.Notifier) {
		_, err := n.Notify(t.Context(), event())
		require.NoError(t, err)
		h, body := r.got[0].Header, []byte(r.bodies[0])
		require.ErrorContains(t, webhook.Verify("other", h, body, time.Minute), "does not fit")
		require.ErrorContains(t, webhook.Verify("s3", h, append(body, ' '), time.Minute), "does not fit")
		require.ErrorContains(t, webhook.Verify("", h, body, time.Minute), "no secret")
		require.ErrorContains(t, webhook.Verify("s3", http.Header{}, body, time.Minute), "not signed")
		time.Sleep(2 * time.Minute)
		require.ErrorContains(t, webhook.Verify("s3", h, body, time.Minute), "was signed 2m0s ago")
		moved := h.Clone()
		moved.Set(webhook.HeaderTimestamp, fmt.Sprint(time.Now().Unix()))
		require.ErrorContains(t, webhook.Verify("s3", moved, body, time.Minute), "does not fit")

		n.Secret = ""
		_, err = n.Notify(t.Context(), event())
		require.NoError(t, err)
		require.Empty(t, r.got[1].Header.Get(webhook.HeaderSignature))
	})
}

func TestBadInput(t *testing.T) {
	for want, n := range map[string]webhook.Notifier{
		"URL is empty":          {},
		"is not a URL":          {URL: "http://SECRET\x7f"},
		"does not begin with h": {URL: "ftp://SECRET"},
		"and a host":            {URL: "https:///SECRET"},
		"Timeout is -1s":        {URL: address, Timeout: -time.Second},
		`has the name "a b"`:    {URL: address, Header: http.Header{"a b": {"x"}}},
		"read from a file with": {URL: address, Header: http.Header{"Authorization": {"Bearer SECRET\n"}}},
	} {
		for _, err := range []error{n.Validate(), func() error { _, err := n.Notify(t.Context(), event()); return err }(), n.Digest(t.Context(), consistency.Digest{})} {
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "SECRET")
		}
	}
	n := webhook.Notifier{URL: address, Secret: "SECRET", Header: http.Header{"A": {"SECRET"}}}
	j, _ := json.Marshal(n)
	for _, text := range []string{fmt.Sprint(n), fmt.Sprintf("%+v", n), fmt.Sprintf("%#v", &n), string(j)} {
		require.NotContains(t, text, "SECRET")
	}
	// A host that does not exist, on a real network stack.
	n = webhook.Notifier{URL: "http://no-such-host.invalid/SECRET"}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := n.Notify(ctx, event())
	require.Error(t, err)
	require.NotContains(t, err.Error(), "SECRET")
	require.NotContains(t, strings.ToLower(err.Error()), "no-such-host")
}
