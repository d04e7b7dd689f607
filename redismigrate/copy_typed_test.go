package redismigrate

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// kinds are the servers whose payload versions differ: 10, 12, 11 and 80.
var kinds = []servers.RedisKind{{Version: "7.0"}, {Version: "8.0"}, {Flavour: "valkey", Version: "8.1"}, {Flavour: "valkey", Version: "9.1"}}

const (
	redis70 = iota
	redis80
	valkey81
	valkey91
)

// admitted says for each of kinds which of kinds take its payloads.
var admitted = [][]bool{
	redis70:  {true, true, true, true},
	redis80:  {false, true, false, false},
	valkey81: {false, true, true, true},
	valkey91: {false, false, false, true},
}

// fleet starts one server of each kind, side by side.
func fleet(t *testing.T) []*servers.RedisServer {
	t.Helper()
	list, errs := make([]*servers.RedisServer, len(kinds)), make([]error, len(kinds))
	var group sync.WaitGroup
	for i, kind := range kinds {
		group.Go(func() {
			list[i], errs[i] = servers.StartRedisOf(t.Context(), kind, "--save", "", "--enable-debug-command", "yes")
		})
	}
	group.Wait()
	for i := range kinds {
		require.NoError(t, errs[i])
		t.Cleanup(func() { require.NoError(t, list[i].Close()) })
	}
	return list
}

// TestCopyBetweenVersions is what a copy does between servers that do not read each other's payloads.
func TestCopyBetweenVersions(t *testing.T) {
	t.Parallel()
	list := fleet(t)
	for name, test := range map[string]func(t *testing.T, list []*servers.RedisServer){
		"everyTypeArrives":                 everyTypeArrives,
		"theGateAsksEachVersion":           theGateAsksEachVersion,
		"whatCannotBeCarriedIsNamed":       whatCannotBeCarriedIsNamed,
		"whatIsThereIsLeftByTypes":         whatIsThereIsLeftByTypes,
		"idleTimesOfPendingEntriesArrive":  idleTimesOfPendingEntriesArrive,
		"functionsArriveFromTheirCode":     functionsArriveFromTheirCode,
		"migrateIsRefusedByPayloadVersion": migrateIsRefusedByPayloadVersion,
	} {
		for _, s := range list {
			require.NoError(t, s.Client.FlushAll(t.Context()).Err())
			require.NoError(t, s.Client.FunctionFlush(t.Context()).Err())
		}
		t.Run(name, func(t *testing.T) { test(t, list) })
	}
}

// one is an endpoint for one db of a server, whatever it holds.
func one(s *servers.RedisServer) *Endpoint { return &Endpoint{URL: s.URL} }

func everyTypeArrives(t *testing.T, list []*servers.RedisServer) {
	ctx := t.Context()
	for _, pair := range []struct {
		from, to int
		opt      CopyOptions
	}{
		{redis80, redis70, CopyOptions{}},
		{redis80, valkey81, CopyOptions{BatchBytes: 1}}, // every key by itself, piece by piece
		{redis80, valkey91, CopyOptions{BatchBytes: 1}}, // with expiries of fields
		{valkey91, redis80, CopyOptions{}},
		{valkey81, redis70, CopyOptions{}},
		{redis70, valkey91, CopyOptions{}}, // the payloads are admitted
	} {
		t.Run(kinds[pair.from].String()+" to "+kinds[pair.to].String(), func(t *testing.T) {
			source, target := list[pair.from], list[pair.to]
			for _, s := range []*servers.RedisServer{source, target} {
				require.NoError(t, s.Client.FlushAll(ctx).Err())
			}
			fieldTTL := fillEveryType(t, source.Client)
			require.Equal(t, pair.from == redis80 || pair.from == valkey91, fieldTTL)
			keys := everything
			if pair.to == redis70 || pair.to == valkey81 {
				keys.Exclude = []string{"fields that expire:*"}
			}
			m := Move{From: one(source), To: one(target), Keys: keys}
			unchanged(t, source)
			r, err := Copy(ctx, m, pair.opt)
			require.NoError(t, err)
			require.Equal(t, !admitted[pair.from][pair.to], len(r.Notes) == 1, r.Notes)
			v := verified(t, m)
			require.Equal(t, r.Copied, v.Compared)
			require.Equal(t, r.Copied, target.Client.DBSize(ctx).Val(), "no unfinished key is left")
			sameByOtherMeans(t, source.Client, target.Client)
		})
	}
}

