package redismigrate

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/redismigrate/internal/rdb"
)

// crafted makes a snapshot by hand.
type crafted struct {
	bytes.Buffer
	w *rdb.Writer
}

func craft(h rdb.Header) *crafted {
	c := &crafted{}
	c.w = rdb.NewWriter(c, h)
	return c
}

func (c *crafted) raw(format string, args ...any) *crafted {
	c.w.Write(fmt.Appendf(nil, format, args...))
	return c
}

func (c *crafted) db(n uint64) *crafted {
	c.w.SelectDB(n)
	return c
}

// str adds a string key; key and value are shorter than 64 bytes.
func (c *crafted) str(key, value string) *crafted {
	return c.raw("\x00%c%s%c%s", len(key), key, len(value), value)
}

func (c *crafted) end(t *testing.T) []byte {
	t.Helper()
	require.NoError(t, c.w.End())
	return c.Bytes()
}

var v11 = rdb.Header{Version: 11}

// threeDBs is a small snapshot: each db has the key "session:<db>", all have "other".
func threeDBs(t *testing.T) []byte {
	c := craft(v11).raw("\xfa\x09redis-ver\x057.2.5\xfa\x07repl-id\x03abc\xfa\x08used-mem\xc2\x01\x02\x03\x04")
	for _, db := range []uint64{0, 5, 300} {
		c.db(db).raw("\xfb\x02\x00").str(fmt.Sprintf("session:%d", db), "v").str("other", "v")
	}
	return c.end(t)
}

func TestFilterRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		in      []byte
		keep    Selector
		opt     FilterOptions
		refused bool
		says    []string
	}{
		"nothing kept": {
			in: threeDBs(t), keep: Selector{Include: []string{"sesion:*"}}, refused: true,
			says: []string{`"sesion:*"`, "none of the 6 keys"},
		},
		"nothing kept in the dbs that take part": {
			in: threeDBs(t), keep: sessions, opt: FilterOptions{DBs: []int{1}}, refused: true,
			says: []string{"none of the 6 keys (6 of them outside DBs"},
		},
		"one key from two dbs": {
			in: threeDBs(t), keep: everything, opt: FilterOptions{DBMap: map[int]int{5: 0, 300: 0}}, refused: true,
			says: []string{"2 kept keys", `key "other" in db 0 and in db 5, which both become db 0`, "no", "DBMap"},
		},
		"an empty selector":       {in: threeDBs(t), says: []string{"the selector is empty"}},
		"a negative db":           {in: threeDBs(t), keep: sessions, opt: FilterOptions{DBs: []int{-1}}, says: []string{"db -1"}},
		"a map to a negative db":  {in: threeDBs(t), keep: sessions, opt: FilterOptions{DBMap: map[int]int{1: -1}}, says: []string{"db 1 to db -1"}},
		"an empty file":           {keep: sessions, says: []string{"the file is empty"}},
		"a short file":            {in: []byte("REDIS00"), keep: sessions, says: []string{"truncated"}},
		"gzip":                    {in: []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"), keep: sessions, says: []string{"gunzip"}},
		"an append-only file":     {in: []byte("*2\r\n$6\r\nSELECT\r\n"), keep: sessions, says: []string{"append-only file", "BGSAVE"}},
		"an AOF manifest":         {in: []byte("file appendonly.aof.1.base.rdb seq 1 type b\n"), keep: sessions, says: []string{"manifest"}},
		"something else":          {in: []byte("SQLite format 3\x00"), keep: sessions, says: []string{"SQLite", "no snapshot"}},
		"a newer Redis":           {in: []byte("REDIS0013\xff"), keep: sessions, says: []string{"REDIS0013 is newer", "REDIS0012", "VALKEY080"}},
		"a newer Valkey":          {in: []byte("VALKEY081\xff"), keep: sessions, says: []string{"VALKEY081 is newer"}},
		"an old Redis":            {in: []byte("REDIS0003\xff"), keep: sessions, says: []string{"REDIS0003 is older"}},
		"no version":              {in: []byte("REDIS00x1\xff"), keep: sessions, says: []string{"names no version"}},
		"commands after it":       {in: append(threeDBs(t), "*2\r\n$6"...), keep: sessions, says: []string{"append-only file", "later writes"}},
		"anything after it":       {in: append(threeDBs(t), 0), keep: sessions, says: []string{"the file goes on"}},
		"an unknown type":         {in: craft(v11).str("session:1", "v").raw("\x1a\x01a").end(t), keep: sessions, says: []string{"byte 22", "0x1a", "REDIS0011", `after the key "session:1"`}},
		"a type of another fork":  {in: craft(v11).raw("\x18\x01a").end(t), keep: sessions, says: []string{"0x18", "REDIS0011"}},
		"Redis 8's, in Valkey's":  {in: craft(rdb.Header{Valkey: true, Version: 80}).raw("\x18\x01a").end(t), keep: sessions, says: []string{"0x18", "VALKEY080"}},
		"Valkey's opcode":         {in: craft(v11).raw("\xf3\x01a\x00").end(t), keep: sessions, says: []string{"0xf3"}},
		"a release candidate's":   {in: craft(v11).raw("\xf6\x01a").end(t), keep: sessions, says: []string{"release candidate", "FUNCTION FLUSH"}},
		"an old module":           {in: craft(v11).raw("\x06\x01a").end(t), keep: sessions, says: []string{"release candidate", "type 6"}},
		"an expiry of nothing":    {in: craft(v11).raw("\xfc12345678\xfe\x00").end(t), keep: sessions, says: []string{"must be followed by a key"}},
		"an impossible length":    {in: craft(v11).raw("\x00\x82abc").end(t), keep: sessions, says: []string{"no length begins with byte 0x82"}},
		"a huge name":             {in: craft(v11).raw("\x00\x81\x7f\xff\xff\xff\xff\xff\xff\xff").end(t), keep: sessions, says: []string{"a name of 9223372036854775807 bytes"}},
		"a bad compression":       {in: craft(v11).raw("\x00\xc3\x02\x05\x20\x00").end(t), keep: sessions, says: []string{"does not decompress"}},
		"a db of no server":       {in: craft(v11).raw("\xfe\x81\x7f\xff\xff\xff\xff\xff\xff\xff").end(t), keep: sessions, says: []string{"db 9223372036854775807"}},
		"a slot migration":        {in: craft(rdb.Header{Valkey: true, Version: 80}).raw("\xf3\x03job\x01\x00\x05").str("a", "b").end(t), keep: everything, refused: true, says: []string{`"job"`, "slot migration"}},
		"an end inside a value":   {in: threeDBs(t)[:100], keep: sessions, says: []string{"byte 100", "truncated"}},
		"an end inside its trail": {in: threeDBs(t)[:len(threeDBs(t))-3], keep: sessions, says: []string{"truncated"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			r, err := Filter(t.Context(), bytes.NewReader(test.in), &out, test.keep, test.opt)
			require.Error(t, err)
			require.Equal(t, test.refused, errors.Is(err, ErrRefused), "%v", err)
			require.True(t, strings.HasPrefix(err.Error(), "redismigrate: filter: "), "%v", err)
			for _, text := range test.says {
				require.ErrorContains(t, err, text)
			}
			require.False(t, r.Complete)
			require.Contains(t, r.String(), "incomplete")
			require.False(t, loads(out.Bytes()))
			t.Log(err)
		})
	}
}

