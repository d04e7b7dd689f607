package explainguard_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The criteria by which reality decides what a careful DBA would say, under the default budgets.
const (
	tooManyRows    = 10_000  // a statement that really examines more must fail by rows-budget
	untimedRows    = 100_000 // a read that examines more must fail by max-execution-time unless it has a time limit
	tooManyDerived = 1_000   // a derived table that examines more,
	usedOfDerived  = 0.01    // and of whose rows no more than this share is looked up, must fail by derived-filter
)

// criteria derives the rules that must fire from what really happened.
func (l label) criteria(s corpusStatement) map[string]bool {
	out := map[string]bool{}
	if l.Examined > untimedRows && !s.writes() && !strings.Contains(s.sql, "MAX_EXECUTION_TIME") {
		out["max-execution-time"] = true
	}
	if l.Examined > tooManyRows {
		out["rows-budget"] = true
	}
	for _, d := range l.Derived {
		if d.ByKey && !d.Closed && d.Loops == 1 && d.Examined > tooManyDerived && d.Used <= usedOfDerived*d.Rows {
			out["derived-filter"] = true
		}
	}
	return out
}

// loops is how often stored tables were asked for rows.
func (l label) loops() (sum float64) {
	for _, a := range l.Accesses {
		sum += a.Loops
	}
	return sum
}

// single is the rows that look-ups by a whole unique key found.
func (l label) single() (sum float64) {
	for _, a := range l.Accesses {
		if strings.HasPrefix(a.How, "Single-row") {
			sum += a.Rows * a.Loops
		}
	}
	return sum
}

// updateLabels runs every statement and writes down what it really did.
func updateLabels(t *testing.T, db *sql.DB, schema string, statements []corpusStatement) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	// What is set here must not reach the connections that explainguard uses.
	defer func() { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }()
	for _, set := range []string{
		"SET SESSION explain_json_format_version = 2",
		"SET SESSION max_execution_time = 20000",
		// With it, rows that the index condition drops inside the engine were counted by nobody.
		"SET SESSION optimizer_switch = 'index_condition_pushdown=off'",
	} {
		execOn(t, conn, set)
	}
	labels := map[string]label{}
	for _, s := range statements {
		l := label{}
		if !s.writes() {
			var text string
			require.NoError(t, conn.QueryRowContext(t.Context(), "EXPLAIN ANALYZE FORMAT=JSON "+s.sql).Scan(&text), s.name)
			l = reallyRan(t, conn, text)
		}
		l.Converted = converted(t, conn, s.sql)
		before := fetched(t, conn)
		execOn(t, conn, "FLUSH STATUS")
		execOn(t, conn, "START TRANSACTION")
		execOn(t, conn, s.sql, s.name)
		l.count(t, conn)
		if word, _, _ := strings.Cut(strings.ToUpper(s.sql), " "); word == "INSERT" || word == "REPLACE" {
			l.TempRows = 0 // those of the table itself are counted, too
		}
		if s.writes() || locking.MatchString(s.sql) {
			l.Locked = locked(t, conn)
		}
		execOn(t, conn, "ROLLBACK")
		l.Fetched = fetched(t, conn) - before
		// EXPLAIN ANALYZE is silent about writes, about what ran while the statement was planned, and about subqueries in
		// the select list over a derived table. A fetch too many for each look-up is normal, more is not.
		if loops := l.loops(); s.writes() || len(l.Accesses) == 0 || l.Fetched > 2*l.Examined+2*loops+100 {
			l.Examined = l.Fetched
			if l.Fetched < l.HandlerReads/3 { // performance_schema does not count the rows of partitions
				l.Examined = l.HandlerReads
			}
		}
		// A look-up of the same unique key twice running is answered from memory.
		if strings.Contains(strings.ToLower(s.sql), "against (") {
			l.Fetched = l.Examined // nobody else counts the rows of a full-text search
		}
		require.LessOrEqual(t, l.Examined-l.single(), 1.1*math.Max(l.Fetched, l.HandlerReads)+l.counted+10, "%s: EXPLAIN ANALYZE counted rows that the tables never gave", s.name)
		l.agreeOnSorts(t, s)
		l.Rules = l.rules(s)
		labels[s.name] = l
	}
	text, err := json.MarshalIndent(labels, "", " ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(labelsFile(schema), append(text, '\n'), 0o600))
}

func execOn(t *testing.T, conn *sql.Conn, query string, about ...any) {
	t.Helper()
	_, err := conn.ExecContext(context.WithoutCancel(t.Context()), query)
	require.NoError(t, err, about...)
}

func one(t *testing.T, conn *sql.Conn, query string) float64 {
	t.Helper()
	var v sql.NullFloat64
	require.NoError(t, conn.QueryRowContext(t.Context(), query).Scan(&v))
	return v.Float64
}

