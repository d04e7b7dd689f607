package slack

import (
	"context"

	slackgo "github.com/slack-go/slack"

	"github.com/tashikame-go/tashikame/consistency"
)

// Reactions to the first message of a thread, and what they mean.
const (
	// ReactionSeen 👀 says that somebody is on it: no reminders for 24 h from when it was first seen.
	ReactionSeen = "eyes"
	// ReactionMute 🔕 says that the rows that are wrong now cause no reminder any more.
	ReactionMute = "no_bell"
)

// Acks returns who has answered the thread of the receipt by reaction. A reaction that was removed is not returned: the answer is withdrawn, as it is when the
// message was deleted. Slack does not say when a reaction was made, so At is zero. By is the person's user ID ("U012AB3CD").
// It needs the scope reactions:read.
func (n *Notifier) Acks(ctx context.Context, r consistency.Receipt) ([]consistency.Ack, error) {
	if r == "" {
		return nil, nil
	}
	if err := n.Validate(); err != nil {
		return nil, err
	}
	t, err := parseReceipt(r)
	if err != nil {
		return nil, err
	}
	var item slackgo.ReactedItem
	err = n.call(ctx, "reactions.get", "", func(ctx context.Context) (err error) {
		item, err = n.api().GetReactionsContext(ctx, slackgo.ItemRef{Channel: t.Channel, Timestamp: t.TS}, slackgo.GetReactionsParameters{Full: true})
		if err == nil && (item.Type != "message" || item.Message == nil) {
			err = errNotUnderstood
		}
		return err
	})
	if hasCode(err, "message_not_found") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	kinds := map[string]consistency.AckKind{ReactionSeen: consistency.AckSeen, ReactionMute: consistency.AckMute}
	var acks []consistency.Ack
	for _, reaction := range item.Reactions {
		kind, ok := kinds[reaction.Name]
		if !ok {
			continue
		}
		for _, user := range reaction.Users {
			if userID.MatchString(user) {
				acks = append(acks, consistency.Ack{Kind: kind, By: user})
			}
		}
	}
	return acks, nil
}
