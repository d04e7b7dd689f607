package consistency

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// cellReader turns what a source delivers into the neutral form of the column's kind.
type cellReader struct {
	kind Kind
	rule Column
	key  bool // Fold and TrimSpace are part of the neutral form
	from resolvedColumn
}

// append appends the neutral form of raw, which is not NULL. An error says what raw is not, without quoting it.
func (r *cellReader) append(dst, raw []byte) ([]byte, error) {
	var number [20]byte
	if r.from.bits {
		n, err := bitsOf(raw)
		if err != nil {
			return dst, err
		}
		raw = strconv.AppendUint(number[:0], n, 10)
	}
	switch r.kind {
	case KindInteger:
		return appendInteger(dst, raw)
	case KindDecimal:
		return appendDecimal(dst, raw)
	case KindFloat:
		return appendFloat(dst, raw)
	case KindText:
		if r.key && (r.rule.Fold || r.rule.TrimSpace) {
			return appendRuledText(dst, raw, r.rule), nil
		}
		return append(dst, raw...), nil
	case KindBinary:
		return append(dst, raw...), nil
	case KindTime:
		return appendTime(dst, raw, r.from, r.rule.Location)
	case KindDate:
		return appendDate(dst, raw, r.from)
	case KindJSON:
		if !json.Valid(raw) || !utf8.Valid(raw) {
			return dst, errors.New("which is not JSON")
		}
		return append(dst, raw...), nil
	case KindBool:
		return appendBool(dst, raw)
	case KindAuto:
	}
	return dst, fmt.Errorf("of the kind %d, which there is not", r.kind)
}

func bitsOf(raw []byte) (uint64, error) {
	if len(raw) > 8 {
		return 0, errors.New("which is no BIT value: it is longer than 8 bytes")
	}
	var n uint64
	for _, b := range raw {
		n = n<<8 | uint64(b)
	}
	return n, nil
}

// appendInteger accepts 42, -42, +42, 0042, 42.000.
func appendInteger(dst, raw []byte) ([]byte, error) {
	// By far most are plain: digits, no leading zero.
	plain := len(raw) > 0 && raw[0] >= '1' && raw[0] <= '9'
	for i := 1; plain && i < len(raw); i++ {
		plain = raw[i] >= '0' && raw[i] <= '9'
	}
	if plain {
		return append(dst, raw...), nil
	}
	start := len(dst)
	dst, err := appendDecimal(dst, raw)
	if err != nil {
		return dst[:start], errNoInteger
	}
	for _, c := range dst[start:] {
		if c == '.' {
			return dst[:start], errNoInteger
		}
	}
	return dst, nil
}

var (
	errNoInteger = errors.New("which is no whole number")
	errNoDecimal = errors.New("which is no decimal number")
	errNoFloat   = errors.New("which is no floating-point number")
	errNoTime    = errors.New("which is no date and time (2006-01-02 15:04:05)")
	errNoDate    = errors.New("which is no date (2006-01-02)")
	errNoBool    = errors.New("which is neither true nor false (0, 1)")
)

// maxExponent bounds how many zeros an exponent may stand for; DECIMAL has 65 digits, a float64 about 310.
const maxExponent = 400

// appendDecimal accepts digits with a sign, a point and an exponent.
func appendDecimal(dst, raw []byte) ([]byte, error) {
	negative, whole, fraction, exponent, ok := splitNumber(raw)
	if !ok || exponent > maxExponent || exponent < -maxExponent {
		return dst, errNoDecimal
	}
	for ; exponent > 0; exponent-- { // 1.25e1 is 12.5
		digit := byte('0')
		if len(fraction) > 0 {
			digit, fraction = fraction[0], fraction[1:]
		}
		whole = append(whole[:len(whole):len(whole)], digit)
	}
	for ; exponent < 0; exponent++ {
		digit := byte('0')
		if len(whole) > 0 {
			digit, whole = whole[len(whole)-1], whole[:len(whole)-1]
		}
		fraction = append([]byte{digit}, fraction...)
	}
	return appendNumber(dst, negative, whole, fraction), nil
}

