package statuspage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tashikame-go/tashikame/consistency"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// states is a Store that holds what a test says.
type states map[string]any // a consistency.State or an error

func (s states) Load(_ context.Context, check string) (consistency.State, error) {
	switch v := s[check].(type) {
	case consistency.State:
		return v, nil
	case error:
		return consistency.State{}, v
	}
	return consistency.State{Check: check}, nil
}

func (states) Save(context.Context, string, consistency.State) (int64, error) {
	return 0, errors.New("a status page saves nothing")
}

func check(name string, change ...func(*consistency.Meta)) consistency.Check {
	c := consistency.CheckFunc{Meta: consistency.Meta{Name: name, Owner: "payments"}}
	for _, f := range change {
		f(&c.Meta)
	}
	return c
}

// now is the time of all tests in a bubble.
var now = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func ran(o consistency.Outcome, change ...func(*consistency.State)) consistency.State {
	s := consistency.State{Outcome: o, LastRun: now.Add(-5 * time.Minute), Since: now.Add(-26 * time.Hour)}
	if o == consistency.Consistent {
		s.CleanSince = now.Add(-14 * 24 * time.Hour)
	}
	for _, f := range change {
		f(&s)
	}
	return s
}

func get(p *Page, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for _, h := range header {
		r.Header.Set("Accept", h)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func quiet(p *Page) *Page {
	p.Logger = slog.New(slog.DiscardHandler)
	return p
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

const hostile = `"><script>alert('x')</script>'/日本 &amp; ` + "\u202e\x00" + `javascript:{{.}}`

func busyPage() *Page {
	bad := ran(consistency.Inconsistent, func(s *consistency.State) {
		s.Total, s.AtLeast = 128, true
		s.Incident = &consistency.Incident{ID: "a1", Opened: now.Add(-4 * 24 * time.Hour), AckedBy: "佐藤 <b>", AckedUntil: now.Add(time.Hour), Peak: 131}
		s.Rows = []consistency.TrackedRow{
			{Violation: consistency.Violation{Key: "17", Row: consistency.Row{{Name: "id", Value: int64(17)}, {Name: "email", Value: "leak@example.com"}, {Name: "note", Value: nil}, {Name: "big", Value: int64(9007199254740993)}}},
				Phase: consistency.RowContinuing, FirstSeen: now.Add(-4 * 24 * time.Hour), Appearances: 1, MutedBy: "鈴木"},
			{Violation: consistency.Violation{Key: hostile, Row: consistency.Row{{Name: "id", Value: hostile}, {Name: "<i>", Value: []byte{0xde, 0xad}}}},
				Phase: consistency.RowReappeared, FirstSeen: now.Add(-time.Hour), Appearances: 2},
		}
		s.Gone = []consistency.TrackedRow{{Violation: consistency.Violation{Key: "3"}, Phase: consistency.RowResolved, ResolvedAt: now.Add(-time.Hour), FirstSeen: now.Add(-2 * time.Hour), Appearances: 1}}
		s.History = []consistency.Point{
			{At: now.Add(-3 * time.Hour), Outcome: consistency.Consistent},
			{At: now.Add(-2 * time.Hour), Outcome: consistency.Unknown},
			{At: now.Add(-time.Hour), Outcome: consistency.Inconsistent, Total: 64, New: 64, Duration: 20 * time.Second},
			{At: now.Add(-5 * time.Minute), Outcome: consistency.Inconsistent, Total: 128, AtLeast: true, New: 64, Reappeared: 1, Duration: 20 * time.Second},
		}
		s.Deliveries = map[string]consistency.Delivery{"slack": {Receipt: "secret-receipt", Reminded: now.Add(-time.Hour), Pending: &consistency.Change{}}}
		s.Notes = []string{"delivery to billing took p50 1s, p99 4s, at most 5s (40 events)"}
	})
	page := quiet(&Page{
		Checks: []consistency.Check{
			check("clean"),
			check("注文/支払い", func(m *consistency.Meta) {
				m.Severity, m.Runbook, m.Mask = consistency.SeverityCritical, "https://wiki.example.com/a?b=1&c='2'", []string{"Email"}
			}),
			check(hostile, func(m *consistency.Meta) { m.Owner, m.Runbook = hostile, "javascript:alert(1)" }),
			check("broken-store"),
			check("never-ran"),
			check("stale"),
		},
		Store: states{
			"clean":        ran(consistency.Consistent),
			"注文/支払い":       bad,
			hostile:        ran(consistency.Unknown, func(s *consistency.State) { s.Reason, s.Total = hostile, 12; s.History = bad.History }),
			"broken-store": errors.New("dial tcp db.internal: password=hunter2"),
			"stale":        ran(consistency.Consistent, func(s *consistency.State) { s.LastRun = now.Add(-72 * time.Hour) }),
		},
	})
	return page
}

func TestPagesAreAsTheGoldensShow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := busyPage()
		p.CheckStarted(p.Checks[0].Describe(), now.Add(-12*time.Minute))
		golden(t, "list.html", get(p, "/").Body.Bytes())
		golden(t, "list.json", get(p, "/", "application/json").Body.Bytes())
		golden(t, "check.html", get(p, "/?check=%E6%B3%A8%E6%96%87%2F%E6%94%AF%E6%89%95%E3%81%84").Body.Bytes())
		golden(t, "check.json", get(p, "/?format=json&check=%E6%B3%A8%E6%96%87%2F%E6%94%AF%E6%89%95%E3%81%84").Body.Bytes())
		p.CheckFinished(consistency.Event{Result: consistency.Result{Check: p.Checks[0].Describe(), Started: now.Add(-12 * time.Minute)}}, consistency.State{})
		require.NotContains(t, get(p, "/").Body.String(), "running since")
	})
}

