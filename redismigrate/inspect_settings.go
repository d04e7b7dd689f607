package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// readSettings reads how many dbs there are and how writes are kept, of the first master.
func (i *inspection) readSettings(ctx context.Context) error {
	pipe := i.keyless(i.opts.DB).Pipeline()
	get := map[string]*redis.MapStringStringCmd{}
	for _, name := range []string{"databases", "cluster-databases", "appendonly", "appendfsync", "save"} {
		get[name] = pipe.ConfigGet(ctx, name)
	}
	info := pipe.Info(ctx, "persistence")
	_, _ = pipe.Exec(ctx) // each is looked at
	settings := map[string]string{}
	var refused error
	for name, cmd := range get {
		err := cmd.Err()
		if err := broken(err); err != nil {
			return i.fail("ask CONFIG GET", err)
		}
		if value, ok := cmd.Val()[name]; ok {
			settings[name] = value
		} else if err != nil {
			refused = err
		}
	}
	var why string
	i.card.Persistence, why = persistence(settings, parseInfo(info.Val()))
	if why != "" {
		i.card.untold("Persistence", withCause(why, refused))
	}
	return i.readDatabases(ctx, settings)
}

// persistence says how writes survive a crash, and why that could not be told in full.
func persistence(settings map[string]string, info infoText) (how, why string) {
	aof, told := settings["appendonly"]
	if !told {
		switch info["aof_enabled"] {
		case "1":
			return "append-only file", "INFO says that there is an append-only file, but not how often it reaches the disk"
		case "0":
			return "", "INFO says that there is no append-only file, but not whether snapshots are taken"
		}
		return "", "the server tells nothing about it"
	}
	save, saves := settings["save"]
	switch {
	case aof == "yes":
		return strings.TrimSpace("appendfsync " + settings["appendfsync"]), ""
	case !saves:
		return "", "the server does not tell its save setting"
	case strings.Trim(save, ` "`) != "":
		return "snapshots", ""
	}
	return "none", ""
}

func withCause(why string, err error) string {
	if err == nil {
		return why
	}
	return why + " (CONFIG GET: " + err.Error() + ")"
}

// maxDatabases bounds the search for how many dbs there are.
const maxDatabases = 1 << 20

// readDatabases says how many dbs there are. Where CONFIG is not allowed, dbs are selected until one is out of range; a selection is
// a matter of the connection and writes nothing.
func (i *inspection) readDatabases(ctx context.Context, settings map[string]string) error {
	name := "databases"
	if i.cluster != nil {
		name = "cluster-databases" // Valkey 9 and newer; any other cluster has one
		if _, ok := settings[name]; !ok {
			i.card.Databases = 1
			return nil
		}
	}
	if n, err := strconv.Atoi(settings[name]); err == nil {
		i.card.Databases = n
		return nil
	}
	o := *i.opts
	client := redis.NewClient(&o) // whose connection is not used again
	defer client.Close()
	conn := client.Conn()
	defer conn.Close()
	var failed error
	exists := func(db int) bool {
		err := conn.Select(ctx, db).Err()
		if err != nil && !strings.Contains(err.Error(), "out of range") && !strings.Contains(err.Error(), "invalid DB index") {
			failed = errors.Join(failed, err)
		}
		return err == nil
	}
	n := firstMissing(exists)
	if err := broken(failed); err != nil {
		return i.fail("SELECT a db", err)
	}
	if failed != nil || n > maxDatabases {
		i.card.untold("Databases", withCause("dbs cannot be counted by SELECT either", failed))
		return nil
	}
	i.card.Databases = n
	return nil
}

// firstMissing is the lowest db that does not exist, given that those below any that exists do.
func firstMissing(exists func(db int) bool) int {
	low, high := 0, 16 // low exists: it was connected to
	for high <= maxDatabases && exists(high) {
		low, high = high, high*2
	}
	if high > maxDatabases {
		return high
	}
	for low+1 < high {
		if mid := (low + high) / 2; exists(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// readClients counts the connections of others.
func (i *inspection) readClients(ctx context.Context) error {
	for _, n := range i.nodes {
		text, err := n.db(i.opts.DB).ClientList(ctx).Result()
		if err := broken(err); err != nil {
			return n.fail("CLIENT LIST", err)
		}
		if err != nil {
			i.card.Clients = 0
			i.card.untold("Clients", "CLIENT LIST: "+err.Error())
			return nil //nolint:nilerr // untold, with the reason
		}
		others, ours := countClients(text, i.name)
		if ours == 0 {
			i.card.Clients = 0
			i.card.untold("Clients", "CLIENT LIST shows no connection of ours by its name, so theirs cannot be told from ours")
			return nil
		}
		i.card.Clients += others
	}
	return nil
}

// countClients counts the lines of CLIENT LIST, replication left out.
func countClients(text, name string) (others, ours int) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		flags := ""
		for _, f := range fields {
			if value, ok := strings.CutPrefix(f, "flags="); ok {
				flags = value
			}
		}
		switch {
		case len(fields) == 0:
		case slices.Contains(fields, "name="+name):
			ours++
		case !strings.ContainsAny(flags, "SM"):
			others++
		}
	}
	return others, ours
}

// readFunctions lists the libraries of functions of all masters.
func (i *inspection) readFunctions(ctx context.Context) error {
	for _, n := range i.nodes {
		list, err := n.db(i.opts.DB).FunctionList(ctx, redis.FunctionListQuery{}).Result()
		if err := broken(err); err != nil {
			return n.fail("FUNCTION LIST", err)
		}
		if err != nil && i.card.Commands["FUNCTION LIST"] != Absent { // a server without functions has none
			i.card.untold("Functions", fmt.Sprintf("FUNCTION LIST: %v", err))
		}
		for _, library := range list {
			if !slices.Contains(i.card.Functions, library.Name) {
				i.card.Functions = append(i.card.Functions, library.Name)
			}
		}
	}
	slices.Sort(i.card.Functions)
	return nil
}
