package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tashikame-go/tashikame/explainguard"
)

// check judges every statement of some files.
func check(ctx context.Context, args []string, stdout, stderr io.Writer) (int, error) {
	var db database
	var show output
	flags := flag.NewFlagSet("explainguard check", flag.ContinueOnError)
	db.flags(flags)
	show.flags(flags, "text")
	var by judgement
	by.flags(flags)
	if err := parse(flags, args, stderr); err != nil {
		return 0, err
	}
	if flags.NArg() == 0 {
		return 0, usageError{errors.New("check: name the .sql files to check; - is standard input")}
	}
	if err := show.validate(); err != nil {
		return 0, err
	}
	set := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
	guard, err := by.make(set, stderr)
	if err != nil {
		return 0, err
	}
	pool, err := db.connect(ctx, "check")
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	guard.DB = pool
	var reports []*explainguard.Report
	skipped := map[string]int{}
	for _, file := range flags.Args() {
		statements, err := readStatements(file)
		if err != nil {
			return 0, err
		}
		for _, s := range statements {
			r, err := guard.Check(ctx, s.text, s.args...)
			if errors.Is(err, explainguard.ErrNotExplainable) {
				word, _, _ := strings.Cut(strings.ToUpper(s.text), " ")
				skipped[strings.TrimSpace(word)]++
				continue
			}
			if errors.Is(err, explainguard.ErrRefused) {
				return 0, refusal(err)
			}
			r.CallSite = explainguard.CallSite{File: file, Line: s.line}
			reports = append(reports, r)
		}
	}
	if err := show.write(reports, stdout); err != nil {
		return 0, err
	}
	for word, n := range skipped {
		fmt.Fprintf(stderr, "explainguard: not judged, as there are no plans for it: %s (%d)\n", word, n)
	}
	for _, w := range guard.UnusedWaivers() {
		fmt.Fprintf(stderr, "explainguard: a waiver matched nothing, remove it: rule %s, %s\n", w.Rule, w)
	}
	if len(reports) == 0 {
		return 0, usageError{errors.New("check: no statement was judged, so nothing is known to be good")}
	}
	return verdict(explainguard.NewRun(reports...)), nil
}

// verdict is the exit code of a run.
func verdict(run *explainguard.Run) int {
	switch {
	case run.Count(explainguard.Fail) > 0:
		return exitBad
	case run.Count(explainguard.Unanalysable) > 0 || len(run.Entries) == 0:
		return exitUnknown
	default:
		return exitGood
	}
}

func readStatements(file string) ([]statement, error) {
	var text []byte
	var err error
	if file == "-" {
		text, err = io.ReadAll(os.Stdin)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, usageError{err}
	}
	statements, err := split(string(text))
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", file, err)}
	}
	return statements, nil
}
