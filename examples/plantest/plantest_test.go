package plantest_test

import (
	"context"
	"database/sql"
	"os"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/tashikame-go/tashikame/examples/plantest"
	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestMain(m *testing.M) {
	// GORM's cache of prepared statements has a goroutine that never ends.
	os.Exit(servers.Main(m, goleak.IgnoreAnyFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1")))
}

// guard is what one run of a statement, and one test, may cost.
var guard = &explainguard.Guard{Budget: explainguard.Budget{RowsExamined: 1000}}

// filled returns the DSN of a database with 2,000 customers and 6,000 reservations.
func filled(t testing.TB) string {
	s := servers.MySQL(t)
	conn, err := s.DB.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	for _, statement := range append(plantest.Schema,
		"SET SESSION cte_max_recursion_depth = 10000",
		"INSERT INTO customers (tenant_id, name) SELECT 1 + n % 40, CONCAT('お客様 ', n) FROM (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 2000) SELECT n FROM s) x",
		"INSERT INTO reservations (customer_id, status, reserved_on) SELECT id, s.status, '2024-01-07' FROM customers, (SELECT 'pending' AS status UNION ALL SELECT 'kept' UNION ALL SELECT 'paid') s",
		"ANALYZE TABLE customers, reservations",
	) {
		_, err := conn.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	config, err := mysql.ParseDSN(s.DSN)
	require.NoError(t, err)
	config.ParseTime = true
	return config.FormatDSN()
}

func onGORM(t testing.TB, db *sql.DB, prepare bool) plantest.GORM {
	g, err := gorm.Open(gormmysql.New(gormmysql.Config{Conn: db}), &gorm.Config{PrepareStmt: prepare, Logger: logger.Discard})
	require.NoError(t, err)
	return plantest.GORM{DB: g}
}

func TestGORM(t *testing.T) {
	dsn := filled(t)
	for name, prepare := range map[string]bool{"plain": false, "prepared": true} {
		t.Run(name, func(t *testing.T) {
			db := guard.Open(t, dsn) // was: sql.Open("mysql", dsn)
			s := onGORM(t, db, prepare)
			customers, err := s.PagePreloaded(t.Context(), 7)
			require.NoError(t, err)
			require.Len(t, customers, 50)
			require.Len(t, customers[0].Reservations, 3)
			c, err := s.Register(t.Context(), 8, "佐藤", time.Date(2024, 1, 7, 0, 0, 0, 0, time.UTC))
			require.NoError(t, err)
			require.Equal(t, "佐藤", c.Name)
		})
	}
}

func TestSQLX(t *testing.T) {
	db := guard.Open(t, filled(t)) // was: sql.Open("mysql", dsn)
	s := plantest.SQLX{DB: sqlx.NewDb(db, "mysql")}
	names, err := s.Names(t.Context(), []int64{1, 2, 3})
	require.NoError(t, err)
	require.Len(t, names, 3)
	r, err := s.Latest(t.Context(), 5)
	require.NoError(t, err)
	require.Equal(t, int64(5), r.CustomerID)
	_, err = s.Latest(t.Context(), 999_999)
	require.ErrorIs(t, err, sql.ErrNoRows)
	require.NoError(t, s.Cancel(t.Context(), 5))
	require.NoError(t, s.Cancel(context.Background(), 6))
}
