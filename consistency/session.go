package consistency

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// cleanupTimeout bounds what is done on the server after a look: put the session back, or kill the statement.
	cleanupTimeout = 3 * time.Second
	// lockWait is how long a look waits for a lock of somebody else (LOCK TABLES, DDL) before it gives up. MySQL's default is a year.
	lockWait = 3 * time.Second
)

// probeSession asks who and where we are, what decides how the query will be read, and what the guards are going to change.
const probeSession = `SELECT CONNECTION_ID(), CONCAT_WS('/', @@GLOBAL.server_uuid, @@GLOBAL.hostname, @@GLOBAL.port), @@SESSION.sql_mode, @@SESSION.character_set_client,
	@@SESSION.transaction_read_only, @@SESSION.max_execution_time, @@SESSION.lock_wait_timeout, @@SESSION.innodb_lock_wait_timeout`

// session is one connection of the pool on which nothing can be written: the session and its one transaction are read-only.
type session struct {
	db       *sql.DB
	conn     *sql.Conn
	id       int64  // the server's number of this connection
	server   string // which server this is: KILL must not reach another one
	mode     lexMode
	charset  string
	saved    guards
	limit    time.Duration // max_execution_time
	running  bool          // a statement may be running on the server
	doubtful bool          // the session may not be as it was: do not give it back to the pool
}

// guards are the session variables that the session changes.
type guards struct{ readOnly, maxExecution, lockWait, innodbLockWait int64 }

func (g guards) statement() string {
	return fmt.Sprintf("SET SESSION transaction_read_only = %d, max_execution_time = %d, lock_wait_timeout = %d, innodb_lock_wait_timeout = %d",
		g.readOnly, g.maxExecution, g.lockWait, g.innodbLockWait)
}

// openSession takes a connection out of the pool. ctx must have a deadline.
func openSession(ctx context.Context, db *sql.DB) (*session, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, advise("connect", err)
	}
	s := &session{db: db, conn: conn}
	var sqlMode string
	err = conn.QueryRowContext(ctx, probeSession).Scan(&s.id, &s.server, &sqlMode, &s.charset,
		&s.saved.readOnly, &s.saved.maxExecution, &s.saved.lockWait, &s.saved.innodbLockWait)
	if err != nil {
		s.discard()
		return nil, advise("ask the server who it is", notMySQL(err))
	}
	modes := strings.Split(sqlMode, ",")
	for _, m := range modes {
		s.mode.noBackslash = s.mode.noBackslash || m == "NO_BACKSLASH_ESCAPES"
		s.mode.ansiQuotes = s.mode.ansiQuotes || m == "ANSI_QUOTES"
	}
	return s, nil
}

// notMySQL explains an error of the first statement on a server that is no MySQL. MySQL knows every name in it since 5.7.20.
func notMySQL(err error) error {
	number := mysqlErrorNumber(err)
	if number == 0 && isConnectionError(err) || number != 0 && number != errUnknownVariable {
		return err
	}
	return Permanent(fmt.Errorf("this is not a MySQL server (5.7.20 or newer), and SQL can keep only MySQL from writing; look at other databases with a CheckFunc and an account that may only read: %w", err))
}

// vet returns the part of the query to be sent, read as this session's server will read it.
func (s *session) vet(query string) (string, error) {
	ascii := strings.IndexFunc(query, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
	if !ascii && s.charset != "utf8mb4" && s.charset != "utf8mb3" && s.charset != "utf8" {
		return "", Permanent(fmt.Errorf("the query was not sent: it holds characters beyond ASCII but the connection speaks %s: remove charset and collation from the DSN, or set charset=utf8mb4", s.charset))
	}
	stmt, err := vetSQL(query, s.mode)
	return stmt, Permanent(err)
}

// begin makes the session unable to write and opens its transaction: one snapshot for all that is read in it.
func (s *session) begin(ctx context.Context) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return errors.New("open a session: the context has no deadline")
	}
	left := time.Until(deadline)
	// The server gives up a little before the client does: that is a clean error instead of a torn connection.
	s.limit = max(left-min(left/10, time.Second), time.Millisecond).Truncate(time.Millisecond)
	wait := max(min(lockWait, left/2), time.Second)
	g := guards{readOnly: 1, maxExecution: min(s.limit.Milliseconds(), 1<<31), lockWait: int64(wait.Seconds()), innodbLockWait: int64(wait.Seconds())}
	s.doubtful = true
	for _, stmt := range []string{
		g.statement(),
		"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
		"START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
	} {
		s.running = true
		if _, err := s.conn.ExecContext(ctx, stmt); err != nil {
			return advise("make the session read-only", err)
		}
		s.running = false
	}
	// A proxy may have sent the statements above to another connection than the ones that follow: look.
	var id, readOnly int64
	if err := s.conn.QueryRowContext(ctx, "SELECT CONNECTION_ID(), @@SESSION.transaction_read_only").Scan(&id, &readOnly); err != nil {
		return advise("prove that the session is read-only", err)
	}
	if id != s.id || readOnly != 1 {
		return Permanent(errors.New("the session could not be made read-only: the statements reach different connections; give the check a connection that no proxy shares out"))
	}
	s.doubtful = false
	return nil
}

