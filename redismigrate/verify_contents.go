package redismigrate

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// maxSmall is up to how many bytes of serialized value the whole content of a key is fetched at once.
const maxSmall = 256 << 10

// readers are the commands that fetch a whole value, by type.
var readers = map[string]func(to []string, key string) []string{
	"string": func(to []string, key string) []string { return append(to, "GET", key) },
	"list":   func(to []string, key string) []string { return append(to, "LRANGE", key, "0", "-1") },
	"set":    func(to []string, key string) []string { return append(to, "SMEMBERS", key) },
	"zset":   func(to []string, key string) []string { return append(to, "ZRANGE", key, "0", "-1", "WITHSCORES") },
	"hash":   func(to []string, key string) []string { return append(to, "HGETALL", key) },
	"stream": func(to []string, key string) []string {
		return append(to, "XINFO", "STREAM", key, "FULL", "COUNT", "0")
	},
}

// typeOf is the type of value that a type byte stands for, "" for one that is not known.
func typeOf(kind byte) string {
	switch kind {
	case 0:
		return "string"
	case 1, 10, 14, 18:
		return "list"
	case 2, 11, 20:
		return "set"
	case 3, 5, 12, 17:
		return "zset"
	case 4, 9, 13, 16, 22, 23, 24, 25:
		return "hash"
	case 15, 19, 21:
		return "stream"
	}
	return ""
}

func (p pair) there() bool {
	return p.a.length > 0 && p.b.length > 0 && p.expiresA >= -1 && p.expiresB >= -1
}

// small reports whether the values are of one type that can be fetched whole.
func (p pair) small() bool {
	kind := typeOf(p.a.kind)
	return kind != "" && kind == typeOf(p.b.kind) && p.a.length <= maxSmall && p.b.length <= maxSmall
}

// readContents fetches the values of keys from both sides, and marks the pairs that have equal content. It may fail to see that two are
// equal, for example while one changes, but not that they differ.
func (v *verifier) readContents(ctx context.Context, a, b *lane, pairs []pair) error {
	for _, l := range []*lane{a, b} {
		for _, p := range pairs {
			if err := l.queue(ctx, []string{p.key}, readers[typeOf(p.a.kind)]); err != nil {
				return err
			}
		}
		if err := l.send(); err != nil {
			return err
		}
	}
	var dated []*pair     // hashes whose fields may expire
	var fields [][]string // of each
	for i := range pairs {
		p := &pairs[i]
		x, okA, err := a.read(p.key)
		if err != nil {
			return err
		}
		y, okB, err := b.read(p.key)
		if err != nil {
			return err
		}
		kind := typeOf(p.a.kind)
		if p.equal = okA && okB && sameContent(kind, x, y); p.equal && kind == "hash" && max(p.a.kind, p.b.kind) > lastCommonKind {
			p.equal = false // until their expiries are seen
			dated = append(dated, p)
			fields = append(fields, names(x.list))
		}
	}
	if len(dated) == 0 {
		return nil
	}
	return v.readFieldExpiries(ctx, a, b, dated, fields)
}

func (v *verifier) readFieldExpiries(ctx context.Context, a, b *lane, pairs []*pair, fields [][]string) error {
	for _, l := range []*lane{a, b} {
		for i, p := range pairs {
			ask := func(to []string, key string) []string {
				return append(append(to, "HPEXPIRETIME", key, "FIELDS", strconv.Itoa(len(fields[i]))), fields[i]...)
			}
			if err := l.queue(ctx, []string{p.key}, ask); err != nil {
				return err
			}
		}
		if err := l.send(); err != nil {
			return err
		}
	}
	for i, p := range pairs {
		x, okA, err := a.read(p.key)
		if err != nil {
			return err
		}
		y, okB, err := b.read(p.key)
		if err != nil {
			return err
		}
		p.equal = okA && okB && len(x.list) == len(fields[i]) && len(y.list) == len(fields[i])
		for j := range fields[i] {
			p.equal = p.equal && v.sameExpiry(x.list[j].n, y.list[j].n)
		}
	}
	return nil
}

