package consistency

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"
)

// outerSource reads a Source that is none of this package: values of any Go type.
type outerSource struct{ Source }

func (s outerSource) scan(ctx context.Context, want scanRequest, kinds []Kind, sink rowSink) error {
	if err := s.begin(want, kinds, sink); err != nil {
		return err
	}
	return s.read(s.Rows(ctx, publicKey(kinds, want.after)), want, kinds, sink)
}

func (s outerSource) fetch(ctx context.Context, want scanRequest, kinds []Kind, keys []neutralKey, sink rowSink) error {
	if err := s.begin(want, kinds, sink); err != nil {
		return err
	}
	values := make([][]any, len(keys))
	for i, k := range keys {
		values[i] = publicKey(kinds, k)
	}
	return s.read(s.Source.(Lookup).Lookup(ctx, values), want, kinds, sink)
}

func (outerSource) begin(want scanRequest, kinds []Kind, sink rowSink) error {
	columns := make([]resolvedColumn, len(want.columns))
	for i, name := range want.columns {
		columns[i] = resolvedColumn{name: name, kind: kinds[i]}
	}
	return sink.begin(columns)
}

func (outerSource) read(rows iter.Seq2[Row, error], want scanRequest, kinds []Kind, sink rowSink) error {
	if rows == nil {
		return Permanent(errors.New("the source returned no sequence (nil)"))
	}
	raw := make([]sql.RawBytes, len(want.columns))
	buffers := make([][]byte, len(want.columns))
	for row, err := range rows {
		if err != nil {
			return err
		}
		for i, name := range want.columns {
			value, ok := fieldOf(row, i, name)
			if !ok {
				return Permanent(fmt.Errorf("a row has no column %q, only %s", name, strings.Join(fieldNames(row), ", ")))
			}
			null, b, err := appendRaw(buffers[i][:0], value, kinds[i])
			if err != nil {
				return Permanent(fmt.Errorf("column %q: %w", name, err))
			}
			buffers[i] = b
			raw[i] = nil
			if !null {
				raw[i] = b[:len(b):len(b)]
				if b == nil {
					raw[i] = sql.RawBytes{}
				}
			}
		}
		if err := sink.row(raw); err != nil {
			return err
		}
	}
	return nil
}

// fieldOf finds a column by its name, first where it is in most rows.
func fieldOf(row Row, at int, name string) (any, bool) {
	if at < len(row) && row[at].Name == name {
		return row[at].Value, true
	}
	for _, f := range row {
		if strings.EqualFold(f.Name, name) {
			return f.Value, true
		}
	}
	return nil, false
}

func fieldNames(row Row) []string {
	names := make([]string, len(row))
	for i, f := range row {
		names[i] = f.Name
	}
	return names
}

// appendRaw writes a Go value as a server would, for a cellReader.
func appendRaw(b []byte, v any, kind Kind) (null bool, _ []byte, _ error) {
	switch v := v.(type) {
	case nil:
		return true, b, nil
	case string:
		return false, append(b, v...), nil
	case []byte:
		return v == nil, append(b, v...), nil
	case json.RawMessage:
		return v == nil, append(b, v...), nil
	case json.Number:
		return false, append(b, v...), nil
	case bool:
		return false, strconv.AppendBool(b, v), nil
	case int:
		return false, strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return false, strconv.AppendInt(b, v, 10), nil
	case uint64:
		return false, strconv.AppendUint(b, v, 10), nil
	case int8, int16, int32, uint, uint8, uint16, uint32:
		return false, fmt.Append(b, v), nil
	case float32:
		return false, strconv.AppendFloat(b, float64(v), 'g', -1, 32), nil
	case float64:
		if kind == KindInteger && math.Abs(v) > maxExactInt {
			return false, b, errors.New("a float64 beyond ±2⁵³ is no exact integer: let the source decode numbers as json.Number or int64")
		}
		return false, strconv.AppendFloat(b, v, 'g', -1, 64), nil
	case time.Time:
		return false, v.AppendFormat(b, time.RFC3339Nano), nil
	case driver.Valuer:
		inner, err := v.Value()
		if err != nil {
			return false, b, err
		}
		if _, again := inner.(driver.Valuer); !again {
			return appendRaw(b, inner, kind)
		}
	case fmt.Stringer:
		return false, append(b, v.String()...), nil
	}
	if kind == KindJSON {
		out, err := json.Marshal(v)
		return false, append(b, out...), err
	}
	return false, b, fmt.Errorf("a value of type %T cannot be compared as %s: use an integer, a float, a string, []byte, bool, time.Time or json.RawMessage", v, kind)
}

// publicKey makes the values that Source.Rows and Lookup.Lookup take out of a key. Nil stays nil.
func publicKey(kinds []Kind, key neutralKey) []any {
	if key == nil {
		return nil
	}
	values := make([]any, len(key))
	for i, text := range key {
		values[i] = publicValue(kinds[i], text)
	}
	return values
}

// publicValue makes what people and programs see of a neutral form.
func publicValue(kind Kind, text string) any {
	switch kind {
	case KindInteger:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return n
		}
	case KindFloat:
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return f
		}
	case KindBinary:
		return []byte(text)
	case KindTime:
		if t, err := time.Parse("2006-01-02 15:04:05.999999999", text); err == nil {
			return t
		}
	case KindJSON:
		return json.RawMessage(text)
	case KindBool:
		return text == "true"
	case KindAuto, KindDecimal, KindText, KindDate:
	}
	return text
}
