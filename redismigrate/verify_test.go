package redismigrate

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// TestVerify is what a verification finds, on one pair of servers that is emptied in between.
func TestVerify(t *testing.T) {
	t.Parallel()
	onOnePair(t, map[string]func(t *testing.T, source, target *servers.RedisServer){
		"verifyFindsOnePlantedDifferenceOfEachKindAndNothingElse": verifyFindsOnePlantedDifferenceOfEachKindAndNothingElse,
		"verifyOfASplitWantsExactlyTheSelectedKeys":               verifyOfASplitWantsExactlyTheSelectedKeys,
		"verifySaysUnknownWhenItCannotTell":                       verifySaysUnknownWhenItCannotTell,
		"verifyTakesNoExpiryForADifference":                       verifyTakesNoExpiryForADifference,
	})
}

// fieldsExpire tells whether the server knows expiries of single hash fields (Redis 7.4 and newer).
func fieldsExpire(t *testing.T, s *servers.RedisServer) bool {
	known, err := s.Client.Do(t.Context(), "COMMAND", "INFO", "HPEXPIREAT").Slice()
	require.NoError(t, err)
	return known[0] != nil
}

// Each value large enough that the server keeps it in its large encoding, so that equal values differ in their DUMP, and another small.
func fillTyped(t *testing.T, s *servers.RedisServer) {
	ctx := t.Context()
	for name, n := range map[string]int{"small": 3, "large": 1200} {
		pipe := s.Client.Pipeline()
		for i := range n {
			member := fmt.Sprintf("member %d", i)
			pipe.Append(ctx, "string:"+name, strings.Repeat(member, 100))
			pipe.RPush(ctx, "list:"+name, member)
			pipe.SAdd(ctx, "set:"+name, member)
			pipe.HSet(ctx, "hash:"+name, member, i)
			pipe.ZAdd(ctx, "zset:"+name, redis.Z{Score: float64(i) / 7, Member: member})
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + name, ID: fmt.Sprintf("%d-1", i+1), Values: []any{"a", i, "b", "x", "a", 2}})
		}
		if fieldsExpire(t, s) {
			pipe.HPExpireAt(ctx, "hash:"+name, time.Now().Add(time.Hour), "member 1")
		}
		for _, group := range []string{"g1", "g2"} {
			pipe.XGroupCreate(ctx, "stream:"+name, group, "0")
			pipe.XReadGroup(ctx, &redis.XReadGroupArgs{Group: group, Consumer: "c1", Streams: []string{"stream:" + name, ">"}, Count: int64(n / 2)})
			pipe.XReadGroup(ctx, &redis.XReadGroupArgs{Group: group, Consumer: "c2", Streams: []string{"stream:" + name, ">"}, Count: 1})
		}
		pipe.XDel(ctx, "stream:"+name, "2-1")
		_, err := pipe.Exec(ctx)
		require.NoError(t, err)
	}
	require.NoError(t, s.Client.Set(ctx, "expires", 1, time.Hour).Err())
	require.NoError(t, s.Client.Set(ctx, "never", 1, 0).Err())
	require.NoError(t, s.Client.Set(ctx, "empty", "", 0).Err())
	require.NoError(t, s.Client.Set(ctx, "\x00\xffbinary", "\x00", 0).Err())
	require.NoError(t, s.Client.Set(ctx, "日本語", "値", 0).Err())
}

