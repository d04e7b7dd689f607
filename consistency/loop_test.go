package consistency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// timed is a check that notes when it ran.
type timed struct {
	Meta
	took time.Duration
	mu   sync.Mutex
	at   []string
	now  atomic.Int64
	do   func()
}

func (c *timed) Run(ctx context.Context) (Findings, error) {
	c.mu.Lock()
	c.at = append(c.at, time.Now().UTC().Format("15:04:05"))
	c.mu.Unlock()
	if c.now.Add(1) > 1 {
		return Findings{}, errors.New("two at a time")
	}
	defer c.now.Add(-1)
	if c.do != nil {
		c.do()
	}
	select {
	case <-time.After(c.took):
	case <-ctx.Done():
		return Findings{}, ctx.Err()
	}
	return Findings{Examined: 1}, nil
}

func (c *timed) runs() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.at, " ")
}

// loopFor runs a Loop for a while. The clock of synctest begins at midnight.
func loopFor(t *testing.T, r *Runner, s Schedule, d time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	r.Logger = quiet()
	require.NoError(t, r.Loop(ctx, s))
}

func TestLoopFollowsEachSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hourly := &timed{Meta: Meta{Name: "hourly"}, took: time.Second}
		own := &timed{Meta: Meta{Name: "own", Schedule: Every(30 * time.Minute)}, took: time.Second}
		slow := &timed{Meta: Meta{Name: "slow", Schedule: Every(10 * time.Minute), Timeout: time.Hour}, took: 25 * time.Minute}
		panics := &timed{Meta: Meta{Name: "panics"}, do: func() { panic("boom") }}
		odd := &timed{Meta: Meta{Name: "odd", Schedule: scheduleFunc(func(t time.Time) time.Time { panic("odd") })}, took: time.Second}
		never := &timed{Meta: Meta{Name: "never", Schedule: Every(0)}}
		e := &ear{name: "e"}
		time.Sleep(10 * time.Minute)
		r := &Runner{Checks: []Check{hourly, own, slow, panics, odd, never}, Notifiers: []Notifier{e}, Parallel: 10}
		loopFor(t, r, Every(time.Hour), 2*time.Hour)
		require.Equal(t, "01:00:00 02:00:00", hourly.runs())
		require.Equal(t, "00:30:00 01:00:00 01:30:00 02:00:00", own.runs())
		require.Equal(t, "00:20:00 00:50:00 01:20:00 01:50:00", slow.runs(), "what came while it ran is left out; nothing overlaps")
		require.Equal(t, "01:00:00 02:00:00", panics.runs(), "a check that panics is run again at its time")
		require.Greater(t, len(odd.at), 100, "a schedule that panics is asked again")
		require.Empty(t, never.runs())
		heard := strings.Join(e.take(), "\n")
		require.Contains(t, heard, "could not tell: panics: it panicked: boom")
		require.Contains(t, heard, "unknown could not tell: slow: ", "cut off by the end, and told")
		s, err := r.memory().store.Load(t.Context(), "slow")
		require.NoError(t, err)
		require.Equal(t, Unknown, s.Outcome, "and saved")
	})
}

type scheduleFunc func(time.Time) time.Time

func (f scheduleFunc) Next(t time.Time) time.Time { return f(t) }

func TestLoopMakesUpForATimeThatNobodyRan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &MemoryStore{}
		c := &timed{Meta: Meta{Name: "x"}, took: time.Second}
		life := func(d time.Duration) { loopFor(t, &Runner{Checks: []Check{c}, Store: store}, Every(time.Hour), d) }
		life(90 * time.Minute)
		time.Sleep(4 * time.Hour) // nobody runs at 02:00, 03:00, 04:00, 05:00
		life(45 * time.Minute)
		life(10 * time.Minute) // a restart within the hour is no reason to run
		require.Equal(t, "01:00:00 05:30:00 06:00:00", c.runs(), "once for all that was missed")
	})
}

