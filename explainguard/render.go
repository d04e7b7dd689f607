package explainguard

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The width of the plan's left column, in terminal cells.
const (
	minLabel = 30
	maxLabel = 64
)

// String renders the report for a terminal: the verdict, each finding with its figure, limit and way out, the plan as a
// tree with the guilty places marked, and the statement.
func (r *Report) String() string {
	if r == nil {
		r = &Report{}
	}
	var lines []line
	source := ""
	if r.Plan != nil && r.Plan.Root != nil {
		lines, source = r.lines(), r.Plan.source()
	}
	var waived []waivedLine
	for _, w := range r.Waived {
		waived = append(waived, waivedLine{w.Rule + ", " + w.By.String(), w.What})
	}
	return r.render(waived, lines, source, r.Plan != nil && r.Plan.Analyzed, renderArgs(r.Args))
}

// waivedLine is a finding that a waiver allows.
type waivedLine struct{ by, what string }

func (r *Report) render(waived []waivedLine, plan []line, source string, analyzed bool, args string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "explainguard: %s\n", r.headline(len(plan) > 0))
	if origin := r.origin(); origin != "" {
		b.WriteString("  " + origin + "\n")
	}
	for _, f := range r.Findings {
		b.WriteString("\n  ✗ " + f.Rule + "\n")
		wrap(&b, "    ", f.What)
		if limit := f.limit(); limit != "" {
			b.WriteString("    limit:   " + limit + "\n")
		}
		wrap(&b, "    way out: ", f.WayOut)
		if f.Suggestion != nil {
			wrap(&b, "    proven:  ", f.Suggestion.String())
		}
		if f.Note != "" {
			wrap(&b, "    waiver:  ", f.Note)
		}
	}
	for _, reason := range r.Reasons {
		b.WriteString("\n  ? cannot tell\n")
		wrap(&b, "    ", reason.What)
		if reason.WayOut != "" {
			wrap(&b, "    way out: ", reason.WayOut)
		}
		if reason.Note != "" {
			wrap(&b, "    waiver:  ", reason.Note)
		}
	}
	for _, w := range waived {
		b.WriteString("\n")
		wrap(&b, "  ~ ", w.by)
		wrap(&b, "    ", w.what)
	}
	if len(plan) > 0 {
		b.WriteString("\n" + renderPlan(plan, source, analyzed))
	}
	if r.Query != "" {
		b.WriteString("\n  statement\n" + renderQuery(r.Query))
	}
	if args != "" {
		b.WriteString("  arguments: " + args + "\n")
	}
	return b.String()
}

// origin says where a statement comes from: its call site, and how often it ran there.
func (r *Report) origin() string {
	origin := r.CallSite.String()
	if r.Calls > 0 {
		times := "once"
		if r.Calls > 1 {
			times = rows(float64(r.Calls)) + " times"
		}
		origin = strings.TrimSpace(origin + ", run " + times)
		origin = strings.TrimPrefix(origin, ", ")
	}
	if r.Collapsed > 0 {
		origin += fmt.Sprintf(", of %d of its arguments nothing can be told, as they find no row here", r.Collapsed)
	}
	return origin
}

// limit is what was allowed, with its unit; "" where the rule goes by no figure.
func (f Finding) limit() string {
	switch {
	case f.Figure == 0 && f.Limit == 0:
		return ""
	case f.Unit == "":
		return rows(f.Limit) + " rows"
	default:
		return rows(f.Limit) + " " + f.Unit
	}
}

func (r *Report) headline(hasPlan bool) string {
	if r.Verdict == Fail && !hasPlan {
		return "FAIL"
	}
	switch r.Verdict {
	case Pass:
		waived := ""
		if n := len(r.Waived); n > 0 {
			waived = fmt.Sprintf(" (%d waived)", n)
		}
		return fmt.Sprintf("PASS: %s rows examined%s", about(r.Work.Total, r.Work.LowerBound), waived)
	case Fail:
		return fmt.Sprintf("FAIL: %s rows examined", about(r.Work.Total, r.Work.LowerBound))
	default:
		return "UNANALYSABLE: this is not a pass"
	}
}

// line is a row of the plan's table: a label and three figures.
type line struct {
	mark, label, read, times, examined, estimate, tag string

	block bool
	work  float64  // what examined says
	empty bool     // some loops found nothing
	rules []string // what tag says
}

// found marks the line as the place of a finding.
func (l *line) found(mark, rule string) {
	l.mark, l.rules = mark, append(l.rules, rule)
	l.tag = strings.Join(l.rules, ", ")
}

