package explainguard_test

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
)

const onMariaDBFile = "testdata/corpus/mariadb.json"

// onMariaDB is what became of a statement of the corpus on MariaDB.
type onMariaDB struct {
	Error    string   `json:"error,omitempty"`   // the server's, of a statement that it cannot run
	Verdict  string   `json:"verdict,omitempty"` // explainguard's
	Rules    []string `json:"rules,omitempty"`
	Examined *float64 `json:"examined,omitempty"` // really, by ANALYZE and the server's counters; nil: a write
	Why      string   `json:"why,omitempty"`      // the verdict is not that on MySQL
	Miss     bool     `json:"miss,omitempty"`     // it passes, and really examines more than the budget
	Alarm    bool     `json:"alarm,omitempty"`    // rows-budget speaks, and it really examines less

	estimate float64
}

func loadCorpusOnMariaDB(t *testing.T, schema string) *sql.DB {
	t.Helper()
	if schema == "smartlist" {
		return smartListOnMariaDB.open(t, nil)
	}
	require.Nil(t, corpus[schema])
	s := servers.MariaDB(t)
	for _, file := range []string{"schema.sql", "data.sql"} {
		text, err := os.ReadFile(filepath.Join("testdata/corpus", schema, file))
		require.NoError(t, err)
		text = []byte(strings.Replace(string(text), "cte_max_recursion_depth", "max_recursive_iterations", 1))
		require.NoError(t, runSQL(context.WithoutCancel(t.Context()), s.DSN, string(text)), "%s: %s", schema, file)
	}
	exactStatistics(t, s.DB)
	return s.DB
}

