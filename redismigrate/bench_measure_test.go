package redismigrate

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tashikame-go/tashikame/internal/bench"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// BenchmarkMeasure1M weighs 1,000,000 keys. Floor: a raw-socket SCAN of all keys, and prebuilt TYPE, PTTL and MEMORY USAGE of each over a second
// connection at the same time. Peer: redis-cli --memkeys inside the container, which asks for types and memory only, and groups nothing.
func BenchmarkMeasure1M(b *testing.B) {
	s := servers.OwnRedis(b, "--save", "")
	ctx := context.Background()
	addr := s.Direct()
	if err := fillBench(addr); err != nil {
		b.Fatal(err)
	}
	prebuilt := make([]string, 0, 100) // files: 160 MB on the heap would put off the collector, and so spoil the figure for memory
	for from := 0; from < benchSessions+benchOthers; from += 10_000 {
		var part bytes.Buffer
		for i := from; i < from+10_000; i++ {
			key := otherKey(i - benchSessions)
			if i < benchSessions {
				key = sessionKey(i)
			}
			appendCommand(&part, "TYPE", key)
			appendCommand(&part, "PTTL", key)
			appendCommand(&part, "MEMORY", "USAGE", key)
		}
		prebuilt = append(prebuilt, filepath.Join(b.TempDir(), "part"))
		if err := os.WriteFile(prebuilt[len(prebuilt)-1], part.Bytes(), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	e := &Endpoint{URL: "redis://" + addr}
	check := func(opt MeasureOptions) error {
		c, err := Measure(ctx, e, opt)
		if err == nil && (c.Total.Keys.Value != benchSessions+benchOthers || len(c.Prefixes) != 2 || c.Approximate) {
			err = fmt.Errorf("unexpected census: %v", c)
		}
		return err
	}
	bench.Benchmark{
		Name: "measure/1M", Runs: 3, Mem: true, Allocs: true,
		Ours: func() error { return check(MeasureOptions{Keys: sessions}) },
		Floor: func() error {
			scanned := make(chan error, 1)
			go func() { scanned <- rawScan(addr) }()
			for _, name := range prebuilt {
				part, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				if err := rawPipeline(addr, part, 30_000, ""); err != nil {
					return err
				}
			}
			return <-scanned
		},
		PeerName: "redis-cli",
		Peer: func() error {
			out, err := s.Exec("sh", "-c", "redis-cli --memkeys --count 5000 >/dev/null")
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		},
	}.Run(b)
	bench.Benchmark{
		Name: "measure/1M-sampled", Runs: 3, Mem: true, Allocs: true,
		Ours:  func() error { return check(MeasureOptions{Keys: sessions, Sample: 0.01}) },
		Floor: func() error { return rawScan(addr) },
	}.Run(b)
}
