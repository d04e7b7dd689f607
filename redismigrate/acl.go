package redismigrate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ACLUser is a user of a server's access-control list: what an operator creates, and what CheckACL checks it for.
type ACLUser struct {
	Name string `json:"name"`
	// Rules are those of ACL SETUSER, in order; they begin with reset, so that they say all. The password is not among them: it stands as
	// >{password}, for the operator to fill in.
	Rules []string `json:"rules"`
	// Notes say what the rules cannot, and what to do about it.
	Notes []string `json:"notes,omitempty"`
	// Checks are calls that the user must be allowed, and calls that it must be denied.
	Checks []ACLCheck `json:"checks,omitempty"`
}

// ACLCheck is a call and whether the user may make it. It is never made, only asked about (ACL DRYRUN).
type ACLCheck struct {
	Call    []string `json:"call"`
	Allowed bool     `json:"allowed"`
}

// passwordRule is where an operator puts the password.
const passwordRule = ">{password}"

// String is the command that creates the user, as redis-cli reads it.
func (u ACLUser) String() string {
	words := []string{"ACL", "SETUSER", cliQuote(u.Name)}
	for _, rule := range u.Rules {
		words = append(words, cliQuote(rule))
	}
	return strings.Join(words, " ")
}

// AccessString is the rules as ElastiCache and MemoryDB take them, where ACL SETUSER is not offered: the user is created by the service, and
// its password given there.
func (u ACLUser) AccessString() string {
	rules := slices.DeleteFunc(slices.Clone(u.Rules), func(r string) bool { return r == "reset" || r == passwordRule })
	return strings.Join(rules, " ")
}

