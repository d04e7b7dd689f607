package consistency_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// Orders in the service's database, payments in another's: every order needs its payment, of the same amount.
func ExampleReconcile() {
	ctx := context.Background()
	orders, billing := exampleDatabase(ctx), exampleDatabase(ctx)
	defer orders.Close()
	defer billing.Close()
	exampleExec(orders.DB, "CREATE TABLE orders (id INT PRIMARY KEY, total DECIMAL(10,2))", "INSERT INTO orders VALUES (1, 12.50), (2, 99.00), (3, 5.00)")
	exampleExec(billing.DB, "CREATE TABLE payments (order_id INT PRIMARY KEY, amount DECIMAL(12,4))", "INSERT INTO payments VALUES (1, 12.5000), (2, 9.9000), (4, 1.0000)")

	runner := consistency.Runner{Checks: []consistency.Check{consistency.Reconcile{
		Meta:     consistency.Meta{Name: "orders-and-payments", Retry: &consistency.Retry{Attempts: 2, Delay: time.Millisecond}},
		LeftName: "orders", Left: consistency.Query{DB: orders.DB, SQL: "SELECT id, total FROM orders ORDER BY id"},
		RightName: "billing", Right: consistency.Query{DB: billing.DB, SQL: "SELECT order_id, amount FROM payments ORDER BY order_id"},
		Key:     []consistency.Column{{Name: "id", Right: "order_id"}},
		Compare: []consistency.Column{{Name: "total", Right: "amount"}},
	}}}
	summary, err := runner.Run(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(summary.Results[0].Headline())
	for _, v := range summary.Results[0].Violations {
		row, _ := json.Marshal(v.Row)
		fmt.Println(string(row))
	}
	// Output:
	// 3 inconsistent: orders-and-payments
	// {"id":2,"difference":"total","orders.total":"99","billing.amount":"9.9"}
	// {"id":3,"difference":"missing in billing","orders.total":"5"}
	// {"id":4,"difference":"missing in orders","billing.amount":"1"}
}

// A database beside a store that is no database: here a map stands for sessions in Redis.
func ExampleFuncSource() {
	sessions := map[string]string{"s1": "alice", "s2": "bob", "s3": "carol"}
	expected := []string{"s1", "s2"}
	cache := consistency.FuncSource(func(_ context.Context, after []any) iter.Seq2[consistency.Row, error] {
		return func(yield func(consistency.Row, error) bool) {
			var ids []string
			for id := range sessions {
				if after == nil || id > after[0].(string) {
					ids = append(ids, id)
				}
			}
			slices.Sort(ids) // the order of text is that of its bytes
			for _, id := range ids {
				if !yield(consistency.Row{{Name: "id", Value: id}}, nil) {
					return
				}
			}
		}
	})
	list := consistency.FuncSource(func(context.Context, []any) iter.Seq2[consistency.Row, error] {
		return func(yield func(consistency.Row, error) bool) {
			for _, id := range expected {
				if !yield(consistency.Row{{Name: "id", Value: id}}, nil) {
					return
				}
			}
		}
	})
	check := consistency.Reconcile{
		Meta: consistency.Meta{Name: "sessions"}, LeftName: "list", Left: list, RightName: "cache", Right: cache,
		Key: []consistency.Column{{Name: "id", Kind: consistency.KindText}},
	}
	found, err := check.Run(context.Background())
	fmt.Println(found.Total, found.Breakdown, err)
	fmt.Println(found.Violations[0].Row)
	// Output:
	// 1 [{missing in list 1} {missing in cache 0} {different 0}] <nil>
	// [{id s3} {difference missing in list}]
}

func ExampleQuery_Rows() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server := exampleDatabase(ctx)
	defer server.Close()
	query := consistency.Query{DB: server.DB, SQL: "SELECT ? AS id, '注文' AS name UNION ALL SELECT 2, NULL", Args: []any{1}}
	for row, err := range query.Rows(ctx, nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(row)
	}
	// Output:
	// [{id 1} {name 注文}]
	// [{id 2} {name <nil>}]
}

// A mistake in the declaration is told before anything is read, all of them at once.
func ExampleReconcile_Validate() {
	fmt.Println(consistency.Reconcile{
		Left: consistency.Query{DB: &sql.DB{}, SQL: "SELECT id, price FROM a ORDER BY id"}, Right: consistency.Query{SQL: "SELECT id, price FROM b ORDER BY id"},
		Key:     []consistency.Column{{Name: "id"}},
		Compare: []consistency.Column{{Name: "price", Kind: consistency.KindDecimal, Scale: 2}},
	}.Validate())
	// Output:
	// Reconcile.Right: Query.DB is nil: set it to the database to read
	// Reconcile.Compare[0] (price): Scale is 2: it must not be negative, and counts only with HasScale: true
}

func ExampleFileCheckpoints() {
	dir, err := os.MkdirTemp("", "checkpoints")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	check := consistency.Reconcile{Checkpoints: consistency.FileCheckpoints{Dir: filepath.Join(dir, "orders")}}
	ctx := context.Background()
	fmt.Println(check.Checkpoints.SaveCheckpoint(ctx, "orders", []byte("42")))
	data, err := check.Checkpoints.LoadCheckpoint(ctx, "orders")
	fmt.Println(string(data), err)
	// Output:
	// <nil>
	// 42 <nil>
}

func exampleDatabase(ctx context.Context) *servers.MySQLServer {
	server, err := servers.StartMySQL(ctx)
	if err != nil {
		panic(err)
	}
	return server
}

func exampleExec(db *sql.DB, statements ...string) {
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			panic(err)
		}
	}
}
