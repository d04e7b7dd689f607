//nolint:staticcheck // programs use deprecated commands, too
package redismigrate

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// farOff is a time that no test sees.
var farOff = time.UnixMilli(4_000_000_000_123)

var sameStrings = []sameCase{
	{"strings", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.Set(ctx, k("a"), "値", 0)
		p.Set(ctx, k("b"), "\x00\r\n\xff", 0)
		p.Set(ctx, k("n"), 7, 0)
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		return []any{
			c.Get(ctx, k("a")), c.Get(ctx, k("b")), c.Get(ctx, k("none")), c.Append(ctx, k("a"), "!"), c.Append(ctx, k("fresh"), "x"), c.StrLen(ctx, k("a")), c.StrLen(ctx, k("none")),
			c.GetRange(ctx, k("a"), 0, 2), c.Do(ctx, "SUBSTR", k("a"), 0, 2), c.SetRange(ctx, k("a"), 1, "z"), c.GetSet(ctx, k("a"), "new"), c.GetSet(ctx, k("none2"), "new"),
			c.GetDel(ctx, k("a")), c.GetDel(ctx, k("a")), c.Incr(ctx, k("n")), c.IncrBy(ctx, k("n"), 5), c.IncrByFloat(ctx, k("n"), 0.1), c.Incr(ctx, k("n")), c.Decr(ctx, k("d")), c.DecrBy(ctx, k("d"), 5),
			c.Set(ctx, k("b"), "x", 0), c.SetNX(ctx, k("b"), "y", 0), c.SetNX(ctx, k("fresh2"), "y", time.Hour), c.SetXX(ctx, k("none3"), "y", 0), c.SetXX(ctx, k("b"), "z", 0), c.Do(ctx, "SETNX", k("b"), "x"),
			c.SetEx(ctx, k("e"), "x", time.Hour), c.Do(ctx, "PSETEX", k("e2"), 3_600_000, "x"), c.SetArgs(ctx, k("b"), "w", redis.SetArgs{Get: true, KeepTTL: true}),
			c.SetArgs(ctx, k("none4"), "w", redis.SetArgs{Get: true}), c.SetArgs(ctx, k("b"), "v", redis.SetArgs{Mode: "NX"}), c.GetEx(ctx, k("b"), time.Hour), c.GetEx(ctx, k("none5"), time.Hour),
			c.SetFromBuffer(ctx, k("f"), []byte("buffer")), zeroCopy(c.GetToBuffer(ctx, k("f"), make([]byte, 20))), zeroCopy(c.GetToBuffer(ctx, k("none6"), make([]byte, 20))),
		}
	}},
	{"many strings", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.MSet(ctx, k("a"), "1", k("b"), "2", k("c"), "3")
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		return []any{
			c.MGet(ctx, k("a"), k("none"), k("b"), k("none"), k("a")), c.MGet(ctx, k("none")), c.MGet(ctx, k("c")), c.MSet(ctx, k("a"), 1, k("d"), 2.5), c.MSet(ctx, map[string]any{k("m"): true}),
			c.MSetNX(ctx, k("d"), "no", k("e"), "no"), c.MSetNX(ctx, k("f"), "yes", k("g"), "yes"), c.MGet(ctx, k("d"), k("e"), k("f"), k("g")),
			c.LCS(ctx, &redis.LCSQuery{Key1: k("x"), Key2: k("y")}), c.Set(ctx, k("x"), "ohmytext", 0), c.Set(ctx, k("y"), "mynewtext", 0), c.LCS(ctx, &redis.LCSQuery{Key1: k("x"), Key2: k("y")}),
			c.LCS(ctx, &redis.LCSQuery{Key1: k("x"), Key2: k("y"), Len: true}), c.LCS(ctx, &redis.LCSQuery{Key1: k("x"), Key2: k("y"), Idx: true, MinMatchLen: 2, WithMatchLen: true}),
			c.LCS(ctx, &redis.LCSQuery{Key1: k("x"), Key2: k("y"), Len: true, Idx: true}),
		}
	}},
	{"a hundred keys", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		for i := range mostKeys {
			p.Set(ctx, k(fmt.Sprint(i)), i, 0)
		}
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		var keys []string
		for i := range mostKeys {
			keys = append(keys, k(fmt.Sprint(i)))
		}
		return []any{c.MGet(ctx, keys...), c.Eval(ctx, "return redis.call('MGET', unpack(KEYS))", keys), c.Exists(ctx, keys...), c.Del(ctx, keys...)}
	}},
	{"large numbers", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.Set(ctx, k("id"), 1<<53, 0)
		p.HSet(ctx, k("h"), "id", 1<<53)
		p.Set(ctx, k("max"), int64(1<<63-2), 0)
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		return []any{
			c.Incr(ctx, k("id")), c.IncrBy(ctx, k("id"), 2), c.Decr(ctx, k("id")), c.DecrBy(ctx, k("id"), 3), c.Get(ctx, k("id")), c.HIncrBy(ctx, k("h"), "id", 1), c.HIncrBy(ctx, k("h"), "id", 2), c.HGetAll(ctx, k("h")),
			c.Incr(ctx, k("max")), c.Incr(ctx, k("max")), c.BitField(ctx, k("bits"), "SET", "i64", 0, int64(1<<53+1), "GET", "i64", 0, "INCRBY", "u63", 64, int64(1<<62+1)), c.BitFieldRO(ctx, k("bits"), "i64", 0, "u63", 64),
			c.IncrByFloat(ctx, k("f"), 1<<53), c.IncrByFloat(ctx, k("f"), 2.5), c.PExpireAt(ctx, k("id"), time.UnixMilli(1<<53+1)), c.Do(ctx, "PEXPIRETIME", k("id")), c.Do(ctx, "EXPIRETIME", k("id")), works(c.PTTL(ctx, k("id"))),
		}
	}},
	{"bits", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.Set(ctx, k("a"), "\x0f\xf0abc", 0)
		p.Set(ctx, k("b"), "\xff\x00xyz", 0)
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		return []any{
			c.GetBit(ctx, k("a"), 4), c.GetBit(ctx, k("none"), 4), c.SetBit(ctx, k("a"), 4, 0), c.SetBit(ctx, k("fresh"), 100, 1), c.BitCount(ctx, k("a"), nil), c.BitCount(ctx, k("a"), &redis.BitCount{Start: 5, End: 30, Unit: "BIT"}),
			c.BitPos(ctx, k("a"), 1), c.BitPos(ctx, k("a"), 0, 1, 2), c.BitPos(ctx, k("none"), 1), c.BitPosSpan(ctx, k("a"), 1, 9, 30, "BIT"), c.BitOpAnd(ctx, k("and"), k("a"), k("b")), c.BitOpOr(ctx, k("or"), k("a"), k("b"), k("none")),
			c.BitOpXor(ctx, k("xor"), k("a"), k("b")), c.BitOpNot(ctx, k("not"), k("a")), c.Get(ctx, k("xor")), c.Get(ctx, k("not")), c.BitField(ctx, k("a"), "OVERFLOW", "FAIL", "INCRBY", "u2", 100, 3, "INCRBY", "u2", 100, 3),
			c.BitField(ctx, k("a"), "SET", "i8", "#1", -5, "GET", "i8", "#1"), c.BitFieldRO(ctx, k("a"), "u4", 0, "i8", "#1"),
		}
	}},
	{"HyperLogLog", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.PFAdd(ctx, k("a"), "x", "y")
		p.PFAdd(ctx, k("b"), "y", "z")
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		return []any{
			c.PFCount(ctx, k("a")), c.PFCount(ctx, k("none")), c.PFCount(ctx, k("a"), k("b")), c.PFAdd(ctx, k("a"), "x"), c.PFAdd(ctx, k("a"), "w"), c.PFAdd(ctx, k("fresh")), c.PFMerge(ctx, k("m"), k("a"), k("b"), k("none")),
			c.PFCount(ctx, k("m")), c.PFMerge(ctx, k("empty")),
		}
	}},
	{"errors", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.Set(ctx, k("s"), "text", 0)
		p.RPush(ctx, k("l"), "x")
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		return []any{
			c.Get(ctx, k("l")), c.LPush(ctx, k("s"), "x"), c.HGet(ctx, k("s"), "f"), c.Incr(ctx, k("s")), c.IncrByFloat(ctx, k("s"), 1), c.SInterStore(ctx, k("dst"), k("l"), k("none")), c.ZAdd(ctx, k("l"), redis.Z{Member: "m"}),
			c.XAdd(ctx, &redis.XAddArgs{Stream: k("s"), Values: []string{"f", "1"}}), c.SetRange(ctx, k("s"), -1, "x"), c.LSet(ctx, k("l"), 5, "x"), c.LSet(ctx, k("none"), 0, "x"), c.Rename(ctx, k("none"), k("a")),
			c.BitField(ctx, k("s"), "GET", "u99", 0), c.GeoAdd(ctx, k("g"), &redis.GeoLocation{Name: "m", Longitude: 999, Latitude: 1}), c.Restore(ctx, k("r"), 0, "no payload"), c.HIncrByFloat(ctx, k("l"), "f", 1),
			c.PFAdd(ctx, k("s"), "x"), c.Do(ctx, "EXPIRE", k("s"), "never"), c.SetArgs(ctx, k("l"), "x", redis.SetArgs{Get: true}), c.XGroupCreate(ctx, k("none"), "g", "$"), c.ObjectFreq(ctx, k("s")), c.ObjectEncoding(ctx, k("none")),
			c.SIsMember(ctx, k("l"), "x"), c.MGet(ctx, k("l"), k("s")), c.Type(ctx, k("l")), c.Type(ctx, k("none")),
		}
	}},
}

