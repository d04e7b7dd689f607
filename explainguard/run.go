package explainguard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Run is the reports of a whole test run, in the form in which they are kept as a file, merged, and shown: a stable one,
// without the plan's inner details. Make one with NewRun, or read one with ReadRun.
type Run struct {
	Entries []Entry // worst first
}

// Entry is one report of a Run. Its JSON names are stable; a newer version only adds to them.
type Entry struct {
	Verdict   string         `json:"verdict"` // "Fail", "Unanalysable" or "Pass"
	Test      string         `json:"test,omitempty"`
	File      string         `json:"file,omitempty"` // the call site
	Line      int            `json:"line,omitempty"`
	Function  string         `json:"function,omitempty"`
	Calls     int            `json:"calls,omitempty"`
	Collapsed int            `json:"collapsed,omitempty"` // how many of the explained arguments find no row, so that nothing can be told of them
	Query     string         `json:"query,omitempty"`
	Arguments string         `json:"arguments,omitempty"` // shortened, for a reader
	Source    string         `json:"source,omitempty"`    // "MySQL 9.7.4, JSON v2"
	Analyzed  bool           `json:"analyzed,omitempty"`  // the statement was run, and the figures are what happened
	Rows      float64        `json:"rows"`                // examined in one run of the statement
	AtLeast   bool           `json:"at_least,omitempty"`  // Rows is a lower bound
	Findings  []EntryFinding `json:"findings,omitempty"`
	Reasons   []EntryReason  `json:"reasons,omitempty"` // why nothing, or not everything, can be told
	Waived    []EntryFinding `json:"waived,omitempty"`  // what was found, and a Waiver allows for now
	Plan      []EntryLine    `json:"plan,omitempty"`
}

// EntryFinding is a Finding in an Entry.
type EntryFinding struct {
	Rule   string  `json:"rule"`
	What   string  `json:"what"`
	Figure float64 `json:"figure"`
	Limit  float64 `json:"limit"`
	Unit   string  `json:"unit,omitempty"` // of figure and limit; rows if it is missing
	WayOut string  `json:"way_out,omitempty"`
	Note   string  `json:"note,omitempty"` // on a waiver: until when and why it waives, or why it no longer does

	Suggestion *EntrySuggestion `json:"suggestion,omitempty"`
}

// EntrySuggestion is a Suggestion in an Entry.
type EntrySuggestion struct {
	What      string  `json:"what"`
	Statement string  `json:"statement"`
	Before    float64 `json:"before"`
	After     float64 `json:"after"`
}

// EntryReason is a Reason in an Entry.
type EntryReason struct {
	What   string `json:"what"`
	WayOut string `json:"way_out,omitempty"`
	Note   string `json:"note,omitempty"` // on a waiver
}

// EntryLine is a line of the plan's tree in an Entry: a query block, an access or another operator.
type EntryLine struct {
	Depth    int      `json:"depth"`
	Label    string   `json:"label"`
	Block    bool     `json:"block,omitempty"` // Examined is then the sum over what stands inside
	Read     string   `json:"read,omitempty"`  // rows per execution, as a reader sees them
	Times    string   `json:"times,omitempty"` // executions
	Examined float64  `json:"examined,omitempty"`
	Estimate string   `json:"estimate,omitempty"` // of examined rows, where the statement was run
	Empty    bool     `json:"empty,omitempty"`    // some loops found nothing; each counts as one row
	Rules    []string `json:"rules,omitempty"`    // whose findings point here
}

// NewRun gathers reports. Nil reports are left out.
func NewRun(reports ...*Report) *Run {
	run := &Run{}
	for _, r := range reports {
		if r != nil {
			run.Entries = append(run.Entries, newEntry(r))
		}
	}
	run.sort()
	return run
}

// Merge takes over another run's entries, such as those of another package's test process.
func (r *Run) Merge(other *Run) {
	r.Entries = append(r.Entries, other.Entries...)
	r.sort()
}

// Count returns how many entries have a verdict.
func (r *Run) Count(v Verdict) int {
	n := 0
	for _, e := range r.Entries {
		if e.Verdict == v.String() {
			n++
		}
	}
	return n
}

var verdictRank = map[string]int{Fail.String(): 0, Unanalysable.String(): 1, Pass.String(): 2}

// sort puts the worst first: what fails by its rows, then what could not be told, then what passes.
func (r *Run) sort() {
	slices.SortStableFunc(r.Entries, func(a, b Entry) int {
		return cmp.Or(
			cmp.Compare(verdictRank[a.Verdict], verdictRank[b.Verdict]),
			cmp.Compare(b.Rows, a.Rows),
			cmp.Compare(a.Test, b.Test), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Query, b.Query),
		)
	})
}

