package redismigrate

import (
	"bytes"
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

// TestPrune is what a prune does, on one pair of servers that is emptied in between.
func TestPrune(t *testing.T) {
	t.Parallel()
	onOnePair(t, map[string]func(t *testing.T, source, target *servers.RedisServer){
		"pruneOf100000MixedKeys":                      pruneOf100000MixedKeys,
		"pruneIsOfTheTargetsDBsOnly":                  pruneIsOfTheTargetsDBsOnly,
		"pruneStoppedMidwayIsFinishedByApplyingAgain": pruneStoppedMidwayIsFinishedByApplyingAgain,
		"pruneAgainstAWriterThatNeverStops":           pruneAgainstAWriterThatNeverStops,
		"keysThatExpireMeanwhileAreNoError":           keysThatExpireMeanwhileAreNoError,
		"discardRemovesTheCanary":                     discardRemovesTheCanary,
		"plansDoNotDisturbEachOther":                  plansDoNotDisturbEachOther,
		"aBatchWhoseAnswerIsLostIsNotRepeated":        aBatchWhoseAnswerIsLostIsNotRepeated,
		"thePlanReadsWell":                            thePlanReadsWell,
	})
}

// Story 3: a store full of mixed data, restored whole elsewhere, is pruned to its sessions.
func pruneOf100000MixedKeys(t *testing.T, source, target *servers.RedisServer) {
	keep, drop := fillMixed(t, source, 100_000)
	require.NoError(t, source.Client.Set(t.Context(), elastiCacheKey, 1, 0).Err())
	copied(t, source, target)
	require.NoError(t, target.Client.Set(t.Context(), elastiCacheKey, 2, 0).Err())
	verified(t, Move{From: all(source), To: all(target), Keys: everything})
	sourceBefore, targetBefore := digest(t, source), digest(t, target)

	p, err := PlanPrune(t.Context(), all(source), all(target), sessions, besideTests)
	require.NoError(t, err)
	require.Equal(t, sourceBefore, digest(t, source), "a plan must not change the source")
	require.Equal(t, []DBCount{{0, keep[0], drop[0]}, {1, keep[1], drop[1]}, {3, keep[3], drop[3]}}, p.DBs())
	require.EqualValues(t, 100_000, p.Total().Keep+p.Total().Delete)
	require.False(t, p.Approximate())
	require.Len(t, p.canaries, len(mixedDBs))
	for _, c := range p.canaries {
		require.Len(t, client(t, target, c.db).Keys(t.Context(), canaryPrefix+"*").Val(), 1)
		require.EqualValues(t, 1, client(t, target, c.db).Del(t.Context(), c.key).Val())
	}
	require.Equal(t, targetBefore, digest(t, target), "a plan must change nothing but its canaries")
	for _, c := range p.canaries {
		require.NoError(t, client(t, target, c.db).Set(t.Context(), c.key, c.value, time.Hour).Err())
	}

	r, err := p.Apply(t.Context(), p.Confirmation())
	require.NoError(t, err)
	require.True(t, r.Complete)
	require.Equal(t, p.Total().Delete, r.Deleted)
	require.Equal(t, p.Total().Keep, r.Kept)
	require.Zero(t, r.Gone)
	require.Equal(t, 2, r.Passes)
	for i, c := range p.DBs() {
		require.Equal(t, DBTally{DB: c.DB, Tally: Tally{Deleted: c.Delete, Kept: c.Keep}}, r.DBs[i])
		require.Equal(t, c.Keep+b2i(c.DB == 0), client(t, target, c.DB).DBSize(t.Context()).Val()) // db 0: and the service key
	}
	require.Equal(t, "2", target.Client.Get(t.Context(), elastiCacheKey).Val(), "a service key is never deleted")
	require.Equal(t, sourceBefore, digest(t, source), "a prune must not change the source")
	v := verified(t, Move{From: all(source), To: all(target), Keys: sessions})
	require.Equal(t, p.Total().Keep, v.Compared)
	require.Empty(t, target.Client.Keys(t.Context(), canaryPrefix+"*").Val(), "Apply removes the canary")

	_, err = p.Apply(t.Context(), p.Confirmation())
	require.ErrorIs(t, err, ErrRefused, "a plan is for one time")
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func pruneIsOfTheTargetsDBsOnly(t *testing.T, source, target *servers.RedisServer) {
	_, drop := fillMixed(t, source, 3000)
	copied(t, source, target)
	p, err := PlanPrune(t.Context(), all(source), &Endpoint{URL: target.URL, DBs: []int{1}}, sessions, besideTests)
	require.NoError(t, err)
	require.Equal(t, []DBCount{{DB: 0, Keep: 1000}, {DB: 3, Keep: 1000}}, p.Outside())
	require.Contains(t, p.String(), "db 3 holds 1000 keys but is not part of the plan")
	r, err := p.Apply(t.Context(), p.Confirmation())
	require.NoError(t, err)
	require.Equal(t, drop[1], r.Deleted)
	require.EqualValues(t, 1000, client(t, target, 0).DBSize(t.Context()).Val())
	require.EqualValues(t, 1000, client(t, target, 3).DBSize(t.Context()).Val())
	v, err := Verify(t.Context(), Move{From: &Endpoint{URL: source.URL, DBs: []int{1}}, To: &Endpoint{URL: target.URL, DBs: []int{1}}, Keys: sessions}, VerifyOptions{})
	require.NoError(t, err)
	require.Equal(t, Match, v.Verdict)
	require.Len(t, v.Outside, 2, "what was not looked at is said")
}

func pruneStoppedMidwayIsFinishedByApplyingAgain(t *testing.T, source, target *servers.RedisServer) {
	fillMixed(t, source, 30_000)
	copied(t, source, target)
	unchanged(t, source)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var batches atomic.Int64
	p, err := PlanPrune(t.Context(), all(source), all(target), sessions, PruneOptions{AllowClients: true, ScanCount: 200, Batch: 50, Progress: func(p Progress) {
		if p.Job == "prune" && batches.Add(1) == 20 {
			cancel()
		}
	}})
	require.NoError(t, err)
	first, err := p.Apply(ctx, p.Confirmation())
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, first.Complete)
	require.Positive(t, first.Deleted)
	require.Less(t, first.Deleted, p.Total().Delete)
	left := int64(0)
	for _, db := range mixedDBs {
		left += client(t, target, db).DBSize(t.Context()).Val()
	}
	require.Equal(t, 30_000+3-first.Deleted, left, "the partial result is exact (3: the canaries are still there)")

	second, err := p.Apply(t.Context(), p.Confirmation())
	require.NoError(t, err)
	require.Equal(t, p.Total().Delete, first.Deleted+second.Deleted)
	require.Equal(t, p.Total().Keep, second.Kept)
	verified(t, Move{From: all(source), To: all(target), Keys: sessions})
}

func pruneAgainstAWriterThatNeverStops(t *testing.T, source, target *servers.RedisServer) {
	fillMixed(t, source, 3000)
	copied(t, source, target)
	write := func(opt PruneOptions, pass func(p Progress) bool, n int) (Result, error) {
		var extra atomic.Int64
		opt.AllowClients = true
		opt.Progress = func(p Progress) {
			if p.Job == "prune" && pass(p) {
				for range n { // behind the scan's back
					target.Client.Set(context.Background(), fmt.Sprintf("extra:%d", extra.Add(1)), 1, 0)
				}
			}
		}
		p, err := PlanPrune(t.Context(), all(source), all(target), sessions, opt)
		require.NoError(t, err)
		return p.Apply(t.Context(), p.Confirmation())
	}
	lastOfPass := func(p Progress) bool { return p.DB == 3 }
	r, err := write(PruneOptions{MaxPasses: 4}, lastOfPass, 5)
	require.ErrorContains(t, err, "after 4 passes the last one still found 5 keys")
	require.ErrorContains(t, err, "a client keeps writing")
	require.False(t, r.Complete)
	require.Equal(t, 4, r.Passes)
	require.EqualValues(t, 2250+15, r.Deleted, "a partial result comes with the error")

	r, err = write(PruneOptions{MaxExtra: 20}, lastOfPass, 30)
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "more keys to delete than the plan confirmed")
	require.False(t, r.Complete)
	verifySessions := func() {
		v, err := Verify(t.Context(), Move{From: all(source), To: all(target), Keys: sessions}, VerifyOptions{})
		require.NoError(t, err)
		require.Equal(t, v.ByKind[Extra], v.Total, "what is kept is untouched")
	}
	verifySessions()

	r, err = write(PruneOptions{}, func(p Progress) bool { return p.DB == 3 && p.Pass == 1 }, 30)
	require.NoError(t, err, "a writer that stops is caught up with")
	require.Equal(t, 3, r.Passes)
	verified(t, Move{From: all(source), To: all(target), Keys: sessions})
}

