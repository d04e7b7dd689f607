package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// MeasureOptions tune Measure. The zero value weighs every key.
type MeasureOptions struct {
	// Keys, if not zero, are what the job will be about: they are counted by themselves too (Census.Selected).
	Keys Selector
	// Sample is the fraction of the keys to weigh, 0.01 for one in a hundred; SampleKeys says the same as about how many keys. Set one of them.
	// Without, or with 1, every key is weighed. Names and types are read of all keys in any case, and the first 1,000 keys of each type and the
	// first 20 of each prefix are weighed: what is rare is measured in full.
	Sample     float64
	SampleKeys int64
	// Prefixes are patterns, as in a Selector, by which to group: a key belongs to the first that matches. Empty: the groups are found from the
	// structure of the names, with identifiers as stars ("user:*:cart").
	Prefixes []string
	// MaxPrefixes is how many of the groups found are shown, the largest by keys or bytes. Default 40. The others are summed up.
	MaxPrefixes int
	// Biggest is how many of the largest keys are listed. Default 20, negative none, at most 1,000.
	Biggest int
	// Members is how many members of each collection MEMORY USAGE looks at (its SAMPLES) where they are kept apart; small collections are always
	// weighed whole. Default 5, the server's own: it takes microseconds, but a collection of very unequal members may be off by as much. Negative
	// means all: exact, but the server does nothing else meanwhile, for a collection of a million members about a tenth of a second.
	Members int
	// MaxRate is how many keys per second are looked at, at most. Default: as fast as the server answers two connections.
	MaxRate int
	// ScanCount is the COUNT given to SCAN. Default 5,000; with MaxRate not more than that.
	ScanCount int
	// Batch is how many keys are asked about in one round trip. Default 1,000.
	Batch int
	// Workers is how many round trips are under way at the same time, while another connection scans. Default 2.
	Workers int
	// Progress, if set, is told of each batch of keys. It is never called twice at the same time, and must be quick.
	Progress func(Progress)
}

func (o MeasureOptions) withDefaults() MeasureOptions {
	o.MaxPrefixes = orDefault(o.MaxPrefixes, 40)
	if o.Biggest == 0 {
		o.Biggest = 20
	}
	o.Biggest = min(max(o.Biggest, 0), 1000)
	o.Batch = min(orDefault(o.Batch, 1000), 10_000)
	o.Workers = min(orDefault(o.Workers, 2), poolSize/2)
	if o.ScanCount = orDefault(o.ScanCount, defaultScanCount); o.MaxRate > 0 {
		o.ScanCount, o.Batch = min(o.ScanCount, o.MaxRate), min(o.Batch, o.MaxRate)
	}
	return o
}

// validate says what is wrong with the options.
func (o MeasureOptions) validate() error {
	switch {
	case o.Sample < 0 || o.Sample > 1 || math.IsNaN(o.Sample):
		return fmt.Errorf("the option Sample is %v; it is the fraction of the keys to weigh, between 0 and 1 (SampleKeys takes a number of keys)", o.Sample)
	case o.SampleKeys < 0:
		return fmt.Errorf("SampleKeys is %d; it is the number of keys to weigh", o.SampleKeys)
	case o.Sample > 0 && o.SampleKeys > 0:
		return errors.New("both Sample and SampleKeys are set; set one of them")
	}
	return nil
}

// Measure counts what a store holds: keys, bytes and times to live by db, type and prefix, and the biggest keys. It writes nothing, and its
// reading does not make keys look used. Point it at a replica where there is one, or set Sample or MaxRate: on a master, its questions, three for each
// key, wait in line with those of the clients.
//
// All keys are looked at by SCAN. How exact the figures are, the census says itself: Complete, Approximate, Sampled, Method, and the bounds of
// each figure. With an error it returns what was counted until then, with Complete false.
func Measure(ctx context.Context, e *Endpoint, opt MeasureOptions) (*Census, error) {
	m := &measurer{opt: opt.withDefaults(), dbs: map[int]*dbSums{}, types: map[string]*sums{}, due: map[string]float64{}}
	m.out = Census{At: time.Now(), MemoryLimit: NoBound}
	m.biggest.most = m.opt.Biggest
	err := m.run(ctx, e)
	m.finish(err)
	if err != nil {
		return &m.out, fmt.Errorf("redismigrate: measure: %w", err)
	}
	return &m.out, nil
}

