package consistency

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// IDKind says how a column stores the ids of events. All tables of a Ledger are compared by one form of the id, whatever each stores.
type IDKind int

const (
	// IDAuto is the zero value: integers and text, as the server says. Text is compared byte by byte, that of a UUID without regard to letter case. What
	// the server calls binary must be declared.
	IDAuto IDKind = iota
	// IDUUID is a UUID as text, CHAR(36), CHAR(32) or MariaDB's UUID; letter case and hyphens do not matter. It need not be declared where another table of
	// the Ledger holds binary UUIDs.
	IDUUID
	// IDBinaryUUID is a UUID in BINARY(16) in the order of its digits, as UUID_TO_BIN(id) stores it.
	IDBinaryUUID
	// IDSwappedUUID is a UUID in BINARY(16) as UUID_TO_BIN(id, 1) stores it: the time parts are swapped for the sake of the index.
	IDSwappedUUID
)

// TimeKind says how a column stores a time.
type TimeKind int

const (
	// TimeAuto is the zero value: DATETIME (see EventLog.Location) or TIMESTAMP, as the server says. Integers must be declared.
	TimeAuto TimeKind = iota
	// TimeUnixSeconds is an integer: seconds since 1970 in UTC.
	TimeUnixSeconds
	// TimeUnixMillis is an integer: milliseconds since 1970 in UTC.
	TimeUnixMillis
	// TimeUnixMicros is an integer: microseconds since 1970 in UTC.
	TimeUnixMicros
	// Those that the server tells.
	timeDatetime
	timeTimestamp
)

// ledgerLog is an EventLog under the name it has in the declaration, and with what the server says about its columns.
type ledgerLog struct {
	EventLog
	name             string
	column, consumer string // the rows of one consumer: column = consumer
	integerID        bool
}

// event is one row of a log: an event at a stage.
type event struct {
	id                              string // in the one form for all tables
	at                              time.Time
	aggregateType, aggregateID, typ string
	sequence                        string
}

func quoteTable(name string) string {
	database, table, ok := strings.Cut(name, ".")
	if !ok {
		return quoteName(name)
	}
	return quoteName(database) + "." + quoteName(table)
}

// selectRows is the query for the rows of the log that condition selects.
func (l *ledgerLog) selectRows(condition, order string) string {
	at := quoteName(l.At)
	switch l.Times {
	case timeDatetime:
		at = "CAST(" + at + " AS CHAR)" // as it stands there, whatever the DSN's parseTime and loc say
	case timeTimestamp:
		at = "UNIX_TIMESTAMP(" + at + ")" // the instant, whatever the session's time zone is
	case TimeAuto, TimeUnixSeconds, TimeUnixMillis, TimeUnixMicros:
	}
	list := []string{quoteName(l.ID), at}
	for _, c := range []string{l.AggregateType, l.AggregateID, l.Type, l.Sequence} {
		if c == "" {
			list = append(list, "NULL")
		} else {
			list = append(list, quoteName(c))
		}
	}
	where := quoteName(l.At) + " IS NOT NULL AND " + condition
	if l.column != "" {
		where += " AND " + quoteName(l.column) + " = ?"
	}
	if l.Where != "" {
		where += " AND (" + l.Where + "\n)"
	}
	return "SELECT " + strings.Join(list, ", ") + " FROM " + quoteTable(l.Table) + " WHERE " + where + order
}

// args returns the values for the condition of selectRows and for what it adds.
func (l *ledgerLog) args(condition ...any) []any {
	if l.column != "" {
		condition = append(condition, l.consumer)
	}
	return append(condition, l.Args...)
}

// between is the query for the rows of a window. The server's bounds may be too wide (time zones, fractions): the caller looks at the times again.
func (l *ledgerLog) between(from, until time.Time, ordered bool) (query string, args []any) {
	order := " ORDER BY " + quoteName(l.At)
	if ordered {
		var by []string
		for _, c := range []string{l.AggregateType, l.AggregateID, l.Sequence} {
			if c != "" {
				by = append(by, quoteName(c))
			}
		}
		order = " ORDER BY " + strings.Join(by, ", ")
	}
	query = l.selectRows(fmt.Sprintf("%[1]s >= %[2]s AND %[1]s <= %[2]s", quoteName(l.At), l.mark()), order)
	return query, l.args(l.bound(from, false), l.bound(until, true))
}

