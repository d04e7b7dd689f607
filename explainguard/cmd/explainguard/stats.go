package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/tashikame-go/tashikame/explainguard"
)

// list is a flag that may be given several times, or with several values separated by commas.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(text string) error {
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			return errors.New("a name is missing")
		}
		*l = append(*l, one)
	}
	return nil
}

// statsDump writes a database's statistics.
func statsDump(ctx context.Context, args []string, stdout, stderr io.Writer) (int, error) {
	var db database
	var opts explainguard.DumpOptions
	var out output
	flags := flag.NewFlagSet("explainguard stats dump", flag.ContinueOnError)
	db.flags(flags)
	flags.StringVar(&out.file, "o", "", "`file` to write to (default: standard output)")
	flags.Var((*list)(&opts.Tables), "table", "only this `table` (repeatable; default: all)")
	flags.Var((*list)(&opts.HistogramValues), "histogram-values", "`table.column` of which the histogram's values may leave the server (repeatable; default: counts only)")
	flags.StringVar(&opts.Taken, "taken", "", "`text` kept in the file as it is, such as a date")
	flags.Int64Var(&opts.GroupRows, "group-rows", 0, "in tables of up to so many `rows` the most frequent value of each index is counted, by a scan of that index; -1 nowhere (default 20000000)")
	flags.DurationVar(&opts.GroupTime, "group-time", 0, "how long each of these counts may take (default 30s)")
	if err := parse(flags, args, stderr); err != nil {
		return 0, err
	}
	switch {
	case flags.NArg() > 0:
		return 0, usageError{fmt.Errorf("stats dump: %q is no flag; it takes no file: -o names the one to write", flags.Arg(0))}
	case opts.GroupTime < 0:
		return 0, usageError{fmt.Errorf("stats dump: -group-time %s is negative", opts.GroupTime)}
	}
	for _, name := range opts.HistogramValues {
		if table, column, ok := strings.Cut(name, "."); !ok || table == "" || column == "" {
			return 0, usageError{fmt.Errorf("stats dump: -histogram-values %q: write table.column", name)}
		}
	}
	pool, err := db.connect(ctx, "stats dump")
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	stats, err := explainguard.DumpStats(ctx, pool, opts)
	if err != nil {
		return 0, fmt.Errorf("stats dump: %w", err)
	}
	if err := out.to(stdout, stats.Write); err != nil {
		return 0, err
	}
	if unknown := stats.Unknown(); len(unknown) > 0 {
		fmt.Fprintf(stderr, "explainguard: not measured, so what depends on it will not be judged (%d):\n", len(unknown))
		for _, what := range unknown {
			fmt.Fprintln(stderr, "  "+what)
		}
	}
	return exitGood, nil
}

// statsApply gives statistics to a test database.
func statsApply(ctx context.Context, args []string, stdout, stderr io.Writer) (int, error) {
	var db database
	var kind statsKind
	flags := flag.NewFlagSet("explainguard stats apply", flag.ContinueOnError)
	db.flags(flags)
	kind.flags(flags)
	if err := parse(flags, args, stderr); err != nil {
		return 0, err
	}
	if flags.NArg() != 1 {
		return 0, usageError{fmt.Errorf("stats apply: name one file that stats dump wrote, after the flags; there are %d", flags.NArg())}
	}
	stats, err := kind.read(flags.Arg(0))
	if err != nil {
		return 0, err
	}
	if stats.Mode == explainguard.ModeDumped {
		stats = stats.BiggestGroup() // as a Guard takes them
	}
	pool, err := db.connect(ctx, "stats apply")
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	if err := stats.Apply(ctx, pool, kind.options(stderr)); err != nil {
		return 0, refusal(err)
	}
	return exitGood, applied(ctx, pool, stats, stdout)
}

