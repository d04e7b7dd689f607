package explainguard_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// transcript is what a program sees of its database.
type transcript struct {
	t     *testing.T
	db    *sql.DB
	lines []string
}

func (p *transcript) say(what string, v ...any) {
	p.lines = append(p.lines, what+": "+strings.TrimSpace(fmt.Sprintln(v...)))
}

func (p *transcript) exec(query string, args ...any) {
	result, err := p.db.Exec(query, args...)
	if err != nil {
		p.say(query, err)
		return
	}
	id, err := result.LastInsertId()
	p.say(query, id, err)
	n, err := result.RowsAffected()
	p.say("affected", n, err)
}

// read writes down a whole result: the types of its columns and all its result sets, rows and values.
func (p *transcript) read(rows *sql.Rows, err error) {
	if err != nil {
		p.say("query", err)
		return
	}
	defer rows.Close()
	for {
		types, err := rows.ColumnTypes()
		p.say("columns", len(types), err)
		for _, c := range types {
			length, hasLength := c.Length()
			nullable, hasNullable := c.Nullable()
			precision, scale, decimal := c.DecimalSize()
			p.say("column", c.Name(), c.DatabaseTypeName(), c.ScanType(), length, hasLength, nullable, hasNullable, precision, scale, decimal)
		}
		for rows.Next() {
			values := make([]any, len(types))
			into := make([]any, len(types))
			for i := range values {
				into[i] = &values[i]
			}
			p.say("scan", rows.Scan(into...))
			for _, v := range values {
				p.say("value", fmt.Sprintf("%T %v", v, v))
			}
		}
		p.say("end", rows.Err())
		if !rows.NextResultSet() {
			p.say("no more", rows.Err())
			return
		}
	}
}

type cents int64

// Value implements driver.Valuer.
func (c cents) Value() (driver.Value, error) { return fmt.Sprintf("%d.%02d", c/100, c%100), nil }

type failing struct{}

// Value implements driver.Valuer.
func (failing) Value() (driver.Value, error) { return nil, errors.New("it has no value") }

