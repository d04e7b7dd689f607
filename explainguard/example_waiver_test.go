package explainguard_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"testing"
	"time"

	"github.com/tashikame-go/tashikame/explainguard"
)

// A waiver lets one finding pass until a day. The report keeps it.
func ExampleWaiver() {
	ctx := context.Background()
	s, err := orders(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	guard := &explainguard.Guard{
		DB:     s.DB,
		Budget: explainguard.Budget{RowsExamined: 500},
		Waivers: []explainguard.Waiver{
			{Rule: "rows-budget", Query: "sum(total) from orders", Reason: "moves to the warehouse", Expires: time.Now().AddDate(0, 3, 0)},
			{Rule: "rows-budget", Table: "invoices", Reason: "is being archived", Expires: time.Now().AddDate(0, 1, 0)},
		},
	}
	report, err := guard.Check(ctx, "SELECT SUM(total) FROM orders")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Verdict, len(report.Findings))
	for _, w := range report.Waived {
		fmt.Println(w.Rule+":", w.What)
		fmt.Println("  because it", w.By.Reason)
	}
	for _, w := range guard.UnusedWaivers() {
		fmt.Println("unused:", w.Rule, w.Table)
	}
	// Output:
	// Pass 0
	// rows-budget: the statement examines 2,000 rows; most of them, 2,000, at orders in the main query
	//   because it moves to the warehouse
	// unused: rows-budget invoices
}

// In TestMain, a run of all tests fails when a waiver is no longer needed.
func ExampleGuard_VerifyWaivers() {
	// The guard that the package's tests share.
	guard := &explainguard.Guard{Waivers: []explainguard.Waiver{{
		Rule: "rows-budget", Query: "sum(total) from orders",
		Reason: "moves to the warehouse", Expires: time.Date(2027, time.March, 31, 0, 0, 0, 0, time.UTC),
	}}}
	_ = func(m *testing.M) { // TestMain
		os.Exit(guard.VerifyWaivers(m))
	}
}

// The same in a test that runs after all others.
func ExampleGuard_AssertWaiversUsed() {
	guard := &explainguard.Guard{}
	_ = func(t *testing.T) {
		guard.AssertWaiversUsed(t)
	}
}

// Whatever reads orders in a derived table must narrow orders.customer_id.
func ExampleRequire() {
	ctx := context.Background()
	s, err := orders(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	guard := &explainguard.Guard{DB: s.DB, Require: []explainguard.Require{{Table: "orders", Column: "customer_id"}}}
	for _, query := range []string{
		"SELECT MAX(s.n) FROM (SELECT customer_id, COUNT(*) AS n FROM orders GROUP BY customer_id) s",
		"SELECT MAX(s.n) FROM (SELECT customer_id, COUNT(*) AS n FROM orders WHERE customer_id IN (1, 2, 3) GROUP BY customer_id) s",
		"SELECT s.n FROM (SELECT customer_id, COUNT(*) AS n FROM orders GROUP BY customer_id) s WHERE s.customer_id = 7", // pushed down
	} {
		report, err := guard.Check(ctx, query)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(report.Verdict)
		for _, f := range report.Findings {
			fmt.Println("  " + f.What)
		}
	}
	// Output:
	// Fail
	//   the derived table s reads orders, and nothing there narrows orders.customer_id, which Guard.Require asks for, and the derived table s examines 2,000 rows
	// Pass
	// Pass
}
