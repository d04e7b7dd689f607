package explainguard_test

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/internal/smartlist"
)

func mustExec(tb testing.TB, db *sql.DB, statements ...string) {
	tb.Helper()
	for _, s := range statements {
		_, err := db.ExecContext(context.Background(), s)
		require.NoError(tb, err, s)
	}
}

// TestStatsAreAppliedAgainWhenLost: whatever takes them away, the next judgement is right or no pass.
func TestStatsAreAppliedAgainWhenLost(t *testing.T) {
	db := emptySmartList(t)
	g := &explainguard.Guard{DB: db, Stats: savedStats(t)}
	for _, c := range []struct{ name, statement string }{
		{"nothing", "DO 1"},
		{"TRUNCATE", "TRUNCATE TABLE customers"},
		{"ADD COLUMN", "ALTER TABLE reservations ADD COLUMN note VARCHAR(10)"},
		{"DROP COLUMN", "ALTER TABLE reservations DROP COLUMN note"},
		{"ADD KEY", "ALTER TABLE customers ADD KEY ix_name (name)"},
		{"ANALYZE", "ANALYZE TABLE customers, reservations, pages"},
		{"OPTIMIZE", "OPTIMIZE TABLE customers"},
		{"a rebuild", "ALTER TABLE customers ENGINE=InnoDB"},
		{"DELETE", "DELETE FROM customers"},
		{"default options", "ALTER TABLE customers STATS_PERSISTENT=DEFAULT, STATS_AUTO_RECALC=DEFAULT"},
		{"transient", "ALTER TABLE customers STATS_PERSISTENT=0"},
		{"zeros", "UPDATE mysql.innodb_table_stats SET n_rows = 0 WHERE database_name = DATABASE()"},
		{"rename", "RENAME TABLE customers TO c2, c2 TO customers"},
		{"dropped and created", "DROP TABLE customers"},
		{"figures changed by others", "REPLACE INTO mysql.innodb_table_stats SELECT database_name, table_name, NOW(), 1, 1, 1 FROM mysql.innodb_table_stats WHERE database_name = DATABASE()"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The cleaner runs beside others: its session is not ours.
			mustExec(t, db, c.statement)
			if strings.HasPrefix(c.statement, "DROP TABLE") {
				mustExec(t, db, strings.SplitAfter(smartlist.Schema, ";\n")[0])
			}
			if strings.HasPrefix(c.statement, "REPLACE") {
				mustExec(t, db, "FLUSH TABLES customers, pages, reservations")
			}
			start := time.Now()
			bad, err := g.Check(t.Context(), smartlist.Bad)
			require.NoError(t, err)
			require.Equal(t, explainguard.Fail, bad.Verdict, "%s", bad)
			require.InDelta(t, 100_007, bad.Work.Total, 10)
			took := time.Since(start)
			good, err := g.Check(t.Context(), smartlist.Good)
			require.NoError(t, err)
			require.Equal(t, explainguard.Pass, good.Verdict, "%s", good)
			t.Logf("bad %s, good %s", took, time.Since(start)-took)
		})
	}
}

