package consistency

import (
	"bytes"
	"math"
	"strconv"
)

// sameCell compares two values in the neutral form as the rules of their column say. A nil is NULL.
func sameCell(kind Kind, rule *Column, a, b []byte) (bool, error) {
	if (a == nil) == (b == nil) && bytes.Equal(a, b) {
		return true, nil
	}
	if kind == KindFloat && a != nil && b != nil {
		return closeFloats(a, b, rule.Tolerance)
	}
	var space [128]byte
	ruledA, err := appendRuled(space[:0:64], kind, rule, a)
	if err != nil {
		return false, err
	}
	ruledB, err := appendRuled(space[64:64:128], kind, rule, b)
	if err != nil {
		return false, err
	}
	return (ruledA == nil) == (ruledB == nil) && bytes.Equal(ruledA, ruledB), nil
}

// appendRuled appends what of a value is compared. It returns nil for what counts as NULL.
func appendRuled(dst []byte, kind Kind, rule *Column, cell []byte) ([]byte, error) {
	if cell == nil {
		return nil, nil
	}
	switch kind {
	case KindText:
		dst = appendRuledText(dst, cell, *rule)
	case KindDecimal:
		if !rule.HasScale {
			return append(dst, cell...), nil
		}
		return appendRounded(dst, cell, rule.Scale), nil
	case KindTime:
		return append(dst, cutFraction(cell, rule)...), nil
	case KindJSON:
		return appendCanonicalJSON(dst, cell)
	case KindAuto, KindInteger, KindFloat, KindBinary, KindDate, KindBool:
		dst = append(dst, cell...)
	}
	if len(dst) == 0 && rule.EmptyIsNull {
		return nil, nil
	}
	return dst, nil
}

// closeFloats takes -0 for 0, NaN for NaN, and an infinity for the same infinity only.
func closeFloats(a, b []byte, tolerance float64) (bool, error) {
	x, err := strconv.ParseFloat(string(a), 64)
	if err != nil {
		return false, errNoFloat
	}
	y, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return false, errNoFloat
	}
	if math.IsNaN(x) || math.IsNaN(y) {
		return math.IsNaN(x) && math.IsNaN(y), nil
	}
	if math.IsInf(x, 0) || math.IsInf(y, 0) {
		return x == y, nil
	}
	return x == y || math.Abs(x-y) <= tolerance, nil
}

// cutFraction leaves out the digits of a second beyond the scale, and the zeros that are then at the end.
func cutFraction(cell []byte, rule *Column) []byte {
	point := bytes.IndexByte(cell, '.')
	if !rule.HasScale || point < 0 || len(cell)-point-1 <= rule.Scale {
		return cell
	}
	return bytes.TrimRight(bytes.TrimRight(cell[:point+1+rule.Scale], "0"), ".")
}

// appendRounded rounds a decimal half away from zero, as ROUND does for exact numbers in MySQL and MariaDB.
func appendRounded(dst, cell []byte, scale int) []byte {
	negative, whole, fraction, _, ok := splitNumber(cell)
	if !ok || len(fraction) <= scale {
		return append(dst, cell...)
	}
	up := fraction[scale] >= '5'
	number := append(append(make([]byte, 0, len(cell)+1), '0'), whole...)
	number = append(number, fraction[:scale]...)
	for i := len(number) - 1; up && i >= 0; i-- {
		number[i]++
		if up = number[i] > '9'; up {
			number[i] = '0'
		}
	}
	point := len(number) - scale
	return appendNumber(dst, negative, number[:point], number[point:])
}