// TestCorpusOnMariaDB judges the same statements on MariaDB. What it says there is written down: each verdict that is not that on MySQL,
// with the class of its reason, and each statement that MariaDB does not know, with the server's error.
func TestCorpusOnMariaDB(t *testing.T) {
	all := map[string]onMariaDB{}
	want := map[string]onMariaDB{}
	if !*update {
		text, err := os.ReadFile(onMariaDBFile)
		require.NoError(t, err, "go test -run TestCorpusOnMariaDB -update writes it")
		require.NoError(t, json.Unmarshal(text, &want))
	}
	var mu sync.Mutex
	t.Run("schemas", func(t *testing.T) {
		for _, schema := range slices.Sorted(maps.Keys(corpus)) {
			t.Run(schema, func(t *testing.T) {
				t.Parallel()
				db := loadCorpusOnMariaDB(t, schema)
				labels := readLabels(t, schema)
				for _, s := range readCorpus(t, schema) {
					o := judgeOnMariaDB(t, db, s, labels[s.name], want[schema+"/"+s.name].Examined)
					mu.Lock()
					all[schema+"/"+s.name] = o
					mu.Unlock()
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	if *update {
		text, err := json.MarshalIndent(all, "", " ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(onMariaDBFile, append(text, '\n'), 0o600))
		want = all
	}
	require.Len(t, want, len(all))
	s := sumUp(all)
	t.Logf("\n%s\n%s", s, strings.Join(s.farOff, "\n"))
	for name, o := range all {
		w := want[name]
		require.Equal(t, w.Error, o.Error, name)
		require.Equal(t, w.Verdict, o.Verdict, "%s: %v, was %v", name, o.Rules, w.Rules)
		require.Equal(t, w.Rules, o.Rules, name)
		require.Equal(t, w.Why, o.Why, name)
	}
	// Just under what was measured; a lower one needs a reason.
	require.GreaterOrEqual(t, s.two/s.reads, 0.88, "estimates within 2× of reality became fewer")
	require.GreaterOrEqual(t, s.ten/s.reads, 0.954, "estimates within 10× of reality became fewer")
	require.LessOrEqual(t, s.misses, 1.0, "statements that pass and really examine more than their budget")
	require.LessOrEqual(t, s.alarms, 7.0, "statements that fail by rows-budget and really examine less")
}

// MariaDB's plan of a write looks like that of a SELECT; the rules about writes must know all the same.
func TestWriteScanOnMariaDB(t *testing.T) {
	db := shopOnMariaDB.open(t, nil)
	for query, verb := range map[string]string{
		"DELETE FROM orders WHERE total = 777":                                           "DELETE",
		"/* nightly */ update orders SET total = 1 WHERE customer_id BETWEEN 1 AND 1500": "UPDATE",
		"INSERT INTO notes (body) SELECT status FROM orders WHERE total = 777":           "INSERT",
	} {
		r, err := (&explainguard.Guard{DB: db}).Check(t.Context(), query)
		require.NoError(t, err)
		require.Equal(t, verb, r.Plan.Writes)
		require.Equal(t, []string{"write-scan: orders in the main query"}, brief(r), r)
	}
	r, err := (&explainguard.Guard{DB: db}).Check(t.Context(), "SELECT * FROM orders WHERE total = 777")
	require.NoError(t, err)
	require.Empty(t, r.Plan.Writes)
	require.Equal(t, []string{"full-scan: orders in the main query"}, brief(r), r)
}

// judgeOnMariaDB explains one statement, and compares. What it really examines is measured anew only for -update.
func judgeOnMariaDB(t *testing.T, db *sql.DB, s corpusStatement, l label, examined *float64) onMariaDB {
	t.Helper()
	r, err := (&explainguard.Guard{DB: db}).Check(t.Context(), s.sql)
	if refused := (*mysql.MySQLError)(nil); errors.As(err, &refused) {
		text, _, _ := strings.Cut(refused.Message, " near ")
		return onMariaDB{Error: fmt.Sprintf("%d: %s", refused.Number, text)}
	}
	require.NoError(t, err, s.name)
	require.NotNil(t, r.Plan, s.name)
	require.Equal(t, explainguard.FormatMariaDB, r.Plan.Format, s.name)
	require.NotContains(t, fmt.Sprint(r.Reasons), "not known", "%s: each plan is understood", s.name)
	o := onMariaDB{Verdict: r.Verdict.String(), Examined: examined, estimate: r.Work.Total}
	for _, f := range r.Findings {
		if !slices.Contains(o.Rules, f.Rule) {
			o.Rules = append(o.Rules, f.Rule)
		}
	}
	slices.Sort(o.Rules)
	if *update && !s.writes() {
		conn, err := db.Conn(t.Context())
		require.NoError(t, err)
		really, _ := reallyRead(t, conn, s.sql)
		require.NoError(t, conn.Close())
		really = math.Round(really)
		o.Examined = &really
	}
	if o.Examined != nil {
		o.Miss = r.Verdict == explainguard.Pass && *o.Examined > tooManyRows
		o.Alarm = slices.Contains(o.Rules, "rows-budget") && *o.Examined <= tooManyRows
	}
	if mysql := s.onMySQL(l); mysql != o.Verdict {
		o.Why = why(o, l, r, mysql)
	}
	return o
}

// onMySQL is the verdict on MySQL, as TestCorpus holds it against the labels and remarks.
func (s corpusStatement) onMySQL(l label) string {
	rules := map[string]bool{}
	for _, p := range s.problems(l) {
		rules[p.rule] = true
	}
	for kind := range s.known {
		if rule, ok := strings.CutPrefix(kind, "miss "); ok {
			delete(rules, rule)
		} else if rule, ok := strings.CutPrefix(kind, "false alarm "); ok && !strings.Contains(rule, " ") {
			rules[rule] = true
		}
	}
	switch {
	case len(rules) > 0:
		return "Fail"
	case s.known["could not tell"] != "":
		return "Unanalysable"
	default:
		return "Pass"
	}
}

// why is the class of the reason for which the verdict is not that on MySQL.
func why(o onMariaDB, l label, r *explainguard.Report, mysql string) string {
	about := "on MySQL " + mysql
	switch {
	case r.Verdict == explainguard.Unanalysable:
		return about + "; could not tell: " + r.Reasons[0].What
	case o.Examined != nil && (*o.Examined > 2*l.Examined+10 || l.Examined > 2**o.Examined+10):
		return about + fmt.Sprintf("; another plan: really examines %.0f rows, there %.0f", *o.Examined, l.Examined)
	case o.Examined != nil && (o.estimate > 2**o.Examined+10 || *o.Examined > 2*o.estimate+10):
		return about + "; another estimate of a plan that really examines as much"
	case mysql == "Fail":
		return about + fmt.Sprintf("; another plan or estimate for %v", l.Rules)
	default:
		return about + fmt.Sprintf("; another plan or estimate: %v", o.Rules)
	}
}

// mariaDBSummary counts what became of the corpus on MariaDB.
type mariaDBSummary struct {
	statements, refused, same, reads, close, two, ten, over, under, misses, alarms float64
	verdicts                                                                       map[string]int
	farOff                                                                         []string // more than 10×
}

func sumUp(all map[string]onMariaDB) mariaDBSummary {
	s := mariaDBSummary{verdicts: map[string]int{}}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		o := all[name]
		s.statements++
		if o.Error != "" {
			s.refused++
			continue
		}
		s.verdicts[o.Verdict]++
		if o.Why == "" {
			s.same++
		}
		if o.Miss {
			s.misses++
		}
		if o.Alarm {
			s.alarms++
		}
		if o.Examined == nil {
			continue
		}
		s.reads++
		ratio := (o.estimate + 1) / (*o.Examined + 1)
		off := math.Abs(math.Log(ratio))
		if off > math.Log(10) {
			s.farOff = append(s.farOff, fmt.Sprintf("%-60s estimated %.0f, really %.0f", name, o.estimate, *o.Examined))
		}
		for limit, n := range map[float64]*float64{1.1: &s.close, 2: &s.two, 10: &s.ten} {
			if off <= math.Log(limit) {
				*n++
			}
		}
		if off > math.Log(2) {
			*cmp.Or(map[bool]*float64{true: &s.over}[ratio > 1], &s.under)++
		}
	}
	return s
}

func (s mariaDBSummary) String() string {
	return fmt.Sprintf("%.0f statements, %.0f of them not known to MariaDB; verdicts %v, %.0f as on MySQL; estimates of %.0f reads: ≤ 1.1× %.1f%%, ≤ 2× %.1f%%, ≤ 10× %.1f%%, "+
		"over %.0f, under %.0f; misses %.0f, false alarms of rows-budget %.0f",
		s.statements, s.refused, s.verdicts, s.same, s.reads, 100*s.close/s.reads, 100*s.two/s.reads, 100*s.ten/s.reads, s.over, s.under, s.misses, s.alarms)
}
