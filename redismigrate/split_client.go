package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// SplitOptions tune a live split. The zero value is sensible.
type SplitOptions struct {
	// States is where the state is read from, the same place for all processes. Nil means a key in the new store, which Begin and Step write.
	States SplitStates
	// Refresh is how often the state is read. Default 1 s.
	Refresh time.Duration
	// MaxAge is how old the state may be that a command goes by. When it cannot be read any more, commands on the split's keys are refused after that time
	// (ErrSplitState). The larger, the longer an outage of the place it is kept in goes unnoticed, and the longer each step takes. Default 5 s.
	MaxAge time.Duration
	// CommandTimeout bounds a command with all its tries and hand-overs. One that takes longer fails, and whether it was carried out is not known then. Default 5 s.
	CommandTimeout time.Duration
	// Logger gets a line for each state that is seen and each hand-over that is refused. Nil means slog.Default().
	Logger *slog.Logger
}

func (o SplitOptions) withDefaults() SplitOptions {
	o.Refresh = orDefault(o.Refresh, time.Second)
	o.MaxAge = orDefault(o.MaxAge, 5*time.Second)
	o.CommandTimeout = orDefault(o.CommandTimeout, 5*time.Second)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// stepMargin is added to what a step waits for, for what is on its way through the network.
const stepMargin = time.Second

// settling is after what time every process has seen a state that was written, and everything that it sent before has come to an end.
func (o SplitOptions) settling() time.Duration { return o.MaxAge + o.CommandTimeout + stepMargin }

func (o SplitOptions) check() error {
	switch {
	case o.Refresh*2 > o.MaxAge:
		return fmt.Errorf("SplitOptions: Refresh is %s and MaxAge is %s; let MaxAge be at least twice Refresh, or a state is too old before it is read again", o.Refresh, o.MaxAge)
	}
	return nil
}

// Split is one process's part of a live split: it takes commands by Client, sends each where its keys are, and moves keys from one store to the other.
type Split struct {
	id     string
	keys   *selection
	opt    SplitOptions
	stores [2]*splitStore
	states SplitStates
	kept   *stateKey // nil: States is the user's
	lease  atomic.Pointer[lease]
	reader sync.Mutex // one reads the state at a time
	seen   seenKeys
	client *redis.Client
	count  splitCounters

	end    context.CancelFunc
	behind sync.WaitGroup // finishes that come after their commands, and the watch over the state
	room   chan struct{}  // for those finishes
}

// splitStore is one of the two stores.
type splitStore struct {
	side    side
	name    string // as the user gave it
	client  redis.UniversalClient
	cluster bool
}

func (s *splitStore) fail(doing string, err error) error {
	return failAt(map[side]string{oldSide: "old store", newSide: "new store"}[s.side], s.name, doing, err)
}

// NewSplit begins this process's part of the live split of the selected keys. It looks at both stores once, reads the state, and refuses what could not be carried through and back:
// stores that are the same, that do not read each other's values, whose clocks differ by more than 5 s, or which evict keys without an expiry. Move.From is the old store and Move.To the new
// one, each with one db; Keys.ID names the split, and is required. Close it when the process ends.
//
// Options of the endpoints are used as they are, retries included (unlike in the other jobs of this package), with what a command needs to end in time: the client that NewSplit makes of
// them is the one that the program had before. From the beginning on the program needs the place of the state as well, by default the new store: where that is away for longer than
// MaxAge, commands on the split's keys are refused.
func NewSplit(ctx context.Context, m Move, opt SplitOptions) (*Split, error) {
	s, err := newSplit(ctx, m, opt)
	if err != nil {
		return nil, fmt.Errorf("redismigrate: split: %w", err)
	}
	return s, nil
}

func newSplit(ctx context.Context, m Move, opt SplitOptions) (_ *Split, err error) {
	opt = opt.withDefaults()
	if err := opt.check(); err != nil {
		return nil, err
	}
	if m.Keys.ID == "" {
		return nil, errors.New("the selector has no ID; name the split, the same in all processes (Keys.ID)")
	}
	keys, err := m.Keys.compile()
	if err != nil {
		return nil, err
	}
	if err := m.oneDB(); err != nil {
		return nil, err
	}
	s := &Split{id: m.Keys.ID, keys: keys, opt: opt, room: make(chan struct{}, finishesBehind)}
	clusters, err := s.inspect(ctx, m)
	if err != nil {
		return nil, err
	}
	for i, e := range []*Endpoint{m.From, m.To} {
		o, err := e.options()
		if err != nil {
			return nil, err
		}
		s.stores[i] = newSplitStore(side(i), o, clusters[i], opt)
	}
	defer func() {
		if err != nil {
			_ = s.closeStores() // the error before says what matters
		}
	}()
	if s.states = opt.States; s.states == nil {
		s.kept = &stateKey{key: stateKeyOf(s.id), store: s.stores[newSide]}
		s.states = s.kept
	}
	s.lease.Store(&lease{})
	s.readState(ctx)
	switch err := s.lease.Load().err; {
	case isNotBegun(err):
		opt.Logger.Warn("redismigrate: the split has not begun: commands on its keys are refused until Split.Begin was called once", "split", s.id)
	case err != nil:
		return nil, err
	}
	s.client = redis.NewClient(&redis.Options{
		Addr: "split-" + s.id, PoolSize: 1, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			return nil, fmt.Errorf("redismigrate: split %s: this client has no connection of its own: publish, subscribe and monitor on a store's own client (Split.Old or Split.New); a copy that was made of it (WithTimeout) routes nothing, so set timeouts in the options of the endpoints", s.id)
		},
	})
	s.client.AddHook(splitHook{s})
	var life context.Context
	life, s.end = context.WithCancel(context.Background())
	s.behind.Go(func() { s.watchState(life) })
	return s, nil
}