// read reads the reply for a key; ok is false when the server refused the command, for the key may have another type or place by now.
func (l *lane) read(key string) (reply respValue, ok bool, err error) {
	p := l.pipes[l.s.owner(key)]
	reply, err = p.value()
	if isServerError(err) {
		return reply, false, nil
	}
	if err != nil {
		return reply, false, p.node.fail("read a value", err)
	}
	return reply, true, nil
}

// sameContent compares two values of one type. It sorts hashes and sets.
func sameContent(kind string, a, b respValue) bool {
	if a.kind == 0 || b.kind == 0 || len(a.list) != len(b.list) {
		return false
	}
	switch kind {
	case "string":
		return a.text == b.text
	case "stream":
		x, ok := streamText(a)
		y, ok2 := streamText(b)
		return ok && ok2 && x == y
	case "set":
		sortEach(a.list, 1)
		sortEach(b.list, 1)
	case "hash":
		sortEach(a.list, 2)
		sortEach(b.list, 2)
	}
	for i := range a.list {
		x, y := a.list[i].text, b.list[i].text
		if x == y {
			continue
		}
		if kind != "zset" || i%2 == 0 {
			return false
		}
		if same, err := sameScore(x, y); err != nil || !same {
			return false
		}
	}
	return true
}

// sortEach sorts runs of n values by their first.
func sortEach(list []respValue, n int) {
	if n == 1 {
		slices.SortFunc(list, func(a, b respValue) int { return strings.Compare(a.text, b.text) })
		return
	}
	pairs := make([][2]respValue, len(list)/2)
	for i := range pairs {
		pairs[i] = [2]respValue{list[2*i], list[2*i+1]}
	}
	slices.SortFunc(pairs, func(a, b [2]respValue) int { return strings.Compare(a[0].text, b[0].text) })
	for i, p := range pairs {
		list[2*i], list[2*i+1] = p[0], p[1]
	}
}

// names are the fields of a reply to HGETALL.
func names(list []respValue) []string {
	out := make([]string, 0, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		out = append(out, list[i].text)
	}
	return out
}

// streamText writes what belongs to a stream's value, out of a reply to XINFO STREAM … FULL, in one form: without what differs from server
// to server (how it is stored, when consumers were last seen).
func streamText(v respValue) (string, bool) {
	w := &streamWriter{ok: true}
	w.fields(v, "length", "last-generated-id", "max-deleted-entry-id", "entries-added", "entries")
	for _, group := range w.list(v, "groups") {
		w.fields(group, "name", "last-delivered-id", "entries-read", "pel-count")
		for _, pending := range w.list(group, "pending") { // id, consumer, when, how often
			if len(pending.list) != 4 {
				return "", false
			}
			for _, i := range []int{0, 1, 3} {
				w.value(pending.list[i])
			}
		}
		for _, consumer := range w.list(group, "consumers") {
			w.fields(consumer, "name", "pel-count")
		}
	}
	return w.String(), w.ok
}

// field is a part of a reply that lists names and values.
func field(v respValue, name string) respValue {
	for i := 0; i+1 < len(v.list); i += 2 {
		if v.list[i].text == name {
			return v.list[i+1]
		}
	}
	return respValue{kind: '?'}
}

// streamWriter writes values so that different ones never look the same.
type streamWriter struct {
	strings.Builder
	ok bool // every part was there
}

func (w *streamWriter) list(v respValue, name string) []respValue {
	f := field(v, name)
	w.ok = w.ok && f.kind == '*'
	w.WriteString(strconv.Itoa(len(f.list)))
	w.WriteByte(':')
	return f.list
}

func (w *streamWriter) fields(v respValue, names ...string) {
	for _, name := range names {
		f := field(v, name)
		w.ok = w.ok && f.kind != '?'
		w.value(f)
	}
}

func (w *streamWriter) value(v respValue) {
	w.WriteByte(v.kind)
	switch v.kind {
	case '$':
		w.WriteString(strconv.Itoa(len(v.text)))
		w.WriteByte(':')
		w.WriteString(v.text)
	case '*':
		w.WriteString(strconv.Itoa(len(v.list)))
		w.WriteByte(':')
		for _, item := range v.list {
			w.value(item)
		}
	default:
		w.WriteString(strconv.FormatInt(v.n, 10))
		w.WriteByte(';')
	}
}
