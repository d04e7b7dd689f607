package explainguard

import (
	"math"
	"strings"
)

// table reads one table of a MariaDB plan.
func (r maria) table(b *Block, t object) *Node {
	name := str(t, "table_name")
	n := &Node{
		Op: OpAccess, Table: name, Alias: name, Index: str(t, "key"), KeyColumns: strs(t, "used_key_parts"), Refs: strs(t, "ref"),
		Read: num(t, "rows"), Rows: unknown, Actual: mariaActual(t), partitions: strs(t, "partitions"),
	}
	if name == "" {
		return r.nameless(b, t)
	}
	if !has(t, "access_type") { // INSERT … VALUES; of INSERT … SELECT the target is not shown
		n.Op, n.Detail, n.Target, n.Read, n.Rows = OpWrite, "write "+name, true, 0, 1
		r.unknownKeys(t, n)
		return n
	}
	for _, key := range []string{"attached_condition", "index_condition", "index_condition_bka"} {
		if c := str(t, key); c != "" {
			n.Conditions = append(n.Conditions, c)
		}
	}
	r.access(n, t)
	if n.perRow && n.Actual != nil && n.Actual.Loops == 0 {
		n.Actual = nil // the server does not count the loops of such a look-up
	}
	n.Base = !internalTable(name) && str(t, "table_function") == ""
	if m := obj(t, "materialized"); m != nil {
		r.materialized(b, n, m)
	} else if strings.HasPrefix(name, "<derived") {
		n.Op, n.Detail = OpRecursiveScan, "the rows found last"
	}
	if str(t, "table_function") != "" {
		n.Op, n.Access = OpTableFunction, ""
	}
	r.figures(n, t)
	notFound(r.plan, n, t)
	r.unknownKeys(t, n, "materialized")
	return n
}

// nameless reads what stands for a table in a block without one.
func (r maria) nameless(b *Block, t object) *Node {
	b.Message = str(t, "message")
	n := &Node{Op: OpNothing, Detail: b.Message}
	switch b.Message {
	case mariaDeletesAll:
		b.Message, n.Detail = "", mariaDeletesAll
		r.plan.cannotTell(mariaDeletesAll+": the server gives no figure for a DELETE without WHERE",
			"let Explain ask the server, which also reads EXPLAIN EXTENDED; it reads, and deletes, every row")
	case "":
		r.plan.notKnown("the plan has a table without a name in the " + b.Title())
	}
	r.unknownKeys(t, n)
	return n
}

const mariaDeletesAll = "Deleting all rows"

func (r maria) access(n *Node, t object) {
	a := str(t, "access_type")
	if rest, hashed := strings.CutPrefix(a, "hash_"); hashed {
		a = rest
		// #hash#<what is hashed>:<the index that is read>
		_, n.Index, _ = strings.Cut(n.Index, ":")
		n.KeyColumns, n.Refs = nil, nil
	}
	r.plan.access(n, a)
	if n.Access == AccessIndexMerge {
		n.Index = merged(obj(t, "index_merge"))
	}
	n.perRow = a == "unique_subquery" || a == "index_subquery"
	if has(t, "using_index_for_group_by") {
		n.Access = AccessSkipScan
	}
}

// merged names the indexes of an index merge as MySQL does: union(a,b).
func merged(d object) string {
	if d == nil {
		return ""
	}
	var out []string
	for _, key := range sorted(d) {
		if key == "range" {
			out = append(out, str(obj(d, key), "key"))
			continue
		}
		var in []string
		for _, e := range objs(d, key) {
			in = append(in, merged(e))
		}
		out = append(out, key+"("+strings.Join(in, ",")+")")
	}
	return strings.Join(out, ",")
}

// figures fills in how many rows an access reads and passes on.
func (r maria) figures(n *Node, t object) {
	kept := num(t, "filtered")
	if kept < 0 {
		kept = 100 // a single-table write does not say
	}
	if n.Read >= 0 {
		n.Rows = n.Read * math.Min(kept, 100) / 100
	}
	if n.Access == AccessConst && n.Read < 0 {
		n.Read, n.Rows = 1, 1
	}
	if !n.Base {
		n.Read = math.Max(n.Read, 0)
	} else if n.Read < 0 {
		n.Read = 0
		r.plan.cannotTell("the server gives no row estimate for table "+n.Name(), "run ANALYZE TABLE, then try again")
	}
}

// mariaActual reads what ANALYZE measured at a table, or nil.
func mariaActual(t object) *Actual {
	loops := num(t, "r_loops")
	if loops < 0 {
		return nil
	}
	a := &Actual{Loops: loops}
	// Rows that an index condition or a row id filter dropped were read as well.
	a.Rows = math.Max(math.Max(num(t, "r_rows"), num(t, "r_index_rows")), 0)
	for _, key := range []string{"r_total_time_ms", "r_table_time_ms", "r_other_time_ms"} {
		a.Millis += math.Max(num(t, key), 0) / math.Max(loops, 1) // the server tells it for all loops together
	}
	return a
}

// materialized reads the block that fills a derived table or a materialized subquery.
func (r maria) materialized(b *Block, n *Node, m object) {
	n.Base = false
	r.unknownKeys(m, n, "query_block", "materialization")
	d := &Block{Kind: BlockDerived, Name: n.Name(), Parent: b, Dependent: num(m, "lateral") > 0}
	if strings.HasPrefix(n.Table, "<subquery") {
		d.Kind, d.ID = BlockSemijoin, semijoinID(n.Table)
	}
	inner := obj(m, "query_block")
	if inner == nil {
		inner = obj(obj(m, "materialization"), "query_block")
	}
	r.block(d, inner)
	n.Blocks = append(n.Blocks, d)
}
