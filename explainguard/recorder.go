package explainguard

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Recorder is told of every statement that is run through a wrapped driver (see Wrap) and lets some of them go wrong
// (see Fault). The zero Recorder is ready for use, by several goroutines at once.
type Recorder struct {
	mu    sync.Mutex // held to change state
	state atomic.Pointer[recording]
}

// recording is what a recorder does now; it is replaced as a whole, so that statements read it without a lock.
type recording struct {
	observers []observer
	idlers    []idleObserver // those of the observers who ask for it
	faults    []*armedFault
}

var notRecording recording

func (r *Recorder) now() *recording {
	if r == nil {
		return &notRecording
	}
	if s := r.state.Load(); s != nil {
		return s
	}
	return &notRecording
}

func (s *recording) empty() bool { return len(s.observers) == 0 && len(s.faults) == 0 }

func (r *Recorder) change(f func(*recording)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.now()
	next := &recording{slices.Clone(old.observers), slices.Clone(old.idlers), slices.Clone(old.faults)}
	f(next)
	r.state.Store(next)
}

// observer is told of statements. Both methods are called on the goroutine of the program, which waits for them, while it holds
// its connection: they may use other connections, unless the program has none to spare, but not this one. Statements of
// several goroutines come at the same time. Between begin and end a statement is written to: what is needed
// later, or elsewhere, is copied out of it; after end it stays as it is.
type observer interface {
	// begin comes before the statement is sent; Err, Sent, Started and Took are not set yet.
	begin(s *Statement)
	// end comes once after each begin: when the result, or the rows object, is about to be returned.
	end(s *Statement)
}

// idleObserver is also told when the connection of a statement that was sent is free for other statements again: at
// once after an Exec, after a Query when its rows are closed. The program waits; statements may be sent on the connection until
// idle returns (see onConn), and must leave its session, its transaction and its locks as they were. idle does not come if the connection
// was lost. To know when rows are closed they are wrapped, which an idleObserver that is also a choosyObserver avoids.
type idleObserver interface {
	observer
	idle(s *Statement, raw driver.Conn)
}

// choosyObserver is asked, after end, whether it wants idle for this statement.
type choosyObserver interface {
	wantsIdle(s *Statement) bool
}

// observe adds an observer for the statements that begin from now on.
func (r *Recorder) observe(o observer) {
	r.change(func(s *recording) {
		s.observers = append(s.observers, o)
		if i, ok := o.(idleObserver); ok {
			s.idlers = append(s.idlers, i)
		}
	})
}

// unobserve takes an observer away again. Of statements that have begun it may still hear the end.
func (r *Recorder) unobserve(o observer) {
	r.change(func(s *recording) {
		s.observers = slices.DeleteFunc(s.observers, func(x observer) bool { return x == o })
		s.idlers = slices.DeleteFunc(s.idlers, func(x idleObserver) bool { return observer(x) == o })
	})
}

type recorderKey struct{}

// WithRecorder returns a context whose statements are rec's: a wrapped driver tells rec of every statement that is run with it,
// or with a context made from it, besides the Recorder that was given to Wrap. So tests that run in parallel on one
// pool each see their own statements. Statements that are run without a context, and the driver's own, carry none.
func WithRecorder(ctx context.Context, rec *Recorder) context.Context {
	return context.WithValue(ctx, recorderKey{}, rec)
}

func recorderOf(ctx context.Context) *Recorder {
	rec, _ := ctx.Value(recorderKey{}).(*Recorder)
	return rec
}

// maxCallers is how many program counters of a statement's callers are kept. Under GORM the program was found up to 19 calls away
// from the driver.
const maxCallers = 64

