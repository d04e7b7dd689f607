package redismigrate

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// besideTests are the options of those whose own clients are connected to the target.
var besideTests = PruneOptions{AllowClients: true}

// refusedBy requires that both jobs that write refuse a pair of endpoints, with an error that says the same.
func refusedBy(t *testing.T, source, target *Endpoint, says string) {
	t.Helper()
	p, err := PlanPrune(t.Context(), source, target, sessions, besideTests)
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, says)
	require.Nil(t, p)
	_, err = Copy(t.Context(), Move{From: source, To: target, Keys: sessions}, CopyOptions{})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, says)
}

func TestTheSourceIsRefusedAsTargetInEveryDisguise(t *testing.T) {
	source := own(t)
	fillMixed(t, source, 600)
	unchanged(t, source)
	_, port, err := net.SplitHostPort(source.Addr)
	require.NoError(t, err)
	for name, addr := range map[string]string{
		"the same address":  source.Addr,
		"the container's":   source.Direct(),
		"a port proxy":      proxy(t, source.Addr, nil),
		"another host name": net.JoinHostPort("localhost", port),
	} {
		t.Run(name, func(t *testing.T) {
			if name == "another host name" { // reaches the server only where Docker publishes ports on the loopback interface
				if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
					conn.Close()
				} else {
					addr = proxy(t, source.Addr, nil)
					_, port, _ := net.SplitHostPort(addr)
					addr = net.JoinHostPort("localhost", port)
				}
			}
			refusedBy(t, all(source), &Endpoint{URL: "redis://" + addr, AllDBs: true}, "is the source")
			refusedBy(t, all(source), &Endpoint{Options: &redis.Options{Addr: addr}, AllDBs: true}, "is the source")
			refusedBy(t, &Endpoint{URL: "redis://" + addr, DBs: []int{1}}, &Endpoint{URL: source.URL, DBs: []int{1}}, "is the source")
		})
	}
}

func replicate(t *testing.T, replica, master *servers.RedisServer) {
	t.Helper()
	host, port, err := net.SplitHostPort(master.Direct())
	require.NoError(t, err)
	require.NoError(t, replica.Client.Do(t.Context(), "REPLICAOF", host, port).Err())
	require.Eventually(t, func() bool {
		return strings.Contains(replica.Client.Info(t.Context(), "replication").Val(), "master_link_status:up")
	}, 60*time.Second, 50*time.Millisecond)
}

func TestReplicationGroupIsRefused(t *testing.T) {
	t.Parallel()
	master, replica := ownPair(t)
	fillMixed(t, master, 600)
	replicate(t, replica, master)
	unchanged(t, master, replica)

	refusedBy(t, all(master), all(replica), "is not a master")
	refusedBy(t, all(replica), all(master), "one replication group")

	// A replica that accepts writes is a replica still.
	require.NoError(t, replica.Client.ConfigSet(t.Context(), "replica-read-only", "no").Err())
	refusedBy(t, all(master), all(replica), "is not a master")
	require.NoError(t, replica.Client.ConfigSet(t.Context(), "replica-read-only", "yes").Err())

	// While the link is down, a replica proves nothing about its master.
	require.NoError(t, replica.Client.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err())
	refusedBy(t, all(replica), all(master), "its link is down")
	replicate(t, replica, master)

	// Detached for good, it is a store of its own: the way in which some make the new store.
	require.NoError(t, replica.Client.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err())
	p, err := PlanPrune(t.Context(), all(master), all(replica), sessions, besideTests)
	require.NoError(t, err)
	require.NoError(t, p.Discard(t.Context()))

	// A plan, and then the target becomes the source's replica or master.
	p, err = PlanPrune(t.Context(), all(master), all(replica), sessions, besideTests)
	require.NoError(t, err)
	replicate(t, master, replica)
	_, err = p.Apply(t.Context(), p.Confirmation())
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "one replication group")
	require.NoError(t, master.Client.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err())
	require.NoError(t, p.Discard(t.Context()))
	for _, c := range p.canaries {
		client(t, master, c.db).Del(t.Context(), c.key)
	}
	// Now the source is what was made from the target: the original must not be pruned.
	refusedBy(t, all(master), all(replica), "the target is the original")
}

// The canary is the last word: two servers that claim to be different, and are one.
func TestACanaryThatShowsOnTheSourceIsRefused(t *testing.T) {
	one := own(t)
	fillMixed(t, one, 300)
	unchanged(t, one)
	source, err := openSession(t.Context(), "source", all(one), sessionOptions{})
	require.NoError(t, err)
	defer source.close()
	target, err := openSession(t.Context(), "target", all(one), sessionOptions{})
	require.NoError(t, err)
	defer target.close()
	source.nodes[0].id.runID, source.nodes[0].id.replID = "something else entirely", "and of no group"
	source.known = map[string]bool{"something else entirely": true}
	require.NoError(t, checkApart(source, target), "by their own words they are two")
	planted, err := newCanaries(t.Context(), target, "plan", time.Hour, "UNLINK")
	require.NoError(t, err)
	err = planted.plant(t.Context(), source, target)
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "shows on the source")
}

