package explainguard_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	sqlmock "github.com/DATA-DOG/go-sqlmock"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// mocked is what a test with go-sqlmock expects and what its program does then.
type mocked struct {
	open    func(dsn string) (*sql.DB, sqlmock.Sqlmock, error) // default: without options
	expect  func(sqlmock.Sqlmock)
	program func(*transcript)
}

// listConverter lets slices of strings be arguments.
type listConverter struct{}

// ConvertValue implements driver.ValueConverter.
func (listConverter) ConvertValue(v any) (driver.Value, error) {
	if list, ok := v.([]string); ok {
		return strings.Join(list, ","), nil
	}
	return driver.DefaultParameterConverter.ConvertValue(v)
}

var mocks = map[string]mocked{
	"in order": {
		expect: func(m sqlmock.Sqlmock) {
			m.ExpectQuery("SELECT a").WithArgs(1, "x", nil).WillReturnRows(m.NewRows([]string{"a", "b"}).AddRow(1, "one").AddRow(2, nil))
			m.ExpectExec("INSERT").WithArgs(sqlmock.AnyArg(), []byte("b")).WillReturnResult(sqlmock.NewResult(5, 2))
			m.ExpectExec("DELETE").WillReturnError(errors.New("refused"))
		},
		program: func(p *transcript) {
			p.read(p.db.Query("SELECT a FROM t", 1, "x", nil))
			p.exec("INSERT INTO t", time.Now(), []byte("b"))
			p.exec("DELETE FROM t")
			p.exec("one too many")
		},
	},
	"out of order": {
		expect: func(m sqlmock.Sqlmock) {
			m.MatchExpectationsInOrder(false)
			m.ExpectExec("INSERT").WithArgs(1).WillReturnResult(sqlmock.NewResult(1, 1))
			m.ExpectExec("INSERT").WithArgs(2).WillReturnResult(sqlmock.NewResult(2, 1))
			m.ExpectQuery("SELECT").WillReturnRows(m.NewRows([]string{"a"}))
			m.ExpectQuery("never asked").WillReturnRows(m.NewRows([]string{"a"}))
		},
		program: func(p *transcript) {
			p.read(p.db.Query("SELECT 1"))
			p.exec("INSERT INTO t", 2)
			p.exec("INSERT INTO t", 1)
			p.exec("INSERT INTO t", 3)
		},
	},
	"not what was expected": {
		expect: func(m sqlmock.Sqlmock) {
			m.ExpectExec("INSERT").WithArgs(1).WillReturnResult(sqlmock.NewResult(1, 1))
			m.ExpectBegin()
		},
		program: func(p *transcript) {
			p.read(p.db.Query("SELECT 1"))
			p.exec("INSERT INTO t", 2)
			p.exec("UPDATE t", 1)
			p.exec("INSERT INTO t", sql.Named("x", 1))
			_, err := p.db.Prepare("SELECT")
			p.say("prepare", err)
			tx, err := p.db.Begin()
			p.say("begin", err)
			if err == nil {
				p.say("rollback", tx.Rollback())
			}
		},
	},
	"prepared": {
		expect: func(m sqlmock.Sqlmock) {
			s := m.ExpectPrepare("SELECT . FROM").WillBeClosed()
			s.ExpectQuery().WithArgs(1).WillReturnRows(m.NewRows([]string{"a"}).AddRow("x"))
			s.ExpectExec().WithArgs(2).WillReturnResult(driver.ResultNoRows)
			m.ExpectPrepare("broken").WillReturnError(errors.New("cannot"))
			m.ExpectPrepare("closing fails").WillReturnCloseError(errors.New("cannot close"))
			m.ExpectPrepare("slow").WillDelayFor(time.Hour)
		},
		program: func(p *transcript) {
			stmt, err := p.db.Prepare("SELECT ? FROM t")
			require.NoError(p.t, err)
			p.read(stmt.Query(1))
			_, err = stmt.Exec(2)
			p.say("exec", err)
			p.say("close", stmt.Close())
			_, err = p.db.Prepare("broken")
			p.say("prepare", err)
			stmt, err = p.db.Prepare("closing fails")
			require.NoError(p.t, err)
			p.say("close", stmt.Close())
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			_, err = p.db.PrepareContext(ctx, "slow")
			p.say("prepare", err)
		},
	},
	"transactions": {
		expect: func(m sqlmock.Sqlmock) {
			m.ExpectBegin()
			m.ExpectExec("UPDATE").WillReturnResult(sqlmock.NewResult(0, 3))
			m.ExpectCommit()
			m.ExpectBegin()
			m.ExpectQuery("SELECT").WillReturnError(sql.ErrNoRows)
			m.ExpectRollback().WillReturnError(errors.New("cannot roll back"))
			m.ExpectBegin().WillReturnError(errors.New("cannot begin"))
			m.ExpectBegin()
			m.ExpectCommit().WillReturnError(errors.New("cannot commit"))
		},
		program: func(p *transcript) {
			tx, err := p.db.BeginTx(context.Background(), &sql.TxOptions{Isolation: sql.LevelSerializable, ReadOnly: true})
			require.NoError(p.t, err)
			_, err = tx.Exec("UPDATE t")
			p.say("update", err)
			p.say("commit", tx.Commit())
			tx, err = p.db.Begin()
			require.NoError(p.t, err)
			p.say("select", tx.QueryRow("SELECT 1").Scan(new(int)))
			p.say("rollback", tx.Rollback())
			_, err = p.db.Begin() // fails
			p.say("begin", err)
			tx, err = p.db.Begin()
			require.NoError(p.t, err)
			p.say("commit", tx.Commit())
		},
	},
	"slow, and given up": {
		expect: func(m sqlmock.Sqlmock) {
			m.ExpectQuery("SELECT").WillDelayFor(time.Hour).WillReturnRows(m.NewRows([]string{"a"}))
			m.ExpectExec("UPDATE").WillDelayFor(time.Hour).WillReturnResult(sqlmock.NewResult(1, 1))
			m.ExpectQuery("SELECT").WillDelayFor(20 * time.Millisecond).WillReturnRows(m.NewRows([]string{"a"}).AddRow(1))
		},
		program: func(p *transcript) {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			p.read(p.db.QueryContext(ctx, "SELECT 1"))
			ctx, cancel = context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			_, err := p.db.ExecContext(ctx, "UPDATE t")
			p.say("exec", err)
			p.read(p.db.Query("SELECT 1"))
		},
	},
	"pings and the end": {
		open: func(dsn string) (*sql.DB, sqlmock.Sqlmock, error) {
			return sqlmock.NewWithDSN(dsn, sqlmock.MonitorPingsOption(true))
		},
		expect: func(m sqlmock.Sqlmock) {
			m.ExpectPing().WillReturnError(errors.New("away"))
			m.ExpectPing()
			m.ExpectClose().WillReturnError(errors.New("cannot close"))
		},
		program: func(p *transcript) {
			p.say("ping", p.db.Ping())
			p.say("ping", p.db.Ping())
			p.say("close", p.db.Close())
		},
	},
	"rows": {
		expect: func(m sqlmock.Sqlmock) {
			m.ExpectQuery("typed").WillReturnRows(m.NewRowsWithColumnDefinition(
				m.NewColumn("id").OfType("BIGINT", int64(0)).Nullable(false),
				m.NewColumn("name").OfType("VARCHAR", "").WithLength(40).Nullable(true),
				m.NewColumn("price").OfType("DECIMAL", float64(0)).WithPrecisionAndScale(10, 2),
			).AddRow(int64(1), "x", 1.25))
			m.ExpectQuery("two sets").WillReturnRows(m.NewRows([]string{"a"}).AddRow(1), m.NewRows([]string{"b", "c"}).AddRow(2, 3))
			m.ExpectQuery("broken row").WillReturnRows(m.NewRows([]string{"a"}).AddRow(1).AddRow(2).RowError(1, errors.New("broken")))
			m.ExpectQuery("broken end").WillReturnRows(m.NewRows([]string{"a"}).AddRow(1).CloseError(errors.New("cannot close")))
			m.ExpectQuery("closed").WillReturnRows(m.NewRows([]string{"a"}).AddRow([]byte("raw"))).RowsWillBeClosed()
			m.ExpectQuery("none").WillReturnRows(m.NewRows(nil))
		},
		program: func(p *transcript) {
			for _, query := range []string{"typed", "two sets", "broken row", "broken end", "closed", "none"} {
				p.read(p.db.Query(query))
			}
		},
	},
	"matcher and converter": {
		open: func(dsn string) (*sql.DB, sqlmock.Sqlmock, error) {
			return sqlmock.NewWithDSN(dsn,
				sqlmock.QueryMatcherOption(sqlmock.QueryMatcherFunc(func(expected, actual string) error {
					if !strings.EqualFold(expected, actual) {
						return fmt.Errorf("%s is not %s", actual, expected)
					}
					return nil
				})),
				sqlmock.ValueConverterOption(listConverter{}))
		},
		expect: func(m sqlmock.Sqlmock) {
			m.ExpectQuery("select ? from (t)").WithArgs("a,b").WillReturnRows(m.NewRows([]string{"a"}).AddRow("x"))
			m.ExpectExec("select").WillReturnResult(sqlmock.NewResult(1, 1))
			s := m.ExpectPrepare("prepared")
			s.ExpectQuery().WithArgs("c,d").WillReturnRows(m.NewRows([]string{"a"}))
		},
		program: func(p *transcript) {
			p.read(p.db.Query("SELECT ? FROM (t)", []string{"a", "b"}))
			p.exec("selec")
			p.exec("SELECT", []int{1})
			p.exec("SELECT")
			stmt, err := p.db.Prepare("PREPARED")
			require.NoError(p.t, err)
			p.read(stmt.Query([]string{"c", "d"}))
			p.say("close", stmt.Close())
		},
	},
}

