package redismigrate

import (
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

func TestInterlocksOfOnePair(t *testing.T) {
	t.Parallel()
	onOnePair(t, map[string]func(t *testing.T, source, target *servers.RedisServer){
		"otherClientsStopIt":              otherClientsStopIt,
		"dbsThatAreSwappedAreRefused":     dbsThatAreSwappedAreRefused,
		"canariesAreWatchedMeanwhile":     canariesAreWatchedMeanwhile,
		"whereUnlinkIsForbiddenDelIsUsed": whereUnlinkIsForbiddenDelIsUsed,
	})
}

func otherClientsStopIt(t *testing.T, source, target *servers.RedisServer) {
	fillMixed(t, source, 120)
	copied(t, source, target)
	alone := func() { // the test's own pools; they connect anew when they are used
		require.Eventually(t, func() bool {
			c := redis.NewClient(&redis.Options{Addr: target.Addr, MaxRetries: -1})
			defer c.Close()
			c.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			return strings.Count(c.ClientList(t.Context()).Val(), "\n") == 1
		}, 20*time.Second, 50*time.Millisecond)
	}
	alone()
	web := redis.NewClient(&redis.Options{Addr: target.Addr, ClientName: "web-1"})
	defer web.Close()
	require.NoError(t, web.Ping(t.Context()).Err())
	p, err := PlanPrune(t.Context(), all(source), all(target), sessions, PruneOptions{})
	require.NoError(t, err, "a plan deletes nothing")
	require.Contains(t, p.String(), "1 other clients are connected, and Apply refuses while they are")
	require.Contains(t, p.String(), "name web-1, user default")
	r, err := p.Apply(t.Context(), p.Confirmation())
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "(name web-1, user default)")
	require.ErrorContains(t, err, "AllowClients")
	require.Zero(t, r.Deleted)

	// One that comes in the middle stops it before the next pass; what was done is said.
	require.NoError(t, web.Close())
	alone()
	late := redis.NewClient(&redis.Options{Addr: target.Addr, ClientName: "late"})
	defer late.Close()
	p.opt.Progress = func(p Progress) {
		if p.Job == "prune" {
			require.NoError(t, late.Ping(t.Context()).Err())
		}
	}
	r, err = p.Apply(t.Context(), p.Confirmation())
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "name late")
	require.Equal(t, p.Total().Delete, r.Deleted)
	require.False(t, r.Complete)
	require.NoError(t, late.Close())
	alone()
	p.opt.Progress = nil
	r, err = p.Apply(t.Context(), p.Confirmation())
	require.NoError(t, err, "nobody is there")
	require.Zero(t, r.Deleted)

	// A user that may not look is told that nobody looked.
	require.NoError(t, target.Client.Do(t.Context(), "ACL", "SETUSER", "blind", "reset", "on", ">"+secret, "~*", "+@all", "-client").Err())
	blind := &Endpoint{URL: "redis://blind:" + secret + "@" + target.Addr, AllDBs: true}
	p, err = PlanPrune(t.Context(), all(source), blind, sessions, PruneOptions{})
	require.NoError(t, err)
	require.Contains(t, p.String(), "whether other clients are connected could not be told")
	require.NoError(t, p.Discard(t.Context()))
	// One that may look but give itself no name knows its own connections by their addresses.
	alone()
	require.NoError(t, target.Client.Do(t.Context(), "ACL", "SETUSER", "nameless", "reset", "on", ">"+secret, "~*", "+@all", "-client|setname").Err())
	alone()
	p, err = PlanPrune(t.Context(), all(source), &Endpoint{Options: &redis.Options{Addr: target.Direct(), Username: "nameless", Password: secret}, AllDBs: true}, sessions, PruneOptions{})
	require.NoError(t, err)
	require.Zero(t, p.clients.total, "%v", p.clients)
	require.NoError(t, p.Discard(t.Context()))
}

func dbsThatAreSwappedAreRefused(t *testing.T, source, target *servers.RedisServer) {
	fillMixed(t, source, 120)
	copied(t, source, target)
	other := client(t, target, 7) // not part of the plan
	require.NoError(t, other.Set(t.Context(), "precious", 1, 0).Err())
	unchanged(t, source)
	for _, db := range []int{0, 1} {
		p, err := PlanPrune(t.Context(), all(source), &Endpoint{URL: target.URL, DBs: []int{0, 1}}, sessions, besideTests)
		require.NoError(t, err)
		require.NoError(t, target.Client.Do(t.Context(), "SWAPDB", db, 7).Err())
		r, err := p.Apply(t.Context(), p.Confirmation())
		require.ErrorIs(t, err, ErrRefused)
		require.ErrorContains(t, err, fmt.Sprintf("missing in db %d", db))
		require.Zero(t, r.Deleted)
		require.NoError(t, target.Client.Do(t.Context(), "SWAPDB", db, 7).Err())
		require.NoError(t, p.Discard(t.Context()))
	}
	require.EqualValues(t, 1, other.Exists(t.Context(), "precious").Val())
}

