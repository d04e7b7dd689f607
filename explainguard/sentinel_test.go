package explainguard_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/internal/smartlist"
)

// TestSentinelMakesALookUpAnalysable: single.sql collapses on the empty database, and is caught with the one row.
func TestSentinelMakesALookUpAnalysable(t *testing.T) {
	db := emptySmartList(t)
	stats := savedStats(t)
	v1 := &explainguard.Guard{DB: db, Stats: stats, Format: explainguard.FormatJSONv1}
	v2 := &explainguard.Guard{DB: db, Stats: stats, Format: explainguard.FormatJSONv2}
	r, err := v2.Check(t.Context(), smartlist.Single)
	require.NoError(t, err)
	require.Equal(t, explainguard.Unanalysable, r.Verdict, "%s", r)
	require.Contains(t, r.Reasons[0].WayOut, "insert it (Sentinel does)")
	r, err = v1.Check(t.Context(), smartlist.Single)
	require.NoError(t, err)
	require.Contains(t, r.String(), "no matching row in const table")
	require.Equal(t, explainguard.Fail, r.Verdict, "JSON v1 shows the derived table all the same")

	remove, err := explainguard.Sentinel(t.Context(), db, "customers", map[string]any{"id": 1, "tenant_id": 1})
	require.NoError(t, err)
	for _, g := range []*explainguard.Guard{v1, v2} {
		r, err := g.Check(t.Context(), smartlist.Single)
		require.NoError(t, err)
		require.Equal(t, explainguard.Fail, r.Verdict, "%s", r)
		require.Equal(t, "derived-filter", r.Findings[0].Rule)
		require.Empty(t, r.Reasons)
		require.InDelta(t, 100_003, r.Work.Total, 2)
		r, err = g.Check(t.Context(), smartlist.Good)
		require.NoError(t, err)
		require.Equal(t, explainguard.Pass, r.Verdict, "%s", r)
	}
	again, err := explainguard.Sentinel(t.Context(), db, "customers", map[string]any{"id": 1, "tenant_id": 1})
	require.NoError(t, err)
	require.NoError(t, again(t.Context()))
	require.Equal(t, 1, count(t, db, "customers"), "the row was there already, so it stays")
	require.NoError(t, remove(t.Context()))
	require.NoError(t, remove(t.Context()))
	require.Equal(t, 0, count(t, db, "customers"))
}

func TestSentinelFitsTheTable(t *testing.T) {
	db := servers.MySQL(t).DB
	mustExec(t, db,
		"CREATE TABLE parents (id INT PRIMARY KEY)",
		"CREATE TABLE `全 部` (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, parent_id INT NOT NULL, FOREIGN KEY (parent_id) REFERENCES parents (id), "+
			"i TINYINT NOT NULL, dc DECIMAL(3,3) NOT NULL, f FLOAT NOT NULL, b BIT(3) NOT NULL, y YEAR NOT NULL, d DATE NOT NULL, dt DATETIME(3) NOT NULL, ts TIMESTAMP NOT NULL, tm TIME NOT NULL, "+
			"e ENUM('a','it''s') NOT NULL, s SET('x','y') NOT NULL, j JSON NOT NULL, c CHAR(0) NOT NULL, v VARCHAR(3) NOT NULL, t TEXT NOT NULL, bi BINARY(16) NOT NULL, bl BLOB NOT NULL, "+
			"g GEOMETRY NOT NULL, p POINT NOT NULL SRID 4326, po POLYGON NOT NULL, gc GEOMETRYCOLLECTION NOT NULL, gen INT GENERATED ALWAYS AS (i + 1) STORED NOT NULL, `def``ault` INT NOT NULL DEFAULT 7, "+
			"expr VARCHAR(40) NOT NULL DEFAULT (UUID()), n INT, CHECK (i > 4), UNIQUE KEY (v), UNIQUE KEY (e, y))",
		"CREATE TABLE uuids (id CHAR(36) PRIMARY KEY DEFAULT (UUID()), a INT)",
		"CREATE TABLE nokey (a INT NOT NULL, b INT)",
		"CREATE TABLE never (id INT PRIMARY KEY, a INT NOT NULL, CONSTRAINT `いつも` CHECK (a > 1000))",
		"CREATE TABLE triggered (id INT PRIMARY KEY)", "CREATE TRIGGER noise AFTER INSERT ON triggered FOR EACH ROW INSERT INTO parents VALUES (99)",
		"CREATE TABLE much (id INT PRIMARY KEY)", "SET SESSION cte_max_recursion_depth = 5000",
		"INSERT INTO much WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 1500) SELECT n FROM s",
	)
	for range 2 { // the second collides with the first on the unique keys
		remove, err := explainguard.Sentinel(t.Context(), db, "全 部", map[string]any{"PARENT_ID": 77 + count(t, db, "`全 部`")})
		require.NoError(t, err)
		if count(t, db, "`全 部`") == 2 {
			require.NoError(t, remove(t.Context()))
		}
	}
	require.Equal(t, 1, count(t, db, "`全 部`"))
	require.Equal(t, 0, count(t, db, "parents"))
	for _, table := range []string{"uuids", "nokey"} {
		remove, err := explainguard.Sentinel(t.Context(), db, table, nil)
		require.NoError(t, err, table)
		require.Equal(t, 1, count(t, db, table))
		require.NoError(t, remove(t.Context()))
		require.Equal(t, 0, count(t, db, table))
	}
	for table, want := range map[string]string{
		"nowhere":   "has no such InnoDB table; run the migrations",
		"triggered": "its triggers (noise) would run",
		"never":     "Check constraint 'いつも' is violated.; pass values for the columns of that constraint",
		"much":      "holds more than 1000 rows",
	} {
		remove, err := explainguard.Sentinel(t.Context(), db, table, nil)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "explainguard: sentinel row for table "+table)
		require.Nil(t, remove)
	}
	_, err := explainguard.Sentinel(t.Context(), db, "nokey", map[string]any{"c": 1})
	require.ErrorContains(t, err, `there is no column "c"; it has a, b`)
	_, err = explainguard.Sentinel(t.Context(), db, "全 部", map[string]any{"gen": 1})
	require.ErrorContains(t, err, `column "gen" is generated`)
	_, err = explainguard.Sentinel(t.Context(), nil, "nokey", nil)
	require.ErrorContains(t, err, "no database")
	_, err = db.ExecContext(context.Background(), "DROP TABLE nokey")
	require.NoError(t, err)
}
