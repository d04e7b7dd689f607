package redismigrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// group returns the group of a name.
func groupOf(t *testing.T, groups []Group, name string) Group {
	t.Helper()
	for _, g := range groups {
		if g.Name == name {
			return g
		}
	}
	require.Fail(t, "no such group", "%q in %v", name, groups)
	return Group{}
}

// onekey is what the server says of a key.
type onekey struct {
	key, kind string
	bytes     int64
	forever   bool
}

// oneByOne asks the server about each of its keys.
func oneByOne(t *testing.T, c *redis.Client) []onekey {
	t.Helper()
	ctx := t.Context()
	keys := c.Keys(ctx, "*").Val()
	pipe := c.Pipeline()
	for _, key := range keys {
		pipe.Type(ctx, key)
		pipe.MemoryUsage(ctx, key)
		pipe.TTL(ctx, key)
	}
	cmds, err := pipe.Exec(ctx)
	require.NoError(t, err)
	out := make([]onekey, len(keys))
	for i, key := range keys {
		out[i] = onekey{key, cmds[3*i].(*redis.StatusCmd).Val(), cmds[3*i+1].(*redis.IntCmd).Val(), cmds[3*i+2].(*redis.DurationCmd).Val() < 0}
	}
	return out
}

func exactly(n int64) Estimate { return Estimate{n, n, n} }

func TestMeasure(t *testing.T) {
	server := own(t)
	for name, test := range map[string]func(t *testing.T, s *servers.RedisServer){
		"full":         measureFull,
		"sampled":      measureSampled,
		"by length":    measureByLength,
		"given":        measureGiven,
		"service keys": measureServiceKeys,
		"expiring":     measureExpiring,
		"rehashing":    measureRehashing,
		"empty":        measureEmpty,
		"stopped":      measureStopped,
		"rate":         measureRate,
		"big keys":     measureBigKeys,
	} {
		require.NoError(t, server.Client.FlushAll(t.Context()).Err())
		t.Run(name, func(t *testing.T) { test(t, server) })
	}
}

// everything in the census agrees with what was written, and with what the server says key by key.
func measureFull(t *testing.T, s *servers.RedisServer) {
	keep, drop := fillMixed(t, s, 2520)
	unchanged(t, s)
	var last Progress
	c, err := Measure(t.Context(), all(s), MeasureOptions{Keys: sessions, Batch: 100, ScanCount: 300, Progress: func(p Progress) { last = p }})
	require.NoError(t, err)
	require.True(t, c.Complete)
	require.False(t, c.Approximate || c.Sampled || c.Replica)
	require.Equal(t, ByMemory, c.Method)
	require.EqualValues(t, 2520, c.Weighed)
	require.Zero(t, c.Gone)
	require.Equal(t, Progress{Job: "measure", DB: 3, Pass: 1, Scanned: 840, Total: 840, Done: 840}, last)

	var keys, selected, bytes, chosen, none int64
	types := map[string]int64{}
	for _, db := range mixedDBs {
		dbBytes := int64(0)
		for _, k := range oneByOne(t, client(t, s, db)) {
			dbBytes += k.bytes
			types[k.kind] += k.bytes
			if strings.HasPrefix(k.key, "session:") {
				chosen += k.bytes
			}
			if k.forever {
				none++
			}
		}
		g := groupOf(t, c.DBs, fmt.Sprint(db))
		require.Equal(t, exactly(keep[db]+drop[db]), g.Keys)
		require.Equal(t, exactly(dbBytes), g.Bytes)
		require.Equal(t, keep[db], g.Selected)
		keys, selected, bytes = keys+keep[db]+drop[db], selected+keep[db], bytes+dbBytes
	}
	require.Equal(t, Amount{exactly(keys), exactly(bytes), c.Total.TTL}, c.Total)
	require.Equal(t, none, c.Total.TTL.None)
	require.Equal(t, keys-none, c.Total.TTL.Hour+c.Total.TTL.Day, "written with an hour and some milliseconds")
	require.Equal(t, exactly(selected), c.Selected.Keys)
	require.Equal(t, exactly(chosen), c.Selected.Bytes)
	require.Len(t, c.Types, len(types))
	for kind, n := range types {
		require.Equal(t, exactly(n), groupOf(t, c.Types, kind).Bytes, kind)
	}
	require.Len(t, c.Prefixes, 4)
	for _, name := range []string{"session:*", "user:*", "カート:*", "log\x00*:*"} {
		g := groupOf(t, c.Prefixes, name)
		require.Equal(t, exactly(630), g.Keys)
		require.True(t, g.Exact)
		require.Equal(t, name, g.Glob)
	}
	require.Greater(t, int64(c.MemoryLimit), bytes)
	require.Len(t, c.Biggest, 20)
	require.Equal(t, "stream", c.Biggest[0].Type)
	require.EqualValues(t, 1, c.Biggest[0].Elements)

	text, err := json.Marshal(c)
	require.NoError(t, err)
	var back Census
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, c.Prefixes, back.Prefixes, "also names with control characters")
}