// query runs one vetted statement. It is always prepared on the server, which refuses more than one statement even when the DSN says
// multiStatements=true, and which keeps arguments apart from the text even when it says interpolateParams=true.
func (s *session) query(ctx context.Context, what, stmt string, args []any, read func(*sql.Rows) error) (err error) {
	s.running = true
	start := time.Now()
	prepared, err := s.conn.PrepareContext(ctx, stmt)
	if err != nil {
		return advise(what, err)
	}
	defer func() {
		if cerr := prepared.Close(); err == nil && cerr != nil {
			err = advise(what, cerr)
		}
	}()
	rows, err := prepared.QueryContext(ctx, args...)
	if err != nil {
		if strings.HasPrefix(err.Error(), "sql: expected") { // database/sql counts them and has no type for it
			err = Permanent(fmt.Errorf("%w: give one value for each ? (SQL.Args, SQL.PopulationArgs)", err))
		}
		return advise(what, err)
	}
	defer rows.Close()
	readErr := read(rows)
	if err := rows.Err(); err != nil { // why reading ended early comes first
		return advise(what, err)
	}
	if readErr != nil {
		return readErr
	}
	if err := rows.Close(); err != nil {
		return advise(what, err)
	}
	// The server ends SLEEP and some waiting functions at the limit without an error, with a wrong value in the result.
	if time.Since(start) >= s.limit {
		return Permanent(fmt.Errorf("%s: %w", what, errTimeLimit))
	}
	s.running = false
	return nil
}

// close gives the connection back as it was. Where that is not possible the connection is thrown away, and a statement that may still
// be running is stopped on the server. A non-nil error says that it may run on although the context ended.
func (s *session) close(ctx context.Context) error {
	cutOff := ctx.Err() != nil && s.running
	if !cutOff && !s.doubtful && s.restore(ctx) == nil {
		_ = s.conn.Close() // back to the pool
		return nil
	}
	s.discard()
	if !s.running {
		return nil
	}
	if err := s.kill(ctx); cutOff {
		return err
	}
	return nil
}

// restore puts the session back as openSession found it.
func (s *session) restore(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	for _, stmt := range []string{"ROLLBACK AND NO CHAIN NO RELEASE", s.saved.statement()} {
		if _, err := s.conn.ExecContext(ctx, stmt); err != nil {
			return err
		}
	}
	return nil
}

// discard closes the connection instead of giving it back.
func (s *session) discard() {
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = s.conn.Close()
}

// kill stops what runs on our connection, which is closed on this side already: cancelling a context does not reach the server. KILL and not KILL QUERY:
// nobody can come to use this connection any more, so that nothing else can be hit and nothing is left behind.
func (s *session) kill(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	defer func() {
		if err != nil {
			err = fmt.Errorf("the statement could not be stopped on the server and may run there for up to %s more (connection %d): %w", s.limit, s.id, err)
		}
	}()
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var id int64
	var server string
	var discard any
	if err := conn.QueryRowContext(ctx, probeSession).Scan(&id, &server, &discard, &discard, &discard, &discard, &discard, &discard); err != nil {
		return err
	}
	if server != s.server {
		return errors.New("the pool leads to another server now")
	}
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("KILL %d", s.id)); err != nil && mysqlErrorNumber(err) != errUnknownThread {
		return err
	}
	return nil
}
