package explainguard

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// WriteGitHub writes the run as workflow commands of GitHub Actions, which shows them as annotations at the call sites:
// an error for each finding, a warning for what could not be told. File names are written relative to root, the
// repository's checkout; "" leaves them as they are. Passing entries write nothing.
func (r *Run) WriteGitHub(w io.Writer, root string) error {
	out := bufio.NewWriter(w)
	for _, e := range r.Entries {
		for _, f := range e.Findings {
			what := f.What
			if limit := f.finding().limit(); limit != "" {
				what += " (limit " + limit + ")"
			}
			e.annotate(out, root, "error", f.Rule, what, f.WayOut)
		}
		if e.Verdict == Unanalysable.String() {
			for _, reason := range e.Reasons {
				e.annotate(out, root, "warning", "could not tell", reason.What, reason.WayOut)
			}
			if len(e.Reasons) == 0 {
				e.annotate(out, root, "warning", "could not tell", "there is no plan", "")
			}
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("explainguard: write annotations: %w", err)
	}
	return nil
}

// The characters that end a workflow command or one of its properties ("Workflow commands for GitHub Actions" and the
// runner's own escaping).
var (
	githubData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func (e Entry) annotate(w io.Writer, root, level, title, what, wayOut string) {
	properties := []string{"title=" + githubProperty.Replace("explainguard: "+title)}
	if e.File != "" {
		file := e.File
		if rel, err := filepath.Rel(root, file); root != "" && err == nil && !strings.HasPrefix(rel, "..") {
			file = filepath.ToSlash(rel)
		}
		properties = append([]string{"file=" + githubProperty.Replace(file), fmt.Sprintf("line=%d", e.Line)}, properties...)
	}
	text := what
	if wayOut != "" {
		text += "\nway out: " + wayOut
	}
	if e.Test != "" {
		text += "\ntest: " + e.Test
	}
	if e.Query != "" {
		text += "\nstatement: " + shorten(e.Query, 200)
	}
	fmt.Fprintf(w, "::%s %s::%s\n", level, strings.Join(properties, ","), githubData.Replace(text))
}