func TestCaptureOnSqlmockChangesNothing(t *testing.T) {
	probe, _, err := sqlmock.New()
	require.NoError(t, err)
	defer probe.Close()
	recorders := map[string]*explainguard.Recorder{"plain": nil, "unwatched": {}, "watched": {}, "idle": {}}
	watch(recorders["watched"])
	explainguard.Observe(recorders["idle"], &explainguard.ToldIdle{Idle: func(*explainguard.Statement, driver.Conn) {}})
	for how, r := range recorders {
		if how != "plain" {
			require.NoError(t, explainguard.Register("sqlmock-"+how, probe.Driver(), r))
		}
	}
	require.Error(t, explainguard.Register("sqlmock", probe.Driver(), nil), "the name is taken")
	require.Error(t, explainguard.Register("new", nil, nil))

	for name, c := range mocks {
		t.Run(name, func(t *testing.T) {
			run := func(how, driverName string) []string {
				open := c.open
				if open == nil {
					open = func(dsn string) (*sql.DB, sqlmock.Sqlmock, error) { return sqlmock.NewWithDSN(dsn) }
				}
				dsn := "dsn " + name + " " + how
				holder, mock, err := open(dsn) // a pool of sqlmock's own, idle
				require.NoError(t, err)
				defer holder.Close()
				c.expect(mock)
				db, err := sql.Open(driverName, dsn)
				require.NoError(t, err)
				defer db.Close()
				p := &transcript{t: t, db: db}
				c.program(p)
				p.say("met", mock.ExpectationsWereMet())
				return p.lines
			}
			want := run("plain", "sqlmock")
			for how := range recorders {
				if how != "plain" {
					require.Equal(t, want, run(how, "sqlmock-"+how), how)
				}
			}
		})
	}
}
