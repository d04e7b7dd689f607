package explainguard

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// v2 reads EXPLAIN FORMAT=JSON version 2: a tree of operators.
type v2 struct{ plan *Plan }

func (r v2) parse(doc, tree object) {
	r.plan.Rewritten = str(doc, "query")
	kind := strings.ToUpper(str(doc, "query_type"))
	if reads, ok := explainable[kind]; ok && !reads {
		r.plan.Writes = kind
	}
	b := &Block{Kind: BlockMain, Name: "main", ID: 1}
	r.plan.Root = b
	b.Root = r.node(b, tree)
}

var selectNumber = regexp.MustCompile(`^Select #(\d+)`)

// Keys that hold a node's children. Another key that holds objects is an operator of a newer server.
const (
	v2Inputs     = "inputs"
	v2SelectList = "inputs_from_select_list"
)

// notExecutable is what version 2 says of single-table UPDATE and DELETE.
const notExecutable = "not executable by iterator executor"

func (r v2) node(b *Block, d object) *Node {
	n := &Node{Detail: shorten(str(d, "operation"), 200), Rows: num(d, "estimated_rows"), Actual: actualOf(d)}
	r.plan.Analyzed = r.plan.Analyzed || n.Actual != nil
	if c := str(d, "condition"); c != "" {
		n.Conditions = []string{c}
	}
	if c := str(d, "pushed_index_condition"); c != "" {
		n.Conditions = append(n.Conditions, c)
		n.pushed = true
	}
	r.operator(b, n, d)
	for _, in := range objs(d, v2SelectList) {
		n.Blocks = append(n.Blocks, r.subquery(b, in, locationSelectList))
	}
	for _, key := range unread(d, v2Inputs, v2SelectList) {
		r.plan.unknownOperator("operators under " + shorten(key, 40) + " of " + shorten(n.Detail, 60))
		n.Inputs = append(n.Inputs, &Node{Op: Op("unknown: " + shorten(key, 40)), Rows: unknown})
	}
	return n
}

// leftOut says that version 2 does not show something which version 1 does.
func (r v2) leftOut(what, wayOut string) {
	r.plan.v1Shows = true
	r.plan.cannotTell(what, wayOut)
}

// children reads the inputs of a node; subqueries in its conditions become blocks.
func (r v2) children(b *Block, n *Node, d object) {
	for _, in := range objs(d, v2Inputs) {
		if isTrue(in, "subquery") {
			location := str(in, "subquery_location")
			if location == "projection" {
				location = locationSelectList
			}
			n.Blocks = append(n.Blocks, r.subquery(b, in, location))
			continue
		}
		n.Inputs = append(n.Inputs, r.node(b, in))
	}
}

func (r v2) subquery(b *Block, d object, location string) *Block {
	s := &Block{Kind: BlockSubquery, Parent: b, Location: location, Dependent: isTrue(d, "dependent")}
	if m := selectNumber.FindStringSubmatch(str(d, "heading")); m != nil {
		s.ID, _ = strconv.Atoi(m[1])
	}
	s.Name = subqueryName(s.ID)
	s.Root = r.node(s, d)
	return s
}

// The operators that pass rows through and have nothing of their own to tell.
var v2Plain = map[string]Op{
	"filter": OpFilter, "sort": OpSort, "limit": OpLimit, "aggregate": OpAggregate, "temp_table_aggregate": OpAggregate,
	"stream": OpStream, "window": OpWindow, "remove_duplicates": OpDistinct, "remove_duplicates_on_index": OpDistinct,
	"remove_duplicates_from_groups": OpDistinct, "weedout": OpDistinct,
	"materialize_information_schema": OpMaterialize, "materialized_table_function": OpTableFunction,
	"insert_values": OpWrite, "replace_values": OpWrite, "update_rows": OpWrite, "delete_rows": OpWrite,
	"scan_new_records": OpRecursiveScan,
}

