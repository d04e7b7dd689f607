package redismigrate

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// treeOf counts keys, each of 100 bytes.
func treeOf(keys []string) *prefixTree {
	t := newPrefixTree()
	for _, key := range keys {
		s := t.place(key)
		s.whole.keys++
		s.whole.weigh(100, 0)
	}
	return t
}

// byGlob is what a tree found: keys by glob.
func byGlob(groups []prefixGroup) map[string]int64 {
	out := map[string]int64{}
	for _, g := range groups {
		out[g.glob] += g.sums.keys()
	}
	return out
}

func TestPrefixPatterns(t *testing.T) {
	for key, want := range map[string]string{
		"session:123":     "session:*",
		"user:42:cart":    "user:*:cart",
		"カート:1":           "カート:*",
		"カート:山田":          "カート:山田",
		"log\x00\xff:9":   "log\x00*:*",
		"log\x00\x01\x02": "log\x00\x01\x02",
		"job:550e8400-e29b-41d4-a716-446655440000:done": "job:*:done",
		"{user:42}:cart":               "{user:*}:cart",
		"{tag}:x":                      "{tag}:x",
		"cart-item-42":                 "cart-item-*",
		"report/2026-11-22/daily":      "report/*/daily",
		"ip:10.0.0.17":                 "ip:*",
		"user12345:name":               "user*:name",
		"cache:v1:home":                "cache:v1:home",
		"order-processing-queue-2":     "order-processing-queue-*",
		"tok:aB3x9Zk1Lm4Qp7Rs":         "tok:*",
		"sha:deadbeef01":               "sha:*",
		"config":                       "config",
		"what?*[x]\\":                  `what\?\*\[x\]\\`,
		"a::b":                         "a::b",
		":1":                           ":*",
		"":                             "*",
		"7":                            "*",
		strings.Repeat("x", 65) + ":a": "*:a",
		"a:b:c:d:e:f:g:h:i:j:k:l:m":    "a:b:c:d:e:f:g:h:i:*",
		"half\xe3\x82:1":               "*:*",
		"rtl\u202e:1":                  "*:*",
	} {
		require.Equal(t, map[string]int64{want: 1}, byGlob(treeOf([]string{key}).groups()), "%q", key)
	}
}

// randomKeys are made of odd pieces; many are alike.
func randomKeys(rng *rand.Rand, n int) []string {
	pieces := []string{"a", "user", ":", ":", "::", "-", "_", "*", "[x]", "\\", "?", "\x00", "\xff", "山", "7", "42", "123", "deadbeef1", "{", "}", "v1", "user12", "user123", " ", "/"}
	keys := make([]string, n)
	for i := range keys {
		var b strings.Builder
		for range 1 + rng.IntN(8) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		keys[i] = b.String()
	}
	return keys
}

// Whatever the keys: each matches the glob of its group, an exact glob matches no key of another, and none is lost.
func TestPrefixGlobsMatchTheirKeys(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	exact, checked := 0, 0
	for round := range 60 {
		keys := randomKeys(rng, 5+rng.IntN(400))
		if round%3 == 0 { // few names, so that most globs stand apart
			keys = nil
			for i := range 300 {
				keys = append(keys, fmt.Sprintf("%s:%d", []string{"a", "b*", "c[", "d\\", "カート"}[rng.IntN(5)], i))
			}
		}
		tree := newPrefixTree()
		if round%4 == 1 {
			tree.max = 60 // folding all the time
		}
		for _, key := range keys {
			tree.place(key).whole.keys++
		}
		groups := shown(tree.groups(), 1000)
		require.Less(t, tree.nodes, 10_000)
		var sum int64
		for _, g := range groups {
			sum += g.sums.keys()
			compiled, err := compileGlob(g.glob)
			require.NoError(t, err, "%q", g.glob)
			matched := int64(0)
			for _, key := range keys {
				if compiled.match(key) {
					matched++
				}
			}
			checked++
			require.GreaterOrEqual(t, matched, g.sums.keys(), "%q", g.glob)
			if g.exact {
				exact++
				require.Equal(t, g.sums.keys(), matched, "%q is said to be exact", g.glob)
			}
		}
		require.EqualValues(t, len(keys), sum)
	}
	require.Greater(t, exact, 80, "of %d", checked)
}

func TestPrefixesDoNotDependOnTheOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var keys []string
	for i := range 3000 {
		keys = append(keys, fmt.Sprintf("session:%d", i), fmt.Sprintf("user:name%c%c%c:cart", 'a'+i%26, 'a'+i/26%26, 'a'+i/676), fmt.Sprintf("user%d:x", i))
	}
	want := byGlob(treeOf(keys).groups())
	require.Equal(t, map[string]int64{"session:*": 3000, "user:*:cart": 3000, "user*:x": 3000}, want)
	for range 5 {
		rng.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		require.Equal(t, want, byGlob(treeOf(keys).groups()))
	}
}

