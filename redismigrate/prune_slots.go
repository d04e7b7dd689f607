package redismigrate

import (
	"cmp"
	"slices"
)

// bySlot orders keys by their slot and cuts them into runs of one slot each: a cluster's commands take keys of one slot only. The
// runs share the memory of keys.
func bySlot(keys []string) [][]string {
	type slotted struct {
		slot int
		key  string
	}
	list, ordered := make([]slotted, len(keys)), true
	for i, key := range keys {
		list[i] = slotted{slotOf(key), key}
		ordered = ordered && (i == 0 || list[i-1].slot <= list[i].slot)
	}
	if !ordered { // newer servers scan slot by slot
		slices.SortStableFunc(list, func(a, b slotted) int { return cmp.Compare(a.slot, b.slot) })
		for i := range list {
			keys[i] = list[i].key
		}
	}
	var runs [][]string
	for start, i := 0, 1; i <= len(list); i++ {
		if i == len(list) || list[i].slot != list[start].slot {
			runs = append(runs, keys[start:i])
			start = i
		}
	}
	return runs
}
