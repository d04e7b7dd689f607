package slack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/consistency/slack"
	"github.com/tashikame-go/tashikame/internal/fakeslack"
)

// A process was killed after it had posted and before it could remember where: its successor goes on in the same thread.
func TestThreadIsFoundAgain(t *testing.T) {
	for _, k := range []consistency.EventKind{consistency.EventOpened, consistency.EventWorse, consistency.EventReminder, consistency.EventQuiet} {
		t.Run(k.String(), func(t *testing.T) {
			inRoom(t, func(t *testing.T, r *room) {
				r.tell(opened(2))
				time.Sleep(time.Minute)
				e := opened(2)
				e.Incident.Opened = time.Now().Add(-time.Minute)
				e.Kind = k
				receipt, err := r.another(r.fake).Notify(t.Context(), e)
				require.NoError(t, err)
				require.Len(t, r.thread(), map[bool]int{true: 2, false: 1}[k == consistency.EventWorse || k == consistency.EventReminder], "the rows are not said again")
				require.Contains(t, string(receipt), r.top().TS)
			})
		})
	}
	inRoom(t, func(t *testing.T, r *room) { // killed between the first message and the rows
		r.failReplies()
		_, err := r.Notify(t.Context(), opened(2))
		require.Error(t, err)
		r.tell(opened(2))
		require.Len(t, r.thread(), 1)
		require.Contains(t, r.thread()[0].Text, `"key":"2"`)
		require.False(t, r.thread()[0].Broadcast, "people were told by the first message")
	})
	inRoom(t, func(t *testing.T, r *room) { // far up in a busy channel
		r.tell(opened(1))
		r.fake.Do(channel, func(c *fakeslack.Channel) {
			for i := range 700 {
				c.Messages = append(c.Messages, &fakeslack.Message{TS: fmt.Sprintf("%d.%06d", time.Now().Unix()+60, i), Text: "chat", BotID: "B0OTHER"})
			}
		})
		r.tell(opened(1))
		ours := 0
		for _, m := range r.fake.Top(channel) {
			if m.BotID == fakeslack.BotID {
				ours++
			}
		}
		require.Equal(t, 1, ours)
	})
}

// Another check, another incident of the same check, another channel: another thread.
func TestThreadsAreNotMixedUp(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		first := r.tell(opened(1))
		other := opened(1)
		other.Check.Name = "stock-below-zero"
		r.tell(other)
		later := opened(1)
		later.Incident.ID = "i2"
		r.tell(follow(later, r.tell(follow(resolved(1), first)))) // the receipt of an incident that is over
		require.Len(t, r.fake.Top(channel), 3)
		foreign := opened(1)
		foreign.Check.Name = "a third check"
		r.tell(follow(foreign, first)) // the receipt of another check
		require.Len(t, r.fake.Top(channel), 4)
		r.ChannelFor = func(consistency.Meta) string { return "C0OTHER" }
		r.tell(opened(1))
		require.Len(t, r.fake.Top("C0OTHER"), 1)
	})
}

// An incident ended and another began before people could be told of the end: to them it is one conversation.
func TestNextIncidentBeforeTheEndWasTold(t *testing.T) {
	for _, lost := range []bool{false, true} {
		inRoom(t, func(t *testing.T, r *room) {
			receipt := r.tell(opened(1))
			e := opened(1)
			e.Incident.ID = "i2"
			receipt = r.tell(follow(e, receipt))
			require.Len(t, r.thread(), 2)
			require.True(t, r.thread()[1].Broadcast)
			if lost {
				receipt = ""
			}
			over := resolved(1)
			over.Incident.ID = "i2"
			r.tell(follow(over, receipt))
			require.Regexp(t, "^✅", r.top().Text)
		})
	}
}

// Rows of earlier runs that nothing has resolved are still wrong, whatever the latest run found.
func TestNoFalseGreen(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		receipt := r.tell(opened(3))
		e := bad(consistency.EventQuiet, consistency.RowContinuing, 3)
		e.Outcome, e.Total = consistency.Consistent, 0
		r.tell(follow(e, receipt))
		require.Regexp(t, `^🔴 \*3 \(oldest 2d\)`, r.top().Text)
	})
}