// No way of damaging a snapshot gets by: neither a byte that is changed nor one that is missing.
func TestFilterFindsEveryDamage(t *testing.T) {
	in := threeDBs(t)
	for i := range in {
		_, err := Filter(t.Context(), bytes.NewReader(in[:i]), io.Discard, everything, FilterOptions{})
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "cut to %d bytes", i)
		damaged := bytes.Clone(in)
		damaged[i] ^= 1 << rand.IntN(8)
		r, err := Filter(t.Context(), bytes.NewReader(damaged), io.Discard, everything, FilterOptions{})
		require.Error(t, err, "byte %d of %d changed", i, len(in))
		require.False(t, r.Complete)
	}
}

func TestFilterMapsDBs(t *testing.T) {
	in := threeDBs(t)
	out, r := filtered(t, in, sessions, FilterOptions{DBs: []int{5, 300, 7}, DBMap: map[int]int{300: 2, 5: 0}})
	require.EqualValues(t, 2, r.Kept)
	require.EqualValues(t, 4, r.Dropped)
	require.Equal(t, []FilteredDB{
		{DB: 0, Target: 0, FilterCount: FilterCount{Dropped: 2}},
		{DB: 5, Target: 0, FilterCount: FilterCount{Kept: 1, Dropped: 1}},
		{DB: 7, Target: 7},
		{DB: 300, Target: 2, FilterCount: FilterCount{Kept: 1, Dropped: 1}},
	}, r.DBs)
	require.Equal(t, map[string]FilterCount{"string": {Kept: 2, Dropped: 4}}, r.Types)
	require.Equal(t, "redis 7.2.5", r.Server)
	require.Equal(t, []string{"repl-id", "used-mem"}, r.DroppedFields)
	require.Contains(t, r.String(), "the output holds dbs 0, 2")
	want := craft(v11).raw("\xfa\x09redis-ver\x057.2.5").db(0).str("session:5", "v").db(2).str("session:300", "v").end(t)
	require.Equal(t, want, out)
}

