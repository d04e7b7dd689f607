package redismigrate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ACLJob is a job of this package that a user is made for.
type ACLJob string

// The jobs that a user can be made for. Each includes what is needed to open the connections.
const (
	InspectJob ACLJob = "inspect"
	MeasureJob ACLJob = "measure"
	CopyJob    ACLJob = "copy"
	PruneJob   ACLJob = "prune"
	VerifyJob  ACLJob = "verify"
)

// JobAccess says what a user for this package's own jobs is for.
type JobAccess struct {
	// Name of the user. Default "tashikame".
	Name string
	// Jobs that the user is to run. At least one.
	Jobs []ACLJob
	// Target says that the server is the target of the jobs; otherwise it is the source, of which nothing is granted that writes.
	Target bool
	// Server is the card of the server, which says what commands it has: an ACL refuses rules for commands that do not exist. Required.
	Server *Server
}

// grant is what a job needs on one side.
type grant struct {
	commands []string // as Server.Commands has them
	allKeys  bool     // it looks at, or on a target changes, keys that are not selected
}

// valueCommands are the commands by which values are read and compared.
var valueCommands = strings.Split("DUMP PEXPIRETIME PTTL TIME TYPE EXISTS MEMORY|USAGE OBJECT|ENCODING GET GETRANGE STRLEN HLEN HSCAN HMGET HPEXPIRETIME LLEN LRANGE SCARD SSCAN SMISMEMBER "+
	"ZCARD ZSCAN ZMSCORE XLEN XRANGE XPENDING XINFO|STREAM XINFO|GROUPS XINFO|CONSUMERS", " ")

// opening is what every job needs; walking what goes over keys needs.
var (
	opening = []string{"INFO", "PING", "SELECT", "CLIENT|NO-TOUCH", "CLIENT|SETNAME", "CLUSTER|SLOTS"}
	walking = []string{"SCAN", "DBSIZE", "EXISTS", "TIME"}
)

func grants(job ACLJob, target bool) (grant, error) {
	switch job {
	case InspectJob:
		return grant{commands: []string{
			"ACL|WHOAMI", "ACL|DRYRUN", "COMMAND|INFO", "CONFIG|GET", "CLIENT|LIST", "FUNCTION|LIST", "FUNCTION|DUMP", "EXISTS", "SCAN", "DUMP", "MEMORY|USAGE",
		}}, nil
	case MeasureJob:
		return grant{commands: slices.Concat(walking, []string{"TYPE", "PTTL", "PEXPIRETIME", "MEMORY|USAGE", "STRLEN", "HLEN", "LLEN", "SCARD", "ZCARD", "XLEN", "DUMP"}), allKeys: true}, nil
	case VerifyJob:
		return grant{commands: slices.Concat(walking, valueCommands), allKeys: target}, nil
	case CopyJob:
		if !target {
			return grant{commands: slices.Concat(walking, valueCommands, []string{"OBJECT|FREQ", "OBJECT|IDLETIME", "FUNCTION|DUMP", "FUNCTION|LIST"})}, nil
		}
		return grant{commands: slices.Concat(walking, valueCommands, []string{"RESTORE", "FUNCTION|RESTORE", "FUNCTION|LIST"})}, nil
	case PruneJob:
		if !target {
			return grant{commands: slices.Concat(walking, valueCommands)}, nil
		}
		return grant{commands: slices.Concat(walking, valueCommands, []string{"SET", "UNLINK", "DEL", "CLIENT|LIST", "WAIT"}), allKeys: true}, nil
	}
	return grant{}, fmt.Errorf("there is no job %q; the jobs are inspect, measure, copy, prune, verify", job)
}

// JobACLRules makes a user for this package's own jobs on one side of a move: on a source it may read the selected keys and nothing else, on a
// target write what its jobs write. The rules name single commands, and no category.
func JobACLRules(keep Selector, o JobAccess) (ACLUser, error) {
	u, err := jobACLRules(keep, o)
	if err != nil {
		return ACLUser{}, fmt.Errorf("redismigrate: ACL rules of jobs: %w", err)
	}
	return u, nil
}

func jobACLRules(keep Selector, o JobAccess) (ACLUser, error) {
	sel, err := keep.compile()
	if err != nil {
		return ACLUser{}, err
	}
	if len(o.Jobs) == 0 {
		return ACLUser{}, errors.New("no job is named; set Jobs")
	}
	if o.Server == nil {
		return ACLUser{}, errors.New("no card of the server is given; run Inspect and set Server")
	}
	u, err := newACLUser(orWords(o.Name, "tashikame"))
	if err != nil {
		return ACLUser{}, err
	}
	commands, allKeys := slices.Clone(opening), len(keep.Include) == 0
	for _, job := range o.Jobs {
		g, err := grants(job, o.Target)
		if err != nil {
			return ACLUser{}, err
		}
		commands, allKeys = append(commands, g.commands...), allKeys || g.allKeys
	}
	mark := map[bool]string{false: "%R~", true: "~"}[o.Target]
	patterns := []string{"*"}
	if !allKeys {
		patterns = append(slices.Clone(keep.Include), canaryPrefix+"*", probePrefix+"*", elastiCacheKey)
		u.noteWider(keep)
	} else if len(keep.Include) == 0 {
		u.Notes = append(u.Notes, "an ACL cannot express a function: the user gets all keys")
	}
	if err := u.keys(mark, patterns); err != nil {
		return ACLUser{}, err
	}
	slices.Sort(commands)
	for _, command := range slices.Compact(commands) {
		name := strings.ReplaceAll(command, "|", " ")
		if o.Server.Commands[name] == Absent || !o.Server.Cluster && strings.HasPrefix(name, "CLUSTER ") {
			continue
		}
		u.add("+" + strings.ToLower(command))
	}
	if o.Server.Cluster {
		u.Notes = append(u.Notes, "a user is created on one node only; create it on every node of the cluster, replicas too")
	}
	u.Checks = jobChecks(sel, u.Rules, o.Target, allKeys)
	return u, nil
}

// jobChecks are the calls by which a user for jobs is checked.
func jobChecks(sel *selection, rules []string, target, allKeys bool) (checks []ACLCheck) {
	keys := []string{probePrefix + "of-nobody"}
	for _, g := range sel.include {
		keys = append(keys, g.plain())
	}
	for _, p := range probes {
		granted := slices.Contains(rules, "+"+p.acl())
		for i, key := range keys {
			if !p.keyed() && i > 0 {
				break
			}
			var call []string
			for _, word := range p.call(key) {
				call = append(call, fmt.Sprint(word))
			}
			checks = append(checks, ACLCheck{call, granted})
		}
	}
	if !allKeys && !anyMatch(sel.include, "of-nobody") {
		checks = append(checks, ACLCheck{[]string{"DUMP", "of-nobody"}, false})
	}
	if !target {
		checks = append(checks, ACLCheck{[]string{"DEL", keys[0]}, false}, ACLCheck{[]string{"FLUSHALL"}, false})
	}
	return checks
}
