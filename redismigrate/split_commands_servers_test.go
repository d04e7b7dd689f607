package redismigrate

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// serverCommand is what a server says of a command.
type serverCommand struct {
	flags   []string
	hasKeys bool
}

// commandsOf asks a server for all of its commands, and subcommands as "xinfo|stream".
func commandsOf(t *testing.T, c *redis.Client) map[string]serverCommand {
	t.Helper()
	all := map[string]serverCommand{}
	var read func(list []any)
	read = func(list []any) {
		for _, one := range list {
			info := one.([]any)
			cmd := serverCommand{hasKeys: info[3].(int64) != 0}
			for _, flag := range info[2].([]any) {
				cmd.flags = append(cmd.flags, flag.(string))
			}
			cmd.hasKeys = cmd.hasKeys || slices.Contains(cmd.flags, "movablekeys")
			all[strings.ToLower(info[0].(string))] = cmd
			read(info[9].([]any))
		}
	}
	reply, err := c.Do(t.Context(), "COMMAND").Slice()
	require.NoError(t, err)
	read(reply)
	return all
}

// TestSplitCommandsAreTheServers holds the table against four servers: where keys are, what only reads, what cannot run inside a script, and that nothing else is let through.
func TestSplitCommandsAreTheServers(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	known := map[string]bool{} // by any of the servers
	t.Run("servers", func(t *testing.T) {
		for _, kind := range []servers.RedisKind{{Flavour: "redis", Version: "7.0"}, {Flavour: "redis", Version: "8.0"}, {Flavour: "valkey", Version: "8.1"}, {Flavour: "valkey", Version: "9.1"}} {
			t.Run(kind.String(), func(t *testing.T) {
				t.Parallel()
				server := servers.OwnRedisOf(t, kind, "--save", "")
				theirs := commandsOf(t, redis2(t, server))
				mu.Lock()
				maps.Insert(known, func(yield func(string, bool) bool) {
					for name := range theirs {
						if !yield(name, true) {
							return
						}
					}
				})
				mu.Unlock()
				sameKeys(t, server, theirs)
				sameFlags(t, theirs)
				nothingElse(t, theirs)
			})
		}
	})
	var unknown []string
	for name, treatment := range treatments {
		if treatment.keys != nil && !known[name] {
			unknown = append(unknown, name)
		}
	}
	// They came with Redis 8.2 and 8.4, and are not in Valkey: what they take is known from their documentation only.
	require.ElementsMatch(t, []string{"delex", "digest", "xackdel", "xdelex"}, unknown)
}

// redis2 is a client that gets replies as in RESP2, where a map is a list.
func redis2(t *testing.T, s *servers.RedisServer) *redis.Client {
	t.Helper()
	o := s.Options(0)
	o.Protocol = 2
	c := redis.NewClient(o)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func sameKeys(t *testing.T, server *servers.RedisServer, theirs map[string]serverCommand) {
	t.Helper()
	asked := 0
	for _, s := range samplesOfSplit() {
		if _, ok := theirs[s.name]; !ok {
			continue
		}
		keys, err := server.Client.Do(t.Context(), append([]any{"COMMAND", "GETKEYS"}, s.args...)...).StringSlice()
		require.NoError(t, err, s.text)
		require.ElementsMatch(t, s.keys, keys, s.text)
		asked++
	}
	require.Greater(t, asked, 200)
}

func sameFlags(t *testing.T, theirs map[string]serverCommand) {
	t.Helper()
	for name, treatment := range treatments {
		cmd, ok := theirs[name]
		if !ok || treatment.keys == nil {
			continue
		}
		require.Equal(t, slices.Contains(cmd.flags, "readonly"), treatment.reads, "%s: readonly on the server, reads in the table", name)
		require.False(t, slices.Contains(cmd.flags, "noscript") && !treatment.native, "%s cannot run inside a script", name)
		require.False(t, slices.Contains(cmd.flags, "blocking") && name != "xread" && name != "xreadgroup", "%s blocks", name)
	}
}

// nothingElse requires that a command which the table does not route is refused, and that what is routed has keys.
func nothingElse(t *testing.T, theirs map[string]serverCommand) {
	t.Helper()
	for name, cmd := range theirs {
		var args []any
		for _, word := range strings.Split(name, "|") {
			args = append(args, word)
		}
		treatment := treatmentOf(args)
		if treatments[name].keys == nil {
			require.Nil(t, treatment.keys, name)
			require.NotEmpty(t, treatment.refuse, name)
			continue
		}
		require.True(t, cmd.hasKeys, name)
		_, err := treatment.keys(args)
		require.ErrorIs(t, err, errArguments, name)
	}
}