// A snapshot that never selects a db is about db 0.
func TestFilterBeginsInDB0(t *testing.T) {
	out, r := filtered(t, craft(v11).str("a", "b").end(t), everything, FilterOptions{DBMap: map[int]int{0: 4}})
	require.Equal(t, craft(v11).db(4).str("a", "b").end(t), out)
	require.Equal(t, []FilteredDB{{Target: 4, FilterCount: FilterCount{Kept: 1}}}, r.DBs)
}

func TestFilterDropsServiceKeys(t *testing.T) {
	in := craft(v11).str("ElastiCacheMasterReplicationTimestamp", "1").str("a", "b").end(t)
	_, r := filtered(t, in, everything, FilterOptions{})
	require.Equal(t, FilterCount{Kept: 1, Dropped: 1}, r.FilterCount)
}

func TestFilterSaysWhatIsNoKey(t *testing.T) {
	module := "\x81" + "\x00\x00\x00\x00\x00\x00\x04\x01" // AAAAAAAAB, its version 1
	in := craft(v11).raw("\xfa\x08aof-base\xc0\x01").
		raw("\xf7%s\x02\x01\x05\x01x\x00", module). // before the keys
		raw("\xf5\x04code").
		str("a", "b").
		raw("\x07\x01m%s\x01\x05\x02\x81\xff\xff\xff\xff\xff\xff\xff\xff\x03\x00\x00\xc0\x7f\x0412345678\x05\xc0\x01\x00", module).
		raw("\xf7%s\x02\x02\x00", module).end(t)
	out, r := filtered(t, in, everything, FilterOptions{})
	require.Equal(t, []string{"AAAAAAAAB"}, r.ModuleAux)
	require.EqualValues(t, 2, r.ModuleAuxRecords.Kept)
	require.EqualValues(t, 1, r.Functions.Kept)
	require.Equal(t, map[string]FilterCount{"string": {Kept: 1}, "module AAAAAAAAB": {Kept: 1}}, r.Types)
	require.True(t, r.AOFBase)
	for _, text := range []string{"base of an append-only file", "modules AAAAAAAAB were kept", "1 function libraries were kept"} {
		require.Contains(t, r.String(), text)
	}
	require.Greater(t, len(out), len(in)-14)
	out, r = filtered(t, in, Selector{Include: []string{"a"}}, FilterOptions{DropFunctions: true, DropModuleAux: true})
	require.Equal(t, craft(v11).db(0).str("a", "b").end(t), out)
	require.EqualValues(t, 2, r.ModuleAuxRecords.Dropped)
	require.EqualValues(t, 1, r.Functions.Dropped)
}

