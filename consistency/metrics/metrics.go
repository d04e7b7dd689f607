// Package metrics shows Prometheus what a consistency.Runner does.
//
// A Collector is both the consistency.Observer of a Runner and a prometheus.Collector. Its metrics have the labels check, owner and severity, so that
// their number depends on the number of checks and never on the data:
//
//	consistency_check_outcome                            1 for the outcome that holds, 0 for the others; label outcome: unknown, consistent, inconsistent
//	consistency_check_violations                         convicted rows; NaN until a run could tell
//	consistency_check_violations_at_least                1 if there may be more violations than counted
//	consistency_check_oldest_violation_age_seconds       age of the oldest violation, now; 0: there is none; NaN until a run could tell
//	consistency_check_clean_since_timestamp_seconds      since when every run was consistent; 0: the latest was not
//	consistency_check_changing_rows                      rows that were wrong in every look of the latest run, with other content each time
//	consistency_check_muted_rows                         violations that somebody muted
//	consistency_check_healed_rows_total                  suspects that turned out to be all right
//	consistency_check_healing_longest_seconds            how long the slowest of them took in the latest run that healed any
//	consistency_check_runs_total                         runs, by outcome
//	consistency_check_duration_seconds                   histogram of how long runs took, waiting between looks included
//	consistency_check_last_run_timestamp_seconds         end of the latest run; 0: none yet
//	consistency_check_last_success_timestamp_seconds     end of the latest run that could tell, be it good or bad; 0: none yet
//	consistency_check_in_flight                          runs that have begun and not ended
//	consistency_check_in_flight_since_timestamp_seconds  begin of the longest of them; 0: there is none
//	consistency_check_pending_deliveries                 notifiers that could not yet be told the latest
//
// # What is not known is never 0 violations
//
// A check that has not run yet is there from the start: its outcome is unknown, its violations are NaN, for which neither "== 0" nor "> 0" holds, and its
// latest run was at 0, so that an alert on old runs fires instead of staying silent. When a later run cannot tell, violations and their age stay as they were last
// known, and the outcome says that they are not current. Alerts that miss nothing:
//
//	consistency_check_outcome{outcome="consistent"} == 0
//	time() - consistency_check_last_success_timestamp_seconds > 2 * 3600
//	consistency_check_in_flight > 0 and time() - consistency_check_in_flight_since_timestamp_seconds > 1800
package metrics

import (
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/internal/flight"
)

// DefaultBuckets are the upper bounds of the duration histogram in seconds, when Collector.Buckets is empty: a check that retries takes minutes.
var DefaultBuckets = []float64{0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600}

// Collector counts what a Runner does. Register it once, and give it to the Runner as an observer. The zero value is ready; its methods may be called concurrently
// as long as its fields are not changed.
type Collector struct {
	// Checks are the checks that are to be seen from the start, before their first run: those of the Runner.
	Checks []consistency.Check
	// Buckets are the upper bounds of the duration histogram in seconds, rising. Empty: DefaultBuckets.
	Buckets []float64

	flights flight.Flights
	mu      sync.Mutex
	checks  map[string]*check
}

// check is what is known of one check.
type check struct {
	meta       consistency.Meta
	state      consistency.State
	told       time.Time // the latest run that could tell
	changing   int64
	muted      int
	healed     int64
	healing    time.Duration
	runs       map[consistency.Outcome]uint64
	count      uint64
	seconds    float64
	cumulative map[float64]uint64
}

var (
	_ consistency.Observer = (*Collector)(nil)
	_ prometheus.Collector = (*Collector)(nil)

	labels       = []string{"check", "owner", "severity"}
	outcomes     = []consistency.Outcome{consistency.Unknown, consistency.Consistent, consistency.Inconsistent}
	descriptions []*prometheus.Desc

	outcome    = describe("outcome", "1 for the outcome of the latest run, 0 for the others.", "outcome")
	violations = describe("violations", "Convicted rows as of the latest run that could tell; NaN if none has yet.")
	atLeast    = describe("violations_at_least", "1 if there may be more violations than are counted.")
	oldest     = describe("oldest_violation_age_seconds", "Age of the oldest violation; 0 if there is none, NaN until a run could tell.")
	cleanSince = describe("clean_since_timestamp_seconds", "Since when every run was consistent; 0 if the latest was not.")
	changing   = describe("changing_rows", "Rows that were wrong in every look of the latest run, with other content each time.")
	muted      = describe("muted_rows", "Violations that somebody muted.")
	healed     = describe("healed_rows_total", "Suspects that turned out to be all right when they were looked at again.")
	healing    = describe("healing_longest_seconds", "How long the slowest suspect took to heal in the latest run that healed any.")
	runs       = describe("runs_total", "Runs by their outcome.", "outcome")
	duration   = describe("duration_seconds", "How long runs took, waiting between looks included.")
	lastRun    = describe("last_run_timestamp_seconds", "End of the latest run; 0 if there was none.")
	lastTold   = describe("last_success_timestamp_seconds", "End of the latest run that could tell, good or bad; 0 if there was none.")
	inFlight   = describe("in_flight", "Runs that have begun and not ended.")
	flightFrom = describe("in_flight_since_timestamp_seconds", "Begin of the longest run in flight; 0 if there is none.")
	pending    = describe("pending_deliveries", "Notifiers that could not yet be told the latest.")
)

