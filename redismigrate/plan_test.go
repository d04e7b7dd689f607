package redismigrate

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// card is a server that allows everything.
func card(addr string, change ...func(*Server)) *Server {
	s := &Server{
		Addr: addr, Flavour: Redis, Version: "8.0.2", Nodes: []ServerNode{{Addr: addr, RunID: "run of " + addr, ReplID: "group of " + addr, Role: "master"}},
		Databases: 16, DumpVersion: 12, RestoreVersion: 12, MaxMemory: 8 << 30, UsedMemory: 1 << 30, Policy: "noeviction", Persistence: "appendfsync everysec",
		Commands: map[string]Permission{}, Untold: map[string]string{},
	}
	for _, c := range []string{"SCAN", "DUMP", "RESTORE", "UNLINK", "DEL", "MIGRATE", "BGSAVE", "PSYNC", "EVAL"} {
		s.Commands[c] = Allowed
	}
	for _, f := range change {
		f(s)
	}
	return s
}

// story3 is the overgrown store: a million keys of 2 GiB in two dbs, of which 300,000 are sessions.
func story3() (m Move, source *Server, census *Census) {
	m = Move{From: &Endpoint{URL: "redis://old:6379", AllDBs: true}, To: &Endpoint{URL: "redis://new:6379", AllDBs: true}, Keys: sessions}
	source = card("old:6379", func(s *Server) { s.DBs = []DBKeys{{DB: 0, Keys: 900_000}, {DB: 2, Keys: 100_000}} })
	census = &Census{
		Addr: "old:6379", At: time.Now(), Complete: true, Method: "MEMORY USAGE", Total: Amount{Keys: exactly(1_000_000), Bytes: exactly(2 << 30)},
		Selected: &Amount{Keys: exactly(300_000), Bytes: exactly(600 << 20)},
	}
	return m, source, census
}

func optionOf(t *testing.T, p *Plan, s Strategy) Option {
	t.Helper()
	for _, o := range p.Options {
		if o.Strategy == s {
			return o
		}
	}
	t.Fatalf("no option %q", s)
	return Option{}
}

var ableClient = ClientAbilities{Cluster: true, TLS: true, DBs: true, GoRedis: true}

