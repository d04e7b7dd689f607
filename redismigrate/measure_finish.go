package redismigrate

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// finish makes the census of what was counted.
func (m *measurer) finish(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &m.out
	c.Elapsed = time.Since(c.At)
	c.Complete = err == nil
	if m.byMemory {
		c.Method = ByMemory
	} else if m.s != nil {
		c.Method = ByLength
	}
	c.Weighed = m.total.whole.n + m.total.rest.n
	if c.Sampled = m.total.keys() > c.Weighed; c.Sampled {
		c.Confidence = 0.95
	}
	c.Total = m.amount(m.total)
	c.Total.Keys = Estimate{}
	for _, db := range slices.Sorted(maps.Keys(m.dbs)) {
		d := m.dbs[db]
		a := m.amount(d.sums)
		if c.Complete {
			a.Keys.Low, a.Keys.High = min(d.keys(), d.before, d.after), max(d.keys(), d.before, d.after)
			c.Approximate = c.Approximate || a.Keys.Low != a.Keys.High
		}
		c.DBs = append(c.DBs, Group{Name: strconv.Itoa(db), Amount: a, Selected: d.selected})
		c.Total.Keys.Value += a.Keys.Value
		c.Total.Keys.Low += a.Keys.Low
		if c.Complete {
			c.Total.Keys.High += a.Keys.High
		}
	}
	if !c.Complete {
		c.Total.Keys.High = NoBound
	}
	if m.selected != nil {
		a := m.amount(m.chosen)
		c.Selected = &a
	}
	for _, name := range slices.Sorted(maps.Keys(m.types)) {
		if t := m.types[name]; t.keys() > 0 {
			c.Types = append(c.Types, Group{Name: name, Amount: m.amount(*t), Selected: t.selected})
		}
	}
	slices.SortStableFunc(c.Types, heavier)
	c.Prefixes = m.prefixes()
}

// heavier orders groups by their bytes, the most first.
func heavier(a, b Group) int { return cmp.Compare(b.Bytes.Value, a.Bytes.Value) }

// amount is what a group is reported as.
func (m *measurer) amount(s sums) Amount {
	a := Amount{Keys: Estimate{s.keys(), s.keys(), s.keys()}, TTL: s.ttls()}
	a.Bytes = s.bounds(m.total, int64(m.out.MemoryLimit))
	if !m.out.Complete {
		a.Keys.High, a.Bytes.High = NoBound, NoBound
	}
	return a
}

func (m *measurer) prefixes() []Group {
	var groups []prefixGroup
	switch {
	case m.given != nil:
		groups = m.given.groups()
	case m.found != nil:
		groups = shown(m.found.groups(), m.opt.MaxPrefixes)
	}
	out := make([]Group, 0, len(groups))
	rest := -1
	for _, g := range groups {
		if g.glob == "" && g.sums.keys() == 0 {
			continue
		}
		if g.glob == "" {
			rest = len(out)
		}
		out = append(out, Group{
			Name: cmp.Or(g.glob, otherKeys), Amount: m.amount(g.sums), Selected: g.sums.selected,
			Glob: g.glob, Exact: g.exact && m.out.Complete,
		})
	}
	if m.given == nil {
		sorted := out
		if rest >= 0 { // it is the last and stays so
			sorted = out[:rest]
		}
		slices.SortStableFunc(sorted, heavier)
	}
	return out
}

// memoryLimit is the most that all keys of the servers can weigh, or NoBound where INFO does not tell.
func (s *session) memoryLimit(ctx context.Context) int64 {
	var sum int64
	for _, n := range s.nodes {
		text, err := n.db(s.opts.DB).Info(ctx, "memory", "keyspace").Result()
		if err != nil {
			return NoBound
		}
		limit := keyMemory(text)
		if limit == NoBound {
			return NoBound
		}
		sum += limit
	}
	return sum
}

// keyMemory is the most that the keys of one server can weigh, from its INFO memory: what was allocated since it started; and less of it if
// what it counts as overhead is not more than it should be. Tables of keys are overhead, though MEMORY USAGE counts their entries too.
func keyMemory(info string) int64 {
	const (
		entry = 48      // the most that an entry of a table of keys takes
		slack = 1 << 20 // the overhead of a small server is told wrongly by some kilobytes
	)
	field := map[string]int64{}
	for line := range strings.SplitSeq(info, "\n") {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r"), ":")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			field[name] = n
		}
	}
	used, told := field["used_memory"]
	if !told || used <= 0 {
		return NoBound
	}
	limit := used - field["used_memory_startup"]
	if overhead, told := field["used_memory_overhead"]; told {
		var keys int64
		for _, n := range parseIdentity(info).keys {
			keys += n
		}
		limit = min(limit, used-overhead+entry*keys+slack)
	}
	return max(limit, 0)
}
