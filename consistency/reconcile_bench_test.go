package consistency

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/bench"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// benchRows is the number of rows a side: 3 million unless TASHIKAME_RECONCILE_ROWS says otherwise.
func benchRows(b *testing.B) int {
	text := os.Getenv("TASHIKAME_RECONCILE_ROWS")
	if text == "" {
		return 3_000_000
	}
	n, err := strconv.Atoi(text)
	require.NoError(b, err, "TASHIKAME_RECONCILE_ROWS")
	return n
}

// fillPayments makes a table of n narrow rows.
func fillPayments(b *testing.B, db *sql.DB, n int) {
	run := func(query string) {
		_, err := db.Exec(query)
		require.NoError(b, err)
	}
	run("CREATE TABLE payments (id BIGINT PRIMARY KEY, customer INT NOT NULL, status VARCHAR(20) NOT NULL, amount DECIMAL(12,2) NOT NULL, note VARCHAR(40), paid_at DATETIME NOT NULL)")
	run("CREATE TABLE digits (d INT PRIMARY KEY)")
	run("INSERT INTO digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)")
	const chunk = 100_000
	var sum []string
	from := ""
	for i := range 5 {
		sum = append(sum, fmt.Sprintf("d%d.d * %s", i, "1"+strings.Repeat("0", i)))
		from += fmt.Sprintf(", digits d%d", i)
	}
	for start := 0; start < n; start += chunk {
		run(fmt.Sprintf(`INSERT INTO payments SELECT id, id %% 10007, ELT(1 + id %% 3, 'paid', 'open', 'refunded'), id %% 100000 / 100, IF(id %% 4 = 0, NULL, CONCAT('note ', id)), TIMESTAMPADD(SECOND, id, '2020-01-01')
			FROM (SELECT %d + %s AS id FROM %s) n WHERE id < %d ORDER BY id`, start, strings.Join(sum, " + "), from[2:], n))
	}
	run("ANALYZE TABLE payments")
}

const paymentsQuery = "SELECT id, customer, status, amount, note, paid_at FROM payments ORDER BY id"

// readAndDiscard is the floor: both sides are read with the same driver at the same time, nothing is done with the rows.
func readAndDiscard(left, right *sql.DB) error {
	var errs [2]error
	var wait sync.WaitGroup
	for i, db := range [2]*sql.DB{left, right} {
		wait.Go(func() {
			errs[i] = func() error {
				rows, err := db.Query(paymentsQuery)
				if err != nil {
					return err
				}
				defer rows.Close()
				var raw [6]sql.RawBytes
				for rows.Next() {
					if err := rows.Scan(&raw[0], &raw[1], &raw[2], &raw[3], &raw[4], &raw[5]); err != nil {
						return err
					}
				}
				return rows.Err()
			}()
		})
	}
	wait.Wait()
	if errs[0] != nil {
		return errs[0]
	}
	return errs[1]
}

func BenchmarkReconcileMerge(b *testing.B) {
	n := benchRows(b)
	left, right := servers.MySQL(b).DB, servers.MySQL(b).DB
	fillPayments(b, left, n)
	fillPayments(b, right, n)
	for i := range 8 {
		_, err := right.Exec("UPDATE payments SET amount = amount + 1 WHERE id = ?", i*n/8+7)
		require.NoError(b, err)
	}
	compare := []Column{{Name: "customer"}, {Name: "status"}, {Name: "amount"}, {Name: "note"}, {Name: "paid_at"}}
	check := Reconcile{
		Meta: Meta{Name: "payments", Timeout: time.Hour}, Left: Query{DB: left, SQL: paymentsQuery}, Right: Query{DB: right, SQL: paymentsQuery},
		Key: []Column{{Name: "id"}}, Compare: compare,
	}
	bench.Benchmark{
		Name: "reconcile-merge/" + millions(n), Mem: true,
		Ours: func() error {
			f, err := check.Run(context.Background())
			if err == nil && (f.Total != 8 || f.Examined != int64(2*n)) {
				err = fmt.Errorf("found %d differences in %d rows", f.Total, f.Examined)
			}
			return err
		},
		Floor: func() error { return readAndDiscard(left, right) },
	}.Run(b)

	// Four times as many rows take as much memory: the table four times over, its keys counted on.
	query := "SELECT id, customer, status, amount, note, paid_at FROM payments"
	for i := 1; i < 4; i++ {
		query += fmt.Sprintf(" UNION ALL SELECT id + %d, customer, status, amount, note, paid_at FROM payments", i*n)
	}
	check.Left, check.Right = Query{DB: left, SQL: query}, Query{DB: right, SQL: query}
	start := time.Now()
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var peak uint64
	counted := 0
	found := newDifferences(check)
	found.visited = func([]byte) error {
		if counted++; counted%50_000 == 0 {
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc)
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	require.NoError(b, merge(ctx, [2]Source{check.Left, check.Right}, newMeeting(check.layout()), nil, nil, found))
	require.Equal(b, 4*n, counted)
	fmt.Printf("BENCH reconcile-merge-memory/%s ours=%.3f mem=%.1f\n", millions(4*n), time.Since(start).Seconds(), float64(peak-before.HeapAlloc)/(1<<20))
}

func millions(n int) string {
	if n%1_000_000 == 0 {
		return fmt.Sprintf("%dM", n/1_000_000)
	}
	return fmt.Sprintf("%dk", n/1000)
}
