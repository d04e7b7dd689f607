package explainguard

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Conner gives connections; *sql.DB does.
type Conner interface {
	Conn(ctx context.Context) (*sql.Conn, error)
}

// Explainer asks a server for plans. The zero Format takes JSON v2 where the server has it and shows the statement in
// it, else JSON v1; on MariaDB, MariaDB's JSON.
type Explainer struct {
	DB     Conner // required
	Format Format // FormatUnknown (the default): the best that the server offers

	// Analyze, if above 0, really runs the statement under EXPLAIN ANALYZE, for at most about so long, and the plan then says what happened
	// (Plan.Analyzed, Node.Actual). Only statements that read are run: one that writes is an error.
	//
	// What the server's answer hides is brought back: index condition pushdown is switched off for the run where the plan uses it, since
	// nobody counts the rows that it drops (if the run then takes too long, it is repeated with it, which doubles the time); rows that only the
	// session's handler counters show (a stored function's, a subquery that the server leaves out of the answer, internal
	// temporary tables) are Plan.Unseen; a COUNT(*) of a whole table counts with the optimizer's estimate.
	//
	// A run that reaches the limit is no error: Plan.Stopped says so, the figures show how far it had come, and such a plan never
	// passes. The limit is max_execution_time; a hint MAX_EXECUTION_TIME in the statement overrules that, so that half a second later
	// KILL QUERY follows, which takes a second connection of DB for a moment.
	//
	// The session reads only, which stops writes in stored functions as well (error 1792). SELECT … FOR UPDATE and FOR SHARE lock nothing under
	// EXPLAIN ANALYZE and wait for nobody's row locks, and INTO stores nothing; GET_LOCK locks, until the connection is closed right after the run; SLEEP sleeps.
	Analyze time.Duration

	standing *standing // the statistics that a Guard applied, or nil
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

// Explain asks the server for the plan of one statement with these arguments. It runs the statement only if Analyze is set.
//
// It takes a connection of its own and sets, for that session: explain_json_format_version; lock_wait_timeout = 1, so
// that it fails behind LOCK TABLES instead of waiting for a year; max_execution_time, 10 s unless the session has less;
// sql_notes and max_error_count, without which the server keeps the rewritten statement to itself; and
// transaction_read_only, since MySQL does run constant subqueries, and functions in them, while it plans. MySQL refuses EXPLAIN of a
// writing statement in a read-only session, so such a statement is explained inside a transaction that is rolled back. On MariaDB
// the variables are max_statement_time, note_verbosity and tx_read_only where MySQL's are others.
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
	if err := e.checkAnalyze(stmt); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, explainTimeout+2*e.Analyze)
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
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	if err := s.planByStats(ctx, e.standing); err != nil {
		return nil, err
	}
	if err := s.pin(ctx); err != nil {
		return nil, err
	}
	if err := s.begin(ctx, stmt); err != nil {
		return nil, err
	}
	before, err := s.readMarks(ctx, e.standing)
	if err != nil {
		return nil, err
	}
	format, err := s.was.format(e.Format)
	if err != nil {
		return nil, err
	}
	p, err := s.planFor(ctx, e.standing, format, stmt.text, args)
	if err != nil {
		return nil, err
	}
	if e.Analyze > 0 {
		if err := s.was.canAnalyze(); err != nil {
			return nil, err
		}
		if p, err = e.analyze(ctx, &s, format, stmt.text, args, p); err != nil {
			return nil, err
		}
	} else if p, err = s.complete(p, e.Format, stmt.text, func() (*Plan, error) {
		return s.planFor(ctx, e.standing, FormatJSONv1, stmt.text, args)
	}); err != nil {
		return nil, err
	}
	s.sign(p, query, stmt)
	if s.dead {
		return p, nil
	}
	if err := s.stands(ctx, e.standing, p, before); err != nil {
		return nil, err
	}
	return p, s.probeEmpty(ctx, p, e.standing)
}

// sign notes on a plan what the session knows of it.
func (s *session) sign(p *Plan, query string, stmt statement) {
	p.Query, p.ServerVersion = query, s.version
	p.limitTime(s.was, stmt.readOnly)
	if p.Writes == "" && !stmt.readOnly { // MariaDB's plan of a write looks like that of a SELECT
		p.Writes = stmt.verb
	}
}

