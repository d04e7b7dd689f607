package redismigrate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestKeySums(t *testing.T) {
	both := func(t *testing.T, source, target []string) *keySums {
		s := newKeySums(maphash.MakeSeed())
		for _, key := range source {
			s.add(key, 1)
		}
		for _, key := range target {
			s.add(key, -1)
		}
		return s
	}
	list := func(from, to int) (out []string) {
		for i := from; i < to; i++ {
			out = append(out, fmt.Sprint("key:", i))
		}
		return out
	}
	require.True(t, both(t, nil, nil).settled())
	require.True(t, both(t, list(0, 50_000), list(0, 50_000)).settled())
	for name, s := range map[string]*keySums{
		"one more on the target":       both(t, list(0, 1000), list(0, 1001)),
		"one more on the source":       both(t, list(0, 1001), list(0, 1000)),
		"one for another":              both(t, list(0, 1000), list(1, 1001)),
		"one twice":                    both(t, append(list(0, 1000), "key:1"), list(0, 1000)),
		"one twice and one for it":     both(t, append(list(0, 1000), "key:1"), list(0, 1001)),
		"only on the target":           both(t, nil, []string{""}),
		"as many, in one bucket or so": both(t, list(0, 20_000), list(20_000, 40_000)),
	} {
		require.False(t, s.settled(), name)
	}
	seed := maphash.MakeSeed()
	for i := 0; ; i++ { // one for another of the same bucket: only the sum tells
		one := newKeySums(seed)
		one.add("a", 1)
		if other := fmt.Sprint(i); one.differs(other) {
			one.add(other, -1)
			require.False(t, one.settled())
			require.True(t, one.differs("a"))
			break
		}
	}
	s := both(t, list(0, 1000), append(list(0, 1000), "extra"))
	require.True(t, s.differs("extra"))
	asked := 0
	for _, key := range list(0, 1000) {
		if s.differs(key) {
			asked++
		}
	}
	require.Less(t, asked, 20, "few others share its bucket")
}

// TestVerifyKeys is about which keys are where, on one pair of servers that is emptied in between.
func TestVerifyKeys(t *testing.T) {
	t.Parallel()
	onOnePair(t, map[string]func(t *testing.T, source, target *servers.RedisServer){
		"verifyMapsDBs":                verifyMapsDBs,
		"verifySeesEqualInBulk":        verifySeesEqualInBulk,
		"verifySamples":                verifySamples,
		"verifyWritesDifferences":      verifyWritesDifferences,
		"verifyOfThousandsOfExtraKeys": verifyOfThousandsOfExtraKeys,
	})
}

func verifyMapsDBs(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	set := func(s *servers.RedisServer, db int, keys ...string) {
		for _, key := range keys {
			require.NoError(t, client(t, s, db).Set(ctx, key, key, time.Hour).Err())
			require.NoError(t, client(t, s, db).ExpireAt(ctx, key, time.Unix(4e9, 0)).Err())
		}
	}
	set(source, 0, "a", "b")
	set(source, 3, "c")
	set(source, 5, "d")
	set(target, 0, "a", "b", "c")
	set(target, 1, "d")
	m := Move{From: &Endpoint{URL: source.URL, DBs: []int{0, 3, 5}}, To: &Endpoint{URL: target.URL, DBs: []int{0, 1}}, Keys: everything, DBMap: map[int]int{3: 0, 5: 1}}
	v := verified(t, m)
	require.EqualValues(t, 4, v.Compared)
	require.EqualValues(t, 4, v.Scanned)
	for _, sample := range []float64{0, 1e-9} {
		find := func(want ...Difference) {
			t.Helper()
			v, err := Verify(ctx, m, VerifyOptions{Sample: sample})
			require.NoError(t, err)
			require.Equal(t, Mismatch, v.Verdict)
			require.ElementsMatch(t, want, v.Differences)
		}
		set(target, 1, "a") // the right key in the wrong db
		find(Difference{Extra, 1, "a", "not on the source"})
		client(t, target, 1).Del(ctx, "a")

		client(t, target, 0).Del(ctx, "c")
		find(Difference{Missing, 3, "c", "string"})
		set(target, 0, "c")

		set(source, 3, "a")
		find(Difference{Collision, 0, "a", "on the source in dbs 0, 3, which go to one"})
		client(t, source, 3).Del(ctx, "a")

		client(t, source, 5).Del(ctx, "d") // the last of its db
		find(Difference{Extra, 1, "d", "not on the source"})
		set(source, 5, "d")
	}
	verified(t, m)
	all := Move{From: all(source), To: all(target), Keys: everything, DBMap: m.DBMap}
	require.EqualValues(t, 4, verified(t, all).Compared)
	set(target, 7, "z")
	find, err := Verify(ctx, all, VerifyOptions{})
	require.NoError(t, err)
	require.Equal(t, []Difference{{Extra, 7, "z", "not on the source"}}, find.Differences)
	find, err = Verify(ctx, m, VerifyOptions{})
	require.NoError(t, err)
	require.Equal(t, Match, find.Verdict)
	require.Equal(t, []DBCount{{DB: 7, Keep: 1}}, find.Outside)
}