// measurer is one run of Measure.
type measurer struct {
	opt      MeasureOptions
	selected *selection // nil: none is asked for
	s        *session
	byMemory bool
	fraction float64 // of the keys to weigh; 1: all
	askers   chan *asker
	pace     pace

	mu      sync.Mutex // over what follows
	out     Census
	total   sums
	chosen  sums
	dbs     map[int]*dbSums
	types   map[string]*sums
	due     map[string]float64 // by type: how much of the next key to weigh has come together
	early   int                // keys that were weighed because they are among the first of their prefix
	given   *givenPrefixes     // nil: prefixes are found
	found   *prefixTree
	names   grouper // of the db that is being gone over
	biggest biggestKeys
}

// dbSums are the sums of a db and what the server said of it.
type dbSums struct {
	sums
	seen          int64 // keys that SCAN showed
	before, after int64 // DBSIZE without service keys
}

func (m *measurer) run(ctx context.Context, e *Endpoint) error {
	if err := m.opt.validate(); err != nil {
		return err
	}
	var err error
	if k := m.opt.Keys; k.ID != "" || k.Match != nil || len(k.Include)+len(k.Exclude) > 0 {
		if m.selected, err = k.compile(); err != nil {
			return err
		}
	}
	if len(m.opt.Prefixes) > 0 {
		if m.given, err = newGivenPrefixes(m.opt.Prefixes); err != nil {
			return err
		}
	} else {
		m.found = newPrefixTree()
	}
	if m.s, err = openSession(ctx, "source", e, sessionOptions{noTouch: true}); err != nil {
		return err
	}
	defer m.s.close()
	m.out.Addr, m.out.Replica = m.s.addr, m.s.id.role == "slave"
	if m.byMemory, err = m.s.canWeigh(ctx); err != nil {
		return err
	}
	m.setFraction()
	m.pace.rate = m.opt.MaxRate
	m.askers = make(chan *asker, m.opt.Workers)
	for range m.opt.Workers {
		m.askers <- newAsker(ctx, m.opt.Batch, m.opt.Members)
	}
	limit := m.s.memoryLimit(ctx)
	for _, db := range m.s.dbs {
		if err := m.overDB(ctx, db); err != nil {
			return err
		}
	}
	if after := m.s.memoryLimit(ctx); limit != NoBound { // it may have grown or shrunk: the keys were weighed on the way
		limit = max(limit, after)
	}
	m.out.MemoryLimit = Bytes(limit)
	m.out.Biggest = m.biggest.keys
	return m.s.countElements(ctx, m.out.Biggest)
}

// setFraction turns the options into the fraction of keys to weigh.
func (m *measurer) setFraction() {
	m.fraction = 1
	if m.opt.Sample > 0 {
		m.fraction = m.opt.Sample
	}
	var keys int64
	for _, db := range m.s.dbs {
		keys += m.s.id.keys[db]
	}
	if n := m.opt.SampleKeys; n > 0 && n < keys {
		m.fraction = float64(n) / float64(keys)
	}
}

// dbBatch is some keys of a db.
type dbBatch struct {
	db   int
	keys []string
}

func (m *measurer) overDB(ctx context.Context, db int) error {
	d := &dbSums{before: m.s.id.keys[db]}
	m.mu.Lock()
	m.dbs[db] = d
	var tree *prefixTree
	if m.given != nil {
		m.names = m.given
	} else {
		tree = newPrefixTree() // of its own, so that the names of one db do not use up the room of the next
		m.names = tree
	}
	m.mu.Unlock()
	service := 0
	err := fanOut(ctx, m.opt.Workers, func(ctx context.Context, hand func(dbBatch) error) error {
		n, err := newWalker(m.s, m.opt.ScanCount).walk(ctx, db, func(keys []string) error {
			for part := range slices.Chunk(keys, m.opt.Batch) {
				if err := hand(dbBatch{db, slices.Clone(part)}); err != nil {
					return err
				}
			}
			return nil
		})
		service = n
		return err
	}, func(b dbBatch) error {
		if err := m.pace.wait(ctx, len(b.keys)); err != nil {
			return err
		}
		return m.measure(ctx, b)
	})
	if tree != nil {
		m.found.merge(tree)
	}
	if err != nil {
		return err
	}
	d.before -= int64(service)
	m.out.ServiceKeys += int64(service)
	d.after, err = m.s.ownSize(ctx, db, service)
	return err
}

// pace holds work to a rate.
type pace struct {
	rate int // 0: no limit
	mu   sync.Mutex
	next time.Time
}

// wait returns when n more may be done.
func (p *pace) wait(ctx context.Context, n int) error {
	if p.rate <= 0 {
		return nil
	}
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	turn := p.next.Sub(now)
	p.next = p.next.Add(time.Duration(n) * time.Second / time.Duration(p.rate))
	p.mu.Unlock()
	return pause(ctx, turn)
}
