package explainguard_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// notOfMariaDB are statements that MariaDB does not know.
var notOfMariaDB = map[string]string{
	"lateral":       "LATERAL",
	"lateral_left":  "LATERAL",
	"lateral_later": "LATERAL",
	"values":        "VALUES ROW(…)",
	"table_stmt":    "TABLE t",
	"perf_schema":   "performance_schema.global_variables",
}

const mariaDBShapes = "testdata/shop/statements.mariadb.txtar"

// TestShapesOnMariaDB explains the shop's statements on MariaDB. The plan has the shape that MySQL's has, or the one in
// the archive, whose first line says why it differs.
func TestShapesOnMariaDB(t *testing.T) {
	db := shopOnMariaDB.open(t, nil)
	var version string
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT VERSION()").Scan(&version))
	differs := map[string]string{}
	for _, f := range sections(t, mariaDBShapes) {
		differs[f.name] = f.data
	}
	var rewritten strings.Builder
	wanted := map[string]string{}
	for _, f := range sections(t, statements) {
		wanted[f.name] = f.data
	}
	for _, f := range sections(t, statements) {
		name, ok := strings.CutSuffix(f.name, ".sql")
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			p, err := explainguard.Explain(t.Context(), db, f.data)
			if what := notOfMariaDB[name]; what != "" {
				require.Error(t, err, "MariaDB knows %s now", what)
				require.Regexp(t, "1064.*syntax error|1146.*create the table", err.Error())
				return
			}
			require.NoError(t, err)
			require.Equal(t, explainguard.FormatMariaDB, p.Format)
			require.Equal(t, version, p.ServerVersion)
			got := shape(p)
			if *update && got != wanted[name+".want"] {
				reason, _, _ := strings.Cut(differs[name], "\n")
				fmt.Fprintf(&rewritten, "-- %s --\n%s\n%s", name, reason, got)
			}
			if *update || !strings.HasPrefix(version, "11.8.") {
				return // other versions choose other indexes: they are held to what ANALYZE measures
			}
			reason, want, ok := strings.Cut(differs[name], "\n")
			if !ok {
				require.Equal(t, wanted[name+".want"], got)
				return
			}
			require.True(t, strings.HasPrefix(reason, "# "), "a difference needs a reason")
			require.NotEqual(t, wanted[name+".want"], got, "this is no difference any more")
			require.Equal(t, want, got)
		})
	}
	if *update {
		require.NoError(t, os.WriteFile(mariaDBShapes, []byte(rewritten.String()), 0o600))
	}
}