// zeroCopy is what a command has written into a buffer.
func zeroCopy(cmd *redis.ZeroCopyStringCmd) any {
	return only(cmd.Val(), cmd.Err(), func(n int) any { return string(cmd.Bytes()[:n]) })
}

var sameGeneric = []sameCase{
	{"expiries", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.Set(ctx, k("a"), "x", time.Hour)
		p.Set(ctx, k("b"), "x", 0)
		p.Set(ctx, k("at"), "x", 0)
		p.PExpireAt(ctx, k("at"), farOff)
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		return []any{
			c.PExpireTime(ctx, k("at")), c.ExpireTime(ctx, k("at")), c.PExpireTime(ctx, k("b")), c.PExpireTime(ctx, k("none")), someTime(c.TTL(ctx, k("a"))), someTime(c.PTTL(ctx, k("a"))), c.TTL(ctx, k("b")), c.PTTL(ctx, k("b")),
			c.TTL(ctx, k("none")), c.PTTL(ctx, k("none")), c.Expire(ctx, k("b"), time.Hour), c.ExpireNX(ctx, k("b"), time.Minute), c.ExpireXX(ctx, k("b"), 2*time.Hour), c.ExpireGT(ctx, k("b"), time.Hour), c.ExpireLT(ctx, k("b"), time.Hour),
			someTime(c.TTL(ctx, k("b"))), c.Expire(ctx, k("none"), time.Hour), c.PExpire(ctx, k("b"), 3*time.Hour), c.ExpireAt(ctx, k("b"), farOff), c.PExpireAt(ctx, k("b"), farOff), c.PExpireTime(ctx, k("b")), c.Persist(ctx, k("b")),
			c.Persist(ctx, k("b")), c.Persist(ctx, k("none")), c.ExpireAt(ctx, k("a"), time.Unix(1, 0)), c.Exists(ctx, k("a")), c.Set(ctx, k("soon"), "x", time.Millisecond), waited(20 * time.Millisecond), c.Get(ctx, k("soon")), c.Exists(ctx, k("soon")),
		}
	}},
	{"keys", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		for _, name := range []string{"a", "b", "c", "d"} {
			p.Set(ctx, k(name), name, time.Hour)
		}
		p.RPush(ctx, k("l"), "3", "1", "2")
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		return []any{
			c.Exists(ctx, k("a")), c.Exists(ctx, k("none")), c.Exists(ctx, k("a"), k("a"), k("none"), k("b")), c.Touch(ctx, k("a"), k("none")), c.Del(ctx, k("a"), k("none")), c.Del(ctx, k("none")), c.Unlink(ctx, k("b"), k("b")),
			c.Type(ctx, k("c")), c.Type(ctx, k("l")), c.Rename(ctx, k("c"), k("c2")), c.Get(ctx, k("c2")), someTime(c.TTL(ctx, k("c2"))), c.RenameNX(ctx, k("c2"), k("d")), c.RenameNX(ctx, k("c2"), k("c3")), c.Rename(ctx, k("c3"), k("d")), c.Get(ctx, k("d")),
			c.Rename(ctx, k("d"), k("d")), c.Do(ctx, "COPY", k("d"), k("copy")), c.Do(ctx, "COPY", k("l"), k("copy")), c.Do(ctx, "COPY", k("l"), k("copy"), "REPLACE"), c.LRange(ctx, k("copy"), 0, -1), c.Do(ctx, "COPY", k("none"), k("copy2")),
		}
	}},
	{"payloads", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.Set(ctx, k("a"), "x\x00y", 0)
		p.HSet(ctx, k("h"), "f", "1", "g", "2")
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		a, h := c.Dump(ctx, k("a")), c.Dump(ctx, k("h"))
		return []any{
			a, h, c.Dump(ctx, k("none")), c.Restore(ctx, k("a2"), 0, a.Val()), c.Restore(ctx, k("a2"), 0, a.Val()), c.RestoreReplace(ctx, k("a2"), time.Hour, h.Val()), c.HGetAll(ctx, k("a2")), someTime(c.TTL(ctx, k("a2"))),
			c.ObjectEncoding(ctx, k("a")), c.ObjectEncoding(ctx, k("h")), works(c.ObjectRefCount(ctx, k("a"))), c.Do(ctx, "OBJECT", "IDLETIME", k("none")), c.ObjectIdleTime(ctx, k("a")).Err(), works(c.MemoryUsage(ctx, k("h"))), works(c.MemoryUsage(ctx, k("h"), 5)), c.MemoryUsage(ctx, k("none")),
		}
	}},
	{"sorting", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.RPush(ctx, k("l"), 3, 1, 20)
		p.SAdd(ctx, k("s"), "b", "a", "c")
		p.RPush(ctx, k("w"), "no number")
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		return []any{
			c.Sort(ctx, k("l"), &redis.Sort{}), c.Sort(ctx, k("l"), &redis.Sort{Order: "DESC", Offset: 1, Count: 2}), c.Sort(ctx, k("s"), &redis.Sort{Alpha: true}), c.Sort(ctx, k("none"), &redis.Sort{}), c.Sort(ctx, k("w"), &redis.Sort{}),
			c.SortRO(ctx, k("l"), &redis.Sort{}), c.SortStore(ctx, k("l"), k("dst"), &redis.Sort{Alpha: true}), c.LRange(ctx, k("dst"), 0, -1), c.SortInterfaces(ctx, k("l"), &redis.Sort{Get: []string{"#", "#"}, By: "nosort"}),
			c.SortStore(ctx, k("none"), k("dst"), &redis.Sort{}), c.Exists(ctx, k("dst")),
		}
	}},
}

// waited waits for an expiry.
func waited(d time.Duration) any {
	time.Sleep(d)
	return nil
}
