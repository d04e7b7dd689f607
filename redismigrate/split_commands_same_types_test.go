//nolint:staticcheck // programs use deprecated commands, too
package redismigrate

import (
	"context"
	"math"
	"time"

	"github.com/redis/go-redis/v9"
)

var sameHashes = []sameCase{
	{"hashes", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.HSet(ctx, k("a"), "f", "1", "名前", "田中", "empty", "")
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		scanned, cursor, err := c.HScan(ctx, k("a"), 0, "n*", 10).Result()
		return []any{
			scanned, cursor, err, c.HGet(ctx, k("a"), "f"), c.HGet(ctx, k("a"), "none"), c.HGet(ctx, k("none"), "f"), c.HGetAll(ctx, k("a")), c.HGetAll(ctx, k("none")), c.HMGet(ctx, k("a"), "none", "f", "none", "empty"), c.HMGet(ctx, k("none"), "f"),
			c.HLen(ctx, k("a")), c.HExists(ctx, k("a"), "f"), c.HExists(ctx, k("a"), "none"), c.HStrLen(ctx, k("a"), "名前"), inOrder(c.HKeys(ctx, k("a"))), inOrder(c.HVals(ctx, k("a"))), c.HKeys(ctx, k("none")),
			c.HSet(ctx, k("a"), "f", 2, "new", 2.5), c.HSet(ctx, k("fresh"), map[string]any{"x": 1}), c.HMSet(ctx, k("a"), "m", "1"), c.HSetNX(ctx, k("a"), "f", "no"), c.HSetNX(ctx, k("a"), "nx", "yes"), c.HIncrBy(ctx, k("a"), "f", 40),
			c.HIncrByFloat(ctx, k("a"), "f", 0.25), c.HIncrBy(ctx, k("a"), "名前", 1), c.HDel(ctx, k("a"), "f", "none"), c.HDel(ctx, k("none"), "f"), c.HScan(ctx, k("none"), 0, "", 10), c.HScanNoValues(ctx, k("fresh"), 0, "", 10),
			c.HRandField(ctx, k("fresh"), 5), c.HRandField(ctx, k("none"), 5), c.HRandFieldWithValues(ctx, k("fresh"), 5), c.HRandFieldWithValues(ctx, k("none"), 5),
		}
	}},
	{"fields that expire", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.HSet(ctx, k("a"), "f", 1, "g", 2, "h", 3, "i", 4)
		p.HPExpireAt(ctx, k("a"), farOff, "f")
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		return []any{
			c.HPExpireTime(ctx, k("a"), "f", "g", "none"), c.HExpireTime(ctx, k("a"), "f", "g", "none"), c.HExpireTime(ctx, k("none"), "f"), c.HExpireAt(ctx, k("a"), farOff, "g"), c.HPExpireAt(ctx, k("a"), farOff, "g", "none"),
			c.HExpire(ctx, k("a"), time.Hour, "h", "none"), c.HExpireWithArgs(ctx, k("a"), time.Hour, redis.HExpireArgs{NX: true}, "h"), c.HPExpire(ctx, k("a"), time.Hour, "h"), c.HTTL(ctx, k("a"), "i", "none"), c.HPTTL(ctx, k("a"), "i", "none"),
			c.HPersist(ctx, k("a"), "h", "i", "none"), c.HTTL(ctx, k("none"), "f"), c.HGetEX(ctx, k("a"), "f", "none"), c.HGetEXWithArgs(ctx, k("a"), &redis.HGetEXOptions{ExpirationType: redis.HGetEXExpirationPERSIST}, "f"),
			c.HSetEXWithArgs(ctx, k("a"), &redis.HSetEXOptions{ExpirationType: redis.HSetEXExpirationPXAT, ExpirationVal: farOff.UnixMilli()}, "x", "1"), c.HSetEX(ctx, k("fresh"), "x", "1"), c.HPExpireTime(ctx, k("a"), "x", "f"),
			c.HGetDel(ctx, k("a"), "g", "none"), c.HGetDel(ctx, k("none"), "g"), c.HGetAll(ctx, k("a")), c.ObjectEncoding(ctx, k("a")),
			c.HSet(ctx, k("soon"), "f", 1, "g", 2), c.HPExpire(ctx, k("soon"), time.Millisecond, "g"), waited(20 * time.Millisecond), c.HGetAll(ctx, k("soon")), c.HGet(ctx, k("soon"), "g"), c.Del(ctx, k("soon")),
		}
	}},
}

