package redismigrate

import (
	"context"
	"math"
)

// compareBusy tells which of the keys that the target had already differ from the source's, and counts them all.
func (w *carrier) compareBusy(ctx context.Context, b *trip) error {
	for len(b.busy) > 0 {
		n := fill(b.busy, w.opt.BatchBytes, math.MaxInt64)
		group := b.busy[:n]
		err := w.compareGroup(ctx, b, group)
		if transient(err) {
			for _, it := range group {
				w.later(b, it, err, w.to)
			}
			err = nil
		}
		if err != nil {
			return err
		}
		b.busy = b.busy[n:]
	}
	return nil
}

// compareGroup compares keys on both sides.
func (w *carrier) compareGroup(ctx context.Context, b *trip, items []item) error {
	keys := make([]string, len(items))
	for i, it := range items {
		keys[i] = it.key
	}
	suspects := keys
	if largest(items) <= w.opt.BatchBytes {
		var err error
		if suspects, err = w.compare.unequal(ctx, b.db.DB, keys); err != nil {
			return err
		}
	}
	var listed []Difference
	differs := map[string]bool{}
	for _, key := range suspects {
		found, outcome, err := w.compare.lookTwice(ctx, b.db.DB, key)
		if err != nil {
			return err
		}
		if outcome == keyOpaque {
			found = append(found, Difference{Kind: ValueDiff, DB: b.db.DB, Key: key, Detail: "a module's type, serialized differently"})
		}
		if len(found) > 0 {
			differs[key] = true
			found[0].Key = string([]byte(key)) // not the whole page that it is a part of
			listed = append(listed, found[0])
		}
	}
	var t Tally
	for _, it := range items {
		switch {
		case differs[it.key]:
			t.Exists++
			t.Differs++
		case it.lost:
			t.Unclear++
		case w.result.Passes == 1: // in a further pass it was counted before
			t.Exists++
		}
	}
	w.settle(b, len(items), t)
	w.mu.Lock()
	defer w.mu.Unlock()
	room := max(maxExisting-len(w.result.Existing), 0)
	w.result.Existing = append(w.result.Existing, listed[:min(room, len(listed))]...)
	return nil
}

func largest(items []item) (bytes int64) {
	for _, it := range items {
		bytes = max(bytes, it.bytes, it.size)
	}
	return bytes
}
