package explainguard_test

import (
	"context"
	"fmt"
	"log"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/explainguard"
)

// Anybody may add a check: one whose plan would hurt is not sent, and says so.
func ExampleGuard_Admit() {
	ctx := context.Background()
	s, err := orders(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	runner := consistency.Runner{Checks: []consistency.Check{consistency.SQL{
		Meta:  consistency.Meta{Name: "negative-totals"},
		DB:    s.DB,
		Query: "SELECT id FROM orders WHERE total < 0", // no index
		Key:   []string{"id"},
		Admit: &explainguard.Guard{Budget: explainguard.Budget{RowsExamined: 500}},
	}}}
	summary, err := runner.Run(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(summary)
	fmt.Println(summary.Results[0].Headline())
	// Output:
	// 0 inconsistent, 1 unknown, 0 consistent (1 check)
	// could not tell: negative-totals: query: it was not sent, because it was not admitted: explainguard: not admitted: rows-budget: the statement examines 2,000 rows; most of them, 2,000, at orders in the main query
}
