package explainguard

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Fault is something that goes wrong with chosen statements: they are slow, they fail, they break off in their rows, or they
// lose their connection. "The first query passes, the second hangs":
//
//	rec.Inject(t, explainguard.Fault{Contains: "FROM customers", Skip: 1, Delay: explainguard.Hang})
type Fault struct {
	// Which statements: all that are set must agree, and at least one must be set. With On, which chooses all transactions, none.
	Contains string                // the statement's text contains this, letter by letter
	Pattern  *regexp.Regexp        // matches the statement's text
	Match    func(*Statement) bool // called by several goroutines; Err, Sent, Started and Took are not known yet

	On Target // what is struck instead of statements: the begin, commit or rollback of a transaction by database/sql

	Skip  int // how many of them pass first
	Times int // how many are struck after that; 0: all of them

	// What happens. Delay comes first.
	When  When
	Delay time.Duration // no longer than the statement's context; Hang: until the context ends
	Err   error         // what the program is told, such as &mysql.MySQLError{Number: 3024, …}
	Drop  bool          // the connection is closed; Err is mysql.ErrInvalidConn if nothing else is said

	AfterRows int // with InRows: how many rows come first

	Name string // in messages; default: the matcher
}

// Target is what a Fault strikes. The zero value is statements.
type Target int

// What can be struck.
const (
	OnStatement Target = iota
	OnBegin
	// OnCommit BeforeSending rolls the transaction back, as a server does that refuses to commit. AfterExecution it is the
	// worst of faults: the transaction is committed, and the program is told that it is not.
	OnCommit
	OnRollback // what fails is what the program is told: the transaction is rolled back
)

// String returns the operation's name.
func (o Target) String() string {
	switch o {
	case OnStatement:
		return "statement"
	case OnBegin:
		return "BEGIN"
	case OnCommit:
		return "COMMIT"
	case OnRollback:
		return "ROLLBACK"
	}
	return "Target(" + strconv.Itoa(int(o)) + ")"
}

// When says when a Fault strikes.
type When int

// The moments of a statement.
const (
	BeforeSending  When = iota // a statement that fails then never reaches the server
	InRows                     // while the rows of a Query are read; Execs are left alone
	AfterExecution             // the server has executed it, and the program is not told
)

// String returns the moment's name.
func (w When) String() string {
	switch w {
	case BeforeSending:
		return "before sending"
	case InRows:
		return "in rows"
	case AfterExecution:
		return "after execution"
	}
	return "When(" + strconv.Itoa(int(w)) + ")"
}

// Hang as a Fault's Delay lasts until the statement's context ends. Where that takes longer than a minute, or the context cannot end at all, the
// statement fails, and so does the test (see Inject): in production the program would have waited forever.
const Hang = time.Duration(math.MaxInt64)

// hangLimit bounds Hang.
const hangLimit = time.Minute

// Inject arms faults for the rest of the test; on a Recorder whose pool is shared with parallel tests they strike those as well, unless the
// Recorder is a context's (see WithRecorder). The test fails if one of them makes no sense, and at its end if one of them never struck, or
// if a statement that hung would have hung forever.
func (r *Recorder) Inject(tb testing.TB, faults ...Fault) {
	tb.Helper()
	disarm, err := r.Arm(faults...)
	if err != nil {
		tb.Fatalf("%v", err)
		return
	}
	tb.Cleanup(func() {
		tb.Helper()
		if err := disarm(); err != nil {
			tb.Errorf("%v", err)
		}
	})
}

// Arm is Inject for programs that are no tests. Either all faults are armed or, if one makes no sense, none. disarm takes them
// away and returns an error if one of them never struck or a statement would have hung forever; called again it returns the same.
func (r *Recorder) Arm(faults ...Fault) (disarm func() error, err error) {
	armed := make([]*armedFault, len(faults))
	var errs []error
	for i, f := range faults {
		armed[i] = &armedFault{Fault: f}
		if err := f.validate(); err != nil {
			errs = append(errs, fmt.Errorf("explainguard: fault %d (%s): %w", i+1, f.name(), err))
		}
	}
	if r == nil {
		errs = append(errs, errors.New("explainguard: fault: the Recorder is nil"))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	r.change(func(s *recording) { s.faults = append(s.faults, armed...) })
	return sync.OnceValue(func() error {
		r.change(func(s *recording) {
			s.faults = slices.DeleteFunc(s.faults, func(f *armedFault) bool { return slices.Contains(armed, f) })
		})
		var errs []error
		for _, f := range armed {
			errs = append(errs, f.outcome())
		}
		return errors.Join(errs...)
	}), nil
}

func (f Fault) validate() error {
	var errs []error
	matcher := f.Contains != "" || f.Pattern != nil || f.Match != nil
	switch {
	case f.On == OnStatement && !matcher:
		errs = append(errs, errors.New("it says of no statement that it is meant: set Contains, Pattern or Match"))
	case f.On < OnStatement || f.On > OnRollback:
		errs = append(errs, fmt.Errorf("there is nothing to strike called %s: set On to OnBegin, OnCommit or OnRollback, or leave it", f.On))
	case f.On != OnStatement && matcher:
		errs = append(errs, fmt.Errorf("it is on %s, and Contains, Pattern and Match are about statements: choose by Skip and Times", f.On))
	case f.On != OnStatement && f.When == InRows:
		errs = append(errs, fmt.Errorf("a %s has no rows: set When to BeforeSending or AfterExecution", f.On))
	}
	for _, n := range []struct {
		name  string
		value int64
	}{{"Skip", int64(f.Skip)}, {"Times", int64(f.Times)}, {"Delay", int64(f.Delay)}, {"AfterRows", int64(f.AfterRows)}} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("%s is negative (%d)", n.name, n.value))
		}
	}
	if f.When < BeforeSending || f.When > AfterExecution {
		errs = append(errs, fmt.Errorf("there is no moment %s: set When to BeforeSending, InRows or AfterExecution", f.When))
	}
	if f.AfterRows > 0 && f.When != InRows {
		errs = append(errs, fmt.Errorf("AfterRows needs When: InRows, and it is %s", f.When))
	}
	if f.Delay == 0 && f.Err == nil && !f.Drop {
		errs = append(errs, errors.New("nothing happens: set Delay, Err or Drop"))
	}
	return errors.Join(errs...)
}

