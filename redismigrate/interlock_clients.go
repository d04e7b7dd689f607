package redismigrate

import (
	"context"
	"fmt"
	"strings"
)

// foreignClients are connections to a store that are not of the job: somebody uses it. Replicas and the link to a master are none.
type foreignClients struct {
	list   []string // "10.0.0.7:51234 (name web-1, user app)", the first maxClients
	total  int
	untold error // the server does not let us look
}

const maxClients = 10

// clientsOf asks each master who is connected.
func clientsOf(ctx context.Context, s *session) (foreignClients, error) {
	mine := s.localAddrs()
	var out foreignClients
	for _, n := range s.nodes {
		text, err := n.db(s.dbs[0]).ClientList(ctx).Result()
		if err != nil {
			if isServerError(err) {
				out.untold = n.fail("ask CLIENT LIST who else is connected", err)
				continue
			}
			return out, n.fail("ask CLIENT LIST who else is connected", err)
		}
		for line := range strings.Lines(text) {
			c := parseClient(line)
			if c.addr == "" || strings.ContainsAny(c.flags, "SM") || s.name != "" && c.name == s.name || c.name == "" && mine[c.addr] {
				continue
			}
			if out.total++; len(out.list) < maxClients {
				out.list = append(out.list, c.String())
			}
		}
	}
	return out, nil
}

// refusal refuses a target that somebody else is connected to, or may be.
func (f foreignClients) refusal(target *session) error {
	if f.total == 0 && f.untold != nil {
		return refuse("whether other clients are connected could not be told: %v; look by other means, and set AllowClients when nobody is", f.untold)
	}
	if f.total == 0 {
		return nil
	}
	return refuse("%d other clients are connected to the target %s, so it may be in use: %s; stop them, or set AllowClients if they may be there", f.total, target.addr, f)
}

func (f foreignClients) String() string {
	text := strings.Join(f.list, ", ")
	if more := f.total - len(f.list); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// connected is one line of CLIENT LIST.
type connected struct{ addr, name, user, flags string }

func parseClient(line string) connected {
	var c connected
	for field := range strings.FieldsSeq(line) {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "addr":
			c.addr = value
		case "name":
			c.name = value
		case "user":
			c.user = value
		case "flags":
			c.flags = value
		}
	}
	return c
}

func (c connected) String() string {
	var parts []string
	if c.name != "" {
		parts = append(parts, "name "+c.name)
	}
	if c.user != "" {
		parts = append(parts, "user "+c.user)
	}
	if len(parts) == 0 {
		return c.addr
	}
	return c.addr + " (" + strings.Join(parts, ", ") + ")"
}

// localAddrs are our own ends of the session's connections, as a server without a proxy in between sees them: where it does not allow
// CLIENT SETNAME, they are how we know ourselves.
func (s *session) localAddrs() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]bool, len(s.conns))
	for _, conn := range s.conns {
		if a := conn.LocalAddr(); a != nil {
			out[a.String()] = true
		}
	}
	return out
}
