package explainguard_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

const perCustomer = "SELECT customer_id, COUNT(*) n, MAX(total) m FROM orders GROUP BY customer_id"

// TestDerivedFilter: what the rule says, or that it stays quiet, in both formats.
func TestDerivedFilter(t *testing.T) {
	db := shop.open(t, nil)
	for _, ddl := range []string{
		"CREATE OR REPLACE VIEW v_orders AS " + perCustomer,
		"CREATE OR REPLACE VIEW v_merged AS SELECT * FROM orders WHERE total > 3",
		"CREATE OR REPLACE VIEW `v_few` AS " + strings.Replace(perCustomer, "GROUP", "WHERE customer_id IN (1, 2, 3) GROUP", 1),
	} {
		_, err := db.ExecContext(t.Context(), ddl)
		require.NoError(t, err)
	}
	for name, c := range map[string]struct{ query, block, says string }{
		"joined with a narrowed table": {
			"SELECT c.name, s.n FROM customers c JOIN (" + perCustomer + ") s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)",
			"s", "wants only c.id IN (1, 2, 3): inside s, nothing narrows orders.customer_id"},
		"narrowed by its own column: pushed down": {
			"SELECT c.name, s.n FROM customers c JOIN (" + perCustomer + ") s ON s.customer_id = c.id WHERE s.customer_id IN (1, 2, 3)", "", ""},
		"narrowed inside": {
			"SELECT c.name, s.n FROM customers c JOIN (SELECT customer_id, COUNT(*) n FROM orders WHERE customer_id IN (1, 2, 3) GROUP BY customer_id) s " +
				"ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)", "", ""},
		"narrowed inside through another table": {
			"SELECT c.name, s.n FROM customers c JOIN (SELECT o.customer_id, COUNT(*) n FROM orders o JOIN customers k ON k.id = o.customer_id WHERE k.id IN (1, 2, 3) " +
				"GROUP BY o.customer_id) s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)", "", ""},
		"left join": {
			"SELECT c.name, s.n FROM customers c LEFT JOIN (" + perCustomer + ") s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)",
			"s", "nothing narrows orders.customer_id"},
		"the other side of a left join wants all": {
			"SELECT c.name, s.n FROM (" + perCustomer + ") s LEFT JOIN customers c ON s.customer_id = c.id AND c.id IN (1, 2, 3)", "", ""},
		"one value, looked up while planning": {
			"SELECT c.name, s.n FROM customers c JOIN (" + perCustomer + ") s ON s.customer_id = c.id WHERE c.id = 7",
			"s", "add `orders.customer_id = 7` to the WHERE inside s"},
		"common table expression": {
			"WITH s AS (" + perCustomer + ") SELECT c.name, x.n FROM customers c JOIN s x ON x.customer_id = c.id WHERE c.id IN (1, 2, 3)",
			"x", "derived table x (CTE s) examines"},
		"shared common table expression, wanted whole elsewhere": {
			"WITH s AS (" + perCustomer + ") SELECT c.name, x.n FROM customers c JOIN s x ON x.customer_id = c.id JOIN s y ON y.n = x.n WHERE c.id IN (1, 2, 3)", "", ""},
		"view, whose body the server does not show": {
			"SELECT c.name, v.n FROM customers c JOIN v_orders v ON v.customer_id = c.id WHERE c.id IN (1, 2, 3)",
			"v", "does not show the body of a view"},
		"view that is narrowed": {
			"SELECT c.name, v.n FROM customers c JOIN v_few v ON v.customer_id = c.id WHERE c.id IN (1, 2, 3)", "", ""},
		"view that is merged": {
			"SELECT c.name, v.total FROM customers c JOIN v_merged v ON v.customer_id = c.id WHERE c.id IN (1, 2, 3)", "", ""},
		"union, one arm narrowed": {
			"SELECT c.name, s.n FROM customers c JOIN (SELECT customer_id, total n FROM orders WHERE customer_id IN (1, 2, 3) UNION ALL " +
				"SELECT order_id, qty FROM items) s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)",
			"s", "nothing narrows items.order_id"},
		"union, no arm narrowed": {
			"SELECT c.name, s.n FROM customers c JOIN (SELECT customer_id, total n FROM orders UNION ALL SELECT order_id, qty FROM items) s " +
				"ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)",
			"s", "add `orders.customer_id IN (1, 2, 3)` and, in the other arm of the union, `items.order_id IN (1, 2, 3)` to the WHERE inside s"},
		"an aggregate over everything is meant": {
			"SELECT c.name, s.a FROM customers c JOIN (SELECT AVG(total) a FROM orders GROUP BY total > 250) s WHERE c.id IN (1, 2, 3)", "", ""},
		"a window function looks at other rows": {
			"SELECT c.name, s.r FROM customers c JOIN (SELECT customer_id, RANK() OVER (ORDER BY total) r FROM orders) s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)", "", ""},
		"LIMIT inside": {
			"SELECT c.name, s.n FROM customers c JOIN (" + perCustomer + " ORDER BY n LIMIT 10) s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)", "", ""},
		"lateral": {
			"SELECT c.name, s.n FROM customers c JOIN LATERAL (SELECT COUNT(*) n FROM orders o WHERE o.customer_id = c.id) s ON TRUE WHERE c.tenant_id = 3", "", ""},
		"small": {
			"SELECT n.body, s.n FROM notes n JOIN (SELECT parent_id, COUNT(*) n FROM products GROUP BY parent_id) s ON s.parent_id = n.id WHERE n.id IN (1, 2, 3)", "", ""},
		"derived in derived": {
			"SELECT c.name, s.n FROM customers c JOIN (SELECT d.customer_id, d.n FROM (" + perCustomer + ") d GROUP BY d.customer_id) s " +
				"ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)",
			"s", "nothing narrows d.customer_id"},
		"Japanese names": {
			"SELECT c.name, 集計.n FROM customers c JOIN (SELECT customer_id AS 顧客番号, COUNT(*) n FROM orders GROUP BY customer_id) 集計 ON 集計.顧客番号 = c.id WHERE c.id IN (1, 2, 3)",
			"集計", "inside 集計, nothing narrows orders.customer_id"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, format := range []explainguard.Format{explainguard.FormatJSONv1, explainguard.FormatJSONv2} {
				g := &explainguard.Guard{DB: db, Format: format, Rules: []*explainguard.Rule{explainguard.DerivedFilter}}
				r, err := g.Check(t.Context(), c.query)
				require.NoError(t, err)
				if c.block == "" {
					require.Equal(t, explainguard.Pass, r.Verdict, "%s\n%s", r, r.Plan.Rewritten)
					continue
				}
				require.Equal(t, explainguard.Fail, r.Verdict, "%s\n%s", r, r.Plan.Rewritten)
				require.Len(t, r.Findings, 1, r)
				f := r.Findings[0]
				require.Equal(t, c.block, f.Block.Name)
				require.Contains(t, f.What+" "+f.WayOut, c.says)
				require.Greater(t, f.Figure, f.Limit)
			}
		})
	}
}

