package consistency_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// marketplace is a real MySQL with one order that was paid for although there is no payment.
func marketplace() (db *sql.DB, done func()) {
	server, err := servers.StartMySQL(context.Background())
	if err != nil {
		panic(err)
	}
	for _, s := range []string{
		"CREATE TABLE orders (id INT PRIMARY KEY, email VARCHAR(100), price DECIMAL(10,2), paid_at DATETIME)",
		"CREATE TABLE payments (id INT PRIMARY KEY, order_id INT)",
		"INSERT INTO orders VALUES (1, 'a@example.com', 12.50, NULL), (2, 'b@example.com', 99.90, '2026-11-20 10:00:00'), (3, 'c@example.com', 5.00, '2026-11-20 11:00:00')",
		"INSERT INTO payments VALUES (70, 2)",
	} {
		if _, err := server.DB.Exec(s); err != nil {
			panic(err)
		}
	}
	return server.DB, func() { _ = server.Close() }
}

// shown leaves out of a log record what differs from run to run.
var shown = &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case slog.TimeKey, "duration", "oldest", "clean_since", "incident":
		return slog.Attr{}
	}
	return a
}}

// soon keeps the examples short. In production leave Retry out: the defaults look three times within 30 seconds.
var soon = &consistency.Retry{Attempts: 2, Delay: 10 * time.Millisecond}

// Adding a check is writing a SQL that returns the rows which must not exist.
func Example() {
	db, done := marketplace()
	defer done()

	runner := consistency.Runner{
		Checks: []consistency.Check{consistency.SQL{
			Meta:  consistency.Meta{Name: "orders-without-payment", Owner: "payments", Retry: soon},
			DB:    db,
			Query: "SELECT o.id, o.price, o.paid_at FROM orders o LEFT JOIN payments p ON p.order_id = o.id WHERE o.paid_at IS NOT NULL AND p.id IS NULL",
			Key:   []string{"id"},
		}},
		Notifiers: []consistency.Notifier{consistency.SlogNotifier{Logger: slog.New(slog.NewTextHandler(os.Stdout, shown))}},
	}
	summary, err := runner.Run(context.Background())
	fmt.Println(summary, err)
	// Output:
	// level=ERROR msg="1 (+1): orders-without-payment" check=orders-without-payment event=opened outcome=inconsistent total=1 owner=payments new=1 attempts=2 left_out=0 rows="[{\"key\":\"3\",\"phase\":\"new\",\"row\":{\"id\":3,\"price\":\"5.00\",\"paid_at\":\"2026-11-20 11:00:00\"}}]"
	// 1 inconsistent, 0 unknown, 0 consistent (1 check) <nil>
}

// A check that looked at nothing is Unknown, never Consistent.
func ExampleSQL_population() {
	db, done := marketplace()
	defer done()
	if _, err := db.Exec("DELETE FROM orders"); err != nil {
		panic(err)
	}

	runner := consistency.Runner{Checks: []consistency.Check{consistency.SQL{
		Meta:       consistency.Meta{Name: "free-orders"},
		DB:         db,
		Query:      "SELECT id FROM orders WHERE price < 0",
		Key:        []string{"id"},
		Population: "SELECT COUNT(*) FROM orders",
	}}}
	summary, err := runner.Run(context.Background())
	fmt.Println(summary, err)
	// Output: 0 inconsistent, 1 unknown, 0 consistent (1 check) <nil>
}

// A SQL check cannot write: what is not plain reading is not sent.
func ExampleSQL_Validate() {
	err := consistency.SQL{
		Meta:  consistency.Meta{Name: "cleanup"},
		DB:    new(sql.DB),
		Query: "WITH old AS (SELECT 1 AS id)\nDELETE FROM orders WHERE id IN (SELECT id FROM old)",
		Key:   []string{"id"},
	}.Validate()
	fmt.Println(err)
	// Output: SQL.Query: the query was not sent: line 2 holds DELETE: a check may only read
}

// Recheck looks again at some rows only.
func ExampleSQL_Recheck() {
	db, done := marketplace()
	defer done()

	check := consistency.SQL{DB: db, Query: "SELECT id FROM orders WHERE paid_at IS NULL", Key: []string{"id"}}
	still, err := check.Recheck(context.Background(), []consistency.Violation{{Key: "1"}, {Key: "2"}})
	fmt.Println(len(still), still[0].Key, still[0].Row, err)
	// Output: 1 1 [{id 1}] <nil>
}

// Whatever is not one query is a function.
func ExampleCheckFunc() {
	stock := map[string]int{"socks": 3, "shoes": -1}
	check := consistency.CheckFunc{
		Meta: consistency.Meta{Name: "negative-stock", Retry: soon},
		Func: func(context.Context) (consistency.Findings, error) {
			f := consistency.Findings{Examined: int64(len(stock))}
			for item, n := range stock {
				if n < 0 {
					f.Violations = append(f.Violations, consistency.Violation{Key: item, Row: consistency.Row{{Name: "item", Value: item}, {Name: "n", Value: n}}})
				}
			}
			return f, nil
		},
	}
	runner := consistency.Runner{Checks: []consistency.Check{check}}
	summary, err := runner.Run(context.Background())
	result := summary.Results[0]
	fmt.Println(result.Headline(), result.Violations[0].Row, err)
	// Output: 1 inconsistent: negative-stock [{item shoes} {n -1}] <nil>
}