func describe(name, help string, more ...string) *prometheus.Desc {
	d := prometheus.NewDesc("consistency_check_"+name, help, append(slices.Clone(labels), more...), nil)
	descriptions = append(descriptions, d)
	return d
}

// CheckStarted notes that a run is in flight.
func (c *Collector) CheckStarted(m consistency.Meta, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.check(m)
	c.flights.Begin(m.Name, at)
}

// CheckFinished notes what a run came to.
func (c *Collector) CheckFinished(e consistency.Event, s consistency.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.check(e.Check)
	c.flights.End(e.Check.Name, e.Started)
	k.state = s
	k.changing, k.muted = e.Changing, e.Muted
	k.healed += e.Healed.Rows
	if e.Healed.Rows > 0 {
		k.healing = e.Healed.Longest
	}
	for _, p := range s.History { // those before this process began are there too
		if p.Outcome != consistency.Unknown && p.At.After(k.told) {
			k.told = p.At
		}
	}
	if s.Outcome != consistency.Unknown && s.LastRun.After(k.told) {
		k.told = s.LastRun
	}
	k.runs[e.Outcome]++
	took := e.Duration.Seconds()
	k.count++
	k.seconds += took
	for _, bound := range c.buckets() {
		if took <= bound {
			k.cumulative[bound]++
		}
	}
}

// check returns what is known of the check, which may be nothing yet.
func (c *Collector) check(m consistency.Meta) *check {
	k := c.checks[m.Name]
	if k == nil {
		if c.checks == nil {
			c.checks = map[string]*check{}
		}
		k = &check{runs: map[consistency.Outcome]uint64{}, cumulative: map[float64]uint64{}}
		c.checks[m.Name] = k
	}
	k.meta = m
	return k
}

func (c *Collector) buckets() []float64 {
	if len(c.Buckets) == 0 {
		return DefaultBuckets
	}
	return c.Buckets
}

// Describe sends the descriptions of all metrics.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range descriptions {
		out <- d
	}
}

// Collect sends the metrics as they are now.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	for _, k := range c.Checks {
		if k == nil {
			continue // the Runner refuses it
		}
		if m := k.Describe(); c.checks[m.Name] == nil {
			c.check(m)
		}
	}
	var metrics []prometheus.Metric
	for _, k := range c.checks {
		metrics = c.metricsOf(k, metrics)
	}
	c.mu.Unlock()
	for _, m := range metrics { // whoever receives them slowly holds up no Runner
		out <- m
	}
}

func (c *Collector) metricsOf(k *check, out []prometheus.Metric) []prometheus.Metric {
	values := []string{valid(k.meta.Name), valid(k.meta.Owner), k.meta.Severity.String()}
	add := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, more ...string) {
		out = append(out, prometheus.MustNewConstMetric(d, kind, value, append(slices.Clone(values), more...)...))
	}
	gauge := func(d *prometheus.Desc, value float64, more ...string) { add(d, prometheus.GaugeValue, value, more...) }
	for _, o := range outcomes {
		gauge(outcome, oneIf(k.state.Outcome == o), o.String())
		add(runs, prometheus.CounterValue, float64(k.runs[o]), o.String())
	}
	rows, age := math.NaN(), math.NaN()
	if !k.told.IsZero() {
		rows, age = float64(k.state.Total), 0
		if o := k.state.Oldest(); !o.IsZero() {
			age = max(time.Since(o).Seconds(), 0)
		}
	}
	gauge(violations, rows)
	gauge(oldest, age)
	gauge(atLeast, oneIf(k.state.AtLeast))
	gauge(cleanSince, seconds(k.state.CleanSince))
	gauge(changing, float64(k.changing))
	gauge(muted, float64(k.muted))
	add(healed, prometheus.CounterValue, float64(k.healed))
	gauge(healing, k.healing.Seconds())
	gauge(lastRun, seconds(k.state.LastRun))
	gauge(lastTold, seconds(k.told))
	running, since := c.flights.Of(k.meta.Name)
	gauge(inFlight, float64(running))
	gauge(flightFrom, seconds(since))
	undelivered := 0
	for _, d := range k.state.Deliveries {
		if d.Pending != nil {
			undelivered++
		}
	}
	gauge(pending, float64(undelivered))
	counts := map[float64]uint64{}
	for _, b := range c.buckets() {
		counts[b] = k.cumulative[b]
	}
	return append(out, prometheus.MustNewConstHistogram(duration, k.count, k.seconds, counts, values...))
}

// valid makes a label's value of a text, which must be UTF-8.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds is a time as Prometheus writes it; 0 for the zero time.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
