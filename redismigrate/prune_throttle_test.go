package redismigrate

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A replica that stands still must not fall behind by more than about its limit; when it runs again, the prune ends.
func TestPruneWaitsForAReplica(t *testing.T) {
	t.Parallel()
	source, target := ownPair(t)
	replica := own(t)
	fillMixed(t, source, 20_000)
	copied(t, source, target)
	replicate(t, replica, target)
	const limit = 100_000
	behind := func(info string) int64 {
		return int64(Throttle{MaxReplicaLag: 1}.lag("", info).load)
	}
	require.Eventually(t, func() bool { return behind(target.Client.Info(t.Context(), "replication").Val()) < 1000 }, 30*time.Second, 50*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	var worst int64
	var held string
	var once sync.Once
	p, err := PlanPrune(t.Context(), all(source), all(target), sessions, PruneOptions{
		AllowClients: true, ScanCount: 100, Batch: 20, Throttle: Throttle{MaxReplicaLag: limit},
		Progress: func(p Progress) {
			if p.Held != "" {
				held = p.Held
			}
			if p.Job == "prune" {
				once.Do(func() {
					watching.Go(func() { _ = replica.Client.Do(ctx, "DEBUG", "SLEEP", "4").Err() }) // it stands still
					watching.Go(func() {
						for ctx.Err() == nil {
							worst = max(worst, behind(target.Client.Info(context.Background(), "replication").Val()))
							time.Sleep(20 * time.Millisecond)
						}
					})
				})
			}
		},
	})
	require.NoError(t, err)
	r, err := p.Apply(t.Context(), p.Confirmation())
	cancel()
	watching.Wait()
	require.NoError(t, err)
	require.Equal(t, p.Total().Delete, r.Deleted)
	require.Contains(t, held, "bytes behind (limit 100000)")
	require.Greater(t, worst, int64(limit), "the replica really fell behind")
	require.Less(t, worst, int64(4*limit), "the whole stream is some 600 KB")
	verified(t, Move{From: all(source), To: all(target), Keys: sessions})
}

// A server that answers late gets less to do, and the prune ends when it has recovered.
func TestPruneSlowsDownForASlowServer(t *testing.T) {
	source, target := ownPair(t)
	fillMixed(t, source, 20_000)
	copied(t, source, target)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var held []string
	var slow sync.WaitGroup
	var once sync.Once
	p, err := PlanPrune(t.Context(), all(source), all(target), sessions, PruneOptions{
		AllowClients: true, ScanCount: 100, Batch: 10, Throttle: Throttle{MaxLatency: 100 * time.Millisecond, MaxRate: 1_000_000},
		Progress: func(p Progress) {
			if p.Held != "" {
				held = append(held, p.Held)
			}
			if p.Job == "prune" {
				once.Do(func() {
					slow.Go(func() {
						for range 6 {
							_ = target.Client.Do(ctx, "DEBUG", "SLEEP", "0.4").Err()
						}
					})
				})
			}
		},
	})
	require.NoError(t, err)
	r, err := p.Apply(t.Context(), p.Confirmation())
	slow.Wait()
	require.NoError(t, err)
	require.Equal(t, p.Total().Delete, r.Deleted)
	require.NotEmpty(t, held)
	require.Contains(t, strings.Join(held, "\n"), fmt.Sprintf("%s takes", target.Addr))
	require.Contains(t, strings.Join(held, "\n"), "limit 100ms")
}