func measureSampled(t *testing.T, s *servers.RedisServer) {
	ctx := t.Context()
	pipe := s.Client.Pipeline()
	for i := range 12_000 {
		pipe.Set(ctx, fmt.Sprintf("a:%d", i), strings.Repeat("x", 1+i%300), time.Duration(i%2)*time.Hour)
	}
	pipe.SAdd(ctx, "rare:set", 1, 2, 3)
	for i := range 5 {
		pipe.Set(ctx, fmt.Sprintf("few:%d", i), strings.Repeat("x", 5000), 0)
	}
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
	full, err := Measure(ctx, all(s), MeasureOptions{Keys: Selector{Include: []string{"a:*"}}})
	require.NoError(t, err)
	for _, opt := range []MeasureOptions{{Sample: 0.1}, {SampleKeys: 1200}} {
		opt.Keys = Selector{Include: []string{"a:*"}}
		c, err := Measure(ctx, all(s), opt)
		require.NoError(t, err)
		require.True(t, c.Sampled && c.Complete && !c.Approximate)
		require.InDelta(t, 1000+1100, c.Weighed, 60)
		require.InDelta(t, 0.95, c.Confidence, 0)
		require.Equal(t, full.Total.Keys, c.Total.Keys, "keys are counted, not estimated")
		require.Equal(t, groupOf(t, full.Types, "set"), groupOf(t, c.Types, "set"), "what is rare is weighed whole")
		require.Equal(t, full.Selected.Keys, c.Selected.Keys)
		for _, pair := range [][2]Amount{{full.Total, c.Total}, {*full.Selected, *c.Selected}, {groupOf(t, full.Prefixes, "few:*").Amount, groupOf(t, c.Prefixes, "few:*").Amount}} {
			want, got := pair[0].Bytes.Value, pair[1].Bytes
			require.LessOrEqual(t, got.Low, want)
			require.GreaterOrEqual(t, got.High, want)
			require.LessOrEqual(t, got.High, int64(c.MemoryLimit))
		}
		require.InEpsilon(t, full.Total.Bytes.Value, c.Total.Bytes.Value, 0.1)
		require.Equal(t, c.Total.Keys.Value, c.Total.TTL.None+c.Total.TTL.Hour)
		require.InDelta(t, 6000, c.Total.TTL.Hour, 800)
		require.Contains(t, c.String(), "with 95 % confidence")
	}
	one, err := Measure(ctx, all(s), MeasureOptions{SampleKeys: 1_000_000})
	require.NoError(t, err)
	require.False(t, one.Sampled)
}

// A server that forbids MEMORY USAGE, by ACL.
func measureByLength(t *testing.T, s *servers.RedisServer) {
	ctx := t.Context()
	require.NoError(t, s.Client.Do(ctx, "ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@read", "+@connection", "+info", "+scan", "+dbsize", "-memory").Err())
	defer s.Client.Do(ctx, "ACL", "DELUSER", "reader")
	e := &Endpoint{URL: "redis://reader:secret@" + s.Addr}
	c := s.Client
	require.NoError(t, c.Set(ctx, "s:1", strings.Repeat("x", 1000), 0).Err())
	require.NoError(t, c.Set(ctx, "s:2", "", 0).Err())
	require.NoError(t, c.HSet(ctx, "h:1", "field", "value", "f2", "v2").Err())
	require.NoError(t, c.RPush(ctx, "l:1", "abc", "de").Err())
	require.NoError(t, c.SAdd(ctx, "t:1", "abc", "de").Err())
	require.NoError(t, c.ZAdd(ctx, "z:1", redis.Z{Score: 1, Member: "abc"}).Err())
	require.NoError(t, c.XAdd(ctx, &redis.XAddArgs{Stream: "x:1", ID: "1-1", Values: []any{"f", "v"}}).Err())
	pipe := c.Pipeline()
	for i := range 3000 {
		pipe.RPush(ctx, "l:2", fmt.Sprintf("%04d", i))
		pipe.HSet(ctx, "h:2", fmt.Sprintf("%04d", i), "123456")
	}
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
	census, err := Measure(ctx, e, MeasureOptions{})
	require.NoError(t, err)
	require.Equal(t, ByLength, census.Method)
	require.Contains(t, census.String(), "MEMORY USAGE is not allowed")
	got := map[string]int64{}
	for _, k := range census.Biggest {
		got[k.Key] = k.Bytes
	}
	require.Equal(t, map[string]int64{
		"s:1": 1003, "s:2": 3, "h:1": 3 + 14, "l:1": 3 + 5, "t:1": 3 + 5, "z:1": 3 + 4, "x:1": 3 + 5, "l:2": 3 + 12_000, "h:2": 3 + 30_000,
	}, got)
	require.EqualValues(t, 3000, census.Biggest[0].Elements)

	// And one who may not even ask for types.
	require.NoError(t, c.Do(ctx, "ACL", "SETUSER", "reader", "-type").Err())
	census, err = Measure(ctx, e, MeasureOptions{})
	require.ErrorContains(t, err, "redismigrate: measure: source "+s.Addr+": type of key")
	require.ErrorContains(t, err, "lacks that permission")
	require.NotContains(t, err.Error(), "secret")
	require.False(t, census.Complete)
}

