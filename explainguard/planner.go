package explainguard

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	// plannerSessions is how many sessions a planner keeps at most; a program's statements rarely overlap more in one test.
	plannerSessions = 2
	// plannedTimeout bounds one EXPLAIN of a captured statement. The server stops planning after planningTimeout.
	plannedTimeout = planningTimeout + 5*time.Second
)

// planner explains many statements over sessions that stay open: what Explainer does, in one or two round trips instead of eight.
// Sessions are opened at first need; close puts them back.
type planner struct {
	db     *sql.DB
	format Format
	batch  bool // the driver takes several statements at once and puts arguments into their text

	seats chan *keptSession // one for each session; nil while it is not open
	ended chan struct{}     // closed by close
	plain atomic.Bool       // a server whose sessions are not kept: each statement is explained by an Explainer
}

func newPlanner(db *sql.DB, format Format, batch bool) *planner {
	p := &planner{db: db, format: format, batch: batch, seats: make(chan *keptSession, plannerSessions), ended: make(chan struct{})}
	for range plannerSessions {
		p.seats <- nil
	}
	return p
}

// planHints is what an earlier plan of the same shape taught. It only saves round trips.
type planHints struct {
	v1     atomic.Bool                 // JSON v2 leaves something out for this shape
	probes atomic.Pointer[[2][]string] // the tables it reads, and their probes
}

// question is a statement to be explained, which oneStatement has let through.
type question struct {
	stmt  statement
	query string
	args  []any
	hints *planHints
	// filled: an earlier plan of the statement was judged, and its tables held rows then, so that they are not looked at again.
	filled bool
}

// explain returns the plan of a statement.
func (k *planner) explain(ctx context.Context, q question) (*Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, plannedTimeout)
	defer cancel()
	if k.plain.Load() {
		return Explainer{DB: k.db, Format: k.format}.explain(ctx, q.query, q.args)
	}
	s, err := k.seat(ctx, q.stmt.readOnly)
	if err != nil {
		return nil, err
	}
	defer func() { k.seats <- s }()
	if s == nil {
		var err error
		if s, err = k.openSession(ctx); err != nil {
			return nil, err
		}
		if s == nil { // not a server whose sessions are kept
			return Explainer{DB: k.db, Format: k.format}.explain(ctx, q.query, q.args)
		}
	}
	p, err := s.explain(ctx, k, q)
	if err == nil {
		s.sign(p, q.query, q.stmt)
	}
	if s.spoilt || q.stmt.marksSession {
		s.spoilt = true
		_ = s.close(ctx)
		s = nil
	}
	return p, err
}

// seat waits for a session that nobody uses: if there is a choice, one that is set up for reading, or for writing, already.
func (k *planner) seat(ctx context.Context, readOnly bool) (s *keptSession, err error) {
	select {
	case s = <-k.seats:
	case <-k.ended:
		return nil, errors.New("the test has ended")
	case <-ctx.Done():
		return nil, explained(ctx, "wait for a session to explain on", ctx.Err())
	}
	if s.setUpFor(readOnly) {
		return s, nil
	}
	select {
	case other := <-k.seats:
		if other.setUpFor(readOnly) || other == nil {
			s, other = other, s
		}
		k.seats <- other
	default:
	}
	return s, nil
}

