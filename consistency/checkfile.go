package consistency

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// LoadFS makes a check of every .sql file below fsys, in the order of their paths, for example out of an embed.FS or os.DirFS("checks"). dbs are the
// databases that the files name.
//
// A file begins with a header of SQL comments; the rest is one statement that returns the rows which must not exist. So it runs as it is in any client.
//
//	-- key: id
//	-- owner: payments
//	-- population: SELECT COUNT(*) FROM orders
//	SELECT o.id, o.paid_at FROM orders o LEFT JOIN payments p ON p.order_id = o.id
//	WHERE o.paid_at IS NOT NULL AND p.id IS NULL
//
// The headers, each once, in any order; key is required, the others have the defaults of Meta and SQL:
//
//	-- name: orders-without-payment   the name; default: the path without .sql
//	-- db: orders                     the database, by its name in dbs; default where there is only one
//	-- confirm-db: orders-live        takes the second and later looks (SQL.Confirm)
//	-- key: id, line                  the columns that identify a row
//	-- population: SELECT COUNT(*) …  counts the rows that were looked at, on one line
//	-- owner: payments                who acts
//	-- runbook: https://…             how to repair it
//	-- severity: critical             minor, normal or critical
//	-- retry: 3 every 30s             three looks, 30 s apart; "1" convicts at first sight
//	-- timeout: 2m                    limits one look
//	-- remind: 24h                    when people are told again
//	-- schedule: every 1h             when Runner.Loop runs it
//	-- mask: email, phone             columns whose values are not shown
//	-- max-rows: 5000                 the rows that are kept
//
// Durations are Go's, and days: 90s, 1h30m, 7d. A name with a comma or a space in it stands in backticks.
//
// A file with two statements, one after "-- left: orders" and one after "-- right: billing", where these are names of databases, is a Reconcile check of
// two queries, each ordered by the key. It has no db, confirm-db and population, and these in addition:
//
//	-- key: id integer, line          a column may have a kind: integer, decimal, float, text, binary, time, date, json, bool
//	-- compare: amount decimal scale=2, note text trim, paid_at time location=Asia/Tokyo
//	-- confirm-left: orders-live      and confirm-right take the second and later looks
//
// What may follow a kind: right=name (its name on the right), fold, trim, empty-is-null, scale=2, tolerance=0.01, location=Asia/Tokyo; see Column.
//
// Above the SQL a comment of one word and a colon ("-- todo: …") is taken for a header, so that a misspelt one is never passed over. Every other comment
// is allowed: "-- to do: …", "# todo …", "/* … */".
//
// What is wrong in any file is an error that lists all problems with file and line; then no check is returned. No file at all is an error.
// LoadFS does not connect.
func LoadFS(fsys fs.FS, dbs map[string]*sql.DB) ([]Check, error) {
	l := &checkLoader{dbs: dbs, first: map[string]string{}}
	err := fs.WalkDir(fsys, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			l.problems = append(l.problems, fmt.Sprintf("%s: %v", file, err))
			return nil
		}
		if d.IsDir() || !strings.EqualFold(path.Ext(file), ".sql") {
			return nil
		}
		l.files++
		src, err := fs.ReadFile(fsys, file)
		if err != nil {
			l.problems = append(l.problems, fmt.Sprintf("%s: %v", file, err))
			return nil
		}
		l.load(file, src)
		return nil
	})
	switch {
	case err != nil:
		l.problems = append(l.problems, err.Error())
	case l.files == 0 && len(l.problems) == 0:
		return nil, errors.New("consistency: the checks cannot be loaded: there is no .sql file: is this the right folder, and does the pattern of go:embed match them?")
	}
	switch len(l.problems) {
	case 0:
		return l.checks, nil
	case 1:
		return nil, fmt.Errorf("consistency: the checks cannot be loaded: %s", l.problems[0])
	}
	return nil, fmt.Errorf("consistency: the checks cannot be loaded, %d problems:\n  - %s", len(l.problems), strings.Join(l.problems, "\n  - "))
}

// checkLoader gathers the checks of several files, and what is wrong with them.
type checkLoader struct {
	dbs      map[string]*sql.DB
	first    map[string]string // where a check of that name was declared
	files    int
	checks   []Check
	problems []string
}

func (l *checkLoader) load(file string, src []byte) {
	parsed, problems := parseCheckFile(src)
	var check Check
	if len(problems) == 0 {
		check, problems = buildCheck(file, parsed, l.dbs)
	}
	if len(problems) == 0 {
		name, at := check.Describe().Name, fmt.Sprintf("%s:%d", file, max(parsed.headers["name"].line, 1))
		if other, twice := l.first[name]; twice {
			problems = append(problems, lineError{max(parsed.headers["name"].line, 1), fmt.Sprintf("the name %q is taken by %s: names must be unique", name, other)})
		} else {
			l.first[name] = at
		}
	}
	slices.SortStableFunc(problems, func(a, b lineError) int { return a.line - b.line })
	for _, p := range problems {
		l.problems = append(l.problems, fmt.Sprintf("%s:%d: %s", file, p.line, p.text))
	}
	if len(problems) == 0 {
		l.checks = append(l.checks, check)
	}
}

// lineError is what is wrong with a line of a file.
type lineError struct {
	line int
	text string
}

// dbNames lists the databases that a file may name.
func dbNames(dbs map[string]*sql.DB) string {
	if len(dbs) == 0 {
		return "none is given to LoadFS"
	}
	return "there is " + strings.Join(slices.Sorted(maps.Keys(dbs)), ", ")
}
