package explainguard_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// Statements of which JSON v2 shows only a part, and what they really examine. They passed with no rows at all.
var hiding = map[string]struct {
	query  string
	really float64
}{
	"derived table of one row":    {"SELECT * FROM (SELECT COUNT(*) AS n FROM items WHERE qty > 5) x", 18000},
	"beside another table":        {"SELECT n.id, x.m FROM notes n JOIN (SELECT MAX(qty) AS m FROM items WHERE qty < 3) x ON n.id < x.m", 18000},
	"CTE of one row":              {"WITH x AS (SELECT SUM(qty) AS n FROM items) SELECT n FROM x", 18000},
	"select list over a derived":  {"SELECT d.p, (SELECT COUNT(*) FROM items i WHERE i.qty > d.p) AS n FROM (SELECT 1 AS p UNION ALL SELECT 2) d", 36000},
	"select list over a group":    {"SELECT d.s, (SELECT COUNT(*) FROM items i WHERE i.qty > d.n) AS n FROM (SELECT status AS s, COUNT(*) AS n FROM orders GROUP BY status LIMIT 2) d", 42000},
	"subquery run while planning": {"SELECT c.name FROM customers c WHERE c.id = (SELECT MIN(i.qty) FROM items i WHERE i.qty > 1)", 18001},
	"in an unused arm":            {"SELECT id FROM notes WHERE id = 3 UNION ALL SELECT n FROM (SELECT COUNT(*) AS n FROM items WHERE qty > 2) x", 18001},
	"view of one row":             {"SELECT * FROM one_row_view", 18000},
	"the same table outside":      {"SELECT i.id FROM items i JOIN (SELECT MAX(qty) AS m FROM items WHERE qty < 3) x ON i.id = x.m", 18001},
}

func TestWhatJSONv2HidesIsNoPass(t *testing.T) {
	db := shop.open(t, nil)
	dsn, err := shop.load()
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "CREATE OR REPLACE VIEW one_row_view AS SELECT COUNT(*) AS n FROM items WHERE qty > 2")
	require.NoError(t, err)
	for name, c := range hiding {
		t.Run(name, func(t *testing.T) {
			r, err := (&explainguard.Guard{DB: db, Format: explainguard.FormatJSONv2}).Check(t.Context(), c.query)
			require.NoError(t, err)
			require.Equal(t, explainguard.Unanalysable, r.Verdict, "%s", r)
			require.Contains(t, fmt.Sprint(r.Reasons), "ask for JSON v1")

			for _, same := range []bool{false, true} { // beside the program, and on its own connection
				tb := inTest(t, func(tb *suiteT) {
					rows, err := (&explainguard.Guard{Format: explainguard.FormatJSONv2, SameConnection: same}).Open(tb, dsn).QueryContext(context.Background(), c.query)
					require.NoError(tb, err)
					for rows.Next() {
					}
					require.NoError(tb, rows.Close())
				})
				require.Len(t, tb.errors, 1, "captured, same connection %v: %s", same, tb.log())
				require.Contains(t, tb.errors[0], "ask for JSON v1")
			}

			r, err = (&explainguard.Guard{DB: db}).Check(t.Context(), c.query)
			require.NoError(t, err)
			require.Equal(t, explainguard.Fail, r.Verdict, "%s", r)
			require.Equal(t, explainguard.FormatJSONv1, r.Plan.Format)
			require.InEpsilon(t, c.really, r.Work.Total, 0.1, "%s", r)
		})
	}
}

// What the server merges away is not missed.
func TestMergedBlocksAreNotHidden(t *testing.T) {
	db := shop.open(t, nil)
	for _, query := range []string{
		"SELECT * FROM (SELECT id, total FROM orders WHERE customer_id = 7) x WHERE total > 3",
		"SELECT id FROM orders WHERE customer_id = 7 AND id IN (SELECT order_id FROM items WHERE product_id = 3)",
		"WITH x AS (SELECT id FROM orders WHERE customer_id = 7) SELECT * FROM x",
		"SELECT id FROM notes WHERE id = (SELECT MAX(id) FROM notes)",
		"SELECT c.id, (SELECT MAX(o.total) FROM orders o WHERE o.customer_id = c.id) FROM customers c WHERE c.tenant_id = 3",
		"SELECT * FROM (SELECT 1 AS a UNION ALL SELECT 2) x",
	} {
		p := explain(t, explainguard.Explainer{DB: db, Format: explainguard.FormatJSONv2}, query)
		require.True(t, p.Analysable(), "%s: %v", query, p.Unanalysable)
	}
}
