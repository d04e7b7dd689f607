package servers

import (
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// clusterMasters is how many masters a cluster has; each has one replica.
const clusterMasters = 3

//go:embed cluster/cluster.sh
var clusterScript []byte

//go:embed cluster/node.sh
var nodeScript []byte

// RedisClusterServer is a real Redis or Valkey cluster of the test's own: three masters with a replica each, in one container. Each
// node is reached at 127.0.0.1 and a port of its own, which is also the address that the cluster tells its clients.
//
// Kill, Stop and Start are for all nodes at once; KillNode and StartNode for one.
type RedisClusterServer struct {
	control
	Client   *redis.ClusterClient
	URL      string      // redis://host:port?addr=host:port…, all nodes, as redis.ParseClusterURL reads it; or rediss://
	Addrs    []string    // host:port of all nodes, the first masters first
	Masters  []string    // as the cluster was formed; what a failover has changed, CLUSTER SHARDS tells
	Replicas []string    // Replicas[i] is the replica of Masters[i]
	TLS      *tls.Config // trusts the nodes; nil where they speak no TLS

	setup redisSetup
}

// RedisCluster returns a cluster of the test's own, every node started with these arguments to redis-server. It is formed and
// healthy; WaitHealthy says what that means. A node's failure is noticed after five seconds (--cluster-node-timeout).
func RedisCluster(tb TB, kind RedisKind, args ...string) *RedisClusterServer {
	tb.Helper()
	return given(tb, "a cluster of "+kind.String(), func(ctx context.Context) (*RedisClusterServer, error) { return StartRedisCluster(ctx, kind, args...) })
}

// StartRedisCluster is RedisCluster for programs and Examples: close what it returns.
func StartRedisCluster(ctx context.Context, kind RedisKind, args ...string) (*RedisClusterServer, error) {
	setup, err := kind.setup(ctx, true, args)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{
		"/tashikame/cluster.sh": clusterScript,
		"/tashikame/node.sh":    nodeScript,
		"/tashikame/options":    []byte(setup.nodeOptions(args)),
	}
	maps.Copy(files, setup.files)
	c, addr, err := run(ctx, containerSpec{
		image:      setup.image,
		entrypoint: []string{"sh", "/tashikame/cluster.sh"},
		files:      files,
		nodes:      2 * clusterMasters,
	}, setup.ping)
	if err != nil {
		return nil, err
	}
	s := &RedisClusterServer{control: control{c, setup.ping}, TLS: setup.tls, setup: setup}
	for _, port := range c.nodes {
		s.Addrs = append(s.Addrs, net.JoinHostPort("127.0.0.1", port))
	}
	s.Masters, s.Replicas = slices.Clone(s.Addrs[:clusterMasters]), slices.Clone(s.Addrs[clusterMasters:])
	s.URL = setup.scheme() + s.Addrs[0] + "?" + url.Values{"addr": s.Addrs[1:]}.Encode()
	err = setup.claims(ctx, addr)
	if err == nil {
		err = s.form(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.remove(ctx))
	}
	s.Client = redis.NewClusterClient(&redis.ClusterOptions{Addrs: s.Addrs, TLSConfig: s.TLS})
	return s, nil
}

// Close removes the cluster.
func (s *RedisClusterServer) Close() error {
	return errors.Join(s.Client.Close(), s.container.remove(context.Background()))
}

// Start starts a killed or stopped cluster, and waits until it is healthy.
func (s *RedisClusterServer) Start() error {
	if err := s.control.Start(); err != nil {
		return err
	}
	return s.WaitHealthy(context.Background())
}

// nodeTimeout is after how many milliseconds without an answer a node counts as failed: long enough for a node of a busy machine.
const nodeTimeout = "5000"

// busPort is the port at which a node talks to the others; see cluster.sh.
func busPort(index int) int { return 17001 + index }

// nodeOptions are a node's options, quoted for a shell that knows its $port.
func (s redisSetup) nodeOptions(args []string) string {
	options := []string{
		"--protected-mode", "no", "--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1", "--cluster-node-timeout", nodeTimeout,
		// Their defaults are 5 and 10 seconds: until then a replica is not fed, and not named by CLUSTER SLOTS.
		"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
		"--masteruser", operatorName, "--masterauth", s.operator,
	}
	if s.tls != nil {
		options = append(options, "--tls-cluster", "yes", "--tls-replication", "yes")
	}
	quoted := s.listen(`"$port"`)
	for _, option := range slices.Concat(options, s.args, args) {
		quoted = append(quoted, "'"+strings.ReplaceAll(option, "'", `'\''`)+"'")
	}
	return strings.Join(quoted, " ")
}

// operator returns a client for one node that no limit binds.
func (s *RedisClusterServer) operator(addr string) *redis.Client {
	o := s.setup.asOperator(addr)
	o.DialTimeout, o.DialerRetries, o.MaxRetries = dialTimeout, 1, -1
	return redis.NewClient(o)
}

// untilTrue asks again and again until there is nothing wrong any more.
func untilTrue(ctx context.Context, what string, check func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("servers: %s: %w (%w)", what, err, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
