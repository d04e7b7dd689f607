package consistency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Brake keeps a check from reading while its database has enough to do: before a look, and between two ranges of a long scan, it waits until the replica has
// caught up and few threads run. The zero value never waits. One Brake may serve many checks; it is used as a pointer.
//
// Seconds_Behind_Source counts whole seconds and is what the replica believes: it is zero while the network to the source is cut, until the replica notices. A
// heartbeat table tells the truth; see Heartbeat.
type Brake struct {
	// MaxLag is the lag of the replica above which the check waits. Zero: lag does not matter. Asking needs the privilege REPLICATION CLIENT
	// (MariaDB: REPLICA MONITOR). A server that is no replica has no lag: the check goes on, and the log says so once.
	MaxLag time.Duration
	// Heartbeat, if set, tells the lag in seconds instead of SHOW REPLICA STATUS: one row with one number that is not NULL, for example
	// "SELECT TIMESTAMPDIFF(MICROSECOND, MAX(ts), UTC_TIMESTAMP(6)) / 1e6 FROM percona.heartbeat". It needs no privilege but SELECT.
	Heartbeat string
	// MaxThreadsRunning is the number of running threads above which the check waits, its own one counted. Zero: it does not matter.
	MaxThreadsRunning int
	// Wait is how long to wait at most, within Meta.Timeout; then the look fails with the figures, and the check becomes Unknown. Zero: 30 s. Less than zero: do not wait.
	Wait time.Duration
	// Logger takes that a server is no replica. Nil: slog.Default().
	Logger *slog.Logger

	noReplica sync.Once
}

const (
	defaultBrakeWait = 30 * time.Second
	brakeInterval    = 250 * time.Millisecond // between two looks at the load
)

var errBraked = errors.New("the database has enough to do")

