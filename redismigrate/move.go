package redismigrate

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Move is what Copy and Verify work on: the selected keys of one store, and the store that is to hold them.
type Move struct {
	From, To *Endpoint
	Keys     Selector
	// DBMap says which db of the target takes the keys of which db of the source: {0: 0, 3: 0} collapses dbs 0 and 3 into one, as a
	// cluster needs. A db that it does not name keeps its number. A key that is in two dbs that go to one is refused (ErrRefused).
	DBMap map[int]int
}

// targetDB is the db of the target that takes the keys of a db of the source.
func (m Move) targetDB(source int) int {
	if db, ok := m.DBMap[source]; ok {
		return db
	}
	return source
}

// sourceDBs are those of the source's dbs whose keys go to a db of the target.
func (m Move) sourceDBs(dbs []int, target int) []int {
	var out []int
	for _, db := range dbs {
		if m.targetDB(db) == target {
			out = append(out, db)
		}
	}
	return out
}

// checkDBs refuses endpoints that do not name the same dbs, as the map has them.
func (m Move) checkDBs() error {
	if m.From == nil || m.To == nil {
		return errors.New("the move needs both From and To")
	}
	from, err := m.From.options()
	if err != nil {
		return fmt.Errorf("source: %w", err)
	}
	to, err := m.To.options()
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	for _, a := range slices.Sorted(maps.Keys(m.DBMap)) {
		if b := m.DBMap[a]; a < 0 || b < 0 {
			return fmt.Errorf("DBMap maps db %d to db %d; dbs are numbered from 0", a, b)
		}
		if !m.From.AllDBs && !slices.Contains(m.From.listed(from), a) {
			return fmt.Errorf("DBMap maps db %d, which is not one of the source's: %s", a, m.From.coverage(from))
		}
	}
	if m.From.AllDBs && m.To.AllDBs {
		return nil
	}
	if m.From.AllDBs != m.To.AllDBs {
		return fmt.Errorf("the source names %s but the target %s; name the dbs on both (DBs), or all of both (AllDBs)", m.From.coverage(from), m.To.coverage(to))
	}
	var want []int
	for _, db := range m.From.listed(from) {
		if db = m.targetDB(db); !slices.Contains(want, db) {
			want = append(want, db)
		}
	}
	slices.Sort(want)
	if have := slices.Sorted(slices.Values(m.To.listed(to))); !slices.Equal(want, have) {
		return fmt.Errorf("the source names %s, whose keys go to %s, but the target names %s; keys keep their db number unless DBMap says otherwise, so name the same dbs on both (DBs or AllDBs)",
			m.From.coverage(from), dbsInWords(want), m.To.coverage(to))
	}
	return nil
}
