package redismigrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/redis/go-redis/v9"
)

// slotCount is how many slots a cluster spreads its keys over.
const slotCount = 16384

// member is a node of a cluster as CLUSTER SLOTS tells it.
type member struct {
	addr      string
	firstSlot int
	master    bool
}

// joinCluster finds the nodes of the cluster that the first connection reached, identifies each, and makes a client that routes by key.
func (s *session) joinCluster(ctx context.Context) error {
	slots, err := s.client(s.addr, s.opts.DB).ClusterSlots(ctx).Result() //nolint:staticcheck // CLUSTER SHARDS is not there before 7.0
	if err != nil {
		return s.fail("ask CLUSTER SLOTS for the nodes", err)
	}
	members, missing := clusterMembers(slots, s.addr)
	if missing > 0 {
		return fmt.Errorf("%s %s: the cluster serves only %d of its %d slots; repair it (CLUSTER INFO, CLUSTER NODES), then start again: the keys of the other slots cannot be seen", s.side, s.addr, slotCount-missing, slotCount)
	}
	only, all := s.expected(), []identity(nil)
	for _, m := range members {
		id, err := readIdentity(ctx, s.client(m.addr, 0))
		if err != nil && !m.master {
			continue // should it become a master, the job stops
		}
		if err == nil {
			err = s.checkTold(m.addr, id)
		}
		if err == nil && m.master && len(only) > 0 && !slices.Contains(only, id.runID) {
			err = &replacedError{want: only, got: id.runID}
		}
		if err != nil {
			return failAt(s.side, m.addr, "ask INFO of this node of the cluster, at the address that the cluster announces", err)
		}
		if m.master {
			s.nodes = append(s.nodes, &node{session: s, addr: m.addr, id: id})
		}
		all = append(all, id)
	}
	for _, id := range all { // only now: the first known run_id is what every later connection is held against
		if len(only) == 0 {
			s.know(id.runID)
		}
	}
	s.owners = slotOwners(slots, s.addr, s.nodes)
	s.id = sumIdentity(s.nodes)
	for _, db := range s.id.usedDBs {
		if db != 0 {
			return fmt.Errorf("%s %s: the cluster holds keys in db %d; only db 0 of a cluster is supported", s.side, s.addr, db)
		}
	}
	s.opts.DB = 0
	s.cluster = redis.NewClusterClient(s.clusterOptions(members))
	return nil
}

// clusterOptions are the session's options for a client of all nodes.
func (s *session) clusterOptions(members []member) *redis.ClusterOptions {
	o := s.opts
	c := &redis.ClusterOptions{
		// Every client that it makes has the session's own options: they prove the server and can be cut.
		NewClient: func(asked *redis.Options) *redis.Client {
			mine := *o
			mine.Addr, mine.DB = asked.Addr, 0
			return redis.NewClient(&mine)
		},
		MaxRedirects:             8, // MOVED, ASK, TRYAGAIN and LOADING while slots move or a replica takes over
		MinRetryBackoff:          o.MinRetryBackoff,
		MaxRetryBackoff:          o.MaxRetryBackoff,
		Dialer:                   o.Dialer,
		DisableIdentity:          true,
		DisableRoutingPolicies:   true, // no command is spread over the nodes behind the back of whoever counts its answers
		MaintNotificationsConfig: o.MaintNotificationsConfig,
	}
	for _, m := range members {
		c.Addrs = append(c.Addrs, m.addr)
	}
	return c
}

// clusterMembers returns the nodes that CLUSTER SLOTS names, masters first and by their first slot, and how many slots nobody serves.
// An empty host means that of the server that was asked.
func clusterMembers(slots []redis.ClusterSlot, asked string) (members []member, missing int) {
	missing = slotCount
	at := map[string]int{}
	for _, r := range slots {
		if len(r.Nodes) == 0 {
			continue
		}
		missing -= r.End - r.Start + 1
		for i, n := range r.Nodes {
			addr := announced(n.Addr, asked)
			j, seen := at[addr]
			if !seen {
				j = len(members)
				at[addr] = j
				members = append(members, member{addr: addr, firstSlot: r.Start})
			}
			members[j].master = members[j].master || i == 0
			members[j].firstSlot = min(members[j].firstSlot, r.Start)
		}
	}
	slices.SortFunc(members, func(a, b member) int {
		if a.master != b.master {
			if a.master {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.firstSlot, b.firstSlot), cmp.Compare(a.addr, b.addr))
	})
	return members, missing
}

func announced(addr, asked string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host != "" && host != "?" {
		return addr
	}
	if host, _, err = net.SplitHostPort(asked); err != nil {
		return addr
	}
	return net.JoinHostPort(host, port)
}

// sumIdentity is the identity of the first node with the keys of all.
func sumIdentity(nodes []*node) identity {
	id := nodes[0].id
	id.usedDBs, id.keys = nil, map[int]int64{}
	for _, n := range nodes {
		for db, keys := range n.id.keys {
			if id.keys[db] == 0 {
				id.usedDBs = append(id.usedDBs, db)
			}
			id.keys[db] += keys
		}
	}
	slices.Sort(id.usedDBs)
	return id
}

// refreshNodes asks each master again who it is, and whether it still is a master.
func (s *session) refreshNodes(ctx context.Context) error {
	var errs []error
	for _, n := range s.nodes {
		id, err := readIdentity(ctx, n.db(s.opts.DB))
		if err != nil {
			errs = append(errs, n.fail("ask INFO who it is", err))
			continue
		}
		n.id = id
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	s.id = s.nodes[0].id
	if s.cluster != nil {
		s.id = sumIdentity(s.nodes)
	}
	return nil
}
