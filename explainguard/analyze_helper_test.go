package explainguard_test

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// optimizers are the two that MySQL 9.7 has. The hypergraph optimizer knows no JSON v1.
var optimizers = map[string]func(*mysql.Config){
	"default":    nil,
	"hypergraph": withDefaults("optimizer_switch", "'hypergraph_optimizer=on'"),
}

func accesses(p *explainguard.Plan) []*explainguard.Node {
	var out []*explainguard.Node
	for _, b := range p.Blocks() {
		out = append(out, b.Accesses()...)
	}
	return out
}

// temporary is how many rows a run read from internal temporary tables, by the plan.
func temporary(p *explainguard.Plan) float64 {
	var sum float64
	var visit func(n *explainguard.Node)
	visit = func(n *explainguard.Node) {
		if n == nil {
			return
		}
		if n.Actual != nil && !n.Base && (n.Op == explainguard.OpAccess || n.Op == explainguard.OpTemp || n.Op == explainguard.OpRecursiveScan ||
			n.Op == explainguard.OpTableFunction || n.Op == explainguard.OpAggregate) {
			sum += n.Actual.Rows * n.Actual.Loops
			for _, in := range n.Inputs {
				if in.Actual != nil {
					sum += in.Actual.Rows * in.Actual.Loops // looked up there, one by one
				}
			}
		}
		for _, in := range n.Inputs {
			visit(in)
		}
	}
	for _, b := range p.Blocks() {
		visit(b.Root)
	}
	return sum
}

type counters struct{ steps, keys, ends float64 }

// counting runs a statement, and not an EXPLAIN of it, and returns what the session's counters say.
func counting(t *testing.T, db *sql.DB, text string) counters {
	t.Helper()
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	read := func() map[string]float64 {
		rows, err := conn.QueryContext(t.Context(), "SHOW SESSION STATUS LIKE 'Handler_read%'")
		require.NoError(t, err)
		defer rows.Close()
		out := map[string]float64{}
		for rows.Next() {
			var name string
			var value float64
			require.NoError(t, rows.Scan(&name, &value))
			out[strings.TrimPrefix(name, "Handler_read_")] = value
		}
		require.NoError(t, rows.Err())
		return out
	}
	_, err = conn.ExecContext(t.Context(), "SET SESSION optimizer_switch = 'index_condition_pushdown=off'")
	require.NoError(t, err)
	before := read()
	rows, err := conn.QueryContext(t.Context(), text)
	require.NoError(t, err)
	for rows.Next() {
	}
	require.NoError(t, rows.Err())
	require.NoError(t, rows.Close())
	after := read()
	_, err = conn.ExecContext(t.Context(), "SET SESSION optimizer_switch = 'index_condition_pushdown=on'")
	require.NoError(t, err)
	diff := func(name string) float64 { return after[name] - before[name] }
	return counters{
		steps: diff("next") + diff("prev") + diff("rnd_next"),
		keys:  diff("key"),
		ends:  diff("key") + diff("first") + diff("last"), // each look-up and each scan reads once past its end
	}
}
