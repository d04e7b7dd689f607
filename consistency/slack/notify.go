package slack

import (
	"context"
	"fmt"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/tashikame-go/tashikame/consistency"
)

// Notify tells the channel. The first message of an incident begins a thread; later news go into the thread and change the first message, so that it
// always shows how the check stands. A quiet event only changes the first message, and delivers what an earlier one could not.
//
// The Receipt is to be kept even when there is an error: it says what was delivered. Without it Notify looks in the channel for the thread that it began
// earlier, so that there is no second one. A file or a headline that failed is no error, since people were told: it is logged, said in the thread and
// made good with the next event. *Error tells more about an error.
func (n *Notifier) Notify(ctx context.Context, e consistency.Event) (consistency.Receipt, error) {
	if err := n.Validate(); err != nil {
		return e.Previous, err
	}
	t, have := n.previous(ctx, e)
	if !have && !e.Kind.Loud() && well(e) {
		return "", nil
	}
	channel, err := n.channel(e.Check)
	if err != nil {
		return e.Previous, err
	}
	adopted := false
	if !have {
		if t, adopted, err = n.findThread(ctx, channel, e); err != nil {
			if ctx.Err() != nil {
				return e.Previous, err
			}
			// Twice is better than never.
			n.log().WarnContext(ctx, "slack: cannot look for an earlier thread, so there may be two of one incident", "check", e.Check.Name, "error", err)
		}
		have = adopted
	}
	mention := n.Mention[e.Check.Severity]
	text := parentText(e, mention)
	posted := false // the first message was posted just now, and tells what there is to tell
	if have {
		if t, have, err = n.refresh(ctx, t, channel, text, e); err != nil {
			return t.receipt(), err
		}
	}
	if !have {
		if !e.Kind.Loud() {
			return e.Previous, nil
		}
		if t, err = n.begin(ctx, channel, text, e); err != nil {
			return "", err
		}
		posted = true
	}
	told := posted || adopted && e.Kind == consistency.EventOpened && t.Incident == e.Incident.ID
	t.Check, t.Incident = checkID(e), e.Incident.ID
	if t, err = n.reply(ctx, t, e, told, adopted, mention); err != nil {
		return t.receipt(), err
	}
	t.Closed = well(e) && t.Missing == ""
	return t.receipt(), nil
}

// previous reads the event's Receipt.
func (n *Notifier) previous(ctx context.Context, e consistency.Event) (t thread, ok bool) {
	if e.Previous == "" {
		return thread{}, false
	}
	t, err := parseReceipt(e.Previous)
	switch {
	case err != nil:
		n.log().WarnContext(ctx, "slack: the receipt of the earlier message is of no use: looking for the message in the channel", "check", e.Check.Name, "error", err)
		return thread{}, false
	case t.Check != checkID(e):
		return thread{}, false // of another check
	case t.Closed && !well(e):
		return thread{}, false // that one is over
	}
	return t, true
}

// refresh makes the first message show how the check stands. have is false if there is no such message any more.
func (n *Notifier) refresh(ctx context.Context, t thread, configured, text string, e consistency.Event) (_ thread, have bool, err error) {
	shown := digest(text)
	if !e.Kind.Loud() && (t.Shown == shown || t.Closed) {
		return t, true, nil
	}
	err = n.update(ctx, t.Channel, t.TS, text, incidentMetadata(e, e.Incident.ID))
	switch {
	case err == nil:
		t.Shown = shown
		return t, true, nil
	case hasCode(err, "message_not_found", "cant_update_message"),
		t.Channel != configured && hasCode(err, "channel_not_found", "not_in_channel", "is_archived"):
		return thread{}, false, nil
	case !e.Kind.Loud() || ctx.Err() != nil || hasCode(err, "channel_not_found", "not_in_channel", "is_archived", "invalid_auth", "token_revoked", "account_inactive"):
		return t, true, err
	}
	// People must be told, headline or not.
	t.Shown = ""
	n.log().WarnContext(ctx, "slack: the headline of a thread could not be changed", "check", e.Check.Name, "error", err)
	return t, true, nil
}

