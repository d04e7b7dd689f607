package explainguard

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// Admit says before a query runs whether it may: nil when the verdict on its plan on db is Pass, else an error with what the rules found, or why its plan cannot be
// judged. With it a Guard is the Admitter of package consistency. The query is explained and not run; Guard.DB is not used. Guard.Analyze and Guard.Stats
// must be unset: the one would run the query, the other would judge the plan of other data than those on db.
func (g *Guard) Admit(ctx context.Context, db *sql.DB, query string, args ...any) error {
	if err := g.validateJudging(); err != nil {
		return err
	}
	switch {
	case db == nil:
		return errors.New("explainguard: admit: no database to explain the query on")
	case g.Analyze > 0:
		return errors.New("explainguard: admit: Guard.Analyze is set, with which the query would run before it is admitted; leave it unset")
	case g.Stats != nil:
		return errors.New("explainguard: admit: Guard.Stats is set, and the plan would be that of other data; leave it unset")
	}
	p, err := g.explain(ctx, db, query, args)
	if err != nil {
		return fmt.Errorf("explainguard: admit: %w", err)
	}
	r := judge(p, g.judging())
	g.waive(r)
	if r.Passed() {
		return nil
	}
	var why []string
	for _, f := range r.Findings {
		why = append(why, f.Rule+": "+f.What)
	}
	for _, reason := range r.Reasons {
		why = append(why, "could not tell: "+reason.What)
	}
	return fmt.Errorf("explainguard: not admitted: %s", strings.Join(why, "; "))
}
