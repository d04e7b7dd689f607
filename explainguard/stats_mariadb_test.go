package explainguard_test

import (
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/internal/smartlist"
)

// unsplit switches off what makes story 2 harmless on MariaDB: it pushes the ids into the view by itself, by one way or another.
func unsplit(c *mysql.Config) {
	withDefaults("optimizer_switch", "'split_materialized=off,condition_pushdown_for_derived=off'")(c)
}

// TestStatsOnMariaDB: dumped and applied there, story 2 is red on an empty database as well, as far as MariaDB's optimizer runs into it.
func TestStatsOnMariaDB(t *testing.T) {
	stats, err := explainguard.DumpStats(t.Context(), smartListOnMariaDB.open(t, nil), explainguard.DumpOptions{})
	require.NoError(t, err)
	require.Equal(t, savedStats(t).Tables[0].Indexes[1].Biggest, stats.Tables[0].Indexes[1].Biggest)
	s := servers.MariaDB(t)
	require.NoError(t, smartlist.Create(t.Context(), s.DB))
	for name, st := range map[string]*explainguard.Stats{"its own": stats, "MySQL's": savedStats(t)} {
		g := &explainguard.Guard{DB: openDSN(t, s.DSN, unsplit), Stats: st}
		for _, lose := range []string{
			"DO 1", "TRUNCATE TABLE customers", "ALTER TABLE reservations ADD COLUMN note INT", "ALTER TABLE reservations DROP COLUMN note", "ALTER TABLE customers ADD KEY ix_name (name)",
			"ALTER TABLE customers DROP KEY ix_name", "ANALYZE TABLE customers, reservations", "DELETE FROM customers",
		} {
			mustExec(t, s.DB, lose)
			start := time.Now()
			bad, err := g.Check(t.Context(), unhinted(t, "bad"))
			require.NoError(t, err)
			require.Equal(t, explainguard.Fail, bad.Verdict, "%s, %s: %s", name, lose, bad)
			require.Greater(t, bad.Work.Total, 50_000.0)
			took := time.Since(start)
			good, err := g.Check(t.Context(), unhinted(t, "good"))
			require.NoError(t, err)
			require.Equal(t, explainguard.Pass, good.Verdict, "%s, %s: %s", name, lose, good)
			t.Logf("%s after %s: bad %.0f rows %s, good %.0f rows %s", name, lose, bad.Work.Total, took, good.Work.Total, time.Since(start)-took)
		}
		single, err := g.Check(t.Context(), unhinted(t, "single"))
		require.NoError(t, err)
		require.NotEqual(t, explainguard.Pass, single.Verdict, "%s", single)
		remove, err := explainguard.Sentinel(t.Context(), s.DB, "customers", map[string]any{"id": 1, "tenant_id": 1})
		require.NoError(t, err)
		single, err = g.Check(t.Context(), unhinted(t, "single"))
		require.NoError(t, err)
		require.Equal(t, explainguard.Fail, single.Verdict, "%s", single)
		require.NoError(t, remove(t.Context()))
	}
}

// TestStatsTellARangeFromAnEqualityOnMariaDB is its namesake for the other server's trace.
func TestStatsTellARangeFromAnEqualityOnMariaDB(t *testing.T) {
	db := servers.MariaDB(t).DB
	mustExec(t, db, "CREATE TABLE events (id BIGINT PRIMARY KEY, tenant_id BIGINT NOT NULL, created_on DATE NOT NULL, code VARCHAR(40), deleted_at DATETIME, parent_id BIGINT, body TEXT, "+
		"KEY ix_tenant_day (tenant_id, created_on), UNIQUE KEY uq_code (code), KEY ix_deleted (deleted_at), KEY ix_parent (parent_id))")
	const pass, fail, unknown = explainguard.Pass, explainguard.Fail, explainguard.Unanalysable
	// Values stand there without quotes, so one that looks like a range makes it ambiguous.
	for where, want := range map[string]explainguard.Verdict{
		"code IN ('a', 'b) <= (c) <= (d')":            unknown,
		"tenant_id = 1":                               fail,
		"tenant_id = 1 AND created_on = '2024-01-01'": pass,
		"id IN (1, 2, 3)":                             pass,
		"tenant_id = 1 AND created_on IN ('2024-01-01', '2024-01-02', '2024-01-03')": pass,
		"code IN ('a', 'it''s', '<')": pass,
		"id BETWEEN 1 AND 9":          unknown,
		"id > 5":                      unknown,
		"code LIKE 'x%'":              unknown,
		"tenant_id = 1 AND created_on > '2024-01-01'": unknown,
		"tenant_id = 1 AND id > 5":                    unknown,
		"deleted_at IS NULL":                          unknown,
		"deleted_at IS NOT NULL":                      unknown,
		"body = 'x'":                                  fail,
		"id IN (SELECT parent_id FROM events e WHERE e.created_on > '2024-01-01' AND e.tenant_id = 3)": unknown,
	} {
		r, err := (&explainguard.Guard{DB: db, Stats: eventsStats()}).Check(t.Context(), "SELECT * FROM events WHERE "+where)
		require.NoError(t, err)
		require.Equal(t, want, r.Verdict, "%s: %s", where, r)
	}
	r, err := (&explainguard.Guard{DB: db, Stats: eventsStats()}).Check(t.Context(), "UPDATE events SET body = 'x' WHERE id > 7")
	require.NoError(t, err)
	require.Equal(t, unknown, r.Verdict, "%s", r)
}
