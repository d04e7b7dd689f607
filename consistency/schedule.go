package consistency

import (
	"context"
	"database/sql"
	"time"
)

// A Schedule says when to run next. The schedules of cron libraries such as robfig/cron have this method.
type Schedule interface {
	// Next returns the first time after t; the zero time means never.
	Next(t time.Time) time.Time
}

// Every is a Schedule with a fixed period, counted from the Unix epoch in UTC, so that all processes agree on it.
type Every time.Duration

// Next returns the first multiple of the period after t.
func (e Every) Next(t time.Time) time.Time {
	d := time.Duration(e)
	if d <= 0 {
		return time.Time{}
	}
	return t.Truncate(d).Add(d)
}

// An Admitter judges a query before it runs; explainguard's Guard is one. A query that it does not admit is not sent: the check is Unknown.
type Admitter interface {
	Admit(ctx context.Context, db *sql.DB, query string, args ...any) error
}

// An Observer sees what a Runner does, for metrics and pages. Its methods may be called concurrently, and must not block.
type Observer interface {
	// CheckStarted is called when a run of the check begins.
	CheckStarted(check Meta, at time.Time)
	// CheckFinished is called when it ended, with the state as it was saved.
	CheckFinished(e Event, s State)
}
