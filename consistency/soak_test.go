package consistency_test

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// soakFor is how long a soak lasts: a few seconds in make test, minutes in make soak (TASHIKAME_SOAK=10m).
func soakFor(t *testing.T) time.Duration {
	d, err := time.ParseDuration(cmp.Or(os.Getenv("TASHIKAME_SOAK"), "5s"))
	require.NoError(t, err, "TASHIKAME_SOAK")
	return d
}

const (
	soakRows    = 10_000
	soakWriters = 4
	soakFaults  = 50
)

// pair is two databases whose table orders should agree.
type pair struct{ left, right *sql.DB }

func newPair(t *testing.T, left, right *sql.DB) pair {
	p := pair{left, right}
	for _, db := range []*sql.DB{left, right} {
		must(t, db, "CREATE TABLE orders (id BIGINT PRIMARY KEY, version INT NOT NULL, note VARCHAR(40) CHARACTER SET utf8mb4 NOT NULL)")
		must(t, db, "INSERT INTO orders WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT a.i * 1000 + b.i, 1, CONCAT('注文', a.i) FROM n a, n b WHERE a.i <= ?", soakRows/1000)
	}
	return p
}

func must(t *testing.T, db *sql.DB, stmt string, args ...any) {
	t.Helper()
	_, err := db.Exec(stmt, args...)
	require.NoError(t, err, stmt)
}

// lives keeps for each key how long it was wrong at most, as measured on this side: a stall of the machine is told from a false conviction by it.
type lives struct {
	mu      sync.Mutex
	longest map[string]time.Duration
	made    int
}

func (l *lives) wrong(id int64, from time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := strconv.FormatInt(id, 10)
	l.longest[key] = max(l.longest[key], time.Since(from))
	l.made++
}

// write makes and heals mismatches until ctx ends: a new row that arrives on one side later, a row that goes later, a version that is raised
// later. Writer w works on rows of its own, so that the pair agrees whenever every writer rests.
func (p pair) write(ctx context.Context, w int, seen *lives) error {
	random := rand.New(rand.NewPCG(7, uint64(w)))
	next := int64(1_000_000_000 * (w + 1))
	for ctx.Err() == nil {
		first, second := p.left, p.right
		if random.IntN(2) == 0 {
			first, second = second, first
		}
		stmt, id := "UPDATE orders SET version = version + 1 WHERE id = ?", (1+random.Int64N(soakRows/1000))*1000+1+random.Int64N(249)*soakWriters+int64(w)
		switch random.IntN(3) {
		case 0:
			next++
			stmt, id = "INSERT INTO orders VALUES (?, 1, '新しい')", next
		case 1:
			if random.IntN(10) == 0 {
				stmt, id = "DELETE FROM orders WHERE id = ?", next
			}
		}
		from := time.Now()
		for i, db := range []*sql.DB{first, second} {
			if _, err := db.ExecContext(context.WithoutCancel(ctx), stmt, id); err != nil {
				return fmt.Errorf("writer %d: %s (%d): %w", w, stmt, id, err)
			}
			if i == 0 {
				time.Sleep(time.Duration(20+random.IntN(40)) * time.Millisecond)
			}
		}
		seen.wrong(id, from)
	}
	return nil
}

// plant makes one real fault, of a kind in turn, in a row that no writer touches, and returns its key.
func (p pair) plant(n int) (string, error) {
	id := int64(n%(soakRows/1000)+1)*1000 + 990 + int64(n/(soakRows/1000))
	stmt, db := "DELETE FROM orders WHERE id = ?", p.left
	switch n % 4 {
	case 1:
		db = p.right
	case 2:
		stmt = "UPDATE orders SET note = CONCAT(note, ' ') WHERE id = ?"
	case 3:
		stmt, db = "UPDATE orders SET version = -1 WHERE id = ?", p.right
	}
	res, err := db.Exec(stmt, id)
	if err == nil {
		var rows int64
		if rows, err = res.RowsAffected(); err == nil && rows != 1 {
			err = fmt.Errorf("fault %d was not planted: %d rows", n, rows)
		}
	}
	return strconv.FormatInt(id, 10), err
}

