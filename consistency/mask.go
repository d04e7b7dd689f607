package consistency

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// masked stands where a value must not be shown.
const masked = "***"

func isMasked(mask []string, column string) bool {
	for _, m := range mask {
		if strings.EqualFold(m, column) {
			return true
		}
	}
	return false
}

// maskViolations returns copies without the values of the masked columns, neither in the rows nor in the keys.
func maskViolations(vs []Violation, mask []string) []Violation {
	if len(mask) == 0 {
		return vs
	}
	out := make([]Violation, len(vs))
	for i, v := range vs {
		out[i] = maskViolation(v, mask)
	}
	return out
}

func maskViolation(v Violation, mask []string) Violation {
	row := make(Row, len(v.Row))
	parts := splitKey(v.Key)
	var hidden []string // what must not be seen in the key
	for i, f := range v.Row {
		row[i] = f
		if !isMasked(mask, f.Name) {
			continue
		}
		row[i].Value = masked
		if f.Value == nil || f.Value == masked { // nothing to hide, or hidden before
			continue
		}
		texts := keyTexts(f.Value)
		hidden = append(hidden, texts...)
		for j, p := range parts {
			if slices.Contains(texts, p) {
				parts[j] = masked
			}
		}
	}
	key := strings.Join(parts, ",")
	for _, text := range hidden {
		if strings.Contains(key, text) {
			return Violation{Key: masked, Row: row} // somewhere in a key of unknown make: show none of it
		}
	}
	return Violation{Key: key, Row: row}
}

// keyTexts returns how a value may be written in a key.
func keyTexts(value any) []string {
	var texts []string
	if part, err := keyPart(value); err == nil {
		texts = append(texts, part)
	}
	plain := fmt.Sprint(value)
	if b, ok := value.([]byte); ok {
		plain = string(b)
	}
	if plain != "" {
		texts = append(texts, plain)
	}
	return texts
}

// quotedText is how a server quotes in its messages, names of things and values of rows alike.
var quotedText = regexp.MustCompile(`'(?:[^']|'')*'`)

// maskError hides what an error of the server may quote out of the rows ("Incorrect string value: 'x'"). Errors that are known to quote
// names and the query only keep their text.
func maskError(err error, mask []string) error {
	if err == nil || len(mask) == 0 {
		return err
	}
	number := mysqlErrorNumber(err)
	if _, known := adviceByNumber[number]; known || number == 0 {
		return err
	}
	hidden := errors.New(quotedText.ReplaceAllString(err.Error(), "'"+masked+"'")) // does not wrap: the text must not come back
	if isPermanent(err) {
		return Permanent(hidden)
	}
	return hidden
}
