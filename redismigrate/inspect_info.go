package redismigrate

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// readInfo fills the card from what the masters' INFO says. It needs no server.
func (s *Server) readInfo(nodes []*node, infos []infoText) {
	dbs := map[int]*DBKeys{}
	for i, f := range infos {
		flavour, version := software(f)
		if i == 0 {
			s.Flavour, s.Version, s.osLine = flavour, version, f["os"]
			s.Policy = f["maxmemory_policy"]
		}
		if flavour != s.Flavour || version != s.Version {
			s.untold("Version", fmt.Sprintf("the masters differ: %s runs %s %s, but %s %s %s", nodes[0].addr, s.Flavour, s.Version, nodes[i].addr, flavour, version))
		}
		if i > 0 && f["maxmemory_policy"] != s.Policy {
			s.untold("Policy", fmt.Sprintf("the masters differ: %s has %q, but %s %q", nodes[0].addr, s.Policy, nodes[i].addr, f["maxmemory_policy"]))
		}
		n := nodeCard(nodes[i].addr, f)
		for _, name := range []string{"used_memory", "maxmemory"} {
			if _, ok := f.number(name); !ok {
				s.untold(map[string]string{"used_memory": "UsedMemory", "maxmemory": "MaxMemory"}[name], "INFO does not have "+name)
			}
		}
		if mem, ok := f.number("total_system_memory"); ok && (s.SystemMemory == 0 || mem < s.SystemMemory) {
			s.SystemMemory = mem
		}
		for _, k := range f.keyspace() {
			if dbs[k.DB] == nil {
				dbs[k.DB] = &DBKeys{DB: k.DB}
			}
			dbs[k.DB].Keys += k.Keys
			dbs[k.DB].Expires += k.Expires
			n.Keys += k.Keys
		}
		s.UsedMemory += n.UsedMemory
		s.MaxMemory += n.MaxMemory
		s.Nodes = append(s.Nodes, n)
	}
	if s.Flavour == "" {
		s.untold("Flavour", "INFO names no software that is known")
	}
	if s.Policy == "" {
		s.untold("Policy", "INFO does not have maxmemory_policy")
	}
	s.DBs = make([]DBKeys, 0, len(dbs))
	for _, k := range dbs {
		s.DBs = append(s.DBs, *k)
	}
	slices.SortFunc(s.DBs, func(a, b DBKeys) int { return a.DB - b.DB })
}

// software names what runs, and its own version: Valkey also says which version of Redis it is compatible with, which is not its own.
func software(f infoText) (Flavour, string) {
	for _, other := range []string{"valkey", "dragonfly", "keydb", "kvrocks", "garnet"} {
		if v := f[other+"_version"]; v != "" {
			return Flavour(other), v
		}
	}
	if name := f["server_name"]; name != "" && name != "redis" {
		return Flavour(name), f["redis_version"]
	}
	if f["redis_version"] != "" {
		return Redis, f["redis_version"]
	}
	return "", ""
}

func nodeCard(addr string, f infoText) ServerNode {
	n := ServerNode{Addr: addr, RunID: f["run_id"], ReplID: f["master_replid"], Role: f["role"], ReplicaOf: f.replicaOf()}
	n.UsedMemory, _ = f.number("used_memory")
	n.MaxMemory, _ = f.number("maxmemory")
	end, told := f.number("master_repl_offset")
	for _, replica := range f.replicas() {
		r := Replica{Addr: net.JoinHostPort(replica["ip"], replica["port"]), State: replica["state"], LagBytes: -1}
		if at, ok := replica.number("offset"); ok && told {
			r.LagBytes = max(end-at, 0)
		}
		n.Replicas = append(n.Replicas, r)
	}
	return n
}

// recogniseService names the managed service by what it says itself: INFO's os line, the keys that it keeps, the domain of its address.
func (s *Server) recogniseService(os string) string {
	for _, name := range []string{"ElastiCache", "MemoryDB", "Memorystore"} {
		if strings.Contains(strings.ToLower(os), strings.ToLower(name)) {
			return name
		}
	}
	if slices.Contains(s.ServiceKeys, elastiCacheKey) {
		return "ElastiCache"
	}
	host, _, err := net.SplitHostPort(s.Addr)
	if err != nil {
		host = s.Addr
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for _, known := range []struct{ part, end, name string }{
		{".memorydb.", ".amazonaws.com", "MemoryDB"},
		{"", ".cache.amazonaws.com", "ElastiCache"},
		{"", ".cache.amazonaws.com.cn", "ElastiCache"},
		{"", ".redis.cache.windows.net", "Azure Cache for Redis"},
		{"", ".redis.azure.net", "Azure Managed Redis"},
		{"", ".redisenterprise.cache.azure.net", "Azure Cache for Redis Enterprise"},
		{"", ".redis-cloud.com", "Redis Cloud"},
		{"", ".redislabs.com", "Redis Cloud"},
		{"", ".upstash.io", "Upstash"},
	} {
		if strings.Contains(host, known.part) && strings.HasSuffix(host, known.end) {
			return known.name
		}
	}
	return ""
}

// restricted describes a server that nothing names a service, but that lacks what every server of one's own has.
func (s *Server) restricted() string {
	for _, name := range []string{"CONFIG GET", "BGSAVE", "REPLICAOF"} {
		if s.Commands[name] != Absent {
			return ""
		}
	}
	return "a managed service (not recognised; it takes administrators' commands away)"
}
