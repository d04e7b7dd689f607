package consistency

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
)

// appendCanonicalJSON writes a JSON text so that two texts which mean the same are the same: object members in the order of their names, of a name that
// occurs twice the last one (as MySQL keeps it), numbers by their exact value (1, 1.0 and 1e0 are one), strings without regard to how they are escaped.
func appendCanonicalJSON(dst, text []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return dst, errors.New("which is not JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return dst, errors.New("which is more than one JSON value")
	}
	start := len(dst)
	dst, err := appendJSONTree(dst, v)
	if err == nil && bytes.Contains(dst[start:], []byte("\uFFFD")) && surrogate.Match(text) {
		return dst, errors.New("which holds half of a surrogate pair (\\ud800 to \\udfff): it stands for no character")
	}
	return dst, err
}

// surrogate finds what encoding/json replaces, so that two different texts would look the same.
var surrogate = regexp.MustCompile(`(?i)\\ud[89a-f]`)

func appendJSONTree(dst []byte, v any) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case string:
		return strconv.AppendQuote(dst, v), nil
	case json.Number:
		return appendJSONNumber(dst, []byte(v))
	case []any:
		dst = append(dst, '[')
		for i, item := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendJSONTree(dst, item); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		dst = append(dst, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(strconv.AppendQuote(dst, name), ':')
			if dst, err = appendJSONTree(dst, v[name]); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	}
	return dst, fmt.Errorf("a JSON value of type %T", v)
}

// appendJSONNumber writes digits without zeros at either end, and the power of ten: 0.5e3 is 5e2.
func appendJSONNumber(dst, text []byte) ([]byte, error) {
	mantissa, power, hasPower := bytes.Cut(bytes.ToLower(text), []byte{'e'})
	negative, whole, fraction, _, ok := splitNumber(mantissa)
	var exponent int64
	if hasPower && ok {
		n, err := strconv.ParseInt(string(power), 10, 62)
		exponent, ok = n, err == nil
	}
	if !ok {
		return dst, errors.New("which holds a number that cannot be read")
	}
	all := append(append(make([]byte, 0, len(text)), whole...), fraction...)
	kept := bytes.TrimRight(all, "0")
	exponent += int64(len(all) - len(kept) - len(fraction))
	kept = bytes.TrimLeft(kept, "0")
	if len(kept) == 0 {
		return append(dst, '0'), nil
	}
	if negative {
		dst = append(dst, '-')
	}
	return strconv.AppendInt(append(append(dst, kept...), 'e'), exponent, 10), nil
}
