package redismigrate

import "strings"

// A probe asks for a command in a way that goes through all of the server's checks and then does nothing. The server checks, in this
// order: does it know the command, is the number of arguments right, may this user run it on these keys; only then does the command look at
// its arguments. So the number of arguments must be right (a wrong one hides a denial) and their content wrong, or the key be one that
// nobody has.
type probe struct {
	name string // as Server.Commands has it: "MEMORY USAGE"
	rest string // the arguments after it; probeKeyMark stands for a key
	how  probing
	errs string // what an error says that only a command says that is allowed; parts separated by |
}

type probing int

const (
	dryOnly  probing = iota // never called: only the server's ACL DRYRUN is asked
	onTarget                // called on a target; of a source, only ACL DRYRUN is asked
	anywhere                // a call reads, or fails by its arguments
)

const probeKeyMark = "{key}"

// probes are the commands that this package's jobs, or an operator's plan, may need. None of them may be called in a form that could write.
var probes = []probe{
	{"PING", "", anywhere, ""},
	{"TIME", "", anywhere, ""},
	{"DBSIZE", "", anywhere, ""},
	{"SCAN", "0 COUNT 1", anywhere, ""},
	{"WAIT", "0 1", anywhere, "cannot be used with replica"},
	{"EVAL", "( 0", anywhere, "compiling script"}, // a script that does not compile is not kept either

	{"CONFIG GET", "maxmemory", anywhere, ""},
	{"CONFIG SET", "tashikame-no-such-setting 1", anywhere, "CONFIG SET -|Unsupported CONFIG parameter"},
	{"ACL WHOAMI", "", anywhere, ""},
	{"ACL DRYRUN", "tashikame-no-such-user PING", anywhere, "not found"},
	{"ACL SETUSER", "tashikame-probe tashikame-no-such-rule", onTarget, "ACL SETUSER modifier"},
	{"ACL DELUSER", "tashikame-no-such-user", onTarget, ""},
	{"CLIENT LIST", "ID 9223372036854775807", anywhere, "syntax error"},
	{"CLIENT NO-TOUCH", "tashikame", anywhere, "syntax error"},
	{"CLIENT PAUSE", "tashikame", anywhere, "timeout is not an integer"},
	{"CLIENT SETNAME", "not\x01allowed", anywhere, "cannot contain"},
	{"CLUSTER SLOTS", "", anywhere, ""},
	{"CLUSTER SHARDS", "", anywhere, ""},
	{"CLUSTER NODES", "", anywhere, ""},

	{"TYPE", "{key}", anywhere, ""},
	{"EXISTS", "{key}", anywhere, ""},
	{"PTTL", "{key}", anywhere, ""},
	{"PEXPIRETIME", "{key}", anywhere, ""},
	{"DUMP", "{key}", anywhere, ""},
	{"MEMORY USAGE", "{key}", anywhere, ""},
	{"OBJECT ENCODING", "{key}", anywhere, "no such key"},
	{"OBJECT FREQ", "{key}", anywhere, "no such key|LFU maxmemory policy"},
	{"OBJECT IDLETIME", "{key}", anywhere, "no such key|LFU maxmemory policy"},
	{"GET", "{key}", anywhere, ""},
	{"GETRANGE", "{key} 0 1", anywhere, ""},
	{"STRLEN", "{key}", anywhere, ""},
	{"HLEN", "{key}", anywhere, ""},
	{"HSCAN", "{key} 0", anywhere, ""},
	{"HMGET", "{key} f", anywhere, ""},
	{"HPEXPIRETIME", "{key} FIELDS 1 f", anywhere, ""},
	{"LLEN", "{key}", anywhere, ""},
	{"LRANGE", "{key} 0 1", anywhere, ""},
	{"SCARD", "{key}", anywhere, ""},
	{"SSCAN", "{key} 0", anywhere, ""},
	{"SMISMEMBER", "{key} m", anywhere, ""},
	{"ZCARD", "{key}", anywhere, ""},
	{"ZSCAN", "{key} 0", anywhere, ""},
	{"ZMSCORE", "{key} m", anywhere, ""},
	{"XLEN", "{key}", anywhere, ""},
	{"XRANGE", "{key} - + COUNT 1", anywhere, ""},
	{"XPENDING", "{key} tashikame", anywhere, "NOGROUP"},
	{"XINFO STREAM", "{key}", anywhere, "no such key"},
	{"XINFO GROUPS", "{key}", anywhere, "no such key"},
	{"XINFO CONSUMERS", "{key} tashikame", anywhere, "no such key|NOGROUP"},
	{"FUNCTION LIST", "LIBRARYNAME tashikame-no-such-library", anywhere, ""},
	{"FUNCTION DUMP", "", anywhere, ""},

	// It looks for the key before it connects, so nobody is called and nothing moves. The address is one that is never routed (RFC 5737).
	{"MIGRATE", "192.0.2.1 1 {key} 0 100 COPY", anywhere, ""},

	{"RESTORE", "{key} 1 xx ABSTTL", onTarget, "DUMP payload version|Bad data format"},
	{"FUNCTION RESTORE", "xx", onTarget, "DUMP payload version|Bad data format"},
	{"UNLINK", "{key}", onTarget, ""},
	{"DEL", "{key}", onTarget, ""},
	{"PEXPIREAT", "{key} tashikame", onTarget, "not an integer"},
	{"PERSIST", "{key}", onTarget, ""},
	{"HPEXPIREAT", "{key} tashikame FIELDS 1 f", onTarget, "not an integer"},
	{"SET", "{key} v tashikame", onTarget, "syntax error"},
	{"ZADD", "{key} tashikame m", onTarget, "not a valid float"},
	{"XADD", "{key} tashikame f v", onTarget, "Invalid stream ID"},
	{"XSETID", "{key} 0-1", onTarget, "no such key|requires the key to exist"},
	{"XGROUP CREATE", "{key} tashikame 0", onTarget, "requires the key to exist|no such key"},
	{"XCLAIM", "{key} tashikame c 0 0-1", onTarget, "NOGROUP"},
	{"COPY", "{key} {key}", onTarget, "objects are the same"},
	{"RENAME", "{key} {key}", onTarget, "no such key"},
	{"SWAPDB", "tashikame tashikame", onTarget, "invalid first DB index"},
	{"HSET", "{key} f v", dryOnly, ""},
	{"RPUSH", "{key} v", dryOnly, ""},
	{"SADD", "{key} m", dryOnly, ""},
	{"APPEND", "{key} v", dryOnly, ""},

	{"BGSAVE", "", dryOnly, ""},
	{"BGREWRITEAOF", "", dryOnly, ""},
	{"PSYNC", "? -1", dryOnly, ""},
	{"REPLICAOF", "NO ONE", dryOnly, ""},
	{"FLUSHALL", "", dryOnly, ""},
	{"FLUSHDB", "", dryOnly, ""},
	{"PSUBSCRIBE", "__keyspace@*__:*", dryOnly, ""}, // a connection of RESP2 that subscribes is lost for other commands
}