func TestLoopSaysWhatIsWrongWithItsSchedules(t *testing.T) {
	b := &board{}
	r := &Runner{Checks: []Check{b}, Logger: quiet()}
	require.ErrorContains(t, r.Loop(t.Context(), nil), `the check "x" has no Meta.Schedule and Loop was given none`)
	require.ErrorContains(t, r.Loop(t.Context(), Every(0)), "no schedule has a next time")
	require.ErrorContains(t, (&Runner{}).Loop(t.Context(), Every(1)), "Checks is empty")
	synctest.Test(t, func(t *testing.T) {
		once := time.Now().Add(time.Minute)
		err := (&Runner{Checks: []Check{b}, Logger: quiet()}).Loop(t.Context(), scheduleFunc(func(now time.Time) time.Time {
			if now.Before(once) {
				return once
			}
			return time.Time{}
		}))
		require.ErrorContains(t, err, "no schedule has a next time any more")
	})
}

func TestLoopStandsByUntilItHasTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lock := &handLock{}
		c := &timed{Meta: Meta{Name: "x"}, took: time.Second}
		time.AfterFunc(30*time.Minute, func() { lock.free.Store(true) })
		time.AfterFunc(150*time.Minute, func() { (*lock.lose.Load())(ErrLockLost) })
		time.AfterFunc(270*time.Minute-5*time.Second, func() { lock.free.Store(true) })
		loopFor(t, &Runner{Checks: []Check{c}, Lock: lock}, Every(time.Hour), 6*time.Hour)
		require.Equal(t, "01:00:00 02:00:00 04:30:00 05:00:00", c.runs()[:35])
		_, err := (&Runner{Checks: []Check{c}, Lock: &handLock{}, Logger: quiet()}).Run(t.Context())
		require.ErrorIs(t, err, ErrLocked)
	})
}

func TestPerDatabaseLimitsLooks(t *testing.T) {
	one, two := new(sql.DB), new(sql.DB)
	// most runs 12 checks that use these databases in turn and says how many at most were in the first, in the second, and in any at a time.
	most := func(t *testing.T, kinds ...[]*sql.DB) (most [3]int) {
		var mu sync.Mutex // now and most change together, or a late writer of a smaller most would win
		var now [3]int
		enter := func(i int) func() {
			mu.Lock()
			defer mu.Unlock()
			now[i]++
			most[i] = max(most[i], now[i])
			return func() { mu.Lock(); defer mu.Unlock(); now[i]-- }
		}
		r := &Runner{Parallel: 20, PerDatabase: 2, Logger: quiet()}
		for i := range 12 {
			dbs := kinds[i%len(kinds)]
			r.Checks = append(r.Checks, onDatabases{CheckFunc{Meta: Meta{Name: fmt.Sprint(i)}, Func: func(context.Context) (Findings, error) {
				for _, db := range dbs[:min(2, len(dbs))] {
					defer enter(map[*sql.DB]int{one: 0, two: 1}[db])()
				}
				defer enter(2)()
				time.Sleep(time.Second)
				return Findings{Examined: 1}, nil
			}}, dbs})
		}
		s, err := r.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, 12, s.Count(Consistent))
		return most
	}
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, [3]int{2, 2, 4}, most(t, []*sql.DB{one}, []*sql.DB{two}), "different databases do not wait for each other")
		m := most(t, []*sql.DB{one}, []*sql.DB{two}, []*sql.DB{one, two, one, nil}, []*sql.DB{two, one})
		require.Equal(t, []int{2, 2}, m[:2], "a check of two databases takes a place in both, and none waits for ever")
	})
	require.Len(t, databasesOf(SQL{DB: new(sql.DB)}), 1)
	require.Len(t, databasesOf(&SQL{DB: new(sql.DB)}), 1)
	require.Empty(t, databasesOf((*SQL)(nil)))
}

type onDatabases struct {
	CheckFunc
	dbs []*sql.DB
}

func (o onDatabases) Databases() []*sql.DB { return o.dbs }

