package redismigrate

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// The real server is the judge: whatever KEYS answers for a pattern, glob must answer for each key.
func TestGlobAgreesWithTheServer(t *testing.T) {
	s := servers.Redis(t)
	keys := []string{
		"", "a", "b", "ab", "abc", "aXc", "a*c", "a?c", "a[b]c", `a\c`, `a\`, "a]c", "a^c", "a-c", "[", "]", "*", "**", "?", "^", "-",
		"session:1", "session:12", "session:", "Session:1", "session", "sess", "xsession:1", "session:a:b:c", "\x00", "\x00\xff", "\xff\xfe:1", "\x80", "\x7f",
		"予約:1", "予約:東京", "予", "約", "セッション:ユーザー", "a\nb", "a\r\nb", "tab\there", strings.Repeat("ab", 300), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
	}
	patterns := []string{
		"*", "**", "***", "a*", "*c", "a*c", "a?c", "?", "??", "*?", "?*", "*a*b*", "session:*", "session:?", "session:[0-9]", "session:[0-9]*", "session:[^0-9]*",
		`a\*c`, `a\?c`, `a\[b\]c`, `a\\c`, `a\\`, "[abc]", "[^abc]", "[a-c]", "[c-a]", "[^a-c]*", `[\]]`, `[\^]`, `[a^]`, "[-a]", `[a\-z]`, "[]-a]", "a]c", "^", "-",
		`[*]`, `[?]`, `[[]`, "予約:*", "*東京", "予?*", "???", "??????", "*ション*", "\x00*", "\xff*", "[\x80-\xff]*", "[\xff-\x80]", "[^\x80-\xff]*", "*\n*", "*a*a*a*a*a*a*b",
		"*ab*ab", "a*\\", "[a-z]:*", "*[1-3]", "x*y*z*", `\s\e\s\s*`, "*:*:*", "a-c", `[\a-\c]`,
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	random := func(alphabet []string, n int) string {
		var b strings.Builder
		for range rnd.IntN(n) + 1 {
			b.WriteString(alphabet[rnd.IntN(len(alphabet))])
		}
		return b.String()
	}
	for range 300 {
		keys = append(keys, random([]string{"a", "b", "c", "-", "]", "[", "^", "\\", "*", "?", "é", "\xff"}, 6))
	}
	for range 3000 {
		patterns = append(patterns, random([]string{"a", "b", "c", "-", "]", "[", "[^", "\\", "*", "*", "?", "[a-c]", "[^b]", "\xff", `\]`}, 8))
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	ctx := t.Context()
	for _, key := range keys {
		require.NoError(t, s.Client.Set(ctx, key, 1, 0).Err())
	}
	pipe := s.Client.Pipeline()
	answers := map[string]*redis.StringSliceCmd{}
	globs := map[string]*glob{}
	for _, pattern := range patterns {
		if g, err := compileGlob(pattern); err == nil {
			globs[pattern], answers[pattern] = g, pipe.Keys(ctx, pattern)
		}
	}
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
	require.Greater(t, len(globs), 1000, "too few of the patterns are valid for this test to mean something")
	for pattern, g := range globs {
		want := answers[pattern].Val()
		slices.Sort(want)
		got := []string{}
		for _, key := range keys {
			if g.match(key) {
				got = append(got, key)
			}
		}
		require.Equalf(t, want, got, "pattern %q: the server's keys, then ours", pattern)
	}
	// SCAN MATCH answers as KEYS does, also for the empty key.
	for _, pattern := range []string{"*", "**", "予約:*", "[^a-c]*", "*\n*"} {
		want := answers[pattern].Val()
		var got []string
		for it := s.Client.Scan(ctx, 0, pattern, 1000).Iterator(); it.Next(ctx); {
			got = append(got, it.Val())
		}
		require.ElementsMatch(t, want, got, pattern)
	}
}

func TestGlobRefusesWhatIsAlmostCertainlyAMistake(t *testing.T) {
	for pattern, says := range map[string]string{
		"":                         "empty pattern",
		"session:[0-9":             "never closed",
		"[a-]":                     "never closed", // the server reads a range up to the bracket
		`session:\`:                "lone backslash",
		"session:[]":               "empty class",
		"session:[^]":              "empty class",
		"[予約]*":                    "single bytes",
		"[a-\xff]":                 "different processors",
		strings.Repeat("*a", 1001): "1,000 stars",
	} {
		_, err := compileGlob(pattern)
		require.ErrorContains(t, err, says, pattern)
	}
}

func TestSelector(t *testing.T) {
	has := func(s Selector, key string) bool {
		sel, err := s.compile()
		require.NoError(t, err)
		return sel.has(key)
	}
	sessions := Selector{Include: []string{"session:*", "s:*"}, Exclude: []string{"session:tmp:*"}}
	require.True(t, has(sessions, "session:1"))
	require.True(t, has(sessions, "s:1"))
	require.False(t, has(sessions, "session:tmp:1"))
	require.False(t, has(sessions, "user:1"))

	even := func(key string) bool { return len(key)%2 == 0 }
	require.True(t, has(Selector{ID: "even", Match: even}, "ab"), "Match decides alone without Include")
	require.False(t, has(Selector{ID: "even", Match: even}, "abc"))
	require.False(t, has(Selector{ID: "even", Include: []string{"a*"}, Match: even}, "abc"), "Match narrows Include")
	require.False(t, has(Selector{ID: "even", Include: []string{"a*"}, Match: even}, "bb"), "Match does not widen Include")
	require.False(t, has(Selector{ID: "even", Exclude: []string{"a*"}, Match: even}, "ab"), "Exclude wins over Match")

	everything := Selector{Include: []string{"*"}}
	require.True(t, has(everything, "ElastiCache"))
	require.False(t, has(everything, "ElastiCacheMasterReplicationTimestamp"), "a service key is never selected")
	require.False(t, has(everything, canaryPrefix+"x"))
	require.False(t, (*selection)(nil).has("a"))
	require.False(t, (&selection{}).has("a"), "the zero selection selects nothing")

	for says, s := range map[string]Selector{
		"selects nothing":       {},
		"only Exclude":          {Exclude: []string{"a*"}},
		"no ID":                 {Match: even},
		`Include[1] "[a"`:       {Include: []string{"a", "[a"}},
		`Exclude[0] ""`:         {Include: []string{"a"}, Exclude: []string{""}},
		"empty and selects":     {ID: "x"},
		`write "*" to mean eve`: {Include: []string{""}},
	} {
		require.ErrorContains(t, s.Validate(), says)
	}
}

func TestARunningJobDoesNotSeeALaterChangeOfItsSelector(t *testing.T) {
	s := Selector{Include: []string{"a*"}}
	sel, err := s.compile()
	require.NoError(t, err)
	s.Include[0] = "*"
	require.False(t, sel.has("b"))
}
