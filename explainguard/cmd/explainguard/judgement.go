package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tashikame-go/tashikame/explainguard"
)

// judgement is by what check judges.
type judgement struct {
	guard     explainguard.Guard
	waivers   string // a file
	stats     string // a file
	statsKind statsKind
}

func (j *judgement) flags(f *flag.FlagSet) {
	budget := &j.guard.Budget
	f.Float64Var(&budget.RowsExamined, "rows", explainguard.DefaultRowsExamined, "how many `rows` a statement may examine")
	f.Float64Var(&budget.DerivedRows, "derived-rows", explainguard.DefaultDerivedRows, "how many `rows` a derived table may examine before its filters are looked at")
	f.Func("budget", "`Figure=value` of the budget, such as FullScanRows=20000 or SortRows=unlimited (repeatable)", func(text string) error {
		return setBudget(budget, text)
	})
	f.Func("require", "`table.column` by which whatever reads the table must be narrowed (repeatable)", func(text string) error {
		at := strings.LastIndexByte(text, '.')
		if at < 0 {
			return errors.New("write table.column")
		}
		j.guard.Require = append(j.guard.Require, explainguard.Require{Table: text[:at], Column: text[at+1:]})
		return nil
	})
	f.StringVar(&j.waivers, "waivers", "", "JSON `file` of what may pass for a while: [{\"rule\", \"query\" or \"table\", \"reason\", \"expires\": \"2027-01-31\"}, …]")
	f.DurationVar(&j.guard.Analyze, "analyze", 0, "really run each statement, for about so long at most, and judge what it examined (default: explain only)")
	f.StringVar(&j.stats, "stats", "", "`file` of stats dump: judge as if the database, a test's, had the statistics of production")
	j.statsKind.flags(f)
}

func setBudget(budget *explainguard.Budget, text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return errors.New("write Figure=value")
	}
	v, err := strconv.ParseFloat(value, 64)
	switch {
	case strings.EqualFold(value, "unlimited"):
		v = explainguard.Unlimited
	case err != nil || v == 0: // for the library 0 is the default, which nobody means who writes 0
		return fmt.Errorf("%q is no positive number; write one, or unlimited", value)
	}
	return budget.Set(name, v)
}

// make returns the guard, without a database.
func (j *judgement) make(set map[string]bool, stderr io.Writer) (*explainguard.Guard, error) {
	guard := &j.guard
	if j.stats != "" {
		stats, err := j.statsKind.read(j.stats)
		if err != nil {
			return nil, err
		}
		guard.Stats, guard.ApplyStats = stats, j.statsKind.options(stderr)
	}
	for _, name := range []string{"biggest-group", "averages", "scale", "filled", "max-rows"} {
		if set[name] && j.stats == "" {
			return nil, usageError{fmt.Errorf("check: -%s is about statistics: name their file with -stats", name)}
		}
	}
	if j.guard.Analyze < 0 || set["analyze"] && j.guard.Analyze == 0 {
		return nil, usageError{fmt.Errorf("check: -analyze %s: give a positive time, such as 5s", j.guard.Analyze)}
	}
	if j.waivers != "" {
		var err error
		if guard.Waivers, err = readWaivers(j.waivers); err != nil {
			return nil, usageError{fmt.Errorf("%s: %w", j.waivers, err)}
		}
	}
	if err := guard.Validate(); err != nil {
		return nil, usageError{err}
	}
	return guard, nil
}

func readWaivers(file string) ([]explainguard.Waiver, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []struct{ Rule, Query, Table, Reason, Expires string }
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf(`%w; write [{"rule": "…", "query": "…", "reason": "…", "expires": "2027-01-31"}, …]`, err)
	}
	var out []explainguard.Waiver
	for i, w := range list {
		expires, err := time.ParseInLocation(time.DateOnly, w.Expires, time.Local)
		if err != nil {
			return nil, fmt.Errorf("waiver %d: expires %q is no day; write it like 2027-01-31", i, w.Expires)
		}
		out = append(out, explainguard.Waiver{Rule: w.Rule, Query: w.Query, Table: w.Table, Reason: w.Reason, Expires: expires})
	}
	return out, nil
}
