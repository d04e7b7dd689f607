package redismigrate

import (
	"context"
	"slices"
	"strings"
)

// slotMap is which slots each master serves, in words that change when any of them moves.
type slotMap struct {
	text    string
	settled bool // none is on its way from one node to another
}

// slotMap asks each master what it serves itself. A single server has no slots, and they never move.
func (s *session) slotMap(ctx context.Context) (slotMap, error) {
	m := slotMap{settled: true}
	if s.cluster == nil {
		return m, nil
	}
	var lines []string
	for _, n := range s.nodes {
		text, err := n.db(0).ClusterNodes(ctx).Result()
		if err != nil {
			return m, n.fail("ask CLUSTER NODES for its slots", err)
		}
		line, settled := ownSlots(text)
		lines = append(lines, line)
		m.settled = m.settled && settled
	}
	slices.Sort(lines)
	m.text = strings.Join(lines, "; ")
	return m, nil
}

// ownSlots finds in a reply to CLUSTER NODES the answering node's own name and slots. A slot on its way shows in brackets.
func ownSlots(nodes string) (text string, settled bool) {
	for line := range strings.Lines(nodes) {
		fields := strings.Fields(line) // id, addr, flags, master, two times, epoch, link, slots …
		if len(fields) < 8 || !slices.Contains(strings.Split(fields[2], ","), "myself") {
			continue
		}
		for _, slot := range fields[8:] {
			if strings.HasPrefix(slot, "[") {
				return "", false
			}
		}
		return strings.Join(append(fields[:1:1], fields[8:]...), " "), true
	}
	return "", false
}
