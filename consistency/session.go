package consistency

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
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

// probeSession asks who we are and what decides how the query will be read. Every database with SQL's VERSION() answers at least that it is another one.
const probeSession = "SELECT VERSION(), CONNECTION_ID(), @@SESSION.sql_mode, @@SESSION.character_set_client"

// session is one connection of the pool on which nothing can be written: the session and, in a snapshot, its one transaction are read-only.
//
//	s, err := openSession(ctx, db)     // ctx has a deadline
//	defer s.close(ctx)                 // its error matters: a statement may run on
//	stmt, err := s.vet(query)          // what a user wrote
//	err = s.begin(ctx)                 // one snapshot for all statements, or s.beginPlain(ctx): each statement sees what is committed when it starts
//	err = s.stream(ctx, "query", stmt, args, start, each) // or s.query; any number of them, one after the other
//
// A snapshot that stays open for long makes the server keep every old version of every row: take it where all statements must agree, for seconds; read
// ranges one after the other, for minutes, with beginPlain.
type session struct {
	db       *sql.DB
	conn     *sql.Conn
	id       int64  // the server's number of this connection
	server   string // which server this is: KILL must not reach another one
	dialect  dialect
	mode     lexMode
	charset  string
	saved    [][]setting   // what pin changed, as it was, in that order
	limit    time.Duration // of one statement on the server
	running  bool          // a statement may be running on the server
	leftOff  bool          // reading was left off before the end of a result
	doubtful bool          // the session may not be as it was: do not give it back to the pool
}

// openSession takes a connection out of the pool. ctx must have a deadline.
func openSession(ctx context.Context, db *sql.DB) (*session, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, advise("connect", err)
	}
	s := &session{db: db, conn: conn}
	if err := s.probe(ctx); err != nil {
		s.discard()
		return nil, err
	}
	return s, nil
}

func (s *session) probe(ctx context.Context) error {
	var version, sqlMode string
	err := s.conn.QueryRowContext(ctx, probeSession).Scan(&version, &s.id, &sqlMode, &s.charset)
	if err == nil {
		if s.dialect, err = dialectOf(version); err != nil {
			return err
		}
		err = s.conn.QueryRowContext(ctx, "SELECT "+s.dialect.identity).Scan(&s.server)
	}
	if err != nil {
		return advise("ask the server who it is", notMySQL(err))
	}
	s.mode, err = lexModeOf(sqlMode)
	return err
}

// notMySQL explains an error of the first statements on a server that is no MySQL. MySQL and MariaDB know every name in them.
func notMySQL(err error) error {
	number := mysqlErrorNumber(err)
	if number == 0 && isConnectionError(err) || number != 0 && number != errUnknownVariable {
		return err
	}
	return Permanent(fmt.Errorf("this is not a MySQL server (%s or newer) or MariaDB (%s or newer), and SQL can keep only those from writing; "+
		"look at other databases with a CheckFunc and an account that may only read: %w", oldestMySQL, oldestMariaDB, err))
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
	return s.guard(ctx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
}

// beginPlain makes the session unable to write. Each statement sees what is committed when it starts.
func (s *session) beginPlain(ctx context.Context) error { return s.guard(ctx) }

func (s *session) guard(ctx context.Context, then ...string) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return errors.New("open a session: the context has no deadline")
	}
	left := time.Until(deadline)
	// The server gives up a little before the client does: that is a clean error instead of a torn connection.
	s.limit = max(left-min(left/10, time.Second), time.Millisecond).Truncate(time.Millisecond)
	wait := max(min(lockWait, left/2), time.Second)
	if err := s.pin(ctx, s.dialect.guards(s.limit, wait)); err != nil {
		return advise("make the session read-only", err)
	}
	for _, stmt := range then {
		if err := s.exec(ctx, stmt); err != nil {
			return advise("make the session read-only", err)
		}
	}
	// A proxy may have sent the statements above to another connection than the ones that follow: look.
	s.doubtful = true
	var id, readOnly int64
	if err := s.conn.QueryRowContext(ctx, "SELECT CONNECTION_ID(), @@SESSION."+s.dialect.readOnly).Scan(&id, &readOnly); err != nil {
		return advise("prove that the session is read-only", err)
	}
	if id != s.id || readOnly != 1 {
		return Permanent(errors.New("the session could not be made read-only: the statements reach different connections; give the check a connection that no proxy shares out"))
	}
	s.doubtful = false
	return nil
}

