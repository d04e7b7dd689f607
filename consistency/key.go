package consistency

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Key makes the key of a row out of the values of its key columns, in their order: Key(42) is "42", Key("a", 7) is "a,7".
// Different values never make the same key: a comma, a quote or a backslash inside a value is written with a backslash before it, a
// control character as \u and its code, an empty text as "" (two quotes), binary as 0x and hexadecimal digits. 1 and "1" make the same key, since
// drivers return the same number now as one, now as the other.
//
// It is an error to give no value, a NULL (a row that cannot be named cannot be recognised again), or a type that has no exact text.
func Key(values ...any) (string, error) {
	if len(values) == 0 {
		return "", errors.New("a key needs at least one value")
	}
	parts := make([]string, len(values))
	for i, v := range values {
		part, err := keyPart(v)
		if err != nil {
			return "", err
		}
		parts[i] = part
	}
	return strings.Join(parts, ","), nil
}

var errNullKey = errors.New("a key column is NULL: a row without a key cannot be recognised at the second look; choose columns that are never NULL, or COALESCE them in the query")

func keyPart(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", errNullKey
	case string:
		return escapeKeyText(v), nil
	case []byte:
		return binaryText(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return fmt.Sprint(v), nil
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), nil
	case driver.Valuer:
		inner, err := v.Value()
		if err != nil {
			return "", fmt.Errorf("key value: %w", err)
		}
		if _, again := inner.(driver.Valuer); again {
			return "", fmt.Errorf("a value of type %T cannot be part of a key", v)
		}
		return keyPart(inner)
	case fmt.Stringer: // for example a UUID
		return escapeKeyText(v.String()), nil
	}
	return "", fmt.Errorf("a value of type %T cannot be part of a key: use an integer, text, binary or a time", v)
}

func escapeKeyText(s string) string {
	if s == "" {
		return `""`
	}
	if !utf8.ValidString(s) {
		return binaryText([]byte(s))
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\\' || r == ',' || r == '"', i == 0 && strings.HasPrefix(s, "0x"):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// splitKey returns the parts of a key as they are written in it.
func splitKey(key string) []string {
	var parts []string
	start := 0
	for i := 0; i < len(key); i++ {
		switch key[i] {
		case '\\':
			i++
		case ',':
			parts = append(parts, key[start:i])
			start = i + 1
		}
	}
	return append(parts, key[start:])
}
