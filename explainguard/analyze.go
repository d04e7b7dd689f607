package explainguard

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// killGrace is how much longer than its limit a run may take until it is killed: max_execution_time usually ends it, but a hint in the
	// statement overrules that variable.
	killGrace   = 500 * time.Millisecond
	killTimeout = 2 * time.Second
	// minAnalyze is the least that max_execution_time can say; 0 would be no limit.
	minAnalyze = time.Millisecond
)

// checkAnalyze refuses what cannot or must not be run.
func (e Explainer) checkAnalyze(stmt statement) error {
	switch {
	case e.Analyze == 0:
		return nil
	case e.Analyze < minAnalyze:
		return fmt.Errorf("the time for Analyze is %v; leave it 0 to explain without running, or set at least %v", e.Analyze, minAnalyze)
	case e.Format == FormatJSONv1:
		return errors.New("JSON v1 has no EXPLAIN ANALYZE; leave Format unset, or set FormatJSONv2 or FormatTree")
	case !stmt.readOnly:
		return errors.New("the statement writes, and EXPLAIN ANALYZE would run it; only statements that read are analyzed, so set Analyze to 0 for this one")
	}
	return nil
}

// analyze runs the statement under EXPLAIN ANALYZE. plain is its plan as explained without running it.
func (e Explainer) analyze(ctx context.Context, s *session, format Format, text string, args []any, plain *Plan) (*Plan, error) {
	if format == FormatJSONv1 { // the server has no JSON v2
		format = FormatTree
	}
	pushed := false
	plain.Root.walkAll(func(n *Node) { pushed = pushed || n.pushed })
	if pushed {
		// Rows that the storage engine drops by a pushed index condition are counted by nobody: not by the plan and not by the server's
		// counters. The optimizer plans without regard to it, so that the plan stays the same.
		p, err := e.withoutPushdown(ctx, s, format, text, args, plain)
		if err != nil || p.Stopped == 0 {
			return p, err
		}
		// It may have been this that took so long.
		p, err = e.run(ctx, s, format, text, args, plain)
		if err == nil && p.Stopped == 0 {
			p.cannotTell("the statement ends in time only with index condition pushdown, and then nobody counts the rows that the storage engine drops",
				"set a longer time for Analyze")
		}
		return p, err
	}
	return e.run(ctx, s, format, text, args, plain)
}

func (e Explainer) withoutPushdown(ctx context.Context, s *session, format Format, text string, args []any, plain *Plan) (*Plan, error) {
	set := func(ctx context.Context, to string) error {
		_, err := s.conn.ExecContext(ctx, "SET SESSION optimizer_switch = 'index_condition_pushdown="+to+"'")
		return err
	}
	if err := set(ctx, "off"); err != nil {
		return nil, explained(ctx, "switch index condition pushdown off", err)
	}
	p, err := e.run(ctx, s, format, text, args, plain)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTimeout)
	defer cancel()
	if set(ctx, "on") != nil {
		s.spoilt = true
	}
	return p, err
}

// run runs the statement once, for at most e.Analyze and a grace.
func (e Explainer) run(ctx context.Context, s *session, format Format, text string, args []any, plain *Plan) (*Plan, error) {
	if s.dead {
		return plain.stopped(e.Analyze), nil
	}
	for name, value := range map[string]string{
		"max_execution_time":       fmt.Sprint(e.Analyze.Milliseconds()),
		"innodb_lock_wait_timeout": "1", // SERIALIZABLE without autocommit waits behind somebody else's locks
	} {
		if err := s.set(ctx, name, value); err != nil {
			return nil, err
		}
	}
	if err := s.setFormat(ctx, format); err != nil {
		return nil, err
	}
	if err := s.conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&s.id); err != nil {
		return nil, explained(ctx, "ask for the connection's id", err)
	}
	before, err := s.handlerReads(ctx)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	answer, err := e.guarded(ctx, s, "EXPLAIN ANALYZE FORMAT="+formatWord(format)+" "+text, args)
	took := time.Since(started)
	switch {
	case errors.Is(err, errNotStopped):
		return plain.stopped(e.Analyze), nil
	case isError(err, errTimeLimit, errInterrupted):
		return plain.stopped(min(took, e.Analyze)), nil
	case err != nil:
		return nil, explained(ctx, "EXPLAIN ANALYZE", err)
	}
	p, err := Parse([]byte(answer))
	if err != nil {
		return nil, err
	}
	// The warnings belong to the statement that ran last.
	if err := s.warnings(ctx, p); err != nil {
		return nil, err
	}
	for _, w := range p.Warnings {
		if w.Code == errInterrupted {
			p.stopped(min(took, e.Analyze))
		}
	}
	after, err := s.handlerReads(ctx)
	if err != nil {
		return nil, err
	}
	p.Warnings = plain.Warnings
	if p.Format == FormatTree {
		p.nameLike(plain)
	}
	if err := s.countRows(ctx, p, text, args); err != nil {
		return nil, err
	}
	p.Unseen = p.unseen(after.less(before))
	return p, nil
}

