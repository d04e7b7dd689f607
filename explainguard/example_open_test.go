package explainguard_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/tashikame-go/tashikame/explainguard"
)

// printed is a test whose findings are printed, for the examples.
type printed struct {
	testing.TB
	cleanups []func()
}

func (p *printed) Helper()             {}
func (p *printed) Name() string        { return "TestPage" }
func (p *printed) Logf(string, ...any) {}
func (p *printed) Cleanup(f func())    { p.cleanups = append(p.cleanups, f) }
func (p *printed) Errorf(_ string, args ...any) {
	// In a test the report itself is the error: args[0].
	fmt.Println("the test fails")
}

func (p *printed) end() {
	for _, f := range p.cleanups {
		f()
	}
}

// The line that opens the pool is all that changes in an existing test.
func ExampleGuard_Open() {
	s, err := orders(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	dsn := s.DSN
	t := &printed{} // in your test: t *testing.T

	guard := &explainguard.Guard{Budget: explainguard.Budget{RowsExamined: 500}}
	db := guard.Open(t, dsn) // was: sql.Open("mysql", dsn)

	var total int
	if err := db.QueryRow("SELECT SUM(total) FROM orders WHERE customer_id = ?", 7).Scan(&total); err != nil {
		log.Fatal(err)
	}
	if err := db.QueryRow("SELECT COUNT(*) FROM orders WHERE total > ?", 500).Scan(&total); err != nil { // no index
		log.Fatal(err)
	}
	t.end()
	// Output:
	// the test fails
}

// Any driver for MySQL will do, through its connector.
func ExampleGuard_OpenConnector() {
	_ = func(t *testing.T, config *mysql.Config) *sql.DB {
		connector, err := mysql.NewConnector(config)
		if err != nil {
			t.Fatal(err)
		}
		return (&explainguard.Guard{}).OpenConnector(t, connector)
	}
}

// Tests that share one pool, perhaps at the same time, are told apart by their contexts.
func ExampleGuard_WithTest() {
	s, err := orders(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	shared, err := sql.Open(explainguard.DriverName, s.DSN) // once, in TestMain
	if err != nil {
		log.Fatal(err)
	}
	defer shared.Close()
	guard := &explainguard.Guard{DB: s.DB, Budget: explainguard.Budget{RowsExamined: 500}}

	t := &printed{}
	ctx := guard.WithTest(context.Background(), t)
	var n int
	if err := shared.QueryRowContext(ctx, "SELECT COUNT(*) FROM orders WHERE total > ?", 500).Scan(&n); err != nil {
		log.Fatal(err)
	}
	t.end()
	// Output:
	// the test fails
}
