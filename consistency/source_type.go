package consistency

import (
	"database/sql"
	"fmt"
	"strings"
)

// resolveColumn takes the kind from what the server says about a column. mysql: MySQL or MariaDB, in a session with time_zone '+00:00'.
func resolveColumn(t *sql.ColumnType, mysql bool) resolvedColumn {
	c := resolvedColumn{name: t.Name(), typ: strings.ToUpper(t.DatabaseTypeName())}
	if mysql {
		c.kind = mysqlKind(c.typ)
		c.bits = c.typ == "BIT"
		c.wall = c.typ == "DATETIME" || c.typ == "TIMESTAMP" || c.typ == "DATE"
		if c.typ == "TIMESTAMP" {
			c.zone = zoneUTC
		}
		return c
	}
	c.kind = otherKind(c.typ)
	switch c.typ {
	case "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH LOCAL TIME ZONE", "TIMESTAMP_TZ", "TIMESTAMP_LTZ", "DATETIMEOFFSET":
		c.zone = zoneWritten
	default:
		c.wall = c.kind == KindTime || c.kind == KindDate
	}
	return c
}

// mysqlKind knows the names that go-sql-driver gives to the types of MySQL and MariaDB. KindAuto: the kind must be declared.
func mysqlKind(typ string) Kind {
	switch strings.TrimPrefix(typ, "UNSIGNED ") {
	case "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "BIT":
		return KindInteger
	case "DECIMAL":
		return KindDecimal
	case "FLOAT", "DOUBLE":
		return KindFloat
	case "CHAR", "VARCHAR", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "ENUM", "SET", "YEAR", "TIME":
		return KindText
	case "BINARY", "VARBINARY", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "GEOMETRY", "VECTOR":
		return KindBinary
	case "DATETIME", "TIMESTAMP":
		return KindTime
	case "DATE":
		return KindDate
	case "JSON":
		return KindJSON
	}
	return KindAuto
}

// otherKind knows the names that drivers of other databases use. What may mean different things in two of them is left out.
func otherKind(typ string) Kind {
	typ, _, _ = strings.Cut(typ, "(")
	switch strings.TrimSpace(typ) {
	case "INT", "INTEGER", "INT2", "INT4", "INT8", "SMALLINT", "BIGINT", "TINYINT":
		return KindInteger
	case "NUMERIC", "DECIMAL":
		return KindDecimal
	case "FLOAT4", "FLOAT8", "REAL", "DOUBLE", "DOUBLE PRECISION":
		return KindFloat
	case "TEXT", "VARCHAR", "CHAR", "BPCHAR", "NVARCHAR", "NCHAR", "CHARACTER VARYING", "CHARACTER", "UUID", "STRING":
		return KindText
	case "BYTEA", "BLOB", "VARBINARY", "BINARY", "BYTES":
		return KindBinary
	case "TIMESTAMP", "TIMESTAMPTZ", "DATETIME", "DATETIME2", "DATETIMEOFFSET", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITHOUT TIME ZONE", "TIMESTAMP WITH LOCAL TIME ZONE",
		"TIMESTAMP_TZ", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ":
		return KindTime
	case "DATE":
		return KindDate
	case "JSON", "JSONB":
		return KindJSON
	case "BOOL", "BOOLEAN":
		return KindBool
	}
	return KindAuto
}

// String returns the kind as people call it: "integer", "decimal", "text".
func (k Kind) String() string {
	names := [...]string{"auto", "integer", "decimal", "float", "text", "binary", "time", "date", "JSON", "bool"}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return names[k]
}

// agreeKind settles the kind of a column from its declaration and from what both servers say. No value is looked at.
func agreeKind(rule Column, sides [2]resolvedColumn, names [2]string) (Kind, error) {
	if rule.Kind != KindAuto {
		return rule.Kind, nil
	}
	for i, c := range sides {
		if c.kind == KindAuto {
			said := "cannot say"
			if c.typ != "" {
				said = fmt.Sprintf("says %s, which could be several kinds", c.typ)
			}
			return 0, fmt.Errorf("column %q: the kind of its values is not declared and %s %s: set Column.Kind", c.name, names[i], said)
		}
	}
	l, r := sides[0].kind, sides[1].kind
	switch {
	case l == r:
		return l, nil
	case l == KindInteger && r == KindDecimal, l == KindDecimal && r == KindInteger:
		return KindDecimal, nil // every integer is one, exactly
	}
	return 0, fmt.Errorf("column %q is %s (%s) in %s but %s (%s) in %s: set Column.Kind to how both are to be read", rule.Name, l, sides[0].typ, names[0], r, sides[1].typ, names[1])
}