// TestStatsDoNotTellOfANewIndex: an index that a migration adds has no statistics; what uses its columns cannot be judged.
func TestStatsDoNotTellOfANewIndex(t *testing.T) {
	db := emptySmartList(t)
	mustExec(t, db, "ALTER TABLE customers ADD KEY ix_name (name), ADD KEY ix_low ((LOWER(name)))", "CREATE TABLE extra (id INT PRIMARY KEY)",
		"ALTER TABLE pages RENAME KEY ix_tenant TO ix_renamed")
	stats := savedStats(t)
	var warnings []string
	require.NoError(t, stats.Apply(t.Context(), db, explainguard.ApplyOptions{Warn: func(r explainguard.Reason) { warnings = append(warnings, r.String()) }}))
	require.Equal(t, []string{
		"the statistics do not tell of index ix_low of table customers: dump the statistics again from a database that has the index",
		"the statistics do not tell of index ix_name of table customers: dump the statistics again from a database that has the index",
		"the statistics do not tell of table extra: dump them again once production has it",
	}, warnings)
	mustExec(t, db, "ALTER TABLE customers DROP KEY ix_low")
	g := &explainguard.Guard{DB: db, Stats: stats}
	for query, want := range map[string]explainguard.Verdict{
		"SELECT * FROM customers WHERE name = 'x'":                   explainguard.Unanalysable,
		"SELECT * FROM customers WHERE id IN (1, 2)":                 explainguard.Pass,
		"SELECT name FROM customers WHERE tenant_id = 1":             explainguard.Fail,
		"SELECT * FROM customers WHERE id IN (1, 2) ORDER BY name":   explainguard.Unanalysable,
		"SELECT * FROM pages WHERE tenant_id = 1":                    explainguard.Pass,
		"SELECT * FROM extra":                                        explainguard.Unanalysable,
		"SELECT * FROM customers c JOIN extra e ON e.id = c.id":      explainguard.Unanalysable,
		"UPDATE customers SET tenant_id = 2 WHERE id IN (1, 2)":      explainguard.Pass,
		"UPDATE customers SET tenant_id = 2 WHERE name IN ('a','b')": explainguard.Unanalysable,
	} {
		r, err := g.Check(t.Context(), query)
		require.NoError(t, err)
		require.Equal(t, want, r.Verdict, "%s: %s", query, r)
	}
}

func TestStatsAreNeverAppliedToProduction(t *testing.T) {
	full := smartList.open(t, nil)
	stats, err := explainguard.DumpStats(t.Context(), full, explainguard.DumpOptions{GroupRows: -1})
	require.NoError(t, err)
	for _, opts := range []explainguard.ApplyOptions{{}, {Filled: true}} {
		err := stats.Apply(t.Context(), full, opts)
		require.ErrorIs(t, err, explainguard.ErrRefused)
		require.ErrorContains(t, err, "is the database that the statistics were taken from; apply them to a test database, never there")
	}
	saved := savedStats(t)
	err = saved.Apply(t.Context(), full, explainguard.ApplyOptions{})
	require.ErrorIs(t, err, explainguard.ErrRefused)
	require.ErrorContains(t, err, "table customers holds more than 1000 rows, so ")
	require.ErrorContains(t, err, "set ApplyOptions.Filled or raise MaxRows")

	r, err := (&explainguard.Guard{DB: full, Stats: saved}).Check(t.Context(), smartlist.Good)
	require.ErrorIs(t, err, explainguard.ErrRefused)
	require.Equal(t, explainguard.Unanalysable, r.Verdict)

	db := emptySmartList(t)
	mustExec(t, db, "INSERT INTO pages (tenant_id) VALUES (1), (2), (3)")
	require.ErrorContains(t, saved.Apply(t.Context(), db, explainguard.ApplyOptions{MaxRows: 2}), "table pages holds more than 2 rows")
	require.NoError(t, saved.Apply(t.Context(), db, explainguard.ApplyOptions{MaxRows: 2, Filled: true}))
	var n int
	require.NoError(t, db.QueryRow("SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'pages'").Scan(&n))
	require.Equal(t, 20_000, n)
	require.NoError(t, full.QueryRow("SELECT n_rows FROM mysql.innodb_table_stats WHERE database_name = DATABASE() AND table_name = 'customers' AND last_update > '2020-01-01'").Scan(&n), "untouched")
}

