package consistency

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// digestColumn is a type on both servers and how to make up values for it that lie close together.
type digestColumn struct {
	left, right string
	rule        Column
	value       func(r *rand.Rand) string // SQL that both read as the same value; "NULL" for none
}

// trickyTexts are texts that a careless digest or order takes for each other.
var trickyTexts = []string{"", " ", "a", "A", "a ", "a  ", "á", "a\u0301", ",", "1", "N", "0", "1,a", "a,1", "1,a,N", "\\", "'", "\x00", "a\x00", "注文", "注文 ", "🍣", "🍺", "ß", "ss", "-0", "null", "NULL", "0,", "\t", "a\t"}

func textLiteral(s string) string { return "_utf8mb4 x'" + hex.EncodeToString([]byte(s)) + "'" }

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func orNull(f func(*rand.Rand) string) func(*rand.Rand) string {
	return func(r *rand.Rand) string {
		if r.IntN(5) == 0 {
			return "NULL"
		}
		return f(r)
	}
}

func digestColumns() []digestColumn {
	text := func(r *rand.Rand) string { return textLiteral(pick(r, trickyTexts...)) }
	return []digestColumn{
		{"VARCHAR(20)", "TEXT", Column{}, orNull(text)},
		{"VARCHAR(20) NOT NULL", "VARCHAR(20) COLLATE utf8mb4_general_ci", Column{}, text},
		{"VARCHAR(20) COLLATE utf8mb4_bin", "VARCHAR(20)", Column{TrimSpace: true}, orNull(text)},
		{"VARCHAR(20)", "VARCHAR(20)", Column{EmptyIsNull: true}, orNull(text)},
		{"VARBINARY(20)", "BLOB", Column{}, orNull(func(r *rand.Rand) string { return pick(r, "''", "x'00'", "x'0000'", "x'4e'", "'N'", "','", "x'ff'") })},
		{"INT", "BIGINT NOT NULL", Column{}, func(r *rand.Rand) string { return pick(r, "0", "1", "-1", "10", "11") }},
		{"BIGINT UNSIGNED", "BIGINT UNSIGNED ZEROFILL", Column{}, orNull(func(r *rand.Rand) string { return pick(r, "0", "1", "18446744073709551615", "9007199254740993") })},
		{"DECIMAL(40,10)", "DECIMAL(38,8)", Column{}, orNull(func(r *rand.Rand) string {
			return pick(r, "0", "-0.00000001", "1.5", "123456789012345678901234567890.12345678", "123456789012345678901234567890.12345679")
		})},
		{"DECIMAL(20,4)", "DECIMAL(20,3)", Column{Scale: 1, HasScale: true}, func(r *rand.Rand) string { return pick(r, "0.05", "0.049", "-0.05", "0.1", "9.95", "10") }},
		{"DOUBLE", "DOUBLE", Column{}, orNull(func(r *rand.Rand) string {
			return pick(r, "0", "-0e0", "0.1", "0.10000000000000002", "1e300", "-2.2250738585072014e-308", "-1.7976931348623157e308", "-1.7976931348623155e308", "1e15", "-0.30000000000000004")
		})},
		{"FLOAT", "FLOAT", Column{}, orNull(func(r *rand.Rand) string {
			return pick(r, "0.1", "0.10000001", "16777216", "16777218", "-1.1754943508222875e-38")
		})},
		{"DATETIME(6)", "TIMESTAMP(6) NULL", Column{}, orNull(func(r *rand.Rand) string {
			return pick(r, "'2026-01-02 03:04:05'", "'2026-01-02 03:04:05.000001'", "'2026-01-02 03:04:05.1'")
		})},
		{"DATETIME(3)", "DATETIME", Column{HasScale: true}, func(r *rand.Rand) string { return pick(r, "'2026-01-02 03:04:05'", "'2026-01-02 03:04:06'") }},
		{"DATE", "DATE", Column{}, orNull(func(r *rand.Rand) string { return pick(r, "'2026-01-02'", "'2026-02-01'", "'9999-12-31'") })},
		{"BIT(9)", "INT", Column{}, orNull(func(r *rand.Rand) string { return pick(r, "0", "1", "256", "511") })},
		{"ENUM('a','A ','日本') COLLATE utf8mb4_bin", "VARCHAR(9)", Column{}, func(r *rand.Rand) string { return pick(r, "'a'", "'日本'") }},
		{"TIME(2)", "TIME(2)", Column{}, orNull(func(r *rand.Rand) string { return pick(r, "'-00:00:01'", "'00:00:01'", "'00:00:01.1'") })},
	}
}

