package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// item is one key on its way.
type item struct {
	key    string
	bytes  int64  // of memory on the source; 0: not told
	at     int64  // expiry in Unix milliseconds, -1: none
	access int64  // seconds idle, or the logarithmic use counter; -1: not carried
	size   int64  // of the serialized value
	lost   bool   // it was sent, and no answer came: the target may have it
	from   detour // of a cluster
	to     detour
	err    error // why it is to be tried again
}

// detour is where a node of a cluster sent us for one key.
type detour struct {
	addr string
	ask  bool // for this time only, while the slot moves
}

// carrier is a worker: a connection to each server that it has needed, and its buffers.
type carrier struct {
	*copier
	pipes map[pipeID]*rawPipe
	loads []*load
	piece []byte // of a value that is passed on as it arrives
}

type pipeID struct {
	side *session
	addr string
	db   int
}

func (w *carrier) close() {
	for id, p := range w.pipes {
		p.close()
		delete(w.pipes, id)
	}
}

// pipe returns the worker's connection to one db of one server.
func (w *carrier) pipe(ctx context.Context, side *session, addr string, db int) (*rawPipe, error) {
	id := pipeID{side, addr, db}
	if p := w.pipes[id]; p != nil {
		return p, nil
	}
	p, err := (&node{session: side, addr: addr}).rawPipe(ctx, db)
	if err != nil {
		return nil, err
	}
	if w.pipes == nil {
		w.pipes = map[pipeID]*rawPipe{}
	}
	w.pipes[id] = p
	return p, nil
}

// drop closes a connection that failed.
func (w *carrier) drop(p *rawPipe) {
	delete(w.pipes, pipeID{p.node.session, p.node.addr, p.db})
	p.close()
}

// trip is the state of one parcel on its way.
type trip struct {
	parcel
	toDB  int
	again []item // to be tried again
	busy  []item // the target has them
	fatal error  // the first
	moved bool   // a key's fate became known since the last look
}

// copy copies the keys of a parcel, each until its fate is known.
func (w *carrier) copy(ctx context.Context, p parcel) error {
	b := &trip{parcel: p, toDB: w.move.targetDB(p.db.DB)}
	items := make([]item, len(p.keys))
	for i, key := range p.keys {
		items[i] = item{key: key, access: -1, from: detour{addr: p.node.addr}}
	}
	patience := newPatience(w.opt.MaxWait)
	for {
		w.try(ctx, b, items)
		if b.fatal == nil {
			b.fatal = w.compareBusy(ctx, b)
		}
		if b.fatal != nil {
			return b.fatal
		}
		if len(b.again) == 0 {
			return nil
		}
		if b.moved {
			patience.progress()
		}
		if err := patience.wait(ctx, b.again[0].err); err != nil {
			return err
		}
		items = append(items[:0], b.again...)
		b.again, b.moved = b.again[:0], false
	}
}

// try takes each key as far as it comes: its fate is counted, or it is in b.again or b.busy, or b.fatal says what stopped it all.
func (w *carrier) try(ctx context.Context, b *trip, items []item) {
	for _, addr := range w.route(ctx, w.from, items, func(it *item) *detour { return &it.from }) {
		var here []item
		for _, it := range items {
			if it.from.addr == addr {
				here = append(here, it)
			}
		}
		w.tryFrom(ctx, b, addr, here)
		if b.fatal != nil {
			return
		}
	}
}

// route fills in who is to be asked for each key, and returns the addresses.
func (w *carrier) route(ctx context.Context, side *session, items []item, of func(*item) *detour) (addrs []string) {
	for i := range items {
		d := of(&items[i])
		if d.addr == "" {
			d.addr = side.serves(ctx, items[i].key)
		}
		if len(addrs) == 0 || addrs[len(addrs)-1] != d.addr && !slices.Contains(addrs, d.addr) {
			addrs = append(addrs, d.addr)
		}
	}
	return addrs
}

// serves is the address of the master that serves a key, as far as known: it redirects if that has changed.
func (s *session) serves(ctx context.Context, key string) string {
	if s.cluster != nil {
		if c, err := s.masterOf(ctx, key); err == nil {
			return c.Options().Addr
		}
	}
	return s.nodes[0].addr
}

// tryFrom copies keys that one server has.
func (w *carrier) tryFrom(ctx context.Context, b *trip, addr string, items []item) {
	from, err := w.pipe(ctx, w.from, addr, b.db.DB)
	if err != nil {
		w.postpone(b, items, err, w.from)
		return
	}
	if err := w.weigh(from, items); err != nil {
		w.drop(from)
		w.postpone(b, items, failAt(w.from.side, addr, "MEMORY USAGE", err), w.from)
		return
	}
	for len(items) > 0 && b.fatal == nil {
		if err := ctx.Err(); err != nil {
			b.fatal = err
			return
		}
		n := fill(items, w.opt.BatchBytes, w.opt.BigKey)
		group := items[:n]
		items = items[n:]
		switch {
		case w.typed != nil:
			w.byType(ctx, b, group)
			continue
		case w.migrate != nil:
			w.migrateGroup(ctx, b, group)
			continue
		}
		if group[0].bytes > w.opt.BigKey {
			w.inPieces(ctx, b, group[0])
			continue
		}
		w.shift(ctx, b, addr, group)
	}
}

