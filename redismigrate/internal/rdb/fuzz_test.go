package rdb_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/redismigrate"
	"github.com/tashikame-go/tashikame/redismigrate/internal/rdb"
)

var (
	everything = redismigrate.Selector{ID: "everything", Include: []string{"*"}}
	sessions   = redismigrate.Selector{ID: "sessions", Include: []string{"session:*"}}
)

// Whatever the bytes: Filter comes to an end with little memory; what it completes is a snapshot that it would itself complete, unchanged;
// what it does not complete is none. With finish, an end and a right checksum are put behind the bytes, which would else seldom be right.
// It stands here, and not beside Filter, because a fuzzer instruments everything that its package's tests import.
func FuzzFilter(f *testing.F) {
	files, err := filepath.Glob("testdata/*.rdb")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		snapshot, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(snapshot, false, byte(0))
		f.Add(snapshot[:len(snapshot)-9], true, byte(1))
	}
	f.Add([]byte("REDIS0011\x00\x81\x00\x00\x00\x00\xff\xff\xff\xff"), true, byte(0))
	f.Add([]byte("REDIS0011\x00\xc3\x02\x80\x7f\xff\xff\xff\x00a"), true, byte(0))
	f.Add([]byte("REDIS0009\x0f\x01s\x81\xff\xff\xff\xff\xff\xff\xff\xff"), true, byte(2))
	f.Add([]byte("VALKEY080\x16\x01h\x01\x01a\x01b12345678\xf3\x01j\x01\x00\x01"), true, byte(3))
	f.Fuzz(func(t *testing.T, in []byte, finish bool, how byte) {
		if finish {
			in = append(bytes.Clone(in), 0xff)
			in = binary.LittleEndian.AppendUint64(in, rdb.Checksum(0, in))
		}
		opt := redismigrate.FilterOptions{DropExpired: how&1 != 0, TempDir: t.TempDir()}
		if how&2 != 0 {
			opt.DBMap = map[int]int{2: 0, 3: 0}
		}
		keep := everything
		if how&4 != 0 {
			keep = sessions
		}
		before := allocated()
		var out bytes.Buffer
		r, err := redismigrate.Filter(t.Context(), bytes.NewReader(in), &out, keep, opt)
		require.Less(t, allocated()-before, uint64(12<<20+8*len(in)))
		require.Equal(t, err == nil, r.Complete)
		if err != nil {
			_, again := redismigrate.Filter(context.Background(), bytes.NewReader(out.Bytes()), io.Discard, everything, redismigrate.FilterOptions{})
			require.Error(t, again, "%v", err)
			return
		}
		require.EqualValues(t, len(in), r.BytesIn)
		var again bytes.Buffer
		second, err := redismigrate.Filter(t.Context(), bytes.NewReader(out.Bytes()), &again, keep, redismigrate.FilterOptions{})
		require.NoError(t, err)
		require.Equal(t, out.Bytes(), again.Bytes())
		require.Equal(t, redismigrate.FilterCount{Kept: r.Kept}, second.FilterCount)
	})
}

// allocated is how many bytes were ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
