package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A stream is read from its first to its last id, entries and what is pending in its groups side by side: the pending entries of deleted
// ones must get their place in between, since a group can only be given what is in the stream.

// streamPiece is the beginning of a stream (groups), a range of its ids (entries and pending), or its end (last).
type streamPiece struct {
	begin   bool
	groups  []streamGroup
	entries []streamEntry
	pending []pendingEntry
	end     *streamEnd
}

type streamGroup struct {
	name, lastDelivered string
	entriesRead         any // a number, or nil where the server has lost count
	consumers           []string
}

type streamEntry struct {
	id     streamID
	values []any // fields and values in turns
	gone   bool  // it was deleted, but is pending somewhere
}

type pendingEntry struct {
	id              streamID
	group, consumer string
	deliveredAt     int64 // Unix milliseconds
	deliveries      int64
}

// streamEnd is what is left to be set when all entries are there.
type streamEnd struct {
	last, maxDeleted string
	added            int64
	told             bool // the source tells maxDeleted and added (7.0 and newer)
}

type streamID struct{ ms, seq uint64 }

func (id streamID) String() string { return fmt.Sprintf("%d-%d", id.ms, id.seq) }

func (id streamID) compare(o streamID) int {
	switch {
	case id == o:
		return 0
	case id.ms < o.ms || id.ms == o.ms && id.seq < o.seq:
		return -1
	}
	return 1
}

func parseStreamID(text string) (streamID, error) {
	ms, seq, ok := strings.Cut(text, "-")
	if !ok {
		return streamID{}, fmt.Errorf("%q is no id of a stream", text)
	}
	var id streamID
	var err error
	if id.ms, err = strconv.ParseUint(ms, 10, 64); err == nil {
		id.seq, err = strconv.ParseUint(seq, 10, 64)
	}
	return id, err
}

func (p *streamPiece) sum(seed maphash.Seed) (sum uint64) {
	for _, e := range p.entries {
		sum += maphash.String(seed, fmt.Sprintf("entry %v %q %v", e.id, e.values, e.gone))
	}
	for _, e := range p.pending { // the time of delivery is worked out from two clocks' readings
		sum += maphash.String(seed, fmt.Sprintf("pending %v %q %q %d", e.id, e.group, e.consumer, e.deliveries))
	}
	for _, g := range p.groups {
		sum += maphash.String(seed, fmt.Sprintf("group %q", g))
	}
	if p.end != nil {
		sum += maphash.String(seed, fmt.Sprintf("end %+v", *p.end))
	}
	return sum
}