func canariesAreWatchedMeanwhile(t *testing.T, source, target *servers.RedisServer) {
	fillMixed(t, source, 3000)
	copied(t, source, target)
	unchanged(t, source)
	var p *PrunePlan
	var once sync.Once
	p, err := PlanPrune(t.Context(), all(source), all(target), sessions, PruneOptions{AllowClients: true, ScanCount: 50, Batch: 10, Progress: func(pr Progress) {
		if pr.Job == "prune" && pr.Done > 100 {
			once.Do(func() {
				require.NoError(t, target.Client.Del(t.Context(), p.canaries[0].key).Err())
				time.Sleep(guardEvery + guardEvery/2)
			})
		}
	}})
	require.NoError(t, err)
	r, err := p.Apply(t.Context(), p.Confirmation())
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "is missing in db 0")
	require.Less(t, r.Deleted, int64(1000), "not at the end of the pass")
	require.Equal(t, 1, r.Passes)
}

func whereUnlinkIsForbiddenDelIsUsed(t *testing.T, source, target *servers.RedisServer) {
	fillMixed(t, source, 600)
	copied(t, source, target)
	require.NoError(t, target.Client.Do(t.Context(), "ACL", "SETUSER", "old", "reset", "on", ">"+secret, "~*", "+@all", "-unlink").Err())
	p, err := PlanPrune(t.Context(), all(source), &Endpoint{URL: "redis://old:" + secret + "@" + target.Addr, AllDBs: true}, sessions, besideTests)
	require.NoError(t, err)
	require.Equal(t, "DEL", p.command)
	r, err := p.Apply(t.Context(), p.Confirmation())
	require.NoError(t, err)
	require.Equal(t, p.Total().Delete, r.Deleted)
	verified(t, Move{From: all(source), To: all(target), Keys: sessions})
}

// A store that is restored from the source's snapshot names the source's replication id as its former one; it is the way to make one.
func TestARestoredSnapshotIsAnotherStore(t *testing.T) {
	t.Parallel()
	source, target := ownPair(t)
	fillMixed(t, source, 300)
	replicate(t, target, source) // a source with replicas writes its replication id into its snapshots
	require.Eventually(t, func() bool {
		return strings.Contains(source.Client.Info(t.Context(), "persistence").Val(), "rdb_bgsave_in_progress:0")
	}, 20*time.Second, 50*time.Millisecond)
	require.NoError(t, target.Restore(source))
	theirs, err := readIdentity(t.Context(), source.Client)
	require.NoError(t, err)
	id, err := readIdentity(t.Context(), target.Client)
	require.NoError(t, err)
	require.Equal(t, theirs.replID, id.replID2, "otherwise this test shows nothing")
	unchanged(t, source)
	p, err := PlanPrune(t.Context(), all(source), all(target), sessions, besideTests)
	require.NoError(t, err)
	r, err := p.Apply(t.Context(), p.Confirmation())
	require.NoError(t, err)
	require.EqualValues(t, 75, r.Kept)
	_, err = PlanPrune(t.Context(), all(target), all(source), sessions, besideTests)
	require.ErrorIs(t, err, ErrRefused, "the other way round")
	require.ErrorContains(t, err, "the target is the original")
}

func TestThePlainPortOfATLSServerIsTheSameServer(t *testing.T) {
	source := servers.OwnRedisOf(t, servers.RedisKind{TLS: true}, "--save", "", "--port", "6380", "--enable-debug-command", "yes")
	require.NoError(t, source.Client.MSet(t.Context(), "session:1", 1, "user:1", 1).Err())
	unchanged(t, source)
	host, err := source.Exec("hostname", "-i")
	require.NoError(t, err)
	tls := &Endpoint{Options: &redis.Options{Addr: source.Addr, TLSConfig: source.TLS}}
	plain := &Endpoint{Options: &redis.Options{Addr: net.JoinHostPort(strings.TrimSpace(host), "6380")}}
	refusedBy(t, tls, plain, "is the source")
	refusedBy(t, plain, tls, "is the source")
}

func TestPruneOverTLS(t *testing.T) {
	t.Parallel()
	kind := servers.RedisKind{TLS: true}
	source := servers.OwnRedisOf(t, kind, "--save", "", "--enable-debug-command", "yes")
	target := servers.OwnRedisOf(t, kind, "--save", "", "--enable-debug-command", "yes")
	for _, s := range []*servers.RedisServer{source, target} {
		require.NoError(t, s.Client.MSet(t.Context(), "session:1", 1, "user:1", 1).Err())
	}
	unchanged(t, source)
	p, err := PlanPrune(t.Context(), &Endpoint{Options: source.Options(0)}, &Endpoint{Options: target.Options(0)}, sessions, besideTests)
	require.NoError(t, err)
	r, err := p.Apply(t.Context(), p.Confirmation())
	require.NoError(t, err)
	require.Equal(t, Tally{Kept: 1, Deleted: 1}, r.Tally)
	_, err = PlanPrune(t.Context(), &Endpoint{Options: source.Options(0)}, &Endpoint{URL: target.URL}, sessions, besideTests)
	require.ErrorContains(t, err, "certificate", "without the certificate nothing is trusted")
}
