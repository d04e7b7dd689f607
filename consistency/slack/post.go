package slack

import (
	"context"
	"errors"

	slackgo "github.com/slack-go/slack"
)

// draft is a message to post.
type draft struct {
	channel, thread string // thread: ts of its first message; "": it begins one
	text            string
	metadata        slackgo.SlackMetadata
	broadcast       bool
	// find looks for the message where it may have been posted already; "": it was not.
	find func(ctx context.Context) (ts string, err error)
	// doubt says to look before the first try, too.
	doubt bool
}

// post posts the message and returns its ts. After an answer that leaves open whether it was posted, it looks for it before it posts again.
// Where it cannot look it posts: twice is better than never.
func (n *Notifier) post(ctx context.Context, d draft) (ts string, err error) {
	doubt := d.doubt
	err = n.call(ctx, "chat.postMessage", d.channel, func(ctx context.Context) error {
		if doubt {
			found, err := d.find(ctx)
			if err != nil {
				n.log().WarnContext(ctx, "slack: cannot look whether a message was posted already, so it may appear twice", "channel", d.channel, "error", err)
			}
			if found != "" {
				ts = found
				return nil
			}
		}
		options := []slackgo.MsgOption{
			slackgo.MsgOptionText(d.text, false), slackgo.MsgOptionMetadata(d.metadata),
			slackgo.MsgOptionDisableLinkUnfurl(), slackgo.MsgOptionDisableMediaUnfurl(), // a link in the data is not to be fetched
		}
		if d.thread != "" {
			options = append(options, slackgo.MsgOptionTS(d.thread))
			if d.broadcast {
				options = append(options, slackgo.MsgOptionBroadcast())
			}
		}
		var err error
		_, ts, err = n.api().PostMessageContext(ctx, d.channel, options...)
		if err == nil && !timestamp.MatchString(ts) {
			err = errNotUnderstood
		}
		if err != nil {
			doubt = explain("chat.postMessage", err).unsure
		}
		return err
	})
	return ts, err
}

// update changes a message's text and metadata.
func (n *Notifier) update(ctx context.Context, channel, ts, text string, metadata slackgo.SlackMetadata) error {
	return n.call(ctx, "chat.update", channel, func(ctx context.Context) error {
		_, got, _, err := n.api().UpdateMessageContext(ctx, channel, ts, slackgo.MsgOptionText(text, false), slackgo.MsgOptionMetadata(metadata))
		if err == nil && got != ts {
			err = errNotUnderstood
		}
		return err
	})
}

// upload attaches a file to a thread. It must not be empty: Slack refuses that.
func (n *Notifier) upload(ctx context.Context, t thread, name, title string, content []byte) error {
	if len(content) == 0 {
		return errors.New("slack: there is nothing to attach")
	}
	var place *slackgo.GetUploadURLExternalResponse
	err := n.call(ctx, "files.getUploadURLExternal", "", func(ctx context.Context) (err error) {
		place, err = n.api().GetUploadURLExternalContext(ctx, slackgo.GetUploadURLExternalParameters{FileName: name, FileSize: len(content)})
		if err == nil && (!place.Ok || place.FileID == "") {
			err = errNotUnderstood
		}
		return err
	})
	if err != nil {
		return err
	}
	err = n.call(ctx, uploadStep, "", func(ctx context.Context) error {
		return n.api().UploadToURL(ctx, slackgo.UploadToURLParameters{UploadURL: place.UploadURL, Filename: name, Content: string(content)})
	})
	if err != nil {
		return err
	}
	return n.call(ctx, "files.completeUploadExternal", t.Channel, func(ctx context.Context) error {
		done, err := n.api().CompleteUploadExternalContext(ctx, slackgo.CompleteUploadExternalParameters{
			Files: []slackgo.FileSummary{{ID: place.FileID, Title: title}}, Channel: t.Channel, ThreadTimestamp: t.TS,
		})
		if err == nil && !done.Ok {
			err = errNotUnderstood
		}
		return err
	})
}
