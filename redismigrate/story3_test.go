package redismigrate

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// The split that had to be rolled back, replayed on servers that refuse what ElastiCache and MemoryDB refuse: everything that failed on the
// day is known before anything is touched, and the second attempt succeeds.
func TestStory3IsReplayed(t *testing.T) {
	t.Parallel()
	old := servers.OwnRedisOf(t, servers.RedisKind{Version: "8.0", Limits: servers.ElastiCache()}, "--save", "")
	keep, drop := fillMixed(t, old, 6000)
	var kept, dropped int64
	for _, db := range mixedDBs {
		kept, dropped = kept+keep[db], dropped+drop[db]
	}
	untouched := changes(t, old.Client)
	card := inspected(t, all(old), InspectOptions{Keys: sessions})
	census, err := Measure(t.Context(), all(old), MeasureOptions{Keys: sessions})
	require.NoError(t, err)
	require.Equal(t, []int64{kept + dropped, kept}, []int64{census.Total.Keys.Value, census.Selected.Keys.Value})
	app := ClientAbilities{TLS: true, DBs: true} // its client does not speak the cluster protocol

	t.Run("the durable store is ruled out", func(t *testing.T) {
		memoryDB := servers.RedisCluster(t, servers.RedisKind{Version: "8.0", TLS: true, Limits: servers.MemoryDB()})
		to := &Endpoint{Options: memoryDB.Options(memoryDB.Masters[0]), AllDBs: true}
		target := inspected(t, to, InspectOptions{Target: true, Keys: sessions})
		require.True(t, target.Cluster)
		require.True(t, target.TLS)
		p, err := MakePlan(Move{From: all(old), To: to, Keys: sessions}, card, target, census, app)
		require.NoError(t, err)
		require.Empty(t, p.Chosen)
		for _, o := range p.Options {
			require.Equal(t, Impossible, o.Verdict, o.Strategy)
			require.Contains(t, p.String(), "the application's client does not speak the cluster protocol")
		}
		restore := optionOf(t, p, PruneAfterRestore)
		require.Contains(t, restore.Reasons[0], "holds the dbs 0, 1, 3, but the target")

		// With another client, and the dbs made one, it would have been possible by a copy, and by a filtered snapshot.
		p, err = MakePlan(Move{From: all(old), To: to, Keys: sessions, DBMap: map[int]int{1: 0, 3: 0}}, card, target, census, ableClient)
		require.NoError(t, err)
		require.Equal(t, Possible, optionOf(t, p, CopyKeys).Verdict, "%s", p)
		require.Equal(t, Impossible, optionOf(t, p, PruneAfterRestore).Verdict, "%s", p)
		require.NotEqual(t, Impossible, optionOf(t, p, FilteredSnapshot).Verdict, "%s", p)
	})

	t.Run("the first attempt's failures are found beforehand", func(t *testing.T) {
		rehearsed := own(t) // plain Redis on a VM
		fillMixed(t, rehearsed, 600)
		c := Compare(inspected(t, all(rehearsed), InspectOptions{Keys: sessions}), card)
		require.Equal(t, Mismatch, c.Verdict())
		require.Equal(t, Mismatch, itemOf(t, c, "MIGRATE").Verdict)
		require.Equal(t, Blocker, itemOf(t, c, "MIGRATE").Severity)

		// The new cluster was made for what was guessed.
		guessed := servers.OwnRedisOf(t, servers.RedisKind{Version: "8.0", Limits: servers.ElastiCache()}, "--save", "", "--maxmemory", "4mb")
		target := inspected(t, all(guessed), InspectOptions{Target: true, Keys: sessions})
		p, err := MakePlan(Move{From: all(old), To: all(guessed), Keys: sessions}, card, target, census, app)
		require.NoError(t, err)
		migrate := optionOf(t, p, MigrateKeys)
		require.Equal(t, Impossible, migrate.Verdict)
		require.Contains(t, migrate.Reasons[0], "does not offer MIGRATE")
		restore := optionOf(t, p, PruneAfterRestore)
		require.Equal(t, Impossible, restore.Verdict)
		require.Contains(t, restore.Reasons[0], "has room for")
		_, err = Copy(t.Context(), Move{From: all(old), To: all(guessed), Keys: everything}, CopyOptions{})
		require.ErrorIs(t, err, ErrRefused, "nor would a copy have begun")
		require.Zero(t, guessed.Client.DBSize(t.Context()).Val())
	})
	require.Equal(t, untouched, changes(t, old.Client), "nothing was touched")

	t.Run("the second attempt", func(t *testing.T) {
		to := servers.OwnRedisOf(t, servers.RedisKind{Version: "8.0", Limits: servers.ElastiCache()}, "--save", "", "--maxmemory", "1gb")
		m := Move{From: all(old), To: all(to), Keys: sessions}
		p, err := MakePlan(m, card, inspected(t, m.To, InspectOptions{Target: true, Keys: sessions}), census, app)
		require.NoError(t, err)
		require.Equal(t, PruneAfterRestore, p.Chosen, "%s", p)

		snapshot, err := old.Snapshot() // the service's backup
		require.NoError(t, err)
		require.NoError(t, to.Load(snapshot))
		var manifest bytes.Buffer
		plan, err := PlanPrune(t.Context(), m.From, m.To, sessions, PruneOptions{Manifest: &manifest, AllowClients: true})
		require.NoError(t, err)
		require.Equal(t, DBCount{DB: -1, Keep: kept, Delete: dropped}, plan.Total())
		r, err := plan.Apply(t.Context(), plan.Confirmation())
		require.NoError(t, err)
		require.Equal(t, []int64{kept, dropped}, []int64{r.Kept, r.Deleted})
		v := verified(t, m)
		require.Equal(t, kept, v.Compared)
		v, err = VerifyManifest(t.Context(), m.To, &manifest, VerifyOptions{})
		require.NoError(t, err)
		require.Equal(t, Match, v.Verdict, "%s", v)
	})
}
