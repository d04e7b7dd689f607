// Package bench measures a piece of work beside its floor and a public peer, in turns within one run, and prints one
// line:
//
//	BENCH prune/1M ours=2.310 floor=2.120 peer=redis-cli:13.200 mem=38.2 rate=212.0 allocs=1234
//
// ours, floor and peer are seconds (medians; per operation where Ops says how many a call does), mem the peak of the Go
// heap above the start in MiB, rate MB/s, allocs heap allocations per operation. Machines are noisy: it is the ratios on one line
// that mean something. Fields that do not apply are left out.
package bench

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"
)

// Benchmark is one line.
type Benchmark struct {
	Name  string
	Runs  int          // measurements of each subject; default and least 3
	Setup func() error // before every single measurement, not timed; may be nil

	Ours  func() error
	Floor func() error // the least that the servers, or the machine, could need for this work; may be nil

	PeerName string // a named public tool
	Peer     func() error

	Ops    int   // operations per call; default 1
	Bytes  int64 // bytes that Ours works through per call, for the rate; 0: no rate
	Mem    bool  // print mem
	Allocs bool  // print allocs
}

// Run measures, prints the line to standard output, and reports the ratios to b. It ignores b.N: one call of Run is the
// whole benchmark (-benchtime=1x).
func (m Benchmark) Run(b *testing.B) {
	b.Helper()
	if m.Ours == nil || m.Name == "" {
		b.Fatal("bench: a benchmark needs a Name and Ours")
	}
	var ours, floor, peer, mem, allocs []float64
	for range max(m.Runs, 3) {
		// In turns, so that a slow minute of the machine is shared by all.
		if m.Floor != nil {
			floor = append(floor, m.measure(b, "floor", m.Floor, nil, nil))
		}
		ours = append(ours, m.measure(b, "ours", m.Ours, &mem, &allocs))
		if m.Peer != nil {
			peer = append(peer, m.measure(b, m.PeerName, m.Peer, nil, nil))
		}
	}
	us := median(ours)
	var line strings.Builder
	fmt.Fprintf(&line, "BENCH %s ours=%s", m.Name, seconds(us))
	if floor != nil {
		fmt.Fprintf(&line, " floor=%s", seconds(median(floor)))
		b.ReportMetric(us/median(floor), "×floor")
	}
	if peer != nil {
		fmt.Fprintf(&line, " peer=%s:%s", m.PeerName, seconds(median(peer)))
		b.ReportMetric(median(peer)/us, "×faster-than-"+m.PeerName)
	}
	if m.Mem {
		fmt.Fprintf(&line, " mem=%.1f", slices.Max(mem)/(1<<20))
	}
	if m.Bytes > 0 {
		fmt.Fprintf(&line, " rate=%.1f", float64(m.Bytes)/1e6/(us*float64(m.ops())))
	}
	if m.Allocs {
		fmt.Fprintf(&line, " allocs=%.0f", median(allocs))
	}
	fmt.Fprintln(os.Stdout, line.String())
}

func (m Benchmark) ops() int { return max(m.Ops, 1) }

// measure returns the seconds per operation of one call.
func (m Benchmark) measure(b *testing.B, what string, f func() error, mem, allocs *[]float64) float64 {
	b.Helper()
	if m.Setup != nil {
		if err := m.Setup(); err != nil {
			b.Fatalf("bench: %s: set up for %s: %v", m.Name, what, err)
		}
	}
	runtime.GC()
	stop := func() (peak float64) { return 0 }
	if m.Mem && mem != nil {
		stop = watchHeap()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	err := f()
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if peak := stop(); mem != nil {
		*mem = append(*mem, peak)
	}
	if err != nil {
		b.Fatalf("bench: %s: %s: %v", m.Name, what, err)
	}
	if allocs != nil {
		*allocs = append(*allocs, float64(after.Mallocs-before.Mallocs)/float64(m.ops()))
	}
	return took.Seconds() / float64(m.ops())
}

// watchHeap samples the heap until the returned function is called, which returns by how much it had grown at most.
func watchHeap() func() float64 {
	heap := func() float64 {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		return float64(sample[0].Value.Uint64())
	}
	start := heap()
	peak := start
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-end:
				return
			case <-ticker.C:
				peak = max(peak, heap())
			}
		}
	}()
	return func() float64 {
		close(end)
		<-done
		return max(peak, heap()) - start
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// seconds keeps four significant digits, be it hours or nanoseconds.
func seconds(s float64) string {
	if s <= 0 {
		return "0"
	}
	decimals := max(0, 3-int(math.Floor(math.Log10(s))))
	return fmt.Sprintf("%.*f", decimals, s)
}
