package redismigrate

import (
	"cmp"
	"slices"
	"strings"
)

// biggestKeys holds the largest keys that were offered, largest first.
type biggestKeys struct {
	most int
	keys []BigKey
}

func (b *biggestKeys) offer(db int, key, kind string, bytes int64) {
	k := BigKey{DB: db, Key: key, Type: kind, Bytes: bytes, Elements: -1}
	if b.most == 0 || len(b.keys) == b.most && bigger(k, b.keys[b.most-1]) >= 0 {
		return
	}
	for i, have := range b.keys {
		if have.DB == db && have.Key == key { // SCAN showed it before
			if bytes <= have.Bytes {
				return
			}
			b.keys = slices.Delete(b.keys, i, i+1)
			break
		}
	}
	k.Key, k.Type = strings.Clone(key), strings.Clone(kind) // they share memory with a batch
	at, _ := slices.BinarySearchFunc(b.keys, k, bigger)
	if b.keys = slices.Insert(b.keys, at, k); len(b.keys) > b.most {
		b.keys = b.keys[:b.most]
	}
}

// bigger orders the larger key first.
func bigger(a, b BigKey) int {
	return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.DB, b.DB), cmp.Compare(a.Key, b.Key))
}
