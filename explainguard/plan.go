package explainguard

import "strings"

// Format is a form in which a server tells a plan.
type Format int

// The formats that Parse reads. The zero value is no format: Explain then chooses one, and a Plan that says
// FormatUnknown was never parsed.
const (
	FormatUnknown Format = iota
	FormatJSONv1         // FORMAT=JSON with explain_json_format_version 1, the only one before MySQL 8.3
	FormatJSONv2         // FORMAT=JSON with explain_json_format_version 2, the default of MySQL 9.7
)

// String returns the format's name as it is shown in reports.
func (f Format) String() string {
	switch f {
	case FormatJSONv1:
		return "JSON v1"
	case FormatJSONv2:
		return "JSON v2"
	default:
		return "unknown format"
	}
}

// Plan is what a server intends to do for one statement, independent of the format in which it said so.
type Plan struct {
	Format        Format
	ServerVersion string // "" when the plan was parsed from bytes alone
	Query         string // the statement as it was sent; "" when the plan was parsed from bytes alone

	// Rewritten is the statement after the optimizer's rewriting: note 1003 of SHOW WARNINGS, or the field query
	// of JSON v2. Conditions that were pushed into a derived table stand inside it here.
	Rewritten string
	Warnings  []Warning // what the server remarked while it planned, note 1003 excepted

	Root *Block // the outermost query block

	// Unanalysable says why the plan must not be judged as good: it collapsed, or it holds something that is not
	// understood. Figures of such a plan are lower bounds.
	Unanalysable []Reason

	v1Shows bool // JSON v2 left something out that JSON v1 shows
}

// Reason is one cause for a verdict of Unanalysable: what is the matter, and the way out.
type Reason struct {
	What   string
	WayOut string
}

// String returns both parts as one sentence.
func (r Reason) String() string {
	if r.WayOut == "" {
		return r.What
	}
	return r.What + ": " + r.WayOut
}

// Warning is a row of SHOW WARNINGS.
type Warning struct {
	Level   string // Note, Warning or Error
	Code    int    // MySQL's error number
	Message string
}

// Analysable reports whether the plan is understood as a whole. The zero Plan is not.
func (p *Plan) Analysable() bool {
	return p != nil && p.Root != nil && len(p.Unanalysable) == 0
}

// Blocks returns every query block, an outer one before those inside it, in join order.
func (p *Plan) Blocks() []*Block {
	if p == nil || p.Root == nil {
		return nil
	}
	return p.Root.appendBlocks(nil)
}

func (p *Plan) cannotTell(what, wayOut string) {
	for _, r := range p.Unanalysable {
		if r.What == what {
			return
		}
	}
	p.Unanalysable = append(p.Unanalysable, Reason{What: what, WayOut: wayOut})
}

// notKnown is cannotTell for what this package should know.
func (p *Plan) notKnown(what string) {
	p.cannotTell(what, "please report it with the output of EXPLAIN FORMAT=JSON")
}

func (p *Plan) unknownOperator(what string) {
	p.notKnown("the plan holds an operator that is not known: " + what)
}

// BlockKind says where a query block stands in the statement.
type BlockKind string

// The kinds of query blocks.
const (
	BlockMain     BlockKind = "main"      // the statement itself
	BlockDerived  BlockKind = "derived"   // a materialized derived table, view or common table expression
	BlockSemijoin BlockKind = "semijoin"  // an IN or EXISTS subquery that is materialized and joined
	BlockSubquery BlockKind = "subquery"  // any other subquery
	BlockUnionArm BlockKind = "union arm" // one side of UNION, INTERSECT or EXCEPT
)

// Block is one query block: a SELECT with its own FROM.
type Block struct {
	Kind   BlockKind
	Name   string // a derived block: its alias in the statement; other kinds are named by number
	ID     int    // the server's select number; 0 where the server does not say
	CTE    string // the name of the common table expression that the block belongs to, if the server says it
	Parent *Block // nil for the main block
	Root   *Node  // the topmost operator; nil when the block collapsed or reads nothing

	// Const are tables of which one row was read while planning (look-ups by a whole primary or unique key).
	Const []*Node

	Dependent bool // executed again for rows of an outer block: a correlated subquery or a LATERAL table
	Recursive bool // the repeated part of a recursive common table expression
	Message   string
	Location  string // of a subquery: "condition", "select list", "having", …

	// Executions is how often the block runs for one run of the statement; with Unbounded set the true number is
	// higher and not to be known from the plan.
	Executions float64
	Unbounded  bool

	perRowOf []string // the aliases whose rows make a LATERAL block run again
}

// Title names the block for a reader.
func (b *Block) Title() string {
	switch {
	case b.Kind == BlockMain:
		return "main query"
	case b.Kind == BlockDerived && b.CTE != "" && b.CTE != b.Name:
		return "derived table " + b.Name + " (CTE " + b.CTE + ")"
	case b.Kind == BlockDerived:
		return "derived table " + b.Name
	case b.Kind == BlockSemijoin:
		return "materialized subquery " + b.Name
	case b.Kind == BlockSubquery && b.Location != "":
		return b.Name + " in " + b.Location
	default:
		return b.Name
	}
}

// Accesses returns the block's own table accesses in join order, tables read while planning first. Accesses of
// nested blocks belong to those, internal temporary tables to nobody.
func (b *Block) Accesses() []*Node {
	if b == nil {
		return nil
	}
	return b.Root.appendAccesses(append([]*Node(nil), b.Const...))
}

// Blocks returns the blocks directly inside this one, in join order.
func (b *Block) Blocks() []*Block {
	if b == nil {
		return nil
	}
	return b.Root.appendOwnBlocks(nil)
}

// within reports whether the block is b or lies anywhere inside it.
func (b *Block) within(outer *Block) bool {
	for ; b != nil; b = b.Parent {
		if b == outer {
			return true
		}
	}
	return false
}

func (b *Block) appendBlocks(to []*Block) []*Block {
	to = append(to, b)
	for _, in := range b.Blocks() {
		to = in.appendBlocks(to)
	}
	return to
}

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

	Read       float64 // rows read per execution; 0 for operators that read no base table
	Rows       float64 // rows passed on per execution
	Executions float64 // how often the node runs for one run of the statement

	Inputs []*Node  // in join order
	Blocks []*Block // the derived table, subqueries or union arms that hang on this node

	SharesWith string // a derived table that was materialized for another access, by block name
	Base       bool   // Read counts rows of a stored table

	passesFor  string   // an access whose rows make LATERAL tables run again carries its own alias
	rematFor   []string // JSON v1: the LATERAL tables that run again for each row up to here
	limit      float64  // of a limit: rows and offset together
	lookupOnly bool     // of an alternative: not executed unless a value is NULL
}

// Examined is the rows that the node reads from a stored table in one run of the statement.
func (n *Node) Examined() float64 {
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
