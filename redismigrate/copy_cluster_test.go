package redismigrate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// at is an endpoint for a cluster.
func at(c *servers.RedisClusterServer) *Endpoint { return &Endpoint{URL: "redis://" + c.Addrs[0]} }

// emptied deletes all keys of a cluster.
func emptied(t *testing.T, c *servers.RedisClusterServer) {
	t.Helper()
	require.NoError(t, c.Client.ForEachMaster(t.Context(), func(ctx context.Context, m *redis.Client) error { return m.FlushAll(ctx).Err() }))
}

// TestCopyOfClusters copies from, to and between clusters, on one pair of them.
func TestCopyOfClusters(t *testing.T) {
	t.Parallel()
	var source, target *servers.RedisClusterServer
	var single *servers.RedisServer
	var group sync.WaitGroup
	group.Go(func() { source = servers.RedisCluster(t, servers.RedisKind{}) })
	group.Go(func() { target = servers.RedisCluster(t, servers.RedisKind{}) })
	group.Go(func() { single = own(t) })
	group.Wait()
	if source == nil || target == nil || single == nil {
		t.FailNow() // the servers have said why
	}
	ctx := t.Context()
	keep, _ := fillMixed(t, single, 3000)
	var total int64
	for _, n := range keep {
		total += n
	}

	// Three dbs become one, in a cluster.
	collapsed := Move{From: &Endpoint{URL: single.URL, DBs: mixedDBs}, To: at(source), Keys: sessions, DBMap: map[int]int{1: 0, 3: 0}}
	_, err := Copy(ctx, Move{From: collapsed.From, To: at(source), Keys: sessions}, CopyOptions{})
	require.ErrorContains(t, err, "DBMap")
	_, err = Copy(ctx, Move{From: all(single), To: &Endpoint{URL: at(source).URL, AllDBs: true}, Keys: sessions}, CopyOptions{})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "is a cluster, which has db 0 only, but the keys of db 1 go to db 1")
	r, err := Copy(ctx, collapsed, CopyOptions{})
	require.NoError(t, err)
	require.Equal(t, total, r.Copied)
	require.Equal(t, keep[3], r.DBs[2].Copied)
	verified(t, collapsed)
	r, err = Copy(ctx, collapsed, CopyOptions{})
	require.NoError(t, err)
	require.Equal(t, total, r.Exists)
	require.Zero(t, r.Differs)

	// From cluster to cluster, while slots of both move: MOVED and ASK, and what moved is not missed.
	between := Move{From: at(source), To: at(target), Keys: everything}
	for _, slot := range []int{5, 77, 500, 5000} {
		open(t, source, slot, true)
		open(t, target, slot, false)
	}
	var once sync.Once
	r, err = Copy(ctx, between, CopyOptions{ScanCount: 50, Batch: 20, Progress: func(p Progress) {
		if p.Done > 500 {
			once.Do(func() {
				for _, slot := range []int{5, 77, 500, 5000} {
					closeSlot(t, source, slot)
				}
			})
		}
	}})
	require.NoError(t, err)
	require.Equal(t, total, r.Copied, "%v", r)
	require.Equal(t, 2, r.Passes)
	require.Contains(t, strings.Join(r.Notes, "\n"), "slots of the source moved")
	for _, slot := range []int{5, 77, 500, 5000} {
		closeSlot(t, target, slot)
	}
	require.NoError(t, target.WaitHealthy(ctx))
	require.NoError(t, source.WaitHealthy(ctx))
	verified(t, between)

	// A replica of the target takes over meanwhile.
	emptied(t, target)
	cp, _ := onDisk(t)
	var failover sync.Once
	r, err = Copy(ctx, between, CopyOptions{Checkpoint: cp, ScanCount: 50, Batch: 20, Progress: func(p Progress) {
		if p.Done > 300 {
			failover.Do(func() { require.NoError(t, target.Failover(target.Replicas[0])) })
		}
	}})
	require.NoError(t, err)
	require.Equal(t, total, r.Copied+r.Unclear+r.Exists)
	verified(t, between)

	// And out of the cluster.
	require.NoError(t, single.Client.FlushAll(ctx).Err())
	out := Move{From: at(source), To: &Endpoint{URL: single.URL}, Keys: sessions}
	stopAfter(t, out, CopyOptions{Checkpoint: cp2(t)}, 100)
	r, err = Copy(ctx, out, CopyOptions{})
	require.NoError(t, err)
	require.Equal(t, total, r.Copied+r.Exists)
	verified(t, out)
}

func cp2(t *testing.T) Checkpoint {
	cp, _ := onDisk(t)
	return cp
}

// masterOf returns the id and the client of the node that serves a slot, and of another master.
func masterOf(t *testing.T, c *servers.RedisClusterServer, slot int) (from, to string, source, destination *redis.Client) {
	t.Helper()
	shards, err := c.Client.ClusterShards(t.Context()).Result()
	require.NoError(t, err)
	var others []redis.Node
	for _, shard := range shards {
		for _, n := range shard.Nodes {
			if n.Role != "master" {
				continue
			}
			if slices.ContainsFunc(shard.Slots, func(r redis.SlotRange) bool { return int64(slot) >= r.Start && int64(slot) <= r.End }) {
				from, source = n.ID, clientAt(t, n)
			} else {
				others = append(others, n)
			}
		}
	}
	require.NotEmpty(t, others)
	other := slices.MinFunc(others, func(a, b redis.Node) int { return strings.Compare(a.ID, b.ID) }) // the same one each time it is asked
	return from, other.ID, source, clientAt(t, other)
}

func clientAt(t *testing.T, n redis.Node) *redis.Client {
	one := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("%s:%d", n.IP, n.Port)})
	t.Cleanup(func() { one.Close() })
	return one
}

// open begins to move a slot; with half, every second of its keys is moved at once.
func open(t *testing.T, c *servers.RedisClusterServer, slot int, half bool) {
	t.Helper()
	from, to, source, destination := masterOf(t, c, slot)
	ctx := t.Context()
	require.NoError(t, destination.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", from).Err())
	require.NoError(t, source.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", to).Err())
	if half {
		moveKeys(t, slot, source, destination, 2)
	}
}

func moveKeys(t *testing.T, slot int, source, destination *redis.Client, step int) {
	keys, err := source.ClusterGetKeysInSlot(t.Context(), slot, 1000).Result()
	require.NoError(t, err)
	host, port, _ := strings.Cut(destination.Options().Addr, ":")
	for i := 0; i < len(keys); i += step {
		require.NoError(t, source.Migrate(t.Context(), host, port, keys[i], 0, 0).Err())
	}
}

// closeSlot moves what is left of a slot, and gives it to its new master.
func closeSlot(t *testing.T, c *servers.RedisClusterServer, slot int) {
	_, to, source, destination := masterOf(t, c, slot)
	moveKeys(t, slot, source, destination, 1)
	ctx := t.Context()
	for _, n := range []*redis.Client{destination, source} {
		require.NoError(t, n.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", to).Err())
	}
	_ = c.Client.ForEachMaster(ctx, func(ctx context.Context, m *redis.Client) error {
		return m.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", to).Err()
	})
}