// manyValues are more than Lua passes on to a command.
var manyValues = func() (list []any) {
	for i := range 8000 {
		list = append(list, i)
	}
	return list
}()

var sameLists = []sameCase{
	{"lists", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.RPush(ctx, k("a"), "1", "2", "3", "2", "5")
		p.RPush(ctx, k("b"), "x", "y")
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		return []any{
			c.LRange(ctx, k("a"), 0, -1), c.LRange(ctx, k("none"), 0, -1), c.LLen(ctx, k("a")), c.LIndex(ctx, k("a"), -1), c.LIndex(ctx, k("a"), 99), c.LPos(ctx, k("a"), "2", redis.LPosArgs{Rank: -1}), c.LPos(ctx, k("a"), "none", redis.LPosArgs{}),
			c.LPosCount(ctx, k("a"), "2", 0, redis.LPosArgs{}), c.LPush(ctx, k("a"), "0", "-1"), c.LPushX(ctx, k("none"), "x"), c.RPushX(ctx, k("a"), "x"), c.RPush(ctx, k("fresh"), "x"), c.LInsertBefore(ctx, k("a"), "3", "before"),
			c.LInsertAfter(ctx, k("a"), "none", "after"), c.LInsert(ctx, k("none"), "AFTER", "x", "y"), c.LSet(ctx, k("a"), 0, "set"), c.LRem(ctx, k("a"), 1, "2"), c.LTrim(ctx, k("a"), 0, 5), c.LRange(ctx, k("a"), 0, -1), c.LPop(ctx, k("a")), c.RPop(ctx, k("a")),
			c.LPop(ctx, k("none")), c.LPopCount(ctx, k("a"), 2), c.LPopCount(ctx, k("none"), 2), c.RPopCount(ctx, k("a"), 9), c.Exists(ctx, k("a")), c.RPopLPush(ctx, k("b"), k("c")), c.RPopLPush(ctx, k("none"), k("c")),
			c.RPush(ctx, k("long"), manyValues...), c.LLen(ctx, k("long")), c.RPush(ctx, k("long"), "end"), c.LRange(ctx, k("long"), -3, -1),
			c.LMove(ctx, k("b"), k("c"), "LEFT", "RIGHT"), c.LMove(ctx, k("none"), k("c"), "LEFT", "RIGHT"), c.LMPop(ctx, "right", 5, k("none"), k("c")), c.LMPop(ctx, "left", 1, k("none"), k("c")),
		}
	}},
}

var sameSets = []sameCase{
	{"sets", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.SAdd(ctx, k("a"), "1", "2", "3")
		p.SAdd(ctx, k("b"), "2", "3", "four")
		p.SAdd(ctx, k("one"), "x")
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		return []any{
			inOrder(c.SMembers(ctx, k("a"))), c.SMembers(ctx, k("none")), c.SMembersMap(ctx, k("a")), c.SCard(ctx, k("a")), c.SIsMember(ctx, k("a"), 1), c.SIsMember(ctx, k("none"), 1), c.SMIsMember(ctx, k("a"), "1", "none"), c.SMIsMember(ctx, k("none"), "1"),
			inOrder(c.SInter(ctx, k("a"), k("b"))), inOrder(c.SUnion(ctx, k("a"), k("b"), k("none"))), inOrder(c.SDiff(ctx, k("a"), k("b"))), c.SInterCard(ctx, 1, k("a"), k("b")), c.SInterStore(ctx, k("i"), k("a"), k("b")),
			c.SUnionStore(ctx, k("u"), k("a"), k("b")), c.SDiffStore(ctx, k("d"), k("a"), k("b")), c.SDiffStore(ctx, k("d"), k("a"), k("a")), c.SAdd(ctx, k("a"), "1", "new"), c.SAdd(ctx, k("fresh"), "x"), c.SRem(ctx, k("a"), "1", "none"),
			c.SMove(ctx, k("a"), k("b"), "new"), c.SMove(ctx, k("a"), k("b"), "none"), c.SRandMember(ctx, k("one")), c.SRandMember(ctx, k("none")), c.SRandMemberN(ctx, k("one"), -3), c.SPop(ctx, k("one")), c.SPop(ctx, k("one")),
			c.SPopN(ctx, k("none"), 2), inOrder(c.SPopN(ctx, k("i"), 9)), c.SScan(ctx, k("fresh"), 0, "", 10), c.ObjectEncoding(ctx, k("a")), c.ObjectEncoding(ctx, k("b")),
		}
	}},
}

