package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tashikame-go/tashikame/explainguard"
)

// report merges what test processes left behind, and shows it.
func report(args []string, stdout, stderr io.Writer) (int, error) {
	var show output
	flags := flag.NewFlagSet("explainguard report", flag.ContinueOnError)
	show.flags(flags, "html")
	if err := parse(flags, args, stderr); err != nil {
		return 0, err
	}
	if flags.NArg() == 0 {
		return 0, usageError{errors.New("report: name the directory that " + explainguard.ReportDirEnv + " named for the tests, or files from it")}
	}
	if err := show.validate(); err != nil {
		return 0, err
	}
	run := explainguard.NewRun()
	read := 0
	for _, name := range flags.Args() {
		err := filepath.WalkDir(name, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || file != name && filepath.Ext(file) != ".jsonl" && filepath.Ext(file) != ".json" {
				return err
			}
			f, err := os.Open(file)
			if err != nil {
				return err
			}
			defer f.Close()
			one, err := explainguard.ReadRun(f)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			run.Merge(one)
			read++
			return nil
		})
		if err != nil {
			return 0, usageError{err}
		}
	}
	if read == 0 {
		return 0, usageError{fmt.Errorf("report: %v holds no reports; run the tests with %s set to that directory", flags.Args(), explainguard.ReportDirEnv)}
	}
	if err := show.writeRun(run, stdout); err != nil {
		return 0, err
	}
	return verdict(run), nil
}
