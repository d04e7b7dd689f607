package consistencytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tashikame-go/tashikame/consistency"
)

// storeRules are what every Store has to keep. Runner relies on each of them.
var storeRules = []struct {
	name string
	test func(t *testing.T, open func() consistency.Store)
}{
	{"1 what was never saved is a zero State with its name", neverSaved},
	{"2 what was saved comes back whole, also by another handle", savedComesBack},
	{"3 a stale version is a conflict and changes nothing", staleIsAConflict},
	{"4 of two first saves one is a conflict", firstSaveOnce},
	{"5 names that look alike are apart", namesAreApart},
	{"6 no update of concurrent writers is lost", noLostUpdate},
	{"7 a thousand rows with big values", bigState},
	{"8 an ended context is an error and changes nothing", endedContext},
	{"9 what the caller changes afterwards does not reach the store", noSharedMemory},
}

// Store proves that a Store keeps the numbered rules, each in a subtest. new makes an empty place to store in for one rule, and returns how to open it: each call of
// open is another handle on that same place, as another process would have.
func Store(t *testing.T, newPlace func(t *testing.T) (open func() consistency.Store)) {
	t.Helper()
	for _, rule := range storeRules {
		t.Run(rule.name, func(t *testing.T) { rule.test(t, newPlace(t)) })
	}
}

// hostile is text that a store may stumble over.
const hostile = "日本語 🙈 \u00e9 e\u0301 'quote\" \\back `tick` %s ? \x00 \n <b>&amp; *** \u202e"

func example(check string) consistency.State {
	at := time.Date(2026, 2, 28, 23, 59, 59, 123456789, time.UTC)
	row := consistency.TrackedRow{
		Violation: consistency.Violation{Key: hostile, Identity: "#1", Row: consistency.Row{
			{Name: "z", Value: hostile}, {Name: "a", Value: nil}, {Name: "n", Value: int64(-7)}, {Name: "big", Value: "18446744073709551615"}, {Name: "f", Value: 0.1},
			{Name: "doc", Value: json.RawMessage(`{"b":[1.10,"é"]}`)}, {Name: "yes", Value: true},
		}},
		Phase: consistency.RowReappeared, FirstSeen: at, LastSeen: at.Add(time.Nanosecond), ResolvedAt: at.Add(-time.Hour), Appearances: 2, MutedBy: "ann",
	}
	return consistency.State{
		Check: check, Outcome: consistency.Inconsistent, Since: at, LastRun: at, Reason: hostile, Total: 1, AtLeast: true, CleanSince: at, Rows: []consistency.TrackedRow{row},
		Gone:     []consistency.TrackedRow{{Violation: consistency.Violation{Key: "gone"}, Phase: consistency.RowResolved}},
		Incident: &consistency.Incident{ID: "abc", Opened: at, AckedBy: "eve", AckedUntil: at, Peak: 5, Acks: []consistency.Ack{{Kind: consistency.AckSeen, By: "eve", At: at, Until: at}}},
		Closed:   &consistency.Incident{ID: "old"}, Columns: []string{"z", "a"}, History: []consistency.Point{{At: at, Outcome: consistency.Unknown, Duration: time.Second}, {}},
		Deliveries: map[string]consistency.Delivery{hostile: {Receipt: "C1/17.5", Incident: "abc", Told: at, Reminded: at,
			Pending: &consistency.Change{New: 1, Opened: true, OutcomeChanged: true, From: consistency.Consistent, ColumnsAdded: []string{"z"}}}, "quiet": {}},
		Salt: []byte{0, 1, 255},
	}
}