var sameSortedSets = []sameCase{
	{"sorted sets", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.ZAdd(ctx, k("a"), redis.Z{Score: 1.0 / 3, Member: "x"}, redis.Z{Score: math.Inf(1), Member: "y"}, redis.Z{Score: -2, Member: "z"}, redis.Z{Score: 1e300, Member: "w"})
		p.ZAdd(ctx, k("b"), redis.Z{Score: 5, Member: "x"}, redis.Z{Score: 6, Member: "v"})
		p.ZAdd(ctx, k("lex"), redis.Z{Member: "a"}, redis.Z{Member: "b"}, redis.Z{Member: "c"})
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		return []any{
			c.ZScore(ctx, k("a"), "x"), c.ZScore(ctx, k("a"), "y"), c.ZScore(ctx, k("a"), "none"), c.ZScore(ctx, k("none"), "x"), c.ZMScore(ctx, k("a"), "x", "none", "w"), c.ZCard(ctx, k("a")), c.ZCount(ctx, k("a"), "-inf", "(1"),
			c.ZRank(ctx, k("a"), "x"), c.ZRank(ctx, k("a"), "none"), c.ZRankWithScore(ctx, k("a"), "x"), c.ZRankWithScore(ctx, k("a"), "none"), c.ZRevRank(ctx, k("a"), "x"), c.ZRevRankWithScore(ctx, k("a"), "y"),
			c.ZRange(ctx, k("a"), 0, -1), c.ZRangeWithScores(ctx, k("a"), 0, -1), c.ZRangeWithScores(ctx, k("none"), 0, -1), c.ZRevRange(ctx, k("a"), 0, 1), c.ZRevRangeWithScores(ctx, k("a"), 0, 1),
			c.ZRangeByScore(ctx, k("a"), &redis.ZRangeBy{Min: "-inf", Max: "1", Offset: 1, Count: 5}), c.ZRangeByScoreWithScores(ctx, k("a"), &redis.ZRangeBy{Min: "-inf", Max: "+inf"}), c.ZRevRangeByScore(ctx, k("a"), &redis.ZRangeBy{Min: "0", Max: "1"}),
			c.ZRevRangeByScoreWithScores(ctx, k("a"), &redis.ZRangeBy{Min: "0", Max: "1"}), c.ZRangeByLex(ctx, k("lex"), &redis.ZRangeBy{Min: "[b", Max: "+"}), c.ZRevRangeByLex(ctx, k("lex"), &redis.ZRangeBy{Min: "-", Max: "(c"}), c.ZLexCount(ctx, k("lex"), "-", "+"),
			c.ZRangeArgs(ctx, redis.ZRangeArgs{Key: k("a"), Start: 0, Stop: 1, Rev: true}), c.ZRangeArgsWithScores(ctx, redis.ZRangeArgs{Key: k("a"), Start: "-inf", Stop: "(1", ByScore: true}), c.ZRangeStore(ctx, k("rs"), redis.ZRangeArgs{Key: k("a"), Start: 0, Stop: 1}),
			c.ZAdd(ctx, k("a"), redis.Z{Score: 3, Member: "new"}), c.ZAddNX(ctx, k("a"), redis.Z{Score: 4, Member: "new"}), c.ZAddXX(ctx, k("a"), redis.Z{Score: 4, Member: "new"}), c.ZAddGT(ctx, k("a"), redis.Z{Score: 2, Member: "new"}),
			c.ZAddLT(ctx, k("a"), redis.Z{Score: 2, Member: "new"}), c.ZAddArgs(ctx, k("a"), redis.ZAddArgs{Ch: true, Members: []redis.Z{{Score: 7, Member: "new"}}}), c.ZAddArgsIncr(ctx, k("a"), redis.ZAddArgs{Members: []redis.Z{{Score: 0.1, Member: "new"}}}),
			c.ZAddArgsIncr(ctx, k("a"), redis.ZAddArgs{NX: true, Members: []redis.Z{{Score: 0.1, Member: "new"}}}), c.ZIncrBy(ctx, k("a"), 0.1, "x"), c.ZIncrBy(ctx, k("fresh"), 1, "x"), c.ZRem(ctx, k("a"), "z", "none"),
		}
	}},
	{"sorted sets together", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.ZAdd(ctx, k("a"), redis.Z{Score: 1.5, Member: "x"}, redis.Z{Score: 2, Member: "y"}, redis.Z{Score: 3, Member: "z"})
		p.ZAdd(ctx, k("b"), redis.Z{Score: 5, Member: "x"}, redis.Z{Score: 6, Member: "v"})
		for _, name := range []string{"1", "2", "3"} {
			p.ZAdd(ctx, k(name), redis.Z{Score: 1, Member: "a"}, redis.Z{Score: 1, Member: "b"}, redis.Z{Score: 1, Member: "c"})
		}
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		both := redis.ZStore{Keys: []string{k("a"), k("b")}, Weights: []float64{2, 0.5}, Aggregate: "MAX"}
		return []any{
			c.ZInter(ctx, &both), c.ZInterWithScores(ctx, &both), c.ZUnion(ctx, both), c.ZUnionWithScores(ctx, both), c.ZDiff(ctx, k("a"), k("b")), c.ZDiffWithScores(ctx, k("a"), k("b")), c.ZInterCard(ctx, 5, k("a"), k("b")),
			c.ZInterStore(ctx, k("i"), &both), c.ZUnionStore(ctx, k("u"), &both), c.ZDiffStore(ctx, k("d"), k("a"), k("b")), c.ZUnionWithScores(ctx, redis.ZStore{Keys: []string{k("none"), k("none2")}}),
			c.ZRemRangeByRank(ctx, k("1"), 0, 0), c.ZRemRangeByScore(ctx, k("2"), "1", "1"), c.ZRemRangeByLex(ctx, k("3"), "[b", "+"), c.ZPopMin(ctx, k("a")), c.ZPopMax(ctx, k("a"), 2), c.ZPopMax(ctx, k("none")), c.ZMPop(ctx, "max", 1, k("none"), k("u")),
			c.ZMPop(ctx, "min", 1, k("none")), c.ZRandMember(ctx, k("3"), -2), c.ZRandMemberWithScores(ctx, k("3"), 5), c.ZRandMember(ctx, k("none"), 2), c.ZScan(ctx, k("3"), 0, "", 10), c.ZScan(ctx, k("none"), 0, "", 10),
		}
	}},
}