// Writers make and heal mismatches all the time while real faults are planted one by one: every fault is convicted, and nothing else.
func TestSoakTransientMismatchesAndRealFaults(t *testing.T) {
	for name, mode := range map[string]consistency.DigestMode{"merge": consistency.DigestOff, "digest": consistency.DigestFast, "strong digest": consistency.DigestStrong} {
		t.Run(name, func(t *testing.T) {
			const delay = 250 * time.Millisecond
			p := newPair(t, servers.MySQL(t).DB, servers.MySQL(t).DB)
			check := consistency.Reconcile{
				Meta: consistency.Meta{Name: "orders agree", Retry: &consistency.Retry{Attempts: 3, Delay: delay, MaxDelay: delay}},
				Left: consistency.Table{DB: p.left, Name: "orders"}, Right: consistency.Table{DB: p.right, Name: "orders"},
				Key: []consistency.Column{{Name: "id"}}, Compare: []consistency.Column{{Name: "version"}, {Name: "note"}},
				Digest: mode,
			}
			seen := &lives{longest: map[string]time.Duration{}}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var wg sync.WaitGroup
			failed := make([]error, soakWriters)
			for w := range soakWriters {
				wg.Go(func() { failed[w] = p.write(ctx, w, seen) })
			}
			end := time.Now().Add(soakFor(t))
			pause := soakFor(t) / (soakFaults + 10)
			planted := map[string]bool{}
			var plantErr error
			wg.Go(func() {
				for n := range soakFaults {
					time.Sleep(pause)
					key, err := p.plant(n)
					if plantErr = err; err != nil {
						return
					}
					planted[key] = true
				}
			})
			convicted := map[string]time.Duration{}
			runs, healed := 0, int64(0)
			runner := &consistency.Runner{Checks: []consistency.Check{check}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
			for last := false; !last; {
				last = time.Now().After(end) && (healed > 0 || runs > 20) // one more after the last fault was planted
				if last {
					stop()
					wg.Wait()
				}
				s, err := runner.Run(t.Context())
				require.NoError(t, err)
				r := s.Results[0]
				runs++
				healed += r.Healed.Rows
				require.NoError(t, r.Err, r.Reason)
				for _, v := range r.Violations {
					convicted[v.Key] = r.Duration
				}
				if last {
					require.Equal(t, consistency.Inconsistent, r.Outcome)
					require.NoError(t, plantErr)
					require.Equal(t, soakFaults, len(r.Violations), "the last run sees exactly what was planted")
				}
			}
			for _, err := range failed {
				require.NoError(t, err)
			}
			stalled := 0
			for key := range convicted {
				if planted[key] {
					continue
				}
				stalled++
				require.GreaterOrEqual(t, seen.longest[key], 2*delay, "the row %s was convicted although it was never wrong for that long", key)
			}
			require.Subset(t, slices.Collect(maps.Keys(convicted)), slices.Collect(maps.Keys(planted)))
			require.Positive(t, healed, "the scene is worth nothing unless mismatches are seen and heal")
			t.Logf("%s: %d runs, %d transient mismatches made, %d seen as suspects and healed, %d of %d planted faults found, %d convicted that the machine had stalled beyond %s",
				name, runs, seen.made, healed, len(convicted)-stalled, soakFaults, stalled, 2*delay)
		})
	}
}

// told keeps the events that a runner sends.
type told struct {
	mu     sync.Mutex
	events []consistency.Event
}

func (n *told) Notify(_ context.Context, e consistency.Event) (consistency.Receipt, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, e)
	return "", nil
}

