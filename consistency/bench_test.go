package consistency

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/tashikame-go/tashikame/internal/bench"
)

// BenchmarkRunnerCheck is what one check costs beside the looking: 1,000 checks that find nothing, with their state kept and a notifier told. Floor: the same checks called in a
// loop, and their states saved to the same kind of store.
func BenchmarkRunnerCheck(b *testing.B) {
	const checks = 1000
	ctx := context.Background()
	var all []Check
	for i := range checks {
		all = append(all, CheckFunc{Meta: Meta{Name: fmt.Sprint("check-", i)}, Func: func(context.Context) (Findings, error) { return Findings{Examined: 1}, nil }})
	}
	r := &Runner{Checks: all, Notifiers: []Notifier{&ear{name: "e"}}, Logger: slog.New(slog.DiscardHandler)}
	floorStore := &MemoryStore{}
	bench.Benchmark{
		Name: "runner/check", Runs: 15, Ops: checks, Allocs: true,
		Ours: func() error {
			s, err := r.Run(ctx)
			if err == nil && s.Count(Consistent) != checks {
				err = fmt.Errorf("not all checks ran: %s", s)
			}
			return err
		},
		Floor: func() error {
			for _, c := range all {
				if _, err := c.Run(ctx); err != nil {
					return err
				}
				name := c.Describe().Name
				s, err := floorStore.Load(ctx, name)
				if err != nil {
					return err
				}
				if _, err := floorStore.Save(ctx, name, s); err != nil {
					return err
				}
			}
			return nil
		},
	}.Run(b)
}
