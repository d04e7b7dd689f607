package explainguard_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// cable is a TCP connection to the server that can be cut.
type cable struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
	wait  sync.WaitGroup
}

func plug(t *testing.T, addr string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cable{Listener: l}
	c.wait.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", addr)
			if err != nil {
				_ = in.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, in, out)
			c.mu.Unlock()
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				c.wait.Go(func() {
					_, _ = io.Copy(pair[0], pair[1])
					_ = pair[0].Close()
				})
			}
		}
	})
	t.Cleanup(c.pull)
	return c
}

func (c *cable) pull() {
	_ = c.Close()
	c.mu.Lock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.mu.Unlock()
	c.wait.Wait()
}

// The server stops answering EXPLAIN half-way: the suite goes on, and one report says so.
func TestSuiteTransientOutageIsOneReport(t *testing.T) {
	s := bookings(t)
	config, err := mysql.ParseDSN(s.DSN)
	require.NoError(t, err)
	c := plug(t, config.Addr)
	guardDB := openDSN(t, s.DSN, func(m *mysql.Config) { m.Addr = c.Addr().String() })
	tb := inTest(t, func(tb *suiteT) {
		db := (&explainguard.Guard{DB: guardDB}).Open(tb, s.DSN)
		ints(tb, db, "SELECT id FROM bookings WHERE tenant = ?", 2)
		c.pull()
		for i := range 10 {
			ints(tb, db, "SELECT id FROM bookings WHERE tenant = ? AND id > ?", 2, i)
			ints(tb, db, "SELECT id FROM guests WHERE booking_id = ?", i)
			exec(tb, db, "UPDATE bookings SET note = '' WHERE id = ?", i)
		}
	})
	require.Len(t, tb.errors, 1, tb.errors)
	require.Contains(t, tb.errors[0], "UNANALYSABLE")
	require.Contains(t, strings.Join(strings.Fields(tb.errors[0]), " "), "check that the address in the DSN is right")
	require.Equal(t, 2, strings.Count(tb.errors[0], "also at"))
	require.Contains(t, tb.log(), "31 statements of 4 shapes from 2 places: 1 pass, 0 fail, 3 could not be told")
}

// The account of the guard may not look into a view.
func TestSuiteMissingPrivilegeIsOneReport(t *testing.T) {
	s := bookings(t)
	exec(t, s.DB, "CREATE VIEW large AS SELECT * FROM bookings WHERE tenant = 1")
	user := "eg_" + strings.TrimPrefix(s.Database, "tashikame_")
	exec(t, s.DB, "CREATE USER '"+user+"'@'%' IDENTIFIED BY '"+secret+"'")
	defer exec(t, s.DB, "DROP USER '"+user+"'@'%'")
	exec(t, s.DB, "GRANT SELECT ON `"+s.Database+"`.large TO '"+user+"'")
	config, err := mysql.ParseDSN(s.DSN)
	require.NoError(t, err)
	config.User, config.Passwd = user, secret
	tb := inTest(t, func(tb *suiteT) {
		db := (&explainguard.Guard{}).Open(tb, config.FormatDSN())
		ints(tb, db, "SELECT id FROM large WHERE id = ?", 1)
		ints(tb, db, "SELECT id FROM large WHERE id > ?", 2)
	})
	require.Len(t, tb.errors, 1, tb.errors)
	require.Contains(t, tb.errors[0], "1345")
	require.Contains(t, tb.errors[0], "SHOW VIEW")
	require.Contains(t, tb.errors[0], "also at")
	require.NotContains(t, tb.errors[0], secret)
}