// digestKeys are kinds of keys, whose i-th value is as odd as it can be.
var digestKeys = []struct {
	left, right string
	columns     []string
	value       func(i int) string
}{
	{"id BIGINT, PRIMARY KEY (id)", "id INT, PRIMARY KEY (id)", []string{"id"}, func(i int) string { return strconv.Itoa(i*i - 200) }},
	// Close together, so that they are divided by arithmetic, with a gap in the middle; the last is the largest that there is.
	{"id BIGINT, PRIMARY KEY (id)", "id INT, PRIMARY KEY (id)", []string{"id"}, func(i int) string { return strconv.Itoa(i + i/125*5000 - 60) }},
	{"id BIGINT UNSIGNED, PRIMARY KEY (id)", "id BIGINT UNSIGNED ZEROFILL, PRIMARY KEY (id)", []string{"id"},
		func(i int) string { return strconv.FormatUint(math.MaxUint64-uint64(249-i), 10) }},
	{"a VARCHAR(20) COLLATE utf8mb4_bin, b INT, PRIMARY KEY (a, b)", "a VARCHAR(20) COLLATE utf8mb4_bin, b BIGINT, PRIMARY KEY (a, b)", []string{"a", "b"},
		func(i int) string {
			return textLiteral([]string{"", "x", "X", "日", "日本", "🍣", "a,1", "a\tb"}[i%8]) + ", " + strconv.Itoa(i/8-5)
		}},
	{"a VARCHAR(20), b VARCHAR(20), PRIMARY KEY (b, a)", "a VARCHAR(20) NOT NULL, b VARCHAR(20) NOT NULL, UNIQUE (a, b), x INT", []string{"a", "b"},
		func(i int) string {
			return textLiteral(fmt.Sprint("K", i%7)) + ", " + textLiteral(fmt.Sprint("鍵", i))
		}},
	{"d DECIMAL(10,2), t DATETIME(3), PRIMARY KEY (d, t)", "d DECIMAL(12,2), t TIMESTAMP(3), PRIMARY KEY (d, t)", []string{"d", "t"},
		func(i int) string { return fmt.Sprintf("%d.5, '2026-01-01' + INTERVAL %d HOUR", i%9-4, i) }},
}

// TestDigestsAgreeWithMergeAtRandom compares random tables by digests (fast and strong, divided finely), by merging, and with what was done to the tables. TASHIKAME_SEEDS makes it longer.
func TestDigestsAgreeWithMergeAtRandom(t *testing.T) {
	seeds := len(digestKeys)
	if text := os.Getenv("TASHIKAME_SEEDS"); text != "" {
		var err error
		seeds, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	left, right := servers.MySQL(t), servers.MariaDB(t)
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { randomDigestTables(t, left, right, seed) })
	}
}

