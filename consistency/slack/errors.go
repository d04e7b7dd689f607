package slack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/internal/outbound"
)

// Error is why Slack did not do what it was asked. Its text names the request, what it is needed for and the way out; nothing that a server has
// sent is in it except an error code of Slack's form, so that no token and no URL can be.
type Error struct {
	// Method is the method of the API, for example "chat.postMessage".
	Method string
	// Code is Slack's error code, for example "not_in_channel"; empty: there was none.
	Code string
	// Status is the HTTP status where it was not 200; 0: it was, or there was no answer.
	Status int
	// RetryAfter is how long Slack asked to wait; zero: it did not.
	RetryAfter time.Duration
	// Permanent says that trying again cannot help: somebody has to do something.
	Permanent bool

	text string
	// unsure says that the request may have been carried out.
	unsure bool
}

// Error is one line.
func (e *Error) Error() string { return "slack: " + e.Method + purpose(e.Method) + ": " + e.text }

// marked lets consistency.Permanent mark it where trying again cannot help.
func (e *Error) marked() error {
	if e.Permanent {
		return consistency.Permanent(e)
	}
	return e
}

func purpose(method string) string {
	if p := purposes[method].what; p != "" {
		return " (to " + p + ")"
	}
	return ""
}

// uploadStep is the request between the two methods of a file, which has no name of its own.
const uploadStep = "upload of a file"

// errNotUnderstood is an answer without what every answer of that method has.
var errNotUnderstood = errors.New("not understood")

// purposes says what each method is needed for, and which scope it needs. https://docs.slack.dev/reference/methods
var purposes = map[string]struct{ what, scope string }{
	"auth.test":                    {"see whom the token belongs to", ""},
	"chat.postMessage":             {"post a message", "chat:write"},
	"chat.update":                  {"keep a headline current", "chat:write"},
	"conversations.history":        {"find its own earlier message", historyScopes},
	"conversations.replies":        {"find its own earlier reply", historyScopes},
	"reactions.get":                {"read who acknowledged or muted", "reactions:read"},
	"files.getUploadURLExternal":   {"attach the rows as a file", "files:write"},
	uploadStep:                     {"attach the rows as a file", "files:write"},
	"files.completeUploadExternal": {"attach the rows as a file", "files:write"},
}

const historyScopes = "channels:history (groups:history for a private channel)"

// advice says, for the error codes that this package can meet, what a person does. Transient ones are tried again.
// https://docs.slack.dev/reference/methods/chat.postMessage and its neighbours list the codes.
var advice = map[string]struct {
	text      string
	transient bool
}{
	"channel_not_found":                   {text: "Slack knows no such channel, or the app cannot see it: compare the channel's ID, and invite the app to a private channel"},
	"not_in_channel":                      {text: "the app is not in the channel: write \"/invite @\" and the app's name there"},
	"is_archived":                         {text: "the channel is archived: name another one, or unarchive it"},
	"missing_scope":                       {text: "the token lacks a scope"},
	"not_allowed_token_type":              {text: "this kind of token may not do that: use the app's bot token (xoxb-…)"},
	"invalid_auth":                        {text: "Slack does not accept the token: compare it with the bot token on the app's page OAuth & Permissions"},
	"not_authed":                          {text: "no token arrived: is a proxy changing the request?"},
	"account_inactive":                    {text: "the token belongs to an app or account that was removed: install the app again"},
	"token_revoked":                       {text: "the token was revoked: install the app again and use its new token"},
	"token_expired":                       {text: "the token has expired: turn token rotation off for this app, or renew the token"},
	"no_permission":                       {text: "the workspace does not let the app do that: ask an administrator"},
	"restricted_action":                   {text: "a setting of the workspace or the channel forbids it: ask an administrator, or let the app post in the channel's settings"},
	"ekm_access_denied":                   {text: "an administrator has suspended posting (key management)"},
	"team_access_not_granted":             {text: "the app is not installed in that workspace of the organisation"},
	"access_denied":                       {text: "access to it is denied: ask an administrator"},
	"message_not_found":                   {text: "the message was deleted"},
	"thread_not_found":                    {text: "the thread was deleted"},
	"cant_update_message":                 {text: "the message is another app's"},
	"edit_window_closed":                  {text: "the workspace's settings forbid editing a message so late"},
	"msg_too_long":                        {text: "the message is too long for Slack: please report this, it should have been cut"},
	"msg_blocks_too_long":                 {text: "the message is too long for Slack: please report this, it should have been cut"},
	"metadata_too_large":                  {text: "the message's metadata is too large for Slack: give the check a shorter name"},
	"no_text":                             {text: "the message is empty: please report this"},
	"too_many_attachments":                {text: "the message has too many attachments: please report this"},
	"file_upload_size_restricted":         {text: "the workspace does not take files of that size"},
	"file_uploads_disabled":               {text: "the workspace does not take files: ask an administrator"},
	"file_uploads_except_images_disabled": {text: "the workspace takes images only: ask an administrator"},
	"storage_limit_reached":               {text: "the workspace's storage is full"},
	"posting_to_channel_denied":           {text: "the app may not share files in the channel"},
	"file_not_found":                      {text: "Slack does not know the file that was just uploaded", transient: true},
	"messages_tab_disabled":               {text: "the app takes no direct messages: turn on its Messages tab, or name a channel"},
	"ratelimited":                         {text: "Slack asks to slow down", transient: true},
	"rate_limited":                        {text: "Slack asks to slow down", transient: true},
	"message_limit_exceeded":              {text: "the workspace has reached its limit of messages"},
	"internal_error":                      {text: "Slack failed", transient: true},
	"fatal_error":                         {text: "Slack failed", transient: true},
	"service_unavailable":                 {text: "Slack is not available", transient: true},
	"request_timeout":                     {text: "Slack did not get the whole request in time", transient: true},
	"team_added_to_org":                   {text: "the workspace is being moved, which ends by itself", transient: true},
	"accesslimited":                       {text: "access is limited at the moment", transient: true},
}