// Statement is one execution of a statement on a wrapped driver.
type Statement struct {
	Query string // as it was sent
	// Args are the arguments as the driver got them, after conversion, copied: int64, float64, bool, []byte, string, time.Time, nil,
	// and what else the driver accepts (go-sql-driver/mysql: uint64, json.RawMessage). Named ones are sql.NamedArg.
	Args     []any
	Exec     bool   // run by Exec, whose result has no rows; false: by Query
	Prepared bool   // run through a statement that the program prepared itself
	InTx     bool   // in a transaction begun by database/sql; one begun by a statement's text is not noticed
	Conn     uint64 // which connection, counted from 1 in this process

	Started time.Time     // when it was sent
	Took    time.Duration // until the result, or the rows object, was there; reading the rows is not in it
	// Sent tells that the driver accepted it. It is false if the connection was found to be dead (driver.ErrBadConn; database/sql
	// tries again, which is a Statement of its own), if a Fault came instead, or if database/sql gave up before.
	Sent bool
	Err  error // what the program was told; nil for rows that fail later

	ctx     context.Context
	callers [maxCallers]uintptr
	depth   int
	owners  [2]*recording
	faults  []*armedFault // that have chosen it
}

// Context returns the context that the statement was run with.
func (s *Statement) Context() context.Context { return s.ctx }

// Callers returns the program counters of the calls that led to the statement, innermost first, for
// runtime.CallersFrames. The first ones are database/sql's; at most 64 are kept.
func (s *Statement) Callers() []uintptr { return s.callers[:s.depth] }

// recordings returns what the connection's recorder and the context's do now.
func (c *conn) recordings(ctx context.Context) (pool, own *recording) {
	if c.borrowed {
		return &notRecording, &notRecording
	}
	by := recorderOf(ctx)
	if by == c.rec {
		by = nil
	}
	return c.rec.now(), by.now()
}

// newStatement tells the observers that a statement is about to be sent, and returns nil if nobody wants to know. skip counts the frames
// between the caller of newStatement and database/sql.
func (c *conn) newStatement(ctx context.Context, skip int, query string, args []driver.NamedValue, exec, prepared bool) *Statement {
	pool, own := c.recordings(ctx)
	if pool.empty() && own.empty() {
		return nil
	}
	s := &Statement{
		Query: query, Args: copyArgs(args), Exec: exec, Prepared: prepared, InTx: c.inTx, Conn: c.id,
		ctx: ctx, owners: [2]*recording{pool, own},
	}
	s.depth = runtime.Callers(skip+2, s.callers[:])
	for _, r := range s.owners {
		for _, o := range r.observers {
			o.begin(s)
		}
		for _, f := range r.faults {
			if f.chooses(s) {
				s.faults = append(s.faults, f)
			}
		}
	}
	s.Started = time.Now()
	return s
}

// end tells the observers that a statement is done, and returns its error.
func (s *Statement) end(err error, sent bool) error {
	s.Took, s.Err, s.Sent = time.Since(s.Started), err, sent
	for _, r := range s.owners {
		for _, o := range r.observers {
			o.end(s)
		}
	}
	return err
}

// wantingIdle returns who asks to be told when the connection is free.
func (s *Statement) wantingIdle() (who []idleObserver) {
	for _, r := range s.owners {
		for _, o := range r.idlers {
			if c, ok := o.(choosyObserver); !ok || c.wantsIdle(s) {
				who = append(who, o)
			}
		}
	}
	return who
}

// idle tells them.
func (s *Statement) idle(c *conn, who []idleObserver) {
	for _, o := range who {
		if c.lost {
			return
		}
		o.idle(s, c.raw)
	}
}

// copyArgs copies arguments; programs use byte slices again.
func copyArgs(args []driver.NamedValue) []any {
	if len(args) == 0 {
		return nil
	}
	into := make([]any, len(args))
	for i, a := range args {
		v := a.Value
		switch b := v.(type) {
		case []byte:
			v = bytes.Clone(b)
		case json.RawMessage:
			v = json.RawMessage(bytes.Clone(b))
		}
		if a.Name != "" {
			v = sql.Named(a.Name, v)
		}
		into[i] = v
	}
	return into
}
