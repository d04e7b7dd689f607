package rdb

import (
	"hash/crc64"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChecksumIsTheOneThatRedisWrites(t *testing.T) {
	require.Equal(t, uint64(0xe9c6d914c4b8d9ca), Checksum(0, []byte("123456789")), "the published check value of this CRC")
	// Against the standard library, which inverts before and after.
	table := crc64.MakeTable(bits.Reverse64(jones))
	data := make([]byte, 5000)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	for n := range 300 {
		want := ^crc64.Update(^uint64(0), table, data[:n])
		require.Equal(t, want, Checksum(0, data[:n]), "%d bytes", n)
		cut := rand.IntN(n + 1)
		require.Equal(t, want, Checksum(Checksum(0, data[:cut]), data[cut:n]), "%d bytes, in two parts of which the first has %d", n, cut)
	}
	require.Equal(t, ^crc64.Update(^uint64(0), table, data), Checksum(0, data))
}

func BenchmarkChecksum(b *testing.B) {
	data := make([]byte, 64<<10)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		Checksum(0, data)
	}
}