func TestReceiptOfNoUse(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		mine := r.tell(opened(1))
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(mine), &fields))
		require.Less(t, len(mine), 250)
		fields["v"] = 99
		newer, _ := json.Marshal(fields)
		for _, receipt := range []string{
			"page:17", "{}", "null", "[]", string(mine)[:20], string(mine) + "x", `{"v":1,"channel":"C1 ","ts":"1.1"}`, `{"v":1,"channel":"C0ORDERS","ts":"../../x"}`,
			`{"v":1,"channel":"` + token + `","ts":"1.1"}`, string(newer), strings.Repeat(" ", 1<<20) + string(mine), "\xff\x00",
		} {
			got := r.tell(follow(bad(consistency.EventReminder, consistency.RowContinuing, 1), consistency.Receipt(receipt)))
			require.Contains(t, string(got), r.top().TS, "the message was found in the channel instead")
			_, err := r.Acks(t.Context(), consistency.Receipt(receipt))
			require.ErrorContains(t, err, "slack: the receipt")
			require.NotContains(t, err.Error(), "SECRET")
		}
		require.Contains(t, r.log.String(), "was it given another notifier's state?")
		require.Contains(t, r.log.String(), "written by another version (99)")
	})
}

// Somebody deletes the first message: quiet events leave it at that, the next news begins anew.
func TestDeletedMessage(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		receipt := r.tell(opened(1))
		r.fake.Do(channel, func(c *fakeslack.Channel) { c.Messages = c.Messages[1:] })
		quiet := r.tell(follow(bad(consistency.EventQuiet, consistency.RowContinuing, 1), receipt))
		require.Equal(t, receipt, quiet)
		require.Empty(t, r.fake.Top(channel))
		acks, err := r.Acks(t.Context(), receipt)
		require.NoError(t, err)
		require.Empty(t, acks)
		r.tell(follow(bad(consistency.EventReminder, consistency.RowContinuing, 1), quiet))
		require.Len(t, r.thread(), 1, "a whole new thread")
	})
}

func TestMessageThatCannotBeEdited(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) { // another app's: the token has changed
		receipt := r.tell(opened(1))
		r.fake.Do(channel, func(c *fakeslack.Channel) { c.Messages[0].BotID = "B0OTHER" })
		r.tell(follow(bad(consistency.EventReminder, consistency.RowContinuing, 1), receipt))
		require.Len(t, r.fake.Top(channel), 2)
	})
	for _, f := range []fakeslack.Fault{{Code: "edit_window_closed"}, {Status: 500}, {Code: "missing_scope"}} {
		inRoom(t, func(t *testing.T, r *room) { // people are told all the same, and the headline is made good
			receipt := r.tell(opened(1))
			r.fake.Fail("chat.update", f, f, f, f)
			receipt = r.tell(follow(bad(consistency.EventReminder, consistency.RowContinuing, 1), receipt))
			require.Len(t, r.thread(), 2)
			require.Contains(t, r.log.String(), "the headline of a thread could not be changed")
			r.fake.Mend()
			require.Contains(t, r.top().Text, "+1")
			r.tell(follow(bad(consistency.EventQuiet, consistency.RowContinuing, 1), receipt))
			require.Contains(t, r.top().Text, "oldest 2d")
		})
	}
	inRoom(t, func(t *testing.T, r *room) { // quiet: an error, and the receipt does not claim that it was done
		receipt := r.tell(opened(1))
		r.fake.Fail("chat.update", fakeslack.Fault{Code: "internal_error"}, fakeslack.Fault{Status: 500}, fakeslack.Fault{Status: 500}, fakeslack.Fault{Status: 500})
		got, err := r.Notify(t.Context(), follow(bad(consistency.EventQuiet, consistency.RowContinuing, 1), receipt))
		require.ErrorContains(t, err, "slack: chat.update (to keep a headline current): Slack failed (HTTP 500) (tried 4 times)")
		require.Equal(t, receipt, got)
	})
}

// The channel was archived while a thread was open there, and the configuration names another one now.
func TestChannelMoves(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		receipt := r.tell(opened(1))
		r.fake.Do(channel, func(c *fakeslack.Channel) { c.Archived = true })
		e := follow(bad(consistency.EventReminder, consistency.RowContinuing, 1), receipt)
		got, err := r.Notify(t.Context(), e)
		require.ErrorContains(t, err, "is_archived: the channel is archived: name another one")
		require.Equal(t, receipt, got, "nothing is forgotten")
		r.Channel = "C0OTHER"
		r.tell(e)
		require.Len(t, r.fake.Top("C0OTHER"), 1)
	})
	inRoom(t, func(t *testing.T, r *room) {
		r.fake.Do(channel, func(c *fakeslack.Channel) { c.Outside = true })
		_, err := r.Notify(t.Context(), opened(1))
		require.ErrorContains(t, err, "not_in_channel: the app is not in the channel")
		r.Channel = "C0NOWHERE"
		_, err = r.Notify(t.Context(), opened(1))
		require.ErrorContains(t, err, "channel_not_found: Slack knows no such channel")
	})
}

