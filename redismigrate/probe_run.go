package redismigrate

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

const (
	probePrefix    = "tashikame:probe:"
	maxProbeKeys   = 16 // of a selector
	probeKeyChoice = 64 // times the number of masters: how many names are tried to find one in a master's slots
)

// prober asks one server what its user may do.
type prober struct {
	*node
	target  bool   // calls of onTarget may be made
	managed bool   // a managed service: what ACL DRYRUN allows may be refused all the same
	user    string // of the connection, "" when not told
	wanted  []string
	outside string
}

// asked is one question to the server.
type asked struct {
	probe
	wanted bool // about a key of the selector
	called bool // a call, not ACL DRYRUN
	cmd    *redis.Cmd
}

// run asks for all commands in one round trip. An error means that the connection failed.
func (p prober) run(ctx context.Context) (answers map[string]answer, notes map[string]string, err error) {
	pipe := p.db(p.opts.DB).Pipeline()
	var list []asked
	ask := func(pr probe, key string, wanted bool) {
		called := pr.how == anywhere || pr.how == onTarget && p.target
		args := pr.call(key)
		if !called {
			if p.user == "" {
				list = append(list, asked{probe: pr, wanted: wanted})
				return
			}
			args = append([]any{"ACL", "DRYRUN", p.user}, args...)
		}
		list = append(list, asked{pr, wanted, called, pipe.Do(ctx, args...)})
	}
	info := []any{"COMMAND", "INFO"}
	for _, pr := range probes {
		info = append(info, pr.acl())
		if !pr.keyed() {
			ask(pr, "", false)
			continue
		}
		ask(pr, p.outside, false)
		for _, key := range p.wanted {
			ask(pr, key, true)
		}
	}
	known := pipe.Do(ctx, info...)
	_, _ = pipe.Exec(ctx) // its error is that of the first command that failed; each is looked at below
	if err := broken(known.Err()); err != nil {
		return nil, nil, p.fail("probe its commands", err)
	}
	unlisted := p.unlisted(known)
	answers, notes = map[string]answer{}, map[string]string{}
	for i := 0; i < len(list); {
		pr := list[i].probe
		var outside answer
		var wanted []answer
		for ; i < len(list) && list[i].name == pr.name; i++ {
			q := list[i]
			if q.cmd != nil {
				if err := broken(q.cmd.Err()); err != nil {
					return nil, nil, p.fail("probe "+pr.name, err)
				}
			}
			if a := p.judge(q, unlisted); q.wanted {
				wanted = append(wanted, a)
			} else {
				outside = a
			}
		}
		a, note := onKeys(wanted, outside)
		answers[pr.name] = a
		if note != "" {
			notes[pr.name] = note
		}
	}
	return answers, notes, nil
}

// broken is the error when it is not the server's answer.
func broken(err error) error {
	if err == nil || errors.Is(err, redis.Nil) || isServerError(err) {
		return nil
	}
	return err
}

// judge reads the reply to one question. unlisted are the commands that COMMAND INFO does not know; nil when it was not told.
func (p prober) judge(q asked, unlisted map[string]bool) answer {
	if q.called {
		err := q.cmd.Err()
		if errors.Is(err, redis.Nil) {
			err = nil
		}
		return q.answered(err)
	}
	a := answer{why: "the server does not tell who the user is (ACL WHOAMI), so ACL DRYRUN cannot be asked"}
	if q.cmd != nil {
		reply, err := q.cmd.Text()
		a = q.dryRan(reply, err)
	}
	switch {
	case a.Permission == Untold && unlisted[q.name]:
		return answer{Permission: Absent, why: "COMMAND INFO does not know it"}
	case a.Permission == Untold:
		a.why = "it has no harmless call here, and " + a.why
	case a.Permission == Allowed && q.name == "REPLICAOF" && p.cluster != nil:
		return answer{Permission: Absent, why: "a cluster's nodes do not take it (CLUSTER REPLICATE is theirs)"}
	case a.Permission == Allowed && p.managed:
		return answer{why: "ACL DRYRUN says yes, but a managed service may refuse it all the same, and it has no harmless call here; ask the service's documentation"}
	}
	return a
}

// unlisted reads COMMAND INFO's reply, an entry for each of the probes.
func (p prober) unlisted(known *redis.Cmd) map[string]bool {
	entries, err := known.Slice()
	if err != nil || len(entries) != len(probes) {
		return nil
	}
	missing := map[string]bool{}
	for i, entry := range entries {
		if entry == nil && (!strings.Contains(probes[i].name, " ") || p.id.major() >= 7) { // older servers list no subcommands
			missing[probes[i].name] = true
		}
	}
	return missing
}

// chooseKeys makes the keys of the probes: names that hold 128 random bits, so that nobody has them, in the node's slots.
func (p *prober) chooseKeys(ctx context.Context, keep *selection) error {
	var err error
	if p.outside, err = p.inSlots(ctx, func(token string) string { return probePrefix + token }); err != nil || keep == nil {
		return err
	}
	for _, g := range keep.include {
		if len(p.wanted) == maxProbeKeys {
			break
		}
		key, err := p.inSlots(ctx, func(token string) string {
			if name := g.sample(token); keep.has(name) {
				return name
			}
			return ""
		})
		if err != nil {
			return err
		}
		if key != "" {
			p.wanted = append(p.wanted, key)
		}
	}
	if len(p.wanted) == 0 && keep.has(p.outside) {
		p.wanted = []string{p.outside}
	}
	return nil
}

// inSlots returns a name that the node would serve; "" when name makes none.
func (p *prober) inSlots(ctx context.Context, name func(token string) string) (string, error) {
	if p.cluster == nil {
		return name(rand.Text()), nil
	}
	for range probeKeyChoice * len(p.nodes) {
		key := name(rand.Text())
		if key == "" {
			return "", nil
		}
		owner, err := p.cluster.MasterForKey(ctx, key)
		if err != nil {
			return "", p.fail("find out which slots it serves", err)
		}
		if owner.Options().Addr == p.addr {
			return key, nil
		}
	}
	return "", nil
}

// sample is a key that the pattern matches and that holds the token; "" when the pattern leaves no room for one.
func (g *glob) sample(token string) string {
	if g.all {
		return probePrefix + token
	}
	var b strings.Builder
	b.WriteString(g.prefix)
	placed := false
	for _, op := range g.ops {
		switch {
		case op.star && !placed:
			b.WriteString(token)
			placed = true
		case op.star:
		default:
			b.WriteByte(op.example())
		}
	}
	if !placed {
		return ""
	}
	return b.String()
}

// example is a byte of the class, a letter or digit if there is one.
func (op globOp) example() byte {
	for _, c := range "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		if op.class[byte(c)] {
			return byte(c)
		}
	}
	for b := range op.class {
		if op.class[b] {
			return byte(b)
		}
	}
	return 0
}

// whoAmI asks for the ACL user; a server that does not tell is no error.
func (p *prober) whoAmI(ctx context.Context) error {
	name, err := p.db(p.opts.DB).Do(ctx, "ACL", "WHOAMI").Text()
	if err := broken(err); err != nil {
		return p.fail("ask ACL WHOAMI", err)
	}
	p.user = name
	return nil
}

// major is the first number of the server's version, in terms of Redis.
func (id identity) major() int {
	first, _, _ := strings.Cut(id.version, ".")
	n, _ := strconv.Atoi(first) // none is old
	return n
}
