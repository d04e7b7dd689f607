package consistency

import (
	"fmt"
	"strings"
)

// A row's digest is a hash of a text that both servers write in the same way, byte by byte, for rows that the rules of the columns take for equal, and that is another one for any
// other row:
//
//   - The fields follow each other with a comma between. Text and binary have their length in bytes before them, so that no value can look like the end of one and
//     the beginning of the next; the others hold no comma. NULL is the letter N, where a length or a number would be.
//   - All is put together as binary: no collation, no conversion between character sets but the one to UTF-8 that is asked for.
//   - A field that cannot be written exactly makes the whole text NULL, which is counted: the rows of such a range are compared one by one.
//
// Where a rule has no such text (Fold, Tolerance, JSON, a zone other than UTC, types that differ in kind) the table has no digest.

// fieldText returns the expression of a column's field on both sides. reason says why there is none.
func fieldText(kind Kind, rule Column, sides [2]*tableColumn) (texts [2]string, reason string) {
	var write func(c *tableColumn, name string) string
	switch kind {
	case KindInteger:
		if both(sides, func(c *tableColumn) bool { return isIntegerType(c.dataType) || c.dataType == "bit" }) {
			write = integerText
		}
	case KindDecimal:
		write, reason = decimalText(rule, sides)
	case KindFloat:
		if rule.Tolerance != 0 {
			return texts, "Tolerance"
		}
		if sides[0].dataType == sides[1].dataType && (sides[0].dataType == "float" || sides[0].dataType == "double") {
			write = floatText
		}
	case KindText:
		if rule.Fold {
			return texts, "Fold"
		}
		if both(sides, hasExactText) {
			return measured(rule, sides, func(c *tableColumn, name string) (bytes, of string) {
				if c.charset != "" && c.charset != "utf8mb4" && c.charset != "ascii" {
					name = "CONVERT(" + name + " USING utf8mb4)"
				}
				bytes = "CAST(" + name + " AS BINARY)"
				if rule.TrimSpace {
					bytes = "TRIM(TRAILING _binary' ' FROM " + bytes + ")"
					name = bytes
				}
				return bytes, name
			}), ""
		}
	case KindBinary:
		if both(sides, func(c *tableColumn) bool { return isBinaryType(c.dataType) }) {
			return measured(rule, sides, func(_ *tableColumn, name string) (bytes, of string) { return name, name }), ""
		}
	case KindTime:
		if !isUTC(rule.Location) && (sides[0].dataType == "datetime" || sides[1].dataType == "datetime") {
			return texts, "Location"
		}
		if both(sides, func(c *tableColumn) bool { return c.dataType == "datetime" || c.dataType == "timestamp" }) {
			write = timeText(rule, sides)
		}
	case KindDate:
		if both(sides, func(c *tableColumn) bool { return c.dataType == "date" }) {
			write = func(_ *tableColumn, name string) string { return name }
		}
	case KindAuto, KindJSON, KindBool:
	}
	if write == nil {
		if reason == "" {
			reason = fmt.Sprintf("%s, which is %s here and %s there", kind, sides[0].columnType, sides[1].columnType)
		}
		return texts, reason
	}
	for i, c := range sides {
		texts[i] = write(c, quoteName(c.name))
		if c.nullable {
			texts[i] = "IF(" + quoteName(c.name) + " IS NULL, _binary'N', " + texts[i] + ")"
		}
	}
	return texts, ""
}

func both(sides [2]*tableColumn, f func(*tableColumn) bool) bool { return f(sides[0]) && f(sides[1]) }

// measured writes a field of text or binary: its length, a comma, its bytes. write returns the bytes, and what has the same length and costs less.
func measured(rule Column, sides [2]*tableColumn, write func(c *tableColumn, name string) (bytes, of string)) (texts [2]string) {
	for i, c := range sides {
		name := quoteName(c.name)
		bytes, of := write(c, name)
		if !c.nullable {
			texts[i] = "LENGTH(" + of + "), _binary',', " + bytes
			continue
		}
		null := "_binary'N'"
		if rule.EmptyIsNull {
			null = "0" // as the empty one
		}
		texts[i] = fmt.Sprintf("IF(%[1]s IS NULL, %[2]s, LENGTH(%[3]s)), _binary',', IF(%[1]s IS NULL, _binary'', %[4]s)", name, null, of, bytes)
	}
	return texts
}

// hasExactText: other character sets hold characters that UTF-8 has no place for, or twice.
func hasExactText(c *tableColumn) bool {
	switch c.dataType {
	case "enum", "set", "char", "varchar", "tinytext", "text", "mediumtext", "longtext":
	case "year", "time":
		return true
	default:
		return false
	}
	switch c.charset {
	case "utf8mb4", "utf8mb3", "utf8", "ascii", "latin1", "ucs2", "utf16", "utf32":
		return true
	}
	return false
}

// integerText: BIT is a number only in a calculation, and ZEROFILL is a way of printing.
func integerText(c *tableColumn, name string) string {
	if c.dataType == "bit" || c.zerofill() {
		return "(" + name + " + 0)"
	}
	return name
}