func measureGiven(t *testing.T, s *servers.RedisServer) {
	fillMixed(t, s, 1260)
	c, err := Measure(t.Context(), all(s), MeasureOptions{Prefixes: []string{"user:*", "カート:*", "missing:*"}})
	require.NoError(t, err)
	var names []string
	for _, g := range c.Prefixes {
		names = append(names, fmt.Sprint(g.Name, " ", g.Keys.Value, " ", g.Exact))
	}
	require.Equal(t, []string{"user:* 315 true", "カート:* 315 true", "missing:* 0 true", "(other) 630 false"}, names)
	require.Empty(t, c.Prefixes[3].Glob)
}

func measureServiceKeys(t *testing.T, s *servers.RedisServer) {
	require.NoError(t, s.Client.MSet(t.Context(), "a:1", 1, elastiCacheKey, 2, canaryPrefix+"x", 3).Err())
	c, err := Measure(t.Context(), all(s), MeasureOptions{})
	require.NoError(t, err)
	require.Equal(t, exactly(1), c.Total.Keys)
	require.EqualValues(t, 2, c.ServiceKeys)
	require.False(t, c.Approximate)
}

// Keys that expire during the run are not counted twice, and not as there; the census says that it is approximate.
func measureExpiring(t *testing.T, s *servers.RedisServer) {
	ctx := t.Context()
	require.NoError(t, s.Client.Do(ctx, "DEBUG", "SET-ACTIVE-EXPIRE", "0").Err())
	defer s.Client.Do(ctx, "DEBUG", "SET-ACTIVE-EXPIRE", "1")
	pipe := s.Client.Pipeline()
	for i := range 3000 {
		pipe.Set(ctx, fmt.Sprintf("stays:%d", i), i, 0)
		pipe.Set(ctx, fmt.Sprintf("goes:%d", i), i, 0)
	}
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
	gone := false
	for _, opt := range []MeasureOptions{{}, {Sample: 0.5}} {
		gone = false
		opt.Batch, opt.Workers, opt.ScanCount = 100, 1, 1000
		opt.Progress = func(Progress) {
			if gone {
				return
			}
			gone = true
			pipe := s.Client.Pipeline()
			for i := range 3000 {
				pipe.Del(ctx, fmt.Sprintf("goes:%d", i))
			}
			_, err := pipe.Exec(ctx)
			require.NoError(t, err)
		}
		c, err := Measure(ctx, all(s), opt)
		require.NoError(t, err)
		require.True(t, c.Complete && c.Approximate)
		require.Equal(t, exactly(3000), groupOf(t, c.Prefixes, "stays:*").Keys)
		require.EqualValues(t, 3000, c.Total.Keys.Low)
		require.EqualValues(t, 6000, c.Total.Keys.High)
		require.Positive(t, c.Gone)
		require.Equal(t, c.Total.Keys.Value, c.Total.TTL.None)
		require.Contains(t, c.String(), "approximate: the keys changed")
		for i := range 3000 { // again for the sample
			pipe.Set(ctx, fmt.Sprintf("goes:%d", i), i, 0)
		}
		_, err = pipe.Exec(ctx)
		require.NoError(t, err)
	}
}

