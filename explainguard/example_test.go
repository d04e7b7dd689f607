package explainguard_test

import (
	"context"
	"fmt"
	"log"
	"strings"
	"testing"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// orders makes a small database for the examples.
func orders(ctx context.Context) (*servers.MySQLServer, error) {
	s, err := servers.StartMySQL(ctx)
	if err != nil {
		return nil, err
	}
	for _, statement := range []string{
		"CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, customer_id INT NOT NULL, total INT NOT NULL, KEY ix_customer (customer_id))",
		"INSERT INTO orders (customer_id, total) SELECT 1 + n % 1000, n FROM (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 1000) SELECT n FROM s) x",
		"INSERT INTO orders (customer_id, total) SELECT customer_id, total FROM orders",
		"ANALYZE TABLE orders",
	} {
		if _, err := s.DB.ExecContext(ctx, statement); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func ExampleGuard_Check() {
	ctx := context.Background()
	s, err := orders(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	guard := &explainguard.Guard{DB: s.DB, Budget: explainguard.Budget{RowsExamined: 500}}
	for _, query := range []string{
		"SELECT total FROM orders WHERE customer_id = ?",
		"SELECT total FROM orders WHERE total > ?",      // no index
		"SELECT total FROM orders WHERE id = ? * 10000", // no such row: the plan tells nothing
	} {
		report, err := guard.Check(ctx, query, 7)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(report.Verdict)
		for _, f := range report.Findings {
			fmt.Println("  " + f.Rule + ": " + f.What)
		}
		for _, r := range report.Reasons {
			fmt.Println("  " + r.What)
		}
	}
	// Output:
	// Pass
	// Fail
	//   rows-budget: the statement examines 2,000 rows; most of them, 2,000, at orders in the main query
	// Unanalysable
	//   the plan collapsed: main query: no matching row in const table
}

// In a test, one line guards a query.
func ExampleGuard_Assert() {
	_ = func(t *testing.T) {
		db := servers.MySQL(t).DB // your test's database
		guard := &explainguard.Guard{DB: db}
		guard.Assert(t, "SELECT total FROM orders WHERE customer_id = ?", 7)
	}
}

func ExampleExplain() {
	ctx := context.Background()
	s, err := orders(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	plan, err := explainguard.Explain(ctx, s.DB, `
		SELECT a.total, (SELECT COUNT(*) FROM orders b WHERE b.customer_id = a.customer_id) AS n
		FROM orders a WHERE a.customer_id IN (1, 2, 3)`)
	if err != nil {
		log.Fatal(err)
	}
	for _, block := range plan.Blocks() {
		for _, n := range block.Accesses() {
			fmt.Printf("%s: %s by %s, %.0f rows × %.0f\n", block.Title(), n.Name(), n.Access, n.Read, n.Executions)
		}
	}
	// Output:
	// main query: a by index range, 6 rows × 1
	// subquery #2 in select list: b by index lookup, 2 rows × 6
}

func ExampleParse() {
	plan, err := explainguard.Parse([]byte(`{
	  "query_block": {"select_id": 1, "nested_loop": [
	    {"table": {"table_name": "c", "access_type": "ref", "key": "ix_tenant",
	               "rows_examined_per_scan": 20000, "rows_produced_per_join": 20000, "filtered": "100.00"}},
	    {"table": {"table_name": "r", "access_type": "ref", "key": "ix_customer",
	               "rows_examined_per_scan": 4, "rows_produced_per_join": 80000, "filtered": "100.00"}}]}}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(plan.Format, explainguard.Measure(plan).Total)

	report := (&explainguard.Guard{}).Judge(plan)
	fmt.Println(report.Verdict, strings.Split(report.Findings[0].What, ";")[0])

	tree, err := explainguard.Parse([]byte("-> Table scan on t  (cost=1.25 rows=10)"))
	fmt.Println(tree.Format, explainguard.Measure(tree).Total, err)
	// Output:
	// JSON v1 100000
	// Fail the statement examines 100,000 rows
	// TREE 10 <nil>
}

// A rule is a value: write one of your own and put it beside the default ones.
func ExampleRule() {
	noFulltext := &explainguard.Rule{
		Name: "no-fulltext",
		Doc:  "Full-text indexes are not used in this service.",
		Run: func(in *explainguard.Input) []explainguard.Finding {
			var found []explainguard.Finding
			for _, block := range in.Plan.Blocks() {
				for _, n := range block.Accesses() {
					if n.Access == explainguard.AccessFulltext {
						found = append(found, explainguard.Finding{Block: block, Node: n, What: "a full-text search", WayOut: "ask the search service"})
					}
				}
			}
			return found
		},
	}
	guard := &explainguard.Guard{Rules: append(explainguard.DefaultRules(), noFulltext)}
	fmt.Println(guard.Rules[len(guard.Rules)-1].Name)
	// Output:
	// no-fulltext
}
