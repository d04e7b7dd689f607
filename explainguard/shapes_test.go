package explainguard_test

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

var update = flag.Bool("update", false, "rewrite the expected shapes in testdata")

const statements = "testdata/shop/statements.txtar"

// TestShapes explains each statement in both formats. Both must give the expected blocks, tables, accesses, indexes and
// join order, and rows examined within 10 % of each other. A file name.v2 holds what JSON v2 says where it differs for a
// reason, which its first line gives.
func TestShapes(t *testing.T) {
	db := shop.open(t, nil)
	archive := sections(t, statements)
	files := map[string]string{}
	for _, f := range archive {
		files[f.name] = f.data
	}
	for i, f := range archive {
		name, ok := strings.CutSuffix(f.name, ".sql")
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			v1, err := explainguard.Explainer{DB: db, Format: explainguard.FormatJSONv1}.Explain(t.Context(), f.data)
			require.NoError(t, err)
			v2, err := explainguard.Explainer{DB: db, Format: explainguard.FormatJSONv2}.Explain(t.Context(), f.data)
			require.NoError(t, err)
			require.Equal(t, explainguard.FormatJSONv1, v1.Format)
			require.Equal(t, explainguard.FormatJSONv2, v2.Format)
			if *update {
				archive[i+1].data = shape(v1)
				if i+2 < len(archive) && archive[i+2].name == name+".v2" {
					reason, _, _ := strings.Cut(archive[i+2].data, "\n")
					archive[i+2].data = reason + "\n" + shape(v2)
				} else if shape(v2) != shape(v1) || !near(explainguard.Measure(v1).Total, explainguard.Measure(v2).Total) {
					t.Logf("v1 %v:\n%s\nv2 %v:\n%s", explainguard.Measure(v1).Total, shape(v1), explainguard.Measure(v2).Total, shape(v2))
				}
				return
			}
			require.Equal(t, files[name+".want"], shape(v1), "JSON v1")
			want, differs := files[name+".v2"]
			if !differs {
				require.Equal(t, files[name+".want"], shape(v2), "JSON v2")
				w1, w2 := explainguard.Measure(v1).Total, explainguard.Measure(v2).Total
				require.True(t, near(w1, w2), "rows examined: v1 %v, v2 %v", w1, w2)
				return
			}
			reason, want, _ := strings.Cut(want, "\n")
			require.True(t, strings.HasPrefix(reason, "# "), "a difference needs a reason")
			require.Equal(t, want, shape(v2), "JSON v2")
		})
	}
	if *update {
		var b strings.Builder
		for _, f := range archive {
			fmt.Fprintf(&b, "-- %s --\n%s", f.name, f.data)
		}
		require.NoError(t, os.WriteFile(statements, []byte(b.String()), 0o600))
	}
}

// A LIMIT counts only where it surely ends the scan.
func TestLimitEndsAScan(t *testing.T) {
	db := shop.open(t, nil)
	for query, want := range map[string]float64{
		"SELECT * FROM orders LIMIT 10":                                            10,
		"SELECT * FROM orders LIMIT 10 OFFSET 90":                                  100,
		"SELECT * FROM orders ORDER BY id LIMIT 10":                                10,
		"SELECT COUNT(*), 1 FROM orders LIMIT 10":                                  6000,
		"SELECT SUM(total) FROM orders LIMIT 10":                                   6000,
		"SELECT DISTINCT total FROM orders LIMIT 10":                               6000,
		"SELECT total FROM orders GROUP BY total LIMIT 10":                         6000,
		"SELECT * FROM orders ORDER BY total LIMIT 10":                             6000,
		"SELECT * FROM orders WHERE total = 3 LIMIT 10":                            6000,
		"SELECT total FROM orders HAVING total = 3 LIMIT 10":                       6000,
		"SELECT SQL_CALC_FOUND_ROWS * FROM orders LIMIT 10":                        6000,
		"SELECT id FROM notes UNION ALL SELECT total FROM orders LIMIT 10":         6500,
		"(SELECT id FROM notes) UNION (SELECT total FROM orders) LIMIT 10":         6500,
		"(SELECT id FROM notes LIMIT 5) UNION (SELECT total FROM orders LIMIT 10)": 15,
		"SELECT RANK() OVER (ORDER BY total) FROM orders LIMIT 10":                 6000,
		"SELECT * FROM (SELECT total FROM orders LIMIT 10) x":                      10,
	} {
		for _, format := range []explainguard.Format{explainguard.FormatJSONv1, explainguard.FormatJSONv2} {
			p := explain(t, explainguard.Explainer{DB: db, Format: format}, query)
			if !p.Analysable() && strings.Contains(fmt.Sprint(p.Unanalysable), "ask for JSON v1") {
				continue // COUNT(*), which JSON v2 gives no figure for
			}
			require.InDelta(t, want, explainguard.Measure(p).Total, 0.02*want, "%s, %s:\n%s", query, format, p.Rewritten)
		}
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= math.Max(1, 0.1*math.Max(a, b)) }

// shape prints what both formats must agree on.
func shape(p *explainguard.Plan) string {
	var b strings.Builder
	for _, block := range p.Blocks() {
		indent := ""
		for up := block.Parent; up != nil; up = up.Parent {
			indent += "  "
		}
		fmt.Fprintf(&b, "%s%s [%s, select %d]", indent, block.Title(), block.Kind, block.ID)
		if block.Executions != 1 {
			fmt.Fprintf(&b, " ×%.0f", block.Executions)
		}
		if block.Unbounded {
			b.WriteString(" or more")
		}
		b.WriteString("\n")
		for _, n := range block.Accesses() {
			fmt.Fprintf(&b, "%s  - %s", indent, n.Alias)
			if n.Table != n.Alias {
				fmt.Fprintf(&b, " (%s)", n.Table)
			}
			fmt.Fprintf(&b, ": %s", n.Access)
			if n.Index != "" {
				fmt.Fprintf(&b, " %s", n.Index)
			}
			b.WriteString("\n")
		}
	}
	for _, r := range p.Unanalysable {
		fmt.Fprintf(&b, "! %s\n", r.What)
	}
	return b.String()
}

func explain(t *testing.T, e explainguard.Explainer, query string, args ...any) *explainguard.Plan {
	t.Helper()
	p, err := e.Explain(context.WithoutCancel(t.Context()), query, args...)
	require.NoError(t, err)
	return p
}

type section struct{ name, data string }

// sections splits a text archive at its lines "-- name --".
func sections(t *testing.T, file string) []section {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var out []section
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(name, " --\n") {
			out = append(out, section{name: strings.TrimSuffix(name, " --\n")})
		} else if len(out) > 0 {
			out[len(out)-1].data += line
		}
	}
	require.NotEmpty(t, out)
	return out
}