// A flood of names that look like words does not grow the tree, and no family of many keys is lost in it.
func TestPrefixTreeIsBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	word := func() string {
		b := make([]byte, 9)
		for i := range b {
			b[i] = "ghijklmnopqrstuvwxyz"[rng.IntN(20)]
		}
		return string(b)
	}
	tree := newPrefixTree()
	want := map[string]int64{}
	for i := range 60_000 {
		var key string
		switch {
		case i%50 == 0:
			key, want["heavy:*:end"] = fmt.Sprintf("heavy:%d:end", i), want["heavy:*:end"]+1
		case i%50 == 1:
			key, want["user:admin:*"] = fmt.Sprintf("user:admin:%d", i), want["user:admin:*"]+1
		case i%50 < 25:
			key, want["user:*:cart"] = "user:"+word()+":cart", want["user:*:cart"]+1
		case i%50 < 35:
			key = word() + ":" + word() + "/" + word() // families of one key each
		default:
			key = word()
		}
		tree.place(key).whole.keys++
		require.LessOrEqual(t, tree.nodes, maxTreeNodes+maxPieces)
	}
	groups := shown(tree.groups(), 40)
	got := byGlob(groups)
	for glob, n := range want {
		require.Equal(t, n, got[glob], glob)
	}
	var sum int64
	for _, n := range got {
		sum += n
	}
	require.EqualValues(t, 60_000, sum)
	require.LessOrEqual(t, len(groups), 41)

	// Even separators in every order come to an end.
	tree = newPrefixTree()
	for i := range 30_000 {
		var b strings.Builder
		for n := i; n > 0; n /= 7 {
			b.WriteString("1" + string(":/|,;#="[n%7]))
		}
		tree.place(b.String()).whole.keys++
		require.LessOrEqual(t, tree.nodes, maxTreeNodes+maxPieces)
	}
	require.EqualValues(t, 30_000, tree.root.keys())
}

func TestOverlap(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	texts := []string{""}
	for from := 0; len(texts[from]) < 5; from++ {
		texts = append(texts, texts[from]+"a", texts[from]+"b")
	}
	random := func() string {
		b := make([]byte, rng.IntN(5))
		for i := range b {
			b[i] = "ab*"[rng.IntN(3)]
		}
		return string(b)
	}
	both := 0
	for range 3000 {
		a, b := random(), random()
		if a == "" || b == "" {
			continue
		}
		x, err := compileGlob(a)
		require.NoError(t, err)
		y, err := compileGlob(b)
		require.NoError(t, err)
		want := false
		for _, text := range texts[1:] {
			want = want || x.match(text) && y.match(text)
		}
		if want {
			both++
		}
		// Texts of up to 5 bytes decide, but for globs whose common texts are longer.
		if got := overlap(a, b); got != want {
			require.True(t, got && strings.Contains(a, "*") && strings.Contains(b, "*"), "%q %q", a, b)
		}
	}
	require.Greater(t, both, 500)
	require.False(t, overlap(`a\*`, "ab"))
	require.True(t, overlap(`a\*`, "a*"))
	require.True(t, overlap("user:*", "user:*:cart"))
	require.False(t, overlap("user:*:cart", "user:*:wish"))
}

func TestGivenPrefixes(t *testing.T) {
	g, err := newGivenPrefixes([]string{"user:1*", "user:*", "shop:*"})
	require.NoError(t, err)
	for _, key := range []string{"user:1", "user:12", "user:2", "shop:1", "x"} {
		g.place(key).whole.keys++
	}
	groups := g.groups()
	require.Equal(t, map[string]int64{"user:1*": 2, "user:*": 1, "shop:*": 1, "": 1}, byGlob(groups))
	require.Equal(t, []bool{true, false, true, false}, []bool{groups[0].exact, groups[1].exact, groups[2].exact, groups[3].exact})
	for pattern, want := range map[string]string{
		"session:": `the option Prefixes[0] "session:" is the name of a single key, not a pattern; write "session:*" for the keys that begin so`,
		"":         `the option Prefixes[0] "": an empty pattern; write "*" to mean every key`,
		"a[":       `the option Prefixes[0] "a[": the class opened at byte 1 is never closed; write \[ for the byte itself`,
	} {
		_, err := newGivenPrefixes([]string{pattern})
		require.EqualError(t, err, want)
	}
	_, err = newGivenPrefixes([]string{"a*", "a*"})
	require.EqualError(t, err, `the option Prefixes names "a*" twice`)
}
