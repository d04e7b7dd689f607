package fakeslack

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// scopes are what each method needs.
var scopes = map[string]string{
	"chat.postMessage": "chat:write", "chat.update": "chat:write", "conversations.history": "channels:history", "conversations.replies": "channels:history",
	"reactions.get": "reactions:read", "files.getUploadURLExternal": "files:write", "files.completeUploadExternal": "files:write",
}

// answer carries a method out. The server is locked.
func (s *Server) answer(w http.ResponseWriter, method, token string, form url.Values, base string) map[string]any {
	w.Header().Set("X-OAuth-Scopes", strings.Join(s.scopes, ","))
	if token != s.token {
		return fail("invalid_auth")
	}
	if need := scopes[method]; need != "" && !slices.Contains(s.scopes, need) {
		f := fail("missing_scope")
		f["needed"], f["provided"] = need, strings.Join(s.scopes, ",")
		return f
	}
	switch method {
	case "auth.test":
		return map[string]any{"ok": true, "user_id": "U0TASHIKAME", "bot_id": BotID, "team_id": "T1"}
	case "files.getUploadURLExternal":
		return s.uploadPlace(form, base)
	}
	id := form.Get("channel") + form.Get("channel_id")
	c := s.channels[id]
	if c == nil {
		return fail("channel_not_found")
	}
	if c.Outside {
		return fail("not_in_channel")
	}
	switch method {
	case "chat.postMessage":
		return s.post(c, id, form)
	case "chat.update":
		return s.update(c, id, form)
	case "conversations.history":
		return s.list(c, form, func(m *Message) bool { return m.ThreadTS == "" || m.Broadcast }, true)
	case "conversations.replies":
		if c.find(form.Get("ts")) == nil {
			return fail("thread_not_found")
		}
		return s.list(c, form, func(m *Message) bool { return m.TS == form.Get("ts") || m.ThreadTS == form.Get("ts") }, false)
	case "reactions.get":
		m := c.find(form.Get("timestamp"))
		if m == nil {
			return fail("message_not_found")
		}
		message := shown(m, false)
		if len(m.Reactions) > 0 {
			message["reactions"] = m.Reactions
		}
		return map[string]any{"ok": true, "type": "message", "channel": id, "message": message}
	case "files.completeUploadExternal":
		return s.complete(c, form)
	}
	return fail("unknown_method")
}

// admit is the limit of messages of a channel: one a second, after a burst.
func (s *Server) admit(c *Channel) bool {
	now := time.Now()
	if c.filled.IsZero() {
		c.tokens = s.Burst
	} else {
		c.tokens = min(s.Burst, c.tokens+now.Sub(c.filled).Seconds())
	}
	c.filled = now
	if c.tokens < 0.999 {
		return false
	}
	c.tokens--
	return true
}

func (s *Server) ts() string {
	now := time.Now().Truncate(time.Microsecond)
	if !now.After(s.last) {
		now = s.last.Add(time.Microsecond)
	}
	s.last = now
	return fmt.Sprintf("%d.%06d", now.Unix(), now.Nanosecond()/1000)
}

func checkText(form url.Values) string {
	text := form.Get("text")
	switch {
	case text == "" && form.Get("blocks") == "":
		return "no_text"
	case len(form.Get("blocks")) > 13000:
		return "msg_blocks_too_long"
	case len(form.Get("metadata")) > 8000:
		return "metadata_too_large"
	}
	if m := form.Get("metadata"); m != "" && !json.Valid([]byte(m)) {
		return "invalid_metadata_format"
	}
	return ""
}

func (s *Server) post(c *Channel, id string, form url.Values) map[string]any {
	if c.Archived {
		return fail("is_archived")
	}
	if !s.admit(c) {
		return map[string]any{"retry": true}
	}
	if code := checkText(form); code != "" {
		return fail(code)
	}
	text := form.Get("text")
	if utf8.RuneCountInString(text) > 40000 {
		text = string([]rune(text)[:40000])
	}
	m := &Message{TS: s.ts(), Text: text, Metadata: json.RawMessage(form.Get("metadata")), BotID: BotID, Split: utf8.RuneCountInString(text) > 4000}
	if parent := form.Get("thread_ts"); c.find(parent) != nil { // else Slack posts it outside of any thread
		m.ThreadTS = parent
		m.Broadcast = form.Get("reply_broadcast") == "true"
	}
	c.Messages = append(c.Messages, m)
	return map[string]any{"ok": true, "channel": id, "ts": m.TS, "message": shown(m, true)}
}

