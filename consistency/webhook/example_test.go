package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/consistency/webhook"
)

// A receiver verifies the signature before it believes anything.
func Example() {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := webhook.Verify("a long random text", r.Header, body, 5*time.Minute); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		var e struct{ Check, Outcome string }
		fmt.Println(json.Unmarshal(body, &e), r.Header.Get(webhook.HeaderEvent), e.Check, e.Outcome)
	}))
	defer receiver.Close()

	notifier := webhook.Notifier{URL: receiver.URL, Secret: "a long random text", HTTPClient: receiver.Client()}
	_, err := notifier.Notify(context.Background(), consistency.Event{
		Result: consistency.Result{Check: consistency.Meta{Name: "orders-without-payment"}, Outcome: consistency.Inconsistent, Total: 1},
		Kind:   consistency.EventOpened,
	})
	fmt.Println(err)
	notifier.Secret = "another"
	_, err = notifier.Notify(context.Background(), consistency.Event{Kind: consistency.EventResolved})
	fmt.Println(err)
	// Output:
	// <nil> opened orders-without-payment inconsistent
	// <nil>
	// webhook: post resolved: the receiver answered 403 Forbidden: compare Header and Secret with what the receiver expects
}

func ExampleVerify() {
	err := webhook.Verify("a long random text", http.Header{}, []byte("{}"), 5*time.Minute)
	fmt.Println(err)
	// Output: webhook: the request has no Tashikame-Timestamp that is a number of seconds: it is not signed
}