// stopped notes that the run had to be stopped.
func (p *Plan) stopped(after time.Duration) *Plan {
	p.Stopped = after
	p.cannotTell("the statement was run and did not end within "+roundTime(after)+", so how many rows it examines in the end is not known",
		"make it faster, or set a longer time for Analyze")
	return p
}

func roundTime(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Millisecond).String()
	}
}

var errNotStopped = errors.New("the run did not stop, and its connection was closed")

// guarded sends the statement and sees to it that it ends. max_execution_time ends most; a run that goes on is killed by a second connection, and if the
// pool has none to give, the first is closed and its place used.
func (e Explainer) guarded(ctx context.Context, s *session, text string, args []any) (string, error) {
	run, cancel := context.WithTimeout(ctx, e.Analyze+killGrace+2*killTimeout)
	defer cancel()
	killed := make(chan struct{})
	timer := time.AfterFunc(e.Analyze+killGrace, func() {
		defer close(killed)
		_ = e.kill(run, "KILL QUERY", s.id) // what fails here, the end of the context does
	})
	answer, err := s.ask(run, text, args, nil)
	if !timer.Stop() {
		<-killed // it must not hit the next statement of this connection
	}
	if err == nil || run.Err() == nil {
		return answer, err
	}
	s.spoilt, s.dead = true, true
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = s.conn.Close() // its place in the pool may be the only one
	if killErr := e.kill(context.WithoutCancel(ctx), "KILL", s.id); killErr != nil {
		return "", fmt.Errorf("%w; the statement could not be stopped on the server and may run on there as connection %d (%w); end it with KILL %d", err, s.id, killErr, s.id)
	}
	if ctx.Err() != nil { // the caller's own end
		return "", err
	}
	return "", errNotStopped
}

func (e Explainer) kill(ctx context.Context, how string, id int64) error {
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	conn, err := e.DB.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("%s %d", how, id)); err != nil && !isError(err, errUnknownID) {
		return err
	}
	return nil
}

// countRows finds out how many rows COUNT(*) of a whole table counts: EXPLAIN ANALYZE says that it returned one. JSON v1 has an estimate.
func (s *session) countRows(ctx context.Context, p *Plan, text string, args []any) error {
	var counts []*Node
	p.Root.walkAll(func(n *Node) {
		if n.Access == AccessCount {
			counts = append(counts, n)
		}
	})
	if len(counts) == 0 {
		return nil
	}
	p1, err := s.plan(ctx, FormatJSONv1, text, args)
	if err != nil || p1.Format != FormatJSONv1 { // the hypergraph optimizer has no JSON v1
		return err
	}
	for _, n := range counts {
		p1.Root.walkAll(func(x *Node) {
			if x.Base && x.Name() == n.Name() && n.Read <= 0 {
				n.Read = x.Read
				p.nowKnown(noEstimate(n))
			}
		})
	}
	return nil
}

// handlerReads are the session's counters of what storage engines were asked for.
type handlerReads struct {
	keys, steps float64 // look-ups by key, and rows read on from there or in a scan
}

func (h handlerReads) less(before handlerReads) handlerReads {
	return handlerReads{keys: h.keys - before.keys, steps: h.steps - before.steps}
}

func (s *session) handlerReads(ctx context.Context) (handlerReads, error) {
	var h handlerReads
	rows, err := s.conn.QueryContext(ctx, "SHOW SESSION STATUS WHERE Variable_name IN ('Handler_read_key', 'Handler_read_next', 'Handler_read_prev', 'Handler_read_rnd_next')")
	if err != nil {
		return h, explained(ctx, "read the session's counters", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var value sql.NullFloat64
		if err := rows.Scan(&name, &value); err != nil {
			return h, fmt.Errorf("read the session's counters: %w", err)
		}
		if strings.EqualFold(name, "Handler_read_key") {
			h.keys = value.Float64
		} else {
			h.steps += value.Float64
		}
	}
	if err := rows.Err(); err != nil {
		return h, explained(ctx, "read the session's counters", err)
	}
	return h, nil
}
