package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	openTimeout    = 10 * time.Second // for the first answer of a server
	defaultTimeout = 30 * time.Second // for one reply of a job: a large DUMP or a fork of the server may take long
	cancelGrace    = time.Second      // how long commands that are already sent may finish after the context has ended
	poolSize       = 32
)

// session is one job's connections to one store: a single server, or the masters of a cluster. Every connection, before it carries a
// command, proves that it reaches a process (run_id) that the session was opened on: after a restart or a change of a name, the job stops
// instead of going on elsewhere. A TCP connection cannot change its server later, so the proof holds for the connection's life.
// The replicas of a cluster are known too, so that a fail-over within it does not stop a job.
type session struct {
	side  string // "source" or "target"
	addr  string // as the user gave it
	opts  *redis.Options
	id    identity // of the server, as of opening; in a cluster of its first master, with the keys of all masters
	nodes []*node  // the masters, by their first slot; one for a single server
	dbs   []int    // the job's dbs, ascending
	all   bool     // the endpoint means every db

	owners []*node  // of a cluster: the master of each slot
	rack   laneRack // raw connections

	release func() bool     // lets go of the job's context
	life    context.Context // ends when the connections are cut
	end     context.CancelFunc

	mu      sync.Mutex
	known   map[string]bool // run_ids of which each connection must show one; nil until they are known
	clients map[clientID]*redis.Client
	cluster *redis.ClusterClient // of a cluster; nil for a single server
	conns   []net.Conn
	ended   bool
	noTouch bool
	name    string // by which the server's CLIENT LIST shows our connections; "": none
	isAbs   *bool  // whether PEXPIRETIME may be used; nil until known
	blind   bool   // MEMORY USAGE is not allowed
}

// node is one master.
type node struct {
	*session
	addr string
	id   identity
}

// clientID names a connection pool: of one db of one server.
type clientID struct {
	addr string
	db   int
}

type sessionOptions struct {
	runIDs  []string // the server, or each node of the cluster, must be one of these processes; empty: whichever answers
	noTouch bool     // reading must not make keys look used (Redis 7.2 and newer)
	name    string   // given to each connection, where CLIENT SETNAME is allowed
}

// openSession connects, identifies the server or the nodes of the cluster, and resolves the dbs.
func openSession(ctx context.Context, side string, e *Endpoint, o sessionOptions) (*session, error) {
	if e == nil {
		return nil, fmt.Errorf("%s: no endpoint is given", side)
	}
	opts, err := e.options()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", side, err)
	}
	s := &session{side: side, addr: opts.Addr, opts: opts, noTouch: o.noTouch, name: o.name, all: e.AllDBs, clients: map[clientID]*redis.Client{}}
	for _, id := range o.runIDs {
		s.know(id)
	}
	s.life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	s.prepare()
	s.release = context.AfterFunc(ctx, func() { time.AfterFunc(cancelGrace, s.cutConnections) })
	opening, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := s.identify(opening); err != nil {
		s.close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	s.dbs = slices.Clone(e.listed(opts))
	if e.AllDBs {
		s.dbs = slices.Clone(s.id.usedDBs)
	}
	slices.Sort(s.dbs)
	if err := s.checkDBs(opening); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// prepare turns the user's options into the session's.
func (s *session) prepare() {
	o := s.opts
	dial := o.Dialer
	if o.DialTimeout == 0 {
		o.DialTimeout = 5 * time.Second
	}
	if dial == nil {
		dial = redis.NewDialer(o)
	}
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		// The client dials in the background, without the command's context: a dial must not outlive the session.
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.life, cancel)()
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ended {
			conn.Close()
			return nil, net.ErrClosed
		}
		s.conns = append(s.conns, conn)
		return conn, nil
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = defaultTimeout
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = defaultTimeout
	}
	if o.DialerRetries == 0 {
		o.DialerRetries = 1
	}
	o.MaxRetries = -1 // a repeated UNLINK or RESTORE would be counted wrongly
	o.ContextTimeoutEnabled = true
	o.Protocol = 2
	o.DisableIdentity = true
	o.MinIdleConns = 0
	o.PoolSize = poolSize
	o.PoolTimeout = defaultTimeout
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.ReadBufferSize = max(o.ReadBufferSize, 128<<10)
	o.WriteBufferSize = max(o.WriteBufferSize, 128<<10)
	users := o.OnConnect
	o.OnConnect = func(ctx context.Context, cn *redis.Conn) error {
		if want := s.expected(); len(want) > 0 {
			id, err := readIdentity(ctx, cn)
			if err != nil {
				return err
			}
			if !slices.Contains(want, id.runID) {
				return &replacedError{want: want, got: id.runID}
			}
		}
		if s.noTouch {
			if err := cn.Do(ctx, "CLIENT", "NO-TOUCH", "ON").Err(); err != nil && !isServerError(err) {
				return err // a server that does not know it, or forbids it, only loses the courtesy
			}
		}
		if s.name != "" {
			if err := cn.ClientSetName(ctx, s.name).Err(); err != nil && !isServerError(err) {
				return err // where it is forbidden, the connections go without a name
			}
		}
		if users != nil {
			return users(ctx, cn)
		}
		return nil
	}
}

