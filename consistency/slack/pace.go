package slack

import (
	"context"
	"sync"
	"time"

	"github.com/tashikame-go/tashikame/internal/outbound"
)

// messageEvery is the time between two messages in a channel: Slack allows one a second, and short bursts of unsaid length.
// https://docs.slack.dev/apis/web-api/rate-limits
const messageEvery = time.Second

// pacer spaces what goes into a channel. It holds one time for each channel.
type pacer struct {
	mu   sync.Mutex
	next map[string]time.Time
}

// wait returns when it is the caller's turn.
func (p *pacer) wait(ctx context.Context, channel string) error {
	p.mu.Lock()
	turn := p.next[channel]
	if now := time.Now(); turn.Before(now) {
		turn = now
	}
	p.set(channel, turn.Add(messageEvery))
	p.mu.Unlock()
	return outbound.Sleep(ctx, time.Until(turn))
}

// hold keeps everybody out of the channel for that long, as Slack has asked.
func (p *pacer) hold(channel string, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(d); p.next[channel].Before(until) {
		p.set(channel, until)
	}
}

func (p *pacer) set(channel string, t time.Time) {
	if p.next == nil {
		p.next = map[string]time.Time{}
	}
	p.next[channel] = t
}
