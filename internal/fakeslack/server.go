// Package fakeslack is an HTTP server that behaves as the part of Slack's Web API does that a notifier needs: messages, threads, editing, history with
// metadata, reactions, files in three steps, scopes, limits of rate and length, and faults on demand. For tests, soaks and examples.
package fakeslack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// Message is a message as the server keeps it.
type Message struct {
	TS        string
	ThreadTS  string // empty: not in a thread
	Text      string
	Metadata  json.RawMessage
	Broadcast bool
	Edited    int
	BotID     string
	Reactions []Reaction
	Files     []*File
	// Split says that the text was so long that Slack's clients show it as several messages.
	Split bool
}

// Reaction is one emoji and who chose it.
type Reaction struct {
	Name  string   `json:"name"`
	Users []string `json:"users"`
	Count int      `json:"count"`
}

// File is a file that was uploaded.
type File struct {
	ID, Name, Title string
	Length          int
	Content         []byte
	Shared          bool
}

// Channel is a channel and its messages, oldest first.
type Channel struct {
	Messages []*Message
	Archived bool
	// Outside says that the app is not in it.
	Outside bool

	tokens float64 // of the limit of messages
	filled time.Time
}

// Fault is what happens instead of a method's answer.
type Fault struct {
	// Status and Header are those of the answer; zero Status: 200. Body is its body.
	Status int
	Header map[string]string
	Body   string
	// Code is Slack's error code, if the answer is {"ok":false}.
	Code string
	// After carries the request out before it answers so.
	After bool
	// Cut breaks the connection instead of an answer, Hang gives none until the client goes away.
	Cut, Hang bool
}

// Request is one request as it arrived, without the token.
type Request struct {
	Method string
	Form   url.Values
}

// BotID is the one of the token's app.
const BotID = "B0TASHIKAME"

// Server is the fake. It is an http.Handler; its API is below /api/.
type Server struct {
	mu       sync.Mutex
	token    string
	scopes   []string
	channels map[string]*Channel
	files    map[string]*File
	faults   map[string][]Fault
	requests []Request
	last     time.Time
	seq      int
	// Burst is the number of messages that a channel takes at once; then it is one a second. Set it before use.
	Burst float64
}

// AllScopes are the scopes that a new Server grants.
var AllScopes = []string{"chat:write", "files:write", "reactions:read", "channels:history"}

// New returns a server with these channels.
func New(token string, channels ...string) *Server {
	s := &Server{token: token, scopes: AllScopes, channels: map[string]*Channel{}, files: map[string]*File{}, faults: map[string][]Fault{}, Burst: 1}
	for _, c := range channels {
		s.channels[c] = &Channel{}
	}
	return s
}

// Do runs f with the server locked, for reading or changing a channel.
func (s *Server) Do(channel string, f func(c *Channel)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.channels[channel])
}

// Revoke takes scopes from the token.
func (s *Server) Revoke(scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scopes = slices.DeleteFunc(slices.Clone(s.scopes), func(have string) bool { return slices.Contains(scopes, have) })
}

// Fail lets the next calls of the method go wrong, one fault each.
func (s *Server) Fail(method string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[method] = append(s.faults[method], faults...)
}

// Mend forgets all faults that have not happened yet, and returns how many those are.
func (s *Server) Mend() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, f := range s.faults {
		n += len(f)
	}
	s.faults = map[string][]Fault{}
	return n
}

// React adds a person's reaction to a message, or takes it away.
func (s *Server) React(channel, ts, name, user string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.channels[channel].find(ts)
	i := slices.IndexFunc(m.Reactions, func(r Reaction) bool { return r.Name == name })
	if i < 0 {
		m.Reactions = append(m.Reactions, Reaction{Name: name})
		i = len(m.Reactions) - 1
	}
	r := &m.Reactions[i]
	r.Users = slices.DeleteFunc(r.Users, func(u string) bool { return u == user })
	if on {
		r.Users = append(r.Users, user)
	}
	if r.Count = len(r.Users); r.Count == 0 {
		m.Reactions = slices.Delete(m.Reactions, i, i+1)
	}
}

// Messages returns copies of a channel's messages, oldest first, those in threads included.
func (s *Server) Messages(channel string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Message
	for _, m := range s.channels[channel].Messages {
		out = append(out, *m)
	}
	return out
}

// Top returns those that begin something, Thread those in the thread of ts.
func (s *Server) Top(channel string) []Message {
	return slices.DeleteFunc(s.Messages(channel), func(m Message) bool { return m.ThreadTS != "" })
}

// Thread returns the replies in the thread of ts.
func (s *Server) Thread(channel, ts string) []Message {
	return slices.DeleteFunc(s.Messages(channel), func(m Message) bool { return m.ThreadTS != ts })
}

// Requests returns all requests since the last call.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.requests
	s.requests = nil
	return out
}

// String is the request as text, its fields sorted.
func (r Request) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.Method)
	var keys []string
	for k := range r.Form {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		text := strings.Join(r.Form[k], "\n")
		if strings.Contains(text, "\n") {
			text = "\n    " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n    ")
		}
		fmt.Fprintf(&b, "  %s: %s\n", k, text)
	}
	return b.String()
}

var mention = regexp.MustCompile(`<(![^>^]+|@[^>]+)>`)

// Mentions returns whom a text notifies: what stands in angle brackets and begins with ! or @.
func Mentions(text string) []string { return mention.FindAllString(text, -1) }

func (c *Channel) find(ts string) *Message {
	if c == nil {
		return nil
	}
	for _, m := range c.Messages {
		if m.TS == ts {
			return m
		}
	}
	return nil
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if id, ok := strings.CutPrefix(r.URL.Path, "/upload/"); ok {
		s.serve(w, r, "upload", func() map[string]any { return s.upload(id, r) })
		return
	}
	method := strings.TrimPrefix(r.URL.Path, "/api/")
	if err := r.ParseForm(); err != nil {
		http.Error(w, "bad form", http.StatusBadRequest)
		return
	}
	token := r.Form.Get("token")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = bearer
	}
	form := url.Values{}
	for k, v := range r.Form {
		if k != "token" {
			form[k] = v
		}
	}
	s.mu.Lock()
	s.requests = append(s.requests, Request{Method: method, Form: form})
	s.mu.Unlock()
	s.serve(w, r, method, func() map[string]any { return s.answer(w, method, token, form, "http://"+r.Host) })
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, method string, answer func() map[string]any) {
	s.mu.Lock()
	var fault *Fault
	if queue := s.faults[method]; len(queue) > 0 {
		fault, s.faults[method] = &queue[0], queue[1:]
	}
	var result map[string]any
	if fault == nil || fault.After {
		result = answer()
	}
	s.mu.Unlock()
	if fault == nil {
		if _, limited := result["retry"]; limited {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			result = fail("ratelimited")
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(w).Encode(result)
		return
	}
	switch {
	case fault.Hang:
		<-r.Context().Done()
		return
	case fault.Cut:
		panic(http.ErrAbortHandler)
	}
	for k, v := range fault.Header {
		w.Header().Set(k, v)
	}
	if fault.Status != 0 {
		w.WriteHeader(fault.Status)
	}
	if fault.Code != "" {
		_ = json.NewEncoder(w).Encode(fail(fault.Code))
		return
	}
	fmt.Fprint(w, fault.Body)
}

func fail(code string) map[string]any { return map[string]any{"ok": false, "error": code} }
