package explainguard

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// v1 reads EXPLAIN FORMAT=JSON version 1: query blocks with a flat list of tables each.
type v1 struct{ plan *Plan }

// rowEvaluateCost is MySQL's default cost of evaluating one row (mysql.server_cost), by which eval_cost tells rows to
// one decimal where rows_produced_per_join is cut to an integer.
const rowEvaluateCost = 0.1

// The keys under which version 1 nests one operator in another.
var v1Wrappers = map[string]Op{
	"ordering_operation": OpSort, "grouping_operation": OpAggregate, "duplicates_removal": OpDistinct,
	"windowing": OpWindow, "buffer_result": OpStream, "insert_from": OpStream,
}

var v1Unions = map[string]string{
	"union_result": "union", "intersect_result": "intersect", "except_result": "except", "unary_result": "parenthesised query",
}

// The keys under which version 1 lists subqueries, with the place where those stand. Version 2 knows two places only: it
// calls HAVING a condition, and what is grouped or ordered by a projection.
var v1Subqueries = map[string]string{
	"attached_subqueries": locationCondition, "having_subqueries": locationCondition,
	"select_list_subqueries": locationSelectList, "group_by_subqueries": locationSelectList, "order_by_subqueries": locationSelectList,
	"optimized_away_subqueries": "optimized away",
	"update_value_subqueries":   locationSelectList, "insert_values_subqueries": locationSelectList,
	"insert_update_subqueries": locationSelectList,
}

// Keys that hold objects, but no plan nodes.
var v1Figures = map[string]bool{"cost_info": true, "windows": true, "sharing_temporary_table_with": true}

func (r v1) parse(block map[string]any) {
	b := &Block{Kind: BlockMain, Name: "main"}
	r.plan.Root = b
	r.block(b, block)
}

func (r v1) block(b *Block, d map[string]any) {
	if id := num(d, "select_id"); id > 0 {
		b.ID = int(id)
	}
	b.Recursive = flag(d, "recursive")
	b.Message = str(d, "message")
	b.Root = r.hung(b, d)
	r.liftConst(b)
	if b.ID == 0 { // a block that is a union has no number of its own
		for _, in := range b.Blocks() {
			if in.Kind == BlockUnionArm {
				b.ID = in.ID
				break
			}
		}
	}
}

// hung is operator with the subqueries on the node itself.
func (r v1) hung(b *Block, d map[string]any) *Node {
	n, subqueries := r.operator(b, d)
	if len(subqueries) > 0 {
		if n == nil {
			n = &Node{Op: OpNothing, Rows: 1}
		}
		n.Blocks = append(n.Blocks, subqueries...)
	}
	return n
}

// operator reads what an object holds: a table, a join, a union, or an operator around them, and its subqueries.
func (r v1) operator(b *Block, d map[string]any) (n *Node, subqueries []*Block) {
	var target *Node
	for _, key := range sorted(d) {
		switch v := d[key]; {
		case key == "table":
			t := r.table(b, obj(d, key))
			if t.Target && t.Read <= 0 {
				target = t
				continue
			}
			n = above(r.join(b, []map[string]any{d}, []*Node{t}), n)
		case key == "nested_loop":
			n = above(r.join(b, objs(d, key), nil), n)
		case v1Unions[key] != "":
			n = above(r.union(b, obj(d, key), v1Unions[key]), n)
		case v1Wrappers[key] != "":
			inner := obj(d, key)
			in, own := r.operator(b, inner)
			w := &Node{Op: v1Wrappers[key], Rows: unknown, Inputs: nodes(in), Blocks: own}
			w.Detail = v1Detail(w.Op, inner)
			n = above(w, n)
		case v1Subqueries[key] != "":
			for _, s := range objs(d, key) {
				subqueries = append(subqueries, r.subquery(b, s, v1Subqueries[key]))
			}
		case !v1Figures[key] && holdsNodes(v):
			r.plan.unknownOperator(shorten(key, 40))
			u := &Node{Op: Op("unknown: " + shorten(key, 40)), Rows: unknown}
			if m, ok := v.(map[string]any); ok {
				u.Inputs = nodes(r.hung(b, m))
			}
			n = above(u, n)
		}
	}
	if target != nil {
		w := &Node{Op: OpWrite, Detail: "write " + target.Name(), Rows: unknown, Target: true, Table: target.Table, Alias: target.Alias}
		if n != nil {
			w.Inputs = []*Node{n}
		}
		n = w
	}
	return n, subqueries
}