func verifyFindsOnePlantedDifferenceOfEachKindAndNothingElse(t *testing.T, source, target *servers.RedisServer) {
	fillTyped(t, source)
	m := Move{From: all(source), To: all(target), Keys: everything}
	copied(t, source, target)
	v := verified(t, m)
	require.EqualValues(t, 17, v.Compared)
	require.EqualValues(t, 17, v.Scanned)
	require.NotEqual(t, source.Client.Dump(t.Context(), "set:large").Val(), target.Client.Dump(t.Context(), "set:large").Val(),
		"this test means something only where equal values have different serialized forms")

	ctx := t.Context()
	tc := target.Client
	type plant struct {
		key    string
		kinds  []Kind
		detail string
		do     func() error
	}
	plants := []plant{
		{"never", []Kind{Missing}, "string", func() error { return tc.Del(ctx, "never").Err() }},
		{"日本語", []Kind{Missing}, "string", func() error { return tc.Del(ctx, "日本語").Err() }},
		{"set:large", []Kind{Missing}, "set", func() error { return tc.Del(ctx, "set:large").Err() }},
		{"surplus", []Kind{Extra}, "not on the source", func() error { return tc.Set(ctx, "surplus", 1, 0).Err() }},
		{"empty", []Kind{TypeDiff}, "string on the source, list on the target", func() error {
			return errFirst(tc.Del(ctx, "empty"), tc.RPush(ctx, "empty", ""))
		}},
		{"\x00\xffbinary", []Kind{ValueDiff}, "byte 0", func() error { return tc.Set(ctx, "\x00\xffbinary", "\x01", 0).Err() }},
		{"expires", []Kind{TTLDiff}, "earlier on the target", func() error { return tc.PExpire(ctx, "expires", 30*time.Minute).Err() }},
		{"expires", []Kind{TTLDiff}, "never on the target", func() error { return tc.Persist(ctx, "expires").Err() }},
		{"never", []Kind{TTLDiff}, "never on the source", func() error { return tc.PExpire(ctx, "never", time.Hour).Err() }},
		{"expires", []Kind{ValueDiff, TTLDiff}, "", func() error { return tc.Set(ctx, "expires", 2, 0).Err() }},
	}
	for _, size := range []string{"small", "large"} {
		plants = append(plants,
			plant{"string:" + size, []Kind{ValueDiff}, "byte 2", func() error { return tc.SetRange(ctx, "string:"+size, 2, "M").Err() }},
			plant{"string:" + size, []Kind{ValueDiff}, "bytes on the source", func() error { return tc.Append(ctx, "string:"+size, "!").Err() }},
			plant{"list:" + size, []Kind{ValueDiff}, "element 1", func() error { return tc.LSet(ctx, "list:"+size, 1, "x").Err() }},
			plant{"list:" + size, []Kind{ValueDiff}, "elements on the source", func() error { return tc.RPop(ctx, "list:"+size).Err() }},
			plant{"set:" + size, []Kind{ValueDiff}, "a member of the source", func() error {
				return errFirst(tc.SRem(ctx, "set:"+size, "member 1"), tc.SAdd(ctx, "set:"+size, "other"))
			}},
			plant{"hash:" + size, []Kind{ValueDiff}, `hash field "member 2"`, func() error { return tc.HSet(ctx, "hash:"+size, "member 2", "x").Err() }},
			plant{"hash:" + size, []Kind{ValueDiff}, `"member 2" is not on the target`, func() error {
				return errFirst(tc.HDel(ctx, "hash:"+size, "member 2"), tc.HSet(ctx, "hash:"+size, "other", 2))
			}},
			plant{"zset:" + size, []Kind{ValueDiff}, "the score of a member", func() error { return tc.ZIncrBy(ctx, "zset:"+size, 1e-9, "member 1").Err() }},
			plant{"zset:" + size, []Kind{ValueDiff}, "a member of the source", func() error {
				return errFirst(tc.ZRem(ctx, "zset:"+size, "member 1"), tc.ZAdd(ctx, "zset:"+size, redis.Z{Member: "other"}))
			}},
			plant{"stream:" + size, []Kind{ValueDiff}, "entries on the source", func() error { return tc.XDel(ctx, "stream:"+size, "1-1").Err() }},
			plant{"stream:" + size, []Kind{ValueDiff}, "last generated id", func() error { return tc.Do(ctx, "XSETID", "stream:"+size, "9999-1").Err() }},
			plant{"stream:" + size, []Kind{ValueDiff}, "consumer groups on the source", func() error { return tc.XGroupDestroy(ctx, "stream:"+size, "g2").Err() }},
			plant{"stream:" + size, []Kind{ValueDiff}, `position of consumer group "g2"`, func() error { return tc.XGroupSetID(ctx, "stream:"+size, "g2", "1-0").Err() }},
			plant{"stream:" + size, []Kind{ValueDiff}, `pending entries of consumer group "g2"`, func() error { return tc.XAck(ctx, "stream:"+size, "g2", "1-1").Err() }},
			plant{"stream:" + size, []Kind{ValueDiff}, `consumers of group "g1"`, func() error { return tc.XGroupCreateConsumer(ctx, "stream:"+size, "g1", "c3").Err() }},
			plant{"stream:" + size, []Kind{ValueDiff}, `of group "g1"`, func() error {
				return tc.XClaim(ctx, &redis.XClaimArgs{Stream: "stream:" + size, Group: "g1", Consumer: "c2", Messages: []string{"1-1"}}).Err()
			}},
			plant{"stream:" + size, []Kind{ValueDiff}, "pending entry 1-1", func() error { // delivered once more, to the same consumer
				return tc.XClaim(ctx, &redis.XClaimArgs{Stream: "stream:" + size, Group: "g1", Consumer: "c1", Messages: []string{"1-1"}}).Err()
			}},
		)
		if fieldsExpire(t, source) {
			plants = append(plants,
				plant{"hash:" + size, []Kind{ValueDiff}, `"member 1" expires`, func() error { return tc.HPExpire(ctx, "hash:"+size, 2*time.Hour, "member 1").Err() }},
				plant{"hash:" + size, []Kind{ValueDiff}, `never on the target`, func() error { return tc.HPersist(ctx, "hash:"+size, "member 1").Err() }},
			)
		}
	}
	for _, p := range plants {
		require.NoError(t, p.do(), p.key)
		v, err := Verify(ctx, m, VerifyOptions{})
		require.NoError(t, err)
		require.Equal(t, Mismatch, v.Verdict, "%s: %s", p.key, p.detail)
		require.Len(t, v.Differences, len(p.kinds), "%q %s: %v", p.key, p.detail, v.Differences)
		require.EqualValues(t, len(p.kinds), v.Total)
		for i, d := range v.Differences {
			require.Equal(t, p.kinds[i], d.Kind)
			require.Equal(t, p.key, d.Key)
			require.Contains(t, d.Detail, p.detail)
		}
		// Mended, it must match again: the next one is then the only one.
		require.NoError(t, tc.Del(ctx, p.key).Err())
		copied(t, source, target)
	}
	v = verified(t, m)
	require.EqualValues(t, 17, v.Compared)
}

