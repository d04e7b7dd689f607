package consistency

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// fill adds n healthy events to an empty stream, in one statement a table: 1,000 aggregates, random ids (nothing comes in the order of its id).
func (s *eventStream) fill(tb testing.TB, n int) {
	const numbers = `(WITH d AS (SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)
		SELECT i, LEFT(SHA2(i, 256), 32) AS h FROM (SELECT a.d + 10*b.d + 100*c.d + 1000*e.d + 10000*f.d + 100000*g.d AS i FROM d a, d b, d c, d e, d f, d g) AS n WHERE i < ?) AS numbers`
	const uuid = `CONCAT_WS('-', LEFT(h, 8), SUBSTR(h, 9, 4), SUBSTR(h, 13, 4), SUBSTR(h, 17, 4), SUBSTR(h, 21))`
	start := s.start.UnixMicro()
	step := (90 * time.Minute).Microseconds() / int64(n)
	for _, f := range []struct {
		db    *sql.DB
		query string
		args  []any
	}{
		{s.requests, "INSERT INTO outboxevent SELECT " + uuid + ", 'Order', CONCAT('注文', i % 1000), 'OrderCreated', '{}', i, TIMESTAMP('1970-01-01') + INTERVAL (? + i * ?) MICROSECOND FROM " + numbers, []any{start, step, n}},
		{s.publications, "INSERT INTO published (event_id, at_ms) SELECT UNHEX(h), FLOOR((? + i * ?) / 1000) FROM " + numbers, []any{start + 1e6, step, n}},
		{s.consumptions, "INSERT INTO consumed (consumer, event_id, at) SELECT 'billing', UPPER(" + uuid + "), FROM_UNIXTIME((? + i * ?) / 1000000) FROM " + numbers, []any{start + 2e6, step, n}},
	} {
		_, err := f.db.Exec(f.query, f.args...)
		require.NoError(tb, err)
	}
}

// volumeLedger is over a stream of n events, with one consumer.
func volumeLedger(t *testing.T, database func() *sql.DB, n int) (Ledger, *eventStream) {
	s := emptyStream(t, database)
	s.fill(t, n)
	l := s.ledger()
	l.Consumers, l.Timeout = l.Consumers[:1], 10*time.Minute
	return l, s
}

// handlerReads returns the session's counters of how rows were found.
func handlerReads(ctx context.Context, t *testing.T, s *session) map[string]int64 {
	rows, err := s.conn.QueryContext(ctx, "SHOW SESSION STATUS LIKE 'Handler\\_read\\_%'")
	require.NoError(t, err)
	defer rows.Close()
	counts := map[string]int64{}
	for rows.Next() {
		var name string
		var n int64
		require.NoError(t, rows.Scan(&name, &n))
		counts[strings.TrimPrefix(name, "Handler_read_")] = n
	}
	require.NoError(t, rows.Err())
	return counts
}

