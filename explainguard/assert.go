package explainguard

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
)

// Guard judges statements by their plans. The zero Guard needs nothing but a DB.
type Guard struct {
	DB     *sql.DB // required; EXPLAIN runs on connections of its own taken from it
	Budget Budget
	Rules  []*Rule // nil: DefaultRules()
	Format Format  // FormatUnknown (the default): the best that the server offers
}

// Check explains a statement with these arguments and judges its plan. The statement is never run.
//
// The report is never nil. An error (a misconfigured Guard, a server that does not answer, a statement that cannot be
// explained) comes with a report whose verdict is Unanalysable and whose Reasons hold the same message, so that neither a
// caller who looks at the verdict alone nor one who looks at the error alone can take it for a pass. A plan that was had,
// but cannot be judged, is no error: the verdict is Unanalysable and Reasons say why.
func (g *Guard) Check(ctx context.Context, query string, args ...any) (*Report, error) {
	err := g.validate()
	var p *Plan
	if err == nil {
		p, err = Explainer{DB: g.DB, Format: g.Format}.Explain(ctx, query, args...)
	}
	if err != nil {
		return &Report{Query: query, Args: args, Reasons: []Reason{{What: err.Error()}}}, err
	}
	r := judge(p, g.Budget, g.rules())
	r.Query, r.Args = query, args
	return r, nil
}

// Judge judges a plan that is there already, by the guard's budget and rules; it needs no DB. The report is never nil.
func (g *Guard) Judge(p *Plan) *Report {
	if err := g.validateJudging(); err != nil {
		return &Report{Plan: p, Reasons: []Reason{{What: err.Error()}}}
	}
	return judge(p, g.Budget, g.rules())
}

// Assert fails the test unless the verdict on the statement is Pass: also when it cannot be explained or its plan cannot
// be judged. The test goes on. It returns the plan, or an empty one if there is none, never nil.
func (g *Guard) Assert(tb testing.TB, query string, args ...any) *Plan {
	tb.Helper()
	r, _ := g.Check(tb.Context(), query, args...) // an error is among the report's reasons
	if !r.Passed() {
		tb.Errorf("%s", r)
	}
	if r.Plan == nil {
		return &Plan{}
	}
	return r.Plan
}

func (g *Guard) rules() []*Rule {
	if g.Rules == nil {
		return DefaultRules()
	}
	return g.Rules
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
	if err := g.Budget.validate(); err != nil {
		return fmt.Errorf("explainguard: guard: %w", err)
	}
	if err := validateRules(g.Rules); err != nil {
		return fmt.Errorf("explainguard: guard: %w", err)
	}
	return nil
}
