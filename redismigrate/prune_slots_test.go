package redismigrate

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeySlot(t *testing.T) {
	// As CLUSTER KEYSLOT answers; 12739 is the value that the specification of Redis Cluster gives for this text.
	for key, slot := range map[string]int{"": 0, "123456789": 12739, "foo": 12182, "{user1000}.following": 3443, "{user1000}.followers": 3443, "user1000": 3443} {
		require.Equal(t, slot, slotOf(key), key)
	}
	require.Equal(t, slotOf("bar"), slotOf("foo{bar}{zap}"))
	require.NotEqual(t, slotOf("bar"), slotOf("foo{}{bar}"), "an empty tag is none")
	require.Equal(t, slotOf("{bar"), slotOf("foo{{bar}}zap"))
	require.NotEqual(t, slotOf("x"), slotOf("{x"), "an open tag is none")
}

func TestBySlot(t *testing.T) {
	var keys []string
	for i := range 500 {
		keys = append(keys, fmt.Sprintf("{%d}:カート\x00\xff:%d", i%7, i))
	}
	all := slices.Sorted(slices.Values(keys))
	runs := bySlot(keys)
	require.Len(t, runs, 7)
	var seen []string
	for _, run := range runs {
		for _, key := range run {
			require.Equal(t, slotOf(run[0]), slotOf(key))
		}
		seen = append(seen, run...)
	}
	slices.Sort(seen)
	require.Equal(t, all, seen)
	require.Empty(t, bySlot(nil))
	require.Equal(t, [][]string{{"a"}}, bySlot([]string{"a"}))
}