func TestAcks(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		receipt := r.tell(opened(1))
		ack := func() []consistency.Ack {
			acks, err := r.Acks(t.Context(), receipt)
			require.NoError(t, err)
			return acks
		}
		require.Empty(t, ack())
		ts := r.top().TS
		r.fake.React(channel, ts, "eyes", "U012AB3CD", true)
		r.fake.React(channel, ts, "no_bell", "U0SATO123", true)
		r.fake.React(channel, ts, "no_bell", "W0TANAKA1", true)
		r.fake.React(channel, ts, "tada", "U012AB3CD", true)
		r.fake.React(channel, ts, "eyes", "<!channel>", true)
		require.Equal(t, []consistency.Ack{
			{Kind: consistency.AckSeen, By: "U012AB3CD"}, {Kind: consistency.AckMute, By: "U0SATO123"}, {Kind: consistency.AckMute, By: "W0TANAKA1"},
		}, ack())
		r.golden("acks")
		r.fake.React(channel, ts, "eyes", "U012AB3CD", false)
		r.fake.React(channel, ts, "no_bell", "U0SATO123", false)
		require.Equal(t, []consistency.Ack{{Kind: consistency.AckMute, By: "W0TANAKA1"}}, ack(), "what is taken away is withdrawn")

		// Who it is, and until when, is in the first message.
		e := bad(consistency.EventQuiet, consistency.RowContinuing, 1)
		e.Incident.AckedBy, e.Incident.AckedUntil, e.Muted = "U012AB3CD", time.Now().Add(24*time.Hour), 1
		r.tell(follow(e, receipt))
		require.Regexp(t, `👀 <@U012AB3CD> is on it until <!date\^\d+\^`, r.top().Text)
		require.Contains(t, r.top().Text, "🔕 1 row muted")

		// An answer that cannot be had is not "nobody": that would withdraw it.
		for _, f := range []fakeslack.Fault{{Body: `{}`}, {Body: `{"ok":true}`}, {Status: 500}, {Code: "internal_error"}, {Body: "<html>"}} {
			r.fake.Fail("reactions.get", f, f, f, f)
			_, err := r.Acks(t.Context(), receipt)
			require.ErrorContains(t, err, "slack: reactions.get (to read who acknowledged or muted): ")
		}
		none, err := r.Acks(t.Context(), "")
		require.NoError(t, err)
		require.Empty(t, none)
	})
}

func TestDigest(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.DigestChannel = "C0DIGEST"
		standing := func(o consistency.Outcome, n int) (all []consistency.Standing) {
			for i := range n {
				all = append(all, consistency.Standing{Check: consistency.Meta{Name: fmt.Sprintf("検査%d", i)}, Outcome: o})
			}
			return all
		}
		d := consistency.Digest{At: time.Now(), Checks: append([]consistency.Standing{
			{Check: meta, Outcome: consistency.Inconsistent, Total: 128, AtLeast: true, Since: time.Now().Add(-96 * time.Hour), Oldest: time.Now().Add(-96 * time.Hour), AckedBy: "U012AB3CD"},
			{Check: consistency.Meta{Name: "在庫"}, Reason: "no answer"},
		}, standing(consistency.Consistent, 37)...)}
		require.NoError(t, r.Digest(t.Context(), d))
		r.golden("digest")
		require.NoError(t, r.Digest(t.Context(), d))
		require.Len(t, r.fake.Top("C0DIGEST"), 1, "the digest of one moment is one message")

		text := func(d consistency.Digest) string {
			time.Sleep(time.Hour)
			d.At = time.Now()
			require.NoError(t, r.Digest(t.Context(), d))
			all := r.fake.Top("C0DIGEST")
			return all[len(all)-1].Text
		}
		require.Regexp(t, `^✅ \*0 inconsistent, 0 could not tell, 40 consistent\*`, text(consistency.Digest{Checks: standing(consistency.Consistent, 40)}))
		require.Regexp(t, `^❓ \*0 inconsistent, 1 could not tell, 39 consistent\*`, text(consistency.Digest{Checks: append(standing(consistency.Unknown, 1), standing(consistency.Consistent, 39)...)}))
		require.Contains(t, text(consistency.Digest{}), "❓ *0 inconsistent, 0 could not tell, 0 consistent*", "nothing is not well")
		got := text(consistency.Digest{Checks: standing(consistency.Inconsistent, 1000)})
		shown := strings.Count(got, "検査")
		require.Greater(t, shown, 50)
		require.Contains(t, got, fmt.Sprintf("and %d checks more, which this message has no room for.", 1000-shown))
	})
}