func (r v2) operator(b *Block, n *Node, d object) {
	kind := str(d, "access_type")
	if kind == "" && strings.HasPrefix(n.Detail, "Nested loop semijoin") { // over several tables of a LooseScan
		kind = "join"
	}
	switch kind {
	case "table", "index", "constant_row", "count_rows":
		r.table(b, n, d, kind)
	case "rowid_union", "rowid_intersection", "index_merge":
		r.indexMerge(b, n, d, kind)
	case "join":
		r.join(b, n, d)
	case "materialize":
		r.materialize(b, n, d)
	case "append":
		r.arms(b, n, d)
	case "invalidate_materialized_tables":
		n.Op, n.passesFor = OpStream, str(d, "table_name")
		r.children(b, n, d)
	case "rows_fetched_before_execution", "constant_rows":
		n.Op = OpNothing
		n.Rows = math.Max(n.Rows, 1)
		r.children(b, n, d)
	case "zero_rows", "zero_rows_aggregated":
		n.Op, n.Rows = OpNothing, 0
		b.Message = str(d, "zero_rows_cause")
		if b.Message == "" {
			b.Message = n.Detail
		}
		r.children(b, n, d)
	case "alternative_plans_for_in_subquery":
		n.Op, n.lookupOnly = OpAlternative, true
		r.children(b, n, d)
		for _, in := range n.Inputs[min(1, len(n.Inputs)):] {
			if n.Actual != nil {
				break // what ran is known
			}
			in.walk(func(x *Node) { x.Base = false }) // may never run: kept, but not counted
		}
	case "":
		r.unnamed(b, n, d)
	default:
		n.Op = v2Plain[kind]
		if n.Op == "" {
			n.Op = Op("unknown: " + shorten(kind, 40))
			r.plan.unknownOperator(shorten(kind, 40) + " (" + shorten(n.Detail, 80) + ")")
		}
		n.Filesort = kind == "sort"
		n.TempTable = kind == "temp_table_aggregate" || n.Op == OpWindow && isTrue(d, "buffering")
		r.children(b, n, d)
		if n.Op == OpLimit {
			n.limit = math.Max(num(d, "limit"), 0) // the offset is in it
		}
		if n.Op == OpWrite {
			n.Table, n.Schema, n.Target = str(d, "table_name"), str(d, "schema_name"), true
		}
		if (n.Op == OpFilter || n.Op == OpDistinct) && n.Rows >= 0 && len(n.Inputs) == 1 && n.Inputs[0].access() != nil {
			n.Rows = math.Min(n.Rows, passed(n.Inputs[0])) // MySQL says more of a loose scan than it reads
		}
		if (n.Op == OpStream || n.Op == OpSort) && n.Rows >= 0 && len(n.Inputs) == 1 && n.Inputs[0].finds() {
			n.Rows = math.Min(n.Rows, passed(n.Inputs[0])) // MySQL multiplies by all rows of a materialized subquery
		}
		if n.Op == OpAggregate && n.Rows < 0 && !isTrue(d, "group_by") && kind == "aggregate" {
			n.Rows = 1
		}
	}
}

// unnamed reads the operators for which the server gives no access_type.
func (r v2) unnamed(b *Block, n *Node, d object) {
	r.children(b, n, d)
	switch {
	case strings.Contains(n.Detail, notExecutable):
		n.Op = OpNothing
		r.leftOut("JSON v2 does not show the plan of this statement ("+notExecutable+")",
			"ask for JSON v1, which shows single-table UPDATE and DELETE")
	case str(d, "semijoin_strategy") == "weedout":
		n.Op, n.TempTable = OpDistinct, true
	case len(n.Inputs) > 0 && str(d, "table_name") != "", strings.HasPrefix(n.Detail, "Update "), strings.HasPrefix(n.Detail, "Delete from "):
		n.Op, n.Target, n.Table, n.Schema = OpWrite, true, str(d, "table_name"), str(d, "schema_name")
	default:
		n.Op = Op("unknown: " + shorten(n.Detail, 40))
		r.plan.unknownOperator(shorten(n.Detail, 80))
	}
}

func (r v2) table(b *Block, n *Node, d object, kind string) {
	n.Op = OpAccess
	n.Schema, n.Table, n.Alias = str(d, "schema_name"), str(d, "table_name"), str(d, "alias")
	if n.Alias == "" {
		n.Alias = n.Table
	}
	n.Index, n.KeyColumns, n.Refs = str(d, "index_name"), strs(d, "key_columns"), strs(d, "lookup_references")
	if c := str(d, "lookup_condition"); c != "" {
		n.Conditions = append(n.Conditions, c)
		n.indexed++
	}
	ranges := strs(d, "ranges")
	n.Conditions, n.indexed = append(n.Conditions, ranges...), n.indexed+len(ranges)
	n.ranges = rangesIn(ranges)
	if n.Name() == "" {
		r.plan.notKnown("the plan has a table without a name in the " + b.Title())
	}
	n.passesFor = n.Alias
	n.Access = v2Access(kind, str(d, "index_access_type"), n.Detail)
	if strings.HasPrefix(string(n.Access), "unknown") {
		r.plan.notKnown("table " + n.Name() + " is read in a way that is not known: " + shorten(n.Detail, 80))
	}
	r.children(b, n, d)
	if internal := internalTable(n.Table); internal || len(n.Inputs) > 0 {
		r.temporary(n, internal)
		return
	}
	n.Base, n.Read = true, n.Rows
	switch {
	case n.Access == AccessConst:
		n.Read, n.Rows = 1, math.Max(n.Rows, 1)
	case n.Read < 0:
		n.Read = 0
		r.leftOut(noEstimate(n), "ask for JSON v1, which does")
	}
}

