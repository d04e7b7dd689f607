package slack_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/consistency/slack"
	"github.com/tashikame-go/tashikame/internal/fakeslack"
	"github.com/tashikame-go/tashikame/internal/pipehttp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	token   = "xoxb-0123456789-SECRET"
	channel = "C0ORDERS"
)

// room is a workspace with a notifier in it.
type room struct {
	*testing.T
	*slack.Notifier
	fake *fakeslack.Server
	log  *bytes.Buffer
}

// inRoom runs a test in a bubble of its own time, against a server with a limit of one message a second.
func inRoom(t *testing.T, f func(t *testing.T, r *room)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &room{T: t, fake: fakeslack.New(token, channel, "C0OTHER", "C0DIGEST"), log: new(bytes.Buffer)}
		r.Notifier = r.another(r.fake)
		f(t, r)
		require.NotContains(t, r.log.String(), "SECRET")
		require.Zero(t, r.fake.Mend(), "faults that were never met")
		for _, c := range []string{channel, "C0OTHER", "C0DIGEST"} {
			for _, m := range r.fake.Messages(c) {
				require.False(t, m.Split, "a message so long that Slack splits it")
				require.LessOrEqual(t, len(utf16.Encode([]rune(m.Text))), 3900)
				require.Equal(t, 0, strings.Count(m.Text, "```")%2, "a code block without end")
			}
		}
	})
}

// another returns a further notifier for the same workspace, as after a restart.
func (r *room) another(h http.Handler) *slack.Notifier {
	log := slog.New(slog.NewTextHandler(r.log, nil))
	return &slack.Notifier{Token: token, Channel: channel, HTTPClient: pipehttp.Serve(r.T, h), APIURL: "http://slack.test/api/", Logger: log}
}

// tell notifies and wants no error.
func (r *room) tell(e consistency.Event) consistency.Receipt {
	r.Helper()
	receipt, err := r.Notify(r.Context(), e)
	require.NoError(r, err)
	return receipt
}

func (r *room) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(r.Context(), d)
	r.Cleanup(cancel)
	return ctx
}

// top returns the only thread's first message.
func (r *room) top() fakeslack.Message {
	r.Helper()
	all := r.fake.Top(channel)
	require.Len(r, all, 1)
	return all[0]
}

func (r *room) thread() []fakeslack.Message { return r.fake.Thread(channel, r.top().TS) }

var meta = consistency.Meta{Name: "orders-without-payment", Owner: "payments", Runbook: "https://wiki.example/orders?a=1&b=2"}

// bad is an event with n wrong rows of that phase, first seen two days ago, in one incident.
func bad(kind consistency.EventKind, phase consistency.RowPhase, n int) consistency.Event {
	now := time.Now()
	opened := now.Add(-50 * time.Hour).Truncate(time.Hour)
	e := consistency.Event{
		Result:   consistency.Result{Check: meta, Outcome: consistency.Inconsistent, Total: int64(n), Started: now, Examined: 5000, Attempts: 3},
		Kind:     kind,
		Incident: consistency.Incident{ID: "i1", Opened: opened, Peak: int64(n)},
		Oldest:   opened, Since: opened,
	}
	for i := range n {
		e.Rows = append(e.Rows, consistency.TrackedRow{
			Violation: consistency.Violation{Key: fmt.Sprint(i + 1), Row: consistency.Row{{Name: "id", Value: int64(i + 1)}, {Name: "price", Value: "12.50"}}},
			Phase:     phase, FirstSeen: opened, LastSeen: now, Appearances: 1,
		})
	}
	switch phase {
	case consistency.RowNew:
		e.New = n
	case consistency.RowReappeared:
		e.Reappeared = n
	}
	return e
}

func opened(n int) consistency.Event {
	e := bad(consistency.EventOpened, consistency.RowNew, n)
	e.Opened, e.OutcomeChanged = true, true
	e.Incident.Opened, e.Oldest, e.Since = time.Now(), time.Now(), time.Now()
	for i := range e.Rows {
		e.Rows[i].FirstSeen = time.Now()
	}
	return e
}

func good(kind consistency.EventKind) consistency.Event {
	e := bad(kind, 0, 0)
	e.Outcome = consistency.Consistent
	e.Oldest = time.Time{}
	return e
}

func resolved(n int) consistency.Event {
	e := good(consistency.EventResolved)
	e.Closed, e.Resolved, e.Incident.Peak = true, n, int64(n)
	for _, r := range bad(0, consistency.RowResolved, n).Rows {
		r.ResolvedAt = time.Now()
		e.Rows = append(e.Rows, r)
	}
	return e
}

func unknown(kind consistency.EventKind) consistency.Event {
	e := good(kind)
	e.Outcome, e.Incident, e.Since = consistency.Unknown, consistency.Incident{}, time.Now()
	e.Reason = "the database did not answer within 1m0s"
	return e
}

func follow(e consistency.Event, r consistency.Receipt) consistency.Event {
	e.Previous = r
	return e
}
