package consistency

import (
	"strconv"
	"strings"
)

// keyCondition is a key column of a query on MySQL or MariaDB, for conditions on it.
type keyCondition struct {
	rule   Column
	column resolvedColumn
}

type keyConditions []keyCondition

func (k keyCondition) kind() Kind {
	if k.rule.Kind != KindAuto {
		return k.rule.Kind
	}
	return k.column.kind
}

// argument returns how a neutral form is compared with the column: exactly, or so that what the server finds is all and more (text under a collation), which the
// reader of the rows sorts out. errNoFetch where that is not certain.
func (k keyCondition) argument(text string) (placeholder string, value any, err error) {
	numeric := k.column.kind == KindInteger || k.column.kind == KindDecimal
	switch k.kind() {
	case KindInteger, KindDecimal:
		if !numeric {
			return "", nil, errNoFetch
		}
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return "?", n, nil
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return "?", n, nil
		}
		whole, fraction, _ := strings.Cut(text, ".")
		if len(whole) > 35 || len(fraction) > 30 {
			return "", nil, errNoFetch
		}
		return "CAST(? AS DECIMAL(65,30))", text, nil
	case KindText:
		if k.column.kind != KindText || k.rule.Fold || k.rule.TrimSpace || k.column.typ == "YEAR" || k.column.typ == "TIME" {
			return "", nil, errNoFetch
		}
		return "?", text, nil
	case KindBinary:
		if k.column.kind != KindBinary {
			return "", nil, errNoFetch
		}
		return "?", []byte(text), nil
	case KindTime:
		if k.column.kind != KindTime {
			return "", nil, errNoFetch
		}
		wall, err := wallClock(text, k.column, k.rule.Location)
		return "CAST(? AS DATETIME(6))", wall, err
	case KindDate:
		if k.column.kind != KindDate || strings.Contains(text, "-00") || strings.HasPrefix(text, "0000") {
			return "", nil, errNoFetch
		}
		return "CAST(? AS DATE)", text, nil
	case KindBool:
		if k.column.kind != KindInteger {
			return "", nil, errNoFetch
		}
		if text == "true" {
			return "?", 1, nil
		}
		return "?", 0, nil
	case KindAuto, KindFloat, KindJSON:
	}
	return "", nil, errNoFetch
}

// in returns the condition that the key is one of these.
func (c keyConditions) in(keys []neutralKey) (string, []any, error) {
	var b strings.Builder
	values := make([]any, 0, len(keys)*len(c))
	open, shut := "", ""
	if len(c) > 1 {
		open, shut = "(", ")"
	}
	b.WriteString(open)
	for i, k := range c {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quoteName(k.column.name))
	}
	b.WriteString(shut + " IN (")
	for i, key := range keys {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(open)
		for j, k := range c {
			placeholder, value, err := k.argument(key[j])
			if err != nil {
				return "", nil, err
			}
			if j > 0 {
				b.WriteString(", ")
			}
			b.WriteString(placeholder)
			values = append(values, value)
		}
		b.WriteString(shut)
	}
	b.WriteString(")")
	return b.String(), values, nil
}

// between returns the condition after < key ≤ upTo (nil: no bound). A server compares text by its collation, and wall clocks without regard to what the zone makes of
// them, so that a bound there might leave out rows: errNoFetch.
func (c keyConditions) between(after, upTo neutralKey) (string, []any, error) {
	for _, k := range c {
		kind := k.kind()
		if kind == KindText || kind == KindBool || kind == KindTime && k.column.zone == zoneColumn && k.rule.Location != nil {
			return "", nil, errNoFetch
		}
	}
	var conditions []string
	var values []any
	for _, bound := range []struct {
		key         neutralKey
		first, last string
	}{{after, " > ", " > "}, {upTo, " < ", " <= "}} {
		if bound.key == nil {
			continue
		}
		text, args, err := c.beyond(bound.key, bound.first, bound.last)
		if err != nil {
			return "", nil, err
		}
		conditions, values = append(conditions, text), append(values, args...)
	}
	return strings.Join(conditions, " AND "), values, nil
}

// beyond writes (a, b) > (x, y) as a >= x AND (a > x OR a = x AND (b > y)): servers use an index for that, not for a comparison of rows.
func (c keyConditions) beyond(key neutralKey, op, last string) (string, []any, error) {
	name := quoteName(c[0].column.name)
	placeholder, value, err := c[0].argument(key[0])
	if err != nil {
		return "", nil, err
	}
	if len(c) == 1 {
		return "(" + name + last + placeholder + ")", []any{value}, nil
	}
	rest, values, err := c[1:].beyond(key[1:], op, last)
	if err != nil {
		return "", nil, err
	}
	or := strings.TrimSpace(op) + "= "
	text := "(" + name + " " + or + placeholder + " AND (" + name + op + placeholder + " OR " + name + " = " + placeholder + " AND " + rest + "))"
	return text, append([]any{value, value, value}, values...), nil
}