func keysThatExpireMeanwhileAreNoError(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	require.NoError(t, source.Client.Set(ctx, "session:1", 1, 0).Err())
	for i := range 500 {
		require.NoError(t, target.Client.Set(ctx, fmt.Sprintf("old:%d", i), 1, 0).Err())
	}
	require.NoError(t, target.Client.Set(ctx, "session:1", 1, 0).Err())
	vanish := false
	p, err := PlanPrune(ctx, all(source), all(target), sessions, PruneOptions{AllowClients: true, Progress: func(p Progress) {
		if p.Job == "prune" && p.Pass == 1 && !vanish { // the scan has shown them all; the last batch is not handed on yet
			vanish = true
			require.NoError(t, target.Client.Del(ctx, "old:7", "old:8").Err())
		}
	}})
	require.NoError(t, err)
	r, err := p.Apply(ctx, p.Confirmation())
	require.NoError(t, err)
	require.EqualValues(t, 498, r.Deleted)
	require.EqualValues(t, 2, r.Gone)
	require.EqualValues(t, 1, r.Kept)
	require.Contains(t, r.String(), "gone meanwhile 2")
}

func discardRemovesTheCanary(t *testing.T, source, target *servers.RedisServer) {
	fillMixed(t, source, 300)
	copied(t, source, target)
	unchanged(t, source, target)
	p, err := PlanPrune(t.Context(), all(source), all(target), sessions, besideTests)
	require.NoError(t, err)
	require.NoError(t, p.Discard(t.Context()))
	require.NoError(t, p.Discard(t.Context()))
	_, err = p.Apply(t.Context(), p.Confirmation())
	require.ErrorIs(t, err, ErrRefused)
	require.Error(t, new(PrunePlan).Discard(t.Context()))
}

