package redismigrate

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

const (
	rareType   = 1000   // so many keys of a type are weighed before the sample begins
	rarePrefix = 20     // and so many of a prefix,
	maxEarly   = 20_000 // but not more than that for the sake of prefixes
)

// measure looks at a batch of keys. Where all are weighed by MEMORY USAGE, that takes one round trip; else the types come first.
func (m *measurer) measure(ctx context.Context, b dbBatch) error {
	a := <-m.askers
	defer func() { m.askers <- a }()
	if m.fraction == 1 && m.byMemory {
		if err := a.ask(ctx, m.s, b.db, b.keys, true, true, true); err != nil {
			return err
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		for i, key := range b.keys {
			kind, ttl := a.kinds[i].Val(), a.ttls[i].Val()
			if kind == "none" || ttl == -2 || a.sizes[i].Err() != nil { // nil: it is gone
				m.out.Gone++
				continue
			}
			m.note(b.db, key, kind, true, 1)
			m.weigh(b.db, key, kind, true, a.sizes[i].Val(), ttl)
		}
		m.report(b)
		return nil
	}
	if err := a.ask(ctx, m.s, b.db, b.keys, true, false, false); err != nil {
		return err
	}
	picked := m.pick(a, b)
	if err := m.weighPicked(ctx, a, b.db, picked); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.report(b)
	return nil
}

// picked are keys of a batch that are to be weighed.
type picked struct {
	keys, kinds []string
	whole       []bool
}

// pick counts all keys of a batch and says which are to be weighed.
func (m *measurer) pick(a *asker, b dbBatch) picked {
	m.mu.Lock()
	defer m.mu.Unlock()
	var p picked
	for i, key := range b.keys {
		kind := a.kinds[i].Val()
		if kind == "none" {
			m.out.Gone++
			continue
		}
		whole, now := m.dueNow(key, kind)
		m.note(b.db, key, kind, whole, 1)
		if now {
			p.keys, p.kinds, p.whole = append(p.keys, key), append(p.kinds, kind), append(p.whole, whole)
		}
	}
	return p
}

// dueNow says of the next key of a type whether it belongs to the part that is weighed whole, and whether it is weighed. That must not depend
// on anything that goes with its size but its type and name.
func (m *measurer) dueNow(key, kind string) (whole, now bool) {
	if _, known := contents[kind]; !known && !m.byMemory {
		return false, false // it cannot be weighed
	}
	if m.fraction == 1 {
		return true, true
	}
	if t := m.types[kind]; t == nil || t.keys() < rareType {
		return true, true
	}
	if m.early < maxEarly && m.names.place(key).keys() < rarePrefix {
		m.early++
		return true, true
	}
	m.due[kind] += m.fraction
	if m.due[kind] < 1 {
		return false, false
	}
	m.due[kind]--
	return false, true
}

// weighPicked asks for the weights of keys that were counted before.
func (m *measurer) weighPicked(ctx context.Context, a *asker, db int, p picked) error {
	if len(p.keys) == 0 {
		return nil
	}
	if err := a.ask(ctx, m.s, db, p.keys, false, true, m.byMemory); err != nil {
		return err
	}
	var lengths []length
	if !m.byMemory {
		var err error
		if lengths, err = m.s.lengths(ctx, db, p.keys, p.kinds); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, key := range p.keys {
		var bytes int64
		gone := a.ttls[i].Val() == -2
		if m.byMemory {
			bytes = a.sizes[i].Val()
			gone = gone || errors.Is(a.sizes[i].Err(), redis.Nil)
		} else {
			bytes = lengths[i].bytes
			gone = gone || bytes < 0 || lengths[i].elements == 0 && p.kinds[i] != "string" && p.kinds[i] != "stream"
		}
		if gone {
			m.note(db, key, p.kinds[i], p.whole[i], -1)
			m.out.Gone++
			continue
		}
		m.weigh(db, key, p.kinds[i], p.whole[i], bytes, a.ttls[i].Val())
	}
	return nil
}

// each calls fn for each of the sums that a key belongs to.
func (m *measurer) each(db int, key, kind string, fn func(*sums)) {
	t := m.types[kind]
	if t == nil {
		t = &sums{}
		m.types[strings.Clone(kind)] = t
	}
	fn(&m.total)
	fn(&m.dbs[db].sums)
	fn(t)
	fn(m.names.place(key))
}

// note counts a key, or takes it back.
func (m *measurer) note(db int, key, kind string, whole bool, sign int64) {
	is := m.selected.has(key)
	add := func(s *sums) {
		s.part(whole).keys += sign
		if is {
			s.selected += sign
		}
	}
	m.each(db, key, kind, add)
	if is {
		add(&m.chosen)
	}
}

// weigh adds the weight of a key that was noted before.
func (m *measurer) weigh(db int, key, kind string, whole bool, bytes, ttl int64) {
	class := ttlClass(ttl)
	add := func(s *sums) { s.part(whole).weigh(bytes, class) }
	m.each(db, key, kind, add)
	if m.selected.has(key) {
		add(&m.chosen)
	}
	m.biggest.offer(db, key, kind, bytes)
}

func (m *measurer) report(b dbBatch) {
	d := m.dbs[b.db]
	d.seen += int64(len(b.keys))
	if m.opt.Progress != nil {
		m.opt.Progress(Progress{Job: "measure", DB: b.db, Pass: 1, Scanned: d.seen, Total: d.before, Done: d.whole.n + d.rest.n})
	}
}