// Each thing that ruled a strategy out, or should have, in the story and elsewhere.
func TestPlanSaysWhatIsPossibleAndWhyNot(t *testing.T) {
	cluster := func(s *Server) { s.Cluster, s.TLS, s.Databases = true, true, 1 }
	deny := func(p Permission, commands ...string) func(*Server) {
		return func(s *Server) {
			for _, c := range commands {
				s.Commands[c] = p
			}
		}
	}
	elastiCache := func(s *Server) { s.Service = "ElastiCache"; deny(Absent, "MIGRATE", "BGSAVE", "PSYNC")(s) }
	for name, c := range map[string]struct {
		source, target func(*Server)
		app            ClientAbilities
		move           func(*Move)
		census         func(*Census)
		want           map[Strategy]Possibility
		reason         string // of the first strategy in want that is not possible
		caution        string
	}{
		"everything allowed": {app: ableClient, want: map[Strategy]Possibility{PruneAfterRestore: Possible, CopyKeys: Possible, FilteredSnapshot: Possible, MigrateKeys: Possible, LiveSplit: Possible}},
		"MIGRATE taken away": {source: elastiCache, app: ableClient, want: map[Strategy]Possibility{MigrateKeys: Impossible, PruneAfterRestore: Possible, CopyKeys: Possible},
			reason: "the source old:6379 does not offer MIGRATE, which is needed to send the keys (ElastiCache takes it away)"},
		"the service makes the snapshot": {source: elastiCache, app: ableClient, want: map[Strategy]Possibility{PruneAfterRestore: Possible}, caution: "take the snapshot with the backup function of ElastiCache"},
		"MIGRATE not for this user": {source: deny(Forbidden, "MIGRATE"), app: ableClient, want: map[Strategy]Possibility{MigrateKeys: Impossible},
			reason: "the user on the source old:6379 may not run MIGRATE"},
		"MIGRATE not told": {source: func(s *Server) { delete(s.Commands, "MIGRATE"); s.Untold["MIGRATE"] = "the probe timed out" }, app: ableClient,
			want: map[Strategy]Possibility{MigrateKeys: Undecided}, reason: "could not be told: the probe timed out"},
		"the client cannot do clusters": {target: cluster, app: ClientAbilities{TLS: true, DBs: true}, want: map[Strategy]Possibility{CopyKeys: Impossible, PruneAfterRestore: Impossible, FilteredSnapshot: Impossible, MigrateKeys: Impossible},
			reason: "the application's client does not speak the cluster protocol"},
		"the client cannot do TLS": {target: func(s *Server) { s.TLS = true }, app: ClientAbilities{Cluster: true, DBs: true}, want: map[Strategy]Possibility{CopyKeys: Impossible}, reason: "does not speak TLS"},
		"two dbs into a cluster": {target: cluster, app: ableClient, want: map[Strategy]Possibility{CopyKeys: Impossible, PruneAfterRestore: Impossible},
			reason: "db 2, but the target new:6379 is a cluster, which has db 0 only"},
		"two dbs into a cluster, mapped": {target: cluster, app: ableClient, move: func(m *Move) { m.DBMap = map[int]int{2: 0} },
			want: map[Strategy]Possibility{PruneAfterRestore: Impossible, CopyKeys: Possible, FilteredSnapshot: Possible, MigrateKeys: Impossible}, reason: "holds the dbs 0, 2"},
		"a client of db 0 only": {app: ClientAbilities{Cluster: true, TLS: true}, want: map[Strategy]Possibility{CopyKeys: Impossible}, reason: "the keys go to db 2, but the application's client uses db 0 only"},
		"a target of two dbs":   {target: func(s *Server) { s.Databases = 2 }, app: ableClient, want: map[Strategy]Possibility{CopyKeys: Impossible}, reason: "has 2 dbs"},
		"room for the sessions, not for all": {target: func(s *Server) { s.MaxMemory = 2 << 30 }, app: ableClient,
			want: map[Strategy]Possibility{PruneAfterRestore: Impossible, CopyKeys: Possible, FilteredSnapshot: Possible}, reason: "room for 1.0 GiB (maxmemory 2.0 GiB, used 1.0 GiB), but needs 2.0 GiB"},
		"a sample too wide to tell": {target: func(s *Server) { s.MaxMemory = 1<<30 + 600<<20 }, app: ableClient, census: func(c *Census) {
			c.Complete, c.Sampled, c.Confidence = false, true, 0.95
			c.Selected.Bytes = Estimate{600 << 20, 500 << 20, 700 << 20}
		}, want: map[Strategy]Possibility{CopyKeys: Undecided}, reason: "too close to tell"},
		"memory not told": {target: func(s *Server) { s.MaxMemory, s.Policy = 0, ""; s.Untold["MaxMemory"] = "CONFIG is absent" }, app: ableClient,
			want: map[Strategy]Possibility{CopyKeys: Undecided}, reason: "could not be told: CONFIG is absent"},
		"no limit": {target: func(s *Server) { s.MaxMemory = 0 }, app: ableClient, want: map[Strategy]Possibility{CopyKeys: Possible}, caution: "no maxmemory"},
		"evicting": {target: func(s *Server) { s.Policy = "volatile-lru" }, app: ableClient, want: map[Strategy]Possibility{CopyKeys: Possible}, caution: "evicts keys silently"},
		"an older target": {target: func(s *Server) { s.RestoreVersion = 10 }, app: ableClient,
			want: map[Strategy]Possibility{PruneAfterRestore: Impossible, FilteredSnapshot: Impossible, MigrateKeys: Impossible, CopyKeys: Possible}, reason: "writes version 12 of the snapshot format, the target new:6379 loads up to 10", caution: "copied by type"},
		"no way back":                            {target: func(s *Server) { s.DumpVersion, s.RestoreVersion = 80, 80 }, app: ableClient, want: map[Strategy]Possibility{LiveSplit: Impossible, CopyKeys: Possible}, reason: "so that there would be no way back"},
		"the source was not asked what it takes": {source: func(s *Server) { s.RestoreVersion = 0 }, app: ableClient, want: map[Strategy]Possibility{LiveSplit: Undecided}, reason: "Inspect it as a target as well"},
		"another client":                         {app: ClientAbilities{Cluster: true, TLS: true, DBs: true}, want: map[Strategy]Possibility{LiveSplit: Impossible, CopyKeys: Possible}, reason: "a live split is a hook of go-redis"},
		"a source that evicts":                   {source: func(s *Server) { s.Policy = "allkeys-lru" }, app: ableClient, want: map[Strategy]Possibility{LiveSplit: Impossible}, reason: "may evict any key"},
		"no scripts":                             {target: deny(Forbidden, "EVAL"), app: ableClient, want: map[Strategy]Possibility{LiveSplit: Impossible, CopyKeys: Possible}, reason: "may not run EVAL"},
		"payloads not told":                      {target: func(s *Server) { s.RestoreVersion = 0 }, app: ableClient, want: map[Strategy]Possibility{CopyKeys: Undecided}, reason: "Inspect it as a target"},
		"neither UNLINK nor DEL":                 {target: deny(Forbidden, "UNLINK", "DEL"), app: ableClient, want: map[Strategy]Possibility{PruneAfterRestore: Impossible, CopyKeys: Possible}, reason: "UNLINK or DEL"},
		"DEL is enough":                          {target: deny(Absent, "UNLINK"), app: ableClient, want: map[Strategy]Possibility{PruneAfterRestore: Possible}},
		"the target is in use":                   {target: func(s *Server) { s.DBs = []DBKeys{{DB: 0, Keys: 7}} }, app: ableClient, want: map[Strategy]Possibility{PruneAfterRestore: Possible}, caution: "holds 7 keys already"},
	} {
		t.Run(name, func(t *testing.T) {
			m, source, census := story3()
			target := card("new:6379")
			for _, f := range []func(){
				func() { apply(c.source, source) }, func() { apply(c.target, target) }, func() { apply(c.move, &m) }, func() { apply(c.census, census) },
			} {
				f()
			}
			p, err := MakePlan(m, source, target, census, c.app)
			require.NoError(t, err)
			var reasons, cautions []string
			for s, want := range c.want {
				o := optionOf(t, p, s)
				require.Equal(t, want, o.Verdict, "%s: %v", s, o.Reasons)
				require.Equal(t, want == Possible, len(o.Reasons) == 0, "%s: %v", s, o.Reasons)
				reasons = append(reasons, o.Reasons...)
				cautions = append(cautions, o.Cautions...)
			}
			require.Contains(t, strings.Join(reasons, "\n"), c.reason)
			require.Contains(t, strings.Join(cautions, "\n"), c.caution)
			require.Equal(t, p.Options[0].Verdict == Possible, p.Chosen != "")
		})
	}
}

