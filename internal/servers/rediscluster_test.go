package servers_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestAClusterIsHealthyAndSurvivesWhatIsDoneToItsNodes(t *testing.T) {
	for _, kind := range []servers.RedisKind{
		{Version: "7.0"},
		{Flavour: "valkey", Version: "9.1", TLS: true, Limits: servers.MemoryDB()},
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			// Nothing but Failover fails over.
			c := servers.RedisCluster(t, kind, "--appendonly", "yes", "--appendfsync", "always", "--cluster-replica-no-failover", "yes")
			for i := range 100 { // all masters take part
				require.NoError(t, c.Client.Set(ctx, fmt.Sprint("key:", i), i, 0).Err())
			}
			require.Len(t, c.Addrs, 6)
			options, err := redis.ParseClusterURL(c.URL)
			require.NoError(t, err)
			require.Equal(t, c.Addrs, options.Addrs)
			require.Equal(t, kind.TLS, options.TLSConfig != nil)
			for i, master := range c.Masters {
				node := redis.NewClient(c.Options(master))
				defer node.Close()
				require.NotZero(t, node.DBSize(ctx).Val())
				role, err := node.Do(ctx, "ROLE").Slice()
				require.NoError(t, err)
				replicas := role[2].([]any)
				require.Len(t, replicas, 1)
				require.Equal(t, c.Replicas[i], fmt.Sprint("127.0.0.1:", replicas[0].([]any)[1]))
			}
			limited(t, kind.Limits.Name != "", c)
			all := func() {
				t.Helper()
				require.NoError(t, c.WaitHealthy(ctx))
				for i := range 100 {
					v, err := c.Client.Get(ctx, fmt.Sprint("key:", i)).Int()
					require.NoError(t, err)
					require.Equal(t, i, v)
				}
			}

			require.NoError(t, c.KillNode(c.Masters[0]))
			require.Error(t, answers(t, c, c.Masters[0]))
			require.ErrorContains(t, c.KillNode(c.Masters[0]), "the node does not run")
			require.NotContains(t, snapshot(t, c), "key:", "a node that is stopped in good order saves; a killed one cannot")
			require.NoError(t, answers(t, c, c.Masters[1]))
			require.NoError(t, c.StartNode(c.Masters[0]))
			require.NoError(t, answers(t, c, c.Masters[0]))
			require.ErrorContains(t, c.StartNode(c.Masters[0]), "the node runs")
			all()

			require.NoError(t, c.Failover(c.Replicas[1]))
			all()
			require.NoError(t, c.KillNode(c.Masters[2]))
			require.NoError(t, c.Failover(c.Replicas[2]), "of a dead master")
			require.NoError(t, c.StartNode(c.Masters[2]))
			all()

			require.NoError(t, c.Kill())
			require.NoError(t, c.Start())
			all()
			require.NotContains(t, snapshot(t, c), "key:")
			require.NoError(t, c.Stop())
			require.NoError(t, c.Start())
			all()
			require.Contains(t, snapshot(t, c), "key:")
			require.ErrorContains(t, c.KillNode("127.0.0.1:1"), "no node at 127.0.0.1:1")
		})
	}
}

// snapshot is what the first node has saved, or cat's complaint that there is nothing.
func snapshot(t *testing.T, c *servers.RedisClusterServer) string {
	t.Helper()
	saved, err := c.Exec("sh", "-c", "cat /data/"+strings.TrimPrefix(c.Masters[0], "127.0.0.1:")+"/dump.rdb || true")
	require.NoError(t, err)
	return saved
}

// limited requires that the first node refuses what MemoryDB refuses, or does not.
func limited(t *testing.T, yes bool, c *servers.RedisClusterServer) {
	t.Helper()
	ctx := t.Context()
	node := redis.NewClient(c.Options(c.Addrs[0]))
	defer node.Close()
	config := node.ConfigGet(ctx, "maxmemory").Err()
	write := node.Do(ctx, "CLUSTER", "SAVECONFIG").Err()
	if !yes {
		require.NoError(t, config)
		require.NoError(t, write)
		return
	}
	require.ErrorContains(t, config, "ERR unknown command")
	require.ErrorContains(t, write, "NOPERM")
	require.ErrorContains(t, node.Do(ctx, "SYNC").Err(), "NOPERM")
	require.ErrorContains(t, node.Do(ctx, "MODULE", "LIST").Err(), "ERR unknown command")
	require.NoError(t, node.ClusterInfo(ctx).Err())
}

func answers(t *testing.T, c *servers.RedisClusterServer, addr string) error {
	o := c.Options(addr)
	o.MaxRetries, o.DialerRetries = -1, 1
	node := redis.NewClient(o)
	defer node.Close()
	return node.Ping(t.Context()).Err()
}

func TestAClusterWhoseNodesCannotStartSaysWhy(t *testing.T) {
	_, err := servers.StartRedisCluster(t.Context(), servers.RedisKind{}, "--no-such-option", "it's")
	require.ErrorContains(t, err, "the server ended with exit code 1", "it is not waited for in vain")
	require.ErrorContains(t, err, "no-such-option")
	require.ErrorContains(t, err, "it's")
}