// Many checks at once, from two programs, into one channel that takes one message a second from each of them.
func TestTwoNotifiersAtOnce(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.fake.Burst = 2
		other := r.another(r.fake)
		var wg sync.WaitGroup
		errs := make(chan error, 20)
		for i := range 20 {
			wg.Go(func() {
				e := opened(1)
				e.Check.Name = fmt.Sprintf("check-%d", i)
				n := r.Notifier
				if i%2 == 1 {
					n = other
				}
				_, err := n.Notify(context.WithoutCancel(t.Context()), e)
				errs <- err
			})
		}
		wg.Wait()
		close(errs)
		failed := 0
		for err := range errs {
			if err != nil {
				require.ErrorContains(t, err, "Slack asks to slow down")
				failed++
			}
		}
		require.LessOrEqual(t, failed, 2, "two programs share the limit of one")
		for _, top := range r.fake.Top(channel) {
			for _, reply := range r.fake.Thread(channel, top.TS) {
				id := func(m fakeslack.Message) string {
					var d struct {
						P map[string]any `json:"event_payload"`
					}
					require.NoError(t, json.Unmarshal(m.Metadata, &d))
					return d.P["check_id"].(string)
				}
				require.Equal(t, id(top), id(reply), "each thread holds its own check's rows")
			}
		}
	})
	inRoom(t, func(t *testing.T, r *room) { // one notifier never meets the limit
		started := time.Now()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				e := opened(1)
				e.Check.Name = fmt.Sprintf("check-%d", i)
				r.tell(e)
			})
		}
		wg.Wait()
		require.Len(t, r.fake.Top(channel), 20)
		require.Equal(t, 39*time.Second, time.Since(started))
		require.NotContains(t, r.log.String(), "slow down")
	})
}

func TestValidate(t *testing.T) {
	for want, n := range map[string]*slack.Notifier{
		"Token is empty": {Channel: "C012AB3CD"},
		"was it read from a file with its line end?":   {Token: token + "\n", Channel: "C012AB3CD"},
		"an incoming webhook cannot follow a thread":   {Token: "https://hooks.slack.com/services/T0/B0/SECRET", Channel: "C012AB3CD"},
		"Channel is empty":                             {Token: token},
		`Channel is "#orders": that is no channel ID`:  {Token: token, Channel: "#orders"},
		`DigestChannel is "general": that is no chann`: {Token: token, Channel: "C012AB3CD", DigestChannel: "general"},
	} {
		err := n.Validate()
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "SECRET")
		_, err = n.Notify(t.Context(), consistency.Event{})
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, n.Digest(t.Context(), consistency.Digest{}), want)
	}
	for mention, fine := range map[string]bool{
		"<!subteam^S012AB3CD>": true, "<@U012AB3CD> <!here>": true, "please look, <!channel>": true, "": true,
		"@here": false, "oncall": false, "<!>": false, "U012AB3CD": false,
	} {
		err := (&slack.Notifier{Token: token, Channel: channel, Mention: map[consistency.Severity]string{consistency.SeverityCritical: mention}}).Validate()
		if fine {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, fmt.Sprintf("slack.Notifier.Mention[critical] is %q, which mentions nobody", mention))
		}
	}
	err := (&slack.Notifier{}).Validate()
	require.ErrorContains(t, err, "Token")
	require.ErrorContains(t, err, "Channel")
	require.NoError(t, (&slack.Notifier{Token: token, Channel: "C012AB3CD"}).Validate())
}

func TestTokenIsNotPrinted(t *testing.T) {
	n := &slack.Notifier{Token: token, Channel: channel}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "notifier", n)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "notifier", n)
	j, _ := json.Marshal(n)
	for _, text := range []string{fmt.Sprint(n), fmt.Sprintf("%+v", n), fmt.Sprintf("%#v", n), fmt.Sprintf("%v", []any{n}), log.String(), string(j)} {
		require.NotContains(t, text, "SECRET")
		require.Contains(t, text, channel)
	}
}
