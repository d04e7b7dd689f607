package consistency

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// tableKey is a key column of a table as it is to be read: how the server can put it into the neutral order, and how a value is written for it.
type tableKey struct {
	column *tableColumn
	kind   Kind
	rule   Column
}

// keyOrder says whether a server's own order of a column, that of its indexes, is the neutral one.
type keyOrder int

const (
	// orderForeign: it is another one, or may be.
	orderForeign keyOrder = iota
	// orderPadded: it is, but for texts with characters below the space: the collation compares as if spaces followed the end of a text (PAD SPACE).
	orderPadded
	// orderNeutral: it is the neutral one.
	orderNeutral
)

// order returns which values are compared how by the server. Two columns of the same class put the same values into the same ranges. "" for orderForeign.
func (k tableKey) order() (class string, order keyOrder) {
	c := k.column
	switch k.kind {
	case KindInteger, KindDecimal:
		if isIntegerType(c.dataType) || c.dataType == "decimal" {
			return "number", orderNeutral
		}
	case KindText:
		if k.rule.Fold || k.rule.TrimSpace || c.dataType != "char" && c.dataType != "varchar" {
			break
		}
		switch strings.Replace(c.collation, "utf8_", "utf8mb3_", 1) {
		case "utf8mb4_0900_bin", "utf8mb4_nopad_bin":
			return "utf8mb4", orderNeutral
		case "utf8mb3_nopad_bin":
			return "utf8mb3", orderNeutral
		case "ascii_nopad_bin":
			return "ascii", orderNeutral
		case "utf8mb4_bin", "utf8mb3_bin", "ascii_bin":
			return c.charset + " padded", orderPadded
		}
	case KindBinary:
		if c.dataType == "binary" || c.dataType == "varbinary" {
			return "bytes", orderNeutral
		}
	case KindTime:
		if c.dataType == "timestamp" || c.dataType == "datetime" && isUTC(k.rule.Location) {
			return "time", orderNeutral
		}
	case KindDate:
		if c.dataType == "date" {
			return "date", orderNeutral
		}
	case KindAuto, KindFloat, KindJSON, KindBool:
	}
	return "", orderForeign
}

func isUTC(loc *time.Location) bool { return loc == nil || loc == time.UTC }

func isIntegerType(dataType string) bool {
	switch dataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint":
		return true
	}
	return false
}

func isTextType(dataType string) bool {
	switch dataType {
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext":
		return true
	}
	return false
}

func isBinaryType(dataType string) bool {
	switch dataType {
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return true
	}
	return false
}

// neutralExpr is an expression over the column that the server orders as the neutral order is.
func (k tableKey) neutralExpr() string {
	name := quoteName(k.column.name)
	switch k.kind {
	case KindInteger, KindDecimal:
		if isIntegerType(k.column.dataType) || k.column.dataType == "decimal" {
			return name
		}
		if k.column.dataType == "bit" {
			return name + " + 0"
		}
		return "CAST(" + name + " AS DECIMAL(65,30))"
	case KindText:
		if k.rule.TrimSpace {
			name = "TRIM(TRAILING ' ' FROM " + name + ")"
		}
		if k.rule.Fold {
			name = "LOWER(" + name + ")"
		}
		return "CAST(CONVERT(" + name + " USING utf8mb4) AS BINARY)"
	case KindBinary:
		return "CAST(" + name + " AS BINARY)"
	case KindAuto, KindFloat, KindTime, KindDate, KindJSON, KindBool:
	}
	return name
}

// literal writes a neutral form as the column (own) or its neutralExpr is compared with. Nothing of a value is ever text of the statement: what is not
// digits and signs is written in hexadecimal. errNoLiteral: it cannot be written so that the comparison is exact.
func (k tableKey) literal(text string, own bool) (string, error) {
	switch k.kind {
	case KindInteger, KindDecimal:
		if len(text) > 0 && strings.Trim(text, "0123456789.-") == "" {
			return text, nil
		}
	case KindText:
		if own && k.column.charset != "utf8mb4" && strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
			return "", errNoLiteral // what a character set does not hold is an error there, not a text that no row has
		}
		if own {
			return hexLiteral("_utf8mb4 ", text), nil
		}
		return hexLiteral("_binary ", text), nil
	case KindBinary:
		return hexLiteral("_binary ", text), nil
	case KindTime:
		if isUTC(k.rule.Location) || k.column.dataType == "timestamp" {
			return clockLiteral(text)
		}
	case KindDate:
		return clockLiteral(text)
	case KindBool:
		switch text {
		case "true":
			return "1", nil
		case "false":
			return "0", nil
		}
	case KindAuto, KindFloat, KindJSON:
	}
	return "", errNoLiteral
}

