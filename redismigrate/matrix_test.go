package redismigrate

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// matrixStore is a kind of store, with everything of it that may matter to a move.
type matrixStore struct {
	flavour, version string
	cluster, tls     bool
	payload          uint16 // the version of its DUMP
}

// matrixStores are eight of the sixteen kinds that there are. Among them is every pair of version and topology, version and TLS, and topology
// and TLS. Each is started once, and serves as a source and as a target.
var matrixStores = map[string]matrixStore{
	"redis 7.0":              {"redis", "7.0", false, false, 10},
	"redis 7.0 cluster TLS":  {"redis", "7.0", true, true, 10},
	"redis 8.0 TLS":          {"redis", "8.0", false, true, 12},
	"redis 8.0 cluster":      {"redis", "8.0", true, false, 12},
	"valkey 8.1":             {"valkey", "8.1", false, false, 11},
	"valkey 8.1 cluster TLS": {"valkey", "8.1", true, true, 11},
	"valkey 9.1 TLS":         {"valkey", "9.1", false, true, 80},
	"valkey 9.1 cluster":     {"valkey", "9.1", true, false, 80},
}

// matrix are 30 of the 56 moves between two of these stores. They were chosen greedily: always the move that adds most pairs of settings
// (version, topology, TLS of the source; version, topology, TLS of the target) that no move before has, and among equals most triples. The
// first 17 have all 104 pairs, which TestMatrixCoversAllPairs checks; all 30 have 318 of the 336 triples that are possible.
var matrix = [][2]string{
	{"redis 7.0", "redis 7.0 cluster TLS"},
	{"redis 7.0 cluster TLS", "valkey 8.1"},
	{"redis 8.0 TLS", "redis 8.0 cluster"},
	{"redis 8.0 cluster", "valkey 9.1 TLS"},
	{"valkey 8.1", "redis 7.0"},
	{"valkey 9.1 TLS", "valkey 8.1 cluster TLS"},
	{"valkey 8.1 cluster TLS", "valkey 9.1 cluster"},
	{"valkey 9.1 cluster", "redis 8.0 TLS"},
	{"valkey 8.1 cluster TLS", "redis 7.0 cluster TLS"},
	{"valkey 9.1 TLS", "valkey 9.1 cluster"},
	{"redis 8.0 cluster", "valkey 8.1 cluster TLS"},
	{"redis 7.0", "redis 8.0 TLS"},
	{"redis 7.0", "valkey 9.1 cluster"},
	{"redis 8.0 TLS", "redis 7.0"},
	{"valkey 8.1 cluster TLS", "redis 8.0 TLS"},
	{"valkey 9.1 cluster", "redis 7.0"},
	{"valkey 8.1", "valkey 8.1 cluster TLS"},
	{"redis 7.0 cluster TLS", "redis 8.0 cluster"},
	{"redis 7.0 cluster TLS", "valkey 9.1 TLS"},
	{"redis 7.0", "valkey 8.1"},
	{"redis 8.0 TLS", "valkey 9.1 TLS"},
	{"valkey 8.1", "redis 8.0 cluster"},
	{"redis 7.0 cluster TLS", "redis 7.0"},
	{"redis 8.0 TLS", "valkey 8.1"},
	{"redis 8.0 cluster", "redis 7.0"},
	{"redis 8.0 cluster", "redis 8.0 TLS"},
	{"valkey 8.1", "valkey 9.1 TLS"},
	{"valkey 8.1 cluster TLS", "valkey 8.1"},
	{"valkey 9.1 TLS", "redis 7.0"},
	{"valkey 9.1 TLS", "redis 8.0 cluster"},
}

// takes reports whether RESTORE of a store takes the payloads of another one's DUMP.
func (s matrixStore) takes(version uint16) bool {
	return version <= s.payload && (s.payload != 80 || version == 80 || version <= 11)
}

func TestMatrixCoversAllPairs(t *testing.T) {
	settings := func(s, t matrixStore) []string {
		return []string{"from " + s.flavour + s.version, fmt.Sprint("from cluster ", s.cluster), fmt.Sprint("from TLS ", s.tls),
			"to " + t.flavour + t.version, fmt.Sprint("to cluster ", t.cluster), fmt.Sprint("to TLS ", t.tls)}
	}
	pairs := func(s, t matrixStore) (out []string) {
		list := settings(s, t)
		for i := range list {
			for _, b := range list[i+1:] {
				out = append(out, list[i]+", "+b)
			}
		}
		return out
	}
	covered, wanted := map[string]bool{}, map[string]bool{}
	for _, move := range matrix {
		require.Contains(t, matrixStores, move[0])
		require.Contains(t, matrixStores, move[1])
		for _, p := range pairs(matrixStores[move[0]], matrixStores[move[1]]) {
			covered[p] = true
		}
	}
	var kinds []matrixStore
	for _, flavour := range [][2]string{{"redis", "7.0"}, {"redis", "8.0"}, {"valkey", "8.1"}, {"valkey", "9.1"}} {
		for _, cluster := range []bool{false, true} {
			for _, tls := range []bool{false, true} {
				kinds = append(kinds, matrixStore{flavour: flavour[0], version: flavour[1], cluster: cluster, tls: tls})
			}
		}
	}
	for _, a := range kinds {
		for _, b := range kinds {
			for _, p := range pairs(a, b) {
				wanted[p] = true
			}
		}
	}
	require.Len(t, wanted, 104)
	require.Equal(t, slices.Sorted(maps.Keys(wanted)), slices.Sorted(maps.Keys(covered)))
}

