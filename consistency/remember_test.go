package consistency

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// board is what a check finds, changed by the test: "a b", "!error".
type board struct {
	mu   sync.Mutex
	text string
	meta Meta
}

func (b *board) set(text string) { b.mu.Lock(); b.text = text; b.mu.Unlock() }
func (b *board) Describe() Meta {
	m := b.meta
	m.Retry = &Retry{Attempts: 1}
	if m.Name == "" {
		m.Name = "x"
	}
	return m
}
func (b *board) Run(context.Context) (Findings, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if text, bad := strings.CutPrefix(b.text, "!"); bad {
		return Findings{}, Permanent(errors.New(text))
	}
	return Findings{Violations: violations(b.text), Examined: 100}, nil
}

// ear is a notifier that writes down what it hears, and fails when told to.
type ear struct {
	name  string
	fail  atomic.Bool
	mu    sync.Mutex
	heard []string
	count int
	acks  []Ack
	days  []string
}

func (e *ear) Name() string { return e.name }
func (e *ear) Notify(_ context.Context, ev Event) (Receipt, error) {
	if e.fail.Load() {
		return "", errors.New("down")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, fmt.Sprintf("%s %s <%s>", ev.Kind, ev.Headline(), ev.Previous))
	e.count++
	return Receipt(fmt.Sprint("r", e.count)), nil
}
func (e *ear) Acks(context.Context, Receipt) ([]Ack, error) { return e.acks, nil }
func (e *ear) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	h := e.heard
	e.heard = nil
	return h
}
func (e *ear) loud() []string {
	var out []string
	for _, h := range e.take() {
		if !strings.HasPrefix(h, "quiet") {
			out = append(out, h)
		}
	}
	return out
}

func TestEachNotifierHearsWhatIsNewToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{}
		steady, flaky := &ear{name: "steady"}, &ear{name: "flaky"}
		store := &MemoryStore{}
		run := func(found string, flakyDown bool) {
			b.set(found)
			flaky.fail.Store(flakyDown)
			// A new Runner each time, as after a restart.
			_, err := (&Runner{Checks: []Check{b}, Store: store, Notifiers: []Notifier{steady, flaky}, Logger: quiet()}).Run(t.Context())
			require.Equal(t, flakyDown, err != nil, "%v", err)
			time.Sleep(time.Hour)
		}
		run("", false)
		run("a b", true)
		require.Equal(t, []string{"quiet 0: x <>", "opened 2 (+2): x <>"}, steady.take())
		require.Equal(t, []string{"quiet 0: x <>"}, flaky.take())
		run("a b c", false)
		require.Equal(t, []string{"worse 3 (+1, oldest 1h): x <r2>"}, steady.take())
		require.Equal(t, []string{"opened 3 (+3, oldest 1h): x <>"}, flaky.take(), "what was lost is made up for")
		run("", true)
		run("", false)
		require.Equal(t, []string{"resolved 0 (−3): x <r3>", "quiet 0 (clean for 1h): x <>"}, steady.take())
		require.Equal(t, []string{"resolved 0 (−3, clean for 1h): x <r2>"}, flaky.take())
		run("", false)
		require.Equal(t, []string{"quiet 0 (clean for 2h): x <>"}, flaky.take(), "no second resolved")
		run("!no", true)
		run("", false)
		require.Equal(t, []string{"quiet 0: x <>"}, flaky.take(), "an unknown that it never heard of needs no recovery")
		require.Equal(t, []string{"quiet 0 (clean for 2h): x <>", "unknown could not tell: x: no <>", "recovered 0: x <r7>"}, steady.take())
		run("a", true)
		run("", true)
		run("", false)
		require.Equal(t, []string{"resolved 0 (+1 −1, 1 reappeared, clean for 1h): x <>"}, flaky.take(), "even a whole incident")
	})
}

func TestRemindersAcksAndMutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{}
		e := &ear{name: "e"}
		r := &Runner{Checks: []Check{b}, Store: &MemoryStore{}, Notifiers: []Notifier{e}, Logger: quiet()}
		days := func(n int) []string {
			for range n * 24 {
				_, err := r.Run(t.Context())
				require.NoError(t, err)
				time.Sleep(time.Hour)
			}
			return e.loud()
		}
		b.set("a b")
		require.Equal(t, []string{"opened 2 (+2): x <>"}, days(1))
		require.Len(t, days(5), 5, "one reminder a day, until it is resolved")
		e.acks = []Ack{{Kind: AckSeen, By: "ann"}}
		require.Empty(t, days(1), "somebody is on it until tomorrow")
		require.Len(t, days(2), 2, "the same answer does not count again")
		e.acks = []Ack{{Kind: AckMute, By: "bob"}}
		require.Empty(t, days(3), "all rows are muted")
		b.set("a b c")
		heard := days(1)
		require.Len(t, heard, 1)
		require.Contains(t, heard[0], "worse 3 (+1", "a new row is told all the same")
		require.Len(t, days(1), 1, "and reminded of")
		b.set("a b")
		require.Empty(t, days(2))
		b.set("!down")
		require.Len(t, days(3), 3, "unknown is as loud")
		b.set("")
		heard = days(3)
		require.Len(t, heard, 1)
		require.Contains(t, heard[0], "resolved 0 (−2")
	})
}

