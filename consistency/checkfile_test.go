package consistency

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"
)

var updateCheckFiles = flag.Bool("update-checkfiles", false, "rewrite what testdata/checkfile expects")

// TestLoadFS loads the files of each archive and compares the checks, or the problems, with its last section.
func TestLoadFS(t *testing.T) {
	files, err := filepath.Glob("testdata/checkfile/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			require.NoError(t, err)
			fsys, names, want := fstest.MapFS{}, map[*sql.DB]string{}, -1
			dbs := map[string]*sql.DB{}
			for i, f := range archive.Files {
				switch f.Name {
				case "want":
					want = i
				case "dbs":
					for _, name := range strings.Fields(string(f.Data)) {
						dbs[name] = new(sql.DB)
						names[dbs[name]] = name
					}
				default:
					fsys[f.Name] = &fstest.MapFile{Data: f.Data}
				}
			}
			checks, err := LoadFS(fsys, dbs)
			got := ""
			if err != nil {
				require.Nil(t, checks, "what is wrong in one file must not let the others run as if that were all")
				got = err.Error() + "\n"
			}
			for _, c := range checks {
				got += describeCheck(c, names)
			}
			if *updateCheckFiles {
				archive.Files[want].Data = []byte(got)
				require.NoError(t, os.WriteFile(file, txtar.Format(archive), 0o644))
			}
			require.Equal(t, string(archive.Files[want].Data), got)
		})
	}
}

func describeCheck(c Check, names map[*sql.DB]string) string {
	m := c.Describe()
	out := fmt.Sprintf("%T %q owner=%q runbook=%q severity=%s retry=%+v timeout=%s remind=%s schedule=%v mask=%q\n",
		c, m.Name, m.Owner, m.Runbook, m.Severity, m.retry(), m.timeout(), m.Remind, m.Schedule, m.Mask)
	switch c := c.(type) {
	case SQL:
		out += fmt.Sprintf("\tdb=%s confirm=%s key=%q max=%d population=%q\n\t%q\n", names[c.DB], names[c.Confirm], c.Key, c.MaxRows, c.Population, c.Query)
	case Reconcile:
		for _, columns := range [][]Column{c.Key, c.Compare} {
			for _, column := range columns {
				out += fmt.Sprintf("\t%+v\n", column)
			}
		}
		out += fmt.Sprintf("\t%s|%s\n", c.LeftName, c.RightName)
	}
	return out
}

func TestFilesThatAreNotPlainTextAreRefused(t *testing.T) {
	good := "-- key: id\nSELECT id FROM t\n"
	for src, want := range map[string]string{
		"\xef\xbb\xbf" + good:                   "x.sql:1: the file begins with a byte order mark",
		"\xff\xfe-\x00-\x00":                    "x.sql:1: the file is in UTF-16",
		strings.ReplaceAll(good, "\n", "\r\n"):  "x.sql:1: the line ends with a carriage return",
		good + "-- a\rb":                        "x.sql:3: the line ends with a carriage return",
		good + "-- \xff":                        "x.sql:3: the line is not valid UTF-8",
		good + "-- 表\n-- \xe8\xa1":              "x.sql:4: the line is not valid UTF-8",
		good + "AND v = '\x00'":                 "x.sql:3: the statement holds a NUL byte",
		"-- key: id\n/* SELECT id FROM t\n":     "x.sql:1: a comment (/*) in front of the statement is never closed",
		"-- key: id\n/*! SELECT id FROM t */\n": "x.sql:2: the statement holds an executable comment",
		"-- key: id\nSELECT 'a":                 "x.sql:2: the statement holds a quoted text",
	} {
		_, err := LoadFS(fstest.MapFS{"x.sql": &fstest.MapFile{Data: []byte(src)}}, map[string]*sql.DB{"main": new(sql.DB)})
		require.ErrorContains(t, err, want, "%q", src)
	}
	_, err := LoadFS(fstest.MapFS{"x.sql": &fstest.MapFile{Data: []byte("-- key: id\n/* a\n b */ SELECT id FROM t")}}, map[string]*sql.DB{"main": new(sql.DB)})
	require.NoError(t, err)
	_, err = LoadFS(fstest.MapFS{"x.sql": &fstest.MapFile{Data: []byte(good)}}, map[string]*sql.DB{"main": nil})
	require.ErrorContains(t, err, `the database "main" is nil`)
}

