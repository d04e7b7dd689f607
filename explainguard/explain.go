package explainguard

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Conner gives connections; *sql.DB does.
type Conner interface {
	Conn(ctx context.Context) (*sql.Conn, error)
}

// Explainer asks a server for plans. The zero Format takes JSON v2 where the server has it and shows the statement in
// it, else JSON v1.
type Explainer struct {
	DB     Conner // required
	Format Format // FormatUnknown (the default): the best that the server offers
}

// Explain asks the server for the plan of one statement with these arguments; it never runs the statement. It is
// Explainer{DB: db}.Explain; read there what it does to the session.
func Explain(ctx context.Context, db Conner, query string, args ...any) (*Plan, error) {
	return Explainer{DB: db}.Explain(ctx, query, args...)
}

const (
	explainTimeout = time.Minute // for a context without a deadline
	restoreTimeout = 5 * time.Second
	// MySQL runs constant subqueries while it plans; this bounds them.
	planningTimeout = 10 * time.Second
)

// Explain asks the server for the plan of one statement with these arguments.
//
// It takes a connection of its own and sets, for that session: explain_json_format_version; lock_wait_timeout = 1, so
// that it fails behind LOCK TABLES instead of waiting for a year; max_execution_time, 10 s unless the session has less;
// sql_notes and max_error_count, without which the server keeps the rewritten statement to itself; and
// transaction_read_only, since MySQL does run constant subqueries, and functions in them, while it plans. MySQL refuses EXPLAIN of a
// writing statement in a read-only session, so such a statement is explained inside a transaction that is rolled back.
// All of it is put back, also when the context has ended; a connection on which that fails is closed, and so is one on
// which planning may have left a mark that cannot be taken back (GET_LOCK, LAST_INSERT_ID(…), a user variable).
//
// The statement travels as a prepared one, so that the server itself refuses a second statement, and arguments are the real
// ones. All of it takes at most a minute, also when the context has no deadline. Errors name what to do; a statement for which there are no plans gives ErrNotExplainable, before the server sees it.
func (e Explainer) Explain(ctx context.Context, query string, args ...any) (*Plan, error) {
	p, err := e.explain(ctx, query, args)
	if err != nil {
		return nil, fmt.Errorf("explainguard: explain: %w", err)
	}
	return p, nil
}

func (e Explainer) explain(ctx context.Context, query string, args []any) (_ *Plan, err error) {
	if e.DB == nil {
		return nil, errors.New("no database: set DB")
	}
	stmt, err := oneStatement(query)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	conn, err := e.DB.Conn(ctx)
	if err != nil {
		err = explained(ctx, "connect to the server", err)
		if pool, ok := e.DB.(*sql.DB); ok && ctx.Err() != nil {
			if st := pool.Stats(); st.MaxOpenConnections > 0 && st.InUse >= st.MaxOpenConnections {
				err = fmt.Errorf("%w (all %d connections that SetMaxOpenConns allows are in use)", err, st.MaxOpenConnections)
			}
		}
		return nil, err
	}
	s := session{conn: conn, spoilt: stmt.marksSession}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.open(ctx, stmt.readOnly); err != nil {
		return nil, err
	}
	format, err := s.choose(e.Format)
	if err != nil {
		return nil, err
	}
	p, err := s.plan(ctx, format, stmt.text, args)
	if err != nil {
		return nil, err
	}
	if e.Format == FormatUnknown && p.Format == FormatJSONv2 && p.v1Shows {
		// Single-table writes, and the rows of a COUNT(*).
		if p1, err := s.plan(ctx, FormatJSONv1, stmt.text, args); err == nil && p1.Format == FormatJSONv1 {
			p = p1
		} else if err != nil {
			return nil, err
		}
	}
	p.Query, p.ServerVersion = query, s.version
	return p, s.probeEmpty(ctx, p)
}

// session is a connection with its variables pinned.
type session struct {
	conn     *sql.Conn
	version  string
	was, now map[string]string // the pinned variables; ON is 1 and OFF is 0, as SET takes them
	touched  []string          // those that were set, in that order
	inTx     bool
	spoilt   bool
}

// pinned are the variables that decide what EXPLAIN answers or does.
const pinned = `'version', 'explain_json_format_version', 'lock_wait_timeout', 'max_execution_time', 'sql_notes', ` +
	`'max_error_count', 'transaction_read_only', 'autocommit'`

func (s *session) open(ctx context.Context, readOnly bool) error {
	rows, err := s.conn.QueryContext(ctx, "SHOW SESSION VARIABLES WHERE Variable_name IN ("+pinned+")")
	if err != nil {
		return explained(ctx, "read the session's variables", err)
	}
	defer rows.Close()
	s.was = map[string]string{}
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
	if strings.Contains(strings.ToLower(s.version), "mariadb") {
		return fmt.Errorf("the server is MariaDB %s, whose plans are not read; explain on MySQL", s.version)
	}
	if err := s.set(ctx, "lock_wait_timeout", "1"); err != nil {
		return err
	}
	if now, err := strconv.Atoi(s.was["max_execution_time"]); err == nil && (now == 0 || now > int(planningTimeout.Milliseconds())) {
		if err := s.set(ctx, "max_execution_time", strconv.FormatInt(planningTimeout.Milliseconds(), 10)); err != nil {
			return err
		}
	}
	if err := s.set(ctx, "sql_notes", "1"); err != nil {
		return err
	}
	if err := s.set(ctx, "max_error_count", "1024"); err != nil {
		return err
	}
	if readOnly {
		return s.set(ctx, "transaction_read_only", "1")
	}
	if err := s.set(ctx, "transaction_read_only", "0"); err != nil {
		return err
	}
	s.inTx = true
	if _, err := s.conn.ExecContext(ctx, "START TRANSACTION"); err != nil {
		return explained(ctx, "start a transaction to roll back", err)
	}
	return nil
}

