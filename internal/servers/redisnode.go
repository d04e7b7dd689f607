package servers

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options returns the options of a client for one node.
func (s *RedisClusterServer) Options(addr string) *redis.Options {
	return &redis.Options{Addr: addr, TLSConfig: s.TLS}
}

// KillNode ends one node as a power cut would (SIGKILL); it returns when the node is gone. The cluster needs about eight
// seconds to put the replica in a killed master's place.
func (s *RedisClusterServer) KillNode(addr string) error {
	port, err := s.port(addr)
	if err != nil {
		return err
	}
	_, err = s.Exec("sh", "-c", `pid=$(cat "/data/$1.pid")
		kill -9 "$pid" 2>/dev/null || { echo "the node does not run"; exit 1; }
		while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done`, "kill", port)
	return err
}

// StartNode starts a killed node with the data that had reached the disk, and waits until it answers. WaitHealthy waits until it has
// found its place in the cluster.
func (s *RedisClusterServer) StartNode(addr string) error {
	port, err := s.port(addr)
	if err != nil {
		return err
	}
	if _, err := s.Exec("sh", "-c", `! kill -0 "$(cat "/data/$1.pid")" 2>/dev/null || { echo "the node runs"; exit 1; }
		setsid sh /tashikame/node.sh "$1" >/proc/1/fd/1 2>&1 </dev/null &`, "start", port); err != nil {
		return err
	}
	return s.waitForNode(context.Background(), addr)
}

func (s *RedisClusterServer) waitForNode(ctx context.Context, addr string) error {
	return untilTrue(ctx, "wait until the node at "+addr+" answers", func(ctx context.Context) error { return s.setup.ping(ctx, addr) })
}

// Failover puts a replica in its master's place, and returns when all nodes that answer know it. Where the master is alive, no
// write that it has acknowledged is lost.
func (s *RedisClusterServer) Failover(replica string) error {
	if _, err := s.port(replica); err != nil {
		return err
	}
	node := s.operator(replica)
	defer node.Close()
	ctx := context.Background()
	id, err := node.Do(ctx, "CLUSTER", "MYID").Text()
	if err != nil {
		return fmt.Errorf("servers: fail over to %s: %w", replica, err)
	}
	var asked time.Time
	return untilTrue(ctx, "fail over to "+replica, func(ctx context.Context) error {
		role, err := node.Do(ctx, "ROLE").Slice()
		if err != nil {
			return err
		}
		if role[0] != "master" {
			if time.Since(asked) > 6*time.Second { // the attempt is given up after five
				asked = time.Now()
				err := node.ClusterFailover(ctx).Err()
				if err != nil && strings.Contains(err.Error(), "FORCE") { // its master is dead
					err = node.Do(ctx, "CLUSTER", "FAILOVER", "FORCE").Err()
				}
				if err != nil {
					return err
				}
			}
			return fmt.Errorf("it is a %s still", role[0])
		}
		for _, addr := range s.Addrs {
			if err := s.knowsMaster(ctx, addr, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// knowsMaster says that a node does not know another one as a master. A node that does not answer says nothing.
func (s *RedisClusterServer) knowsMaster(ctx context.Context, addr, id string) error {
	if s.setup.ping(ctx, addr) != nil {
		return nil
	}
	node := s.operator(addr)
	defer node.Close()
	text, err := node.ClusterNodes(ctx).Result()
	if err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); fields[0] == id && slices.Contains(strings.Split(fields[2], ","), "master") {
			return nil
		}
	}
	return fmt.Errorf("the node at %s does not know it as a master yet", addr)
}

// port is the port of a node, inside the container and outside.
func (s *RedisClusterServer) port(addr string) (string, error) {
	if !slices.Contains(s.Addrs, addr) {
		return "", fmt.Errorf("servers: the cluster has no node at %s; its nodes are %s", addr, strings.Join(s.Addrs, ", "))
	}
	_, port, err := net.SplitHostPort(addr)
	return port, err
}