// TestStatsByManyAtOnce: several pools apply, truncate and judge at the same time; no judgement is wrong.
func TestStatsByManyAtOnce(t *testing.T) {
	s := servers.MySQL(t)
	require.NoError(t, smartlist.Create(t.Context(), s.DB))
	const each = 40
	var done atomic.Int64
	var wg sync.WaitGroup
	verdicts := make([]map[explainguard.Verdict]int, 3)
	for i := range verdicts {
		verdicts[i] = map[explainguard.Verdict]int{}
		db := openDSN(t, s.DSN, nil)
		stats := savedStats(t)
		wg.Go(func() {
			g := &explainguard.Guard{DB: db, Stats: stats}
			for range each {
				r, _ := g.Check(context.Background(), smartlist.Bad)
				verdicts[i][r.Verdict]++
				done.Add(1)
				if r.Verdict == explainguard.Pass {
					t.Errorf("a false pass: %s", r)
				}
			}
		})
	}
	wg.Go(func() { // about every fifth judgement finds the statistics gone
		for at := done.Load(); at < each*int64(len(verdicts)); at = done.Load() {
			if _, err := s.DB.Exec("TRUNCATE TABLE customers"); err != nil {
				t.Error(err)
			}
			for done.Load() < at+5 && done.Load() < each*int64(len(verdicts)) {
				time.Sleep(time.Millisecond)
			}
		}
	})
	wg.Wait()
	t.Log(verdicts)
	for _, v := range verdicts {
		require.Greater(t, v[explainguard.Fail], each*9/10)
	}
}

// TestStatsSayWhichGrantIsMissing: an account that may only use its database is told what to grant.
func TestStatsSayWhichGrantIsMissing(t *testing.T) {
	s := servers.MySQL(t)
	require.NoError(t, smartlist.Create(t.Context(), s.DB))
	name := "st_" + strings.TrimPrefix(s.Database, "tashikame_")
	mustExec(t, s.DB, "CREATE USER '"+name+"'@'%' IDENTIFIED BY '"+secret+"'", "GRANT ALL ON "+s.Database+".* TO '"+name+"'")
	t.Cleanup(func() { mustExec(t, openDSN(t, s.DSN, nil), "DROP USER '"+name+"'@'%'") })
	poor := openDSN(t, s.DSN, func(c *mysql.Config) { c.User, c.Passwd = name, secret })
	grant := func(privileges string) { mustExec(t, s.DB, "GRANT "+privileges+" TO '"+name+"'") }
	stats := savedStats(t)
	err := stats.Apply(t.Context(), poor, explainguard.ApplyOptions{})
	require.ErrorContains(t, err, "GRANT SELECT, INSERT, DELETE ON mysql.innodb_table_stats TO")
	grant("SELECT, INSERT, DELETE ON mysql.innodb_table_stats")
	grant("SELECT, INSERT, DELETE ON mysql.innodb_index_stats")
	err = stats.Apply(t.Context(), poor, explainguard.ApplyOptions{})
	require.ErrorContains(t, err, "GRANT FLUSH_TABLES ON *.*")
	grant("FLUSH_TABLES ON *.*")
	require.NoError(t, stats.Apply(t.Context(), poor, explainguard.ApplyOptions{}))
	r, err := (&explainguard.Guard{DB: poor, Stats: stats}).Check(t.Context(), smartlist.Bad)
	require.NoError(t, err)
	require.Equal(t, explainguard.Fail, r.Verdict)
}

