package redismigrate

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/redismigrate/internal/rdb"
)

// filtered runs Filter over a snapshot in memory; the output must be a whole one.
func filtered(t *testing.T, in []byte, keep Selector, opt FilterOptions) ([]byte, FilterResult) {
	t.Helper()
	var out bytes.Buffer
	r, err := Filter(t.Context(), bytes.NewReader(in), &out, keep, opt)
	require.NoError(t, err)
	require.True(t, r.Complete)
	require.EqualValues(t, len(in), r.BytesIn)
	require.EqualValues(t, out.Len(), r.BytesOut)
	return out.Bytes(), r
}

// A snapshot of each kind of server, filtered, loads in it, and there is in it what should be and nothing else, byte for byte.
func TestFilteredSnapshotLoads(t *testing.T) {
	for _, test := range []struct {
		kind   servers.RedisKind
		format string
		policy string
	}{
		{servers.RedisKind{Version: "7.0"}, "REDIS0010", "allkeys-lru"},
		{servers.RedisKind{Version: "8.0"}, "REDIS0012", "allkeys-lfu"},
		{servers.RedisKind{Flavour: "valkey", Version: "8.1"}, "REDIS0011", "noeviction"},
		{servers.RedisKind{Flavour: "valkey", Version: "9.1"}, "VALKEY080", "allkeys-lfu"},
	} {
		t.Run(test.kind.String(), func(t *testing.T) {
			t.Parallel()
			s := servers.OwnRedisOf(t, test.kind, "--save", "", "--maxmemory-policy", test.policy, "--enable-debug-command", "yes")
			fillEncodings(t, s)
			before := dumps(t, s, mixedDBs)
			want := digest(t, s)
			var often int64
			if test.policy == "allkeys-lfu" {
				often = frequency(t, s)
				require.Greater(t, often, int64(5))
			}
			snapshot, err := s.Snapshot()
			require.NoError(t, err)

			out, r := filtered(t, snapshot, sessions, FilterOptions{DBMap: map[int]int{1: 0, 3: 0}})
			require.Equal(t, test.format, r.Format)
			require.True(t, r.Checksummed)
			require.Contains(t, r.Server, test.kind.Version)
			require.Equal(t, FilterCount{Kept: 1}, r.Functions)
			for _, typ := range []string{"string", "list", "set", "zset", "hash", "stream"} {
				require.Positive(t, r.Types[typ].Kept, typ)
				require.Equal(t, 2*r.Types[typ].Kept, r.Types[typ].Dropped, typ)
			}
			require.NoError(t, s.Load(out))
			said, err := s.Exec(map[string]string{"": "redis-check-rdb", "valkey": "valkey-check-rdb"}[test.kind.Flavour], "/data/dump.rdb")
			require.NoError(t, err, said)
			require.Contains(t, said, "Checksum OK")
			kept := map[dbKey]dumped{}
			for at, value := range before {
				if strings.HasPrefix(at.key, "session:") {
					kept[dbKey{0, at.key}] = value
				}
			}
			require.EqualValues(t, len(kept), r.Kept)
			requireSame(t, kept, dumps(t, s, mixedDBs))
			libraries, err := s.Client.FunctionList(t.Context(), redis.FunctionListQuery{}).Result()
			require.NoError(t, err)
			require.Len(t, libraries, 1)
			if often > 0 {
				require.Equal(t, often, frequency(t, s), "access frequency")
			}

			// Everything, where it is: the server's own digest says that nothing was changed.
			out, r = filtered(t, snapshot, everything, FilterOptions{})
			require.Zero(t, r.Dropped)
			require.NoError(t, s.Load(out))
			require.Equal(t, want, digest(t, s))
		})
	}
}

type dbKey struct {
	db  int
	key string
}

// requireSame is Equal with a failure that can be read.
func requireSame(t *testing.T, want, got map[dbKey]dumped) {
	t.Helper()
	require.Len(t, got, len(want))
	for at, value := range want {
		found, ok := got[at]
		require.True(t, ok, "db %d, %.60q is missing", at.db, at.key)
		require.Equal(t, value.expireAt, found.expireAt, "expiry of %.60q", at.key)
		require.True(t, value.payload == found.payload, "value of %.60q", at.key)
	}
}

