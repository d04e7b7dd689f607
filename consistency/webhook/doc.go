// Package webhook posts the events of package consistency as JSON to any URL: a paging service, a queue, a small program of yours.
//
//	runner.Notifiers = append(runner.Notifiers, webhook.Notifier{
//		URL:    os.Getenv("TASHIKAME_WEBHOOK"),
//		Secret: os.Getenv("TASHIKAME_WEBHOOK_SECRET"), // the receiver calls webhook.Verify
//	})
//
// The body is the object that consistency.JSONNotifier writes, or a digest. What kind of event it is says the header Tashikame-Event.
//
// Delivery is at least once. A request is tried again after 408, 429 (Retry-After is obeyed), 5xx and where there was no answer, up to 4 times or as long as
// its context lasts, with the same Idempotency-Key, so that a receiver can leave out what it has already. Redirects are not followed. The URL, the headers' values
// and what the receiver has sent are in no error and no log.
package webhook