// text is the state as it can be compared; the version is the store's own.
func text(t *testing.T, s consistency.State) string {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func save(t *testing.T, store consistency.Store, check string, s consistency.State) int64 {
	t.Helper()
	version, err := store.Save(t.Context(), check, s)
	if err != nil {
		t.Fatalf("save: %v", err)
	}
	return version
}

func load(t *testing.T, store consistency.Store, check string) consistency.State {
	t.Helper()
	s, err := store.Load(t.Context(), check)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return s
}

func mustHold(t *testing.T, store consistency.Store, check string, want consistency.State, version int64) {
	t.Helper()
	got := load(t, store, check)
	if got.Version != version {
		t.Errorf("version is %d, want %d", got.Version, version)
	}
	if a, b := text(t, got), text(t, want); a != b {
		t.Errorf("another state came back:\n got %.2000s\nwant %.2000s", a, b)
	}
}

func neverSaved(t *testing.T, open func() consistency.Store) {
	mustHold(t, open(), "x", consistency.State{Check: "x"}, 0)
	mustHold(t, open(), "x", consistency.State{Check: "x"}, 0) // looking does not make it
}

func savedComesBack(t *testing.T, open func() consistency.Store) {
	one := open()
	s := example("x")
	version := save(t, one, "x", s)
	if version <= 0 {
		t.Errorf("the version of a saved state is %d, want more than 0", version)
	}
	mustHold(t, one, "x", s, version)
	mustHold(t, open(), "x", s, version)
	again := load(t, open(), "x")
	again.Reason, again.Rows = "other", nil
	next := save(t, one, "x", again)
	if next <= version {
		t.Errorf("the version went from %d to %d", version, next)
	}
	mustHold(t, open(), "x", again, next)
}

func staleIsAConflict(t *testing.T, open func() consistency.Store) {
	store := open()
	s := example("x")
	first := save(t, store, "x", s)
	s.Version = first
	second := save(t, store, "x", s)
	for _, version := range []int64{0, first, second + 1, second + 1000} {
		stale := consistency.State{Check: "x", Reason: "stale", Version: version}
		if _, err := open().Save(t.Context(), "x", stale); !errors.Is(err, consistency.ErrConflict) {
			t.Errorf("saved over version %d with version %d: the error is %v, want ErrConflict", second, version, err)
		}
	}
	if _, err := store.Save(t.Context(), "new", consistency.State{Version: 3}); !errors.Is(err, consistency.ErrConflict) {
		t.Errorf("saved version 3 of what was never saved: the error is %v, want ErrConflict", err)
	}
	mustHold(t, store, "new", consistency.State{Check: "new"}, 0)
	mustHold(t, store, "x", s, second)
}

func firstSaveOnce(t *testing.T, open func() consistency.Store) {
	const writers = 8
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		store := open()
		wg.Go(func() {
			_, errs[i] = store.Save(t.Context(), "x", consistency.State{Check: "x", Reason: fmt.Sprint(i)})
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("both %d and %d saved the first version", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, consistency.ErrConflict):
			t.Errorf("writer %d: %v, want ErrConflict", i, err)
		}
	}
	if winner < 0 {
		t.Fatal("nobody could save")
	}
	if got := load(t, open(), "x").Reason; got != fmt.Sprint(winner) {
		t.Errorf("writer %d saved but the store holds that of %s", winner, got)
	}
}

func namesAreApart(t *testing.T, open func() consistency.Store) {
	long := strings.Repeat("長い名前", 300)
	names := []string{"x", "X", "x.", "x-", "\u00e9", "e\u0301", "../x", "x/y", "x\\y", "C:x", ".", "..", "-", "x.json", "x.json.tmp", "*", "?", "a b", "'; DROP TABLE x; --", "`x`", "🙈", "🙉", "入金のない注文",
		"ß", "ss", "ı", "i", "ａ", "a", long + "1", long + "2", "con", "nul", "\x01digest"}
	store := open()
	for _, name := range names {
		s := example(name)
		s.Reason = name
		save(t, store, name, s)
	}
	other := open()
	for _, name := range names {
		s := example(name)
		s.Reason = name
		mustHold(t, other, name, s, load(t, store, name).Version)
	}
}

func noLostUpdate(t *testing.T, open func() consistency.Store) {
	const writers, each = 4, 10
	conflicts := make([]int, writers)
	var wg sync.WaitGroup
	for i := range writers {
		store := open()
		wg.Go(func() {
			for done := 0; done < each; {
				s, err := store.Load(t.Context(), "x")
				if err != nil {
					t.Errorf("load: %v", err)
					return
				}
				s.Total++
				s.Columns = append(s.Columns, fmt.Sprintf("%d-%d", i, done))
				switch _, err := store.Save(t.Context(), "x", s); {
				case err == nil:
					done++
				case errors.Is(err, consistency.ErrConflict):
					conflicts[i]++
				default:
					t.Errorf("save: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if s := load(t, open(), "x"); s.Total != writers*each || len(s.Columns) != writers*each {
		t.Errorf("%d writers saved %d times each, but the store counted %d and holds %d (conflicts: %v)", writers, each, s.Total, len(s.Columns), conflicts)
	}
}

func bigState(t *testing.T, open func() consistency.Store) {
	s := consistency.State{Check: "big"}
	for i := range 1000 {
		value := strings.Repeat(fmt.Sprintf("値%d ", i), 1000)
		s.Rows = append(s.Rows, consistency.TrackedRow{Violation: consistency.Violation{Key: fmt.Sprint(i), Row: consistency.Row{{Name: "v", Value: value}}}, Phase: consistency.RowNew})
	}
	version := save(t, open(), "big", s)
	mustHold(t, open(), "big", s, version)
}

func endedContext(t *testing.T, open func() consistency.Store) {
	store := open()
	s := example("x")
	version := save(t, store, "x", s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Load(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("load with an ended context: the error is %v, want context.Canceled", err)
	}
	if _, err := store.Save(ctx, "x", consistency.State{Version: version}); !errors.Is(err, context.Canceled) {
		t.Errorf("save with an ended context: the error is %v, want context.Canceled", err)
	}
	mustHold(t, store, "x", s, version)
}

func noSharedMemory(t *testing.T, open func() consistency.Store) {
	store := open()
	s := example("x")
	version := save(t, store, "x", s)
	s.Rows[0].Key, s.Incident.ID, s.Deliveries["quiet"] = "changed", "changed", consistency.Delivery{Receipt: "changed"}
	got := load(t, store, "x")
	got.Rows[0].Key, got.Incident.ID, got.Deliveries["quiet"] = "changed", "changed", consistency.Delivery{Receipt: "changed"}
	mustHold(t, store, "x", example("x"), version)
}
