package explainguard_test

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// corpus are the schemas of testdata/corpus. A nil dataset is loaded from schema.sql and data.sql.
var corpus = map[string]*dataset{"wholesale": nil, "events": nil, "shop": nil, "saas": nil, "smartlist": smartList}

// corpusFormats are the formats in which every plan is read. The first, the default, is the one users meet.
var corpusFormats = []explainguard.Format{explainguard.FormatUnknown, explainguard.FormatJSONv1, explainguard.FormatJSONv2}

// exactStatistics makes the optimizer's figures those of the data, so that no verdict hangs on a sample.
func exactStatistics(t *testing.T, db *sql.DB) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	rows, err := conn.QueryContext(t.Context(), "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'")
	require.NoError(t, err)
	var names []string
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		names = append(names, "`"+name+"`")
	}
	require.NoError(t, rows.Err())
	require.NoError(t, rows.Close())
	for _, name := range names {
		execOn(t, conn, "ALTER TABLE "+name+" STATS_PERSISTENT=1, STATS_AUTO_RECALC=0, STATS_SAMPLE_PAGES=65535")
	}
	execOn(t, conn, "ANALYZE TABLE "+strings.Join(names, ", "))
}

func loadCorpus(t *testing.T, schema string) *sql.DB {
	t.Helper()
	if d := corpus[schema]; d != nil {
		return d.open(t, nil)
	}
	s := servers.MySQL(t)
	for _, file := range []string{"schema.sql", "data.sql"} {
		require.NoError(t, runFile(context.WithoutCancel(t.Context()), s.DSN, filepath.Join("testdata/corpus", schema, file)), "%s: %s", schema, file)
	}
	exactStatistics(t, s.DB)
	return s.DB
}

// outcome is what explainguard said about one statement in one format.
type outcome struct {
	schema, name string
	write        bool
	format       explainguard.Format
	report       *explainguard.Report
	label        label
	problems     []problem // by the label, or by a remark
}

func (o outcome) ratio() float64 {
	return (o.report.Work.Total + 1) / (o.label.Examined + 1)
}

// TestCorpus compares what explainguard says about statements as applications have them with what really happens when
// they run. Every disagreement is either written down beside its statement, with its reason, or an error; and so is one
// that is written down and no longer there.
func TestCorpus(t *testing.T) {
	var all []outcome
	var mu sync.Mutex
	t.Run("schemas", func(t *testing.T) {
		for _, schema := range slices.Sorted(maps.Keys(corpus)) {
			t.Run(schema, func(t *testing.T) {
				t.Parallel()
				outcomes := judgeCorpus(t, schema)
				mu.Lock()
				defer mu.Unlock()
				all = append(all, outcomes...)
			})
		}
	})
	t.Logf("\n%s\n%s\n%s", distribution(all), agreement(all), farOff(all))
	for format, least := range leastWithin {
		two, ten := within(all, format)
		require.GreaterOrEqual(t, two, least.two, "%s: estimates within 2× of reality became fewer", format)
		require.GreaterOrEqual(t, ten, least.ten, "%s: estimates within 10× of reality became fewer", format)
		got := verdicts(all, format)
		require.LessOrEqual(t, got.misses, 2, "%s: statements that pass and should not became more", format)
		require.LessOrEqual(t, got.alarms, 8, "%s: statements that fail and should not became more", format)
	}
}

// leastWithin is the share of the read statements whose estimate must be within 2× and within 10× of what they really
// examine. Raise it when explainguard gets better; a lower one needs a reason.
var leastWithin = map[explainguard.Format]struct{ two, ten float64 }{
	explainguard.FormatUnknown: {0.89, 0.965},
	explainguard.FormatJSONv1:  {0.88, 0.955},
	explainguard.FormatJSONv2:  {0.89, 0.955},
	explainguard.FormatTree:    {0.89, 0.955},
}

