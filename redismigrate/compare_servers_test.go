package redismigrate

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// aServer is a card in which everything is told.
func aServer(change ...func(*Server)) *Server {
	s := &Server{
		Addr: "10.0.0.1:6379", Flavour: Redis, Version: "7.0.15", Databases: 16, DumpVersion: 10, RestoreVersion: 10, RestoreVersions: []VersionRange{{1, 10}},
		Nodes: []ServerNode{{Addr: "10.0.0.1:6379", Role: "master", UsedMemory: 2 << 30, MaxMemory: 8 << 30}},
		DBs:   []DBKeys{{0, 700_000, 0}, {2, 300_000, 300_000}}, UsedMemory: 2 << 30, MaxMemory: 8 << 30, Policy: "noeviction", Persistence: "snapshots",
		Commands: map[string]Permission{"MIGRATE": Allowed, "DUMP": Allowed, "BGSAVE": Absent, "CONFIG GET": Forbidden},
		Notes:    map[string]string{"CONFIG GET": "NOPERM"}, Untold: map[string]string{},
	}
	for _, f := range change {
		f(s)
	}
	return s
}

func itemOf(t *testing.T, c Comparison, item string) Discrepancy {
	t.Helper()
	at := slices.IndexFunc(c.Items, func(d Discrepancy) bool { return d.Item == item })
	require.GreaterOrEqual(t, at, 0, "there is no item %s", item)
	return c.Items[at]
}

func TestEqualServersMatch(t *testing.T) {
	c := Compare(aServer(), aServer())
	require.Equal(t, Match, c.Verdict(), c.String())
	require.Empty(t, c.Differing())
	require.Empty(t, c.Untold())
	require.Len(t, c.Items, len(traits)+4)
}

func TestEachDifferenceIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(*Server)
		item     string
		severity Severity
		verdict  Verdict
	}{
		"service":           {func(s *Server) { s.Service = "ElastiCache" }, "service", Blocker, Mismatch},
		"software":          {func(s *Server) { s.Flavour = Valkey }, "software", Blocker, Mismatch},
		"version":           {func(s *Server) { s.Version = "7.2.4" }, "version", Blocker, Mismatch},
		"a repair":          {func(s *Server) { s.Version = "7.0.16" }, "", Note, Match},
		"version untold":    {func(s *Server) { s.Untold["Version"] = "differ" }, "version", Blocker, Unknown},
		"cluster":           {func(s *Server) { s.Cluster = true }, "form", Blocker, Mismatch},
		"replica":           {func(s *Server) { s.Nodes[0].Role = "slave" }, "role", Blocker, Mismatch},
		"TLS":               {func(s *Server) { s.TLS = true }, "TLS", Blocker, Mismatch},
		"dbs":               {func(s *Server) { s.DBs = s.DBs[:1]; s.DBs[0].Keys = 1_000_000 }, "dbs in use", Blocker, Mismatch},
		"fewer dbs":         {func(s *Server) { s.Databases = 1 }, "number of dbs", Serious, Mismatch},
		"dbs untold":        {func(s *Server) { s.Databases = 0 }, "number of dbs", Serious, Unknown},
		"dump":              {func(s *Server) { s.DumpVersion = 11 }, "DUMP payloads", Blocker, Mismatch},
		"restore":           {func(s *Server) { s.RestoreVersions = []VersionRange{{1, 9}} }, "RESTORE payloads", Blocker, Mismatch},
		"more keys":         {func(s *Server) { s.DBs[0].Keys *= 2 }, "keys", Serious, Mismatch},
		"a few more keys":   {func(s *Server) { s.DBs[0].Keys += 1000 }, "", Note, Match},
		"more data":         {func(s *Server) { s.UsedMemory *= 2 }, "data size", Serious, Mismatch},
		"less data":         {func(s *Server) { s.UsedMemory /= 2 }, "", Note, Match},
		"limit":             {func(s *Server) { s.MaxMemory = 4 << 30 }, "memory limit", Serious, Mismatch},
		"headroom":          {func(s *Server) { s.Nodes[0].UsedMemory = 7 << 30 }, "headroom", Serious, Mismatch},
		"policy":            {func(s *Server) { s.Policy = "allkeys-lru" }, "eviction policy", Serious, Mismatch},
		"persistence":       {func(s *Server) { s.Persistence = "appendfsync always" }, "persistence", Serious, Mismatch},
		"replicas":          {func(s *Server) { s.Nodes[0].Replicas = []Replica{{}} }, "replicas", Serious, Mismatch},
		"functions":         {func(s *Server) { s.Functions = []string{"lib"} }, "functions", Serious, Mismatch},
		"clients":           {func(s *Server) { s.Clients = 7 }, "other clients", Note, Mismatch},
		"MIGRATE is gone":   {func(s *Server) { s.Commands["MIGRATE"] = Absent }, "MIGRATE", Blocker, Mismatch},
		"MIGRATE is denied": {func(s *Server) { s.Commands["MIGRATE"] = Forbidden }, "MIGRATE", Blocker, Mismatch},
		"MIGRATE is untold": {func(s *Server) { s.Commands["MIGRATE"] = Untold }, "MIGRATE", Blocker, Unknown},
		"not probed":        {func(s *Server) { delete(s.Commands, "MIGRATE") }, "MIGRATE", Blocker, Unknown},
		"more is allowed":   {func(s *Server) { s.Commands["BGSAVE"] = Allowed }, "BGSAVE", Note, Mismatch},
		"on some keys only": {func(s *Server) { s.Notes["DUMP"] = "on keys of the selector; not on others" }, "DUMP", Serious, Mismatch},
	} {
		t.Run(name, func(t *testing.T) {
			got := Compare(aServer(), aServer(c.change))
			for _, d := range got.Items {
				if d.Item != c.item {
					require.Equal(t, Match, d.Verdict, d.String())
				}
			}
			want := c.verdict
			if c.item != "" {
				d := itemOf(t, got, c.item)
				require.Equal(t, c.verdict, d.Verdict, d.String())
				require.Equal(t, c.severity, d.Severity, d.String())
				require.NotEmpty(t, d.Why)
				if c.severity == Note {
					want = Match
				}
			}
			require.Equal(t, want, got.Verdict(), "%s", got)
		})
	}
}

