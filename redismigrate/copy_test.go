package redismigrate

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// TestCopy is what a copy does, on one pair of servers that is emptied in between.
func TestCopy(t *testing.T) {
	onOnePair(t, map[string]func(t *testing.T, source, target *servers.RedisServer){
		"copyLeavesWhatIsThereAndNamesWhatDiffers": copyLeavesWhatIsThereAndNamesWhatDiffers,
		"copyHoldsFewLargeValuesAtATime":           copyHoldsFewLargeValuesAtATime,
		"copyCancelledMidway":                      copyCancelledMidway,
	})
}

func TestCopyKeepsExpiriesExactly(t *testing.T) {
	t.Parallel()
	target := own(t)
	for name, args := range map[string][]string{
		"PEXPIRETIME":            nil,
		"TIME and PTTL (pre-7)":  {"--rename-command", "PEXPIRETIME", ""},
		"sizes are not told":     {"--rename-command", "MEMORY", ""},
		"no courtesy of NOTOUCH": {"--rename-command", "CLIENT", ""},
	} {
		t.Run(name, func(t *testing.T) {
			source := own(t, args...)
			ctx := t.Context()
			require.NoError(t, target.Client.FlushAll(ctx).Err())
			pipe := source.Client.Pipeline()
			for i := range 3000 {
				key := fmt.Sprintf("session:%d", i)
				pipe.Set(ctx, key, i, 0)
				if i%3 != 0 {
					pipe.PExpire(ctx, key, time.Hour+time.Duration(i)*time.Millisecond)
				}
			}
			_, err := pipe.Exec(ctx)
			require.NoError(t, err)
			m := Move{From: &Endpoint{URL: source.URL}, To: &Endpoint{URL: target.URL}, Keys: sessions}
			r, err := Copy(ctx, m, CopyOptions{})
			require.NoError(t, err)
			require.EqualValues(t, 3000, r.Copied)
			worst := int64(0)
			clock := func(s *servers.RedisServer, key string) int64 {
				if len(args) > 0 && args[1] == "PEXPIRETIME" && s == source {
					now := s.Client.Time(ctx).Val().UnixMilli()
					left := s.Client.Do(ctx, "PTTL", key).Val().(int64)
					if left < 0 {
						return left
					}
					return now + left
				}
				return s.Client.Do(ctx, "PEXPIRETIME", key).Val().(int64)
			}
			for i := range 300 {
				key := fmt.Sprintf("session:%d", i*10)
				a, b := clock(source, key), clock(target, key)
				require.Equal(t, a == -1, b == -1, key)
				worst = max(worst, max(a, b)-min(a, b))
			}
			t.Logf("worst difference of expiry: %d ms", worst)
			if args == nil {
				require.Zero(t, worst)
			}
			require.LessOrEqual(t, worst, int64(50))
			verified(t, m)
		})
	}
}

func copyLeavesWhatIsThereAndNamesWhatDiffers(t *testing.T, source, target *servers.RedisServer) {
	keep, _ := fillMixed(t, source, 4000)
	ctx := t.Context()
	m := Move{From: all(source), To: all(target), Keys: sessions}
	var total int64
	for _, n := range keep {
		total += n
	}
	// An older try has copied some keys; then the application wrote one of them, and changed one's expiry.
	require.NoError(t, client(t, source, 0).Set(ctx, "session:written", "old", 0).Err())
	require.NoError(t, client(t, source, 1).Set(ctx, "session:longer", "same", 2*time.Hour).Err())
	first, err := Copy(ctx, m, CopyOptions{})
	require.NoError(t, err)
	require.Equal(t, total+2, first.Copied)
	require.Zero(t, first.Exists)
	require.NoError(t, client(t, target, 0).Set(ctx, "session:written", "new", 0).Err())
	require.NoError(t, client(t, target, 1).Set(ctx, "session:longer", "same", 3*time.Hour).Err())
	require.NoError(t, client(t, source, 3).Set(ctx, "session:another", 1, 0).Err())

	again, err := Copy(ctx, m, CopyOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 1, again.Copied)
	require.Equal(t, total+2, again.Exists)
	require.EqualValues(t, 2, again.Differs)
	var named []string
	for _, d := range again.Existing {
		named = append(named, fmt.Sprint(d.DB, " ", d.Key, " ", d.Kind))
	}
	require.ElementsMatch(t, []string{"0 session:written value", "1 session:longer ttl"}, named)
	require.Equal(t, "new", client(t, target, 0).Get(ctx, "session:written").Val(), "what is there is left as it is")
}

