package explainguard

import (
	"context"
	"database/sql"
	"fmt"
)

// Suggestion is a change that was tried: the plan was explained again with it, and reads less.
type Suggestion struct {
	What      string  // what to change: "add `c.id IN (1, 2)` to the WHERE inside st", "an index on orders (customer_id)"
	Statement string  // the changed statement, or the DDL
	Before    float64 // rows examined before, by the same estimate
	After     float64 // and after
}

// String says what was tried and what it gave.
func (s *Suggestion) String() string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("%s: %s → %s rows, re-explained", s.What, rows(s.Before), rows(s.After))
}

// worthwhile is the part of the rows that a change must save to be worth a word.
const worthwhile = 0.5

// helps reports whether a changed plan is understood as a whole and reads much less.
func helps(before Work, after *Plan) bool {
	return after.Analysable() && Measure(after).Total <= before.Total*(1-worthwhile)
}

// suggest tries to repair what was found, and keeps what was proven. A suggestion is an extra: whatever goes wrong while
// one is tried, the report stays as it is.
func (g *Guard) suggest(ctx context.Context, db *sql.DB, r *Report, tryIndexes bool) {
	if r == nil || r.Verdict != Fail || r.Plan == nil || r.Query == "" || db == nil {
		return
	}
	var proven *Suggestion
	for i := range r.Findings {
		if f := &r.Findings[i]; f.fix != nil {
			f.Suggestion = g.tryRewrite(ctx, db, r, f.fix)
			if proven == nil {
				proven = f.Suggestion
			}
		}
	}
	if proven != nil || !tryIndexes || g.Stats != nil || r.Plan.Analyzed {
		return
	}
	for _, candidate := range indexCandidates(r) {
		s := g.tryIndex(ctx, db, r, candidate)
		if s == nil {
			continue
		}
		candidate.finding.Suggestion = s
		return
	}
}

// tryRewrite explains the statement with a condition added inside a derived table.
func (g *Guard) tryRewrite(ctx context.Context, db *sql.DB, r *Report, f *fix) *Suggestion {
	changed, err := f.apply(r.Query)
	if err != nil {
		return nil
	}
	format := g.Format
	if format == FormatJSONv2 { // which hides blocks of one row, so that nothing would be proven
		format = FormatUnknown
	}
	p, err := g.explainIn(ctx, db, format, changed, r.Args)
	if err != nil || !helps(r.Work, p) {
		return nil
	}
	return &Suggestion{What: f.what, Statement: changed, Before: r.Work.Total, After: Measure(p).Total}
}
