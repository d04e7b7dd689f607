package plantest_test

import (
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/examples/plantest"
)

// told is a test that only writes down what it is told.
type told struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (d *told) Helper()             {}
func (d *told) Cleanup(f func())    { d.cleanups = append(d.cleanups, f) }
func (d *told) Logf(string, ...any) {}
func (d *told) Errorf(format string, args ...any) {
	d.errors = append(d.errors, fmt.Sprintf(format, args...))
}

// findings runs what a test would do, and returns its errors.
func findings(t *testing.T, dsn string, test func(db *sql.DB)) []string {
	d := &told{TB: t}
	test(guard.Open(d, dsn))
	for _, f := range d.cleanups {
		f()
	}
	return d.errors
}

// at is the place of a line in the file, as a finding names it.
func at(t *testing.T, file, marked string) string {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	before, _, found := strings.Cut(string(text), marked)
	require.True(t, found)
	return fmt.Sprintf("plantest/%s:%d, run ", file, 1+strings.Count(before, "\n"))
}

// What is wrong in the service is found where it is: at its own line, not in GORM's or sqlx's.
func TestFindingsNameTheLine(t *testing.T) {
	dsn := filled(t)
	for _, prepare := range []bool{false, true} {
		found := findings(t, dsn, func(db *sql.DB) {
			_, err := onGORM(t, db, prepare).Page(t.Context(), 7)
			require.NoError(t, err)
		})
		require.Len(t, found, 1)
		require.Contains(t, found[0], "repeated-query")
		require.Contains(t, found[0], at(t, "gorm.go", "// N+1"))
		require.Contains(t, found[0], ", run 50 times")

		found = findings(t, dsn, func(db *sql.DB) {
			n, err := onGORM(t, db, prepare).Pending(t.Context())
			require.NoError(t, err)
			require.Equal(t, int64(2000), n)
		})
		require.Len(t, found, 1)
		require.Contains(t, found[0], "rows-budget")
		require.Contains(t, found[0], at(t, "gorm.go", "// no index on status"))
	}
	found := findings(t, dsn, func(db *sql.DB) {
		names, err := plantest.SQLX{DB: sqlx.NewDb(db, "mysql")}.Search(t.Context(), "1999")
		require.NoError(t, err)
		require.Len(t, names, 1)
	})
	require.Len(t, found, 1)
	require.Contains(t, found[0], "rows-budget")
	require.Contains(t, found[0], at(t, "sqlx.go", "// reads every customer"))
	require.Contains(t, found[0], `arguments: "1999"`)
}