// dumps is what a server says of each of its keys: the serialized value (of large ones without order, its digest) and the expiry.
func dumps(t *testing.T, s *servers.RedisServer, dbs []int) map[dbKey]dumped {
	t.Helper()
	ctx := t.Context()
	out := map[dbKey]dumped{}
	for _, db := range dbs {
		c := client(t, s, db)
		keys, err := c.Keys(ctx, "*").Result()
		require.NoError(t, err)
		for _, key := range keys {
			payload, err := c.Dump(ctx, key).Result()
			require.NoError(t, err)
			if typ := c.Type(ctx, key).Val(); typ == "set" || strings.HasSuffix(key, ":big") && (typ == "zset" || typ == "hash") {
				payload = fmt.Sprint(c.Do(ctx, "DEBUG", "DIGEST-VALUE", key).Val())
				require.Len(t, payload, 42)
				if typ == "hash" { // an unknown command says nothing else, before and after
					payload += fmt.Sprint(c.Do(ctx, "HPEXPIRETIME", key, "FIELDS", 3, "field 0", "field 1", "field 2").Val())
				}
			}
			at, err := c.Do(ctx, "PEXPIRETIME", key).Int64()
			require.NoError(t, err)
			out[dbKey{db, key}] = dumped{payload: payload, expireAt: at}
		}
	}
	return out
}

func frequency(t *testing.T, s *servers.RedisServer) int64 {
	t.Helper()
	n, err := s.Client.Do(t.Context(), "OBJECT", "FREQ", "session:0:string:short").Int64()
	require.NoError(t, err)
	return n
}

// fillEncodings writes, to three dbs, values of every type in every coding that the server has, a third of them
// sessions, and a function library.
func fillEncodings(t *testing.T, s *servers.RedisServer) {
	t.Helper()
	ctx := t.Context()
	noise := make([]byte, 70<<10) // does not compress
	rand.Read(noise)
	require.NoError(t, s.Client.FunctionLoad(ctx, "#!lua name=mylib\nredis.register_function('f', function() return 1 end)").Err())
	fieldTTL := s.Client.Do(ctx, "COMMAND", "INFO", "HPEXPIREAT").Val().([]any)[0] != nil
	for _, db := range mixedDBs {
		c := client(t, s, db)
		pipe := c.Pipeline()
		for _, prefix := range []string{"session", "セッション", "\x00\xff"} {
			key := func(format string, args ...any) string {
				return fmt.Sprintf("%s:%d:", prefix, db) + fmt.Sprintf(format, args...)
			}
			for name, value := range map[string]any{
				"short": "v", "empty": "", "int8": -7, "int16": 1000, "int32": -70_000, "int64": int64(math.MaxInt64), "text": strings.Repeat("compressible ", 100),
				"14bit": string(noise[:2000]), "32bit": string(noise), "binary": "\x00\xff\r\n",
			} {
				pipe.Set(ctx, key("string:%s", name), value, 0)
			}
			pipe.Set(ctx, key("%s", strings.Repeat("long name ", 50)), 1, time.Hour) // stored compressed
			fillCollections(ctx, pipe, key, string(noise))
			if fieldTTL {
				at := time.Now().Add(time.Hour).UnixMilli()
				pipe.Do(ctx, "HPEXPIREAT", key("hash:big"), at, "FIELDS", 2, "field 1", "field 2")
				pipe.HSet(ctx, key("hash:ttl"), "a", 1, "b", 2)
				pipe.Do(ctx, "HPEXPIREAT", key("hash:ttl"), at, "FIELDS", 1, "b")
			}
		}
		_, err := pipe.Exec(ctx)
		require.NoError(t, err)
		for range 200 {
			pipe.Get(ctx, fmt.Sprintf("session:%d:string:short", db))
		}
		_, err = pipe.Exec(ctx)
		require.NoError(t, err)
	}
}

// fillCollections writes small and big lists, sets, sorted sets, hashes and streams.
func fillCollections(ctx context.Context, pipe redis.Pipeliner, key func(string, ...any) string, noise string) {
	pipe.SAdd(ctx, key("set:ints"), 1, 2, 300, 70_000)
	for size, n := range map[string]int{"small": 3, "big": 200} {
		for i := range n {
			name := fmt.Sprintf("field %d", i)
			pipe.RPush(ctx, key("list:%s", size), name, i)
			pipe.SAdd(ctx, key("set:%s", size), name)
			pipe.ZAdd(ctx, key("zset:%s", size), redis.Z{Member: name, Score: float64(i) / 3})
			pipe.HSet(ctx, key("hash:%s", size), name, noise[:i])
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: key("stream:%s", size), ID: fmt.Sprintf("%d-1", i+1), Values: []any{"f", name, "g", i}})
		}
		pipe.ZAdd(ctx, key("zset:%s", size), redis.Z{Member: "+", Score: math.Inf(1)}, redis.Z{Member: "-", Score: math.Inf(-1)})
		pipe.RPush(ctx, key("list:%s", size), noise) // a node of its own
		pipe.XDel(ctx, key("stream:%s", size), "2-1")
		for _, group := range []string{"group", "グループ"} {
			pipe.XGroupCreate(ctx, key("stream:%s", size), group, "0")
			pipe.Do(ctx, "XGROUP", "CREATECONSUMER", key("stream:%s", size), group, "idle")
			for _, consumer := range []string{"a", "b"} {
				pipe.XReadGroup(ctx, &redis.XReadGroupArgs{Group: group, Consumer: consumer, Streams: []string{key("stream:%s", size), ">"}, Count: int64(n / 3)})
			}
		}
		pipe.PExpireAt(ctx, key("hash:%s", size), time.Now().Add(time.Hour))
	}
}