// matrixServer is a store that runs.
type matrixServer struct {
	matrixStore
	options func(db int) *redis.Options // of its first node
	client  func(db int) redis.UniversalClient
	dbs     []int
}

func startMatrix(t *testing.T) map[string]*matrixServer {
	running := map[string]*matrixServer{}
	for _, name := range slices.Sorted(maps.Keys(matrixStores)) {
		kind := matrixStores[name]
		of := servers.RedisKind{Flavour: kind.flavour, Version: kind.version, TLS: kind.tls}
		if kind.cluster {
			c := servers.RedisCluster(t, of, "--save", "")
			running[name] = &matrixServer{kind, func(int) *redis.Options { return c.Options(c.Masters[0]) },
				func(int) redis.UniversalClient { return c.Client }, []int{0}}
			continue
		}
		s := servers.OwnRedisOf(t, of, "--save", "")
		clients := map[int]*redis.Client{}
		for _, db := range mixedDBs {
			clients[db] = redis.NewClient(s.Options(db))
			t.Cleanup(func() { clients[db].Close() })
		}
		running[name] = &matrixServer{kind, s.Options, func(db int) redis.UniversalClient { return clients[db] }, mixedDBs}
	}
	return running
}

func (s *matrixServer) endpoint() *Endpoint { return &Endpoint{Options: s.options(0), DBs: s.dbs} }

func (s *matrixServer) flush(t *testing.T) {
	flush := func(ctx context.Context, c *redis.Client) error { return c.FlushAll(ctx).Err() }
	if cluster, ok := s.client(0).(*redis.ClusterClient); ok {
		require.NoError(t, cluster.ForEachMaster(t.Context(), flush))
		return
	}
	require.NoError(t, flush(t.Context(), s.client(0).(*redis.Client)))
}

// fill writes values of every type; of a source with several dbs, some into each. to says which db of s takes those of a source's db.
func (s *matrixServer) fill(t *testing.T, sourceDBs []int, to func(int) int, fieldsExpire bool) (keys int64) {
	ctx := t.Context()
	at := time.UnixMilli(4_000_000_000_123)
	for _, db := range sourceDBs {
		pipe := s.client(to(db)).Pipeline()
		key := func(name string) string {
			keys++
			return fmt.Sprintf("db%d:%s", db, name)
		}
		pipe.Set(ctx, key("string"), strings.Repeat("値", 100), 0)
		pipe.Set(ctx, key("integer"), db, 0)
		pipe.Set(ctx, key("\x00\xff binary"), "\x00\r\n", 0)
		pipe.PExpireAt(ctx, key("string"), at)
		keys--
		for size, n := range map[string]int{"small": 3, "large": 300} {
			list, set, hash, zset, stream := key("list:"+size), key("set:"+size), key("hash:"+size), key("zset:"+size), key("stream:"+size)
			for i := range n {
				member := fmt.Sprintf("member %d", i)
				pipe.RPush(ctx, list, member)
				pipe.SAdd(ctx, set, member)
				pipe.HSet(ctx, hash, member, i)
				pipe.ZAdd(ctx, zset, redis.Z{Score: float64(i) / 7, Member: member})
				pipe.XAdd(ctx, &redis.XAddArgs{Stream: stream, ID: fmt.Sprintf("%d-1", i+1), Values: []any{"a", i, "b", "x", "a", 2}})
			}
			pipe.XGroupCreate(ctx, stream, "group", "0")
			pipe.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "group", Consumer: "consumer", Streams: []string{stream, ">"}, Count: int64(n / 2)})
			pipe.XDel(ctx, stream, "1-1")
			pipe.PExpireAt(ctx, hash, at)
			if fieldsExpire {
				pipe.Do(ctx, "HPEXPIREAT", hash, at.UnixMilli()-1, "FIELDS", 1, "member 1")
			}
		}
		_, err := pipe.Exec(ctx)
		require.NoError(t, err)
	}
	return keys
}