// applied says what stands in the database now.
func applied(ctx context.Context, pool *sql.DB, stats *explainguard.Stats, stdout io.Writer) error {
	rows, err := pool.QueryContext(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND ENGINE = 'InnoDB'")
	if err != nil {
		return fmt.Errorf("stats apply: the statistics were applied, but the tables cannot be listed: %w", err)
	}
	defer rows.Close()
	var schema, name string
	var here []string
	for rows.Next() {
		if err := rows.Scan(&schema, &name); err != nil {
			return err
		}
		here = append(here, name)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("stats apply: the statistics were applied, but the tables cannot be listed: %w", err)
	}
	what := "averages"
	if stats.Mode == explainguard.ModeBiggest {
		what = "biggest groups"
	}
	if stats.Factor != 0 {
		what += fmt.Sprintf(", scaled by %g", stats.Factor)
	}
	var text strings.Builder
	n := 0
	for _, t := range stats.Tables {
		if slices.ContainsFunc(here, func(name string) bool { return strings.EqualFold(name, t.Name) }) {
			n++
			fmt.Fprintf(&text, "  %s: %d rows, %d indexes\n", t.Name, t.Rows, len(t.Indexes))
		}
	}
	_, err = fmt.Fprintf(stdout, "explainguard: applied the statistics of %d tables (%s) to %s\n%s", n, what, schema, text.String())
	return err
}

// statsKind is which statistics are applied, and where that may be.
type statsKind struct {
	averages, biggest bool
	columns           list
	scale             float64
	apply             explainguard.ApplyOptions
}

func (k *statsKind) flags(f *flag.FlagSet) {
	f.BoolFunc("biggest-group", "every tenant is as large as the largest (the default); -biggest-group=`column` says which columns are a tenant's (column or table.column, repeatable)", func(text string) error {
		if text == "false" {
			return errors.New("leave it out, or pass -averages")
		}
		k.biggest = true
		if text == "true" {
			return nil
		}
		return k.columns.Set(text)
	})
	f.BoolVar(&k.averages, "averages", false, "every tenant is as large as the average one")
	f.Float64Var(&k.scale, "scale", 1, "as if production had so many `times` the rows")
	f.BoolVar(&k.apply.Filled, "filled", false, "this is a test database although it holds many rows")
	f.Int64Var(&k.apply.MaxRows, "max-rows", 0, "a database in which a table holds more `rows` is refused, since it may be production (default 1000)")
}

// read reads a file of stats dump as the flags ask for.
func (k *statsKind) read(file string) (*explainguard.Stats, error) {
	switch {
	case k.averages && k.biggest:
		return nil, usageError{errors.New("-averages and -biggest-group contradict each other: pass one of them")}
	case math.IsNaN(k.scale) || math.IsInf(k.scale, 0) || k.scale <= 0:
		return nil, usageError{fmt.Errorf("-scale %v: give a positive number", k.scale)}
	case k.apply.MaxRows < 0:
		return nil, usageError{fmt.Errorf("-max-rows %d is negative", k.apply.MaxRows)}
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, usageError{err}
	}
	defer f.Close()
	stats, err := explainguard.ReadStats(f)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", file, err)}
	}
	if stats.Mode != explainguard.ModeDumped && (k.averages || k.biggest) {
		return nil, usageError{fmt.Errorf("%s is no longer as it was dumped, but of mode %q; leave out -averages and -biggest-group, or dump the statistics again", file, stats.Mode)}
	}
	if k.scale != 1 {
		stats = stats.Scale(k.scale)
	}
	switch {
	case k.averages:
		stats = stats.Averages()
	case k.biggest:
		stats = stats.BiggestGroup(k.columns...)
	}
	return stats, nil
}

// options are those of applying; each warning is written once.
func (k *statsKind) options(stderr io.Writer) explainguard.ApplyOptions {
	opts := k.apply
	said := map[explainguard.Reason]bool{}
	opts.Warn = func(r explainguard.Reason) {
		if !said[r] {
			said[r] = true
			fmt.Fprintf(stderr, "explainguard: warning: %s\n", r)
		}
	}
	return opts
}

// refusal makes a database that may be production the matter of whoever typed the command.
func refusal(err error) error {
	switch {
	case !errors.Is(err, explainguard.ErrRefused):
		return err
	case strings.Contains(err.Error(), "ApplyOptions"):
		return usageError{fmt.Errorf("%w (here: -filled or -max-rows)", err)}
	}
	return usageError{err}
}
