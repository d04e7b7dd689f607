package explainguard

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"
)

// Guard judges statements by their plans. The zero Guard needs nothing but a DB.
type Guard struct {
	DB     *sql.DB // EXPLAIN runs on connections of its own taken from it; required, except for Open and OpenConnector
	Budget Budget
	Rules  []*Rule // nil: DefaultRules()
	Format Format  // FormatUnknown (the default): the best that the server offers

	Require []Require // filters that blocks must have; see RequiredFilter
	Waivers []Waiver  // what may pass for a while

	waivers waiversUsed

	// Analyze, if above 0, really runs each statement that is checked, for at most about so long, and judges by what happened instead of the
	// optimizer's estimates: on filled test data, or on a copy of production. Statements that write are an error then. Read at Explainer.Analyze
	// what it does to the server.
	Analyze time.Duration

	// Stats, if set, are production's statistics: statements are judged as if the database had them, however empty it is. They are applied
	// at the first statement, as BiggestGroup() unless their Mode says otherwise, and again when TRUNCATE or a
	// migration took them away. The database must be a test's own: see (*Stats).Apply.
	Stats      *Stats
	ApplyStats ApplyOptions

	// The rest is for captured tests: Open, OpenConnector and WithTest.

	// SameConnection has every captured statement explained on the connection that it ran on, once its rows are closed, instead of
	// beside it on another one. It is for tests that change the session (USE, SET) so that plans depend on it; where another connection
	// cannot tell (uncommitted rows, temporary tables, user variables), that is done anyway. What it changes is the answer of
	// ROW_COUNT(), FOUND_ROWS() and SHOW WARNINGS, and the snapshot of a transaction that has read nothing yet is taken earlier.
	SameConnection bool

	// MaxArguments is how many distinct arguments of one statement are explained for each call site and test; the worst plan
	// counts. Default 20 (DefaultArguments). A look-up in one table by a whole unique key is explained once for all integers: its plan is
	// the same for each.
	MaxArguments int

	// AllowUnanalysable lets a captured test go on to pass although some of its statements could not be judged: they are logged. By
	// default they fail it, since nobody looks at what only a log says.
	AllowUnanalysable bool

	// SkipFrames are packages ("example.com/app/db", with those below it) and files ("db/helper.go", by the end of their path) that are
	// no call sites: the helpers through which all statements go. Libraries and generated code are none in any case.
	SkipFrames []string
}

// Check explains a statement with these arguments and judges its plan. The statement is never run, unless Analyze is set.
//
// The report is never nil. An error (a misconfigured Guard, a server that does not answer, a statement that cannot be
// explained) comes with a report whose verdict is Unanalysable and whose Reasons hold the same message, so that neither a
// caller who looks at the verdict alone nor one who looks at the error alone can take it for a pass. A plan that was had,
// but cannot be judged, is no error: the verdict is Unanalysable and Reasons say why.
func (g *Guard) Check(ctx context.Context, query string, args ...any) (*Report, error) {
	r, err := g.check(ctx, query, args)
	if err == nil {
		g.suggest(ctx, g.DB, r, false)
	}
	return r, err
}

func (g *Guard) check(ctx context.Context, query string, args []any) (*Report, error) {
	err := g.validate()
	var p *Plan
	if err == nil {
		p, err = g.explain(ctx, g.DB, query, args)
	}
	if err != nil {
		return &Report{Query: query, Args: args, Reasons: []Reason{{What: err.Error()}}}, err
	}
	r := judge(p, g.judging())
	r.Query, r.Args = query, args
	g.waive(r)
	return r, nil
}

// explain asks for a plan as the guard is configured, on a database that is g.DB or stands for it.
func (g *Guard) explain(ctx context.Context, db *sql.DB, query string, args []any) (*Plan, error) {
	return g.explainIn(ctx, db, g.Format, query, args)
}

func (g *Guard) explainIn(ctx context.Context, db *sql.DB, format Format, query string, args []any) (*Plan, error) {
	e := Explainer{DB: db, Format: format, Analyze: g.Analyze}
	if g.Stats != nil {
		return g.explainWith(ctx, e, query, args)
	}
	return e.Explain(ctx, query, args...)
}

// Judge judges a plan that is there already, by the guard's budget and rules; it needs no DB. The report is never nil.
func (g *Guard) Judge(p *Plan) *Report {
	if err := g.validateJudging(); err != nil {
		return &Report{Plan: p, Reasons: []Reason{{What: err.Error()}}}
	}
	r := judge(p, g.judging())
	g.waive(r)
	return r
}

// Assert fails the test unless the verdict on the statement is Pass: also when it cannot be explained or its plan cannot
// be judged. The test goes on. It returns the plan, or an empty one if there is none, never nil.
func (g *Guard) Assert(tb testing.TB, query string, args ...any) *Plan {
	tb.Helper()
	r, err := g.check(tb.Context(), query, args) // an error is among the report's reasons
	if err == nil {
		g.suggest(tb.Context(), g.DB, r, true)
	}
	r.Test = tb.Name()
	if err := record(r); err != nil {
		tb.Errorf("%v", err)
	}
	if !r.Passed() {
		tb.Errorf("%s", r)
	}
	if r.Plan == nil {
		return &Plan{}
	}
	return r.Plan
}

// Validate returns what is wrong with the guard's own fields other than DB: a budget, a rule, a required filter or a waiver that makes
// no sense. All that judges says the same, so it is needed only by programs that configure a Guard from a file.
func (g *Guard) Validate() error { return g.validateJudging() }

func (g *Guard) judging() judging {
	by := judging{budget: g.Budget, rules: g.Rules, require: g.Require}
	if by.rules == nil {
		by.rules = DefaultRules()
	}
	return by
}

func (g *Guard) validate() error {
	if g == nil || g.DB == nil {
		return errors.New("explainguard: guard: no database: set Guard.DB")
	}
	return g.validateJudging()
}

func (g *Guard) validateJudging() error {
	if g == nil {
		return errors.New("explainguard: guard: it is nil")
	}
	if g.Stats != nil && g.Analyze > 0 {
		return errors.New("explainguard: guard: Stats and Analyze contradict each other: statistics stand for rows that are not here, and a run " +
			"shows only what is here; leave one of them out")
	}
	if err := g.Budget.validate(); err != nil {
		return fmt.Errorf("explainguard: guard: %w", err)
	}
	if err := validateRules(g.Rules); err != nil {
		return fmt.Errorf("explainguard: guard: %w", err)
	}
	if err := validateRequire(g.Require, g.Rules); err != nil {
		return fmt.Errorf("explainguard: guard: %w", err)
	}
	if err := g.validateWaivers(); err != nil {
		return fmt.Errorf("explainguard: guard: %w", err)
	}
	return nil
}