// sameByOtherMeans compares what Verify might treat too kindly.
func sameByOtherMeans(t *testing.T, source, target redis.UniversalClient) {
	t.Helper()
	ctx := t.Context()
	for _, args := range [][]any{
		{"PEXPIRETIME", "string:3"}, {"PEXPIRETIME", "hash:3000"}, {"PEXPIRETIME", "stream:trimmed"}, {"PEXPIRETIME", "list:3"},
		{"XRANGE", "stream:large", "-", "+"}, {"XRANGE", "stream:deleted", "-", "+"}, {"LRANGE", "list:3000", 0, -1},
		{"ZRANGE", "zset:scores", 0, -1}, {"GETRANGE", "string:3MiB", 0, -1},
	} {
		require.Equal(t, source.Do(ctx, args...).Val(), target.Do(ctx, args...).Val(), args)
	}
	for _, key := range []string{"large", "small", "trimmed", "emptied", "deleted", "never", "bare", "last"} {
		a, b := info(source.Do(ctx, "XINFO", "STREAM", "stream:"+key).Val()), info(target.Do(ctx, "XINFO", "STREAM", "stream:"+key).Val())
		for _, field := range []string{"length", "last-generated-id", "max-deleted-entry-id", "entries-added", "recorded-first-entry-id", "groups"} {
			require.Equal(t, a[field], b[field], "%s of stream:%s", field, key)
		}
	}
	scores := map[string]float64{}
	for _, z := range target.ZRangeWithScores(ctx, "zset:scores", 0, -1).Val() {
		scores[z.Member.(string)] = z.Score
	}
	for _, z := range source.ZRangeWithScores(ctx, "zset:scores", 0, -1).Val() {
		require.Equal(t, z.Score, scores[z.Member.(string)], z.Member)
	}
}

func theGateAsksEachVersion(t *testing.T, list []*servers.RedisServer) {
	for i, source := range list {
		for j, target := range list {
			if i == j {
				continue
			}
			from, to, err := openPair(t.Context(), one(source), one(target), nil, true)
			require.NoError(t, err)
			refused, untold, err := unreadPayload(t.Context(), from, to)
			require.NoError(t, err)
			require.Empty(t, untold)
			require.Equal(t, admitted[i][j], refused == "", "%s to %s", kinds[i], kinds[j])
			require.Zero(t, target.Client.DBSize(t.Context()).Val(), "the question creates nothing")
			from.close()
			to.close()
		}
	}
}

func whatCannotBeCarriedIsNamed(t *testing.T, list []*servers.RedisServer) {
	ctx := t.Context()
	source, target := list[redis80], list[redis70]
	require.NoError(t, source.Client.Do(ctx, "VADD", "session:vectors", "VALUES", 2, 1, 2, "a").Err())
	require.NoError(t, source.Client.HSet(ctx, "session:fields", "a", 1, "b", 2).Err())
	require.NoError(t, source.Client.Do(ctx, "HEXPIRE", "session:fields", 1000, "FIELDS", 1, "b").Err())
	for i := range 20 {
		require.NoError(t, source.Client.HSet(ctx, fmt.Sprint("session:", i), "f", i).Err())
	}
	m := Move{From: one(source), To: one(target), Keys: sessions}
	r, err := Copy(ctx, m, CopyOptions{})
	require.ErrorContains(t, err, "2 keys were left out, all others are done")
	require.False(t, r.Complete)
	require.EqualValues(t, 20, r.Copied)
	require.EqualValues(t, 2, r.Uncopied)
	require.EqualValues(t, 20, target.Client.DBSize(ctx).Val())
	why := map[string]string{}
	for _, d := range r.Uncopiable {
		why[d.Key] = d.Detail
	}
	require.Contains(t, why["session:vectors"], "values of type vectorset")
	require.Contains(t, why["session:fields"], `its field "b" expires by itself, which the target`)
	require.Contains(t, r.String(), "could not be copied 2")

	from, to, err := openPair(ctx, one(source), one(target), nil, true)
	require.NoError(t, err)
	defer from.close()
	defer to.close()
	require.ErrorIs(t, copyBig(ctx, from, to, 0, 0, "session:vectors", -1), errNotInPieces)
	require.ErrorIs(t, copyBig(ctx, from, to, 0, 0, "session:none", -1), errKeyGone)
	require.ErrorIs(t, copyBig(ctx, from, to, 0, 0, "session:1", -1), errKeyExists)
}