func apply[T any](f func(*T), to *T) {
	if f != nil {
		f(to)
	}
}

// A live split has no window, changes the application, and is rehearsed by it: it is a person's choice, and never the plan's own.
func TestPlanOfALiveSplit(t *testing.T) {
	m, source, census := story3()
	p, err := MakePlan(m, source, card("new:6379"), census, ableClient)
	require.NoError(t, err)
	require.NotEqual(t, LiveSplit, p.Chosen)
	require.Equal(t, LiveSplit, p.Options[4].Strategy, "behind the others that are possible")
	require.NoError(t, p.Choose(LiveSplit))
	for _, step := range p.Steps {
		require.NotEqual(t, Inside, step.Window, step.Name)
		require.NotEmpty(t, step.Back, step.Name)
	}
	_, err = Rehearse(t.Context(), p, Move{}, RehearseOptions{})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "rehearsed by the application itself")
}

func TestPlanChoosesTheLeastWorkInTheWindow(t *testing.T) {
	m, source, census := story3()
	p, err := MakePlan(m, source, card("new:6379"), census, ableClient)
	require.NoError(t, err)
	require.Equal(t, PruneAfterRestore, p.Chosen, "700,000 deletions are less than 300,000 copies")
	o := optionOf(t, p, PruneAfterRestore)
	require.Equal(t, exactly(700_000), o.Deleted.Keys)
	require.Equal(t, exactly(2<<30), o.Needs, "the whole snapshot first")
	require.Equal(t, exactly(600<<20), optionOf(t, p, CopyKeys).Needs)

	census.Selected.Keys = exactly(10_000)
	p, err = MakePlan(m, source, card("new:6379"), census, ableClient)
	require.NoError(t, err)
	require.NotEqual(t, PruneAfterRestore, p.Chosen, "little is kept")

	require.NoError(t, p.Choose(CopyKeys))
	require.Equal(t, CopyKeys, p.Chosen)
	require.ErrorContains(t, p.Choose("teleport"), `"teleport" is no strategy`)
	require.ErrorContains(t, (&Plan{}).Choose(CopyKeys), "MakePlan makes one")
	p, err = MakePlan(m, card("old:6379", func(s *Server) { s.Commands["MIGRATE"] = Absent }), card("new:6379"), census, ableClient)
	require.NoError(t, err)
	err = p.Choose(MigrateKeys)
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "does not offer MIGRATE")
}

