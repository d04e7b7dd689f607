package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// asleep are sessions that nobody uses while they go over.
const asleep = 2000

// startTwo starts two servers.
func startTwo(ctx context.Context) (old, fresh *servers.RedisServer, err error) {
	start := func(into **servers.RedisServer) func(context.Context) error {
		return func(ctx context.Context) (err error) {
			*into, err = servers.StartRedis(ctx, "--save", "")
			return err
		}
	}
	if err = together(ctx, start(&old), start(&fresh)); err == nil {
		return old, fresh, nil
	}
	for _, s := range []*servers.RedisServer{old, fresh} {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	return nil, nil, err
}

// fill fills the old store with sessions and carts, and writes the processes' journals.
func fill(ctx context.Context, old *redis.Client, crew *crew) error {
	pipe := old.Pipeline()
	logIn := func(key string, fields ...any) {
		pipe.HSet(ctx, key, append([]any{"login", 1}, fields...)...)
		pipe.Expire(ctx, key, sessionLife)
	}
	for _, name := range names {
		journal, err := openJournal(crew.journal(name))
		if err != nil {
			return err
		}
		for _, s := range sessionsOf(name) {
			logIn(s.key, "hits:"+name, 0)
			err = errors.Join(err, journal.note(s))
		}
		if err = errors.Join(err, journal.close()); err != nil {
			return err
		}
	}
	for i := range asleep {
		logIn(asleepKey(i), "user", i, "name", "田中")
	}
	for i := range carts {
		pipe.RPush(ctx, fmt.Sprintf("cart:%d", i), "book", "pen")
	}
	_, err := pipe.Exec(ctx)
	return err
}

func asleepKey(i int) string { return fmt.Sprintf("session:asleep:%d", i) }

// settle looks at both stores themselves, when all is over: the sessions that nobody has used are as they were and on the new store, the carts on the old one, and
// nothing of one is on the other.
func settle(ctx context.Context, old, fresh *redis.Client, crew *crew) (found tally, err error) {
	loggedIn, err := crew.loggedIn()
	if err != nil {
		return found, err
	}
	pipe := fresh.Pipeline()
	var fields []*redis.MapStringStringCmd
	var lives []*redis.DurationCmd
	for i := range asleep {
		fields = append(fields, pipe.HGetAll(ctx, asleepKey(i)))
		lives = append(lives, pipe.TTL(ctx, asleepKey(i)))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return found, err
	}
	for i := range asleep {
		got := fields[i].Val()
		switch {
		case len(got) == 0:
			found.found(lost)
		case len(got) != 3 || got["login"] != "1" || got["user"] != fmt.Sprint(i) || got["name"] != "田中" || lives[i].Val() < sessionLife-10*time.Minute:
			found.found(stale)
		default:
			found.found(right)
		}
	}
	for _, store := range []struct {
		client *redis.Client
		prefix string
		want   int64
	}{{old, "cart:", carts}, {old, "session:", 0}, {old, "tashikame:", 0}, {fresh, "cart:", 0}, {fresh, "session:", asleep + loggedIn}} {
		n, err := count(ctx, store.client, store.prefix)
		if err != nil {
			return found, err
		}
		found.Compared += store.want
		found.Lost += max(0, store.want-n)
		found.Resurrected += max(0, n-store.want)
	}
	return found, nil
}

// count counts the keys of a store whose names begin so.
func count(ctx context.Context, client *redis.Client, prefix string) (int64, error) {
	seen := map[string]bool{} // SCAN may show a key twice
	keys := client.Scan(ctx, 0, prefix+"*", 1000).Iterator()
	for keys.Next(ctx) {
		seen[keys.Val()] = true
	}
	return int64(len(seen)), keys.Err()
}
