package consistency

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestTableNames(t *testing.T) {
	for name, want := range map[string][2]string{
		"orders": {"", "orders"}, "shop.orders": {"shop", "orders"}, "`a.b`.`c``d`": {"a.b", "c`d"}, "店.`注文`": {"店", "注文"}, "`or der`": {"", "or der"},
	} {
		database, table, err := tableName(name)
		require.NoError(t, err, name)
		require.Equal(t, want, [2]string{database, table}, name)
	}
	for _, name := range []string{"", " ", ".", "a.", ".b", "a.b.c", "`a", "`a`b", "``", "a\x00b"} {
		_, _, err := tableName(name)
		require.Error(t, err, name)
	}
}

func TestTableIsValidated(t *testing.T) {
	db := servers.MySQL(t).DB
	for where, want := range map[string]string{
		"a) OR (b":                    "parentheses do not match",
		"a = 1; DROP TABLE x":         "second statement",
		"a = (SELECT 1":               "parentheses do not match",
		"@x = 1":                      "user variable",
		"id IN (SELECT 1) FOR UPDATE": "FOR UPDATE",
	} {
		err := Table{DB: db, Name: "t", Where: where}.with(deadline(t), func(*tableSession) error { return nil })
		require.ErrorContains(t, err, want, where)
		require.True(t, isPermanent(err))
	}
	require.ErrorContains(t, Table{}.validate(), "Table.DB is nil")
	require.ErrorContains(t, Table{DB: db, Name: "t", Args: []any{1}}.validate(), "Table.Args is set")
	for _, err := range (Table{DB: db, Name: "t"}).Rows(t.Context(), nil) {
		require.ErrorContains(t, err, "a deadline")
	}
}

func TestTableIsReadInPages(t *testing.T) {
	for name, server := range map[string]*servers.MySQLServer{"MySQL": servers.MySQL(t), "MariaDB": servers.MariaDB(t)} {
		t.Run(name, func(t *testing.T) {
			exec(t, server.DB, "CREATE TABLE 注文 (b INT, a VARBINARY(10), v TEXT, hidden INT GENERATED ALWAYS AS (b + 1), PRIMARY KEY (a, b))", "CREATE TABLE d (i INT PRIMARY KEY)")
			var digits []string
			for i := range 210 {
				digits = append(digits, fmt.Sprintf("(%d)", i))
			}
			exec(t, server.DB, "INSERT INTO d VALUES "+strings.Join(digits, ", "), "INSERT INTO 注文 (b, a, v) SELECT y.i - 100, CONCAT('x', x.i % 3), 'v' FROM d y JOIN (SELECT i FROM d WHERE i < 3) x")
			exec(t, server.DB, "INSERT INTO 注文 (b, a, v) SELECT y.i * 1000 + x.i + 1000, 'y', 'w' FROM d y JOIN d x") // 44,100 rows: three pages
			table := Table{DB: open(t, server, func(c *mysql.Config) { c.ParseTime = true }), Name: "注文", Where: "b <> ? -- a comment", Args: []any{5}}
			n := 0
			var last [2]any
			for row, err := range table.Rows(deadline(t), nil) {
				require.NoError(t, err)
				require.Equal(t, "a b v hidden", row[0].Name+" "+row[1].Name+" "+row[2].Name+" "+row[3].Name)
				if n > 0 {
					a, b := string(last[0].([]byte)), string(row[0].Value.([]byte))
					require.True(t, a < b || a == b && last[1].(int64) < row[1].Value.(int64), "%s %v, %s %v", a, last[1], b, row[1].Value)
				}
				last = [2]any{slices.Clone(row[0].Value.([]byte)), row[1].Value}
				n++
			}
			require.Equal(t, 3*209+44100, n)
			n = 0
			for _, err := range table.Rows(deadline(t), []any{[]byte("x2"), 100}) {
				require.NoError(t, err)
				n++
			}
			require.Equal(t, 9+44100, n)
			n = 0
			for row, err := range table.Lookup(deadline(t), [][]any{{"x1", 5}, {"x1", -100}, {"x1", 109}, {"x1", 110}, {"X1", 0}}) {
				require.NoError(t, err)
				require.Contains(t, []any{int64(-100), int64(109)}, row[1].Value)
				n++
			}
			require.Equal(t, 2, n)
			for range table.Rows(deadline(t), nil) { // leaving off leaves nothing running
				break
			}
		})
	}
}

// The order of an index is used where it can be, whatever the width of the key.
func TestPagesUseTheIndex(t *testing.T) {
	for name, server := range map[string]*servers.MySQLServer{"MySQL": servers.MySQL(t), "MariaDB": servers.MariaDB(t)} {
		exec(t, server.DB, "CREATE TABLE p (a INT, b VARCHAR(20) COLLATE utf8mb4_bin, c INT, v INT, PRIMARY KEY (a, b, c))", "CREATE TABLE d (i INT PRIMARY KEY)")
		var digits []string
		for i := range 60 {
			digits = append(digits, fmt.Sprintf("(%d)", i))
		}
		exec(t, server.DB, "INSERT INTO d VALUES "+strings.Join(digits, ", "), "INSERT INTO p SELECT x.i, y.i, z.i % 7, 1 FROM d x, d y, d z WHERE z.i < 7", "ANALYZE TABLE p")
		err := Table{DB: server.DB, Name: "p"}.with(deadline(t), func(s *tableSession) error {
			key, err := s.key(t.Context(), scanRequest{columns: []string{"a", "b", "c"}, keys: 3, rules: make([]Column, 3)})
			require.NoError(t, err)
			where, err := key.between(neutralKey{"30", "5", "3"}, neutralKey{"30", "6", "1"}, true)
			require.NoError(t, err)
			stmt, err := s.statement([]string{"a", "b", "c", "v"}, &s.schema.unique[0], where, key.exprs(true))
			require.NoError(t, err)
			_, err = s.conn.ExecContext(t.Context(), "FLUSH STATUS")
			require.NoError(t, err)
			rows, err := s.conn.QueryContext(t.Context(), stmt+" LIMIT 100")
			require.NoError(t, err)
			n := 0
			for rows.Next() {
				n++
			}
			require.NoError(t, rows.Close())
			require.Positive(t, n)
			var reads, sorts int
			require.NoError(t, s.conn.QueryRowContext(t.Context(), "SELECT SUM(IF(VARIABLE_NAME LIKE 'Handler_read%', VARIABLE_VALUE, 0)), SUM(IF(VARIABLE_NAME = 'Sort_rows', VARIABLE_VALUE, 0)) FROM "+
				map[string]string{"MySQL": "performance_schema", "MariaDB": "information_schema"}[name]+".session_status").Scan(&reads, &sorts))
			require.Zero(t, sorts, name)
			require.Less(t, reads, 60*7*5, "%s read far more than the range", name)
			return nil
		})
		require.NoError(t, err)
	}
}