// set pins a variable that the server has, and remembers that it must be put back. An older server lacks some.
func (s *session) set(ctx context.Context, name, value string) error {
	if now, ok := s.now[name]; !ok || now == value {
		return nil
	}
	if !slices.Contains(s.touched, name) {
		s.touched = append(s.touched, name)
	}
	s.now[name] = value
	if _, err := s.conn.ExecContext(ctx, "SET SESSION "+name+" = "+value); err != nil {
		return explained(ctx, "set the session's "+name, err)
	}
	return nil
}

// close puts the session back and gives the connection to the pool again, or closes it if that is not possible.
func (s *session) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTimeout)
	defer cancel()
	if s.inTx || s.was["autocommit"] == "0" {
		if _, err := s.conn.ExecContext(ctx, "ROLLBACK"); err != nil {
			s.spoilt = true
		}
	}
	if len(s.touched) > 0 && !s.spoilt {
		var restore []string
		for _, name := range s.touched {
			restore = append(restore, name+" = "+s.was[name])
		}
		if _, err := s.conn.ExecContext(ctx, "SET SESSION "+strings.Join(restore, ", ")); err != nil {
			s.spoilt = true
		}
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

// choose settles the format: the wanted one if the server has it.
func (s *session) choose(want Format) (Format, error) {
	_, hasV2 := s.was["explain_json_format_version"]
	switch want {
	case FormatUnknown:
		if hasV2 {
			return FormatJSONv2, nil
		}
		return FormatJSONv1, nil
	case FormatJSONv1:
		return want, nil
	case FormatJSONv2:
		if !hasV2 {
			return want, fmt.Errorf("MySQL %s has no explain JSON format version 2, which came with 8.3; "+
				"leave Format unset or set it to FormatJSONv1", s.version)
		}
		return want, nil
	default:
		return want, fmt.Errorf("%s (%d) cannot be asked for; leave Format unset, or set FormatJSONv1 or FormatJSONv2", want, int(want))
	}
}

func (s *session) plan(ctx context.Context, format Format, query string, args []any) (*Plan, error) {
	version := map[Format]string{FormatJSONv1: "1", FormatJSONv2: "2"}[format]
	if err := s.set(ctx, "explain_json_format_version", version); err != nil {
		return nil, err
	}
	text, err := s.json(ctx, query, args)
	if err != nil {
		return nil, explained(ctx, "EXPLAIN", err)
	}
	p, err := Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	return p, s.warnings(ctx, p)
}

func (s *session) json(ctx context.Context, query string, args []any) (string, error) {
	stmt, err := s.conn.PrepareContext(ctx, "EXPLAIN FORMAT=JSON "+query)
	if err != nil {
		return "", err
	}
	defer stmt.Close()
	var text string
	if err := stmt.QueryRowContext(ctx, args...).Scan(&text); err != nil {
		return "", err
	}
	return text, nil
}

// noteRewritten is the note that holds the statement as the optimizer rewrote it.
const noteRewritten = 1003

func (s *session) warnings(ctx context.Context, p *Plan) error {
	rows, err := s.conn.QueryContext(ctx, "SHOW WARNINGS")
	if err != nil {
		return explained(ctx, "read the server's warnings", err)
	}
	defer rows.Close()
	for rows.Next() {
		var w Warning
		if err := rows.Scan(&w.Level, &w.Code, &w.Message); err != nil {
			return fmt.Errorf("read the server's warnings: %w", err)
		}
		if w.Code == noteRewritten {
			if p.Rewritten == "" {
				p.Rewritten = w.Message
				p.finish()
			}
			continue
		}
		p.Warnings = append(p.Warnings, w)
	}
	if err := rows.Err(); err != nil {
		return explained(ctx, "read the server's warnings", err)
	}
	return nil
}

// probeEmpty asks whether the tables that the statement reads hold any row at all. An estimate over an empty table says
// nothing about production (each value of an IN list counts as one row there), so such a plan is not judged.
func (s *session) probeEmpty(ctx context.Context, p *Plan) error {
	var names, probes []string
	seen := map[string]bool{}
	for _, b := range p.Blocks() {
		for _, n := range b.Accesses() {
			name := quoteName(n.Schema, n.Table)
			if !n.Base || seen[name] || n.Schema == "" || systemSchema[strings.ToLower(n.Schema)] {
				continue
			}
			seen[name] = true
			names = append(names, n.Table)
			probes = append(probes, "EXISTS(SELECT 1 FROM "+name+")")
		}
	}
	for len(probes) > 0 {
		k := min(len(probes), 50)
		found := make([]bool, k)
		into := make([]any, k)
		for i := range found {
			into[i] = &found[i]
		}
		if err := s.conn.QueryRowContext(ctx, "SELECT "+strings.Join(probes[:k], ", ")).Scan(into...); err != nil {
			return explained(ctx, "look whether the tables hold rows", err)
		}
		for i, ok := range found {
			if !ok {
				p.cannotTell("table "+names[i]+" is empty here, so the optimizer's estimate for it says nothing about production",
					"insert realistic rows and run ANALYZE TABLE")
			}
		}
		names, probes = names[k:], probes[k:]
	}
	return nil
}

var systemSchema = map[string]bool{"mysql": true, "information_schema": true, "performance_schema": true, "sys": true}

func quoteName(schema, table string) string {
	q := func(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }
	return q(schema) + "." + q(table)
}
