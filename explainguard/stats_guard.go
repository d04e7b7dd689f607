package explainguard

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// errLost says that the statistics did not stand while a plan was made.
var errLost = errors.New("the statistics were lost while the statement was explained")

// planAttempts is how often a statement is explained anew because other tests reset statistics meanwhile.
const planAttempts = 5

// explainWith explains a statement by the guard's statistics: they are applied at first use, must stand before and after the
// server plans, and are applied again when something (TRUNCATE, a migration, ANALYZE TABLE) took them away.
func (g *Guard) explainWith(ctx context.Context, e Explainer, query string, args []any) (*Plan, error) {
	s := g.Stats.forGuard()
	var st *standing
	var err error
	for range planAttempts {
		if st, err = s.standingOn(ctx, e.DB, g.ApplyStats, st); err != nil {
			return nil, fmt.Errorf("explainguard: apply statistics: %w", err)
		}
		e.standing = st
		var p *Plan
		p, err = e.Explain(ctx, query, args...)
		if !errors.Is(err, errLost) {
			return p, err
		}
	}
	return nil, fmt.Errorf("%w, %d times in a row; another process truncates or alters the tables all the time, or applies other statistics: "+
		"give each test process a database of its own", err, planAttempts)
}

// forGuard is what a Guard applies: the biggest group, unless the caller chose otherwise.
func (s *Stats) forGuard() *Stats {
	if s.Mode != ModeDumped {
		return s
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.guarded == nil {
		s.guarded = s.BiggestGroup()
	}
	return s.guarded
}

// place is one database's; its mutex is held while statistics are applied there.
type place struct {
	mu sync.Mutex
	st *standing
}

// keptPlaces bounds what a Stats remembers: a suite may open a pool for every test.
const keptPlaces = 256

func (s *Stats) place(db Conner) *place {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.applied[db]
	if p == nil {
		if len(s.applied) >= keptPlaces {
			clear(s.applied) // those that are still in use are applied once more
		}
		if s.applied == nil {
			s.applied = map[Conner]*place{}
		}
		p = &place{}
		s.applied[db] = p
	}
	return p
}

// standingOn returns what stands on a database; lost is what was found not to stand any more. One goroutine applies, the others wait.
func (s *Stats) standingOn(ctx context.Context, db Conner, opts ApplyOptions, lost *standing) (*standing, error) {
	p := s.place(db)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.st != nil && p.st != lost {
		return p.st, nil
	}
	guard := firstByGuard
	if lost != nil {
		guard = againByGuard
	}
	st, err := s.apply(ctx, db, opts, guard)
	if err != nil {
		return nil, err
	}
	p.st = st
	return st, nil
}

// planByStats prepares a session to plan by statistics instead of by looking into indexes, and to tell what it looked at.
func (s *session) planByStats(ctx context.Context, st *standing) error {
	if st == nil {
		return nil
	}
	tracing := "enabled=on,one_line=on"
	if s.was.mariaDB() {
		tracing = "enabled=on"
	}
	return s.setAll(ctx, variables(
		// A snapshot would hide what others reset meanwhile.
		"transaction_isolation", "READ-COMMITTED", "tx_isolation", "READ-COMMITTED",
		// Else an equality counts the rows that are here.
		"eq_range_index_dive_limit", "1",
		"information_schema_stats_expiry", "0",
		"optimizer_trace", tracing, "optimizer_trace_max_mem_size", "16777216", "optimizer_trace_limit", "1", "optimizer_trace_offset", "-1",
		"optimizer_trace_features", "greedy_search=off,range_optimizer=on,dynamic_range=off,repeated_subselect=off")...)
}

// planFor asks for a plan, and doubts what in it does not come from the statistics.
func (s *session) planFor(ctx context.Context, st *standing, format Format, query string, args []any) (*Plan, error) {
	p, err := s.plan(ctx, format, query, args)
	if err != nil || st == nil {
		return p, err
	}
	p.Query = query
	weighed, whole, err := s.trace(ctx)
	if err != nil {
		return nil, err
	}
	st.doubts(p, weighed, whole)
	return p, nil
}

// keptMarks are what InnoDB's tables say of each table of a database, by its name in lower case.
type keptMarks map[string]mark

type mark struct{ rows, at int64 }

// readMarks reads the marks of all tables: one short range of one index.
func (s *session) readMarks(ctx context.Context, st *standing) (keptMarks, error) {
	if st == nil {
		return nil, nil
	}
	out := keptMarks{}
	err := each(ctx, s.conn, "look whether the statistics stand", func(scan func(...any) error) error {
		var name string
		var m mark
		if err := scan(&name, &m.rows, &m.at); err != nil {
			return err
		}
		out[strings.ToLower(name)] = m
		return nil
	}, "SELECT table_name, n_rows, UNIX_TIMESTAMP(last_update) FROM mysql.innodb_table_stats WHERE database_name = ?", st.schema)
	return out, granting(err, statsGrants...)
}

// stands reports whether the statistics of the plan's tables stood all the time between before and after, and do so in the server's memory.
func (s *session) stands(ctx context.Context, st *standing, p *Plan, before keptMarks) error {
	if st == nil {
		return nil
	}
	var used []*fitted
	for _, n := range p.baseAccesses() {
		if t := st.table(n.Schema, n.Table); t != nil && !slices.Contains(used, t) {
			used = append(used, t)
		}
	}
	if len(used) == 0 {
		return nil
	}
	after, err := s.readMarks(ctx, st)
	if err != nil {
		return err
	}
	var names []any
	for _, t := range used {
		for _, kept := range t.physicalNames() {
			m, ok := after[strings.ToLower(kept)]
			if !ok || m != before[strings.ToLower(kept)] || kindOf(m.at) != st.kind {
				return fmt.Errorf("%w: those of table %s", errLost, kept)
			}
		}
		names = append(names, t.declared.name)
	}
	inMemory := map[string]int64{}
	err = each(ctx, s.conn, "look whether the statistics stand", func(scan func(...any) error) error {
		var name string
		var rows sql.NullInt64
		if err := scan(&name, &rows); err != nil {
			return err
		}
		inMemory[name] = rows.Int64
		return nil
	}, "SELECT TABLE_NAME, TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME IN ("+placeholders(len(names))+")",
		append([]any{st.schema}, names...)...)
	if err != nil {
		return err
	}
	for _, t := range used {
		// Rows that tests insert and delete move the figure a little.
		if have := inMemory[t.declared.name]; float64(have) < 0.9*float64(t.total()) {
			return fmt.Errorf("%w: the server counts %d rows in table %s", errLost, have, t.declared.name)
		}
	}
	return nil
}

func (f *fitted) physicalNames() []string {
	if len(f.declared.partitions) == 0 {
		return []string{f.declared.name}
	}
	var out []string
	for _, p := range f.declared.partitions {
		out = append(out, f.declared.name+p.suffix)
	}
	return out
}

// baseAccesses are the accesses of stored tables in all blocks.
func (p *Plan) baseAccesses() []*Node {
	var out []*Node
	for _, b := range p.Blocks() {
		for _, n := range b.Accesses() {
			if n.Base {
				out = append(out, n)
			}
		}
	}
	return out
}