func (f Fault) name() string {
	switch {
	case f.Name != "":
		return f.Name
	case f.Contains != "":
		return strconv.Quote(f.Contains)
	case f.Pattern != nil:
		return "/" + f.Pattern.String() + "/"
	}
	if f.On != OnStatement {
		return "on " + f.On.String()
	}
	return "Match"
}

// armedFault is a Fault at work.
type armedFault struct {
	Fault
	mu      sync.Mutex
	matched int // statements that are meant
	chosen  int // those that came after Skip and within Times
	struck  int
	endless string // a statement that would have hung forever
}

// chooses reports whether the statement is to be struck, and counts it.
func (f *armedFault) chooses(s *Statement) bool {
	if f.On != OnStatement || f.When == InRows && s.Exec ||
		f.Contains != "" && !strings.Contains(s.Query, f.Contains) ||
		f.Pattern != nil && !f.Pattern.MatchString(s.Query) ||
		f.Match != nil && !f.Match(s) {
		return false
	}
	return f.count()
}

// count counts one more that is meant, and reports whether it is to be struck.
func (f *armedFault) count() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.matched++
	if f.matched <= f.Skip || f.Times > 0 && f.chosen >= f.Times {
		return false
	}
	f.chosen++
	return true
}

// strike does what the fault says and returns what the program is told, nil after a mere delay. A statement whose context ends in
// the delay loses its connection, as it does with go-sql-driver/mysql when the server is slow.
func (f *armedFault) strike(s *Statement, c *conn) error {
	f.mu.Lock()
	f.struck++
	f.mu.Unlock()
	if err := f.wait(s); err != nil {
		c.lose()
		return err
	}
	if f.Drop {
		c.lose()
		if f.Err == nil {
			return mysql.ErrInvalidConn
		}
	}
	return f.Err
}

func (f *armedFault) wait(s *Statement) error {
	ctx := s.ctx
	if f.Delay == 0 {
		return nil
	}
	if f.Delay == Hang && ctx.Done() == nil {
		return f.isEndless(s, "and its context can never end")
	}
	limit := f.Delay
	if f.Delay == Hang {
		limit = hangLimit
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		if f.Delay == Hang {
			return f.isEndless(s, "and its context had not ended after "+hangLimit.String())
		}
		return nil
	}
}

func (f *armedFault) isEndless(s *Statement, why string) error {
	err := fmt.Errorf("explainguard: fault %s: the statement hangs, %s: give it a context with a deadline; %w; the statement: %s",
		f.name(), why, context.DeadlineExceeded, excerpt(s.Query))
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.endless == "" {
		f.endless = err.Error()
	}
	return err
}

// outcome returns an error if the fault was not what the test wanted to see.
func (f *armedFault) outcome() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.endless != "":
		return errors.New(f.endless)
	case f.struck > 0:
		return nil
	case f.matched == 0:
		return fmt.Errorf("explainguard: fault %s never struck: no statement matched; is it run through the wrapped driver, with this Recorder?", f.name())
	case f.chosen == 0:
		return fmt.Errorf("explainguard: fault %s never struck: statements that matched: %d, and the first %d are skipped", f.name(), f.matched, f.Skip)
	case f.When == InRows:
		return fmt.Errorf("explainguard: fault %s never struck: of %d result(s) nobody read beyond row %d", f.name(), f.chosen, f.AfterRows)
	}
	return fmt.Errorf("explainguard: fault %s never struck: statements that matched failed before it could: %d", f.name(), f.chosen)
}

// excerpt is the beginning of a statement.
func excerpt(query string) string {
	const most = 200
	query = strings.Join(strings.Fields(query), " ")
	if runes := []rune(query); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return query
}
