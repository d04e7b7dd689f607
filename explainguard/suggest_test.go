package explainguard_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// TestSuggestionsAreProven: the rewrite or index is named, explained again, and does what the suggestion says.
func TestSuggestionsAreProven(t *testing.T) {
	db := smartList.open(t, nil)
	g := &explainguard.Guard{DB: db}
	for _, format := range []explainguard.Format{explainguard.FormatJSONv1, explainguard.FormatJSONv2} {
		g.Format = format
		r, err := g.Check(t.Context(), query(t, "bad"))
		require.NoError(t, err)
		s := r.Findings[0].Suggestion
		require.NotNil(t, s, r)
		require.Equal(t, "add `c.id IN (1, 2, 3, 4, 5)` to the WHERE inside st", s.What)
		require.InDelta(t, r.Work.Total, s.Before, 0)
		// The changed statement stands for itself.
		after, err := g.Check(t.Context(), s.Statement)
		require.NoError(t, err)
		require.Equal(t, explainguard.Pass, after.Verdict, "%s", after)
		require.InDelta(t, after.Work.Total, s.After, 0)
		require.Less(t, s.After, 100.0)
		require.Contains(t, r.String(), "proven:  add `c.id IN")
		require.Contains(t, r.String(), "rows, re-explained")
	}
	rows := func(statement string) string {
		var out []string
		found, err := db.QueryContext(t.Context(), statement)
		require.NoError(t, err)
		defer found.Close()
		for found.Next() {
			var id, tenant int
			var name string
			require.NoError(t, found.Scan(&id, &tenant, &name))
			out = append(out, fmt.Sprint(id, tenant, name))
		}
		require.NoError(t, found.Err())
		return strings.Join(out, ";")
	}
	r, err := g.Check(t.Context(), query(t, "bad"))
	require.NoError(t, err)
	require.Equal(t, rows(query(t, "bad")), rows(r.Findings[0].Suggestion.Statement), "it returns the same rows")
	require.NotEmpty(t, rows(query(t, "bad")))
}

func TestRewritesOfOtherShapes(t *testing.T) {
	g := &explainguard.Guard{DB: shop.open(t, nil)}
	for name, query := range map[string]string{
		"with arguments": "SELECT c.name, s.n FROM customers c JOIN (" + perCustomer + ") s ON s.customer_id = c.id WHERE c.id IN (?, 2, 3)",
		"CTE":            "WITH s AS (" + perCustomer + ") SELECT c.name, x.n FROM customers c JOIN s x ON x.customer_id = c.id WHERE c.id IN (?, 2, 3)",
		"union": "SELECT c.name, s.n FROM customers c JOIN (SELECT customer_id, total n FROM orders WHERE customer_id IN (1, 2, 3) UNION ALL " +
			"SELECT customer_id, total + 1 FROM orders WHERE id > 0) s ON s.customer_id = c.id WHERE c.id IN (?, 2, 3)",
		"inside a derived table": "SELECT * FROM (SELECT c.name, s.n FROM customers c JOIN (" + perCustomer + ") s ON s.customer_id = c.id WHERE c.id IN (?, 2, 3) LIMIT 9) o",
	} {
		r, err := g.Check(t.Context(), query, 1)
		require.NoError(t, err)
		require.Equal(t, explainguard.Fail, r.Verdict, "%s: %s", name, r)
		s := r.Findings[0].Suggestion
		require.NotNil(t, s, "%s: %s", name, r)
		require.Less(t, s.After, s.Before/2)
		require.Contains(t, s.Statement, "?", "arguments stay arguments")
	}
}

func TestAnIndexIsTriedOnACopy(t *testing.T) {
	db := ownShop(t)
	g := &explainguard.Guard{DB: db, Budget: explainguard.Budget{RowsExamined: 1000}}
	ddl := func() string {
		var name, text string
		require.NoError(t, db.QueryRowContext(t.Context(), "SHOW CREATE TABLE orders").Scan(&name, &text))
		return text
	}
	before := ddl()
	report := func(query string, args ...any) *explainguard.Report {
		fake := &fakeT{TB: t}
		r, err := g.Check(t.Context(), query, args...)
		require.NoError(t, err)
		require.Equal(t, explainguard.Fail, r.Verdict)
		require.Nil(t, r.Findings[0].Suggestion, "Check, which may look at production, copies nothing")
		g.Assert(fake, query, args...)
		require.Len(t, fake.errors, 1)
		r.Query = fake.errors[0]
		return r
	}
	text := report("SELECT id FROM orders WHERE total = ?", 7).Query
	require.Contains(t, text, "proven:  an index on orders (total): ")
	text = report("SELECT COUNT(*) FROM orders WHERE total + 1 = 7").Query
	require.NotContains(t, text, "proven", "an index on total does not help an expression")
	text = report("SELECT a.id FROM orders a JOIN orders b ON a.total = b.total + 1").Query
	require.NotContains(t, text, "proven", "a temporary table cannot be opened twice")
	require.Equal(t, before, ddl(), "the table is as it was")
}