// blindGroup is how many values are fetched at once where the server does not tell their sizes.
const blindGroup = 16

// fill says how many of the next items together weigh at most limit; at least one, and one that weighs more than big alone.
func fill(items []item, limit, big int64) int {
	var sum int64
	blind := 0
	for i, it := range items {
		if it.bytes <= 0 {
			blind++
		}
		if sum += it.bytes; i > 0 && (sum > limit || blind > blindGroup || it.bytes > big || items[0].bytes > big) {
			return i
		}
	}
	return len(items)
}

// weigh asks for the memory that each value takes; where that is not allowed, it stays 0.
func (w *carrier) weigh(from *rawPipe, items []item) error {
	if w.from.isBlind() {
		return nil
	}
	for i := range items {
		if items[i].from.ask {
			from.queue("ASKING")
		}
		from.queue("MEMORY", "USAGE", items[i].key)
	}
	if err := from.send(); err != nil {
		return err
	}
	for i := range items {
		if items[i].from.ask {
			if _, _, err := from.header(); err != nil && !isServerError(err) {
				return err
			}
		}
		kind, n, err := from.header()
		switch {
		case err == nil && kind == ':':
			items[i].bytes = n
		case err != nil && !isServerError(err):
			return err
		case err != nil && !transient(err):
			w.from.setBlind()
			w.note("the source does not tell how large its values are (MEMORY USAGE: %v): a key of any size is copied by one DUMP", err)
		}
	}
	return nil
}

// postpone marks keys to be tried again, or stops it all if the error will not pass.
func (w *carrier) postpone(b *trip, items []item, err error, side *session) {
	if !transient(err) {
		b.fail(err)
		return
	}
	for _, it := range items {
		w.later(b, it, err, side)
	}
}

func (w *carrier) later(b *trip, it item, err error, side *session) {
	it.err = err
	it.from, it.to = detour{}, detour{}
	if addr, ask := redirected(err, side.addr); addr != "" {
		if side == w.from {
			it.from = detour{addr, ask}
		} else {
			it.to = detour{addr, ask}
		}
	}
	if side.cluster != nil {
		side.cluster.ReloadState(context.Background()) // in the background
	}
	b.again = append(b.again, it)
}

func (b *trip) fail(err error) {
	if b.fatal == nil {
		b.fatal = err
	}
}

// settle counts keys whose fate is known.
func (w *carrier) settle(b *trip, keys int, t Tally) {
	if keys == 0 {
		return
	}
	b.moved = true
	w.done(b.page, b.db, keys, t)
}

// inPieces copies a key that is too large for one DUMP.
func (w *carrier) inPieces(ctx context.Context, b *trip, it item) {
	doing := fmt.Sprintf("copy the key %q of db %d (%s) in pieces", it.key, b.db.DB, byteText(it.bytes))
	l, err := w.from.look(ctx, b.db.DB, it.key)
	if err != nil {
		w.postpone(b, []item{it}, err, w.from)
		return
	}
	if it.at = l.expireAt; l.kind == "none" || w.past(it.at) {
		w.settle(b, 1, Tally{Gone: 1})
		return
	}
	free, err := w.room.take(ctx, w.to.serves(ctx, it.key), it.bytes)
	if err != nil {
		b.fail(err)
		return
	}
	defer free()
	switch err := copyBig(ctx, w.from, w.to, b.db.DB, b.toDB, it.key, it.at); {
	case err == nil:
		w.settle(b, 1, Tally{Copied: 1, Bytes: it.bytes})
	case errors.Is(err, errKeyExists):
		b.busy = append(b.busy, it)
	case errors.Is(err, errKeyGone):
		w.settle(b, 1, Tally{Gone: 1})
	case errors.Is(err, errNotInPieces):
		w.note("db %d, key %q: its %s were copied by one DUMP, since %v", b.db.DB, it.key, byteText(it.bytes), err)
		w.shift(ctx, b, it.from.addr, []item{it})
	case transient(err):
		it.lost = true
		w.later(b, it, err, w.to)
	default:
		b.fail(fmt.Errorf("%s: %w", doing, err))
	}
}

// past reports whether an expiry has come by the target's clock: RESTORE would answer OK and create nothing.
func (c *copier) past(at int64) bool {
	return at >= 0 && at <= time.Now().Add(c.offset).UnixMilli()
}