// A large value passes in pieces.
func TestFilterMemoryStaysSmall(t *testing.T) {
	const size = 16 << 20 // several times what may be allocated; the race detector makes more too slow
	in := func() io.Reader {
		begin := "REDIS0011\x00\x09session:1\x80" + string([]byte{size >> 24, size >> 16 & 255, size >> 8 & 255, size & 255})
		return io.MultiReader(strings.NewReader(begin), io.LimitReader(zeros{}, size), strings.NewReader("\xff\x00\x00\x00\x00\x00\x00\x00\x00"))
	}
	for name, keep := range map[string]Selector{"kept": sessions, "dropped": {Include: []string{"other"}}} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n := counted{}
		_, err := Filter(t.Context(), in(), &n, keep, FilterOptions{})
		runtime.ReadMemStats(&after)
		require.Equal(t, name == "dropped", errors.Is(err, ErrRefused), "%v", err)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2<<20), "all that was ever allocated, %s", name)
		if name == "kept" {
			require.NoError(t, err)
			require.Greater(t, n.n, int64(size))
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

type counted struct{ n int64 }

func (c *counted) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

func TestFilterStopsWithItsContext(t *testing.T) {
	in, feed, err := os.Pipe()
	require.NoError(t, err)
	defer feed.Close()
	defer in.Close()
	snapshot := threeDBs(t)
	_, err = feed.Write(snapshot[:50])
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r, err := Filter(ctx, in, io.Discard, sessions, FilterOptions{}) // would wait for ever
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.False(t, r.Complete)

	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	_, err = Filter(ctx, bytes.NewReader(snapshot), io.Discard, sessions, FilterOptions{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestFilterReadsInWhateverPieces(t *testing.T) {
	snapshot := threeDBs(t)
	want, _ := filtered(t, snapshot, sessions, FilterOptions{})
	for name, in := range map[string]io.Reader{
		"one byte at a time": iotest.OneByteReader(bytes.NewReader(snapshot)),
		"halves":             iotest.HalfReader(bytes.NewReader(snapshot)),
		"the end with data":  iotest.DataErrReader(bytes.NewReader(snapshot)),
	} {
		var out bytes.Buffer
		r, err := Filter(t.Context(), in, &out, sessions, FilterOptions{})
		require.NoError(t, err, name)
		require.True(t, r.Complete)
		require.Equal(t, want, out.Bytes(), name)
	}
	_, err := Filter(t.Context(), io.MultiReader(bytes.NewReader(snapshot[:60]), iotest.ErrReader(errors.New("the disk is on fire"))), io.Discard, sessions, FilterOptions{})
	require.ErrorContains(t, err, "the disk is on fire")
	boundary := len(craft(v11).end(t)) - 9 // where a record might begin, or the end
	_, err = Filter(t.Context(), io.MultiReader(bytes.NewReader(craft(v11).str("a", "b").end(t)[:boundary+5]), iotest.ErrReader(fmt.Errorf("cut off: %w", io.EOF))), io.Discard, everything, FilterOptions{})
	require.ErrorContains(t, err, "cut off", "an error that only wraps io.EOF is not the end")
}

type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	d.room -= n
	if n < len(p) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

func TestFilterReportsAFullDisk(t *testing.T) {
	c := craft(v11)
	for i := range 20_000 {
		c.str(fmt.Sprintf("session:%d", i), "some value that makes the file longer")
	}
	in := c.end(t)
	for _, room := range []int{0, 10, 300 << 10, len(in) - 1} {
		r, err := Filter(t.Context(), bytes.NewReader(in), &fullDisk{room}, sessions, FilterOptions{})
		require.ErrorContains(t, err, "no space left on device", "%d bytes of room", room)
		require.False(t, r.Complete)
		require.EqualValues(t, room, r.BytesOut)
	}
	_, err := Filter(t.Context(), bytes.NewReader(in), &fullDisk{len(in) + 10}, sessions, FilterOptions{})
	require.NoError(t, err)
}

func TestFilterReportsProgress(t *testing.T) {
	c := craft(v11).raw("\xfb\x80\x00\x0f\x42\x40\x00")
	value := "\x80\x00\x10\x00\x00" + strings.Repeat("v", 1<<20)
	for i := range 18 {
		c.raw("\x00\x02%02d%s", i, value)
	}
	var seen []Progress
	_, r := filtered(t, c.end(t), everything, FilterOptions{Progress: func(p Progress) { seen = append(seen, p) }})
	require.Greater(t, len(seen), 1)
	last := seen[len(seen)-1]
	require.Equal(t, Progress{Job: "filter", DB: 0, Pass: 1, Scanned: 18, Total: 1_000_000, Done: r.Kept}, last)
	for i := 1; i < len(seen); i++ {
		require.GreaterOrEqual(t, seen[i].Scanned, seen[i-1].Scanned)
	}
}

// Expiries in milliseconds and, as very old servers wrote them, in seconds.
func TestFilterTellsWhatHasExpired(t *testing.T) {
	c := craft(v11)
	for name, at := range map[string]time.Time{"past": time.Now().Add(-time.Minute), "future": time.Now().Add(time.Minute)} {
		c.raw("\xfc%s", binary.LittleEndian.AppendUint64(nil, uint64(at.UnixMilli()))).str(name+":ms", "v")
		c.raw("\xfd%s", binary.LittleEndian.AppendUint32(nil, uint32(at.Unix()))).str(name+":s", "v")
	}
	in := c.end(t)
	_, r := filtered(t, in, everything, FilterOptions{})
	require.Equal(t, FilterCount{Kept: 4}, r.FilterCount)
	require.EqualValues(t, 2, r.Expired)
	out, r := filtered(t, in, everything, FilterOptions{DropExpired: true})
	require.Equal(t, FilterCount{Kept: 2, Dropped: 2}, r.FilterCount)
	require.NotContains(t, string(out), "past:")
	_, r = filtered(t, in, Selector{Include: []string{"future:*"}}, FilterOptions{})
	require.Zero(t, r.Expired, "only selected keys are counted")
}
