package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// fillCluster empties a cluster, and writes n keys of which every third is a session, some of them in one slot.
func fillCluster(t *testing.T, c *servers.RedisClusterServer, n int) (keep, drop int64) {
	t.Helper()
	ctx := t.Context()
	require.NoError(t, c.WaitHealthy(ctx))
	require.NoError(t, c.Client.ForEachMaster(ctx, func(ctx context.Context, m *redis.Client) error { return m.FlushAll(ctx).Err() }))
	pipe := c.Client.Pipeline()
	for i := range n {
		key := fmt.Sprintf("%s:%d", []string{"session", "user", "{tag}カート\xff"}[i%3], i)
		if i%3 == 0 {
			keep++
		} else {
			drop++
		}
		pipe.Set(ctx, key, i, 0)
	}
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
	return keep, drop
}

// prunedExactly requires that a cluster holds its sessions and nothing else.
func prunedExactly(t *testing.T, c *servers.RedisClusterServer, keep int64) {
	t.Helper()
	var mu sync.Mutex
	var keys []string
	require.NoError(t, c.Client.ForEachMaster(t.Context(), func(ctx context.Context, m *redis.Client) error {
		mine, err := m.Keys(ctx, "*").Result()
		mu.Lock()
		defer mu.Unlock()
		keys = append(keys, mine...)
		return err
	}))
	require.Len(t, keys, int(keep))
	for _, key := range keys {
		require.True(t, strings.HasPrefix(key, "session:"), key)
	}
}

func masterFor(t *testing.T, c *servers.RedisClusterServer, key string) string {
	t.Helper()
	m, err := c.Client.MasterForKey(t.Context(), key)
	require.NoError(t, err)
	return m.Options().Addr
}

// replicaNow is a replica of a master that is one now.
func replicaNow(t *testing.T, c *servers.RedisClusterServer, master string) string {
	t.Helper()
	slots, err := c.Client.ClusterSlots(t.Context()).Result() //nolint:staticcheck // the simpler answer
	require.NoError(t, err)
	for _, s := range slots {
		if s.Nodes[0].Addr == master && len(s.Nodes) > 1 {
			return s.Nodes[1].Addr
		}
	}
	require.Fail(t, "no replica", master)
	return ""
}