func TestFilteredSnapshotVerifiesAgainstItsSource(t *testing.T) {
	t.Parallel()
	source, target := ownPair(t)
	keep, _ := fillMixed(t, source, 3000)
	snapshot, err := source.Snapshot()
	require.NoError(t, err)
	dbs := map[int]int{1: 0, 3: 2}
	out, r := filtered(t, snapshot, sessions, FilterOptions{DBMap: dbs})
	require.NoError(t, target.Load(out))
	v := verified(t, Move{From: all(source), To: all(target), Keys: sessions, DBMap: dbs})
	require.Equal(t, r.Kept, v.Compared)
	for _, db := range r.DBs {
		require.Equal(t, keep[db.DB], db.Kept, "db %d", db.DB)
	}
}

func TestFilterOnRealServersSnapshots(t *testing.T) {
	source := own(t, "--databases", "16")
	tests := map[string]func(t *testing.T){
		"no checksum": func(t *testing.T) {
			require.NoError(t, source.Client.ConfigSet(t.Context(), "hash-max-listpack-entries", "1").Err())
			fillMixed(t, source, 300)
			snapshot, err := source.Snapshot()
			require.NoError(t, err)
			clear(snapshot[len(snapshot)-8:]) // what rdbchecksum no writes
			out, r := filtered(t, snapshot, sessions, FilterOptions{})
			require.False(t, r.Checksummed)
			require.Contains(t, r.String(), "no checksum")
			_, again := filtered(t, out, sessions, FilterOptions{})
			require.True(t, again.Checksummed, "the output has one")
		},
		"expired keys": func(t *testing.T) {
			ctx := t.Context()
			require.NoError(t, source.Client.Do(ctx, "DEBUG", "SET-ACTIVE-EXPIRE", "0").Err())
			require.NoError(t, source.Client.Set(ctx, "session:old", "v", time.Millisecond).Err())
			require.NoError(t, source.Client.Set(ctx, "session:new", "v", time.Hour).Err())
			time.Sleep(5 * time.Millisecond)
			snapshot, err := source.Snapshot()
			require.NoError(t, err)
			_, r := filtered(t, snapshot, sessions, FilterOptions{})
			require.EqualValues(t, 1, r.Expired)
			require.EqualValues(t, 2, r.Kept)
			require.Contains(t, r.String(), "1 selected keys had expired")
			out, r := filtered(t, snapshot, sessions, FilterOptions{DropExpired: true})
			require.EqualValues(t, 1, r.Expired)
			require.EqualValues(t, 1, r.Kept)
			require.NotContains(t, string(out), "session:old")
		},
	}
	for name, test := range tests {
		require.NoError(t, source.Client.FlushAll(t.Context()).Err())
		t.Run(name, test)
	}
}

