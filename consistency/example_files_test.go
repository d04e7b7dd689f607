package consistency_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"testing/fstest"
	"time"

	"github.com/tashikame-go/tashikame/consistency"
)

// A check is a .sql file: nobody has to write Go to add one. In your program the files come from an embed.FS or os.DirFS("checks").
func ExampleLoadFS() {
	db, done := marketplace()
	defer done()

	files := fstest.MapFS{
		"orders-without-payment.sql": &fstest.MapFile{Data: []byte(`-- key: id
-- owner: payments
-- severity: critical
-- retry: 2 every 10ms
-- mask: email
-- population: SELECT COUNT(*) FROM orders
SELECT o.id, o.email, o.paid_at FROM orders o LEFT JOIN payments p ON p.order_id = o.id
WHERE o.paid_at IS NOT NULL AND p.id IS NULL
`)},
		"payments-of-orders.sql": &fstest.MapFile{Data: []byte(`-- key: order_id
-- retry: 2 every 10ms
-- left: main
SELECT id AS order_id FROM orders WHERE paid_at IS NOT NULL ORDER BY id;
-- right: main
SELECT order_id FROM payments ORDER BY order_id;
`)},
	}
	checks, err := consistency.LoadFS(files, map[string]*sql.DB{"main": db})
	if err != nil {
		panic(err)
	}
	runner := consistency.Runner{Checks: checks}
	summary, err := runner.Run(context.Background())
	if err != nil {
		panic(err)
	}
	for _, r := range summary.Results {
		row, _ := r.Violations[0].Row.MarshalJSON()
		fmt.Println(r.Headline(), string(row))
	}

	_, err = consistency.LoadFS(fstest.MapFS{"bad.sql": &fstest.MapFile{Data: []byte("-- key: id\n-- retires: 3 every 30s\nSELECT id FROM orders\n")}}, map[string]*sql.DB{"main": db})
	fmt.Println(err)
	// Output:
	// 1 inconsistent: orders-without-payment {"id":3,"email":"***","paid_at":"2026-11-20 11:00:00"}
	// 1 inconsistent: payments-of-orders {"order_id":3,"difference":"missing in right"}
	// consistency: the checks cannot be loaded: bad.sql:2: unknown header "retires": did you mean retry?
}

// The checks of a run, the worst first.
func ExampleSummary_Table() {
	summary := consistency.Summary{Results: []consistency.Result{
		{Check: consistency.Meta{Name: "negative-stock"}, Outcome: consistency.Consistent, Duration: 2 * time.Millisecond},
		{Check: consistency.Meta{Name: "入金のない注文"}, Outcome: consistency.Inconsistent, Total: 128, Duration: 31 * time.Second},
		{Check: consistency.Meta{Name: "stuck-events"}, Reason: "connect: connection refused", Duration: 3 * time.Second},
	}}
	if err := summary.Table(os.Stdout); err != nil {
		panic(err)
	}
	// Output:
	// OUTCOME       COUNT  TOOK  CHECK           REASON
	// inconsistent    128   31s  入金のない注文
	// unknown           ?    3s  stuck-events    connect: connection refused
	// consistent        0   2ms  negative-stock
	// 1 inconsistent, 1 unknown, 1 consistent (3 checks)
}

// A Brake keeps checks from a database that has enough to do.
func ExampleBrake() {
	db, done := marketplace()
	defer done()

	brake := &consistency.Brake{
		MaxLag:            5 * time.Second,
		MaxThreadsRunning: 1000,
		Heartbeat:         "SELECT 40", // in production: the age of the newest row of a heartbeat table, in seconds
		Wait:              -1,          // in production: leave it out, to wait for 30 s
	}
	runner := consistency.Runner{Checks: []consistency.Check{consistency.SQL{
		Meta:  consistency.Meta{Name: "free-orders", Retry: soon},
		DB:    db,
		Query: "SELECT id FROM orders WHERE price < 0",
		Key:   []string{"id"},
		Brake: brake,
	}}}
	summary, err := runner.Run(context.Background())
	fmt.Println(summary.Results[0].Headline(), err)
	// Output:
	// could not tell: free-orders: the database has enough to do: the replica is 40s behind (Brake.MaxLag is 5s); the query was not sent <nil>
}

// A frozen clone can never heal anything: scan the clone, and convict on the live database.
func ExampleSQL_confirm() {
	clone, dropClone := marketplace()
	defer dropClone()
	live, dropLive := marketplace()
	defer dropLive()
	if _, err := live.Exec("INSERT INTO payments VALUES (71, 3)"); err != nil { // it arrived after the clone was made
		panic(err)
	}

	runner := consistency.Runner{Checks: []consistency.Check{consistency.SQL{
		Meta:    consistency.Meta{Name: "orders-without-payment", Retry: soon},
		DB:      clone,
		Confirm: live,
		Query:   "SELECT o.id FROM orders o LEFT JOIN payments p ON p.order_id = o.id WHERE o.paid_at IS NOT NULL AND p.id IS NULL",
		Key:     []string{"id"},
	}}}
	summary, err := runner.Run(context.Background())
	fmt.Println(summary.Results[0].Headline(), summary.Results[0].Healed.Rows, "healed", err)
	// Output: 0 inconsistent: orders-without-payment 1 healed <nil>
}
