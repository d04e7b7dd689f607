package metrics

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tashikame-go/tashikame/consistency"
)

var update = flag.Bool("update", false, "write the golden file anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func named(name string) consistency.Check {
	return consistency.CheckFunc{Meta: consistency.Meta{Name: name, Owner: "payments", Severity: consistency.SeverityCritical}}
}

// finish reports a run of the check that began d ago.
func finish(c *Collector, name string, d time.Duration, o consistency.Outcome, s consistency.State, change func(*consistency.Event)) {
	now := time.Now()
	r := consistency.Result{Check: named(name).Describe(), Outcome: o, Started: now.Add(-d), Duration: d}
	e := consistency.Event{Result: r}
	if change != nil {
		change(&e)
	}
	s.Check, s.Outcome, s.LastRun = name, o, now
	c.CheckFinished(e, s)
}

func TestWhatPrometheusSees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Collector{Checks: []consistency.Check{named("注文/paid \"twice\"\n"), named("never-ran"), named("could-not-tell"), named("hung"), nil}}
		for _, name := range []string{"注文/paid \"twice\"\n", "could-not-tell", "hung"} {
			c.CheckStarted(named(name).Describe(), time.Now())
		}
		time.Sleep(42 * time.Second)
		row := consistency.TrackedRow{FirstSeen: time.Now().Add(-time.Hour)}
		finish(c, "注文/paid \"twice\"\n", 42*time.Second, consistency.Inconsistent, consistency.State{Total: 128, AtLeast: true, Rows: []consistency.TrackedRow{row},
			Deliveries: map[string]consistency.Delivery{"slack": {Pending: &consistency.Change{}}, "log": {}}}, func(e *consistency.Event) {
			e.Healed, e.Changing, e.Muted = consistency.Healed{Rows: 3, Longest: 1500 * time.Millisecond}, 2, 1
		})
		// The latest run that could tell was in another process.
		finish(c, "could-not-tell", 2*time.Hour, consistency.Unknown, consistency.State{Total: 0, History: []consistency.Point{
			{At: time.Now().Add(-2 * time.Hour), Outcome: consistency.Consistent}, {At: time.Now(), Outcome: consistency.Unknown}}}, nil)
		time.Sleep(time.Minute)

		problems, err := testutil.CollectAndLint(c)
		require.NoError(t, err)
		require.Empty(t, problems)
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(c)
		families, err := registry.Gather()
		require.NoError(t, err)
		var got bytes.Buffer
		for _, f := range families {
			_, err := expfmt.MetricFamilyToText(&got, f)
			require.NoError(t, err)
		}
		const golden = "testdata/metrics.txt"
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), got.String())
	})
}

func TestAHungRunStaysInFlightWhateverElseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Collector{}
		m := named("x").Describe()
		hung := time.Now()
		c.CheckStarted(m, hung)
		for range 3 {
			time.Sleep(time.Minute)
			c.CheckStarted(m, time.Now())
			time.Sleep(time.Second)
			finish(c, "x", time.Second, consistency.Consistent, consistency.State{}, nil)
		}
		want := fmt.Sprintf("# HELP consistency_check_in_flight_since_timestamp_seconds Begin of the longest run in flight; 0 if there is none.\n"+
			"# TYPE consistency_check_in_flight_since_timestamp_seconds gauge\n"+
			"consistency_check_in_flight_since_timestamp_seconds{check=\"x\",owner=\"payments\",severity=\"critical\"} %d\n", hung.Unix())
		require.NoError(t, testutil.CollectAndCompare(c, strings.NewReader(want), "consistency_check_in_flight_since_timestamp_seconds"))
	})
}

func TestInvalidTextDoesNotPanic(t *testing.T) {
	c := &Collector{Checks: []consistency.Check{named("\xff")}}
	require.Positive(t, testutil.CollectAndCount(c))
}

func TestConcurrentUse(t *testing.T) {
	c := &Collector{Checks: []consistency.Check{named("a"), named("b")}}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				name := fmt.Sprint(i % 3)
				c.CheckStarted(named(name).Describe(), time.Now())
				finish(c, name, 0, consistency.Consistent, consistency.State{}, nil)
				testutil.CollectAndCount(c)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 5, testutil.CollectAndCount(c, "consistency_check_in_flight"))
}
