package explainguard

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"
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

func (r v1) parse(block object) {
	b := &Block{Kind: BlockMain, Name: "main"}
	r.plan.Root = b
	r.block(b, block)
}

func (r v1) block(b *Block, d object) {
	if d == nil {
		r.plan.untold(b)
		return
	}
	if id := num(d, "select_id"); id > 0 {
		b.ID = int(id)
	}
	b.Recursive = isTrue(d, "recursive")
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
func (r v1) hung(b *Block, d object) *Node {
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
func (r v1) operator(b *Block, d object) (n *Node, subqueries []*Block) {
	var target *Node
	for _, key := range sorted(d) {
		switch v := d.Get(key); {
		case key == "table":
			t := r.table(b, obj(d, key))
			if t.Target && t.Read <= 0 {
				target = t
				continue
			}
			n = above(r.join(b, []object{d}, []*Node{t}), n)
		case key == "nested_loop":
			n = above(r.join(b, objs(d, key), nil), n)
		case v1Unions[key] != "":
			n = above(r.union(b, obj(d, key), v1Unions[key]), n)
		case v1Wrappers[key] != "":
			inner := obj(d, key)
			in, own := r.operator(b, inner)
			w := &Node{Op: v1Wrappers[key], Rows: unknown, Inputs: nodes(in), Blocks: own}
			w.Detail = v1Detail(w.Op, inner)
			v1Buffers(w, inner)
			n = above(w, n)
		case v1Subqueries[key] != "":
			for _, s := range objs(d, key) {
				subqueries = append(subqueries, r.subquery(b, s, v1Subqueries[key]))
			}
		case !v1Figures[key] && holdsNodes(v):
			r.plan.unknownOperator(shorten(key, 40))
			u := &Node{Op: Op("unknown: " + shorten(key, 40)), Rows: unknown}
			if v.Type() == fastjson.TypeObject {
				u.Inputs = nodes(r.hung(b, v))
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
	if n == nil { // a join of nothing
		return under
	}
	if under != nil {
		n.Inputs = append(n.Inputs, under)
	}
	return n
}

// v1Buffers reads whether an operator sorts, and whether it needs a temporary table.
func v1Buffers(w *Node, d object) {
	w.Filesort, w.TempTable = isTrue(d, "using_filesort"), isTrue(d, "using_temporary_table")
	for _, window := range objs(d, "windows") {
		w.Filesort = w.Filesort || isTrue(window, "using_filesort")
		w.TempTable = w.TempTable || isTrue(obj(window, "frame_buffer"), "using_temporary_table")
	}
	w.sortsFirst = w.Filesort && !w.TempTable && w.Op != OpWindow && has(d, "nested_loop")
}

const inIndexOrder = "in index order"

func v1Detail(op Op, d object) string {
	switch {
	case op == OpSort && isTrue(d, "using_filesort"):
		return "sort (filesort)"
	case op == OpSort:
		return inIndexOrder
	case op == OpAggregate && isTrue(d, "using_temporary_table"):
		return "group in a temporary table"
	case op == OpAggregate:
		return "group"
	case op == OpDistinct:
		return "remove duplicates"
	default:
		return string(op)
	}
}

func (r v1) union(b *Block, d object, what string) *Node {
	n := &Node{Op: OpUnion, Detail: what, Rows: unknown, Filesort: isTrue(d, "using_filesort"), TempTable: isTrue(d, "using_temporary_table")}
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

func (r v1) subquery(b *Block, d object, location string) *Block {
	s := &Block{Kind: BlockSubquery, Parent: b, Location: location, Dependent: isTrue(d, "dependent")}
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

// semijoinID is the number in the server's name for a materialized subquery, <subquery2>; 0 if there is none.
func semijoinID(table string) int { return number(strings.TrimPrefix(table, "<subquery")) }

// number reads "2>", the end of a name for a temporary table; 0 if it is none.
func number(s string) int {
	id, err := strconv.Atoi(strings.TrimSuffix(s, ">"))
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
func (r v1) join(b *Block, list []object, ready []*Node) *Node {
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
			} else if isTrue(t, "not_exists") {
				kind = JoinAnti
			}
		}
		if left == nil {
			left, prefix = n, passed(n)
			continue
		}
		prefix = joined(kind, prefix, passed(n))
		before := left
		left = &Node{Op: OpJoin, Join: kind, Hash: hash, Rows: prefix, Inputs: []*Node{left, n}}
		if hash {
			left.HashKeys = hashKeys(n.Conditions, left.Inputs[0], n)
		}
		if kind == JoinAnti || lastAlias(before) == str(t, "first_match") { // one table is matched, not a join of several
			left.stopAtMatch()
		}
		left.Detail = joinDetail(left)
	}
	return left
}

// lastAlias is the alias of the table that a join reads last.
func lastAlias(n *Node) string {
	if n.Op == OpJoin {
		n = n.Inputs[1]
	}
	return n.Alias
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
func repair(n *Node, t object, before float64) float64 {
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
	if str(t, "first_match") != "" || isTrue(t, "not_exists") {
		return produced // stops at the first match: what it produces says nothing about what it reads
	}
	if n.Access == AccessIndexScan && n.Base && kept > 0 && before > 0 {
		// With a LIMIT the server counts on finding enough rows soon; the rest of its figures knows the whole index.
		if whole := produced / (kept * before); whole > n.Read+1 {
			n.Read, n.Rows = math.Round(whole), whole*kept
		}
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
