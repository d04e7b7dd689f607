package redismigrate

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// identity is what INFO says about who a server is.
type identity struct {
	runID, version, mode, role string
	replID, replID2            string // of the replication history that it writes, and of the one that it came from ("": none)
	masterLinkUp, cluster      bool
	replicaOf                  string // host:port of its master, when it is a replica
	usedDBs                    []int  // dbs that hold keys, ascending
	keys                       map[int]int64
}

type infoer interface {
	Info(ctx context.Context, sections ...string) *redis.StringCmd
}

func readIdentity(ctx context.Context, c infoer) (identity, error) {
	text, err := c.Info(ctx).Result()
	if err != nil {
		return identity{}, err
	}
	return parseIdentity(text), nil
}

// infoText is what INFO says, by field.
type infoText map[string]string

func parseInfo(text string) infoText {
	field := infoText{}
	for line := range strings.SplitSeq(text, "\n") {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r"), ":"); ok {
			field[name] = value
		}
	}
	return field
}

// replicas are those that a master names, each with its fields: ip, port, state, offset, lag.
func (f infoText) replicas() []infoText {
	var out []infoText
	for i := 0; ; i++ {
		line, ok := f[fmt.Sprintf("slave%d", i)]
		if !ok {
			return out
		}
		r := infoText{}
		for pair := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(pair, "=")
			r[name] = value
		}
		out = append(out, r)
	}
}

// number is a field as a number, and whether there is one.
func (f infoText) number(name string) (int64, bool) {
	n, err := strconv.ParseInt(f[name], 10, 64)
	return n, err == nil
}

// keyspace is the dbs that hold keys, ascending.
func (f infoText) keyspace() []DBKeys {
	var out []DBKeys
	for name, value := range f {
		digits, ok := strings.CutPrefix(name, "db")
		db, err := strconv.Atoi(digits)
		if !ok || err != nil || strconv.Itoa(db) != digits || db < 0 {
			continue
		}
		k := DBKeys{DB: db}
		if n, _ := fmt.Sscanf(value, "keys=%d,expires=%d", &k.Keys, &k.Expires); n >= 1 && k.Keys > 0 {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b DBKeys) int { return cmp.Compare(a.DB, b.DB) })
	return out
}

// replicaOf is host:port of the server's master, "" when it has none.
func (f infoText) replicaOf() string {
	if f["master_host"] == "" {
		return ""
	}
	return net.JoinHostPort(f["master_host"], f["master_port"])
}

func parseIdentity(text string) identity {
	field := parseInfo(text)
	id := identity{keys: map[int]int64{}}
	for _, k := range field.keyspace() {
		id.usedDBs = append(id.usedDBs, k.DB)
		id.keys[k.DB] = k.Keys
	}
	id.runID, id.version, id.role = field["run_id"], field["redis_version"], field["role"]
	id.mode = field["redis_mode"]
	if id.mode == "" {
		id.mode = field["server_mode"]
	}
	id.replID = field["master_replid"]
	if id.replID2 = field["master_replid2"]; strings.Trim(id.replID2, "0") == "" {
		id.replID2 = ""
	}
	id.cluster = id.mode == "cluster" || field["cluster_enabled"] == "1"
	id.masterLinkUp = field["master_link_status"] == "up"
	id.replicaOf = field.replicaOf()
	return id
}
