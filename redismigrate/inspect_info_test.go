package redismigrate

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatInfoTellsOfTheSoftware(t *testing.T) {
	for text, want := range map[string]struct {
		flavour Flavour
		version string
	}{
		"redis_version:8.0.2\r\n": {Redis, "8.0.2"},
		"redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\n": {Valkey, "9.1.2"},
		"redis_version:7.4.0\r\ndragonfly_version:df-v1.27\r\n":                 {"dragonfly", "df-v1.27"},
		"redis_version:7.2.4\r\nserver_name:other\r\n":                          {"other", "7.2.4"},
		"uptime_in_seconds:1\r\n":                                               {"", ""},
	} {
		flavour, version := software(parseInfo(text))
		require.Equal(t, want.flavour, flavour)
		require.Equal(t, want.version, version)
	}
}

func TestManagedServicesAreRecognised(t *testing.T) {
	for want, s := range map[string]*Server{
		"ElastiCache":                      {Addr: "10.0.0.1:6379", osLine: "Amazon ElastiCache"},
		"MemoryDB":                         {Addr: "clustercfg.x.abc123.memorydb.eu-west-1.amazonaws.com:6379"},
		"Azure Managed Redis":              {Addr: "x.eastus.redis.azure.net:10000"},
		"Azure Cache for Redis":            {Addr: "x.redis.cache.windows.net:6380"},
		"":                                 {Addr: "10.0.0.1:6379", osLine: "Linux 6.1"},
		"Upstash":                          {Addr: "Fit-Fox-1.upstash.io.:6379"},
		"Redis Cloud":                      {Addr: "redis-1.c1.eu-west-1-3.ec2.redis-cloud.com:1"},
		"Azure Cache for Redis Enterprise": {Addr: "x.eastus.redisenterprise.cache.azure.net:10000"},
	} {
		require.Equal(t, want, s.recogniseService(s.osLine))
	}
	require.Equal(t, "ElastiCache", (&Server{Addr: "10.0.0.1:6379", ServiceKeys: []string{elastiCacheKey}}).recogniseService("Linux"))
	require.Equal(t, "ElastiCache", (&Server{Addr: "m.abc.0001.euw1.cache.amazonaws.com:6379"}).recogniseService(""))
	require.Empty(t, (&Server{Addr: "memorydb.example.com:6379"}).recogniseService(""))
	require.Empty(t, (&Server{Addr: "x.cache.amazonaws.com.evil.example:6379"}).recogniseService(""))
}

func TestPersistenceIsToldOrNot(t *testing.T) {
	for _, c := range []struct {
		settings  map[string]string
		info, how string
		told      bool
	}{
		{map[string]string{"appendonly": "yes", "appendfsync": "always", "save": ""}, "", "appendfsync always", true},
		{map[string]string{"appendonly": "no", "save": "3600 1"}, "", "snapshots", true},
		{map[string]string{"appendonly": "no", "save": ""}, "", "none", true},
		{map[string]string{"appendonly": "no"}, "", "", false},
		{nil, "aof_enabled:1", "append-only file", false},
		{nil, "aof_enabled:0", "", false},
		{nil, "", "", false},
	} {
		how, why := persistence(c.settings, parseInfo(c.info))
		require.Equal(t, c.how, how, "%v", c)
		require.Equal(t, c.told, why == "", "%v", c)
	}
}

func TestDBsAreCountedBySelecting(t *testing.T) {
	for _, want := range []int{1, 2, 15, 16, 17, 31, 32, 100, 1000, 10000} {
		asked := 0
		require.Equal(t, want, firstMissing(func(db int) bool { asked++; return db < want }))
		require.Less(t, asked, 30)
	}
	require.Greater(t, firstMissing(func(int) bool { return true }), maxDatabases)
}

func TestClientsAreCountedWithoutOursAndReplication(t *testing.T) {
	others, ours := countClients("id=1 addr=a name=app flags=N db=0\nid=2 addr=b name=us flags=N\nid=3 addr=c name= flags=S\nid=4 addr=d name= flags=M\n"+
		"id=5 addr=e name=us2 flags=P\nid=6 addr=f name= flags=xSN\n", "us")
	require.Equal(t, []int{2, 1}, []int{others, ours})
}

func TestReplicasAndTheirLag(t *testing.T) {
	n := nodeCard("m:1", parseInfo("role:master\r\nmaster_repl_offset:1000\r\nslave0:ip=10.0.0.2,port=6379,state=online,offset=900,lag=0\r\n"+
		"slave1:ip=10.0.0.3,port=6379,state=wait_bgsave,offset=,lag=0\r\nused_memory:5\r\n"))
	require.Equal(t, []Replica{{"10.0.0.2:6379", "online", 100}, {"10.0.0.3:6379", "wait_bgsave", -1}}, n.Replicas)
	require.Equal(t, "h:7", nodeCard("r:1", parseInfo("role:slave\r\nmaster_host:h\r\nmaster_port:7\r\n")).ReplicaOf)
}

func TestTheCardSumsTheMasters(t *testing.T) {
	s := &Server{Untold: map[string]string{}}
	s.readInfo([]*node{{addr: "a"}, {addr: "b"}}, []infoText{
		parseInfo("redis_version:8.0.2\r\nmaxmemory_policy:noeviction\r\nused_memory:10\r\nmaxmemory:100\r\ntotal_system_memory:500\r\ndb0:keys=3,expires=1,avg_ttl=0\r\n"),
		parseInfo("redis_version:8.0.1\r\nmaxmemory_policy:allkeys-lru\r\nused_memory:20\r\nmaxmemory:50\r\ntotal_system_memory:400\r\ndb0:keys=4,expires=0\r\ndb10:keys=1,expires=1\r\n"),
	})
	require.Equal(t, []DBKeys{{0, 7, 1}, {10, 1, 1}}, s.DBs)
	require.Equal(t, []int64{30, 150, 400, 3}, []int64{s.UsedMemory, s.MaxMemory, s.SystemMemory, s.Nodes[0].Keys})
	require.Contains(t, s.Untold["Version"], "the masters differ")
	require.Contains(t, s.Untold["Policy"], "the masters differ")
	free, told := s.Headroom()
	require.True(t, told)
	require.EqualValues(t, 60, free, "the fuller master decides")
	s.Nodes[0].UsedMemory = 0
	_, told = s.Headroom()
	require.False(t, told)
	_, told = (*Server)(nil).Headroom()
	require.False(t, told)
}

func TestPayloadVersionsInRuns(t *testing.T) {
	taken := make([]bool, 100)
	require.Empty(t, runs(taken))
	for v := 1; v <= 11; v++ {
		taken[v] = true
	}
	taken[80], taken[99] = true, true
	require.Equal(t, []VersionRange{{1, 11}, {80, 80}, {99, 99}}, runs(taken))
	s := &Server{RestoreVersion: 80, RestoreVersions: runs(taken)}
	for version, want := range map[int]bool{1: true, 11: true, 12: false, 79: false, 80: true, 81: false} {
		takes, told := s.TakesPayload(version)
		require.True(t, told)
		require.Equal(t, want, takes, version)
	}
	_, told := (&Server{}).TakesPayload(9)
	require.False(t, told)
}

func TestThePayloadVersionOfADump(t *testing.T) {
	payload := "\x00\x01v\n\x00\x91\b\xce\xb2\x198\x8a\xce" // of Redis 7.0.15
	require.Equal(t, 10, trailer(payload))
	require.Zero(t, trailer("\x00\x01w"+payload[3:]), "its checksum is wrong")
	require.Zero(t, trailer(""))
}