// Without the rewritten statement, or when it cannot be parsed, the plan's own conditions must still tell story 2.
func TestDerivedFilterByThePlanAlone(t *testing.T) {
	db := smartList.open(t, nil)
	for _, format := range []explainguard.Format{explainguard.FormatJSONv1, explainguard.FormatJSONv2} {
		for _, rewritten := range []string{"", "/* select#1 */ select from where <if>("} {
			g := &explainguard.Guard{Rules: []*explainguard.Rule{explainguard.DerivedFilter}}
			bad := explain(t, explainguard.Explainer{DB: db, Format: format}, query(t, "bad"))
			bad.Rewritten = rewritten
			r := g.Judge(bad)
			require.Equal(t, explainguard.Fail, r.Verdict)
			require.Equal(t, "st", r.Findings[0].Block.Name)
			require.Contains(t, r.Findings[0].What, "some customers.id: inside st, nothing narrows customer_id (judged by the plan alone")

			good := explain(t, explainguard.Explainer{DB: db, Format: format}, query(t, "good"))
			good.Rewritten = rewritten
			g.Budget.DerivedRows = 1 // so that the block is looked at
			require.Equal(t, explainguard.Pass, g.Judge(good).Verdict)
		}
	}
}

// The server's text is not always SQL, and joins say less than they seem to.
func TestDerivedFilterReadsTheServersWords(t *testing.T) {
	const st = "(/* select#2 */ select `c`.`id` AS `customer_id`,count(0) AS `n` from `d`.`customers` `c` where (`c`.`tenant_id` = 1) group by `c`.`id`) `st`"
	for name, c := range map[string]struct {
		text string
		want explainguard.Verdict
	}{
		"join":              {"select 1 from `d`.`customers` join " + st + " where ((`st`.`customer_id` = `customers`.`id`) and (`customers`.`id` in (1,2)))", explainguard.Fail},
		"by a constant":     {"select 1 from " + st + " where (`st`.`customer_id` = <cache>(7))", explainguard.Fail},
		"multiple equal":    {"select 1 from `d`.`customers` join " + st + " where multiple equal(7, `customers`.`id`, `st`.`customer_id`)", explainguard.Fail},
		"semi join":         {"select 1 from " + st + " semi join (`d`.`customers`) where ((`st`.`customer_id` = `customers`.`id`) and (`customers`.`id` in (1,2)))", explainguard.Fail},
		"left join":         {"select 1 from `d`.`customers` left join " + st + " on((`st`.`customer_id` = `customers`.`id`)) where (`customers`.`id` in (1,2))", explainguard.Fail},
		"on the outer side": {"select 1 from " + st + " left join `d`.`customers` on(((`st`.`customer_id` = `customers`.`id`) and (`customers`.`id` in (1,2)))) where true", explainguard.Pass},
		"anti join":         {"select 1 from " + st + " anti join (`d`.`customers`) on(((`st`.`customer_id` = `customers`.`id`) and (`customers`.`id` in (1,2)))) where true", explainguard.Pass},
		"not in":            {"select 1 from " + st + " where (`st`.`customer_id` not in (1,2))", explainguard.Pass},
		"or":                {"select 1 from " + st + " where ((`st`.`customer_id` in (1,2)) or (`st`.`n` = 3))", explainguard.Pass},
		"a range":           {"select 1 from " + st + " where (`st`.`customer_id` > 7)", explainguard.Pass},
		"an aggregate":      {"select 1 from " + st + " where (`st`.`n` = 7)", explainguard.Pass},
		"another column":    {"select 1 from `d`.`customers` join " + st + " where ((`st`.`n` = `customers`.`id`) and (`customers`.`id` in (1,2)))", explainguard.Pass},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := explainguard.Parse(plans(t)["bad.v2"])
			require.NoError(t, err)
			p.Rewritten = "/* select#1 */ " + c.text
			r := (&explainguard.Guard{Rules: []*explainguard.Rule{explainguard.DerivedFilter}}).Judge(p)
			require.Equal(t, c.want, r.Verdict, r)
			require.NotContains(t, r.String(), "judged by the plan alone")
		})
	}
}