// identify asks who answers; from here on every connection must reach the same process, or another node of the same cluster.
func (s *session) identify(ctx context.Context) error {
	id, err := readIdentity(ctx, s.client(s.addr, s.opts.DB))
	if err != nil {
		return s.fail("ask INFO who it is", err)
	}
	if err := s.checkTold(s.addr, id); err != nil {
		return err
	}
	if id.cluster {
		return s.joinCluster(ctx)
	}
	if id.mode != "" && id.mode != "standalone" {
		return fmt.Errorf("%s %s runs in mode %q, not standalone or cluster; give the address of the data server itself", s.side, s.addr, id.mode)
	}
	s.id = id
	s.nodes = []*node{{session: s, addr: s.addr, id: id}}
	s.know(id.runID)
	return nil
}

// checkTold refuses a server that does not tell its run_id.
func (s *session) checkTold(addr string, id identity) error {
	if len(id.runID) < 8 || strings.Trim(id.runID, "0") == "" {
		return fmt.Errorf("%s %s does not tell its run_id (INFO server says %q), so it cannot be told from another server", s.side, addr, id.runID)
	}
	return nil
}

// know adds a process to those that connections may reach.
func (s *session) know(runID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]bool{}
	}
	s.known[runID] = true
}

// expected are the processes that connections may reach, sorted; none until the first is known.
func (s *session) expected() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.known))
}

// checkDBs selects each db of the job: an index out of range shows now, not in the middle.
func (s *session) checkDBs(ctx context.Context) error {
	for _, db := range s.dbs {
		if s.cluster != nil && db != 0 {
			return fmt.Errorf("%s %s is a cluster, which has db 0 only, but the job names db %d; map it to db 0 (Move.DBMap)", s.side, s.addr, db)
		}
		for _, n := range s.nodes {
			if err := n.db(db).Ping(ctx).Err(); err != nil {
				return s.fail(fmt.Sprintf("select db %d", db), err)
			}
		}
	}
	return nil
}

// db returns the client of one db. In a cluster it routes by key; a command without a key goes to the first master, or to each with nodes.
func (s *session) db(n int) redis.UniversalClient {
	if s.cluster != nil {
		return s.cluster
	}
	return s.client(s.addr, n)
}

// keyless returns the client for commands that name no key, of the first master.
func (s *session) keyless(db int) *redis.Client { return s.nodes[0].db(db) }

// db returns the client of one db of this master alone.
func (n *node) db(db int) *redis.Client { return n.client(n.addr, db) }

// client returns the pool of connections to one db of one server.
func (s *session) client(addr string, db int) *redis.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := clientID{addr, db}
	c := s.clients[id]
	if c == nil {
		o := *s.opts
		o.Addr, o.DB = addr, db
		c = redis.NewClient(&o)
		s.clients[id] = c
	}
	return c
}

// cutConnections ends commands that hang after the context has ended.
func (s *session) cutConnections() {
	s.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for _, conn := range s.conns {
		conn.Close()
	}
}

func (s *session) close() {
	s.release()
	s.rack.close()
	s.mu.Lock()
	clients := s.clients
	s.clients = map[clientID]*redis.Client{}
	s.mu.Unlock()
	if s.cluster != nil {
		s.cluster.Close()
	}
	for _, c := range clients {
		c.Close()
	}
	s.cutConnections()
}

