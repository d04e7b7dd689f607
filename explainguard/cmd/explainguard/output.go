package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/tashikame-go/tashikame/explainguard"
)

// output is the form in which a run is shown, and where.
type output struct {
	format, file, root string
	verbose            bool
}

func (o *output) flags(f *flag.FlagSet, standard string) {
	f.StringVar(&o.format, "format", standard, "`form` of the output: text, json, html or github")
	f.StringVar(&o.file, "o", "", "`file` to write to (default: standard output)")
	f.StringVar(&o.root, "root", "", "`directory` of the checkout, for file names in github annotations (default: the current one)")
	f.BoolVar(&o.verbose, "v", false, "text: show what passes as well")
}

func (o *output) validate() error {
	switch o.format {
	case "text", "json", "html", "github":
		return nil
	}
	return usageError{fmt.Errorf("-format %q: choose text, json, html or github", o.format)}
}

// write shows reports; those of a check are there in full.
func (o *output) write(reports []*explainguard.Report, stdout io.Writer) error {
	if o.format != "text" {
		return o.writeRun(explainguard.NewRun(reports...), stdout)
	}
	return o.to(stdout, func(w io.Writer) error {
		run := explainguard.NewRun(reports...)
		for _, r := range reports {
			if r.Passed() && !o.verbose {
				continue
			}
			fmt.Fprint(w, paint(r.String(), w), "\n")
		}
		return summary(run, w)
	})
}

func (o *output) writeRun(run *explainguard.Run, stdout io.Writer) error {
	return o.to(stdout, func(w io.Writer) error {
		switch o.format {
		case "json":
			return run.WriteJSON(w)
		case "html":
			return run.WriteHTML(w)
		case "github":
			root := o.root
			if root == "" {
				root, _ = os.Getwd() // without one, names stay as they are
			}
			return run.WriteGitHub(w, root)
		}
		for _, e := range run.Entries {
			if e.Verdict == explainguard.Pass.String() && !o.verbose {
				continue
			}
			fmt.Fprint(w, paint(e.String(), w), "\n")
		}
		return summary(run, w)
	})
}

func (o *output) to(stdout io.Writer, write func(io.Writer) error) error {
	if o.file == "" {
		return write(stdout)
	}
	f, err := os.Create(o.file)
	if err != nil {
		return usageError{err}
	}
	if err := write(f); err != nil {
		_ = f.Close() // the first error says more
		return err
	}
	return f.Close()
}

func summary(run *explainguard.Run, w io.Writer) error {
	_, err := fmt.Fprintf(w, "explainguard: %d fail, %d could not tell, %d pass\n",
		run.Count(explainguard.Fail), run.Count(explainguard.Unanalysable), run.Count(explainguard.Pass))
	return err
}

// paint colours a report for a terminal, and for nothing else (https://no-color.org).
func paint(text string, w io.Writer) string {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(f.Fd())) {
		return text
	}
	return colour(text)
}

const (
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	green  = "\x1b[32m"
	plain  = "\x1b[0m"
)

func colour(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		code := ""
		switch {
		case strings.HasPrefix(l, "explainguard: FAIL"), strings.HasPrefix(l, "  ✗"), strings.HasPrefix(l, "  ▶"):
			code = red
		case strings.HasPrefix(l, "explainguard: UNANALYSABLE"), strings.HasPrefix(l, "  ?"):
			code = yellow
		case strings.HasPrefix(l, "explainguard: PASS"):
			code = green
		}
		if code != "" {
			lines[i] = code + l + plain
		}
	}
	return strings.Join(lines, "\n")
}