func TestPruneOfACluster(t *testing.T) {
	t.Parallel()
	source := own(t)
	require.NoError(t, source.Client.Set(t.Context(), "session:0", 1, 0).Err())
	c := servers.RedisCluster(t, servers.RedisKind{}, "--save", "")
	from := all(source)
	to := func() *Endpoint { return &Endpoint{URL: "redis://" + masterFor(t, c, "elsewhere")} }
	// midway calls f once, in the middle of the first pass.
	midway := func(opt PruneOptions, f func()) PruneOptions {
		var once sync.Once
		opt.AllowClients, opt.ScanCount, opt.Batch = true, 100, 20
		opt.Progress = func(p Progress) {
			if p.Job == "prune" && p.Pass == 1 && p.Done > 500 {
				once.Do(f)
			}
		}
		return opt
	}
	unchanged(t, source)

	t.Run("whole", func(t *testing.T) {
		keep, drop := fillCluster(t, c, 9000)
		p, err := PlanPrune(t.Context(), from, to(), sessions, besideTests)
		require.NoError(t, err)
		require.Equal(t, []DBCount{{0, keep, drop}}, p.DBs())
		require.False(t, p.Approximate())
		require.Len(t, p.canaries, 3)
		require.NoError(t, c.Client.ForEachMaster(t.Context(), func(ctx context.Context, m *redis.Client) error {
			if keys := m.Keys(ctx, canaryPrefix+"*").Val(); len(keys) != 1 {
				return fmt.Errorf("%v has canaries %q", m, keys)
			}
			return nil
		}))
		r, err := p.Apply(t.Context(), p.Confirmation())
		require.NoError(t, err)
		require.Equal(t, Tally{Kept: keep, Deleted: drop}, r.Tally)
		require.Equal(t, 2, r.Passes)
		prunedExactly(t, c, keep)
	})

	t.Run("it is not its own source", func(t *testing.T) {
		_, err := PlanPrune(t.Context(), &Endpoint{URL: "redis://" + c.Masters[1]}, &Endpoint{URL: "redis://" + c.Replicas[2]}, sessions, besideTests)
		require.ErrorIs(t, err, ErrRefused)
		_, err = PlanPrune(t.Context(), &Endpoint{URL: "redis://" + c.Masters[1]}, &Endpoint{URL: "redis://" + proxy(t, c.Masters[0], nil)}, sessions, besideTests)
		require.ErrorIs(t, err, ErrRefused)
	})

	t.Run("a canary that is missing on one master", func(t *testing.T) {
		fillCluster(t, c, 300)
		p, err := PlanPrune(t.Context(), from, to(), sessions, besideTests)
		require.NoError(t, err)
		for _, canary := range p.canaries {
			require.NoError(t, c.Client.Del(t.Context(), canary.key).Err())
			r, err := p.Apply(t.Context(), p.Confirmation())
			require.ErrorIs(t, err, ErrRefused)
			require.ErrorContains(t, err, canary.key)
			require.Zero(t, r.Deleted)
			require.NoError(t, c.Client.Set(t.Context(), canary.key, canary.value, time.Hour).Err())
		}
	})

	t.Run("a replica takes over midway", func(t *testing.T) {
		keep, drop := fillCluster(t, c, 9000)
		failed := masterFor(t, c, "session:1")
		replica := replicaNow(t, c, failed)
		p, err := PlanPrune(t.Context(), from, to(), sessions, midway(PruneOptions{}, func() { require.NoError(t, c.Failover(replica)) }))
		require.NoError(t, err)
		r, err := p.Apply(t.Context(), p.Confirmation())
		require.NoError(t, err)
		require.Equal(t, drop, r.Deleted)
		require.Equal(t, keep, r.Kept)
		require.Greater(t, r.Passes, 2, "the pass in which it happened is not the clean one")
		prunedExactly(t, c, keep)
	})

	t.Run("a slot moves midway", func(t *testing.T) {
		keep, drop := fillCluster(t, c, 9000)
		a, b := masterFor(t, c, "{tag}"), masterFor(t, c, "elsewhere")
		if a == b {
			b = masterFor(t, c, "somewhere")
		}
		require.NotEqual(t, a, b)
		p, err := PlanPrune(t.Context(), from, to(), sessions, midway(PruneOptions{}, func() { moveSlot(t, a, b, slotOf("{tag}"), true) }))
		require.NoError(t, err)
		r, err := p.Apply(t.Context(), p.Confirmation())
		require.NoError(t, err)
		require.Equal(t, drop, r.Deleted)
		prunedExactly(t, c, keep)
	})

	t.Run("a slot moves in a pass that finds nothing", func(t *testing.T) {
		fillCluster(t, c, 3000)
		a, b := masterFor(t, c, "{tag}"), masterFor(t, c, "elsewhere")
		if a == b {
			b = masterFor(t, c, "somewhere")
		}
		require.NotEqual(t, a, b)
		var once sync.Once
		p, err := PlanPrune(t.Context(), from, to(), sessions, PruneOptions{AllowClients: true, Progress: func(p Progress) {
			if p.Job == "prune" && p.Pass == 2 {
				once.Do(func() { moveSlot(t, a, b, slotOf("{tag}"), true) })
			}
		}})
		require.NoError(t, err)
		r, err := p.Apply(t.Context(), p.Confirmation())
		require.NoError(t, err)
		require.Equal(t, 3, r.Passes, "a key may have moved behind the scan's back")
	})

	t.Run("a slot that stays on its way", func(t *testing.T) {
		fillCluster(t, c, 3000)
		a, b := masterFor(t, c, "{tag}"), masterFor(t, c, "session:3")
		if a == b {
			b = masterFor(t, c, "elsewhere")
		}
		require.NotEqual(t, a, b)
		p, err := PlanPrune(t.Context(), from, to(), sessions, midway(PruneOptions{Settle: time.Second}, func() { moveSlot(t, a, b, slotOf("{tag}"), false) }))
		require.NoError(t, err)
		r, err := p.Apply(t.Context(), p.Confirmation())
		require.ErrorContains(t, err, "is moving slots")
		require.ErrorContains(t, err, "apply the plan again")
		require.False(t, r.Complete)
		moveSlot(t, a, b, slotOf("{tag}"), true)
		require.NoError(t, c.WaitHealthy(t.Context()))
		second, err := p.Apply(t.Context(), p.Confirmation())
		require.NoError(t, err)
		require.EqualValues(t, 2000, r.Deleted+second.Deleted)
		prunedExactly(t, c, 1000)
	})

	t.Run("a master is killed midway", func(t *testing.T) {
		keep, drop := fillCluster(t, c, 9000)
		seed := masterFor(t, c, "elsewhere")
		var victim string
		for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
			if victim = masterFor(t, c, key); victim != seed {
				break
			}
		}
		replica := replicaNow(t, c, victim)
		p, err := PlanPrune(t.Context(), from, &Endpoint{URL: "redis://" + seed}, sessions, midway(PruneOptions{}, func() { require.NoError(t, c.KillNode(victim)) }))
		require.NoError(t, err)
		r, err := p.Apply(t.Context(), p.Confirmation())
		require.ErrorContains(t, err, victim)
		require.False(t, r.Complete)
		require.Positive(t, r.Deleted)
		require.Less(t, r.Deleted, drop)
		require.NoError(t, c.Failover(replica))
		second, err := p.Apply(t.Context(), p.Confirmation())
		require.NoError(t, err)
		require.True(t, second.Complete)
		prunedExactly(t, c, keep)

		// The one that was killed comes back as a process that no plan knows, and takes over.
		require.NoError(t, c.StartNode(victim))
		require.NoError(t, c.WaitHealthy(t.Context()))
		before := fillAndPlan(t, c, from, seed, func() {
			require.NoError(t, c.KillNode(victim))
			require.NoError(t, c.StartNode(victim))
			require.NoError(t, c.WaitHealthy(t.Context()))
			require.NoError(t, c.Failover(victim))
		})
		r, err = before.Apply(t.Context(), before.Confirmation())
		require.ErrorIs(t, err, ErrRefused)
		require.ErrorContains(t, err, "another server process answers now")
		require.Zero(t, r.Deleted)
	})
}