// begin posts the first message of a thread.
func (n *Notifier) begin(ctx context.Context, channel, text string, e consistency.Event) (thread, error) {
	ts, err := n.post(ctx, draft{
		channel: channel, text: text, metadata: incidentMetadata(e, e.Incident.ID),
		find: func(ctx context.Context) (string, error) {
			t, _, err := n.findThread(ctx, channel, e)
			return t.TS, err
		},
	})
	return thread{Check: checkID(e), Channel: channel, TS: ts, Incident: e.Incident.ID, Shown: digest(text)}, err
}

// reply puts into the thread what the event tells, and what could not be delivered earlier. told says that the first message tells it already, so that
// only the rows are left.
func (n *Notifier) reply(ctx context.Context, t thread, e consistency.Event, told, adopted bool, mention string) (thread, error) {
	said := ""
	if !told {
		said = news(e, mention)
	}
	rows := e.Outcome != consistency.Unknown && !well(e) && (t.Missing == missingRows || told || e.Kind.Loud())
	if said == "" && !rows {
		if t.Missing == missingFile && e.Outcome != consistency.Unknown && !well(e) {
			return n.attach(ctx, t, e), nil
		}
		if well(e) {
			t.Missing = "" // there is nothing left to show
		}
		return t, nil
	}
	text, needFile := said, false
	if rows {
		below, attach := rowsText(e, length(said), fileBelow)
		needFile = attach
		text = join(said, below)
	}
	if text == "" {
		return t, nil
	}
	id := replyID(e)
	started := time.Now()
	if told && adopted {
		started = time.Time{}
	}
	metadata := slackgo.SlackMetadata{EventType: typeReply, EventPayload: map[string]any{"id": id, "check_id": checkID(e), "kind": e.Kind.String()}}
	ts, err := n.post(ctx, draft{
		channel: t.Channel, thread: t.TS, text: text, metadata: metadata, broadcast: said != "" && !n.ThreadOnly, doubt: told && adopted,
		find: func(ctx context.Context) (string, error) { return n.searchReplies(ctx, t, started, id) },
	})
	if err != nil {
		if rows {
			t.Missing = missingRows
		}
		return t, fmt.Errorf("the first message is there, what belongs into its thread is not: %w", err)
	}
	if rows || well(e) {
		t.Missing = ""
	}
	if !needFile {
		return t, nil
	}
	t = n.attach(ctx, t, e)
	if t.Missing != "" { // say so where people look for it
		below, _ := rowsText(e, length(said), fileFailed)
		if err := n.update(ctx, t.Channel, ts, join(said, below), metadata); err != nil {
			n.log().WarnContext(ctx, "slack: a message names a file that could not be attached", "check", e.Check.Name, "error", err)
		}
	}
	return t, nil
}

const (
	fileBelow  = "All that are known, in full: the file below."
	fileFailed = "The file with all of them could not be attached (why is in the log); it is tried again with the next run."
)

// attach uploads the file with all rows. Where that fails, the thread remembers.
func (n *Notifier) attach(ctx context.Context, t thread, e consistency.Event) thread {
	rows := wrong(e)
	content, held := file(rows)
	title := fmt.Sprintf("%s of %s", count(int64(held), "row"), cut(e.Check.Name, 200))
	if held < len(rows) {
		title = fmt.Sprintf("%d of %s of %s (the others are too large)", held, count(int64(len(rows)), "row"), cut(e.Check.Name, 200))
	}
	t.Missing = ""
	if err := n.upload(ctx, t, "rows.json", title, content); err != nil {
		t.Missing = missingFile
		n.log().WarnContext(ctx, "slack: the file with the rows could not be attached", "check", e.Check.Name, "rows", len(rows), "error", err)
	}
	return t
}

// replyID is the same for the same news.
func replyID(e consistency.Event) string {
	parts := []string{checkID(e), e.Incident.ID, e.Kind.String(), e.Outcome.String(), fmt.Sprint(e.Total)}
	for _, r := range wrong(e) {
		parts = append(parts, r.Key, r.Phase.String())
	}
	return digest(parts...)
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "\n" + b
}
