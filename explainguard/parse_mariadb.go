package explainguard

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/valyala/fastjson"
)

// maria reads EXPLAIN FORMAT=JSON and ANALYZE FORMAT=JSON of MariaDB. It is like MySQL's version 1, and different in
// every detail: derived tables have numbers for names, joins wrap their tables, and all subqueries of a block stand in one
// list without a word on where they belong or whether they run again for each row.
//
// The keys below are those of 6,000 plans: 297 statements of all kinds under 10 settings of the optimizer, on 10.11.18
// and 11.8.6 each (a test repeats it), and full-scan-on-null_key, which none of them has. Any other key that may hold a
// plan makes it unanalysable.
type maria struct{ plan *Plan }

// The keys under which MariaDB nests one operator in another.
var mariaWrappers = map[string]Op{
	"filesort": OpSort, "temporary_table": OpTemp, "duplicate_removal": OpDistinct, "window_functions_computation": OpWindow,
	"buffer": OpStream, // an UPDATE of the key that it reads by collects its rows first
}

var mariaUnions = map[string]string{"union_result": "union", "recursive_union": "recursive union"}

// What MariaDB puts around the table of a join. The first of them does so with several tables.
const (
	mariaWeedout   = "duplicates_removal"
	mariaBuffered  = "block-nl-join"
	mariaSorted    = "read_sorted_file"
	mariaReplanned = "range-checked-for-each-record"
	mariaNullScan  = "full-scan-on-null_key"
)

// Keys that hold objects, but no plan nodes.
var mariaFigures = map[string]bool{
	"query_optimization": true, "r_engine_stats": true, "r_keys": true, "rowid_filter": true, "index_merge": true,
	"sorts": true, // of window functions: their keys
}

func (r maria) parse(doc, block object) {
	b := &Block{Kind: BlockMain, Name: "main"}
	r.plan.Root = b
	r.plan.Analyzed = has(doc, "query_optimization") || analyzed(block)
	r.unknownKeys(doc, nil, "query_block")
	r.block(b, block)
	r.plan.correlate()
}

// analyzed reports whether a block was run: ANALYZE adds figures that start with r_.
func analyzed(d object) bool {
	if has(d, "r_loops") {
		return true
	}
	for _, key := range []string{"union_result", "recursive_union", "table"} {
		if v := obj(d, key); v != nil && (has(v, "r_loops") || has(v, "r_rows") || has(v, "r_total_time_ms")) {
			return true
		}
		for _, spec := range objs(obj(d, key), "query_specifications") {
			if analyzed(obj(spec, "query_block")) {
				return true
			}
		}
	}
	return has(d, "r_total_time_ms")
}

func (r maria) block(b *Block, d object) {
	if d == nil {
		r.plan.untold(b)
		return
	}
	if id := num(d, "select_id"); id > 0 {
		b.ID = int(id)
	}
	for _, key := range []string{"having_condition", "const_condition", "outer_ref_condition", "pseudo_bits_condition"} {
		if c := str(d, key); c != "" && c != "1" {
			b.conditions = append(b.conditions, c)
		}
	}
	b.ran = num(d, "r_loops")
	n, subqueries := r.operator(b, d)
	b.Root = b.hang(n, subqueries)
	v1(r).liftConst(b)
	if b.ID == 0 { // a block that is a union has no number of its own
		for _, in := range b.Blocks() {
			if in.Kind == BlockUnionArm {
				b.ID = in.ID
				break
			}
		}
	}
}

// operator reads what an object holds: a join, a union, or an operator around them, and the block's subqueries.
func (r maria) operator(b *Block, d object) (n *Node, subqueries []*Block) {
	for _, key := range sorted(d) {
		inner := obj(d, key)
		switch {
		case key == "nested_loop":
			var steps []step
			for _, e := range objs(d, key) {
				steps = r.steps(b, e, steps)
			}
			n = above(r.join(steps), n)
		case key == "table" && inner != nil, key == mariaSorted, key == mariaBuffered, key == mariaReplanned, key == mariaNullScan:
			n = above(r.join(r.steps(b, only(d, key), nil)), n)
		case mariaUnions[key] != "" && inner != nil:
			n = above(r.union(b, inner, mariaUnions[key]), n)
		case mariaWrappers[key] != "" && inner != nil:
			in, own := r.operator(b, inner)
			subqueries = append(subqueries, own...)
			w := &Node{Op: mariaWrappers[key], Rows: unknown, Inputs: nodes(in), Detail: string(mariaWrappers[key])}
			w.Filesort, w.TempTable = key == "filesort", key == "temporary_table"
			if key == "filesort" {
				w.Detail = "sort (filesort)"
			}
			n = above(w, n)
		case key == "subqueries":
			for _, s := range objs(d, key) {
				subqueries = append(subqueries, r.subquery(b, s))
			}
		case !mariaFigures[key] && holdsNodes(d.Get(key)):
			n = above(r.unknown(b, key, d.Get(key)), n)
		}
	}
	return n, subqueries
}

