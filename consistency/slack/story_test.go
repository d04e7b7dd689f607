package slack_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/consistency"
)

var update = flag.Bool("update", false, "write the recorded requests anew")

// golden compares the requests since the last call with those on file.
func (r *room) golden(name string) {
	r.Helper()
	var b strings.Builder
	for _, q := range r.fake.Requests() {
		b.WriteString(q.String())
	}
	got := b.String()
	require.NotContains(r, got, "SECRET")
	path := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(r, os.MkdirAll("testdata", 0o755))
		require.NoError(r, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(r, err, "run go test -update")
	require.Equal(r, string(want), got, "%s", diff.Diff(path, want, "now", []byte(got)))
}

// A story from the first wrong row to the last: one thread, the headline current, each piece of news once.
func TestIncidentIsOneThread(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		receipt := r.tell(opened(3))
		r.golden("opened")
		require.Regexp(t, `^🔴 \*3 \(\+3\): orders-without-payment\*`, r.top().Text)

		time.Sleep(time.Hour)
		quiet := bad(consistency.EventQuiet, consistency.RowContinuing, 3)
		receipt = r.tell(follow(quiet, receipt))
		r.golden("quiet-headline-changes")
		again := r.tell(follow(quiet, receipt))
		require.Empty(t, r.fake.Requests(), "nothing has changed, nothing is sent")
		require.Equal(t, receipt, again)

		time.Sleep(time.Hour)
		worse := bad(consistency.EventWorse, consistency.RowContinuing, 5)
		worse.Rows[3].Phase, worse.Rows[4].Phase = consistency.RowNew, consistency.RowReappeared
		worse.New, worse.Reappeared, worse.ColumnsAdded = 1, 1, []string{"currency"}
		receipt = r.tell(follow(worse, receipt))
		r.golden("worse")
		require.Regexp(t, `^🔴 \*5 \(\+2, 1 reappeared, oldest 2d\): orders-without-payment`, r.top().Text)

		time.Sleep(time.Hour)
		receipt = r.tell(follow(bad(consistency.EventReminder, consistency.RowContinuing, 5), receipt))
		r.golden("reminder")

		time.Sleep(time.Hour)
		could := unknown(consistency.EventUnknown)
		could.Incident, could.Rows, could.Oldest = worse.Incident, worse.Rows, worse.Oldest
		receipt = r.tell(follow(could, receipt))
		r.golden("unknown-in-an-incident")
		require.Regexp(t, `^❓ \*could not tell now, 5 known \(oldest 2d\): `, r.top().Text)

		time.Sleep(time.Hour)
		receipt = r.tell(follow(resolved(5), receipt))
		r.golden("resolved")
		require.Regexp(t, `^✅ \*0 \(−5\): orders-without-payment\*`, r.top().Text)

		require.Equal(t, receipt, r.tell(follow(good(consistency.EventQuiet), receipt)))
		require.Empty(t, r.fake.Requests(), "an incident that is over is left alone")
		var kinds []string
		for _, m := range r.thread() {
			require.Empty(t, m.Files, "what fits into a message is not sent as a file, too")
			kinds = append(kinds, regexp.MustCompile(`"kind":"(\w+)"`).FindStringSubmatch(string(m.Metadata))[1])
		}
		require.Equal(t, []string{"opened", "worse", "reminder", "unknown", "resolved"}, kinds)
	})
}

// A check that never could tell is as loud as one that found something.
func TestUnknownAndRecovered(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.Mention = map[consistency.Severity]string{consistency.SeverityNormal: "<!subteam^S012AB3CD>"}
		receipt := r.tell(unknown(consistency.EventUnknown))
		r.golden("unknown")
		require.Contains(t, r.top().Text, "the database did not answer")
		require.Contains(t, r.top().Text, "<!subteam^S012AB3CD>")
		require.Empty(t, r.thread())

		time.Sleep(24 * time.Hour)
		receipt = r.tell(follow(unknown(consistency.EventUnknown), receipt))
		require.Len(t, r.thread(), 1)
		require.True(t, r.thread()[0].Broadcast)

		over := good(consistency.EventRecovered)
		over.Incident = consistency.Incident{}
		receipt = r.tell(follow(over, receipt))
		require.Regexp(t, `^✅ \*0: orders`, r.top().Text)
		require.NotContains(t, r.top().Text, "subteam")

		// The next time is another thread, although the store has kept the receipt.
		r.tell(follow(unknown(consistency.EventUnknown), receipt))
		require.Len(t, r.fake.Top(channel), 2)
	})
}