func (n *told) kinds() map[consistency.EventKind]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := map[consistency.EventKind]int{}
	for _, e := range n.events {
		out[e.Kind]++
	}
	return out
}

// A source is killed and started again while the check runs: what is wrong is never told to be resolved, and nothing that is right is convicted.
func TestSoakKilledSourcesResolveNothing(t *testing.T) {
	t.Parallel()
	kills := 3
	if os.Getenv("TASHIKAME_SOAK") != "" {
		kills = 20
	}
	own := servers.OwnMySQL(t)
	p := newPair(t, servers.MySQL(t).DB, own.DB)
	planted := map[string]bool{}
	for n := range 5 {
		key, err := p.plant(n)
		require.NoError(t, err)
		planted[key] = true
	}
	check := func(name string, mode consistency.DigestMode) consistency.Check {
		return consistency.Reconcile{
			Meta: consistency.Meta{Name: name, Timeout: 20 * time.Second, Retry: &consistency.Retry{Attempts: 2, Delay: 50 * time.Millisecond, Errors: 1, ErrorDelay: 50 * time.Millisecond}},
			Left: consistency.Table{DB: p.left, Name: "orders"}, Right: consistency.Table{DB: p.right, Name: "orders"},
			Key: []consistency.Column{{Name: "id"}}, Compare: []consistency.Column{{Name: "version"}, {Name: "note"}}, Digest: mode,
		}
	}
	list := &told{}
	runner := &consistency.Runner{
		Checks: []consistency.Check{
			check("merge", consistency.DigestOff), check("digest", consistency.DigestFast),
			consistency.SQL{
				Meta:  consistency.Meta{Name: "sql", Retry: &consistency.Retry{Attempts: 2, Delay: 50 * time.Millisecond, Errors: 1, ErrorDelay: 50 * time.Millisecond}},
				DB:    p.right,
				Query: "SELECT id FROM orders WHERE version < 0", Key: []string{"id"}, Population: "SELECT COUNT(*) FROM orders",
			},
		},
		Notifiers: []consistency.Notifier{list}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	outcomes := map[consistency.Outcome]int{}
	look := func() {
		s, err := runner.Run(t.Context())
		require.NoError(t, err)
		for _, r := range s.Results {
			outcomes[r.Outcome]++
			require.NotEqual(t, consistency.Consistent, r.Outcome, "%s was told to be consistent with faults in it", r.Check.Name)
			for _, v := range r.Violations {
				require.True(t, planted[v.Key], "%s convicted %s, which nobody planted", r.Check.Name, v.Key)
			}
		}
	}
	look()
	require.Equal(t, 3, outcomes[consistency.Inconsistent])
	random := rand.New(rand.NewPCG(1, 2))
	for range kills {
		killed := make(chan error, 1)
		go func() {
			time.Sleep(time.Duration(random.IntN(120)) * time.Millisecond)
			killed <- own.Kill()
		}()
		look()
		require.NoError(t, <-killed)
		look()
		require.NoError(t, own.Start())
		look()
	}
	require.Zero(t, list.kinds()[consistency.EventResolved], "nothing was repaired, so nothing is resolved")
	require.Equal(t, 3, list.kinds()[consistency.EventOpened], "each incident is opened once")
	require.Positive(t, outcomes[consistency.Unknown], "the scene is worth nothing unless the kills were felt")
	t.Logf("%d kills: %d inconsistent, %d unknown, 0 consistent, 0 resolved", kills, outcomes[consistency.Inconsistent], outcomes[consistency.Unknown])

	for key := range planted {
		must(t, p.left, "REPLACE INTO orders VALUES (?, 1, 'repaired')", key)
		must(t, p.right, "REPLACE INTO orders VALUES (?, 1, 'repaired')", key)
	}
	s, err := runner.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, consistency.Consistent, s.Outcome(), strings.TrimSpace(s.String()))
	require.Equal(t, 3, list.kinds()[consistency.EventResolved], "now it is")
}