func (s *session) plan(ctx context.Context, format Format, query string, args []any) (*Plan, error) {
	if format == FormatMariaDB {
		return s.planMariaDB(ctx, query, args)
	}
	if err := s.setFormat(ctx, format); err != nil {
		return nil, err
	}
	parsed := &Plan{}
	text, err := s.ask(ctx, "EXPLAIN FORMAT="+formatWord(format)+" "+query, args, parsed)
	if err != nil {
		return nil, explained(ctx, "EXPLAIN", err)
	}
	p, err := Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	p.Warnings = parsed.Warnings
	if (p.Format == FormatTree) != (format == FormatTree) {
		return nil, fmt.Errorf("the server answered with %s when it was asked for %s", p.Format, format)
	}
	if err := s.warnings(ctx, p); err != nil || format != FormatTree || p.Rewritten != "" {
		return p, err
	}
	// TREE comes without the rewritten statement, and knows tables by their aliases only.
	named, err := s.plan(ctx, s.bestJSON(), query, args)
	if err != nil {
		return nil, err
	}
	p.nameLike(named)
	return p, nil
}

func (s *session) bestJSON() Format {
	if _, hasV2 := s.was["explain_json_format_version"]; hasV2 {
		return FormatJSONv2
	}
	return FormatJSONv1
}

// jsonVersion is what explain_json_format_version says for a format; TREE has none.
var jsonVersion = map[Format]string{FormatJSONv1: "1", FormatJSONv2: "2"}

// setFormat chooses the version of FORMAT=JSON.
func (s *session) setFormat(ctx context.Context, format Format) error {
	version := jsonVersion[format]
	if version == "" {
		return nil
	}
	return s.set(ctx, "explain_json_format_version", version)
}

// formatWord is what follows FORMAT=.
func formatWord(f Format) string {
	if f == FormatTree {
		return "TREE"
	}
	return "JSON"
}

// ask sends one EXPLAIN and returns the server's answer; what the server remarks while it parses goes to parsed.
func (s *session) ask(ctx context.Context, explain string, args []any, parsed *Plan) (string, error) {
	stmt, err := s.conn.PrepareContext(ctx, explain)
	if err != nil {
		return "", err
	}
	defer stmt.Close()
	if parsed != nil && hintText(explain) != "" { // what the server remarks on hints it says when it parses them, and never again
		if err := s.warnings(ctx, parsed); err != nil {
			return "", err
		}
	}
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
		p.remark(w)
	}
	if err := rows.Err(); err != nil {
		return explained(ctx, "read the server's warnings", err)
	}
	return nil
}

// remark takes over a row of SHOW WARNINGS.
func (p *Plan) remark(w Warning) {
	switch {
	case w.Code != noteRewritten:
		if !slices.Contains(p.Warnings, w) {
			p.Warnings = append(p.Warnings, w)
		}
	case p.Rewritten == "":
		p.Rewritten = w.Message
		p.finish()
	}
}

// probeEmpty asks whether the tables that the statement reads hold any row at all. An estimate over an empty table says
// nothing about production (each value of an IN list counts as one row there), so such a plan is not judged.
func (s *session) probeEmpty(ctx context.Context, p *Plan, st *standing) error {
	names, probes := p.probes(st)
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
				p.emptyTable(names[i])
			}
		}
		names, probes = names[k:], probes[k:]
	}
	return nil
}

// probes returns the stored tables that the plan reads, and for each an expression that is 1 if it holds a row.
func (p *Plan) probes(st *standing) (names, probes []string) {
	seen := map[string]bool{}
	for _, b := range p.Blocks() {
		for _, n := range b.Accesses() {
			name := quoteName(n.Schema, n.Table)
			if !n.Base || seen[name] || n.Schema == "" || systemSchema[strings.ToLower(n.Schema)] || st.table(n.Schema, n.Table) != nil {
				continue
			}
			seen[name] = true
			names = append(names, n.Table)
			probes = append(probes, "EXISTS(SELECT 1 FROM "+name+")")
		}
	}
	return names, probes
}

func (p *Plan) emptyTable(name string) {
	p.noRows("table "+name+" is empty here, so the optimizer's estimate for it says nothing about production",
		"insert realistic rows and run ANALYZE TABLE")
}

var systemSchema = map[string]bool{"mysql": true, "information_schema": true, "performance_schema": true, "sys": true}
