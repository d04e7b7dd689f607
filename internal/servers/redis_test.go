package servers

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnotherDBKeepsTheRestOfTheURL(t *testing.T) {
	require.Equal(t, "redis://10.0.0.5:6379/7", withDB("redis://10.0.0.5:6379", 7))
	require.Equal(t, "rediss://user:p%2Fw@host:6380/7?dial_timeout=2s", withDB("rediss://user:p%2Fw@host:6380/0?dial_timeout=2s", 7))
}

func TestAnImageThatHoldsAnotherVersionThanItsNameIsRefused(t *testing.T) {
	s := OwnRedisOf(t, RedisKind{Flavour: "valkey", Version: "8.1"})
	require.NoError(t, s.setup.claims(t.Context(), s.Addr))
	s.setup.image.version = "7.2" // as which Valkey answers to those who ask for Redis's version
	require.ErrorContains(t, s.setup.claims(t.Context(), s.Addr), `the image says valkey 7.2, the server "8.1`)
}
