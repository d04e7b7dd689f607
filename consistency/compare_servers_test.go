package consistency

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// pairOfValues is a row's column on both servers, as SQL, and what comparing it comes to: "" (the same), "differs", or a part of the error.
type pairOfValues struct{ left, right, want string }

type kindCase struct {
	name        string
	left, right string // the column's type on MySQL and on MariaDB
	rule        Column
	rows        []pairOfValues
}

const same, differs = "", "differs"

func kindCases() []kindCase {
	tokyo, berlin := time.FixedZone("Tokyo", 9*3600), mustLoad("Europe/Berlin")
	return []kindCase{
		{"integer", "BIGINT", "INT", Column{}, []pairOfValues{
			{"1", "1", same}, {"-1", "1", differs}, {"NULL", "NULL", same}, {"NULL", "0", differs}, {"2147483647", "2147483647", same}, {"9223372036854775807", "2147483647", differs},
		}},
		{"unsigned bigint beyond int64", "BIGINT UNSIGNED", "DECIMAL(20)", Column{}, []pairOfValues{
			{"18446744073709551615", "18446744073709551615", same}, {"18446744073709551615", "18446744073709551614", differs}, {"9223372036854775808", "9223372036854775808", same},
		}},
		{"zerofill", "INT(8) ZEROFILL", "INT", Column{}, []pairOfValues{{"42", "42", same}, {"0", "0", same}}},
		{"decimal of another scale", "DECIMAL(10,2)", "DECIMAL(12,4)", Column{}, []pairOfValues{
			{"1.50", "1.5000", same}, {"-0.00", "0", same}, {"1.50", "1.5001", differs}, {"-0.01", "0.01", differs}, {"100", "100.0000", same}, {"NULL", "0", differs},
		}},
		{"decimal compared to 2 digits", "DECIMAL(20,6)", "DECIMAL(12,2)", Column{Scale: 2, HasScale: true}, []pairOfValues{
			{"1.005", "1.01", same}, {"1.004999", "1.00", same}, {"-1.005", "-1.01", same}, {"9.999", "10.00", same}, {"-0.004", "0.00", same}, {"1.006", "1.00", differs}, {"NULL", "NULL", same},
		}},
		{"decimal compared to 0 digits", "DECIMAL(20,6)", "INT", Column{Kind: KindDecimal, HasScale: true}, []pairOfValues{
			{"0.5", "1", same}, {"0.499999", "0", same}, {"-0.5", "-1", same}, {"999.5", "1000", same},
		}},
		{"float", "DOUBLE", "DOUBLE", Column{}, []pairOfValues{
			{"0.1", "0.1", same}, {"-0e0", "0", same}, {"1e300", "1e300", same}, {"0.1", "0.10000000000000002", differs}, {"NULL", "0", differs},
		}},
		{"float of single precision", "FLOAT", "DOUBLE", Column{}, []pairOfValues{{"0.1", "0.1", same}, {"16777217", "16777216", same}, {"1.5", "1.5", same}, {"0.1", "0.2", differs}}},
		{"float with a tolerance", "DOUBLE", "DOUBLE", Column{Tolerance: 0.001}, []pairOfValues{
			{"1", "1.0009", same}, {"1", "1.0011", differs}, {"-1", "1", differs}, {"NULL", "0", differs}, {"NULL", "NULL", same}, {"0", "-0.0005", same},
		}},
		{"text", "VARCHAR(50)", "VARCHAR(50) COLLATE utf8mb4_general_ci", Column{}, []pairOfValues{
			{"'a'", "'a'", same}, {"'a'", "'A'", differs}, {"'a'", "'a '", differs}, {"'e'", "'é'", differs}, {"'é'", "'é'", same}, {"NULL", "''", differs}, {"''", "''", same}, {"'注文🍣'", "'注文🍣'", same},
			{"'1'", "'01'", differs}, {"_utf8mb4 x'C3A9'", "_utf8mb4 x'65CC81'", differs},
		}},
		{"text of another character set", "VARCHAR(50) CHARACTER SET latin1", "VARCHAR(50) CHARACTER SET utf8mb4", Column{}, []pairOfValues{{"'é'", "'é'", same}, {"'é'", "'e'", differs}}},
		{"text of a two-byte character set", "VARCHAR(50) CHARACTER SET sjis", "TEXT CHARACTER SET utf8mb4", Column{}, []pairOfValues{{"'注文'", "'注文'", same}, {"'注文'", "'註文'", differs}}},
		{"text without regard to case", "VARCHAR(50)", "VARCHAR(50)", Column{Fold: true}, []pairOfValues{
			{"'Straße'", "'STRAßE'", same}, {"'É'", "'é'", same}, {"'a'", "'á'", differs}, {"'a'", "'A '", differs}, {"'Σ'", "'ς'", same}, {"NULL", "''", differs},
		}},
		{"text without spaces at the end", "CHAR(10)", "VARCHAR(10)", Column{TrimSpace: true}, []pairOfValues{
			{"'a'", "'a  '", same}, {"''", "'  '", same}, {"'a'", "' a'", differs}, {"'a'", "'a\\t'", differs}, {"NULL", "' '", differs},
		}},
		{"empty is NULL", "VARCHAR(10)", "VARCHAR(10)", Column{EmptyIsNull: true, TrimSpace: true}, []pairOfValues{
			{"NULL", "''", same}, {"'  '", "NULL", same}, {"NULL", "'a'", differs}, {"'a'", "''", differs}, {"NULL", "NULL", same},
		}},
		{"binary", "VARBINARY(20)", "BLOB", Column{}, []pairOfValues{
			{"x'00ff'", "x'00ff'", same}, {"x'00ff'", "x'00fe'", differs}, {"'a'", "'A'", differs}, {"''", "NULL", differs}, {"x'00'", "x'0000'", differs},
		}},
		{"binary empty is NULL", "VARBINARY(20)", "BLOB", Column{EmptyIsNull: true}, []pairOfValues{{"''", "NULL", same}, {"x'00'", "NULL", differs}}},
		{"binary of a fixed length", "BINARY(3)", "VARBINARY(3)", Column{}, []pairOfValues{{"'a'", "x'610000'", same}, {"'a'", "'a'", differs}}},
		{"time", "DATETIME", "DATETIME", Column{}, []pairOfValues{
			{"'2026-01-02 03:04:05'", "'2026-01-02 03:04:05'", same}, {"'2026-01-02 03:04:05'", "'2026-01-02 03:04:06'", differs}, {"NULL", "'2026-01-02 03:04:05'", differs},
			{"'9999-12-31 23:59:59'", "'9999-12-31 23:59:59'", same}, {"'0000-00-00 00:00:00'", "'0000-00-00 00:00:00'", same}, {"'0000-00-00 00:00:00'", "NULL", differs},
		}},
		{"fractions", "DATETIME(6)", "DATETIME(3)", Column{}, []pairOfValues{
			{"'2026-01-02 03:04:05.120000'", "'2026-01-02 03:04:05.12'", same}, {"'2026-01-02 03:04:05.123456'", "'2026-01-02 03:04:05.123'", differs},
		}},
		{"fractions cut off", "DATETIME(6)", "DATETIME", Column{HasScale: true}, []pairOfValues{
			{"'2026-01-02 03:04:05.999999'", "'2026-01-02 03:04:05'", same}, {"'2026-01-02 03:04:05.9'", "'2026-01-02 03:04:06'", differs},
		}},
		{"fractions cut to 3 digits", "DATETIME(6)", "DATETIME(3)", Column{HasScale: true, Scale: 3}, []pairOfValues{
			{"'2026-01-02 03:04:05.120999'", "'2026-01-02 03:04:05.12'", same}, {"'2026-01-02 03:04:05.000999'", "'2026-01-02 03:04:05'", same}, {"'2026-01-02 03:04:05.121'", "'2026-01-02 03:04:05.12'", differs},
		}},
		{"instants and Tokyo's clock", "TIMESTAMP", "DATETIME", Column{Location: tokyo}, []pairOfValues{
			{"'2026-01-02 03:04:05+00:00'", "'2026-01-02 12:04:05'", same}, {"'2026-01-02 03:04:05+00:00'", "'2026-01-02 03:04:05'", differs}, {"'2026-12-31 18:00:00+00:00'", "'2027-01-01 03:00:00'", same},
		}},
		{"instants in both", "TIMESTAMP(6) NULL", "TIMESTAMP(6) NULL", Column{}, []pairOfValues{
			{"'2026-01-02 03:04:05.5+00:00'", "'2026-01-02 03:04:05.5'", same}, // the servers' sessions below are in UTC when they write
			{"NULL", "NULL", same},
		}},
		{"Berlin, summer and winter", "TIMESTAMP", "DATETIME", Column{Location: berlin}, []pairOfValues{
			{"'2026-07-01 10:00:00+00:00'", "'2026-07-01 12:00:00'", same}, {"'2026-01-01 10:00:00+00:00'", "'2026-01-01 11:00:00'", same}, {"'2026-01-01 10:00:00+00:00'", "'2026-01-01 12:00:00'", differs},
		}},
		{"date", "DATE", "DATE", Column{}, []pairOfValues{
			{"'2026-01-02'", "'2026-01-02'", same}, {"'2026-01-02'", "'2026-01-03'", differs}, {"'0000-00-00'", "'0000-00-00'", same}, {"'0000-00-00'", "NULL", differs}, {"'2026-02-00'", "'2026-02-00'", same},
		}},
		{"date and midnight", "DATE", "DATETIME", Column{Kind: KindDate}, []pairOfValues{{"'2026-01-02'", "'2026-01-02 00:00:00'", same}, {"'2026-01-02'", "'2026-01-03 00:00:00'", differs}}},
		{"JSON", "JSON", "JSON", Column{Kind: KindJSON}, []pairOfValues{
			{`'{"b": 1, "a": [1, 2]}'`, `'{"a":[1,2],"b":1}'`, same}, {`'{"a": 1}'`, `'{"a": 1.0}'`, same}, {`'{"a": 100}'`, `'{"a": 1e2}'`, same}, {`'{"a": 1}'`, `'{"a": "1"}'`, differs},
			{`'[1, 2]'`, `'[2, 1]'`, differs}, {`'{"a": 1, "a": 2}'`, `'{"a": 1, "a": 2}'`, same}, {`'{"a": 2}'`, `'{"a": 1, "a": 2}'`, same}, {`'{"a": 1}'`, `'{"a": 1, "a": 2}'`, differs},
			{`'"é"'`, `'"\\u00e9"'`, same}, {`'null'`, "NULL", differs}, {`'null'`, "'null'", same}, {`'{}'`, "'[]'", differs}, {`'true'`, "'true'", same}, {`'1.10'`, `'1.1'`, same}, {`'-0'`, `'0'`, same},
			{`'12345678901234567890'`, `'12345678901234567890'`, same}, {`'12345678901234567890'`, `'12345678901234567891'`, differs}, {`'"a/b"'`, `'"a\\/b"'`, same},
		}},
		{"bool", "TINYINT(1)", "BOOLEAN", Column{Kind: KindBool}, []pairOfValues{{"TRUE", "TRUE", same}, {"TRUE", "FALSE", differs}, {"NULL", "FALSE", differs}}},
		{"bool and BIT", "TINYINT(1)", "BIT(1)", Column{Kind: KindBool}, []pairOfValues{{"1", "b'1'", same}, {"0", "b'0'", same}, {"1", "b'0'", differs}}},
		{"bool and word", "TINYINT(1)", "ENUM('true','FALSE')", Column{Kind: KindBool}, []pairOfValues{{"1", "'true'", same}, {"0", "'FALSE'", same}, {"1", "'FALSE'", differs}}},
		{"BIT", "BIT(64)", "BIGINT UNSIGNED", Column{}, []pairOfValues{{"b'1'", "1", same}, {"18446744073709551615", "18446744073709551615", same}, {"b'101'", "6", differs}}},
		{"YEAR", "YEAR", "YEAR", Column{}, []pairOfValues{{"2026", "2026", same}, {"2026", "2027", differs}, {"0", "0", same}}},
		{"ENUM and SET", "ENUM('a','b')", "SET('b','a')", Column{}, []pairOfValues{{"'a'", "'a'", same}, {"'b'", "'a'", differs}, {"NULL", "''", differs}}},
		{"TIME", "TIME(3)", "VARCHAR(20)", Column{}, []pairOfValues{{"'-838:59:59'", "'-838:59:59.000'", same}, {"'10:00'", "'10:00:00.000'", same}, {"'10:00'", "'10:00:01.000'", differs}}},
		{"integers as text", "VARCHAR(20)", "BIGINT", Column{Kind: KindInteger}, []pairOfValues{{"'007'", "7", same}, {"'+7'", "7", same}, {"'7.0'", "7", same}, {"'7'", "8", differs}}},
	}
}

