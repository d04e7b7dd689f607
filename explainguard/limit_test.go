package explainguard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// What a LIMIT surely ends, it ends in the estimate too; what it may not end, it does not, whatever the server hopes. The
// figures are what EXPLAIN ANALYZE counted, or the whole scan where another value would have needed it.
func TestLimitWithConditionsAndJoins(t *testing.T) {
	db := shop.open(t, nil)
	for query, want := range map[string]float64{
		// The index answers the condition: nothing is dropped on the way.
		"SELECT * FROM orders WHERE status = 'new' LIMIT 10":                                           10,
		"SELECT * FROM orders WHERE status = 'new' ORDER BY id LIMIT 10 OFFSET 5":                      15,
		"SELECT * FROM orders WHERE placed_on >= '2024-03-01' ORDER BY placed_on LIMIT 10":             10,
		"SELECT * FROM orders WHERE id > 5 ORDER BY id DESC LIMIT 10":                                  10,
		"(SELECT id FROM orders WHERE status = 'new' LIMIT 10) UNION ALL (SELECT 1)":                   10,
		"SELECT * FROM (SELECT id FROM orders WHERE status = 'paid' LIMIT 10) x":                       10,
		"SELECT o.id, c.name FROM orders o STRAIGHT_JOIN customers c ON c.id = o.customer_id LIMIT 10": 20,
		"SELECT o.id, i.qty FROM orders o JOIN items i ON i.order_id = o.id ORDER BY o.id LIMIT 30":    40,
		// It does not, or something in between needs every row.
		"SELECT * FROM orders WHERE total = 3 ORDER BY id LIMIT 10":                                                    6000,
		"SELECT * FROM orders WHERE total = 3 AND customer_id > 0 ORDER BY id LIMIT 10":                                6000,
		"SELECT * FROM orders WHERE status = 'new' AND total = 3 ORDER BY id LIMIT 10":                                 1500,
		"SELECT * FROM orders WHERE status = 'new' ORDER BY total LIMIT 10":                                            1500,
		"SELECT * FROM orders WHERE id > 2 AND id MOD 7 = 3 ORDER BY id LIMIT 10":                                      3000,
		"SELECT customer_id, COUNT(*) FROM orders GROUP BY customer_id LIMIT 10":                                       6000,
		"SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY o.total LIMIT 10":         6010,
		"SELECT o.id, c.name FROM orders o STRAIGHT_JOIN customers c ON c.id = o.customer_id ORDER BY c.name LIMIT 10": 12000,
		"SELECT o.id FROM orders o STRAIGHT_JOIN customers c ON c.id = o.customer_id WHERE c.name = 'c7' LIMIT 10":     12000,
	} {
		for _, format := range []explainguard.Format{explainguard.FormatUnknown, explainguard.FormatJSONv1, explainguard.FormatJSONv2} {
			p := explain(t, explainguard.Explainer{DB: db, Format: format}, query)
			if format == explainguard.FormatJSONv2 && !p.Analysable() {
				require.Contains(t, p.Unanalysable[0].WayOut, "ask for JSON v1", query)
				continue
			}
			require.InDelta(t, want, explainguard.Measure(p).Total, 0.1*want, "%s, %s:\n%s", query, format, (&explainguard.Guard{}).Judge(p))
		}
	}
}

// A semijoin and an antijoin read up to the first match: with nothing to filter, one row of however many.
func TestFirstMatchEndsALookup(t *testing.T) {
	db := shop.open(t, nil)
	for query, want := range map[string]float64{
		"SELECT c.id FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)":                                              4000,
		"SELECT c.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.id IS NULL":                                                     4000,
		"SELECT /*+ SEMIJOIN(@q FIRSTMATCH) */ c.id FROM customers c WHERE EXISTS (SELECT /*+ QB_NAME(q) */ 1 FROM orders o WHERE o.customer_id = c.id)": 4000,
		// A filter may drop the first rows.
		"SELECT /*+ SEMIJOIN(@q FIRSTMATCH) */ c.id FROM customers c WHERE EXISTS (SELECT /*+ QB_NAME(q) */ 1 FROM orders o WHERE o.customer_id = c.id AND o.total = 3)": 8000,
	} {
		for _, format := range []explainguard.Format{explainguard.FormatJSONv1, explainguard.FormatJSONv2} {
			p := explain(t, explainguard.Explainer{DB: db, Format: format}, query)
			require.True(t, p.Analysable())
			require.InDelta(t, want, explainguard.Measure(p).Total, 0.1*want, "%s, %s:\n%s", query, format, (&explainguard.Guard{}).Judge(p))
		}
	}
}

// A subquery that rows are sorted by runs for each of them, though a LIMIT passes few on; and a filter keeps no more rows
// than it gets, though MySQL says so of a loose scan.
func TestOddEstimates(t *testing.T) {
	db := shop.open(t, nil)
	for query, want := range map[string]float64{
		"SELECT c.id FROM customers c WHERE c.tenant_id = 3 ORDER BY (SELECT MAX(o.total) FROM orders o WHERE o.customer_id = c.id) DESC LIMIT 3":                                       400,
		"SELECT /*+ SEMIJOIN(@q LOOSESCAN) */ c.id FROM customers c WHERE c.id IN (SELECT /*+ QB_NAME(q) */ o.customer_id FROM orders o WHERE o.customer_id < 100) AND c.tenant_id > 0": 600,
	} {
		for _, format := range []explainguard.Format{explainguard.FormatJSONv1, explainguard.FormatJSONv2} {
			p := explain(t, explainguard.Explainer{DB: db, Format: format}, query)
			require.True(t, p.Analysable())
			require.InDelta(t, want, explainguard.Measure(p).Total, 0.15*want, "%s, %s:\n%s", query, format, (&explainguard.Guard{}).Judge(p))
		}
	}
}