// While the server grows or shrinks its table, SCAN shows keys twice: the census agrees with DBSIZE or says that it is approximate.
func measureRehashing(t *testing.T, s *servers.RedisServer) {
	ctx := t.Context()
	fill := func(from, to int) {
		pipe := s.Client.Pipeline()
		for i := from; i < to; i++ {
			pipe.Set(ctx, fmt.Sprintf("k:%d", i), "", 0)
		}
		_, err := pipe.Exec(ctx)
		require.NoError(t, err)
	}
	fill(0, 4096)
	grown := false
	c, err := Measure(ctx, all(s), MeasureOptions{ScanCount: 200, Batch: 100, Workers: 1, Progress: func(Progress) {
		if !grown {
			fill(4096, 9000)
			pipe := s.Client.Pipeline()
			for i := 4096; i < 9000; i++ {
				pipe.Del(ctx, fmt.Sprintf("k:%d", i))
			}
			_, err := pipe.Exec(ctx)
			require.NoError(t, err)
			grown = true
		}
	}})
	require.NoError(t, err)
	size := s.Client.DBSize(ctx).Val()
	require.EqualValues(t, 4096, size)
	if c.Total.Keys.Value != size {
		require.True(t, c.Approximate)
	}
	require.LessOrEqual(t, c.Total.Keys.Low, size)
	require.GreaterOrEqual(t, c.Total.Keys.High, size)
}

func measureEmpty(t *testing.T, s *servers.RedisServer) {
	for _, e := range []*Endpoint{all(s), {URL: s.URL, DBs: []int{0, 5}}} {
		c, err := Measure(t.Context(), e, MeasureOptions{Keys: sessions, Sample: 0.5})
		require.NoError(t, err)
		require.True(t, c.Complete)
		require.False(t, c.Sampled)
		require.Zero(t, c.Total)
		require.Zero(t, *c.Selected)
		require.NotEmpty(t, c.String())
	}
}

// A run that was stopped says so, and claims no upper bound.
func measureStopped(t *testing.T, s *servers.RedisServer) {
	fillMixed(t, s, 3000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, err := Measure(ctx, all(s), MeasureOptions{Batch: 50, ScanCount: 100, Progress: func(Progress) { cancel() }})
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, c.Complete)
	require.Positive(t, c.Total.Keys.Value)
	require.Less(t, c.Total.Keys.Value, int64(3000))
	for _, a := range []Estimate{c.Total.Keys, c.Total.Bytes, c.Types[0].Keys, c.Prefixes[0].Bytes, c.DBs[0].Keys} {
		require.EqualValues(t, NoBound, a.High)
	}
	require.False(t, c.Prefixes[0].Exact)
	require.Contains(t, c.String(), "NOT COMPLETE")
}

func measureRate(t *testing.T, s *servers.RedisServer) {
	fillMixed(t, s, 600)
	start := time.Now()
	var reports int
	_, err := Measure(t.Context(), all(s), MeasureOptions{MaxRate: 1000, Batch: 50, Progress: func(Progress) { reports++ }})
	require.NoError(t, err)
	require.GreaterOrEqual(t, reports, 12)
	require.GreaterOrEqual(t, time.Since(start), 500*time.Millisecond, "550 keys had to wait for those before") // a rate is about time; slower is no fault

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = Measure(ctx, all(s), MeasureOptions{MaxRate: 1})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// The largest keys are found among small ones, with their numbers of elements; Members decides how exactly unequal ones are weighed.
func measureBigKeys(t *testing.T, s *servers.RedisServer) {
	ctx := t.Context()
	fillMixed(t, s, 600)
	require.NoError(t, s.Client.Set(ctx, "大きい", strings.Repeat("x", 30<<20), 0).Err())
	pipe := s.Client.Pipeline()
	for i := range 5000 {
		pipe.HSet(ctx, "users", fmt.Sprintf("%05d", i), strings.Repeat("x", 1+i%2*2000))
	}
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
	exact, err := s.Client.MemoryUsage(ctx, "users", 0).Result()
	require.NoError(t, err)
	c, err := Measure(ctx, all(s), MeasureOptions{Members: -1, Biggest: 2})
	require.NoError(t, err)
	require.Equal(t, []BigKey{
		{DB: 0, Key: "大きい", Type: "string", Bytes: c.Biggest[0].Bytes, Elements: 30 << 20},
		{DB: 0, Key: "users", Type: "hash", Bytes: exact, Elements: 5000},
	}, c.Biggest)
	require.Greater(t, c.Biggest[0].Bytes, int64(30<<20))
	c, err = Measure(ctx, all(s), MeasureOptions{Members: 1000, Biggest: -1})
	require.NoError(t, err)
	require.Empty(t, c.Biggest)
	require.InEpsilon(t, exact, groupOf(t, c.Prefixes, "users").Bytes.Value, 0.2)
}

func TestMeasureRefusesBadOptions(t *testing.T) {
	e := &Endpoint{URL: "redis://127.0.0.1:1"}
	for want, opt := range map[string]MeasureOptions{
		"the option Sample is 1.5; it is the fraction of the keys to weigh, between 0 and 1 (SampleKeys takes a number of keys)": {Sample: 1.5},
		"SampleKeys is -1; it is the number of keys to weigh":                                                                    {SampleKeys: -1},
		"both Sample and SampleKeys are set; set one of them":                                                                    {Sample: 0.1, SampleKeys: 1},
		"the selector has only Exclude patterns":                                                                                 {Keys: Selector{Exclude: []string{"a"}}},
		`write "session:*" for the keys that begin so`:                                                                           {Prefixes: []string{"session:"}},
		"connection refused": {},
	} {
		c, err := Measure(t.Context(), e, opt)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "redismigrate: measure: ")
		require.False(t, c.Complete)
	}
	_, err := Measure(t.Context(), nil, MeasureOptions{})
	require.ErrorContains(t, err, "no endpoint is given")
}

