package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// CheckACLOptions tune CheckACL. The zero value writes nothing.
type CheckACLOptions struct {
	// CreateTemporary checks the rules on a user of a random name that cannot log in, and that is deleted again; by default the user must be
	// there already. Set it on a stand-in or on the target, where a user more for a moment is no harm.
	CreateTemporary bool
}

// ACLFinding is one check's outcome.
type ACLFinding struct {
	ACLCheck
	// Node is the server that was asked.
	Node string `json:"node"`
	// Verdict is Match when the server decides as the check wants, and Unknown when it could not be asked.
	Verdict Verdict `json:"verdict"`
	// Why says what the server said where it is not a Match.
	Why string `json:"why,omitempty"`
}

// ACLReport is what CheckACL found.
type ACLReport struct {
	User     string       `json:"user"`
	Findings []ACLFinding `json:"findings"`
}

// Verdict is Mismatch when a check failed, else Unknown when one could not be made or there was none, else Match.
func (r ACLReport) Verdict() Verdict {
	v := Unknown
	if len(r.Findings) > 0 {
		v = Match
	}
	for _, f := range r.Findings {
		switch f.Verdict {
		case Mismatch:
			return Mismatch
		case Unknown:
			v = Unknown
		}
	}
	return v
}

// String lists what is not as wanted, and counts the rest.
func (r ACLReport) String() string {
	good := 0
	var b strings.Builder
	for _, f := range r.Findings {
		if f.Verdict == Match {
			good++
			continue
		}
		fmt.Fprintf(&b, "\n%s  %s: %s should be %s: %s", f.Verdict, f.Node, strings.Join(f.Call, " "), map[bool]string{true: "allowed", false: "denied"}[f.Allowed], f.Why)
	}
	return fmt.Sprintf("%s: user %s, %d of %d checks as wanted%s", r.Verdict(), r.User, good, len(r.Findings), b.String())
}

// CheckACL asks a server, or each master of a cluster, whether a user may do what its Checks allow, and may not do what they deny. Nothing is
// run and nothing written, unless a temporary user is asked for. It needs the right to run ACL DRYRUN.
func CheckACL(ctx context.Context, e *Endpoint, u ACLUser, o CheckACLOptions) (ACLReport, error) {
	r, err := checkACL(ctx, e, u, o)
	if err != nil {
		return r, fmt.Errorf("redismigrate: check ACL: %w", err)
	}
	return r, nil
}

func checkACL(ctx context.Context, e *Endpoint, u ACLUser, o CheckACLOptions) (ACLReport, error) {
	r := ACLReport{User: u.Name}
	if u.Name == "" || len(u.Checks) == 0 {
		return r, errors.New("the user has no name or no Checks; make it with ACLRules or JobACLRules")
	}
	s, err := openSession(ctx, "target", e, sessionOptions{})
	if err != nil {
		return r, err
	}
	defer s.close()
	for _, n := range s.nodes {
		found, err := n.checkUser(ctx, u, o)
		r.Findings = append(r.Findings, found...)
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// leaveTimeout is for taking a temporary user back, also when the job's context has ended.
const leaveTimeout = 5 * time.Second

func (n *node) checkUser(ctx context.Context, u ACLUser, o CheckACLOptions) (found []ACLFinding, err error) {
	c, name := n.db(n.opts.DB), u.Name
	if o.CreateTemporary {
		name = "tashikame-check-" + randomName()
		args := []any{"ACL", "SETUSER", name}
		for _, rule := range u.Rules {
			if rule != "on" && rule != "nopass" && !strings.HasPrefix(rule, ">") && !strings.HasPrefix(rule, "#") {
				args = append(args, rule)
			}
		}
		defer func() {
			leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
			defer cancel()
			if e := c.Do(leaving, "ACL", "DELUSER", name).Err(); e != nil && !refusedToMake(err) {
				err = errors.Join(err, n.fail("delete the temporary user "+name+" (delete it: ACL DELUSER)", e))
			}
		}()
		if e := c.Do(ctx, append(args, "off", "resetpass")...).Err(); e != nil {
			if strings.Contains(e.Error(), "ACL SETUSER modifier") {
				return []ACLFinding{{ACLCheck: ACLCheck{u.call(), true}, Node: n.addr, Verdict: Mismatch, Why: "the server does not take the rules: " + e.Error()}}, nil
			}
			return nil, &makeError{n.fail("create a temporary user", e), isServerError(e)}
		}
	}
	pipe := c.Pipeline()
	cmds := make([]*redis.Cmd, len(u.Checks))
	for i, check := range u.Checks {
		args := []any{"ACL", "DRYRUN", name}
		for _, word := range check.Call {
			args = append(args, word)
		}
		cmds[i] = pipe.Do(ctx, args...)
	}
	_, _ = pipe.Exec(ctx) // each is looked at
	for i, check := range u.Checks {
		reply, e := cmds[i].Text()
		if e := broken(e); e != nil {
			return found, n.fail("ask ACL DRYRUN", e)
		}
		found = append(found, check.judged(n.addr, probe{}.dryRan(reply, e)))
	}
	return found, nil
}

// makeError is that of a temporary user which could not be created; refused: by the server, so that there is none.
type makeError struct {
	error
	refused bool
}

func (e *makeError) Unwrap() error { return e.error }

func refusedToMake(err error) bool {
	var m *makeError
	return errors.As(err, &m) && m.refused
}

// call is the rules as a call, without the password.
func (u ACLUser) call() []string {
	return append([]string{"ACL", "SETUSER", u.Name}, slices.DeleteFunc(slices.Clone(u.Rules), func(r string) bool { return strings.HasPrefix(r, ">") || strings.HasPrefix(r, "#") })...)
}

// judged holds the server's answer against the check. A command that the server does not have is as good as denied.
func (c ACLCheck) judged(node string, a answer) ACLFinding {
	f := ACLFinding{ACLCheck: c, Node: node, Why: a.why}
	switch {
	case a.Permission == Untold:
	case c.Allowed == (a.Permission == Allowed):
		f.Verdict, f.Why = Match, ""
	default:
		f.Verdict = Mismatch
		if a.Permission == Allowed {
			f.Why = "the server allows it"
		}
	}
	return f
}
