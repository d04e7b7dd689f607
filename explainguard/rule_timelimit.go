package explainguard

import (
	"fmt"
	"strings"
)

// MaxExecutionTime fails a large SELECT that nothing ends, and a time limit that the server does not heed.
var MaxExecutionTime = &Rule{
	Name: "max-execution-time",
	Doc: `A large SELECT may run for as long as it takes, or its MAX_EXECUTION_TIME hint has no effect.

When the plan is wrong for one large customer, a limit is what keeps the query from holding the database for twenty minutes.
A context's deadline is none: it ends the waiting, while the statement goes on in the server. Three things limit a SELECT:
the hint /*+ MAX_EXECUTION_TIME(milliseconds) */ after its first SELECT, the hint SET_VAR(max_execution_time = …), and the
session's max_execution_time, which the DSN can set. On MariaDB it is the session's max_statement_time.

The rule goes by what the server says: a hint counts when the statement that the optimizer rewrote still has it. A hint
that is misplaced, misspelled, on a write, or in a place where the server reads it as a comment always fails, whatever the
size: its author wanted a limit and has none.

A statement without a limit fails when it examines more than Budget.UntimedRows rows: read from a disk at 0.1 ms each,
the default of 100,000 takes 10 seconds. When another statement of the same package has a limit, a hundredth of that is
enough: a hint does not travel from the query that finds the ids to the one that reads by them. Writes are not asked for a limit,
as MySQL has none for them.`,
	Budget: "UntimedRows",
	Run:    runMaxExecutionTime,
}

// siblingShare is how much of Budget.UntimedRows counts where a statement of the same package has a limit.
const siblingShare = 0.01

// The server's warnings about hints.
const (
	warnHintSyntax    = 1064
	warnHintMisplaced = 3125
)

func runMaxExecutionTime(p *Input) []Finding {
	writes := p.Plan.writes()
	limit, known := p.Plan.limit()
	root := p.Plan.Root
	if why, way := uselessHint(p.Plan, writes); why != "" {
		instead := "; nothing limits how long the statement may run"
		switch {
		case !known:
			instead = ""
		case limit.Limit > 0:
			instead = "; the session's limit of " + limit.Limit.String() + " holds instead"
		}
		return []Finding{{Block: root, What: "the MAX_EXECUTION_TIME hint has no effect: " + why + instead, WayOut: way}}
	}
	most := p.Budget.untimedRows()
	sibling := ""
	if p.SiblingLimited != "" && !unlimited(most) {
		most *= siblingShare
		sibling = "; a statement of the same package, at " + p.SiblingLimited + ", has a limit, and a hint does not travel from one to the other"
	}
	if unlimited(most) || writes || limit.Limit > 0 || p.Work.Total <= most {
		return nil
	}
	if !known {
		p.CannotTell("whether anything limits how long the statement may run: it has no hint, and a plan alone does not tell the session's limit",
			"let Explain or Guard.Check ask on the program's database, or set Budget.UntimedRows to Unlimited")
		return nil
	}
	return []Finding{{
		Block: root, Figure: p.Work.Total, Limit: most,
		What:   fmt.Sprintf("the statement examines %s rows, and nothing limits how long it may run%s", about(p.Work.Total, p.Work.LowerBound), sibling),
		WayOut: placeHint(p.Plan) + ", or set Budget.UntimedRows if it may run for as long as it takes",
	}}
}

// limit is the statement's time limit, as far as it is known.
func (p *Plan) limit() (limit TimeLimit, known bool) {
	if p.TimeLimit != nil {
		return *p.TimeLimit, true
	}
	if hinted, set := hintedLimit(p.Rewritten); set && !p.writes() {
		return hinted, true
	}
	return TimeLimit{}, false
}

func placeHint(p *Plan) string {
	if p.mariaDB() {
		return "set the session's max_statement_time (seconds; the DSN can), or write SET STATEMENT max_statement_time = 1 FOR SELECT …"
	}
	return "write SELECT /*+ MAX_EXECUTION_TIME(1000) */ … (milliseconds, directly after the first SELECT of the whole statement), or set max_execution_time in the DSN"
}

// uselessHint says why a time limit that the statement asks for is not in force, and what to do; "" if there is none such.
func uselessHint(p *Plan, writes bool) (why, way string) {
	misplaced, unread := false, ""
	for _, w := range p.Warnings {
		misplaced = misplaced || w.Code == warnHintMisplaced
		if w.Code == warnHintSyntax && (strings.Contains(w.Message, "hint") || wantedTime.MatchString(w.Message)) {
			unread = w.Message
		}
	}
	wanted := wantedTime.MatchString(hintText(p.Query))
	if !misplaced && !wanted {
		return "", ""
	}
	if wanted && !misplaced && !writes && (p.Rewritten == "" || wantedTime.MatchString(hintText(p.Rewritten))) {
		return "", "" // in force, or not known to be without effect
	}
	place := placeHint(p)
	switch {
	case p.mariaDB():
		return "MariaDB does not know it", place
	case writes:
		return "it limits SELECT alone, and this statement writes", "remove it, and bound the write itself: a narrower WHERE, ranges of the key one after the other"
	case misplaced:
		return "it stands inside a subquery, a derived table, a common table expression or a later arm of a union", place
	case unread != "":
		return "the server could not read it (" + shorten(unread, 80) + ")", place
	default:
		return "the server reads it as a comment, since it does not follow the keyword SELECT, or as a value that it does not take", place
	}
}
