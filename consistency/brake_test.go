package consistency

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// replicas starts a source and its replica.
func replicas(t *testing.T, own func(servers.TB, ...string) *servers.MySQLServer) (source, replica *servers.MySQLServer) {
	source = own(t, "--server-id=1", "--log-bin=bin")
	replica = own(t, "--server-id=2", "--log-bin=bin")
	if !isMariaDB(t) { // both come from one image: the replica needs a name of its own
		_, err := replica.Exec("rm", "/var/lib/mysql/auto.cnf")
		require.NoError(t, err)
		require.NoError(t, replica.Stop())
		require.NoError(t, replica.Start())
	}
	exec(t, source.DB, "CREATE USER 'repl' IDENTIFIED BY 'r'", "GRANT REPLICATION SLAVE ON *.* TO 'repl'", "CREATE DATABASE pair", "CREATE TABLE pair.t (id INT PRIMARY KEY)")
	exec(t, replica.DB, "CREATE DATABASE pair", "CREATE TABLE pair.t (id INT PRIMARY KEY)")
	status := map[bool]string{false: "SHOW BINARY LOG STATUS", true: "SHOW MASTER STATUS"}[isMariaDB(t)]
	var file string
	var at int64
	rows, err := source.DB.Query(status)
	require.NoError(t, err)
	columns, err := rows.Columns()
	require.NoError(t, err)
	require.True(t, rows.Next())
	dest := []any{&file, &at}
	for len(dest) < len(columns) {
		dest = append(dest, new(any))
	}
	require.NoError(t, rows.Scan(dest...))
	require.NoError(t, rows.Close())
	cfg, err := mysql.ParseDSN(source.Direct())
	require.NoError(t, err)
	host, port, err := net.SplitHostPort(cfg.Addr)
	require.NoError(t, err)
	change := "CHANGE REPLICATION SOURCE TO GET_SOURCE_PUBLIC_KEY=1, SOURCE_HOST='%[1]s', SOURCE_PORT=%[2]s, SOURCE_USER='repl', SOURCE_PASSWORD='r', SOURCE_LOG_FILE='%[3]s', SOURCE_LOG_POS=%[4]d"
	if isMariaDB(t) {
		change = "CHANGE MASTER TO MASTER_HOST='%[1]s', MASTER_PORT=%[2]s, MASTER_USER='repl', MASTER_PASSWORD='r', MASTER_LOG_FILE='%[3]s', MASTER_LOG_POS=%[4]d"
	}
	exec(t, replica.DB, fmt.Sprintf(change, host, port, file, at), "START REPLICA")
	return source, replica
}

func TestBrakeWaitsForTheReplica(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]func(servers.TB, ...string) *servers.MySQLServer{"MySQL": servers.OwnMySQL, "MariaDB": servers.OwnMariaDB} {
		t.Run(name, func(t *testing.T) {
			source, replica := replicas(t, own)
			arrived := func(id int) bool {
				var n int
				require.NoError(t, replica.DB.QueryRow("SELECT COUNT(*) FROM pair.t WHERE id = ?", id).Scan(&n))
				return n == 1
			}
			exec(t, source.DB, "INSERT INTO pair.t VALUES (1)")
			require.Eventually(t, func() bool { return arrived(1) }, 60*time.Second, 50*time.Millisecond)
			check := SQL{
				Meta: Meta{Name: "x", Retry: fast}, DB: replica.DB, Query: "SELECT id FROM pair.t WHERE id < 0", Key: []string{"id"},
				Brake: &Brake{MaxLag: time.Second, Wait: time.Millisecond},
			}
			require.Equal(t, Consistent, runOne(t.Context(), t, check).Outcome)

			// The replica applies nothing: there is no number.
			exec(t, replica.DB, "STOP REPLICA SQL_THREAD")
			r := runOne(t.Context(), t, check)
			require.Equal(t, Unknown, r.Outcome)
			require.Contains(t, r.Reason, "the replica does not replicate (")
			require.Contains(t, r.Reason, "sql_running: No")
			require.Equal(t, 1, r.Errors)
			t.Log(r.Reason)

			// The replica applies late: the check waits for it.
			delay := map[bool]string{false: "CHANGE REPLICATION SOURCE TO SOURCE_DELAY = 8", true: "CHANGE MASTER TO MASTER_DELAY = 8"}[isMariaDB(t)]
			exec(t, replica.DB, "STOP REPLICA", delay, "START REPLICA")
			exec(t, source.DB, "INSERT INTO pair.t VALUES (2)")
			behind := func() bool {
				return strings.Contains(fmt.Sprint(check.Brake.Ready(t.Context(), replica.DB)), "s behind (Brake.MaxLag is 1s)")
			}
			require.Eventually(t, behind, 20*time.Second, 20*time.Millisecond)
			r = runOne(t.Context(), t, check)
			require.Equal(t, Unknown, r.Outcome)
			t.Log(r.Reason)
			check.Brake = &Brake{MaxLag: time.Second, Wait: time.Minute}
			require.False(t, arrived(2))
			require.Equal(t, Consistent, runOne(t.Context(), t, check).Outcome)
			require.True(t, arrived(2), "it did not wait")

			// Who may not ask is told what is missing; who is no replica is told that nothing waits.
			exec(t, replica.DB, "CREATE USER reader IDENTIFIED BY 'r'", "GRANT SELECT ON *.* TO reader")
			check.DB = open(t, replica, func(c *mysql.Config) { c.User, c.Passwd = "reader", "r" })
			r = runOne(t.Context(), t, check)
			require.Equal(t, Unknown, r.Outcome)
			require.Contains(t, r.Reason, "ask for the replica's lag: Error 1227")
			require.Contains(t, r.Reason, "Brake.Heartbeat")
			t.Log(r.Reason)
			var log bytes.Buffer
			check.DB, check.Brake = source.DB, &Brake{MaxLag: time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil))}
			for range 3 {
				require.Equal(t, Consistent, runOne(t.Context(), t, check).Outcome)
			}
			require.Equal(t, 1, strings.Count(log.String(), "is no replica"), log.String())
		})
	}
}