// pageFrom is the query for the next rows in the order of At.
func (l *ledgerLog) pageFrom(from time.Time) (query string, args []any) {
	query = l.selectRows(quoteName(l.At)+" >= "+l.mark(), fmt.Sprintf(" ORDER BY %s LIMIT %d", quoteName(l.At), feedPage))
	return query, l.args(l.bound(from, false))
}

// mark is the place of a bound in a query.
func (l *ledgerLog) mark() string {
	if l.Times == timeTimestamp {
		return "FROM_UNIXTIME(?)"
	}
	return "?"
}

// bound writes a time as the column has it, rounded down or up.
func (l *ledgerLog) bound(t time.Time, up bool) any {
	unit := map[TimeKind]time.Duration{TimeUnixMillis: time.Millisecond, TimeUnixMicros: time.Microsecond, timeDatetime: time.Microsecond}[l.Times]
	if unit == 0 {
		unit = time.Second
	}
	n := t.UnixNano() / int64(unit)
	if up {
		n++
	}
	if l.Times == timeDatetime {
		return time.UnixMicro(n).In(l.location()).Format("2006-01-02 15:04:05.000000")
	}
	return n
}

func (l *ledgerLog) location() *time.Location {
	if l.Location == nil {
		return time.UTC
	}
	return l.Location
}

// withIDs is the query for the rows of these events.
func (l *ledgerLog) withIDs(ids []string) (query string, args []any, err error) {
	var values []any
	for _, id := range ids {
		forms, err := l.stored(id)
		if err != nil {
			return "", nil, err
		}
		values = append(values, forms...)
	}
	if len(values) == 0 {
		return "", nil, nil
	}
	marks := strings.Repeat(", ?", len(values))[2:]
	return l.selectRows(quoteName(l.ID)+" IN ("+marks+")", ""), l.args(values...), nil
}

// forms is how many values stored may return for one id.
func (l *ledgerLog) forms() int {
	switch {
	case l.IDs == IDUUID:
		return 4
	case l.IDs == IDAuto && !l.integerID:
		return 2
	}
	return 1
}

// stored returns how the column may hold the id; none if it cannot.
func (l *ledgerLog) stored(id string) ([]any, error) {
	switch l.IDs {
	case IDUUID: // however it is written, and under a collation that tells letter case apart
		bare := strings.ReplaceAll(id, "-", "")
		return []any{id, strings.ToUpper(id), bare, strings.ToUpper(bare)}, nil
	case IDBinaryUUID, IDSwappedUUID:
		b, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
		if err != nil || len(b) != 16 {
			return nil, fmt.Errorf("%s.%s: an event of another table has an id that is no UUID", l.Table, l.ID)
		}
		if l.IDs == IDSwappedUUID {
			b = swapUUID(b)
		}
		return []any{b}, nil
	case IDAuto:
	}
	if l.integerID {
		if n, err := strconv.ParseInt(id, 10, 64); err == nil {
			return []any{n}, nil
		}
		if n, err := strconv.ParseUint(id, 10, 64); err == nil {
			return []any{n}, nil
		}
		return nil, nil // no integer column holds it
	}
	if uuidShape.MatchString(id) {
		return []any{id, strings.ToUpper(id)}, nil
	}
	return []any{id}, nil
}

// canonicalID returns the one form of an id, from the value that the driver gave.
func (l *ledgerLog) canonicalID(v any) (string, error) {
	var text string
	switch v := v.(type) {
	case nil:
		return "", Permanent(fmt.Errorf("%s.%s is NULL in a row: an event without an id cannot be followed", l.Table, l.ID))
	case []byte:
		text = string(v)
	default:
		text = fmt.Sprint(v)
	}
	switch l.IDs {
	case IDAuto:
		if uuidShape.MatchString(text) {
			return strings.ToLower(text), nil
		}
		return text, nil
	case IDUUID:
		b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
		if err != nil || len(b) != 16 {
			return "", Permanent(fmt.Errorf("%s.%s holds a value that is no UUID (%d bytes of text): correct EventLog.IDs, or leave the row out with Where", l.Table, l.ID, len(text)))
		}
		return uuidText(b), nil
	case IDBinaryUUID, IDSwappedUUID:
	}
	if len(text) != 16 {
		return "", Permanent(fmt.Errorf("%s.%s holds a value of %d bytes, and a binary UUID has 16: correct EventLog.IDs", l.Table, l.ID, len(text)))
	}
	if l.IDs == IDSwappedUUID {
		return uuidText(unswapUUID([]byte(text))), nil
	}
	return uuidText([]byte(text)), nil
}

