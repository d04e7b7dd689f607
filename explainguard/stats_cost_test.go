package explainguard_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// TestStatsOfManyTables: a service with 200 tables and 600 indexes is judged in milliseconds, and applied in seconds once.
func TestStatsOfManyTables(t *testing.T) {
	db := servers.MySQL(t).DB
	var stats explainguard.Stats
	for i := range 200 {
		name := fmt.Sprintf("t%03d", i)
		mustExec(t, db, "CREATE TABLE "+name+" (id BIGINT PRIMARY KEY, a BIGINT, b BIGINT, KEY ix_a (a), KEY ix_b (b))")
		stats.Tables = append(stats.Tables, explainguard.TableStats{Name: name, Rows: 1_000_000, Pages: 5000, OtherPages: 5000, Indexes: []explainguard.IndexStats{
			{Name: "PRIMARY", Columns: []string{"id"}, Unique: true, Distinct: []int64{1_000_000}},
			{Name: "ix_a", Columns: []string{"a"}, Distinct: []int64{1000, 1_000_000}, Biggest: []int64{50_000}},
			{Name: "ix_b", Columns: []string{"b"}, Distinct: []int64{500_000, 1_000_000}, Biggest: []int64{2}},
		}})
	}
	step := func(what string) {
		start := time.Now()
		r, err := (&explainguard.Guard{DB: db, Stats: &stats}).Check(t.Context(), "SELECT * FROM t000 JOIN t001 ON t001.b = t000.id WHERE t000.a = 1")
		require.NoError(t, err)
		require.Equal(t, explainguard.Fail, r.Verdict, "%s", r)
		t.Logf("%s: %s", what, time.Since(start))
	}
	step("first: applied and judged")
	step("again")
	step("again")
	mustExec(t, db, "TRUNCATE TABLE t001")
	step("after TRUNCATE")
	plain := time.Now()
	_, err := explainguard.Explain(t.Context(), db, "SELECT * FROM t000 JOIN t001 ON t001.b = t000.id WHERE t000.a = 1")
	require.NoError(t, err)
	t.Logf("EXPLAIN without statistics: %s", time.Since(plain))
	require.Less(t, strings.Count(written(t, &stats), "\n"), 1000)
}
