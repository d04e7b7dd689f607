package slack

import (
	"context"
	"fmt"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/tashikame-go/tashikame/consistency"
)

// Digest posts how all checks stand, the checks that are consistent counted as well: silence is not health. A digest of the same moment is posted once.
func (n *Notifier) Digest(ctx context.Context, d consistency.Digest) error {
	if err := n.Validate(); err != nil {
		return err
	}
	channel := n.DigestChannel
	if channel == "" {
		channel = n.Channel
	}
	id := d.At.UTC().Format(time.RFC3339Nano)
	_, err := n.post(ctx, draft{
		channel: channel, text: digestText(d), doubt: true,
		metadata: slackgo.SlackMetadata{EventType: typeDigest, EventPayload: map[string]any{"at": id}},
		find: func(ctx context.Context) (string, error) {
			m, err := n.searchHistory(ctx, channel, d.At, func(m slackgo.SlackMetadata) bool {
				return m.EventType == typeDigest && m.EventPayload["at"] == id
			})
			if m == nil {
				return "", err
			}
			return m.Timestamp, err
		},
	})
	return err
}

// digestText has the counts first, then a line for each check that is not all right, as long as there is room.
func digestText(d consistency.Digest) string {
	bad, unknown, fine := d.Count(consistency.Inconsistent), d.Count(consistency.Unknown), d.Count(consistency.Consistent)
	sign := "✅"
	switch {
	case bad > 0:
		sign = "🔴"
	case unknown > 0 || fine == 0:
		sign = "❓"
	}
	head := fmt.Sprintf("%s *%d inconsistent, %d could not tell, %d consistent* · %s", sign, bad, unknown, fine, date(d.At))
	if len(d.Checks) == 0 {
		head += "\nThere is no check."
	}
	lines := []string{head}
	used := length(head) + 60 // the last line
	shown := 0
	for _, s := range d.Checks {
		if s.Outcome == consistency.Consistent {
			continue
		}
		text := standingText(s, d.At)
		if used += length(text) + 1; used > maxText {
			return strings.Join(append(lines, fmt.Sprintf("and %s more, which this message has no room for.", count(int64(bad+unknown-shown), "check"))), "\n")
		}
		lines = append(lines, text)
		shown++
	}
	return strings.Join(lines, "\n")
}

func standingText(s consistency.Standing, now time.Time) string {
	s.Check.Name = cut(s.Check.Name, 400)
	e := consistency.Event{Result: consistency.Result{Check: s.Check, Outcome: s.Outcome, Total: s.Total, AtLeast: s.AtLeast, Started: now}, Oldest: s.Oldest}
	text := icon(e) + " " + headline(e)
	if s.Outcome == consistency.Unknown && s.Reason != "" {
		text += ": " + line(s.Reason, 200)
	}
	if !s.Since.IsZero() {
		text += " · since " + date(s.Since)
	}
	if s.Check.Owner != "" {
		text += " · owner " + line(s.Check.Owner, 80)
	}
	if s.AckedBy != "" {
		text += " · 👀 " + person(s.AckedBy)
	}
	return text
}