// A statement that fails is no pass; if its plan is bad, that is told: it may be why it failed.
func TestSuiteFailedStatements(t *testing.T) {
	s := bookings(t)
	g := &explainguard.Guard{Budget: explainguard.Budget{RowsExamined: 1000}}
	tb := inTest(t, func(tb *suiteT) {
		db := g.Open(tb, s.DSN)
		_, err := db.Query("SELECT id FROM nowhere WHERE id = 1")
		require.Error(tb, err)
		_, err = db.Exec("INSERT INTO bookings (id, tenant) VALUES (?, ?)", 1, 1)
		require.Error(tb, err)
		_, err = db.Query("SELEC 1")
		require.Error(tb, err)
		rows, err := db.Query("SELECT /*+ MAX_EXECUTION_TIME(20) */ COUNT(*) FROM bookings a JOIN bookings b ON a.note < b.note JOIN bookings c ON b.note < c.note")
		if err == nil {
			for rows.Next() {
			}
			require.Error(tb, rows.Err())
			require.NoError(tb, rows.Close())
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err = db.QueryContext(ctx, "SELECT id FROM bookings")
		require.ErrorIs(tb, err, context.Canceled)
	})
	require.Len(t, tb.errors, 1, tb.errors)
	require.Contains(t, tb.errors[0], "rows-budget")
	require.Contains(t, tb.errors[0], "MAX_EXECUTION_TIME(20)")
	require.Contains(t, tb.log(), "0 pass, 1 fail, 0 could not be told")
}

// Many goroutines of one test, on a pool of few connections.
func TestSuiteGoroutines(t *testing.T) {
	s := bookings(t)
	tb := inTest(t, func(tb *suiteT) {
		db := (&explainguard.Guard{Budget: explainguard.Budget{Repeated: explainguard.Unlimited}}).Open(tb, s.DSN)
		db.SetMaxOpenConns(4)
		var wait sync.WaitGroup
		for i := range 16 {
			wait.Go(func() {
				for k := range 20 {
					ints(tb, db, "SELECT id FROM bookings WHERE tenant = ?", 2+i*20+k)
					tx, err := db.Begin()
					require.NoError(tb, err)
					exec(tb, tx, "UPDATE bookings SET note = ? WHERE id = ?", "x", 100+i*20+k)
					require.NoError(tb, tx.Commit())
				}
			})
		}
		wait.Wait()
	})
	require.Empty(t, tb.errors)
	require.Contains(t, tb.log(), "640 statements of 2 shapes")
}

// The tables go while the test runs: DDL must not wait for the guard's sessions, nor they for it.
func TestSuiteDDLBetween(t *testing.T) {
	s := bookings(t)
	tb := inTest(t, func(tb *suiteT) {
		db := (&explainguard.Guard{}).Open(tb, s.DSN)
		for i := range 5 {
			exec(tb, db, "CREATE TABLE passing (id INT PRIMARY KEY, n INT)")
			exec(tb, db, "INSERT INTO passing VALUES (?, ?)", i, i)
			exec(tb, db, "UPDATE passing SET n = ? WHERE id = ?", 7, i)
			require.Equal(tb, []int{7}, ints(tb, db, "SELECT n FROM passing WHERE id = ?", i))
			exec(tb, db, "TRUNCATE passing")
			exec(tb, db, "DROP TABLE passing")
		}
	})
	require.Empty(t, tb.errors)
}

// A DSN whose character set forbids arguments in the text, and one that takes several statements.
func TestSuiteDSNVariants(t *testing.T) {
	s := bookings(t)
	for name, change := range map[string]func(*mysql.Config){
		"sjis":        func(c *mysql.Config) { c.Collation = "sjis_japanese_ci" },
		"interpolate": func(c *mysql.Config) { c.InterpolateParams = true },
		"multi":       func(c *mysql.Config) { c.MultiStatements = true },
		"sql_mode":    func(c *mysql.Config) { c.Params = map[string]string{"sql_mode": "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'"} },
	} {
		t.Run(name, func(t *testing.T) {
			config, err := mysql.ParseDSN(s.DSN)
			require.NoError(t, err)
			change(config)
			tb := inTest(t, func(tb *suiteT) {
				db := (&explainguard.Guard{Budget: explainguard.Budget{RowsExamined: 1000}}).Open(tb, config.FormatDSN())
				ints(tb, db, "SELECT id FROM bookings WHERE tenant = ? AND note <> ?", 2, `a\`)
				if !config.InterpolateParams {
					ints(tb, db, "SELECT id FROM bookings WHERE tenant = ? LIMIT ?", 2, "5")
				}
				exec(tb, db, "UPDATE bookings SET note = ? WHERE id = ?", []byte("x"), 3)
				ints(tb, db, "SELECT id FROM bookings WHERE note = 'what?' AND tenant = ?", 1)
				if config.MultiStatements {
					exec(tb, db, "SET @a = ';'; UPDATE bookings SET note = 'a' WHERE id = 1; /* ; */ DELETE FROM bookings WHERE note = 'none';")
				}
			})
			if config.MultiStatements {
				require.Len(t, tb.errors, 2, tb.errors)
				require.Contains(t, tb.errors[1], "DELETE FROM bookings WHERE note = 'none'")
				require.Contains(t, tb.log(), "SET ×1")
			} else {
				require.Len(t, tb.errors, 1, tb.errors)
			}
			require.Contains(t, tb.errors[0], "what?")
		})
	}
}

// What a table held at the first sight of a statement says nothing about later.
func TestSuiteEmptiedTable(t *testing.T) {
	s := bookings(t)
	tb := inTest(t, func(tb *suiteT) {
		g := &explainguard.Guard{SkipFrames: []string{"explainguard/workload_test.go"}}
		db := g.Open(tb, s.DSN)
		for i := range 2 {
			ints(tb, db, "SELECT id FROM guests WHERE booking_id = ? AND id > ?", 5, i)
		}
		exec(tb, s.DB, "DELETE FROM guests")
		ints(tb, db, "SELECT id FROM guests WHERE booking_id = ? AND id > ?", 5, 7)
	})
	require.Len(t, tb.errors, 1, tb.errors)
	require.Contains(t, tb.errors[0], "table guests is empty here")
	require.Contains(t, tb.log(), "1 pass, 0 fail, 1 could not be told")
}

// Arguments that find nothing are excused by others, visibly; whatever else cannot be told is not.
func TestSuiteExcusesOnlyWhatFindsNothing(t *testing.T) {
	s := bookings(t)
	tb := inTest(t, func(tb *suiteT) {
		db := (&explainguard.Guard{}).Open(tb, s.DSN)
		for _, id := range []int{5, 999_998, 999_999} {
			ints(tb, db, "SELECT g.id FROM bookings b JOIN guests g ON g.booking_id = b.id WHERE b.id = ?", id)
		}
	})
	require.Empty(t, tb.errors)
	require.Contains(t, tb.log(), "1 pass, 0 fail, 0 could not be told; 1 of those that pass were also run with 2 arguments that find no row here, of which nothing can be told")

	for _, first := range []int{0, 1} { // whichever comes first
		tb = inTest(t, func(tb *suiteT) {
			db := (&explainguard.Guard{}).Open(tb, s.DSN)
			for i := range 2 {
				list := []string{"SELECT 1 AS n", "SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 3"}[(i+first)%2]
				exec(tb, s.DB, "CREATE OR REPLACE VIEW counted AS WITH RECURSIVE s (n) AS ("+list+") SELECT n FROM s")
				ints(tb, db, "SELECT n FROM counted WHERE n > ?", i)
			}
		})
		require.Len(t, tb.errors, 1, tb.log())
		require.Contains(t, tb.errors[0], "runs until it finds no new rows")
	}
}
