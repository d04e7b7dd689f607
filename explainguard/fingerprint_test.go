package explainguard_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

func TestFingerprint(t *testing.T) {
	for _, c := range []struct{ query, want string }{
		{"select *  from t\n\twhere id=5", "SELECT * FROM t WHERE id = ?"},
		{"SELECT * FROM t WHERE id = ?;", "SELECT * FROM t WHERE id = ?"},
		{"/* page 7 */ SELECT 1 -- one\n FROM t # two", "SELECT ? FROM t"},
		{"SELECT /*+  MAX_EXECUTION_TIME(100)\n */ a FROM t", "SELECT /*+ MAX_EXECUTION_TIME(100) */ a FROM t"},
		{"SELECT /*!80000 STRAIGHT_JOIN */ a FROM t", "SELECT /*!80000 STRAIGHT_JOIN */ a FROM t"},
		{"SELECT a FROM t WHERE id IN (1,2,3)", "SELECT a FROM t WHERE id IN (…)"},
		{"SELECT a FROM t WHERE id IN(?)", "SELECT a FROM t WHERE id IN (…)"},
		{"SELECT a FROM t WHERE (x, y) in ((1,'a'), (2,'b'))", "SELECT a FROM t WHERE (x, y) IN ((?, ?) …)"},
		{"SELECT a FROM t WHERE id IN (SELECT id FROM u WHERE n=3)", "SELECT a FROM t WHERE id IN (SELECT id FROM u WHERE n = ?)"},
		{"SELECT a FROM t WHERE id IN (1, n + 1)", "SELECT a FROM t WHERE id IN (?, n + ?)"},
		{"SELECT a FROM t WHERE id IN (1, NULL, -3, +4, 5.5e-3, 0xFF, x'4D')", "SELECT a FROM t WHERE id IN (…)"},
		{"INSERT INTO t(a,b) VALUES (1,'x'),(2,'y'), (3,NULL)", "INSERT INTO t(a, b) VALUES (?, ?)"},
		{"insert into t (a, b) values (?, ?)", "INSERT INTO t(a, b) VALUES (?, ?)"},
		{"INSERT INTO t VALUES (1, now()), (2, DEFAULT), (3, NOW())", "INSERT INTO t VALUES (?, NOW()), (?, DEFAULT)"},
		{"VALUES ROW(1,2), ROW(3,4)", "VALUES ROW (?, ?)"},
		{"INSERT INTO t VALUES (1),(2) AS new ON DUPLICATE KEY UPDATE a = new.a + 1", "INSERT INTO t VALUES (?) AS new ON DUPLICATE KEY UPDATE a = new.a + ?"},
		{"UPDATE t SET a=NULL, b = true WHERE c IS NULL AND d IS NOT NULL AND e <> FALSE", "UPDATE t SET a = ?, b = ? WHERE c IS NULL AND d IS NOT NULL AND e <> ?"},
		{"SELECT 5-3, a-3, -3, (-3), a - -3", "SELECT ? - ?, a - ?, ?, (?), a - ?"},
		{"SELECT 'it''s', 'a\\'b', \"q\\\"\", 'back\\\\' FROM t", "SELECT ?, ?, ?, ? FROM t"},
		{"SELECT `My `` Col`, `予約` FROM `t 1` WHERE 名前 = '太郎' AND `a`.`1b` = 2", "SELECT `My `` Col`, `予約` FROM `t 1` WHERE 名前 = ? AND `a`.`1b` = ?"},
		{"SELECT 1a, t1.2b, t . c FROM t1", "SELECT 1a, t1.2b, t.c FROM t1"},
		{"SELECT * FROM t WHERE d >= '2024-01-01' AND d < DATE '2024-02-01' + interval 3 day", "SELECT * FROM t WHERE d >= ? AND d < DATE ? + INTERVAL ? DAY"},
		{"SELECT a FROM t LIMIT 10, 20", "SELECT a FROM t LIMIT ?, ?"},
		{"SELECT a FROM t LIMIT 10 offset 20 for update skip locked", "SELECT a FROM t LIMIT ? OFFSET ? FOR UPDATE SKIP LOCKED"},
		{"SELECT @a, @@session.sql_mode, @`b c`", "SELECT @a, @@session.sql_mode, @`b c`"},
		{"SELECT count( * ),Sum(a) FROM t group by b having count(*)>3", "SELECT COUNT(*), SUM(a) FROM t GROUP BY b HAVING COUNT(*) > ?"},
		{"SELECT doc->'$.a', doc->>\"$.b\" FROM t WHERE a<=>NULL", "SELECT doc -> ?, doc ->> ? FROM t WHERE a <=> ?"},
		{"SELECT _utf8mb4'x', N'y', b'01' , 0b01, .5, 1., 1e3", "SELECT ?, ?, ?, ?, ?, ?, ?"},
		{"SELECT T.a FROM T JOIN t ON T.a=t.a", "SELECT T.a FROM T JOIN t ON T.a = t.a"},
		{"(SELECT 1) UNION ALL (SELECT 2)", "(SELECT ?) UNION ALL (SELECT ?)"},
		{"", ""}, {";", ""}, {"'unclosed", "?"}, {"/* unclosed", ""}, {"IN (", "IN ("}, {"VALUES (1", "VALUES (?"},
	} {
		require.Equal(t, c.want, explainguard.Fingerprint(c.query), c.query)
	}
}

// What the values are, and how many, never shows; what the statement does always does.
func TestFingerprintTellsShapesApart(t *testing.T) {
	one := []string{"SELECT a FROM t WHERE id IN (" + strings.Repeat("1,", 5000) + "1)", "select a from t where id in (7) -- x", "SELECT a FROM t WHERE id IN (?,?)"}
	for _, q := range one {
		require.Equal(t, explainguard.Fingerprint(one[0]), explainguard.Fingerprint(q))
	}
	seen := map[string]string{}
	for _, q := range []string{
		"SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id <> 1", "SELECT a FROM t WHERE id = 1 FOR UPDATE", "SELECT b FROM t WHERE id = 1",
		"SELECT a FROM t FORCE INDEX (x) WHERE id = 1", "SELECT a FROM u WHERE id = 1", "SELECT a FROM t WHERE id IN (1)", "SELECT a FROM t WHERE id NOT IN (1)",
		"SELECT a FROM t WHERE id = 1 LIMIT 1", "SELECT /*+ NO_ICP(t) */ a FROM t WHERE id = 1", "SELECT a FROM t WHERE id IS NULL", "SELECT a FROM t WHERE id IS NOT NULL",
	} {
		f := explainguard.Fingerprint(q)
		require.Empty(t, seen[f], q)
		seen[f] = q
	}
}

// A fingerprint is one of its own: nothing more can be taken away.
func FuzzFingerprint(f *testing.F) {
	for _, q := range []string{"SELECT 'a', -1 FROM `t` WHERE id IN (1,2) /* x */", "INSERT INTO t VALUES (1,'x'),(2,'y')", "SELECT a->>'$.b', @x := 5", "1.e-5.a", "'", "0x", "@`", "--", "/*!"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		explainguard.Fingerprint(query) // it must come to an end, without a panic
		if strings.ContainsAny(query, "\\@$\x00") || strings.Contains(query, "…") {
			return
		}
		require.LessOrEqual(t, len(explainguard.Fingerprint(query)), 3*len(query)+8)
	})
}
