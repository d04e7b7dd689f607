package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// TestCopyInPieces is what a copy of large values does when the world does not stand still.
func TestCopyInPieces(t *testing.T) {
	onOnePair(t, map[string]func(t *testing.T, source, target *servers.RedisServer){
		"aKeyThatChangesOnceIsReadAgain":      aKeyThatChangesOnceIsReadAgain,
		"aKeyThatAlwaysChangesIsLeftOut":      aKeyThatAlwaysChangesIsLeftOut,
		"whatComesToTheTargetMeanwhileIsLeft": whatComesToTheTargetMeanwhileIsLeft,
		"nothingHalfIsLeftWhenStopped":        nothingHalfIsLeftWhenStopped,
		"aLostDraftIsNoticed":                 aLostDraftIsNoticed,
		"aKeyThatExpiresMeanwhileIsGone":      aKeyThatExpiresMeanwhileIsGone,
	})
}

// pieced opens both sides, the target behind a proxy that calls at, once, when so many bytes have gone there.
func pieced(t *testing.T, source, target *servers.RedisServer, bytes int64, at func()) *typedCopy {
	t.Helper()
	var sent atomic.Int64
	addr := proxy(t, target.Addr, func(n int) {
		if now := sent.Add(int64(n)); now >= bytes && now-int64(n) < bytes {
			at()
		}
	})
	from, to, err := openPair(t.Context(), one(source), &Endpoint{URL: "redis://" + addr}, nil, true)
	require.NoError(t, err)
	t.Cleanup(from.close)
	t.Cleanup(to.close)
	return newTypedCopy(from, to)
}

// midway is after the first piece of each value that fillLarge writes, and before the last.
const midway = 1100 << 10

// fillLarge writes one key of each type, of several pieces each.
func fillLarge(t *testing.T, c *redis.Client) (keys []string) {
	t.Helper()
	ctx := t.Context()
	pipe := c.Pipeline()
	pipe.Set(ctx, "string", strings.Repeat("0123456789", 160<<10), 0)
	for i := range 2600 {
		member := fmt.Sprintf("%04d%s", i, strings.Repeat("x", 500))
		pipe.RPush(ctx, "list", member)
		pipe.SAdd(ctx, "set", member)
		pipe.HSet(ctx, "hash", i, member)
		pipe.ZAdd(ctx, "zset", redis.Z{Score: float64(i), Member: member})
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream", ID: fmt.Sprint(i+1, "-1"), Values: []string{"f", member}})
	}
	pipe.XGroupCreate(ctx, "stream", "g", "0")
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
	require.NoError(t, c.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "g", Consumer: "c", Streams: []string{"stream", ">"}, Count: 2000}).Err())
	return []string{"string", "list", "set", "hash", "zset", "stream"}
}

// sameLength are, by key, commands that change a value without changing its length.
var sameLength = map[string]string{
	"string": "SETRANGE string 7 %d",
	"list":   "LSET list 1 %d",
	"hash":   "HSET hash 1 %d",
	"zset":   "ZADD zset %d 1000",
	"stream": "XREADGROUP GROUP g c%d COUNT 1 STREAMS stream >", // which WATCH does not see
}

// change is called on other goroutines than the test's, too.
func change(t *testing.T, c *redis.Client, key string, n int64) {
	t.Helper()
	if key == "set" {
		assert.NoError(t, c.Eval(context.Background(), "redis.call('SADD', KEYS[1], ARGV[1]) return redis.call('SPOP', KEYS[1])", []string{key}, n).Err())
		return
	}
	assert.NoError(t, do(context.Background(), c, fmt.Sprintf(sameLength[key], n)), key)
}

func aKeyThatChangesOnceIsReadAgain(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	for _, watch := range []bool{true, false} {
		require.NoError(t, source.Client.FlushAll(ctx).Err())
		require.NoError(t, target.Client.FlushAll(ctx).Err())
		for _, key := range fillLarge(t, source.Client) {
			changed := false
			c := pieced(t, source, target, midway, func() { changed = true; change(t, source.Client, key, 1) })
			c.cannotWatch.Store(!watch)
			require.NoError(t, c.copyKey(ctx, 0, 0, key), "%s", key)
			require.True(t, changed)
			if watch || key == "string" || key == "list" { // of the others, the member may not have been read yet: then all is well
				require.Greater(t, c.last.Load(), int64(1), "%s was begun anew (WATCH: %v)", key, watch)
			}
		}
		verified(t, Move{From: one(source), To: one(target), Keys: everything})
		require.EqualValues(t, 6, target.Client.DBSize(ctx).Val())
	}
}