func whatIsThereIsLeftByTypes(t *testing.T, list []*servers.RedisServer) {
	ctx := t.Context()
	source, target := list[redis80], list[redis70]
	fill := func(c *redis.Client, value string) {
		c.Set(ctx, "session:string", value, 0)
		c.Set(ctx, "session:expires", value, time.Hour)
		c.RPush(ctx, "session:list", "a", value)
		c.SAdd(ctx, "session:set", "a", value)
		c.HSet(ctx, "session:hash", "a", value)
		c.ZAdd(ctx, "session:zset", redis.Z{Score: 1, Member: value})
		c.XAdd(ctx, &redis.XAddArgs{Stream: "session:stream", ID: "1-1", Values: []string{"a", value}})
	}
	fill(source.Client, "theirs")
	fill(target.Client, "ours")
	require.NoError(t, source.Client.Set(ctx, "session:same", 1, time.Hour).Err())
	require.NoError(t, target.Client.Do(ctx, "SET", "session:same", 1, "PXAT", source.Client.Do(ctx, "PEXPIRETIME", "session:same").Val()).Err())
	unchanged(t, target, source)
	for _, opt := range []CopyOptions{{}, {BatchBytes: 1}} {
		r, err := Copy(ctx, Move{From: one(source), To: one(target), Keys: sessions}, opt)
		require.NoError(t, err)
		require.Zero(t, r.Copied)
		require.EqualValues(t, 8, r.Exists)
		require.EqualValues(t, 7, r.Differs)
		require.EqualValues(t, 8, target.Client.DBSize(ctx).Val())
	}
}

func idleTimesOfPendingEntriesArrive(t *testing.T, list []*servers.RedisServer) {
	ctx := t.Context()
	source, target := list[valkey91], list[redis70]
	for _, words := range []string{"XADD s 1-1 f v", "XADD s 2-1 f v", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c STREAMS s >"} {
		require.NoError(t, do(ctx, source.Client, words))
	}
	hourAgo := source.Client.Time(ctx).Val().Add(-time.Hour).UnixMilli()
	require.NoError(t, source.Client.Do(ctx, "XCLAIM", "s", "g", "d", 0, "2-1", "TIME", hourAgo, "RETRYCOUNT", 9, "JUSTID").Err())
	_, err := Copy(ctx, Move{From: one(source), To: one(target), Keys: everything}, CopyOptions{})
	require.NoError(t, err)
	list2 := target.Client.XPendingExt(ctx, &redis.XPendingExtArgs{Stream: "s", Group: "g", Start: "-", End: "+", Count: 10}).Val()
	require.Len(t, list2, 2)
	require.Equal(t, "d", list2[1].Consumer)
	require.EqualValues(t, 9, list2[1].RetryCount)
	require.InDelta(t, time.Hour.Seconds(), list2[1].Idle.Seconds(), 60)
	require.Less(t, list2[0].Idle, time.Minute)
}

const library = "#!lua name=%s\nredis.register_function('%s_f', function(keys, args) return %d end)"

func functionsArriveFromTheirCode(t *testing.T, list []*servers.RedisServer) {
	ctx := t.Context()
	source, target := list[redis80], list[valkey81]
	for _, name := range []string{"one", "two", "three"} {
		require.NoError(t, source.Client.FunctionLoad(ctx, fmt.Sprintf(library, name, name, len(name))).Err())
	}
	require.NoError(t, target.Client.FunctionLoad(ctx, fmt.Sprintf(library, "one", "one", 3)).Err())
	m := Move{From: one(source), To: one(target)}
	r, err := CopyFunctions(ctx, m, FunctionsOptions{Libraries: []string{"one", "two"}})
	require.NoError(t, err)
	require.Equal(t, FunctionsResult{Complete: true, Copied: []string{"two"}, Exists: []string{"one"}}, r)
	require.NoError(t, target.Client.FunctionFlush(ctx).Err())
	r, err = CopyFunctions(ctx, m, FunctionsOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"one", "three", "two"}, r.Copied)
	require.Contains(t, strings.Join(r.Notes, "\n"), "loaded one by one")
	require.EqualValues(t, 5, target.Client.FCall(ctx, "three_f", nil).Val())

	require.NoError(t, target.Client.FunctionLoadReplace(ctx, fmt.Sprintf(library, "two", "two", 99)).Err())
	require.NoError(t, target.Client.FunctionDelete(ctx, "one").Err())
	r, err = CopyFunctions(ctx, m, FunctionsOptions{})
	require.ErrorContains(t, err, `it has library "two" with other code`)
	require.Equal(t, FunctionsResult{Exists: []string{"three"}, Differs: []string{"two"}}, r)
	require.EqualValues(t, 99, target.Client.FCall(ctx, "two_f", nil).Val())
	require.Len(t, target.Client.FunctionList(ctx, redis.FunctionListQuery{}).Val(), 2, "nothing was written")
	_, err = CopyFunctions(ctx, m, FunctionsOptions{Libraries: []string{"four"}})
	require.ErrorContains(t, err, `it has no library "four"`)
}

func migrateIsRefusedByPayloadVersion(t *testing.T, list []*servers.RedisServer) {
	_, err := Copy(t.Context(), Move{From: one(list[redis80]), To: one(list[redis70]), Keys: everything}, CopyOptions{Strategy: MigrateKeys})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "payload version 12")
	require.ErrorContains(t, err, "use the default strategy")
}
