package redismigrate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// splitChaos is what servers do to the clients of a soak.
type splitChaos struct {
	servers  []*servers.RedisServer
	clusters []*servers.RedisClusterServer

	cuts, pauses, failovers int
	stop                    context.CancelFunc
	done                    sync.WaitGroup
}

func (c *splitChaos) String() string {
	return fmt.Sprintf("connections cut %d times, servers stood still %d times, %d fail-overs", c.cuts, c.pauses, c.failovers)
}

func (c *splitChaos) start(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c.stop = cancel
	var options []*redis.Options
	for _, s := range c.servers {
		options = append(options, s.Options(0))
	}
	for _, s := range c.clusters {
		for _, addr := range s.Addrs {
			options = append(options, s.Options(addr))
		}
	}
	r := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // the same each time
	c.done.Go(func() {
		last := time.Now()
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Duration(100+r.IntN(900)) * time.Millisecond):
			}
			node := redis.NewClient(options[r.IntN(len(options))])
			switch r.IntN(3) {
			case 0, 1:
				if node.Do(ctx, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err() == nil {
					c.cuts++
				}
			case 2:
				if node.Do(ctx, "CLIENT", "PAUSE", 50+r.IntN(700), "ALL").Err() == nil {
					c.pauses++
				}
			}
			node.Close()
			if len(c.clusters) > 0 && time.Since(last) > 20*time.Second {
				last = time.Now()
				if c.failOver(ctx, c.clusters[r.IntN(len(c.clusters))], r) {
					c.failovers++
				}
			}
		}
	})
}

// failOver puts some replica in its master's place.
func (c *splitChaos) failOver(ctx context.Context, s *servers.RedisClusterServer, r *rand.Rand) bool {
	var replicas []string
	for _, addr := range s.Addrs {
		node := redis.NewClient(s.Options(addr))
		role, err := node.Do(ctx, "ROLE").Slice()
		node.Close()
		if err == nil && len(role) > 0 && strings.HasPrefix(fmt.Sprint(role[0]), "slave") {
			replicas = append(replicas, addr)
		}
	}
	if len(replicas) == 0 {
		return false
	}
	slices.Sort(replicas)
	return s.Failover(replicas[r.IntN(len(replicas))]) == nil
}

func (c *splitChaos) end(t *testing.T) {
	t.Helper()
	c.stop()
	c.done.Wait()
	time.Sleep(time.Second) // the last pause
}