// Validate says what makes no sense in the fields.
func (b *Brake) Validate() error {
	var errs []error
	if b.MaxLag < 0 {
		errs = append(errs, fmt.Errorf("Brake.MaxLag is %s: it must not be negative (0: lag does not matter)", b.MaxLag))
	}
	if b.MaxThreadsRunning < 0 {
		errs = append(errs, fmt.Errorf("Brake.MaxThreadsRunning is %d: it must not be negative (0: it does not matter)", b.MaxThreadsRunning))
	}
	if b.Heartbeat != "" {
		if b.MaxLag == 0 {
			errs = append(errs, errors.New("Brake.Heartbeat is set but Brake.MaxLag is zero: nothing would wait for it"))
		}
		if err := vetAnyMode(b.Heartbeat); err != nil {
			errs = append(errs, fmt.Errorf("Brake.Heartbeat: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Ready returns when the database may be read, or an error with the figures when it has still too much to do after Wait. A nil Brake is always ready. SQL and
// Reconcile ask it themselves; a CheckFunc may.
func (b *Brake) Ready(ctx context.Context, db *sql.DB) error {
	if b == nil || b.MaxLag == 0 && b.MaxThreadsRunning == 0 {
		return nil
	}
	if err := b.Validate(); err != nil {
		return Permanent(err)
	}
	wait := b.Wait
	if wait == 0 {
		wait = defaultBrakeWait
	}
	started := time.Now()
	for {
		load, err := b.measure(ctx, db)
		if err != nil {
			return err
		}
		over := b.over(load)
		if over == "" {
			return nil
		}
		if time.Since(started) >= wait {
			waited := ""
			if wait > 0 {
				waited = ", still after " + time.Since(started).Round(100*time.Millisecond).String()
			}
			return Permanent(fmt.Errorf("%w%s: %s; the query was not sent", errBraked, waited, over))
		}
		if sleep(ctx, min(brakeInterval, wait)) != nil {
			return fmt.Errorf("%w: %s; the query was not sent: %w", errBraked, over, context.Cause(ctx))
		}
	}
}

// load is what a database has to do.
type load struct {
	threads int
	lag     lag
}

// lag is how far a replica is behind.
type lag struct {
	known   bool
	stopped string // why a replica that does not apply anything tells no number
	behind  time.Duration
}

// over says which limits the load exceeds; "" none.
func (b *Brake) over(l load) string {
	var over []string
	if b.MaxLag > 0 {
		switch {
		case l.lag.stopped != "":
			over = append(over, l.lag.stopped)
		case l.lag.known && l.lag.behind > b.MaxLag:
			over = append(over, fmt.Sprintf("the replica is %s behind (Brake.MaxLag is %s)", l.lag.behind.Round(time.Millisecond), b.MaxLag))
		}
	}
	if b.MaxThreadsRunning > 0 && l.threads > b.MaxThreadsRunning {
		over = append(over, fmt.Sprintf("%d threads are running (Brake.MaxThreadsRunning is %d)", l.threads, b.MaxThreadsRunning))
	}
	return strings.Join(over, ", and ")
}

// measure asks the server, in a session that cannot write and that waits for nobody.
func (b *Brake) measure(ctx context.Context, db *sql.DB) (l load, err error) {
	ctx, cancel := context.WithTimeout(ctx, max(lockWait, time.Second)+cleanupTimeout)
	defer cancel()
	s, err := openSession(ctx, db)
	if err != nil {
		return load{}, err
	}
	defer func() {
		if cerr := s.close(ctx); cerr != nil {
			err = errors.Join(err, cerr)
		}
	}()
	if err := s.beginPlain(ctx); err != nil {
		return load{}, err
	}
	if b.MaxThreadsRunning > 0 {
		if l.threads, err = s.threadsRunning(ctx); err != nil {
			return load{}, err
		}
	}
	switch {
	case b.Heartbeat != "":
		l.lag, err = s.heartbeat(ctx, b.Heartbeat)
	case b.MaxLag > 0:
		if l.lag, err = s.replicaLag(ctx); err == nil && !l.lag.known && l.lag.stopped == "" {
			b.noReplica.Do(func() {
				logger := b.Logger
				if logger == nil {
					logger = slog.Default()
				}
				logger.WarnContext(ctx, "consistency: Brake.MaxLag is set, but the database is no replica, so that its lag is unknown and nothing waits for it")
			})
		}
	}
	return l, err
}

func (s *session) threadsRunning(ctx context.Context) (n int, err error) {
	row, err := s.oneRow(ctx, "ask for Threads_running", "SHOW GLOBAL STATUS LIKE 'Threads_running'")
	if err == nil {
		n, err = strconv.Atoi(row["value"].String)
	}
	return n, err
}

func (s *session) heartbeat(ctx context.Context, query string) (lag, error) {
	stmt, err := s.vet(query)
	if err != nil {
		return lag{}, fmt.Errorf("Brake.Heartbeat: %w", err)
	}
	row, err := s.oneRow(ctx, "Brake.Heartbeat", stmt)
	if err != nil {
		return lag{}, err
	}
	for _, v := range row {
		seconds, err := strconv.ParseFloat(v.String, 64)
		if len(row) == 1 && v.Valid && err == nil && seconds > -1e9 && seconds < 1e9 {
			return lag{known: true, behind: time.Duration(seconds * float64(time.Second))}, nil
		}
	}
	return lag{}, Permanent(errors.New("Brake.Heartbeat: it must return one row with one number, the lag in seconds; is the heartbeat table empty?"))
}

// replicaLag asks for the status of the replica; with several sources the one that is furthest behind counts.
func (s *session) replicaLag(ctx context.Context) (worst lag, err error) {
	stmt, behind, apply, lastError := "SHOW REPLICA STATUS", "seconds_behind_source", "replica_sql_running", "last_sql_error"
	switch {
	case s.dialect.mariaDB():
		stmt, behind, apply = "SHOW ALL SLAVES STATUS", "seconds_behind_master", "slave_sql_running"
	case !s.dialect.version.atLeast(serverVersion{8, 0, 22}):
		stmt, behind, apply = "SHOW SLAVE STATUS", "seconds_behind_master", "slave_sql_running"
	}
	rows, err := s.allRows(ctx, "ask for the replica's lag", stmt)
	if err != nil {
		return lag{}, err
	}
	for _, row := range rows {
		now := lag{known: true}
		if seconds, err := strconv.Atoi(row[behind].String); row[behind].Valid && err == nil {
			now.behind = time.Duration(seconds) * time.Second
		} else {
			// NULL: nothing is applied, or the connection to the source is lost. The texts of errors may quote rows: only their number is shown.
			now = lag{stopped: fmt.Sprintf("the replica does not replicate (%s: %s", apply, row[apply].String)}
			if number := row["last_sql_errno"].String; row[lastError].String != "" {
				now.stopped += ", Last_SQL_Errno: " + number
			}
			now.stopped += ")"
		}
		if !worst.known && worst.stopped == "" || now.stopped != "" || worst.stopped == "" && now.behind > worst.behind {
			worst = now
		}
	}
	return worst, nil
}

// oneRow runs a statement of our own that returns one row; columns are named in small letters.
func (s *session) oneRow(ctx context.Context, what, stmt string) (map[string]sql.NullString, error) {
	rows, err := s.allRows(ctx, what, stmt)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 {
		return nil, Permanent(fmt.Errorf("%s: it returned %s instead of one", what, plural(len(rows), "row")))
	}
	return rows[0], nil
}

func (s *session) allRows(ctx context.Context, what, stmt string) (out []map[string]sql.NullString, err error) {
	var names []string
	err = s.stream(ctx, what, stmt, nil, func(columns []column) error {
		for _, c := range columns {
			names = append(names, strings.ToLower(c.name))
		}
		return nil
	}, func(values []any) error {
		if len(out) >= 1000 {
			return Permanent(fmt.Errorf("%s: it returned more than 1000 rows", what))
		}
		row := map[string]sql.NullString{}
		for i, v := range values {
			switch v := v.(type) {
			case nil:
				row[names[i]] = sql.NullString{}
			case []byte:
				row[names[i]] = sql.NullString{String: string(v), Valid: true}
			default:
				row[names[i]] = sql.NullString{String: fmt.Sprint(v), Valid: true}
			}
		}
		out = append(out, row)
		return nil
	})
	return out, err
}
