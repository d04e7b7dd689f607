package main

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/smartlist"
)

// slowQuery judges the query that looked fine in EXPLAIN, and its repair.
func slowQuery(ctx context.Context, say sayer, db *sql.DB) error {
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

	say("\nWith the ids inside the view too:\n")
	if report, err = guard.Check(ctx, smartlist.Good); err != nil {
		return err
	}
	say("%v", report)
	if report.Verdict != explainguard.Pass {
		return fmt.Errorf("the good query should pass, not %v", report.Verdict)
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
