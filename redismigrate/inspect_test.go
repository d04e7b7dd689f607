package redismigrate

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func inspected(t *testing.T, e *Endpoint, o InspectOptions) *Server {
	t.Helper()
	s, err := Inspect(t.Context(), e, o)
	require.NoError(t, err)
	for name, p := range s.Commands {
		require.Equal(t, p == Untold, s.Untold[name] != "", "%s is %s, and the reason is %q", name, p, s.Untold[name])
	}
	return s
}

// permitted requires permissions of commands.
func permitted(t *testing.T, s *Server, want Permission, commands ...string) {
	t.Helper()
	for _, name := range commands {
		got, probed := s.Commands[name]
		require.True(t, probed, "%s was not probed", name)
		require.Equal(t, want, got, "%s: %s%s", name, s.Untold[name], s.Notes[name])
	}
}

// changes is the server's own count of writes since it started.
func changes(t *testing.T, c *redis.Client) string {
	t.Helper()
	info := parseInfo(c.Info(t.Context(), "persistence").Val())
	require.NotEmpty(t, info["rdb_changes_since_last_save"])
	return info["rdb_changes_since_last_save"]
}

// calls are the commands that the server was asked for since the last CONFIG RESETSTAT, refused or not.
func calls(t *testing.T, c *redis.Client) (names []string) {
	t.Helper()
	for name := range parseInfo(c.Info(t.Context(), "commandstats").Val()) {
		if command, ok := strings.CutPrefix(name, "cmdstat_"); ok {
			names = append(names, command)
		}
	}
	return names
}

