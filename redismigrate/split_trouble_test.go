package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestSplitRefusesWhatCouldNotComeBack(t *testing.T) {
	t.Parallel()
	old, fresh := ownPair(t)
	older := servers.OwnRedisOf(t, servers.RedisKind{Version: "7.0"})
	evicting := own(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	e := func(url string) *Endpoint { return &Endpoint{URL: url} }
	for want, c := range map[string]struct {
		m   Move
		opt SplitOptions
	}{
		"the selector has no ID":           {m: Move{From: e(old.URL), To: e(fresh.URL), Keys: Selector{Include: []string{"session:*"}}}},
		"selects nothing":                  {m: Move{From: e(old.URL), To: e(fresh.URL), Keys: Selector{ID: "x"}}},
		"needs both From and To":           {m: Move{From: e(old.URL), Keys: sessions}},
		"make a split for each":            {m: Move{From: &Endpoint{URL: old.URL, DBs: []int{0, 1}}, To: e(fresh.URL), Keys: sessions}},
		"DBMap has no meaning":             {m: Move{From: e(old.URL), To: e(fresh.URL), DBMap: map[int]int{0: 0}, Keys: sessions}},
		"is the source":                    {m: Move{From: e(old.URL), To: e(old.URL), Keys: sessions}},
		"does not read the values":         {m: Move{From: e(older.URL), To: e(fresh.URL), Keys: sessions}},
		"may evict any key":                {m: Move{From: e(evicting.URL), To: e(fresh.URL), Keys: sessions}},
		"MaxAge be at least twice Refresh": {m: Move{From: e(old.URL), To: e(fresh.URL), Keys: sessions}, opt: SplitOptions{Refresh: time.Minute}},
		"check host and port":              {m: Move{From: e("redis://127.0.0.1:1"), To: e(fresh.URL), Keys: sessions}},
		"check user and password":          {m: Move{From: e("redis://user:secret@" + old.Addr), To: e(fresh.URL), Keys: sessions}},
		"no state of a split":              {m: Move{From: e(old.URL), To: e(fresh.URL), Keys: sessions}, opt: SplitOptions{States: SplitStateFunc(func(context.Context) (SplitState, error) { return ParseSplitState("sideways") })}},
		"the state is unknown":             {m: Move{From: e(old.URL), To: e(fresh.URL), Keys: sessions}, opt: SplitOptions{States: SplitStateFunc(func(context.Context) (SplitState, error) { return SplitUnknown, nil })}},
		"no such file":                     {m: Move{From: e(old.URL), To: e(fresh.URL), Keys: sessions}, opt: SplitOptions{States: SplitStateFile("/nowhere/state")}},
	} {
		t.Run(want, func(t *testing.T) {
			unchanged(t, old, fresh)
			s, err := NewSplit(t.Context(), c.m, c.opt)
			require.ErrorContains(t, err, want)
			require.True(t, strings.HasPrefix(err.Error(), "redismigrate: split: "), err)
			require.NotContains(t, err.Error(), "secret")
			require.Nil(t, s)
		})
	}
}

// Before Begin nobody knows what holds: the split's keys are refused, the others are as before.
func TestSplitThatHasNotBegunTouchesNothing(t *testing.T) {
	t.Parallel()
	old, fresh := ownPair(t)
	s := openSplit(t, old.URL, fresh.URL, quickSplit())
	err := s.Client().Set(t.Context(), "session:1", "x", 0).Err()
	require.ErrorIs(t, err, ErrSplitState)
	require.ErrorContains(t, err, "call Split.Begin once")
	require.Equal(t, SplitUnknown, s.State())
	require.NoError(t, s.Client().Set(t.Context(), "cart:1", "x", 0).Err())
	require.ErrorContains(t, s.Step(t.Context(), SplitHome), "call Split.Begin once")
	require.NoError(t, s.Begin(t.Context()))
	require.NoError(t, s.Begin(t.Context()), "a second time does nothing")
	sees(t, SplitOld, s)
	require.NoError(t, s.Client().Set(t.Context(), "session:1", "x", 0).Err())
}

// When the place of the state cannot be reached, a process goes on for MaxAge and then refuses; with it back, it goes on.
func TestSplitDoesNotGoByAStateThatIsTooOld(t *testing.T) {
	t.Parallel()
	old, fresh := ownPair(t)
	var broken atomic.Bool
	var state atomic.Int64
	state.Store(int64(SplitOld))
	opt := quickSplit()
	opt.States = SplitStateFunc(func(context.Context) (SplitState, error) {
		if broken.Load() {
			return SplitUnknown, errors.New("the configuration service is away")
		}
		return SplitState(state.Load()), nil
	})
	s := openSplit(t, old.URL, fresh.URL, opt)
	c, ctx := s.Client(), t.Context()
	require.NoError(t, c.Set(ctx, "session:1", "x", 0).Err())
	broken.Store(true)
	require.NoError(t, c.Set(ctx, "session:1", "y", 0).Err(), "what was read a moment ago still holds")
	require.Eventually(t, func() bool { return errors.Is(c.Set(ctx, "session:1", "z", 0).Err(), ErrSplitState) }, time.Second, 5*time.Millisecond)
	require.ErrorContains(t, c.Get(ctx, "session:1").Err(), "the configuration service is away")
	require.NoError(t, c.Set(ctx, "cart:1", "x", 0).Err(), "keys that are not the split's go on")
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "cart:2", "x", 0)
		p.Set(ctx, "session:2", "x", 0)
		return nil
	})
	require.ErrorIs(t, err, ErrSplitState)
	require.Equal(t, "x", old.Client.Get(ctx, "cart:2").Val())
	require.ErrorContains(t, s.Begin(ctx), `write "old" there`)
	require.ErrorContains(t, s.Step(ctx, SplitHome), "ask MayStep, then change it there")
	broken.Store(false)
	require.Eventually(t, func() bool { return c.Get(ctx, "session:1").Err() == nil }, time.Second, 5*time.Millisecond)
	require.NoError(t, s.MayStep(ctx, SplitHome))
	require.ErrorIs(t, s.MayStep(ctx, SplitNew), ErrRefused)
	state.Store(int64(SplitHome))
	sees(t, SplitHome, s)
}