// treeIndent is the indentation of one level.
const treeIndent = "  "

func renderPlan(lines []line, source string, analyzed bool) string {
	width := minLabel
	var read, times, examined, estimate int
	for _, l := range lines {
		estimate = max(estimate, len(l.estimate))
		width = max(width, min(cells(l.label), maxLabel))
		read, times, examined = max(read, len(l.read)), max(times, len(l.times)), max(examined, len(l.examined))
	}
	var b strings.Builder
	if analyzed {
		fmt.Fprintf(&b, "  plan (%s, run): rows per loop × loops = rows examined\n", source)
		if slices.ContainsFunc(lines, func(l line) bool { return l.empty }) {
			b.WriteString("  a loop that finds nothing counts as one row\n")
		}
	} else {
		fmt.Fprintf(&b, "  plan (%s): rows per execution × executions = rows examined\n", source)
	}
	for _, l := range lines {
		row := l.mark + " " + pad(l.label, width)
		switch {
		case l.read != "":
			row += fmt.Sprintf("  %*s × %*s = %*s", read, l.read, times, l.times, examined, l.examined)
		case l.examined != "":
			row += fmt.Sprintf("  %*s", read+times+examined+6, l.examined)
		}
		if l.estimate != "" {
			row += fmt.Sprintf("  estimated %*s", estimate, l.estimate)
		}
		if l.tag != "" {
			row += "  ◀ " + l.tag
		}
		b.WriteString("  " + strings.TrimRight(row, " ") + "\n")
	}
	return b.String()
}

// source says which server told the plan, and in which format.
func (p *Plan) source() string {
	if p.ServerVersion == "" {
		return p.Format.String()
	}
	return server{"version": p.ServerVersion}.String() + ", " + p.Format.String()
}

// tree flattens a plan into lines.
type tree struct {
	report   *Report
	estimate Work // of an analyzed plan
	lines    []line
}

func (r *Report) lines() []line {
	t := tree{report: r}
	if r.Plan.Analyzed {
		t.estimate = Estimate(r.Plan)
	}
	t.block(r.Plan.Root, "")
	return t.lines
}

func (t *tree) block(b *Block, indent string) {
	label := indent + b.Title()
	switch {
	case b.Unbounded:
		label += ", run until it finds nothing new"
	case b.times() > 1:
		label += ", run " + rows(b.times()) + " times"
	}
	if b.Message != "" {
		label += ": " + b.Message
	}
	l := line{mark: " ", label: label, block: true, work: t.report.Work.Of(b).Total()}
	l.examined = rows(l.work)
	t.mark(&l, func(f Finding) bool { return f.Block == b && f.Node == nil })
	if t.report.Plan.Analyzed {
		l.estimate = rows(t.estimate.Of(b).Total())
	}
	t.lines = append(t.lines, l)
	for _, n := range b.Const {
		t.node(n, indent+"  ", "")
	}
	t.node(b.Root, indent+"  ", "")
}

// mark points at a line where something was found; what was waived shows where nothing else is.
func (t *tree) mark(l *line, here func(Finding) bool) {
	for _, w := range t.report.Waived {
		if here(w.Finding) {
			l.found("~", w.Rule+", waived")
		}
	}
	for _, f := range t.report.Findings {
		if here(f) {
			l.found("▶", f.Rule)
		}
	}
}

func (t *tree) node(n *Node, indent, how string) {
	if n == nil {
		return
	}
	switch n.Op {
	case OpAccess:
		t.access(n, indent, how)
		indent += "  "
	case OpJoin: // a chain of joins reads as a list
		for i, in := range n.Inputs {
			with := how
			if i > 0 {
				with = joinedBy(n)
			}
			t.node(in, indent, with)
		}
		for _, b := range n.Blocks {
			t.block(b, indent)
		}
		return
	case OpFilter, OpStream, OpTemp, OpLimit: // nothing to read about rows examined
		t.inside(n, indent, how)
		return
	case OpNothing, OpUnion:
	default:
		text := n.Detail
		if text == "" {
			text = string(n.Op)
		}
		if strings.HasPrefix(string(n.Op), "unknown") {
			text = string(n.Op) + " (" + n.Detail + ")"
		}
		t.lines = append(t.lines, line{mark: " ", label: indent + shorten(text, maxLabel-len(indent))})
		indent += "  "
	}
	t.inside(n, indent, how)
}

