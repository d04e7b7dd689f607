package servers

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnotherDBKeepsTheRestOfTheURL(t *testing.T) {
	require.Equal(t, "redis://10.0.0.5:6379/7", withDB("redis://10.0.0.5:6379", 7))
	require.Equal(t, "rediss://user:p%2Fw@host:6380/7?dial_timeout=2s", withDB("rediss://user:p%2Fw@host:6380/0?dial_timeout=2s", 7))
}