// decimalText writes as many digits after the point as the finer side has, or the rule says. CAST rounds half away from zero, as the rule does.
func decimalText(rule Column, sides [2]*tableColumn) (write func(*tableColumn, string) string, reason string) {
	scale := 0
	for _, c := range sides {
		if !isIntegerType(c.dataType) && c.dataType != "decimal" {
			return nil, ""
		}
		if c.dataType == "decimal" {
			scale = max(scale, c.scale)
		}
	}
	if rule.HasScale {
		scale = min(scale, rule.Scale)
	}
	for _, c := range sides {
		if !c.isDecimal(scale) && (scale > 30 || c.whole()+1+scale > 65) {
			return nil, fmt.Sprintf("a decimal of more digits than a server calculates with (%s, %s)", sides[0].columnType, sides[1].columnType)
		}
	}
	return func(c *tableColumn, name string) string {
		if c.isDecimal(scale) {
			return name
		}
		return fmt.Sprintf("CAST(%s AS DECIMAL(%d,%d))", name, c.whole()+1+scale, scale)
	}, ""
}

// isDecimal reports whether the server writes the column with so many digits after the point by itself.
func (c *tableColumn) isDecimal(scale int) bool {
	return c.dataType == "decimal" && c.scale == scale && !c.zerofill()
}

// whole is the number of digits before the point.
func (c *tableColumn) whole() int {
	if c.dataType == "decimal" {
		return c.precision - c.scale
	}
	return 20
}

// floatText writes 17 digits, which is exact, of the numbers that MySQL and MariaDB print alike: MySQL has 22 characters for a number in a text and rounds what is longer.
// FLOAT as such would be printed with six digits.
func floatText(_ *tableColumn, name string) string {
	exact := "(" + name + " + 0e0)"
	return fmt.Sprintf("IF(%[1]s = 0, _binary'0', IF(ABS(%[1]s) BETWEEN 1e-99 AND 9e99, CONCAT(%[1]s < 0, _binary' ', ABS(%[1]s)), NULL))", exact)
}

// timeText writes as many digits of the second as the finer side has, or cuts them off where the rule says.
func timeText(rule Column, sides [2]*tableColumn) func(*tableColumn, string) string {
	digits := max(sides[0].fraction, sides[1].fraction)
	if rule.HasScale {
		digits = min(digits, rule.Scale)
	}
	return func(c *tableColumn, name string) string {
		switch {
		case c.fraction == digits:
			return name
		case c.fraction < digits:
			return fmt.Sprintf("CAST(%s AS DATETIME(%d))", name, digits)
		case digits == 0:
			return "LEFT(" + name + ", 19)"
		}
		return fmt.Sprintf("LEFT(%s, %d)", name, 20+digits)
	}
}

// rowText puts the fields of a row together. fields are what fieldText returned for one side.
func rowText(fields []string) string {
	return "CONCAT(" + strings.Join(fields, ", _binary',', ") + ")"
}

// digestForm is how the text of a row becomes a number, and the numbers of many rows become one.
type digestForm struct {
	hash    string // of %s, the row's text
	columns string // aggregates over h, the hash
	derived bool   // h is calculated in a derived table, once for several aggregates; else it stands in the one aggregate itself
	result  string // COUNT(*), how many rows have a hash, and two sums, out of the aggregates
}

// unwritable is what a row without a hash adds to the sum of the fast form: more than the hashes of 2³¹ rows together.
const unwritable = "9223372036854775808"

// The fast form has a single aggregate, which saves a third of the servers' time: a derived table for several would have to be materialized, or the hash be calculated for each. Sums show
// rows that occur twice, which XOR would not. CRC32 is linear, so that the sum of plain values would hardly notice values that changed places between two rows; the CRC32 of its digits is not.
var digestForms = map[DigestMode]digestForm{
	DigestFast: {
		hash: "CRC32(CRC32(%s))", columns: "IFNULL(SUM(IFNULL(h, " + unwritable + ")), 0) AS s",
		result: "n, n - s DIV " + unwritable + ", s MOD " + unwritable + ", 0",
	},
	DigestStrong: {
		hash: "SHA2(%s, 256)", derived: true,
		columns: "COUNT(h) AS hashed, SUM(CAST(CONV(LEFT(h, 16), 16, 10) AS DECIMAL(20,0))) AS s, SUM(CAST(CONV(RIGHT(h, 16), 16, 10) AS DECIMAL(20,0))) AS t",
		result:  "n, hashed, s, t",
	},
}

// digestQuery writes the statement for the rows of from (FROM … WHERE …). bucket, if not "", is an expression by which they are grouped.
func digestQuery(form digestForm, text, from, bucket string) string {
	hash := fmt.Sprintf(form.hash, text)
	columns, group, result := "COUNT(*) AS n, "+form.columns, "", form.result
	if bucket != "" {
		result = "b, " + result
		group = " GROUP BY b"
	}
	if !form.derived {
		columns = strings.Replace(columns, "(h,", "("+hash+",", 1)
		if bucket != "" {
			columns = bucket + " AS b, " + columns
		}
		return "SELECT " + result + " FROM (SELECT " + columns + from + group + ") AS d"
	}
	row := hash + " AS h"
	if bucket != "" {
		row = bucket + " AS b, " + row
		columns = "b, " + columns
	}
	// LIMIT keeps the server from merging the derived table into the query around it.
	return "SELECT " + result + " FROM (SELECT " + columns + " FROM (SELECT " + row + from + " LIMIT 18446744073709551615) AS r" + group + ") AS d"
}
