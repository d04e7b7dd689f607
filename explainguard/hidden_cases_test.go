package explainguard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// What MySQL reads while it plans is not in JSON v2; it must be judged all the same.
func TestReadWhilePlanning(t *testing.T) {
	db := shop.open(t, nil)
	for name, query := range map[string]string{
		"a derived table of one row":        "SELECT d.n FROM (SELECT COUNT(*) n FROM items WHERE qty > 1) d",
		"joined by a unique key":            "SELECT c.name FROM customers c JOIN (SELECT MAX(order_id) m FROM items WHERE qty = 3) d ON d.m = c.id + 4000 AND c.id = 1",
		"a subquery for a unique key":       "SELECT name FROM customers WHERE id = (SELECT MIN(order_id) FROM items WHERE qty = 3)",
		"a common table expression":         "WITH d AS (SELECT MAX(order_id) m FROM items WHERE qty = 3) SELECT m FROM d",
		"a subquery in a derived table":     "SELECT d.id FROM (SELECT id FROM customers WHERE id = (SELECT MIN(order_id) FROM items WHERE qty = 3)) d",
		"a subquery without its own tables": "SELECT (SELECT d.n FROM (SELECT COUNT(*) n FROM items WHERE qty > 1) d) x",
	} {
		t.Run(name, func(t *testing.T) {
			r, err := (&explainguard.Guard{DB: db}).Check(t.Context(), query)
			require.NoError(t, err)
			require.Equal(t, explainguard.Fail, r.Verdict, "%s\n%s", r, r.Plan.Rewritten)
			require.Greater(t, r.Work.Total, 17_000.0)
		})
	}
	// Merged SELECTs are missing too: the plan stays the one it was.
	for _, query := range []string{
		"SELECT d.name FROM (SELECT name FROM customers WHERE tenant_id = 3) d",
		"SELECT name FROM customers WHERE tenant_id = 3 AND id IN (SELECT customer_id FROM orders)",
		"SELECT name, 'select' FROM customers WHERE id = 7",
	} {
		p := explain(t, explainguard.Explainer{DB: db}, query)
		require.Equal(t, explainguard.FormatJSONv2, p.Format, query)
	}
}
