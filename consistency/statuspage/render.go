package statuspage

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tashikame-go/tashikame/consistency"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"css":     func() template.CSS { return template.CSS(pageCSS) }, //nolint:gosec // our own file
	"visible": visible,
}).Parse(pageHTML))

// visible shows what would otherwise be unseen or turn the text around, such as U+202E, which makes "exe.png" of "gnp.exe".
func visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r == '\n' || r == '\t' || !unicode.IsControl(r) && !unicode.Is(unicode.Bidi_Control, r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "⟨%U⟩", r)
		}
	}
	return b.String()
}

// headers are on every answer. The style is allowed by its hash, and nothing else is: whatever a row holds, a browser runs and loads nothing.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'none'; style-src 'sha256-" + styleHash() + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"X-Content-Type-Options":  "nosniff",
	"Referrer-Policy":         "no-referrer",
	"Cache-Control":           "no-store",
	"Vary":                    "Accept",
}

func styleHash() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// write sends the page, or the same as JSON. It is made whole before the first byte is sent, so that a failure cannot end in half a page that looks healthy.
func write(w http.ResponseWriter, asJSON bool, status int, name string, page, values any) {
	var out bytes.Buffer
	var err error
	if asJSON {
		encoder := json.NewEncoder(&out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(values)
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	} else {
		err = templates.ExecuteTemplate(&out, name, page)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
	}
	if err != nil {
		http.Error(w, "could not tell: the status page could not be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}

// missing is the page for a check that there is none of.
type missing struct{ Title, Name string }

// moment is a time as it is shown.
type moment struct{ Machine, Text, Ago string }

// listPage is the page of all checks.
type listPage struct {
	Title    string
	Now      *moment
	Verdict  string // of all together
	Class    string
	Headline string
	Items    []item
	views    []view
	counts   map[consistency.Outcome]int
	outcome  consistency.Outcome
}

// item is one check on either page.
type item struct {
	Name, Owner, Severity, Runbook, RunbookLink, Link string
	Class, Outcome, Count, LastKnown, Reason, Acked   string
	Muted                                             int
	Oldest, Since, Clean, LastRun, InFlight, Opened   *moment
	Running                                           int
	Chart                                             *chart
	Peak                                              int64
	Notes                                             []string
}

func (p *Page) list(views []view, now time.Time) listPage {
	worstFirst(views)
	l := listPage{Title: p.title(), Now: p.moment(now, now), views: views, counts: map[consistency.Outcome]int{}}
	for _, v := range views {
		l.counts[v.outcome]++
		l.Items = append(l.Items, p.item(v, now, 40))
	}
	switch {
	case l.counts[consistency.Inconsistent] > 0:
		l.outcome = consistency.Inconsistent
	case len(views) > 0 && l.counts[consistency.Consistent] == len(views):
		l.outcome = consistency.Consistent
	}
	l.Class, l.Verdict = classes[l.outcome], words[l.outcome]
	if len(views) == 0 {
		l.Headline = "No check is configured: nothing is being looked at."
	} else {
		var parts []string
		for _, o := range []consistency.Outcome{consistency.Inconsistent, consistency.Unknown, consistency.Consistent} {
			if n := l.counts[o]; n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, strings.ToLower(words[o])))
			}
		}
		l.Headline = fmt.Sprintf("%s (%s)", strings.Join(parts, ", "), checksOf(len(views)))
	}
	return l
}

func checksOf(n int) string {
	if n == 1 {
		return "1 check"
	}
	return fmt.Sprintf("%d checks", n)
}

var (
	classes = map[consistency.Outcome]string{consistency.Unknown: "unknown", consistency.Consistent: "good", consistency.Inconsistent: "bad"}
	words   = map[consistency.Outcome]string{consistency.Unknown: "Could not tell", consistency.Consistent: "Consistent", consistency.Inconsistent: "Inconsistent"}
)

func (p *Page) item(v view, now time.Time, runs int) item {
	s := v.state
	i := item{
		Name: v.meta.Name, Owner: v.meta.Owner, Runbook: v.meta.Runbook, RunbookLink: link(v.meta.Runbook), Link: "?check=" + url.QueryEscape(v.meta.Name),
		Class: classes[v.outcome], Outcome: words[v.outcome], Count: "?", Reason: v.reason, Muted: v.muted, Running: v.running, Notes: s.Notes,
		Oldest: p.moment(s.Oldest(), now), Since: p.moment(s.Since, now), LastRun: p.moment(s.LastRun, now), InFlight: p.moment(v.since, now),
		Chart: newChart(s.History, runs, p.short),
	}
	if v.meta.Severity != consistency.SeverityNormal {
		i.Severity = v.meta.Severity.String()
	}
	total := strconv.FormatInt(s.Total, 10)
	if s.AtLeast {
		total += "+"
	}
	switch {
	case v.outcome != consistency.Unknown:
		i.Count = total
	case v.counted():
		i.LastKnown = total
	}
	if v.outcome == consistency.Consistent {
		i.Clean = p.moment(s.CleanSince, now)
	}
	if n := s.Incident; n != nil {
		i.Opened, i.Peak = p.moment(n.Opened, now), n.Peak
		if n.AckedBy != "" && (n.AckedUntil.IsZero() || now.Before(n.AckedUntil)) {
			i.Acked = n.AckedBy
			if !n.AckedUntil.IsZero() {
				i.Acked += " until " + p.short(n.AckedUntil)
			}
		}
	}
	return i
}

// detailPage is the page of one check.
type detailPage struct {
	Title    string
	Now      *moment
	Item     item
	Rows     table
	Resolved table
	JSON     string
	History  []historyLine
	Told     []toldLine
}

type historyLine struct {
	At                              *moment
	Class, Outcome, Count, Duration string
	New, Resolved, Reappeared       int
	Healed                          int64
}

type toldLine struct {
	Notifier string
	Reminded *moment
	Pending  bool
}

func (p *Page) detail(v view, now time.Time) detailPage {
	d := detailPage{Title: p.title(), Now: p.moment(now, now), Item: p.item(v, now, 200)}
	limit := p.MaxRows
	if limit == 0 {
		limit = DefaultMaxRows
	}
	d.Rows = p.table(v.state.Rows, limit, now)
	d.Resolved = p.table(v.state.Gone, limit, now)
	if len(v.state.Rows) > 0 {
		d.JSON = rowsJSON(v.state.Rows, limit)
	}
	for _, h := range slices.Backward(v.state.History) {
		d.History = append(d.History, historyLine{p.moment(h.At, now), classes[h.Outcome], words[h.Outcome], counted(h), h.Duration.Round(time.Millisecond).String(), h.New, h.Resolved, h.Reappeared, h.Healed})
	}
	for name, t := range v.state.Deliveries {
		d.Told = append(d.Told, toldLine{name, p.moment(t.Reminded, now), t.Pending != nil})
	}
	slices.SortFunc(d.Told, func(a, b toldLine) int { return strings.Compare(a.Notifier, b.Notifier) })
	return d
}

func (p *Page) zone(t time.Time) time.Time {
	if p.Location == nil {
		return t.UTC()
	}
	return t.In(p.Location)
}

func (p *Page) short(t time.Time) string { return p.zone(t).Format("2006-01-02 15:04 MST") }

// moment returns how a time is shown; nil for the zero time.
func (p *Page) moment(t, now time.Time) *moment {
	if t.IsZero() {
		return nil
	}
	return &moment{Machine: t.UTC().Format(time.RFC3339), Text: p.short(t), Ago: age(now.Sub(t))}
}
