package consistency

import (
	"bytes"
	"database/sql/driver"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// A Field is one column of a Row.
type Field struct {
	// Name is the column's name.
	Name string
	// Value is the column's value. A SQL check yields nil (NULL), int64, uint64, float32, float64, string (text, DECIMAL, and dates and
	// times as the server writes them), []byte (binary) and json.RawMessage (a JSON column). A CheckFunc may use any value; text is a string,
	// since []byte means binary.
	Value any
}

// A Row is a row in the order of its columns.
type Row []Field

// Get returns the value of the column of that name and whether there is one.
func (r Row) Get(name string) (any, bool) {
	for _, f := range r {
		if f.Name == name {
			return f.Value, true
		}
	}
	return nil, false
}

// MarshalJSON writes the row as one JSON object in the order of its columns, without losing anything: NULL is null and differs
// from "", DECIMAL keeps its digits as a string, an integer that a JSON reader might round (beyond ±(2⁵³-1)) is a string of its exact
// digits, binary is "0x" and hexadecimal digits, a JSON column is embedded, a time is RFC 3339.
// A value that cannot be written as JSON is written as text; MarshalJSON itself does not fail.
func (r Row) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, f := range r {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONText(b, f.Name)
		b = append(b, ':')
		b = appendJSONValue(b, f.Value)
	}
	return append(b, '}'), nil
}

// maxExactInt is the largest integer that every JSON reader keeps, those included that read numbers as float64 (RFC 8259, section 6).
const maxExactInt = 1<<53 - 1

func appendJSONValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendJSONText(b, v)
	case []byte:
		return appendJSONText(b, binaryText(v))
	case int:
		return appendJSONInt(b, int64(v))
	case int64:
		return appendJSONInt(b, v)
	case uint64:
		if v > maxExactInt {
			return appendJSONText(b, strconv.FormatUint(v, 10))
		}
		return strconv.AppendUint(b, v, 10)
	case float32:
		return appendJSONFloat(b, float64(v), 32)
	case float64:
		return appendJSONFloat(b, v, 64)
	case time.Time:
		return appendJSONText(b, v.Format(time.RFC3339Nano))
	case json.RawMessage:
		var out bytes.Buffer
		if json.Compact(&out, v) != nil {
			return appendJSONText(b, string(v))
		}
		return append(b, out.Bytes()...)
	case driver.Valuer:
		if inner, err := v.Value(); err == nil {
			return appendJSONValue(b, inner)
		}
	}
	out, err := json.Marshal(v)
	if err != nil {
		return appendJSONText(b, fmt.Sprint(v))
	}
	return append(b, out...)
}

func appendJSONInt(b []byte, v int64) []byte {
	if v > maxExactInt || v < -maxExactInt {
		return appendJSONText(b, strconv.FormatInt(v, 10))
	}
	return strconv.AppendInt(b, v, 10)
}

func appendJSONFloat(b []byte, v float64, bits int) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return appendJSONText(b, strconv.FormatFloat(v, 'g', -1, bits))
	}
	// The shortest text that reads back as the same value; 'g' may write an exponent, which JSON allows.
	return strconv.AppendFloat(b, v, 'g', -1, bits)
}

func appendJSONText(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = binaryText([]byte(s)) // encoding/json would replace the bytes that are not UTF-8
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return strconv.AppendQuoteToASCII(b, s)
	}
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte{'\n'})...)
}

// binaryText writes bytes as MySQL reads them back in a statement: 0xDEADBEEF.
func binaryText(v []byte) string {
	return "0x" + hex.EncodeToString(v)
}
