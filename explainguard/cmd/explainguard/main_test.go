package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/internal/smartlist"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// command runs the program in-process.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// story2 is a database with story 2's data, filled once for all tests, which do not write there.
var story2 = sync.OnceValues(func() (*servers.MySQLServer, error) {
	ctx := context.Background()
	s, err := servers.StartMySQL(ctx)
	if err != nil {
		return nil, err
	}
	return s, errors.Join(smartlist.Create(ctx, s.DB), smartlist.Fill(ctx, s.DB), s.DB.Close())
})

func filled(t *testing.T) *servers.MySQLServer {
	t.Helper()
	s, err := story2()
	require.NoError(t, err)
	own := *s
	own.DB, err = sql.Open("mysql", s.DSN)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, own.DB.Close()) })
	t.Setenv(dsnEnv, s.DSN)
	return &own
}

func TestCheckFailsTheStoryAndPassesItsRepair(t *testing.T) {
	filled(t)
	bad := write(t, "bad.sql", "-- the list\nSET @x = 1;\n"+smartlist.Bad+";\n"+smartlist.Good+";")
	code, out, errs := command(t, "check", bad)
	require.Equal(t, exitBad, code, errs)
	require.Contains(t, out, bad+":3\n")
	require.Contains(t, out, "✗ derived-filter")
	require.Contains(t, out, "explainguard: 1 fail, 0 could not tell, 1 pass\n")
	require.NotContains(t, out, "\x1b[", "no colour but on a terminal")
	require.Contains(t, errs, "not judged, as there are no plans for it: SET (1)")

	code, out, _ = command(t, "check", write(t, "good.sql", smartlist.Good))
	require.Equal(t, exitGood, code)
	require.Equal(t, "explainguard: 0 fail, 0 could not tell, 1 pass\n", out)

	code, out, _ = command(t, "check", write(t, "args.sql", "-- args: [1, [2]]\nSELECT 1"))
	require.Equal(t, exitUsage, code, out)

	code, out, _ = command(t, "check", write(t, "args.sql", `
		-- args: [7]
		SELECT * FROM customers WHERE id = ?;
		# args: ["名前; 'x'"]
		SELECT * FROM customers WHERE id < 0 OR name = ? LIMIT 1;`))
	require.Equal(t, exitBad, code, out)
	require.Contains(t, out, `arguments: "名前; 'x'"`)

	code, out, _ = command(t, "check", write(t, "unknown.sql", "SELECT * FROM no_such_table;"+smartlist.Good))
	require.Equal(t, exitUnknown, code, "what could not be told is no pass")
	require.Contains(t, out, "explainguard: 0 fail, 1 could not tell, 1 pass")
}

func TestCheckRefusesWhatItCannotRead(t *testing.T) {
	s := servers.MySQL(t)
	t.Setenv(dsnEnv, s.DSN)
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no command":      {nil, "usage:"},
		"odd command":     {[]string{"chek"}, `there is no command "chek"`},
		"no file":         {[]string{"check"}, "name the .sql files"},
		"missing file":    {[]string{"check", "no-such.sql"}, "no-such.sql: no such file"},
		"nothing in it":   {[]string{"check", write(t, "empty.sql", "-- nothing\n;;\n")}, "no statement was judged"},
		"only SET":        {[]string{"check", write(t, "set.sql", "SET @x = 1")}, "no statement was judged"},
		"open quote":      {[]string{"check", write(t, "quote.sql", "SELECT 1;\nSELECT 'x")}, "line 2: a quote or comment is opened and never closed"},
		"DELIMITER":       {[]string{"check", write(t, "d.sql", "SELECT 1;\nDELIMITER $$\n")}, "line 2: DELIMITER"},
		"format":          {[]string{"check", "-format", "xml", "x.sql"}, "choose text, json, html or github"},
		"flag":            {[]string{"check", "-nope"}, "flag provided but not defined"},
		"budget":          {[]string{"check", "-budget", "Rows=5", "x.sql"}, "no figure \"Rows\"; its figures are RowsExamined, DerivedRows"},
		"budget: zero":    {[]string{"check", "-budget", "SortRows=0", "x.sql"}, "no positive number; write one, or unlimited"},
		"budget: sign":    {[]string{"check", "-budget", "SortRows=-1", "x.sql"}, "the budget for SortRows is -1"},
		"budget: form":    {[]string{"check", "-budget", "SortRows", "x.sql"}, "write Figure=value"},
		"rows: sign":      {[]string{"check", "-rows", "-5", "x.sql"}, "the budget for RowsExamined is -5"},
		"require":         {[]string{"check", "-require", "tenant_id", "x.sql"}, "write table.column"},
		"analyze":         {[]string{"check", "-analyze", "0s", "x.sql"}, "give a positive time"},
		"waivers":         {[]string{"check", "-waivers", "no-such.json", "x.sql"}, "no-such.json"},
		"waivers: form":   {[]string{"check", "-waivers", write(t, "w.json", "{}"), "x.sql"}, `write [{"rule": "…"`},
		"waivers: field":  {[]string{"check", "-waivers", write(t, "w.json", `[{"ruel": "x"}]`), "x.sql"}, `unknown field "ruel"`},
		"waivers: day":    {[]string{"check", "-waivers", write(t, "w.json", `[{"rule": "rows-budget", "table": "t", "reason": "r"}]`), "x.sql"}, "write it like 2027-01-31"},
		"waivers: rule":   {[]string{"check", "-waivers", write(t, "w.json", `[{"rule": "no-rule", "table": "t", "reason": "r", "expires": "2026-12-01"}]`), "x.sql"}, "there is no such rule; the names are"},
		"stats?":          {[]string{"stats"}, `there is no command "stats"`},
		"stats odd":       {[]string{"stats", "drop"}, `there is no command "stats drop"`},
		"dump: argument":  {[]string{"stats", "dump", "x.json"}, "-o names the one to write"},
		"dump: column":    {[]string{"stats", "dump", "-histogram-values", "status"}, `"status": write table.column`},
		"dump: time":      {[]string{"stats", "dump", "-group-time", "-1s"}, "-1s is negative"},
		"apply: no file":  {[]string{"stats", "apply"}, "name one file"},
		"apply: missing":  {[]string{"stats", "apply", "no-such.json"}, "no-such.json: no such file"},
		"apply: odd":      {[]string{"stats", "apply", write(t, "x.json", "{}")}, "x.json: explainguard: read statistics: it has no tashikame_stats"},
		"apply: both":     {[]string{"stats", "apply", "-averages", "-biggest-group", "x.json"}, "contradict each other"},
		"apply: scale":    {[]string{"stats", "apply", "-scale", "-2", "x.json"}, "-scale -2: give a positive number"},
		"apply: max-rows": {[]string{"stats", "apply", "-max-rows", "-2", "x.json"}, "-max-rows -2 is negative"},
		"apply: column":   {[]string{"stats", "apply", "-biggest-group=,", "x.json"}, "a name is missing"},
		"no statistics":   {[]string{"check", "-scale", "2", "x.sql"}, "-scale is about statistics: name their file with -stats"},
		"report: nothing": {[]string{"report"}, "name the directory"},
		"report: empty":   {[]string{"report", t.TempDir()}, "holds no reports"},
		"report: odd":     {[]string{"report", write(t, "x.jsonl", "{")}, "no complete JSON document"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := command(t, c.args...)
			require.Equal(t, exitUsage, code, out+errs)
			require.Contains(t, errs, c.says)
		})
	}
}

