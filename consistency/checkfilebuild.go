package consistency

import (
	"database/sql"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// buildCheck makes a check of a file that was taken apart, or says all that is wrong with its values.
func buildCheck(file string, f checkFile, dbs map[string]*sql.DB) (Check, []lineError) {
	b := &checkBuilder{headers: f.headers, dbs: dbs, reconcile: f.parts[0].header != ""}
	meta := b.meta(strings.TrimSuffix(file, path.Ext(file)))
	b.fitting()
	key, ok := f.headers["key"]
	if !ok {
		b.problem(1, "the header \"key\" is missing: name the columns that identify a row, as -- key: id")
	}
	var check Check
	if b.reconcile {
		r := Reconcile{Meta: meta, Key: b.columns("key", key, true), MaxRows: b.number("max-rows")}
		if compare, ok := f.headers["compare"]; ok {
			r.Compare = b.columns("compare", compare, true)
		}
		for _, part := range f.parts {
			q := Query{DB: b.db(part.header, header{part.db, part.line}), SQL: b.statement(part)}
			confirm := q
			confirm.DB = b.namedDB("confirm-" + part.header)
			if part.header == "left" {
				r.Left, r.LeftName = querySource(q), part.db
				r.ConfirmLeft = querySource(confirm)
			} else {
				r.Right, r.RightName = querySource(q), part.db
				r.ConfirmRight = querySource(confirm)
			}
		}
		if r.LeftName == r.RightName {
			r.LeftName, r.RightName = "", ""
		}
		check = r
	} else {
		s := SQL{Meta: meta, Query: b.statement(f.parts[0]), MaxRows: b.number("max-rows"), Confirm: b.namedDB("confirm-db")}
		for _, c := range b.columns("key", key, false) {
			s.Key = append(s.Key, c.Name)
		}
		if h, ok := f.headers["db"]; ok {
			s.DB = b.db("db", h)
		} else if s.DB, ok = b.onlyDB(); !ok {
			b.problem(1, "the header \"db\" is missing: name the database, as -- db: orders (%s)", dbNames(dbs))
		}
		if h, ok := f.headers["population"]; ok && h.value != "" {
			s.Population = h.value
			b.vet(h.value, h.line)
		}
		check = s
	}
	if len(b.problems) == 0 {
		for _, err := range append(meta.problems(), validateCheck(check)...) {
			b.problem(1, "%v", err)
		}
	}
	return check, b.problems
}

// querySource is nil for a query without a database.
func querySource(q Query) Source {
	if q.DB == nil {
		return nil
	}
	return q
}

// checkBuilder reads the values of headers and gathers what is wrong with them.
type checkBuilder struct {
	headers   map[string]header
	dbs       map[string]*sql.DB
	reconcile bool
	problems  []lineError
}

func (b *checkBuilder) problem(line int, format string, args ...any) {
	b.problems = append(b.problems, lineError{line, fmt.Sprintf(format, args...)})
}

// fitting reports the headers that the kind of the check does not have.
func (b *checkBuilder) fitting() {
	only, why := []string{"compare", "confirm-left", "confirm-right"}, "stands only in a file with -- left: and -- right:"
	if b.reconcile {
		only, why = []string{"db", "confirm-db", "population"}, "contradicts -- left: and -- right:, which name the database of each statement"
	}
	for _, name := range only {
		if h, ok := b.headers[name]; ok {
			b.problem(h.line, "the header %q %s; remove it", name, why)
		}
	}
}

func (b *checkBuilder) meta(name string) Meta {
	text := func(name string) string { return b.headers[name].value }
	m := Meta{
		Name: name, Owner: text("owner"), Runbook: text("runbook"),
		Timeout: b.duration("timeout"), Remind: b.duration("remind"), Mask: b.mask(),
	}
	if h, ok := b.headers["name"]; ok {
		m.Name = h.value
	}
	if h, ok := b.headers["severity"]; ok {
		switch h.value {
		case "minor":
			m.Severity = SeverityMinor
		case "normal":
		case "critical":
			m.Severity = SeverityCritical
		default:
			b.problem(h.line, "the severity %q is unknown: there are minor, normal and critical", h.value)
		}
	}
	if h, ok := b.headers["retry"]; ok {
		m.Retry = b.retry(h)
	}
	if h, ok := b.headers["schedule"]; ok {
		every, ok := strings.CutPrefix(h.value, "every ")
		d, err := parseDays(strings.TrimSpace(every))
		if !ok || err != nil || d < time.Second {
			b.problem(h.line, "the schedule %q is none: write for example every 1h, at least every 1s", h.value)
		}
		m.Schedule = Every(d)
	}
	return m
}

// retry reads "3 every 30s" and "1".
func (b *checkBuilder) retry(h header) *Retry {
	attempts, every, spaced := strings.Cut(h.value, " ")
	n, err := strconv.Atoi(attempts)
	r := &Retry{Attempts: n}
	bad := err != nil || n < 1 || n > 1000
	if spaced {
		delay, ok := strings.CutPrefix(strings.TrimSpace(every), "every ")
		d, err := parseDays(strings.TrimSpace(delay))
		bad = bad || !ok || err != nil || d <= 0
		r.Delay, r.MaxDelay = d, d // evenly spaced: the delay does not grow
	}
	if bad {
		b.problem(h.line, "the retry %q is none: write for example 3 every 30s (three looks, 30 s apart), or 1 to convict at first sight", h.value)
	}
	return r
}

func (b *checkBuilder) duration(name string) time.Duration {
	h, ok := b.headers[name]
	if !ok || h.value == "" {
		return 0
	}
	d, err := parseDays(h.value)
	if err != nil || d <= 0 {
		b.problem(h.line, "the %s %q is no length of time above zero: write for example 90s, 2m, 1h30m or 7d", name, h.value)
	}
	return d
}

// parseDays is time.ParseDuration, with days.
func parseDays(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(s)
}

func (b *checkBuilder) number(name string) int {
	h, ok := b.headers[name]
	if !ok || h.value == "" {
		return 0
	}
	n, err := strconv.Atoi(h.value)
	if err != nil || n < 1 {
		b.problem(h.line, "%s is %q: write a whole number above zero", name, h.value)
	}
	return n
}

func (b *checkBuilder) mask() []string {
	h, ok := b.headers["mask"]
	if !ok {
		return nil
	}
	var names []string
	for _, c := range b.columns("mask", h, false) {
		names = append(names, c.Name)
	}
	return names
}

// namedDB returns the database that a header names, nil where there is no such header.
func (b *checkBuilder) namedDB(name string) *sql.DB {
	h, ok := b.headers[name]
	if !ok {
		return nil
	}
	return b.db(name, h)
}

func (b *checkBuilder) db(name string, h header) *sql.DB {
	db, ok := b.dbs[h.value]
	switch {
	case h.value == "": // said already
	case !ok:
		near := nearest(h.value, slices.Sorted(maps.Keys(b.dbs)))
		if near != "" {
			near = ": did you mean " + near + "?"
		}
		b.problem(h.line, "the database %q (%s) is unknown, %s%s", h.value, name, dbNames(b.dbs), near)
	case db == nil:
		b.problem(h.line, "the database %q (%s) is nil in the map that LoadFS was given", h.value, name)
	}
	return db
}

// onlyDB returns the database of files that name none.
func (b *checkBuilder) onlyDB() (*sql.DB, bool) {
	if len(b.dbs) != 1 {
		return nil, false
	}
	for name, db := range b.dbs {
		if db == nil {
			b.problem(1, "the database %q is nil in the map that LoadFS was given", name)
		}
		return db, true
	}
	return nil, false
}

// statement vets what stands in the file, so that it is refused with its line.
func (b *checkBuilder) statement(part checkPart) string {
	b.vet(part.sql, part.sqlLine)
	return part.sql
}

// vet says where in the file a statement is not plain reading.
func (b *checkBuilder) vet(query string, line int) {
	err := vetAnyMode(query)
	if err == nil {
		return
	}
	text := strings.TrimPrefix(err.Error(), "the query was not sent: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if n, rest, ok := strings.Cut(rest, " "); ok {
			if in, err := strconv.Atoi(n); err == nil {
				b.problem(line+in-1, "the statement %s", rest)
				return
			}
		}
	}
	b.problem(line, "the statement cannot be used: %s", text)
}
