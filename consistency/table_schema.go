package consistency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// tableColumn is a column as the server's information_schema describes it.
type tableColumn struct {
	name       string
	dataType   string // "varchar", in lower case
	columnType string // "varchar(20)", "int unsigned zerofill"
	nullable   bool
	charset    string // of text; "" else
	collation  string
	precision  int // of a number
	scale      int
	fraction   int // digits of a second
}

func (c *tableColumn) zerofill() bool { return strings.Contains(c.columnType, "zerofill") }

// tableSchema is what decides how a table can be read.
type tableSchema struct {
	database, name string
	quoted         string // `db`.`table`
	columns        []*tableColumn
	// unique are the unique keys without a NULL in them, the primary key first.
	unique []uniqueKey
}

type uniqueKey struct {
	name    string
	columns []*tableColumn
}

// column finds a column as MySQL does, without regard to letter case; nil: there is none.
func (t *tableSchema) column(name string) *tableColumn {
	for _, c := range t.columns {
		if strings.EqualFold(c.name, name) {
			return c
		}
	}
	return nil
}

// uniqueOver returns the unique key over exactly these columns, and whether its order is that of the columns.
func (t *tableSchema) uniqueOver(columns []*tableColumn) (key *uniqueKey, inOrder bool) {
	for i := range t.unique {
		u := &t.unique[i]
		if len(u.columns) != len(columns) {
			continue
		}
		same, ordered := true, true
		for j, c := range columns {
			ordered = ordered && u.columns[j] == c
			same = same && containsColumn(u.columns, c)
		}
		switch {
		case ordered:
			return u, true
		case same && key == nil:
			key = u
		}
	}
	return key, false
}

func containsColumn(columns []*tableColumn, c *tableColumn) bool {
	for _, other := range columns {
		if other == c {
			return true
		}
	}
	return false
}

// tableName splits "orders", "shop.orders" or "`a.b`.`c`". The database is "" where the name has none.
func tableName(name string) (database, table string, err error) {
	var parts []string
	rest := name
	for {
		var part string
		if strings.HasPrefix(rest, "`") {
			part, rest, err = quotedName(rest)
			if err != nil {
				return "", "", fmt.Errorf("Table.Name %q: %w", name, err)
			}
		} else {
			part, rest = rest, ""
			if i := strings.IndexByte(part, '.'); i >= 0 {
				part, rest = part[:i], part[i:]
			}
		}
		if strings.TrimSpace(part) == "" || strings.ContainsRune(part, 0) {
			return "", "", fmt.Errorf("Table.Name is %q: write \"orders\", \"shop.orders\", or names with dots in backticks", name)
		}
		parts = append(parts, part)
		if rest == "" {
			break
		}
		rest = rest[1:] // the dot
	}
	switch len(parts) {
	case 1:
		return "", parts[0], nil
	case 2:
		return parts[0], parts[1], nil
	}
	return "", "", fmt.Errorf("Table.Name is %q: it has more than a database and a table; write names with dots in backticks", name)
}

func quotedName(s string) (name, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '`' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '`' {
			b.WriteByte('`')
			i++
			continue
		}
		if i+1 < len(s) && s[i+1] != '.' {
			return "", "", errors.New("a dot must follow the closing backtick")
		}
		return b.String(), s[i+1:], nil
	}
	return "", "", errors.New("a backtick is not closed")
}

// loadSchema asks the server about the table. Where the account may not see it, the server's own error says so.
func loadSchema(ctx context.Context, s *session, name string) (*tableSchema, error) {
	database, table, err := tableName(name)
	if err != nil {
		return nil, Permanent(err)
	}
	t := &tableSchema{name: table}
	if database == "" {
		var current sql.NullString
		if err := s.conn.QueryRowContext(ctx, "SELECT DATABASE()").Scan(&current); err != nil {
			return nil, advise("read the table's columns", err)
		}
		if !current.Valid {
			return nil, Permanent(fmt.Errorf("Table.Name is %q and the DSN names no database: write \"database.%s\", or name the database in the DSN", name, name))
		}
		database = current.String
	}
	t.database, t.quoted = database, quoteName(database)+"."+quoteName(table)
	what := "read the columns of " + t.quoted
	// Errors of a missing table or privilege come from here, in the server's words: information_schema would just be empty.
	if err := s.query(ctx, what, "SELECT 1 FROM "+t.quoted+" LIMIT 0", nil, func(rows *sql.Rows) error { rows.Next(); return rows.Err() }); err != nil {
		return nil, err
	}
	err = s.query(ctx, what, `SELECT COLUMN_NAME, LOWER(DATA_TYPE), LOWER(COLUMN_TYPE), IS_NULLABLE = 'YES', COALESCE(CHARACTER_SET_NAME, ''), COALESCE(COLLATION_NAME, ''),
		COALESCE(NUMERIC_PRECISION, 0), COALESCE(NUMERIC_SCALE, 0), COALESCE(DATETIME_PRECISION, 0)
		FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`, []any{database, table}, func(rows *sql.Rows) error {
		for rows.Next() {
			c := &tableColumn{}
			if err := rows.Scan(&c.name, &c.dataType, &c.columnType, &c.nullable, &c.charset, &c.collation, &c.precision, &c.scale, &c.fraction); err != nil {
				return advise(what, err)
			}
			t.columns = append(t.columns, c)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(t.columns) == 0 {
		return nil, Permanent(fmt.Errorf("%s: the server describes no columns of it to this account: GRANT SELECT on the table", what))
	}
	return t, t.loadKeys(ctx, s, what, database, table)
}

// loadKeys reads the unique keys. A key over a part of a column (a prefix) or over an expression is none: it says less or something else.
func (t *tableSchema) loadKeys(ctx context.Context, s *session, what, database, table string) error {
	broken := map[string]bool{}
	err := s.query(ctx, what, `SELECT INDEX_NAME, COALESCE(COLUMN_NAME, ''), SUB_PART IS NULL, COALESCE(COLLATION, '') = 'A'
		FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND NON_UNIQUE = 0
		ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX`, []any{database, table}, func(rows *sql.Rows) error {
		for rows.Next() {
			var index, name string
			var whole, ascending bool
			if err := rows.Scan(&index, &name, &whole, &ascending); err != nil {
				return advise(what, err)
			}
			c := t.column(name)
			if c == nil || c.nullable || !whole || !ascending {
				broken[index] = true
				continue
			}
			if n := len(t.unique); n == 0 || t.unique[n-1].name != index {
				t.unique = append(t.unique, uniqueKey{name: index})
			}
			last := &t.unique[len(t.unique)-1]
			last.columns = append(last.columns, c)
		}
		return nil
	})
	kept := t.unique[:0]
	for _, u := range t.unique {
		if !broken[u.name] {
			kept = append(kept, u)
		}
	}
	t.unique = kept
	return err
}