func (t *tree) inside(n *Node, indent, how string) {
	for _, in := range n.Inputs {
		t.node(in, indent, how)
	}
	for _, b := range n.Blocks {
		t.block(b, indent)
	}
}

func joinedBy(n *Node) string {
	var words []string
	if n.Join != JoinInner {
		words = append(words, string(n.Join))
	}
	if n.Hash {
		words = append(words, "hash")
	}
	if len(words) == 0 {
		return ""
	}
	return strings.Join(append(words, "join"), " ")
}

func (t *tree) access(n *Node, indent, how string) {
	label := indent + n.Name()
	if n.Table != n.Name() {
		label += " (" + n.Table + ")"
	}
	label += "  " + string(n.Access)
	if internalTable(n.Index) { // <auto_key0>: an index that the server makes on a temporary table
		label += " in its temporary table"
	} else if n.Index != "" {
		label += " " + n.Index
	}
	if how != "" {
		label += ", " + how
	}
	l := line{mark: " "}
	t.mark(&l, func(f Finding) bool { return f.Node == n })
	l.label = label
	if n.Base {
		l.work = n.Examined()
		l.read, l.times, l.examined = rows(n.Read), rows(n.Executions), rows(l.work)
		if n.Actual != nil {
			l.read, l.times, l.estimate = rows(n.readPerLoop()), rows(n.Actual.Loops), rows(n.Estimated())
			l.empty = n.readPerLoop()*n.Actual.Loops < 0.99*n.Examined()
		}
	}
	t.lines = append(t.lines, l)
}

// longList matches a list of more than ten constants.
var longList = regexp.MustCompile(`\(\s*((?:(?:-?[\d.]+|'[^'\\]*'|\?)\s*,\s*){3})((?:(?:-?[\d.]+|'[^'\\]*'|\?)\s*,\s*){7,})(-?[\d.]+|'[^'\\]*'|\?)\s*\)`)

const (
	maxQueryLines = 30
	maxQueryWidth = 160
)

// renderQuery shows a statement in at most a screenful.
func renderQuery(query string) string {
	query = longList.ReplaceAllStringFunc(query, func(s string) string {
		m := longList.FindStringSubmatch(s)
		return fmt.Sprintf("(%s… %d more …, %s)", m[1], strings.Count(m[2], ","), m[3])
	})
	var b strings.Builder
	lines := strings.Split(strings.Trim(query, "\n"), "\n")
	for i, l := range lines {
		if i == maxQueryLines {
			fmt.Fprintf(&b, "    … %d more lines\n", len(lines)-i)
			break
		}
		l = strings.TrimRight(l, " \t\r")
		if r := []rune(l); len(r) > maxQueryWidth {
			l = fmt.Sprintf("%s… %d more characters", string(r[:maxQueryWidth]), len(r)-maxQueryWidth)
		}
		b.WriteString("    " + l + "\n")
	}
	return b.String()
}

func renderArgs(args []any) string {
	var out []string
	for i, a := range args {
		if i == maxListed {
			out = append(out, fmt.Sprintf("… %d more", len(args)-i))
			break
		}
		switch v := a.(type) {
		case []byte:
			out = append(out, fmt.Sprintf("%q", shorten(string(v[:min(len(v), 200)]), 40)))
		case string:
			out = append(out, fmt.Sprintf("%q", shorten(v, 40)))
		default:
			out = append(out, shorten(fmt.Sprint(v), 40))
		}
	}
	return strings.Join(out, ", ")
}

// wrap writes text in lines of at most 100 cells; the first line starts with lead, the others under it.
func wrap(b *strings.Builder, lead, text string) {
	const width = 100
	at := cells(lead)
	b.WriteString(lead)
	for i, word := range strings.Fields(text) {
		w := cells(word)
		switch {
		case i > 0 && at+1+w > width:
			b.WriteString("\n" + strings.Repeat(" ", cells(lead)))
			at = cells(lead)
		case i > 0:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += w
	}
	b.WriteString("\n")
}

// cells is the width of a text in a terminal: East Asian wide characters take two cells, combining marks none.
func cells(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case r >= 0x300 && r <= 0x36f, r == 0x200d, r >= 0xfe00 && r <= 0xfe0f:
		case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3, r >= 0xf900 && r <= 0xfaff,
			r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1faff,
			r >= 0x20000 && r <= 0x3fffd:
			n += 2
		default:
			n++
		}
	}
	return n
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-cells(s)))
}
