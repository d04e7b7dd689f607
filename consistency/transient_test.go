package consistency

import (
	"context"
	"database/sql"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// transients makes rows wrong for a moment, a fresh row each time, so that at every instant at least one is wrong. It measures for each how long
// that was at most, so that a row which stayed wrong because the machine stalled can be told from a false conviction.
type transients struct {
	db   *sql.DB
	hold time.Duration
	mu   sync.Mutex
	made map[string]time.Time     // before it was made wrong
	life map[string]time.Duration // from then until it was certainly right again
}

func (w *transients) wrong(ctx context.Context, id int) error {
	w.mu.Lock()
	w.made[strconv.Itoa(id)] = time.Now()
	w.mu.Unlock()
	_, err := w.db.ExecContext(ctx, "INSERT INTO bookings VALUES (?, FALSE)", id)
	return err
}

func (w *transients) heal(ctx context.Context, id int) error {
	_, err := w.db.ExecContext(ctx, "UPDATE bookings SET paid = TRUE WHERE id = ?", id)
	w.mu.Lock()
	defer w.mu.Unlock()
	key := strconv.Itoa(id)
	w.life[key] = time.Since(w.made[key])
	return err
}

// start begins to write and returns when the first row is wrong; stop ends it and returns the error that ended it early, if any.
func (w *transients) start(t *testing.T, first int) (stop func() error) {
	w.made, w.life = map[string]time.Time{}, map[string]time.Duration{}
	require.NoError(t, w.wrong(t.Context(), first))
	end, done := make(chan struct{}), make(chan error, 1)
	go func() {
		ctx := context.WithoutCancel(t.Context())
		for id := first; ; id++ {
			time.Sleep(w.hold)
			if err := w.wrong(ctx, id+1); err != nil { // the next one is wrong before this one is right
				done <- err
				return
			}
			if err := w.heal(ctx, id); err != nil {
				done <- err
				return
			}
			select {
			case <-end:
				done <- w.heal(ctx, id+1)
				return
			default:
			}
		}
	}()
	return func() error { close(end); return <-done }
}

// onlyRun hides that SQL can recheck, so that each look is a full one.
type onlyRun struct{ sql SQL }

func (o onlyRun) Describe() Meta                            { return o.sql.Describe() }
func (o onlyRun) Run(ctx context.Context) (Findings, error) { return o.sql.Run(ctx) }

// runs runs the check n times, some at a time, with and without Recheck in turn.
func runs(t *testing.T, n int, check SQL) []Result {
	results := make([]Result, n)
	atATime := make(chan struct{}, 10)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			atATime <- struct{}{}
			defer func() { <-atATime }()
			var c Check = check
			if i%2 == 0 {
				c = onlyRun{check}
			}
			s, err := (&Runner{Checks: []Check{c}, Logger: quiet()}).Run(t.Context())
			if err == nil {
				results[i] = s.Results[0]
			}
		})
	}
	wg.Wait()
	return results
}

// A row that is wrong for less than the delay is never convicted, one that stays wrong always. This holds by construction: two looks are at least
// delay apart, so that a row which was wrong for less cannot be in both. A row that was wrong for longer, as measured, is not judged.
func TestTransientsAreNeverConvictedAndWhatStaysAlways(t *testing.T) {
	server := servers.MySQL(t)
	exec(t, server.DB, "CREATE TABLE bookings (id INT PRIMARY KEY, paid BOOL)")
	server.DB.SetMaxIdleConns(20)
	const delay = 80 * time.Millisecond
	check := SQL{
		Meta:       Meta{Name: "unpaid", Retry: &Retry{Attempts: 3, Delay: delay, MaxDelay: delay}},
		DB:         server.DB,
		Query:      "SELECT id FROM bookings WHERE NOT paid",
		Population: "SELECT COUNT(*) FROM bookings",
		Key:        []string{"id"},
	}
	w := &transients{db: server.DB, hold: 5 * time.Millisecond}

	for _, planted := range []bool{false, true} {
		if planted {
			exec(t, server.DB, "INSERT INTO bookings VALUES (-1, FALSE)")
		}
		first := 1
		if planted {
			first = 1_000_000
		}
		stop := w.start(t, first)
		results := runs(t, 100, check)
		require.NoError(t, stop())

		stalled, suspects, healed := 0, int64(0), int64(0)
		for i, r := range results {
			require.NotEqual(t, Unknown, r.Outcome, "run %d: %s", i, r.Reason)
			suspects += r.Suspects
			healed += r.Healed.Rows
			found := false
			for _, v := range r.Violations {
				if v.Key == "-1" {
					found = true
					continue
				}
				require.GreaterOrEqual(t, w.life[v.Key], delay, "run %d: a row that was wrong for %s was convicted", i, w.life[v.Key])
				stalled++
			}
			require.Equal(t, planted, found, "run %d: the row that stays wrong", i)
			if stalled == 0 {
				require.Equal(t, planted, r.Outcome == Inconsistent)
			}
		}
		// The scene is worth something: every first look saw at least one transient row.
		require.GreaterOrEqual(t, suspects, int64(100))
		require.GreaterOrEqual(t, healed+int64(stalled), int64(100))
		t.Logf("planted %v: 100 runs, %d transient rows made, %d seen as suspects, %d of them healed; %d convicted that stayed wrong beyond %s because the machine stalled",
			planted, len(w.life), suspects, healed, stalled, delay)
	}

	// The same scene does convict them when nothing is confirmed, so that the test above can fail.
	exec(t, server.DB, "DELETE FROM bookings WHERE id = -1")
	check.Retry = &Retry{Attempts: 1}
	stop := w.start(t, 2_000_000)
	results := runs(t, 20, check)
	require.NoError(t, stop())
	for i, r := range results {
		require.Equal(t, Inconsistent, r.Outcome, "run %d looked once and saw a transient row", i)
	}
}
