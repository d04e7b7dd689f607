package explainguard_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// TestStoryMessage keeps the message that a developer reads when story 2's query fails a test. The plan is one that a
// real server gave, so that its figures stand still.
func TestStoryMessage(t *testing.T) {
	for _, version := range []string{"v1", "v2"} {
		p, err := explainguard.Parse(plans(t)["bad."+version])
		require.NoError(t, err)
		if version == "v1" { // what Explain adds from the server's note 1003
			p = withNames(t, p)
		}
		p.Query, p.ServerVersion, p.TimeLimit = query(t, "bad"), "9.7.4", &explainguard.TimeLimit{}
		golden(t, "testdata/golden/story2."+version+".txt", (&explainguard.Guard{}).Judge(p).String())
	}
}

// withNames explains the same plan again with the server's words about names.
func withNames(t *testing.T, p *explainguard.Plan) *explainguard.Plan {
	t.Helper()
	v2, err := explainguard.Parse(plans(t)["bad.v2"])
	require.NoError(t, err)
	p.Rewritten = v2.Rewritten
	for i, b := range p.Blocks() {
		for j, n := range b.Accesses() {
			n.Table = v2.Blocks()[i].Accesses()[j].Table
		}
	}
	return p
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll("testdata/golden", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestMessagesStayReadable(t *testing.T) {
	db := shop.open(t, nil)
	g := &explainguard.Guard{DB: db, Budget: explainguard.Budget{RowsExamined: 10}}
	t.Run("Japanese names align", func(t *testing.T) {
		r, err := g.Check(t.Context(), "SELECT * FROM 顧客 k JOIN 顧客 m ON m.部署 = k.部署 WHERE k.名前 = ?", "山田7")
		require.NoError(t, err)
		text := r.String()
		require.Contains(t, text, "k (顧客)")
		require.Contains(t, text, `arguments: "山田7"`)
		var columns []int
		for line := range strings.Lines(text) {
			if head, _, ok := strings.Cut(line, " × "); ok && !strings.Contains(line, "plan (") {
				columns = append(columns, width(head))
			}
		}
		require.Len(t, columns, 2, text)
		require.Equal(t, columns[0], columns[1], text)
	})
	t.Run("a huge statement is shortened", func(t *testing.T) {
		q := "SELECT * FROM orders WHERE id IN (" + strings.Repeat("123456, ", 5000) + "7)" + strings.Repeat("\n  OR total = 3", 200)
		r, err := g.Check(t.Context(), q)
		require.NoError(t, err)
		require.Less(t, len(r.String()), 6000)
		require.Contains(t, r.String(), "4997 more")
		require.Contains(t, r.String(), "more lines")
	})
	t.Run("many and huge arguments are shortened", func(t *testing.T) {
		args := []any{strings.Repeat("長", 1000), []byte(strings.Repeat("x", 1<<20)), nil}
		for range 40 {
			args = append(args, 1)
		}
		r, err := g.Check(t.Context(), "SELECT * FROM orders WHERE id IN (?"+strings.Repeat(",?", len(args)-1)+")", args...)
		require.NoError(t, err)
		require.Less(t, len(r.String()), 6000)
		require.Contains(t, r.String(), "… 31 more")
		require.Contains(t, r.String(), "<nil>")
	})
	t.Run("a pass tells the figure", func(t *testing.T) {
		r, err := g.Check(t.Context(), "SELECT * FROM orders WHERE id = 3")
		require.NoError(t, err)
		require.Regexp(t, regexp.MustCompile(`^explainguard: PASS: 1 rows examined\n`), r.String())
	})
}

// width counts terminal cells: the names in this test are ASCII or two cells wide.
func width(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r >= 0x3000 {
			n++
		}
	}
	return n
}
