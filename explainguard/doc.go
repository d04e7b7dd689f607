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
// # One query
//
// [Guard.Assert] is for tests, [Guard.Check] for programs. Both explain the statement with its real arguments, on a connection of their
// own whose session is left as it was; the statement is not run. The plan is read into one neutral tree, whatever the server and
// format: blocks (the query, its derived tables, subqueries and union arms) of operators. It is multiplied out: rows examined at
// stored tables = rows read per execution × executions. Rules judge that by a [Budget], whose zero value is a sensible one:
//
//	guard := &explainguard.Guard{DB: db, Budget: explainguard.Budget{RowsExamined: 50_000}}
//
// A report says what is the matter, the figure and its limit, the way out, and shows the tree with a mark at the guilty line. Where
// a change can be tried (a condition inside a derived table, an index on a temporary copy of the table) it is: a [Suggestion] was
// explained again and reads less than half.
//
// # A whole suite
//
// Changing the line that opens a test's pool guards all that the test sends:
//
//	db := guard.Open(t, dsn) // was: sql.Open("mysql", dsn)
//
// Each statement is explained when it is first seen with its arguments, on another connection, beside its own run; the worst plan
// counts, because one tenant's values differ from another's. When the test ends it fails once for each bad statement, with the
// line of code that sent it, and once for a query that is asked in a loop (Budget.Repeated). What could not be judged fails it as
// well, unless Guard.AllowUnanalysable is set; the ways out are realistic rows and, where only the test's own session can tell,
// Guard.SameConnection. One kind is told apart: a look-up by a whole unique key in one table examines one row at most, also
// where that row is missing. If some arguments of a statement find nothing and others do, the others decide.
//
// Tests that share one pool open it once with [DriverName] or [Wrap] and give each test a context by [Guard.WithTest].
//
// # An empty test database
//
// Plans over empty tables tell nothing. Dump the statistics of production once, on a replica, and commit the file: it
// holds counts, no values ([DumpStats], or the command `explainguard stats dump`). A guard with Stats judges as if the database had
// them, and applies them anew when TRUNCATE or a migration took them away:
//
//	stats, err := explainguard.ReadStats(file)
//	guard := &explainguard.Guard{DB: db, Stats: stats}
//
// Statistics are averages, and averages hide the one large tenant. So each value of a tenant-like column is taken to be as frequent as the most
// frequent one ([Stats.BiggestGroup]), unless [Stats.Averages] is asked for. [Stats.Scale] looks into the future. What they do not tell
// (a range, a value that was not counted) is unanalysable. [Sentinel] inserts the row without which a look-up by key has no plan.
//
// # What really happens
//
// With Guard.Analyze the statement is run under EXPLAIN ANALYZE, for a limited time, and the figures are what it really examined: for tests
// on filled data, or against a copy of production. The rule estimate-off then names the accesses that the optimizer misjudged. Statements
// that write are not run, nor is anything on MariaDB.
//
// Everything else goes by the optimizer's estimates: with fresh statistics (ANALYZE TABLE) usually within a factor of two of what EXPLAIN
// ANALYZE counts at stored tables, and no better than the data in the test database is like production's. A LIMIT counts
// where it surely ends a scan early: one table or nested loops, no condition, nothing aggregated, or an order that an index gives; elsewhere
// the figure is an upper bound. Where a condition is tested in index order until a LIMIT is reached, how many rows that takes is the
// optimizer's guess at how many fit.
//
// # Three verdicts
//
// A report is Unanalysable (the zero value), Pass or Fail. Whatever cannot be told is never a Pass: an error, a format or an
// operator that is not known, a plan that collapsed because a row that it looks up does not exist ("no matching row in
// const table"), an estimate over a table that is empty, a recursive common table expression. Each says what to do about it.
//
// # Exceptions, and rules of one's own
//
// RULES.md lists the rules with an example each; [DefaultRules] returns them. A [Rule] is a value: put one of your own beside them. A [Waiver]
// lets what one of them finds pass until a day, with a reason; the report keeps it. [Guard.VerifyWaivers] in TestMain fails the run when one is
// no longer needed. Guard.Require declares filters that a table must never be read without. [Guard.Golden] keeps the shape of a plan
// as a file and fails when it changes.
//
// # When a query hangs
//
// Plans are one half; the other is what the program does when a query takes minutes nevertheless. A [Recorder] strikes statements of a
// wrapped pool with a [Fault]: the first passes, the second hangs.
//
//	rec.Inject(t, explainguard.Fault{Contains: "FROM customers", Skip: 1, Delay: explainguard.Hang})
//
// # Reports and the command
//
// With EXPLAINGUARD_REPORTS set to a directory, tests leave their reports there, and `explainguard report` makes a page or annotations
// of them ([Run] does it in a program). `explainguard check` judges the statements of SQL files, for teams of any language;
// its exit codes are 0 good, 1 bad, 2 usage, 3 could not tell. See explainguard/cmd/explainguard.
//
// # Servers
//
// It was run on MySQL 9.7, by EXPLAIN in JSON versions 1 and 2 and as TREE text, and on MariaDB 11.8 by its own JSON. MariaDB's optimizer narrows
// the view of the story by itself: judge on the server that production has.
package explainguard