// scene is a source, a copy of it, and a plan to prune the copy.
func scene(t *testing.T, opt PruneOptions) (source, target *servers.RedisServer, p *PrunePlan) {
	t.Helper()
	opt.AllowClients = true
	source, target = ownPair(t)
	fillMixed(t, source, 1200)
	copied(t, source, target)
	p, err := PlanPrune(t.Context(), all(source), all(target), sessions, opt)
	require.NoError(t, err)
	return source, target, p
}

func TestApplyRefuses(t *testing.T) {
	source, target, p := scene(t, PruneOptions{})
	unchanged(t, source, target)
	ctx := t.Context()
	refused := func(p *PrunePlan, confirmation, says string) {
		t.Helper()
		r, err := p.Apply(ctx, confirmation)
		require.ErrorIs(t, err, ErrRefused)
		require.ErrorContains(t, err, says)
		require.Zero(t, r.Deleted)
		require.False(t, r.Complete)
	}
	zero := new(PrunePlan)
	refused(zero, zero.Confirmation(), "the plan is empty")
	refused(nil, "", "the plan is empty")
	for _, wrong := range []string{"", "yes", p.Confirmation() + "!", strings.Replace(p.Confirmation(), "delete 900", "delete 901", 1), strings.ToUpper(p.Confirmation())} {
		refused(p, wrong, fmt.Sprintf("must be %q", p.Confirmation()))
	}

	canary := target.Client.Dump(ctx, p.canaries[0].key).Val()
	restore := func() {
		require.NoError(t, target.Client.RestoreReplace(ctx, p.canaries[0].key, time.Hour, canary).Err())
	}
	require.NoError(t, target.Client.Del(ctx, p.canaries[0].key).Err())
	refused(p, p.Confirmation(), "is missing in db 0")
	require.NoError(t, target.Client.Set(ctx, p.canaries[0].key, "forged", 0).Err())
	refused(p, p.Confirmation(), "tampered with")
	target.Client.Del(ctx, p.canaries[0].key)
	require.NoError(t, target.Client.RPush(ctx, p.canaries[0].key, "forged").Err())
	refused(p, p.Confirmation(), "is not the string that the plan wrote")
	restore()
	require.NoError(t, source.Client.Set(ctx, p.canaries[0].key, 1, 0).Err())
	refused(p, p.Confirmation(), "shows on the source")
	require.NoError(t, source.Client.Del(ctx, p.canaries[0].key).Err())

	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	r, err := p.Apply(cancelled, p.Confirmation())
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, r.Deleted)

	p.mu.Lock() // as while it is being applied
	refused(p, p.Confirmation(), "being applied already")
	p.mu.Unlock()
}

func TestApplyRefusesWhenNothingIsLeftToKeep(t *testing.T) {
	source, target, p := scene(t, PruneOptions{})
	for _, db := range mixedDBs {
		c := client(t, target, db)
		for _, key := range c.Keys(t.Context(), "session:*").Val() {
			c.Del(t.Context(), key)
		}
	}
	unchanged(t, source, target)
	_, err := p.Apply(t.Context(), p.Confirmation())
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "nothing that the selector sessions (include [\"session:*\"]) keeps is left")
}

func TestApplyGoesOnWhenOtherSessionsHaveComeInstead(t *testing.T) {
	source, target, p := scene(t, PruneOptions{})
	for _, db := range mixedDBs {
		c := client(t, target, db)
		for _, key := range c.Keys(t.Context(), "session:*").Val() {
			c.Del(t.Context(), key)
		}
	}
	require.NoError(t, client(t, target, 3).Set(t.Context(), "session:new", 1, 0).Err())
	unchanged(t, source)
	r, err := p.Apply(t.Context(), p.Confirmation())
	require.NoError(t, err)
	require.EqualValues(t, 900, r.Deleted)
	require.EqualValues(t, 1, r.Kept)
}

func TestApplyRefusesARestartedOrReplacedTarget(t *testing.T) {
	source := own(t)
	restarted, other := servers.OwnRedis(t, "--save", "", "--appendonly", "yes", "--enable-debug-command", "yes"), own(t)
	fillMixed(t, source, 600)
	copied(t, source, restarted)
	copied(t, source, other)
	p, err := PlanPrune(t.Context(), all(source), all(restarted), sessions, besideTests)
	require.NoError(t, err)
	require.NoError(t, restarted.Kill())
	_, err = p.Apply(t.Context(), p.Confirmation())
	require.ErrorContains(t, err, "target "+restarted.Addr)
	require.NoError(t, restarted.Start())
	unchanged(t, source, restarted, other)
	_, err = p.Apply(t.Context(), p.Confirmation())
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "another server process answers now")
	require.ErrorContains(t, err, "make a new plan")

	// The address is the same, but it leads elsewhere now: a name that was changed, a load balancer that failed over.
	var to atomic.Value
	to.Store(other.Addr)
	moving := &Endpoint{AllDBs: true, Options: &redis.Options{Addr: "store:6379", Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", to.Load().(string))
	}}}
	p, err = PlanPrune(t.Context(), all(source), moving, sessions, besideTests)
	require.NoError(t, err)
	for _, elsewhere := range []string{restarted.Addr, source.Addr} {
		to.Store(elsewhere)
		_, err = p.Apply(t.Context(), p.Confirmation())
		require.ErrorIs(t, err, ErrRefused)
	}
	to.Store(other.Addr)
	require.NoError(t, p.Discard(t.Context()))
}

