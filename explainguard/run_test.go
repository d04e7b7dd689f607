package explainguard_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// someReports are one of each verdict, from plans that a real server gave.
func someReports(t *testing.T) []*explainguard.Report {
	t.Helper()
	judge := func(plan, test string, line, calls int) *explainguard.Report {
		p, err := explainguard.Parse(plans(t)[plan])
		require.NoError(t, err)
		p.Query, p.ServerVersion = query(t, strings.TrimSuffix(plan, ".v2")), "9.7.4"
		r := (&explainguard.Guard{}).Judge(p)
		r.Test, r.Calls = test, calls
		r.CallSite = explainguard.CallSite{File: "/src/shop/list.go", Line: line, Function: "shop.List"}
		return r
	}
	single, err := explainguard.Parse(plans(t)["empty_const.v2"])
	require.NoError(t, err)
	single.Query = "SELECT * FROM 顧客 WHERE 名前 = '<山田 & 100%>'"
	unknown := (&explainguard.Guard{}).Judge(single)
	unknown.Args = []any{"<山田>", 7}
	require.Equal(t, explainguard.Unanalysable, unknown.Verdict)
	return []*explainguard.Report{judge("good.v2", "TestGood", 3, 1), unknown, nil, judge("bad.v2", "TestBad/große Liste", 42, 12)}
}

func TestRunPutsTheWorstFirst(t *testing.T) {
	run := explainguard.NewRun(someReports(t)...)
	require.Equal(t, []int{1, 1, 1}, []int{run.Count(explainguard.Fail), run.Count(explainguard.Unanalysable), run.Count(explainguard.Pass)})
	var verdicts []string
	for _, e := range run.Entries {
		verdicts = append(verdicts, e.Verdict)
	}
	require.Equal(t, []string{"Fail", "Unanalysable", "Pass"}, verdicts)
}

func TestRunAsJSONIsReadBackWhole(t *testing.T) {
	reports := someReports(t)
	run := explainguard.NewRun(reports...)
	var text bytes.Buffer
	require.NoError(t, run.WriteJSON(&text))
	again, err := explainguard.ReadRun(bytes.NewReader(text.Bytes()))
	require.NoError(t, err)
	require.Equal(t, run, again)
	// An entry reads as the report that it was made of.
	require.Equal(t, reports[3].String(), again.Entries[0].String())
	require.Equal(t, reports[0].String(), again.Entries[2].String())

	half := explainguard.NewRun(reports[0])
	half.Merge(explainguard.NewRun(reports[1], reports[3]))
	require.Equal(t, run, half)

	for name, bad := range map[string]string{
		"cut short":     text.String()[:text.Len()/2],
		"another thing": `{"format": "something else"}`,
		"a false green": `{"format": "explainguard run 1", "entries": [{"verdict": "Good"}]}`,
	} {
		_, err := explainguard.ReadRun(strings.NewReader(bad))
		require.ErrorContains(t, err, "explainguard: read a run: ", name)
	}
}

func TestRunAsHTML(t *testing.T) {
	var page bytes.Buffer
	require.NoError(t, explainguard.NewRun(someReports(t)...).WriteHTML(&page))
	html := page.String()
	if file := os.Getenv("EXPLAINGUARD_TEST_HTML"); file != "" { // to look at
		require.NoError(t, os.WriteFile(file, page.Bytes(), 0o600))
	}
	require.Contains(t, html, "<title>explainguard: 1 fail, 1 could not tell, 1 pass</title>")
	require.Contains(t, html, "list.go:42")
	require.Contains(t, html, "TestBad/große Liste · 12 calls")
	require.Contains(t, html, "derived table st examines 196,438 rows")
	require.Contains(t, html, "&lt;山田 &amp; 100%&gt;", "what the statement says is text, not markup")
	require.NotContains(t, html, "<山田")
	require.Contains(t, html, `style="width: 80.0%"`, "r reads 157,218 of 196,443 rows")
	require.NotRegexp(t, `(?i)(src|href)\s*=|url\(|@import`, html, "the page loads nothing")
	require.NotContains(t, html, "ZgotmplZ")
	require.Less(t, strings.Index(html, "TestBad"), strings.Index(html, "TestGood"))

	page.Reset()
	require.NoError(t, explainguard.NewRun().WriteHTML(&page))
	require.Contains(t, page.String(), "Nothing was judged", "an empty run is no green one")
}

func TestRunAsHTMLStaysBounded(t *testing.T) {
	good := someReports(t)[0]
	var many []*explainguard.Report
	for range 3000 {
		many = append(many, good)
	}
	var page bytes.Buffer
	require.NoError(t, explainguard.NewRun(many...).WriteHTML(&page))
	require.Contains(t, page.String(), "The plans of 2800 further passing statements are left out")
	require.Equal(t, 200, strings.Count(page.String(), `<div class="plan mono">`))
}

func TestRunAsGitHubAnnotations(t *testing.T) {
	reports := someReports(t)
	reports[3].CallSite.File = "/src/shop/a,b:c%.go"
	var out bytes.Buffer
	require.NoError(t, explainguard.NewRun(reports...).WriteGitHub(&out, "/src"))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 3)
	require.True(t, strings.HasPrefix(lines[0], "::error file=shop/a%2Cb%3Ac%25.go,line=42,title=explainguard%3A derived-filter::derived table st examines 196,438 rows"), lines[0])
	require.Contains(t, lines[0], "%0Away out: add `c.id IN")
	require.Contains(t, lines[1], "title=explainguard%3A rows-budget::")
	require.True(t, strings.HasPrefix(lines[2], "::warning title=explainguard%3A could not tell::"), lines[2])
	require.Contains(t, lines[2], "100%25>")
}

// TestAssertKeepsItsReports: what a test process leaves behind for `explainguard report`.
func TestAssertKeepsItsReports(t *testing.T) {
	db := shop.open(t, nil)
	dir := filepath.Join(t.TempDir(), "new", "reports")
	t.Setenv(explainguard.ReportDirEnv, dir)
	g := &explainguard.Guard{DB: db}
	g.Assert(&fakeT{TB: t}, "SELECT * FROM customers WHERE id = 7")
	g.Assert(&fakeT{TB: t}, "SELECT * FROM no_such_table")
	files, err := filepath.Glob(filepath.Join(dir, "explainguard-*.jsonl"))
	require.NoError(t, err)
	require.Len(t, files, 1, "one file a process")
	f, err := os.Open(files[0])
	require.NoError(t, err)
	defer f.Close()
	run, err := explainguard.ReadRun(f)
	require.NoError(t, err)
	require.Len(t, run.Entries, 2)
	require.Equal(t, "Unanalysable", run.Entries[0].Verdict)
	require.Contains(t, run.Entries[0].Reasons[0].What, "no_such_table")
	require.Equal(t, t.Name(), run.Entries[1].Test)

	t.Setenv(explainguard.ReportDirEnv, "/proc/no/such")
	fake := &fakeT{TB: t}
	g.Assert(fake, "SELECT * FROM customers WHERE id = 7")
	require.Contains(t, fmt.Sprint(fake.errors), explainguard.ReportDirEnv+" must name a directory that can be written")
}