type errer interface{ Err() error }

func errFirst(results ...errer) error {
	for _, r := range results {
		if r.Err() != nil {
			return r.Err()
		}
	}
	return nil
}

func verifyOfASplitWantsExactlyTheSelectedKeys(t *testing.T, source, target *servers.RedisServer) {
	fillMixed(t, source, 1200)
	copied(t, source, target)
	v, err := Verify(t.Context(), Move{From: all(source), To: all(target), Keys: sessions}, VerifyOptions{MaxListed: 10})
	require.NoError(t, err)
	require.Equal(t, Mismatch, v.Verdict)
	require.EqualValues(t, 900, v.ByKind[Extra], "keys that are not selected are extra, though they are on the source")
	require.EqualValues(t, 900, v.Total)
	require.Len(t, v.Differences, 10, "the list is capped, the total is not")
	require.Contains(t, v.String(), "extra 900")
}

func verifySaysUnknownWhenItCannotTell(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	v, err := Verify(ctx, Move{From: all(source), To: all(target), Keys: sessions}, VerifyOptions{})
	require.NoError(t, err)
	require.Equal(t, Unknown, v.Verdict, "two empty stores prove nothing")
	require.Contains(t, v.Reason, "no key was compared")

	require.NoError(t, source.Client.Set(ctx, "user:1", 1, 0).Err())
	v, err = Verify(ctx, Move{From: all(source), To: all(target), Keys: sessions}, VerifyOptions{})
	require.NoError(t, err)
	require.Equal(t, Unknown, v.Verdict, "a selector that matches nothing proves nothing")

	fillMixed(t, source, 3000)
	copied(t, source, target)
	require.NoError(t, target.Client.Set(ctx, "surplus", 1, 0).Err())
	stopping, cancel := context.WithCancel(ctx)
	defer cancel()
	v, err = Verify(stopping, Move{From: all(source), To: all(target), Keys: everything}, VerifyOptions{Progress: func(p Progress) {
		if p.DB == 3 {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, Unknown, v.Verdict, "a partial run proves nothing")
	require.Contains(t, v.Reason, "not finished")
	require.EqualValues(t, 1, v.Total, "what was found is told")

	require.Equal(t, Unknown, Verification{}.Verdict)
	require.Equal(t, "unknown", (*Verification)(nil).String())

	_, err = Verify(ctx, Move{From: all(source), To: all(source), Keys: everything}, VerifyOptions{})
	require.ErrorIs(t, err, ErrRefused)
	_, err = Verify(ctx, Move{From: all(source), To: &Endpoint{URL: target.URL}, Keys: everything}, VerifyOptions{})
	require.ErrorContains(t, err, "the source names all dbs but the target db 0")
	_, err = Verify(ctx, Move{Keys: everything}, VerifyOptions{})
	require.ErrorContains(t, err, "the move needs both From and To")
}

func verifyTakesNoExpiryForADifference(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	for _, s := range []*servers.RedisServer{source, target} {
		require.NoError(t, s.Client.Set(ctx, "stays", 1, 0).Err())
	}
	// The target's clock runs a little ahead, or its sweep comes first: the key is gone there and about to go on the source.
	at := time.Now().Add(300 * time.Millisecond)
	pipe := source.Client.Pipeline()
	for i := range 50 {
		pipe.SetArgs(ctx, fmt.Sprintf("expiring:%d", i), 1, redis.SetArgs{ExpireAt: at})
	}
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
	v, err := Verify(ctx, Move{From: all(source), To: all(target), Keys: everything}, VerifyOptions{TTLTolerance: time.Minute})
	require.NoError(t, err)
	require.Equal(t, Match, v.Verdict, "%v", v.Differences)
	require.EqualValues(t, 50, v.Gone)

	require.Eventually(t, func() bool { return source.Client.DBSize(ctx).Val() == 1 }, 30*time.Second, 20*time.Millisecond)
	require.NoError(t, source.Client.Set(ctx, "missing", 1, time.Hour).Err())
	v, err = Verify(ctx, Move{From: all(source), To: all(target), Keys: everything}, VerifyOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 1, v.ByKind[Missing], "a key that does not expire yet is missing")
}

func TestDifferencesAsJSON(t *testing.T) {
	v := Verification{Verdict: Mismatch, Total: 2, Differences: []Difference{
		{Missing, 1, "日本語\n", "string"}, {ValueDiff, 0, "\xff\x00", "byte 3"},
	}}
	text, err := json.Marshal(v)
	require.NoError(t, err)
	require.Contains(t, string(text), `"verdict":"mismatch"`)
	require.Contains(t, string(text), `{"kind":"missing","db":1,"key":"日本語\n","detail":"string"}`)
	require.Contains(t, string(text), `{"kind":"value","db":0,"key_base64":"/wA=","detail":"byte 3"}`)
	require.Equal(t, `value    db 0  "\xff\x00"  byte 3`, v.Differences[1].String())
}