func verifySamples(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	fillMixed(t, source, 3000)
	copied(t, source, target)
	m := Move{From: all(source), To: all(target), Keys: everything}
	for _, sample := range []float64{0.1, 300} {
		v, err := Verify(ctx, m, VerifyOptions{Sample: sample})
		require.NoError(t, err)
		require.Equal(t, SampleMatch, v.Verdict)
		require.EqualValues(t, 3000, v.Selected)
		require.InDelta(t, 300, v.Compared, 150)
		require.Equal(t, v.Compared, v.Bound.Compared)
		require.InDelta(t, 28, v.Bound.AtMost, 20)
	}
	v, err := Verify(ctx, m, VerifyOptions{Sample: 5000})
	require.NoError(t, err)
	require.Equal(t, Match, v.Verdict, "more than there are is all")
	require.EqualValues(t, 3000, v.Compared)

	// One key of each kind of trouble that all keys are checked for: it is found by the smallest of samples.
	require.NoError(t, target.Client.Del(ctx, "user:3").Err())
	require.NoError(t, target.Client.Set(ctx, "surplus", 1, 0).Err())
	v, err = Verify(ctx, m, VerifyOptions{Sample: 1e-9})
	require.NoError(t, err)
	require.Equal(t, Mismatch, v.Verdict)
	require.Equal(t, map[Kind]int64{Missing: 1, Extra: 1}, v.ByKind)
	copied(t, source, target)
	require.NoError(t, target.Client.Del(ctx, "surplus").Err())

	// Of 1,000 wrong values a sample finds its share, and the bound covers them all (but for one run in twenty).
	pipe := target.Client.Pipeline()
	for i := 0; i < 3000; i += 3 {
		pipe.Set(ctx, fmt.Sprintf("%s:%d", []string{"session", "user", "カート", "log\x00\xff"}[i/3%4], i), "wrong", 0)
	}
	_, err = pipe.Exec(ctx)
	require.NoError(t, err)
	held := 0
	for range 5 {
		v, err = Verify(ctx, m, VerifyOptions{Sample: 0.2})
		require.NoError(t, err)
		require.Equal(t, Mismatch, v.Verdict)
		require.InDelta(t, 200, v.Bound.Differ, 90)
		if v.Bound.AtMost >= 1000 {
			held++
		}
		require.Less(t, v.Bound.AtMost, int64(1400))
	}
	require.GreaterOrEqual(t, held, 3)
}

type failingWriter struct{ left int }

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, errors.New("disk full")
	}
	return len(p), nil
}

func verifyWritesDifferences(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	require.NoError(t, source.Client.MSet(ctx, "same", 1, "<日本語>", 1, "\xff", 1).Err())
	require.NoError(t, target.Client.MSet(ctx, "same", 1, "\xff", 2, "extra\n", 1).Err())
	m := Move{From: all(source), To: all(target), Keys: everything}
	var lines bytes.Buffer
	v, err := Verify(ctx, m, VerifyOptions{Differences: &lines, MaxListed: 1})
	require.NoError(t, err)
	require.EqualValues(t, 3, v.Total)
	require.Len(t, v.Differences, 1, "the list is capped, the lines are not")
	split := strings.SplitAfter(strings.TrimSuffix(lines.String(), "\n"), "\n")
	require.Len(t, split, 3)
	for _, line := range split {
		require.True(t, json.Valid([]byte(line)), line)
	}
	require.Contains(t, lines.String(), `{"kind":"value","db":0,"key_base64":"/w==","detail":"byte 0"}`+"\n")
	require.Contains(t, lines.String(), `{"kind":"extra","db":0,"key":"extra\n","detail":"not on the source"}`+"\n")

	v, err = Verify(ctx, m, VerifyOptions{Differences: &failingWriter{left: 1}})
	require.ErrorContains(t, err, "write a difference to VerifyOptions.Differences: disk full")
	require.Equal(t, Unknown, v.Verdict)
}

