package redismigrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

const (
	sameFunctions = "#!lua name=same\nredis.register_function('same_incr', function(keys, args) return redis.call('INCRBY', keys[1], args[1]) end)\n" +
		"redis.register_function{function_name='same_get', callback=function(keys, args) return redis.call('GET', keys[1]) end, flags={'no-writes'}}"
	sameLoaded = "return redis.call('GET', KEYS[1])"
	sameNested = "return {1, 'two', {3.7, false, 'three'}, redis.status_reply('FINE'), {double = 1.5}, {map = {a = 1}}}"
)

var sameScripts = []sameCase{
	{"scripts", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.Set(ctx, k("a"), "x", 0)
		p.Set(ctx, k("n"), 1<<53, 0)
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		keys := []string{k("a"), k("b")}
		sha := redis.NewScript(sameLoaded).Hash()
		return []any{
			c.Eval(ctx, "return redis.call('SET', KEYS[2], redis.call('GET', KEYS[1]) .. ARGV[1])", keys, "!"), c.Get(ctx, k("b")), c.Eval(ctx, "return {KEYS[1], KEYS[2], ARGV[1], #ARGV}", keys, 1, "2"), c.Eval(ctx, sameNested, keys),
			c.Eval(ctx, "redis.setresp(3) "+sameNested, keys), c.Eval(ctx, "return nil", keys), c.Eval(ctx, "return redis.error_reply('MINE is wrong')", keys), c.Eval(ctx, "return redis.call('LPUSH', KEYS[1], 'x')", keys), c.Eval(ctx, "no Lua", keys),
			c.EvalRO(ctx, "return redis.call('GET', KEYS[1])", keys), c.EvalRO(ctx, "return redis.call('DEL', KEYS[1])", keys), c.EvalRO(ctx, "return redis.call('GET', KEYS[1])", []string{k("none")}), c.EvalSha(ctx, sha, keys), c.EvalShaRO(ctx, sha, keys),
			c.EvalSha(ctx, "0123456789012345678901234567890123456789", keys), redis.NewScript("return redis.call('INCRBY', KEYS[1], ARGV[1])").Run(ctx, c, []string{k("n")}, 1), c.FCall(ctx, "same_incr", []string{k("n")}, 2),
			c.FCallRO(ctx, "same_get", []string{k("n")}), c.FCallRO(ctx, "same_get", []string{k("none")}), c.FCall(ctx, "none", keys),
		}
	}},
}

// sameReplies are of commands whose replies have no type of their own, and come as the server sends them.
var sameReplies = []sameCase{
	{"replies", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.Set(ctx, k("s"), "x", 0)
		p.HSet(ctx, k("h"), "f", 1)
		p.SAdd(ctx, k("set"), "m")
		p.ZAdd(ctx, k("z"), redis.Z{Score: 1.5, Member: "m"}, redis.Z{Score: 2, Member: "n"})
		p.RPush(ctx, k("l"), "1", "2")
		p.XAdd(ctx, &redis.XAddArgs{Stream: k("x"), ID: "1-1", Values: []any{"f", 1}})
		p.GeoAdd(ctx, k("g"), &redis.GeoLocation{Name: "m", Longitude: 13.5, Latitude: 38.25})
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		var written bytes.Buffer
		return []any{
			c.Do(ctx, "GET", k("s")), c.Do(ctx, "GET", k("none")), c.Do(ctx, "SET", k("s"), "y"), c.Do(ctx, "SET", k("s"), "z", "NX"), c.Do(ctx, "HGETALL", k("h")), c.Do(ctx, "HGETALL", k("none")), c.Do(ctx, "SMEMBERS", k("set")),
			c.Do(ctx, "ZSCORE", k("z"), "m"), c.Do(ctx, "ZSCORE", k("z"), "none"), c.Do(ctx, "ZRANGE", k("z"), 0, -1, "WITHSCORES"), c.Do(ctx, "ZPOPMIN", k("z")), c.Do(ctx, "ZADD", k("z"), "INCR", 1, "n"), c.Do(ctx, "ZMPOP", 1, k("z"), "MIN"), c.Do(ctx, "LPOP", k("none"), 2),
			c.Do(ctx, "LPOP", k("l")), c.Do(ctx, "INCR", k("n")), c.Do(ctx, "INCRBY", k("n"), 1<<53), c.Do(ctx, "EXPIRE", k("s"), 100), c.Do(ctx, "TTL", k("none")), c.Do(ctx, "XREAD", "STREAMS", k("x"), 0), c.Do(ctx, "XREAD", "STREAMS", k("none"), 0), c.Do(ctx, "XINFO", "STREAM", k("x")),
			c.Do(ctx, "GEOPOS", k("g"), "m", "none"), c.Do(ctx, "GEOSEARCH", k("g"), "FROMMEMBER", "m", "BYRADIUS", 10, "km", "WITHDIST", "WITHCOORD"), c.Do(ctx, "MGET", k("s"), k("none")), c.Do(ctx, "TYPE", k("s")), c.Do(ctx, "LPUSH", k("s"), "x"),
			c.Do(ctx, "HRANDFIELD", k("h"), 1, "WITHVALUES"), c.Do(ctx, "LCS", k("s"), k("s2"), "IDX"), c.Do(ctx, "OBJECT", "ENCODING", k("s")), c.Do(ctx, "get", []byte(k("s"))), c.Do(ctx, "HSET", k("h"), "f"), c.Do(ctx, "SET", k("s"), "x", "NONSENSE"),
			c.DoRaw(ctx, "GET", k("s")), c.DoRaw(ctx, "HGETALL", k("h")), c.DoRaw(ctx, "GET", k("none")), c.DoRaw(ctx, "LPUSH", k("s"), "x"), c.DoRaw(ctx, "ZSCORE", k("z"), "n"), c.DoRawWriteTo(ctx, &written, "HGETALL", k("h")), written.String(),
		}
	}},
}