// info reads the reply to an XINFO: names and values in turns.
func info(reply any) map[string]any {
	list, _ := reply.([]any)
	m := map[string]any{}
	for i := 0; i+1 < len(list); i += 2 {
		if name, ok := list[i].(string); ok {
			m[name] = list[i+1]
		}
	}
	return m
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func (r *reading) ask(ctx context.Context, args ...any) ([]any, error) {
	cmd := redis.NewSliceCmd(ctx, args...)
	_ = r.c.Process(ctx, cmd) // its error is the command's
	list, err := cmd.Result()
	return list, r.t.from.fail(fmt.Sprint(args[0], " of a stream"), err)
}

func (r *reading) streams(ctx context.Context, yield func(piece) error) error {
	groups, seen, err := r.groups(ctx)
	if err != nil {
		return err
	}
	if err := yield(piece{stream: &streamPiece{begin: true, groups: groups}}); err != nil {
		return err
	}
	if err := r.streamRanges(ctx, groups, yield); err != nil {
		return err
	}
	list, err := r.ask(ctx, "XINFO", "STREAM", r.key)
	if err != nil {
		return err
	}
	about := info(list)
	end := &streamEnd{last: text(about["last-generated-id"]), maxDeleted: text(about["max-deleted-entry-id"])}
	end.added, end.told = about["entries-added"].(int64)
	// WATCH does not see all that happens to groups.
	if _, again, err := r.groups(ctx); err != nil || again != seen {
		return errors.Join(err, errUnsteady)
	}
	return yield(piece{stream: &streamPiece{end: end}})
}

// groups reads the consumer groups. seen is all that the server says of them, to see whether it changes.
func (r *reading) groups(ctx context.Context) (groups []streamGroup, seen string, err error) {
	list, err := r.ask(ctx, "XINFO", "GROUPS", r.key)
	if err != nil {
		return nil, "", err
	}
	for _, item := range list {
		about := info(item)
		g := streamGroup{name: text(about["name"]), lastDelivered: text(about["last-delivered-id"]), entriesRead: about["entries-read"]}
		seen += fmt.Sprintf("%q %q %v %v\n", g.name, g.lastDelivered, g.entriesRead, about["pending"])
		consumers, err := r.ask(ctx, "XINFO", "CONSUMERS", r.key, g.name)
		if err != nil {
			return nil, "", err
		}
		for _, item := range consumers {
			c := info(item)
			g.consumers = append(g.consumers, text(c["name"]))
			seen += fmt.Sprintf("  %q %v\n", text(c["name"]), c["pending"])
		}
		groups = append(groups, g)
	}
	return groups, seen, nil
}

// streamRanges reads entries and what is pending, range by range of the ids.
func (r *reading) streamRanges(ctx context.Context, groups []streamGroup, yield func(piece) error) error {
	var pace pagePace
	mostPending := max(10, 10*mostInAPiece/(len(groups)+1))
	for from := "-"; from != ""; {
		entries, full, err := r.entries(ctx, from, &pace)
		if err != nil {
			return err
		}
		var to *streamID // the end of what is known in full; nil: the end of the stream
		if full {
			to = &entries[len(entries)-1].id
		}
		var pending []pendingEntry
		for _, g := range groups {
			some, full, err := r.pending(ctx, g.name, from, mostPending)
			if err != nil {
				return err
			}
			if full {
				if last := some[len(some)-1].id; to == nil || last.compare(*to) < 0 {
					to = &last
				}
			}
			pending = append(pending, some...)
		}
		from = ""
		if to != nil {
			cut := *to
			from = "(" + cut.String()
			entries = slices.DeleteFunc(entries, func(e streamEntry) bool { return e.id.compare(cut) > 0 })
			pending = slices.DeleteFunc(pending, func(e pendingEntry) bool { return e.id.compare(cut) > 0 })
		}
		if err := yield(piece{stream: &streamPiece{entries: withGone(entries, pending), pending: pending}}); err != nil {
			return err
		}
	}
	return nil
}

// withGone puts entries that are pending but were deleted into their places.
func withGone(entries []streamEntry, pending []pendingEntry) []streamEntry {
	order := func(a, b streamEntry) int { return a.id.compare(b.id) }
	there := len(entries)
	for _, p := range pending {
		e := streamEntry{id: p.id, gone: true, values: []any{"", ""}}
		if _, found := slices.BinarySearchFunc(entries[:there], e, order); !found {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, order)
	return slices.CompactFunc(entries, func(a, b streamEntry) bool { return a.id == b.id }) // pending in two groups
}

func (r *reading) entries(ctx context.Context, from string, pace *pagePace) (entries []streamEntry, full bool, err error) {
	want := pace.next()
	list, err := r.ask(ctx, "XRANGE", r.key, from, "+", "COUNT", want)
	if err != nil {
		return nil, false, err
	}
	bytes := 0
	for _, item := range list {
		pair, _ := item.([]any)
		if len(pair) != 2 {
			return nil, false, r.t.from.fail("XRANGE", errors.New("a reply of an unknown form"))
		}
		id, err := parseStreamID(text(pair[0]))
		if err != nil {
			return nil, false, r.t.from.fail("XRANGE", err)
		}
		values, _ := pair[1].([]any)
		for _, v := range values {
			bytes += len(text(v))
		}
		entries = append(entries, streamEntry{id: id, values: values})
	}
	pace.saw(len(list), bytes)
	return entries, int64(len(list)) == want, nil
}

func (r *reading) pending(ctx context.Context, group, from string, most int) (pending []pendingEntry, full bool, err error) {
	now, err := r.c.Time(ctx).Result()
	if err != nil {
		return nil, false, r.t.from.fail("TIME", err)
	}
	list, err := r.ask(ctx, "XPENDING", r.key, group, from, "+", most)
	if err != nil {
		return nil, false, err
	}
	for _, item := range list {
		about, _ := item.([]any)
		if len(about) != 4 {
			return nil, false, r.t.from.fail("XPENDING", errors.New("a reply of an unknown form"))
		}
		id, err := parseStreamID(text(about[0]))
		if err != nil {
			return nil, false, r.t.from.fail("XPENDING", err)
		}
		idle, _ := about[2].(int64)
		deliveries, _ := about[3].(int64)
		pending = append(pending, pendingEntry{id: id, group: group, consumer: text(about[1]), deliveredAt: now.UnixMilli() - idle, deliveries: deliveries})
	}
	return pending, len(list) == most, nil
}
