package slack_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/consistency/slack"
	"github.com/tashikame-go/tashikame/internal/fakeslack"
)

// workspace is a server that behaves as Slack's does. In production leave APIURL and HTTPClient out.
func workspace() (*fakeslack.Server, *slack.Notifier, func()) {
	fake := fakeslack.New("xoxb-token", "C024BE91L")
	server := httptest.NewServer(fake)
	return fake, &slack.Notifier{Token: "xoxb-token", Channel: "C024BE91L", APIURL: server.URL + "/api", HTTPClient: server.Client()}, server.Close
}

// An incident opens and is resolved: one thread.
func Example() {
	fake, notifier, done := workspace()
	defer done()
	ctx := context.Background()

	started := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	e := consistency.Event{
		Result: consistency.Result{
			Check:   consistency.Meta{Name: "orders-without-payment", Owner: "payments", Runbook: "https://wiki.example/orders"},
			Outcome: consistency.Inconsistent, Total: 1, Started: started,
		},
		Kind: consistency.EventOpened, Change: consistency.Change{New: 1, Opened: true},
		Incident: consistency.Incident{ID: "i1", Opened: started, Peak: 1},
		Rows: []consistency.TrackedRow{{
			Violation: consistency.Violation{Key: "3", Row: consistency.Row{{Name: "id", Value: 3}, {Name: "price", Value: "5.00"}}},
			Phase:     consistency.RowNew, FirstSeen: started,
		}},
	}
	receipt, err := notifier.Notify(ctx, e)
	fmt.Println(err)
	for _, m := range fake.Messages("C024BE91L") {
		fmt.Println(m.Text)
	}

	e.Kind, e.Outcome, e.Total, e.Change = consistency.EventResolved, consistency.Consistent, 0, consistency.Change{Resolved: 1, Closed: true}
	e.Rows[0].Phase, e.Previous, e.Started = consistency.RowResolved, receipt, started.Add(3*time.Hour)
	_, err = notifier.Notify(ctx, e)
	fmt.Println(err)
	headline, _, _ := strings.Cut(fake.Top("C024BE91L")[0].Text, "\n")
	fmt.Println(headline)
	// Output:
	// <nil>
	// 🔴 *1 (+1): orders-without-payment*
	// severity normal · owner payments · since <!date^1795338000^{date_short_pretty}, {time}|2026-11-22 09:00 UTC>
	// runbook: https://wiki.example/orders
	// ```
	// {"phase":"new","since":"2026-11-22T09:00:00Z","key":"3","row":{"id":3,"price":"5.00"}}
	// ```
	// <nil>
	// ✅ *0 (−1): orders-without-payment*
}

// A reaction to the first message is an answer.
func ExampleNotifier_Acks() {
	fake, notifier, done := workspace()
	defer done()
	receipt, _ := notifier.Notify(context.Background(), consistency.Event{
		Result: consistency.Result{Check: consistency.Meta{Name: "orders"}, Outcome: consistency.Unknown, Reason: "no answer"}, Kind: consistency.EventUnknown,
	})
	fake.React("C024BE91L", fake.Top("C024BE91L")[0].TS, slack.ReactionSeen, "U012AB3CD", true)

	acks, err := notifier.Acks(context.Background(), receipt)
	fmt.Println(acks[0].Kind == consistency.AckSeen, acks[0].By, err)
	// Output: true U012AB3CD <nil>
}

func ExampleNotifier_Digest() {
	fake, notifier, done := workspace()
	defer done()
	err := notifier.Digest(context.Background(), consistency.Digest{
		At: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC),
		Checks: []consistency.Standing{
			{Check: consistency.Meta{Name: "invoices"}, Outcome: consistency.Unknown, Reason: "billing answered 403"},
			{Check: consistency.Meta{Name: "orders"}, Outcome: consistency.Consistent},
		},
	})
	fmt.Println(err)
	fmt.Println(fake.Top("C024BE91L")[0].Text)
	// Output:
	// <nil>
	// ❓ *0 inconsistent, 1 could not tell, 1 consistent* · <!date^1795338000^{date_short_pretty}, {time}|2026-11-22 09:00 UTC>
	// ❓ could not tell: invoices: billing answered 403
}

// Ping tells at the start of a program what Slack would say at the first incident.
func ExampleNotifier_Ping() {
	fake, notifier, done := workspace()
	defer done()
	fake.Revoke("reactions:read")
	fmt.Println(notifier.Ping(context.Background()))
	// Output: slack: reactions.get (to read who acknowledged or muted): missing_scope: the token lacks the scope reactions:read: add it on the app's page OAuth & Permissions and install the app again
}

// An Error tells what failed, and whether trying again can help.
func ExampleError() {
	fake, notifier, done := workspace()
	defer done()
	fake.Do("C024BE91L", func(c *fakeslack.Channel) { c.Outside = true })
	_, err := notifier.Notify(context.Background(), consistency.Event{
		Result: consistency.Result{Check: consistency.Meta{Name: "orders"}, Reason: "no answer"}, Kind: consistency.EventUnknown,
	})
	if e, ok := errors.AsType[*slack.Error](err); ok {
		fmt.Println(e.Code, e.Permanent)
		fmt.Println(err)
	}
	// Output:
	// not_in_channel true
	// slack: chat.postMessage (to post a message): not_in_channel: the app is not in the channel: write "/invite @" and the app's name there
}

func ExampleNotifier_Validate() {
	fmt.Println((&slack.Notifier{Token: "xoxb-token", Channel: "#orders"}).Validate())
	// Output: slack.Notifier.Channel is "#orders": that is no channel ID; it begins with C (or G, D), has capitals and digits only, and stands at the end of the channel's About page
}
