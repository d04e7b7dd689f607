package explainguard_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/internal/smartlist"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// The filled databases, loaded once for all tests of the process.
var (
	smartList = &dataset{fill: func(ctx context.Context, db *sql.DB) error {
		return errors.Join(smartlist.Create(ctx, db), smartlist.Fill(ctx, db))
	}, file: "testdata/statistics.sql"}
	shop = &dataset{file: "testdata/shop/schema.sql"}
)

type dataset struct {
	fill func(ctx context.Context, db *sql.DB) error             // may be nil
	file string                                                  // run after it
	on   func(ctx context.Context) (*servers.MySQLServer, error) // nil: MySQL
	once sync.Once
	dsn  string
	err  error
}

// load fills a database and returns its DSN.
func (d *dataset) load() (string, error) {
	d.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		on := servers.StartMySQL
		if d.on != nil {
			on = d.on
		}
		s, err := on(ctx)
		if err != nil {
			d.err = err
			return
		}
		d.dsn = s.DSN
		if d.fill != nil {
			d.err = d.fill(ctx, s.DB)
		}
		// The connections go now, the database stays until the harness removes its server.
		d.err = errors.Join(d.err, s.DB.Close(), runFile(ctx, d.dsn, d.file))
	})
	return d.dsn, d.err
}

func runFile(ctx context.Context, dsn, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return runSQL(ctx, dsn, string(text))
}

// runSQL runs statements, separated by semicolons, on one connection.
func runSQL(ctx context.Context, dsn, text string) error {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return err
	}
	config.MultiStatements = true
	db, err := sql.Open("mysql", config.FormatDSN())
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, text)
	return err
}

// open returns a pool on the dataset; change, if given, edits the DSN first.
func (d *dataset) open(tb testing.TB, change func(*mysql.Config)) *sql.DB {
	tb.Helper()
	dsn, err := d.load()
	require.NoError(tb, err)
	return openDSN(tb, dsn, change)
}

func openDSN(tb testing.TB, dsn string, change func(*mysql.Config)) *sql.DB {
	tb.Helper()
	config, err := mysql.ParseDSN(dsn)
	require.NoError(tb, err)
	if change != nil {
		change(config)
	}
	connector, err := mysql.NewConnector(config)
	require.NoError(tb, err)
	db := sql.OpenDB(connector)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	return db
}

func query(tb testing.TB, name string) string {
	tb.Helper()
	text, ok := map[string]string{"bad": smartlist.Bad, "good": smartlist.Good, "single": smartlist.Single}[name]
	require.True(tb, ok, name)
	return text
}

// ownShop returns a pool on a database of the test's own with the shop in it.
func ownShop(tb testing.TB) *sql.DB {
	tb.Helper()
	s := servers.MySQL(tb)
	require.NoError(tb, runFile(context.Background(), s.DSN, shop.file))
	return s.DB
}

// fakeT records what Assert says to a test.
type fakeT struct {
	testing.TB
	errors []string
	logs   string
}

func (f *fakeT) Helper() {}

func (f *fakeT) Errorf(format string, args ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, args...))
}

func (f *fakeT) Error(args ...any) { f.errors = append(f.errors, fmt.Sprint(args...)) }

func (f *fakeT) Log(args ...any) { f.logs += fmt.Sprintln(args...) }
