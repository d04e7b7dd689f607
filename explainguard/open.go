package explainguard

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Open opens a pool for a test, through go-sql-driver/mysql, and guards everything that is sent on it: each statement is explained when it is
// first seen with its arguments, and judged when the test ends. Changing the line that opens the pool guards an existing test:
//
//	db := guard.Open(t, dsn)
//
// A statement of which the verdict is not Pass fails the test, once, with the line of code that sent it; so does a query that is run in a
// loop (Budget.Repeated). Statements that have no plan (SET, DDL, CALL) are counted; one that itself fails is judged only if its plan is bad.
//
// EXPLAIN runs on connections of its own: over Guard.DB if that is set, which must select the same database, else over the
// same DSN. The pool is closed when the test ends. A guard or a DSN that cannot work fails the test at once.
func (g *Guard) Open(tb testing.TB, dsn string) *sql.DB {
	tb.Helper()
	config, err := mysql.ParseDSN(dsn)
	if err != nil { // the driver's message may quote a part of the password
		tb.Fatalf("explainguard: open: the DSN cannot be read; it must have the form user:password@tcp(host:port)/database?parameter=value")
		return nil
	}
	program, err := mysql.NewConnector(config)
	if err != nil {
		tb.Fatalf("explainguard: open: %v", err)
		return nil
	}
	explain, batch := explainConnector(config)
	return g.open(tb, program, explain, batch)
}

// explainConnector makes a connector that sends several statements in one round trip, where the DSN's character set allows it.
func explainConnector(config *mysql.Config) (c driver.Connector, batch bool) {
	own := config.Clone()
	own.InterpolateParams, own.MultiStatements = true, true
	if c, err := mysql.NewConnector(own); err == nil {
		return c, true
	}
	own.InterpolateParams, own.MultiStatements = false, false
	plain, _ := mysql.NewConnector(own) // the program's was made from the same
	return plain, false
}

// OpenConnector is Open for a connector of any driver for MySQL. It must be the bare one, not one that was wrapped with Wrap.
func (g *Guard) OpenConnector(tb testing.TB, c driver.Connector) *sql.DB {
	tb.Helper()
	if c == nil {
		tb.Fatalf("explainguard: open: the connector is nil")
		return nil
	}
	return g.open(tb, c, c, false)
}

func (g *Guard) open(tb testing.TB, program, explain driver.Connector, batch bool) *sql.DB {
	tb.Helper()
	if err := g.validateCapture(); err != nil {
		tb.Fatalf("%v", err)
		return nil
	}
	on, own := g.DB, g.DB == nil
	if own {
		on = sql.OpenDB(explain)
		on.SetMaxIdleConns(plannerSessions)
	} else {
		batch = false // whether its driver takes several statements is not known
	}
	rec := &Recorder{}
	db := sql.OpenDB(Wrap(program, rec))
	if err := reachable(on, db, own); err != nil {
		_ = db.Close()
		if own {
			_ = on.Close()
		}
		tb.Fatalf("explainguard: open: %v", err)
		return nil
	}
	w := g.newWorkload(on, batch, rec)
	rec.observe(w)
	tb.Cleanup(func() {
		tb.Helper()
		w.finish(g, tb)
		rec.unobserve(w)
		if err := db.Close(); err != nil {
			tb.Logf("explainguard: close the pool: %v", err)
		}
		if own {
			_ = on.Close()
		}
	})
	return db
}

// WithTest returns a context whose statements are tb's, for tests that share a pool: one of sql.Open(DriverName, dsn), or of a
// connector wrapped with Wrap. They are judged when tb ends, as those of Open are. Statements on such a pool that run with another
// context belong to no test and are not judged. Guard.DB is required.
func (g *Guard) WithTest(ctx context.Context, tb testing.TB) context.Context {
	tb.Helper()
	err := g.validateCapture()
	if err == nil && g.DB == nil {
		err = errors.New("explainguard: guard: no database: set Guard.DB")
	}
	if err == nil {
		err = reachable(g.DB, nil, true)
	}
	if err != nil {
		tb.Fatalf("%v", err)
		return ctx
	}
	rec := &Recorder{}
	w := g.newWorkload(g.DB, false, rec)
	rec.observe(w)
	tb.Cleanup(func() {
		tb.Helper()
		w.finish(g, tb)
		rec.unobserve(w)
	})
	return WithRecorder(ctx, rec)
}

func (g *Guard) newWorkload(on *sql.DB, batch bool, rec *Recorder) *workload {
	w := &workload{
		by: g.judging(), limit: orDefaultInt(g.MaxArguments, DefaultArguments), same: g.SameConnection, format: g.Format,
		planner: newPlanner(on, g.Format, batch), sites: &callSites{skip: g.SkipFrames}, rec: rec,
		entries: map[entryKey]*entry{}, hints: map[string]*planHints{}, jobs: map[*Statement][]*job{}, inTx: map[uint64]bool{}, other: map[string]int{},
	}
	if g.Stats != nil {
		w.byStats = func(ctx context.Context, query string, args []any) (*Plan, error) {
			return g.explain(ctx, on, query, args)
		}
	}
	return w
}

func orDefaultInt(v, standard int) int { return int(orDefault(float64(v), float64(standard))) }

func (g *Guard) validateCapture() error {
	if err := g.validateJudging(); err != nil {
		return err
	}
	err := validateSkip(g.SkipFrames)
	switch {
	case err != nil:
	case g.Stats != nil && g.SameConnection:
		err = errors.New("Stats and SameConnection contradict each other: by statistics, statements are explained on connections of the guard's own")
	case g.Analyze > 0:
		err = errors.New("captured statements run once, by the program, so that Analyze is for Check and Assert only; leave it 0")
	case g.MaxArguments < 0:
		err = fmt.Errorf("MaxArguments is %d; leave it 0 for %d, or set a positive number", g.MaxArguments, DefaultArguments)
	case g.Budget.TestRows > 0 && g.Budget.RowsExamined > g.Budget.TestRows && !unlimited(g.Budget.RowsExamined):
		err = fmt.Errorf("the budget contradicts itself: one statement may examine %s rows (RowsExamined), all of a test only %s (TestRows)",
			rows(g.Budget.RowsExamined), rows(g.Budget.TestRows))
	}
	if err != nil {
		return fmt.Errorf("explainguard: guard: %w", err)
	}
	return nil
}

const openTimeout = 10 * time.Second

// reachable asks both pools for their database, which must be one; program may be nil.
func reachable(explain, program *sql.DB, sameDSN bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	if sameDSN {
		return explainedOrNil(ctx, explain.PingContext(ctx))
	}
	var selected [2]sql.NullString
	for i, db := range []*sql.DB{explain, program} {
		if err := db.QueryRowContext(ctx, "SELECT DATABASE()").Scan(&selected[i]); err != nil {
			return explained(ctx, "ask the server for its database", err)
		}
	}
	if selected[0] != selected[1] {
		return fmt.Errorf("the guard would explain in database %q what runs in %q; let Guard.DB select the same one, or leave it nil",
			selected[0].String, selected[1].String)
	}
	return nil
}

func explainedOrNil(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return explained(ctx, "connect to the server", err)
}
