package explainguard_test

import (
	"database/sql"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// labelTaken is an operator that sorted rows or put them into a temporary table, as it really ran.
type labelTaken struct {
	How    string   `json:"how"`
	Rows   float64  `json:"rows"` // that came in, over all its loops
	Tables []string `json:"tables"`
}

// labelPairs is a join that compared each row of one side with each of the other.
type labelPairs struct {
	How    string   `json:"how"`
	Pairs  float64  `json:"pairs"`
	Tables []string `json:"tables"` // of the inner side
}

// labelRepeated is a subquery, or a LATERAL table, that ran again for rows of the query around it.
type labelRepeated struct {
	How      string   `json:"how"`
	Loops    float64  `json:"loops"`
	Examined float64  `json:"examined"` // over all loops, without look-ups by a whole unique key
	Tables   []string `json:"tables"`
}

// problem is something that really was the matter: the rule that is to name it, and the tables concerned.
type problem struct {
	rule   string
	tables []string
}

// fewEachTime is documented of unselective-index: so few rows lie side by side.
const fewEachTime = 10

var (
	inLists = regexp.MustCompile(`(?is)\bIN\s*\(([^()]*)\)`)
	locking = regexp.MustCompile(`(?is)\b(FOR\s+(UPDATE|SHARE)|LOCK\s+IN\s+SHARE\s+MODE)\b`)
	sorting = regexp.MustCompile(`^Sort|[Tt]emporary table|[Mm]aterialize|with buffering`)
)

// problems derives from what really happened what a careful DBA would name. None of it asks explainguard; only the limits are its defaults.
func (l label) problems(s corpusStatement) (out []problem) {
	seen := map[string]bool{}
	add := func(rule string, tables ...string) {
		if key := fmt.Sprint(rule, tables); !seen[key] {
			seen[key] = true
			out = append(out, problem{rule, tables})
		}
	}
	for rule := range l.criteria(s) {
		add(rule)
	}
	for _, a := range l.Accesses {
		read := a.Rows * a.Loops
		scan := a.scans()
		if scan && read > explainguard.DefaultFullScanRows {
			add("full-scan", a.Table)
		}
		if scan && read > explainguard.DefaultConversionRows && slices.Contains(l.Converted, a.Table) {
			add("implicit-conversion", a.Table)
		}
		if !scan && a.Kept != nil && read > explainguard.DefaultIndexRows && a.Rows > fewEachTime && *a.Kept < explainguard.DefaultIndexKept*a.Rows {
			add("unselective-index", a.Table)
		}
	}
	for _, m := range l.Taken {
		if m.Rows > explainguard.DefaultSortRows {
			add("sort-temporary", m.Tables...)
		}
	}
	if max(l.SortRows, l.TempRows) > explainguard.DefaultSortRows && len(l.Taken) == 0 { // a write, of which no operators are known
		add("sort-temporary")
	}
	for _, j := range l.Pairs {
		if j.Pairs > explainguard.DefaultJoinPairs {
			add("join-without-condition", j.Tables...)
		}
	}
	for _, r := range l.Repeated {
		if r.Loops > explainguard.DefaultSubqueryExecutions && r.Examined > explainguard.DefaultSubqueryRows {
			add("dependent-subquery", r.Tables...)
		}
	}
	for _, table := range slices.Sorted(maps.Keys(l.Locked)) {
		if l.Locked[table] > explainguard.DefaultLockedRows {
			add("write-scan", table)
		}
	}
	for _, m := range inLists.FindAllStringSubmatch(s.sql, -1) {
		if strings.Count(m[1], ",")+1 > explainguard.DefaultInListValues {
			add("in-list")
		}
	}
	if l.Skipped > explainguard.DefaultOffsetRows {
		add("large-offset")
	}
	return out
}

// rules are the names of the rules that must speak, for the file of labels.
func (l label) rules(s corpusStatement) []string {
	set := map[string]bool{}
	for _, p := range l.problems(s) {
		set[p.rule] = true
	}
	return slices.Sorted(maps.Keys(set))
}

func (a labelAccess) scans() bool {
	how := strings.TrimPrefix(a.How, "Covering ")
	return strings.HasPrefix(how, "Table scan") || strings.HasPrefix(strings.ToLower(how), "index scan") || strings.HasPrefix(how, "Count rows")
}

// Which rules may stay quiet about a table, as a more exact one has named the same rows.
var moreExact = map[string][]string{
	"full-scan":         {"derived-filter", "implicit-conversion", "join-without-condition", "dependent-subquery", "write-scan", "sort-temporary"},
	"unselective-index": {"derived-filter", "join-without-condition", "dependent-subquery", "write-scan"},
	"sort-temporary":    {"derived-filter", "dependent-subquery"},
}

// namedBy returns the rule of the finding that names a problem, "" if there is none.
func namedBy(p problem, r *explainguard.Report) string {
	for _, f := range r.Findings {
		if f.Rule == p.rule {
			return f.Rule
		}
	}
	for _, f := range r.Findings {
		if !slices.Contains(moreExact[p.rule], f.Rule) {
			continue
		}
		for _, n := range explainguard.Explains(f) {
			if slices.Contains(p.tables, n.Table) {
				return f.Rule
			}
		}
	}
	return ""
}

// look adds what an operator did, and those below it.
func (l *label) look(n ranNode, parent *ranNode, counts func(string) float64) {
	if n.stored() {
		a := labelAccess{Table: n.Table, How: n.Operation, Rows: n.Rows, Loops: n.Loops}
		if n.Kind == "count_rows" {
			a.Rows = counts(n.Table)
		}
		if parent != nil && parent.Kind == "filter" {
			a.Kept = &parent.Rows
		}
		l.Accesses = append(l.Accesses, a)
	}
	if sorting.MatchString(n.Operation) && len(n.Inputs) > 0 && n.Kind != "table" && n.Kind != "index" && n.Kind != "filter" && n.Kind != "invalidate_materialized_tables" {
		in := 0.0
		for _, i := range n.Inputs {
			if !i.Subquery {
				in += i.Rows * i.Loops
			}
		}
		l.Taken = append(l.Taken, labelTaken{n.Operation, in, n.tables()})
	}
	if n.Subquery && n.Dependent || strings.Contains(n.Operation, "invalidate on row from") {
		r := labelRepeated{How: n.Heading, Loops: n.Loops, Tables: n.tables()}
		if r.How == "" {
			r.How = n.Operation
		}
		n.all(func(in ranNode) {
			if in.stored() && !strings.Contains(in.Operation, "ingle-row") {
				r.Examined += in.Rows * in.Loops
			}
		})
		if !l.repeats(r) { // the outermost that repeats is the one
			l.Repeated = append(l.Repeated, r)
		}
	}
	if n.Kind == "limit" && len(n.Inputs) > 0 {
		l.Skipped += math.Min(n.Offset, n.Inputs[0].Rows) * n.Loops
	}
	l.join(n)
	for i := range n.Inputs {
		l.look(n.Inputs[i], &n, counts)
	}
	for i := range n.SelectList {
		l.look(n.SelectList[i], &n, counts)
	}
}

func (l *label) repeats(r labelRepeated) bool {
	for _, have := range l.Repeated {
		if strings.Contains(fmt.Sprint(have.Tables), strings.Trim(fmt.Sprint(r.Tables), "[]")) && have.Examined >= r.Examined {
			return true
		}
	}
	return false
}

// join adds the pairs that a join compared without a key to go by.
func (l *label) join(n ranNode) {
	if n.Kind != "join" || len(n.Inputs) != 2 || strings.Contains(n.JoinType, "semi") || strings.Contains(n.JoinType, "anti") {
		return
	}
	outer, inner := n.Inputs[0], n.Inputs[1]
	if n.Algorithm == "hash" {
		if len(n.HashCondition) == 0 {
			l.Pairs = append(l.Pairs, labelPairs{n.Operation, outer.Rows * outer.Loops * inner.Rows * inner.Loops, inner.tables()})
		}
		return
	}
	for inner.Kind == "filter" {
		inner = inner.Inputs[0]
	}
	if inner.Kind != "table" && inner.Kind != "index" || inner.Loops <= 1 || strings.Contains(inner.Operation, "ingle-row") || strings.Contains(inner.Operation, "re-planned") {
		return
	}
	for _, m := range inner.Inputs { // a LATERAL table is another with each row
		if strings.Contains(m.Operation, "invalidate on row") {
			return
		}
	}
	if strings.Contains(inner.Operation, "lookup") && (len(inner.References) == 0 || slices.ContainsFunc(inner.References, func(r string) bool { return r != "const" })) {
		return // by a value of the other side
	}
	l.Pairs = append(l.Pairs, labelPairs{n.Operation + ": " + inner.Operation, inner.Rows * inner.Loops, inner.tables()})
}

// agreeOnSorts compares the operators with the counters: what goes into temporary tables and comes out of sorts is no more than what went in.
func (l label) agreeOnSorts(t *testing.T, s corpusStatement) {
	t.Helper()
	if s.writes() || len(l.Accesses) == 0 || strings.Contains(s.sql, "JSON_TABLE") { // a table function fills a table, too
		return
	}
	in := 0.0
	for _, taken := range l.Taken {
		in += taken.Rows
	}
	require.LessOrEqual(t, l.SortRows, in+1, "%s: rows were sorted that EXPLAIN ANALYZE does not show: %+v", s.name, l.Taken)
	require.LessOrEqual(t, l.TempRows, in+1, "%s: rows went into temporary tables that EXPLAIN ANALYZE does not show: %+v", s.name, l.Taken)
}

func (n ranNode) tables() (out []string) {
	n.all(func(n ranNode) {
		if n.stored() && !slices.Contains(out, n.Table) {
			out = append(out, n.Table)
		}
	})
	return out
}

// converted are the tables of whose indexes the server says that a conversion makes them useless.
func converted(t *testing.T, conn *sql.Conn, query string) (tables []string) {
	t.Helper()
	execOn(t, conn, "EXPLAIN FORMAT=TRADITIONAL "+query)
	indexes := strings.Join(warnings(t, conn, "1739"), "\n")
	m := regexp.MustCompile(`on index '(.+)' due to`).FindAllStringSubmatch(indexes, -1)
	for _, index := range m {
		rows, err := conn.QueryContext(t.Context(), "SELECT DISTINCT table_name FROM information_schema.statistics WHERE table_schema = DATABASE() AND index_name = ?", index[1])
		require.NoError(t, err)
		for rows.Next() {
			var table string
			require.NoError(t, rows.Scan(&table))
			if !slices.Contains(tables, table) {
				tables = append(tables, table)
			}
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
	}
	slices.Sort(tables)
	return tables
}

func warnings(t *testing.T, conn *sql.Conn, code string) (out []string) {
	t.Helper()
	rows, err := conn.QueryContext(t.Context(), "SHOW WARNINGS")
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var level, message string
		var number int
		require.NoError(t, rows.Scan(&level, &number, &message))
		if strconv.Itoa(number) == code {
			out = append(out, message)
		}
	}
	require.NoError(t, rows.Err())
	return out
}

// locked is how many records of each table the transaction holds locks on, in the index where they are most.
func locked(t *testing.T, conn *sql.Conn) map[string]float64 {
	t.Helper()
	rows, err := conn.QueryContext(t.Context(), `SELECT object_name, COUNT(*) FROM performance_schema.data_locks
		WHERE object_schema = DATABASE() AND thread_id = PS_CURRENT_THREAD_ID() AND lock_type = 'RECORD' AND lock_data <> 'supremum pseudo-record' GROUP BY object_name, index_name`)
	require.NoError(t, err)
	defer rows.Close()
	out := map[string]float64{}
	for rows.Next() {
		var table string
		var n float64
		require.NoError(t, rows.Scan(&table, &n))
		out[table] = max(out[table], n)
	}
	require.NoError(t, rows.Err())
	return out
}
