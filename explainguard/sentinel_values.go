package explainguard

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

func readColumns(ctx context.Context, s *session, schema, table string) ([]column, error) {
	var out []column
	srid := "SRS_ID"
	if s.was.mariaDB() { // knows none
		srid = "NULL"
	}
	err := each(ctx, s.conn, "list the columns", func(scan func(...any) error) error {
		var c column
		var hasDefault, nullable bool
		var extra, key string
		if err := scan(&c.name, &c.dataType, &c.columnType, &c.length, &hasDefault, &nullable, &extra, &key, &c.srid); err != nil {
			return err
		}
		extra = strings.ToUpper(extra)
		c.counts = strings.Contains(extra, "AUTO_INCREMENT")
		c.generated = strings.Contains(extra, "VIRTUAL GENERATED") || strings.Contains(extra, "STORED GENERATED")
		c.primary = key == "PRI"
		// A default in a primary key may be an expression whose value nobody would learn.
		c.optional = c.counts || nullable || hasDefault && !c.primary
		out = append(out, c)
		return nil
	}, `SELECT COLUMN_NAME, LOWER(DATA_TYPE), COLUMN_TYPE, CHARACTER_MAXIMUM_LENGTH, COLUMN_DEFAULT IS NOT NULL, IS_NULLABLE = 'YES', EXTRA, COLUMN_KEY, `+srid+`
		FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`, schema, table)
	return out, err
}

// field is one column of the row to insert.
type field struct {
	name, expression string
	args             []any
}

// row is the caller's values and small ones for columns that must have one.
func (r *sentinel) row(columns []column, candidate int) ([]field, error) {
	var out []field
	for _, c := range columns {
		if c.generated {
			continue
		}
		given := false
		for name, v := range r.values {
			if strings.EqualFold(name, c.name) {
				out = append(out, field{c.name, "?", []any{v}})
				given = true
			}
		}
		if given || c.optional {
			continue
		}
		expression, v, err := c.small(candidate)
		if err != nil {
			return nil, err
		}
		out = append(out, field{c.name, expression, v})
	}
	return out, nil
}

// members are those of an ENUM or SET, by the column's type.
func (c column) members() []string {
	var out []string
	text := c.columnType
	for i := 0; i < len(text); {
		if text[i] != '\'' {
			i++
			continue
		}
		end := skipQuoted(text, i)
		out = append(out, strings.ReplaceAll(text[i+1:end-1], "''", "'"))
		i = end
	}
	return out
}

var wholeNumbers = []string{"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double"}

// small returns an inconspicuous value of the column's type: the candidates differ, where the type has so many.
func (c column) small(candidate int) (string, []any, error) {
	v := func(x any) (string, []any, error) { return "?", []any{x}, nil }
	number := []int{1, 0, 2, 3, 5, 7, 11, 100}[candidate%sentinelCandidates]
	switch t := c.dataType; {
	case slices.Contains(wholeNumbers, t):
		if strings.HasPrefix(c.columnType, "decimal") && number >= 1 && noWholeDigits(c.columnType) {
			return v(0)
		}
		return v(number)
	case t == "bit":
		return v([]byte{byte(1 - candidate%2)})
	case t == "year":
		return v(2000 + candidate)
	case t == "date":
		return v(fmt.Sprintf("2000-01-%02d", candidate+1))
	case t == "datetime", t == "timestamp":
		return v(fmt.Sprintf("2000-01-%02d 12:00:00", candidate+1))
	case t == "time":
		return v(fmt.Sprintf("12:00:%02d", candidate))
	case t == "enum":
		m := c.members()
		return v(m[candidate%len(m)])
	case t == "set":
		m := c.members()
		return v(m[candidate%len(m)])
	case t == "json":
		return v([]string{`{}`, `[]`, `"x"`, `1`}[candidate%4])
	case strings.HasSuffix(t, "char"), strings.HasSuffix(t, "text"), strings.HasSuffix(t, "binary"), strings.HasSuffix(t, "blob"):
		text := []string{"x", "y", "z", "sentinel", "s@example.com", "1", "00000000-0000-4000-8000-000000000001", ""}[candidate%sentinelCandidates]
		if c.length.Valid && c.length.Int64 < int64(len(text)) {
			text = text[:c.length.Int64]
		}
		return v(text)
	case shapes[t] != "":
		return "ST_GeomFromText(?, ?)", []any{shapes[t], c.srid.Int64}, nil
	default:
		return "", nil, fmt.Errorf("column %s is of type %s, for which there is no value; pass one", c.name, c.columnType)
	}
}

// noWholeDigits reports whether a decimal(3,3) has no digit before its point.
func noWholeDigits(columnType string) bool {
	var digits, fraction int
	_, err := fmt.Sscanf(columnType, "decimal(%d,%d)", &digits, &fraction)
	return err == nil && digits == fraction
}

var shapes = map[string]string{
	"geometry": "POINT(0 0)", "point": "POINT(0 0)", "linestring": "LINESTRING(0 0, 1 1)", "polygon": "POLYGON((0 0, 0 1, 1 1, 0 0))",
	"multipoint": "MULTIPOINT(0 0)", "multilinestring": "MULTILINESTRING((0 0, 1 1))", "multipolygon": "MULTIPOLYGON(((0 0, 0 1, 1 1, 0 0)))",
	"geomcollection": "GEOMETRYCOLLECTION(POINT(0 0))", "geometrycollection": "GEOMETRYCOLLECTION(POINT(0 0))",
}
