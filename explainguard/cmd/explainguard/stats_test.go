package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/internal/smartlist"
)

// saved are the statistics that the package's own tests keep.
const saved = "../../testdata/stats/smartlist.json"

// empty is a database with story 2's tables and nothing in them.
func empty(t *testing.T) *servers.MySQLServer {
	t.Helper()
	s := servers.MySQL(t)
	require.NoError(t, smartlist.Create(t.Context(), s.DB))
	t.Setenv(dsnEnv, s.DSN)
	return s
}

func tenants(t *testing.T, s *servers.MySQLServer) (rows, distinct int64) {
	t.Helper()
	require.NoError(t, s.DB.QueryRowContext(t.Context(), "SELECT n_rows, stat_value FROM mysql.innodb_table_stats t JOIN mysql.innodb_index_stats i USING (database_name, table_name) "+
		"WHERE database_name = ? AND table_name = 'customers' AND index_name = 'ix_tenant' AND stat_name = 'n_diff_pfx01'", s.Database).Scan(&rows, &distinct))
	return rows, distinct
}

// TestStatisticsOfProductionJudgeOnAnEmptyDatabase is story 2 for a team of any language.
func TestStatisticsOfProductionJudgeOnAnEmptyDatabase(t *testing.T) {
	production := filled(t)
	file := filepath.Join(t.TempDir(), "stats.json")
	code, out, errs := command(t, "stats", "dump", "-taken", "2026-11", "-o", file)
	require.Equal(t, exitGood, code, errs)
	require.Empty(t, out+errs)
	code, out, _ = command(t, "stats", "dump", "-taken", "2026-11")
	require.Equal(t, exitGood, code)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(text), out)

	for _, flags := range [][]string{nil, {"-filled"}} { // the source is refused whatever is said
		code, out, errs = command(t, append(append([]string{"stats", "apply"}, flags...), file)...)
		require.Equal(t, exitUsage, code, errs)
		require.Empty(t, out)
		require.Contains(t, errs, "is the database that the statistics were taken from")
		require.NotContains(t, errs, "-filled")
	}
	code, _, errs = command(t, "stats", "apply", saved)
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, "table customers holds more than 1000 rows")
	require.Contains(t, errs, "(here: -filled or -max-rows)")
	bad, good := write(t, "bad.sql", smartlist.Bad), write(t, "good.sql", smartlist.Good)
	code, out, errs = command(t, "check", "-stats", saved, good)
	require.Equal(t, exitUsage, code)
	require.Empty(t, out)
	require.Contains(t, errs, "(here: -filled or -max-rows)")
	_, distinct := tenants(t, production)
	require.Greater(t, distinct, int64(4000), "nothing was written to production")

	s := empty(t)
	code, _, _ = command(t, "check", bad, good)
	require.Equal(t, exitUnknown, code, "without statistics an empty database tells nothing")
	code, out, errs = command(t, "stats", "apply", file)
	require.Equal(t, exitGood, code, errs)
	require.Contains(t, out, "explainguard: applied the statistics of 3 tables (biggest groups) to "+s.Database+"\n  customers: ")
	require.Contains(t, out, "\n  reservations: ")
	_, distinct = tenants(t, s)
	require.InDelta(t, 10, distinct, 2, "one tenant of about 5,000 owns a tenth of the customers")

	empty(t)
	code, out, errs = command(t, "check", "-stats", file, bad)
	require.Equal(t, exitBad, code, errs)
	require.Contains(t, out, "✗ derived-filter")
	require.Contains(t, out, "proven:  add `c.id IN (1, 2, 3, 4, 5)`")
	code, out, errs = command(t, "check", "-stats", file, good)
	require.Equal(t, exitGood, code, out+errs)
}

func TestApplyChoosesAmongStatistics(t *testing.T) {
	s := empty(t)
	for _, c := range []struct {
		flags          []string
		rows, distinct int64
		says           string
	}{
		{[]string{"-averages"}, 200_000, 5001, "(averages) to "},
		{[]string{"-averages", "-scale", "10"}, 2_000_000, 5001, "(averages, scaled by 10) to "},
		{[]string{"-scale", "10"}, 2_000_000, 10, "(biggest groups, scaled by 10) to "},
		{[]string{"-biggest-group"}, 200_000, 10, "(biggest groups) to "},
		{[]string{"-biggest-group=reservations.tenant_id"}, 200_000, 5001, "(biggest groups) to "},
	} {
		code, out, errs := command(t, append(append([]string{"stats", "apply"}, c.flags...), saved)...)
		require.Equal(t, exitGood, code, errs)
		require.Contains(t, out, c.says)
		rows, distinct := tenants(t, s)
		require.Equal(t, []int64{c.rows, c.distinct}, []int64{rows, distinct}, c.flags)
	}
	_, err := s.DB.ExecContext(t.Context(), "INSERT INTO pages (tenant_id) VALUES (1), (2), (3)")
	require.NoError(t, err)
	code, _, errs := command(t, "stats", "apply", "-max-rows", "2", saved)
	require.Equal(t, exitUsage, code, errs)
	code, _, errs = command(t, "stats", "apply", "-max-rows", "2", "-filled", saved)
	require.Equal(t, exitGood, code, errs)

	_, err = s.DB.ExecContext(t.Context(), "DROP TABLE reservations")
	require.NoError(t, err)
	code, out, errs := command(t, "stats", "apply", saved)
	require.Equal(t, exitGood, code, errs)
	require.Contains(t, out, "the statistics of 2 tables")
	require.Equal(t, 1, strings.Count(errs, "warning: the statistics tell of table reservations, which is not here"), errs)

	read, err := os.Open(saved)
	require.NoError(t, err)
	defer read.Close()
	stats, err := explainguard.ReadStats(read)
	require.NoError(t, err)
	var text bytes.Buffer
	require.NoError(t, stats.BiggestGroup().Write(&text))
	biggest := write(t, "biggest.json", text.String())
	code, _, errs = command(t, "stats", "apply", "-averages", biggest)
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, "no longer as it was dumped")
	code, out, errs = command(t, "stats", "apply", biggest)
	require.Equal(t, exitGood, code, errs)
	require.Contains(t, out, "(biggest groups)")

	t.Setenv(dsnEnv, servers.MySQL(t).DSN)
	code, out, errs = command(t, "stats", "apply", saved)
	require.Equal(t, exitUnknown, code, "nothing was applied")
	require.Empty(t, out)
	require.Contains(t, errs, "none of the 3 tables of the statistics is in the database")
}