func TestInspectTellsWhatAServerIsAndChangesNothing(t *testing.T) {
	s := own(t, "--maxmemory", "300mb", "--maxmemory-policy", "allkeys-lru", "--databases", "9", "--appendonly", "yes", "--appendfsync", "always")
	keep, drop := fillMixed(t, s, 600)
	ctx := t.Context()
	require.NoError(t, s.Client.FunctionLoad(ctx, "#!lua name=lib\nredis.register_function('f', function() return 1 end)").Err())
	require.NoError(t, s.Client.Set(ctx, elastiCacheKey, 1, 0).Err())
	other := client(t, s, 1)
	require.NoError(t, other.Ping(ctx).Err())
	unchanged(t, s)
	time.Sleep(2100 * time.Millisecond) // so that a key that is touched shows
	idle := func() (list []int64) {
		for _, key := range []string{"session:0", elastiCacheKey} {
			d, err := s.Client.ObjectIdleTime(ctx, key).Result()
			require.NoError(t, err)
			list = append(list, int64(d.Seconds()))
		}
		return list
	}
	require.NotContains(t, idle(), int64(0))
	before, size := changes(t, s.Client), s.Client.DBSize(ctx).Val()
	require.NoError(t, s.Client.ConfigResetStat(ctx).Err())

	card := inspected(t, &Endpoint{URL: s.URL}, InspectOptions{})
	writes := map[string]bool{}
	table, err := s.Client.Command(ctx).Result()
	require.NoError(t, err)
	for name, c := range table {
		writes[name] = slices.Contains(c.Flags, "write")
	}
	require.True(t, writes["restore"] && writes["migrate"])
	for _, name := range calls(t, s.Client) {
		require.False(t, writes[name] && name != "migrate", "a source was asked for %s", name)
	}
	target := inspected(t, &Endpoint{URL: s.URL}, InspectOptions{Target: true})
	require.Contains(t, calls(t, s.Client), "restore")
	require.Equal(t, before, changes(t, s.Client), "the server counts a write")
	require.Equal(t, size, s.Client.DBSize(ctx).Val())
	require.NotContains(t, idle(), int64(0), "a key looks used")
	require.Equal(t, "0", parseInfo(s.Client.Info(ctx, "memory").Val())["number_of_cached_scripts"])
	require.Equal(t, []any{"default"}, s.Client.Do(ctx, "ACL", "USERS").Val())

	require.Equal(t, Redis, card.Flavour)
	require.Equal(t, s.Client.InfoMap(ctx, "server").Val()["Server"]["redis_version"], card.Version)
	require.Equal(t, s.Addr, card.Addr)
	require.WithinRange(t, card.At, time.Now().Add(-time.Minute), time.Now())
	require.Equal(t, []bool{false, false}, []bool{card.Cluster, card.TLS})
	require.Equal(t, 9, card.Databases)
	require.Len(t, card.DBs, len(mixedDBs))
	for i, db := range mixedDBs {
		n := keep[db] + drop[db]
		if db == 0 {
			n++ // the service's key
		}
		require.Equal(t, db, card.DBs[i].DB)
		require.Equal(t, n, card.DBs[i].Keys)
		require.Positive(t, card.DBs[i].Expires)
		require.Less(t, card.DBs[i].Expires, n)
	}
	require.EqualValues(t, 300<<20, card.MaxMemory)
	require.Equal(t, "allkeys-lru", card.Policy)
	require.Equal(t, "appendfsync always", card.Persistence)
	require.Equal(t, []string{"lib"}, card.Functions)
	require.Equal(t, []string{elastiCacheKey}, card.ServiceKeys)
	require.Equal(t, "ElastiCache", card.Service, "its key gives it away")
	require.Equal(t, 5, card.Clients, "the test's own (three of fillMixed), not ours")
	require.Equal(t, "default", card.User)
	require.Len(t, card.Nodes, 1)
	require.Equal(t, "master", card.Nodes[0].Role)
	require.Len(t, card.Nodes[0].RunID, 40)
	require.NotEmpty(t, card.Nodes[0].ReplID)
	free, told := card.Headroom()
	require.True(t, told)
	require.Equal(t, card.MaxMemory-card.UsedMemory, free)
	require.Zero(t, card.RestoreVersion)
	require.Contains(t, card.Untold["RestoreVersion"], "targets only")
	require.Positive(t, target.RestoreVersion)
	require.Equal(t, target.DumpVersion, trailer(client(t, s, 1).Dump(ctx, client(t, s, 1).RandomKey(ctx).Val()).Val()))
	permitted(t, target, Allowed, "SCAN", "DUMP", "RESTORE", "UNLINK", "DEL", "MIGRATE", "PEXPIRETIME", "MEMORY USAGE", "OBJECT FREQ", "FUNCTION DUMP", "FUNCTION RESTORE",
		"CONFIG SET", "ACL SETUSER", "CLIENT LIST", "CLIENT PAUSE", "WAIT", "COPY", "XSETID", "EVAL", "SWAPDB", "SET", "ZADD", "XADD", "XGROUP CREATE", "XCLAIM", "RENAME")
	permitted(t, target, Absent, "CLUSTER SLOTS")
	permitted(t, card, Untold, "RESTORE", "BGSAVE") // it passes for a managed service, where ACL DRYRUN is not the last word
	require.NoError(t, s.Client.Del(ctx, elastiCacheKey).Err())
	permitted(t, inspected(t, &Endpoint{URL: s.URL}, InspectOptions{}), Allowed, "RESTORE", "BGSAVE")
	require.NoError(t, s.Client.Set(ctx, elastiCacheKey, 1, 0).Err())
}

func TestInspectOfEachFlavour(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind  servers.RedisKind
		dump  int
		takes []VersionRange
	}{
		{servers.RedisKind{Version: "7.0"}, 10, []VersionRange{{1, 10}}},
		{servers.RedisKind{Version: "8.0", TLS: true}, 12, []VersionRange{{1, 12}}},
		{servers.RedisKind{Flavour: "valkey", Version: "8.1"}, 11, []VersionRange{{1, 11}}},
		{servers.RedisKind{Flavour: "valkey", Version: "9.1", TLS: true}, 80, []VersionRange{{1, 11}, {80, 80}}},
	} {
		t.Run(c.kind.String(), func(t *testing.T) {
			s := servers.OwnRedisOf(t, c.kind, "--save", "")
			require.NoError(t, s.Client.Set(t.Context(), "session:1", "v", 0).Err())
			before := changes(t, s.Client)
			card := inspected(t, &Endpoint{Options: s.Options(0)}, InspectOptions{Target: true, Keys: sessions})
			require.Equal(t, before, changes(t, s.Client))
			require.EqualValues(t, 1, s.Client.DBSize(t.Context()).Val())
			require.Equal(t, c.kind.TLS, card.TLS)
			require.Equal(t, c.dump, card.DumpVersion)
			require.Equal(t, c.dump, trailer(s.Client.Dump(t.Context(), "session:1").Val()), "what DUMP writes")
			require.Equal(t, c.takes, card.RestoreVersions)
			require.Equal(t, c.dump, card.RestoreVersion)
			require.True(t, strings.HasPrefix(card.Version, c.kind.Version+"."), card.Version)
			require.Equal(t, c.kind.Flavour == "valkey", card.Flavour == Valkey)
			require.Equal(t, "none", card.Persistence)
			permitted(t, card, Allowed, "DUMP", "RESTORE", "MIGRATE", "BGSAVE", "PSYNC", "PEXPIRETIME", "FUNCTION DUMP")
			hashExpiry := Allowed
			if c.dump == 10 || c.dump == 11 {
				hashExpiry = Absent
			}
			permitted(t, card, hashExpiry, "HPEXPIRETIME", "HPEXPIREAT")
			require.Empty(t, card.Service)
			for name := range card.Untold {
				t.Errorf("%s could not be told: %s", name, card.Untold[name])
			}
		})
	}
}

