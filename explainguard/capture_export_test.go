package explainguard

import (
	"database/sql"
	"database/sql/driver"
)

// Told makes functions into an observer, for tests outside the package; they may be nil.
type Told struct{ Begin, End func(*Statement) }

func (o *Told) begin(s *Statement) {
	if o.Begin != nil {
		o.Begin(s)
	}
}

func (o *Told) end(s *Statement) {
	if o.End != nil {
		o.End(s)
	}
}

// ToldIdle is Told with idle.
type ToldIdle struct {
	Told
	Wants func(*Statement) bool // nil: always
	Idle  func(*Statement, driver.Conn)
}

func (o *ToldIdle) wantsIdle(s *Statement) bool { return o.Wants == nil || o.Wants(s) }

func (o *ToldIdle) idle(s *Statement, raw driver.Conn) { o.Idle(s, raw) }

// Observe makes rec tell o.
func Observe(rec *Recorder, o interface{ end(*Statement) }) { rec.observe(o.(observer)) }

// Unobserve stops it.
func Unobserve(rec *Recorder, o interface{ end(*Statement) }) { rec.unobserve(o.(observer)) }

// OnConn is onConn.
func OnConn(raw driver.Conn) *sql.DB { return onConn(raw) }
