package redismigrate

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// lane is one worker's raw connections to one db of a session: one to the server, or one to each master of a cluster, where commands go to
// the owner of their key. What is asked of a list of keys is answered in the order of the list.
type lane struct {
	s     *session
	db    int
	pipes map[*node]*rawPipe
}

// pipe returns the connection that serves a key.
func (l *lane) pipe(ctx context.Context, key string) (*rawPipe, error) {
	n := l.s.owner(key)
	if p := l.pipes[n]; p != nil {
		return p, nil
	}
	p, err := n.rawPipe(ctx, l.db)
	if err == nil {
		l.pipes[n] = p
	}
	return p, err
}

// queue adds the command that args appends for each key.
func (l *lane) queue(ctx context.Context, keys []string, args func(to []string, key string) []string) error {
	var room [8]string
	for _, key := range keys {
		p, err := l.pipe(ctx, key)
		if err != nil {
			return err
		}
		p.queue(args(room[:0], key)...)
	}
	return nil
}

func (l *lane) send() error {
	for n, p := range l.pipes {
		if err := p.send(); err != nil {
			return n.fail("send commands", err)
		}
	}
	return nil
}

// numbers reads the reply of each key as a number into to. A key whose slot has moved, and, with nils, one whose reply is nil, gets
// noNumber.
func (l *lane) numbers(keys []string, doing string, to []int64) error {
	for i, key := range keys {
		p := l.pipes[l.s.owner(key)]
		kind, n, err := p.header()
		switch {
		case err == nil && kind == ':':
			to[i] = n
		case err == nil && kind == '$' && n == -1, slotMoved(err):
			to[i] = noNumber
		case err == nil:
			return p.node.fail(doing, errReply)
		default:
			return p.node.fail(doing, err)
		}
	}
	return nil
}

// noNumber stands where there is none; no expiry and no size is so.
const noNumber = -3

// sizes asks what each key weighs, 0 when that cannot be told.
func (l *lane) sizes(ctx context.Context, keys []string, to []int64) error {
	err := l.queue(ctx, keys, func(to []string, key string) []string { return append(to, "MEMORY", "USAGE", key) })
	if err == nil {
		err = l.send()
	}
	if err == nil {
		err = l.numbers(keys, "MEMORY USAGE", to)
	}
	return err
}

// probeSizes finds out whether MEMORY USAGE may be asked.
func (s *session) probeSizes(ctx context.Context) error {
	can, err := s.canWeigh(ctx)
	if err == nil && !can {
		s.setBlind()
	}
	return err
}

// askExpiries queues what tells when each key expires; expiries reads it.
func (l *lane) askExpiries(ctx context.Context, keys []string) error {
	absolute, err := l.s.absoluteExpiry(ctx)
	if err != nil {
		return err
	}
	if absolute {
		return l.queue(ctx, keys, func(to []string, key string) []string { return append(to, "PEXPIRETIME", key) })
	}
	clockOf := map[*rawPipe]bool{} // each server's clock first, then all that is left to live
	for _, key := range keys {
		p, err := l.pipe(ctx, key)
		if err != nil {
			return err
		}
		if !clockOf[p] {
			clockOf[p] = true
			p.queue("TIME")
		}
		p.queue("PTTL", key)
	}
	return nil
}

// expiries reads when each key expires: Unix milliseconds, -1 for never, -2 for no such key, noNumber when another node serves it.
func (l *lane) expiries(ctx context.Context, keys []string, to []int64) error {
	absolute, err := l.s.absoluteExpiry(ctx)
	if err != nil {
		return err
	}
	if absolute {
		return l.numbers(keys, "PEXPIRETIME", to)
	}
	clocks := map[*rawPipe]int64{}
	for i, key := range keys {
		p := l.pipes[l.s.owner(key)]
		if _, told := clocks[p]; !told {
			now, err := p.time()
			if err != nil {
				return p.node.fail("TIME", err)
			}
			clocks[p] = now
		}
		if err := l.numbers(keys[i:i+1], "PTTL", to[i:i+1]); err != nil {
			return err
		}
		if to[i] >= 0 {
			to[i] += clocks[p]
		}
	}
	return nil
}

// time reads the reply to TIME as Unix milliseconds.
func (p *rawPipe) time() (int64, error) {
	v, err := p.value()
	if err != nil {
		return 0, err
	}
	var seconds, micros int64
	if len(v.list) != 2 {
		return 0, errReply
	}
	if _, err := fmt.Sscan(v.list[0].text, &seconds); err != nil {
		return 0, errReply
	}
	if _, err := fmt.Sscan(v.list[1].text, &micros); err != nil {
		return 0, errReply
	}
	return time.Unix(seconds, micros*1000).UnixMilli(), nil
}

func (l *lane) close() {
	for _, p := range l.pipes {
		p.close()
	}
	l.pipes = nil
}

// laneRack keeps the lanes of a session that nobody uses at the moment, by db.
type laneRack struct {
	mu     sync.Mutex
	free   map[int][]*lane
	closed bool
}

// lane lends a worker raw connections to a db; giveBack takes them back.
func (s *session) lane(db int) *lane {
	if s.cluster != nil {
		db = 0
	}
	s.rack.mu.Lock()
	defer s.rack.mu.Unlock()
	if free := s.rack.free[db]; len(free) > 0 {
		s.rack.free[db] = free[:len(free)-1]
		return free[len(free)-1]
	}
	return &lane{s: s, db: db, pipes: map[*node]*rawPipe{}}
}

// giveBack takes a lane back. One on which replies may still be unread (clean is false) is closed.
func (s *session) giveBack(l *lane, clean bool) {
	s.rack.mu.Lock()
	defer s.rack.mu.Unlock()
	if !clean || s.rack.closed {
		l.close()
		return
	}
	if s.rack.free == nil {
		s.rack.free = map[int][]*lane{}
	}
	s.rack.free[l.db] = append(s.rack.free[l.db], l)
}

func (r *laneRack) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, free := range r.free {
		for _, l := range free {
			l.close()
		}
	}
	r.free = nil
}
