package consistency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// DefaultMaxRows is the number of rows that a SQL check keeps when SQL.MaxRows is zero.
const DefaultMaxRows = 1000

// SQL is a Check whose query returns the inconsistent rows: none when all is well.
//
// It cannot write. The query must be exactly one statement that begins with SELECT, WITH, TABLE or VALUES and holds nothing
// that writes, locks rows, or sets variables; else it is refused before anything is sent. It then runs on a connection of its own whose session and
// transaction are read-only, in one consistent snapshot, with a time limit on the server, waiting at most 3 s for somebody else's locks. When the context
// ends the statement is stopped on the server too (KILL). Afterwards the connection's settings are put back; where that fails it is closed.
//
// No guard of a session stops a stored function from running SET GLOBAL or taking a lock (GET_LOCK); measured on MySQL 9.7.
// Therefore give checks an account that may only SELECT. Best is one on a replica or a clone, away from the production load.
//
// The server must be MySQL 5.7.20 or newer; any other is refused at run time (Unknown), because these guards are not known to hold there.
// Look at other databases with a CheckFunc.
type SQL struct {
	Meta
	// DB is where the query runs. Required. The check takes one connection of it, and a second one only to stop a statement.
	DB *sql.DB
	// Query returns one row for each inconsistency. Required. A ? takes the values of Args. ORDER BY the key where more rows than MaxRows are to be
	// expected, so that each run keeps the same ones.
	Query string
	// Args are the values for Query.
	Args []any
	// Key names the columns of the result that identify a row, for example the primary key. Required; never NULL, never twice the same.
	Key []string
	// Population counts the rows that Query looks at, for example SELECT COUNT(*) FROM orders. It guards against the check that is green because
	// it looks at nothing: with 0 the outcome is Unknown, never Consistent. Empty: unknown.
	Population string
	// PopulationArgs are the values for Population.
	PopulationArgs []any
	// MaxRows is the number of rows that are kept; what goes beyond is only counted. Zero: DefaultMaxRows. Rows are kept up to about 8 MiB
	// together, whatever MaxRows says.
	MaxRows int
}

// Validate says all that is wrong with the declaration, without connecting. The Runner calls it at its start.
func (s SQL) Validate() error {
	var errs []error
	if s.DB == nil {
		errs = append(errs, errors.New("SQL.DB is nil: set it to the database to look at"))
	}
	if strings.TrimSpace(s.Query) == "" {
		errs = append(errs, errors.New("SQL.Query is empty: write the SELECT that returns the inconsistent rows"))
	} else if err := vetAnyMode(s.Query); err != nil {
		errs = append(errs, fmt.Errorf("SQL.Query: %w", err))
	}
	if s.Population != "" {
		if err := vetAnyMode(s.Population); err != nil {
			errs = append(errs, fmt.Errorf("SQL.Population: %w", err))
		}
	} else if len(s.PopulationArgs) > 0 {
		errs = append(errs, errors.New("SQL.PopulationArgs is set but SQL.Population is empty"))
	}
	if len(s.Key) == 0 {
		errs = append(errs, errors.New("SQL.Key is empty: name the columns that identify a row"))
	}
	for i, k := range s.Key {
		if strings.TrimSpace(k) == "" {
			errs = append(errs, fmt.Errorf("SQL.Key[%d] is empty", i))
		}
		for _, other := range s.Key[:i] {
			if strings.EqualFold(k, other) {
				errs = append(errs, fmt.Errorf("SQL.Key names %q twice", k))
			}
		}
	}
	if s.MaxRows < 0 {
		errs = append(errs, fmt.Errorf("SQL.MaxRows is %d: it must not be negative (0 means %d)", s.MaxRows, DefaultMaxRows))
	}
	return errors.Join(errs...)
}

// Run executes Population and Query in one snapshot.
func (s SQL) Run(ctx context.Context) (Findings, error) {
	return s.look(ctx, nil)
}

// Recheck executes Query again and keeps only the suspects, so that a row past MaxRows cannot push one of them out.
func (s SQL) Recheck(ctx context.Context, suspects []Violation) ([]Violation, error) {
	wanted := make(map[string]bool, len(suspects))
	for _, v := range suspects {
		wanted[v.Key] = true
	}
	f, err := s.look(ctx, wanted)
	if err != nil {
		return nil, err
	}
	if f.Examined == 0 && len(f.Violations) == 0 {
		return nil, errNothingExamined
	}
	if f.Total > int64(len(f.Violations)) {
		return nil, fmt.Errorf("only %d of the %d suspects that are still wrong could be kept: their rows are too big; select fewer or shorter columns", len(f.Violations), f.Total)
	}
	return f.Violations, nil
}

// look runs the check once. wanted limits the result to these keys; nil: all.
func (s SQL) look(ctx context.Context, wanted map[string]bool) (f Findings, err error) {
	if err := s.Validate(); err != nil {
		return Findings{}, Permanent(err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	session, err := openSession(ctx, s.DB)
	if err != nil {
		return Findings{}, err
	}
	defer func() {
		if cerr := session.close(ctx); cerr != nil {
			err = errors.Join(err, cerr)
		}
		err = maskError(err, s.Mask)
	}()
	query, err := session.vet(s.Query)
	if err != nil {
		return Findings{}, err
	}
	population, err := "", error(nil)
	if s.Population != "" {
		if population, err = session.vet(s.Population); err != nil {
			return Findings{}, fmt.Errorf("SQL.Population: %w", err)
		}
	}
	if err := session.begin(ctx); err != nil {
		return Findings{}, err
	}
	examined := int64(-1)
	if population != "" {
		read := func(rows *sql.Rows) (err error) {
			examined, err = readCount(rows)
			return err
		}
		if err := session.query(ctx, "population", population, s.PopulationArgs, read); err != nil {
			return Findings{}, err
		}
	}
	kept := newCollector(s, wanted)
	if err := session.query(ctx, "query", query, s.Args, kept.read); err != nil {
		return Findings{}, err
	}
	return Findings{Violations: kept.violations, Total: kept.total, Examined: examined}, nil
}
