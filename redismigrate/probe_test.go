package redismigrate

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnAnswerToAProbe(t *testing.T) {
	config := probe{name: "CONFIG SET", errs: "CONFIG SET -"}
	for reply, want := range map[string]Permission{
		"": Allowed,
		"ERR Unknown option or number of arguments for CONFIG SET - 'tashikame'":         Allowed,
		"NOPERM User u has no permissions to run the 'config|set' command":               Forbidden,
		"NOPERM this user has no permissions to run the 'config|set' command":            Forbidden,
		"NOPERM this user has no permissions to access one of the channels used":         Forbidden,
		"NOPERM CONFIG SET - is not yours":                                               Forbidden,
		"ERR unknown command 'CONFIG', with args beginning with: 'SET'":                  Absent,
		"ERR unknown subcommand 'SET'. Try CONFIG HELP.":                                 Absent,
		"ERR Unknown subcommand or wrong number of arguments for 'SET'. Try CONFIG HELP": Absent,
		"ERR This instance has cluster support disabled":                                 Absent,
		"ERR SWAPDB is not allowed in cluster mode":                                      Absent,
		"ERR wrong number of arguments for 'config|set' command":                         Untold, // it hides a denial
		"READONLY You can't write against a read only replica.":                          Untold,
		"OOM command not allowed when used memory > 'maxmemory'.":                        Untold,
		"MISCONF Redis is configured to save RDB snapshots":                              Untold,
		"LOADING Redis is loading the dataset in memory":                                 Untold,
		"MOVED 1 10.0.0.1:6379":                                                          Untold,
		"ERR something else entirely":                                                    Untold,
		"ERR Command is not available: 'CONFIG'. See https://example.com":                Forbidden,
		"ERR command not allowed":                                                        Forbidden,
	} {
		var err error
		if reply != "" {
			err = errors.New(reply)
		}
		a := config.answered(err)
		require.Equal(t, want, a.Permission, reply)
		require.False(t, a.offKey, reply)
		require.Equal(t, want == Allowed, a.why == "", reply)
	}
	for _, reply := range []string{"NOPERM No permissions to access a key", "NOPERM this user has no permissions to access one of the keys used as arguments"} {
		a := config.answered(errors.New(reply))
		require.Equal(t, Forbidden, a.Permission)
		require.True(t, a.offKey)
	}
	require.False(t, config.answered(errors.New("NOPERM User monkey has no permissions to run the 'config|set' command")).offKey)
}

func TestAnAnswerToADryRun(t *testing.T) {
	p := probe{name: "BGSAVE"}
	for reply, want := range map[string]answer{
		"OK": {Permission: Allowed},
		"User u has no permissions to run the 'bgsave' command":          {Permission: Forbidden},
		"This user has no permissions to access the 'x' key":             {Permission: Forbidden, offKey: true},
		"User u has no permissions to access the '__keyspace@*' channel": {Permission: Forbidden},
		"maybe": {},
	} {
		a := p.dryRan(reply, nil)
		require.Equal(t, want.Permission, a.Permission, reply)
		require.Equal(t, want.offKey, a.offKey, reply)
	}
	require.Equal(t, Absent, p.dryRan("", errors.New("ERR Command 'bgsave' not found")).Permission)
	require.Equal(t, Untold, p.dryRan("", errors.New("ERR User 'u' not found")).Permission)
	require.Equal(t, Untold, p.dryRan("", errors.New("ERR wrong number of arguments for 'bgsave' command")).Permission)
	require.Equal(t, Untold, p.dryRan("", errors.New("NOPERM User u has no permissions to run the 'acl|dryrun' command")).Permission)
}

func TestPermissionOnKeys(t *testing.T) {
	yes, no, off := answer{Permission: Allowed}, answer{Permission: Forbidden}, answer{Permission: Forbidden, offKey: true}
	for name, c := range map[string]struct {
		wanted  []answer
		outside answer
		want    Permission
		note    bool
	}{
		"everywhere":                        {nil, yes, Allowed, false},
		"nowhere":                           {nil, no, Forbidden, false},
		"not on the probe's key":            {nil, off, Untold, false},
		"on the selector's keys only":       {[]answer{yes, yes}, off, Allowed, true},
		"not on one of the selector's keys": {[]answer{yes, off}, yes, Forbidden, false},
		"not told for one of them":          {[]answer{yes, {}}, yes, Untold, false},
		"absent":                            {[]answer{{Permission: Absent}}, answer{Permission: Absent}, Absent, false},
	} {
		a, note := onKeys(c.wanted, c.outside)
		require.Equal(t, c.want, a.Permission, name)
		require.Equal(t, c.note, note != "", name)
	}
}

// What harms if it is called is never called: the table is the one place that could say otherwise.
func TestNoProbeCanDoHarm(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range probes {
		require.False(t, seen[p.name], "%s is there twice", p.name)
		seen[p.name] = true
		first, _, _ := strings.Cut(p.name, " ")
		switch first {
		case "BGSAVE", "SAVE", "BGREWRITEAOF", "PSYNC", "SYNC", "REPLICAOF", "SLAVEOF", "DEBUG", "FLUSHALL", "FLUSHDB", "SHUTDOWN", "FAILOVER", "MODULE", "HSET", "RPUSH", "SADD", "APPEND":
			require.Equal(t, dryOnly, p.how, "%s", p.name)
		case "RESTORE", "UNLINK", "DEL", "SET", "PEXPIREAT", "PERSIST", "HPEXPIREAT", "ZADD", "XADD", "XSETID", "XGROUP", "XCLAIM", "COPY", "RENAME", "SWAPDB":
			require.Equal(t, onTarget, p.how, "%s", p.name)
		case "FUNCTION":
			require.True(t, p.name != "FUNCTION RESTORE" || p.how == onTarget)
		}
	}
}

func TestAKeyThatAPatternMatches(t *testing.T) {
	for pattern, want := range map[string]string{
		"session:*":       "session:TOKEN",
		"*":               probePrefix + "TOKEN",
		"*:cart":          "TOKEN:cart",
		"a?[x-z][^0-9]*b": "a0xaTOKENb",
		"*a*b":            "TOKENab",
		`wh\*t:*`:         "wh*t:TOKEN",
		"カート:*":           "カート:TOKEN",
		"session:1":       "", // somebody may have it
		"session:?":       "",
	} {
		g, err := compileGlob(pattern)
		require.NoError(t, err)
		key := g.sample("TOKEN")
		require.Equal(t, want, key, pattern)
		require.True(t, key == "" || g.match(key), pattern)
	}
}
