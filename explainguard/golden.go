package explainguard

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
)

// GoldenDir is where Golden keeps plans, below the directory of the test's package.
const GoldenDir = "testdata/explainguard"

// updateFlag has a name of its own, since a test binary may have an -update already.
const updateFlag = "explainguard.update"

func init() {
	if testing.Testing() {
		flag.Bool(updateFlag, false, "rewrite the plans that explainguard keeps in "+GoldenDir)
	}
}

// updating reports whether the test run is to rewrite what is kept: -explainguard.update, or the test binary's own
// -update if it has one.
func updating() bool {
	for _, name := range []string{updateFlag, "update"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() == "true" {
			return true
		}
	}
	return false
}

// Golden fails the test when the shape of the statement's plan (which tables in which order, by which index, what is
// materialized or sorted; no costs and no row counts) is another than the one kept in testdata/explainguard/<name>.plan,
// and prints the difference. `go test -explainguard.update` writes the file; so does -update in a test binary that
// defines that flag. A plan without a file, or one that cannot be judged, fails: it is never written silently.
//
// Golden does not apply the guard's rules; use Assert for that. The test goes on. It returns the plan, or an empty one.
func (g *Guard) Golden(tb testing.TB, name, query string, args ...any) *Plan {
	tb.Helper()
	r, err := g.Check(tb.Context(), query, args...)
	if err != nil || !r.Plan.Analysable() {
		r.Verdict, r.Findings = Unanalysable, nil
		tb.Errorf("explainguard: golden %s: there is no plan to compare\n%s", name, r)
		return &Plan{}
	}
	if err := keepShape(name, "# "+shorten(query, 300)+"\n"+r.Plan.Shape(), updating()); err != nil {
		tb.Errorf("explainguard: golden %s: %v", name, err)
	}
	return r.Plan
}

var goldenName = regexp.MustCompile(`^[\pL\pN_][\pL\pN_.-]*(/[\pL\pN_][\pL\pN_.-]*)*$`)

// goldens remembers what this test run wrote, to find a name that stands for two plans.
var goldens struct {
	sync.Mutex
	written map[string]string
}

func keepShape(name, got string, update bool) error {
	if !goldenName.MatchString(name) {
		return fmt.Errorf("the name %q cannot be a file's; use letters, digits, _, - and ., with / between directories", name)
	}
	file := filepath.Join(filepath.FromSlash(GoldenDir), filepath.FromSlash(name)+".plan")
	if update {
		goldens.Lock()
		defer goldens.Unlock()
		if was, ok := goldens.written[file]; ok && was != got {
			return fmt.Errorf("two plans of this run have the same name; give each its own:\n%s", diff.Diff("first", []byte(was), "second", []byte(got)))
		}
		if goldens.written == nil {
			goldens.written = map[string]string{}
		}
		goldens.written[file] = got
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		return os.WriteFile(file, []byte(got), 0o644)
	}
	kept, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no plan is kept in %s yet; look at this one, then run `go test -%s` and commit the file:\n%s", file, updateFlag, got)
	}
	if err != nil {
		return err
	}
	if want := strings.ReplaceAll(string(kept), "\r\n", "\n"); want != got {
		return fmt.Errorf("the plan changed; if that is as it should be, run `go test -%s` and commit the file:\n%s",
			updateFlag, diff.Diff(file, []byte(want), "now", []byte(got)))
	}
	return nil
}

// Shape describes the plan without its figures: the query blocks, their table accesses in join order, and where rows are
// sorted. Two plans of the same shape do the same work in the same way.
func (p *Plan) Shape() string {
	if p == nil || p.Root == nil {
		return ""
	}
	var b strings.Builder
	for _, r := range p.Unanalysable {
		b.WriteString("! " + r.What + "\n")
	}
	p.Root.shape(&b, "")
	return b.String()
}

func (b *Block) shape(to *strings.Builder, indent string) {
	to.WriteString(indent + b.Title())
	if b.Dependent {
		to.WriteString(", run for each row")
	}
	if b.Message != "" {
		to.WriteString(": " + b.Message)
	}
	to.WriteString("\n")
	for _, n := range b.Const {
		n.shape(to, indent+treeIndent)
	}
	b.Root.shape(to, indent+treeIndent)
}

func (n *Node) shape(to *strings.Builder, indent string) {
	if n == nil {
		return
	}
	inner := indent
	switch {
	case n.Op == OpAccess:
		to.WriteString(indent + n.Name())
		if n.Table != n.Name() {
			to.WriteString(" (" + n.Table + ")")
		}
		if n.Target {
			to.WriteString(", written")
		}
		to.WriteString(": " + string(n.Access))
		if n.Index != "" {
			to.WriteString(" " + n.Index)
		}
		if len(n.KeyColumns) > 0 {
			to.WriteString(" (" + strings.Join(n.KeyColumns, ", ") + ")")
		}
		to.WriteString("\n")
		inner += treeIndent
	case n.Op == OpJoin && n.Hash:
		to.WriteString(indent + "hash join\n")
		inner += treeIndent
	case n.Op == OpSort && n.Detail != "in index order", n.Op == OpUnion, n.Op == OpWindow, strings.HasPrefix(string(n.Op), "unknown"):
		to.WriteString(indent + string(n.Op) + "\n")
		inner += treeIndent
	}
	for _, in := range n.Inputs {
		in.shape(to, inner)
	}
	for _, b := range n.Blocks {
		b.shape(to, inner)
	}
}
