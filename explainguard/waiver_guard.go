package explainguard

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// otherFindings are the names of findings that no Rule value makes, so that they can be waived.
var otherFindings = []string{RuleUnanalysable, ruleRepeated, ruleQueries, ruleTestRows}

// waiversUsed remembers which waivers matched anything. The zero value is ready; tests may use it side by side.
type waiversUsed struct {
	mu   sync.Mutex
	used map[Waiver]bool
}

// waive applies the guard's waivers to a report that is complete: statement, call site, findings and reasons.
func (g *Guard) waive(r *Report) {
	used := waive(r, g.Waivers, time.Now())
	g.waivers.mu.Lock()
	defer g.waivers.mu.Unlock()
	for _, w := range used {
		if g.waivers.used == nil {
			g.waivers.used = map[Waiver]bool{}
		}
		g.waivers.used[w] = true
	}
}

func (g *Guard) validateWaivers() error {
	if len(g.Waivers) == 0 {
		return nil
	}
	var names []string
	for _, r := range slices.Concat(DefaultRules(), g.Rules) {
		if !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	return validateWaivers(g.Waivers, append(names, otherFindings...), time.Now())
}

// UnusedWaivers returns the waivers that have matched nothing so far, in the order of Guard.Waivers: what they were for is
// gone, and they should go too. An expired waiver whose finding is still there counts as used. Ask at the end of a run
// that judged every statement; it may be called at any time, by several goroutines.
func (g *Guard) UnusedWaivers() []Waiver {
	if g == nil {
		return nil
	}
	g.waivers.mu.Lock()
	defer g.waivers.mu.Unlock()
	var unused []Waiver
	for _, w := range g.Waivers {
		if !g.waivers.used[w] {
			unused = append(unused, w)
		}
	}
	return unused
}

// AssertWaiversUsed fails the test if a waiver matched nothing. Call it in a test that runs after all others, or use
// VerifyWaivers. When only a part of the tests was asked for (-run, -skip, -short), it only logs.
func (g *Guard) AssertWaiversUsed(tb testing.TB) {
	tb.Helper()
	unused := unusedText(g.UnusedWaivers())
	switch {
	case unused == "":
	case partialRun():
		tb.Log(unused + " (only a part of the tests was run)")
	default:
		tb.Error(unused)
	}
}

// VerifyWaivers runs the tests of a package and returns their exit code, or 1 if all of them passed and a waiver matched
// nothing. It is for TestMain: os.Exit(guard.VerifyWaivers(m)). When only a part of the tests was asked for (-run, -skip,
// -short), unused waivers are not looked at.
func (g *Guard) VerifyWaivers(m interface{ Run() int }) int {
	code := m.Run()
	if unused := unusedText(g.UnusedWaivers()); code == 0 && unused != "" && !partialRun() {
		fmt.Fprintln(os.Stderr, unused)
		return 1
	}
	return code
}

func unusedText(unused []Waiver) string {
	if len(unused) == 0 {
		return ""
	}
	var b strings.Builder
	subject := "1 waiver matched nothing in this run; remove it, or correct what it selects:"
	if len(unused) > 1 {
		subject = fmt.Sprintf("%d waivers matched nothing in this run; remove them, or correct what they select:", len(unused))
	}
	b.WriteString("explainguard: " + subject)
	for _, w := range unused {
		fmt.Fprintf(&b, "\n  %s: %s", w.subject(), w)
	}
	return b.String()
}

// partialRun reports whether `go test` was asked for a part of the tests.
func partialRun() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.short"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != f.DefValue {
			return true
		}
	}
	return false
}
