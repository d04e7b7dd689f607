package redismigrate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The finder finds exactly the keys that stand in two dbs of one target, whether all fits into memory or not.
func TestTwinFinderAgainstAMap(t *testing.T) {
	for _, capacity := range []int{1, 7, 100, 10_000} {
		opt := FilterOptions{DBMap: map[int]int{1: 0, 2: 0, 4: 3}, TempDir: t.TempDir()}
		finder := newTwinFinder(opt)
		finder.capacity = capacity
		seen, want := map[string]bool{}, map[string]int{}
		offset := int64(0)
		for _, db := range []int{0, 1, 2, 3, 4, 9} {
			target := Move{DBMap: opt.DBMap}.targetDB(db)
			for _, i := range rand.Perm(1000)[:300] {
				key := fmt.Sprint("key:", i)
				if at := fmt.Sprint(target, key); seen[at] {
					want[at]++
				} else {
					seen[at] = true
				}
				offset++
				require.NoError(t, finder.see(key, offset, &FilteredDB{DB: db, Target: target}))
			}
		}
		found := 0
		require.NoError(t, finder.each(t.Context(), func(a, b sighting) error {
			found++
			require.Equal(t, a.to, b.to)
			require.NotEqual(t, a.from, b.from)
			require.Contains(t, []int32{0, 3}, a.to)
			return nil
		}))
		total := 0
		for _, n := range want {
			total += n
		}
		require.Positive(t, total)
		require.Equal(t, total, found, "capacity %d", capacity)
		require.Equal(t, capacity < 1000, finder.file != nil)
		finder.close()
		left, err := filepath.Glob(filepath.Join(opt.TempDir, "*"))
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

func TestTwinFinderWatchesOnlyDBsThatBecomeOne(t *testing.T) {
	for _, test := range []struct {
		opt  FilterOptions
		want map[int]bool
	}{
		{FilterOptions{}, map[int]bool{}},
		{FilterOptions{DBMap: map[int]int{0: 0, 3: 0}}, map[int]bool{0: true}},
		{FilterOptions{DBMap: map[int]int{3: 0}}, map[int]bool{0: true}},                       // db 0 keeps its number
		{FilterOptions{DBMap: map[int]int{3: 0}, DBs: []int{3}}, map[int]bool{0: false}},       // but takes no part
		{FilterOptions{DBMap: map[int]int{0: 3, 3: 0}}, map[int]bool{0: false, 3: false}},      // they swap
		{FilterOptions{DBMap: map[int]int{1: 7, 2: 7, 7: 1}}, map[int]bool{1: false, 7: true}}, // and 7 goes elsewhere
	} {
		require.Equal(t, test.want, newTwinFinder(test.opt).shared, "%+v", test.opt)
	}
}

// A collision is named where the file can be read again, also when it does not begin where the reader stood; else it is placed.
func TestFilterNamesCollisions(t *testing.T) {
	c := craft(v11)
	for _, db := range []uint64{0, 2, 3} {
		c.db(db)
		for i := range 40 {
			c.raw("\xfc%s\xf9\x05", "\x00\x00\x00\x00\x00\x01\x00\x00").str(fmt.Sprintf("カート:%d", i), "v")
			c.str(fmt.Sprintf("db:%d:%d", db, i), "v")
		}
	}
	snapshot := c.end(t)
	opt := FilterOptions{DBs: []int{2, 3}, DBMap: map[int]int{2: 0, 3: 0}}
	file := bytes.NewReader(append([]byte("before"), snapshot...))
	_, err := file.Seek(6, io.SeekStart)
	require.NoError(t, err)
	r, err := Filter(t.Context(), file, io.Discard, everything, opt)
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, `"カート:`)
	require.ErrorContains(t, err, "in db 2 and in db 3, which both become db 0")
	require.EqualValues(t, 40, r.Collisions)
	require.Len(t, r.Colliding, 10)
	for _, found := range r.Colliding {
		require.Contains(t, found.Key, "カート:")
		require.Equal(t, [2]int{2, 3}, found.DBs)
	}

	r, err = Filter(t.Context(), io.MultiReader(bytes.NewReader(snapshot)), io.Discard, everything, opt)
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, fmt.Sprintf("the key at bytes %d and %d of the file", r.Colliding[0].Offsets[0], r.Colliding[0].Offsets[1]))
	require.EqualValues(t, 40, r.Collisions)
	at := r.Colliding[0].Offsets[0]
	require.EqualValues(t, 0xfc, snapshot[at], "where the record begins")

	// Those that differ collide in no way.
	_, err = Filter(t.Context(), bytes.NewReader(snapshot), io.Discard, Selector{Include: []string{"db:*"}}, opt)
	require.NoError(t, err)
}

// Two keys of one hash are no collision: it is the keys that are compared.
func TestEqualHashesAreNoCollision(t *testing.T) {
	snapshot := craft(v11).str("a", "v").db(1).str("b", "v").end(t)
	finder := newTwinFinder(FilterOptions{DBMap: map[int]int{1: 0}})
	finder.run = []sighting{{offset: 9, from: 0}, {offset: 16, from: 1}}
	var r FilterResult
	require.NoError(t, finder.report(t.Context(), &r, bytes.NewReader(snapshot), 0, v11))
	require.Zero(t, r.Collisions)
}

func TestFilterWithoutATempDir(t *testing.T) {
	finder := newTwinFinder(FilterOptions{DBMap: map[int]int{1: 0}, TempDir: filepath.Join(t.TempDir(), "missing")})
	finder.capacity = 1
	db := &FilteredDB{}
	require.NoError(t, finder.see("a", 1, db))
	err := finder.see("b", 2, db)
	require.True(t, errors.Is(err, os.ErrNotExist), "%v", err)
	require.ErrorContains(t, err, "TempDir")
}
