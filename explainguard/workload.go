package explainguard

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/go-sql-driver/mysql"
)

// DefaultArguments is how many distinct argument tuples of a captured statement are explained per call site and test.
const DefaultArguments = 20

// workload is what one test asked of the database. It is told of every statement (observer), has it explained at first sight of its
// arguments, beside the program's own run of it, and keeps for each shape and call site the worst plan.
type workload struct {
	by      judging
	limit   int  // distinct arguments to explain for each shape and call site
	same    bool // Guard.SameConnection
	format  Format
	planner *planner
	byStats func(ctx context.Context, query string, args []any) (*Plan, error) // instead of the planner, where Guard.Stats is set; else nil
	sites   *callSites
	rec     *Recorder

	mu      sync.Mutex
	closed  bool
	entries map[entryKey]*entry
	order   []*entry
	hints   map[string]*planHints // by shape
	jobs    map[*Statement][]*job // statements under way that are explained
	inTx    map[uint64]bool       // connections on which the program's text began a transaction
	total   int                   // statements that were sent
	failed  int                   // of them, those that the server or the driver refused
	other   map[string]int        // those that have no plan, by verb
	changes int                   // of them, those that may change plans
	outage  int                   // connection errors in a row
	lost    error                 // the last one
	behind  []*job                // under way, of reads that have ended
}

// maxOutage is after how many connection errors in a row nothing more is explained: each may take its full time.
const maxOutage = 3

type entryKey struct {
	shape string
	site  CallSite
}

// entry is one statement shape at one call site.
type entry struct {
	entryKey
	text   *statementText
	calls  int
	tuples map[uint64]*tuple
	others int // calls with arguments beyond the limit

	lookup *lookup // all its arguments examine the same; nil: not known

	prompt bool // no EXPLAIN of it lags behind any more
	onOwn  bool // explain it on the program's connection while that is in a transaction: elsewhere it could not be told

	fail, pass, unclear *Report // the worst of each verdict
	collapsed           *Report // the first that could not be judged only because there is no row for its arguments
	collapses           int     // how many those are
	err                 error   // the first EXPLAIN that failed
	errArgs             []any
	errQuery            string
}

type tuple struct {
	calls int
	rows  float64 // examined by one run; -1: not known
}

// job is one EXPLAIN.
type job struct {
	entry  *entry
	tuple  *tuple
	hash   uint64
	text   *statementText
	args   []any
	known  bool          // the tuple has been explained before, or will not be
	done   chan struct{} // nil if nothing runs beside the statement
	plan   *Plan
	err    error
	filled bool // see question
	later  bool // on the program's connection, when that is free
	behind bool // the program need not wait for it: see mayLag
	at     int  // workload.changes when it was asked for
}

// begin implements observer.
func (w *workload) begin(s *Statement) {
	if w.isForAnother(s) {
		return
	}
	text := textOf(s.Query)
	if text.writes {
		w.catchUp(0)
	}
	switch {
	case text.parts == nil:
		w.beginOne(s, text)
	case len(s.Args) > 0: // which are whose?
		several := *text
		several.noPlan = false
		several.err = errors.New("it is several statements with arguments in one text; send them one by one")
		w.beginOne(s, &several)
	default:
		for _, part := range text.parts {
			w.beginOne(s, part)
		}
	}
}

func (w *workload) beginOne(s *Statement, text *statementText) {
	if text.noPlan {
		return
	}
	j := w.register(s, text, w.sites.find(s.Callers()), hashArgs(text.query, s.Args))
	if j == nil || j.known || j.later {
		return
	}
	if text.readsFirst {
		w.explain(j)
		return
	}
	j.done = make(chan struct{})
	go func() {
		defer close(j.done)
		w.explain(j)
	}()
}

// isForAnother reports whether the statement belongs to a test that shares this test's pool.
func (w *workload) isForAnother(s *Statement) bool {
	by := recorderOf(s.Context())
	if by == nil || by == w.rec {
		return false
	}
	for _, o := range by.now().observers {
		if _, ok := o.(*workload); ok {
			return true
		}
	}
	return false
}

