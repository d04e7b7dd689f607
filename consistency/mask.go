package consistency

import (
	"fmt"
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
	whole := false
	for i, f := range v.Row {
		row[i] = f
		if !isMasked(mask, f.Name) {
			continue
		}
		row[i].Value = masked
		if f.Value == nil {
			continue
		}
		whole = maskKeyParts(parts, f.Value) || whole
	}
	key := strings.Join(parts, ",")
	if whole {
		key = masked // the value is somewhere in a key of unknown make: show none of it
	}
	return Violation{Key: key, Row: row}
}

// maskKeyParts replaces the parts that are the value and reports whether the value is left somewhere inside another part.
func maskKeyParts(parts []string, value any) (left bool) {
	part, err := keyPart(value)
	text := fmt.Sprint(value)
	if b, ok := value.([]byte); ok {
		text = string(b)
	}
	for i, p := range parts {
		switch {
		case err == nil && p == part, p == text:
			parts[i] = masked
		case text != "" && strings.Contains(p, text), err == nil && strings.Contains(p, part):
			left = true
		}
	}
	return left
}