// decoded is the list as a program reads it.
type decoded struct {
	Outcome string
	Counts  map[string]int
	Checks  []struct {
		Check, Outcome, Reason string
		Total                  *int64
		LastKnown              *int64 `json:"last_known_total"`
	}
}

func list(t *testing.T, p *Page) (d decoded, status int) {
	w := get(p, "/", "application/json")
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &d), w.Body.String())
	return d, w.Code
}

func TestNothingIsGreenForWantOfKnowledge(t *testing.T) {
	daily := func(m *consistency.Meta) { m.Schedule = consistency.Every(24 * time.Hour) }
	hourly := func(m *consistency.Meta) { m.Schedule = consistency.Every(time.Hour) }
	ago := func(d time.Duration) consistency.State {
		return ran(consistency.Consistent, func(s *consistency.State) { s.LastRun = now.Add(-d) })
	}
	for name, c := range map[string]struct {
		page    *Page
		outcome string
		says    string
	}{
		"no checks":          {&Page{Store: states{}}, "unknown", "No check is configured"},
		"no store":           {&Page{Checks: []consistency.Check{check("x")}}, "unknown", "set Page.Store"},
		"store fails":        {&Page{Checks: []consistency.Check{check("x")}, Store: states{"x": errors.New("down")}}, "unknown", "could not be read from the store"},
		"newer store":        {&Page{Checks: []consistency.Check{check("x")}, Store: states{"x": consistency.ErrNewerStore}}, "unknown", "newer version"},
		"never ran":          {&Page{Checks: []consistency.Check{check("x")}, Store: states{}}, "unknown", "has not run yet"},
		"could not tell":     {&Page{Checks: []consistency.Check{check("x")}, Store: states{"x": ran(consistency.Unknown)}}, "unknown", "could not tell"},
		"unheard of outcome": {&Page{Checks: []consistency.Check{check("x")}, Store: states{"x": ran(7)}}, "unknown", "could not tell"},
		"one of two":         {&Page{Checks: []consistency.Check{check("x"), check("y")}, Store: states{"x": ran(consistency.Consistent)}}, "unknown", "1 could not tell, 1 consistent"},
		"bad beside unknown": {&Page{Checks: []consistency.Check{check("x"), check("y")}, Store: states{"x": ran(consistency.Inconsistent)}}, "inconsistent", "1 inconsistent, 1 could not tell"},
		"old":                {&Page{Checks: []consistency.Check{check("x")}, Store: states{"x": ago(49 * time.Hour)}}, "unknown", "is the Runner still running"},
		"old as declared":    {&Page{Stale: time.Hour, Checks: []consistency.Check{check("x")}, Store: states{"x": ago(2 * time.Hour)}}, "unknown", "is the Runner still running"},
		"not too old":        {&Page{Checks: []consistency.Check{check("x")}, Store: states{"x": ago(47 * time.Hour)}}, "consistent", "1 consistent"},
		"two hours missed":   {&Page{Checks: []consistency.Check{check("x", hourly)}, Store: states{"x": ago(2*time.Hour + 5*time.Minute)}}, "unknown", "is the Runner still running"},
		"late, not missed":   {&Page{Checks: []consistency.Check{check("x", daily)}, Store: states{"x": ago(24 * time.Hour)}}, "consistent", "1 consistent"},
		"old and bad":        {&Page{Checks: []consistency.Check{check("x")}, Store: states{"x": ran(consistency.Inconsistent, func(s *consistency.State) { s.LastRun = now.Add(-99 * time.Hour) })}}, "inconsistent", "is the Runner still running"},
		"all is well":        {&Page{Checks: []consistency.Check{check("x")}, Store: states{"x": ran(consistency.Consistent)}}, "consistent", "1 consistent (1 check)"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, _ := list(t, quiet(c.page))
				require.Equal(t, c.outcome, d.Outcome)
				html := get(c.page, "/").Body.String()
				require.Contains(t, html, c.says)
				banner := map[string]string{"unknown": "banner unknown", "inconsistent": "banner bad", "consistent": "banner good"}[c.outcome]
				require.Contains(t, html, banner)
				require.Equal(t, c.outcome == "consistent", strings.Contains(html, "banner good"))
				for _, k := range d.Checks {
					require.Equal(t, k.Outcome == "unknown", k.Total == nil, "an unknown check has no count that a program could take for 0")
				}
			})
		})
	}
}

func TestStatusAndMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := busyPage()
		require.Equal(t, http.StatusOK, get(p, "/").Code)
		w := get(p, "/?check=nobody%3Cb%3E")
		require.Equal(t, http.StatusNotFound, w.Code)
		require.Contains(t, w.Body.String(), "nobody&lt;b&gt;")
		require.Equal(t, http.StatusNotFound, get(p, "/?check=").Code)
		require.JSONEq(t, `{"error": "there is no check of this name", "check": "x"}`, get(p, "/?check=x", "application/json").Body.String())
		require.Equal(t, http.StatusServiceUnavailable, get(quiet(&Page{Checks: []consistency.Check{check("x")}}), "/").Code)
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
			w := httptest.NewRecorder()
			p.ServeHTTP(w, httptest.NewRequest(method, "/", nil))
			require.Equal(t, http.StatusMethodNotAllowed, w.Code)
			require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
		}
	})
}

func TestAccept(t *testing.T) {
	p := quiet(&Page{Store: states{}})
	for accept, want := range map[string]string{
		"application/json": "application/json; charset=utf-8",
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": "text/html; charset=utf-8",
		"text/html, application/json":                                     "text/html; charset=utf-8",
		"text/plain, application/json; q=0.5":                             "application/json; charset=utf-8",
		"application/json;q=0":                                            "text/html; charset=utf-8",
		"*/*":                                                             "text/html; charset=utf-8",
		"":                                                                "text/html; charset=utf-8",
	} {
		require.Equal(t, want, get(p, "/", accept).Header().Get("Content-Type"), accept)
	}
}

func TestNothingOfARowIsMarkup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := busyPage()
		for _, c := range p.Checks {
			for _, target := range []string{"/", "/?check=" + queryEscape(c.Describe().Name)} {
				w := get(p, target)
				body := w.Body.String()
				require.NotContains(t, body, "<script")
				require.NotContains(t, body, "\u202e", "text that turns around shows its turning point")
				require.NotContains(t, body, "<i>")
				require.NotContains(t, body, "<b>")
				require.NotRegexp(t, `(?i)href="\s*javascript`, body)
				require.NotContains(t, body, "hunter2")
				require.NotContains(t, body, "secret-receipt")
				require.NotContains(t, body, "leak@example.com")
				require.NotContains(t, get(p, target, "application/json").Body.String(), "leak@example.com")
				// No attribute of a tag is left open by a value.
				require.NotRegexp(t, `<[a-z]+[^>]*\son[a-z]+=`, body)
			}
		}
	})
}

