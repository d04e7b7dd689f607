package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// small is a key whose value one command reads whole and one transaction writes.
type small struct {
	key, kind string
	expireAt  int64
	gone      bool
	alone     bool // it must be copied by itself, piece by piece
	members   *redis.StringSliceCmd
	text      *redis.StringCmd
}

// copySmall copies keys that weigh little together, in a few round trips, and tells outcome of each key what copyKey would return. It
// stops when outcome returns an error. An error of its own means that it is not known what became of the keys that were not told.
func (t *typedCopy) copySmall(ctx context.Context, fromDB, toDB int, keys []string, outcome func(key string, err error) error) error {
	list, err := t.readSmall(ctx, fromDB, keys)
	if err != nil {
		return err
	}
	// What was sent is waited for, shortly, so that its outcome is known (session.cutConnections bounds it).
	sending := context.WithoutCancel(ctx)
	pipe := t.to.db(toDB).TxPipeline()
	if t.to.cluster != nil {
		pipe = t.to.cluster.Pipeline() // a transaction cannot span slots; what RENAMENX names is whole all the same
	}
	answers := make([]*redis.BoolCmd, len(list))
	for i := range list {
		if s := &list[i]; !s.gone && !s.alone {
			answers[i] = t.writeSmall(sending, pipe, s)
		}
	}
	if pipe.Len() > 0 {
		if _, err := pipe.Exec(sending); err != nil && !isServerError(err) && !errors.Is(err, redis.Nil) {
			return t.to.fail(fmt.Sprintf("write %d keys of db %d by their types", len(keys), toDB), err)
		}
	}
	var stop error
	for i, s := range list { // first all that was written: it is done, and must be counted
		if answers[i] != nil {
			if err := outcome(s.key, t.smallOutcome(s.key, answers[i])); stop == nil {
				stop = err
			}
		}
	}
	for _, s := range list {
		if stop != nil {
			return stop
		}
		switch {
		case s.gone:
			stop = outcome(s.key, errKeyGone)
		case s.alone:
			stop = outcome(s.key, t.copyKey(ctx, fromDB, toDB, s.key))
		}
	}
	return stop
}

func (t *typedCopy) smallOutcome(key string, answer *redis.BoolCmd) error {
	switch renamed, err := answer.Result(); {
	case err != nil && strings.Contains(err.Error(), "no such key"):
		return errKeyGone // it expired, by the target's clock, before it could get its name
	case errors.Is(err, redis.Nil): // SET NX
		return errKeyExists
	case err != nil:
		return t.to.fail(fmt.Sprintf("write key %q by its type", clipped(key)), err)
	case !renamed:
		return errKeyExists
	}
	return nil
}

// writeSmall queues what writes the key, and returns the command whose answer says whether it did.
func (t *typedCopy) writeSmall(ctx context.Context, pipe redis.Pipeliner, s *small) *redis.BoolCmd {
	if s.kind == "string" && s.expireAt < 0 {
		return pipe.SetNX(ctx, s.key, s.text.Val(), 0)
	}
	name := t.unfinished(s.key)
	switch s.kind {
	case "string":
		pipe.Set(ctx, name, s.text.Val(), 0)
	case "list":
		pipe.RPush(ctx, name, toAny(s.members.Val())...)
	case "set":
		pipe.SAdd(ctx, name, toAny(s.members.Val())...)
	case "zset":
		pipe.Do(ctx, append([]any{"ZADD", name}, swapped(s.members.Val())...)...)
	case "hash":
		pipe.HSet(ctx, name, toAny(s.members.Val())...)
	}
	if s.expireAt >= 0 {
		pipe.Do(ctx, "PEXPIREAT", name, s.expireAt)
	}
	answer := pipe.RenameNX(ctx, name, s.key)
	pipe.Unlink(ctx, name) // there only if the target had the key
	return answer
}