func TestBrakeReadsAHeartbeat(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *servers.MySQLServer) {
		exec(t, server.DB, "CREATE TABLE heartbeat (ts DATETIME(6))")
		b := &Brake{MaxLag: 2 * time.Second, Wait: -1, Heartbeat: "SELECT TIMESTAMPDIFF(MICROSECOND, MAX(ts), UTC_TIMESTAMP(6)) / 1e6 FROM heartbeat"}
		require.ErrorContains(t, b.Ready(t.Context(), server.DB), "is the heartbeat table empty?")
		exec(t, server.DB, "INSERT INTO heartbeat VALUES (UTC_TIMESTAMP(6) - INTERVAL 1 HOUR)")
		err := b.Ready(t.Context(), server.DB)
		require.ErrorIs(t, err, errBraked)
		require.Regexp(t, `the replica is 1h0m\d[.\ds]+ behind \(Brake.MaxLag is 2s\)`, err.Error())
		exec(t, server.DB, "INSERT INTO heartbeat VALUES (UTC_TIMESTAMP(6) + INTERVAL 1 HOUR)")
		require.NoError(t, b.Ready(t.Context(), server.DB))
		for query, want := range map[string]string{
			"SELECT 'soon'":     "one row with one number",
			"SELECT 1, 2":       "one row with one number",
			"SELECT 1e300":      "one row with one number",
			"SELECT 1 WHERE 0":  "0 rows instead of one",
			"SELECT 1 FROM no":  "Error 1146",
			"DELETE FROM t":     "begins with DELETE",
			"SELECT id FROM t ": "3 rows instead of one",
		} {
			b.Heartbeat = query
			require.ErrorContains(t, b.Ready(t.Context(), server.DB), want, query)
		}
	})
}

func TestBrakeWaitsWhileManyThreadsRun(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]func(servers.TB, ...string) *servers.MySQLServer{"MySQL": servers.OwnMySQL, "MariaDB": servers.OwnMariaDB} {
		t.Run(name, func(t *testing.T) {
			server := withOrders(t, own(t))
			b := &Brake{MaxThreadsRunning: 5, Wait: -1}
			require.NoError(t, b.Ready(t.Context(), server.DB))
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var load sync.WaitGroup
			for range 8 {
				load.Go(func() {
					var n int
					_ = server.DB.QueryRowContext(ctx, "SELECT COUNT(*) FROM t WHERE SLEEP(20)").Scan(&n)
				})
			}
			require.Eventually(t, func() bool { return running(t, server, "SLEEP") == 8 }, 20*time.Second, 10*time.Millisecond)
			err := b.Ready(t.Context(), server.DB)
			require.ErrorIs(t, err, errBraked)
			require.Regexp(t, `(9|1\d) threads are running \(Brake.MaxThreadsRunning is 5\); the query was not sent`, err.Error())
			t.Log(err)
			short, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			b.Wait = time.Hour
			err = b.Ready(short, server.DB)
			require.ErrorIs(t, err, context.DeadlineExceeded, "the end of the context ends the wait")
			require.ErrorContains(t, err, "threads are running")
			stop()
			load.Wait()
			b.Wait = time.Minute
			require.NoError(t, b.Ready(t.Context(), server.DB), "SLEEP notices by itself that its client has gone")
		})
	}
}

func TestBrakeStopsAReconciliation(t *testing.T) {
	onEach(t, func(t *testing.T, server *servers.MySQLServer) {
		busy := &Brake{MaxLag: time.Second, Wait: -1, Heartbeat: "SELECT 3600"}
		side := Query{DB: server.DB, SQL: "SELECT id FROM t ORDER BY id"}
		check := Reconcile{Meta: Meta{Name: "x", Retry: fast}, Left: side, Right: side, Key: []Column{{Name: "id"}}}
		require.Equal(t, Consistent, runOne(t.Context(), t, check).Outcome)
		side.Brake = busy
		check.Right = side
		r := runOne(t.Context(), t, check)
		require.Equal(t, Unknown, r.Outcome)
		require.Contains(t, r.Reason, "the replica is 1h0m0s behind (Brake.MaxLag is 1s); the query was not sent")
		require.Equal(t, 1, r.Errors)
	})
}

func TestBrakeValidate(t *testing.T) {
	require.NoError(t, (&Brake{}).Validate())
	require.NoError(t, (*Brake)(nil).Ready(t.Context(), nil))
	require.NoError(t, (&Brake{}).Ready(t.Context(), nil), "the zero value asks nothing")
	err := SQL{Meta: Meta{Name: "x"}, DB: new(sql.DB), Query: "SELECT 1 AS id", Key: []string{"id"}, Brake: &Brake{MaxLag: -1, MaxThreadsRunning: -2}}.Validate()
	require.ErrorContains(t, err, "Brake.MaxLag is -1ns")
	require.ErrorContains(t, err, "Brake.MaxThreadsRunning is -2")
	require.ErrorContains(t, (&Brake{Heartbeat: "SELECT 1"}).Validate(), "Brake.MaxLag is zero")
}
