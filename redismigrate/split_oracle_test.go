package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// oracle knows what one object, a key or a few that are written together, may hold: it alone writes to it. After a write that was acknowledged that is what the write made of it; after
// one that was not sent, what it was before; after one whose answer never came, either.
type oracle struct {
	kind  objectKind
	keys  []string
	may   map[string]bool // the states that it may be in
	till  [2]time.Time    // of an expiring object: when it is gone, at the earliest and at the latest
	next  int             // makes values unique
	twice bool            // the client may carry a command out twice: it repeats what it sent when a connection breaks
}

// objectKind is a kind of object: what may be done to it, and how it is read.
type objectKind struct {
	name string
	keys int
	ops  []func(o *oracle, r *rand.Rand) objectOp
	read func(ctx context.Context, c *redis.Client, keys []string) (string, error)
}

// objectOp is one write: how it is sent, and what it makes of a state.
type objectOp struct {
	send func(ctx context.Context, c *redis.Client, keys []string) error
	make func(state string) string
	life time.Duration // until what it has made expires; 0: never
}

// maybe is the most states that an oracle keeps apart before it must look.
const maybe = 32

// act does something to the object, and returns what must not be.
func (o *oracle) act(ctx context.Context, c *redis.Client, r *rand.Rand, n *soakCount) error {
	if len(o.may) > maybe || r.IntN(3) == 0 {
		return o.look(ctx, c, n)
	}
	op := o.kind.ops[r.IntN(len(o.kind.ops))](o, r)
	var till [2]time.Time
	if op.life > 0 {
		till[0] = time.Now().Add(op.life)
	}
	err := op.send(ctx, c, o.keys)
	if op.life > 0 {
		till[1] = time.Now().Add(op.life)
	}
	after := map[string]bool{}
	for s := range o.may {
		made := op.make(s)
		after[made] = true
		if o.twice {
			after[op.make(made)] = true
		}
	}
	switch judgeError(err) {
	case written:
		n.Written++
		o.may, o.till = after, till
	case notWritten:
		n.NotWritten++
	case ambiguous:
		n.Ambiguous++
		for s := range after {
			o.may[s] = true
		}
		if op.life > 0 || !o.till[0].IsZero() {
			o.may[""] = true // whichever expiry it has
			o.till = [2]time.Time{}
		}
	}
	return nil
}

// look reads the object: it must hold what it may.
func (o *oracle) look(ctx context.Context, c *redis.Client, n *soakCount) error {
	before := time.Now()
	state, err := o.kind.read(ctx, c, o.keys)
	if judgeError(err) != written {
		n.Unread++
		return nil
	}
	n.Read++
	if !o.till[0].IsZero() {
		const tolerance = 50 * time.Millisecond
		switch now := time.Now(); {
		case state == "" && now.After(o.till[0].Add(-tolerance)):
			o.may, o.till = map[string]bool{"": true}, [2]time.Time{}
			return nil
		case state != "" && before.After(o.till[1].Add(tolerance)):
			return fmt.Errorf("%s %q is %q, %s after it had to expire", o.kind.name, o.keys, state, before.Sub(o.till[1]))
		}
	}
	if !o.may[state] {
		return fmt.Errorf("%s %q is %q, and may be one of %q", o.kind.name, o.keys, state, states(o.may))
	}
	if o.till[0].IsZero() {
		o.may = map[string]bool{state: true}
	}
	return nil
}