func TestCopyOfKeysThatExpireMeanwhile(t *testing.T) {
	source, target := ownPair(t)
	ctx := t.Context()
	// Active expiry off: the keys are still in the table when SCAN passes, as it happens between the server's sweeps.
	require.NoError(t, source.Client.Do(ctx, "DEBUG", "SET-ACTIVE-EXPIRE", 0).Err())
	pipe := source.Client.Pipeline()
	for i := range 2000 {
		pipe.Set(ctx, fmt.Sprintf("session:%d", i), i, 0)
	}
	pipe.Set(ctx, "session:stays", 1, time.Hour)
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
	m := Move{From: &Endpoint{URL: source.URL}, To: &Endpoint{URL: target.URL}, Keys: sessions}
	var expired atomic.Bool
	r, err := Copy(ctx, m, CopyOptions{Workers: 1, Batch: 100, ScanCount: 500, Progress: func(Progress) {
		if expired.CompareAndSwap(false, true) { // some of the first batch are copied, the others expire now
			pipe := source.Client.Pipeline()
			for i := range 2000 {
				pipe.PExpire(ctx, fmt.Sprintf("session:%d", i), time.Millisecond)
			}
			_, _ = pipe.Exec(ctx)
			time.Sleep(5 * time.Millisecond)
		}
	}})
	require.NoError(t, err)
	require.Positive(t, r.Gone)
	require.True(t, r.Complete)
	require.GreaterOrEqual(t, r.Copied, target.Client.DBSize(ctx).Val()) // a few were copied in their last millisecond
	require.LessOrEqual(t, r.Copied+r.Gone, int64(2001))
	require.Less(t, r.Copied, int64(1500), "what had expired is not counted as copied")
	require.Equal(t, source.Client.PExpireTime(ctx, "session:stays").Val(), target.Client.PExpireTime(ctx, "session:stays").Val())
}

func copyHoldsFewLargeValuesAtATime(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	big := strings.Repeat("0123456789abcdef", 3<<16) // 3 MiB, compressible, but not on this wire
	for i := range 40 {
		require.NoError(t, source.Client.Set(ctx, fmt.Sprintf("session:%d", i), big+fmt.Sprint(i), 0).Err())
	}
	require.NoError(t, source.Client.ConfigSet(ctx, "rdbcompression", "no").Err())
	m := Move{From: &Endpoint{URL: source.URL}, To: &Endpoint{URL: target.URL}, Keys: sessions}
	r, err := Copy(ctx, m, CopyOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 40, r.Copied)
	verified(t, m)
	groups := cutGroups([]string{"a", "b", "c", "d", "e"}, 10, func(i int) int64 { return []int64{4, 6, 1, 50, 2}[i] })
	require.Equal(t, []group{{[]string{"a", "b"}, 10}, {[]string{"c"}, 1}, {[]string{"d"}, 50}, {[]string{"e"}, 2}}, groups)
}