// A cluster's snapshot carries sizes of slots; the output goes into a plain server and into a cluster.
func TestFilterOfAClusterNodesSnapshot(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	source := servers.OwnRedisOf(t, servers.RedisKind{Version: "8.0"}, "--save", "", "--cluster-enabled", "yes")
	plain := own(t)
	node := servers.OwnRedisOf(t, servers.RedisKind{Version: "8.0"}, "--save", "", "--cluster-enabled", "yes")
	require.NoError(t, source.Client.Do(ctx, "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err())
	require.Eventually(t, func() bool { return source.Client.Set(ctx, "session:0", 0, 0).Err() == nil }, 10*time.Second, 20*time.Millisecond)
	for i := range 300 {
		require.NoError(t, source.Client.Set(ctx, fmt.Sprintf("session:%d", i), i, 0).Err())
		require.NoError(t, source.Client.Set(ctx, fmt.Sprintf("other:%d", i), i, 0).Err())
	}
	snapshot, err := source.Snapshot()
	require.NoError(t, err)
	require.Greater(t, bytes.Count(snapshot, []byte{244}), 100, "the snapshot must tell of slots for this test to mean something")
	out, r := filtered(t, snapshot, sessions, FilterOptions{})
	require.EqualValues(t, 300, r.Kept)
	for _, s := range []*servers.RedisServer{plain, node} {
		require.NoError(t, s.Load(out))
		n, err := s.Client.DBSize(ctx).Result()
		require.NoError(t, err)
		require.EqualValues(t, 300, n)
	}
	require.Equal(t, "299", plain.Client.Get(ctx, "session:299").Val())
}

// What was not completed must not load: that a server refuses it is shown once, that the end is missing for each failure.
func TestWhatFilterDidNotCompleteDoesNotLoad(t *testing.T) {
	source := own(t)
	fillMixed(t, source, 2000)
	snapshot, err := source.Snapshot()
	require.NoError(t, err)
	damaged := bytes.Clone(snapshot)
	damaged[len(damaged)-20] ^= 1
	var out bytes.Buffer
	r, err := Filter(t.Context(), bytes.NewReader(damaged), &out, everything, FilterOptions{})
	require.Error(t, err)
	require.False(t, r.Complete)
	_, err = source.Exec("sh", "-c", "cat /data/dump.rdb > /data/copy.rdb; truncate -s -9 /data/copy.rdb")
	require.NoError(t, err)
	said, err := source.Exec("redis-check-rdb", "/data/copy.rdb")
	require.Error(t, err, "a snapshot without its end, as Filter leaves one: %s", said)
	require.False(t, loads(out.Bytes()))
}

// loads reports whether a snapshot is whole.
func loads(snapshot []byte) bool {
	_, err := Filter(context.Background(), bytes.NewReader(snapshot), io.Discard, everything, FilterOptions{})
	return err == nil
}

// Codings that servers have not written for years, and a module's data that only its module can read, pass through as they are: today's
// server reads the former, redis-check-rdb passes over the latter.
func TestFilterPassesOldCodingsOn(t *testing.T) {
	ctx := t.Context()
	ziplist := "\x11\x11\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01f\x03\x01v\xff" // "f", "v", with its length before it
	c := craft(rdb.Header{Version: 8})
	for _, prefix := range []string{"session:", "other:"} {
		key := func(typ byte, name, value string) {
			c.raw("%s%c%s%s%s", []byte{typ}, len(prefix)+len(name), prefix, name, value)
		}
		key(9, "zipmap", "\x07\x01\x01k\x01\x00v\xff")
		key(13, "hash", ziplist)
		key(10, "list", ziplist)
		key(14, "quicklist", "\x02"+ziplist+ziplist)
		key(3, "zset", "\x02\x01a\x031.5\x01b\xff")
		key(11, "intset", "\x0c\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00\x02\x00")
	}
	in := c.end(t)
	out, r := filtered(t, in, sessions, FilterOptions{})
	require.Equal(t, FilterCount{Kept: 6, Dropped: 6}, r.FilterCount)
	s := own(t)
	require.NoError(t, s.Load(out))
	require.EqualValues(t, 6, s.Client.DBSize(ctx).Val())
	require.Equal(t, map[string]string{"k": "v"}, s.Client.HGetAll(ctx, "session:zipmap").Val())
	require.Equal(t, map[string]string{"f": "v"}, s.Client.HGetAll(ctx, "session:hash").Val())
	require.Equal(t, []string{"f", "v"}, s.Client.LRange(ctx, "session:list", 0, -1).Val())
	require.Equal(t, []string{"f", "v", "f", "v"}, s.Client.LRange(ctx, "session:quicklist", 0, -1).Val())
	require.Equal(t, []redis.Z{{Member: "b", Score: math.Inf(-1)}, {Member: "a", Score: 1.5}}, s.Client.ZRangeWithScores(ctx, "session:zset", 0, -1).Val())
	require.Equal(t, []string{"1", "2"}, s.Client.SMembers(ctx, "session:intset").Val())

	module := "\x81\x00\x00\x00\x00\x00\x00\x04\x01"
	in = craft(rdb.Header{Version: 10}).raw("\xf7%s\x02\x01\x05\x01x\x00", module).
		raw("\x07\x01m%s\x01\x05\x02\x81\xff\xff\xff\xff\xff\xff\xff\xff\x03\x00\x00\xc0\x7f\x0412345678\x05\xc0\x01\x00", module).str("a", "b").str("z", "y").end(t)
	out, _ = filtered(t, in, Selector{Include: []string{"m", "a"}}, FilterOptions{})
	_, err := s.Exec("sh", "-c", "echo "+base64.StdEncoding.EncodeToString(out)+" | base64 -d >/data/module.rdb")
	require.NoError(t, err)
	said, err := s.Exec("redis-check-rdb", "/data/module.rdb")
	require.NoError(t, err, said)
	require.Contains(t, said, "2 keys read")
}