// What begins as "could not tell" goes on in the same thread when rows are found, loudly.
func TestUnknownBecomesInconsistent(t *testing.T) {
	for _, lost := range []bool{false, true} {
		inRoom(t, func(t *testing.T, r *room) {
			receipt := r.tell(unknown(consistency.EventUnknown))
			if lost {
				receipt = ""
			}
			r.tell(follow(opened(1), receipt))
			require.Regexp(t, `^🔴 \*1 `, r.top().Text)
			require.Len(t, r.thread(), 1)
			require.True(t, r.thread()[0].Broadcast)
			require.Contains(t, r.thread()[0].Text, `"key":"1"`)
		})
	}
}

func TestSilenceIsNotSent(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		require.Empty(t, r.tell(good(consistency.EventQuiet)))
		require.Empty(t, r.fake.Requests(), "a check that is all right costs nothing")
		require.Empty(t, r.tell(bad(consistency.EventQuiet, consistency.RowContinuing, 2)))
		require.Empty(t, r.fake.Messages(channel), "a quiet event begins nothing")
	})
}

func TestLoudWithoutThread(t *testing.T) {
	for name, e := range map[string]func() consistency.Event{
		"worse":     func() consistency.Event { return bad(consistency.EventWorse, consistency.RowNew, 2) },
		"reminder":  func() consistency.Event { return bad(consistency.EventReminder, consistency.RowContinuing, 2) },
		"resolved":  func() consistency.Event { return resolved(2) },
		"recovered": func() consistency.Event { return good(consistency.EventRecovered) },
	} {
		t.Run(name, func(t *testing.T) {
			inRoom(t, func(t *testing.T, r *room) {
				r.tell(e())
				require.Contains(t, r.top().Text, "orders-without-payment")
			})
		})
	}
}

func TestThreadOnly(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.ThreadOnly = true
		r.tell(follow(bad(consistency.EventReminder, consistency.RowContinuing, 1), r.tell(opened(1))))
		require.Len(t, r.thread(), 2)
		require.False(t, r.thread()[1].Broadcast)
	})
}

func TestChannelAndMentionByCheck(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.ChannelFor = func(m consistency.Meta) string {
			if m.Owner == "stock" {
				return "C0OTHER"
			}
			return ""
		}
		r.Mention = map[consistency.Severity]string{consistency.SeverityCritical: "<!here>"}
		e := opened(1)
		e.Check.Owner, e.Check.Severity = "stock", consistency.SeverityCritical
		receipt := r.tell(e)
		require.Len(t, r.fake.Top("C0OTHER"), 1)
		require.Regexp(t, "(?s)^🚨.*severity critical.*<!here>", r.fake.Top("C0OTHER")[0].Text)
		r.tell(opened(1))
		require.NotContains(t, r.top().Text, "<!here>")

		// The route changes while the thread is open: it stays where people follow it.
		r.ChannelFor = nil
		e.Kind = consistency.EventReminder
		r.tell(follow(e, receipt))
		require.Len(t, r.fake.Thread("C0OTHER", r.fake.Top("C0OTHER")[0].TS), 2)
		require.Len(t, r.fake.Top(channel), 1)

		r.ChannelFor = func(consistency.Meta) string { return "#orders" }
		_, err := r.Notify(t.Context(), opened(1))
		require.ErrorContains(t, err, `ChannelFor(orders-without-payment) is "#orders": that is no channel ID`)
	})
}