// oneDB refuses endpoints that are about several dbs: a client speaks to one.
func (m Move) oneDB() error {
	if m.From == nil || m.To == nil {
		return errors.New("a split needs both From and To")
	}
	for i, e := range []*Endpoint{m.From, m.To} {
		which := [...]string{"From", "To"}[i]
		o, err := e.options()
		if err != nil {
			return fmt.Errorf("%s: %w", which, err)
		}
		if e.AllDBs || len(e.DBs) > 1 || len(e.DBs) == 1 && e.DBs[0] != o.DB {
			return fmt.Errorf("%s is about %s, and a client speaks to one db: give that db in the URL or Options, and make a split for each", which, e.coverage(o))
		}
	}
	if len(m.DBMap) > 0 {
		return errors.New("DBMap has no meaning in a split: the URL or Options of each endpoint name its db")
	}
	return nil
}

// newSplitStore makes the client that the program's commands go through.
func newSplitStore(s side, o *redis.Options, cluster bool, opt SplitOptions) *splitStore {
	o.ContextTimeoutEnabled = true // a command ends when its time is over
	dial := o.Dialer
	if dial == nil {
		dial = redis.NewDialer(o)
	}
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err == nil {
			cutOff(conn, opt.CommandTimeout)
		}
		return conn, err
	}
	st := &splitStore{side: s, name: o.Addr, cluster: cluster}
	if !cluster {
		st.client = redis.NewClient(o)
		return st
	}
	st.client = redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{o.Addr},
		NewClient: func(asked *redis.Options) *redis.Client {
			mine := *o
			mine.Addr, mine.DB = asked.Addr, 0
			return redis.NewClient(&mine)
		},
		Dialer: o.Dialer, Username: o.Username, Password: o.Password, CredentialsProvider: o.CredentialsProvider,
		CredentialsProviderContext: o.CredentialsProviderContext, StreamingCredentialsProvider: o.StreamingCredentialsProvider,
		TLSConfig: o.TLSConfig, Protocol: o.Protocol, ClientName: o.ClientName, DisableIdentity: o.DisableIdentity,
		MaxRedirects: max(8, o.MaxRetries), MaxRetries: o.MaxRetries, MinRetryBackoff: o.MinRetryBackoff, MaxRetryBackoff: o.MaxRetryBackoff,
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, ContextTimeoutEnabled: true,
		PoolSize: o.PoolSize, PoolTimeout: o.PoolTimeout, MinIdleConns: o.MinIdleConns, MaintNotificationsConfig: o.MaintNotificationsConfig,
	})
	return st
}

// Client is a go-redis client for the program: commands on the split's keys go where those are, all others to the old store. What it refuses, and what to do instead, is listed in
// SPLIT.md. It is closed with the split.
func (s *Split) Client() *redis.Client { return s.client }

// Old is a client of the old store itself, for what Client refuses. It looks at no record: do not use it for the split's keys.
func (s *Split) Old() redis.UniversalClient { return s.stores[oldSide].client }

// New is a client of the new store itself; see Old.
func (s *Split) New() redis.UniversalClient { return s.stores[newSide].client }

// State is the state that this process goes by now, SplitUnknown when it is not known well enough.
func (s *Split) State() SplitState {
	l, err := s.current()
	if err != nil {
		return SplitUnknown
	}
	return l.state
}

// Close ends this process's part of the split, and its clients. It waits for the hand-overs under way.
func (s *Split) Close() error {
	s.end()
	s.behind.Wait()
	return errors.Join(s.client.Close(), s.closeStores())
}

func (s *Split) closeStores() error {
	var errs []error
	for _, st := range s.stores {
		if st != nil {
			errs = append(errs, st.client.Close())
		}
	}
	return errors.Join(errs...)
}

// seenKeys remembers, without being asked twice, which keys were found on the store that they are to be on. It forgets, and never claims wrongly but for a hash that
// another key shares, which costs a round trip and nothing else.
type seenKeys struct {
	slots [1 << 14]atomic.Uint64
}

func (k *seenKeys) has(hash uint64) bool { return k.slots[hash%uint64(len(k.slots))].Load() == hash }
func (k *seenKeys) add(hash uint64)      { k.slots[hash%uint64(len(k.slots))].Store(hash) }