// readSmall reads the values of keys, each by one command: what it answers was the value at one moment.
func (t *typedCopy) readSmall(ctx context.Context, db int, keys []string) ([]small, error) {
	list, err := t.lookSmall(ctx, db, keys)
	if err != nil {
		return nil, err
	}
	pipe := t.from.db(db).Pipeline()
	for i := range list {
		switch s := &list[i]; s.kind {
		case "none":
			s.gone = true
		case "string":
			s.text = pipe.Get(ctx, s.key)
		case "list":
			s.members = pipe.LRange(ctx, s.key, 0, -1)
		case "set":
			s.members = pipe.SMembers(ctx, s.key)
		case "zset":
			s.members = queueList(ctx, pipe, "ZRANGE", s.key, 0, -1, "WITHSCORES")
		case "hash":
			s.members = queueList(ctx, pipe, "HGETALL", s.key)
		default:
			s.alone = true
		}
	}
	if err := t.execRead(ctx, pipe, db, len(keys)); err != nil {
		return nil, err
	}
	for i := range list {
		s := &list[i]
		var err error
		switch {
		case s.text != nil:
			err = s.text.Err()
		case s.members != nil:
			if err = s.members.Err(); err == nil && len(s.members.Val()) == 0 {
				err = redis.Nil // it is no more
			}
		}
		switch {
		case errors.Is(err, redis.Nil):
			s.gone = true
		case err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE"):
			s.alone = true
		case err != nil:
			return nil, t.from.fail(fmt.Sprintf("read key %q of db %d", clipped(s.key), db), err)
		}
	}
	return list, t.setApartExpiringFields(ctx, db, list)
}

// queueList is for commands whose reply go-redis would take apart.
func queueList(ctx context.Context, pipe redis.Pipeliner, args ...any) *redis.StringSliceCmd {
	cmd := redis.NewStringSliceCmd(ctx, args...)
	_ = pipe.Process(ctx, cmd) // queued: its error comes with Exec
	return cmd
}

func (t *typedCopy) execRead(ctx context.Context, pipe redis.Pipeliner, db, keys int) error {
	if pipe.Len() == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) && !isServerError(err) {
		return t.from.fail(fmt.Sprintf("read %d keys of db %d by their types", keys, db), err)
	}
	return nil
}

// lookSmall asks for types and expiries.
func (t *typedCopy) lookSmall(ctx context.Context, db int, keys []string) ([]small, error) {
	absolute, err := t.from.absoluteExpiry(ctx)
	if err != nil {
		return nil, err
	}
	pipe := t.from.db(db).Pipeline()
	var now *redis.TimeCmd
	command := "PEXPIRETIME"
	if !absolute {
		now, command = pipe.Time(ctx), "PTTL"
	}
	kinds, expiries := make([]*redis.StatusCmd, len(keys)), make([]*redis.IntCmd, len(keys))
	for i, key := range keys {
		expiries[i] = expiry(ctx, pipe, command, key)
		kinds[i] = pipe.Type(ctx, key)
	}
	if err := t.execRead(ctx, pipe, db, len(keys)); err != nil {
		return nil, err
	}
	list := make([]small, len(keys))
	for i, key := range keys {
		kind, err := kinds[i].Result()
		if err != nil {
			return nil, t.from.fail("TYPE", err)
		}
		at, err := absoluteOf(expiries[i], now)
		if err != nil {
			return nil, t.from.fail("read the expiry", err)
		}
		list[i] = small{key: key, kind: kind, expireAt: at, gone: at == -2}
		if at == -2 {
			list[i].kind = "none"
		}
	}
	return list, nil
}

// setApartExpiringFields finds the hashes of which single fields expire.
func (t *typedCopy) setApartExpiringFields(ctx context.Context, db int, list []small) error {
	if t.noFieldTTL.Load() {
		return nil
	}
	pipe := t.from.db(db).Pipeline()
	asked := map[int]*redis.IntSliceCmd{}
	for i, s := range list {
		if s.kind == "hash" && !s.gone && !s.alone {
			cmd := redis.NewIntSliceCmd(ctx, askFieldExpiries(s.key, s.members.Val())...)
			_ = pipe.Process(ctx, cmd) // queued: its error comes with Exec
			asked[i] = cmd
		}
	}
	if err := t.execRead(ctx, pipe, db, len(asked)); err != nil {
		return err
	}
	for i, cmd := range asked {
		at, err := cmd.Result()
		if err != nil && strings.Contains(err.Error(), "unknown command") {
			t.noFieldTTL.Store(true)
			return nil
		}
		if err != nil && !strings.HasPrefix(err.Error(), "WRONGTYPE") {
			return t.from.fail("HPEXPIRETIME", err)
		}
		list[i].alone = err != nil || onlyExpiries(at, len(list[i].members.Val())/2) != nil
	}
	return nil
}
