package redismigrate

import (
	"context"
	"errors"
	"fmt"
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

// session is one job's connections to one server. Every connection, before it carries a command, proves that it reaches the very
// process (run_id) that the session was opened on: after a fail-over, a restart or a change of a name, the job stops instead of going on
// elsewhere. A TCP connection cannot change its server later, so the proof holds for the connection's life.
type session struct {
	side string // "source" or "target"
	addr string
	opts *redis.Options
	id   identity // as of opening
	dbs  []int    // the job's dbs, ascending
	all  bool     // the endpoint means every db

	release func() bool     // lets go of the job's context
	life    context.Context // ends when the connections are cut
	end     context.CancelFunc

	mu      sync.Mutex
	runID   string // what each connection must show; "" until it is known
	clients map[int]*redis.Client
	conns   []net.Conn
	ended   bool
	noTouch bool
	isAbs   *bool // whether PEXPIRETIME may be used; nil until known
	blind   bool  // MEMORY USAGE is not allowed
}

type sessionOptions struct {
	runID   string // the server must be this process; "": whichever answers
	noTouch bool   // reading must not make keys look used (Redis 7.2 and newer)
}

// openSession connects, identifies the server and resolves the dbs. It refuses a cluster.
func openSession(ctx context.Context, side string, e *Endpoint, o sessionOptions) (*session, error) {
	if e == nil {
		return nil, fmt.Errorf("%s: no endpoint is given", side)
	}
	opts, err := e.options()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", side, err)
	}
	s := &session{side: side, addr: opts.Addr, opts: opts, runID: o.runID, noTouch: o.noTouch, all: e.AllDBs, clients: map[int]*redis.Client{}}
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
	for _, db := range s.dbs { // an index out of range shows now, not in the middle
		if err := s.db(db).Ping(opening).Err(); err != nil {
			s.close()
			return nil, s.fail(fmt.Sprintf("select db %d", db), err)
		}
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
		s.mu.Lock()
		want := s.runID
		s.mu.Unlock()
		if want != "" {
			id, err := readIdentity(ctx, cn)
			if err != nil {
				return err
			}
			if id.runID != want {
				return &replacedError{want: want, got: id.runID}
			}
		}
		if s.noTouch {
			if err := cn.Do(ctx, "CLIENT", "NO-TOUCH", "ON").Err(); err != nil && !isServerError(err) {
				return err // a server that does not know it, or forbids it, only loses the courtesy
			}
		}
		if users != nil {
			return users(ctx, cn)
		}
		return nil
	}
}

// identify asks who answers; from here on every connection must reach the same process.
func (s *session) identify(ctx context.Context) error {
	id, err := readIdentity(ctx, s.db(s.opts.DB))
	if err != nil {
		return s.fail("ask INFO who it is", err)
	}
	if id.cluster {
		return fmt.Errorf("%s %s is a node of a cluster; only single servers are supported: a node holds a part of the keys only", s.side, s.addr)
	}
	if id.mode != "" && id.mode != "standalone" {
		return fmt.Errorf("%s %s runs in mode %q, not standalone; give the address of the data server itself", s.side, s.addr, id.mode)
	}
	if len(id.runID) < 8 || strings.Trim(id.runID, "0") == "" {
		return fmt.Errorf("%s %s does not tell its run_id (INFO server says %q), so it cannot be told from another server", s.side, s.addr, id.runID)
	}
	s.id = id
	s.mu.Lock()
	s.runID = id.runID
	s.mu.Unlock()
	return nil
}

// db returns the client of one db.
func (s *session) db(n int) *redis.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[n]
	if c == nil {
		o := *s.opts
		o.DB = n
		c = redis.NewClient(&o)
		s.clients[n] = c
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
	s.mu.Lock()
	clients := s.clients
	s.clients = map[int]*redis.Client{}
	s.mu.Unlock()
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
	err := s.db(s.opts.DB).Do(ctx, "PEXPIRETIME", canaryPrefix+"probe").Err()
	if err != nil && !isServerError(err) {
		return false, s.fail("probe PEXPIRETIME", err)
	}
	yes := err == nil
	s.mu.Lock()
	s.isAbs = &yes
	s.mu.Unlock()
	return yes, nil
}

// identity is what INFO says about who a server is.
type identity struct {
	runID, version, mode, role string
	replID                     string
	masterLinkUp, cluster      bool
	replicaOf                  string // host:port of its master, when it is a replica
	usedDBs                    []int  // dbs that hold keys, ascending
	keys                       map[int]int64
}

type infoer interface {
	Info(ctx context.Context, sections ...string) *redis.StringCmd
}

func readIdentity(ctx context.Context, c infoer) (identity, error) {
	text, err := c.Info(ctx).Result()
	if err != nil {
		return identity{}, err
	}
	return parseIdentity(text), nil
}

func parseIdentity(text string) identity {
	field := map[string]string{}
	id := identity{keys: map[int]int64{}}
	for line := range strings.SplitSeq(text, "\n") {
		name, value, ok := strings.Cut(strings.TrimRight(line, "\r"), ":")
		if !ok {
			continue
		}
		field[name] = value
		var db int
		var keys int64
		if n, _ := fmt.Sscanf(name, "db%d", &db); n == 1 && fmt.Sprint("db", db) == name {
			if n, _ := fmt.Sscanf(value, "keys=%d", &keys); n == 1 && keys > 0 {
				id.usedDBs = append(id.usedDBs, db)
				id.keys[db] = keys
			}
		}
	}
	slices.Sort(id.usedDBs)
	id.runID, id.version, id.role = field["run_id"], field["redis_version"], field["role"]
	id.mode = field["redis_mode"]
	if id.mode == "" {
		id.mode = field["server_mode"]
	}
	id.replID = field["master_replid"]
	id.cluster = id.mode == "cluster" || field["cluster_enabled"] == "1"
	id.masterLinkUp = field["master_link_status"] == "up"
	if host := field["master_host"]; host != "" {
		id.replicaOf = net.JoinHostPort(host, field["master_port"])
	}
	return id
}

// replacedError says that another process answers than the one the job began with.
type replacedError struct{ want, got string }

func (e *replacedError) Error() string {
	return fmt.Sprintf("another server process answers now (run_id %.8s, before it was %.8s): it was restarted, replaced or failed over, and what was proved about it no longer holds", e.got, e.want)
}

// fail wraps an error of a server with what was being done, which side it was, and the way out.
func (s *session) fail(doing string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s %s: %s: %w", s.side, s.addr, doing, context.Canceled)
	}
	if way := wayOut(err); way != "" {
		return fmt.Errorf("%s %s: %s: %w (%s)", s.side, s.addr, doing, err, way)
	}
	return fmt.Errorf("%s %s: %s: %w", s.side, s.addr, doing, err)
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

func (s *session) coverageText() string {
	if len(s.dbs) == 1 {
		return fmt.Sprintf("db %d", s.dbs[0])
	}
	return "dbs " + joinInts(s.dbs)
}

// ownSize is how many keys a db holds, without the service keys that a walk has just counted.
func (s *session) ownSize(ctx context.Context, db, service int) (int64, error) {
	n, err := s.db(db).DBSize(ctx).Result()
	if err != nil {
		return 0, s.fail(fmt.Sprintf("DBSIZE of db %d", db), err)
	}
	return n - int64(service), nil
}
