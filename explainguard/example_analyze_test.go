package explainguard_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/tashikame-go/tashikame/explainguard"
)

// With Analyze the statement is run, and judged by what it really examined.
func ExampleGuard_Check_analyze() {
	ctx := context.Background()
	s, err := orders(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	guard := &explainguard.Guard{DB: s.DB, Analyze: 5 * time.Second, Budget: explainguard.Budget{RowsExamined: 1_000}}
	report, err := guard.Check(ctx, "SELECT COUNT(total) FROM orders WHERE total > ?", 7)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Verdict)
	for _, f := range report.Findings {
		fmt.Println("  " + f.Rule + ": " + f.What)
	}
	scan := report.Plan.Root.Accesses()[0]
	fmt.Printf("%s: %.0f rows × %.0f loops\n", scan.Name(), scan.Actual.Rows, scan.Actual.Loops)
	// Output:
	// Fail
	//   rows-budget: the statement examined 2,000 rows; most of them, 2,000, at orders in the main query
	// orders: 2000 rows × 1 loops
}

// EXPLAIN ANALYZE's text, from a log or a colleague's message, is read as it is.
func ExampleParse_tree() {
	plan, err := explainguard.Parse([]byte(`-> Nested loop inner join  (cost=20268 rows=200) (actual time=10.9..11.1 rows=70000 loops=1)
    -> Index lookup on c using ix_tenant (tenant_id = 3)  (cost=17.5 rows=100) (actual time=0.04..0.2 rows=100 loops=1)
    -> Index lookup on o using ix_customer (customer_id = c.id)  (cost=0.85 rows=2) (actual time=0.1..0.9 rows=700 loops=100)
`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("examined %.0f rows, estimated %.0f\n", explainguard.Measure(plan).Total, explainguard.Estimate(plan).Total)
	for _, f := range (&explainguard.Guard{}).Judge(plan).Findings {
		fmt.Println(f.Rule + ": " + f.What)
	}
	// Output:
	// examined 70100 rows, estimated 300
	// rows-budget: the statement examined 70,100 rows; most of them, 70,000, at o in the main query
	// estimate-off: o in the main query examined 70,000 rows, where the optimizer had expected 200: off by a factor of 350
}