var errNoLiteral = errors.New("a key of this kind has no exact literal")

func hexLiteral(introducer, text string) string {
	if text == "" {
		return introducer + "''"
	}
	return introducer + "0x" + hex.EncodeToString([]byte(text))
}

func clockLiteral(text string) (string, error) {
	if strings.Trim(text, "0123456789-: .") != "" {
		return "", errNoLiteral
	}
	return "'" + text + "'", nil
}

// keyColumns are the key columns of a table.
type keyColumns []tableKey

// exprs are the columns themselves (own) or what puts them into the neutral order.
func (k keyColumns) exprs(own bool) []string {
	out := make([]string, len(k))
	for i, c := range k {
		if own {
			out[i] = quoteName(c.column.name)
		} else {
			out[i] = c.neutralExpr()
		}
	}
	return out
}

func (k keyColumns) columns() []*tableColumn {
	out := make([]*tableColumn, len(k))
	for i, c := range k {
		out[i] = c.column
	}
	return out
}

// classes are the classes of order of the columns; ok is false where the server's order of one is foreign. worst is the least neutral of them.
func (k keyColumns) classes() (classes []string, worst keyOrder) {
	worst = orderNeutral
	for _, c := range k {
		class, order := c.order()
		classes = append(classes, class)
		worst = min(worst, order)
	}
	return classes, worst
}

func (k keyColumns) literals(key neutralKey, own bool) ([]string, error) {
	out := make([]string, len(k))
	for i, c := range k {
		var err error
		if out[i], err = c.literal(key[i], own); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// between is the condition after < key ≤ upTo, "" without bounds. own: the columns themselves are compared, by the server's own order, so that an index serves.
func (k keyColumns) between(after, upTo neutralKey, own bool) (string, error) {
	var parts []string
	exprs := k.exprs(own)
	if after != nil {
		values, err := k.literals(after, own)
		if err != nil {
			return "", err
		}
		parts = append(parts, beyond(exprs, values, ">", ">"))
	}
	if upTo != nil {
		values, err := k.literals(upTo, own)
		if err != nil {
			return "", err
		}
		parts = append(parts, beyond(exprs, values, "<", "<="))
	}
	return strings.Join(parts, " AND "), nil
}

// beyond writes (a, b) > (x, y) as a >= x AND (a > x OR a = x AND (b > y)): an index serves that, as it does not a comparison of rows.
func beyond(exprs, values []string, strict, last string) string {
	if len(exprs) == 1 {
		return "(" + exprs[0] + " " + last + " " + values[0] + ")"
	}
	return fmt.Sprintf("(%[1]s %[2]s= %[3]s AND (%[1]s %[2]s %[3]s OR %[1]s = %[3]s AND %[4]s))", exprs[0], strict, values[0], beyond(exprs[1:], values[1:], strict, last))
}

// among is the condition that the key is one of these. It may hold for more keys, where a collation takes different texts for the same.
func (k keyColumns) among(keys []neutralKey) (string, error) {
	if !slices.ContainsFunc(k, func(c tableKey) bool { return !c.findable() }) {
		if condition, err := k.equalTo(keys, true); !errors.Is(err, errNoLiteral) {
			return condition, err
		}
	}
	return k.equalTo(keys, false)
}

func (k keyColumns) equalTo(keys []neutralKey, own bool) (string, error) {
	exprs := k.exprs(own)
	parts := make([]string, len(keys))
	for i, key := range keys {
		values, err := k.literals(key, own)
		if err != nil {
			return "", err
		}
		if len(k) == 1 {
			parts[i] = values[0]
			continue
		}
		equal := make([]string, len(k))
		for j := range k {
			equal[j] = exprs[j] + " = " + values[j]
		}
		parts[i] = "(" + strings.Join(equal, " AND ") + ")"
	}
	if len(k) == 1 {
		return exprs[0] + " IN (" + strings.Join(parts, ", ") + ")", nil
	}
	return "(" + strings.Join(parts, " OR ") + ")", nil
}

// findable reports whether the column itself, compared with the literal by its own collation, finds at least the rows that have the key.
func (k tableKey) findable() bool {
	if _, order := k.order(); order != orderForeign {
		return true
	}
	return k.kind == KindText && isTextType(k.column.dataType) && !k.rule.Fold && !k.rule.TrimSpace
}
