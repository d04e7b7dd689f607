package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestStatisticsOnMariaDB(t *testing.T) {
	s := servers.MariaDB(t)
	t.Setenv(dsnEnv, s.DSN)
	const table = "CREATE TABLE visits (id BIGINT PRIMARY KEY, tenant_id BIGINT NOT NULL, note VARCHAR(20), KEY ix_tenant (tenant_id))"
	for _, statement := range []string{table, "INSERT INTO visits SELECT seq, IF(seq <= 20000, 1, seq), 'x' FROM seq_1_to_40000", "ANALYZE TABLE visits"} {
		_, err := s.DB.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	file := filepath.Join(t.TempDir(), "stats.json")
	code, _, errs := command(t, "stats", "dump", "-o", file)
	require.Equal(t, exitGood, code, errs)
	code, _, errs = command(t, "stats", "apply", file)
	require.Equal(t, exitUsage, code, errs)

	statement := write(t, "x.sql", "SELECT note FROM visits WHERE tenant_id = 7")
	code, out, errs := command(t, "check", statement)
	require.Equal(t, exitGood, code, out+errs)
	code, out, _ = command(t, "check", "-analyze", "5s", statement)
	require.Equal(t, exitUnknown, code, out)
	require.Contains(t, out, "on which Analyze runs\n    nothing")

	e := servers.MariaDB(t)
	t.Setenv(dsnEnv, e.DSN)
	_, err := e.DB.ExecContext(t.Context(), table)
	require.NoError(t, err)
	code, out, errs = command(t, "check", "-stats", file, statement)
	require.Equal(t, exitBad, code, out+errs)
	require.Contains(t, out, "✗ rows-budget")
	code, out, errs = command(t, "check", "-stats", file, "-averages", statement)
	require.Equal(t, exitGood, code, out+errs)
}