// programs are what programs do to a server. Each of them runs on a database of its own, through a plain and a wrapped driver, and must
// see exactly the same.
var programs = map[string]func(p *transcript){
	"types of arguments and columns": func(p *transcript) {
		p.exec("CREATE TABLE `ありがとう``表` (id BIGINT PRIMARY KEY AUTO_INCREMENT, i BIGINT, u BIGINT UNSIGNED, f DOUBLE, dec_ DECIMAL(20,4), s VARCHAR(99) CHARACTER SET utf8mb4, b VARBINARY(99), t DATETIME(6), d DATE, j JSON, y TINYINT(1), bits BIT(3))")
		insert := "INSERT INTO `ありがとう``表` (i, u, f, dec_, s, b, t, d, j, y, bits) VALUES (?,?,?,?,?,?,?,?,?,?,?)"
		when := time.Date(2024, 2, 29, 12, 34, 56, 789000000, time.UTC)
		p.exec(insert, -5, uint64(math.MaxUint64), 1.5, "12345678901234.5678", "日本語 'quoted' \\ \x00", []byte{0, 1, 255}, when, when, json.RawMessage(`{"a": [1, "二"]}`), true, []byte{5})
		p.exec(insert, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil)
		text, n := "pointed at", int8(-8)
		p.exec(insert, &n, uint8(8), float32(0.25), cents(1999), &text, []byte{}, time.Time{}, nil, `"x"`, false, (*int)(nil))
		p.exec(insert, sql.NullInt64{Int64: 4, Valid: true}, sql.NullInt64{}, sql.NullFloat64{}, sql.NullString{String: "1", Valid: true}, sql.NullString{}, []byte(nil), sql.NullTime{Time: when, Valid: true}, sql.NullTime{}, json.RawMessage(nil), sql.NullBool{Bool: true, Valid: true}, nil)
		p.exec(insert, failing{}, 0, 0, 0, "", "", when, when, "{}", 0, 0)
		p.exec(insert, struct{}{}, 0, 0, 0, "", "", when, when, "{}", 0, 0)
		p.exec(insert, sql.Named("i", 1), 0, 0, 0, "", "", when, when, "{}", 0, 0)
		p.exec(insert, 1)
		p.read(p.db.Query("SELECT * FROM `ありがとう``表` ORDER BY id"))
		p.read(p.db.Query("SELECT * FROM `ありがとう``表` WHERE id = ? OR s = ?", 1, "pointed at"))
		p.read(p.db.Query("SELECT * FROM `ありがとう``表` WHERE id < 0"))
		var raw sql.RawBytes
		rows, err := p.db.Query("SELECT s FROM `ありがとう``表` ORDER BY id")
		require.NoError(p.t, err)
		for rows.Next() {
			p.say("raw", rows.Scan(&raw), string(raw))
		}
		p.say("close", rows.Err(), rows.Close())
	},

	"results and errors": func(p *transcript) {
		p.exec("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, n INT UNIQUE)")
		p.exec("INSERT INTO t (n) VALUES (1), (2), (3)")
		p.exec("INSERT INTO t (n) VALUES (?) ON DUPLICATE KEY UPDATE n = n + ?", 3, 10)
		p.exec("UPDATE t SET n = n WHERE id <= ?", 2)
		p.exec("INSERT INTO t (n) VALUES (?)", 1)
		p.exec("SELECT nonsense FROM")
		p.exec("SELECT * FROM missing WHERE id = ?", 1)
		p.exec("")
		p.read(p.db.Query("SELECT ? FROM missing", 1))
		p.read(p.db.Query("SELEC 1"))
		p.read(p.db.Query("UPDATE t SET n = 100 WHERE id = 1"))
		p.read(p.db.Query("DO ?", 1))
		p.exec("SELECT n FROM t")
		p.say("none", p.db.QueryRow("SELECT 1 FROM t WHERE id = ?", 99).Scan(new(int)))
		p.read(p.db.Query("SHOW WARNINGS"))
	},

	"several statements and result sets": func(p *transcript) {
		p.read(p.db.Query("SELECT 1 AS a, 'x' AS b; DO 1; SELECT 2 AS c UNION SELECT 3; SELECT 4 FROM missing"))
		p.read(p.db.Query("SELECT 1; SELECT 2"))
		p.exec("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, n INT); INSERT INTO t (n) VALUES (1), (2); INSERT INTO t (n) VALUES (3)")
		p.exec("CREATE PROCEDURE twice(IN x INT) BEGIN SELECT x; SELECT x * 2; END")
		p.read(p.db.Query("CALL twice(?)", 21))
		conn, err := p.db.Conn(context.Background())
		require.NoError(p.t, err)
		p.say("raw", conn.Raw(func(dc any) error {
			result, err := dc.(driver.ExecerContext).ExecContext(context.Background(), "UPDATE t SET n = 7; INSERT INTO t (n) VALUES (9)", nil)
			if err != nil {
				return err
			}
			all := result.(mysql.Result)
			p.say("all", all.AllRowsAffected(), all.AllLastInsertIds())
			rows, err := dc.(driver.QueryerContext).QueryContext(context.Background(), "SELECT n FROM t", nil)
			if err != nil {
				return err
			}
			_, more := rows.(driver.RowsNextResultSet)
			p.say("raw rows", rows.Columns(), more)
			return rows.Close()
		}))
		p.say("close", conn.Close())
	},

	"transactions": func(p *transcript) {
		ctx := context.Background()
		p.exec("CREATE TABLE t (id INT PRIMARY KEY)")
		for _, o := range []*sql.TxOptions{
			nil, {ReadOnly: true}, {Isolation: sql.LevelReadCommitted}, {Isolation: sql.LevelSerializable, ReadOnly: true}, {Isolation: sql.LevelSnapshot},
		} {
			tx, err := p.db.BeginTx(ctx, o)
			p.say("begin", err)
			if err != nil {
				continue
			}
			p.read(tx.Query("SELECT ISOLATION_LEVEL, ACCESS_MODE FROM performance_schema.events_transactions_current WHERE THREAD_ID = PS_CURRENT_THREAD_ID()"))
			_, err = tx.Exec("INSERT INTO t VALUES (?)", 1)
			p.say("insert", err)
			p.say("rollback", tx.Rollback(), tx.Commit())
			p.read(p.db.Query("SELECT COUNT(*) FROM t"))
		}
		tx, err := p.db.Begin()
		require.NoError(p.t, err)
		stmt, err := tx.Prepare("INSERT INTO t VALUES (?)")
		require.NoError(p.t, err)
		for i := range 3 {
			_, err := stmt.Exec(i)
			p.say("insert", err)
		}
		_, err = stmt.Exec(1)
		p.say("again", err)
		p.say("commit", tx.Commit(), tx.Rollback())
		_, err = stmt.Exec(9)
		p.say("afterwards", err)
		p.read(p.db.Query("SELECT id FROM t ORDER BY id"))

		short, cancel := context.WithCancel(ctx)
		tx, err = p.db.BeginTx(short, nil)
		require.NoError(p.t, err)
		_, err = tx.Exec("DELETE FROM t")
		p.say("delete", err)
		cancel()
		for p.db.Stats().InUse > 0 {
			time.Sleep(time.Millisecond)
		}
		p.say("commit", tx.Commit())
		p.read(p.db.Query("SELECT COUNT(*) FROM t"))
	},

	"prepared statements on several connections": func(p *transcript) {
		p.db.SetMaxIdleConns(4)
		stmt, err := p.db.Prepare("SELECT ? * 2, ?")
		require.NoError(p.t, err)
		held, err := p.db.Conn(context.Background()) // so that the statement must go to another one
		require.NoError(p.t, err)
		var wg sync.WaitGroup
		answers := make([]int, 20)
		for i := range answers {
			wg.Go(func() {
				if err := stmt.QueryRow(i, "x").Scan(&answers[i], new(string)); err != nil {
					answers[i] = -1
				}
			})
		}
		wg.Wait()
		p.say("answers", answers)
		p.read(stmt.Query(1))
		p.read(stmt.Query(1, 2, 3))
		p.read(stmt.Query([]byte("5"), nil))
		tx, err := p.db.Begin()
		require.NoError(p.t, err)
		inTx := tx.Stmt(stmt)
		p.read(inTx.Query(5, "in tx"))
		p.say("commit", tx.Commit())
		p.say("close", stmt.Close(), held.Close())
		p.read(stmt.Query(1, 2))
		_, err = p.db.Prepare("SELECT nonsense FROM")
		p.say("prepare", err)
	},

	"one connection": func(p *transcript) {
		p.db.SetMaxOpenConns(1)
		p.say("ping", p.db.Ping())
		for range 20 {
			rows, err := p.db.Query("SELECT i FROM " + thousand + " x")
			require.NoError(p.t, err)
			rows.Next()
			p.say("close half-way", rows.Close(), rows.Err())
			p.read(p.db.Query("SELECT ?", 1))
		}
		conn, err := p.db.Conn(context.Background())
		require.NoError(p.t, err)
		_, err = conn.ExecContext(context.Background(), "SET @x = ?", 42)
		p.say("set", err)
		p.read(conn.QueryContext(context.Background(), "SELECT @x"))
		p.say("close", conn.Close())
		p.say("open", p.db.Stats().OpenConnections, p.db.Stats().InUse)
	},

	"contexts": func(p *transcript) {
		canceled, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := p.db.ExecContext(canceled, "DO 1")
		p.say("canceled", err)
		_, err = p.db.PrepareContext(canceled, "DO 1")
		p.say("canceled", err)
		for _, args := range [][]any{nil, {1}} {
			query := "SELECT SLEEP(20)"
			if args != nil {
				query = "SELECT SLEEP(20), ?"
			}
			short, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			start := time.Now()
			err := p.db.QueryRowContext(short, query, args...).Scan(new(int), new(int))
			if args == nil {
				err = p.db.QueryRowContext(short, query).Scan(new(int))
			}
			p.say("sleep", err, time.Since(start) < 15*time.Second)
			cancel()
		}
		middle, cancel := context.WithCancel(context.Background())
		rows, err := p.db.QueryContext(middle, "SELECT a.i, REPEAT('x', 1000) FROM "+thousand+" a, "+thousand+" b")
		require.NoError(p.t, err)
		p.say("next", rows.Next())
		cancel()
		for rows.Next() {
		}
		p.say("rows", rows.Err(), rows.Close())
		p.say("next", p.db.Ping())
		p.say("in use", p.db.Stats().InUse)
	},

	"killed connections": func(p *transcript) {
		ctx := context.Background()
		p.db.SetMaxOpenConns(2)
		conn, err := p.db.Conn(ctx)
		require.NoError(p.t, err)
		var id int
		require.NoError(p.t, conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id))
		rows, err := conn.QueryContext(ctx, "SELECT a.i, REPEAT('x', 10000) FROM "+thousand+" a, "+thousand+" b")
		require.NoError(p.t, err)
		p.say("next", rows.Next())
		_, err = p.db.ExecContext(ctx, fmt.Sprintf("KILL %d", id))
		p.say("kill", err)
		for rows.Next() {
		}
		// The server may still send error 1317 before it closes, or not; then it is the next statement that finds the connection gone.
		p.say("rows", rows.Err() != nil, rows.Close())
		_, err = conn.ExecContext(ctx, "DO 1")
		p.say("afterwards", err != nil)
		_ = conn.Close()
		p.say("pool", p.db.Ping())

		// Killed while idle: the pool notices and takes another one.
		conn, err = p.db.Conn(ctx)
		require.NoError(p.t, err)
		require.NoError(p.t, conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id))
		p.say("kill itself", conn.Close())
		other, err := sql.Open("mysql", dsnOf(p.db))
		require.NoError(p.t, err)
		_, err = other.Exec(fmt.Sprintf("KILL %d", id))
		p.say("kill", err, other.Close())
		time.Sleep(100 * time.Millisecond)
		for range 3 {
			p.say("query", p.db.QueryRow("SELECT 1").Scan(new(int)))
		}
	},

	"big values": func(p *transcript) {
		big := strings.Repeat("0123456789abcdef", 1<<19) // 8 MiB
		var got string
		p.say("big", p.db.QueryRow("SELECT ?", big).Scan(&got), got == big)
		var n int
		p.say("length", p.db.QueryRow("SELECT LENGTH(REPEAT('x', 16777216))").Scan(&n), n)
		_, err := p.db.Exec("DO '" + strings.Repeat("x", 65<<20) + "'")
		p.say("too big", err)
	},
}

// thousand is a table of the numbers 1 to 1000.
const thousand = "(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i FROM n)"

// dsns of the pools that programs are given.
var dsns sync.Map

func dsnOf(db *sql.DB) string {
	dsn, _ := dsns.Load(db)
	return dsn.(string)
}
