package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/smartlist"
)

// slowQuery judges the query that looked fine in EXPLAIN, and its repair: on filled tables, and on empty ones that were given the
// statistics of the filled ones.
func slowQuery(ctx context.Context, say sayer, db, empty *sql.DB) error {
	say.title("2  explainguard: would this query hurt in production?")
	say("A page shows 5 of the 200,000 customers. EXPLAIN shows small numbers and an index on every line. But the inline view\n" +
		"aggregates the whole tenant, and nobody multiplied the lines:\n")

	guard := explainguard.Guard{DB: db} // in a test: guard.Assert(t, query)
	report, err := guard.Check(ctx, smartlist.Bad)
	if err != nil {
		return err
	}
	say("%v", report)
	if report.Verdict != explainguard.Fail {
		return fmt.Errorf("the bad query should fail, not %v", report.Verdict)
	}

	if err := emptyTables(ctx, say, db, empty); err != nil {
		return err
	}

	bad, badTook, err := result(ctx, db, smartlist.Bad)
	if err != nil {
		return err
	}
	good, goodTook, err := result(ctx, db, smartlist.Good)
	if err != nil {
		return err
	}
	if bad != good {
		return fmt.Errorf("the two queries return different rows: %s and %s", bad, good)
	}
	say("\nBoth return the same: %s. The first took %.0f times as long.", good, float64(badTook)/float64(goodTook))
	return nil
}

// emptyTables judges both queries on a test database without a row.
func emptyTables(ctx context.Context, say sayer, production, empty *sql.DB) error {
	say("Test databases are empty, and plans over empty tables tell nothing. So the statistics of production are dumped, once: counts,\n" +
		"no values, which the team commits as JSON. On empty tables that were given them:\n")
	stats, err := explainguard.DumpStats(ctx, production, explainguard.DumpOptions{})
	if err != nil {
		return err
	}
	guard := explainguard.Guard{DB: empty, Stats: stats}
	report, err := guard.Check(ctx, smartlist.Bad)
	if err != nil {
		return err
	}
	var suggestion *explainguard.Suggestion
	for _, f := range report.Findings {
		if f.Suggestion != nil {
			suggestion = f.Suggestion
		}
	}
	if report.Verdict != explainguard.Fail || suggestion == nil {
		return fmt.Errorf("on empty tables the bad query should fail, with a proven way out: %v", report)
	}
	say("%s\nproven:  %v\n", headline(report), suggestion)

	say("With the ids inside the view too, and a limit on its time:\n")
	if report, err = guard.Check(ctx, smartlist.Good); err != nil {
		return err
	}
	if report.Verdict != explainguard.Pass {
		return fmt.Errorf("the good query should pass, not %v", report)
	}
	say("%s", headline(report))
	return nil
}

func headline(report *explainguard.Report) string {
	first, _, _ := strings.Cut(report.String(), "\n")
	return first
}

// result returns the rows of a query over customers, and how long it took.
func result(ctx context.Context, db *sql.DB, query string) (rows string, took time.Duration, err error) {
	start := time.Now()
	cursor, err := db.QueryContext(ctx, query)
	if err != nil {
		return "", 0, err
	}
	defer cursor.Close()
	for cursor.Next() {
		var id, tenant int64
		var name string
		if err := cursor.Scan(&id, &tenant, &name); err != nil {
			return "", 0, err
		}
		rows += fmt.Sprintf("{id: %d, tenant_id: %d, name: %q}", id, tenant, name)
	}
	return rows, time.Since(start), cursor.Err()
}
