package consistency

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
)

// admission limits how many looks are taken at the same time: in all, and on each database.
type admission struct {
	slots chan struct{}
	dbs   map[*sql.DB]chan struct{}
	order map[*sql.DB]int // databases are waited for in this order, so that two checks never wait for each other
}

func newAdmission(checks []Check, parallel, perDatabase int) *admission {
	a := &admission{slots: make(chan struct{}, parallel), dbs: map[*sql.DB]chan struct{}{}, order: map[*sql.DB]int{}}
	for _, c := range checks {
		for _, db := range databasesOf(c) {
			if a.dbs[db] == nil {
				a.dbs[db], a.order[db] = make(chan struct{}, perDatabase), len(a.order)
			}
		}
	}
	return a
}

// databasesOf asks a check which databases it looks at; one that cannot tell is limited by Runner.Parallel only.
func databasesOf(c Check) (dbs []*sql.DB) {
	defer func() {
		if recover() != nil {
			dbs = nil
		}
	}()
	switch c := c.(type) {
	case interface{ Databases() []*sql.DB }:
		dbs = c.Databases()
	case SQL:
		dbs = []*sql.DB{c.DB}
	case *SQL:
		dbs = []*sql.DB{c.DB}
	}
	return slices.DeleteFunc(slices.Clone(dbs), func(db *sql.DB) bool { return db == nil })
}

// of returns how the check gets the permission to look. A place on a database is waited for first: while it waits there, others may look elsewhere.
func (a *admission) of(c Check) func(context.Context) (release func(), err error) {
	dbs := databasesOf(c)
	slices.SortFunc(dbs, func(x, y *sql.DB) int { return cmp.Compare(a.order[x], a.order[y]) })
	var wait []chan struct{}
	for _, db := range slices.Compact(dbs) {
		wait = append(wait, a.dbs[db])
	}
	wait = append(wait, a.slots)
	return func(ctx context.Context) (func(), error) {
		taken := 0
		release := func() {
			for _, slot := range wait[:taken] {
				<-slot
			}
		}
		for _, slot := range wait {
			if ctx.Err() != nil {
				release()
				return nil, context.Cause(ctx)
			}
			select {
			case slot <- struct{}{}:
				taken++
			case <-ctx.Done():
				release()
				return nil, context.Cause(ctx)
			}
		}
		return release, nil
	}
}

// Databases returns the databases of the two sources and of those that take the second look, where they are a Table or a Query.
func (r Reconcile) Databases() []*sql.DB {
	var dbs []*sql.DB
	for _, source := range []Source{r.Left, r.Right, r.ConfirmLeft, r.ConfirmRight} {
		switch s := source.(type) {
		case Table:
			dbs = append(dbs, s.DB)
		case Query:
			dbs = append(dbs, s.DB)
		}
	}
	return dbs
}

// Databases returns the databases of all histories.
func (l Ledger) Databases() []*sql.DB {
	dbs := []*sql.DB{l.Requested.DB, l.Published.DB}
	for _, c := range l.Consumers {
		dbs = append(dbs, c.Log.DB)
	}
	return dbs
}
