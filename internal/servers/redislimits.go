package servers

import (
	"fmt"
	"slices"
	"strings"
)

// RedisLimits make a server refuse what a managed service refuses. The lists of ElastiCache, MemoryDB and Memorystore are those
// that the services publish; a test may also make up its own: RedisLimits{Denied: []string{"config", "object|freq"}}.
//
// Two things are not as in the services: a subcommand can be denied (NOPERM), but not hidden, and in a cluster SYNC, PSYNC and
// CLUSTER are denied where they should be hidden, because the nodes themselves need them.
type RedisLimits struct {
	Name   string   // "ElastiCache"
	Hidden []string // commands that are as if there were none: ERR unknown command, and COMMAND does not know them
	Denied []string // commands, or subcommands as "config|set", that the access-control list forbids: NOPERM
}

var (
	// managedHidden are the commands that are missing from all of the node-based services.
	managedHidden = []string{"bgrewriteaof", "bgsave", "config", "debug", "migrate", "psync", "replicaof", "save", "shutdown", "slaveof", "sync"}
	managedDenied = []string{
		"acl|deluser", "acl|load", "acl|save", "acl|setuser",
		"cluster|addslots", "cluster|addslotsrange", "cluster|bumpepoch", "cluster|delslots", "cluster|delslotsrange", "cluster|failover",
		"cluster|flushslots", "cluster|forget", "cluster|meet", "cluster|replicate", "cluster|reset", "cluster|saveconfig",
		"cluster|set-config-epoch", "cluster|setslot",
	}
)

// ElastiCache is what Amazon ElastiCache with nodes of one's own refuses.
func ElastiCache() RedisLimits {
	return RedisLimits{Name: "ElastiCache", Hidden: slices.Clone(managedHidden), Denied: slices.Clone(managedDenied)}
}

// MemoryDB is what Amazon MemoryDB refuses. It always is a cluster with TLS:
//
//	servers.RedisCluster(t, servers.RedisKind{TLS: true, Limits: servers.MemoryDB()})
func MemoryDB() RedisLimits {
	return RedisLimits{Name: "MemoryDB", Hidden: append(slices.Clone(managedHidden), "module"), Denied: slices.Clone(managedDenied)}
}

// Memorystore is what Google's Memorystore for Redis refuses: even what clients ask to learn about a server.
func Memorystore() RedisLimits {
	return RedisLimits{
		Name:   "Memorystore",
		Hidden: append(slices.Clone(managedHidden), "client", "cluster", "command", "object"),
		Denied: managedDenied[:4:4],
	}
}

// ofCluster are the limits that a cluster's nodes can live with.
func (l RedisLimits) ofCluster() RedisLimits {
	hidden, denied := []string{}, slices.Clone(l.Denied)
	for _, command := range l.Hidden {
		if slices.Contains([]string{"sync", "psync", "cluster"}, strings.ToLower(command)) {
			denied = append(denied, command)
		} else {
			hidden = append(hidden, command)
		}
	}
	return RedisLimits{Name: l.Name, Hidden: hidden, Denied: denied}
}

// args are the server's arguments for the limits. They must come before the test's own arguments, which are looked at for what
// contradicts them.
func (l RedisLimits) args(own []string) (args []string, err error) {
	for _, command := range l.Hidden {
		if strings.Contains(command, "|") {
			return nil, fmt.Errorf("%q is a subcommand: it can be denied, not hidden", command)
		}
		args = append(args, "--rename-command", command, "")
		if strings.EqualFold(command, "save") {
			args = append(args, "--shutdown-on-sigterm", "save") // Snapshot needs it
		}
	}
	if len(l.Denied) == 0 {
		return args, nil
	}
	for _, arg := range []string{"--requirepass", "--aclfile"} {
		if slices.Contains(own, arg) {
			return nil, fmt.Errorf("denied commands and %s do not go together: the limits set up the default user", arg)
		}
	}
	args = append(args, "--user", "default", "on", "nopass", "~*", "&*", "+@all")
	for _, command := range l.Denied {
		args = append(args, "-"+strings.ToLower(command))
	}
	return args, nil
}