// TestStatsOfOddTables: names, partitions, keys and types of all kinds survive the way through the file.
func TestStatsOfOddTables(t *testing.T) {
	source, target := servers.MySQL(t).DB, servers.MySQL(t).DB
	schema := []string{
		"CREATE TABLE `予約 表#1.-x``y` (id INT PRIMARY KEY, `列 a` INT, KEY `索引` (`列 a`))",
		"CREATE TABLE Upper_Case (Id INT PRIMARY KEY, V INT, KEY Ix (V))",
		"CREATE TABLE parted (id INT, d INT, KEY ix_d (d), PRIMARY KEY (id, d)) PARTITION BY RANGE (d) (PARTITION `p予` VALUES LESS THAN (10), PARTITION P1 VALUES LESS THAN MAXVALUE)",
		"CREATE TABLE subparted (id INT, d INT, KEY ix_d (d), PRIMARY KEY (id, d)) PARTITION BY RANGE (d) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)",
		"CREATE TABLE nokey (a INT, b INT, c VARCHAR(50), j JSON, v INT GENERATED ALWAYS AS (b + 1) VIRTUAL, g POINT NOT NULL SRID 0, KEY ix_a (a), FULLTEXT KEY ft (c), SPATIAL KEY sp (g), " +
			"KEY fx ((LOWER(c))), KEY de (a DESC, b), KEY pre (c(5)), KEY inv (b) INVISIBLE, UNIQUE KEY uu (b, a), KEY mv ((CAST(j->'$.x' AS UNSIGNED ARRAY))), KEY vv (v))",
		"CREATE TABLE child (id INT PRIMARY KEY, p INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES Upper_Case (Id))",
		"CREATE TABLE nothing (id INT PRIMARY KEY, a INT, KEY (a))",
		"CREATE VIEW seen AS SELECT * FROM Upper_Case",
		"CREATE TABLE old_engine (id INT) ENGINE=MEMORY",
	}
	mustExec(t, source, schema...)
	mustExec(t, target, schema...)
	mustExec(t, source, "SET SESSION cte_max_recursion_depth = 10000")
	seq := func(n string) string {
		return "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < " + n + ") SELECT "
	}
	mustExec(t, source,
		"INSERT INTO `予約 表#1.-x``y` "+seq("900")+"n, n % 9 FROM s",
		"INSERT INTO Upper_Case "+seq("800")+"n, n % 8 FROM s",
		"INSERT INTO parted "+seq("700")+"n, n % 20 FROM s",
		"INSERT INTO subparted "+seq("600")+"n, n % 20 FROM s",
		"INSERT INTO nokey (a, b, c, j, g) "+seq("500")+"n % 5, n, CONCAT('c', n), JSON_OBJECT('x', JSON_ARRAY(n)), POINT(n, n) FROM s",
		"INSERT INTO child "+seq("400")+"n, IF(n < 300, NULL, 7) FROM s",
		"ANALYZE TABLE `予約 表#1.-x``y`, Upper_Case, parted, subparted, nokey, child, nothing")
	stats, err := explainguard.DumpStats(t.Context(), source, explainguard.DumpOptions{})
	require.NoError(t, err)
	var file strings.Builder
	require.NoError(t, stats.Write(&file))
	require.Contains(t, file.String(), `{"name":"fk","columns":["p"],"distinct":[2,400],"biggest":[101],"nulls":299,`)
	require.NotContains(t, file.String(), "c499")
	read, err := explainguard.ReadStats(strings.NewReader(file.String()))
	require.NoError(t, err)
	var warnings []explainguard.Reason
	opts := explainguard.ApplyOptions{Warn: func(r explainguard.Reason) { warnings = append(warnings, r) }}
	require.NoError(t, read.Apply(t.Context(), target, opts))
	require.NoError(t, read.Apply(t.Context(), target, opts), "again")
	require.Empty(t, warnings)
	for query, rows := range map[string]float64{
		"SELECT * FROM `予約 表#1.-x``y`":                                  900,
		"SELECT * FROM `予約 表#1.-x``y` WHERE `列 a` = 1":                  100,
		"SELECT * FROM Upper_Case WHERE V = 3":                          100,
		"SELECT * FROM seen WHERE V = 3":                                100,
		"SELECT * FROM parted":                                          700,
		"SELECT * FROM parted PARTITION (P1)":                           350,
		"SELECT * FROM subparted PARTITION (p0sp1)":                     150,
		"SELECT * FROM nokey":                                           500,
		"SELECT b FROM nokey FORCE INDEX (ix_a) WHERE a = 1":            100,
		"SELECT b FROM nokey WHERE LOWER(c) = 'c7'":                     1,
		"SELECT a FROM nokey WHERE v = 7":                               1,
		"SELECT * FROM child WHERE p = 7":                               133,
		"SELECT * FROM child c JOIN Upper_Case u ON u.Id = c.p WHERE 1": 800,
		"UPDATE Upper_Case SET V = 1 WHERE V = 3":                       100,
	} {
		for _, format := range []explainguard.Format{explainguard.FormatUnknown, explainguard.FormatJSONv1} {
			r, err := (&explainguard.Guard{DB: target, Stats: read, Format: format}).Check(t.Context(), query)
			require.NoError(t, err, query)
			require.Equal(t, explainguard.Pass, r.Verdict, "%s: %s", query, r)
			require.InEpsilon(t, rows, r.Work.Total, 0.1, "%s: %s", query, r)
		}
	}
}