// farOff lists the reads whose estimate is more than 10× off.
func farOff(all []outcome) string {
	var lines []string
	for _, o := range all {
		if r := o.ratio(); !o.write && (r > 10 || r < 0.1) {
			lines = append(lines, fmt.Sprintf("%-10s %-40s %-10s estimated %.0f, really %.0f", o.schema, o.name, o.format, o.report.Work.Total, o.label.Examined))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func within(all []outcome, format explainguard.Format) (two, ten float64) {
	n := 0.0
	for _, o := range all {
		if o.write || o.format != format {
			continue
		}
		n++
		if r := math.Abs(math.Log(o.ratio())); r <= math.Log(2) {
			two++
			ten++
		} else if r <= math.Log(10) {
			ten++
		}
	}
	return two / n, ten / n
}

// judgeCorpus judges the statements of one schema in every format.
func judgeCorpus(t *testing.T, schema string) []outcome {
	t.Helper()
	var all []outcome
	statements := readCorpus(t, schema)
	db := loadCorpus(t, schema)
	if *update {
		updateLabels(t, db, schema, statements)
	}
	labels := readLabels(t, schema)
	require.Len(t, labels, len(statements), "labels without a statement, or the reverse: run with -update")
	for _, s := range statements {
		l, ok := labels[s.name]
		require.True(t, ok, "%s has no label: run with -update", s.name)
		require.Equal(t, l.rules(s), l.Rules, "%s: the limits or criteria have changed: run with -update", s.name)
		found := map[string]string{} // kind of disagreement → what
		byFormat := map[explainguard.Format]outcome{}
		for _, format := range corpusFormats {
			r, err := (&explainguard.Guard{DB: db, Format: format}).Check(t.Context(), s.sql)
			require.NoError(t, err, "%s, %s", s.name, format)
			o := outcome{schema: schema, name: s.name, write: s.writes(), format: format, report: r, label: l, problems: s.problems(l)}
			byFormat[format] = o
			all = append(all, o)
		}
		if !s.writes() { // TREE says less than JSON does, so only its estimates are compared, and that it is no false green
			r, err := (&explainguard.Guard{DB: db, Format: explainguard.FormatTree}).Check(t.Context(), s.sql)
			require.NoError(t, err, s.name)
			tree := outcome{schema: schema, name: s.name, format: explainguard.FormatTree, report: r, label: l, problems: s.problems(l)}
			all = append(all, tree)
		}
		disagreements(s, l, byFormat, found)
		reconcile(t, s, found, byFormat[explainguard.FormatUnknown].report)
	}
	return all
}

// problems are what explainguard should name: by the remark if there is one, else by what happened.
func (s corpusStatement) problems(l label) (out []problem) {
	if s.expect == nil {
		return l.problems(s)
	}
	for _, rule := range s.expect {
		out = append(out, problem{rule: rule})
	}
	return out
}

// reconcile fails on every disagreement that is not written down, and on what is written down and gone. A remark without a
// format's name covers all formats.
func reconcile(t *testing.T, s corpusStatement, found map[string]string, r *explainguard.Report) {
	t.Helper()
	still := map[string]bool{}
	for _, kind := range slices.Sorted(maps.Keys(found)) {
		base := strings.TrimSuffix(strings.TrimSuffix(kind, " v1"), " v2")
		_, exactly := s.known[kind]
		_, everywhere := s.known[base]
		still[kind], still[base] = true, true
		if !exactly && !everywhere {
			t.Errorf("%s: %s: %s\n%s\n%s", s.name, kind, found[kind], s.sql, r)
		}
	}
	for kind, reason := range s.known {
		if !still[kind] {
			t.Errorf("%s: %s is no more (it was known: %s): remove the remark", s.name, kind, reason)
		}
	}
}

// disagreements compares the verdicts in all formats with the label, and the formats with one another.
func disagreements(s corpusStatement, l label, byFormat map[explainguard.Format]outcome, found map[string]string) {
	problems := s.problems(l)
	want := map[string]bool{}
	for _, p := range problems {
		want[p.rule] = true
	}
	for format, o := range byFormat {
		suffix := map[explainguard.Format]string{explainguard.FormatJSONv1: " v1", explainguard.FormatJSONv2: " v2"}[format]
		got := map[string]bool{}
		for _, f := range o.report.Findings {
			got[f.Rule] = true
		}
		switch {
		case o.report.Verdict == explainguard.Unanalysable && asksForOther(o.report):
			continue // a format says so itself; the default then takes the other
		case o.report.Verdict == explainguard.Unanalysable:
			found["could not tell"+suffix] = fmt.Sprint(o.report.Reasons)
			continue
		}
		for _, p := range problems {
			if namedBy(p, o.report) == "" {
				found["miss "+p.rule+suffix] = fmt.Sprintf("%v, estimated %.0f, really %.0f", p.tables, o.report.Work.Total, l.Examined)
			}
		}
		for rule := range got {
			if !want[rule] {
				found["false alarm "+rule+suffix] = fmt.Sprintf("estimated %.0f, really %.0f", o.report.Work.Total, l.Examined)
			}
		}
	}
	v1, v2 := byFormat[explainguard.FormatJSONv1], byFormat[explainguard.FormatJSONv2]
	if w1, w2 := v1.report.Work.Total, v2.report.Work.Total; !near(w1, w2) && !asksForOther(v1.report) && !asksForOther(v2.report) {
		found["formats"] = fmt.Sprintf("v1 %.1f, v2 %.1f", w1, w2)
	}
	o := byFormat[explainguard.FormatUnknown]
	if r := o.ratio(); !o.write && (r > 10 || r < 0.1) {
		found["estimate"] = fmt.Sprintf("estimated %.0f, really %.0f", o.report.Work.Total, l.Examined)
	}
}

// asksForOther reports whether a format says of itself that another one tells what it does not.
func asksForOther(r *explainguard.Report) bool {
	return strings.Contains(fmt.Sprint(r.Reasons), "ask for JSON v")
}

// distribution prints how far the estimates are from reality, by format and schema.
func distribution(all []outcome) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-18s %-18s %5s %6s %6s %6s %7s %6s %6s\n", "schema", "format", "reads", "≤ 1.1×", "≤ 2×", "≤ 10×", "unknown", "over", "under")
	type key struct{ schema, format string }
	groups := map[key][]outcome{}
	for _, o := range all {
		if !o.write {
			format := o.format.String()
			if o.format == explainguard.FormatUnknown {
				format = "default"
			}
			groups[key{o.schema, format}] = append(groups[key{o.schema, format}], o)
			groups[key{"~ all", format}] = append(groups[key{"~ all", format}], o)
		}
	}
	keys := slices.SortedFunc(maps.Keys(groups), func(a, b key) int {
		return strings.Compare(a.schema+a.format, b.schema+b.format)
	})
	for _, k := range keys {
		var n, close, two, ten, could, over, under int
		for _, o := range groups[k] {
			n++
			if o.report.Verdict == explainguard.Unanalysable {
				could++
			}
			r := math.Abs(math.Log(o.ratio()))
			switch {
			case r <= math.Log(1.1):
				close++
				fallthrough
			case r <= math.Log(2):
				two++
				fallthrough
			case r <= math.Log(10):
				ten++
			}
			if r > math.Log(2) && o.ratio() > 1 {
				over++
			} else if r > math.Log(2) {
				under++
			}
		}
		pc := func(v int) string { return fmt.Sprintf("%.0f%%", 100*float64(v)/float64(n)) }
		fmt.Fprintf(&b, "%-18s %-18s %5d %6s %6s %6s %7d %6d %6d\n", k.schema, k.format, n, pc(close), pc(two), pc(ten), could, over, under)
	}
	return b.String()
}