func TestSplitStateFile(t *testing.T) {
	t.Parallel()
	old, fresh := ownPair(t)
	name := filepath.Join(t.TempDir(), "state")
	write := func(text string) { require.NoError(t, os.WriteFile(name, []byte(text), 0o600)) }
	write("old\n")
	opt := quickSplit()
	opt.States = SplitStateFile(name)
	s := openSplit(t, old.URL, fresh.URL, opt)
	require.Equal(t, SplitOld, s.State())
	write("home\n")
	sees(t, SplitHome, s)
	write("hom")
	require.Eventually(t, func() bool { return errors.Is(s.Client().Get(t.Context(), "session:1").Err(), ErrSplitState) }, time.Second, 5*time.Millisecond)
	require.ErrorContains(t, s.Client().Get(t.Context(), "session:1").Err(), `"hom" is no state of a split`)
}

// A new store that is full takes no keys; they stay usable where they are, by the way back.
func TestSplitOfAFullStoreGoesBack(t *testing.T) {
	t.Parallel()
	old, fresh := own(t), own(t, "--maxmemory", "20mb", "--maxmemory-policy", "noeviction")
	s := begun(t, old, fresh)
	c, ctx := s.Client(), t.Context()
	big := strings.Repeat("x", 100_000)
	for i := range 300 {
		require.NoError(t, c.Set(ctx, fmt.Sprintf("session:%d", i), big, 0).Err())
	}
	put(t, s, SplitHome, SplitAway)
	r, err := s.Sweep(ctx, SweepOptions{MaxPasses: 3})
	require.ErrorContains(t, err, "stay where they are")
	require.ErrorContains(t, err, "the server's maxmemory is reached")
	require.False(t, r.Complete)
	require.NotEmpty(t, r.Undecided)
	require.Contains(t, r.Undecided[0].Why, "OOM")
	stuck := r.Undecided[0].Key
	require.ErrorContains(t, c.Append(ctx, stuck, "y").Err(), "stays where it is")
	require.Equal(t, int64(len(big)), old.Client.StrLen(ctx, stuck).Val(), "it was not touched")
	require.Positive(t, s.Stats().Rejected)
	put(t, s, SplitHome)
	require.NoError(t, c.Append(ctx, stuck, "y").Err())
	_, err = s.Sweep(ctx, SweepOptions{})
	require.NoError(t, err)
	audit, err := s.Audit(ctx, SplitOld)
	require.NoError(t, err)
	require.True(t, audit.Clean(), "%v", audit.Examples)
	require.Equal(t, SplitAudit{Old: 300}, audit)
}

// A process that ends in the middle of a hand-over, at each of its steps, leaves something that the next one completes.
func TestSplitCompletesWhatAnotherHasBegun(t *testing.T) {
	t.Parallel()
	old, fresh := ownPair(t)
	s := begun(t, old, fresh)
	c, ctx := s.Client(), t.Context()
	for name, dies := range map[string][]askKind{
		"after depart": {askDepart}, "after arrive": {askDepart, askArrive}, "after finish": {askDepart, askArrive, askFinish},
	} {
		for by, next := range map[string]func(key string) error{
			"a command": func(key string) error { return c.Append(ctx, key, "y").Err() },
			"a read":    func(key string) error { return c.Get(ctx, key).Err() },
			"the mover": func(string) error { _, err := s.Sweep(ctx, SweepOptions{}); return err },
			"the way back": func(key string) error {
				put(t, s, SplitHome)
				defer put(t, s, SplitAway)
				return c.Append(ctx, key, "y").Err()
			},
		} {
			t.Run(name+" "+by, func(t *testing.T) {
				key := "session:" + name + by
				put(t, s, SplitHome)
				require.NoError(t, c.Set(ctx, key, "x", time.Hour).Err())
				put(t, s, SplitAway)
				e := newSweep[splitValue](newSide)
				for _, kind := range dies {
					require.Equal(t, kind, e.next.kind)
					told, err := s.ask(ctx, s.stores[e.next.side], e.next, key)
					require.NoError(t, err)
					e = e.step(told)
				}
				require.NoError(t, next(key))
				want := "xy"
				if by == "a read" || by == "the mover" {
					want = "x"
				}
				require.Equal(t, want, c.Get(ctx, key).Val())
				require.Greater(t, c.TTL(ctx, key).Val(), 59*time.Minute)
				_, err := s.Sweep(ctx, SweepOptions{})
				require.NoError(t, err)
				audit, err := s.Audit(ctx, SplitNew)
				require.NoError(t, err)
				require.True(t, audit.Clean(), "%v", audit.Examples)
				require.Equal(t, want, fresh.Client.Get(ctx, key).Val())
			})
		}
	}
}