// noEstimate is what is said of a table for which the server gives no figure.
func noEstimate(n *Node) string {
	return "JSON v2 gives no row estimate for table " + n.Name() + " (" + n.Detail + ")"
}

// temporary sorts out a scan of something that is no stored table: a derived table, which is an access of its block, or
// an internal temporary table, which is none.
func (r v2) temporary(n *Node, internal bool) {
	if len(n.Inputs) == 1 && n.Inputs[0].Op == OpMaterialize {
		m := n.Inputs[0]
		for _, d := range m.Blocks {
			if d.Kind != BlockDerived {
				continue
			}
			// The materialization carries the block; here it gets the name of the table it fills.
			d.Name = n.Name()
			switch {
			case strings.HasPrefix(n.Table, "<subquery"):
				d.Kind = BlockSemijoin
				d.ID = semijoinID(n.Table)
			case internal: // a temporary table of the block itself
				n.Op, n.Access, n.Base = OpTemp, "", false
				n.Table, n.Alias, n.passesFor = "", "", ""
				m.inline(d)
				return
			}
			n.Blocks, n.Inputs = append(n.Blocks, m.Blocks...), nil
			return
		}
		if !internal && m.SharesWith != "" {
			n.SharesWith, n.Inputs = m.SharesWith, nil
			return
		}
		if !internal { // an information schema table is filled when it is read
			n.Base, n.Read = true, math.Max(n.Rows, 0)
			return
		}
	}
	n.Op, n.Access = OpTemp, ""
	n.Table, n.Alias, n.passesFor = "", "", ""
}

// inline undoes a block: its tree belongs to the block around it.
func (n *Node) inline(b *Block) {
	n.Blocks = nil
	n.Inputs = nodes(b.Root)
	if b.Root == nil {
		return
	}
	b.Root.TempTable = b.Root.TempTable || b.Root.Op == OpUnion
	b.Root.walk(func(x *Node) {
		for _, in := range x.Blocks {
			if in.Parent == b {
				in.Parent = b.Parent
			}
		}
	})
}

func v2Access(kind, index, operation string) Access {
	switch kind {
	case "table":
		return AccessTableScan
	case "constant_row":
		return AccessConst
	case "count_rows":
		return AccessCount
	}
	switch index {
	case "multi_range_read": // the look-ups of a batch of rows
		return AccessLookup
	case "index_lookup":
		if strings.HasPrefix(operation, "Single-row") {
			return AccessUnique
		}
		return AccessLookup
	case "index_range_scan":
		return AccessRange
	case "index_scan":
		return AccessIndexScan
	case "group_index_skip_scan", "index_skip_scan":
		return AccessSkipScan
	case "full_text_search":
		return AccessFulltext
	case "dynamic_index_range_scan":
		return AccessReplanned
	default:
		return Access("unknown: " + shorten(index, 30))
	}
}

// indexMerge folds the scans of one table's indexes into one access, as JSON v1 shows it.
func (r v2) indexMerge(b *Block, n *Node, d object, kind string) {
	r.children(b, n, d)
	parts := n.Inputs
	*n = Node{Op: OpAccess, Access: AccessIndexMerge, Detail: n.Detail, Rows: n.Rows, Conditions: n.Conditions, Blocks: n.Blocks, Base: true,
		Actual: n.Actual}
	var names []string
	for _, in := range parts {
		in.walk(func(x *Node) {
			if x.Op != OpAccess {
				return
			}
			if x.Access != AccessIndexMerge { // else it was added by its own parts
				n.Conditions = append(n.Conditions, x.Conditions...)
			}
			n.Schema, n.Table, n.Alias, n.passesFor = x.Schema, x.Table, x.Alias, x.passesFor
			n.KeyColumns = append(n.KeyColumns, x.KeyColumns...)
			if kind != "rowid_intersection" || x.Index != "PRIMARY" { // which is not scanned there, only compared with
				n.Read += math.Max(x.Read, 0)
			}
			n.merged = append(n.merged, x)
			names = append(names, x.Index)
		})
	}
	how := map[string]string{"rowid_union": "union", "rowid_intersection": "intersect", "index_merge": "sort_union"}[kind]
	n.Index = how + "(" + strings.Join(names, ",") + ")"
}

