package consistency_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// Two tables, on two kinds of servers, are compared by digests that the servers compute; only the ranges of keys that differ are read. Types may differ where they hold the same
// values: DECIMAL(10,2) and DECIMAL(12,4), DATETIME and TIMESTAMP.
func ExampleTable() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	orders, err := servers.StartMySQL(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer orders.Close()
	billing, err := servers.StartMariaDB(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer billing.Close()
	for _, stmt := range []string{
		"CREATE TABLE orders (id BIGINT PRIMARY KEY, customer VARCHAR(50), total DECIMAL(10,2), deleted_at DATETIME)",
		"INSERT INTO orders VALUES (1, '山田', 1.50, NULL), (2, 'Smith', 2, NULL), (3, 'Meier', 3, NULL), (4, 'gone', 0, '2026-01-01')",
	} {
		if _, err := orders.DB.ExecContext(ctx, stmt); err != nil {
			log.Fatal(err)
		}
	}
	for _, stmt := range []string{
		"CREATE TABLE invoices (order_id INT PRIMARY KEY, customer VARCHAR(80), total DECIMAL(12,4))",
		"INSERT INTO invoices VALUES (1, '山田', 1.5), (2, 'smith', 2)",
	} {
		if _, err := billing.DB.ExecContext(ctx, stmt); err != nil {
			log.Fatal(err)
		}
	}

	check := consistency.Reconcile{
		Meta:     consistency.Meta{Name: "orders are invoiced", Owner: "billing"},
		Left:     consistency.Table{DB: orders.DB, Name: "orders", Where: "deleted_at IS NULL"},
		LeftName: "orders",
		Right:    consistency.Table{DB: billing.DB, Name: "invoices"}, RightName: "billing",
		Key:     []consistency.Column{{Name: "id", Right: "order_id"}},
		Compare: []consistency.Column{{Name: "customer"}, {Name: "total"}},
		Digest:  consistency.DigestStrong, // the zero value is DigestFast
	}
	found, err := check.Run(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, v := range found.Violations {
		row, _ := v.Row.MarshalJSON()
		fmt.Printf("%s %s\n", v.Key, row)
	}
	// Output:
	// 2 {"id":2,"difference":"customer","orders.customer":"Smith","billing.customer":"smith"}
	// 3 {"id":3,"difference":"missing in billing","orders.customer":"Meier","orders.total":"3"}
}

// A Table by itself yields its rows in the order of the primary key, and finds rows by it.
func ExampleTable_Lookup() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server, err := servers.StartMySQL(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	for _, stmt := range []string{"CREATE TABLE stock (item VARCHAR(20) PRIMARY KEY, n INT)", "INSERT INTO stock VALUES ('寿司', 5), ('tea', 7), ('Tea-pot', 1)"} {
		if _, err := server.DB.ExecContext(ctx, stmt); err != nil {
			log.Fatal(err)
		}
	}
	stock := consistency.Table{DB: server.DB, Name: "stock"}
	for row, err := range stock.Rows(ctx, []any{"Tea-pot"}) { // what comes after it, in the order of bytes
		fmt.Println(row, err)
	}
	for row, err := range stock.Lookup(ctx, [][]any{{"tea"}, {"TEA"}}) { // as it is written, whatever the collation says
		fmt.Println(row, err)
	}
	// Output:
	// [{item tea} {n 7}] <nil>
	// [{item 寿司} {n 5}] <nil>
	// [{item tea} {n 7}] <nil>
}
