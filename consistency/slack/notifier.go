package slack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/internal/outbound"
)

// Notifier tells a Slack channel, one thread for each incident of a check. Its methods may be called concurrently as long as its fields are not
// changed; use it by pointer.
type Notifier struct {
	// Token is the bot token of the app ("xoxb-…"). Required. It is in no error and no log.
	Token string `json:"-"`
	// Channel is the ID of the channel ("C024BE91L", at the end of the channel's "About" page). Required. A name will not do: Slack's history, in
	// which the Notifier finds its own messages again, knows IDs only.
	Channel string
	// ChannelFor says which channel a check is told in. Nil, or "" returned: Channel. An open thread stays where it is.
	ChannelFor func(consistency.Meta) string `json:"-"`
	// Mention says whom to mention for a check of that severity, as Slack writes it: "<!subteam^S012AB3CD>", "<@U012AB3CD>", "<!here>". Nobody is
	// mentioned where there is none, and nothing that comes out of the data ever mentions anybody.
	Mention map[consistency.Severity]string
	// DigestChannel is where the digest goes. Empty: Channel.
	DigestChannel string
	// ThreadOnly keeps what happens after the first message inside the thread. By default a change for the worse, an unknown outcome, a reminder and the
	// end are shown in the channel as well, since nobody sees a thread that they do not follow.
	ThreadOnly bool
	// HTTPClient makes the requests; its redirects are not followed. Nil: one that gives up after 30 s.
	HTTPClient *http.Client `json:"-"`
	// APIURL is where the API is. Empty: Slack's own.
	APIURL string
	// Logger takes what went wrong and did not keep people from being told: a file that could not be attached, a missing scope. Nil: slog.Default().
	Logger *slog.Logger `json:"-"`

	once   sync.Once
	client *slackgo.Client
	pace   pacer
}

var _ consistency.Notifier = (*Notifier)(nil)

// maxAnswer bounds what is read of one answer. A page of the history is the largest: 200 messages of at most 40,000 characters.
const maxAnswer = 32 << 20

func (n *Notifier) api() *slackgo.Client {
	n.once.Do(func() {
		url := n.APIURL
		if url == "" {
			url = slackgo.APIURL
		}
		n.client = slackgo.New(n.Token,
			slackgo.OptionHTTPClient(outbound.Client(n.HTTPClient, 30*time.Second, maxAnswer)),
			slackgo.OptionAPIURL(strings.TrimSuffix(url, "/")+"/"))
	})
	return n.client
}

func (n *Notifier) log() *slog.Logger {
	if n.Logger == nil {
		return slog.Default()
	}
	return n.Logger
}

// String names the channel and not the token.
func (n *Notifier) String() string { return fmt.Sprintf("slack.Notifier(%s)", n.Channel) }

// GoString is String.
func (n *Notifier) GoString() string { return n.String() }

var channelID = regexp.MustCompile(`^[CDG][A-Z0-9]{2,}$`)

// Validate says what is missing or cannot work, without asking Slack; see Ping for that.
func (n *Notifier) Validate() error {
	var errs []error
	switch {
	case n.Token == "":
		errs = append(errs, errors.New("slack.Notifier.Token is empty: set it to the app's bot token (xoxb-…), from the page OAuth & Permissions"))
	case strings.ContainsFunc(n.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		errs = append(errs, errors.New("slack.Notifier.Token holds a space, a line feed or another character that no token has: was it read from a file with its line end?"))
	case strings.HasPrefix(n.Token, "http"):
		errs = append(errs, errors.New("slack.Notifier.Token is a URL: an incoming webhook cannot follow a thread; use the app's bot token (xoxb-…)"))
	}
	errs = append(errs, checkChannel("Channel", n.Channel))
	if n.DigestChannel != "" {
		errs = append(errs, checkChannel("DigestChannel", n.DigestChannel))
	}
	for severity, text := range n.Mention {
		if text != "" && !mentions.MatchString(text) {
			errs = append(errs, fmt.Errorf("slack.Notifier.Mention[%s] is %q, which mentions nobody: write it as Slack does, <!subteam^S…> for a group, <@U…> for a person, <!here>", severity, text))
		}
	}
	return errors.Join(errs...)
}

var mentions = regexp.MustCompile(`<(!subteam\^S[A-Z0-9]+(\|[^<>]*)?|@[UW][A-Z0-9]+|!here|!channel|!everyone)>`)

func checkChannel(field, id string) error {
	switch {
	case id == "":
		return fmt.Errorf("slack.Notifier.%s is empty: set it to the channel's ID (C…), which stands at the end of the channel's About page", field)
	case !channelID.MatchString(id):
		return fmt.Errorf("slack.Notifier.%s is %q: that is no channel ID; it begins with C (or G, D), has capitals and digits only, and stands at the end of the channel's About page", field, id)
	}
	return nil
}

// channel is where news of the check goes.
func (n *Notifier) channel(m consistency.Meta) (string, error) {
	if n.ChannelFor != nil {
		if id := n.ChannelFor(m); id != "" {
			return id, checkChannel("ChannelFor("+m.Name+")", id)
		}
	}
	return n.Channel, nil
}

// call makes one request to Slack, again where that can help. A channel is given for what shows in it: Slack takes about one message a second there.
func (n *Notifier) call(ctx context.Context, method, channel string, do func(ctx context.Context) error) error {
	failed := fmt.Errorf("slack: %s%s: it was waiting for its turn (one message a second and channel)", method, purpose(method))
	return outbound.Try(ctx, func(ctx context.Context) *outbound.Failure {
		if channel != "" && n.pace.wait(ctx, channel) != nil {
			return &outbound.Failure{Err: failed}
		}
		err := do(ctx)
		if err == nil {
			return nil
		}
		e := explain(method, err)
		if channel != "" && e.RetryAfter > 0 {
			n.pace.hold(channel, min(e.RetryAfter, outbound.MaxWait))
		}
		failed = e.marked()
		return &outbound.Failure{Err: failed, Again: !e.Permanent, After: e.RetryAfter}
	})
}