func newEntry(r *Report) Entry {
	e := Entry{
		Verdict: r.Verdict.String(), Test: r.Test, File: r.CallSite.File, Line: r.CallSite.Line, Function: r.CallSite.Function,
		Calls: r.Calls, Collapsed: r.Collapsed, Query: r.Query, Arguments: renderArgs(r.Args), Rows: r.Work.Total, AtLeast: r.Work.LowerBound,
	}
	for _, f := range r.Findings {
		e.Findings = append(e.Findings, newEntryFinding(f))
	}
	for _, reason := range r.Reasons {
		e.Reasons = append(e.Reasons, EntryReason{reason.What, reason.WayOut, reason.Note})
	}
	for _, w := range r.Waived {
		f := newEntryFinding(w.Finding)
		f.Note = w.By.String()
		e.Waived = append(e.Waived, f)
	}
	if r.Plan == nil || r.Plan.Root == nil {
		return e
	}
	e.Source = r.Plan.source()
	e.Analyzed = r.Plan.Analyzed
	for _, l := range r.lines() {
		label := strings.TrimLeft(l.label, " ")
		e.Plan = append(e.Plan, EntryLine{
			Depth: (len(l.label) - len(label)) / len(treeIndent), Label: label, Block: l.block,
			Read: l.read, Times: l.times, Examined: l.work, Estimate: l.estimate, Empty: l.empty, Rules: l.rules,
		})
	}
	return e
}

func newEntryFinding(f Finding) EntryFinding {
	return EntryFinding{f.Rule, f.What, f.Figure, f.Limit, f.Unit, f.WayOut, f.Note, (*EntrySuggestion)(f.Suggestion)}
}

// String renders the entry for a terminal: the verdict, each finding with its figure, limit and way out, and the plan.
func (e Entry) String() string {
	r := &Report{Query: e.Query, Test: e.Test, CallSite: CallSite{File: e.File, Line: e.Line, Function: e.Function}, Calls: e.Calls, Collapsed: e.Collapsed}
	r.Work = Work{Total: e.Rows, LowerBound: e.AtLeast}
	switch e.Verdict {
	case Fail.String():
		r.Verdict = Fail
	case Pass.String():
		r.Verdict = Pass
	}
	for _, f := range e.Findings {
		r.Findings = append(r.Findings, f.finding())
	}
	for _, reason := range e.Reasons {
		r.Reasons = append(r.Reasons, Reason{What: reason.What, WayOut: reason.WayOut, Note: reason.Note})
	}
	var waived []waivedLine
	for _, w := range e.Waived {
		waived = append(waived, waivedLine{w.Rule + ", " + w.Note, w.What})
	}
	return r.render(waived, e.lines(), e.Source, e.Analyzed, e.Arguments)
}

func (f EntryFinding) finding() Finding {
	return Finding{Rule: f.Rule, What: f.What, Figure: f.Figure, Limit: f.Limit, Unit: f.Unit, WayOut: f.WayOut, Note: f.Note,
		Suggestion: (*Suggestion)(f.Suggestion)}
}

func (e Entry) lines() []line {
	var lines []line
	for _, l := range e.Plan {
		out := line{mark: " ", label: strings.Repeat(treeIndent, l.Depth) + l.Label, read: l.Read, times: l.Times, block: l.Block, work: l.Examined, estimate: l.Estimate, empty: l.Empty}
		if l.Block || l.Read != "" {
			out.examined = rows(l.Examined)
		}
		for _, rule := range l.Rules {
			mark := "▶"
			if strings.HasSuffix(rule, ", waived") {
				mark = "~"
			}
			out.found(mark, rule)
		}
		lines = append(lines, out)
	}
	return lines
}

// runFormat names the JSON document and its version.
const runFormat = "explainguard run 1"

type runDocument struct {
	Format  string  `json:"format"`
	Entries []Entry `json:"entries"`
}

// WriteJSON writes the run as one JSON document, which ReadRun reads.
func (r *Run) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(runDocument{runFormat, r.Entries}); err != nil {
		return fmt.Errorf("explainguard: write the run as JSON: %w", err)
	}
	return nil
}

// ReadRun reads what WriteJSON wrote; several documents after each other, as a test process leaves them when it writes
// one for each report, are one run.
func ReadRun(from io.Reader) (*Run, error) {
	run := &Run{}
	dec := json.NewDecoder(from)
	for {
		var d runDocument
		switch err := dec.Decode(&d); {
		case err == io.EOF:
			run.sort()
			return run, nil
		case err != nil:
			return nil, fmt.Errorf("explainguard: read a run: it is no complete JSON document (%w); was the test process killed?", err)
		case d.Format != runFormat:
			return nil, fmt.Errorf("explainguard: read a run: its format is %q, this version reads %q", shorten(d.Format, 40), runFormat)
		}
		for i, e := range d.Entries {
			if _, ok := verdictRank[e.Verdict]; !ok {
				return nil, fmt.Errorf("explainguard: read a run: entry %d has the verdict %q, which is none", i, shorten(e.Verdict, 40))
			}
		}
		run.Entries = append(run.Entries, d.Entries...)
	}
}