// Story 3: the rehearsal had MIGRATE; production, a managed service, did not.
func TestStory3IsFoundBeforeTheDay(t *testing.T) {
	rehearsed := own(t)
	production := servers.OwnRedisOf(t, servers.RedisKind{Version: "8.0", Limits: servers.ElastiCache()}, "--save", "")
	fillMixed(t, rehearsed, 300)
	fillMixed(t, production, 3000)
	before := changes(t, production.Client)
	a := inspected(t, all(rehearsed), InspectOptions{Keys: sessions})
	b := inspected(t, all(production), InspectOptions{Keys: sessions})
	permitted(t, a, Allowed, "MIGRATE", "CONFIG GET", "BGSAVE")
	permitted(t, b, Absent, "MIGRATE", "CONFIG GET", "BGSAVE", "PSYNC", "REPLICAOF")
	permitted(t, b, Forbidden, "ACL SETUSER")
	permitted(t, b, Allowed, "DUMP", "SCAN", "MEMORY USAGE")
	require.Equal(t, 16, b.Databases, "without CONFIG: by selecting them")
	require.Empty(t, b.Persistence)
	require.Contains(t, b.Untold["Persistence"], "unknown command")
	require.Contains(t, b.Service, "a managed service")
	require.Equal(t, before, changes(t, production.Client))

	c := Compare(a, b)
	require.Equal(t, Mismatch, c.Verdict())
	require.Equal(t, Blocker, c.Differing()[0].Severity)
	for item, verdict := range map[string]Verdict{"MIGRATE": Mismatch, "service": Mismatch, "keys": Mismatch, "persistence": Unknown, "DUMP": Match, "form": Match} {
		require.Equal(t, verdict, itemOf(t, c, item).Verdict, item)
	}
	itself := Compare(a, inspected(t, all(rehearsed), InspectOptions{Keys: sessions}))
	require.Equal(t, Match, itself.Verdict(), "a server is like itself: %s", itself)
	require.Contains(t, c.String(), "blocker  MIGRATE: rehearsal allowed, production absent")
}

func TestInspectWhereEvenClientsMayNotAsk(t *testing.T) {
	s := servers.OwnRedisOf(t, servers.RedisKind{Version: "7.0", Limits: servers.Memorystore()}, "--databases", "5")
	fillMixed(t, s, 60)
	card := inspected(t, all(s), InspectOptions{})
	permitted(t, card, Absent, "MIGRATE", "CLIENT LIST", "OBJECT FREQ", "CLIENT NO-TOUCH")
	require.Contains(t, card.Untold["Clients"], "unknown command")
	require.Equal(t, 5, card.Databases)
	require.Equal(t, 10, card.DumpVersion, "of FUNCTION DUMP")
	require.Contains(t, card.String(), "clients besides this one: could not tell")
}