var uuidShape = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

func uuidText(b []byte) string {
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// swapUUID does what UUID_TO_BIN(id, 1) does: time-high, time-mid, time-low, the rest.
// https://dev.mysql.com/doc/refman/9.7/en/miscellaneous-functions.html#function_uuid-to-bin
func swapUUID(b []byte) []byte {
	return append(append(append(append(make([]byte, 0, 16), b[6:8]...), b[4:6]...), b[0:4]...), b[8:]...)
}

func unswapUUID(b []byte) []byte {
	return append(append(append(append(make([]byte, 0, 16), b[4:8]...), b[2:4]...), b[0:2]...), b[8:]...)
}

// time reads a value of At.
func (l *ledgerLog) time(v any) (time.Time, error) {
	text := fmt.Sprint(v)
	if b, ok := v.([]byte); ok {
		text = string(b)
	}
	if l.Times == timeDatetime {
		t, err := time.ParseInLocation(time.DateTime, text, l.location())
		if err != nil {
			return time.Time{}, Permanent(fmt.Errorf("%s.%s holds a value that is no date and time (such as a zero date)", l.Table, l.At))
		}
		return t, nil
	}
	whole, fraction, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	nanos, ferr := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil || ferr != nil || n < 0 {
		return time.Time{}, Permanent(fmt.Errorf("%s.%s holds a value that is no time since 1970: correct EventLog.Times", l.Table, l.At))
	}
	per := map[TimeKind]int64{TimeUnixMillis: 1000, TimeUnixMicros: 1_000_000}[l.Times]
	if per == 0 {
		per = 1
	}
	if n/per > math.MaxInt64/int64(time.Second) {
		return time.Time{}, Permanent(fmt.Errorf("%s.%s holds a time beyond the year 2262: correct EventLog.Times (seconds, milliseconds or microseconds)", l.Table, l.At))
	}
	return time.Unix(n/per, n%per*int64(time.Second)/per+nanos/per), nil
}

// settle takes from the server what the declaration leaves open. id and at are the names of the columns' types as the driver gives them.
func (l *ledgerLog) settle(id, at string) error {
	id, at = strings.TrimPrefix(id, "UNSIGNED "), strings.TrimPrefix(at, "UNSIGNED ")
	integer := func(t string) bool { return strings.HasSuffix(t, "INT") }
	var errs []error
	binary := id == "BINARY" || id == "VARBINARY" || strings.HasSuffix(id, "BLOB")
	l.integerID = integer(id)
	switch {
	case l.IDs == IDAuto && binary:
		errs = append(errs, fmt.Errorf("column %s is %s: say in EventLog.IDs how it holds the id (IDBinaryUUID, IDSwappedUUID)", l.ID, id))
	case (l.IDs == IDBinaryUUID || l.IDs == IDSwappedUUID) && !binary, l.IDs == IDUUID && (binary || l.integerID):
		errs = append(errs, fmt.Errorf("column %s is %s, which EventLog.IDs contradicts", l.ID, id))
	}
	switch {
	case l.Times == TimeAuto && at == "DATETIME":
		l.Times = timeDatetime
	case l.Times == TimeAuto && at == "TIMESTAMP":
		l.Times = timeTimestamp
	case l.Times == TimeAuto && integer(at):
		errs = append(errs, fmt.Errorf("column %s is %s: say in EventLog.Times what it counts (TimeUnixSeconds, TimeUnixMillis, TimeUnixMicros)", l.At, at))
	case l.Times == TimeAuto:
		errs = append(errs, fmt.Errorf("column %s is %s: a Ledger needs DATETIME, TIMESTAMP or an integer", l.At, at))
	case !integer(at):
		errs = append(errs, fmt.Errorf("column %s is %s, which EventLog.Times contradicts", l.At, at))
	}
	if err := errors.Join(errs...); err != nil {
		return Permanent(fmt.Errorf("table %s (Ledger.%s): %s", l.Table, l.name, oneLine(err)))
	}
	return nil
}
