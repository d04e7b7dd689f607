package redismigrate

import (
	"cmp"
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// slotOf is the slot of a cluster that a key lives in: CRC16 (polynomial 0x1021, from zero) of the key, or of what stands between the first
// { and the next } when that is not empty.
func slotOf(key string) int {
	if _, tail, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(tail, "}"); ok && tag != "" {
			key = tag
		}
	}
	crc := uint16(0)
	for i := range len(key) {
		crc = crc<<8 ^ crc16Table[byte(crc>>8)^key[i]]
	}
	return int(crc) % slotCount
}

var crc16Table = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		table[i] = crc
	}
	return table
}()

// slotOwners says which master serves each slot.
func slotOwners(slots []redis.ClusterSlot, asked string, masters []*node) []*node {
	byAddr := map[string]*node{}
	for _, n := range masters {
		byAddr[n.addr] = n
	}
	owners := make([]*node, slotCount)
	for _, r := range slots {
		if len(r.Nodes) == 0 {
			continue
		}
		for slot := max(r.Start, 0); slot <= min(r.End, slotCount-1); slot++ {
			owners[slot] = byAddr[announced(r.Nodes[0].Addr, asked)]
		}
	}
	return owners
}

// inSlotZero is a key of the slot that the empty key is in too.
const inSlotZero = "3560"

// masterOf is the master that serves a key's slot, as the cluster client knows it. That takes the empty key to any node, as if no key were
// named, but it is a key like any other.
func (s *session) masterOf(ctx context.Context, key string) (*redis.Client, error) {
	return s.cluster.MasterForKey(ctx, cmp.Or(key, inSlotZero))
}

// owner is the master that served a key's slot when the session was opened; it answers MOVED or ASK if the slot has gone elsewhere since.
func (s *session) owner(key string) *node {
	if s.cluster == nil {
		return s.nodes[0]
	}
	if n := s.owners[slotOf(key)]; n != nil {
		return n
	}
	return s.nodes[0]
}