// call is the probe's command line for one key.
func (p probe) call(key string) []any {
	var args []any
	for _, word := range strings.Fields(p.name + " " + p.rest) {
		args = append(args, strings.ReplaceAll(word, probeKeyMark, key))
	}
	return args
}

func (p probe) keyed() bool { return strings.Contains(p.rest, probeKeyMark) }

// acl is the command's name in ACL rules and COMMAND INFO: "memory|usage".
func (p probe) acl() string { return strings.ToLower(strings.ReplaceAll(p.name, " ", "|")) }

// answer is what one probe was answered.
type answer struct {
	Permission
	offKey bool   // the command is allowed, but not on this key
	why    string // of Untold and Forbidden
}

// answered reads the reply to a call.
func (p probe) answered(err error) answer {
	if err == nil {
		return answer{Permission: Allowed}
	}
	text := err.Error()
	for part := range strings.SplitSeq(p.errs, "|") {
		if part != "" && strings.Contains(text, part) && !strings.HasPrefix(text, "NOPERM") {
			return answer{Permission: Allowed}
		}
	}
	lower := strings.ToLower(text)
	has := func(part string) bool { return strings.Contains(lower, part) }
	switch {
	case strings.HasPrefix(text, "NOPERM") && !has("to run the") && has("key"):
		return answer{Permission: Forbidden, offKey: true, why: text}
	case strings.HasPrefix(text, "NOPERM"):
		return answer{Permission: Forbidden, why: text}
	case has("unknown command"), has("unknown subcommand"), has("cluster support disabled"), has("in cluster mode"):
		return answer{Permission: Absent, why: text}
	case has("wrong number of arguments"):
		return answer{why: "this server counts its arguments in another way: " + text}
	case strings.HasPrefix(text, "READONLY"):
		return answer{why: "the server is a replica and takes no writes; ask its master"}
	case strings.HasPrefix(text, "OOM"), strings.HasPrefix(text, "MISCONF"), strings.HasPrefix(text, "LOADING"), strings.HasPrefix(text, "MASTERDOWN"),
		strings.HasPrefix(text, "CLUSTERDOWN"), strings.HasPrefix(text, "NOREPLICAS"), strings.HasPrefix(text, "BUSY"):
		return answer{why: "the server's state got in the way: " + text}
	case has("not allowed"), has("not permitted"), has("not available"), has("not supported"), has("is disabled"), has("blocked"):
		return answer{Permission: Forbidden, why: text}
	}
	return answer{why: "an answer that is not understood: " + text}
}

// dryRan reads the reply to ACL DRYRUN. It is text also where the user may not.
func (p probe) dryRan(reply string, err error) answer {
	switch {
	case err == nil && reply == "OK":
		return answer{Permission: Allowed}
	case err == nil && strings.Contains(reply, "to run the"):
		return answer{Permission: Forbidden, why: reply}
	case err == nil && strings.HasSuffix(reply, " key"):
		return answer{Permission: Forbidden, offKey: true, why: reply}
	case err == nil && strings.Contains(reply, "no permissions"):
		return answer{Permission: Forbidden, why: reply}
	case err == nil:
		return answer{why: "ACL DRYRUN gives an answer that is not understood: " + reply}
	case strings.Contains(err.Error(), "not found") && strings.Contains(err.Error(), "Command"):
		return answer{Permission: Absent, why: err.Error()}
	}
	return answer{why: "ACL DRYRUN cannot be asked: " + err.Error()}
}

// onKeys makes one permission of what a command was answered on keys of the selector and on a key outside of it.
func onKeys(wanted []answer, outside answer) (a answer, note string) {
	if len(wanted) == 0 {
		if outside.offKey {
			return answer{why: "allowed as such, but not on the key of the probe; say which keys matter (InspectOptions.Keys)"}, ""
		}
		return outside, ""
	}
	a = wanted[0]
	for _, w := range wanted[1:] {
		a = worse(a, w)
	}
	if a.Permission == Allowed && outside.offKey {
		note = "on keys of the selector; not on others"
	}
	return a, note
}

// worse is the answer to go by of two: what one key or node forbids is not allowed, and what one did not tell is not told.
func worse(a, b answer) answer {
	rank := func(p Permission) int {
		switch p {
		case Allowed:
			return 0
		case Untold:
			return 1
		case Forbidden:
			return 2
		}
		return 3
	}
	if rank(b.Permission) > rank(a.Permission) {
		return b
	}
	return a
}