func TestDumpSaysWhatWasNotMeasured(t *testing.T) {
	filled(t)
	code, out, errs := command(t, "stats", "dump", "-group-rows", "-1", "-table", "customers,pages")
	require.Equal(t, exitGood, code, errs)
	require.NotContains(t, out, `"reservations"`)
	require.Contains(t, errs, "not measured, so what depends on it will not be judged (2):\n  customers.ix_tenant: the biggest group of tenant_id\n")

	code, out, errs = command(t, "stats", "dump", "-table", "no_such")
	require.Equal(t, exitUnknown, code)
	require.Empty(t, out)
	require.Contains(t, errs, `no InnoDB table "no_such"`)
	file := filepath.Join(t.TempDir(), "none.json")
	code, _, _ = command(t, "stats", "dump", "-histogram-values", "customers.name", "-o", file)
	require.Equal(t, exitUnknown, code)
	require.NoFileExists(t, file)
	code, _, _ = command(t, "stats", "dump", "-o", filepath.Join(file, "x"))
	require.Equal(t, exitUsage, code)
}

func TestCheckByOtherFigures(t *testing.T) {
	filled(t)
	scan := write(t, "scan.sql", "SELECT COUNT(*) FROM pages WHERE id + 0 > 5 AND tenant_id + 0 > 7")
	code, out, errs := command(t, "check", scan)
	require.Equal(t, exitBad, code, errs)
	require.Contains(t, out, "✗ full-scan")
	code, out, errs = command(t, "check", "-rows", "30000", "-budget", "fullscanrows=unlimited", "-budget", "IndexRows=unlimited", scan)
	require.Equal(t, exitGood, code, out+errs)

	code, out, errs = command(t, "check", "-analyze", "20s", write(t, "good.sql", smartlist.Good))
	require.Equal(t, exitGood, code, out+errs)
	code, out, _ = command(t, "check", "-v", "-analyze", "20s", write(t, "good.sql", smartlist.Good))
	require.Equal(t, exitGood, code)
	require.Contains(t, out, "JSON v2, run)")
	code, out, _ = command(t, "check", "-analyze", "5s", write(t, "write.sql", "DELETE FROM pages WHERE id = 1"))
	require.Equal(t, exitUnknown, code, out)
	code, _, errs = command(t, "check", "-analyze", "5s", "-stats", saved, scan)
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, "Stats and Analyze contradict each other")

	code, out, _ = command(t, "check", "-require", "customers.id", "-budget", "DerivedRows=1000", write(t, "bad.sql", smartlist.Bad))
	require.Equal(t, exitBad, code)
	require.Contains(t, out, "✗ required-filter")
}

func TestCheckWithWaivers(t *testing.T) {
	filled(t)
	bad := write(t, "bad.sql", smartlist.Bad)
	waivers := func(expires string) string {
		var list []string
		for _, rule := range []string{"derived-filter", "rows-budget", "max-execution-time"} {
			list = append(list, `{"rule": "`+rule+`", "query": "left join ( select c.id", "reason": "goes in sprint 12", "expires": "`+expires+`"}`)
		}
		list = append(list, `{"rule": "in-list", "table": "customers", "reason": "import", "expires": "`+expires+`"}`)
		return write(t, "waivers.json", "["+strings.Join(list, ",")+"]")
	}
	code, out, errs := command(t, "check", "-v", "-waivers", waivers(time.Now().AddDate(0, 1, 0).Format(time.DateOnly)), bad)
	require.Equal(t, exitGood, code, out+errs)
	require.Contains(t, out, "rows examined (3 waived)")
	require.Contains(t, out, "because goes in sprint 12")
	require.Equal(t, 1, strings.Count(errs, "a waiver matched nothing, remove it: rule in-list"))

	code, out, _ = command(t, "check", "-waivers", waivers("2026-01-31"), bad)
	require.Equal(t, exitBad, code)
	require.Contains(t, out, "waived until 2026-01-31 because goes in sprint 12; expired")
}