// openSession returns nil without an error where the server is none whose sessions are kept.
func (k *planner) openSession(ctx context.Context) (*keptSession, error) {
	conn, err := k.db.Conn(ctx)
	if err != nil {
		return nil, explained(ctx, "connect to the server", err)
	}
	s := &keptSession{session{conn: conn}}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	if s.was.mariaDB() { // which is asked in another way
		k.plain.Store(true)
		return nil, s.close(ctx)
	}
	if s.was["autocommit"] == "0" {
		// Else a session that is kept would keep its first snapshot, and its locks.
		if err := s.set(ctx, "autocommit", "1"); err != nil {
			return nil, errors.Join(err, s.close(ctx))
		}
	}
	if err := s.set(ctx, "innodb_lock_wait_timeout", "1"); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

// close puts the sessions back, when those who use them are done. It is called once.
func (k *planner) close(ctx context.Context) error {
	close(k.ended)
	var errs []error
	for range plannerSessions {
		if s := <-k.seats; s != nil {
			errs = append(errs, s.close(ctx))
		}
	}
	return errors.Join(errs...)
}

type keptSession struct{ session }

func (s *keptSession) setUpFor(readOnly bool) bool {
	return s != nil && readOnly == (s.now["transaction_read_only"] == "1")
}

func (s *keptSession) explain(ctx context.Context, k *planner, q question) (*Plan, error) {
	format, err := s.was.format(k.format)
	if err != nil {
		return nil, err
	}
	if k.format == FormatUnknown && q.hints.v1.Load() {
		format = FormatJSONv1
	}
	p, err := s.ask(ctx, k.batch, format, q)
	if err != nil {
		return nil, err
	}
	full, err := s.complete(p, k.format, q.stmt.text, func() (*Plan, error) { return s.ask(ctx, k.batch, FormatJSONv1, q) })
	if err == nil && full != p {
		q.hints.v1.Store(true)
	}
	return full, err
}

// ask asks once: in one round trip where that is possible and safe, else in several.
func (s *keptSession) ask(ctx context.Context, batch bool, format Format, q question) (*Plan, error) {
	set := []variable{{"explain_json_format_version", jsonVersion[format]}, {"transaction_read_only", "1"}, {"autocommit", "1"}}
	if !q.stmt.readOnly { // explained in a transaction that is rolled back
		set[1].value, set[2].value = "0", "0"
	}
	if batch && batchable(q.stmt.text, q.args) {
		p, err := s.askBatch(ctx, s.setting(set...), q)
		my, ok := errors.AsType[*mysql.MySQLError](err)
		if err == nil || ok && my.Number != errSyntax {
			return p, err
		}
		if !ok {
			return nil, err
		}
		// A prepared statement takes more than text does (LIMIT '5').
	}
	if err := s.setAll(ctx, set...); err != nil {
		s.spoilt = true
		return nil, err
	}
	if !q.stmt.readOnly {
		defer s.rollback(ctx)
	}
	p, err := s.plan(ctx, format, q.stmt.text, q.args)
	if err != nil {
		s.spoilt = s.spoilt || !fromServer(err)
		return nil, err
	}
	if q.filled {
		return p, nil
	}
	if err := s.probeEmpty(ctx, p, nil); err != nil {
		return nil, err
	}
	return p, nil
}

func (s *keptSession) rollback(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTimeout)
	defer cancel()
	if _, err := s.conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		s.spoilt = true
	}
}

// batchable reports whether a statement may be sent together with others: the text holds nothing that the server could take for
// the end of it, and its arguments mean the same as text as they do in a prepared statement.
func batchable(text string, args []any) bool {
	if strings.IndexByte(text, ';') >= 0 || strings.Count(text, "?") != len(args) {
		return false
	}
	for _, a := range args {
		switch a.(type) {
		case nil, int64, uint64, bool, string, time.Time:
		default:
			return false
		}
	}
	return true
}

// askBatch sends everything at once.
func (s *keptSession) askBatch(ctx context.Context, set string, q question) (*Plan, error) {
	var text strings.Builder
	if set != "" {
		text.WriteString(set + ";")
	}
	text.WriteString("EXPLAIN FORMAT=JSON " + q.stmt.text + "\n;SHOW WARNINGS")
	known := q.hints.probes.Load()
	if !q.filled && known != nil && len(known[1]) > 0 {
		text.WriteString(";SELECT " + strings.Join(known[1], ", "))
	}
	if !q.stmt.readOnly {
		text.WriteString(";ROLLBACK")
	}
	a, err := s.answers(ctx, text.String(), q.args, known)
	if err == nil && a.text == nil {
		err = errors.New("the server answered nothing")
	}
	if err != nil {
		s.spoilt = s.spoilt || !fromServer(err)
		if !q.stmt.readOnly && !s.spoilt {
			s.rollback(ctx)
		}
		if set != "" {
			s.spoilt = true // whether it was run is not known
		}
		return nil, explained(ctx, "EXPLAIN", err)
	}
	p, err := Parse(a.text)
	if err != nil {
		return nil, err
	}
	for _, w := range a.warnings {
		p.remark(w)
	}
	if q.filled {
		return p, nil
	}
	names, probes := p.probes(nil)
	if known == nil || !subset(probes, known[1]) {
		q.hints.probes.Store(&[2][]string{names, probes})
		if !q.stmt.readOnly {
			defer s.rollback(ctx) // the probes begin a transaction, which would keep the tables from DDL
		}
		return p, s.probeEmpty(ctx, p, nil)
	}
	for i, name := range names {
		if !a.filled[probes[i]] {
			p.emptyTable(name)
		}
	}
	return p, nil
}

