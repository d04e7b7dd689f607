package consistency

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// UnmarshalJSON reads what MarshalJSON wrote, in the order of the columns. Writing the result again gives the same JSON; the types of the values are those of
// JSON: a whole number is an int64, another one a float64, what MarshalJSON wrote as text stays text, an object or array is a json.RawMessage.
func (r *Row) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	open, err := dec.Token()
	if err != nil {
		return err
	}
	if open == nil {
		*r = nil
		return nil
	}
	if open != json.Delim('{') {
		return fmt.Errorf("a row is a JSON object, not %v", open)
	}
	row := Row{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		text, ok := name.(string)
		if !ok {
			return errors.New("a column of a row has no name")
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		value, err := jsonValue(raw)
		if err != nil {
			return err
		}
		row = append(row, Field{Name: text, Value: value})
	}
	if _, err := dec.Token(); err != nil {
		return err
	}
	*r = row
	return nil
}

// jsonValue returns the value that appendJSONValue writes as raw.
func jsonValue(raw json.RawMessage) (any, error) {
	switch raw[0] {
	case 'n':
		return nil, nil
	case 't', 'f':
		return raw[0] == 't', nil
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case '{', '[':
		return json.RawMessage(bytes.Clone(raw)), nil
	}
	text := string(raw)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && string(appendJSONInt(nil, n)) == text {
		return n, nil
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && string(appendJSONFloat(nil, f, 64)) == text {
		return f, nil
	}
	return json.RawMessage(bytes.Clone(raw)), nil // a number of a JSON column keeps its digits
}