func fillAndPlan(t *testing.T, c *servers.RedisClusterServer, from *Endpoint, seed string, then func()) *PrunePlan {
	t.Helper()
	fillCluster(t, c, 300)
	p, err := PlanPrune(t.Context(), from, &Endpoint{URL: "redis://" + seed}, sessions, besideTests)
	require.NoError(t, err)
	then()
	return p
}

// moveSlot moves a slot with its keys as redis-cli does, or only begins to.
func moveSlot(t *testing.T, from, to string, slot int, finish bool) {
	t.Helper()
	ctx := t.Context()
	a, b := redis.NewClient(&redis.Options{Addr: from}), redis.NewClient(&redis.Options{Addr: to})
	defer a.Close()
	defer b.Close()
	do := func(c *redis.Client, args ...any) *redis.Cmd {
		cmd := c.Do(ctx, args...)
		require.NoError(t, cmd.Err(), "%v", args)
		return cmd
	}
	idA, idB := do(a, "CLUSTER", "MYID").Val(), do(b, "CLUSTER", "MYID").Val()
	do(b, "CLUSTER", "SETSLOT", slot, "IMPORTING", idA)
	do(a, "CLUSTER", "SETSLOT", slot, "MIGRATING", idB)
	if !finish {
		return
	}
	host, port, err := net.SplitHostPort(to)
	require.NoError(t, err)
	for {
		keys, err := a.ClusterGetKeysInSlot(ctx, slot, 500).Result()
		require.NoError(t, err)
		if len(keys) == 0 {
			break
		}
		args := []any{"MIGRATE", host, port, "", 0, 10_000, "KEYS"}
		for _, key := range keys {
			args = append(args, key)
		}
		if err := a.Do(ctx, args...).Err(); err != nil && !errors.Is(err, redis.Nil) {
			require.NoError(t, err)
		}
	}
	for _, c := range []*redis.Client{b, a} {
		do(c, "CLUSTER", "SETSLOT", slot, "NODE", idB)
	}
}