// exec runs a statement of our own. Where it fails nobody knows what became of it.
func (s *session) exec(ctx context.Context, stmt string) error {
	s.running, s.doubtful = true, true
	if _, err := s.conn.ExecContext(ctx, stmt); err != nil {
		return err
	}
	s.running, s.doubtful = false, false
	return nil
}

// pin changes session variables until close, for example time_zone.
func (s *session) pin(ctx context.Context, settings []setting) error {
	values := make([]sql.NullString, len(settings))
	dest := make([]any, len(settings))
	for i := range values {
		dest[i] = &values[i]
	}
	if err := s.conn.QueryRowContext(ctx, reads(settings)).Scan(dest...); err != nil {
		return err
	}
	saved := make([]setting, len(settings))
	for i, v := range values {
		saved[i] = setting{settings[i].variable, settingValue(v.String, !v.Valid)}
	}
	s.saved = append(s.saved, saved)
	return s.exec(ctx, writes(settings))
}

// query runs one vetted statement. It is always prepared on the server, which refuses more than one statement even when the DSN says
// multiStatements=true, and which keeps arguments apart from the text even when it says interpolateParams=true.
// read may return before the last row: what is left of the statement is then stopped on the server, and the session is of no further use.
func (s *session) query(ctx context.Context, what, stmt string, args []any, read func(*sql.Rows) error) (err error) {
	s.running = true
	start := time.Now()
	readCtx, leaveOff := context.WithCancel(ctx)
	defer leaveOff()
	prepared, err := s.conn.PrepareContext(ctx, stmt)
	if err != nil {
		return advise(what, err)
	}
	defer func() {
		if cerr := prepared.Close(); err == nil && cerr != nil {
			err = advise(what, cerr)
		}
	}()
	rows, err := prepared.QueryContext(readCtx, args...)
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
		if s.leftOff = !drained(rows); s.leftOff {
			leaveOff() // closing the rows would read them to the end first
		}
		s.running = s.leftOff
		return readErr
	}
	if err := rows.Close(); err != nil {
		return advise(what, err)
	}
	// At the limit the server ends SLEEP, BENCHMARK and some waiting functions without an error, with a wrong value in the result.
	if time.Since(start) >= s.limit {
		return Permanent(fmt.Errorf("%s: %w", what, errTimeLimit))
	}
	s.running = false
	return nil
}

// drained reads the few rows that may be left, which is cheaper than a new connection, and reports whether those were all.
func drained(rows *sql.Rows) bool {
	for range 100 {
		if !rows.Next() {
			return rows.Err() == nil
		}
	}
	return false
}

// stream is query for many rows: start is called once with the columns, also where there are no rows, then each for every row, with values that the
// next one overwrites. Their errors end it and are returned as they are.
func (s *session) stream(ctx context.Context, what, stmt string, args []any, start func([]column) error, each func(values []any) error) error {
	return s.query(ctx, what, stmt, args, func(rows *sql.Rows) error {
		columns, err := columnsOf(rows)
		if err != nil {
			return err
		}
		if err := start(columns); err != nil {
			return err
		}
		values := make([]any, len(columns))
		dest := make([]any, len(columns))
		for i := range values {
			dest[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(dest...); err != nil {
				return advise("read the result", err)
			}
			if err := each(values); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// close gives the connection back as it was. Where that is not possible the connection is thrown away, and a statement that may still
// be running is stopped on the server. A non-nil error says that it may run on although the context ended.
func (s *session) close(ctx context.Context) error {
	cutOff := (ctx.Err() != nil || s.leftOff) && s.running
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
	statements := []string{"ROLLBACK AND NO CHAIN NO RELEASE"}
	for _, saved := range slices.Backward(s.saved) {
		statements = append(statements, writes(saved))
	}
	for _, stmt := range statements {
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
	var server string
	if err := conn.QueryRowContext(ctx, "SELECT "+s.dialect.identity).Scan(&server); err != nil {
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
