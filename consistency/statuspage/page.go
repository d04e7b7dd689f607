// Package statuspage shows people the state of all checks as a web page: the worst first, since when, how many rows, their rows and their history.
//
// Page is an http.Handler. It reads a consistency.Store, so that any process that reaches the store can serve it, whether it runs checks or not:
//
//	page := &statuspage.Page{Checks: checks, Store: store}
//	http.Handle("/consistency/", page)
//
// It is plain HTML without any script or external asset, for light and dark, wide and narrow. With Accept: application/json, or ?format=json, it is JSON. The page of one
// check is ?check=<name>. It changes nothing, and asks for no password: put it behind what guards your other internal pages, since rows are shown (masked columns are not).
//
// A page must not be green for want of knowledge: a check that never ran, that could not tell, whose state cannot be read, or that has not run for too long counts as "could
// not tell", and so does a page without checks.
package statuspage

import (
	"context"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/internal/flight"
)

// Defaults of Page.
const (
	// DefaultTitle is the title of the page when Page.Title is empty.
	DefaultTitle = "Data consistency"
	// DefaultTimeout bounds the reading of all states when Page.Timeout is zero.
	DefaultTimeout = 5 * time.Second
	// DefaultStale is the age of the latest run from which on it says nothing about now, when Page.Stale is zero and the check has no Schedule.
	DefaultStale = 48 * time.Hour
	// DefaultMaxRows is the number of rows that the page of a check shows when Page.MaxRows is zero.
	DefaultMaxRows = 200
)

// parallelLoads is how many states are read at the same time.
const parallelLoads = 8

// Page is the status page. It may also be given to the Runner as an observer: then it shows which checks are running, of those in its own process.
// Its methods may be called concurrently as long as its fields are not changed.
type Page struct {
	// Checks are the checks to be shown: those of the Runner. Their Describe is called for each page.
	Checks []consistency.Check
	// Store is where the Runner keeps its states. Required.
	Store consistency.Store
	// Title stands above all. Empty: DefaultTitle.
	Title string
	// Timeout bounds the reading of all states for one page. What was not read by then is shown as not known. Zero: DefaultTimeout.
	Timeout time.Duration
	// Stale is the age from which on the latest run of a check says nothing about now. Zero: the second run that its Meta.Schedule would have had since, or DefaultStale
	// without one. The Schedule given to Runner.Loop is not known here: set Stale to twice its period.
	Stale time.Duration
	// MaxRows is the number of rows on the page of a check; its JSON has all that are kept. Zero: DefaultMaxRows.
	MaxRows int
	// Location is the time zone of what is shown. Nil: UTC.
	Location *time.Location
	// Logger takes the errors of the store, which are not shown. Nil: slog.Default().
	Logger *slog.Logger

	flights flight.Flights
}

var (
	_ http.Handler         = (*Page)(nil)
	_ consistency.Observer = (*Page)(nil)
)

// CheckStarted notes that a run is in flight.
func (p *Page) CheckStarted(m consistency.Meta, at time.Time) { p.flights.Begin(m.Name, at) }

// CheckFinished notes that it ended.
func (p *Page) CheckFinished(e consistency.Event, _ consistency.State) {
	p.flights.End(e.Check.Name, e.Started)
}

// ServeHTTP answers GET and HEAD: the list of all checks, or the one that ?check names.
//
// The answer is 200 whatever the state of the data is; 404 for a check that is not among Checks, 405 for other methods, 503 when no state could be read at all.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	for name, value := range headers {
		header.Set(name, value)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET: this page changes nothing", http.StatusMethodNotAllowed)
		return
	}
	asJSON := wantsJSON(r)
	metas := p.metas()
	name, single := r.URL.Query().Get("check"), r.URL.Query().Has("check")
	if single {
		var one []consistency.Meta
		for _, m := range metas {
			if m.Name == name {
				one = append(one, m)
			}
		}
		if metas = one; len(one) == 0 {
			write(w, asJSON, http.StatusNotFound, "missing", missing{Title: p.title(), Name: name}, map[string]string{"error": "there is no check of this name", "check": name})
			return
		}
	}
	now := time.Now()
	views := p.load(r.Context(), metas, now)
	status := http.StatusOK
	if unreadable(views) {
		status = http.StatusServiceUnavailable
	}
	if single {
		write(w, asJSON, status, "check", p.detail(views[0], now), jsonDetail(views[0], now))
		return
	}
	list := p.list(views, now)
	write(w, asJSON, status, "list", list, jsonList(list, now))
}

func (p *Page) title() string {
	if p.Title == "" {
		return DefaultTitle
	}
	return p.Title
}

// metas asks the checks what they say about themselves.
func (p *Page) metas() []consistency.Meta {
	var metas []consistency.Meta
	for _, c := range p.Checks {
		if c != nil {
			metas = append(metas, c.Describe())
		}
	}
	return metas
}

// load reads the states, several at a time.
func (p *Page) load(ctx context.Context, metas []consistency.Meta, now time.Time) []view {
	timeout := p.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	views := make([]view, len(metas))
	slots := make(chan struct{}, parallelLoads)
	var wg sync.WaitGroup
	for i, m := range metas {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			state, err := p.read(ctx, m.Name)
			if err != nil {
				p.logger().ErrorContext(ctx, "consistency: the status page could not read a state", "check", m.Name, "error", err)
			}
			views[i] = p.view(m, state, err, now)
		})
	}
	wg.Wait()
	return views
}

func (p *Page) read(ctx context.Context, check string) (consistency.State, error) {
	if p.Store == nil {
		return consistency.State{}, errNoStore
	}
	if err := ctx.Err(); err != nil {
		return consistency.State{}, err
	}
	return p.Store.Load(ctx, check)
}

func (p *Page) logger() *slog.Logger {
	if p.Logger == nil {
		return slog.Default()
	}
	return p.Logger
}

// wantsJSON reports whether the client asks for JSON. A browser asks for HTML, whatever else it takes.
func wantsJSON(r *http.Request) bool {
	if r.URL.Query().Get("format") == "json" {
		return true
	}
	json := false
	for accept := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		kind, params, err := mime.ParseMediaType(accept)
		if err != nil || params["q"] == "0" {
			continue
		}
		if kind == "text/html" {
			return false
		}
		json = json || kind == "application/json"
	}
	return json
}