// above puts one operator over another that the same object holds.
func above(n, under *Node) *Node {
	if under != nil {
		n.Inputs = append(n.Inputs, under)
	}
	return n
}

func v1Detail(op Op, d map[string]any) string {
	switch {
	case op == OpSort && flag(d, "using_filesort"):
		return "sort (filesort)"
	case op == OpSort:
		return "in index order"
	case op == OpAggregate && flag(d, "using_temporary_table"):
		return "group in a temporary table"
	case op == OpAggregate:
		return "group"
	case op == OpDistinct:
		return "remove duplicates"
	default:
		return string(op)
	}
}

func (r v1) union(b *Block, d map[string]any, what string) *Node {
	n := &Node{Op: OpUnion, Detail: what, Rows: unknown}
	for i, spec := range objs(d, "query_specifications") {
		arm := &Block{Kind: BlockUnionArm, Name: "union arm " + strconv.Itoa(i+1), Parent: b}
		inner := obj(spec, "query_block")
		if inner == nil {
			inner = spec
		}
		r.block(arm, inner)
		n.Blocks = append(n.Blocks, arm)
	}
	return n
}

func (r v1) subquery(b *Block, d map[string]any, location string) *Block {
	s := &Block{Kind: BlockSubquery, Parent: b, Location: location, Dependent: flag(d, "dependent")}
	if t := obj(d, "table"); t != nil { // kept in a temporary table: run once, looked up for each row
		m := obj(t, "materialized_from_subquery")
		s.Dependent = false
		r.block(s, obj(m, "query_block"))
		s.Root = &Node{Op: OpMaterialize, Detail: "keep the subquery's result for look-ups", Rows: unknown, Inputs: nodes(s.Root)}
	} else {
		r.block(s, obj(d, "query_block"))
	}
	s.Name = subqueryName(s.ID)
	return s
}

func subqueryName(id int) string {
	if id == 0 {
		return "subquery"
	}
	return "subquery #" + strconv.Itoa(id)
}

// semijoinID is the number in MySQL's name for a materialized subquery, <subquery2>; 0 if there is none.
func semijoinID(table string) int {
	id, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(table, "<subquery"), ">"))
	if err != nil {
		return 0
	}
	return id
}

func nodes(n *Node) []*Node {
	if n == nil {
		return nil
	}
	return []*Node{n}
}

// join makes a left-deep tree of a list of tables, and repairs what version 1 cuts to integers.
func (r v1) join(b *Block, list []map[string]any, ready []*Node) *Node {
	var left *Node
	prefix, server := 1.0, 1.0 // rows that reach the next table: ours, and as the server counts them
	for i, d := range list {
		t := obj(d, "table")
		var n *Node
		switch {
		case ready != nil:
			n = ready[i]
		case t != nil:
			n = r.table(b, t)
		default:
			n = r.hung(b, d)
		}
		if n == nil {
			continue
		}
		kind := JoinInner
		hash := false
		if t != nil {
			server = repair(n, t, server)
			hash = strings.Contains(str(t, "using_join_buffer"), "hash")
			if str(t, "first_match") != "" {
				kind = JoinSemi
			} else if flag(t, "not_exists") {
				kind = JoinAnti
			}
		}
		if left == nil {
			left, prefix = n, passed(n)
			continue
		}
		prefix = joined(kind, prefix, passed(n))
		left = &Node{Op: OpJoin, Join: kind, Hash: hash, Rows: prefix, Inputs: []*Node{left, n}}
		left.Detail = joinDetail(left)
	}
	return left
}

