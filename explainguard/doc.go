// Package explainguard fails a Go test when a query's plan would hurt in production.
//
// # The story
//
// A page of a booking service showed 50 customers and asked, for saved conditions, which of those match. The query joined
// customers with an inline view that aggregates reservations per customer:
//
//	SELECT DISTINCT customers.* FROM customers
//	LEFT JOIN ( SELECT c.id AS customer_id, MAX(r.reserved_on) AS last_on
//	            FROM customers c LEFT JOIN reservations r ON r.customer_id = c.id
//	            WHERE c.tenant_id = 1 GROUP BY c.id ) AS st ON st.customer_id = customers.id
//	WHERE customers.id IN (1, 2, …, 50) AND st.last_on = '2024-01-07'
//
// The outer query is narrowed to 50 customers, the inline view is not: it aggregates the whole tenant. EXPLAIN was looked
// at, and looked fine: few rows and an index on every line. Nobody multiplied the lines. For the largest tenant the
// query ran for more than 20 minutes. A test that multiplies them takes one line:
//
//	guard := &explainguard.Guard{DB: db}
//	guard.Assert(t, query, args...)
//
// It fails, names the derived table st, how many rows it examines, and what to add where. With c.id IN (…) inside, it passes.
//
// # How it works
//
// query → Explain → Parse → Plan → Measure and rules → Report → Assert.
//
// Explain asks the server for a plan on a connection of its own and leaves the session as it was; the statement is never
// run. Parse reads MySQL's JSON, version 1 or 2, into one neutral tree: blocks (the query, its derived tables, subqueries and
// union arms) of nodes. Measure multiplies it out: rows examined at stored tables = rows read per execution × executions. The
// rules judge that; a Rule is a value, and DefaultRules lists those that apply if nothing else is said.
//
// # Three verdicts
//
// A report is Unanalysable (the zero value), Pass or Fail. Whatever cannot be told is never a Pass: an error, a format or an
// operator that is not known, a plan that collapsed because a row that it looks up does not exist ("no matching row in
// const table"), an estimate over a table that is empty, a recursive common table expression. Each says what to do about it.
//
// # What the figures are
//
// They are the optimizer's estimates: with fresh statistics (ANALYZE TABLE) usually within a factor of two of what EXPLAIN
// ANALYZE counts at stored tables, and no better than the data in the test database is like production's. A LIMIT counts
// where it surely ends a scan early: one table, no condition, nothing aggregated, or an order that an index gives; elsewhere
// the figure is an upper bound.
package explainguard
