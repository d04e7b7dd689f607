package redismigrate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// draft is a value that is being built on the target under a name of its own.
type draft struct {
	s          *session
	c          *redis.Client
	name, kind string

	members  int64 // that it should have
	expiring int64 // of them, hash fields that expire by themselves
	begun    bool
}

// draftLife is how long an unfinished key outlives the job that wrote it. Each piece that is added renews it.
const draftLife = 10 * time.Minute

// put adds a piece.
func (d *draft) put(ctx context.Context, r *reading, p piece) error {
	switch d.kind {
	case "string":
		command := "APPEND"
		if !d.begun {
			command = "SET"
		}
		n, err := d.write(ctx, command, []any{p.members[0]})
		if d.members += int64(len(p.members[0])); err == nil && command == "APPEND" && n != d.members {
			return errDraftGone
		}
		return err
	case "list":
		n, err := d.write(ctx, "RPUSH", toAny(p.members))
		if d.members += int64(len(p.members)); err == nil && n != d.members {
			return errDraftGone
		}
		return err
	case "set":
		n, err := d.write(ctx, "SADD", toAny(p.members))
		d.members += n // one that SCAN shows twice is added once
		return err
	case "zset":
		n, err := d.write(ctx, "ZADD", swapped(p.members))
		d.members += n
		return err
	case "hash":
		return d.putFields(ctx, r, p)
	}
	return d.putStream(ctx, p.stream)
}

// swapped turns members and scores in turns into scores and members in turns.
func swapped(list []string) []any {
	out := make([]any, len(list))
	for i := 0; i+1 < len(list); i += 2 {
		out[i], out[i+1] = list[i+1], list[i]
	}
	return out
}

// write runs one command on the draft and renews its life, in one transaction: there is no moment at which it would stay for ever.
func (d *draft) write(ctx context.Context, command string, args []any) (n int64, err error) {
	cmd := redis.NewCmd(ctx, append([]any{command, d.name}, args...)...)
	err = d.transact(ctx, command, func(p redis.Pipeliner) { _ = p.Process(ctx, cmd) })
	if err == nil {
		n, _ = cmd.Val().(int64) // SET answers OK
	}
	return n, err
}

func (d *draft) transact(ctx context.Context, doing string, fill func(redis.Pipeliner)) error {
	d.begun = true
	_, err := d.c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		fill(p)
		p.PExpire(ctx, d.name, draftLife)
		return nil
	})
	return d.s.fail(fmt.Sprintf("%s to an unfinished copy of a key", doing), err)
}

// putFields adds fields of a hash, with their expiries.
func (d *draft) putFields(ctx context.Context, r *reading, p piece) error {
	n, err := d.write(ctx, "HSET", toAny(p.members))
	d.members += n
	if err != nil || p.expires == nil {
		return err
	}
	pipe := d.c.Pipeline()
	for i, at := range p.expires {
		if at >= 0 {
			pipe.Do(ctx, "HPEXPIREAT", d.name, at, "FIELDS", 1, p.members[2*i])
			d.expiring++
		}
	}
	_, err = pipe.Exec(ctx)
	if err != nil && strings.Contains(err.Error(), "unknown command") {
		return r.cannot(nil, fmt.Sprintf("its field %.60q expires by itself, which the target %s (version %s) does not know (HPEXPIREAT); upgrade the target, or leave the key out",
			fieldThatExpires(p), d.s.addr, d.s.id.version))
	}
	return d.s.fail("HPEXPIREAT", err)
}

func fieldThatExpires(p piece) string {
	for i, at := range p.expires {
		if at >= 0 {
			return p.members[2*i]
		}
	}
	return ""
}

// lengthOf are the commands that tell how long a value is.
var lengthOf = map[string]string{"string": "STRLEN", "list": "LLEN", "set": "SCARD", "zset": "ZCARD", "hash": "HLEN", "stream": "XLEN"}

// checkLength makes sure that nothing of the draft was lost: it may have been evicted, or have outlived its life, and been begun anew by
// the next piece.
func (d *draft) checkLength(ctx context.Context) error {
	n, err := d.c.Do(ctx, lengthOf[d.kind], d.name).Int64()
	if err != nil {
		return d.s.fail(lengthOf[d.kind], err)
	}
	if n > d.members || n < d.members-d.expiring {
		return errDraftGone
	}
	return nil
}

// publish gives the draft its expiry and the key's name, unless the target has the key.
func (d *draft) publish(ctx context.Context, key string, expireAt int64) error {
	// What was sent is waited for, shortly, so that its outcome is known (session.cutConnections bounds it).
	ctx = context.WithoutCancel(ctx)
	var rename *redis.BoolCmd
	_, err := d.c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		if expireAt < 0 {
			p.Persist(ctx, d.name)
		} else {
			p.Do(ctx, "PEXPIREAT", d.name, expireAt)
		}
		rename = p.RenameNX(ctx, d.name, key)
		return nil
	})
	switch {
	case err != nil && strings.Contains(err.Error(), "no such key"):
		return errDraftGone
	case err != nil:
		return d.s.fail(fmt.Sprintf("RENAMENX of the finished copy of key %q", clipped(key)), err)
	case !rename.Val():
		return errKeyExists
	}
	return nil
}

// discard removes what is there of the draft. If it cannot, the draft goes by itself within draftLife.
func (d *draft) discard(ctx context.Context) {
	if !d.begun {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelGrace)
	defer cancel()
	if err := d.c.Unlink(ctx, d.name).Err(); isServerError(err) {
		_ = d.c.Del(ctx, d.name).Err()
	}
}

// now is the target's clock, in Unix milliseconds; 0 when it does not answer.
func (d *draft) now(ctx context.Context) int64 {
	at, err := d.c.Time(ctx).Result()
	if err != nil {
		return 0
	}
	return at.UnixMilli()
}