func TestInspectWithALimitedUser(t *testing.T) {
	s := own(t)
	fillMixed(t, s, 120)
	ctx := t.Context()
	user := func(rules ...any) *Endpoint {
		require.NoError(t, s.Client.Do(ctx, append([]any{"ACL", "SETUSER", "limited", "reset", "on", ">secret"}, rules...)...).Err())
		return &Endpoint{URL: "redis://limited:secret@" + s.Addr}
	}
	unchanged(t, s)

	e := user("~session:*", "+@all", "-migrate", "-restore", "-bgsave", "-acl|dryrun")
	card := inspected(t, e, InspectOptions{Target: true, Keys: sessions})
	permitted(t, card, Forbidden, "MIGRATE", "RESTORE", "ACL DRYRUN")
	permitted(t, card, Allowed, "DUMP", "UNLINK", "SCAN")
	require.Contains(t, card.Notes["DUMP"], "on keys of the selector")
	require.Empty(t, card.Notes["SCAN"])
	permitted(t, card, Untold, "BGSAVE", "PSYNC", "HSET")
	require.Contains(t, card.Untold["BGSAVE"], "acl|dryrun")
	require.Zero(t, card.RestoreVersion)
	require.Contains(t, card.Untold["RestoreVersion"], "NOPERM")
	require.Equal(t, "limited", card.User)

	card = inspected(t, e, InspectOptions{Target: true})
	permitted(t, card, Untold, "DUMP", "UNLINK")
	require.Contains(t, card.Untold["DUMP"], "InspectOptions.Keys")
	require.NotContains(t, card.String(), "secret")

	card = inspected(t, user("%R~session:*", "+@all"), InspectOptions{Keys: Selector{Include: []string{"session:*", "user:*"}}})
	permitted(t, card, Forbidden, "DUMP", "UNLINK")
	require.Contains(t, card.Notes["DUMP"], "not on keys of the selector")

	card = inspected(t, user("%R~session:*", "+@all", "-function"), InspectOptions{Target: true, Keys: sessions})
	permitted(t, card, Allowed, "DUMP", "BGSAVE", "PSYNC")
	permitted(t, card, Forbidden, "UNLINK", "RESTORE", "SET", "HSET")
	require.Equal(t, 12, card.DumpVersion, "of a small key, which was not touched")

	card = inspected(t, user("~*", "+info", "+ping", "+select"), InspectOptions{})
	permitted(t, card, Forbidden, "SCAN", "DUMP", "MIGRATE", "CONFIG GET")
	permitted(t, card, Untold, "UNLINK", "BGSAVE")
	for _, field := range []string{"Clients", "Persistence", "Functions", "DumpVersion", "ServiceKeys"} {
		require.NotEmpty(t, card.Untold[field], field)
	}
	require.Equal(t, 16, card.Databases)
	require.Empty(t, card.User)

	_, err := Inspect(ctx, user("~*", "+ping"), InspectOptions{})
	require.ErrorContains(t, err, "NOPERM")
	require.ErrorContains(t, err, "grant it")
	_, err = Inspect(ctx, &Endpoint{URL: "redis://limited:wrong@" + s.Addr}, InspectOptions{})
	require.ErrorContains(t, err, "check user and password")
	require.NotContains(t, err.Error(), "wrong@")
	_, err = Inspect(ctx, nil, InspectOptions{})
	require.ErrorContains(t, err, "no endpoint is given")
	_, err = Inspect(ctx, all(s), InspectOptions{Keys: Selector{Exclude: []string{"x"}}})
	require.ErrorContains(t, err, "only Exclude patterns")
}

func TestInspectOfAReplicaAndItsMaster(t *testing.T) {
	t.Parallel()
	master, replica := ownPair(t)
	fillMixed(t, master, 60)
	replicate(t, replica, master)
	card := inspected(t, all(replica), InspectOptions{Target: true})
	require.Equal(t, "slave", card.Nodes[0].Role)
	require.NotEmpty(t, card.Nodes[0].ReplicaOf)
	require.Contains(t, card.Untold["RestoreVersion"], "replica")
	permitted(t, card, Untold, "MIGRATE")
	require.Contains(t, card.Untold["MIGRATE"], "replica")
	permitted(t, card, Allowed, "DUMP", "SCAN", "PSYNC")
	require.NotZero(t, card.DumpVersion)

	card = inspected(t, all(master), InspectOptions{})
	require.Len(t, card.Nodes[0].Replicas, 1)
	require.Equal(t, "online", card.Nodes[0].Replicas[0].State)
	require.GreaterOrEqual(t, card.Nodes[0].Replicas[0].LagBytes, int64(0))

	// A replica that takes writes would keep what it is sent, whatever its expiry.
	require.NoError(t, replica.Client.ConfigSet(t.Context(), "replica-read-only", "no").Err())
	before := digest(t, replica)
	inspected(t, all(replica), InspectOptions{Target: true})
	require.Equal(t, before, digest(t, replica))
}