// together are the results of a pipeline's commands, and its error.
func together(cmds []redis.Cmder, err error) []any {
	list := []any{len(cmds)}
	for _, cmd := range cmds {
		list = append(list, cmd)
	}
	return append(list, err)
}

// pipelined sends commands in a pipeline.
func pipelined(fill func(ctx context.Context, p redis.Pipeliner, k keyName)) func(context.Context, *redis.Client, keyName) []any {
	return func(ctx context.Context, c *redis.Client, k keyName) []any {
		return together(c.Pipelined(ctx, func(p redis.Pipeliner) error { fill(ctx, p, k); return nil }))
	}
}

// transacted sends commands in a transaction.
func transacted(fill func(ctx context.Context, p redis.Pipeliner, k keyName)) func(context.Context, *redis.Client, keyName) []any {
	return func(ctx context.Context, c *redis.Client, k keyName) []any {
		return together(c.TxPipelined(ctx, func(p redis.Pipeliner) error { fill(ctx, p, k); return nil }))
	}
}

var sameTogether = []sameCase{
	{"pipelines", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.Set(ctx, k("s"), "x", 0)
		p.Set(ctx, k("s2"), "x", 0)
		p.RPush(ctx, k("l"), "1")
	}, pipelined(func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.Set(ctx, k("a"), 1, 0)
		p.Incr(ctx, k("a"))
		p.Append(ctx, k("a"), "0")
		p.Get(ctx, k("a"))
		p.LPush(ctx, k("s"), "wrong")
		p.Get(ctx, k("s"))
		p.LPush(ctx, k("s2"), "wrong")
		p.Get(ctx, k("none"))
		p.MGet(ctx, k("a"), k("none"), k("s"))
		p.Rename(ctx, k("a"), k("b"))
		p.Get(ctx, k("b"))
		p.Get(ctx, k("a"))
		p.RPush(ctx, k("l"), "2")
		p.LRange(ctx, k("l"), 0, -1)
		p.Do(ctx, "HSET", k("h"), "f", 1)
		p.Do(ctx, "HGETALL", k("h"))
		p.Eval(ctx, "return redis.call('INCR', KEYS[1])", []string{k("e")})
		p.HGetAll(ctx, k("h2"))
		p.Exists(ctx, k("s"))
	})},
	{"long pipelines", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		for i := range 300 {
			p.Set(ctx, k(fmt.Sprint(i)), i, 0)
		}
	}, pipelined(func(ctx context.Context, p redis.Pipeliner, k keyName) {
		for i := range 300 {
			p.Append(ctx, k(fmt.Sprint(i)), "x")
			if i%10 == 0 {
				p.Get(ctx, k(fmt.Sprint(i)))
			}
		}
	})},
	{"pipelines whose first fails", nil, pipelined(func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.Get(ctx, k("none"))
		p.Incr(ctx, k("n"))
	})},
	{"pipelines of one", nil, pipelined(func(ctx context.Context, p redis.Pipeliner, k keyName) { p.Incr(ctx, k("n")) })},
	{"pipelines that end early", nil, func(ctx context.Context, c *redis.Client, k keyName) []any {
		return together(c.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Incr(ctx, k("n"))
			return errEarly
		}))
	}},
	{"transactions", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.Set(ctx, k("s"), "x", 0)
		p.ZAdd(ctx, k("z"), redis.Z{Score: 1.5, Member: "m"})
	}, transacted(func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.Set(ctx, k("a"), 1<<53, 0)
		p.Incr(ctx, k("a"))
		p.Get(ctx, k("s"))
		p.HSet(ctx, k("h"), "f", 1)
		p.Do(ctx, "HGETALL", k("h"))
		p.ZRangeWithScores(ctx, k("z"), 0, -1)
		p.Do(ctx, "ZSCORE", k("z"), "m")
	})},
	{"transactions in which one fails", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.Set(ctx, k("s"), "x", 0)
	}, transacted(func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.Incr(ctx, k("n"))
		p.LPush(ctx, k("s"), "wrong")
		p.Incr(ctx, k("n"))
		p.Get(ctx, k("none"))
	})},
	{"transactions in which one finds nothing", nil, transacted(func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.Get(ctx, k("none"))
		p.Incr(ctx, k("n"))
	})},
	{"transactions that the server does not take", nil, transacted(func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.Incr(ctx, k("n"))
		p.SAdd(ctx, k("set"))
		p.Incr(ctx, k("n"))
	})},
	{"transactions of none", nil, func(ctx context.Context, c *redis.Client, k keyName) []any {
		return append(together(c.TxPipelined(ctx, func(redis.Pipeliner) error { return nil })), together(c.Pipelined(ctx, func(redis.Pipeliner) error { return nil }))...)
	}},
	{"other clients of the client", nil, func(ctx context.Context, c *redis.Client, k keyName) []any {
		conn := c.Conn()
		defer conn.Close()
		list := []any{conn.Incr(ctx, k("n"))}
		list = append(list, c.Watch(ctx, func(tx *redis.Tx) error {
			list = append(list, tx.Incr(ctx, k("n")))
			cmds, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Incr(ctx, k("n")).Err() })
			list = append(list, together(cmds, err)...)
			return nil
		}))
		auto, err := c.AutoPipeline()
		if err != nil {
			return append(list, err)
		}
		return append(list, auto.Incr(ctx, k("n")), c.Get(ctx, k("n")))
	}},
}

var errEarly = errors.New("the program has changed its mind")