// MEMORY taken away by rename-command, as managed services do, and a replica as the source.
func TestMeasureOfAReplicaWithoutMemory(t *testing.T) {
	t.Parallel()
	master := own(t)
	replica := own(t, "--rename-command", "MEMORY", "")
	fillMixed(t, master, 600)
	host, port, _ := strings.Cut(master.Direct(), ":")
	require.NoError(t, replica.Client.Do(t.Context(), "REPLICAOF", host, port).Err())
	require.Eventually(t, func() bool {
		return strings.Contains(replica.Client.Info(t.Context(), "replication").Val(), "master_link_status:up")
	}, 30*time.Second, 50*time.Millisecond)
	c, err := Measure(t.Context(), all(replica), MeasureOptions{})
	require.NoError(t, err)
	require.True(t, c.Complete && c.Replica)
	require.Equal(t, ByLength, c.Method)
	require.Equal(t, exactly(600), c.Total.Keys)
	require.Contains(t, c.String(), "(a replica)")
}

// All masters of a cluster are counted.
func TestMeasureOfACluster(t *testing.T) {
	ctx := t.Context()
	var nodes []*servers.RedisServer
	for range 2 {
		nodes = append(nodes, own(t, "--cluster-enabled", "yes"))
	}
	for i, slots := range [][2]int{{0, 8191}, {8192, 16383}} {
		require.NoError(t, nodes[i].Client.ClusterAddSlotsRange(ctx, slots[0], slots[1]).Err())
	}
	host, port, _ := strings.Cut(nodes[1].Direct(), ":")
	require.NoError(t, nodes[0].Client.ClusterMeet(ctx, host, port).Err())
	require.Eventually(t, func() bool {
		for _, n := range nodes {
			if !strings.Contains(n.Client.ClusterInfo(ctx).Val(), "cluster_state:ok") {
				return false
			}
		}
		return true
	}, 30*time.Second, 50*time.Millisecond)
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nodes[0].Direct()}})
	defer c.Close()
	pipe := c.Pipeline()
	for i := range 2000 {
		pipe.Set(ctx, fmt.Sprintf("{user:%d}:cart", i), i, 0)
	}
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
	census, err := Measure(ctx, &Endpoint{URL: "redis://" + nodes[1].Direct()}, MeasureOptions{Batch: 100})
	require.NoError(t, err)
	require.True(t, census.Complete)
	require.Equal(t, exactly(2000), census.Total.Keys)
	require.EqualValues(t, 2000, census.Weighed)
	require.Equal(t, "{user:*}:cart", census.Prefixes[0].Glob)
	require.Greater(t, int64(census.MemoryLimit), census.Total.Bytes.Value)
}

// A server that dies in the middle: an error that names it, and what was counted until then.
func TestMeasureWhenTheServerIsKilled(t *testing.T) {
	s := own(t)
	fillMixed(t, s, 3000)
	killed := false
	c, err := Measure(t.Context(), all(s), MeasureOptions{Batch: 50, ScanCount: 100, Progress: func(Progress) {
		if !killed {
			killed = true
			require.NoError(t, s.Kill())
		}
	}})
	require.ErrorContains(t, err, "source "+s.Addr)
	require.False(t, errors.Is(err, context.Canceled))
	require.False(t, c.Complete)
	require.Positive(t, c.Total.Keys.Value)
	require.Contains(t, c.String(), "NOT COMPLETE")
}