// register notes that a statement begins, and decides whether and where it is explained.
func (w *workload) register(s *Statement, text *statementText, site CallSite, hash uint64) *job {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	key := entryKey{text.shape, site}
	e := w.entries[key]
	if e == nil {
		e = &entry{entryKey: key, text: text, tuples: map[uint64]*tuple{}}
		w.entries[key] = e
		w.order = append(w.order, e)
	}
	j := &job{entry: e, tuple: e.tuples[hash], hash: hash, text: text, args: s.Args, at: w.changes}
	w.jobs[s] = append(w.jobs[s], j)
	if text.err != nil {
		j.known = true
		e.failed(text.err, j)
		return j
	}
	limit := w.limit
	if text.valuesOnly {
		limit = 1
	}
	if j.tuple != nil || len(e.tuples) >= limit {
		j.known = true
		return j
	}
	if t := w.knownLookup(e, text, s.Args); t != nil {
		j.known, j.tuple = true, t
		e.tuples[hash] = t
		return j
	}
	if w.outage >= maxOutage {
		j.known = true
		e.failed(w.lost, j)
		return j
	}
	j.tuple = &tuple{rows: -1}
	j.filled = e.pass != nil || e.fail != nil
	e.tuples[hash] = j.tuple
	j.later = w.byStats == nil && (w.same || text.ownSession || e.onOwn && (s.InTx || w.inTx[s.Conn]))
	j.behind = w.mayLag(j, s)
	return j
}

func (w *workload) explain(j *job) {
	// Not the statement's context: what becomes of the statement must not decide whether its plan is known.
	if w.byStats != nil {
		j.plan, j.err = w.byStats(context.Background(), j.text.query, j.args)
		return
	}
	j.plan, j.err = w.planner.explain(context.Background(), question{j.text.stmt, j.text.query, j.args, w.hintsOf(j.text.shape), j.filled})
}

func (w *workload) hintsOf(shape string) *planHints {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.hints[shape]
	if h == nil {
		h = &planHints{}
		w.hints[shape] = h
	}
	return h
}

// end implements observer.
func (w *workload) end(s *Statement) {
	w.mu.Lock()
	jobs := w.jobs[s]
	w.mu.Unlock()
	well := s.Sent && s.Err == nil
	for _, j := range jobs {
		if j.done != nil && (!j.behind || !well) {
			<-j.done
			j.behind = false
		}
	}
	w.catchUp(plannerSessions - 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.jobs, s)
	if s.Sent && (jobs != nil || !w.closed && !w.isForAnother(s)) {
		w.count(s)
	}
	for _, j := range jobs {
		if w.ended(j, s) {
			w.jobs[s] = append(w.jobs[s], j)
		}
	}
}

// ended takes what a statement's end tells, and reports whether idle has more to do.
func (w *workload) ended(j *job, s *Statement) bool {
	e := j.entry
	switch {
	case !s.Sent: // database/sql tries again, or gave up
		if !j.known && j.tuple.calls == 0 {
			delete(e.tuples, j.hash)
		}
		return false
	case s.Err != nil:
		w.takeFailed(j)
		return false
	}
	e.calls++
	if j.tuple != nil {
		j.tuple.calls++
	} else {
		e.others++
	}
	if j.known {
		return false
	}
	if j.behind {
		w.behind = append(w.behind, j)
		return false
	}
	if !j.later && w.betterOnOwn(j, s) {
		j.later, e.onOwn = true, true
	}
	if !j.later {
		w.take(j)
	}
	return j.later
}

// count counts a statement, and follows transactions that are begun by text.
func (w *workload) count(s *Statement) {
	w.total++
	if s.Err != nil {
		w.failed++
		return
	}
	text := textOf(s.Query)
	parts := text.parts
	if parts == nil {
		parts = []*statementText{text}
	}
	for _, t := range parts {
		if !t.noPlan {
			continue
		}
		w.other[t.verb]++
		if changing(t.verb) {
			w.changes++
		}
		switch t.verb {
		case "BEGIN", "START TRANSACTION":
			w.inTx[s.Conn] = true
		case "SET":
			if strings.Contains(strings.ToLower(t.shape), "autocommit") {
				w.inTx[s.Conn] = true
			}
		case "COMMIT", "ROLLBACK":
			delete(w.inTx, s.Conn)
		}
	}
}

