package explainguard_test

import (
	"flag"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

// story2 is a plan that a real server gave, with the statement: two findings at st, one at the table reservations in it.
func story2(t *testing.T) *explainguard.Plan {
	t.Helper()
	p, err := explainguard.Parse(plans(t)["bad.v2"])
	require.NoError(t, err)
	p.Query = query(t, "bad")
	return p
}

// the two rules of these tests.
var twoRules = []*explainguard.Rule{explainguard.DerivedFilter, explainguard.RowsBudget}

func inDays(n int) time.Time { return time.Now().AddDate(0, 0, n) }

// waiver returns one that matches story 2's finding of a rule.
func waiver(rule string) explainguard.Waiver {
	return explainguard.Waiver{Rule: rule, Table: "reservations", Reason: "the report moves to the warehouse (#123)", Expires: inDays(30)}
}

func TestWaiverLetsAFindingPass(t *testing.T) {
	g := &explainguard.Guard{Rules: twoRules, Waivers: []explainguard.Waiver{waiver("rows-budget")}}
	r := g.Judge(story2(t))
	require.Equal(t, explainguard.Fail, r.Verdict)
	require.Len(t, r.Findings, 1)
	require.Equal(t, "derived-filter", r.Findings[0].Rule)
	require.Len(t, r.Waived, 1)
	require.Equal(t, "rows-budget", r.Waived[0].Rule)
	require.Equal(t, g.Waivers[0], r.Waived[0].By)
	require.Contains(t, r.String(), "~ rows-budget, waived until "+inDays(30).Format(time.DateOnly)+" because the report moves to the warehouse (#123)\n")
	require.Contains(t, r.String(), "    the statement examines 196,443 rows")

	g.Waivers = append(g.Waivers, waiver("derived-filter"))
	r = g.Judge(story2(t))
	require.Equal(t, explainguard.Pass, r.Verdict)
	require.True(t, r.Passed())
	require.Empty(t, r.Findings)
	require.Len(t, r.Waived, 2)
	require.Contains(t, r.String(), "PASS: 196,443 rows examined (2 waived)")
	require.Regexp(t, `(?m)^  ~ +r \(reservations\) .*  ◀ rows-budget, waived$`, r.String())
	require.NotContains(t, r.String(), "▶")
	require.Empty(t, g.UnusedWaivers())
}

func TestWaiverSelectors(t *testing.T) {
	site := explainguard.CallSite{File: "/src/app/orders/repository.go", Line: 7, Function: "example.com/app/orders.(*Repository).Find"}
	for name, c := range map[string]struct {
		waiver explainguard.Waiver
		want   bool
	}{
		"part of the statement":               {explainguard.Waiver{Query: "left join reservations R\n on"}, true},
		"not a part of it":                    {explainguard.Waiver{Query: "LEFT JOIN invoices"}, false},
		"the guilty access's table":           {explainguard.Waiver{Table: "Reservations"}, true},
		"with its schema":                     {explainguard.Waiver{Table: "smartlist.reservations"}, true},
		"another schema's":                    {explainguard.Waiver{Table: "other.reservations"}, false},
		"its alias":                           {explainguard.Waiver{Table: "r"}, false},
		"a table that is not the guilty one":  {explainguard.Waiver{Table: "pages"}, false},
		"end of the file's path":              {explainguard.Waiver{CallSite: "orders/repository.go"}, true},
		"the whole path":                      {explainguard.Waiver{CallSite: "/src/app/orders/repository.go"}, true},
		"half a name":                         {explainguard.Waiver{CallSite: "ository.go"}, false},
		"another folder":                      {explainguard.Waiver{CallSite: "carts/repository.go"}, false},
		"a method":                            {explainguard.Waiver{CallSite: "(*Repository).Find"}, true},
		"a method with its package":           {explainguard.Waiver{CallSite: "orders.(*Repository).Find"}, true},
		"the end of a method's name":          {explainguard.Waiver{CallSite: "nd"}, false},
		"all must match":                      {explainguard.Waiver{Table: "reservations", Query: "left join", CallSite: "repository.go"}, true},
		"all must match, and one does not":    {explainguard.Waiver{Table: "reservations", Query: "left join", CallSite: "other.go"}, false},
		"all must match, another one doesn't": {explainguard.Waiver{Table: "reservations", Query: "right join", CallSite: "repository.go"}, false},
		"no selector at all":                  {explainguard.Waiver{}, false},
		"another rule":                        {explainguard.Waiver{Rule: "derived-filter", Table: "reservations"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := &explainguard.Guard{Rules: []*explainguard.Rule{explainguard.RowsBudget}}
			p := story2(t)
			for _, b := range p.Blocks() {
				for _, n := range b.Accesses() {
					if n.Schema != "" {
						n.Schema = "smartlist"
					}
				}
			}
			r := g.Judge(p)
			r.CallSite = site
			if c.waiver.Rule == "" {
				c.waiver.Rule = "rows-budget"
			}
			c.waiver.Expires = inDays(1)
			used := explainguard.Waive(r, []explainguard.Waiver{c.waiver}, time.Now())
			require.Equal(t, c.want, r.Passed(), r)
			require.Equal(t, c.want, len(used) == 1)
		})
	}
}

// A finding that has no access of its own is at the tables of its block, and without a block at those of the statement.
func TestWaiverTableOfABlock(t *testing.T) {
	for table, want := range map[string]bool{"reservations": true, "pages": true, "customers": true, "st": false, "invoices": false} {
		g := &explainguard.Guard{Rules: []*explainguard.Rule{explainguard.DerivedFilter}}
		w := waiver("derived-filter")
		w.Table = table
		g.Waivers = []explainguard.Waiver{w}
		require.Equal(t, want, g.Judge(story2(t)).Passed(), table)
	}
	anywhere := &explainguard.Rule{Name: "mine", Run: func(*explainguard.Input) []explainguard.Finding {
		return []explainguard.Finding{{What: "no place"}}
	}}
	w := waiver("mine")
	require.True(t, (&explainguard.Guard{Rules: []*explainguard.Rule{anywhere}, Waivers: []explainguard.Waiver{w}}).Judge(story2(t)).Passed())
	w.Table = "invoices"
	require.False(t, (&explainguard.Guard{Rules: []*explainguard.Rule{anywhere}, Waivers: []explainguard.Waiver{w}}).Judge(story2(t)).Passed())
}

// A waiver ends at its moment: not before, and with a word in the report after.
func TestWaiverExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := waiver("rows-budget")
		g := &explainguard.Guard{Rules: []*explainguard.Rule{explainguard.RowsBudget}, Waivers: []explainguard.Waiver{w}}
		require.True(t, g.Judge(story2(t)).Passed())
		time.Sleep(time.Until(w.Expires) - time.Nanosecond)
		require.True(t, g.Judge(story2(t)).Passed())
		time.Sleep(time.Nanosecond)

		r := g.Judge(story2(t))
		require.Equal(t, explainguard.Fail, r.Verdict)
		require.Empty(t, r.Waived)
		require.Equal(t, "waived until 2000-01-31 because the report moves to the warehouse (#123); expired", r.Findings[0].Note)
		require.Contains(t, r.String(), "waiver:  waived until 2000-01-31 because")
		require.Empty(t, g.UnusedWaivers(), "what it was for is still there")

		// One that is in force counts, wherever it stands.
		later := waiver("rows-budget")
		for _, ws := range [][]explainguard.Waiver{{w, later}, {later, w}} {
			r := (&explainguard.Guard{Rules: g.Rules, Waivers: ws}).Judge(story2(t))
			require.True(t, r.Passed())
			require.Equal(t, later, r.Waived[0].By)
		}
	})
}

