package redismigrate

import (
	"fmt"
	"time"
)

// Server is the card of a store: what Inspect found that it is, and what it really allows. What could not be told is zero and named in
// Untold with its reason; zero never means "no".
type Server struct {
	// Addr is the address that was asked.
	Addr string `json:"addr"`
	// At is when.
	At time.Time `json:"at"`
	// Flavour is the software: Redis or Valkey. Managed services run either.
	Flavour Flavour `json:"flavour"`
	// Version is the server's own, "8.0.2"; for Valkey its own too, not the Redis version that it claims to be compatible with.
	Version string `json:"version"`
	// Service names the managed service where the server tells (INFO's os line, its service keys): "ElastiCache". Empty: not recognised.
	Service string `json:"service,omitempty"`
	// Cluster is true for a cluster; Nodes are its masters, or the one server.
	Cluster bool         `json:"cluster"`
	Nodes   []ServerNode `json:"nodes"`
	// TLS is true when this connection is encrypted.
	TLS bool `json:"tls"`
	// DBs are the dbs that hold keys; Databases is how many dbs there are, 0 when the server does not tell.
	DBs       []DBKeys `json:"dbs"`
	Databases int      `json:"databases,omitempty"`
	// User is the ACL user of the connection; empty: not told.
	User string `json:"user,omitempty"`
	// Commands says of each command that this package's jobs may need whether the server really allows it to this user. A subcommand is
	// keyed "MEMORY USAGE". In a cluster, Allowed means on every master.
	Commands map[string]Permission `json:"commands"`
	// Notes say what qualifies a permission, by command: "on keys of the selector only".
	Notes map[string]string `json:"notes,omitempty"`
	// DumpVersion is the version of the payloads that the server's DUMP writes; RestoreVersion is the highest that its RESTORE takes (asked of
	// targets only). 0: not told. RestoreVersions are all that it takes, in runs: Valkey 9 takes 1 to 11 and its own 80, but not Redis' 12.
	DumpVersion     int            `json:"dump_version,omitempty"`
	RestoreVersion  int            `json:"restore_version,omitempty"`
	RestoreVersions []VersionRange `json:"restore_versions,omitempty"`
	// UsedMemory and MaxMemory are in bytes, summed over the masters; MaxMemory 0 with a told Policy means no limit.
	UsedMemory int64 `json:"used_memory"`
	MaxMemory  int64 `json:"maxmemory"`
	// SystemMemory is that of the machine, in bytes, of the smallest master's; 0: not told.
	SystemMemory int64 `json:"system_memory,omitempty"`
	// Policy is maxmemory-policy: what the server does when memory is full.
	Policy string `json:"maxmemory_policy,omitempty"`
	// Persistence says how writes survive a crash: "appendfsync always", "appendfsync everysec", "snapshots", "none".
	Persistence string `json:"persistence,omitempty"`
	// Clients are the other connections at the time, without replicas and this package's own.
	Clients int `json:"clients"`
	// ServiceKeys are keys that the managed service keeps among the user's.
	ServiceKeys []string `json:"service_keys,omitempty"`
	osLine      string   // as INFO has it

	// Functions are the libraries that FUNCTION LIST names: they are not keys, and move by themselves.
	Functions []string `json:"functions,omitempty"`
	// Untold names what could not be told, by the name of the field or command, with the reason.
	Untold map[string]string `json:"untold,omitempty"`
}

// Flavour is the software of a server.
type Flavour string

// The flavours that are known.
const (
	Redis  Flavour = "redis"
	Valkey Flavour = "valkey"
)

// ServerNode is one master, and what hangs on it.
type ServerNode struct {
	Addr       string    `json:"addr"`
	RunID      string    `json:"run_id"`
	ReplID     string    `json:"master_replid"`
	Role       string    `json:"role"`
	ReplicaOf  string    `json:"replica_of,omitempty"` // host:port of its master, when it is a replica itself
	Slots      int       `json:"slots,omitempty"`
	Keys       int64     `json:"keys"`
	UsedMemory int64     `json:"used_memory"`
	MaxMemory  int64     `json:"maxmemory"`
	Replicas   []Replica `json:"replicas,omitempty"`
}

// Replica is a copy that follows a master.
type Replica struct {
	Addr  string `json:"addr"`
	State string `json:"state"`
	// LagBytes is by how much it is behind.
	LagBytes int64 `json:"lag_bytes"`
}

// VersionRange is a run of payload versions, both ends included.
type VersionRange struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// DBKeys counts the keys of a db.
type DBKeys struct {
	DB      int   `json:"db"`
	Keys    int64 `json:"keys"`
	Expires int64 `json:"expires"` // those with an expiry
}

// Permission says whether a server lets this user run a command.
type Permission int

const (
	// Untold means that it could not be found out without running the command for real.
	Untold Permission = iota
	// Allowed means that a harmless call went through the server's own checks, or, of a command that has no harmless call and of a server that
	// is not a managed service, that its ACL DRYRUN says yes.
	Allowed
	// Forbidden means that the server knows the command but denies it to this user (NOPERM), or denies it by its configuration.
	Forbidden
	// Absent means that the server does not offer the command: it is older, or the managed service took it away.
	Absent
)

func (p Permission) String() string {
	switch p {
	case Allowed:
		return "allowed"
	case Forbidden:
		return "forbidden"
	case Absent:
		return "absent"
	}
	return "untold"
}

// MarshalText writes the permission as a word.
func (p Permission) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the word again, so that a card can be kept in a file.
func (p *Permission) UnmarshalText(text []byte) error {
	for _, known := range []Permission{Untold, Allowed, Forbidden, Absent} {
		if known.String() == string(text) {
			*p = known
			return nil
		}
	}
	return fmt.Errorf("%q is no permission (untold, allowed, forbidden, absent)", text)
}

// Can reports whether the command is known to be allowed.
func (s *Server) Can(command string) bool { return s != nil && s.Commands[command] == Allowed }

// Headroom is how many bytes the server can still take before it is full: below its maxmemory, or without one below its machine's memory. In a
// cluster it is that of the master that has least, times the number of masters, since keys spread evenly. Not told: false.
func (s *Server) Headroom() (bytes int64, told bool) {
	if s == nil || len(s.Nodes) == 0 {
		return 0, false
	}
	for i, n := range s.Nodes {
		limit := n.MaxMemory
		if limit == 0 {
			limit = s.SystemMemory
		}
		if limit == 0 || n.UsedMemory == 0 {
			return 0, false
		}
		if free := max(limit-n.UsedMemory, 0); i == 0 || free < bytes {
			bytes = free
		}
	}
	return bytes * int64(len(s.Nodes)), true
}

// TakesPayload says whether the server's RESTORE takes payloads of a version; told is false where it was not asked.
func (s *Server) TakesPayload(version int) (takes, told bool) {
	if s == nil || s.RestoreVersion == 0 {
		return false, false
	}
	if len(s.RestoreVersions) == 0 { // a card that somebody else made
		return version <= s.RestoreVersion, true
	}
	for _, r := range s.RestoreVersions {
		if r.From <= version && version <= r.To {
			return true, true
		}
	}
	return false, true
}