// reader is a notifier that takes digests.
type reader struct {
	*ear
}

func (r reader) Digest(_ context.Context, d Digest) error {
	if r.fail.Load() {
		return errors.New("down")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	text := d.At.UTC().Format("2 15:04 ") + d.Headline()
	for _, c := range d.Checks {
		text += " | " + c.Headline(d.At)
	}
	r.days = append(r.days, text)
	return nil
}

func (r reader) digests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.days
	r.days = nil
	return d
}

func TestTheDigestComesOnceADayAndNamesEveryCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &brokenStore{Store: &MemoryStore{}}
		bad, unknown, good := &board{meta: Meta{Name: "bad"}, text: "a b"}, &board{meta: Meta{Name: "unknown"}, text: "!no table"}, &board{meta: Meta{Name: "good"}}
		r := reader{&ear{name: "r"}}
		hours := func(n int) []string {
			for range n {
				_, _ = (&Runner{Checks: []Check{good, unknown, bad}, Store: store, Notifiers: []Notifier{r, &ear{name: "deaf"}}, Logger: quiet()}).Run(t.Context())
				time.Sleep(time.Hour)
			}
			return r.digests()
		}
		require.Equal(t, []string{"1 00:00 1 inconsistent, 1 unknown, 1 consistent (3 checks) | 2: bad | could not tell: unknown: no table | 0: good"}, hours(1))
		d := hours(71)
		require.Len(t, d, 2, "once a day, over restarts")
		require.Equal(t, "2 00:00 1 inconsistent, 1 unknown, 1 consistent (3 checks) | 2 (oldest 1d): bad | could not tell: unknown: no table | 0 (clean for 1d): good", d[0])
		r.fail.Store(true)
		require.Empty(t, hours(5))
		r.fail.Store(false)
		require.Len(t, hours(1), 1, "one that failed comes with the next run")
		require.Empty(t, hours(10))
	})
}

func TestTheDigestOfALoopShowsWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := reader{&ear{name: "r"}}
		fine := &timed{Meta: Meta{Name: "fine"}, took: time.Second}
		n := 0
		hangs := &timed{Meta: Meta{Name: "hangs", Timeout: 100 * time.Hour}}
		hangs.do = func() {
			if n++; n > 1 {
				time.Sleep(30 * time.Hour)
			}
		}
		loopFor(t, &Runner{Checks: []Check{fine, hangs}, Notifiers: []Notifier{r}}, Every(time.Hour), 29*time.Hour)
		time.Sleep(30 * time.Hour) // until what was left behind returns
		d := r.digests()
		require.Len(t, d, 2)
		require.Contains(t, d[0], "0 inconsistent, 0 unknown, 2 consistent (2 checks)", "the first one comes when every check has run")
		require.Contains(t, d[1], "0 inconsistent, 1 unknown, 1 consistent (2 checks) | could not tell: hangs: it last ended")
	})
}

// watcher is an Observer that panics after it has seen.
type watcher struct{ seen chan string }

func (w watcher) CheckStarted(m Meta, _ time.Time) { w.seen <- "started " + m.Name; panic("boom") }
func (w watcher) CheckFinished(e Event, s State) {
	w.seen <- fmt.Sprintf("finished %s %d %d", e.Kind, len(s.Rows), s.Version)
	panic("boom")
}

func TestObserversSeeAndCannotHarm(t *testing.T) {
	w := watcher{make(chan string, 10)}
	b := &board{text: "a"}
	_, err := (&Runner{Checks: []Check{b}, Observers: []Observer{w}, Logger: quiet()}).Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"started x", "finished opened 1 1"}, []string{<-w.seen, <-w.seen})
	_, err = (&Runner{Checks: []Check{b}, Observers: []Observer{nil}, PerDatabase: -1}).Run(t.Context())
	require.ErrorContains(t, err, "Observers[0] is nil")
	require.ErrorContains(t, err, "PerDatabase is -1")
}
