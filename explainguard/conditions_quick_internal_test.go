package explainguard

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// allOf writes down all that the rules can learn from scopes.
func allOf(scopes []*scope) string {
	var b strings.Builder
	writeAll(&b, scopes, "")
	return b.String()
}

func writeAll(b *strings.Builder, scopes []*scope, indent string) {
	for _, s := range scopes {
		fmt.Fprintf(b, "%sselect closed=%v windows=%v\n", indent, s.closed, s.windows)
		for _, f := range s.fields {
			fmt.Fprintf(b, "%s  field %q %q\n", indent, f.name, f.column())
		}
		for _, v := range inOrder(s.values) {
			k := v.value
			fmt.Fprintf(b, "%s  keeps %q: %q %q %q %v %v\n", indent, v.name, k.column, k.values, k.ranges, k.closed, k.outerRow)
		}
		for _, l := range s.equal {
			fmt.Fprintf(b, "%s  equal %q\n", indent, l)
		}
		for _, src := range inOrder(s.sources) {
			fmt.Fprintf(b, "%s  source %q: %q %q.%q derived=%v\n", indent, src.name, src.value.columns, src.value.schema, src.value.table, src.value.arms != nil)
			writeAll(b, src.value.arms, indent+"    ")
		}
	}
}

func inOrder[V any](n named[V]) named[V] {
	return slices.SortedFunc(slices.Values(n), func(a, b namedValue[V]) int { return strings.Compare(a.name, b.name) })
}

// difference reads a statement in both ways. It returns whether the quick reader read it, and what it saw otherwise than the SQL parser.
func difference(text string) (quick bool, diff string) {
	main, quick := readQuick(text)
	if !quick {
		return false, ""
	}
	c, err := parseSQL(text)
	if err != nil {
		return true, "the SQL parser rejects it: " + err.Error()
	}
	if got, want := allOf(main), allOf(c.main); got != want {
		return true, "quick reader:\n" + got + "SQL parser:\n" + want
	}
	return true, ""
}

// rewrittenTexts returns what MySQL and MariaDB printed for statements of the corpora, the rules and the shop, one of each shape, in
// testdata/rewritten.jsonl, and the texts of the saved plans.
func rewrittenTexts(tb testing.TB) []string {
	tb.Helper()
	file, err := os.ReadFile("testdata/rewritten.jsonl")
	require.NoError(tb, err)
	var texts []string
	for line := range strings.Lines(string(file)) {
		var text string
		require.NoError(tb, json.Unmarshal([]byte(line), &text))
		texts = append(texts, text)
	}
	files, err := filepath.Glob("testdata/plans/*.json")
	require.NoError(tb, err)
	for _, name := range files {
		plan, err := os.ReadFile(name)
		require.NoError(tb, err)
		p, err := Parse(plan)
		require.NoError(tb, err, name)
		if p.Rewritten != "" {
			texts = append(texts, p.Rewritten)
		}
	}
	require.Greater(tb, len(texts), 1200)
	return texts
}

func TestQuickReaderSeesWhatTheParserSees(t *testing.T) {
	var quick, slow, rejected int
	for _, text := range rewrittenTexts(t) {
		read, diff := difference(text)
		require.Empty(t, diff, text)
		_, err := parseSQL(text)
		switch {
		case read:
			quick++
		case err != nil:
			rejected++
		default:
			slow++
		}
	}
	t.Logf("of %d texts the quick reader reads %d, the parser alone %d, neither %d", quick+slow+rejected, quick, slow, rejected)
	require.Greater(t, quick, 3*slow, "the quick reader leaves too much to the parser")
	require.Positive(t, slow)
	require.Positive(t, rejected)
}

// What looks like the quick reader's own, but is not, is left to the parser.
func TestQuickReaderGivesUp(t *testing.T) {
	for _, text := range []string{
		"", "select", "select 1 AS `a` from `t` where", "select 1 AS `a` from `t`;",
		"select 1 AS `a` from `t` where (`a` = 'it\\'s')",                   // an escape
		"select 1 AS `a` from `t` where (`a` = 'a' 'b')",                    // one string of two
		"select 1 AS `a` from `t` where (`a` = 'x semi join y')",            // notSQL knows no quotes
		"select 1 AS `x semi join y` from `t`",                              //
		"select 1 AS `a` from `t` where (`a` = (1 + 1))",                    // a constant that must be spelled
		"select 1 AS `a` from `t` where (`a` in (1,(2 + 3)))",               //
		"select 1 AS `a` from `t` where (`a` = 007)",                        //
		"select 1 AS `a` from `t` where (`a` = 0x1f)",                       //
		"select 1 AS `a` from `t` where (`a` = 1e3)",                        //
		"select 1 AS `a` from `t` where (`a` = _latin1'x')",                 //
		"select 1 AS `a` from `t` where (`a` = `b` = `c`)",                  //
		"select 1 AS `a` from `t` where (`a` = 1) -- and (`b` = 2)",         //
		"select 1 AS `a` from `t` where (`a` = 1) /* and */",                //
		"select 1 AS `a` from `t` where (`a` = 1) # and",                    //
		"select 1 AS `a` from `t` left join `u` where (`a` = 1)",            // no ON
		"select 1 AS `a` from `t` join `u` left join `v` on(true) on(true)", // ON of the outer join
		"select 1 AS `a` from `t` natural join `u`",                         //
		"select 1 AS `a` from `t`,`u`",                                      //
		"select 1 AS `a` from `t` where match `a` against ('x')",            //
		"with select as (select 1 AS `a`) select 1 AS `a` from `select`",    // MariaDB quotes no such name
		"(select 1 AS `a`)", //
		"select 1 AS `a` union (select 2 AS `a`) limit 3", //
		"select rank() OVER `w` AS `a` from `t` window `w` AS (PARTITION BY `b`)",
		"select 1 AS `a` from `t` where (`a` = 1) \x00", "select 1 AS `\xff` from `t`",
		"select 1 AS `a` where " + strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200),
	} {
		_, ok := readQuick(text)
		require.False(t, ok, text)
	}
}

var sqlToken = regexp.MustCompile("`(?:[^`]|``)*`|'[^']*'|[A-Za-z_]+\\(?|[0-9]+|/\\*.*?\\*/|.")

// FuzzQuickReader: what the quick reader reads, the SQL parser reads too, and sees the same. A piece of a second statement put into the first
// gives statements that are nearly right.
func FuzzQuickReader(f *testing.F) {
	texts := rewrittenTexts(f)
	for i, text := range texts {
		f.Add(text, texts[(i*7+3)%len(texts)], uint16(i), uint16(3*i), uint16(5), uint16(i%4))
	}
	f.Fuzz(func(t *testing.T, text, other string, at, from, length, drop uint16) {
		if len(text) > 1<<14 || len(other) > 1<<14 {
			return
		}
		_, diff := difference(text)
		require.Empty(t, diff, text)
		a, b := sqlToken.FindAllString(text, -1), sqlToken.FindAllString(other, -1)
		i, j := int(at)%(len(a)+1), int(from)%(len(b)+1)
		mixed := strings.Join(a[:i], "") + strings.Join(b[j:min(len(b), j+int(length)%12)], "") + strings.Join(a[min(len(a), i+int(drop)%8):], "")
		_, diff = difference(mixed)
		require.Empty(t, diff, mixed)
	})
}