// A target that is too small is refused before anything is written; one that fills up unforeseen, before it deletes or refuses anything.
func TestCopyStopsBeforeTheTargetIsFull(t *testing.T) {
	source, target := own(t), own(t, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
	silent := own(t, "--rename-command", "MEMORY", "") // does not tell sizes
	ctx := t.Context()
	for _, s := range []*servers.RedisServer{source, silent} {
		pipe := s.Client.Pipeline()
		for i := range 4000 {
			pipe.Set(ctx, fmt.Sprintf("session:%d", i), strings.Repeat("x", 1000), time.Hour)
		}
		_, err := pipe.Exec(ctx)
		require.NoError(t, err)
	}
	move := func(from *servers.RedisServer) Move {
		return Move{From: &Endpoint{URL: from.URL}, To: &Endpoint{URL: target.URL}, Keys: sessions}
	}
	for policy, says := range map[string]string{"noeviction": "would refuse all writes", "volatile-ttl": "volatile-ttl would delete keys"} {
		require.NoError(t, target.Client.ConfigSet(ctx, "maxmemory-policy", policy).Err())
		r, err := Copy(ctx, move(source), CopyOptions{})
		require.ErrorIs(t, err, ErrRefused)
		require.ErrorContains(t, err, "target "+target.Addr)
		require.ErrorContains(t, err, "left of its maxmemory 3.0 MiB, but the selected keys need about")
		require.ErrorContains(t, err, says)
		require.Zero(t, r.Copied)
		require.Zero(t, target.Client.DBSize(ctx).Val())

		r, err = Copy(ctx, move(silent), CopyOptions{})
		require.ErrorIs(t, err, ErrRefused)
		require.ErrorContains(t, err, "stopped before its maxmemory is reached")
		require.ErrorContains(t, err, says)
		require.ErrorContains(t, err, "give it more memory")
		require.Contains(t, strings.Join(r.Notes, "\n"), "could not be estimated")
		require.False(t, r.Complete)
		require.Positive(t, r.Copied)
		require.Equal(t, target.Client.DBSize(ctx).Val(), r.Copied, "the partial result is exact")
		info := target.Client.Info(ctx, "stats").Val()
		require.Contains(t, info, "evicted_keys:0\r\n")
		require.NoError(t, target.Client.FlushAll(ctx).Err())
	}
	require.NoError(t, target.Client.ConfigSet(ctx, "maxmemory", "100mb").Err())
	r, err := Copy(ctx, move(silent), CopyOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 4000, r.Copied)
	// What is there already needs no room.
	require.NoError(t, target.Client.ConfigSet(ctx, "maxmemory", fmt.Sprint(parseMemory(target.Client.Info(ctx).Val()).used+(4<<20))).Err())
	require.NoError(t, target.Client.Unlink(ctx, "session:7").Err())
	r, err = Copy(ctx, move(source), CopyOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Copied)
	require.EqualValues(t, 3999, r.Exists)
}

func copyCancelledMidway(t *testing.T, source, target *servers.RedisServer) {
	fillMixed(t, source, 6000)
	unchanged(t, source)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var n atomic.Int64
	r, err := Copy(ctx, Move{From: all(source), To: all(target), Keys: everything}, CopyOptions{Batch: 50, ScanCount: 100, Progress: func(Progress) {
		if n.Add(1) == 10 {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, r.Complete)
	require.Positive(t, r.Copied)
	there := int64(0)
	for _, db := range mixedDBs {
		there += client(t, target, db).DBSize(t.Context()).Val()
	}
	require.Equal(t, there, r.Copied, "the partial result is exact")
	copied(t, source, target)
	verified(t, Move{From: all(source), To: all(target), Keys: everything})
}

func TestRestoreErrorSaysWhatAWrongPayloadVersionMeans(t *testing.T) {
	target := servers.Redis(t)
	ctx := t.Context()
	require.NoError(t, target.Client.Set(ctx, "k", "v", 0).Err())
	payload := []byte(target.Client.Dump(ctx, "k").Val())
	payload[len(payload)-10] = 0xff // the version: as a server of the future writes it
	err := target.Client.Restore(ctx, "k2", 0, string(payload)).Err()
	require.Error(t, err)
	c := copier{from: &session{side: "source", id: identity{version: "9.1.2"}}, to: &session{side: "target", addr: target.Addr, id: identity{version: "7.0.15"}}}
	err = c.restoreError(target.Addr, 2, "session:1", err)
	for _, part := range []string{"session:1", "db 2", "version 7.0.15", "version 9.1.2", "newer format", "upgrade the target"} {
		require.ErrorContains(t, err, part)
	}
}

func TestClocksThatAreApartAreRefused(t *testing.T) {
	require.NoError(t, judgeSkew(2*time.Second, 0, 5*time.Second, "x"))
	require.NoError(t, judgeSkew(6*time.Second, 2*time.Second, 5*time.Second, "x"), "what the measurement may be wrong by is no skew")
	require.ErrorContains(t, judgeSkew(time.Hour, time.Second, 5*time.Second, "host:1"), "host:1 is 1h0m0s ahead of")
	err := judgeSkew(-time.Hour, time.Second, 5*time.Second, "host:1")
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "behind")
}

// A value that is past its time by the target's clock would be answered OK and not be there: it is not counted as copied.
func TestWhatIsPastByTheTargetsClockIsNotCountedAsCopied(t *testing.T) {
	source, target := ownPair(t)
	ctx := t.Context()
	require.NoError(t, source.Client.Set(ctx, "session:hour", 1, time.Hour).Err())
	require.NoError(t, source.Client.Set(ctx, "session:day", 1, 24*time.Hour).Err())
	from, to, err := openPair(ctx, all(source), all(target), nil, true)
	require.NoError(t, err)
	defer from.close()
	defer to.close()
	c := &copier{opt: CopyOptions{}.withDefaults(), from: from, to: to, absolute: true, offset: 2 * time.Hour} // as if the target's clock were ahead
	c.saver = &saver{copier: c}
	w := &carrier{copier: c}
	defer w.close()
	var tally DBTally
	keys := []string{"session:hour", "session:day", "session:none"}
	page := &pageWork{walk: c.saver.walk(from.id.runID, 0), open: len(keys)}
	require.NoError(t, w.copy(ctx, parcel{page: page, node: from.nodes[0], db: &tally, keys: keys}))
	require.Positive(t, tally.Bytes)
	tally.Bytes = 0
	require.Equal(t, Tally{Copied: 1, Gone: 2}, tally.Tally)
	require.Zero(t, page.open)
}

func TestOnlyAPrefixThatLeavesNoDoubtIsLeftToTheServer(t *testing.T) {
	for pattern, want := range map[string]string{"session:*": "session:", "カート*": "カート", "*": "", "session": "", "a*b*": "", "a?*": "", "a[0-9]*": "", `a\*`: "", `a\\*`: ""} {
		require.Equal(t, want, Selector{Include: []string{pattern}}.plainPrefix(), pattern)
	}
	require.Empty(t, Selector{Include: []string{"a*", "b*"}}.plainPrefix())
	require.Empty(t, Selector{Match: func(string) bool { return true }}.plainPrefix())
}