func TestTheStyleIsTheOneThatThePolicyAllows(t *testing.T) {
	w := get(quiet(&Page{Store: states{}}), "/")
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(w.Body.String())
	require.NotNil(t, style)
	sum := sha256.Sum256([]byte(style[1]))
	policy := w.Header().Get("Content-Security-Policy")
	require.Contains(t, policy, "style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	require.Contains(t, policy, "default-src 'none'")
	require.NotContains(t, w.Body.String(), "style=")
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
}

func TestRunbooksAreLinksOnlyIfTheyAreWebAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"https://wiki.example.com/x": "https://wiki.example.com/x", "http://wiki/x?a=b": "http://wiki/x?a=b", "HTTPS://Wiki/": "https://Wiki/",
		"javascript:alert(1)": "", "data:text/html,x": "", "ask the payments team": "", "//wiki/x": "", "https:wiki": "", "\thttps://x": "", "": "", "ftp://x/y": "",
	} {
		require.Equal(t, want, link(address), address)
	}
}

func TestManyAndBigRowsStayReadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		huge := strings.Repeat("あ", 1<<20)
		s := ran(consistency.Inconsistent, func(s *consistency.State) { s.Total = 1000 })
		for i := range 1000 {
			s.Rows = append(s.Rows, consistency.TrackedRow{Violation: consistency.Violation{Key: fmt.Sprint(i), Row: consistency.Row{{Name: "v", Value: "x"}}}, Phase: consistency.RowNew, FirstSeen: now})
		}
		s.Rows[1].Row[0].Value = huge
		p := quiet(&Page{Checks: []consistency.Check{check("x")}, Store: states{"x": s}})
		body := get(p, "/?check=x").Body.String()
		require.Less(t, len(body), 200<<10)
		require.Contains(t, body, "200 of 1000 rows are shown")
		require.Contains(t, body, "… (3145728 bytes)")
		require.Contains(t, body, "1 of 1000 rows", "the JSON in the page holds whole rows only")
		require.Contains(t, get(p, "/?check=x&format=json").Body.String(), huge)
	})
}

func TestASlowStoreEndsWithTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var checks []consistency.Check
		for i := range 50 {
			checks = append(checks, check(fmt.Sprint(i)))
		}
		p := quiet(&Page{Checks: checks, Store: hanging{}})
		start := time.Now()
		d, status := list(t, p)
		require.Equal(t, DefaultTimeout, time.Since(start))
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Equal(t, 50, d.Counts["unknown"])
	})
}

type hanging struct{ states }

func (hanging) Load(ctx context.Context, _ string) (consistency.State, error) {
	<-ctx.Done()
	return consistency.State{}, ctx.Err()
}

func TestTheStoresErrorIsLoggedAndNotShown(t *testing.T) {
	var log bytes.Buffer
	p := &Page{Checks: []consistency.Check{check("x")}, Store: states{"x": errors.New("dial tcp db.internal: refused")}, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	require.NotContains(t, get(p, "/").Body.String(), "db.internal")
	require.Contains(t, log.String(), "db.internal")
	require.Contains(t, log.String(), "check=x")
}

func TestConcurrentUse(t *testing.T) {
	p := quiet(&Page{Checks: []consistency.Check{check("x")}, Store: states{"x": ran(consistency.Consistent)}})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				m := p.Checks[0].Describe()
				p.CheckStarted(m, now)
				get(p, "/")
				get(p, "/?check=x")
				p.CheckFinished(consistency.Event{Result: consistency.Result{Check: m, Started: now}}, consistency.State{})
			}
		})
	}
	wg.Wait()
	n, _ := p.flights.Of("x")
	require.Zero(t, n)
}
