package servers

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

const clusterSlots = 16384

// form makes a cluster of nodes that know nothing of each other. It does what redis-cli --cluster create does, in less time.
func (s *RedisClusterServer) form(ctx context.Context) error {
	nodes := make([]*redis.Client, len(s.Addrs))
	for i, addr := range s.Addrs {
		nodes[i] = s.operator(addr)
		defer nodes[i].Close()
	}
	for i, node := range nodes {
		if err := s.waitForNode(ctx, s.Addrs[i]); err != nil {
			return err
		}
		// Epochs of their own from the start: nodes that have the same one settle that among themselves, which takes time.
		if err := node.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
			return err
		}
		if i < clusterMasters {
			from, to := i*clusterSlots/clusterMasters, (i+1)*clusterSlots/clusterMasters-1
			if err := node.ClusterAddSlotsRange(ctx, from, to).Err(); err != nil {
				return err
			}
		}
		for j, addr := range s.Addrs[:i] {
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return err
			}
			if err := node.Do(ctx, "CLUSTER", "MEET", host, port, busPort(j)).Err(); err != nil {
				return err
			}
		}
	}
	for i, master := range nodes[:clusterMasters] {
		id, err := master.Do(ctx, "CLUSTER", "MYID").Text()
		if err != nil {
			return err
		}
		replica := nodes[clusterMasters+i]
		// It refuses until it has met the master.
		if err := untilTrue(ctx, "make a replica of "+s.Replicas[i], func(ctx context.Context) error { return replica.ClusterReplicate(ctx, id).Err() }); err != nil {
			return err
		}
	}
	return s.WaitHealthy(ctx)
}

// WaitHealthy waits until the whole cluster is well: every node answers, knows all the others, finds all slots served, and names
// three masters with a replica each; and every replica has caught up with its master. It waits a minute and a half at most,
// and says what is not well.
func (s *RedisClusterServer) WaitHealthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var nodes []*redis.Client
	for _, addr := range s.Addrs {
		if err := s.waitForNode(ctx, addr); err != nil {
			return err
		}
		node := s.operator(addr)
		defer node.Close()
		nodes = append(nodes, node)
	}
	return untilTrue(ctx, "wait until the cluster is healthy", func(ctx context.Context) error {
		for i, node := range nodes {
			if err := healthy(ctx, node); err != nil {
				return fmt.Errorf("node %s: %w", s.Addrs[i], err)
			}
		}
		return nil
	})
}

// healthy says what is wrong in one node's view, or nil.
func healthy(ctx context.Context, node *redis.Client) error {
	text, err := node.ClusterInfo(ctx).Result()
	if err != nil {
		return err
	}
	info := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		info[name] = value
	}
	for name, want := range map[string]string{
		"cluster_state":       "ok",
		"cluster_slots_ok":    strconv.Itoa(clusterSlots),
		"cluster_known_nodes": strconv.Itoa(2 * clusterMasters),
		"cluster_size":        strconv.Itoa(clusterMasters),
	} {
		if info[name] != want {
			return fmt.Errorf("%s is %s, not yet %s", name, info[name], want)
		}
	}
	served, err := node.ClusterSlots(ctx).Result() //nolint:staticcheck // clients ask for slots, not for shards
	if err != nil {
		return err
	}
	for _, slots := range served {
		if len(slots.Nodes) != 2 { // this is where clients learn of replicas
			return fmt.Errorf("slots %d to %d have %d nodes, not yet 2", slots.Start, slots.End, len(slots.Nodes))
		}
	}
	replication, err := node.InfoMap(ctx, "replication").Result()
	if err != nil {
		return err
	}
	role := replication["Replication"]
	switch {
	case role["role"] == "slave" && role["master_link_status"] != "up":
		return fmt.Errorf("the link to its master is %s", role["master_link_status"])
	case role["role"] == "master" && !strings.Contains(role["slave0"], "state=online"):
		return fmt.Errorf("its replica is %q, not yet online", role["slave0"])
	}
	return nil
}