func TestRowsBudget(t *testing.T) {
	db := shop.open(t, nil)
	check := func(budget explainguard.Budget, query string) *explainguard.Report {
		r, err := (&explainguard.Guard{DB: db, Budget: budget, Rules: []*explainguard.Rule{explainguard.RowsBudget}}).Check(t.Context(), query)
		require.NoError(t, err)
		return r
	}
	// No line of this plan shows more than 100 rows; the product is 100 × 3 × 3.
	loops := "SELECT COUNT(*) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN items i ON i.order_id = o.id WHERE c.tenant_id = 3"
	r := check(explainguard.Budget{RowsExamined: 1000}, loops)
	require.Equal(t, explainguard.Fail, r.Verdict)
	require.Equal(t, "rows-budget", r.Findings[0].Rule)
	require.Equal(t, "i", r.Findings[0].Node.Name())
	require.InDelta(t, 1290, r.Findings[0].Figure, 100)
	require.Equal(t, 1000.0, r.Findings[0].Limit)
	require.Equal(t, explainguard.Pass, check(explainguard.Budget{RowsExamined: 2000}, loops).Verdict)
	require.Equal(t, explainguard.Pass, check(explainguard.Budget{}, loops).Verdict)
	require.Equal(t, explainguard.Fail, check(explainguard.Budget{}, "SELECT COUNT(*) FROM items").Verdict, "17,800 rows over the default")
	require.Equal(t, explainguard.Pass, check(explainguard.Budget{RowsExamined: explainguard.Unlimited}, "SELECT COUNT(*) FROM items").Verdict)
	require.Equal(t, explainguard.Pass, check(explainguard.Budget{RowsExamined: math.Inf(1)}, "SELECT COUNT(*) FROM items").Verdict)

	// A lower bound over the budget is certain; one under it tells nothing.
	tree := "WITH RECURSIVE tree AS (SELECT id, parent_id FROM products WHERE id = 1 UNION ALL SELECT p.id, p.parent_id FROM tree t JOIN products p ON p.parent_id = t.id) SELECT * FROM tree"
	require.Equal(t, explainguard.Unanalysable, check(explainguard.Budget{}, tree).Verdict)
	r = check(explainguard.Budget{RowsExamined: 1}, tree)
	require.Equal(t, explainguard.Fail, r.Verdict)
	require.Contains(t, r.Findings[0].What, "at least")
	require.NotEmpty(t, r.Reasons)
}

