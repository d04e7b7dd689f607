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
// A row that is wrong in every look but with other content each time (Violation.Content) is still changing: neither convicted nor all right, so the check is not Consistent.
//
// # What is remembered
//
// With a Store (FileStore, SQLStore, or one of your own that passes consistencytest.Store) each row has a life: new, continuing, resolved, and, louder than new, reappeared; and
// a check has a history, incidents, and the time since when it is clean ("old and new system have agreed for 14 days"). A row is resolved only when that is proven: by a look that would
// have shown it, or, past a cap on the rows, by one that asked for it by key. A run that could not tell resolves and forgets nothing. All of that is one pure function, Advance.
//
// # Who is told when
//
// Each Notifier hears what is new to it: rows that came, were resolved or came back since it was last told, a reminder once per Meta.Remind as long as rows are wrong, one
// notice when all is resolved. What could not be delivered is delivered with the next run, also when the process was killed in between: the state is saved before anybody is told, with what
// is to be told, and again after. So an event may come twice, when a process dies between telling and noting it, but none is lost. The headline has the count first:
//
//	128 (+3 −7, oldest 4d): orders-without-payment
//
// People answer through their notifier (Ack): somebody is on it, or these rows are muted until they are resolved. A Digest says once a day how all checks stand,
// because silence is not health.
//
// # Running
//
// Runner.Run runs every check once, for a cron job; Runner.Loop follows schedules for as long as its context lives. With Lock, for example MySQLLock, one of many
// processes works. When the Store fails the checks run all the same, nothing is reported resolved, and people are told that it failed.
//
// Values of masked columns (Meta.Mask) are in no notification, log or store; where a key is masked, a keyed hash tells the rows apart (Runner.Secret).
//
// # Away from production
//
// A SQL check cannot write, does not lock rows, has a time limit on the server and is stopped there when its context ends; see SQL for what each guard
// does and what only the privileges of the account can stop. Keep a check after the root fix: it proves that the fix works.
package consistency
