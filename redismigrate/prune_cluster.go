package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// shard is what a node of a cluster says of itself in CLUSTER NODES.
type shard struct {
	id     string
	master bool
	epoch  string   // rises whenever slots or the role of a master change hands
	slots  [][2]int // ranges that it serves, both ends included
	moving []string // slots on their way: "[93->-…]" to another node, "[93-<-…]" from one
}

// parseMyself reads the line of the node that was asked.
func parseMyself(nodes string) (shard, error) {
	for line := range strings.Lines(nodes) {
		f := strings.Fields(line)
		if len(f) < 8 || !strings.Contains(","+f[2]+",", ",myself,") {
			continue
		}
		s := shard{id: f[0], master: strings.Contains(","+f[2]+",", ",master,"), epoch: f[6]}
		for _, slots := range f[8:] {
			if strings.HasPrefix(slots, "[") {
				s.moving = append(s.moving, slots)
				continue
			}
			first, last, isRange := strings.Cut(slots, "-")
			if !isRange {
				last = first
			}
			a, errA := strconv.Atoi(first)
			b, errB := strconv.Atoi(last)
			if err := errors.Join(errA, errB); err != nil {
				return shard{}, fmt.Errorf("CLUSTER NODES shows slots %q: %w", slots, err)
			}
			s.slots = append(s.slots, [2]int{a, b})
		}
		return s, nil
	}
	return shard{}, errors.New("CLUSTER NODES does not show the node that was asked")
}

// serves reports whether the node serves a slot.
func (s shard) serves(slot int) bool {
	for _, r := range s.slots {
		if r[0] <= slot && slot <= r[1] {
			return true
		}
	}
	return false
}

// shards asks each master of a cluster about itself, in the order of nodes.
func (s *session) shards(ctx context.Context) ([]shard, error) {
	out := make([]shard, len(s.nodes))
	for i, n := range s.nodes {
		text, err := n.db(0).ClusterNodes(ctx).Result()
		if err != nil {
			return nil, n.fail("ask CLUSTER NODES which slots it serves", err)
		}
		if out[i], err = parseMyself(text); err != nil {
			return nil, n.fail("read its answer", err)
		}
	}
	return out, nil
}

// layout says in one string who serves which slots of a cluster since when; while it stays the same, no key has changed its place. It
// gives an error while slots are being moved, and when a node is no master any more. A single server's layout is always the same.
func (s *session) layout(ctx context.Context) (string, error) {
	if s.cluster == nil {
		return "", nil
	}
	shards, err := s.shards(ctx)
	if err != nil {
		return "", err
	}
	served := 0
	for i, sh := range shards {
		if !sh.master {
			return "", fmt.Errorf("%s %s is not a master any more", s.side, s.nodes[i].addr)
		}
		if len(sh.moving) > 0 {
			return "", fmt.Errorf("%s %s is moving slots: %.60s", s.side, s.nodes[i].addr, strings.Join(sh.moving, " "))
		}
		for _, r := range sh.slots {
			served += r[1] - r[0] + 1
		}
	}
	if served != slotCount {
		return "", fmt.Errorf("the masters of the %s %s serve %d slots together, not %d: slots are changing hands", s.side, s.addr, served, slotCount)
	}
	return fmt.Sprint(shards), nil
}

// settled waits until a cluster's slots stay where they are, at most for limit, and returns the layout. The masters may be others than
// before: replicas that took over are found, and every one of them has to be a process that the session knows.
func (s *session) settled(ctx context.Context, limit time.Duration) (string, error) {
	deadline := time.Now().Add(limit)
	for {
		err := s.relocate(ctx)
		var layout string
		if err == nil {
			layout, err = s.layout(ctx)
		}
		var replaced *replacedError
		switch {
		case err == nil:
			return layout, nil
		case s.cluster == nil || errors.As(err, &replaced) || ctx.Err() != nil:
			return "", err
		case time.Now().After(deadline):
			return "", fmt.Errorf("%w; the cluster did not settle within %s: let the resharding or the fail-over end, then apply the plan again", err, limit)
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return "", err
		}
	}
}

// relocate finds the masters anew, and asks each who it is.
func (s *session) relocate(ctx context.Context) error {
	if s.cluster == nil {
		return s.refreshNodes(ctx)
	}
	var members []member
	var errs []error
	for _, n := range s.nodes { // one that answers is enough
		slots, err := n.db(0).ClusterSlots(ctx).Result() //nolint:staticcheck // CLUSTER SHARDS came with 7.0
		if err != nil {
			errs = append(errs, n.fail("ask CLUSTER SLOTS for the nodes", err))
			continue
		}
		var missing int
		if members, missing = clusterMembers(slots, n.addr); missing > 0 {
			return fmt.Errorf("%s %s: the cluster serves only %d of its %d slots; repair it (CLUSTER INFO, CLUSTER NODES), then start again", s.side, s.addr, slotCount-missing, slotCount)
		}
		break
	}
	if members == nil {
		return errors.Join(errs...)
	}
	var nodes []*node
	for _, m := range members {
		if !m.master {
			continue
		}
		id, err := readIdentity(ctx, s.client(m.addr, 0)) // the connection proves that the process is one that is known
		if err != nil {
			return failAt(s.side, m.addr, "ask INFO of this master of the cluster", err)
		}
		nodes = append(nodes, &node{session: s, addr: m.addr, id: id})
	}
	s.nodes = nodes
	s.id = sumIdentity(nodes)
	return nil
}