// appendNumber writes the neutral form: no zeros that mean nothing, no minus before zero.
func appendNumber(dst []byte, negative bool, whole, fraction []byte) []byte {
	for len(whole) > 0 && whole[0] == '0' {
		whole = whole[1:]
	}
	for len(fraction) > 0 && fraction[len(fraction)-1] == '0' {
		fraction = fraction[:len(fraction)-1]
	}
	if negative && len(whole)+len(fraction) > 0 {
		dst = append(dst, '-')
	}
	if len(whole) == 0 {
		dst = append(dst, '0')
	}
	dst = append(dst, whole...)
	if len(fraction) > 0 {
		dst = append(append(dst, '.'), fraction...)
	}
	return dst
}

// splitNumber takes [+-]digits[.digits][e[+-]digits] apart. whole and fraction are parts of raw.
func splitNumber(raw []byte) (negative bool, whole, fraction []byte, exponent int, ok bool) {
	if len(raw) > 0 && (raw[0] == '-' || raw[0] == '+') {
		negative, raw = raw[0] == '-', raw[1:]
	}
	whole, raw = digits(raw)
	if len(raw) > 0 && raw[0] == '.' {
		fraction, raw = digits(raw[1:])
	}
	if len(whole)+len(fraction) == 0 {
		return false, nil, nil, 0, false
	}
	if len(raw) > 0 && (raw[0] == 'e' || raw[0] == 'E') {
		text := string(raw[1:])
		n, err := strconv.Atoi(text)
		if err != nil {
			return false, nil, nil, 0, false
		}
		exponent, raw = n, nil
	}
	return negative, whole, fraction, exponent, len(raw) == 0
}

func digits(b []byte) (head, rest []byte) {
	i := 0
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return b[:i], b[i:]
}

func appendFloat(dst, raw []byte) ([]byte, error) {
	for _, c := range raw {
		if c == 'x' || c == 'X' || c == '_' || c == 'p' || c == 'P' { // forms that only Go knows
			return dst, errNoFloat
		}
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return dst, errNoFloat
	}
	if f == 0 { // without its sign
		return append(dst, '0'), nil
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64), nil
}

func appendBool(dst, raw []byte) ([]byte, error) {
	if len(raw) == 1 {
		switch raw[0] {
		case '0', 'f', 'F':
			return append(dst, "false"...), nil
		case '1', 't', 'T':
			return append(dst, "true"...), nil
		}
	}
	switch {
	case strings.EqualFold(string(raw), "true"):
		return append(dst, "true"...), nil
	case strings.EqualFold(string(raw), "false"):
		return append(dst, "false"...), nil
	}
	return dst, errNoBool
}

// appendRuledText applies Fold and TrimSpace.
func appendRuledText(dst, raw []byte, rule Column) []byte {
	if rule.TrimSpace {
		for len(raw) > 0 && raw[len(raw)-1] == ' ' {
			raw = raw[:len(raw)-1]
		}
	}
	if !rule.Fold {
		return append(dst, raw...)
	}
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		if r == utf8.RuneError && size <= 1 {
			dst = append(dst, raw[0]) // not UTF-8: as it is
		} else {
			dst = utf8.AppendRune(dst, foldRune(r))
		}
		raw = raw[size:]
	}
	return dst
}

// foldRune returns the same rune for all that differ by letter case only (Unicode's simple folding).
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	if 'A' <= least && least <= 'Z' { // the Kelvin sign is a k
		least += 'a' - 'A'
	}
	return least
}

// appendDate accepts 2006-01-02, also with a time of midnight behind it, as drivers write it that know no date.
func appendDate(dst, raw []byte, from resolvedColumn) ([]byte, error) {
	d, ok := parseDateTime(raw)
	if !ok || d.hour|d.minute|d.second != 0 || strings.Trim(string(d.fraction), "0") != "" {
		return dst, errNoDate
	}
	if from.wall && d.driverZero() {
		d.year, d.month, d.day = 0, 0, 0
	}
	return d.appendDate(dst), nil
}

