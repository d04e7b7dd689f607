package statuspage

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tashikame-go/tashikame/consistency"
)

var errNoStore = errors.New("Page.Store is nil")

// view is what is shown of one check. It is made of the state alone, without I/O.
type view struct {
	meta    consistency.Meta
	state   consistency.State
	outcome consistency.Outcome // of the page: Unknown where the state says nothing about now
	reason  string              // why it is Unknown
	failed  bool                // the state could not be read
	muted   int
	running int
	since   time.Time // of the longest run in flight
}

func (p *Page) view(m consistency.Meta, s consistency.State, err error, now time.Time) view {
	v := view{meta: m, state: maskState(s, m.Mask), outcome: s.Outcome, reason: s.Reason}
	v.running, v.since = p.flights.Of(m.Name)
	for _, r := range s.Rows {
		if r.MutedBy != "" {
			v.muted++
		}
	}
	switch {
	case err != nil:
		v = view{meta: m, running: v.running, since: v.since, failed: true, reason: storeFailed(err)}
	case s.LastRun.IsZero():
		v.outcome, v.reason = consistency.Unknown, "it has not run yet"
	case s.Outcome != consistency.Consistent && s.Outcome != consistency.Inconsistent:
		v.outcome = consistency.Unknown
		if v.reason == "" {
			v.reason = "the latest run could not tell"
		}
	case p.stale(m, s.LastRun, now):
		v.reason = fmt.Sprintf("the latest run was %s ago: is the Runner still running? It found: %s", age(now.Sub(s.LastRun)), s.Outcome)
		if s.Outcome == consistency.Consistent { // inconsistent it remains until a run says otherwise
			v.outcome = consistency.Unknown
		}
	}
	return v
}

// counted reports whether any run that is remembered could tell, so that the total means something.
func (v view) counted() bool {
	told := func(o consistency.Outcome) bool { return o == consistency.Consistent || o == consistency.Inconsistent }
	return !v.failed && (told(v.state.Outcome) || len(v.state.Rows) > 0 || slices.ContainsFunc(v.state.History, func(p consistency.Point) bool { return told(p.Outcome) }))
}

// storeFailed says what the error means without showing it: it may name hosts and accounts.
func storeFailed(err error) string {
	if errors.Is(err, consistency.ErrNewerStore) {
		return "the stored state was written by a newer version of the program: update the one that serves this page"
	}
	if errors.Is(err, errNoStore) {
		return "this page has no store to read from: set Page.Store"
	}
	return "the state could not be read from the store; the error is in the log of the program that serves this page"
}

// stale reports whether a run that ended then says nothing about now.
func (p *Page) stale(m consistency.Meta, last, now time.Time) bool {
	if p.Stale > 0 {
		return now.Sub(last) > p.Stale
	}
	if m.Schedule != nil {
		if next := m.Schedule.Next(last); !next.IsZero() {
			next = m.Schedule.Next(next)
			return !next.IsZero() && now.After(next.Add(p.timeLimit(m)))
		}
	}
	return now.Sub(last) > DefaultStale
}

// timeLimit is what a run may take at its end, roughly.
func (p *Page) timeLimit(m consistency.Meta) time.Duration {
	return cmp.Or(m.Timeout, consistency.DefaultTimeout)
}

// maskState hides masked columns once more: the state may have been saved before the column was masked.
func maskState(s consistency.State, mask []string) consistency.State {
	if len(mask) == 0 {
		return s
	}
	s.Rows, s.Gone = maskRows(s.Rows, mask), maskRows(s.Gone, mask)
	return s
}

const masked = "***"

func maskRows(rows []consistency.TrackedRow, mask []string) []consistency.TrackedRow {
	out := slices.Clone(rows)
	for i, r := range out {
		row := slices.Clone(r.Row)
		for j, f := range row {
			hide := slices.ContainsFunc(mask, func(m string) bool { return strings.EqualFold(m, f.Name) })
			if hide && f.Value != masked && f.Value != nil {
				row[j].Value = masked
				out[i].Key = masked // it may be made of the value
			}
		}
		out[i].Row = row
	}
	return out
}

// worstFirst orders the views: inconsistent before unknown before consistent, the louder and then the older first.
func worstFirst(views []view) {
	loud := func(v view) int {
		return slices.Index([]consistency.Outcome{consistency.Inconsistent, consistency.Unknown, consistency.Consistent}, v.outcome)
	}
	severe := func(v view) int {
		return slices.Index([]consistency.Severity{consistency.SeverityCritical, consistency.SeverityNormal, consistency.SeverityMinor}, v.meta.Severity)
	}
	slices.SortStableFunc(views, func(a, b view) int {
		return cmp.Or(cmp.Compare(loud(a), loud(b)), cmp.Compare(severe(a), severe(b)), earlier(a.state.Oldest(), b.state.Oldest()), cmp.Compare(a.meta.Name, b.meta.Name))
	})
}

// earlier orders times, the zero time last.
func earlier(a, b time.Time) int {
	if a.IsZero() || b.IsZero() {
		return cmp.Compare(b.Unix(), a.Unix()) // the zero time is long before all others
	}
	return a.Compare(b)
}

// unreadable reports whether not a single state could be read.
func unreadable(views []view) bool {
	return len(views) > 0 && !slices.ContainsFunc(views, func(v view) bool { return !v.failed })
}

// link returns the address if it is one that a browser may follow, else "".
func link(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return u.String()
}

// age says how long something is, in the two largest units.
func age(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return twoUnits(int(d.Hours()), "h", int(d.Minutes())%60, "m")
	}
	return twoUnits(int(d.Hours())/24, "d", int(d.Hours())%24, "h")
}

func twoUnits(n int, unit string, rest int, small string) string {
	if rest == 0 {
		return fmt.Sprintf("%d%s", n, unit)
	}
	return fmt.Sprintf("%d%s %d%s", n, unit, rest, small)
}