func TestGuardIsConfiguredRightOrFailsAtOnce(t *testing.T) {
	db := shop.open(t, nil)
	for name, c := range map[string]struct {
		guard *explainguard.Guard
		want  string
	}{
		"nil":             {nil, "no database"},
		"no DB":           {&explainguard.Guard{}, "set Guard.DB"},
		"negative budget": {&explainguard.Guard{DB: db, Budget: explainguard.Budget{RowsExamined: -1}}, "the budget for RowsExamined is -1"},
		"no number":       {&explainguard.Guard{DB: db, Budget: explainguard.Budget{DerivedRows: math.NaN()}}, "the budget for DerivedRows is not a number"},
		"no rules":        {&explainguard.Guard{DB: db, Rules: []*explainguard.Rule{}}, "nothing would be judged"},
		"nil rule":        {&explainguard.Guard{DB: db, Rules: []*explainguard.Rule{nil}}, "rule 0 has no Name"},
		"rule twice":      {&explainguard.Guard{DB: db, Rules: []*explainguard.Rule{explainguard.RowsBudget, explainguard.RowsBudget}}, "rows-budget twice"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := c.guard.Check(t.Context(), "SELECT 1")
			require.ErrorContains(t, err, c.want)
			require.Equal(t, explainguard.Unanalysable, r.Verdict)
			fake := &fakeT{TB: t}
			c.guard.Assert(fake, "SELECT 1")
			require.Len(t, fake.errors, 1)
		})
	}
}

// The zero value of everything that carries a verdict is no pass.
func TestZeroValuesAreNoPass(t *testing.T) {
	require.False(t, (*explainguard.Report)(nil).Passed())
	require.False(t, (&explainguard.Report{}).Passed())
	require.Contains(t, (*explainguard.Report)(nil).String(), "not a pass")
	require.False(t, (&explainguard.Plan{}).Analysable())
	require.True(t, explainguard.Measure(nil).LowerBound)
	require.True(t, explainguard.Measure(&explainguard.Plan{}).LowerBound)
	g := &explainguard.Guard{}
	require.Equal(t, explainguard.Unanalysable, g.Judge(nil).Verdict)
	require.Equal(t, explainguard.Unanalysable, g.Judge(&explainguard.Plan{}).Verdict)
	require.Equal(t, explainguard.Unanalysable, explainguard.Verdict(0))
	for _, r := range explainguard.DefaultRules() {
		require.NotEmpty(t, r.Name)
		require.NotEmpty(t, r.Doc)
	}
}

// A rule of one's own is a value like the others, and may say that it cannot tell.
func TestOwnRule(t *testing.T) {
	db := shop.open(t, nil)
	g := &explainguard.Guard{DB: db, Rules: []*explainguard.Rule{{Name: "mine", Run: func(in *explainguard.Input) []explainguard.Finding {
		if in.Plan.Root.Accesses()[0].Access == explainguard.AccessTableScan {
			return []explainguard.Finding{{What: "a scan"}}
		}
		in.CannotTell("too hard", "ask somebody")
		return nil
	}}}}
	r, err := g.Check(t.Context(), "SELECT * FROM notes")
	require.NoError(t, err)
	require.Equal(t, explainguard.Fail, r.Verdict)
	require.Equal(t, "mine", r.Findings[0].Rule)
	r, err = g.Check(t.Context(), "SELECT * FROM orders WHERE customer_id = 3")
	require.NoError(t, err)
	require.Equal(t, explainguard.Unanalysable, r.Verdict)
	require.Equal(t, "too hard: ask somebody", r.Reasons[0].String())
}