// appendTime writes the instant in UTC.
func appendTime(dst, raw []byte, from resolvedColumn, loc *time.Location) ([]byte, error) {
	d, ok := parseDateTime(raw)
	if !ok {
		return dst, errNoTime
	}
	if from.wall {
		if d.driverZero() {
			d.year, d.month, d.day = 0, 0, 0
		}
		d.offset, d.zoned = 0, false
	}
	if from.zone == zoneWritten && !d.zoned {
		return dst, errors.New("which has no offset from UTC")
	}
	shift := d.zoned && d.offset != 0
	if from.zone == zoneColumn && !d.zoned && loc != nil && loc != time.UTC {
		shift = true
	}
	// A date with a zero in it ('0000-00-00', '2026-00-00') is no instant: it is taken as it is written.
	if shift && d.year > 0 && d.month > 0 && d.day > 0 {
		zone := loc
		if d.zoned {
			zone = time.FixedZone("", d.offset)
		}
		t := time.Date(d.year, time.Month(d.month), d.day, d.hour, d.minute, d.second, 0, zone).UTC()
		if t.Year() < 0 || t.Year() > 9999 {
			return dst, errNoTime
		}
		d.year, d.month, d.day = t.Year(), int(t.Month()), t.Day()
		d.hour, d.minute, d.second = t.Clock()
	}
	dst = append(d.appendDate(dst), ' ')
	dst = append(appendTwo(dst, d.hour), ':')
	dst = append(appendTwo(dst, d.minute), ':')
	dst = appendTwo(dst, d.second)
	fraction := d.fraction
	for len(fraction) > 0 && fraction[len(fraction)-1] == '0' {
		fraction = fraction[:len(fraction)-1]
	}
	if len(fraction) > 0 {
		dst = append(append(dst, '.'), fraction...)
	}
	return dst, nil
}

// dateTime is a date and time as written.
type dateTime struct {
	year, month, day, hour, minute, second int
	fraction                               []byte
	zoned                                  bool
	offset                                 int // seconds east of UTC
}

// driverZero is what go-sql-driver makes of '0000-00-00' with parseTime=true: Go's zero time.
func (d dateTime) driverZero() bool {
	return d.year == 1 && d.month == 1 && d.day == 1 && d.hour|d.minute|d.second == 0
}

func (d dateTime) appendDate(dst []byte) []byte {
	dst = appendTwo(appendTwo(dst, d.year/100), d.year%100)
	dst = append(appendTwo(append(dst, '-'), d.month), '-')
	return appendTwo(dst, d.day)
}

func appendTwo(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

// parseDateTime accepts 2006-01-02, 2006-01-02 15:04:05, each with a fraction, T for the space, and Z or an offset at the end.
func parseDateTime(b []byte) (d dateTime, ok bool) {
	if len(b) < 10 || b[4] != '-' || b[7] != '-' {
		return d, false
	}
	y1, ok1 := twoDigits(b[0:])
	y2, ok2 := twoDigits(b[2:])
	month, ok3 := twoDigits(b[5:])
	day, ok4 := twoDigits(b[8:])
	d.year, d.month, d.day = y1*100+y2, month, day
	if !ok1 || !ok2 || !ok3 || !ok4 || month > 12 || day > daysIn(d.year, month) {
		return d, false
	}
	b = b[10:]
	if len(b) == 0 {
		return d, true
	}
	if len(b) < 9 || b[0] != ' ' && b[0] != 'T' || b[3] != ':' || b[6] != ':' {
		return d, false
	}
	d.hour, ok1 = twoDigits(b[1:])
	d.minute, ok2 = twoDigits(b[4:])
	d.second, ok3 = twoDigits(b[7:])
	if !ok1 || !ok2 || !ok3 || d.hour > 23 || d.minute > 59 || d.second > 59 {
		return d, false
	}
	b = b[9:]
	if len(b) > 0 && b[0] == '.' {
		d.fraction, b = digits(b[1:])
		if len(d.fraction) == 0 || len(d.fraction) > 9 {
			return d, false
		}
	}
	switch {
	case len(b) == 0:
		return d, true
	case len(b) == 1 && b[0] == 'Z':
		d.zoned = true
		return d, true
	case b[0] != '+' && b[0] != '-' || len(b) != 3 && len(b) != 6 || len(b) == 6 && b[3] != ':':
		return d, false
	}
	hours, ok1 := twoDigits(b[1:])
	minutes := 0
	if len(b) == 6 {
		minutes, ok2 = twoDigits(b[4:])
	}
	if !ok1 || !ok2 || hours > 23 || minutes > 59 {
		return d, false
	}
	d.zoned, d.offset = true, hours*3600+minutes*60
	if b[0] == '-' {
		d.offset = -d.offset
	}
	return d, true
}

func twoDigits(b []byte) (int, bool) {
	if b[0] < '0' || b[0] > '9' || b[1] < '0' || b[1] > '9' {
		return 0, false
	}
	return int(b[0]-'0')*10 + int(b[1]-'0'), true
}

// daysIn allows 31 days where the month is 0: MySQL stores such dates.
func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}
