package explainguard

import "strings"

// Op is what a node does.
type Op string

// The operators. Others start with "unknown:" and make the plan unanalysable.
const (
	OpAccess        Op = "access"
	OpJoin          Op = "join"
	OpFilter        Op = "filter"
	OpSort          Op = "sort"
	OpLimit         Op = "limit"
	OpAggregate     Op = "aggregate"
	OpDistinct      Op = "distinct"
	OpWindow        Op = "window"
	OpUnion         Op = "union" // UNION, INTERSECT or EXCEPT: its arms are Blocks
	OpTemp          Op = "temporary table"
	OpStream        Op = "stream"
	OpMaterialize   Op = "materialize" // a subquery's result kept for look-ups
	OpRecursiveScan Op = "recursive scan"
	OpTableFunction Op = "table function"
	OpAlternative   Op = "alternative plans"
	OpWrite         Op = "write"
	OpNothing       Op = "no table"
)

// Access is how a table is read, in neutral names.
type Access string

// The ways to read a table. The comment gives the words of JSON v1 and of JSON v2.
const (
	AccessConst      Access = "const"           // const, system; rows fetched before execution, constant row
	AccessUnique     Access = "unique lookup"   // eq_ref, unique_subquery; single-row index lookup
	AccessLookup     Access = "index lookup"    // ref, ref_or_null, index_subquery; index lookup
	AccessRange      Access = "index range"     // range; index range scan
	AccessSkipScan   Access = "skip scan"       // range using index for group-by or skip scan
	AccessIndexScan  Access = "full index scan" // index; index scan
	AccessTableScan  Access = "full table scan" // ALL; table scan
	AccessIndexMerge Access = "index merge"     // index_merge; rowid union, rowid intersection, index merge
	AccessFulltext   Access = "fulltext"        // fulltext; full-text index search
	AccessReplanned  Access = "re-planned"      // range checked for each record; index range scan re-planned
	AccessCount      Access = "row count"       // count_rows of JSON v2; JSON v1 shows the index it walks
)

// JoinKind is what a join keeps.
type JoinKind string

// The kinds of joins. JSON v1 does not tell left joins from inner ones.
const (
	JoinInner JoinKind = "inner"
	JoinLeft  JoinKind = "left"
	JoinSemi  JoinKind = "semi"
	JoinAnti  JoinKind = "anti"
)

// unknown marks a figure that the server did not give.
const unknown = -1

// Node is one operator of a block's tree. Figures are the optimizer's estimates; -1 where it gave none.
type Node struct {
	Op     Op
	Detail string // the server's own words, shortened

	// Of an access. Table is the real name where the server's answer tells it, else the alias.
	Access     Access
	Schema     string
	Table      string
	Alias      string
	Index      string
	KeyColumns []string // the columns of the index that are used
	Refs       []string // what a lookup compares them with: "const", "schema.alias.column" or "func"
	Conditions []string // conditions tested on the rows, as the server prints them
	Target     bool     // the table that the statement writes

	Join JoinKind // of a join
	Hash bool     // a hash join: both sides are read once

	// HashKeys are the equalities by which a hash join finds the rows that belong together, as the server prints them.
	// A hash join without any compares every row of one side with every row of the other.
	HashKeys []string

	Filesort  bool // the rows that come in are sorted (filesort); false where an index gives the order
	TempTable bool // the rows that come in go through an internal temporary table, or a window's frame buffer

	Read       float64 // rows read per execution; 0 for operators that read no base table
	Rows       float64 // rows passed on per execution
	Executions float64 // how often the node runs for one run of the statement

	Actual *Actual // what happened; nil: not analyzed

	Inputs []*Node  // in join order
	Blocks []*Block // the derived table, subqueries or union arms that hang on this node

	SharesWith string // a derived table that was materialized for another access, by block name
	Base       bool   // Read counts rows of a stored table

	passesFor  string   // an access whose rows make LATERAL tables run again carries its own alias
	rematFor   []string // JSON v1: the LATERAL tables that run again for each row up to here
	limit      float64  // of a limit: rows and offset together
	sortsFirst bool     // JSON v1: the filesort takes the first table alone, before it is joined
	indexed    int      // how many of Conditions, at their end, are what the index itself looks up
	lookupOnly bool     // of an alternative: not executed unless a value is NULL
	pushed     bool     // an index condition is tested inside the storage engine
	ranges     float64  // of an index range scan: how many ranges it reads
	merged     []*Node  // of an index merge: the scans that it was made of

	// Of a MariaDB plan.
	perRow     bool     // looks up a value that comes from an outer row
	buffered   bool     // compared with many outer rows at a time, all of which are read before the first row comes out
	uncut      float64  // Rows if a LIMIT does not end the scan below; 0 if that is not known
	partitions []string // those that are read; nil for all
}

// Examined is the rows that the node reads from a stored table in one run of the statement: of an analyzed plan those that it
// really read, else those that the optimizer expects.
func (n *Node) Examined() float64 {
	if n.Actual != nil {
		return n.examinedActually()
	}
	return n.Estimated()
}

// Estimated is the rows that the optimizer expects the node to read from a stored table in one run of the statement.
func (n *Node) Estimated() float64 {
	if !n.Base || n.Read < 0 {
		return 0
	}
	return n.Read * n.Executions
}

// Name is the alias by which the statement knows the table.
func (n *Node) Name() string {
	if n.Alias != "" {
		return n.Alias
	}
	return n.Table
}

// derived returns the block that was materialized for this access, or nil.
func (n *Node) derived() *Block {
	for _, b := range n.Blocks {
		if b.Kind == BlockDerived || b.Kind == BlockSemijoin {
			return b
		}
	}
	return nil
}

func (n *Node) isAccess() bool { return n.Op == OpAccess && !n.Target }

func (n *Node) appendAccesses(to []*Node) []*Node {
	if n == nil {
		return to
	}
	if n.isAccess() {
		to = append(to, n)
	}
	for _, in := range n.Inputs {
		to = in.appendAccesses(to)
	}
	return to
}

func (n *Node) appendOwnBlocks(to []*Block) []*Block {
	if n == nil {
		return to
	}
	for _, in := range n.Inputs {
		to = in.appendOwnBlocks(to)
	}
	return append(to, n.Blocks...)
}

// walkAll visits every node of the block and of those inside it, tables read while planning included.
func (b *Block) walkAll(visit func(*Node)) {
	if b == nil {
		return
	}
	for _, in := range b.appendBlocks(nil) {
		for _, n := range in.Const {
			visit(n)
		}
		in.Root.walkOwn(visit)
	}
}

// walkOwn visits the node and its inputs, but no blocks.
func (n *Node) walkOwn(visit func(*Node)) {
	if n == nil {
		return
	}
	visit(n)
	for _, in := range n.Inputs {
		in.walkOwn(visit)
	}
}

// walk visits the node, its inputs and the trees of the blocks that hang on them.
func (n *Node) walk(visit func(*Node)) {
	if n == nil {
		return
	}
	visit(n)
	for _, in := range n.Inputs {
		in.walk(visit)
	}
	for _, b := range n.Blocks {
		b.Root.walk(visit)
	}
}

// internalTable reports whether a name is one of MySQL's own for a temporary table.
func internalTable(name string) bool { return strings.HasPrefix(name, "<") }