// That a plan cannot be judged is waived by name alone, never by a rule's waiver.
func TestWaiverOfUnanalysable(t *testing.T) {
	unknown := func() *explainguard.Plan {
		p := story2(t)
		p.Unanalysable = []explainguard.Reason{{What: "it is dark", WayOut: "make light"}}
		return p
	}
	rows, dark := waiver("rows-budget"), waiver(explainguard.RuleUnanalysable)
	guard := func(ws ...explainguard.Waiver) *explainguard.Report {
		return (&explainguard.Guard{Rules: []*explainguard.Rule{explainguard.RowsBudget}, Waivers: ws}).Judge(unknown())
	}
	require.Equal(t, explainguard.Fail, guard().Verdict)
	require.Equal(t, explainguard.Unanalysable, guard(rows).Verdict, "nothing is known about what is left")
	require.Equal(t, explainguard.Fail, guard(dark).Verdict)
	r := guard(rows, dark)
	require.Equal(t, explainguard.Pass, r.Verdict)
	require.Empty(t, r.Reasons)
	require.Equal(t, "it is dark", r.Waived[1].What)
	require.Contains(t, r.String(), "PASS: at least 196,443 rows examined (2 waived)")

	synctest.Test(t, func(t *testing.T) {
		dark := waiver(explainguard.RuleUnanalysable)
		time.Sleep(31 * 24 * time.Hour)
		r := guard(dark)
		require.Contains(t, r.Reasons[0].Note, "; expired")
		require.Contains(t, r.String(), "; expired")
	})

	// What was never judged does not pass because there is nothing to waive, and a misconfigured guard waives nothing.
	g := &explainguard.Guard{Waivers: []explainguard.Waiver{dark}}
	require.Equal(t, explainguard.Unanalysable, g.Judge(nil).Verdict)
	require.Equal(t, explainguard.Unanalysable, g.Judge(&explainguard.Plan{}).Verdict)
	blank := &explainguard.Report{}
	explainguard.Waive(blank, g.Waivers, time.Now())
	require.Equal(t, explainguard.Unanalysable, blank.Verdict)
	g.Waivers[0].Table, g.Waivers[0].Query = "", "x"
	_, err := g.Check(t.Context(), "SELECT x")
	require.Error(t, err, "no database")
	require.Len(t, g.UnusedWaivers(), 1)
}