var (
	codeForm  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
	scopeForm = regexp.MustCompile(`^[a-z.]{1,40}:[a-z.]{1,40}(:[a-z]{1,40})?$`)
)

// explain makes an Error of whatever the client returned.
func explain(method string, err error) *Error {
	e := &Error{Method: method}
	if limited, ok := errors.AsType[*slackgo.RateLimitedError](err); ok {
		e.Status, e.RetryAfter = 429, max(limited.RetryAfter, time.Second)
		e.text = "Slack asks to slow down (HTTP 429, Retry-After " + e.RetryAfter.String() + ")"
		return e
	}
	if answer, ok := errors.AsType[slackgo.SlackErrorResponse](err); ok {
		e.explainCode(answer)
		return e
	}
	if status, ok := errors.AsType[slackgo.StatusCodeError](err); ok {
		e.explainStatus(status.Code)
		return e
	}
	_, badSyntax := errors.AsType[*json.SyntaxError](err)
	_, badType := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case badSyntax, badType, errors.Is(err, errNotUnderstood):
		e.unsure, e.text = true, "what answered is not Slack, or the answer was cut off: is a proxy in between?"
	case strings.HasPrefix(err.Error(), "refusing to send the token"):
		e.Permanent, e.text = true, "the answer names a place for the file that is not Slack's: nothing was sent there"
	case isRequest(err):
		e.unsure, e.text = true, "Slack could not be reached: "+outbound.Reason(err)
	default: // the client's own words, which may quote the server
		e.unsure, e.text = true, "the answer could not be read"
	}
	return e
}

func isRequest(err error) bool {
	_, is := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return is || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func (e *Error) explainCode(answer slackgo.SlackErrorResponse) {
	if !codeForm.MatchString(answer.Err) {
		e.Permanent, e.text = true, "the answer is an error, and its code is none of Slack's"
		return
	}
	e.Code = answer.Err
	known, ok := advice[e.Code]
	e.Permanent = !known.transient
	e.unsure = known.transient && !strings.Contains(e.Code, "limited")
	switch {
	case e.Code == "missing_scope":
		scope := purposes[e.Method].scope
		if scopeForm.MatchString(answer.Needed) {
			scope = answer.Needed
		}
		e.text = fmt.Sprintf("%s: the token lacks the scope %s: add it on the app's page OAuth & Permissions and install the app again", e.Code, scope)
	case ok:
		e.text = e.Code + ": " + known.text
	default:
		e.text = e.Code + ": see the method's page in Slack's documentation"
	}
}

func (e *Error) explainStatus(code int) {
	e.Status = code
	switch {
	case code == 429:
		e.text = "Slack asks to slow down (HTTP 429)"
	case code >= 500:
		e.unsure, e.text = true, fmt.Sprintf("Slack failed (HTTP %d)", code)
	case code >= 300 && code < 400:
		e.Permanent, e.text = true, fmt.Sprintf("it was redirected (HTTP %d), which is not followed since the token would go along: is APIURL right, is a proxy in between?", code)
	default:
		e.Permanent, e.text = true, fmt.Sprintf("HTTP %d: is APIURL right, is a proxy in between?", code)
	}
}

// hasCode reports whether Slack answered with one of these codes.
func hasCode(err error, codes ...string) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	for _, c := range codes {
		if e.Code == c {
			return true
		}
	}
	return false
}