func (s *Server) update(c *Channel, id string, form url.Values) map[string]any {
	m := c.find(form.Get("ts"))
	switch {
	case m == nil:
		return fail("message_not_found")
	case m.BotID != BotID:
		return fail("cant_update_message")
	case c.Archived:
		return fail("is_archived")
	case utf8.RuneCountInString(form.Get("text")) > 4000:
		return fail("msg_too_long")
	}
	if code := checkText(form); code != "" {
		return fail(code)
	}
	m.Text = form.Get("text")
	m.Edited++
	if form.Has("metadata") {
		m.Metadata = json.RawMessage(form.Get("metadata"))
	}
	return map[string]any{"ok": true, "channel": id, "ts": m.TS, "text": m.Text, "message": shown(m, true)}
}

func shown(m *Message, metadata bool) map[string]any {
	out := map[string]any{"type": "message", "ts": m.TS, "text": m.Text, "bot_id": m.BotID}
	if m.ThreadTS != "" {
		out["thread_ts"] = m.ThreadTS
	}
	if metadata && len(m.Metadata) > 0 {
		out["metadata"] = m.Metadata
	}
	return out
}

// list pages through messages: the history has the newest first, a thread the oldest.
func (s *Server) list(c *Channel, form url.Values, in func(*Message) bool, newestFirst bool) map[string]any {
	var all []map[string]any
	for _, m := range c.Messages {
		if in(m) && (form.Get("oldest") == "" || earlier(form.Get("oldest"), m.TS)) {
			all = append(all, shown(m, form.Get("include_all_metadata") == "1"))
		}
	}
	if newestFirst {
		slices.Reverse(all)
	}
	limit, _ := strconv.Atoi(form.Get("limit"))
	if limit == 0 {
		limit = 100
	}
	start, _ := strconv.Atoi(strings.TrimPrefix(form.Get("cursor"), "c"))
	end := min(len(all), start+limit)
	result := map[string]any{"ok": true, "messages": all[min(start, len(all)):end], "has_more": end < len(all)}
	if end < len(all) {
		result["response_metadata"] = map[string]any{"next_cursor": fmt.Sprintf("c%d", end)}
	}
	return result
}

func earlier(a, b string) bool {
	x, _ := strconv.ParseFloat(a, 64)
	y, _ := strconv.ParseFloat(b, 64)
	return x < y
}

func (s *Server) uploadPlace(form url.Values, base string) map[string]any {
	length, err := strconv.Atoi(form.Get("length"))
	if err != nil || length <= 0 || form.Get("filename") == "" {
		return fail("invalid_arguments")
	}
	s.seq++
	f := &File{ID: fmt.Sprintf("F%08d", s.seq), Name: form.Get("filename"), Length: length}
	s.files[f.ID] = f
	return map[string]any{"ok": true, "upload_url": base + "/upload/" + f.ID, "file_id": f.ID}
}

func (s *Server) upload(id string, r *http.Request) map[string]any {
	f := s.files[id]
	if f == nil {
		return fail("not_found")
	}
	part, _, err := r.FormFile("file")
	if err != nil {
		return fail("bad_upload")
	}
	f.Content, _ = io.ReadAll(part)
	s.requests = append(s.requests, Request{Method: "(the file itself)", Form: url.Values{"content": {string(f.Content)}}})
	return map[string]any{"ok": true}
}

func (s *Server) complete(c *Channel, form url.Values) map[string]any {
	var files []struct{ ID, Title string }
	if json.Unmarshal([]byte(form.Get("files")), &files) != nil || len(files) == 0 {
		return fail("invalid_arguments")
	}
	thread := c.find(form.Get("thread_ts"))
	var out []map[string]any
	for _, f := range files {
		have := s.files[f.ID]
		if have == nil || len(have.Content) == 0 || len(have.Content) != have.Length {
			return fail("file_not_found")
		}
		have.Title = f.Title
		out = append(out, map[string]any{"id": f.ID, "title": f.Title})
		if have.Shared {
			continue
		}
		have.Shared = true
		m := &Message{TS: s.ts(), BotID: BotID, Files: []*File{have}}
		if thread != nil {
			m.ThreadTS = thread.TS
		}
		c.Messages = append(c.Messages, m)
	}
	return map[string]any{"ok": true, "files": out}
}
