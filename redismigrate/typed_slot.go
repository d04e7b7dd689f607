package redismigrate

import (
	"strconv"
	"sync"
)

// slotTags has, for each slot of a cluster, a number that as a hash tag leads there. It takes some milliseconds to make, once.
var slotTags = sync.OnceValue(func() *[slotCount]uint32 {
	var tags [slotCount]uint32
	for n, left := uint32(1), slotCount; left > 0; n++ {
		if at := &tags[slotOf(strconv.Itoa(int(n)))]; *at == 0 {
			*at = n
			left--
		}
	}
	return &tags
})

// tagBeside returns a hash tag, "{123}", of which every key lives in the same slot as this one. The key itself would not do: it may be
// long, or have braces in it that make no tag.
func tagBeside(key string) string {
	return "{" + strconv.Itoa(int(slotTags()[slotOf(key)])) + "}"
}
