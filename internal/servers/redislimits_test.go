package servers_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestARedisLikeElastiCacheHidesAndDeniesAndCanStillBeRestoredFrom(t *testing.T) {
	ctx := t.Context()
	s := servers.OwnRedisOf(t, servers.RedisKind{Version: "7.0", Limits: servers.ElastiCache()}, "--save", "")
	for _, command := range [][]any{
		{"CONFIG", "GET", "maxmemory"}, {"MIGRATE", "10.0.0.1", "1", "k", "0", "100"}, {"DEBUG", "DIGEST"}, {"SAVE"}, {"BGSAVE"}, {"BGREWRITEAOF"},
		{"REPLICAOF", "NO", "ONE"}, {"SLAVEOF", "NO", "ONE"}, {"PSYNC", "?", "-1"}, {"SYNC"}, {"SHUTDOWN"},
	} {
		require.ErrorContains(t, s.Client.Do(ctx, command...).Err(), "ERR unknown command", command)
		info, err := s.Client.Do(ctx, "COMMAND", "INFO", command[0]).Slice()
		require.NoError(t, err)
		require.Equal(t, []any{nil}, info, "COMMAND does not know it either: %v", command)
	}
	for _, command := range [][]any{{"ACL", "SETUSER", "x"}, {"ACL", "DELUSER", "x"}, {"CLUSTER", "MEET", "10.0.0.1", "1"}, {"CLUSTER", "RESET"}} {
		require.ErrorContains(t, s.Client.Do(ctx, command...).Err(), "NOPERM", command)
	}
	require.NoError(t, s.Client.Do(ctx, "ACL", "WHOAMI").Err())
	require.ErrorIs(t, s.Client.Do(ctx, "MEMORY", "USAGE", "k").Err(), redis.Nil)
	require.NoError(t, s.Client.Set(ctx, "k", "v", 0).Err())

	to := servers.OwnRedisOf(t, servers.RedisKind{Limits: servers.RedisLimits{Denied: []string{"save", "CONFIG|set", "object|freq"}}}, "--save", "")
	require.NoError(t, to.Restore(s))
	require.Equal(t, "v", to.Client.Get(ctx, "k").Val())
	require.Equal(t, "v", s.Client.Get(ctx, "k").Val(), "the server that the snapshot was taken of is as it was")
	require.ErrorContains(t, to.Client.ConfigSet(ctx, "maxmemory", "1gb").Err(), "NOPERM")
	require.NoError(t, to.Client.ConfigGet(ctx, "maxmemory").Err())
	require.ErrorContains(t, to.Client.Do(ctx, "OBJECT", "FREQ", "k").Err(), "NOPERM")
	require.ErrorContains(t, to.Client.Save(ctx).Err(), "NOPERM")
	rdb, err := to.Snapshot()
	require.NoError(t, err, "nobody else may take a snapshot, but the harness may")
	require.Equal(t, "REDIS", string(rdb[:5]))
}

func TestARedisLikeMemorystoreAnswersToAClientThatCannotAskAboutIt(t *testing.T) {
	ctx := t.Context()
	s := servers.OwnRedisOf(t, servers.RedisKind{TLS: true, Limits: servers.Memorystore()})
	for _, command := range [][]any{{"COMMAND"}, {"CLIENT", "LIST"}, {"OBJECT", "ENCODING", "k"}, {"CLUSTER", "INFO"}, {"CONFIG", "GET", "save"}} {
		require.ErrorContains(t, s.Client.Do(ctx, command...).Err(), "ERR unknown command", command)
	}
	require.NoError(t, s.Client.Set(ctx, "k", "v", 0).Err())
	require.Equal(t, "v", s.Client.Get(ctx, "k").Val())
}
