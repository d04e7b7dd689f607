package explainguard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// TestDerivedFilterShapes: the ways in which people write what they want, outside and inside. A case without says stays
// quiet although the block is looked at however small it is.
func TestDerivedFilterShapes(t *testing.T) {
	db := ownShop(t)
	for _, ddl := range []string{
		"CREATE TABLE tenant_orders (tenant_id INT UNSIGNED NOT NULL, customer_id DECIMAL(20,0) NOT NULL, n INT NOT NULL, PRIMARY KEY (tenant_id, customer_id, n))",
		"INSERT INTO tenant_orders SELECT c.tenant_id, c.id, o.id FROM customers c JOIN orders o ON o.customer_id = c.id",
		"CREATE TABLE tenant_customers (tenant_id INT UNSIGNED NOT NULL, customer_id DECIMAL(20,0) NOT NULL, name VARCHAR(20), PRIMARY KEY (tenant_id, customer_id))",
		"INSERT INTO tenant_customers SELECT tenant_id, id, name FROM customers",
		"CREATE TABLE customer_names (customer_id BIGINT PRIMARY KEY, name VARCHAR(20) NOT NULL)",
		"INSERT INTO customer_names SELECT id, name FROM customers",
		"ANALYZE TABLE tenant_orders, tenant_customers, customer_names",
		"CREATE VIEW v_inner AS " + perCustomer,
		"CREATE VIEW v_outer AS SELECT customer_id, MAX(n) n FROM v_inner GROUP BY customer_id",
	} {
		_, err := db.ExecContext(t.Context(), ddl)
		require.NoError(t, err, ddl)
	}
	const (
		s      = "(" + perCustomer + ") s"
		narrow = "(SELECT customer_id, COUNT(*) n, MAX(total) m FROM orders WHERE customer_id IN (1, 2, 3) GROUP BY customer_id) s"
	)
	for name, c := range map[string]struct{ query, says string }{
		"USING": {
			"SELECT c.name, s.n FROM customer_names c JOIN " + s + " USING (customer_id) WHERE c.name <> 'x' AND c.customer_id IN (1, 2, 3)",
			"add `orders.customer_id IN (1, 2, 3)`"},
		"NATURAL JOIN": {
			"SELECT c.name, s.n FROM customer_names c NATURAL JOIN " + s + " WHERE c.customer_id IN (1, 2, 3)",
			"add `orders.customer_id IN (1, 2, 3)`"},
		"comma join": {
			"SELECT c.name, s.n FROM customers c, " + s + " WHERE s.customer_id = c.id AND c.id IN (1, 2, 3)", "add `orders.customer_id IN (1, 2, 3)`"},
		"right join": {
			"SELECT c.name, s.n FROM " + s + " RIGHT JOIN customers c ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)", "add `orders.customer_id IN (1, 2, 3)`"},
		"the clause of a left join narrows its own side": {
			"SELECT c.name, s.n FROM customers c LEFT JOIN " + s + " ON s.customer_id = c.id AND c.id IN (1, 2, 3) WHERE c.tenant_id = 3",
			"add `orders.customer_id IN (1, 2, 3)`"},
		"several columns, one of them narrowed inside": {
			"SELECT c.name, s.k FROM tenant_customers c JOIN (SELECT tenant_id, customer_id, COUNT(*) k FROM tenant_orders WHERE tenant_id = 3 GROUP BY tenant_id, customer_id) s " +
				"ON s.tenant_id = c.tenant_id AND s.customer_id = c.customer_id WHERE c.tenant_id = 3 AND c.customer_id IN (2, 22, 42)",
			"nothing narrows tenant_orders.customer_id"},
		"several columns, all narrowed inside": {
			"SELECT c.name, s.k FROM tenant_customers c JOIN (SELECT tenant_id, customer_id, COUNT(*) k FROM tenant_orders WHERE tenant_id = 3 AND customer_id IN (2, 22, 42) GROUP BY tenant_id, customer_id) s " +
				"ON s.tenant_id = c.tenant_id AND s.customer_id = c.customer_id WHERE c.tenant_id = 3 AND c.customer_id IN (2, 22, 42)", ""},
		"as narrow as outside, without a column that adds nothing": {
			"SELECT c.name, s.k FROM customers c JOIN (SELECT x.tenant_id, x.id, COUNT(*) k FROM customers x JOIN orders o ON o.customer_id = x.id WHERE x.id IN (1, 2, 3) GROUP BY x.id) s " +
				"ON s.tenant_id = c.tenant_id AND s.id = c.id WHERE c.tenant_id IN (2, 3, 4) AND c.id IN (1, 2, 3)", ""},
		"the tenant alone is not as narrow as outside": {
			"SELECT c.name, s.k FROM customers c JOIN (SELECT x.tenant_id, x.id, COUNT(*) k FROM customers x JOIN orders o ON o.customer_id = x.id WHERE x.tenant_id IN (2, 3, 4) GROUP BY x.id) s " +
				"ON s.tenant_id = c.tenant_id AND s.id = c.id WHERE c.tenant_id IN (2, 3, 4) AND c.id IN (1, 2, 3)",
			"nothing narrows x.id"},
		"computed from constants": {
			"SELECT c.name, s.n FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE c.id IN (1, 1 + 1, CAST('3' AS SIGNED))", "nothing narrows orders.customer_id"},
		"computed inside: nothing to filter": {
			"SELECT c.name, s.n FROM customers c JOIN (SELECT customer_id + 0 customer_id, COUNT(*) n FROM orders GROUP BY 1) s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)", ""},
		"OR": {
			"SELECT c.name, s.n FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE c.id = 1 OR c.id = 2 OR c.id IN (2, 3)",
			"wants only c.id IN (1, 2, 3): inside s, nothing narrows orders.customer_id"},
		"OR of conjunctions": {
			"SELECT c.name, s.n FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE (c.id = 1 AND c.tenant_id = 2) OR (c.tenant_id = 3 AND 2 = c.id)",
			"wants only c.id IN (1, 2)"},
		"OR with something else": {
			"SELECT c.name, s.n FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE c.id = 1 OR c.name = 'c7'", ""},
		"BETWEEN": {
			"SELECT c.name, s.n FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE c.id BETWEEN 1 AND 50",
			"add `orders.customer_id BETWEEN 1 AND 50`"},
		"BETWEEN, more than a page": {
			"SELECT c.name, s.n FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE c.id BETWEEN 1 AND 300",
			"add `orders.customer_id BETWEEN 1 AND 300`"},
		"BETWEEN that keeps most": {
			"SELECT c.name, s.n FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE c.id BETWEEN 1 AND 1900", ""},
		"open range that keeps some": {
			"SELECT c.name, s.n FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE c.id < 300", ""},
		"range with two ends": {
			"SELECT c.name, s.n FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE c.id > 10 AND 20 >= c.id",
			"add `orders.customer_id > 10 AND orders.customer_id <= 20`"},
		"range with one end that keeps few": {
			"SELECT c.name, s.n FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE c.id < 20", "add `orders.customer_id < 20`"},
		"range that keeps most": {
			"SELECT c.name, s.n FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE c.id > 20", ""},
		"range inside for values outside": {
			"SELECT c.name, s.n FROM customers c JOIN (SELECT customer_id, COUNT(*) n FROM orders WHERE customer_id BETWEEN 1 AND 3 GROUP BY customer_id) s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)", ""},
		"open range inside for values outside": {
			"SELECT c.name, s.n FROM customers c JOIN (SELECT customer_id, COUNT(*) n FROM orders WHERE customer_id > 0 GROUP BY customer_id) s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)",
			"nothing narrows orders.customer_id"},
		"same open range inside and outside": {
			"SELECT STRAIGHT_JOIN c.name, s.n FROM customers c JOIN (SELECT customer_id, COUNT(*) n FROM orders WHERE customer_id < 20 GROUP BY customer_id) s ON s.customer_id = c.id WHERE c.id < 20", ""},
		"IN (subquery): no values are known": {
			"SELECT c.name, s.n FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE c.id IN (SELECT i.order_id FROM items i WHERE i.product_id = 7)", ""},
		"IN (subquery) that is narrowed": {
			"SELECT c.name, s.n FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE c.id IN (SELECT i.order_id FROM items i WHERE i.order_id IN (1, 2, 3))",
			"nothing narrows orders.customer_id"},
		"narrowed by another derived table": {
			"SELECT k.id, s.n FROM (SELECT id, MAX(name) FROM customers WHERE id IN (1, 2, 3) GROUP BY id) k JOIN " + s + " ON s.customer_id = k.id",
			"add `orders.customer_id IN (1, 2, 3)`"},
		"through a third table": {
			"SELECT c.name, s.n FROM customers c JOIN orders o ON o.customer_id = c.id JOIN " + s + " ON s.customer_id = o.customer_id WHERE c.id IN (1, 2, 3)",
			"add `orders.customer_id IN (1, 2, 3)`"},
		"derived in derived, narrowed at the bottom": {
			"SELECT c.name, s.n FROM customers c JOIN (SELECT d.customer_id, MAX(d.n) n FROM " + narrow[:len(narrow)-1] + "d GROUP BY d.customer_id) s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)", ""},
		"LATERAL": {
			"SELECT c.name, s.n FROM customers c JOIN LATERAL (SELECT o.customer_id, COUNT(*) n FROM orders o WHERE o.customer_id = c.id GROUP BY o.customer_id) s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)", ""},
		"window, by partition": {
			"SELECT c.name, s.total FROM customers c JOIN (SELECT customer_id, total, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY placed_on DESC) r FROM orders) s ON s.customer_id = c.id AND s.r = 1 WHERE c.id IN (1, 2, 3)",
			"add `orders.customer_id IN (1, 2, 3)`"},
		"named window, by partition, in an expression": {
			"SELECT c.name, s.r FROM customers c JOIN (SELECT customer_id, 1 + RANK() OVER (w ORDER BY total) r FROM orders WINDOW w AS (PARTITION BY customer_id, status)) s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)",
			"add `orders.customer_id IN (1, 2, 3)`"},
		"window over something else": {
			"SELECT c.name, s.r FROM customers c JOIN (SELECT customer_id, 1 + RANK() OVER (PARTITION BY status ORDER BY total) r FROM orders) s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)", ""},
		"two windows, one over something else": {
			"SELECT c.name, s.r FROM customers c JOIN (SELECT customer_id, RANK() OVER (PARTITION BY customer_id ORDER BY total) r, SUM(total) OVER () FROM orders) s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)", ""},
		"LIMIT in one arm of a union": {
			"SELECT c.name, s.n FROM customers c JOIN ((SELECT customer_id, total n FROM orders) UNION ALL (SELECT order_id, qty FROM items ORDER BY qty LIMIT 5)) s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)", ""},
		"a constant in one arm of a union": {
			"SELECT c.name, s.n FROM customers c JOIN (SELECT customer_id, total n FROM orders UNION ALL SELECT 7, 7) s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)",
			"add `orders.customer_id IN (1, 2, 3)`"},
		"view over view": {
			"SELECT c.name, v.n FROM customers c JOIN v_outer v ON v.customer_id = c.id WHERE c.id IN (1, 2, 3)", "does not show the body of a view"},
		"CTE used twice, the same wish": {
			"WITH s AS (" + perCustomer + ") SELECT c.name, x.n, y.m FROM customers c JOIN s x ON x.customer_id = c.id JOIN s y ON y.customer_id = c.id WHERE c.id IN (1, 2, 3)",
			"add `orders.customer_id IN (1, 2, 3)`"},
		"CTE used twice, two wishes": {
			"WITH s AS (" + perCustomer + ") SELECT c.name, x.n, y.m FROM customers c JOIN s x ON x.customer_id = c.id JOIN customers d ON d.tenant_id = c.tenant_id JOIN s y ON y.customer_id = d.id WHERE c.id IN (1, 2, 3) AND d.id IN (3, 4)",
			"4)` to the WHERE inside"},
		"row constructor": {
			"SELECT c.name, s.n FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE (c.tenant_id, c.id) IN ((2, 1), (3, 2))", "add `orders.customer_id IN (1, 2)`"},
		"row constructor in the join": {
			"SELECT c.name, s.k FROM tenant_customers c JOIN (SELECT tenant_id, customer_id, COUNT(*) k FROM tenant_orders GROUP BY tenant_id, customer_id) s " +
				"ON (s.tenant_id, s.customer_id) = (c.tenant_id, c.customer_id) WHERE (c.tenant_id, c.customer_id) IN ((3, 2), (3, 22))",
			"nothing narrows tenant_orders."},
		"literal on the left": {
			"SELECT c.name, s.n FROM customers c JOIN " + s + " ON c.id = s.customer_id WHERE 5 = c.id", "orders.customer_id = 5"},
		"NULL-safe": {
			"SELECT c.email, s.n FROM customers c JOIN (SELECT c2.email, COUNT(*) n FROM customers c2 JOIN orders o ON o.customer_id = c2.id GROUP BY c2.email) s ON s.email <=> c.email WHERE c.email IN ('c1@example.com', 'c2@example.com')",
			"nothing narrows c2.email"},
		"decimal and unsigned keys": {
			"SELECT c.name, s.k FROM tenant_customers c JOIN (SELECT customer_id, COUNT(*) k FROM tenant_orders GROUP BY customer_id) s ON s.customer_id = c.customer_id WHERE c.tenant_id = 3 AND c.customer_id IN (2, 22)",
			"nothing narrows tenant_orders.customer_id"},
		"HAVING inside filters too late": {
			"SELECT c.name, s.n FROM customers c JOIN (SELECT customer_id, COUNT(*) n FROM orders GROUP BY customer_id HAVING COUNT(*) > 0 AND customer_id IN (1, 2, 3)) s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)",
			"nothing narrows orders.customer_id"},
		"NOT IN and not BETWEEN keep most": {
			"SELECT c.name, s.n FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE c.id NOT IN (1, 2, 3) AND c.id NOT BETWEEN 7 AND 9", ""},
		"in a multi-table UPDATE": {
			"UPDATE customers c JOIN " + s + " ON s.customer_id = c.id SET c.name = s.n WHERE c.id IN (1, 2, 3)", "add `orders.customer_id IN (1, 2, 3)`"},
		"in INSERT … SELECT": {
			"INSERT INTO notes (body) SELECT c.name FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)", "add `orders.customer_id IN (1, 2, 3)`"},
		"in one arm of the main union": {
			"SELECT c.id FROM customers c WHERE c.id = 3 UNION ALL SELECT s.n FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)", "add `orders.customer_id IN (1, 2, 3)`"},
		"many values": {
			"SELECT c.name, s.n FROM customers c JOIN " + s + " ON s.customer_id = c.id WHERE c.id IN (1,2,3,4,5,6,7,8,9,10,11,12,13,14,15)", "IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, …)"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, format := range []explainguard.Format{explainguard.FormatJSONv1, explainguard.FormatJSONv2} {
				g := &explainguard.Guard{DB: db, Format: format, Rules: []*explainguard.Rule{explainguard.DerivedFilter}}
				g.Budget.DerivedRows = 100
				if c.says == "" {
					g.Budget.DerivedRows = 0.5
				}
				r, err := g.Check(t.Context(), c.query)
				require.NoError(t, err)
				if c.says == "" {
					require.Equal(t, explainguard.Pass, r.Verdict, "%s\n%s", r, r.Plan.Rewritten)
					continue
				}
				require.Equal(t, explainguard.Fail, r.Verdict, "%s\n%s", r, r.Plan.Rewritten)
				require.Len(t, r.Findings, 1, r)
				require.Contains(t, r.Findings[0].What+" "+r.Findings[0].WayOut, c.says, r.Plan.Rewritten)
			}
		})
	}
}
