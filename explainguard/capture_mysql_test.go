package explainguard_test

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestCaptureOnMySQLChangesNothing(t *testing.T) {
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			sameOnMySQL(t, program, func(tb testing.TB) *servers.MySQLServer { return servers.MySQL(tb) })
		})
	}
}

// The server asks the driver for the file in the middle of the statement.
func TestCaptureLoadsLocalFiles(t *testing.T) {
	own := servers.OwnMySQL(t, "--local-infile=1")
	mysql.RegisterReaderHandler("lines", func() io.Reader { return strings.NewReader("1\n2\n3\n") })
	defer mysql.DeregisterReaderHandler("lines")
	sameOnMySQL(t, func(p *transcript) {
		p.exec("CREATE TABLE t (n INT)")
		p.exec("LOAD DATA LOCAL INFILE 'Reader::lines' INTO TABLE t")
		require.Contains(p.t, p.lines, "affected: 3 <nil>")
		p.exec("LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE t")
		p.read(p.db.Query("SELECT COUNT(*), SUM(n) FROM t"))
		p.exec("DROP TABLE t")
	}, func(testing.TB) *servers.MySQLServer { return own })
}

// The server's own counters are the second witness: each statement is recorded once, whichever way it was sent.
func TestCaptureCountsAsTheServerDoes(t *testing.T) {
	for _, interpolate := range []bool{false, true} {
		s := servers.MySQL(t)
		rec := &explainguard.Recorder{}
		saw := watch(rec)
		db := wrappedPool(t, s.DSN, rec, func(c *mysql.Config) { c.InterpolateParams = interpolate })
		db.SetMaxOpenConns(1) // the counters are the session's
		counters := func() map[string]int {
			rows, err := db.Query("SHOW SESSION STATUS WHERE Variable_name IN ('Questions', 'Com_insert', 'Com_select', 'Com_update', 'Com_create_table')")
			require.NoError(t, err)
			defer rows.Close()
			count := map[string]int{}
			for rows.Next() {
				var name string
				var n int
				require.NoError(t, rows.Scan(&name, &n))
				count[name] = n
			}
			require.NoError(t, rows.Err())
			return count
		}
		before := counters()
		var err error
		do := func(_ any, e error) { err = errors.Join(err, e) }
		do(db.Exec("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, n INT, s TEXT)"))
		for i := range 7 {
			do(db.Exec("INSERT INTO t (n, s) VALUES (?, ?)", i, []byte("x")))
			do(nil, db.QueryRow("SELECT COUNT(*) FROM t WHERE n = ?", i).Scan(new(int)))
			do(nil, db.QueryRow("SELECT MAX(id) FROM t").Scan(new(int)))
		}
		tx, e := db.Begin()
		do(tx, e)
		stmt, e := tx.Prepare("UPDATE t SET n = n + ? WHERE id = ?")
		do(stmt, e)
		for i := range 5 {
			do(stmt.Exec(1, i))
		}
		do(nil, tx.Commit())
		require.NoError(t, err)

		recorded := map[string]int{"Questions": 2} // begin and commit
		for _, st := range saw.take(t) {
			recorded["Questions"]++
			switch verb, _, _ := strings.Cut(st.Query, " "); verb {
			case "CREATE":
				recorded["Com_create_table"]++
			case "INSERT", "SELECT", "UPDATE":
				recorded["Com_"+strings.ToLower(verb)]++
			}
		}
		counted := counters()
		for name := range counted {
			counted[name] -= before[name] // each SHOW counts itself, and only the first was recorded
		}
		require.Equal(t, map[string]int{"Questions": 30, "Com_create_table": 1, "Com_insert": 7, "Com_select": 14, "Com_update": 5}, counted)
		require.Equal(t, counted, recorded, "interpolate %v", interpolate)
	}
}

func sameOnMySQL(t *testing.T, program func(*transcript), server func(testing.TB) *servers.MySQLServer) {
	for _, interpolate := range []bool{false, true} {
		run := func(open func(t *testing.T, dsn string) *sql.DB) []string {
			s := server(t)
			config, err := mysql.ParseDSN(s.DSN)
			require.NoError(t, err)
			config.InterpolateParams, config.MultiStatements, config.ParseTime = interpolate, true, interpolate
			dsn := config.FormatDSN()
			db := open(t, dsn)
			dsns.Store(db, dsn)
			defer dsns.Delete(db)
			p := &transcript{t: t, db: db}
			program(p)
			require.NoError(t, db.Close())
			text := strings.ReplaceAll(strings.Join(p.lines, "\n"), s.Database, "DATABASE")
			return strings.Split(text, "\n")
		}
		want := run(func(t *testing.T, dsn string) *sql.DB { return openDSN(t, dsn, nil) })
		require.NotEmpty(t, want)
		rec := &explainguard.Recorder{}
		for how, prepare := range map[string]func() *seen{
			"watched by nobody": func() *seen { return nil },
			"watched":           func() *seen { return watch(rec) },
			"watched for idle connections": func() *seen {
				explainguard.Observe(rec, &explainguard.ToldIdle{Idle: func(*explainguard.Statement, driver.Conn) {}})
				return watch(rec)
			},
			"with a fault that never strikes": func() *seen {
				_, err := rec.Arm(explainguard.Fault{Match: func(*explainguard.Statement) bool { return true }, When: explainguard.InRows, AfterRows: math.MaxInt, Drop: true})
				require.NoError(t, err)
				return nil
			},
		} {
			rec = &explainguard.Recorder{}
			saw := prepare()
			got := run(func(t *testing.T, dsn string) *sql.DB { return wrappedPool(t, dsn, rec, nil) })
			require.Equal(t, want, got, "%s, interpolate %v", how, interpolate)
			if saw != nil {
				require.NotEmpty(t, saw.take(t))
			}
		}
	}
}