func joinDetail(n *Node) string {
	how := "nested loop"
	if n.Hash {
		how = "hash"
	}
	return fmt.Sprintf("%s join (%s)", how, n.Join)
}

// repair gives a look-up the fraction of a row that rows_examined_per_scan lost: the product of two tables is known
// from rows_produced_per_join ÷ filtered. A scan's count is a whole number in the server as well. It returns how many
// rows the server expects to reach the next table.
func repair(n *Node, t map[string]any, before float64) float64 {
	produced := num(t, "rows_produced_per_join")
	if eval := num(obj(t, "cost_info"), "eval_cost"); produced >= 0 && eval >= 0 {
		// The cost is rounded to two decimals: take the least that it can stand for.
		if fine := (eval - 0.005) / rowEvaluateCost; math.Abs(fine-produced) <= 1.1+produced/1e4 {
			produced = math.Max(fine, produced)
		}
	}
	if produced < 0 {
		return math.Max(1, n.Rows)
	}
	kept := num(t, "filtered") / 100
	if str(t, "first_match") != "" || flag(t, "not_exists") {
		return produced // stops at the first match: what it produces says nothing about what it reads
	}
	if (n.Access == AccessLookup || n.Access == AccessFulltext) && kept > 0 && before > 0 {
		fan := math.Min(math.Max(produced/(kept*before), n.Read), n.Read+1)
		n.Rows = fan * kept
		if n.Base {
			n.Read = fan
		}
	}
	return produced
}

func (r v1) table(b *Block, t map[string]any) *Node {
	n := &Node{
		Op: OpAccess, Table: str(t, "table_name"), Alias: str(t, "table_name"), Index: str(t, "key"),
		KeyColumns: strs(t, "used_key_parts"), Refs: strs(t, "ref"), Rows: unknown,
		Target: flag(t, "insert") || flag(t, "replace"),
		rematFor: func() []string {
			if s := str(t, "rematerialize"); s != "" {
				return strings.Split(s, ",")
			}
			return strs(t, "rematerialize")
		}(),
	}
	if n.Table == "" { // a block that collapsed; what was materialized for it is listed all the same
		if m := str(t, "message"); m != "" {
			b.Message = m
		}
		n.Op, n.Detail, n.Rows = OpNothing, b.Message, 0
		if m := obj(t, "materialized_from_subquery"); m != nil {
			r.materialized(b, n, m)
		}
		if b.Message == "" {
			r.plan.notKnown("the plan has a table without a name in the " + b.Title())
		}
		return n
	}
	n.passesFor = n.Alias
	for _, key := range []string{"attached_condition", "index_condition", "pushed_index_condition"} {
		if c := str(t, key); c != "" {
			n.Conditions = append(n.Conditions, c)
		}
	}
	r.access(n, t)
	n.Read = num(t, "rows_examined_per_scan")
	n.Base = !internalTable(n.Table) && str(t, "table_function") == ""
	if m := obj(t, "materialized_from_subquery"); m != nil {
		n.Base = false
		r.materialized(b, n, m)
	}
	if str(t, "table_function") != "" {
		n.Op, n.Access = OpTableFunction, ""
	}
	if kept := num(t, "filtered"); n.Read >= 0 && kept >= 0 {
		n.Rows = n.Read * kept / 100
	} else if n.Read >= 0 {
		n.Rows = n.Read
	}
	if n.Access == AccessConst && n.Read < 0 {
		n.Read, n.Rows = 1, 1
	}
	if !n.Base || n.Target {
		n.Read = math.Max(n.Read, 0)
	} else if n.Read < 0 {
		n.Read = 0
		r.plan.cannotTell("the server gives no row estimate for table "+n.Name(), "run ANALYZE TABLE, then try again")
	}
	for _, s := range objs(t, "attached_subqueries") {
		n.Blocks = append(n.Blocks, r.subquery(b, s, locationCondition))
	}
	if flag(t, "full_scan_on_NULL_key") {
		n.lookupOnly, n.Detail = true, "the look-up in "+n.Name()
	}
	for _, key := range []string{"const_row_not_found", "unique_row_not_found", "impossible_on_condition"} {
		if flag(t, key) {
			r.plan.cannotTell("table "+n.Name()+": "+strings.ReplaceAll(key, "_", " "), collapse("const table"))
		}
	}
	for _, key := range sorted(t) {
		if !v1Figures[key] && key != "materialized_from_subquery" && key != "attached_subqueries" && holdsNodes(t[key]) {
			r.plan.notKnown("table " + n.Name() + " holds an operator that is not known: " + shorten(key, 40))
			n.Inputs = append(n.Inputs, &Node{Op: Op("unknown: " + shorten(key, 40)), Rows: unknown})
		}
	}
	return n
}