func states(may map[string]bool) (list []string) {
	for s := range may {
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}

type verdictOfError int

const (
	ambiguous verdictOfError = iota
	written
	notWritten
)

// judgeError says what an error means for a write.
func judgeError(err error) verdictOfError {
	var refused *SplitRefusedError
	switch {
	case err == nil, isNil(err):
		return written
	case errors.As(err, &refused), errors.Is(err, ErrSplitState):
		return notWritten
	}
	return ambiguous
}

func (o *oracle) value() string {
	o.next++
	return "v" + strconv.Itoa(o.next)
}

// list turns a state into its members and back.
func members(state string) []string {
	if state == "" {
		return nil
	}
	return strings.Split(state, ",")
}

func stateOf(list []string) string { return strings.Join(list, ",") }

// number is a state as a counter.
func number10(state string) int {
	n, _ := strconv.Atoi(state)
	return n
}

var deleteOp = func(o *oracle, _ *rand.Rand) objectOp {
	return objectOp{
		send: func(ctx context.Context, c *redis.Client, keys []string) error { return c.Del(ctx, keys...).Err() },
		make: func(string) string { return "" },
	}
}

func objectKinds() []objectKind {
	set := func(o *oracle, _ *rand.Rand) objectOp {
		v := o.value()
		return objectOp{
			send: func(ctx context.Context, c *redis.Client, keys []string) error {
				return c.Set(ctx, keys[0], v, 0).Err()
			},
			make: func(string) string { return v },
		}
	}
	return []objectKind{
		{"string", 1, []func(*oracle, *rand.Rand) objectOp{set, set, deleteOp, func(o *oracle, _ *rand.Rand) objectOp {
			v := o.value()
			return objectOp{
				send: func(ctx context.Context, c *redis.Client, keys []string) error {
					return c.SetNX(ctx, keys[0], v, 0).Err()
				},
				make: func(s string) string {
					if s == "" {
						return v
					}
					return s
				},
			}
		}}, func(ctx context.Context, c *redis.Client, keys []string) (string, error) {
			return c.Get(ctx, keys[0]).Result()
		}},
		{"expiring", 1, []func(*oracle, *rand.Rand) objectOp{deleteOp, set, func(o *oracle, r *rand.Rand) objectOp {
			v, life := o.value(), time.Duration(300+r.IntN(3000))*time.Millisecond
			return objectOp{
				send: func(ctx context.Context, c *redis.Client, keys []string) error {
					return c.Set(ctx, keys[0], v, life).Err()
				},
				make: func(string) string { return v }, life: life,
			}
		}}, func(ctx context.Context, c *redis.Client, keys []string) (string, error) {
			return c.Get(ctx, keys[0]).Result()
		}},
		{"counter", 1, []func(*oracle, *rand.Rand) objectOp{func(_ *oracle, r *rand.Rand) objectOp {
			by := 1 + r.IntN(9)
			return objectOp{
				send: func(ctx context.Context, c *redis.Client, keys []string) error {
					return c.IncrBy(ctx, keys[0], int64(by)).Err()
				},
				make: func(s string) string { return strconv.Itoa(number10(s) + by) },
			}
		}}, func(ctx context.Context, c *redis.Client, keys []string) (string, error) {
			return c.Get(ctx, keys[0]).Result()
		}},
		{"hash", 1, []func(*oracle, *rand.Rand) objectOp{deleteOp, func(o *oracle, r *rand.Rand) objectOp {
			f, v := string(rune('a'+r.IntN(4))), o.value()
			return objectOp{
				send: func(ctx context.Context, c *redis.Client, keys []string) error {
					return c.HSet(ctx, keys[0], f, v).Err()
				},
				make: func(s string) string { return withField(s, f, v) },
			}
		}, func(o *oracle, r *rand.Rand) objectOp {
			f, v := string(rune('a'+r.IntN(4))), o.value()
			return objectOp{ // as a session is written: the fields, and how long it lives
				send: func(ctx context.Context, c *redis.Client, keys []string) error {
					_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
						p.HSet(ctx, keys[0], f, v)
						p.Expire(ctx, keys[0], time.Hour)
						p.HDel(ctx, keys[0], "z")
						return nil
					})
					return err
				},
				make: func(s string) string { return withField(s, f, v) },
			}
		}, func(_ *oracle, r *rand.Rand) objectOp {
			f := string(rune('a' + r.IntN(4)))
			return objectOp{
				send: func(ctx context.Context, c *redis.Client, keys []string) error { return c.HDel(ctx, keys[0], f).Err() },
				make: func(s string) string { return withField(s, f, "") },
			}
		}}, func(ctx context.Context, c *redis.Client, keys []string) (string, error) {
			m, err := c.HGetAll(ctx, keys[0]).Result()
			var list []string
			for f, v := range m {
				list = append(list, f+"="+v)
			}
			slices.Sort(list)
			return stateOf(list), err
		}},
		{"list", 1, []func(*oracle, *rand.Rand) objectOp{func(o *oracle, _ *rand.Rand) objectOp {
			v := o.value()
			return objectOp{
				send: func(ctx context.Context, c *redis.Client, keys []string) error { return c.RPush(ctx, keys[0], v).Err() },
				make: func(s string) string { return stateOf(append(members(s), v)) },
			}
		}, func(*oracle, *rand.Rand) objectOp {
			return objectOp{
				send: func(ctx context.Context, c *redis.Client, keys []string) error { return c.LPop(ctx, keys[0]).Err() },
				make: func(s string) string { m := members(s); return stateOf(m[min(1, len(m)):]) },
			}
		}}, func(ctx context.Context, c *redis.Client, keys []string) (string, error) {
			m, err := c.LRange(ctx, keys[0], 0, -1).Result()
			return stateOf(m), err
		}},
		{"set", 1, []func(*oracle, *rand.Rand) objectOp{func(_ *oracle, r *rand.Rand) objectOp {
			v := string(rune('a' + r.IntN(6)))
			return objectOp{
				send: func(ctx context.Context, c *redis.Client, keys []string) error { return c.SAdd(ctx, keys[0], v).Err() },
				make: func(s string) string { return withField(s, v, "1") },
			}
		}, func(_ *oracle, r *rand.Rand) objectOp {
			v := string(rune('a' + r.IntN(6)))
			return objectOp{
				send: func(ctx context.Context, c *redis.Client, keys []string) error { return c.SRem(ctx, keys[0], v).Err() },
				make: func(s string) string { return withField(s, v, "") },
			}
		}}, func(ctx context.Context, c *redis.Client, keys []string) (string, error) {
			m, err := c.SMembers(ctx, keys[0]).Result()
			for i := range m {
				m[i] += "=1"
			}
			slices.Sort(m)
			return stateOf(m), err
		}},
		{"sorted set", 1, []func(*oracle, *rand.Rand) objectOp{deleteOp, func(_ *oracle, r *rand.Rand) objectOp {
			v, by := string(rune('a'+r.IntN(4))), 1+r.IntN(5)
			return objectOp{
				send: func(ctx context.Context, c *redis.Client, keys []string) error {
					return c.ZIncrBy(ctx, keys[0], float64(by), v).Err()
				},
				make: func(s string) string { return withField(s, v, strconv.Itoa(number10(fieldOf(s, v))+by)) },
			}
		}}, func(ctx context.Context, c *redis.Client, keys []string) (string, error) {
			m, err := c.ZRangeWithScores(ctx, keys[0], 0, -1).Result()
			var list []string
			for _, z := range m {
				list = append(list, fmt.Sprintf("%v=%d", z.Member, int(z.Score)))
			}
			slices.Sort(list)
			return stateOf(list), err
		}},
		{"pair", 2, []func(*oracle, *rand.Rand) objectOp{func(_ *oracle, r *rand.Rand) objectOp {
			by := 1 + r.IntN(9)
			return objectOp{
				send: func(ctx context.Context, c *redis.Client, keys []string) error {
					_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
						p.IncrBy(ctx, keys[0], int64(by))
						p.IncrBy(ctx, keys[1], int64(by))
						return nil
					})
					return err
				},
				make: func(s string) string {
					n := strconv.Itoa(number10(strings.Split(s+"|", "|")[0]) + by)
					return n + "|" + n
				},
			}
		}}, func(ctx context.Context, c *redis.Client, keys []string) (string, error) {
			m, err := c.MGet(ctx, keys...).Result()
			if err != nil || m[0] == nil && m[1] == nil {
				return "", err
			}
			return fmt.Sprintf("%v|%v", m[0], m[1]), nil
		}},
	}
}

func fieldOf(state, field string) string {
	for _, m := range members(state) {
		if f, v, _ := strings.Cut(m, "="); f == field {
			return v
		}
	}
	return ""
}

// withField gives a field a value, "" takes it away.
func withField(state, field, value string) string {
	list := slices.DeleteFunc(members(state), func(m string) bool { return strings.HasPrefix(m, field+"=") })
	if value != "" {
		list = append(list, field+"="+value)
	}
	slices.Sort(list)
	return stateOf(list)
}
