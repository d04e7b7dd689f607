package explainguard

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// session is a connection with its variables pinned.
type session struct {
	conn     *sql.Conn
	id       int64 // the server's number for it
	version  string
	was, now server   // the pinned variables; ON is 1 and OFF is 0, as SET takes them
	touched  []string // those that were set, in that order
	inTx     bool
	spoilt   bool
	dead     bool // it was closed, since what it ran would not end
}

// pinned are the variables that decide what EXPLAIN answers or does.
const pinned = `'version', 'explain_json_format_version', 'lock_wait_timeout', 'max_execution_time', 'sql_notes', ` +
	`'max_error_count', 'transaction_read_only', 'autocommit', 'innodb_lock_wait_timeout', ` +
	`'tx_read_only', 'max_statement_time', 'note_verbosity', ` + // MariaDB's
	pinnedForStats

// open loads and pins.
func (s *session) open(ctx context.Context) error {
	if err := s.load(ctx); err != nil {
		return err
	}
	return s.pin(ctx)
}

// begin keeps the session from writing, or starts a transaction that is rolled back.
func (s *session) begin(ctx context.Context, stmt statement) error {
	if s.was.mayReadOnly(stmt) {
		return s.set(ctx, s.was.readOnly(), "1")
	}
	if err := s.set(ctx, s.was.readOnly(), "0"); err != nil {
		return err
	}
	s.inTx = true
	if _, err := s.conn.ExecContext(ctx, "START TRANSACTION"); err != nil {
		return explained(ctx, "start a transaction to roll back", err)
	}
	return nil
}

// load remembers the session's variables.
func (s *session) load(ctx context.Context) error {
	rows, err := s.conn.QueryContext(ctx, "SHOW SESSION VARIABLES WHERE Variable_name IN ("+pinned+")")
	if err != nil {
		return explained(ctx, "read the session's variables", err)
	}
	defer rows.Close()
	s.was = server{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return fmt.Errorf("read the session's variables: %w", err)
		}
		switch strings.ToUpper(value) {
		case "ON":
			value = "1"
		case "OFF":
			value = "0"
		}
		s.was[strings.ToLower(name)] = value
	}
	if err := rows.Err(); err != nil {
		return explained(ctx, "read the session's variables", err)
	}
	s.now = maps.Clone(s.was)
	s.version = s.was["version"]
	return nil
}

// pin sets the variables that no statement differs in.
func (s *session) pin(ctx context.Context) error {
	set := []variable{{"lock_wait_timeout", "1"}, {"sql_notes", "1"}, {"note_verbosity", "basic,explain"}, {"max_error_count", "1024"}}
	if name, value := s.was.timeLimit(planningTimeout); name != "" {
		set = append(set, variable{name, value})
	}
	return s.setAll(ctx, set...)
}

type variable struct{ name, value string }

// set pins a variable that the server has, and remembers that it must be put back. An older server lacks some.
func (s *session) set(ctx context.Context, name, value string) error {
	return s.setAll(ctx, variable{name, value})
}

// setAll is set for several variables, in one statement.
func (s *session) setAll(ctx context.Context, set ...variable) error {
	statement := s.setting(set...)
	if statement == "" {
		return nil
	}
	if _, err := s.conn.ExecContext(ctx, statement); err != nil {
		return explained(ctx, "set the session's "+strings.TrimPrefix(statement, "SET SESSION "), err)
	}
	return nil
}

// setting returns the statement that gives variables these values, "" if they have them, and counts on its being run.
func (s *session) setting(set ...variable) string {
	var changes []string
	for _, v := range set {
		if now, ok := s.now[v.name]; !ok || now == v.value {
			continue
		}
		if !slices.Contains(s.touched, v.name) {
			s.touched = append(s.touched, v.name)
		}
		s.now[v.name] = v.value
		changes = append(changes, v.name+" = "+settingValue(v.value))
	}
	if changes == nil {
		return ""
	}
	return "SET SESSION " + strings.Join(changes, ", ")
}

// close puts the session back and gives the connection to the pool again, or closes it if that is not possible.
func (s *session) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTimeout)
	defer cancel()
	if s.inTx || s.was["autocommit"] == "0" || s.now["autocommit"] == "0" { // which setting it to 1 would commit
		if _, err := s.conn.ExecContext(ctx, "ROLLBACK"); err != nil {
			s.spoilt = true
		}
	}
	if len(s.touched) > 0 && !s.spoilt && s.restore(ctx) != nil {
		s.spoilt = true
	}
	if s.spoilt {
		// The pool drops a connection that says it is bad. That is the wish here, so it is no error.
		_ = s.conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	if err := s.conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) && !errors.Is(err, driver.ErrBadConn) {
		return fmt.Errorf("give the connection back: %w", err)
	}
	return nil
}

// restore gives every variable that was set its old value.
func (s *session) restore(ctx context.Context) error {
	var restore []string
	for _, name := range s.touched {
		restore = append(restore, name+" = "+settingValue(s.was[name]))
	}
	_, err := s.conn.ExecContext(ctx, "SET SESSION "+strings.Join(restore, ", "))
	return err
}
