package consistency

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"net"
	osexec "os/exec"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/bench"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// differAt makes the two tables of n rows differ in eight: two are missing on either side, four are different.
func differAt(b *testing.B, left, right *sql.DB, n int) {
	run := func(db *sql.DB, stmt string, ids ...any) {
		_, err := db.ExecContext(b.Context(), stmt, ids...)
		require.NoError(b, err)
	}
	at := func(part int) int { return n/9*part/4*4 + 1 } // such a row has a note
	run(left, "DELETE FROM payments WHERE id IN (?, ?)", at(1), at(2))
	run(right, "DELETE FROM payments WHERE id IN (?, ?)", at(3), at(4))
	run(right, "UPDATE payments SET amount = amount + 0.01 WHERE id IN (?, ?)", at(5), at(6))
	run(right, "UPDATE payments SET note = NULL WHERE id = ?", at(7))
	run(right, "UPDATE payments SET status = CONCAT(status, ' ') WHERE id = ?", at(8))
}

func BenchmarkReconcileDigest(b *testing.B) {
	n := benchRows(b)
	left, right := servers.MySQL(b), servers.MySQL(b)
	fillPayments(b, left.DB, n)
	fillPayments(b, right.DB, n)
	differAt(b, left.DB, right.DB, n)
	check := Reconcile{
		Meta: Meta{Name: "payments", Timeout: time.Hour}, Left: Table{DB: left.DB, Name: "payments"}, Right: Table{DB: right.DB, Name: "payments"},
		Key: []Column{{Name: "id"}}, Compare: []Column{{Name: "customer"}, {Name: "status"}, {Name: "amount"}, {Name: "note"}, {Name: "paid_at"}},
	}
	line := bench.Benchmark{
		Name: "reconcile-digest/" + millions(n), Mem: true,
		Floor: func() error { return floorDigests(b, left.DB, right.DB) },
		Ours: func() error {
			f, err := check.Run(b.Context())
			if err == nil && (f.Total != 8 || f.Examined != int64(2*n-4)) {
				err = fmt.Errorf("found %d differences in %d rows", f.Total, f.Examined)
			}
			return err
		},
	}
	fast, strong := line, line
	if fast.Peer = tableSync(b, left.DSN, right.DSN); fast.Peer != nil {
		fast.PeerName = "pt-table-sync"
	} else {
		fast.Name += "(pt-table-sync-is-not-installed)"
	}
	fast.Run(b)
	check.Digest = DigestStrong
	strong.Name = "reconcile-digest-strong/" + millions(n)
	strong.Run(b)
}

// floorDigests is the least that two servers need to look at all values of all rows: a checksum that sees neither NULL nor swapped values.
func floorDigests(b *testing.B, left, right *sql.DB) error {
	var errs [2]error
	var both sync.WaitGroup
	for i, db := range [2]*sql.DB{left, right} {
		both.Go(func() {
			var n int64
			var sum uint64
			errs[i] = db.QueryRowContext(b.Context(), "SELECT COUNT(*), BIT_XOR(CRC32(CONCAT_WS(',', id, customer, status, amount, note, paid_at))) FROM payments").Scan(&n, &sum)
		})
	}
	both.Wait()
	return errors.Join(errs[:]...)
}

// tableSync returns pt-table-sync of Debian's percona-toolkit as a peer; nil: it is missing. MySQL 9 lacks what it looks for replicas with.
func tableSync(b *testing.B, left, right string) func() error {
	path, err := osexec.LookPath("pt-table-sync")
	if err != nil {
		return nil
	}
	args := []string{"--print", "--charset=utf8mb4", "--nocheck-slave"}
	for _, dsn := range []string{left, right} {
		c, err := mysql.ParseDSN(dsn)
		require.NoError(b, err)
		host, port, err := net.SplitHostPort(c.Addr)
		require.NoError(b, err)
		args = append(args, fmt.Sprintf("h=%s,P=%s,u=%s,p=%s,D=%s,t=payments", host, port, c.User, c.Passwd, c.DBName))
	}
	return func() error {
		out, err := osexec.CommandContext(b.Context(), path, args...).CombinedOutput()
		var exit *osexec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == 2 { // it found differences, and prints a statement for each
			err = nil
		}
		if err == nil && bytes.Count(out, []byte("payments`")) != 8 {
			err = errors.New("it does not find the eight differences")
		}
		if err != nil {
			return fmt.Errorf("%w: %.500s", err, out)
		}
		return nil
	}
}