// TestMatrix copies and verifies between every two kinds of store that the matrix has, and finds a planted difference.
//
// Where the target does not take the source's payloads, Copy has to say so before anything is there; both sides are then written alike, so
// that Verify is shown to compare across versions all the same.
func TestMatrix(t *testing.T) {
	t.Parallel()
	running := startMatrix(t)
	ctx := t.Context()
	for i, names := range matrix {
		t.Run(names[0]+" to "+names[1], func(t *testing.T) {
			source, target := running[names[0]], running[names[1]]
			source.flush(t)
			target.flush(t)
			m := Move{From: source.endpoint(), To: target.endpoint(), Keys: everything, DBMap: map[int]int{}}
			for _, db := range source.dbs {
				if target.cluster {
					m.DBMap[db] = 0
				}
			}
			m.To.DBs = nil
			for _, db := range source.dbs {
				if to := m.targetDB(db); !slices.Contains(m.To.DBs, to) {
					m.To.DBs = append(m.To.DBs, to)
				}
			}
			same := func(db int) int { return db }
			fieldsExpire := source.payload == 12 && target.payload == 12 // they do not cross to another vendor, or to an older version
			keys := source.fill(t, source.dbs, same, fieldsExpire)
			r, err := Copy(ctx, m, CopyOptions{})
			require.NoError(t, err)
			require.Equal(t, keys, r.Copied)
			byType := strings.Contains(strings.Join(r.Notes, "\n"), "the commands of their types")
			require.Equal(t, !target.takes(source.payload), byType, "%v", r.Notes)
			v := verified(t, m)
			require.Equal(t, keys, v.Compared)
			require.Equal(t, keys, v.Scanned)

			plantDifference(t, m, target, source.dbs[len(source.dbs)-1], i)
		})
	}
	t.Run("dbs that a cluster does not have are refused, not looked for in its only one", func(t *testing.T) {
		source, target := running["redis 8.0 TLS"], running["redis 8.0 cluster"]
		source.flush(t)
		source.fill(t, source.dbs, func(db int) int { return db }, false)
		v, err := Verify(ctx, Move{From: &Endpoint{Options: source.options(0), AllDBs: true}, To: &Endpoint{Options: target.options(0), AllDBs: true}, Keys: everything}, VerifyOptions{})
		require.ErrorContains(t, err, "is a cluster, which has db 0 only, but keys of the source go to db 1; map each of the source's dbs to 0 (DBMap)")
		require.Equal(t, Unknown, v.Verdict)
	})
	t.Run("a slot that has moved since is followed", func(t *testing.T) {
		source, target := running["valkey 9.1 TLS"], running["valkey 9.1 cluster"]
		source.flush(t)
		target.flush(t)
		for _, s := range []*matrixServer{source, target} {
			s.fill(t, []int{0}, func(int) int { return 0 }, false)
		}
		v := &verifier{opt: VerifyOptions{}.withDefaults()}
		var err error
		v.from, v.to, err = openPair(ctx, &Endpoint{Options: source.options(0)}, target.endpoint(), nil, true)
		require.NoError(t, err)
		defer v.from.close()
		defer v.to.close()
		slices.Reverse(v.to.owners) // as if each slot were where it is not, but for a few
		there, err := v.to.exist(ctx, 0, []string{"db0:string", "db0:integer", "nothing"})
		require.NoError(t, err)
		require.Equal(t, []int64{1, 1, 0}, there)
		keys, err := source.client(0).Keys(ctx, "*").Result()
		require.NoError(t, err)
		require.NoError(t, v.compare(ctx, 0, keys, newKeySums(maphash.MakeSeed())))
		require.EqualValues(t, len(keys), v.out.Compared)
		require.Zero(t, v.out.Total)
	})
}

// plantDifference makes one key of the target differ, each time in another way.
func plantDifference(t *testing.T, m Move, target *matrixServer, sourceDB, i int) {
	ctx := t.Context()
	key := func(name string) string { return fmt.Sprintf("db%d:%s", sourceDB, name) }
	c := target.client(m.targetDB(sourceDB))
	plants := []struct {
		kind Kind
		key  string
		do   func(key string) error
	}{
		{Missing, "set:large", func(key string) error { return c.Del(ctx, key).Err() }},
		{Extra, "surplus", func(key string) error { return c.Set(ctx, key, 1, 0).Err() }},
		{ValueDiff, "hash:large", func(key string) error { return c.HSet(ctx, key, "member 7", "x").Err() }},
		{TTLDiff, "hash:small", func(key string) error { return c.PExpire(ctx, key, time.Hour).Err() }},
		{TypeDiff, "integer", func(key string) error { return errFirst(c.Del(ctx, key), c.RPush(ctx, key, "a")) }},
		{ValueDiff, "stream:small", func(key string) error { return c.XAck(ctx, key, "group", "1-1").Err() }},
		{ValueDiff, "zset:small", func(key string) error { return c.ZIncrBy(ctx, key, 1e-9, "member 1").Err() }},
		{ValueDiff, "set:small", func(key string) error { return errFirst(c.SRem(ctx, key, "member 1"), c.SAdd(ctx, key, "other")) }},
	}
	p := plants[i%len(plants)]
	require.NoError(t, p.do(key(p.key)))
	v, err := Verify(ctx, m, VerifyOptions{})
	require.NoError(t, err)
	require.Equal(t, Mismatch, v.Verdict)
	require.Len(t, v.Differences, 1, "%v", v.Differences)
	require.Equal(t, p.kind, v.Differences[0].Kind)
	require.Equal(t, key(p.key), v.Differences[0].Key)
}
