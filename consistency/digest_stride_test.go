package consistency

import (
	"math/big"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// A walk over keys: the index says where they lie, arithmetic takes over where they are close together, and every range is bounded.
func TestStrideDividesOnlyWhereKeysAreClose(t *testing.T) {
	const rows = 100
	key := func(n int) neutralKey { return neutralKey{strconv.Itoa(n)} }
	s := stride{last: big.NewInt(1_000_000)}
	s.asked(nil, key(-50), rows)
	require.Nil(t, s.next(key(-50)), "of the first range it is not known how wide it is")
	s.asked(key(-50), key(70), rows)
	at := key(70)
	for i := range strideRanges {
		at = s.next(at)
		require.Equal(t, key(70+120*(i+1)), at)
	}
	require.Nil(t, s.next(at), "the index is asked again now and then")

	s.asked(key(0), key(strideSpread*rows), rows)
	require.Equal(t, key(strideSpread*rows), s.next(key(0)), "so many rows are the most that a range holds")
	s.asked(key(0), key(strideSpread*rows+1), rows)
	require.Nil(t, s.next(key(0)), "too far apart: a range could hold too many rows elsewhere")

	s.asked(key(0), key(100), rows)
	require.Equal(t, key(999_999), s.next(key(999_899)))
	require.Nil(t, s.next(key(999_900)), "the end is the index's to tell")
	s.asked(key(0), nil, rows)
	require.Nil(t, s.next(key(0)))

	none := stride{}
	none.asked(key(0), key(100), rows)
	require.Nil(t, none.next(key(100)), "a key that is no whole number")
}
