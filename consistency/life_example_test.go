package consistency_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/tashikame-go/tashikame/consistency"
)

// findings makes a check out of what it finds in each run.
func findings(name string, runs ...string) consistency.Check {
	return consistency.CheckFunc{
		Meta: consistency.Meta{Name: name, Retry: &consistency.Retry{Attempts: 1}},
		Func: func(context.Context) (consistency.Findings, error) {
			f := consistency.Findings{Examined: 1000}
			for _, key := range runs[0] {
				f.Violations = append(f.Violations, consistency.Violation{Key: string(key)})
			}
			runs = runs[1:]
			return f, nil
		},
	}
}

// headlines is a notifier of your own.
type headlines struct{}

func (headlines) Notify(_ context.Context, e consistency.Event) (consistency.Receipt, error) {
	if e.Kind.Loud() {
		fmt.Printf("%-8s %s\n", e.Kind, e.Headline())
	}
	return "", nil
}

// Digest makes it one that is told how all checks stand, once a day.
func (headlines) Digest(_ context.Context, d consistency.Digest) error {
	fmt.Println("digest  ", d.Headline())
	return nil
}

var silent = slog.New(slog.DiscardHandler)

// A Runner with a Store tells what is new: rows that came, were resolved, or came back.
func ExampleRunner_Run() {
	runner := consistency.Runner{
		Checks:      []consistency.Check{findings("orders-without-payment", "ab", "ab", "b", "", "b")},
		Store:       &consistency.MemoryStore{}, // over restarts: FileStore, SQLStore
		Notifiers:   []consistency.Notifier{headlines{}},
		DigestEvery: 24 * time.Hour,
		Logger:      silent,
	}
	for range 5 {
		if _, err := runner.Run(context.Background()); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// opened   2 (+2): orders-without-payment
	// digest   1 inconsistent, 0 unknown, 0 consistent (1 check)
	// resolved 0 (−1): orders-without-payment
	// opened   1 (+1, 1 reappeared): orders-without-payment
}

// Loop takes the schedules of cron libraries too: all that have Next(time.Time) time.Time.
func ExampleRunner_Loop() {
	ctx, stop := context.WithCancel(context.Background())
	check := consistency.CheckFunc{
		Meta: consistency.Meta{Name: "stock", Schedule: consistency.Every(10 * time.Millisecond)},
		Func: func(context.Context) (consistency.Findings, error) {
			stop() // in a service: signal.NotifyContext
			return consistency.Findings{Examined: 1000}, nil
		},
	}
	runner := consistency.Runner{Checks: []consistency.Check{check}, Logger: silent}
	fmt.Println(runner.Loop(ctx, consistency.Every(time.Hour)))
	// Output: <nil>
}

func ExampleEvery() {
	next := consistency.Every(15 * time.Minute).Next(time.Date(2026, 11, 20, 10, 7, 0, 0, time.UTC))
	fmt.Println(next.Format(time.TimeOnly))
	// Output: 10:15:00
}

// Advance is the lifecycle itself, without clock, store or notifier.
func ExampleAdvance() {
	day := func(n int) time.Time { return time.Date(2026, 11, n, 9, 0, 0, 0, time.UTC) }
	found := func(n int, keys ...string) consistency.Result {
		r := consistency.Result{Check: consistency.Meta{Name: "unpaid"}, Outcome: consistency.Inconsistent, Total: int64(len(keys)), Started: day(n)}
		for _, k := range keys {
			r.Violations = append(r.Violations, consistency.Violation{Key: k})
		}
		return r
	}
	state, event := consistency.Advance(consistency.State{}, found(1, "7", "9"), nil, day(1))
	fmt.Println(event.Kind, event.Headline())
	state, event = consistency.Advance(state, found(5, "9", "12"), nil, day(5))
	fmt.Println(event.Kind, event.Headline())
	for _, row := range event.Rows {
		fmt.Println(row.Key, row.Phase)
	}
	_, event = consistency.Advance(state, consistency.Result{Check: consistency.Meta{Name: "unpaid"}, Reason: "the replica is gone", Started: day(6)}, nil, day(6))
	fmt.Println(event.Kind, event.Headline())
	// Output:
	// opened 2 (+2): unpaid
	// worse 2 (+1 −1, oldest 4d): unpaid
	// 9 continuing
	// 12 new
	// 7 resolved
	// unknown could not tell now, 2 known (oldest 5d): unpaid: the replica is gone
}

// What was known survives the process.
func ExampleFileStore() {
	dir, err := os.MkdirTemp("", "consistency")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	for _, found := range []string{"ab", ""} { // two processes, one after the other
		runner := consistency.Runner{
			Checks: []consistency.Check{findings("unpaid", found)}, Store: consistency.FileStore{Dir: dir}, Notifiers: []consistency.Notifier{headlines{}}, DigestEvery: -1, Logger: silent,
		}
		if _, err := runner.Run(context.Background()); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// opened   2 (+2): unpaid
	// resolved 0 (−2): unpaid
}

// The table is created when it is first needed.
func ExampleSQLStore() {
	db, done := marketplace()
	defer done()

	store := consistency.SQLStore{DB: db}
	state, err := store.Load(context.Background(), "unpaid")
	fmt.Println(state.Version, err)
	state.Reason = "one"
	_, err = store.Save(context.Background(), "unpaid", state)
	fmt.Println(err)
	_, err = store.Save(context.Background(), "unpaid", state) // somebody has saved since it was loaded
	fmt.Println(errors.Is(err, consistency.ErrConflict))
	// Output:
	// 0 <nil>
	// <nil>
	// true
}

// MemoryStore is for tests, and for programs that need no memory over restarts.
func ExampleMemoryStore() {
	var store consistency.MemoryStore
	version, err := store.Save(context.Background(), "unpaid", consistency.State{Reason: "one"})
	fmt.Println(version, err)
	state, err := store.Load(context.Background(), "unpaid")
	fmt.Println(state.Reason, state.Version, err)
	// Output:
	// 1 <nil>
	// one 1 <nil>
}

// Of many processes with the same lock one runs the checks.
func ExampleMySQLLock() {
	db, done := marketplace()
	defer done()

	lock := consistency.MySQLLock{DB: db, Name: "example"}
	held, release, err := lock.Acquire(context.Background())
	fmt.Println(held.Err(), err)

	other := consistency.Runner{Checks: []consistency.Check{findings("unpaid", "")}, Lock: lock, Logger: silent}
	_, err = other.Run(context.Background())
	fmt.Println(errors.Is(err, consistency.ErrLocked))

	release()
	_, err = other.Run(context.Background())
	fmt.Println(err)
	// Output:
	// <nil> <nil>
	// true
	// <nil>
}

func ExampleEvent_Headline() {
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	fmt.Println(consistency.Event{
		Result: consistency.Result{Check: consistency.Meta{Name: "orders-without-payment"}, Outcome: consistency.Inconsistent, Total: 128, AtLeast: true, Started: now},
		Change: consistency.Change{New: 3, Resolved: 7},
		Oldest: now.Add(-100 * time.Hour),
	}.Headline())
	// Output: 128+ (+3 −7, oldest 4d): orders-without-payment
}

func ExampleDigest() {
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	d := consistency.Digest{At: now, Checks: []consistency.Standing{
		{Check: consistency.Meta{Name: "unpaid"}, Outcome: consistency.Inconsistent, Total: 3, Oldest: now.Add(-50 * time.Hour)},
		{Check: consistency.Meta{Name: "stock"}, Outcome: consistency.Consistent, CleanSince: now.AddDate(0, 0, -14)},
	}}
	fmt.Println(d.Headline())
	for _, s := range d.Checks {
		fmt.Println(s.Headline(now))
	}
	// Output:
	// 1 inconsistent, 0 unknown, 1 consistent (2 checks)
	// 3 (oldest 2d): unpaid
	// 0 (clean for 14d): stock
}