// Two processes in neighbouring states pull a key to and fro; both get on, and nothing is lost.
func TestSplitNeighboursPullAKeyToAndFro(t *testing.T) {
	t.Parallel()
	old, fresh := ownPair(t)
	states := [2]atomic.Int64{}
	var list [2]*Split
	for i := range list {
		states[i].Store(int64(SplitHome) + int64(i))
		opt := quickSplit()
		opt.States = SplitStateFunc(func(context.Context) (SplitState, error) { return SplitState(states[i].Load()), nil })
		list[i] = openSplit(t, old.URL, fresh.URL, opt)
	}
	ctx := t.Context()
	const each = 200
	errs := make(chan error, 2)
	for _, s := range list {
		go func() {
			for range each {
				if err := s.Client().Incr(ctx, "session:contended").Err(); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range list {
		require.NoError(t, <-errs)
	}
	require.Equal(t, "400", list[0].Client().Get(ctx, "session:contended").Val())
}

// A key that expires on its way does not arrive, and one that is deleted does not come back.
func TestSplitResurrectsNothing(t *testing.T) {
	t.Parallel()
	old, fresh := ownPair(t)
	s := begun(t, old, fresh)
	c, ctx := s.Client(), t.Context()
	require.NoError(t, c.Set(ctx, "session:short", "x", 300*time.Millisecond).Err())
	require.NoError(t, c.Set(ctx, "session:gone", "x", 0).Err())
	put(t, s, SplitHome, SplitAway)
	late := map[string]ask[splitValue]{}
	for _, key := range []string{"session:short", "session:gone"} {
		e := newSweep[splitValue](newSide)
		told, err := s.ask(ctx, s.stores[oldSide], e.next, key)
		require.NoError(t, err)
		late[key] = e.step(told).next // the value is on its way, and waits
	}
	time.Sleep(400 * time.Millisecond)
	require.Equal(t, redis.Nil, c.Get(ctx, "session:short").Err())
	require.NoError(t, c.Del(ctx, "session:gone").Err())
	for key, a := range late { // and arrives late
		_, err := s.ask(ctx, s.stores[newSide], a, key)
		require.NoError(t, err)
		require.Equal(t, redis.Nil, c.Get(ctx, key).Err(), key)
		_, err = s.ask(ctx, s.stores[oldSide], ask[splitValue]{kind: askFinish, side: oldSide, over: a.over}, key)
		require.NoError(t, err)
	}
	require.NoError(t, c.Set(ctx, "session:gone", "new", 0).Err())
	_, err := s.ask(ctx, s.stores[newSide], late["session:gone"], "session:gone")
	require.NoError(t, err)
	require.Equal(t, "new", c.Get(ctx, "session:gone").Val())
	_, err = s.Sweep(ctx, SweepOptions{})
	require.NoError(t, err)
}

// What a late command leaves on the store that its key has gone from is seen, is nobody's value, and is deleted by the mover.
func TestSplitSeesGhosts(t *testing.T) {
	t.Parallel()
	old, fresh := ownPair(t)
	s := begun(t, old, fresh)
	c, ctx := s.Client(), t.Context()
	require.NoError(t, c.Set(ctx, "session:1", "x", 0).Err())
	put(t, s, SplitHome, SplitAway)
	_, err := s.Sweep(ctx, SweepOptions{})
	require.NoError(t, err)
	require.NoError(t, old.Client.Set(ctx, "session:1", "late", 0).Err())
	require.Equal(t, "x", c.Get(ctx, "session:1").Val())
	require.ErrorContains(t, s.MayStep(ctx, SplitNew), "a value of it was left where it has gone from")
	r, err := s.Sweep(ctx, SweepOptions{})
	require.NoError(t, err)
	require.Equal(t, int64(1), r.Ghosts)
	require.NoError(t, s.MayStep(ctx, SplitNew))
	require.Equal(t, "x", c.Get(ctx, "session:1").Val())
}