func TestInspectOfACluster(t *testing.T) {
	t.Parallel()
	c := servers.RedisCluster(t, servers.RedisKind{Flavour: "valkey", TLS: true})
	ctx := t.Context()
	for i := range 300 {
		require.NoError(t, c.Client.Set(ctx, "session:"+string(rune('a'+i%26))+strings.Repeat("x", i), i, 0).Err())
	}
	e := &Endpoint{Options: c.Options(c.Replicas[1])} // any node will do
	total := func() (n int64) {
		for _, master := range c.Masters {
			n += nodeOf(t, c, master).DBSize(ctx).Val()
		}
		return n
	}
	before := total()
	card := inspected(t, e, InspectOptions{Target: true, Keys: sessions})
	require.Equal(t, before, total())
	require.Equal(t, []bool{true, true}, []bool{card.Cluster, card.TLS})
	require.Len(t, card.Nodes, 3)
	slots, keys := 0, int64(0)
	for _, n := range card.Nodes {
		require.Positive(t, n.Slots)
		slots += n.Slots
		keys += n.Keys
		require.Len(t, n.Replicas, 1)
		require.Equal(t, "master", n.Role)
	}
	require.Equal(t, slotCount, slots)
	require.EqualValues(t, 300, keys)
	require.EqualValues(t, 300, keyCount(card))
	require.Equal(t, []VersionRange{{1, 11}, {80, 80}}, card.RestoreVersions)
	permitted(t, card, Allowed, "DUMP", "RESTORE", "MIGRATE", "CLUSTER SLOTS", "UNLINK", "COPY", "RENAME")
	permitted(t, card, Absent, "REPLICAOF")
	require.Equal(t, 1, card.Databases)

	// One master whose ACL is another.
	require.NoError(t, nodeOf(t, c, c.Masters[1]).Do(ctx, "ACL", "SETUSER", "default", "-dump").Err())
	card = inspected(t, e, InspectOptions{Keys: sessions})
	permitted(t, card, Forbidden, "DUMP")
	require.Contains(t, card.Notes["DUMP"], c.Masters[1])

	require.Equal(t, Mismatch, itemOf(t, Compare(aServer(), card), "form").Verdict)
}

func nodeOf(t *testing.T, c *servers.RedisClusterServer, addr string) *redis.Client {
	n := redis.NewClient(c.Options(addr))
	t.Cleanup(func() { n.Close() })
	return n
}

func TestInspectEndsWithItsContext(t *testing.T) {
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // accepts by the kernel, answers never
	require.NoError(t, err)
	defer deaf.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = Inspect(ctx, &Endpoint{URL: "redis://" + deaf.Addr().String()}, InspectOptions{})
	require.Error(t, err)
	require.Regexp(t, "context deadline exceeded|did not answer in time", err.Error())
	cancelled, stop := context.WithCancel(t.Context())
	stop()
	_, err = Inspect(cancelled, &Endpoint{URL: "redis://" + deaf.Addr().String()}, InspectOptions{})
	require.ErrorIs(t, err, context.Canceled)
	_, err = Inspect(t.Context(), &Endpoint{URL: "redis://127.0.0.1:1"}, InspectOptions{})
	require.ErrorContains(t, err, "check host and port")
}

// The connection is lost midway: there is no half card.
func TestInspectOfAServerThatDiesMidway(t *testing.T) {
	s := own(t)
	for _, after := range []int64{200, 700, 1500, 4000} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		var sent atomic.Int64
		addr := proxy(t, s.Addr, func(n int) {
			if sent.Add(int64(n)) >= after {
				s.Client.Do(ctx, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			}
		})
		card, err := Inspect(ctx, &Endpoint{URL: "redis://" + addr}, InspectOptions{Target: true})
		cancel()
		require.Error(t, err, "after %d bytes: %v", after, card)
		require.Nil(t, card)
	}
	require.Zero(t, s.Client.DBSize(t.Context()).Val())
}
