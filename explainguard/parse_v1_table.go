package explainguard

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

func (r v1) table(b *Block, t object) *Node {
	n := &Node{
		Op: OpAccess, Table: str(t, "table_name"), Alias: str(t, "table_name"), Index: str(t, "key"),
		KeyColumns: strs(t, "used_key_parts"), Refs: strs(t, "ref"), Rows: unknown,
		Target: isTrue(t, "insert") || isTrue(t, "replace"),
		rematFor: func() []string {
			if s := str(t, "rematerialize"); s != "" {
				return strings.Split(s, ",")
			}
			return strs(t, "rematerialize")
		}(),
	}
	for _, kind := range []string{"update", "delete", "insert", "replace"} {
		if isTrue(t, kind) {
			r.plan.Writes = strings.ToUpper(kind)
		}
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
	if kept := math.Min(num(t, "filtered"), 100); n.Read >= 0 && kept >= 0 { // of a loose scan MySQL says more than 100 %
		n.Rows = n.Read * kept / 100
	} else if n.Read >= 0 {
		n.Rows = n.Read
	}
	if isTrue(t, "first_match") { // no table's name: the whole join needs one row of this table
		n.Rows = math.Min(n.Rows, 1)
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
	if isTrue(t, "full_scan_on_NULL_key") {
		n.lookupOnly, n.Detail = true, "the look-up in "+n.Name()
	}
	notFound(r.plan, n, t)
	for _, key := range unread(t, "materialized_from_subquery", "attached_subqueries") {
		if !v1Figures[key] {
			r.plan.notKnown("table " + n.Name() + " holds an operator that is not known: " + shorten(key, 40))
			n.Inputs = append(n.Inputs, &Node{Op: Op("unknown: " + shorten(key, 40)), Rows: unknown})
		}
	}
	return n
}

// notFound reports a look-up that was made while planning and found nothing.
func notFound(p *Plan, n *Node, t object) {
	for _, key := range []string{"const_row_not_found", "unique_row_not_found", "impossible_on_condition"} {
		if isTrue(t, key) {
			p.cannotTell("table "+n.Name()+": "+strings.ReplaceAll(key, "_", " "), collapse("const table"))
		}
	}
}

func (r v1) access(n *Node, t object) {
	r.plan.access(n, str(t, "access_type"))
	if n.Access == AccessIndexMerge && strings.HasPrefix(n.Index, "intersect(") {
		r.plan.cannotTell("JSON v1 tells of table "+n.Name()+" how many rows its indexes share, not how many entries of each are read",
			"ask for JSON v2 or for the format TREE, which do; or better, make one index of those columns")
	}
	switch {
	case has(t, "range_checked_for_each_record"):
		n.Access, n.Index = AccessReplanned, ""
	case has(t, "using_index_for_group_by"), has(t, "using_index_for_skip_scan"):
		n.Access = AccessSkipScan
	}
}

// access sets how a table is read by the access_type that MySQL's JSON v1 and MariaDB's JSON have in common.
func (p *Plan) access(n *Node, kind string) {
	switch kind {
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
		n.Access = Access("unknown: " + shorten(kind, 30))
		p.notKnown(fmt.Sprintf("table %s is read in a way that is not known: access_type %q", n.Name(), shorten(kind, 30)))
	}
}

func (r v1) materialized(b *Block, n *Node, m object) {
	if share := obj(m, "sharing_temporary_table_with"); share != nil {
		n.SharesWith = strconv.Itoa(int(num(share, "select_id")))
		return
	}
	d := &Block{Kind: BlockDerived, Name: n.Name(), Parent: b, Dependent: isTrue(m, "dependent")}
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