// cliQuote quotes a word for redis-cli where it must be.
func cliQuote(word string) string {
	plain := word != ""
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(word) {
		c := word[i]
		switch {
		case c == '"', c == '\\':
			plain = false
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ', c == 0x7f:
			plain = false
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			plain = plain && c != ' ' && c != '\''
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	if plain {
		return word
	}
	return b.String()
}

// AppAccess says what the new application does besides reading and writing its keys. The zero value is least.
type AppAccess struct {
	// Name of the user. Default: the selector's ID, else "app".
	Name string
	// ReadOnly leaves out everything that writes.
	ReadOnly bool
	// Transactions are MULTI, EXEC, WATCH; Scripts are EVAL, EVALSHA and functions that are loaded.
	Transactions, Scripts bool
	// Cluster: its client speaks the cluster protocol, and asks for the nodes.
	Cluster bool
	// Channels are patterns of the channels that it publishes and subscribes to.
	Channels []string
	// Extra are more rules, for example "+info".
	Extra []string
}

// ACLRules makes the user of the new application: it may read and write the keys of the selector and nothing else, and run no command that
// Redis calls dangerous. An ACL knows patterns only: what Exclude and Match take away stays allowed, and Notes says so; a selector without
// Include cannot be expressed and is an error, as is a pattern with white space.
func ACLRules(keep Selector, app AppAccess) (ACLUser, error) {
	u, err := aclRules(keep, app)
	if err != nil {
		return ACLUser{}, fmt.Errorf("redismigrate: ACL rules: %w", err)
	}
	return u, nil
}

func aclRules(keep Selector, app AppAccess) (ACLUser, error) {
	sel, err := keep.compile()
	if err != nil {
		return ACLUser{}, err
	}
	if len(keep.Include) == 0 {
		return ACLUser{}, errors.New("an ACL knows patterns only, and the selector has none but a function; give it Include patterns that cover what the function selects")
	}
	u, err := newACLUser(cmp.Or(app.Name, keep.ID, "app"))
	if err != nil {
		return ACLUser{}, err
	}
	mark := "~"
	if app.ReadOnly {
		mark = "%R~"
	}
	if err := u.keys(mark, keep.Include); err != nil {
		return ACLUser{}, err
	}
	for _, channel := range app.Channels {
		if err := aclPattern("channel", channel); err != nil {
			return ACLUser{}, err
		}
		u.add("&" + channel)
	}
	u.add("+@read", "+@connection")
	for _, part := range []struct {
		wanted bool
		rules  []string
	}{
		{!app.ReadOnly, []string{"+@write"}},
		{app.Transactions, []string{"+@transaction"}},
		{app.Scripts, []string{"+@scripting"}},
		{!app.Scripts, []string{"-@scripting"}}, // FUNCTION FLUSH is of @write, and names no key
		{len(app.Channels) > 0, []string{"+@pubsub"}},
		{true, []string{"-@dangerous"}},
		{app.Scripts, []string{"-script|flush", "-script|kill", "-function|load", "-function|delete", "-function|flush", "-function|restore", "-function|kill"}},
		{app.Cluster, []string{"+cluster|slots", "+cluster|shards", "+cluster|nodes", "+cluster|myid", "+cluster|keyslot"}},
	} {
		if part.wanted {
			u.add(part.rules...)
		}
	}
	for _, rule := range app.Extra {
		if strings.HasPrefix(rule, ">") || strings.HasPrefix(rule, "#") || rule == "" {
			return ACLUser{}, errors.New("an empty rule or a password is in Extra; passwords are the operator's to fill in")
		}
		u.add(rule)
	}
	u.noteWider(keep)
	u.Notes = append(u.Notes, "SCAN, RANDOMKEY and DBSIZE are not limited to the user's keys: they show the names of all")
	if app.Cluster {
		u.Notes = append(u.Notes, "a user is created on one node only; create it on every node of the cluster, replicas too")
	}
	u.Checks = appChecks(sel, app)
	return u, nil
}

// appChecks are the calls by which the application's user is checked.
func appChecks(sel *selection, app AppAccess) (checks []ACLCheck) {
	check := func(allowed bool, call ...string) { checks = append(checks, ACLCheck{call, allowed}) }
	const outside = probePrefix + "of-nobody"
	for _, g := range sel.include {
		key := cmp.Or(g.sample("of-nobody"), g.plain())
		check(true, "GET", key)
		check(true, "HGETALL", key)
		for _, call := range [][]string{{"SET", key, "v"}, {"HSET", key, "f", "v"}, {"DEL", key}, {"UNLINK", key}, {"EXPIRE", key, "1"}} {
			check(!app.ReadOnly, call...)
		}
	}
	if !anyMatch(sel.include, outside) {
		check(false, "GET", outside)
		check(false, "SET", outside, "v")
		check(false, "DEL", outside)
	}
	check(true, "PING")
	check(app.Transactions, "MULTI")
	check(app.Scripts, "EVAL", "return 1", "0")
	for _, channel := range app.Channels {
		check(true, "PUBLISH", channel, "m")
	}
	if len(app.Channels) == 0 {
		check(false, "PUBLISH", outside, "m")
	}
	if app.Cluster {
		check(true, "CLUSTER", "SLOTS")
	}
	for _, call := range []string{
		"FLUSHALL", "FLUSHDB", "KEYS *", "SHUTDOWN", "SWAPDB 0 1", "SAVE", "BGSAVE", "DEBUG SLEEP 0", "MONITOR", "CONFIG GET save", "CONFIG SET save x", "ACL LIST",
		"ACL SETUSER x", "REPLICAOF NO ONE", "MIGRATE 192.0.2.1 1 k 0 100", "CLIENT LIST", "CLIENT PAUSE 1", "MODULE LIST", "FUNCTION FLUSH", "SCRIPT FLUSH",
	} {
		words := strings.Fields(call)
		command := "+" + strings.ToLower(words[0])
		if !slices.ContainsFunc(app.Extra, func(rule string) bool {
			rule = strings.ToLower(rule)
			return rule == command || strings.HasPrefix(rule, command+"|") || strings.HasPrefix(rule, "+@") || rule == "allcommands"
		}) {
			check(false, words...)
		}
	}
	return checks
}

// plain is the one key of a pattern without special characters, "" of others.
func (g *glob) plain() string {
	if len(g.ops) > 0 {
		var b strings.Builder
		b.WriteString(g.prefix)
		for _, op := range g.ops {
			if !op.star {
				b.WriteByte(op.example())
			}
		}
		return b.String()
	}
	return g.prefix
}

func newACLUser(name string) (ACLUser, error) {
	if strings.ContainsAny(name, " \t\n\v\f\r\x00") {
		return ACLUser{}, fmt.Errorf("the user's name %q holds white space, which an ACL does not take; set Name", name)
	}
	return ACLUser{Name: name, Rules: []string{"reset", "on", passwordRule}}, nil
}

func (u *ACLUser) add(rules ...string) { u.Rules = append(u.Rules, rules...) }

// keys adds key patterns: mark is ~ to read and write, %R~ to read.
func (u *ACLUser) keys(mark string, patterns []string) error {
	for _, p := range patterns {
		if err := aclPattern("key", p); err != nil {
			return err
		}
		if rule := mark + p; !slices.Contains(u.Rules, rule) {
			u.add(rule)
		}
	}
	return nil
}

func aclPattern(what, p string) error {
	if p == "" || strings.ContainsAny(p, " \t\n\v\f\r\x00") {
		return fmt.Errorf("the %s pattern %q is empty or holds white space or a zero byte, which an ACL does not take; write ? for such a byte, which allows any in its place", what, p)
	}
	return nil
}

// noteWider says what of a selector an ACL cannot express.
func (u *ACLUser) noteWider(keep Selector) {
	if len(keep.Exclude) > 0 {
		u.Notes = append(u.Notes, fmt.Sprintf("an ACL cannot take keys away again: the user may also use those that Exclude names (%q)", keep.Exclude))
	}
	if keep.Match != nil {
		u.Notes = append(u.Notes, "an ACL cannot express a function: the user may use all keys that the Include patterns match, also those that Match turns down")
	}
}