// TestLedgerLooksUpByIndexOnly: no statement beside the scans of the windows reads a table from its beginning, also where the server's statistics are wrong.
func TestLedgerLooksUpByIndexOnly(t *testing.T) {
	onLedgerServers(t, func(t *testing.T, database func() *sql.DB) {
		const n = 20_000 // of a small table a page of a feed is so much that a server rightly sorts it
		l, s := volumeLedger(t, database, n)
		for db, table := range map[*sql.DB]string{s.requests: "outboxevent", s.publications: "published", s.consumptions: "consumed"} {
			exec(t, db, "ANALYZE TABLE "+table, // then every id stands for a thousand rows, if one believes the statistics
				"UPDATE mysql.innodb_index_stats SET stat_value = 5 WHERE database_name = DATABASE() AND table_name = '"+table+"' AND stat_name = 'n_diff_pfx01'",
				"FLUSH TABLE "+table)
		}
		_, err := l.look(t.Context(), func(ctx context.Context, k *ledgerLook) error {
			before := map[*sql.DB]map[string]int64{}
			for db, s := range k.reader.lookups {
				handlerReads(ctx, t, s) // what asking costs itself
				before[db] = handlerReads(ctx, t, s)
			}
			for _, pass := range []func(context.Context) error{k.requests, k.publications, k.consumptions, k.order} {
				require.NoError(t, pass(ctx))
			}
			require.Zero(t, k.found.total)
			require.Equal(t, int64(3*n), k.examined)
			require.Len(t, before, 3)
			for db, s := range k.reader.lookups {
				after := handlerReads(ctx, t, s)
				asking := handlerReads(ctx, t, s)["rnd_next"] - after["rnd_next"]
				require.LessOrEqual(t, after["rnd_next"]-before[db]["rnd_next"], 2*asking, "a whole table was read")
				require.LessOrEqual(t, after["first"]-before[db]["first"], int64(2), "a whole index was read")
				require.Positive(t, after["key"]-before[db]["key"])
				require.Less(t, after["next"]-before[db]["next"], int64(8*n), "more rows were read than there are events to look up")
			}
			return nil
		})
		require.NoError(t, err)
	})
}

// TestLedgerMemoryIsFlat: four times the events, the same memory.
func TestLedgerMemoryIsFlat(t *testing.T) {
	peak := func(n int) int64 {
		l, _ := volumeLedger(t, func() *sql.DB { return servers.MySQL(t).DB }, n)
		var stats runtime.MemStats
		live := func() int64 { runtime.GC(); runtime.ReadMemStats(&stats); return int64(stats.HeapAlloc) }
		base, highest := live(), int64(0)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				highest = max(highest, live()-base)
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
		f, err := l.Run(t.Context())
		close(stop)
		wg.Wait()
		require.NoError(t, err)
		require.Equal(t, int64(3*n), f.Examined)
		require.Zero(t, f.Total)
		return highest
	}
	small, large := peak(5000), peak(20000)
	t.Logf("live memory at most: %d KiB for 5,000 events, %d KiB for 20,000", small>>10, large>>10)
	require.Less(t, large, 2*small, "the live memory grows with the number of events")
}

// TestLedgerFindsTheSameHoweverTheHistoriesRun: what is read along is only a shortcut to what a look-up by id finds.
func TestLedgerFindsTheSameHoweverTheHistoriesRun(t *testing.T) {
	const n = 6000
	l, s := volumeLedger(t, func() *sql.DB { return servers.MySQL(t).DB }, n)
	l.Requested.Sequence = ""
	lost := []int64{1, 570, 2279, 2281, 4560, 5999}
	for _, seq := range lost {
		var id string
		require.NoError(t, s.requests.QueryRow("SELECT id FROM outboxevent WHERE seq = ?", seq).Scan(&id))
		exec(t, s.publications, "DELETE FROM published WHERE event_id = UNHEX(REPLACE('"+id+"', '-', ''))")
	}
	for shape, change := range map[string]string{
		"as they came":      "UPDATE published SET at_ms = at_ms",
		"at one moment":     fmt.Sprintf("UPDATE published SET at_ms = %d", s.start.Add(91*time.Minute).UnixMilli()),
		"backwards":         fmt.Sprintf("UPDATE published SET at_ms = %d - n * 100", s.start.Add(91*time.Minute).UnixMilli()),
		"many at one time":  fmt.Sprintf("UPDATE published SET at_ms = %d + 1000 * FLOOR(n / 100)", s.start.UnixMilli()),
		"late and in order": fmt.Sprintf("UPDATE published SET at_ms = %d + n * 10", s.start.Add(91*time.Minute).UnixMilli()),
	} {
		t.Run(shape, func(t *testing.T) {
			exec(t, s.publications, change)
			f, err := l.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, []Count{{NeverPublished, int64(len(lost))}, {ConsumedUnpublished, int64(len(lost))}}, f.Breakdown)
			require.Equal(t, int64(3*n-len(lost)), f.Examined)
		})
	}
}