// brokenStore fails when told to.
type brokenStore struct {
	Store
	load, save atomic.Bool
}

var errStoreDown = errors.New("store down")

func (b *brokenStore) Load(ctx context.Context, check string) (State, error) {
	if b.load.Load() {
		return State{}, errStoreDown
	}
	return b.Store.Load(ctx, check)
}

func (b *brokenStore) Save(ctx context.Context, check string, s State) (int64, error) {
	if b.save.Load() {
		return 0, errStoreDown
	}
	return b.Store.Save(ctx, check, s)
}

func TestWhenTheStoreFailsNothingIsResolvedAndPeopleAreTold(t *testing.T) {
	for _, which := range []string{"load", "save"} {
		t.Run(which, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, e, store := &board{}, &ear{name: "e"}, &brokenStore{Store: &MemoryStore{}}
				broken := &store.load
				if which == "save" {
					broken = &store.save
				}
				r := &Runner{Checks: []Check{b}, Store: store, Notifiers: []Notifier{e}, Logger: quiet()}
				run := func(found string) (Summary, error) {
					b.set(found)
					time.Sleep(time.Hour)
					return r.Run(t.Context())
				}
				_, err := run("a b")
				require.NoError(t, err)
				e.take()
				broken.Store(true)
				s, err := run("")
				require.ErrorIs(t, err, errStoreDown)
				require.Equal(t, Unknown, s.Outcome(), "nothing was found, but nobody can say what is resolved")
				heard := e.take()
				require.Len(t, heard, 1)
				require.True(t, strings.HasPrefix(heard[0], "unknown could not tell now, 2 known"), heard[0])
				require.Contains(t, heard[0], "the looks found nothing wrong, but the store failed")
				require.Contains(t, heard[0], "store down <r1>", "the conversation goes on")
				s, _ = run("a")
				require.Equal(t, Inconsistent, s.Outcome(), "what is wrong is wrong")
				require.True(t, strings.HasPrefix(e.take()[0], "quiet 2"), "told once a period")
				broken.Store(false)
				_, err = run("b c")
				require.NoError(t, err)
				require.Equal(t, []string{"worse 2 (+1 −1, oldest 3h): x <r1>"}, e.take(), "the state is as it was before the store failed")
			})
		})
	}
}