func fetched(t *testing.T, conn *sql.Conn) float64 {
	t.Helper()
	return one(t, conn, "SELECT SUM(count_fetch) FROM performance_schema.table_io_waits_summary_by_table WHERE object_schema = DATABASE()")
}

// count takes the session's counters, all with one statement, as each counts itself.
func (l *label) count(t *testing.T, conn *sql.Conn) {
	t.Helper()
	require.NoError(t, conn.QueryRowContext(t.Context(), `SELECT SUM(IF(variable_name LIKE 'Handler\_read%', variable_value, 0)),
		SUM(IF(variable_name = 'Sort_rows', variable_value, 0)), SUM(IF(variable_name = 'Created_tmp_tables', variable_value, 0)),
		SUM(IF(variable_name = 'Handler_write', variable_value, 0))
		FROM performance_schema.session_status WHERE variable_name LIKE 'Handler\_read%' OR variable_name IN ('Sort_rows', 'Created_tmp_tables', 'Handler_write')`).
		Scan(&l.HandlerReads, &l.SortRows, &l.TempTables, &l.TempRows))
}

// ranNode is an operator in the output of EXPLAIN ANALYZE FORMAT=JSON.
type ranNode struct {
	Operation  string    `json:"operation"`
	Kind       string    `json:"access_type"`
	Table      string    `json:"table_name"`
	Schema     string    `json:"schema_name"`
	Index      string    `json:"index_name"`
	Rows       float64   `json:"actual_rows"`
	Loops      float64   `json:"actual_loops"`
	Inputs     []ranNode `json:"inputs"`
	SelectList []ranNode `json:"inputs_from_select_list"`
	ZeroRows   string    `json:"zero_rows_cause"`
	Heading    string    `json:"heading"`
	Subquery   bool      `json:"subquery"`
	Dependent  bool      `json:"dependent"`
	JoinType   string    `json:"join_type"`
	Algorithm  string    `json:"join_algorithm"`
	References []string  `json:"lookup_references"`
	Offset     float64   `json:"limit_offset"`

	HashCondition []string `json:"hash_condition"`
}

func (n ranNode) all(visit func(ranNode)) {
	visit(n)
	for _, in := range append(append([]ranNode(nil), n.Inputs...), n.SelectList...) {
		in.all(visit)
	}
}

func (n ranNode) stored() bool {
	return (n.Kind == "table" || n.Kind == "index" || n.Kind == "count_rows") && n.Schema != "" && !strings.HasPrefix(n.Table, "<") && len(n.Inputs) == 0
}

func (n ranNode) examined(counts func(string) float64) (sum float64) {
	n.all(func(n ranNode) {
		switch {
		case !n.stored():
		case n.Kind == "count_rows":
			sum += counts(n.Table) // InnoDB counts them without handing them out
		default:
			sum += n.Rows * n.Loops
		}
	})
	return sum
}

// reallyRan reads the output of EXPLAIN ANALYZE FORMAT=JSON.
func reallyRan(t *testing.T, conn *sql.Conn, text string) label {
	t.Helper()
	var doc struct {
		Plan ranNode `json:"query_plan"`
	}
	require.NoError(t, json.Unmarshal([]byte(text), &doc))
	counts := func(table string) float64 {
		return one(t, conn, "SELECT COUNT(*) FROM `"+table+"` WHERE 1")
	}
	l := label{Examined: math.Round(doc.Plan.examined(counts)), Empty: doc.Plan.Kind == "zero_rows"}
	doc.Plan.all(func(n ranNode) {
		if n.Kind == "count_rows" {
			l.counted += counts(n.Table)
		}
	})
	l.look(doc.Plan, nil, counts)
	derived := map[string]*labelDerived{}
	var names []string
	doc.Plan.all(func(n ranNode) {
		if n.Kind != "table" && n.Kind != "index" || len(n.Inputs) != 1 || n.Inputs[0].Kind != "materialize" || strings.HasPrefix(n.Table, "<") {
			return
		}
		m := n.Inputs[0]
		name := n.Table
		if words := strings.Fields(m.Operation); len(words) > 2 && strings.HasPrefix(m.Operation, "Materialize CTE ") {
			name = words[2] // one table, however often it is named
		}
		d := derived[name]
		if d == nil {
			d = &labelDerived{Name: name, ByKey: true}
			derived[name] = d
			names = append(names, name)
		}
		if len(m.Inputs) > 0 {
			d.Examined, d.Rows, d.Loops = math.Round(m.examined(counts)), m.Rows, m.Loops
			m.all(func(in ranNode) {
				d.Closed = d.Closed || in.Kind == "limit" || in.Kind == "window"
				if strings.Contains(in.Kind, "aggregate") { // HAVING may have dropped groups since
					d.Rows = math.Max(d.Rows, in.Rows*in.Loops)
				}
			})
		}
		d.ByKey = d.ByKey && n.Kind == "index"
		d.Used += n.Rows * n.Loops
	})
	for _, name := range names {
		l.Derived = append(l.Derived, *derived[name])
	}
	return l
}