// absoluteExpiry reports whether the server answers PEXPIRETIME (7.0 and newer, where allowed).
func (s *session) absoluteExpiry(ctx context.Context) (bool, error) {
	s.mu.Lock()
	known := s.isAbs
	s.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	yes := true
	for _, n := range s.nodes {
		err := n.db(s.opts.DB).Do(ctx, "PEXPIRETIME", canaryPrefix+"probe").Err()
		if err != nil && !isServerError(err) {
			return false, s.fail("probe PEXPIRETIME", err)
		}
		yes = yes && (err == nil || strings.HasPrefix(err.Error(), "MOVED ")) // another node's key: the command is allowed
	}
	s.mu.Lock()
	s.isAbs = &yes
	s.mu.Unlock()
	return yes, nil
}

// replacedError says that another process answers than the one the job began with.
type replacedError struct {
	want []string
	got  string
}

func (e *replacedError) Error() string {
	return fmt.Sprintf("another server process answers now (run_id %.8s, before it was %s): it was restarted, replaced or failed over, and what was proved about it no longer holds", e.got, shortIDs(e.want))
}

// shortIDs shows run_ids by their first eight digits.
func shortIDs(ids []string) string {
	short := make([]string, len(ids))
	for i, id := range ids {
		short[i] = fmt.Sprintf("%.8s", id)
	}
	return strings.Join(short, ", ")
}

// fail wraps an error of a server with what was being done, which side it was, and the way out.
func (s *session) fail(doing string, err error) error { return failAt(s.side, s.addr, doing, err) }

// fail names the node instead of the cluster.
func (n *node) fail(doing string, err error) error { return failAt(n.side, n.addr, doing, err) }

func failAt(side, addr, doing string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s %s: %s: %w", side, addr, doing, context.Canceled)
	}
	if way := wayOut(err); way != "" {
		return fmt.Errorf("%s %s: %s: %w (%s)", side, addr, doing, err, way)
	}
	return fmt.Errorf("%s %s: %s: %w", side, addr, doing, err)
}

// wayOut says what a person does about an error.
func wayOut(err error) string {
	var replaced *replacedError
	if errors.As(err, &replaced) {
		return "check which server this address reaches, then start again"
	}
	text := err.Error()
	has := func(part string) bool { return strings.Contains(text, part) }
	switch {
	case has("WRONGPASS"), has("NOAUTH"), has("invalid password"), has("invalid username-password"):
		return "check user and password of this endpoint"
	case has("NOPERM"):
		return "the ACL user of this endpoint lacks that permission; grant it (ACL SETUSER name +command ~keys) or use a user that has it"
	case has("unknown command"):
		return "this server does not offer the command; managed services restrict some"
	case has("READONLY"):
		return "the server is a replica now; give the address of its master"
	case has("OOM command not allowed"):
		return "the server's maxmemory is reached; give it more memory, then run the job again"
	case has("MISCONF"):
		return "the server cannot save its snapshot and refuses writes; see its log"
	case has("CLUSTERDOWN"):
		return "the cluster does not serve all of its slots; repair it (CLUSTER INFO, CLUSTER NODES), then start again"
	case has("LOADING"):
		return "the server is still loading its data; wait and start again"
	case has("DB index is out of range"):
		return "the server is configured with fewer dbs (setting: databases)"
	case has("connection refused"), has("no such host"):
		return "check host and port, and that the server runs"
	case errors.Is(err, context.DeadlineExceeded), has("i/o timeout"):
		return "it did not answer in time; check address and network, or raise the endpoint's timeouts"
	}
	return ""
}

// isServerError reports whether the server itself answered with an error, as opposed to a connection that failed.
func isServerError(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer) && !errors.Is(err, redis.Nil)
}

// covers reports whether a db is part of the job.
func (s *session) covers(db int) bool { return s.all || slices.Contains(s.dbs, db) }

func (s *session) coverageText() string { return dbsInWords(s.dbs) }

// ownSize is how many keys a db holds, without the service keys that a walk has just counted.
func (s *session) ownSize(ctx context.Context, db, service int) (int64, error) {
	var sum int64
	for _, n := range s.nodes {
		size, err := n.db(db).DBSize(ctx).Result()
		if err != nil {
			return 0, n.fail(fmt.Sprintf("DBSIZE of db %d", db), err)
		}
		sum += size
	}
	return sum - int64(service), nil
}