func (r v2) join(b *Block, n *Node, d object) {
	n.Op, n.Hash, n.HashKeys = OpJoin, str(d, "join_algorithm") == "hash", strs(d, "hash_condition")
	switch strings.ReplaceAll(str(d, "join_type"), " ", "") {
	case "innerjoin", "crossjoin":
		n.Join = JoinInner
	case "leftjoin":
		n.Join = JoinLeft
	case "semijoin":
		n.Join = JoinSemi
	case "antijoin":
		n.Join = JoinAnti
	case "":
		if strings.HasPrefix(n.Detail, "Nested loop semijoin") {
			n.Join = JoinSemi
			break
		}
		fallthrough
	default:
		n.Join = JoinInner
		r.plan.unknownOperator("join of type " + shorten(str(d, "join_type"), 30))
	}
	n.Conditions = append(n.Conditions, strs(d, "extra_condition")...)
	r.children(b, n, d)
	if len(n.Inputs) != 2 {
		r.plan.unknownOperator("a join of " + strconv.Itoa(len(n.Inputs)) + " inputs")
		return
	}
	if n.Hash && n.Join == JoinInner {
		// The second input is the one that is read first, into the hash table.
		n.Inputs[0], n.Inputs[1] = n.Inputs[1], n.Inputs[0]
	}
	n.stopAtMatch()
	// For nested loops the server's product ignores that a look-up in a derived table finds few rows; ours does not.
	if !n.Hash || n.Rows < 0 {
		n.Rows = joined(n.Join, passed(n.Inputs[0]), passed(n.Inputs[1]))
	}
	n.Detail = joinDetail(n)
}

// finds reports whether a node passes on what a nested loop finds by a unique key, or streams that: no more rows than come in.
func (n *Node) finds() bool {
	if n.Op == OpStream && len(n.Inputs) == 1 {
		return n.Inputs[0].finds()
	}
	return n.Op == OpJoin && !n.Hash && len(n.Inputs) == 2 && n.Inputs[1].Op == OpAccess && n.Inputs[1].Access == AccessUnique
}

func (r v2) materialize(b *Block, n *Node, d object) {
	n.Op = OpMaterialize
	if name := cteName(n.Detail); strings.Contains(n.Detail, "query plan printed elsewhere") || name != "" && len(objs(d, v2Inputs)) == 0 {
		n.SharesWith = cteName(n.Detail)
		return
	}
	if isTrue(d, "temp_table") {
		n.Op, n.TempTable = OpTemp, true
		r.children(b, n, d)
		return
	}
	m := &Block{Kind: BlockDerived, Parent: b, CTE: cteName(n.Detail)}
	m.perRowOf = strs(d, "cache_invalidators")
	m.Dependent = len(m.perRowOf) > 0
	if isUnion(d) {
		u := &Node{Detail: n.Detail, Rows: n.Rows, TempTable: isTrue(d, "deduplication") || isTrue(d, "intersect") || isTrue(d, "except")}
		r.arms(m, u, d)
		m.Root = u
	} else {
		content := &Node{}
		r.children(m, content, d)
		if len(content.Inputs) > 0 {
			m.Root = content.Inputs[0]
		}
		if len(content.Inputs) > 1 {
			r.plan.unknownOperator("a materialization of " + strconv.Itoa(len(content.Inputs)) + " inputs")
		}
	}
	n.Blocks = []*Block{m}
}

func isUnion(d object) bool {
	return isTrue(d, "union") || isTrue(d, "intersect") || isTrue(d, "except") || isTrue(d, "recursive") || len(objs(d, v2Inputs)) > 1
}

var cteWords = regexp.MustCompile(`^Materialize (?:recursive |union )?CTE (.+?)(?: if needed| \(|$)`)

func cteName(operation string) string {
	if !strings.HasPrefix(operation, "Materialize ") {
		return ""
	}
	if m := cteWords.FindStringSubmatch(operation); m != nil {
		return m[1]
	}
	return ""
}

// arms reads the sides of a union, each a block of its own.
func (r v2) arms(b *Block, n *Node, d object) {
	n.Op = OpUnion
	for i, in := range objs(d, v2Inputs) {
		arm := &Block{Kind: BlockUnionArm, Name: "union arm " + strconv.Itoa(i+1), Parent: b}
		arm.Recursive = isTrue(d, "recursive") && strings.HasPrefix(str(in, "heading"), "Repeat")
		arm.Root = r.node(arm, in)
		n.Blocks = append(n.Blocks, arm)
	}
}
