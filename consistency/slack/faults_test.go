package slack_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/consistency/slack"
	"github.com/tashikame-go/tashikame/internal/fakeslack"
)

// hostile is what a server may send to get at the token through an error or a log.
const hostile = token + " https://hooks.example/T0/B0/SECRET <!channel>"

// Every answer of Slack to a post: is it tried again, and what does the error say?
func TestAnswers(t *testing.T) {
	header := func(v string) map[string]string { return map[string]string{"Retry-After": v} }
	for _, c := range []struct {
		name  string
		fault fakeslack.Fault
		again bool
		says  string
	}{
		{"429 with Retry-After", fakeslack.Fault{Status: 429, Header: header("3")}, true, "Slack asks to slow down (HTTP 429, Retry-After 3s)"},
		{"429 with zero", fakeslack.Fault{Status: 429, Header: header("0")}, true, "Retry-After 1s"},
		{"429 negative", fakeslack.Fault{Status: 429, Header: header("-7")}, true, "Retry-After 1s"},
		{"429 without", fakeslack.Fault{Status: 429}, true, "Slack asks to slow down (HTTP 429)"},
		{"429 too long", fakeslack.Fault{Status: 429, Header: header("3600")}, false, "it asks to wait 1h0m0s, which is too long"},
		{"429 hostile", fakeslack.Fault{Status: 429, Header: header(hostile)}, true, "the answer could not be read"},
		{"500", fakeslack.Fault{Status: 500, Body: hostile}, true, "Slack failed (HTTP 500)"},
		{"502", fakeslack.Fault{Status: 502, Body: "<html>" + hostile}, true, "Slack failed (HTTP 502)"},
		{"503", fakeslack.Fault{Status: 503}, true, "Slack failed (HTTP 503)"},
		{"302", fakeslack.Fault{Status: 302, Header: map[string]string{"Location": "http://evil.test/" + token}}, false, "it was redirected (HTTP 302), which is not followed since the token would go along"},
		{"307", fakeslack.Fault{Status: 307, Header: map[string]string{"Location": "http://evil.test/" + token}}, false, "it was redirected (HTTP 307)"},
		{"400", fakeslack.Fault{Status: 400, Body: hostile}, false, "HTTP 400: is APIURL right, is a proxy in between?"},
		{"403", fakeslack.Fault{Status: 403}, false, "HTTP 403"},
		{"404", fakeslack.Fault{Status: 404}, false, "HTTP 404"},
		{"connection broke", fakeslack.Fault{Cut: true}, true, "Slack could not be reached: the connection broke"},
		{"no answer", fakeslack.Fault{Hang: true}, true, "Slack could not be reached: no answer in time"},
		{"a page instead of JSON", fakeslack.Fault{Body: "<html>" + hostile}, true, "what answered is not Slack, or the answer was cut off"},
		{"an empty answer", fakeslack.Fault{}, true, "Slack could not be reached: the connection broke"},
		{"half an answer", fakeslack.Fault{Body: `{"ok":true,"ts":"17`}, true, "Slack could not be reached: the connection broke"},
		{"not ok without a code", fakeslack.Fault{Body: `{"ok":false}`}, true, "what answered is not Slack"},
		{"ok without a ts", fakeslack.Fault{Body: `{"ok":true}`}, true, "what answered is not Slack"},
		{"a hostile ts", fakeslack.Fault{Body: `{"ok":true,"ts":"` + hostile + `"}`}, true, "what answered is not Slack"},
		{"other types", fakeslack.Fault{Body: `{"ok":"` + hostile + `"}`}, true, "what answered is not Slack"},
		{"hostile errors", fakeslack.Fault{Body: `{"ok":false,"error":"x","errors":[{"` + token + `":1}]}`}, true, "the answer could not be read"},
		{"a hostile code", fakeslack.Fault{Code: hostile}, false, "its code is none of Slack's"},
		{"an unknown code", fakeslack.Fault{Code: "moon_is_full"}, false, "moon_is_full: see the method's page"},
		{"channel_not_found", fakeslack.Fault{Code: "channel_not_found"}, false, "compare the channel's ID, and invite the app to a private channel"},
		{"not_in_channel", fakeslack.Fault{Code: "not_in_channel"}, false, `write "/invite @" and the app's name there`},
		{"is_archived", fakeslack.Fault{Code: "is_archived"}, false, "the channel is archived: name another one"},
		{"missing_scope", fakeslack.Fault{Code: "missing_scope"}, false, "the token lacks the scope chat:write: add it"},
		{"missing_scope, hostile", fakeslack.Fault{Body: `{"ok":false,"error":"missing_scope","needed":"` + hostile + `"}`}, false, "the token lacks the scope chat:write: add it"},
		{"invalid_auth", fakeslack.Fault{Code: "invalid_auth"}, false, "Slack does not accept the token"},
		{"not_authed", fakeslack.Fault{Code: "not_authed"}, false, "no token arrived"},
		{"account_inactive", fakeslack.Fault{Code: "account_inactive"}, false, "install the app again"},
		{"token_revoked", fakeslack.Fault{Code: "token_revoked"}, false, "the token was revoked"},
		{"token_expired", fakeslack.Fault{Code: "token_expired"}, false, "the token has expired"},
		{"restricted_action", fakeslack.Fault{Code: "restricted_action"}, false, "ask an administrator"},
		{"msg_too_long", fakeslack.Fault{Code: "msg_too_long"}, false, "the message is too long"},
		{"msg_blocks_too_long", fakeslack.Fault{Code: "msg_blocks_too_long"}, false, "the message is too long"},
		{"metadata_too_large", fakeslack.Fault{Code: "metadata_too_large"}, false, "give the check a shorter name"},
		{"ratelimited", fakeslack.Fault{Code: "ratelimited"}, true, "Slack asks to slow down"},
		{"internal_error", fakeslack.Fault{Code: "internal_error"}, true, "internal_error: Slack failed"},
		{"fatal_error", fakeslack.Fault{Code: "fatal_error"}, true, "fatal_error: Slack failed"},
		{"service_unavailable", fakeslack.Fault{Code: "service_unavailable"}, true, "Slack is not available"},
		{"request_timeout", fakeslack.Fault{Code: "request_timeout"}, true, "request_timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inRoom(t, func(t *testing.T, r *room) {
				r.fake.Fail("chat.postMessage", c.fault)
				receipt, err := r.Notify(t.Context(), opened(1))
				require.Equal(t, c.again, err == nil, "tried again? %v", err)
				require.Equal(t, c.again, receipt != "")
				require.Len(t, r.fake.Top(channel), map[bool]int{true: 1}[c.again])
				if c.again { // then it fails for good
					r.fake.Fail("chat.postMessage", slices.Repeat([]fakeslack.Fault{c.fault}, 12)...)
					e := opened(1)
					e.Incident.ID = "i2"
					_, err = r.Notify(t.Context(), e)
					tries := 4
					if strings.Contains(c.says, "Retry-After") {
						tries = 12 // Slack is only busy
					}
					require.ErrorContains(t, err, fmt.Sprintf("(tried %d times)", tries))
					require.Equal(t, 12-tries, r.fake.Mend())
				}
				require.ErrorContains(t, err, "slack: chat.postMessage (to post a message): ")
				require.ErrorContains(t, err, c.says)
				for _, secret := range []string{"SECRET", "hooks.example", "evil", "<!channel>", "\n"} {
					require.NotContains(t, err.Error(), secret)
				}
				for e := err; e != nil; e = errors.Unwrap(e) {
					require.NotContains(t, fmt.Sprintf("%+v", e), "SECRET")
				}
				var is *slack.Error
				require.ErrorAs(t, err, &is)
				require.Equal(t, "chat.postMessage", is.Method)
				require.Equal(t, !c.again && !strings.Contains(c.name, "429"), is.Permanent)
			})
		})
	}
}

