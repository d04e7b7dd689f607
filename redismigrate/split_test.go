package redismigrate

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// quickSplit are options by which a step takes a second and a half.
func quickSplit() SplitOptions {
	return SplitOptions{Refresh: 20 * time.Millisecond, MaxAge: 200 * time.Millisecond, CommandTimeout: 500 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)}
}

// openSplit begins a process's part of a split.
func openSplit(t *testing.T, old, fresh string, opt SplitOptions) *Split {
	t.Helper()
	s, err := NewSplit(t.Context(), Move{From: &Endpoint{URL: old}, To: &Endpoint{URL: fresh}, Keys: sessions}, opt)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// begun is a split that has begun, in one process.
func begun(t *testing.T, old, fresh *servers.RedisServer) *Split {
	t.Helper()
	s := openSplit(t, old.URL, fresh.URL, quickSplit())
	require.NoError(t, s.Begin(t.Context()))
	sees(t, SplitOld, s)
	return s
}

// sees waits until processes see a state.
func sees(t *testing.T, state SplitState, list ...*Split) {
	t.Helper()
	for _, s := range list {
		require.Eventually(t, func() bool { return s.State() == state }, 5*time.Second, 5*time.Millisecond)
	}
}

func step(t *testing.T, to SplitState, by *Split, all ...*Split) {
	t.Helper()
	require.NoError(t, by.Step(t.Context(), to))
	sees(t, to, append(all, by)...)
}

// put forces the state, for tests that have no time for steps.
func put(t *testing.T, s *Split, states ...SplitState) {
	t.Helper()
	for _, state := range states {
		_, was, err := s.kept.read(t.Context())
		require.NoError(t, err)
		require.NoError(t, s.kept.write(t.Context(), was, state))
		sees(t, state, s)
	}
}

func TestSplitGoesOverAndBack(t *testing.T) {
	t.Parallel()
	old, fresh := ownPair(t)
	ctx := t.Context()
	for i := range 300 {
		key := fmt.Sprintf("session:%d", i)
		require.NoError(t, old.Client.HSet(ctx, key, "user", i, "名前", "田中").Err())
		if i%3 == 0 {
			require.NoError(t, old.Client.Expire(ctx, key, time.Hour).Err())
		}
		require.NoError(t, old.Client.Set(ctx, fmt.Sprintf("cart:%d", i), i, 0).Err())
	}
	a := begun(t, old, fresh)
	b := openSplit(t, old.URL, fresh.URL, quickSplit())
	ac, bc := a.Client(), b.Client()
	check := func(where int64) {
		t.Helper()
		for i := range 300 {
			got, err := ac.HGetAll(ctx, fmt.Sprintf("session:%d", i)).Result()
			require.NoError(t, err)
			require.Equal(t, map[string]string{"user": fmt.Sprint(i), "名前": "田中"}, got)
			ttl, err := bc.TTL(ctx, fmt.Sprintf("session:%d", i)).Result()
			require.NoError(t, err)
			require.Equal(t, i%3 == 0, ttl > 59*time.Minute, "%s", ttl)
		}
		require.Equal(t, "7", bc.Get(ctx, "cart:7").Val())
		audit, err := a.Audit(ctx, a.State())
		require.NoError(t, err)
		require.Equal(t, [2]int64{300 - where, where}, [2]int64{audit.Old, audit.New})
	}
	require.Equal(t, redis.Nil, ac.Get(ctx, "session:none").Err())
	check(0)
	step(t, SplitHome, a, b)
	check(0)
	step(t, SplitAway, a, b)
	require.ErrorContains(t, a.Step(ctx, SplitNew), `300 keys keep it from new, such as "session:`)
	require.NoError(t, ac.HIncrBy(ctx, "session:5", "user", 0).Err())
	require.Equal(t, int64(1), a.Stats().Departed)
	require.NoError(t, bc.Set(ctx, "session:new", "x", 0).Err())
	require.NoError(t, bc.Del(ctx, "session:new").Err())
	r, err := b.Sweep(ctx, SweepOptions{Batch: 7})
	require.NoError(t, err)
	require.True(t, r.Complete)
	require.GreaterOrEqual(t, r.Moved, int64(298))
	check(300)
	step(t, SplitNew, a, b)
	check(300)
	require.NoError(t, ac.Set(ctx, "session:made-in-new", "1", 0).Err())
	// And back again.
	step(t, SplitAway, a, b)
	require.Equal(t, "1", bc.Get(ctx, "session:made-in-new").Val())
	require.ErrorContains(t, a.Step(ctx, SplitHome), "has no record yet")
	r, err = a.Sweep(ctx, SweepOptions{})
	require.NoError(t, err)
	require.Equal(t, int64(1), r.Adopted)
	step(t, SplitHome, a, b)
	require.Equal(t, "1", bc.Get(ctx, "session:made-in-new").Val())
	require.ErrorContains(t, a.Step(ctx, SplitOld), "301 keys keep it from old") // with that of the deleted one
	_, err = a.Sweep(ctx, SweepOptions{})
	require.NoError(t, err)
	require.NoError(t, ac.Del(ctx, "session:made-in-new").Err())
	check(0)
	step(t, SplitOld, a, b)
	check(0)
	require.ErrorContains(t, a.Step(ctx, SplitAway), "from old no step leads to away")
	n, err := a.Forget(ctx)
	require.NoError(t, err)
	require.Equal(t, int64(2*302), n)
	require.Equal(t, int64(1), fresh.Client.DBSize(ctx).Val(), "the state is all that is left")
	_ = context.Background
}
