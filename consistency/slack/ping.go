package slack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	slackgo "github.com/slack-go/slack"
)

// Ping asks Slack whether the token is good and has every scope that this package uses, and posts nothing. Call it when a program starts, to learn of a
// mistake before the first incident. The error names each scope that is missing and what will not work without it.
func (n *Notifier) Ping(ctx context.Context) error {
	if err := n.Validate(); err != nil {
		return err
	}
	var who *slackgo.AuthTestResponse
	err := n.call(ctx, "auth.test", "", func(ctx context.Context) (err error) {
		who, err = n.api().AuthTestContext(ctx)
		if err == nil && who.UserID == "" {
			err = errNotUnderstood
		}
		return err
	})
	if err != nil {
		return err
	}
	granted := strings.FieldsFunc(who.Header.Get("X-OAuth-Scopes"), func(r rune) bool { return r == ',' || r == ' ' })
	if len(granted) == 0 {
		return nil // Slack did not say
	}
	var errs []error
	for _, f := range []struct{ method, scope string }{
		{"chat.postMessage", "chat:write"}, {"files.completeUploadExternal", "files:write"},
		{"reactions.get", "reactions:read"}, {"conversations.history", "channels:history"},
	} {
		if !slices.Contains(granted, f.scope) && (f.scope != "channels:history" || !slices.Contains(granted, "groups:history")) {
			errs = append(errs, &Error{Method: f.method, Code: "missing_scope", Permanent: true,
				text: fmt.Sprintf("missing_scope: the token lacks the scope %s: add it on the app's page OAuth & Permissions and install the app again", purposes[f.method].scope)})
		}
	}
	return errors.Join(errs...)
}