func randomDigestTables(t *testing.T, left, right *servers.MySQLServer, seed int) {
	r := rand.New(rand.NewPCG(uint64(seed), 4)) //nolint:gosec // the same values each time
	key := digestKeys[seed%len(digestKeys)]
	all := digestColumns()
	var columns []digestColumn
	for _, i := range r.Perm(len(all))[:4+r.IntN(4)] {
		columns = append(columns, all[i])
	}
	check := Reconcile{Meta: Meta{Name: "random"}, MaxRows: 1000}
	ddl := [2]string{key.left, key.right}
	names := strings.Join(key.columns, ", ")
	for _, name := range key.columns {
		check.Key = append(check.Key, Column{Name: name})
	}
	for i, c := range columns {
		rule := c.rule
		rule.Name = fmt.Sprint("c", i)
		check.Compare = append(check.Compare, rule)
		ddl[0] += fmt.Sprintf(", c%d %s", i, c.left)
		ddl[1] += fmt.Sprintf(", c%d %s", i, c.right)
		names += fmt.Sprint(", c", i)
	}
	const rows = 250
	values := make([][]string, rows)
	var sides [2][]string
	row := func(i int, v []string) string { return "(" + key.value(i) + ", " + strings.Join(v, ", ") + ")" }
	touched := map[int]bool{}
	for i := range values {
		for _, c := range columns {
			values[i] = append(values[i], c.value(r))
		}
	}
	for i, v := range values {
		l, rgt := row(i, v), row(i, v)
		switch n := r.IntN(30); {
		case n == 0:
			l, touched[i] = "", true
		case n == 1:
			rgt, touched[i] = "", true
		case n == 2: // one value is another one, perhaps
			at := r.IntN(len(v))
			other := append([]string{}, v...)
			other[at] = columns[at].value(r)
			rgt, touched[i] = row(i, other), other[at] != v[at]
		case n == 3 && i > 0: // two neighbours swap their rows
			if len(sides[1]) > 0 && sides[1][len(sides[1])-1] == row(i-1, values[i-1]) {
				sides[1][len(sides[1])-1] = row(i-1, v)
				rgt = row(i, values[i-1])
				touched[i], touched[i-1] = true, true
			}
		}
		for side, text := range [2]string{l, rgt} {
			if text != "" {
				sides[side] = append(sides[side], text)
			}
		}
	}
	for side, server := range [2]*servers.MySQLServer{left, right} {
		exec(t, server.DB, "DROP TABLE IF EXISTS r", "SET @x = 1", "CREATE TABLE r ("+ddl[side]+")")
		insert := "INSERT INTO r (" + names + ") VALUES "
		c, err := server.DB.Conn(t.Context())
		require.NoError(t, err)
		_, err = c.ExecContext(t.Context(), "SET time_zone = '+00:00'")
		require.NoError(t, err)
		_, err = c.ExecContext(t.Context(), insert+strings.Join(sides[side], ", "))
		require.NoError(t, err)
		_, err = c.ExecContext(t.Context(), "SET time_zone = DEFAULT")
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
	check.Left, check.Right = Table{DB: left.DB, Name: "r"}, Table{DB: right.DB, Name: "r"}
	var first map[string]string
	for _, mode := range []DigestMode{DigestFast, DigestStrong} {
		check.Digest = mode
		f, err := runDigest(t, check, small)
		require.NoError(t, err)
		if first == nil {
			first = summary(f)
		}
		require.Equal(t, first, summary(f))
		require.Equal(t, int64(len(sides[0])+len(sides[1])), f.Examined)
	}
	require.LessOrEqual(t, len(first), len(touched), "a row that nobody touched is said to differ")
	// What both sides hold as queries, sorted as the order of keys demands, is merged without anything of tables or digests.
	var order []string
	for i, k := range check.Key {
		if strings.Contains(key.left, k.Name+" VARCHAR") {
			order = append(order, "CAST("+k.Name+" AS BINARY)")
		} else {
			order = append(order, check.Key[i].Name)
		}
	}
	query := "SELECT " + names + " FROM r ORDER BY " + strings.Join(order, ", ")
	check.Left, check.Right = Query{DB: left.DB, SQL: query}, Query{DB: right.DB, SQL: query}
	f, err := check.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, summary(f), first)
}
