package redismigrate

import (
	"bytes"
	"context"
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

func TestManifest(t *testing.T) {
	t.Parallel()
	onOnePair(t, map[string]func(t *testing.T, source, target *servers.RedisServer){
		"provesAPruneWithoutItsSource": provesAPruneWithoutItsSource,
		"findsEveryKindOfDifference":   findsEveryKindOfDifference,
		"neverClaimsMoreThanItKnows":   neverClaimsMoreThanItKnows,
		"manifestsThatAreBroken":       manifestsThatAreBroken,
	})
}

func manifested(t *testing.T, source, target *servers.RedisServer, opt PruneOptions) (*PrunePlan, *bytes.Buffer) {
	t.Helper()
	var manifest bytes.Buffer
	opt.AllowClients, opt.Manifest = true, &manifest
	p, err := PlanPrune(t.Context(), all(source), all(target), sessions, opt)
	require.NoError(t, err)
	return p, &manifest
}

func checkManifest(t *testing.T, target *servers.RedisServer, manifest []byte) *Verification {
	t.Helper()
	v, err := VerifyManifest(t.Context(), all(target), bytes.NewReader(manifest), VerifyOptions{})
	require.NoError(t, err)
	return v
}

// odd are values whose serialized members have no order of their own, large ones, and binary keys.
func odd(t *testing.T, s *servers.RedisServer) {
	t.Helper()
	ctx := t.Context()
	pipe := s.Client.Pipeline()
	for i := range 2000 {
		pipe.HSet(ctx, "session:hash", fmt.Sprint("field", i), strings.Repeat(fmt.Sprint(i), 30))
		pipe.SAdd(ctx, "session:set", fmt.Sprint("member", i), i, i*1000, i*10_000_000)
	}
	pipe.HSet(ctx, "session:ttl", "a", strings.Repeat("x", 100), "b", 2)
	pipe.Set(ctx, "session:\x00\xff\n\"セッション", "v", time.Hour)
	pipe.Set(ctx, "session:big", strings.Repeat("0123456789abcdef", 600_000), 0) // 9.6 MB: digested as it comes in
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
	_ = s.Client.HPExpire(ctx, "session:ttl", time.Hour, "a").Err() // 7.4 and newer
}

func provesAPruneWithoutItsSource(t *testing.T, source, target *servers.RedisServer) {
	keep, _ := fillMixed(t, source, 3000)
	odd(t, source)
	copied(t, source, target)
	p, manifest := manifested(t, source, target, PruneOptions{})
	_, err := p.Apply(t.Context(), p.Confirmation())
	require.NoError(t, err)
	require.NoError(t, source.Client.FlushAll(t.Context()).Err()) // it goes on, or is gone
	before := digest(t, target)
	v := checkManifest(t, target, manifest.Bytes())
	require.Equal(t, Match, v.Verdict, "%v %v", v, v.Differences)
	require.EqualValues(t, keep[0]+keep[1]+keep[3]+5, v.Compared)
	require.Equal(t, v.Compared, v.Scanned)
	require.Equal(t, before, digest(t, target))

	// The same values, in tables of another order.
	more := make([]any, 20_000)
	for i := range more {
		more[i] = fmt.Sprint("more", i)
	}
	dump := target.Client.Dump(t.Context(), "session:set").Val()
	require.NoError(t, target.Client.SAdd(t.Context(), "session:set", more...).Err())
	require.NoError(t, target.Client.SRem(t.Context(), "session:set", more...).Err())
	require.NotEqual(t, dump, target.Client.Dump(t.Context(), "session:set").Val(), "otherwise this shows nothing")
	require.Equal(t, Match, checkManifest(t, target, manifest.Bytes()).Verdict)
}

func findsEveryKindOfDifference(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	fillMixed(t, source, 600)
	odd(t, source)
	for name := range map[string]int{"expires": 0, "lives": 0} {
		source.Client.Set(ctx, "session:"+name, 1, time.Hour)
	}
	copied(t, source, target)
	require.NoError(t, target.Client.PExpire(ctx, "session:expires", 4*time.Second).Err())
	p, manifest := manifested(t, source, target, PruneOptions{})
	_, err := p.Apply(ctx, p.Confirmation())
	require.NoError(t, err)
	c := target.Client
	change := func(says Kind, key string, do func(), undo func()) {
		t.Helper()
		do()
		v := checkManifest(t, target, manifest.Bytes())
		require.Equal(t, Mismatch, v.Verdict, "%s %s", says, key)
		require.Equal(t, map[Kind]int64{says: 1}, v.ByKind)
		require.Equal(t, key, v.Differences[0].Key)
		undo()
	}
	binary := "session:\x00\xff\n\"セッション"
	payload := c.Dump(ctx, binary).Val()
	at, err := c.Do(ctx, "PEXPIRETIME", binary).Int64()
	require.NoError(t, err)
	restore := func() { require.NoError(t, c.Do(ctx, "RESTORE", binary, at, payload, "REPLACE", "ABSTTL").Err()) }
	change(Missing, binary, func() { c.Del(ctx, binary) }, restore)
	change(TTLDiff, binary, func() { c.Persist(ctx, binary) }, restore)
	change(ValueDiff, binary, func() { c.Append(ctx, binary, "!") }, restore)
	change(ValueDiff, "session:hash", func() { c.HSet(ctx, "session:hash", "field1", "other") }, func() { c.HSet(ctx, "session:hash", "field1", strings.Repeat("1", 30)) })
	change(ValueDiff, "session:set", func() { c.SRem(ctx, "session:set", "member7") }, func() { c.SAdd(ctx, "session:set", "member7") })
	change(ValueDiff, "session:big", func() { c.SetRange(ctx, "session:big", 5_000_000, "X") }, func() { c.SetRange(ctx, "session:big", 5_000_000, "0") })
	change(Extra, "session:new", func() { c.Set(ctx, "session:new", 1, 0) }, func() { c.Del(ctx, "session:new") })
	change(Extra, "other:new", func() { client(t, target, 3).Set(ctx, "other:new", 1, 0) }, func() { client(t, target, 3).Del(ctx, "other:new") })
	c.Del(ctx, binary)
	v := checkManifest(t, target, manifest.Bytes())
	require.Equal(t, Missing, v.Differences[0].Kind)
	c.RPush(ctx, binary, 1)
	c.PExpireAt(ctx, binary, time.UnixMilli(at))
	require.Equal(t, map[Kind]int64{TypeDiff: 1}, checkManifest(t, target, manifest.Bytes()).ByKind)
	restore()
	require.Eventually(t, func() bool { return c.Exists(ctx, "session:expires").Val() == 0 }, 20*time.Second, 50*time.Millisecond)
	v = checkManifest(t, target, manifest.Bytes())
	require.Equal(t, Match, v.Verdict, "%v %v", v, v.Differences)
	require.EqualValues(t, 1, v.Gone, "what has expired may be gone")
}

func neverClaimsMoreThanItKnows(t *testing.T, source, target *servers.RedisServer) {
	fillMixed(t, source, 300)
	odd(t, source)
	copied(t, source, target)
	p, manifest := manifested(t, source, target, PruneOptions{ManifestKeysOnly: true})
	_, err := p.Apply(t.Context(), p.Confirmation())
	require.NoError(t, err)
	require.NotContains(t, manifest.String(), "digest")
	v := checkManifest(t, target, manifest.Bytes())
	require.Equal(t, Unknown, v.Verdict)
	require.Contains(t, v.Reason, "no digests")
	require.Zero(t, v.Total)

	// Another process holds the same values; where they are serialized differently, that proves nothing.
	_, manifest = manifested(t, source, target, PruneOptions{})
	elsewhere := bytes.Replace(manifest.Bytes(), []byte(p.targetRuns[0]), []byte("another process"), 1)
	require.Equal(t, Match, checkManifest(t, target, elsewhere).Verdict, "equal digests are equal values")
	require.NoError(t, target.Client.HSet(t.Context(), "session:hash", "field1", "other").Err())
	v = checkManifest(t, target, elsewhere)
	require.Equal(t, Unknown, v.Verdict)
	require.EqualValues(t, 1, v.Uncompared)
	require.Contains(t, v.Reason, "1 values are serialized differently")
}

func manifestsThatAreBroken(t *testing.T, source, target *servers.RedisServer) {
	fillMixed(t, source, 300)
	copied(t, source, target)
	_, manifest := manifested(t, source, target, PruneOptions{})
	whole := manifest.String()
	lines := strings.SplitAfter(whole, "\n")
	require.Len(t, lines, 75+2+1)
	for says, broken := range map[string]string{
		"this is no manifest":  "",
		"is no manifest":       "{}\n",
		"newer version":        strings.Replace(whole, `manifest":1`, `manifest":9`, 1),
		"cut short":            strings.Join(lines[:40], ""),
		"damaged after 3 keys": strings.Join(lines[:4], "") + "{\"db\":0,\"ke",
		"has 76 keys, but has": strings.Replace(whole, `"keys":75`, `"keys":76`, 1),
		"but has 74":           strings.Join(append(append([]string(nil), lines[:5]...), lines[6:]...), ""),
	} {
		v, err := VerifyManifest(t.Context(), all(target), strings.NewReader(broken), VerifyOptions{})
		require.ErrorContains(t, err, says)
		require.Equal(t, Unknown, v.Verdict)
	}
	_, err := VerifyManifest(t.Context(), &Endpoint{URL: target.URL}, strings.NewReader(whole), VerifyOptions{})
	require.ErrorContains(t, err, "the endpoint names db 0, but the manifest is of dbs 0, 1, 3")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = VerifyManifest(ended, all(target), strings.NewReader(whole), VerifyOptions{})
	require.ErrorIs(t, err, context.Canceled)

	// A manifest that cannot be written is no plan.
	_, err = PlanPrune(t.Context(), all(source), all(target), sessions, PruneOptions{Manifest: full{}})
	require.ErrorContains(t, err, "write the manifest: disk full")
	for _, db := range mixedDBs {
		require.Len(t, client(t, target, db).Keys(t.Context(), canaryPrefix+"*").Val(), 1, "of the first plan")
	}
	m := &manifestCheck{v: &verifier{opt: VerifyOptions{}.withDefaults(), seed: maphash.MakeSeed()}, room: 10}
	in := strings.NewReader(strings.Join(lines[1:], ""))
	require.NoError(t, m.read(t.Context(), json.NewDecoder(in), func([]manifestLine) error { return nil }))
	require.True(t, m.overflow, "more keys than can be remembered")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }
