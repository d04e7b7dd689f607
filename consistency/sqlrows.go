package consistency

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxKeptBytes bounds the memory of the kept rows; the first row is always kept.
const maxKeptBytes = 8 << 20

// column is what of a result column decides how its values are kept.
type column struct {
	name   string
	typ    string // the database's name of the type, as go-sql-driver gives it
	digits int64  // of the fraction of a second
}

// collector turns the rows of a result into violations: counts all, keeps the first.
type collector struct {
	key        []string
	mask       []string
	maxRows    int
	wanted     map[string]bool // keep and count these keys only; nil: all
	columns    []column
	keyAt      []int // positions of the key columns
	seen       map[string]bool
	violations []Violation
	total      int64
	bytes      int
}

func newCollector(s SQL, wanted map[string]bool) *collector {
	c := &collector{key: s.Key, mask: s.Mask, maxRows: s.MaxRows, wanted: wanted, seen: map[string]bool{}}
	if c.maxRows == 0 {
		c.maxRows = DefaultMaxRows
	}
	if wanted != nil {
		c.maxRows = len(wanted)
	}
	return c
}

// columnsOf asks a result for its columns.
func columnsOf(rows *sql.Rows) ([]column, error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, advise("read the result", err)
	}
	columns := make([]column, len(types))
	for i, t := range types {
		columns[i] = column{name: t.Name(), typ: t.DatabaseTypeName()}
		if _, scale, ok := t.DecimalSize(); ok {
			columns[i].digits = scale
		}
	}
	return columns, nil
}

// resolve finds the key columns, also of a result without rows. Names are compared as MySQL does, without regard to letter case.
func (c *collector) resolve(columns []column) error {
	c.columns = columns
	at := map[string]int{}
	var names []string
	for i, col := range columns {
		folded := strings.ToLower(col.name)
		if _, twice := at[folded]; twice {
			return fmt.Errorf("the result has two columns named %q: give one of them an alias", col.name)
		}
		at[folded] = i
		names = append(names, col.name)
	}
	for _, k := range c.key {
		i, ok := at[strings.ToLower(k)]
		if !ok {
			return fmt.Errorf("the result has no key column %q, only %s: select it or correct SQL.Key", k, strings.Join(names, ", "))
		}
		c.keyAt = append(c.keyAt, i)
	}
	for _, m := range c.mask {
		if _, ok := at[strings.ToLower(m)]; !ok {
			return fmt.Errorf("the result has no column %q to mask, only %s: correct Meta.Mask, or values meant to be hidden are shown", m, strings.Join(names, ", "))
		}
	}
	return nil
}

func (c *collector) add(values []any) error {
	if c.wanted == nil {
		c.total++
	}
	parts := make([]any, len(c.keyAt))
	for i, at := range c.keyAt {
		parts[i] = c.columns[at].convert(values[at])
	}
	key, err := Key(parts...)
	if err != nil {
		return fmt.Errorf("key (%s): %w", strings.Join(c.key, ", "), err)
	}
	if c.wanted != nil {
		if !c.wanted[key] {
			return nil
		}
		c.total++
	}
	if c.seen[key] {
		shown := key
		if len(c.mask) > 0 {
			shown = masked
		}
		return fmt.Errorf("two rows have the key %s (%s): choose columns that identify a row, or GROUP BY them", shown, strings.Join(c.key, ", "))
	}
	if len(c.violations) >= c.maxRows {
		return nil
	}
	row := make(Row, len(values))
	size := len(key)
	for i, v := range values {
		row[i] = Field{Name: c.columns[i].name, Value: c.columns[i].convert(v)}
		size += len(row[i].Name) + sizeOf(row[i].Value)
	}
	if c.bytes+size > maxKeptBytes && len(c.violations) > 0 {
		c.maxRows = len(c.violations)
		return nil
	}
	c.bytes += size
	c.seen[key] = true
	c.violations = append(c.violations, Violation{Key: key, Row: row})
	return nil
}

func sizeOf(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case []byte:
		return len(v)
	case json.RawMessage:
		return len(v)
	}
	return 16
}

// convert returns the value in the type that Field promises, whatever the DSN's parseTime and loc say.
func (c column) convert(v any) any {
	switch v := v.(type) {
	case []byte:
		switch c.typ {
		case "BINARY", "VARBINARY", "BLOB", "LONGBLOB", "MEDIUMBLOB", "TINYBLOB", "GEOMETRY", "VECTOR":
			return v
		case "BIT":
			n := uint64(0)
			for _, b := range v {
				n = n<<8 | uint64(b)
			}
			return n
		case "UNSIGNED BIGINT":
			if n, err := strconv.ParseUint(string(v), 10, 64); err == nil {
				return n
			}
		case "JSON":
			if json.Valid(v) {
				return json.RawMessage(v)
			}
		}
		return string(v)
	case time.Time:
		return c.timeText(v)
	}
	return v
}

func (c column) timeText(t time.Time) string {
	layout, zero := time.DateTime, "0000-00-00 00:00:00"
	if c.typ == "DATE" {
		layout, zero = time.DateOnly, "0000-00-00"
	} else if c.digits > 0 && c.digits <= 6 {
		fraction := "." + strings.Repeat("0", int(c.digits))
		layout, zero = layout+fraction, zero+fraction
	}
	if t.IsZero() {
		return zero
	}
	return t.Format(layout)
}

// readCount reads the one number of a population query.
func readCount(rows *sql.Rows) (int64, error) {
	shape := errors.New("population: it must return one row with one whole number, as SELECT COUNT(*) does")
	columns, err := rows.Columns()
	if err != nil {
		return 0, advise("population", err)
	}
	if len(columns) != 1 {
		return 0, Permanent(shape)
	}
	var count sql.NullInt64
	n := 0
	for rows.Next() {
		if n++; n > 1 {
			return 0, Permanent(shape)
		}
		if err := rows.Scan(&count); err != nil {
			return 0, Permanent(shape)
		}
	}
	if err := rows.Err(); err != nil {
		return 0, advise("population", err)
	}
	if n == 0 || !count.Valid || count.Int64 < 0 {
		return 0, Permanent(shape)
	}
	return count.Int64, nil
}