// brokenFS fails to open its files, and one of its folders.
type brokenFS struct{ fstest.MapFS }

func (b brokenFS) Open(name string) (fs.File, error) {
	if name == "locked" || name == "locked.sql" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("permission denied")}
	}
	return b.MapFS.Open(name)
}

func (b brokenFS) ReadFile(name string) ([]byte, error) {
	f, err := b.Open(name)
	if err != nil {
		return nil, err
	}
	_ = f.Close()
	return b.MapFS.ReadFile(name)
}

func (b brokenFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == "locked" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("permission denied")}
	}
	return b.MapFS.ReadDir(name)
}

func TestWhatCannotBeReadIsNotLeftOut(t *testing.T) {
	good := &fstest.MapFile{Data: []byte("-- key: id\nSELECT id FROM t\n")}
	checks, err := LoadFS(brokenFS{fstest.MapFS{"a.sql": good, "locked.sql": good, "locked/b.sql": good}}, map[string]*sql.DB{"main": new(sql.DB)})
	require.Nil(t, checks)
	require.ErrorContains(t, err, "2 problems")
	require.ErrorContains(t, err, "locked: open locked: permission denied")
	require.ErrorContains(t, err, "locked.sql: open locked.sql: permission denied")
	_, err = LoadFS(os.DirFS("testdata/no-such-folder"), nil)
	require.ErrorContains(t, err, "no such file")
}

func TestNearest(t *testing.T) {
	for word, want := range map[string]string{"retires": "retry", "onwer": "owner", "time-out": "timeout", "populations": "population", "pop": "population", "maxrows": "max-rows",
		"todo": "", "note": "name", "xyz": "", "dbs": "db", "ke": "key"} {
		require.Equal(t, want, nearest(word, headerNames), word)
	}
}

// Whatever the file, no header is passed over: each known one is in the result or in a problem, and what is sent was in the file.
func FuzzCheckFile(f *testing.F) {
	files, err := filepath.Glob("testdata/checkfile/*.txtar")
	require.NoError(f, err)
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		require.NoError(f, err)
		for _, a := range archive.Files {
			f.Add(a.Data)
		}
	}
	dbs := map[string]*sql.DB{"orders": new(sql.DB), "billing": new(sql.DB)}
	f.Fuzz(func(t *testing.T, src []byte) {
		parsed, problems := parseCheckFile(src)
		for _, p := range problems {
			require.Positive(t, p.line)
			require.LessOrEqual(t, p.line, 1+strings.Count(string(src), "\n"))
			require.NotEmpty(t, p.text)
		}
		checks, err := LoadFS(fstest.MapFS{"x.sql": &fstest.MapFile{Data: src}}, dbs)
		if err != nil {
			require.Nil(t, checks)
			require.Contains(t, err.Error(), "x.sql:")
			return
		}
		require.Empty(t, problems)
		require.Len(t, checks, 1)
		require.NotEmpty(t, checks[0].Describe().Name)
		for n, line := range strings.Split(string(src), "\n") {
			if m := headerLine.FindStringSubmatch(line); m != nil && parsed.headers[m[1]].line == 0 && m[1] != "left" && m[1] != "right" {
				require.NotContains(t, headerNames, m[1], "line %d was passed over", n+1)
			}
		}
		for _, part := range parsed.parts {
			require.Contains(t, string(src), part.sql)
			require.NoError(t, vetAnyMode(part.sql))
		}
	})
}
