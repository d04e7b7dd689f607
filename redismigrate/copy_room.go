package redismigrate

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// memory is what INFO says of a server's memory.
type memory struct {
	used, max, evicted int64
	policy             string
}

// evicts reports whether the server deletes keys rather than refuse writes when its memory is full.
func (m memory) evicts() bool { return m.policy != "" && m.policy != "noeviction" }

// whenFull says what happens then.
func (m memory) whenFull() string {
	if m.evicts() {
		return fmt.Sprintf("its policy %s would delete keys", m.policy)
	}
	return "it would refuse all writes"
}

func (n *node) memory(ctx context.Context) (memory, error) {
	text, err := n.db(n.opts.DB).Info(ctx).Result()
	if err != nil {
		return memory{}, n.fail("ask INFO for its memory", err)
	}
	return parseMemory(text), nil
}

func parseMemory(info string) (m memory) {
	field := parseInfo(info)
	m.used, _ = field.number("used_memory")
	m.max, _ = field.number("maxmemory")
	m.evicted, _ = field.number("evicted_keys")
	m.policy = field["maxmemory_policy"]
	return m
}

// sample is what a look at some keys of one db of one node tells about all of them: of each key seen, the memory that its copy needs, 0
// when it is not selected, or is on the target already.
type sample struct {
	keys  int64 // that the db holds
	needs []float64
}

// estimate is how much memory the copies of all keys need: as the samples have it, and between what bounds that is nearly certain to lie
// (three standard errors). A few very large keys that no sample shows can exceed it.
func estimate(samples []sample) (low, mid, high float64) {
	var variance float64
	for _, s := range samples {
		n := float64(len(s.needs))
		if n == 0 {
			continue
		}
		var sum, squares float64
		for _, need := range s.needs {
			sum += need
			squares += need * need
		}
		mean := sum / n
		keys := max(float64(s.keys), n)
		mid += mean * keys
		unseen := 1 - n/keys
		variance += max(squares/n-mean*mean, 0) / n * keys * keys * unseen
	}
	margin := 3 * math.Sqrt(variance)
	return max(mid-margin, 0), mid, mid + margin
}

// sampleKeys is how many keys of each db of each node are looked at.
const sampleKeys = 2000

// checkRoom refuses a target whose memory obviously will not do, or that might delete keys to make it do.
func (c *copier) checkRoom(ctx context.Context) error {
	limited := false
	var left, limit int64
	var worst memory
	for _, n := range c.to.nodes {
		m, err := n.memory(ctx)
		if err != nil {
			return err
		}
		limited = limited || m.max > 0
		left += max(m.max-m.used, 0)
		limit += m.max
		if m.max > 0 && (worst.policy == "" || m.evicts()) {
			worst = m
		}
	}
	if !limited {
		return nil
	}
	c.room = newRoom(c.to)
	var samples []sample
	for _, db := range c.from.dbs {
		for _, n := range c.from.nodes {
			s, err := c.look(ctx, n, db)
			if isServerError(err) {
				c.note("whether the keys fit into the target's maxmemory could not be estimated before: %v", err)
				return nil
			}
			if err != nil {
				return err
			}
			samples = append(samples, s)
		}
	}
	low, mid, high := estimate(samples)
	need := low
	if worst.evicts() {
		need = high
	}
	if need <= float64(left) {
		return nil
	}
	return refuse("the target %s has %s left of its maxmemory %s, but the selected keys need about %s (%s to %s, from a sample of up to %d keys of each db): then %s; give it more memory, or select fewer keys",
		c.to.addr, byteText(left), byteText(limit), byteText(int64(mid)), byteText(int64(low)), byteText(int64(high)), sampleKeys, worst.whenFull())
}

// look samples one db of one node.
func (c *copier) look(ctx context.Context, n *node, db int) (sample, error) {
	client := n.db(db)
	size, err := client.DBSize(ctx).Result()
	if err != nil {
		return sample{}, n.fail("DBSIZE", err)
	}
	keys, _, err := client.Scan(ctx, 0, "", sampleKeys).Result()
	if err != nil {
		return sample{}, n.fail("SCAN for a sample", err)
	}
	s := sample{keys: size}
	var chosen []string
	for _, key := range keys {
		if c.keys.has(key) {
			chosen = append(chosen, key)
		}
	}
	for range len(keys) - len(chosen) {
		s.needs = append(s.needs, 0)
	}
	if len(chosen) == 0 {
		return s, nil
	}
	there, err := c.to.among(ctx, c.move.targetDB(db), chosen)
	if err != nil {
		return sample{}, err
	}
	pipe := client.Pipeline()
	sizes := make([]*redis.IntCmd, len(chosen))
	for i, key := range chosen {
		sizes[i] = pipe.MemoryUsage(ctx, key)
	}
	if _, err := pipe.Exec(ctx); err != nil && isServerError(err) && !transient(err) {
		return sample{}, n.fail("MEMORY USAGE", err)
	}
	for i, key := range chosen {
		if len(there) > 0 && there[0] == key { // in the same order
			there = there[1:]
			s.needs = append(s.needs, 0)
			continue
		}
		s.needs = append(s.needs, float64(sizes[i].Val()))
	}
	return s, nil
}

