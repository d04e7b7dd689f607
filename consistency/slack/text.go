package slack

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	slackgo "github.com/slack-go/slack/slackutilsx"

	"github.com/tashikame-go/tashikame/consistency"
)

// maxText is the length of a message's text. Slack splits chat.postMessage near 4,000 characters, refuses a longer chat.update, and cuts at 40,000.
// https://docs.slack.dev/reference/methods/chat.postMessage#truncating
const maxText = 3900

// length is the number of characters as Slack's clients count them: one outside of the basic plane counts as two.
func length(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// escape keeps text from being read as a mention, a link or a channel. Only &, < and > are special: https://docs.slack.dev/messaging/formatting-message-text
func escape(s string) string { return slackgo.EscapeMessage(s) }

// line is text out of the data, an error or the configuration as one escaped line of at most limit characters, which opens no code block.
func line(s string, limit int) string {
	if len(s) > 16*limit {
		s = cut(s, 16*limit) // enough for what follows, whatever it is made of
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	s = strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "```", "'''")
	// Cut before escaping, so that no half of an escape is left.
	if length(escape(s)) <= limit {
		return escape(s)
	}
	var b strings.Builder
	used := 1
	for _, r := range s {
		e := escape(string(r))
		if used += length(e); used > limit {
			break
		}
		b.WriteString(e)
	}
	return b.String() + "…"
}

// cut returns the longest beginning of s of at most limit bytes that ends with a whole character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// date is a moment that each reader sees in their own time zone. https://docs.slack.dev/messaging/formatting-message-text#date-formatting
func date(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty}, {time}|%s>", t.Unix(), t.UTC().Format("2006-01-02 15:04 UTC"))
}

// age is a duration in its largest unit.
func age(d time.Duration) string {
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dm", max(0, d)/time.Minute)
}

func count(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// at is the moment that an event speaks of.
func at(e consistency.Event) time.Time {
	if e.Started.IsZero() {
		return time.Now()
	}
	return e.Started.Add(e.Duration)
}
