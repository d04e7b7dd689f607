package explainguard_test

import (
	"context"
	"fmt"
	"log"

	"github.com/tashikame-go/tashikame/explainguard"
)

// joined is EXPLAIN's answer for 100 customers and the reservations of each.
func joined() *explainguard.Plan {
	plan, err := explainguard.Parse([]byte(`-> Nested loop inner join  (cost=900 rows=400)
    -> Index lookup on c using ix_tenant (tenant_id = 3)  (cost=17.5 rows=100)
    -> Filter: (r.reserved_on > '2024-01-07')  (cost=8 rows=4)
        -> Index lookup on r using ix_customer (customer_id = c.id)  (cost=8 rows=40)
`))
	if err != nil {
		log.Fatal(err)
	}
	return plan
}

// Rows examined are rows per execution times executions, added up.
func ExampleMeasure() {
	work := explainguard.Measure(joined())
	for _, n := range joined().Root.Accesses() {
		fmt.Printf("%s: %.0f × %.0f\n", n.Name(), n.Read, n.Executions)
	}
	fmt.Printf("%.0f rows\n", work.Total)
	// Output:
	// c: 100 × 1
	// r: 40 × 100
	// 4100 rows
}

// Of a statement that was run, Measure tells what happened and Estimate what the optimizer had expected.
func ExampleEstimate() {
	plan, err := explainguard.Parse([]byte("-> Table scan on t  (cost=1.25 rows=10) (actual time=0.1..9 rows=70000 loops=1)\n"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(explainguard.Measure(plan).Total, explainguard.Estimate(plan).Total)
	// Output: 70000 10
}

// Two plans of one shape do the same work in the same way.
func ExamplePlan_Shape() {
	fmt.Print(joined().Shape())
	// Output:
	// main query
	//   c: index lookup ix_tenant (tenant_id)
	//   r: index lookup ix_customer (customer_id)
}

// A plan that is there already, from a log for example, is judged without a database.
func ExampleGuard_Judge() {
	report := (&explainguard.Guard{Budget: explainguard.Budget{RowsExamined: 4_000}}).Judge(joined())
	fmt.Println(report.Verdict)
	for _, f := range report.Findings {
		fmt.Println(f.Rule+":", f.Figure, "of", f.Limit)
	}
	// Output:
	// Fail
	// unselective-index: 4000 of 1000
	// rows-budget: 4100 of 4000
}

// An Explainer chooses the format, or runs the statement.
func ExampleExplainer_Explain() {
	ctx := context.Background()
	s, err := orders(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	plan, err := explainguard.Explainer{DB: s.DB, Format: explainguard.FormatTree}.Explain(ctx, "SELECT total FROM orders WHERE customer_id = ?", 7)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(plan.Format, plan.Analysable(), explainguard.Measure(plan).Total)
	// Output: TREE true 2
}

// Without one rule, and with one of one's own that cannot tell.
func ExampleDefaultRules() {
	var rules []*explainguard.Rule
	for _, r := range explainguard.DefaultRules() {
		if r != explainguard.UnselectiveIndex {
			rules = append(rules, r)
		}
	}
	rules = append(rules, &explainguard.Rule{Name: "partitions", Doc: "Every table is read by partition.", Run: func(in *explainguard.Input) []explainguard.Finding {
		in.CannotTell("which partitions are read", "ask for JSON v1")
		return nil
	}})
	report := (&explainguard.Guard{Rules: rules}).Judge(joined())
	fmt.Println(report.Verdict, report.Reasons)
	// Output: Unanalysable [which partitions are read: ask for JSON v1]
}

// A budget that comes from a command line or a file.
func ExampleBudget_Set() {
	var guard explainguard.Guard
	fmt.Println(guard.Budget.Set("RowsExamined", 50_000), guard.Budget.RowsExamined)
	fmt.Println(guard.Budget.Set("Repeated", -1))
	// Output:
	// <nil> 50000
	// explainguard: the budget for Repeated is -1; leave it 0 for the default, or set a positive figure or Unlimited
}

// A guard that is configured from a file is looked at before it judges.
func ExampleGuard_Validate() {
	guard := &explainguard.Guard{Require: []explainguard.Require{{Table: "orders"}}}
	fmt.Println(guard.Validate())
	// Output: explainguard: guard: required filter 0 (table "orders") names no Column
}