func aKeyThatAlwaysChangesIsLeftOut(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	fillLarge(t, source.Client)
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for n := int64(0); ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				change(t, source.Client, "hash", n)
			}
		}
	})
	r, err := Copy(ctx, Move{From: one(source), To: one(target), Keys: everything}, CopyOptions{})
	require.NoError(t, err, "DUMP takes a value at one moment, whoever writes")
	require.EqualValues(t, 6, r.Copied)
	c := pieced(t, source, target, 1<<40, nil)
	require.NoError(t, target.Client.FlushAll(ctx).Err())
	err = c.copyKey(ctx, 0, 0, "hash")
	close(stop)
	writer.Wait()
	var cannot *cannotError
	require.ErrorAs(t, err, &cannot)
	require.ErrorContains(t, err, `key "hash" of db 0 cannot be copied: it changed during each of 4 tries`)
	require.Zero(t, target.Client.DBSize(ctx).Val())
}

func whatComesToTheTargetMeanwhileIsLeft(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	for _, key := range fillLarge(t, source.Client) {
		c := pieced(t, source, target, midway, func() { assert.NoError(t, target.Client.Set(context.Background(), key, "ours", 0).Err()) })
		require.ErrorIs(t, c.copyKey(ctx, 0, 0, key), errKeyExists)
		require.Equal(t, "ours", target.Client.Get(ctx, key).Val())
		require.ErrorIs(t, c.copyKey(ctx, 0, 0, key), errKeyExists)
	}
	require.EqualValues(t, 6, target.Client.DBSize(ctx).Val(), "no unfinished key is left")
}

// unfinishedKeys are the drafts on a server, which must go by themselves.
func unfinishedKeys(t *testing.T, c *redis.Client) (n int) {
	t.Helper()
	for _, key := range c.Keys(context.Background(), "*").Val() {
		require.True(t, isServiceKey(key), "%q shows under its name", key)
		left := c.TTL(context.Background(), key).Val()
		require.True(t, left > 0 && left <= draftLife, "%q goes in %s", key, left)
		n++
	}
	return n
}

func nothingHalfIsLeftWhenStopped(t *testing.T, source, target *servers.RedisServer) {
	keys := fillLarge(t, source.Client)
	for _, key := range keys {
		ctx, cancel := context.WithCancel(t.Context())
		c := pieced(t, source, target, midway, cancel)
		require.ErrorIs(t, c.copyKey(ctx, 0, 0, key), context.Canceled, key)
		require.Zero(t, unfinishedKeys(t, target.Client), "a stop by the context cleans up")
		cancel()
	}
	left := 0
	for _, key := range keys {
		var c *typedCopy
		cut := make(chan struct{})
		c = pieced(t, source, target, midway, func() { close(cut) })
		done := make(chan error, 1)
		go func() { done <- c.copyKey(t.Context(), 0, 0, key) }()
		<-cut
		c.to.cutConnections() // as when the program is killed: nothing more is sent
		err := <-done
		if err == nil {
			require.NoError(t, target.Client.Del(t.Context(), key).Err()) // it was quicker
			continue
		}
		left += unfinishedKeys(t, target.Client)
		require.NoError(t, target.Client.FlushAll(t.Context()).Err())
	}
	require.Positive(t, left, "some were begun")
	// What a killed program has left is no key to anybody, and in nobody's way.
	require.NoError(t, target.Client.Set(t.Context(), newTypedCopy(nil, nil).unfinished("string"), "half", draftLife).Err())
	c := pieced(t, source, target, 1<<40, nil)
	for _, key := range keys {
		require.NoError(t, c.copyKey(t.Context(), 0, 0, key))
	}
	verified(t, Move{From: one(source), To: one(target), Keys: everything})
}

func aLostDraftIsNoticed(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	for _, key := range fillLarge(t, source.Client) {
		var c *typedCopy
		lost := 0
		c = pieced(t, source, target, midway, func() { // as an eviction would
			for _, name := range target.Client.Keys(context.Background(), canaryPrefix+"*").Val() {
				lost += int(target.Client.Del(context.Background(), name).Val())
			}
		})
		require.NoError(t, c.copyKey(ctx, 0, 0, key), key)
		require.Equal(t, 1, lost, key)
		require.EqualValues(t, 2, c.last.Load(), "%s was begun anew", key)
	}
	verified(t, Move{From: one(source), To: one(target), Keys: everything})
}

func aKeyThatExpiresMeanwhileIsGone(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	for _, key := range fillLarge(t, source.Client) {
		c := pieced(t, source, target, midway, func() { assert.NoError(t, source.Client.PExpire(context.Background(), key, time.Millisecond).Err()) })
		err := c.copyKey(ctx, 0, 0, key)
		require.ErrorIs(t, err, errKeyGone, key)
	}
	require.Zero(t, target.Client.DBSize(ctx).Val())
	require.NoError(t, source.Client.Set(ctx, "short", strings.Repeat("x", 1<<20), 400*time.Millisecond).Err())
	c := pieced(t, source, target, 1<<19, func() { time.Sleep(500 * time.Millisecond) })
	err := c.copyKey(ctx, 0, 0, "short")
	require.True(t, errors.Is(err, errKeyGone), "%v", err)
}