// To waive twice, as a report grows, changes nothing.
func TestWaiveTwice(t *testing.T) {
	r := (&explainguard.Guard{Rules: twoRules}).Judge(story2(t))
	ws := []explainguard.Waiver{waiver("rows-budget")}
	explainguard.Waive(r, ws, time.Now())
	once := r.String()
	explainguard.Waive(r, ws, time.Now())
	require.Equal(t, once, r.String())
	require.Len(t, r.Waived, 1)
}

func TestWaiverIsConfiguredRightOrFailsAtOnce(t *testing.T) {
	for want, change := range map[string]func(*explainguard.Waiver){
		"it names no Rule": func(w *explainguard.Waiver) { w.Rule = "" },
		`waiver 0 (for rule "rows-bugdet", Table "reservations"): there is no such rule; the names are unfinished, required-filter`: func(w *explainguard.Waiver) { w.Rule = "rows-bugdet" },
		"it would waive the rule everywhere":        func(w *explainguard.Waiver) { w.Table = "" },
		"Table is blank":                            func(w *explainguard.Waiver) { w.Table = " " },
		"Query is blank":                            func(w *explainguard.Waiver) { w.Query = "\n" },
		"CallSite is blank":                         func(w *explainguard.Waiver) { w.CallSite = "\t" },
		"its Query is in nearly every statement":    func(w *explainguard.Waiver) { w.Query = " select " },
		"it gives no Reason":                        func(w *explainguard.Waiver) { w.Reason = " " },
		"it never Expires":                          func(w *explainguard.Waiver) { w.Expires = time.Time{} },
		"more than a year ahead; take a day before": func(w *explainguard.Waiver) { w.Expires = time.Now().AddDate(1, 0, 1) },
	} {
		w := waiver("rows-budget")
		change(&w)
		g := &explainguard.Guard{Waivers: []explainguard.Waiver{w}}
		r := g.Judge(story2(t))
		require.Equal(t, explainguard.Unanalysable, r.Verdict)
		require.Contains(t, r.Reasons[0].What, want)
		require.Len(t, g.UnusedWaivers(), 1)
	}
	almost := waiver("rows-budget")
	almost.Expires = time.Now().AddDate(1, 0, -1)
	past := waiver("rows-budget")
	past.Expires = time.Now().AddDate(-3, 0, 0)
	r := (&explainguard.Guard{Rules: twoRules, Waivers: []explainguard.Waiver{past, almost}}).Judge(story2(t))
	require.Len(t, r.Waived, 1, "an expired waiver is no mistake")
	require.Nil(t, (*explainguard.Guard)(nil).UnusedWaivers())
}

