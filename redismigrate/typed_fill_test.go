package redismigrate

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// fillEveryType writes a key of every type and of every shape that a copy by types must treat in a way of its own, small and large. It
// reports whether the server knows expiries of hash fields.
func fillEveryType(t *testing.T, c redis.UniversalClient) (fieldTTL bool) {
	t.Helper()
	ctx := t.Context()
	pipe := c.Pipeline()
	binary := "\x00\xff\r\n{}"
	for _, size := range []int{1, 3, 900, 3000} {
		name := func(kind string) string { return fmt.Sprintf("%s:%d", kind, size) }
		pipe.Set(ctx, name("string"), strings.Repeat(binary, size), 0)
		for i := range size {
			member := fmt.Sprintf("値%d%s", i, binary)
			pipe.RPush(ctx, name("list"), member)
			pipe.SAdd(ctx, name("set"), member)
			pipe.HSet(ctx, name("hash"), member, i)
			pipe.ZAdd(ctx, name("zset"), redis.Z{Score: 1 / float64(i+1), Member: member})
		}
		pipe.PExpireAt(ctx, name("hash"), time.Now().Add(time.Hour+time.Duration(size)*time.Millisecond))
		pipe.PExpire(ctx, name("zset"), 24*time.Hour)
		pipe.PExpire(ctx, name("string"), 25*time.Hour)
	}
	pipe.Set(ctx, "string:empty", "", 0)
	pipe.Set(ctx, "string:number", 12345, 0)
	pipe.Set(ctx, "string:3MiB", strings.Repeat("0123456789abcde\n", 3<<16)+"x", 0)
	pipe.SetBit(ctx, "string:bits", 100, 1)
	pipe.PFAdd(ctx, "string:hyperloglog", "a", "b", "c")
	pipe.SAdd(ctx, "set:numbers", 1, 2, 3)
	pipe.RPush(ctx, "list:large members", strings.Repeat("a", 2<<20), "b", strings.Repeat("c", 1<<20))
	pipe.GeoAdd(ctx, "zset:geo", &redis.GeoLocation{Name: "東京", Longitude: 139.69171, Latitude: 35.6895})
	for i := range 300 { // as a skip list, and as a listpack
		for _, key := range []string{"zset:scores", "zset:few scores"}[:2-min(i/20, 1)] {
			pipe.ZAdd(ctx, key, redis.Z{Score: math.Ldexp(1.1, i-150), Member: i}, redis.Z{Score: math.Inf(1), Member: "inf"}, redis.Z{Score: math.Inf(-1), Member: "-inf"},
				redis.Z{Score: math.Copysign(0, -1), Member: "-0"}, redis.Z{Score: math.MaxFloat64, Member: "max"}, redis.Z{Score: math.SmallestNonzeroFloat64, Member: "min"})
		}
	}
	for _, key := range []string{"", "{", "}", "{}", "a}b{c", "{tag}x", "x{}y", "sp ace", "\x00\xff", "tab\t改行\n"} {
		pipe.SAdd(ctx, key, "member", key)
	}
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
	fillStreams(t, c)

	if err := c.Do(ctx, "HPEXPIREAT", "none", 1, "FIELDS", 1, "f").Err(); err != nil {
		require.ErrorContains(t, err, "unknown command")
		return false
	}
	for _, size := range []int{3, 3000} {
		key := fmt.Sprintf("fields that expire:%d", size)
		for i := range size {
			pipe.HSet(ctx, key, i, "v")
			if i%3 == 0 {
				pipe.Do(ctx, "HPEXPIREAT", key, time.Now().Add(time.Hour).UnixMilli()+int64(i), "FIELDS", 1, i)
			}
		}
	}
	_, err = pipe.Exec(ctx)
	require.NoError(t, err)
	return true
}

func fillStreams(t *testing.T, c redis.UniversalClient) {
	t.Helper()
	ctx := t.Context()
	do := func(words string) {
		t.Helper()
		require.NoError(t, do(ctx, c, words), words)
	}
	pipe := c.Pipeline()
	for i := 1; i <= 3500; i++ {
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:large", ID: fmt.Sprintf("%d-%d", i/2, i), Values: []string{"f", fmt.Sprint(i), "f", "twice", "", ""}})
	}
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
	do("XGROUP CREATE stream:large slow 0")
	do("XGROUP CREATE stream:large fast $ ENTRIESREAD 3500")
	do("XGROUP CREATE stream:large ahead 99999-0")
	do("XGROUP CREATECONSUMER stream:large fast idle")
	do("XREADGROUP GROUP slow a COUNT 2500 STREAMS stream:large >")
	do("XREADGROUP GROUP slow b COUNT 500 STREAMS stream:large >")
	do("XREADGROUP GROUP slow b COUNT 10 STREAMS stream:large 0")
	do("XACK stream:large slow 50-100 51-102")
	do("XDEL stream:large 60-120 60-121 1000-2000") // pending, and deleted from the middle
	do("XADD stream:small 5-1 f v")
	do("XADD stream:small 6-1 f v")
	do("XDEL stream:small 6-1")
	// Pending entries of a stream that was trimmed: in front, all of it, and then its last ids are ahead.
	for _, key := range []string{"trimmed", "emptied", "deleted"} {
		for i := 1; i <= 20; i++ {
			do(fmt.Sprintf("XADD stream:%s %d-1 f v", key, i))
		}
		for _, group := range []string{"g", "h"} {
			do(fmt.Sprintf("XGROUP CREATE stream:%s %s 0", key, group))
			do(fmt.Sprintf("XREADGROUP GROUP %s c COUNT 15 STREAMS stream:%s >", group, key))
		}
	}
	do("XTRIM stream:trimmed MAXLEN 8")
	do("XTRIM stream:emptied MAXLEN 0")
	do("XDEL stream:deleted 1-1 5-1 14-1 18-1 20-1")
	do("XGROUP CREATE stream:never 名 0 MKSTREAM")
	do("XGROUP CREATE stream:bare x 0 MKSTREAM")
	do("XGROUP DESTROY stream:bare x")
	do("XADD stream:last " + fmt.Sprint(uint64(math.MaxUint64)) + "-" + fmt.Sprint(uint64(math.MaxUint64)) + " f v")
	do("PEXPIRE stream:trimmed 7200000")
}

// do runs a command given as words.
func do(ctx context.Context, c redis.UniversalClient, words string) error {
	fields := strings.Fields(words)
	args := make([]any, len(fields))
	for i, f := range fields {
		args[i] = f
	}
	cmd := redis.NewCmd(ctx, args...)
	if strings.HasPrefix(words, "XGROUP") {
		cmd.SetFirstKeyPos(2)
	}
	if fields[0] == "XREADGROUP" {
		for i, f := range fields {
			if f == "STREAMS" {
				cmd.SetFirstKeyPos(int8(i + 1))
			}
		}
	}
	return c.Process(ctx, cmd)
}