func subset(of, in []string) bool {
	for _, x := range of {
		found := false
		for _, y := range in {
			found = found || x == y
		}
		if !found {
			return false
		}
	}
	return true
}

// answered is what the server said to a batch.
type answered struct {
	text     []byte // of EXPLAIN
	warnings []Warning
	filled   map[string]bool // by probe: the table holds a row
}

func (s *keptSession) answers(ctx context.Context, text string, args []any, known *[2][]string) (a answered, err error) {
	rows, err := s.conn.QueryContext(ctx, text, args...)
	if err != nil {
		return a, err
	}
	defer rows.Close()
	for more := true; more; more = rows.NextResultSet() {
		columns, err := rows.Columns()
		if err != nil {
			return a, err
		}
		for rows.Next() {
			switch {
			case len(columns) == 1 && columns[0] == "EXPLAIN":
				err = rows.Scan(&a.text)
			case len(columns) == 3 && columns[0] == "Level":
				var w Warning
				err = rows.Scan(&w.Level, &w.Code, &w.Message)
				a.warnings = append(a.warnings, w)
			case known != nil && len(columns) == len(known[1]):
				found := make([]bool, len(columns))
				into := make([]any, len(columns))
				for i := range found {
					into[i] = &found[i]
				}
				err = rows.Scan(into...)
				a.filled = map[string]bool{}
				for i, probe := range known[1] {
					a.filled[probe] = found[i]
				}
			}
			if err != nil {
				return a, err
			}
		}
	}
	return a, rows.Err()
}

// marksForGood are those of marks that change a session: LAST_INSERT_ID() only reads it.
var marksForGood = regexp.MustCompile(`(?i)get_lock|last_insert_id\s*\(\s*[^\s)]|:=`)

// explainBorrowed explains on a connection that the program is using: it sees what is not committed, temporary tables, user
// variables. It begins and ends no transaction, and puts back every variable that it sets. What it cannot put back is the answer of
// ROW_COUNT(), FOUND_ROWS() and SHOW WARNINGS; in a transaction that has only written so far, looking whether a table is empty takes the
// transaction's snapshot.
func explainBorrowed(ctx context.Context, raw driver.Conn, format Format, stmt statement, query string, args []any) (p *Plan, err error) {
	if marksForGood.MatchString(stmt.text) {
		return nil, errors.New("it would leave a mark on the program's session: planning may run GET_LOCK, LAST_INSERT_ID(…) and :=")
	}
	ctx, cancel := context.WithTimeout(ctx, plannedTimeout)
	defer cancel()
	db := onConn(raw)
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("use the program's connection: %w", err)
	}
	defer conn.Close()
	s := &keptSession{session{conn: conn}}
	defer func() {
		if len(s.touched) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTimeout)
		defer cancel()
		if e := s.restore(ctx); e != nil {
			err = errors.Join(err, fmt.Errorf("put the program's session back: %w", e))
		}
	}()
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	use, err := s.was.format(format)
	if err != nil {
		return nil, err
	}
	p, err = s.plan(ctx, use, stmt.text, args)
	if err == nil {
		p, err = s.complete(p, format, stmt.text, func() (*Plan, error) { return s.plan(ctx, FormatJSONv1, stmt.text, args) })
	}
	if err != nil {
		return nil, err
	}
	s.sign(p, query, stmt)
	return p, s.probeEmpty(ctx, p, nil)
}