func TestTwoRunnersOnOneStoreLoseNothing(t *testing.T) {
	store := &MemoryStore{}
	b := &board{}
	b.set("a b")
	ears := []*ear{{name: "one"}, {name: "one"}, {name: "one"}}
	var wg sync.WaitGroup
	for _, e := range ears {
		wg.Go(func() {
			r := &Runner{Checks: []Check{b}, Store: store, Notifiers: []Notifier{e}, Logger: quiet()}
			for range 20 {
				_, err := r.Run(t.Context())
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s, err := store.Load(t.Context(), "x")
	require.NoError(t, err)
	require.Len(t, s.Rows, 2)
	require.Len(t, s.History, 60, "every run is remembered")
	require.Equal(t, s.Incident.ID, s.Deliveries["one"].Incident)
}

func TestMaskedRowsAreToldApartAndNowhereToBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var log bytes.Buffer
		var asked []string
		wrong, capped := "ann@x.jp bob@x.jp", false
		check := func(mask ...string) Check {
			row := func(keys string) []Violation {
				vs := violations(keys)
				for i := range vs {
					vs[i].Row = Row{{"email", vs[i].Key}, {"n", 1}}
				}
				return vs
			}
			return rechecker{CheckFunc{Meta: Meta{Name: "x", Mask: mask, Retry: &Retry{Attempts: 1}}, Func: func(context.Context) (Findings, error) {
				f := Findings{Violations: row(wrong), Examined: 9}
				if capped {
					f.Total = 50
				}
				return f, nil
			}}, func(_ context.Context, vs []Violation) ([]Violation, error) {
				asked = append(asked, keysOf(vs))
				return nil, nil
			}}
		}
		e := &ear{name: "e"}
		newRunner := func(c Check) *Runner {
			return &Runner{Checks: []Check{c}, Store: FileStore{Dir: dir}, Notifiers: []Notifier{e, JSONNotifier{Writer: &log}}, Secret: []byte("s"), Logger: slog.New(slog.NewTextHandler(&log, nil))}
		}
		run := func(r *Runner) State {
			_, err := r.Run(t.Context())
			require.NoError(t, err)
			time.Sleep(time.Hour)
			s, err := r.Store.Load(t.Context(), "x")
			require.NoError(t, err)
			return s
		}
		// First nobody thought of masking; then they do, and the rows are still the same rows.
		run(newRunner(check()))
		log.Reset()
		r := newRunner(check("email"))
		s := run(r)
		require.Len(t, s.Rows, 2)
		require.Equal(t, []string{"***", "***"}, []string{s.Rows[0].Key, s.Rows[1].Key})
		require.NotEqual(t, s.Rows[0].ID(), s.Rows[1].ID())
		require.Equal(t, []string{"opened 2 (+2): x <>", "quiet 2 (oldest 1h): x <r1>"}, e.take())
		// Past a cap the row that is not shown is asked about by its real key, which only the process knows.
		wrong, capped = "cat@x.jp", true
		s = run(r)
		require.Len(t, asked, 1)
		require.ElementsMatch(t, []string{"ann@x.jp", "bob@x.jp"}, strings.Fields(asked[0]))
		require.Len(t, s.Rows, 1)
		require.Equal(t, []string{"worse 1+ (+1 −2): x <r2>"}, e.take())
		// After a restart nobody knows it: the row continues until a complete look.
		wrong = "dan@x.jp"
		r = newRunner(check("email"))
		s = run(r)
		require.Len(t, asked, 1)
		require.Len(t, s.Rows, 2)
		capped = false
		s = run(r)
		require.Len(t, s.Rows, 1)
		wrong = "cat@x.jp"
		s = run(r)
		require.Equal(t, RowReappeared, s.Rows[0].Phase)

		files, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		for _, f := range files {
			text, err := os.ReadFile(f)
			require.NoError(t, err)
			require.NotContains(t, string(text), "@x.jp")
		}
		require.NotContains(t, log.String(), "@x.jp")
	})
}

// TestSIGKILLOfTheRunnerLosesNothing kills a process that runs a check and tells, at random moments, while rows come and go.
func TestSIGKILLOfTheRunnerLosesNothing(t *testing.T) {
	if dir := os.Getenv("CONSISTENCY_TEST_RUN_IN"); dir != "" {
		runForEver(dir)
	}
	dir := t.TempDir()
	put := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "new"), []byte(text), 0o600))
		require.NoError(t, os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "wrong")))
	}
	heard := func() []map[string]any {
		var all []map[string]any
		text, _ := os.ReadFile(filepath.Join(dir, "heard"))
		for line := range strings.Lines(string(text)) {
			var e map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &e))
			all = append(all, e)
		}
		return all
	}
	steps := []string{"a", "a b", "b", "", "c", "", "a c", "a c d", ""}
	kills := 0
	for i := range 27 {
		want := steps[i%len(steps)]
		put(want)
		for try := 0; ; try++ {
			before := len(heard())
			cmd := osexec.Command(os.Args[0], "-test.run=^TestSIGKILLOfTheRunnerLosesNothing$")
			cmd.Env = append(os.Environ(), "CONSISTENCY_TEST_RUN_IN="+dir)
			require.NoError(t, cmd.Start())
			if try == 0 { // some moment of its first runs
				require.Eventually(t, func() bool { return len(heard()) > before || i%3 == 0 }, time.Minute, time.Millisecond)
				time.Sleep(time.Duration(i*i%23) * time.Millisecond)
			} else { // let it come to rest
				require.Eventually(t, func() bool { return len(heard()) > before+3 }, time.Minute, time.Millisecond)
			}
			require.NoError(t, cmd.Process.Kill())
			_ = cmd.Wait()
			kills++
			if try > 0 {
				break
			}
		}
		s, err := FileStore{Dir: dir}.Load(t.Context(), "x")
		require.NoError(t, err)
		var keys []Violation
		for _, row := range s.Rows {
			keys = append(keys, row.Violation)
		}
		require.ElementsMatch(t, strings.Fields(want), strings.Fields(keysOf(keys)))
	}
	open, told := false, map[string]bool{}
	opened, resolved := 0, 0
	for n, e := range heard() {
		id, _ := e["incident"].(string)
		switch e["event"] {
		case "opened":
			opened++
			// Telling twice is allowed where the process died before it could note that it told; then it is the same incident.
			require.True(t, !open || told[id], "event %d", n)
			open, told[id] = true, true
		case "resolved":
			resolved++
			open = false
		}
		if e["event"] == "quiet" {
			require.Equal(t, open, e["total"].(float64) > 0, "event %d: quiet although it is not as it was told before: %v", n, e)
		}
	}
	require.False(t, open)
	require.GreaterOrEqual(t, len(told), 9, "each incident was told")
	t.Logf("%d kills, %d incidents, %d times opened, %d times resolved", kills, len(told), opened, resolved)
}

func runForEver(dir string) {
	out, err := os.OpenFile(filepath.Join(dir, "heard"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		os.Exit(1)
	}
	check := CheckFunc{Meta: Meta{Name: "x", Retry: &Retry{Attempts: 1}}, Func: func(context.Context) (Findings, error) {
		text, err := os.ReadFile(filepath.Join(dir, "wrong"))
		return Findings{Violations: violations(string(text)), Examined: 9}, err
	}}
	for {
		_, _ = (&Runner{Checks: []Check{check}, Store: FileStore{Dir: dir}, Notifiers: []Notifier{JSONNotifier{Writer: out}}, Logger: quiet()}).Run(context.Background())
	}
}
