package explainguard

import (
	"slices"
	"time"
)

// Format is a form in which a server tells a plan.
type Format int

// The formats that Parse reads. The zero value is no format: Explain then chooses one, and a Plan that says
// FormatUnknown was never parsed.
const (
	FormatUnknown Format = iota
	FormatJSONv1         // FORMAT=JSON with explain_json_format_version 1, the only one before MySQL 8.3
	FormatJSONv2         // FORMAT=JSON with explain_json_format_version 2, the default of MySQL 9.7
	FormatTree           // FORMAT=TREE: a text, one operator a line; the only one of EXPLAIN ANALYZE before MySQL 8.3
	FormatMariaDB        // FORMAT=JSON of MariaDB, of EXPLAIN or of ANALYZE
)

// String returns the format's name as it is shown in reports.
func (f Format) String() string {
	switch f {
	case FormatJSONv1:
		return "JSON v1"
	case FormatJSONv2:
		return "JSON v2"
	case FormatTree:
		return "TREE"
	case FormatMariaDB:
		return "MariaDB JSON"
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

	TimeLimit *TimeLimit // how long the server lets the statement run; nil if that is not known

	Root *Block // the outermost query block

	// Analyzed says that the statement was run: nodes have an Actual, and what was really examined is judged.
	Analyzed bool

	// Unseen is, of an analyzed plan, how many rows the server's counters show as read beyond those that the plan shows; see Analyze
	// in Explainer. 0 also where it was not counted: a plan parsed from bytes.
	Unseen float64

	// Stopped is after how long the run was stopped, since it had reached its limit; 0 if it ended by itself. The figures of such a plan say
	// how far the run had come.
	Stopped time.Duration

	// Writes is UPDATE, DELETE, INSERT or REPLACE; "" for a statement that only reads, or if the server does not say.
	Writes string

	// Unanalysable says why the plan must not be judged as good: it collapsed, or it holds something that is not
	// understood. Figures of such a plan are lower bounds.
	Unanalysable []Reason

	v1Shows bool // JSON v2 left something out that JSON v1 shows
	guessed bool // it was chosen by statistics that are not known, so what it costs is no finding
}

// Reason is one cause for a verdict of Unanalysable: what is the matter, and the way out.
type Reason struct {
	What   string
	WayOut string
	Note   string // of an expired Waiver, as in Finding; else ""

	noRows bool // the arguments, or the tables here, hold nothing that could be planned for; other arguments may
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
	return p.Root.appendBlocks(make([]*Block, 0, 8))
}

// mariaDB reports whether the plan is MariaDB's. It ignores MySQL's hints, MAX_EXECUTION_TIME among them.
func (p *Plan) mariaDB() bool {
	return p.Format == FormatMariaDB || server{"version": p.ServerVersion}.mariaDB()
}

func (p *Plan) cannotTell(what, wayOut string) {
	for _, r := range p.Unanalysable {
		if r.What == what {
			return
		}
	}
	p.Unanalysable = append(p.Unanalysable, Reason{What: what, WayOut: wayOut})
}

// noRows is cannotTell where there is nothing to plan for.
func (p *Plan) noRows(what, wayOut string) {
	p.cannotTell(what, wayOut)
	for i := range p.Unanalysable {
		r := &p.Unanalysable[i]
		r.noRows = r.noRows || r.What == what
	}
}

// nowKnown takes a reason back.
func (p *Plan) nowKnown(what string) {
	p.Unanalysable = slices.DeleteFunc(p.Unanalysable, func(r Reason) bool { return r.What == what })
}

// notKnown is cannotTell for what this package should know.
func (p *Plan) notKnown(what string) {
	p.cannotTell(what, "please report it with the output of EXPLAIN FORMAT=JSON")
}

// untold is cannotTell for a block that stands where nothing is said of it.
func (p *Plan) untold(b *Block) {
	p.notKnown("the plan does not say what the " + b.Title() + " does")
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
	limit    float64  // LIMIT and OFFSET together, as far as the rewritten statement tells; 0: none
	offset   float64  // of these, the rows that OFFSET throws away

	// Of a MariaDB plan.
	conditions  []string // those of the block as a whole, HAVING among them
	stops       float64  // LIMIT and OFFSET of its rows, together; 0 if there is none, or more rows may be needed
	ran         float64  // how often ANALYZE saw it run
	correlation correlation
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
	return b.Root.appendAccesses(append(make([]*Node, 0, max(4, len(b.Const))), b.Const...))
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
	var few [8]*Block
	for _, in := range b.Root.appendOwnBlocks(few[:0]) {
		to = in.appendBlocks(to)
	}
	return to
}