// room watches the memory of a target that has a limit. Whoever sends values takes their room before, so that the limit is not reached.
type room struct {
	side  *session
	mu    sync.Mutex
	nodes map[string]*nodeRoom
}

func newRoom(s *session) *room { return &room{side: s, nodes: map[string]*nodeRoom{}} }

// nodeRoom is what is known of one server's memory.
type nodeRoom struct {
	*node
	mu       sync.Mutex
	freed    chan struct{} // closed when room was given back
	known    memory
	at       time.Time // when it was asked; zero: never
	evicted  int64     // before the copy
	out      int64     // taken by those who are sending
	finished int64     // sent since it was asked
	factor   float64   // by how much what is sent was found to take more than was thought; 0: no more
}

const (
	roomPause  = time.Second // how old the knowledge may be
	measurable = 8 << 10     // bytes from which on the memory's growth tells something about them
	maxFactor  = 64
)

// take takes room for n bytes on the server, or refuses. A nil room has no limit.
func (r *room) take(ctx context.Context, addr string, n int64) (free func(), err error) {
	if r == nil {
		return func() {}, nil
	}
	r.mu.Lock()
	at := r.nodes[addr]
	if at == nil {
		at = &nodeRoom{node: &node{session: r.side, addr: addr}, freed: make(chan struct{})}
		r.nodes[addr] = at
	}
	r.mu.Unlock()
	return at.take(ctx, n)
}

func (r *nodeRoom) take(ctx context.Context, n int64) (free func(), err error) {
	for {
		wait, err := r.try(ctx, n)
		if err != nil {
			return nil, err
		}
		if wait == nil {
			return func() { r.free(n) }, nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// try takes the room, or says what to wait for.
func (r *nodeRoom) try(ctx context.Context, n int64) (wait chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fresh() && r.fits(n) {
		r.out += n
		return nil, nil
	}
	first, before := r.at.IsZero(), r.known.used
	if r.known, err = r.memory(ctx); err != nil {
		return nil, err
	}
	if !first && r.finished >= measurable {
		grown := float64(r.known.used-before) / float64(r.finished)
		r.factor = min(max(grown, r.factor/2), maxFactor)
	}
	r.at, r.finished = time.Now(), 0
	if first {
		r.evicted = r.known.evicted
	}
	switch {
	case r.known.evicted > r.evicted:
		return nil, refuse("the target %s has deleted %d keys since the copy began, to make room (maxmemory %s, policy %s): keys that were copied may be among them; give it more memory, or set its policy to noeviction, and look with Verify what is missing",
			r.addr, r.known.evicted-r.evicted, byteText(r.known.max), r.known.policy)
	case r.fits(n):
		r.out += n
		return nil, nil
	case r.out > 0:
		return r.freed, nil
	}
	return nil, refuse("the target %s uses %s of its maxmemory %s, and the next keys need about %s: stopped before its maxmemory is reached, since %s; give it more memory, then run the job again",
		r.addr, byteText(r.known.used), byteText(r.known.max), byteText(n), r.known.whenFull())
}

// fresh reports whether what is known may be relied on. What a value takes is only guessed where sizes are not told, so the server is asked
// again after a small part of what is left.
func (r *nodeRoom) fresh() bool {
	return time.Since(r.at) < roomPause && (r.known.max == 0 || r.finished <= (r.known.max-r.known.used)/64)
}

// fits leaves a fiftieth free, for what the server needs besides values.
func (r *nodeRoom) fits(n int64) bool {
	coming := int64(float64(r.finished+r.out+n) * max(r.factor, 1))
	return r.known.max == 0 || r.known.used+coming <= r.known.max-r.known.max/50
}

func (r *nodeRoom) free(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out -= n
	r.finished += n
	close(r.freed)
	r.freed = make(chan struct{})
}
