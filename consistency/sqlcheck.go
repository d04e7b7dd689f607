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
// What each guard stops, measured on MySQL 9.7, MariaDB 10.11 and 11.8:
//
//	                                            refused unsent  by the session    by an account that may only SELECT
//	INSERT, DELETE, CREATE, TRUNCATE, …         yes             yes (error 1792)  yes
//	two statements in one                       yes             yes (error 1064)  no
//	a stored function or view that writes       unseen          yes (error 1792)  yes
//	SELECT … INTO OUTFILE                       yes             no                yes (lacks FILE)
//	SELECT … INTO @v                            yes             no                no
//	SELECT … FOR UPDATE                         yes             yes (error 1792)  MySQL only
//	LOCK IN SHARE MODE                          yes             no                no
//	NEXTVAL, NEXT VALUE FOR, SETVAL (MariaDB)   yes             yes (error 1792)  yes
//	GET_LOCK(…)                                 yes             no                no
//	SET GLOBAL, GET_LOCK in a stored function   unseen          no                yes (lacks EXECUTE)
//
// Therefore give checks an account that may only SELECT. Best is one on a replica or a clone, away from the production load.
//
// The server must be MySQL 5.7.20 or MariaDB 10.5, or newer; any other is refused at run time (Unknown), because these guards are not known to hold there.
// Look at other databases with a CheckFunc.
type SQL struct {
	Meta
	// DB is where the query runs. Required. The check takes one connection of it, and a second one only to stop a statement.
	DB *sql.DB
	// Confirm, if not nil, takes the second and later looks: scan a replica or a frozen clone, and convict on the live database. It is looked at for the
	// suspects only, but with the whole query; Population is asked there too. Nil: DB.
	Confirm *sql.DB
	// Admit, if not nil, is asked about Query and Population before the first look of each run, with DB. What it does not admit is not sent: the check is
	// Unknown. explainguard's Guard is one.
	Admit Admitter
	// Brake, if not nil, is asked before each look, about the database that is looked at.
	Brake *Brake
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
	if s.Brake != nil {
		errs = append(errs, unjoin(s.Brake.Validate())...)
	}
	return errors.Join(errs...)
}

// Run asks Admit, then executes Population and Query in one snapshot.
func (s SQL) Run(ctx context.Context) (Findings, error) {
	if err := s.Validate(); err != nil {
		return Findings{}, Permanent(err)
	}
	if err := s.admit(ctx); err != nil {
		return Findings{}, err
	}
	return s.look(ctx, s.DB, nil)
}

// admit asks the Admitter, with the statements as they will be sent.
func (s SQL) admit(ctx context.Context) error {
	if s.Admit == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	if err := s.Admit.Admit(ctx, s.DB, trimStatement(s.Query), s.Args...); err != nil {
		return notAdmitted("query", err)
	}
	if s.Population == "" {
		return nil
	}
	if err := s.Admit.Admit(ctx, s.DB, trimStatement(s.Population), s.PopulationArgs...); err != nil {
		return notAdmitted("population", err)
	}
	return nil
}

func notAdmitted(what string, err error) error {
	err = fmt.Errorf("%s: it was not sent, because it was not admitted: %w", what, err)
	if number := mysqlErrorNumber(err); number != 0 || isConnectionError(err) {
		return err // the judge could not be asked, perhaps for a moment only
	}
	return Permanent(err)
}

// Recheck executes Query again, on Confirm if there is one, and keeps only the suspects, so that a row past MaxRows cannot push one of them out.
func (s SQL) Recheck(ctx context.Context, suspects []Violation) ([]Violation, error) {
	wanted := make(map[string]bool, len(suspects))
	for _, v := range suspects {
		wanted[v.Key] = true
	}
	db := s.DB
	if s.Confirm != nil {
		db = s.Confirm
	}
	f, err := s.look(ctx, db, wanted)
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
func (s SQL) look(ctx context.Context, db *sql.DB, wanted map[string]bool) (f Findings, err error) {
	if err := s.Validate(); err != nil {
		return Findings{}, Permanent(err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	if err := s.Brake.Ready(ctx, db); err != nil {
		return Findings{}, err
	}
	session, err := openSession(ctx, db)
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
	err = session.stream(ctx, "query", query, s.Args,
		func(columns []column) error { return Permanent(kept.resolve(columns)) },
		func(values []any) error { return Permanent(kept.add(values)) })
	if err != nil {
		return Findings{}, err
	}
	return Findings{Violations: kept.violations, Total: kept.total, Examined: examined}, nil
}
