package redismigrate

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

// Throttle makes a job slow down when its target suffers, and go on when it has recovered. The zero value does not slow anything down.
type Throttle struct {
	// MaxLatency is the longest time that the server may take to answer a PING, which is measured ten times a second on a connection of
	// its own, network included. 0: not watched. A command of 1,000 keys takes about 2 ms of a server's time, a SCAN of 5,000 about 7 ms:
	// below that, lower Batch and ScanCount too.
	MaxLatency time.Duration
	// MaxReplicaLag is by how many bytes of the replication stream a replica may be behind. 0: not watched. Replicas report once a
	// second, so that even a healthy one is behind by what is written in a second (a full-speed prune: some 15 MB). A replica that is
	// still being synchronised holds the job up until it has caught up.
	MaxReplicaLag int64
	// MaxRate is how many keys a second the job handles at most, over all masters and workers together. 0: as fast as it can.
	MaxRate int64
}

// sampleEvery is how often the server is asked how it is.
const sampleEvery = 100 * time.Millisecond

// strain is how the server does: the worst figure as a part of its limit (1: just at it), and in words.
type strain struct {
	load float64
	why  string // "the server takes 35ms to answer a PING (limit 10ms)"
}

// nextRate is how a strain changes the rate of keys a second. ceiling is the highest rate that makes sense: the limit, or what the job
// does without one. Above its limit the server gets at most three quarters of the keys; at twice the limit, none until it has recovered;
// when it is well, a quarter more, from a twentieth of the ceiling on.
func nextRate(rate, ceiling, load float64) float64 {
	switch {
	case load >= 2:
		return 0
	case load > 1:
		return rate * min(0.75, 1/load)
	case load <= 0.8:
		return min(ceiling, max(rate*1.25, ceiling/20))
	}
	return rate
}

// pacer lets a job's workers pass at a rate that follows the server's strain. A nil pacer lets everybody pass.
type pacer struct {
	mu      sync.Mutex
	limit   float64 // MaxRate; +Inf: none
	rate    float64 // +Inf while nothing holds the job up
	passed  float64 // keys since the last sample
	recent  float64 // keys/s between the last two samples
	peak    float64 // the most of them that was seen
	tokens  float64 // keys that may pass; below zero after a large batch
	filled  time.Time
	sampled time.Time
	why     string
}

func newPacer(maxRate int64) *pacer {
	p := &pacer{limit: math.Inf(1), filled: time.Now(), sampled: time.Now()}
	if maxRate > 0 {
		p.limit = float64(maxRate)
	}
	p.rate = p.limit
	return p
}

// wait returns when n keys may be handled, or ctx has ended.
func (p *pacer) wait(ctx context.Context, n int64) error {
	if p == nil {
		return ctx.Err()
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if p.take(float64(n), time.Now()) {
			return nil
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// take lets n keys pass if there is room. A batch passes as a whole when any room is left, and makes the next one wait the longer.
func (p *pacer) take(n float64, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !math.IsInf(p.rate, 1) {
		p.tokens = min(p.tokens+p.rate*now.Sub(p.filled).Seconds(), p.rate/20) // what is saved up is 50 ms of work at most
		p.filled = now
		if p.tokens < 0 || p.rate == 0 {
			return false
		}
		p.tokens -= n
	}
	p.passed += n
	return true
}

// sample takes in how the server is.
func (p *pacer) sample(s strain, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if took := now.Sub(p.sampled); took >= sampleEvery/2 { // the masters of a cluster report one after the other
		p.recent = p.passed / took.Seconds()
		p.peak = max(p.peak, p.recent)
		p.passed, p.sampled = 0, now
	}
	free := math.IsInf(p.rate, 1)
	if free && s.load <= 1 {
		return
	}
	rate := p.rate
	if free {
		rate = max(p.recent, 1)
	}
	ceiling := min(p.limit, max(2*p.peak, 1000)) // room to find out that more is possible
	next := nextRate(rate, ceiling, s.load)
	if next >= ceiling && s.load <= 0.8 {
		next = p.limit
	}
	if free || p.rate == 0 {
		p.tokens, p.filled = 0, now // nothing was saved up meanwhile
	}
	p.rate, p.why = next, ""
	if next < p.limit {
		p.why = s.why
	}
}

// held says in words what the job is held up by, or "".
func (p *pacer) held() string {
	if p == nil {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.why == "" {
		return ""
	}
	return fmt.Sprintf("held to %.0f keys/s: %s", p.rate, p.why)
}
