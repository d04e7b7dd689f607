package servers_test

import (
	"context"
	"crypto/tls"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestARedisOfEachKindIsWhatItsNameSays(t *testing.T) {
	for _, kind := range []servers.RedisKind{
		{Version: "7.0"},
		{Version: "8.0", TLS: true},
		{Flavour: "valkey", Version: "8.1", TLS: true},
		{Flavour: "valkey", Version: "9.1"},
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			s := servers.OwnRedisOf(t, kind, "--maxmemory", "77mb", "--appendonly", "yes", "--appendfsync", "always")
			info, err := s.Client.InfoMap(ctx, "server").Result()
			require.NoError(t, err)
			version := "redis_version"
			if kind.Flavour == "valkey" {
				version = "valkey_version"
			}
			require.Regexp(t, "^"+kind.Version+`\.\d`, info["Server"][version])
			require.Equal(t, "80740352", s.Client.ConfigGet(ctx, "maxmemory").Val()["maxmemory"])
			require.NoError(t, s.Client.Set(ctx, "k", "v", 0).Err())
			require.NoError(t, s.Kill())
			require.NoError(t, s.Start())
			require.Equal(t, "v", s.Client.Get(ctx, "k").Val())
			require.Equal(t, kind.TLS, s.TLS != nil)
			byURL, err := redis.ParseURL(s.URL)
			require.NoError(t, err)
			require.Equal(t, s.Addr, byURL.Addr)
			require.Equal(t, kind.TLS, byURL.TLSConfig != nil)
		})
	}
}

func TestATLSServerTakesNothingElseAndIsTrustedByItsOwnAuthorityOnly(t *testing.T) {
	a := servers.OwnRedisOf(t, servers.RedisKind{TLS: true})
	b := servers.OwnRedisOf(t, servers.RedisKind{TLS: true})
	ask := func(config *tls.Config) error {
		c := redis.NewClient(&redis.Options{Addr: a.Addr, TLSConfig: config, MaxRetries: -1, DialerRetries: 1})
		defer c.Close()
		return c.Ping(context.Background()).Err()
	}
	require.NoError(t, ask(a.TLS))
	require.Error(t, ask(nil), "no plain text")
	require.ErrorContains(t, ask(b.TLS), "unknown authority")
	require.ErrorContains(t, ask(&tls.Config{}), "unknown authority")
	other := a.TLS.Clone()
	other.ServerName = "redis.example.com"
	require.ErrorContains(t, ask(other), "redis.example.com")
	require.NoError(t, b.Client.Set(t.Context(), "k", "v", 0).Err())
	require.NoError(t, a.Restore(b))
	require.Equal(t, "v", a.Client.Get(t.Context(), "k").Val())
}

func TestAKindThatDoesNotExistIsRefusedByName(t *testing.T) {
	_, err := servers.StartRedisOf(t.Context(), servers.RedisKind{Flavour: "keydb"})
	require.ErrorContains(t, err, `no flavour "keydb"`)
	_, err = servers.StartRedisOf(t.Context(), servers.RedisKind{Limits: servers.RedisLimits{Hidden: []string{"config|set"}}})
	require.ErrorContains(t, err, `"config|set" is a subcommand`)
	_, err = servers.StartRedisOf(t.Context(), servers.RedisKind{Limits: servers.RedisLimits{Denied: []string{"config"}}}, "--requirepass", "x")
	require.ErrorContains(t, err, "--requirepass do not go together")
}
