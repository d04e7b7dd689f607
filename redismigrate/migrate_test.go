package redismigrate

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// TestMigrate is what a copy by MIGRATE does.
func TestMigrate(t *testing.T) {
	onOnePair(t, map[string]func(t *testing.T, source, target *servers.RedisServer){
		"migrateCopiesAndLeavesTheSource":       migrateCopiesAndLeavesTheSource,
		"migrateStopsWhereTheAddressLeadsAway":  migrateStopsWhereTheAddressLeadsAway,
		"keysThatComeMeanwhileAreToldApart":     keysThatComeMeanwhileAreToldApart,
		"functionsArriveAllAtOnceOrNotAtAll":    functionsArriveAllAtOnceOrNotAtAll,
		"migrateSaysWhatItCannotReachOrBeAsked": migrateSaysWhatItCannotReachOrBeAsked,
	})
}

func migrateCopiesAndLeavesTheSource(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	keep, _ := fillMixed(t, source, 4000)
	total := int64(0)
	for _, n := range keep {
		total += n
	}
	require.NoError(t, client(t, target, 1).Set(ctx, "session:there", "ours", 0).Err())
	require.NoError(t, client(t, source, 1).Set(ctx, "session:there", "theirs", 0).Err())
	require.NoError(t, target.Client.ConfigSet(ctx, "requirepass", "secret word").Err())
	defer func() { require.NoError(t, target.Client.Do(ctx, "CONFIG", "SET", "requirepass", "").Err()) }()
	unchanged(t, source)
	to := &Endpoint{URL: "redis://:secret%20word@" + target.Addr, AllDBs: true}
	m := Move{From: all(source), To: to, Keys: sessions}
	r, err := Copy(ctx, m, CopyOptions{Strategy: MigrateKeys, TargetFromSource: target.Direct()})
	require.NoError(t, err)
	require.Equal(t, total, r.Copied)
	require.EqualValues(t, 1, r.Exists)
	require.EqualValues(t, 1, r.Differs)
	require.Zero(t, r.Gone)
	require.Contains(t, r.Notes[0], "expiries")
	v, err := Verify(ctx, m, VerifyOptions{TTLTolerance: 10 * time.Second})
	require.NoError(t, err)
	require.EqualValues(t, 1, v.Total, v.Differences)
	require.Equal(t, "session:there", v.Differences[0].Key)
}

func migrateStopsWhereTheAddressLeadsAway(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	elsewhere := own(t)
	for i := range 100 {
		require.NoError(t, source.Client.Set(ctx, fmt.Sprint("session:", i), i, 0).Err())
	}
	r, err := Copy(ctx, Move{From: one(source), To: one(target), Keys: sessions}, CopyOptions{Strategy: MigrateKeys, TargetFromSource: elsewhere.Direct()})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "leads to another server, which now has that one key")
	require.Zero(t, r.Copied)
	require.EqualValues(t, 1, elsewhere.Client.DBSize(ctx).Val())
	require.Zero(t, target.Client.DBSize(ctx).Val())
}

func keysThatComeMeanwhileAreToldApart(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	from, to, err := openPair(ctx, one(source), one(target), nil, true)
	require.NoError(t, err)
	defer from.close()
	defer to.close()
	m, err := newMigrator(ctx, from, to, target.Direct())
	require.NoError(t, err)
	keys := []string{"a", "b", "c", "d", "none"}
	for _, key := range keys[:4] {
		require.NoError(t, source.Client.Set(ctx, key, key, 0).Err())
	}
	require.NoError(t, target.Client.Set(ctx, "c", "ours", 0).Err())
	m.proved = true
	var done Tally
	var suspects []string
	n, err := m.next(ctx, 0, 0, keys, &done, &suspects) // as if c had come after the keys were looked for
	require.NoError(t, err)
	require.Equal(t, 5, n)
	require.Equal(t, Tally{Gone: 1}, done)
	require.Equal(t, []string{"a", "b", "c", "d"}, suspects, "the first try has written all but c")
	require.Equal(t, "ours", target.Client.Get(ctx, "c").Val())
}

func functionsArriveAllAtOnceOrNotAtAll(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	for _, s := range []*servers.RedisServer{source, target} {
		defer s.Client.FunctionFlush(context.WithoutCancel(ctx))
	}
	m := Move{From: one(source), To: one(target)}
	r, err := CopyFunctions(ctx, m, FunctionsOptions{})
	require.NoError(t, err)
	require.Equal(t, FunctionsResult{Complete: true}, r, "nothing to do")
	for _, name := range []string{"one", "two"} {
		require.NoError(t, source.Client.FunctionLoad(ctx, fmt.Sprintf(library, name, name, len(name))).Err())
	}
	r, err = CopyFunctions(ctx, m, FunctionsOptions{})
	require.NoError(t, err)
	require.Equal(t, FunctionsResult{Complete: true, Copied: []string{"one", "two"}}, r)
	r, err = CopyFunctions(ctx, m, FunctionsOptions{})
	require.NoError(t, err)
	require.Equal(t, FunctionsResult{Complete: true, Exists: []string{"one", "two"}}, r)
	require.NoError(t, target.Client.FunctionFlush(ctx).Err())
	require.NoError(t, target.Client.FunctionLoad(ctx, fmt.Sprintf(library, "other", "one", 3)).Err()) // registers the same function
	r, err = CopyFunctions(ctx, m, FunctionsOptions{})
	require.ErrorContains(t, err, "one_f")
	require.False(t, r.Complete)
	require.Empty(t, r.Copied)
	require.Len(t, target.Client.FunctionList(ctx, redis.FunctionListQuery{}).Val(), 1)
	_, err = CopyFunctions(ctx, Move{From: one(source), To: one(source)}, FunctionsOptions{})
	require.ErrorIs(t, err, ErrRefused)
}

func migrateSaysWhatItCannotReachOrBeAsked(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	require.NoError(t, source.Client.Set(ctx, "session:1", 1, time.Hour).Err())
	m := Move{From: one(source), To: one(target), Keys: sessions}
	_, err := Copy(ctx, m, CopyOptions{Strategy: MigrateKeys, TargetFromSource: "127.0.0.1:1"})
	require.ErrorContains(t, err, "IOERR")
	require.ErrorContains(t, err, "TargetFromSource")
	_, err = Copy(ctx, m, CopyOptions{Strategy: "rsync"})
	require.ErrorContains(t, err, `Strategy is "rsync"`)
	require.NoError(t, source.Client.Do(ctx, "ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@all", "-migrate").Err())
	m.From = &Endpoint{URL: "redis://reader:pw@" + source.Addr}
	_, err = Copy(ctx, m, CopyOptions{Strategy: MigrateKeys})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "does not let MIGRATE")
	require.NotContains(t, err.Error(), "pw@")
}