// After an answer that leaves open whether the message was posted, nothing is posted twice.
func TestNothingTwiceWhenAnAnswerIsLost(t *testing.T) {
	for name, fault := range map[string]fakeslack.Fault{
		"connection broke": {Cut: true, After: true}, "hang": {Hang: true, After: true}, "502": {Status: 502, After: true},
		"internal_error": {Code: "internal_error", After: true}, "half": {Body: `{"ok":`, After: true},
	} {
		t.Run(name, func(t *testing.T) {
			inRoom(t, func(t *testing.T, r *room) {
				r.fake.Fail("chat.postMessage", fault, fault) // the first message, then the rows
				receipt := r.tell(opened(2))
				require.Len(t, r.fake.Messages(channel), 2)
				require.Len(t, r.thread(), 1)
				r.fake.Fail("chat.postMessage", fault)
				r.tell(follow(bad(consistency.EventReminder, consistency.RowContinuing, 2), receipt))
				require.Len(t, r.thread(), 2)
				r.fake.Fail("chat.postMessage", fault)
				require.NoError(t, r.Digest(t.Context(), consistency.Digest{At: time.Now()}))
				require.Len(t, r.fake.Top(channel), 2)
			})
		})
	}
}

// Two reminders with the same rows are two messages: the look for an earlier one goes back to the beginning of this call only.
func TestReminderIsNotTakenForYesterdays(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		receipt := r.tell(opened(1))
		for day := range 3 {
			time.Sleep(24 * time.Hour)
			r.fake.Fail("chat.postMessage", fakeslack.Fault{Status: 500}) // not posted
			e := bad(consistency.EventReminder, consistency.RowContinuing, 1)
			receipt = r.tell(follow(e, receipt))
			require.Len(t, r.thread(), 2+day)
		}
	})
}