// An earlier plan's canary is not a key of the data: it is neither counted nor deleted.
func plansDoNotDisturbEachOther(t *testing.T, source, target *servers.RedisServer) {
	fillMixed(t, source, 300)
	copied(t, source, target)
	first, err := PlanPrune(t.Context(), all(source), all(target), sessions, besideTests)
	require.NoError(t, err)
	second, err := PlanPrune(t.Context(), all(source), all(target), sessions, besideTests)
	require.NoError(t, err)
	require.Equal(t, first.DBs(), second.DBs())
	require.False(t, second.Approximate())
	r, err := second.Apply(t.Context(), second.Confirmation())
	require.NoError(t, err)
	require.Equal(t, second.Total().Keep, r.Kept)
	require.NoError(t, first.Discard(t.Context()))
	verified(t, Move{From: all(source), To: all(target), Keys: sessions})
}

func thePlanReadsWell(t *testing.T, source, target *servers.RedisServer) {
	fillMixed(t, source, 400)
	copied(t, source, target)
	p, err := PlanPrune(t.Context(), all(source), all(target), sessions, besideTests)
	require.NoError(t, err)
	text := p.String()
	for _, part := range []string{target.Addr, `sessions (include ["session:*"])`, "db 3", p.Confirmation()} {
		require.Contains(t, text, part)
	}
	require.Contains(t, p.Confirmation(), fmt.Sprintf("delete %d keys and keep %d on %s", p.Total().Delete, p.Total().Keep, target.Addr))
	require.Equal(t, "an empty plan", new(PrunePlan).String())
	require.Equal(t, 1, strings.Count(text, "\n  total"))
}

// losesAnswer closes the connection after it has sent the first UNLINK once it is armed, so that the answer is lost.
type losesAnswer struct {
	net.Conn
	armed *atomic.Bool
}

func (c losesAnswer) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if bytes.Contains(p, []byte("UNLINK")) && c.armed.CompareAndSwap(true, false) {
		time.Sleep(200 * time.Millisecond) // the server carries it out
		c.Close()
	}
	return n, err
}

// Repeated, it would be counted as gone although this job deleted it, and the job would look complete.
func aBatchWhoseAnswerIsLostIsNotRepeated(t *testing.T, source, target *servers.RedisServer) {
	fillMixed(t, source, 3000)
	copied(t, source, target)
	var armed atomic.Bool
	to := &Endpoint{AllDBs: true, Options: &redis.Options{Addr: target.Addr, Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return losesAnswer{conn, &armed}, err
	}}}
	p, err := PlanPrune(t.Context(), all(source), to, sessions, PruneOptions{AllowClients: true, Batch: 50, Workers: 1})
	require.NoError(t, err)
	armed.Store(true)
	first, err := p.Apply(t.Context(), p.Confirmation())
	require.ErrorContains(t, err, "UNLINK 50 keys of db 0")
	require.False(t, first.Complete)
	second, err := p.Apply(t.Context(), p.Confirmation())
	require.NoError(t, err)
	require.Zero(t, first.Gone+second.Gone)
	require.Equal(t, p.Total().Delete-50, first.Deleted+second.Deleted, "the one batch that nobody can tell of is not claimed")
	verified(t, Move{From: all(source), To: all(target), Keys: sessions})
}