func mustLoad(name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return loc
}

// dsnWays are the ways in which people open a database; none may change what is the same.
func dsnWays() map[string]func(*mysql.Config) {
	return map[string]func(*mysql.Config){
		"plain":       func(*mysql.Config) {},
		"parseTime":   func(c *mysql.Config) { c.ParseTime = true },
		"loc":         func(c *mysql.Config) { c.ParseTime, c.Loc = true, mustLoad("Asia/Tokyo") },
		"time_zone":   func(c *mysql.Config) { c.Params = map[string]string{"time_zone": "'-05:00'"} },
		"interpolate": func(c *mysql.Config) { c.InterpolateParams = true },
		"latin1":      func(c *mysql.Config) { c.Params = map[string]string{"character_set_results": "latin1"} },
	}
}

func TestKindsAreComparedAsDeclared(t *testing.T) {
	left, right := servers.MySQL(t), servers.MariaDB(t)
	write := func(c *mysql.Config) {
		c.Params = map[string]string{"sql_mode": "'ALLOW_INVALID_DATES'", "time_zone": "'+00:00'"}
	}
	writeLeft, writeRight := open(t, left, write), open(t, right, write)
	cases := kindCases()
	for i, c := range cases {
		exec(t, writeLeft, fmt.Sprintf("CREATE TABLE c%d (id INT PRIMARY KEY, v %s)", i, c.left))
		exec(t, writeRight, fmt.Sprintf("CREATE TABLE c%d (id INT PRIMARY KEY, v %s)", i, c.right))
		for j, row := range c.rows {
			exec(t, writeLeft, fmt.Sprintf("INSERT INTO c%d VALUES (%d, %s)", i, j, row.left))
			exec(t, writeRight, fmt.Sprintf("INSERT INTO c%d VALUES (%d, %s)", i, j, row.right))
		}
	}
	for way, change := range dsnWays() {
		t.Run(way, func(t *testing.T) {
			l, r := open(t, left, change), open(t, right, change)
			for i, c := range cases {
				t.Run(c.name, func(t *testing.T) { c.run(t, l, r, i) })
			}
		})
	}
}

func (c kindCase) run(t *testing.T, left, right *sql.DB, i int) {
	query := fmt.Sprintf("SELECT id, v FROM c%d ORDER BY id", i)
	rule := c.rule
	rule.Name = "v"
	check := Reconcile{Meta: Meta{Name: "kinds"}, Left: Query{DB: left, SQL: query}, Right: Query{DB: right, SQL: query}, Key: []Column{{Name: "id"}}, Compare: []Column{rule}}
	f, err := check.Run(t.Context())
	require.NoError(t, err)
	found := map[string]Violation{}
	for _, v := range f.Violations {
		found[v.Key] = v
	}
	for j, row := range c.rows {
		_, wrong := found[fmt.Sprint(j)]
		require.Equal(t, row.want == differs, wrong, "%s | %s", row.left, row.right)
	}
	still, err := check.Recheck(t.Context(), f.Violations)
	require.NoError(t, err)
	require.Equal(t, f.Violations, still)
}