// only is an object reduced to one of its keys.
func only(d object, key string) object {
	out := (&fastjson.Arena{}).NewObject()
	out.Set(key, d.Get(key))
	return out
}

func (r maria) unknown(b *Block, key string, v object) *Node {
	key = shorten(key, 40)
	r.plan.unknownOperator(key)
	u := &Node{Op: Op("unknown: " + key), Rows: unknown}
	if v.Type() == fastjson.TypeObject {
		in, subqueries := r.operator(b, v)
		u.Inputs = nodes(b.hang(in, subqueries))
	}
	return u
}

// unknownKeys reports what an object holds beside the keys that are read.
func (r maria) unknownKeys(d object, n *Node, read ...string) {
	if d == nil {
		return
	}
	for _, key := range sorted(d) {
		if mariaFigures[key] || slices.Contains(read, key) || !holdsNodes(d.Get(key)) {
			continue
		}
		if n == nil {
			r.plan.unknownOperator(shorten(key, 40))
			continue
		}
		r.plan.notKnown("table " + n.Name() + " holds an operator that is not known: " + shorten(key, 40))
		n.Inputs = append(n.Inputs, &Node{Op: Op("unknown: " + shorten(key, 40)), Rows: unknown})
	}
}

func (r maria) union(b *Block, d object, what string) *Node {
	n := &Node{Op: OpUnion, Detail: what, Rows: unknown}
	r.unknownKeys(d, nil, "query_specifications")
	for i, spec := range objs(d, "query_specifications") {
		arm := &Block{Kind: BlockUnionArm, Name: fmt.Sprintf("union arm %d", i+1), Parent: b}
		r.unknownKeys(spec, nil, "query_block")
		inner := obj(spec, "query_block")
		if op := strings.ToLower(str(inner, "operation")); op == "except" || op == "intersect" {
			n.Detail = op
		}
		r.block(arm, inner)
		if what == "recursive union" {
			arm.Root.walk(func(n *Node) { arm.Recursive = arm.Recursive || n.Op == OpRecursiveScan })
		}
		n.Blocks = append(n.Blocks, arm)
	}
	return n
}

// subquery reads an entry of the list of subqueries.
func (r maria) subquery(b *Block, d object) *Block {
	s := &Block{Kind: BlockSubquery, Name: subqueryName(0), Parent: b}
	r.unknownKeys(d, nil, "query_block", "materialization", "expression_cache", "subquery_cache")
	switch {
	case obj(d, "materialization") != nil: // kept in a temporary table: run once, looked up for each row
		r.block(s, obj(obj(d, "materialization"), "query_block"))
		s.Root = &Node{Op: OpMaterialize, Detail: "keep the subquery's result for look-ups", Rows: unknown, Inputs: nodes(s.Root)}
	case obj(d, "expression_cache") != nil, obj(d, "subquery_cache") != nil:
		// Results are kept for values seen before. How often those repeat, a plan does not say: each row counts.
		cache := obj(d, "expression_cache")
		if cache == nil {
			cache = obj(d, "subquery_cache")
		}
		s.correlation = isCorrelated
		r.block(s, obj(cache, "query_block"))
	default:
		s.correlation = maybeCorrelated
		r.block(s, obj(d, "query_block"))
	}
	s.Dependent = s.correlation == isCorrelated
	s.Name = subqueryName(s.ID)
	return s
}

// hang puts a block's subqueries where its conditions mention them, and the others above its topmost operator.
func (b *Block) hang(root *Node, subqueries []*Block) *Node {
	for _, s := range subqueries {
		mention := fmt.Sprintf("(subquery#%d)", s.ID)
		mentioned := func(list []string) bool {
			return slices.ContainsFunc(list, func(c string) bool { return strings.Contains(c, mention) })
		}
		var at *Node
		for _, n := range root.appendAccesses(nil) {
			if at == nil && mentioned(n.Conditions) {
				at = n
			}
		}
		s.Location = locationCondition
		if at == nil {
			if root == nil {
				root = &Node{Op: OpNothing, Rows: 1}
			}
			at = root
			if !mentioned(b.conditions) {
				s.Location = locationSelectList
			}
		}
		at.Blocks = append(at.Blocks, s)
	}
	return root
}

// step is one table of a join.
type step struct {
	node    *Node
	table   object
	hash    bool
	filters []*Node // row id filters, filled before the join starts
}

