package slack

import (
	"context"
	"fmt"
	"strconv"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/tashikame-go/tashikame/consistency"
)

// The types of the metadata in the messages, by which they are found again. Posting a message and remembering where cannot be one step: a process
// that is killed in between would start a second thread.
const (
	typeIncident = "tashikame_incident"
	typeReply    = "tashikame_reply"
	typeDigest   = "tashikame_digest"
)

const (
	historyPage  = 200
	historyPages = 5
	// clockSkew is how far this machine's clock may be from Slack's.
	clockSkew = 5 * time.Minute
)

// checkID stands for the name of a check, which may be long.
func checkID(e consistency.Event) string { return digest(e.Check.Name) }

func incidentMetadata(e consistency.Event, incident string) slackgo.SlackMetadata {
	return slackgo.SlackMetadata{EventType: typeIncident, EventPayload: map[string]any{
		"check": cut(e.Check.Name, 200), "check_id": checkID(e), "incident": cut(incident, 200), "open": !well(e),
	}}
}

// findThread looks in the channel for the first message of the event's incident, or for one of the same check that began with an unknown outcome and
// is still open. Neither: ok is false.
func (n *Notifier) findThread(ctx context.Context, channel string, e consistency.Event) (t thread, ok bool, err error) {
	id := checkID(e)
	m, err := n.searchHistory(ctx, channel, e.Incident.Opened, func(m slackgo.SlackMetadata) bool {
		p := m.EventPayload
		if m.EventType != typeIncident || p["check_id"] != id {
			return false
		}
		return e.Incident.ID != "" && p["incident"] == cut(e.Incident.ID, 200) || p["incident"] == "" && p["open"] == true
	})
	if err != nil || m == nil {
		return thread{}, false, err
	}
	incident, _ := m.Metadata.EventPayload["incident"].(string)
	if incident != "" {
		incident = e.Incident.ID
	}
	return thread{Check: id, Channel: channel, TS: m.Timestamp, Incident: incident}, true, nil
}

// searchHistory returns the latest message of the channel since then whose metadata match; nil: there is none. It looks at a bounded number of messages.
func (n *Notifier) searchHistory(ctx context.Context, channel string, since time.Time, match func(slackgo.SlackMetadata) bool) (*slackgo.Message, error) {
	params := slackgo.GetConversationHistoryParameters{ChannelID: channel, Limit: historyPage, IncludeAllMetadata: true}
	if !since.IsZero() {
		params.Oldest = slackTime(since.Add(-clockSkew))
	}
	for range historyPages {
		var page *slackgo.GetConversationHistoryResponse
		err := n.call(ctx, "conversations.history", "", func(ctx context.Context) (err error) {
			page, err = n.api().GetConversationHistoryContext(ctx, &params)
			if err == nil && !page.Ok {
				err = errNotUnderstood
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		for i := range page.Messages {
			if match(page.Messages[i].Metadata) {
				return &page.Messages[i], nil
			}
		}
		params.Cursor = page.ResponseMetaData.NextCursor
		if !page.HasMore || params.Cursor == "" {
			break
		}
	}
	return nil, nil
}

// searchReplies returns the ts of the reply in the thread with that ID; "": there is none.
func (n *Notifier) searchReplies(ctx context.Context, t thread, since time.Time, id string) (string, error) {
	params := slackgo.GetConversationRepliesParameters{ChannelID: t.Channel, Timestamp: t.TS, Limit: historyPage, IncludeAllMetadata: true}
	if !since.IsZero() {
		params.Oldest = slackTime(since.Add(-clockSkew))
	}
	for range historyPages {
		var messages []slackgo.Message
		var more bool
		err := n.call(ctx, "conversations.replies", "", func(ctx context.Context) (err error) {
			messages, more, params.Cursor, err = n.api().GetConversationRepliesContext(ctx, &params)
			return err
		})
		if err != nil {
			return "", err
		}
		for _, m := range messages {
			if m.Metadata.EventType == typeReply && m.Metadata.EventPayload["id"] == id {
				return m.Timestamp, nil
			}
		}
		if !more || params.Cursor == "" {
			break
		}
	}
	return "", nil
}

// slackTime is a moment as Slack writes them.
func slackTime(t time.Time) string {
	return fmt.Sprintf("%s.%06d", strconv.FormatInt(max(0, t.Unix()), 10), t.Nanosecond()/1000)
}
