package consistency

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

var kindNames = map[string]Kind{
	"auto": KindAuto, "integer": KindInteger, "decimal": KindDecimal, "float": KindFloat, "text": KindText,
	"binary": KindBinary, "time": KindTime, "date": KindDate, "json": KindJSON, "bool": KindBool,
}

// columns reads a list of columns, in a reconciliation with their kinds.
func (b *checkBuilder) columns(name string, h header, kinds bool) []Column {
	if h.value == "" {
		return nil // said already
	}
	var out []Column
	seen := map[string]bool{}
	lists, err := splitColumns(h.value)
	if err != nil {
		b.problem(h.line, "%s: %v", name, err)
		return nil
	}
	for _, words := range lists {
		if len(words) == 0 || words[0] == "" {
			b.problem(h.line, "%s: a column has no name: separate the columns by one comma each", name)
			continue
		}
		c := Column{Name: words[0]}
		if folded := strings.ToLower(c.Name); seen[folded] {
			b.problem(h.line, "%s names the column %q twice", name, c.Name)
		} else {
			seen[folded] = true
		}
		if len(words) > 1 && !kinds {
			b.problem(h.line, "%s: after the column %q stands %q: separate the columns by commas, and write a name with a space in it in backticks", name, c.Name, words[1])
		} else if err := c.options(words[1:]); err != nil {
			b.problem(h.line, "%s: column %q: %v", name, c.Name, err)
		}
		out = append(out, c)
	}
	return out
}

// splitColumns splits at commas and then at spaces, neither of which counts inside of backticks.
func splitColumns(list string) ([][]string, error) {
	var out [][]string
	var words []string
	var word strings.Builder
	quoted, any := false, false
	end := func() {
		if any {
			words = append(words, word.String())
		}
		word.Reset()
		any = false
	}
	for _, r := range list {
		switch {
		case r == '`':
			quoted, any = !quoted, true
		case quoted || r != ',' && r != ' ' && r != '\t':
			word.WriteRune(r)
			any = true
		default:
			end()
			if r == ',' {
				out, words = append(out, words), nil
			}
		}
	}
	if quoted {
		return nil, errors.New("a backtick (`) is never closed")
	}
	end()
	return append(out, words), nil
}

// options reads what may follow the name of a column.
func (c *Column) options(words []string) error {
	seen := map[string]bool{}
	for _, word := range words {
		name, value, has := strings.Cut(word, "=")
		kind, isKind := kindNames[name]
		if isKind {
			name = "kind"
		}
		if seen[name] {
			return fmt.Errorf("%s is said twice", name)
		}
		seen[name] = true
		var err error
		switch {
		case isKind && !has:
			c.Kind = kind
		case word == "fold":
			c.Fold = true
		case word == "trim":
			c.TrimSpace = true
		case word == "empty-is-null":
			c.EmptyIsNull = true
		case name == "right" && value != "":
			c.Right = value
		case name == "scale":
			c.HasScale = true
			if c.Scale, err = strconv.Atoi(value); err != nil || c.Scale < 0 || c.Scale > 38 {
				return fmt.Errorf("scale=%s: write a whole number from 0 to 38", value)
			}
		case name == "tolerance":
			if c.Tolerance, err = strconv.ParseFloat(value, 64); err != nil || !(c.Tolerance >= 0) {
				return fmt.Errorf("tolerance=%s: write a number, as 0.01", value)
			}
		case name == "location":
			if c.Location, err = time.LoadLocation(value); err != nil || value == "" || value == "Local" {
				return fmt.Errorf("location=%s: write UTC or a name such as Asia/Tokyo", value)
			}
		default:
			return fmt.Errorf("%q is no kind (integer, decimal, float, text, binary, time, date, json, bool) and no option (right=, fold, trim, empty-is-null, scale=, tolerance=, location=)", word)
		}
	}
	for _, o := range []struct {
		name string
		set  bool
		fits bool
	}{
		{"fold", c.Fold, c.Kind == KindText}, {"trim", c.TrimSpace, c.Kind == KindText},
		{"scale", c.HasScale, c.Kind == KindDecimal || c.Kind == KindTime},
		{"tolerance", c.Tolerance > 0, c.Kind == KindFloat},
		{"location", c.Location != nil, c.Kind == KindTime},
	} {
		if o.set && !o.fits && c.Kind != KindAuto {
			return fmt.Errorf("%s has no meaning for its kind", o.name)
		}
	}
	return nil
}