// betterOnOwn reports whether the program's own connection may tell what another one could not: it sees uncommitted rows, temporary
// tables, its own locks and its own settings.
func (w *workload) betterOnOwn(j *job, s *Statement) bool {
	if w.byStats != nil {
		return false // statistics are what counts, not the rows that only this connection sees
	}
	if j.err != nil {
		my, ok := errors.AsType[*mysql.MySQLError](j.err)
		return ok && !permission[my.Number]
	}
	return (s.InTx || w.inTx[s.Conn]) && len(j.plan.Unanalysable) > 0
}

// permission are the errors that the program's connection gives as well: 3024 is the time that planning may take.
var permission = map[uint16]bool{1345: true, 3024: true, 1064: true}

// idle implements idleObserver.
func (w *workload) idle(s *Statement, raw driver.Conn) {
	w.mu.Lock()
	jobs := w.jobs[s]
	delete(w.jobs, s)
	w.mu.Unlock()
	for _, j := range jobs {
		plan, err := explainBorrowed(context.Background(), raw, w.format, j.text.stmt, j.text.query, j.args)
		if err != nil {
			err = fmt.Errorf("explainguard: explain on the program's connection: %w", err)
		}
		w.mu.Lock()
		j.plan, j.err = plan, err
		w.take(j)
		w.mu.Unlock()
	}
}

// take judges what was explained.
func (w *workload) take(j *job) {
	e := j.entry
	if j.err != nil {
		if fromServer(j.err) {
			w.outage = 0
		} else {
			w.outage++
			w.lost = j.err
		}
		e.failed(j.err, j)
		return
	}
	w.outage = 0
	r := w.judge(j)
	e.add(j.tuple, r)
	j.learn(r)
}

// takeFailed takes from a statement that failed only what speaks against it: that it failed may be the consequence.
func (w *workload) takeFailed(j *job) {
	if j.known {
		return
	}
	delete(j.entry.tuples, j.hash)
	if j.err == nil && j.plan != nil {
		if r := w.judge(j); r.Verdict == Fail {
			j.entry.calls++
			j.entry.add(j.tuple, r)
		}
	}
}

func (w *workload) judge(j *job) *Report {
	if looksUpOneRow(j.plan, j.args) {
		j.plan.Unanalysable = nil
	}
	r := judge(j.plan, w.by)
	r.Query, r.Args = j.text.query, j.args
	return r
}

func (e *entry) failed(err error, j *job) {
	if e.err == nil {
		e.err, e.errArgs, e.errQuery = err, j.args, j.text.query
	}
}

func (e *entry) add(t *tuple, r *Report) {
	if r.Verdict != Unanalysable || r.Work.Total > 0 {
		t.rows = r.Work.Total
	}
	into := &e.unclear
	switch {
	case r.Verdict == Fail:
		into = &e.fail
	case r.Verdict == Pass:
		into = &e.pass
	case !slices.ContainsFunc(r.Reasons, func(r Reason) bool { return !r.noRows }):
		into = &e.collapsed
		e.collapses++
	}
	if *into == nil || r.Work.Total > (*into).Work.Total {
		*into = r
	}
}

// looksUpOneRow reports whether a plan collapsed only because the one row that the statement looks up in its one table by a whole unique key
// is not there. Such a look-up examines one row at most, whatever there is: that can be told. A NULL is another matter, as it
// makes every condition look like that.
func looksUpOneRow(p *Plan, args []any) bool {
	if len(p.Unanalysable) != 1 || p.Root == nil || p.Rewritten == "" ||
		!strings.Contains(strings.ToLower(p.Root.Message), "no matching row in const table") || len(p.Root.Blocks()) > 0 {
		return false
	}
	for _, a := range args {
		if a == nil {
			return false
		}
	}
	text := readNames(p.Rewritten)
	if len(text.selects) != 1 || len(text.selects[0].tables) != 1 || text.selects[0].tables[0].schema == "" {
		return false
	}
	return !nullWord.MatchString(isNull.ReplaceAllString(p.Query, ""))
}
