package redismigrate

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// asker puts one question about each key of a batch in a round trip. Its commands are made once and used again: a million keys would
// else cost millions of objects.
type asker struct {
	kinds []*redis.StatusCmd
	ttls  []*redis.IntCmd
	sizes []*redis.IntCmd
	args  [3][][]any
	boxes []any
	queue []redis.Cmder
	after []any // and behind it
}

// newAsker makes the commands for batches of up to size keys; samples is what MEMORY USAGE is told, 0 nothing, negative all members.
func newAsker(ctx context.Context, size, samples int) *asker {
	a := &asker{boxes: make([]any, size)}
	switch {
	case samples < 0:
		a.after = []any{"samples", 0}
	case samples > 0:
		a.after = []any{"samples", samples}
	}
	for range size {
		kind, ttl := []any{"type", ""}, []any{"pttl", ""}
		weight := append([]any{"memory", "usage", ""}, a.after...)
		a.args[0], a.args[1], a.args[2] = append(a.args[0], kind), append(a.args[1], ttl), append(a.args[2], weight)
		a.kinds = append(a.kinds, redis.NewStatusCmd(ctx, kind...))
		a.ttls = append(a.ttls, redis.NewIntCmd(ctx, ttl...)) // go-redis' own PTTL turns -1 and -2 into nanoseconds
		a.sizes = append(a.sizes, redis.NewIntCmd(ctx, weight...))
	}
	return a
}

// ask sends the questions that are wanted about keys.
func (a *asker) ask(ctx context.Context, s *session, db int, keys []string, kind, ttl, size bool) error {
	a.queue = a.queue[:0]
	for i, key := range keys {
		var boxed any = key
		if kind {
			a.args[0][i][1] = boxed
			a.queue = append(a.queue, a.kinds[i])
		}
		if ttl {
			a.args[1][i][1] = boxed
			a.queue = append(a.queue, a.ttls[i])
		}
		if size {
			a.args[2][i][2] = boxed
			a.queue = append(a.queue, a.sizes[i])
		}
	}
	pipe := s.db(db).Pipeline()
	if err := pipe.BatchProcess(ctx, a.queue...); err != nil {
		return err
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) && !isServerError(err) {
		return s.fail(fmt.Sprintf("ask about %d keys of db %d", len(keys), db), err)
	}
	for _, cmd := range a.queue {
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return s.fail(fmt.Sprintf("%v of key %.100q in db %d", cmd.FullName(), cmd.Args()[len(cmd.Args())-1-a.behind(cmd)], db), err)
		}
	}
	return nil
}

// behind is how many words follow the key.
func (a *asker) behind(cmd redis.Cmder) int {
	if cmd.Name() == "memory" {
		return len(a.after)
	}
	return 0
}

// contents says how the content of each type is measured without MEMORY USAGE: the command that counts its elements, and the one that shows
// some of them. Both take bounded time; DUMP would have the server serialize, and this program hold, a value of any size.
var contents = map[string]struct {
	count string
	some  func(key string) []any
	width int // values that some returns for one element
}{
	"string": {count: "STRLEN"},
	"hash":   {"HLEN", func(key string) []any { return []any{"HSCAN", key, 0, "COUNT", someElements} }, 2},
	"set":    {"SCARD", func(key string) []any { return []any{"SSCAN", key, 0, "COUNT", someElements} }, 1},
	"zset":   {"ZCARD", func(key string) []any { return []any{"ZSCAN", key, 0, "COUNT", someElements} }, 2},
	"list":   {"LLEN", func(key string) []any { return []any{"LRANGE", key, 0, someElements - 1} }, 1},
	"stream": {"XLEN", func(key string) []any { return []any{"XRANGE", key, "-", "+", "COUNT", someElements} }, 1},
}

const someElements = 20

// length is the length of a key's name and content; -1 when its type's cannot be told.
type length struct {
	bytes, elements int64
}

// lengths measures keys whose types are known, without MEMORY USAGE: strings by STRLEN, collections by the mean of some elements times their
// number (all elements where they are few).
func (s *session) lengths(ctx context.Context, db int, keys, kinds []string) ([]length, error) {
	pipe := s.db(db).Pipeline()
	counts, somes := make([]*redis.Cmd, len(keys)), make([]*redis.Cmd, len(keys))
	for i, key := range keys {
		c, known := contents[kinds[i]]
		if !known {
			continue
		}
		counts[i] = pipe.Do(ctx, c.count, key)
		if c.some != nil {
			somes[i] = pipe.Do(ctx, c.some(key)...)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) && !isServerError(err) {
		return nil, s.fail(fmt.Sprintf("measure the length of %d keys of db %d", len(keys), db), err)
	}
	out := make([]length, len(keys))
	for i, key := range keys {
		out[i] = length{-1, -1}
		if counts[i] == nil {
			continue
		}
		n, err := counts[i].Int64()
		if err == nil {
			out[i] = length{int64(len(key)) + n, n}
		}
		if err == nil && somes[i] != nil {
			var some any
			if some, err = somes[i].Result(); err == nil {
				out[i].bytes = int64(len(key)) + extrapolate(some, contents[kinds[i]].width, n)
			}
		}
		if err != nil && isWrongType(err) {
			out[i] = length{-1, -1} // replaced by a key of another type since TYPE
		} else if err != nil {
			return nil, s.fail(fmt.Sprintf("length of key %.100q (%s) in db %d", key, kinds[i], db), err)
		}
	}
	return out, nil
}

func isWrongType(err error) bool { return hasPrefix(err, "WRONGTYPE") }

// extrapolate is the length of n elements of which a reply shows some.
func extrapolate(reply any, width int, n int64) int64 {
	list, _ := reply.([]any)
	if len(list) == 2 && width > 0 {
		if page, scan := list[1].([]any); scan { // a cursor comes first
			if _, cursor := list[0].(string); cursor {
				list = page
			}
		}
	}
	if len(list) == 0 {
		return 0
	}
	return int64(float64(replyLength(list)) / (float64(len(list)) / float64(width)) * float64(n))
}

// replyLength is the length of all texts in a reply.
func replyLength(reply any) int64 {
	switch r := reply.(type) {
	case string:
		return int64(len(r))
	case []any:
		var sum int64
		for _, part := range r {
			sum += replyLength(part)
		}
		return sum
	}
	return 0
}

// countElements fills in how many elements the biggest keys have.
func (s *session) countElements(ctx context.Context, keys []BigKey) error {
	for i, k := range keys {
		keys[i].Elements = -1
		c, known := contents[k.Type]
		if !known {
			continue
		}
		n, err := s.db(k.DB).Do(ctx, c.count, k.Key).Int64()
		switch {
		case err != nil && !isServerError(err):
			return s.fail(fmt.Sprintf("%s of key %.100q in db %d", c.count, k.Key, k.DB), err)
		case err == nil && n > 0:
			keys[i].Elements = n
		}
	}
	return nil
}