// Also in the middle, a new connection that reaches another server carries no command.
func TestAConnectionToAnotherServerIsNotUsed(t *testing.T) {
	source, target := ownPair(t)
	fillMixed(t, source, 3000)
	copied(t, source, target)
	bystander := own(t)
	copied(t, source, bystander)
	unchanged(t, source, bystander)
	var to atomic.Value
	to.Store(target.Addr)
	moving := &Endpoint{AllDBs: true, Options: &redis.Options{Addr: "store:6379", Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", to.Load().(string))
	}}}
	p, err := PlanPrune(t.Context(), all(source), moving, sessions, PruneOptions{AllowClients: true, ScanCount: 100, Batch: 50, Progress: func(p Progress) {
		if p.Job == "prune" && p.DB == 1 {
			to.Store(bystander.Addr)
			target.Client.Do(context.Background(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		}
	}})
	require.NoError(t, err)
	r, err := p.Apply(t.Context(), p.Confirmation())
	require.Error(t, err)
	require.False(t, r.Complete)
	require.Positive(t, r.Deleted)
	to.Store(target.Addr)
	p.opt.Progress = nil
	r, err = p.Apply(t.Context(), p.Confirmation())
	require.NoError(t, err)
	require.True(t, r.Complete)
	verified(t, Move{From: all(source), To: all(target), Keys: sessions})
}

func TestServerKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	source := own(t)
	fillMixed(t, source, 6000)
	unchanged(t, source)
	for name, job := range map[string]func(target *servers.RedisServer, midway func()) (Result, error){
		"prune": func(target *servers.RedisServer, midway func()) (Result, error) {
			copied(t, source, target)
			p, err := PlanPrune(t.Context(), all(source), all(target), sessions, PruneOptions{AllowClients: true, ScanCount: 100, Batch: 50, Progress: func(p Progress) {
				if p.Job == "prune" && p.DB == 1 {
					midway()
				}
			}})
			require.NoError(t, err)
			return p.Apply(t.Context(), p.Confirmation())
		},
		"copy": func(target *servers.RedisServer, midway func()) (Result, error) {
			return Copy(t.Context(), Move{From: all(source), To: all(target), Keys: everything}, CopyOptions{MaxWait: time.Second, ScanCount: 100, Batch: 50, Progress: func(p Progress) {
				if p.DB == 1 {
					midway()
				}
			}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			target := own(t)
			killed := false
			r, err := job(target, func() {
				if !killed {
					killed = true
					require.NoError(t, target.Kill())
				}
			})
			require.ErrorContains(t, err, "target "+target.Addr)
			require.False(t, r.Complete)
			require.Positive(t, r.Deleted+r.Copied, "a partial result comes with the error")
		})
	}
}

func TestSourceThatDoesNotAnswerProvesNothing(t *testing.T) {
	source, target, p := scene(t, PruneOptions{})
	unchanged(t, target)
	require.NoError(t, source.Kill())
	_, err := p.Apply(t.Context(), p.Confirmation())
	require.ErrorContains(t, err, "source "+source.Addr)
	require.ErrorContains(t, err, "cannot be proved that the target is another server")
	_, err = PlanPrune(t.Context(), all(source), all(target), sessions, besideTests)
	require.ErrorContains(t, err, "cannot be proved that the target is another server")
}

func TestSelectorThatKeepsNothing(t *testing.T) {
	source, target := ownPair(t)
	fillMixed(t, source, 300)
	copied(t, source, target)
	unchanged(t, source, target)
	for says, keep := range map[string]Selector{
		"selects nothing": {},
		"only Exclude":    {Exclude: []string{"user:*"}},
		"keeps nothing":   {ID: "typo", Include: []string{"sesion:*"}},
		"never closed":    {Include: []string{"session:[0-9"}},
		"no ID":           {Match: func(string) bool { return true }},
	} {
		_, err := PlanPrune(t.Context(), all(source), all(target), keep, besideTests)
		require.ErrorContains(t, err, says)
		if says == "keeps nothing" {
			require.ErrorIs(t, err, ErrRefused)
			require.ErrorContains(t, err, "all 300 keys of dbs 0, 1, 3 would be deleted")
			continue
		}
		_, err = Copy(t.Context(), Move{From: all(source), To: all(target), Keys: keep}, CopyOptions{})
		require.ErrorContains(t, err, says)
		_, err = Verify(t.Context(), Move{From: all(source), To: all(target), Keys: keep}, VerifyOptions{})
		require.ErrorContains(t, err, says)
	}
	_, err := PlanPrune(t.Context(), all(source), all(own(t)), sessions, besideTests)
	require.ErrorContains(t, err, "holds no keys at all")
}
