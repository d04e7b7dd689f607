package explainguard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// A subquery that is one look-up in an index stops at its first row, unless something besides the index decides whether that is a match:
// then it may read all of them, 100 for each of the 500 outer rows here.
func TestMariaDBStopsALookupAtItsFirstRowOnlyIfNothingElseIsTested(t *testing.T) {
	s := servers.MariaDB(t)
	s.DB.SetMaxOpenConns(1) // the setting and the counters are the session's
	for _, q := range []string{
		"CREATE TABLE a (id INT PRIMARY KEY, n INT, c VARCHAR(40) NOT NULL)",
		`CREATE TABLE b (id INT PRIMARY KEY, a_id INT NOT NULL, n INT, x INT NOT NULL, c VARCHAR(40) NOT NULL, d VARCHAR(40) NOT NULL,
			KEY ix_a (a_id), KEY ix_n (n), KEY ix_ax (a_id, x), KEY ix_prefix (c(3)), KEY 索引 (d))`,
		"INSERT INTO a SELECT seq, seq, CONCAT('abc', seq) FROM seq_1_to_500",
		"INSERT INTO b SELECT seq, seq % 500 + 1, seq % 500 + 1, seq % 7, CONCAT('abc', seq % 500 + 1), CONCAT('abc', seq % 500 + 1) FROM seq_1_to_50000",
		"ANALYZE TABLE a, b", "SET optimizer_switch = 'materialization=off'",
	} {
		_, err := s.DB.ExecContext(t.Context(), q)
		require.NoError(t, err)
	}
	few := []string{
		"SELECT id FROM a WHERE id NOT IN (SELECT a_id FROM b)",
		"SELECT id FROM a WHERE NOT EXISTS (SELECT 1 FROM b AS other WHERE other.a_id = a.id)",
		"SELECT id FROM a WHERE id IN (SELECT a_id FROM b) OR n = 3",
		"SELECT id FROM a WHERE c IN (SELECT d FROM b) OR n = 3",
	}
	all := []string{
		"SELECT id FROM a WHERE id NOT IN (SELECT a_id FROM b WHERE x > 100)",
		"SELECT id FROM a WHERE id NOT IN (SELECT a_id FROM b IGNORE INDEX (ix_ax) WHERE x > 100)",
		"SELECT id FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.a_id = a.id AND b.x > 100)",
		"SELECT id, id IN (SELECT a_id FROM b WHERE x > 100) FROM a",
		// One of two look-ups in the same index has a condition: the text does not tell which.
		"SELECT id FROM a WHERE id NOT IN (SELECT a_id FROM b IGNORE INDEX (ix_ax)) OR id NOT IN (SELECT a_id FROM b IGNORE INDEX (ix_ax) WHERE x > 100)",
	}
	doubtful := []string{ // it looks for NULL as well, or the index holds only a prefix
		"SELECT id FROM a WHERE id NOT IN (SELECT n FROM b)",
		"SELECT id FROM a WHERE c NOT IN (SELECT c FROM b)",
	}
	estimate := func(query string) (estimated, read float64) {
		p := explain(t, explainguard.Explainer{DB: s.DB}, query)
		require.True(t, p.Analysable(), "%s: %v", query, p.Unanalysable)
		conn, err := s.DB.Conn(t.Context())
		require.NoError(t, err)
		read = handlerReadsOnMariaDB(t, conn, query)
		require.NoError(t, conn.Close())
		return explainguard.Measure(p).Total, read
	}
	for _, query := range few {
		total, really := estimate(query)
		require.InDelta(t, 1000, total, 20, "%s: one row for each", query)
		require.Less(t, really, 2*total, query)
	}
	for _, query := range all {
		total, really := estimate(query)
		require.Greater(t, really, 50_000.0, query)
		require.Greater(t, total, 0.9*50_000, query)
	}
	for _, query := range doubtful {
		total, really := estimate(query)
		require.LessOrEqual(t, really, 2*total, query)
	}
}
