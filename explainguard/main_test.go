package explainguard_test

import (
	"context"
	"database/sql"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// The filled databases, loaded once for all tests of the process.
var (
	smartlist = &dataset{files: []string{"testdata/smartlist/schema.sql", "testdata/smartlist/data.sql"}}
	shop      = &dataset{files: []string{"testdata/shop/schema.sql"}}
)

type dataset struct {
	files []string
	once  sync.Once
	dsn   string
	err   error
}

// load fills a database and returns its DSN.
func (d *dataset) load() (string, error) {
	d.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		s, err := servers.StartMySQL(ctx)
		if err != nil {
			d.err = err
			return
		}
		// The connections go now, the database stays until the harness removes its server.
		d.dsn, d.err = s.DSN, s.DB.Close()
		for _, file := range d.files {
			if d.err == nil {
				d.err = runFile(ctx, d.dsn, file)
			}
		}
	})
	return d.dsn, d.err
}

func runFile(ctx context.Context, dsn, file string) error {
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
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, string(text))
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
	text, err := os.ReadFile("testdata/smartlist/" + name + ".sql")
	require.NoError(tb, err)
	return string(text)
}