func TestWhatTheRehearsalDidNotTellIsNoMatch(t *testing.T) {
	c := Compare(aServer(func(s *Server) { s.Commands["MIGRATE"] = Untold }), aServer(func(s *Server) { s.Commands["MIGRATE"] = Absent }))
	require.Equal(t, Unknown, itemOf(t, c, "MIGRATE").Verdict)
	require.Equal(t, Unknown, c.Verdict())
	c = Compare(aServer(func(s *Server) { s.Commands["MIGRATE"] = Untold }), aServer(func(s *Server) { s.Commands["MIGRATE"] = Untold }))
	require.Equal(t, Unknown, c.Verdict(), "two that do not tell are not the same")
	c = Compare(aServer(func(s *Server) { s.Commands["MIGRATE"] = Untold }), aServer())
	require.Equal(t, Match, c.Verdict(), "production allows it")
}

func TestNoCardIsNoMatch(t *testing.T) {
	for _, c := range []Comparison{Compare(nil, nil), Compare(aServer(), nil), Compare(nil, aServer()), {}} {
		require.Equal(t, Unknown, c.Verdict())
	}
	c := Compare(&Server{}, &Server{})
	require.Equal(t, Unknown, c.Verdict(), "two empty cards tell nothing: %s", c)
}

func TestTheWorstComesFirst(t *testing.T) {
	c := Compare(aServer(), aServer(func(s *Server) {
		s.Commands["MIGRATE"] = Absent
		s.Clients = 3
		s.Policy = "allkeys-lru"
		s.Databases = 0
	}))
	var items []string
	for _, d := range c.Items[:4] {
		items = append(items, d.Item)
	}
	require.Equal(t, []string{"MIGRATE", "eviction policy", "other clients", "number of dbs"}, items)
	require.Equal(t, Match, c.Items[4].Verdict)
	text := c.String()
	require.Contains(t, text, "blocker  MIGRATE: rehearsal allowed, production absent: a rehearsed step that runs it fails in production")
	require.Contains(t, text, "unknown  number of dbs: rehearsal 16, production could not tell")
	js, err := json.Marshal(c)
	require.NoError(t, err)
	require.Contains(t, string(js), `{"item":"MIGRATE","verdict":"mismatch","severity":"blocker","rehearsal":"allowed","production":"absent"`)
}

func TestTheCardFitsAScreen(t *testing.T) {
	s := aServer(func(s *Server) {
		s.Service = "ElastiCache"
		for i, p := range probes {
			s.Commands[p.name] = Permission(i % 4)
			if i%4 == int(Untold) {
				s.Untold[p.name] = "it has no harmless call here, and ACL DRYRUN cannot be asked: NOPERM User u has no permissions to run the 'acl|dryrun' command"
			}
		}
		s.Untold["Clients"] = "CLIENT LIST: ERR unknown command"
	})
	text := s.String()
	require.Less(t, strings.Count(text, "\n"), 40)
	for line := range strings.Lines(text) {
		require.LessOrEqual(t, len(line), cardWidth+1, line)
	}
	for _, name := range slices.Collect(maps.Keys(s.Commands)) {
		require.Contains(t, text, name)
	}
	for _, part := range []string{"redis 7.0.15, ElastiCache", "2.0 GiB used, of 8.0 GiB, noeviction, room for 6.0 GiB", "1000000; db 0: 700000", "clients besides this one: could not tell", "RESTORE takes 1 to 10"} {
		require.Contains(t, text, part)
	}
	require.Equal(t, "no server", (*Server)(nil).String())
	require.Contains(t, (&Server{Untold: map[string]string{}}).String(), "could not")
}
