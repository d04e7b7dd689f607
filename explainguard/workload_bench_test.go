package explainguard_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql" // the floor's driver

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/bench"
)

// suiteShapes are 50 statements as a service sends them: half of them point look-ups, the rest lists, small joins and writes. Each
// takes two arguments.
func suiteShapes() (queries []string, write []bool) {
	add := func(w bool, q string) { queries, write = append(queries, q), append(write, w) }
	for _, c := range []string{"id, tenant", "note", "id, note", "tenant, note", "*", "id", "tenant", "LENGTH(note)", "note, tenant", "note, id", "UPPER(note)", "id + 1", "CONCAT(note, id)"} {
		add(false, "SELECT "+c+" FROM bookings WHERE id = ? AND tenant <> ?")
		add(false, "SELECT "+c+" FROM bookings WHERE tenant = ? AND id > ? ORDER BY id LIMIT 5")
	}
	for i, c := range []string{"b.id", "b.note", "g.name", "b.id, g.name", "b.note, g.name", "g.id", "b.tenant, g.id", "COUNT(*)"} {
		add(false, "SELECT "+c+" FROM bookings b JOIN guests g ON g.booking_id = b.id WHERE b.id = ? AND g.id <> ?")
		add(true, "UPDATE bookings b SET b.note = SUBSTRING(CONCAT(b.id, '"+c+"'), 1, "+strings.Repeat("+", i+1)+"20) WHERE b.id = ? AND b.tenant <> ?")
	}
	for _, f := range []string{"CONCAT", "LTRIM", "LOWER", "UPPER", "TRIM", "REVERSE"} {
		add(true, "INSERT INTO bookings (tenant, note) VALUES (? + 1000, "+f+"(?))")
	}
	add(false, "SELECT note FROM bookings WHERE id IN (?, ?)")
	add(true, "DELETE FROM guests WHERE booking_id = ? AND id = ? + 1000000")
	return queries, write
}

// BenchmarkGuardSuite sends 10,000 statements of 50 shapes with ever new arguments, as a test suite would, on a guarded pool. The
// floor sends the same unguarded.
func BenchmarkGuardSuite(b *testing.B) {
	s := bookings(b)
	queries, write := suiteShapes()
	if len(queries) != 50 {
		b.Fatalf("%d shapes", len(queries))
	}
	const ops = 10_000
	suite := func(db *sql.DB) error {
		ctx := context.Background()
		for i := range ops {
			k := i % len(queries)
			args := []any{1 + i*7%4000, i}
			if write[k] {
				if _, err := db.ExecContext(ctx, queries[k], args...); err != nil {
					return err
				}
				continue
			}
			rows, err := db.QueryContext(ctx, queries[k], args...)
			if err != nil {
				return err
			}
			for rows.Next() {
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				return err
			}
		}
		return nil
	}
	var log string
	bench.Benchmark{
		Name: "guard-suite/10k", Runs: 9,
		Ours: func() error {
			var err error
			tb := inTest(b, func(tb *suiteT) {
				db := (&explainguard.Guard{Budget: explainguard.Budget{Repeated: explainguard.Unlimited}}).Open(tb, s.DSN)
				err = suite(db)
			})
			log = tb.log()
			if err == nil && (len(tb.errors) > 0 || tb.fatal != "") {
				err = fmt.Errorf("the suite failed: %s %v", tb.fatal, tb.errors)
			}
			return err
		},
		Floor: func() error {
			db, err := sql.Open("mysql", s.DSN)
			if err != nil {
				return err
			}
			defer db.Close()
			return suite(db)
		},
	}.Run(b)
	if !strings.Contains(log, " of 50 shapes") {
		b.Fatal("not 50 shapes: " + log)
	}
}