func TestRetryAfterIsObeyed(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.fake.Fail("chat.postMessage", fakeslack.Fault{Status: 429, Header: map[string]string{"Retry-After": "7"}})
		started := time.Now()
		r.tell(opened(0)) // one message
		require.Equal(t, 7*time.Second, time.Since(started).Truncate(time.Second))
	})
	inRoom(t, func(t *testing.T, r *room) { // longer than there is time: no use waiting
		r.fake.Fail("chat.postMessage", fakeslack.Fault{Status: 429, Header: map[string]string{"Retry-After": "7"}})
		started := time.Now()
		_, err := r.Notify(r.within(5*time.Second), opened(1))
		require.ErrorContains(t, err, "another try is due in 7s, and there is only 5s left")
		require.Less(t, time.Since(started), 5*time.Second)
	})
	inRoom(t, func(t *testing.T, r *room) { // it holds for whoever else posts into the channel
		r.fake.Fail("chat.postMessage", fakeslack.Fault{Status: 429, Header: map[string]string{"Retry-After": "20"}})
		started := time.Now()
		done := make(chan error, 1)
		go func() { _, err := r.Notify(t.Context(), opened(0)); done <- err }()
		time.Sleep(time.Second)
		require.NoError(t, r.Digest(t.Context(), consistency.Digest{At: time.Now()}))
		require.GreaterOrEqual(t, time.Since(started), 20*time.Second)
		require.NoError(t, <-done)
	})
}

func TestContextEnds(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) { // between two tries
		r.fake.Fail("chat.postMessage", fakeslack.Fault{Status: 503}, fakeslack.Fault{Status: 503})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(700*time.Millisecond, func() { cancel(errors.New("the pod is shutting down")) })
		started := time.Now()
		receipt, err := r.Notify(ctx, opened(1))
		require.ErrorContains(t, err, "HTTP 503")
		require.ErrorContains(t, err, "the pod is shutting down")
		require.Empty(t, receipt)
		require.Less(t, time.Since(started), time.Second)
		r.fake.Mend()
	})
	inRoom(t, func(t *testing.T, r *room) { // while an answer is due
		r.fake.Fail("chat.postMessage", fakeslack.Fault{Hang: true, After: true})
		_, err := r.Notify(r.within(5*time.Second), opened(1))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, "slack: chat.postMessage (to post a message): Slack could not be reached: no answer in time: context deadline exceeded", err.Error())
		// It was posted, though. The next event finds it.
		r.tell(opened(1))
		require.Len(t, r.thread(), 1)
	})
	inRoom(t, func(t *testing.T, r *room) { // before anything
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := r.Notify(ctx, opened(1))
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, r.fake.Messages(channel))
	})
}

// The first message was posted, the rows were not: the receipt says so, and the next event of any kind makes it good.
func TestRowsFail(t *testing.T) {
	for name, next := range map[string]func() consistency.Event{
		"quiet":          func() consistency.Event { return bad(consistency.EventQuiet, consistency.RowContinuing, 2) },
		"the same again": func() consistency.Event { return opened(2) },
		"reminder":       func() consistency.Event { return bad(consistency.EventReminder, consistency.RowContinuing, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			inRoom(t, func(t *testing.T, r *room) {
				e := opened(2)
				r.failReplies()
				receipt, err := r.Notify(t.Context(), e)
				require.ErrorContains(t, err, "the first message is there, what belongs into its thread is not: slack: chat.postMessage (to post a message): restricted_action")
				require.NotEmpty(t, receipt)
				receipt = r.tell(follow(next(), receipt))
				require.NotEmpty(t, r.thread())
				require.Contains(t, r.thread()[0].Text, `"key":"2"`)
				require.Len(t, r.thread(), 1)
				r.tell(follow(bad(consistency.EventQuiet, consistency.RowContinuing, 2), receipt))
				require.Len(t, r.thread(), 1)
			})
		})
	}
	// An unknown outcome in between loses nothing.
	inRoom(t, func(t *testing.T, r *room) {
		r.failReplies()
		receipt, err := r.Notify(t.Context(), opened(2))
		require.Error(t, err)
		could := unknown(consistency.EventUnknown)
		could.Incident = opened(2).Incident
		receipt = r.tell(follow(could, receipt))
		could.Kind = consistency.EventQuiet
		receipt = r.tell(follow(could, receipt))
		r.tell(follow(bad(consistency.EventQuiet, consistency.RowContinuing, 2), receipt))
		require.Len(t, r.thread(), 2)
		require.Contains(t, r.thread()[1].Text, `"key":"2"`)
	})
	// Resolved before it could be made good.
	inRoom(t, func(t *testing.T, r *room) {
		r.failReplies()
		receipt, err := r.Notify(t.Context(), opened(2))
		require.Error(t, err)
		receipt = r.tell(follow(resolved(2), receipt))
		require.Len(t, r.thread(), 1)
		r.fake.Requests()
		r.tell(follow(good(consistency.EventQuiet), receipt))
		require.Empty(t, r.fake.Requests())
	})
}

