package explainguard

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed run.html
var runPage string

// maxPassedPlans is how many passing entries are shown with their plans, those with the most rows; so that the page of a
// suite with thousands of statements still opens.
const maxPassedPlans = 200

var runTemplate = template.Must(template.New("run").Funcs(template.FuncMap{
	"rows":  rows,
	"about": about,
	"limit": func(f EntryFinding) string { return f.finding().limit() },
	"indent": func(depth int) string {
		return strconv.Itoa(min(depth, 12))
	},
	"file":  filepath.Base,
	"lower": func(v string) string { return map[string]string{Fail.String(): "fail", Pass.String(): "pass"}[v] },
	"word": func(v string) string {
		return map[string]string{Fail.String(): "fail", Pass.String(): "pass", Unanalysable.String(): "could not tell"}[v]
	},
	"summary": func(e Entry) string {
		switch {
		case e.Query != "":
			return shorten(e.Query, 160)
		case len(e.Findings) > 0:
			return shorten(e.Findings[0].What, 160)
		default:
			return "(no statement)"
		}
	},
	"share": func(part, whole float64) string { // of a bar, in percent
		if whole <= 0 || part <= 0 {
			return "0"
		}
		return strconv.FormatFloat(math.Min(100, math.Max(0.5, 100*part/whole)), 'f', 1, 64)
	},
	"statement": func(query string) string { return unindent(renderQuery(query)) },
}).Parse(runPage))

// unindent takes away the indentation that all lines share.
func unindent(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	shared := math.MaxInt
	for _, l := range lines {
		if strings.TrimSpace(l) != "" {
			shared = min(shared, len(l)-len(strings.TrimLeft(l, " ")))
		}
	}
	for i, l := range lines {
		lines[i] = l[min(shared, len(l)):]
	}
	return strings.Join(lines, "\n")
}

type runView struct {
	Fail, Unanalysable, Pass int
	Entries                  []entryView
	Plain                    int // passing entries whose plans are left out
}

type entryView struct {
	Entry
	ShowPlan bool
}

// WriteHTML writes the run as one self-contained page, the worst first: each statement with its call site, findings and
// plan, and bars for the rows examined. It needs no network, and shows no more than the run holds.
func (r *Run) WriteHTML(w io.Writer) error {
	v := runView{Fail: r.Count(Fail), Unanalysable: r.Count(Unanalysable), Pass: r.Count(Pass)}
	passed := 0
	for _, e := range r.Entries {
		show := true
		if e.Verdict == Pass.String() {
			passed++
			show = passed <= maxPassedPlans
		}
		if !show {
			v.Plain++
		}
		v.Entries = append(v.Entries, entryView{e, show})
	}
	if err := runTemplate.Execute(w, v); err != nil {
		return fmt.Errorf("explainguard: write the run as HTML: %w", err)
	}
	return nil
}