func TestThePasswordIsNeverShown(t *testing.T) {
	file := write(t, "x.sql", "SELECT 1 FROM t")
	for name, dsn := range map[string]string{
		"odd":          "root:s3cret@tcp(127.0.0.1:3306",
		"odd option":   "root:s3cret@tcp(127.0.0.1:1)/x?tls=nothing",
		"nobody there": "root:s3cret@tcp(127.0.0.1:1)/x",
	} {
		t.Setenv(dsnEnv, dsn)
		code, out, errs := command(t, "check", file)
		require.NotEqual(t, exitGood, code, name)
		require.NotContains(t, out+errs, "s3cret", name)
		require.NotEmpty(t, errs, name)
		code, out, errs = command(t, "stats", "dump")
		require.NotEqual(t, exitGood, code, name)
		require.NotContains(t, out+errs, "s3cret", name)
		code, out, errs = command(t, "check", "-dsn-file", write(t, "dsn", dsn+"\n"), file)
		require.NotEqual(t, exitGood, code, name)
		require.NotContains(t, out+errs, "s3cret", name)
	}
}

func TestReportMergesWhatTestsLeft(t *testing.T) {
	s := filled(t)
	dir := t.TempDir()
	t.Setenv(explainguard.ReportDirEnv, dir)
	guard := &explainguard.Guard{DB: s.DB}
	guard.Assert(t, smartlist.Good)
	guard.Assert(&quiet{TB: t}, smartlist.Bad)
	page := filepath.Join(t.TempDir(), "run.html")
	code, out, errs := command(t, "report", "-o", page, dir)
	require.Equal(t, exitBad, code, errs)
	require.Empty(t, out)
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(text), "1 fail, 0 could not tell, 1 pass")

	code, out, _ = command(t, "report", "-format", "text", dir)
	require.Equal(t, exitBad, code)
	require.Contains(t, out, "✗ derived-filter")
	require.Contains(t, out, "st  index lookup in its temporary table")
	code, out, _ = command(t, "report", "-format", "github", dir)
	require.Equal(t, exitBad, code)
	require.Contains(t, out, "::error title=")
	code, out, _ = command(t, "report", "-format", "json", dir)
	require.Equal(t, exitBad, code)
	require.Contains(t, out, `"verdict": "Fail"`)
}

// quiet keeps a failure of Assert from the test.
type quiet struct{ testing.TB }

func (*quiet) Helper()               {}
func (*quiet) Errorf(string, ...any) {}

func TestSplit(t *testing.T) {
	got, err := split("SELECT ';' /* ; */, `a;b` -- ;\n, \"x\"\"\\\";\" # ;\n;;\n\n /*+ hint */ -- c\n(SELECT 2)\n;/*! SELECT 3 */")
	require.NoError(t, err)
	var texts []string
	var lines []int
	for _, s := range got {
		texts, lines = append(texts, s.text), append(lines, s.line)
	}
	require.Equal(t, []string{"SELECT ';' /* ; */, `a;b` -- ;\n, \"x\"\"\\\";\" # ;", "/*+ hint */ -- c\n(SELECT 2)", "/*! SELECT 3 */"}, texts)
	require.Equal(t, []int{1, 5, 7}, lines)
}

func TestColour(t *testing.T) {
	text := colour("explainguard: FAIL: 3 rows\n  ✗ rule\n    what\n  ? cannot tell\nexplainguard: PASS")
	require.Equal(t, red+"explainguard: FAIL: 3 rows"+plain+"\n"+red+"  ✗ rule"+plain+"\n    what\n"+yellow+"  ? cannot tell"+plain+"\n"+green+"explainguard: PASS"+plain, text)
}
