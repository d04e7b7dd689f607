// Package consistency finds inconsistent data between services and convicts only what persists.
//
// A booking that touches several services is several transactions. When one fails half-way, the data disagrees, and the worst state is
// not to know whether it does. The remedy that has proved itself: queries that search for rows which must not exist, run regularly, with the
// results sent to where people look. Adding a check must be as easy as writing a SQL, or nobody adds one in a hurry:
//
//	runner := consistency.Runner{
//		Checks: []consistency.Check{consistency.SQL{
//			Meta:       consistency.Meta{Name: "orders-without-payment", Owner: "payments"},
//			DB:         db, // an account that may only SELECT, best on a replica
//			Query:      `SELECT o.id, o.paid_at FROM orders o LEFT JOIN payments p ON p.order_id = o.id WHERE o.paid_at IS NOT NULL AND p.id IS NULL`,
//			Key:        []string{"id"},
//			Population: `SELECT COUNT(*) FROM orders`,
//		}},
//		Notifiers: []consistency.Notifier{consistency.SlogNotifier{}},
//	}
//	summary, err := runner.Run(ctx)
//
// # Three outcomes
//
// A check is Consistent, Inconsistent or Unknown, and Unknown is the zero value. A query that failed, was cut off, looked at
// nothing or returned more rows than could be looked at again is never reported as consistent. Unknown is as loud as Inconsistent.
//
// # Looking again
//
// In a distributed system healthy data looks wrong for a moment. A row is convicted only when the same key shows in every one of several
// looks, spaced apart; see Retry. Errors have their own budget and end in Unknown. A frozen clone or snapshot can never heal anything between two looks: use
// Attempts: 1 and a query that leaves out what is younger than the longest delay.
//
// # Away from production
//
// A SQL check cannot write, does not lock rows, has a time limit on the server and is stopped there when its context ends; see SQL for what each guard
// does and what only the privileges of the account can stop. Keep a check after the root fix: it proves that the fix works.
package consistency