func verifyOfThousandsOfExtraKeys(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	pipe := target.Client.Pipeline()
	for i := range 5000 {
		pipe.Set(ctx, fmt.Sprint("session:", i), 1, 0)
		pipe.Set(ctx, fmt.Sprint("other:", i), 1, 0)
	}
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
	require.NoError(t, source.Client.Set(ctx, "session:1", 1, 0).Err())
	v, err := Verify(ctx, Move{From: all(source), To: all(target), Keys: sessions}, VerifyOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 9999, v.ByKind[Extra])
	require.EqualValues(t, 9999, v.Total)
}

// What is equal but serialized differently must be seen so for many keys at a time: one by one, 300,000 keys would take minutes.
func verifySeesEqualInBulk(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	fillTyped(t, source)
	copied(t, source, target)
	v := &verifier{opt: VerifyOptions{}.withDefaults()}
	var err error
	v.from, v.to, err = openPair(ctx, all(source), all(target), nil, true)
	require.NoError(t, err)
	defer v.from.close()
	defer v.to.close()
	keys, err := source.Client.Keys(ctx, "*").Result()
	require.NoError(t, err)
	suspects, err := v.unequal(ctx, 0, keys)
	require.NoError(t, err)
	require.Empty(t, suspects)

	a, b := v.from.lane(0), v.to.lane(0)
	pairs, err := v.readPairs(ctx, a, b, keys)
	require.NoError(t, err)
	unlike := map[string]bool{}
	for i := range pairs {
		if !pairs[i].equal {
			unlike[pairs[i].key] = true
		}
		require.True(t, pairs[i].there())
		pairs[i].equal = false
	}
	require.Contains(t, unlike, "set:large", "this test means something only where equal values have different serialized forms")
	require.NoError(t, v.readContents(ctx, a, b, pairs))
	for _, p := range pairs {
		require.True(t, p.equal, "%s, by its content", p.key)
	}
	for key, change := range map[string]func() error{
		"string:small": func() error { return target.Client.SetRange(ctx, "string:small", 1, "!").Err() },
		"list:large":   func() error { return target.Client.LSet(ctx, "list:large", 7, "x").Err() },
		"set:large": func() error {
			return errFirst(target.Client.SRem(ctx, "set:large", "member 1"), target.Client.SAdd(ctx, "set:large", "x"))
		},
		"zset:large":   func() error { return target.Client.ZIncrBy(ctx, "zset:large", 1e-9, "member 3").Err() },
		"hash:small":   func() error { return target.Client.HSet(ctx, "hash:small", "member 2", "x").Err() },
		"hash:large":   func() error { return target.Client.HPExpire(ctx, "hash:large", 2*time.Hour, "member 1").Err() },
		"stream:small": func() error { return target.Client.XAck(ctx, "stream:small", "g2", "1-1").Err() },
		"stream:large": func() error { return target.Client.XGroupCreateConsumer(ctx, "stream:large", "g1", "c3").Err() },
	} {
		if key == "hash:large" && !fieldsExpire(t, source) {
			continue
		}
		require.NoError(t, change())
		suspects, err := v.unequal(ctx, 0, keys)
		require.NoError(t, err)
		require.Contains(t, suspects, key)
	}
	v.from.giveBack(a, true)
	v.to.giveBack(b, false)
}

func TestStreamTextNeedsEveryPart(t *testing.T) {
	text := func(s string) respValue { return respValue{kind: '$', text: s} }
	list := func(v ...respValue) respValue { return respValue{kind: '*', list: v} }
	n := func(n int64) respValue { return respValue{kind: ':', n: n} }
	stream := func(group respValue) respValue {
		return list(text("length"), n(1), text("last-generated-id"), text("1-1"), text("max-deleted-entry-id"), text("0-0"), text("entries-added"), n(1),
			text("entries"), list(list(text("1-1"), list(text("a"), text("b")))), text("groups"), list(group))
	}
	group := func(pending string, count int64) respValue {
		return list(text("name"), text("g"), text("last-delivered-id"), text("1-1"), text("entries-read"), n(1), text("pel-count"), n(1),
			text(pending), list(list(text("1-1"), text("c"), n(time.Now().UnixNano()), n(count))),
			text("consumers"), list(list(text("name"), text("c"), text("seen-time"), n(time.Now().UnixNano()), text("pel-count"), n(1))))
	}
	a, ok := streamText(stream(group("pending", 1)))
	require.True(t, ok)
	b, ok := streamText(stream(group("pending", 1)))
	require.True(t, ok)
	require.Equal(t, a, b, "when something was delivered or seen does not count")
	b, ok = streamText(stream(group("pending", 2)))
	require.True(t, ok)
	require.NotEqual(t, a, b)
	_, ok = streamText(stream(group("another name", 1)))
	require.False(t, ok, "a server that names a part otherwise proves nothing")
	_, ok = streamText(list())
	require.False(t, ok)
}