// An error means that nobody could tell. Permanent spares the tries that cannot help.
func ExamplePermanent() {
	runner := consistency.Runner{Checks: []consistency.Check{consistency.CheckFunc{
		Meta: consistency.Meta{Name: "invoices"},
		Func: func(context.Context) (consistency.Findings, error) {
			return consistency.Findings{}, consistency.Permanent(errors.New("billing answered 403: ask for the role billing-reader"))
		},
	}}}
	summary, err := runner.Run(context.Background())
	fmt.Println(summary.Outcome(), err)
	fmt.Println(summary.Results[0].Headline())
	// Output:
	// unknown <nil>
	// could not tell: invoices: billing answered 403: ask for the role billing-reader
}

func ExampleKey() {
	one, _ := consistency.Key(42)
	two, _ := consistency.Key("tenant,7", 42)
	_, err := consistency.Key(nil)
	fmt.Println(one)
	fmt.Println(two)
	fmt.Println(err)
	// Output:
	// 42
	// tenant\,7,42
	// a key column is NULL: a row without a key cannot be recognised at the second look; choose columns that are never NULL, or COALESCE them in the query
}

// Mask hides the values of columns wherever a result goes.
func ExampleJSONNotifier() {
	db, done := marketplace()
	defer done()

	runner := consistency.Runner{
		Checks: []consistency.Check{consistency.SQL{
			Meta:  consistency.Meta{Name: "unpaid", Retry: soon, Mask: []string{"email"}},
			DB:    db,
			Query: "SELECT email, price FROM orders WHERE paid_at IS NULL",
			Key:   []string{"email"},
		}},
		Notifiers: []consistency.Notifier{consistency.JSONNotifier{Writer: lineEnd{}}},
	}
	if _, err := runner.Run(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output: "left_out":0,"rows":[{"key":"***","phase":"new","row":{"email":"***","price":"12.50"}}]}
}

// lineEnd prints the end of a line, which does not differ from run to run.
type lineEnd struct{}

func (lineEnd) Write(p []byte) (int, error) {
	const end = `"left_out":0,"rows":[{"key":"***","phase":"new","row":{"email":"***","price":"12.50"}}]}` + "\n"
	return len(p), func() error { _, err := os.Stdout.Write(p[max(0, len(p)-len(end)):]); return err }()
}

func ExampleSlogNotifier() {
	notifier := consistency.SlogNotifier{Logger: slog.New(slog.NewTextHandler(os.Stdout, shown))}
	_, _ = notifier.Notify(context.Background(), consistency.Event{Result: consistency.Result{
		Check: consistency.Meta{Name: "orders-without-payment"}, Outcome: consistency.Consistent, Examined: 5000, Attempts: 1,
	}})
	// Output: level=INFO msg="0: orders-without-payment" check=orders-without-payment event=quiet outcome=consistent total=0 examined=5000 attempts=1
}

// One declaration follows events from the outbox to each consumer. Here one event was published and never consumed, and another consumed twice.
func ExampleLedger() {
	server, err := servers.StartMySQL(context.Background())
	if err != nil {
		panic(err)
	}
	defer server.Close()
	db := server.DB // each history may live in a database of its own
	for _, s := range []string{
		"CREATE TABLE outboxevent (id CHAR(36) PRIMARY KEY, aggregatetype VARCHAR(255), aggregateid VARCHAR(255), type VARCHAR(255), payload JSON, created_at TIMESTAMP(6), INDEX (created_at))",
		"CREATE TABLE consumed_events (consumer VARCHAR(50), event_id CHAR(36), consumed_at TIMESTAMP(6), INDEX (event_id), INDEX (consumed_at))",
		"INSERT INTO outboxevent VALUES ('e1', 'Order', '7', 'OrderPaid', '{}', NOW() - INTERVAL 1 HOUR), ('e2', 'Order', '8', 'OrderPaid', '{}', NOW() - INTERVAL 1 HOUR)",
		"INSERT INTO consumed_events VALUES ('billing', 'e2', NOW() - INTERVAL 59 MINUTE), ('billing', 'e2', NOW() - INTERVAL 50 MINUTE)",
	} {
		if _, err := db.Exec(s); err != nil {
			panic(err)
		}
	}

	runner := consistency.Runner{Checks: []consistency.Check{consistency.Ledger{
		Meta:      consistency.Meta{Name: "order-events", Retry: soon},
		Requested: consistency.EventLog{DB: db, Table: "outboxevent", At: "created_at"},
		Consumers: []consistency.Consumer{{
			Name: "billing", Column: "consumer", Types: []string{"OrderPaid"},
			Log: consistency.EventLog{DB: db, Table: "consumed_events", At: "consumed_at"},
		}},
		Within: 15 * time.Minute,
	}}}
	summary, err := runner.Run(context.Background())
	if err != nil {
		panic(err)
	}
	result := summary.Results[0]
	fmt.Println(result.Headline())
	for _, v := range result.Violations {
		detail, _ := v.Row.Get("detail")
		fmt.Println(v.Key, "-", detail)
	}
	for _, note := range result.Notes {
		fmt.Println(note)
	}
	// Output:
	// 2 inconsistent: order-events
	// never-consumed,e1,billing - requested, and not consumed by billing
	// consumed-twice,e2,billing - consumed 2 times by billing
	// delivery to billing took p50 1m0s, p99 1m0s, at most 1m0s (1 event)
	// the first look found 1 never-consumed, 1 consumed-twice
}