func (r v1) access(n *Node, t map[string]any) {
	switch a := str(t, "access_type"); a {
	case "const", "system":
		n.Access = AccessConst
	case "eq_ref", "unique_subquery":
		n.Access = AccessUnique
	case "ref", "ref_or_null", "index_subquery":
		n.Access = AccessLookup
	case "range":
		n.Access = AccessRange
	case "index":
		n.Access = AccessIndexScan
	case "ALL":
		n.Access = AccessTableScan
	case "index_merge":
		n.Access = AccessIndexMerge
	case "fulltext":
		n.Access = AccessFulltext
	default:
		n.Access = Access("unknown: " + shorten(a, 30))
		r.plan.notKnown(fmt.Sprintf("table %s is read in a way that is not known: access_type %q", n.Name(), shorten(a, 30)))
	}
	switch {
	case t["range_checked_for_each_record"] != nil:
		n.Access, n.Index = AccessReplanned, ""
	case t["using_index_for_group_by"] != nil, t["using_index_for_skip_scan"] != nil:
		n.Access = AccessSkipScan
	}
}

func (r v1) materialized(b *Block, n *Node, m map[string]any) {
	if share := obj(m, "sharing_temporary_table_with"); share != nil {
		n.SharesWith = strconv.Itoa(int(num(share, "select_id")))
		return
	}
	d := &Block{Kind: BlockDerived, Name: n.Name(), Parent: b, Dependent: flag(m, "dependent")}
	if internalTable(n.Table) {
		d.Kind, d.Dependent = BlockSemijoin, false
		d.ID = semijoinID(n.Table)
	}
	r.block(d, obj(m, "query_block"))
	if d.Name == "" {
		d.Name = "#" + strconv.Itoa(d.ID)
	}
	n.Blocks = append(n.Blocks, d)
}

// liftConst moves the tables that were read while planning out of the join, where the server lists them first.
func (r v1) liftConst(b *Block) {
	for b.Root != nil {
		slot := &b.Root
		for (*slot).Op != OpJoin && (*slot).Op != OpAccess && len((*slot).Inputs) == 1 {
			slot = &(*slot).Inputs[0]
		}
		parent := (*Node)(nil)
		for (*slot).Op == OpJoin {
			parent = *slot
			slot = &parent.Inputs[0]
		}
		n := *slot
		if n.Op != OpAccess || n.Access != AccessConst || n.Target || !n.Base || n.derived() != nil {
			return
		}
		b.Const = append(b.Const, n)
		if parent == nil {
			*slot = &Node{Op: OpNothing, Detail: "rows fetched before execution", Rows: 1, Blocks: n.Blocks}
			n.Blocks = nil
			return
		}
		rest := parent.Inputs[1]
		rest.Blocks = append(rest.Blocks, n.Blocks...)
		n.Blocks = nil
		*parent = *rest
	}
}
