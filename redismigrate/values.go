package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// group is a run of keys whose values together weigh about bytes.
type group struct {
	keys  []string
	bytes int64
}

// isBlind reports whether the server does not tell the sizes of its values.
func (s *session) isBlind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blind
}

func (s *session) setBlind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blind = true
}

// canWeigh reports whether MEMORY USAGE is allowed on every node.
func (s *session) canWeigh(ctx context.Context) (bool, error) {
	for _, n := range s.nodes {
		err := n.db(s.opts.DB).MemoryUsage(ctx, canaryPrefix+"probe").Err()
		switch {
		case err == nil, errors.Is(err, redis.Nil), slotMoved(err):
		case isServerError(err):
			return false, nil
		default:
			return false, n.fail("probe MEMORY USAGE", err)
		}
	}
	return true, nil
}

// weigh cuts keys into groups of at most limit bytes, a larger single value being a group of its own. Where MEMORY USAGE is not allowed,
// groups are small and each counts as full.
func (s *session) weigh(ctx context.Context, db int, keys []string, limit int64) ([]group, error) {
	if !s.isBlind() {
		pipe := s.db(db).Pipeline()
		sizes := make([]*redis.IntCmd, len(keys))
		for i, key := range keys {
			sizes[i] = pipe.MemoryUsage(ctx, key)
		}
		_, err := pipe.Exec(ctx)
		switch {
		case err == nil || errors.Is(err, redis.Nil):
			return cutGroups(keys, limit, func(i int) int64 { return sizes[i].Val() }), nil
		case !isServerError(err):
			return nil, s.fail("MEMORY USAGE", err)
		}
		s.setBlind()
	}
	var groups []group
	for len(keys) > 0 {
		n := min(blindGroup, len(keys))
		groups = append(groups, group{keys[:n:n], limit})
		keys = keys[n:]
	}
	return groups, nil
}

func cutGroups(keys []string, limit int64, size func(i int) int64) []group {
	var groups []group
	start, bytes := 0, int64(0)
	for i := range keys {
		n := size(i)
		if i > start && bytes+n > limit {
			groups = append(groups, group{keys[start:i:i], bytes})
			start, bytes = i, 0
		}
		bytes += n
	}
	if start < len(keys) {
		groups = append(groups, group{keys[start:], bytes})
	}
	return groups
}

// dumped is a serialized value and its expiry in Unix milliseconds, -1 for none.
type dumped struct {
	payload  string
	expireAt int64
	gone     bool
}

// dump fetches the serialized values of keys in one round trip.
func (s *session) dump(ctx context.Context, db int, keys []string) ([]dumped, error) {
	absolute, err := s.absoluteExpiry(ctx)
	if err != nil {
		return nil, err
	}
	pipe := s.db(db).Pipeline()
	values, expiries := make([]*redis.StringCmd, len(keys)), make([]*redis.IntCmd, len(keys))
	var now *redis.TimeCmd
	if absolute {
		for i, key := range keys {
			values[i] = pipe.Dump(ctx, key)
			expiries[i] = expiry(ctx, pipe, "PEXPIRETIME", key)
		}
	} else { // the clock and all that is left to live first: large values in between would age them
		now = pipe.Time(ctx)
		for i, key := range keys {
			expiries[i] = expiry(ctx, pipe, "PTTL", key)
		}
		for i, key := range keys {
			values[i] = pipe.Dump(ctx, key)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) && !isServerError(err) {
		return nil, s.fail(fmt.Sprintf("DUMP %d keys of db %d", len(keys), db), err)
	}
	out := make([]dumped, len(keys))
	for i := range keys {
		payload, err := values[i].Result()
		if errors.Is(err, redis.Nil) {
			out[i].gone = true
			continue
		}
		if err != nil {
			return nil, s.fail("DUMP", err)
		}
		at, err := absoluteOf(expiries[i], now)
		if err != nil {
			return nil, s.fail("read the expiry", err)
		}
		out[i] = dumped{payload: payload, expireAt: at, gone: at == -2}
	}
	return out, nil
}

func expiry(ctx context.Context, pipe redis.Pipeliner, command, key string) *redis.IntCmd {
	cmd := redis.NewIntCmd(ctx, command, key) // go-redis' own helpers turn -1 and -2 into nanoseconds
	_ = pipe.Process(ctx, cmd)                // queued: its error comes with Exec
	return cmd
}

// absoluteOf returns an expiry in Unix milliseconds, -1 for none, -2 for no such key. now is nil when it is absolute already.
func absoluteOf(cmd *redis.IntCmd, now *redis.TimeCmd) (int64, error) {
	at, err := cmd.Result()
	if err != nil || at < 0 || now == nil {
		return at, err
	}
	start, err := now.Result()
	return start.UnixMilli() + at, err
}

// looked is what one look at a key shows.
type looked struct {
	kind     string // as TYPE says; "none" when there is no such key
	expireAt int64
	now      int64 // by the server's clock, Unix milliseconds
}

func (s *session) look(ctx context.Context, db int, key string) (looked, error) {
	absolute, err := s.absoluteExpiry(ctx)
	if err != nil {
		return looked{}, err
	}
	pipe := s.db(db).Pipeline()
	now := pipe.Time(ctx)
	var at *redis.IntCmd
	if absolute {
		at = expiry(ctx, pipe, "PEXPIRETIME", key)
	} else {
		at = expiry(ctx, pipe, "PTTL", key)
	}
	kind := pipe.Type(ctx, key)
	if _, err := pipe.Exec(ctx); err != nil {
		return looked{}, s.fail("TYPE and expiry of a key", err)
	}
	base := now
	if absolute {
		base = nil
	}
	l := looked{kind: kind.Val(), now: now.Val().UnixMilli()}
	if l.expireAt, err = absoluteOf(at, base); err != nil {
		return looked{}, s.fail("read the expiry", err)
	}
	if l.expireAt == -2 {
		l.kind = "none" // it expired between the two commands
	}
	return l, nil
}

// clocks reads both servers' clocks, and how long that took: by so much their difference may be wrong.
func clocks(ctx context.Context, source, target *session) (a, b time.Time, took time.Duration, err error) {
	start := time.Now()
	if a, err = source.keyless(source.opts.DB).Time(ctx).Result(); err != nil {
		return a, b, 0, source.fail("TIME", err)
	}
	if b, err = target.keyless(target.opts.DB).Time(ctx).Result(); err != nil {
		return a, b, 0, target.fail("TIME", err)
	}
	return a, b, time.Since(start), nil
}
