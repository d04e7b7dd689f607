package consistency

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// rowReader hands the rows of a result to a sink, the columns in the order that was asked for.
type rowReader struct {
	want  scanRequest
	mysql bool
	sink  rowSink
}

func newRowReader(want scanRequest, mysql bool, sink rowSink) *rowReader {
	return &rowReader{want: want, mysql: mysql, sink: sink}
}

func (r *rowReader) read(rows *sql.Rows) error {
	types, err := rows.ColumnTypes()
	if err != nil {
		return advise("read the result", err)
	}
	at, err := positions(types, r.want.columns)
	if err != nil {
		return Permanent(err)
	}
	columns := make([]resolvedColumn, len(at))
	raw := make([]sql.RawBytes, len(at))
	dest := make([]any, len(types))
	var ignored sql.RawBytes
	for i := range dest {
		dest[i] = &ignored
	}
	var clocks []*clockCell
	var again [][2]int // columns that are asked for twice
	for i, from := range at {
		columns[i] = resolveColumn(types[from], r.mysql)
		if first := slices.Index(at, from); first < i {
			again = append(again, [2]int{i, first})
			continue
		}
		dest[from] = &raw[i]
		if columns[i].wall {
			cell := &clockCell{at: i, name: columns[i].name}
			clocks = append(clocks, cell)
			dest[from] = cell
		}
	}
	if err := r.sink.begin(columns); err != nil {
		return err
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return advise("read the result", err)
		}
		for _, c := range clocks {
			raw[c.at] = c.raw
		}
		for _, a := range again {
			raw[a[0]] = raw[a[1]]
		}
		if err := r.sink.row(raw); err != nil {
			return err
		}
	}
	return rows.Err()
}

// positions finds the columns of the result by name, as MySQL does without regard to letter case.
func positions(types []*sql.ColumnType, names []string) ([]int, error) {
	found := make(map[string]int, len(types))
	all := make([]string, len(types))
	for i, t := range types {
		all[i] = t.Name()
		folded := strings.ToLower(t.Name())
		if _, twice := found[folded]; twice {
			return nil, fmt.Errorf("the result has two columns named %q: give one of them an alias", t.Name())
		}
		found[folded] = i
	}
	at := make([]int, len(names))
	for i, name := range names {
		position, ok := found[strings.ToLower(name)]
		if !ok {
			return nil, fmt.Errorf("there is no column %q, only %s: select it, or correct Column.Name or Column.Right", name, strings.Join(all, ", "))
		}
		at[i] = position
	}
	return at, nil
}

// clockCell takes the wall clock of a date and time, whatever zone the driver put on it (parseTime=true, loc=…).
type clockCell struct {
	at   int
	name string
	raw  []byte
	own  []byte
}

// Scan is called by database/sql with the driver's value.
func (c *clockCell) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		c.raw = nil
	case []byte:
		c.raw = v
	case string:
		c.own = append(c.own[:0], v...)
		c.raw = c.own
	case time.Time:
		if nearGap(v) {
			return Permanent(fmt.Errorf("column %q: the DSN's loc=%s makes %s out of what may be another time, since clocks change there: remove loc from the DSN", c.name, v.Location(), v.Format(time.DateTime)))
		}
		c.own = v.AppendFormat(c.own[:0], "2006-01-02T15:04:05.999999999Z07:00")
		c.raw = c.own
	default:
		return Permanent(fmt.Errorf("column %q: the driver delivers a %T for a date and time", c.name, src))
	}
	return nil
}

// nearGap reports whether a wall clock that does not exist in the location (clocks are put forward) could have become t.
func nearGap(t time.Time) bool {
	if t.Location() == time.UTC {
		return false
	}
	start, end := t.ZoneBounds()
	for _, change := range []time.Time{start, end} {
		if change.IsZero() {
			continue
		}
		_, before := change.Add(-time.Second).Zone()
		_, after := change.Zone()
		gap := time.Duration(after-before) * time.Second
		if gap > 0 && t.Before(change.Add(gap)) && !t.Before(change.Add(-gap)) {
			return true
		}
	}
	return false
}
