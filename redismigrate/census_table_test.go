package redismigrate

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/columns"
)

func TestCensusAsTables(t *testing.T) {
	c := &Census{
		Addr: "10.0.0.5:6379", Replica: true, Complete: true, Elapsed: 1234567 * time.Microsecond, Method: ByMemory, Weighed: 1_303_000, Gone: 12, ServiceKeys: 1,
		Total: Amount{Keys: exactly(1_303_000), Bytes: exactly(3 << 30), TTL: TTLs{None: 1_003_000, Day: 300_000}},
		Prefixes: []Group{
			{Name: "session:*", Glob: "session:*", Amount: Amount{exactly(300_000), exactly(2 << 30), TTLs{Day: 299_999, None: 1}}},
			{Name: "カート:*", Amount: Amount{exactly(1000), exactly(1536), TTLs{None: 1000}}},
			{Name: "log\x00*", Amount: Amount{exactly(2000), exactly(10), TTLs{None: 2000}}},
			{Name: strings.Repeat("長い", 60) + ":*", Amount: Amount{exactly(1_000_000), exactly(1 << 30), TTLs{None: 1_000_000}}},
		},
		Biggest: []BigKey{{DB: 3, Key: "x\xff", Type: "hash", Bytes: 1 << 20, Elements: 1234}, {Key: "gone", Type: "string", Bytes: 1023, Elements: -1}},
	}
	require.Equal(t, `10.0.0.5:6379 (a replica): 1,303,000 keys, 3.0 GiB by MEMORY USAGE, in 1.235s
not counted: 12 keys that were gone when their turn came, 1 service keys

PREFIX                                                                  KEYS    BYTES  TTL none  1m  1h   1d  30d  more
session:*                                                            300,000  2.0 GiB        1%   -   -  99%    -     -
カート:*                                                               1,000  1.5 KiB      100%   -   -    -    -     -
"log\x00*"                                                             2,000     10 B      100%   -   -    -    -     -
長い長い長い長い長い長い長い長い長い長い長い長い長い長い長い長い…  1,000,000  1.0 GiB      100%   -   -    -    -     -

BIGGEST  DB  TYPE      BYTES  ELEMENTS
"x\xff"   3  hash    1.0 MiB     1,234
gone      0  string   1023 B         ?
`, c.String())

	c.Complete, c.Approximate, c.Sampled, c.Confidence, c.Method = false, true, true, 0.95, ByLength
	c.Total.Bytes = Estimate{3 << 30, 2 << 30, NoBound}
	c.Selected = &Amount{Keys: exactly(1_000), Bytes: Estimate{5 << 20, 4 << 20, 6 << 20}}
	for i := range c.Prefixes {
		c.Prefixes[i].Selected = 123_456_789
		c.Prefixes[i].Keys.Value = 10_123_456_789
		c.Prefixes[i].Bytes = Estimate{1000 << 30, 1000 << 30, NoBound}
	}
	text := c.String()
	for _, want := range []string{
		"about 3.0 GiB (2.0 GiB or more) by length of names and values", "selected: 1,000 keys, about 5.0 MiB (4.0 MiB to 6.0 MiB)",
		"NOT COMPLETE", "approximate:", "sampled: 1,303,000 keys were weighed; bytes lie between LOW and HIGH with 95 % confidence", "not allowed", "10,123,456,789",
	} {
		require.Contains(t, text, want)
	}
	for line := range strings.SplitSeq(text, "\n") {
		require.LessOrEqual(t, columns.Width(line), tableWidth, line)
	}
	require.Equal(t, "no census", (*Census)(nil).String())
	require.NotEmpty(t, (&Census{}).String())
}

func TestFigures(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1<<20 - 1: "1.0 MiB", 1 << 20: "1.0 MiB", 5 << 40: "5.0 TiB", NoBound: "?"} {
		require.Equal(t, want, bytesText(n))
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -100: "-100", 1234567: "1,234,567", NoBound: "?"} {
		require.Equal(t, want, count(n))
	}
	for _, p := range []struct {
		n, all int64
		want   string
	}{{0, 0, "-"}, {0, 5, "-"}, {1, 1000, "1%"}, {999, 1000, "99%"}, {5, 5, "100%"}, {1, 2, "50%"}} {
		require.Equal(t, p.want, percent(p.n, p.all))
	}
}
