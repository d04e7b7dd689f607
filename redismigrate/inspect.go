package redismigrate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// InspectOptions tune Inspect. The zero value asks a source: nothing is called that could write.
type InspectOptions struct {
	// Target says that the server is to be written to later. Only then are commands that write probed by calls, each with a key that nobody
	// has and in a form that the server refuses, so that nothing is created, and only then is it asked which payloads its RESTORE takes.
	Target bool
	// Keys are the keys that matter. Where an ACL limits the user to some keys, permissions are those on these; without it, what is not
	// allowed on the probes' own keys (tashikame:probe:…) is untold.
	Keys Selector
}

// Inspect asks a server, or each master of a cluster, what it is and what it really allows, and writes nothing. What the server does not tell
// is zero in the card and named in its Untold. An error means that there is no card: the server could not be reached or identified, its
// user may not even run INFO, or the connection failed midway.
func Inspect(ctx context.Context, e *Endpoint, o InspectOptions) (*Server, error) {
	s, err := inspect(ctx, e, o)
	if err != nil {
		return nil, fmt.Errorf("redismigrate: inspect: %w", err)
	}
	return s, nil
}

func inspect(ctx context.Context, e *Endpoint, o InspectOptions) (*Server, error) {
	var keep *selection
	if len(o.Keys.Include) > 0 || len(o.Keys.Exclude) > 0 || o.Keys.Match != nil {
		var err error
		if keep, err = o.Keys.compile(); err != nil {
			return nil, err
		}
	}
	side := "source"
	if o.Target {
		side = "target"
	}
	named, name, err := e.named()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", side, err)
	}
	s, err := openSession(ctx, side, named, sessionOptions{noTouch: true})
	if err != nil {
		return nil, err
	}
	defer s.close()
	i := &inspection{session: s, card: newCard(s), keep: keep, target: o.Target, name: name}
	if err := i.run(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	return i.card, nil
}

// named is the endpoint with connections that carry a name of their own, by which CLIENT LIST shows that they are ours.
func (e *Endpoint) named() (*Endpoint, string, error) {
	if e == nil {
		return nil, "", errors.New("no endpoint is given")
	}
	opts, err := e.options()
	if err != nil {
		return nil, "", err
	}
	name, users := "tashikame-inspect-"+randomName(), opts.OnConnect
	opts.OnConnect = func(ctx context.Context, cn *redis.Conn) error {
		if users != nil {
			if err := users(ctx, cn); err != nil {
				return err
			}
		}
		return broken(cn.ClientSetName(ctx, name).Err()) // where it is forbidden, the count of clients is untold
	}
	return &Endpoint{Options: opts, DBs: e.DBs, AllDBs: e.AllDBs}, name, nil
}

// randomName is a name that nobody has: 128 random bits.
func randomName() string { return strings.ToLower(rand.Text()) }

// inspection fills one card.
type inspection struct {
	*session
	card   *Server
	keep   *selection
	target bool
	name   string // of our connections
}

func newCard(s *session) *Server {
	return &Server{
		Addr: s.addr, At: time.Now(), Cluster: s.cluster != nil, TLS: s.opts.TLSConfig != nil,
		Commands: map[string]Permission{}, Notes: map[string]string{}, Untold: map[string]string{},
	}
}

func (i *inspection) run(ctx context.Context) error {
	var infos []infoText
	for _, n := range i.nodes {
		text, err := n.db(i.opts.DB).Info(ctx).Result()
		if err != nil {
			return n.fail("ask INFO", err)
		}
		infos = append(infos, parseInfo(text))
	}
	i.card.readInfo(i.nodes, infos)
	for _, step := range []func(context.Context) error{
		i.readSlots, i.readServiceKeys, i.readCommands, i.readSettings, i.readClients, i.readFunctions, i.readPayloads,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// readSlots counts the slots of each master.
func (i *inspection) readSlots(ctx context.Context) error {
	if i.cluster == nil {
		return nil
	}
	slots, err := i.keyless(0).ClusterSlots(ctx).Result() //nolint:staticcheck // CLUSTER SHARDS is not there before 7.0
	if err != nil {
		return i.fail("ask CLUSTER SLOTS", err)
	}
	for _, r := range slots {
		for at, n := range i.nodes {
			if len(r.Nodes) > 0 && announced(r.Nodes[0].Addr, i.addr) == n.addr {
				i.card.Nodes[at].Slots += r.End - r.Start + 1
			}
		}
	}
	return nil
}

// readServiceKeys looks for the keys that managed services are known to keep.
func (i *inspection) readServiceKeys(ctx context.Context) error {
	for _, db := range i.id.usedDBs {
		n, err := i.db(db).Exists(ctx, elastiCacheKey).Result()
		if err := broken(err); err != nil {
			return i.fail("look for service keys", err)
		}
		if err != nil {
			i.card.untold("ServiceKeys", "EXISTS "+elastiCacheKey+": "+err.Error())
		}
		if n > 0 && !slices.Contains(i.card.ServiceKeys, elastiCacheKey) {
			i.card.ServiceKeys = append(i.card.ServiceKeys, elastiCacheKey)
		}
	}
	i.card.Service = i.card.recogniseService(i.card.osLine)
	return nil
}

// readCommands probes each master.
func (i *inspection) readCommands(ctx context.Context) error {
	worst := map[string]answer{}
	for at, n := range i.nodes {
		p := prober{node: n, target: i.target && n.id.role == "master", managed: i.card.Service != ""}
		if err := p.whoAmI(ctx); err != nil {
			return err
		}
		if err := p.chooseKeys(ctx, i.keep); err != nil {
			return err
		}
		if i.keep != nil && len(p.wanted) == 0 {
			i.card.untold("Keys", "no key for the probes can be made of the selector (it has no pattern with a star that its exclusions and function agree to), so permissions are those on the probes' own keys")
		}
		answers, notes, err := p.run(ctx)
		if err != nil {
			return err
		}
		if at == 0 {
			i.card.User = p.user
		}
		for name, a := range answers {
			if len(i.nodes) > 1 && a.why != "" {
				a.why = n.addr + ": " + a.why
			}
			if at > 0 {
				a = worse(worst[name], a)
			}
			worst[name] = a
		}
		for name, note := range notes {
			i.card.Notes[name] = note
		}
	}
	for name, a := range worst {
		i.card.Commands[name] = a.Permission
		switch {
		case a.Permission == Untold:
			i.card.untold(name, a.why)
		case a.Permission == Forbidden && a.offKey:
			i.card.Notes[name] = "allowed as such, but not on keys of the selector: " + a.why
		case a.Permission == Forbidden:
			i.card.Notes[name] = a.why
		}
		if a.Permission != Allowed && a.Permission != Forbidden {
			delete(i.card.Notes, name)
		}
	}
	if i.card.Service == "" {
		i.card.Service = i.card.restricted()
	}
	return nil
}

// untold notes why something could not be told; the first reason stays.
func (s *Server) untold(what, why string) {
	if _, ok := s.Untold[what]; !ok {
		s.Untold[what] = why
	}
}
