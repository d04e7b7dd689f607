package explainguard_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// What the README begins with, run as the test that it shows.

func TestOrdersOfACustomer(t *testing.T) {
	db := openTestDatabase(t)
	guard := &explainguard.Guard{DB: db}
	guard.Assert(t, "SELECT total FROM orders WHERE customer_id = ?", 7)
}

func openTestDatabase(t *testing.T) *sql.DB {
	s, err := orders(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s.DB
}

// A plan's shape is kept in testdata/explainguard, and a change of it fails the test.
func ExampleGuard_Golden() {
	_ = func(t *testing.T) {
		guard := &explainguard.Guard{DB: openTestDatabase(t)}
		guard.Golden(t, "orders-of-a-customer", "SELECT total FROM orders WHERE customer_id = ?", 7)
	}
}