// failReplies lets the second message fail that is posted from now on.
func (r *room) failReplies() {
	// The first is the answer itself: it is carried out, and looks lost, so that the Notifier finds it; the second is the reply.
	r.fake.Fail("chat.postMessage", fakeslack.Fault{Status: 500, After: true}, fakeslack.Fault{Code: "restricted_action"})
}

func TestFileFails(t *testing.T) {
	for method, fault := range map[string]fakeslack.Fault{
		"files.getUploadURLExternal": {Code: "file_uploads_disabled"}, "upload": {Status: 403}, "files.completeUploadExternal": {Code: "storage_limit_reached"},
	} {
		t.Run(method, func(t *testing.T) {
			inRoom(t, func(t *testing.T, r *room) {
				r.fake.Fail(method, fault)
				receipt := r.tell(opened(300))
				require.Len(t, r.thread(), 1)
				require.Contains(t, r.thread()[0].Text, "The file with all of them could not be attached")
				require.Contains(t, r.log.String(), "to attach the rows as a file")

				receipt = r.tell(follow(bad(consistency.EventQuiet, consistency.RowContinuing, 300), receipt))
				require.Len(t, r.thread(), 2)
				require.Equal(t, 300, strings.Count(string(r.thread()[1].Files[0].Content), `"key"`))
				r.tell(follow(bad(consistency.EventQuiet, consistency.RowContinuing, 300), receipt))
				require.Len(t, r.thread(), 2)
			})
		})
	}
}

// A server that names a place of its own for the file gets neither the file nor the token.
func TestFileGoesToSlackOnly(t *testing.T) {
	for _, url := range []string{"http://evil.test/upload/F1", "https://slack.com.evil.test/F1", "http://slack.test.evil.test/", "https://slack.test/upload", "gopher://x", "::"} {
		inRoom(t, func(t *testing.T, r *room) {
			r.fake.Fail("files.getUploadURLExternal", fakeslack.Fault{Body: `{"ok":true,"file_id":"F1","upload_url":"` + url + `/` + token + `"}`})
			r.tell(opened(300))
			require.Contains(t, r.thread()[0].Text, "could not be attached")
			for _, q := range r.fake.Requests() {
				require.NotContains(t, q.Method, "the file itself")
				require.NotContains(t, q.Method, "completeUpload")
			}
		})
	}
}

// A missing scope costs its feature and nothing else, and the log says which.
func TestMissingScopes(t *testing.T) {
	for scope, says := range map[string]string{
		"files:write": "attach the rows as a file", "channels:history": "find its own earlier message",
	} {
		inRoom(t, func(t *testing.T, r *room) {
			r.fake.Revoke(scope)
			receipt := r.tell(opened(300))
			r.tell(follow(bad(consistency.EventReminder, consistency.RowContinuing, 300), receipt))
			r.top()
			require.Contains(t, r.log.String(), says)
			require.Contains(t, r.log.String(), "the token lacks the scope "+scope)
		})
	}
	inRoom(t, func(t *testing.T, r *room) {
		r.fake.Revoke("reactions:read")
		_, err := r.Acks(t.Context(), r.tell(opened(1)))
		require.ErrorContains(t, err, "slack: reactions.get (to read who acknowledged or muted): missing_scope: the token lacks the scope reactions:read")
		err = r.Ping(t.Context())
		require.ErrorContains(t, err, "reactions:read")
	})
	inRoom(t, func(t *testing.T, r *room) {
		require.NoError(t, r.Ping(t.Context()))
		r.fake.Revoke("files:write", "channels:history")
		err := r.Ping(t.Context())
		require.ErrorContains(t, err, "files:write")
		require.ErrorContains(t, err, "channels:history (groups:history for a private channel)")
		require.NotContains(t, err.Error(), "reactions")
		r.Token = ""
		require.ErrorContains(t, r.Ping(t.Context()), "Token is empty")
	})
	inRoom(t, func(t *testing.T, r *room) {
		r.Token = "xoxb-another-SECRET"
		require.ErrorContains(t, r.Ping(t.Context()), "invalid_auth: Slack does not accept the token")
	})
}