// steps reads an entry of nested_loop: a table, what is around it, or several tables.
func (r maria) steps(b *Block, d object, to []step) []step {
	for _, key := range sorted(d) {
		v := d.Get(key)
		inner := obj(d, key)
		switch {
		case key == "table" && inner != nil:
			n := r.table(b, inner)
			to = append(to, step{node: n, table: inner, hash: strings.HasPrefix(str(inner, "access_type"), "hash_"), filters: r.filters(n, inner)})
		case key == mariaWeedout && inner == nil:
			for _, e := range objs(d, key) {
				to = r.steps(b, e, to)
			}
		case inner != nil && (key == mariaWeedout || key == mariaSorted || key == mariaBuffered || key == mariaReplanned || key == mariaNullScan || key == "filesort"):
			from := len(to)
			to = r.steps(b, inner, to)
			for i := from; i < len(to); i++ {
				r.around(b, &to[i], key, inner)
			}
		case key == "materialized" && len(to) > 0 && inner != nil: // beside the table of a hash join
			continue
		case !mariaFigures[key] && v != nil && holdsNodes(v):
			to = append(to, step{node: r.unknown(b, key, v)})
		}
	}
	return to
}

// around applies what MariaDB puts around a table.
func (r maria) around(b *Block, s *step, key string, d object) {
	switch key {
	case mariaReplanned:
		s.node.Access, s.node.Index = AccessReplanned, ""
	case mariaNullScan:
		s.node.lookupOnly, s.node.Detail = true, "the look-up in "+s.node.Name()
	case mariaBuffered:
		if c := str(d, "attached_condition"); c != "" {
			s.node.Conditions = append(s.node.Conditions, c)
		}
		if m := obj(d, "materialized"); m != nil {
			r.materialized(b, s.node, m)
		}
		s.node.buffered = true
		// Each row of the buffer is compared with each row of the table, which the server itself calls loops. A hash join
		// compares those with the same hash only.
		s.hash = s.hash || strings.HasSuffix(str(d, "join_type"), "BNLH")
		if loops, rows := num(d, "r_loops"), num(d, "r_effective_rows"); !s.hash && loops >= 0 && s.node.Actual != nil && str(d, "join_type") == "BNL" {
			s.node.Actual.Loops, s.node.Actual.Rows = loops, math.Max(rows, 0)
		}
	case "filesort":
		s.node = &Node{Op: OpSort, Detail: "sort (filesort)", Filesort: true, Rows: unknown, Inputs: []*Node{s.node}}
	}
}

// join makes a left-deep tree of the tables. Where the server says how often the next table is read (loops, since 11.0),
// that is how many rows the tables before it pass on; elsewhere it is their product.
func (r maria) join(steps []step) *Node {
	var left *Node
	var filters []*Node
	ends := 1.0 // the part of its rows after which a LIMIT ends the first table, which loops leaves out
	for i, s := range steps {
		filters = append(filters, s.filters...)
		if left == nil {
			left = s.node
		} else {
			left = &Node{Op: OpJoin, Join: s.kind(), Hash: s.hash, Rows: unknown, Inputs: []*Node{left, s.node}}
			left.Detail = joinDetail(left)
		}
		if i+1 == len(steps) || steps[i+1].table == nil {
			continue
		}
		loops := num(steps[i+1].table, "loops")
		if loops <= 0 {
			continue
		}
		if left.Op == OpAccess && left.Access == AccessIndexScan && loops > 1.5*passed(left)+1 {
			ends = passed(left) / loops
		}
		if ends < 1 {
			left.uncut = loops
		}
		left.Rows = loops * ends
	}
	if left != nil && len(filters) > 0 {
		left = &Node{Op: OpFilter, Detail: "row ids kept for filters", Rows: passed(left), Inputs: append(filters, left)}
	}
	return left
}

// kind is what the join with this table keeps, as far as the plan tells.
func (s step) kind() JoinKind {
	switch {
	case s.table == nil:
		return JoinInner
	case str(s.table, "first_match") != "":
		return JoinSemi
	case isTrue(s.table, "not_exists"):
		return JoinAnti
	case strings.HasPrefix(str(s.table, "attached_condition"), "trigcond("):
		return JoinLeft
	}
	return JoinInner
}

// filters reads the row id filter of a table: an index range that is read once, to skip rows that another index finds.
func (r maria) filters(n *Node, t object) []*Node {
	f := obj(t, "rowid_filter")
	if f == nil {
		return nil
	}
	index := obj(f, "range")
	out := &Node{
		Op: OpAccess, Access: AccessRange, Table: n.Table, Alias: n.Alias, Index: str(index, "key"), KeyColumns: strs(index, "used_key_parts"),
		Detail: "row id filter", Base: true, Read: num(f, "rows"), Rows: num(f, "rows"),
	}
	if rows := num(f, "r_rows"); rows >= 0 {
		out.Actual = &Actual{Rows: rows, Loops: 1, Millis: math.Max(num(f, "r_filling_time_ms"), 0)}
	}
	if out.Read < 0 {
		out.Read = 0
		r.plan.cannotTell("the server gives no row estimate for the row id filter on table "+n.Name(), "run ANALYZE TABLE, then try again")
	}
	return []*Node{out}
}
