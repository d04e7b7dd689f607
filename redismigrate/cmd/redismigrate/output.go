package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/tashikame-go/tashikame/redismigrate"
)

// show writes a result: as JSON, or for a person.
func (s *stores) show(c *console, result fmt.Stringer) error {
	return s.write(c, result, result.String())
}

// write is show for what has no one text of its own.
func (s *stores) write(c *console, result any, text string) error {
	if !s.asJSON {
		_, err := fmt.Fprintln(c.out, text)
		return err
	}
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	return e.Encode(result)
}

// progress returns what a job reports to, and what ends it: a bar on a terminal, elsewhere a plain line every ten seconds.
func progress(w io.Writer) (report func(redismigrate.Progress), end func()) {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return bars(w)
	}
	last := time.Now()
	return func(p redismigrate.Progress) {
		if time.Since(last) < 10*time.Second {
			return
		}
		last = time.Now()
		fmt.Fprintln(w, progressLine(p))
	}, func() {}
}

func progressLine(p redismigrate.Progress) string {
	text := fmt.Sprintf("%s db %d pass %d: %d keys looked at", p.Job, p.DB, p.Pass, p.Scanned)
	if p.Total > 0 {
		text += fmt.Sprintf(" of about %d", p.Total)
	}
	return text + fmt.Sprintf(", %d taken", p.Done)
}

// bars draws a bar for each job, db and pass.
func bars(w io.Writer) (report func(redismigrate.Progress), end func()) {
	var bar *progressbar.ProgressBar
	name := ""
	end = func() {
		if bar != nil {
			_ = bar.Finish()
			fmt.Fprintln(w)
		}
	}
	return func(p redismigrate.Progress) {
		if now := fmt.Sprintf("%s db %d pass %d", p.Job, p.DB, p.Pass); bar == nil || name != now {
			end()
			name = now
			bar = progressbar.NewOptions64(max(p.Total, 1), progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(name),
				progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("keys"), progressbar.OptionThrottle(100*time.Millisecond))
		}
		_ = bar.Set64(min(p.Scanned, max(p.Total, 1))) // SCAN may show a key twice
	}, end
}

// code is the exit code of a verdict.
func code(v redismigrate.Verdict) int {
	switch v {
	case redismigrate.Match:
		return exitGood
	case redismigrate.Mismatch:
		return exitBad
	}
	return exitUnknown
}