var sameGeo = []sameCase{
	{"places", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		p.GeoAdd(ctx, k("a"), &redis.GeoLocation{Name: "東京", Longitude: 139.767, Latitude: 35.681}, &redis.GeoLocation{Name: "横浜", Longitude: 139.622, Latitude: 35.466}, &redis.GeoLocation{Name: "大阪", Longitude: 135.495, Latitude: 34.702})
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		near := redis.GeoSearchQuery{Longitude: 139.7, Latitude: 35.6, Radius: 50, RadiusUnit: "km", Sort: "ASC"}
		return []any{
			c.GeoDist(ctx, k("a"), "東京", "横浜", "km"), c.GeoDist(ctx, k("a"), "東京", "none", "km"), c.GeoPos(ctx, k("a"), "東京", "none"), c.GeoHash(ctx, k("a"), "東京", "横浜"), c.GeoSearch(ctx, k("a"), &near),
			c.GeoSearchLocation(ctx, k("a"), &redis.GeoSearchLocationQuery{GeoSearchQuery: near, WithCoord: true, WithDist: true, WithHash: true}), c.GeoSearchLocation(ctx, k("none"), &redis.GeoSearchLocationQuery{GeoSearchQuery: near, WithDist: true}),
			c.GeoSearchStore(ctx, k("a"), k("s"), &redis.GeoSearchStoreQuery{GeoSearchQuery: near, StoreDist: true}), c.GeoRadius(ctx, k("a"), 139.7, 35.6, &redis.GeoRadiusQuery{Radius: 50, Unit: "km", WithDist: true, WithCoord: true, WithGeoHash: true, Sort: "ASC"}),
			c.GeoRadiusStore(ctx, k("a"), 139.7, 35.6, &redis.GeoRadiusQuery{Radius: 50, Unit: "km", Store: k("rs")}), c.GeoRadiusByMember(ctx, k("a"), "東京", &redis.GeoRadiusQuery{Radius: 50, Unit: "km", Sort: "DESC", Count: 5}),
			c.GeoRadiusByMemberStore(ctx, k("a"), "東京", &redis.GeoRadiusQuery{Radius: 50, Unit: "km", StoreDist: k("rd")}), c.Do(ctx, "GEORADIUS", k("a"), 139.7, 35.6, 50, "km", "STORE", k("rw")), c.ZRangeWithScores(ctx, k("rd"), 0, -1),
			c.GeoAdd(ctx, k("a"), &redis.GeoLocation{Name: "東京", Longitude: 139.8, Latitude: 35.7}), c.GeoAdd(ctx, k("fresh"), &redis.GeoLocation{Name: "x", Longitude: 1, Latitude: 1}),
		}
	}},
}
