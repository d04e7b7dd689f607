package explainguard_test

import (
	"context"
	"database/sql"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// The rows that a test has inserted in its transaction are seen by it alone.
func TestSuiteUncommittedRows(t *testing.T) {
	s := bookings(t)
	ctx := context.Background()
	const join = "SELECT b.id FROM empty_one e JOIN bookings b ON b.tenant = e.n WHERE e.id = ?"
	for name, begin := range map[string]func(tb *suiteT, conn *sql.Conn) (finish func()){
		"database/sql": nil,
		"by text": func(tb *suiteT, conn *sql.Conn) func() {
			exec(tb, conn, "BEGIN")
			return func() { exec(tb, conn, "ROLLBACK") }
		},
		"autocommit off": func(tb *suiteT, conn *sql.Conn) func() {
			exec(tb, conn, "SET autocommit = 0")
			return func() { exec(tb, conn, "ROLLBACK") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			tb := inTest(t, func(tb *suiteT) {
				db := (&explainguard.Guard{}).Open(tb, s.DSN)
				if begin == nil {
					tx, err := db.BeginTx(ctx, nil)
					require.NoError(tb, err)
					exec(tb, tx, "INSERT INTO empty_one VALUES (1, 7), (2, 8)")
					require.NotEmpty(tb, ints(tb, tx, join, 1))
					require.NotEmpty(tb, ints(tb, tx, join, 2))
					exec(tb, tx, "UPDATE empty_one SET n = 9 WHERE id = 2")
					exec(tb, tx, "UPDATE empty_one e JOIN bookings b ON b.tenant = e.n SET b.note = '' WHERE e.id = ?", 1)
					require.NoError(tb, tx.Rollback())
					return
				}
				conn, err := db.Conn(ctx)
				require.NoError(tb, err)
				defer conn.Close()
				finish := begin(tb, conn)
				exec(tb, conn, "INSERT INTO empty_one VALUES (1, 7)")
				require.NotEmpty(tb, ints(tb, conn, join, 1))
				finish()
				require.Empty(tb, ints(tb, s.DB, "SELECT id FROM empty_one"), "the guard has not committed it")
			})
			require.Empty(t, tb.errors)
			require.Empty(t, ints(t, s.DB, "SELECT id FROM empty_one"))
		})
	}
	// Without a transaction the table is as empty for the program as for the guard.
	tb := inTest(t, func(tb *suiteT) {
		ints(tb, (&explainguard.Guard{}).Open(tb, s.DSN), join, 1)
	})
	require.Len(t, tb.errors, 1)
	require.Contains(t, tb.errors[0], "UNANALYSABLE")
	tb = inTest(t, func(tb *suiteT) {
		ints(tb, (&explainguard.Guard{AllowUnanalysable: true}).Open(tb, s.DSN), join, 1)
	})
	require.Empty(t, tb.errors)
	require.Contains(t, tb.log(), "UNANALYSABLE")
}

// What only the program's session has: temporary tables, user variables, its own table locks, another database.
func TestSuiteOwnSession(t *testing.T) {
	s := bookings(t)
	tb := inTest(t, func(tb *suiteT) {
		db := (&explainguard.Guard{}).Open(tb, s.DSN)
		conn, err := db.Conn(context.Background())
		require.NoError(tb, err)
		defer conn.Close()
		exec(tb, conn, "CREATE TEMPORARY TABLE mine (id INT, KEY (id))")
		exec(tb, conn, "INSERT INTO mine VALUES (1), (2)")
		require.Equal(tb, []int{1}, ints(tb, conn, "SELECT id FROM mine WHERE id = ?", 1))
		exec(tb, conn, "SET @tenant = 2")
		require.NotEmpty(tb, ints(tb, conn, "SELECT id FROM bookings WHERE tenant = @tenant"))
		exec(tb, conn, "LOCK TABLES bookings WRITE")
		require.NotEmpty(tb, ints(tb, conn, "SELECT id FROM bookings WHERE tenant = ?", 3))
		exec(tb, conn, "UNLOCK TABLES")
	})
	require.Empty(t, tb.errors)
	// The large tenant by way of a variable, which is NULL in any other session.
	tb = inTest(t, func(tb *suiteT) {
		db := (&explainguard.Guard{Budget: explainguard.Budget{RowsExamined: 1000}}).Open(tb, s.DSN)
		conn, err := db.Conn(context.Background())
		require.NoError(tb, err)
		defer conn.Close()
		exec(tb, conn, "SET @tenant = 1")
		ints(tb, conn, "SELECT id FROM bookings WHERE tenant = @tenant")
	})
	require.Len(t, tb.errors, 1)
	require.Contains(t, tb.errors[0], "rows-budget")
}

// With SameConnection everything runs on the program's connection, which must notice nothing.
func TestSuiteSameConnectionIsUndisturbed(t *testing.T) {
	s := bookings(t)
	exec(t, s.DB, "CREATE TABLE counted (id INT PRIMARY KEY AUTO_INCREMENT, n INT)")
	g := &explainguard.Guard{SameConnection: true}
	tb := inTest(t, func(tb *suiteT) {
		db := g.Open(tb, s.DSN)
		conn, err := db.Conn(context.Background())
		require.NoError(tb, err)
		defer conn.Close()
		exec(tb, conn, "SET SESSION lock_wait_timeout = 77, max_execution_time = 12345, transaction_read_only = 0")
		exec(tb, conn, "START TRANSACTION")
		result, err := conn.ExecContext(context.Background(), "INSERT INTO counted (n) VALUES (?)", 5)
		require.NoError(tb, err)
		id, err := result.LastInsertId()
		require.NoError(tb, err)
		affected, err := result.RowsAffected()
		require.NoError(tb, err)
		require.Equal(tb, int64(1), affected)
		ints(tb, conn, "SELECT id FROM bookings WHERE tenant = ?", 2)
		require.Equal(tb, []int{int(id)}, ints(tb, conn, "SELECT LAST_INSERT_ID()"))
		require.Equal(tb, []int{5}, ints(tb, conn, "SELECT n FROM counted"))
		exec(tb, conn, "UPDATE counted SET n = 6 WHERE id = ?", id)
		require.Equal(tb, []int{77}, ints(tb, conn, "SELECT @@lock_wait_timeout"))
		require.Equal(tb, []int{12345}, ints(tb, conn, "SELECT @@max_execution_time"))
		exec(tb, conn, "ROLLBACK")
		require.Empty(tb, ints(tb, conn, "SELECT n FROM counted"))
		exec(tb, conn, "USE mysql")
		exec(tb, conn, "USE `"+s.Database+"`")
	})
	for _, e := range tb.errors {
		require.Contains(t, e, "counted is empty") // after the rollback it is
	}
}

func TestSuiteRepeatedQuery(t *testing.T) {
	s := bookings(t)
	run := func(g *explainguard.Guard, n int, f func(tb *suiteT, db *sql.DB, i int)) *suiteT {
		return inTest(t, func(tb *suiteT) {
			db := g.Open(tb, s.DSN)
			for i := range n {
				f(tb, db, i)
			}
		})
	}
	look := func(tb *suiteT, db *sql.DB, i int) { ints(tb, db, "SELECT id FROM guests WHERE booking_id = ?", i+1) }
	// The helper through which all queries of these tests go is no call site.
	g := &explainguard.Guard{SkipFrames: []string{"explainguard/workload_test.go"}}
	require.Empty(t, run(g, 20, look).errors)
	tb := run(g, 21, look)
	require.Len(t, tb.errors, 1)
	for _, want := range []string{"repeated-query", "21 times from the same line", "limit:   20 calls", "workload_cases_test.go:", "SELECT id FROM guests WHERE booking_id = ?"} {
		require.Contains(t, tb.errors[0], want)
	}
	require.Empty(t, run(&explainguard.Guard{Budget: explainguard.Budget{Repeated: explainguard.Unlimited}}, 50, look).errors)
	// The same question again is a missing cache, perhaps, but no N+1; fixtures are inserted in loops.
	require.Empty(t, run(g, 50, func(tb *suiteT, db *sql.DB, _ int) { look(tb, db, 1) }).errors)
	require.Empty(t, run(g, 50, func(tb *suiteT, db *sql.DB, i int) {
		exec(tb, db, "INSERT INTO bookings (tenant) VALUES (?)", 9000+i)
	}).errors)
	// From different lines.
	require.Empty(t, run(g, 15, func(tb *suiteT, db *sql.DB, i int) {
		look(tb, db, i)
		ints(tb, db, "SELECT id FROM guests WHERE booking_id = ?", i+1)
	}).errors)
}

func TestSuiteTotals(t *testing.T) {
	s := bookings(t)
	send := func(tb *suiteT, g *explainguard.Guard) {
		db := g.Open(tb, s.DSN)
		for i := range 5 {
			ints(tb, db, "SELECT id FROM bookings WHERE tenant = ?", 1+i%2) // 3,000 and a few rows
		}
		exec(tb, db, "DO 1")
	}
	tb := inTest(t, func(tb *suiteT) {
		send(tb, &explainguard.Guard{Budget: explainguard.Budget{Queries: 5, TestRows: 9000}})
	})
	require.Len(t, tb.errors, 2)
	require.Contains(t, tb.errors[0], "the test sent 6 statements; most: 5 at ")
	require.Contains(t, tb.errors[0], "limit:   5 statements")
	require.Contains(t, tb.errors[1], "together examine about 9,0") // 3 × 3,000 and a few
	tb = inTest(t, func(tb *suiteT) {
		send(tb, &explainguard.Guard{Budget: explainguard.Budget{Queries: 6, TestRows: 9500}})
	})
	require.Empty(t, tb.errors)
}

// Tests that run at the same time on one pool are told apart by their contexts.
func TestSuiteSharedPool(t *testing.T) {
	s := bookings(t)
	shared, err := sql.Open(explainguard.DriverName, s.DSN)
	require.NoError(t, err)
	defer shared.Close()
	g := &explainguard.Guard{DB: s.DB, Budget: explainguard.Budget{RowsExamined: 1000}}
	var wait sync.WaitGroup
	tests := make([]*suiteT, 8)
	for i := range tests {
		wait.Go(func() {
			tests[i] = inTest(t, func(tb *suiteT) {
				ctx := g.WithTest(context.Background(), tb)
				for k := range 20 {
					tenant := 2 + k
					if i == 3 && k == 10 {
						tenant = 1
					}
					rows, err := shared.QueryContext(ctx, "SELECT id FROM bookings WHERE tenant = ?", tenant)
					require.NoError(tb, err)
					require.NoError(tb, rows.Close())
				}
			})
		})
	}
	wait.Wait()
	for i, tb := range tests {
		require.Contains(t, tb.log(), "20 statements of 1 shapes")
		if i == 3 {
			require.Len(t, tb.errors, 1)
			require.Contains(t, tb.errors[0], "arguments: 1")
		} else {
			require.Empty(t, tb.errors)
		}
	}
	// A subtest with a context of its own, on the pool of its parent, is judged by itself.
	var sub *suiteT
	parent := inTest(t, func(tb *suiteT) {
		db := (&explainguard.Guard{Budget: g.Budget}).Open(tb, s.DSN)
		sub = inTest(t, func(tb *suiteT) {
			rows, err := db.QueryContext(g.WithTest(context.Background(), tb), "SELECT id FROM bookings WHERE tenant = ?", 1)
			require.NoError(tb, err)
			require.NoError(tb, rows.Close())
		})
	})
	require.Len(t, sub.errors, 1)
	require.Empty(t, parent.errors)
	require.Contains(t, parent.log(), " 0 statements")
}

func withPassword(dsn string) string {
	_, rest, _ := strings.Cut(dsn, "@")
	return "root:" + secret + "@" + rest
}

func TestSuiteMisconfigured(t *testing.T) {
	s := bookings(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := l.Addr().String()
	require.NoError(t, l.Close())
	other := openDSN(t, s.DSN, func(c *mysql.Config) { c.DBName = "mysql" })
	for want, f := range map[string]func(tb *suiteT){
		"the DSN cannot be read":            func(tb *suiteT) { (&explainguard.Guard{}).Open(tb, "root:"+secret+"@nonsense(") },
		"check that the address in the DSN": func(tb *suiteT) { (&explainguard.Guard{}).Open(tb, "root:"+secret+"@tcp("+nobody+")/x") },
		"check user and password":           func(tb *suiteT) { (&explainguard.Guard{}).Open(tb, withPassword(s.DSN)) },
		"the connector is nil":              func(tb *suiteT) { (&explainguard.Guard{}).OpenConnector(tb, nil) },
		"it is nil":                         func(tb *suiteT) { (*explainguard.Guard)(nil).Open(tb, s.DSN) },
		"set Guard.DB":                      func(tb *suiteT) { (&explainguard.Guard{}).WithTest(context.Background(), tb) },
		"in database \"mysql\"":             func(tb *suiteT) { (&explainguard.Guard{DB: other}).Open(tb, s.DSN) },
		"MaxArguments is -1":                func(tb *suiteT) { (&explainguard.Guard{MaxArguments: -1}).Open(tb, s.DSN) },
		"SkipFrames holds \"/\"":            func(tb *suiteT) { (&explainguard.Guard{SkipFrames: []string{"/"}}).Open(tb, s.DSN) },
		"the budget contradicts itself": func(tb *suiteT) {
			(&explainguard.Guard{Budget: explainguard.Budget{RowsExamined: 9, TestRows: 5}}).Open(tb, s.DSN)
		},
		"budget for Repeated is -3": func(tb *suiteT) {
			(&explainguard.Guard{Budget: explainguard.Budget{Repeated: -3}}).Open(tb, s.DSN)
		},
	} {
		reached := false
		tb := inTest(t, func(tb *suiteT) {
			f(tb)
			reached = true
		})
		require.Contains(t, tb.fatal, want)
		require.NotContains(t, tb.fatal, secret)
		require.False(t, reached, want)
	}
}

// A table that another session has locked is one report, and costs a second, not a year.
func TestSuiteLockedTable(t *testing.T) {
	s := bookings(t)
	tb := inTest(t, func(tb *suiteT) {
		db := (&explainguard.Guard{}).Open(tb, s.DSN)
		ctx := context.Background()
		tx, err := db.BeginTx(ctx, nil)
		require.NoError(tb, err)
		exec(tb, tx, "UPDATE bookings SET note = 'mine' WHERE id = 3")
		// EXPLAIN of this would wait for the row: the program's own connection does not.
		exec(tb, tx, "INSERT INTO empty_one SELECT id, tenant FROM bookings WHERE id = 3")
		for i := range 3 {
			exec(tb, tx, "UPDATE bookings b JOIN guests g ON g.booking_id = b.id SET b.note = 'x' WHERE b.id = ?", 3+i)
			require.NotEmpty(tb, ints(tb, tx, "SELECT id FROM bookings WHERE id = ? FOR UPDATE", 3+i))
		}
		require.NoError(tb, tx.Rollback())
	})
	require.Empty(t, tb.errors)
}

func TestSuiteRowsLeftOpen(t *testing.T) {
	s := bookings(t)
	started := time.Now()
	var open *sql.Rows
	tb := inTest(t, func(tb *suiteT) {
		db := (&explainguard.Guard{SameConnection: true}).Open(tb, s.DSN)
		var err error
		open, err = db.Query("SELECT id FROM bookings WHERE tenant = 2")
		require.NoError(tb, err)
	})
	require.NoError(t, open.Close())
	require.Less(t, time.Since(started), time.Minute)
	require.Len(t, tb.errors, 1)
	require.Contains(t, tb.errors[0], "its rows were never closed")
}

func TestSuiteConnector(t *testing.T) {
	s := bookings(t)
	config, err := mysql.ParseDSN(s.DSN)
	require.NoError(t, err)
	connector, err := mysql.NewConnector(config)
	require.NoError(t, err)
	tb := inTest(t, func(tb *suiteT) {
		db := (&explainguard.Guard{Budget: explainguard.Budget{RowsExamined: 1000}}).OpenConnector(tb, connector)
		ints(tb, db, "SELECT id FROM bookings WHERE tenant = ?", 1)
		ints(tb, db, "SELECT id FROM bookings WHERE id = ?", 1)
		exec(tb, db, "UPDATE bookings SET note = ? WHERE id = ?", "x", 1)
	})
	require.Len(t, tb.errors, 1)
	require.Contains(t, tb.log(), "3 statements of 3 shapes from 2 places: 2 pass, 1 fail, 0 could not be told")
}
