package explainguard_test

import (
	"bytes"
	"context"
	"database/sql"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/internal/smartlist"
)

var updateStats = flag.Bool("update-stats", false, "rewrite testdata/stats/smartlist.json")

const smartlistStats = "testdata/stats/smartlist.json"

// savedStats are the committed statistics of the filled smart list.
func savedStats(tb testing.TB) *explainguard.Stats {
	tb.Helper()
	f, err := os.Open(smartlistStats)
	require.NoError(tb, err)
	defer f.Close()
	s, err := explainguard.ReadStats(f)
	require.NoError(tb, err)
	return s
}

func emptySmartList(tb testing.TB) *sql.DB {
	tb.Helper()
	db := servers.MySQL(tb).DB
	require.NoError(tb, smartlist.Create(context.Background(), db))
	return db
}

// TestStatsSavedAreTheServers: the committed file is what a dump of the filled database gives, but for the server's version and name.
func TestStatsSavedAreTheServers(t *testing.T) {
	s, err := explainguard.DumpStats(t.Context(), smartList.open(t, nil), explainguard.DumpOptions{})
	require.NoError(t, err)
	s.Server, s.Source = "MySQL 9.7", "" // what differs from one run to the next
	var b bytes.Buffer
	require.NoError(t, s.Write(&b))
	if *updateStats {
		require.NoError(t, os.MkdirAll("testdata/stats", 0o755))
		require.NoError(t, os.WriteFile(smartlistStats, b.Bytes(), 0o644))
	}
	saved, err := os.ReadFile(smartlistStats)
	require.NoError(t, err)
	require.Equal(t, string(saved), b.String())
}

// TestStatsShowStory2OnAnEmptyDatabase is what all of this is for.
func TestStatsShowStory2OnAnEmptyDatabase(t *testing.T) {
	db := emptySmartList(t)
	stats := savedStats(t)
	for _, format := range []explainguard.Format{explainguard.FormatUnknown, explainguard.FormatJSONv1, explainguard.FormatJSONv2} {
		g := &explainguard.Guard{DB: db, Format: format, Stats: stats}
		start := time.Now()
		bad, err := g.Check(t.Context(), smartlist.Bad)
		require.NoError(t, err)
		t.Logf("%s: apply and judge %s\n%s", format, time.Since(start), bad)
		require.Less(t, time.Since(start), 10*time.Second, "a tenth of a second on a quiet machine")
		require.Equal(t, explainguard.Fail, bad.Verdict)
		start = time.Now()
		good, err := g.Check(t.Context(), smartlist.Good)
		require.NoError(t, err)
		t.Logf("%s: judge %s\n%s", format, time.Since(start), good)
		require.Equal(t, explainguard.Pass, good.Verdict, "%s", good)
		single, err := g.Check(t.Context(), smartlist.Single)
		require.NoError(t, err)
		require.NotEqual(t, explainguard.Pass, single.Verdict, "%s", single)
		require.Contains(t, single.String(), "no matching row in const table")
	}
}
