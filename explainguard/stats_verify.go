package explainguard

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
)

// verify makes sure that the server plans by what was written: information_schema, which asks the storage engine as the
// optimizer does, and an EXPLAIN.
func (a *applier) verify(ctx context.Context) error {
	c, err := readCatalogue(ctx, a.session)
	if err != nil {
		return err
	}
	for _, t := range a.pending {
		d := c.table(t.declared.name)
		if d == nil {
			return fmt.Errorf("table %s was dropped while the statistics were applied; apply them again", t.declared.name)
		}
		if err := t.took(d); err != nil {
			return err
		}
	}
	for tables := range slices.Chunk(a.pending, 40) {
		if err := a.plans(ctx, tables); err != nil {
			return err
		}
	}
	return nil
}

const notTaken = "apply the statistics again; if another test truncates, alters or analyzes the table meanwhile, give each test process a database of its own"

// took compares what the server says about a table with what it was given.
func (f *fitted) took(now *declared) error {
	want := f.total()
	if !closeTo(now.rows, want) {
		return fmt.Errorf("the server did not take the statistics of table %s: it has %d rows by them, information_schema says %d; %s", f.declared.name, want, now.rows, notTaken)
	}
	if len(f.declared.partitions) > 0 {
		return nil // information_schema adds up the partitions in ways of its own
	}
	for _, ix := range f.indexes {
		at := slices.IndexFunc(now.indexes, func(x declaredIndex) bool { return x.name == ix.name })
		if at < 0 {
			return fmt.Errorf("index %s of table %s was dropped while the statistics were applied; apply them again", ix.name, f.declared.name)
		}
		if ix.stats == nil {
			continue
		}
		for k, have := range now.indexes[at].cardinals {
			if want := ix.stats.Distinct[k]; !closeTo(have, min(want, f.stats.Rows)) {
				return fmt.Errorf("the server did not take the statistics of index %s of table %s: %s has %d different values by them, information_schema says %d; %s",
					ix.name, f.declared.name, strings.Join(ix.columns[:k+1], ", "), want, have, notTaken)
			}
		}
	}
	return nil
}

// total is the rows of all partitions here.
func (f *fitted) total() int64 {
	if len(f.declared.partitions) == 0 {
		return f.stats.Rows
	}
	var sum int64
	for _, p := range f.declared.partitions {
		sum += f.partition(p.name).Rows
	}
	return sum
}

// closeTo allows for the server's rounding and for rows that came or went meanwhile.
func closeTo(have, want int64) bool {
	if have < 0 {
		have = 0
	}
	return math.Abs(float64(have-want)) <= math.Max(1, 0.02*float64(want)) || have > want && have-want <= defaultMaxRows
}

// plans asks the optimizer itself.
func (a *applier) plans(ctx context.Context, tables []*fitted) error {
	var parts []string
	for i, t := range tables {
		parts = append(parts, fmt.Sprintf("SELECT 1 FROM %s t%d", quoteName(a.catalogue.schema, t.declared.name), i))
	}
	explain := "EXPLAIN FORMAT=TRADITIONAL "
	if a.session.was.mariaDB() { // knows no other table
		explain = "EXPLAIN "
	}
	rows, err := a.session.tabular(ctx, explain+strings.Join(parts, " UNION ALL "))
	if err != nil {
		return explained(ctx, "ask the optimizer for the rows of the tables", err)
	}
	found := map[string]int64{}
	for _, row := range rows {
		found[row.table] = int64(row.rows)
	}
	for i, t := range tables {
		want := max(t.total(), 1)
		if have, ok := found[fmt.Sprintf("t%d", i)]; !ok || !closeTo(have, want) {
			return fmt.Errorf("the optimizer does not plan by the statistics of table %s: it has %d rows by them, EXPLAIN says %d; %s", t.declared.name, want, have, notTaken)
		}
	}
	return nil
}