// Tests that run side by side share a guard.
func TestUnusedWaiversSideBySide(t *testing.T) {
	idle := waiver("derived-filter")
	idle.Query = "a statement that is gone"
	g := &explainguard.Guard{Rules: twoRules, Waivers: []explainguard.Waiver{waiver("rows-budget"), idle}}
	require.Len(t, g.UnusedWaivers(), 2)
	var wg sync.WaitGroup
	for range 8 {
		p := story2(t)
		wg.Go(func() {
			g.Judge(p)
			g.UnusedWaivers()
		})
	}
	wg.Wait()
	require.Equal(t, []explainguard.Waiver{idle}, g.UnusedWaivers())
}

type exit int

func (e exit) Run() int { return int(e) }

func TestUnusedWaiversFailTheRun(t *testing.T) {
	idle := &explainguard.Guard{Waivers: []explainguard.Waiver{waiver("rows-budget")}}
	fine := &explainguard.Guard{}
	// As if all tests were asked for, whatever the flags of this run.
	for _, name := range []string{"test.run", "test.skip", "test.short"} {
		f := flag.Lookup(name)
		was := f.Value.String()
		require.NoError(t, f.Value.Set(f.DefValue))
		t.Cleanup(func() { require.NoError(t, f.Value.Set(was)) })
	}
	fake := &fakeT{TB: t}
	idle.AssertWaiversUsed(fake)
	require.Len(t, fake.errors, 1)
	require.Contains(t, fake.errors[0], `1 waiver matched nothing in this run; remove it, or correct what it selects:`)
	require.Contains(t, fake.errors[0], `for rule "rows-budget", Table "reservations": waived until `)
	fine.AssertWaiversUsed(fake)
	require.Len(t, fake.errors, 1)
	require.Equal(t, 1, idle.VerifyWaivers(exit(0)))
	require.Equal(t, 2, idle.VerifyWaivers(exit(2)), "the tests' own failure comes first")
	require.Equal(t, 0, fine.VerifyWaivers(exit(0)))

	require.NoError(t, flag.Set("test.run", "TestOne"))
	require.Equal(t, 0, idle.VerifyWaivers(exit(0)), "a part of the tests leaves waivers unused")
	idle.AssertWaiversUsed(fake)
	require.Len(t, fake.errors, 1)
	require.Contains(t, fake.logs, "only a part of the tests was run")
}

func TestWaiverAgainstARealServer(t *testing.T) {
	g := &explainguard.Guard{DB: shop.open(t, nil), Rules: []*explainguard.Rule{explainguard.RowsBudget}, Waivers: []explainguard.Waiver{{
		Rule: "rows-budget", Query: "count(*) from ITEMS", Reason: "a nightly count", Expires: inDays(7),
	}}}
	g.Assert(t, "SELECT COUNT(*)\n  FROM items")
	r, err := g.Check(t.Context(), "SELECT SUM(qty) FROM items")
	require.NoError(t, err)
	require.Equal(t, explainguard.Fail, r.Verdict)
	require.Equal(t, "[]", fmt.Sprint(g.UnusedWaivers()))

	// The table of a block is one that it reads itself, not one outside.
	for table, want := range map[string]bool{"orders": true, "customers": false} {
		g := &explainguard.Guard{DB: g.DB, Rules: []*explainguard.Rule{explainguard.DerivedFilter}, Waivers: []explainguard.Waiver{{
			Rule: "derived-filter", Table: table, Reason: "known", Expires: inDays(7),
		}}}
		r, err := g.Check(t.Context(), "SELECT c.name, s.n FROM customers c JOIN ("+perCustomer+") s ON s.customer_id = c.id WHERE c.id IN (1, 2, 3)")
		require.NoError(t, err)
		require.Equal(t, want, r.Passed(), table)
	}
}