func TestPlanRefusesWhatIsNoGround(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *Move, source, target *Server, census *Census)
		want   string
		refuse bool
	}{
		"one server":        {func(_ *Move, s, t *Server, _ *Census) { t.Nodes[0].RunID = s.Nodes[0].RunID }, "one server process", true},
		"one group":         {func(_ *Move, s, t *Server, _ *Census) { t.Nodes[0].ReplID = s.Nodes[0].ReplID }, "one replication group", true},
		"nothing selected":  {func(_ *Move, _, _ *Server, c *Census) { c.Selected = &Amount{} }, "selects none of the 1000000 keys", true},
		"stopped midway":    {func(_ *Move, _, _ *Server, c *Census) { c.Complete = false }, "stopped midway", true},
		"no selector":       {func(m *Move, _, _ *Server, _ *Census) { m.Keys = Selector{} }, "the selector is empty", false},
		"not selected for":  {func(_ *Move, _, _ *Server, c *Census) { c.Selected = nil }, "MeasureOptions.Keys", false},
		"no card":           {func(_ *Move, _, t *Server, _ *Census) { *t = Server{} }, "the target's card is missing", false},
		"no target":         {func(m *Move, _, _ *Server, _ *Census) { m.To = nil }, "both From and To", false},
		"an unreadable URL": {func(m *Move, _, _ *Server, _ *Census) { m.To = &Endpoint{URL: "http://u:secret@h"} }, "its scheme is none of", false},
	} {
		t.Run(name, func(t *testing.T) {
			m, source, census := story3()
			target := card("new:6379")
			c.change(&m, source, target, census)
			p, err := MakePlan(m, source, target, census, ableClient)
			require.Nil(t, p)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "secret")
			if c.refuse {
				require.ErrorIs(t, err, ErrRefused)
			}
		})
	}
	m, source, _ := story3()
	_, err := MakePlan(m, source, card("new:6379"), nil, ableClient)
	require.ErrorContains(t, err, "Measure makes it")
	require.Equal(t, "an empty plan", (&Plan{}).String())
}

func TestPlanCanBeReadByPeopleAndPrograms(t *testing.T) {
	m, source, census := story3()
	source.Functions, source.ServiceKeys = []string{"lib"}, []string{elastiCacheKey}
	m.To = &Endpoint{URL: "redis://user:geheim@new:6379", AllDBs: true}
	p, err := MakePlan(m, source, card("new:6379", func(s *Server) { s.Persistence = "none" }), census, ClientAbilities{DBs: true})
	require.NoError(t, err)
	text := p.String()
	for _, part := range []string{"prune after restore  possible", "<- chosen", "inside the window", "PlanPrune on new:6379", "300000 keys", "way back:", `function libraries ("lib")`, "memory only"} {
		require.Contains(t, text, part)
	}
	out, err := json.Marshal(p)
	require.NoError(t, err)
	require.Contains(t, string(out), `"chosen":"prune after restore"`)
	require.Contains(t, string(out), `"verdict":"possible"`)
	require.NotContains(t, text+string(out), "geheim")
	for _, s := range p.Steps {
		require.NotEmpty(t, s.Back, s.Name)
	}
	require.Equal(t, "300 (200 to 400)", countRange(Estimate{300, 200, 400}))
	require.Equal(t, []string{"512 B", "1.0 KiB", "2.5 GiB", "-1.0 KiB"}, []string{byteText(512), byteText(1024), byteText(5 << 29), byteText(-1024)})
}
