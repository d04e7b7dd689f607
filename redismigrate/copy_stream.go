package redismigrate

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// load is what is to be written to one server of the target: complete RESTORE commands, and whose they are.
type load struct {
	addr  string
	buf   []byte
	items []item
}

// shift copies keys of one server: it asks for their serialized values and expiries, and turns the replies, as they arrive, into RESTORE
// commands. What is larger than a batch is passed on piece by piece.
func (w *carrier) shift(ctx context.Context, b *trip, addr string, items []item) {
	from, err := w.pipe(ctx, w.from, addr, b.db.DB)
	if err != nil {
		w.postpone(b, items, err, w.from)
		return
	}
	w.ask(from, items)
	left, err := items, from.send()
	base := int64(0)
	if err == nil && !w.absolute {
		base, err = expiriesFirst(from, items)
	}
	for len(left) > 0 && err == nil && b.fatal == nil {
		it := &left[0]
		left = left[1:]
		var broke error
		broke, err = w.receive(ctx, b, from, it, base)
		if broke != nil {
			left, err = append([]item{*it}, left...), broke
		}
	}
	w.flush(ctx, b)
	if err != nil || len(left) > 0 { // replies are unread
		w.drop(from)
	}
	if err != nil {
		w.postpone(b, left, failAt(w.from.side, addr, fmt.Sprintf("DUMP keys of db %d", b.db.DB), err), w.from)
	}
}

// ask queues the questions about each key.
func (w *carrier) ask(from *rawPipe, items []item) {
	each := func(it *item, args ...string) {
		if it.from.ask {
			from.queue("ASKING")
		}
		from.queue(args...)
	}
	if !w.absolute { // the clock and all that is left to live first: large values in between would age them
		from.queue("TIME")
		for i := range items {
			each(&items[i], "PTTL", items[i].key)
		}
	}
	for i := range items {
		it := &items[i]
		switch w.access {
		case "IDLETIME":
			each(it, "OBJECT", "IDLETIME", it.key)
		case "FREQ":
			each(it, "OBJECT", "FREQ", it.key)
		}
		if w.absolute {
			each(it, "PEXPIRETIME", it.key)
		}
		each(it, "DUMP", it.key)
	}
}

// reply reads the first line of the answer about a key. ASKING was answered before.
func (it *item) reply(from *rawPipe) (kind byte, n int64, err error) {
	if it.from.ask {
		if _, _, err := from.header(); err != nil && !isServerError(err) {
			return 0, 0, err
		}
	}
	return from.header()
}

// expiriesFirst reads the server's clock, in Unix milliseconds, and what each key has left to live.
func expiriesFirst(from *rawPipe, items []item) (now int64, err error) {
	clock, err := from.value()
	if err != nil {
		return 0, err
	}
	if len(clock.list) != 2 {
		return 0, errReply
	}
	seconds, err := strconv.ParseInt(clock.list[0].text, 10, 64)
	if err != nil {
		return 0, errReply
	}
	micros, err := strconv.ParseInt(clock.list[1].text, 10, 64)
	if err != nil {
		return 0, errReply
	}
	for i := range items {
		_, n, err := items[i].reply(from)
		if err != nil && !isServerError(err) {
			return 0, err
		}
		items[i].at, items[i].err = n, err
	}
	return seconds*1000 + micros/1000, nil
}

// receive reads the answers about one key. broke is a failure of the source's connection that leaves this key untouched; err one after
// the key was dealt with.
func (w *carrier) receive(ctx context.Context, b *trip, from *rawPipe, it *item, now int64) (broke, err error) {
	var refused error
	if w.access != "" {
		kind, n, err := it.reply(from)
		switch {
		case err != nil && !isServerError(err):
			return err, nil
		case err == nil && kind == ':':
			it.access = n
		default:
			it.access = -1
		}
	}
	if w.absolute {
		_, n, err := it.reply(from)
		if err != nil && !isServerError(err) {
			return err, nil
		}
		it.at, refused = n, err
	} else if refused = it.err; refused == nil && it.at >= 0 {
		it.at += now
	}
	kind, n, err := it.reply(from)
	switch {
	case err != nil && !isServerError(err):
		return err, nil
	case err == nil && kind != '$':
		return errReply, nil
	case err == nil && n > maxRawReply:
		b.fail(fmt.Errorf("the key %q of db %d of the source %s is %s when serialized, more than a command may carry (%s); leave it out by the selector (Exclude) and copy it by its own means", it.key, b.db.DB, from.node.addr, byteText(n), byteText(maxRawReply)))
		return nil, errUnread
	case err == nil:
		err = refused
	}
	it.size = max(n, 0)
	switch {
	case err != nil && it.size > 0:
		if _, err := from.in.Discard(int(it.size) + 2); err != nil {
			return err, nil
		}
		fallthrough
	case err != nil:
		err = failAt(w.from.side, from.node.addr, fmt.Sprintf("DUMP of key %q in db %d", it.key, b.db.DB), err)
		w.postpone(b, []item{*it}, err, w.from)
		return nil, nil
	case n < 0:
		w.settle(b, 1, Tally{Gone: 1})
		return nil, nil
	case it.at == -2 || w.past(it.at):
		if _, err := from.in.Discard(int(n) + 2); err != nil {
			return err, nil
		}
		if it.at == -2 { // it was made between the two questions
			w.later(b, *it, errMeanwhile, w.from)
		} else {
			w.settle(b, 1, Tally{Gone: 1})
		}
		return nil, nil
	}
	if n > w.opt.BatchBytes {
		return w.pass(ctx, b, from, it)
	}
	return w.collect(ctx, b, from, it), nil
}

// errMeanwhile says that a key changed while it was being asked about.
var errMeanwhile = fmt.Errorf("the key changed meanwhile: %w", errLater)

// collect adds a value to what is to be written to its server, and writes when that is a batch.
func (w *carrier) collect(ctx context.Context, b *trip, from *rawPipe, it *item) error {
	if it.to.addr == "" {
		it.to.addr = w.to.serves(ctx, it.key)
	}
	l := w.load(it.to.addr)
	start := len(l.buf)
	l.buf = w.command(l.buf, it)
	at := len(l.buf)
	l.buf = grow(l.buf, int(it.size)+2)
	if _, err := io.ReadFull(from.in, l.buf[at:]); err != nil {
		l.buf = l.buf[:start]
		return err
	}
	l.buf = w.trailer(l.buf, it)
	l.items = append(l.items, *it)
	if int64(len(l.buf)) > w.opt.BatchBytes {
		w.flush(ctx, b)
	}
	return nil
}

func grow(buf []byte, n int) []byte {
	if cap(buf)-len(buf) < n {
		buf = append(make([]byte, 0, max(2*cap(buf), len(buf)+n)), buf...)
	}
	return buf[:len(buf)+n]
}

func (w *carrier) load(addr string) *load {
	for _, l := range w.loads {
		if l.addr == addr {
			return l
		}
	}
	l := &load{addr: addr}
	w.loads = append(w.loads, l)
	return l
}

// command writes a RESTORE as far as its value; RESTORE takes 0 for no expiry.
func (w *carrier) command(buf []byte, it *item) []byte {
	if it.to.ask {
		buf = append(buf, "*1\r\n$6\r\nASKING\r\n"...)
	}
	args := byte('5')
	if it.access >= 0 {
		args = '7'
	}
	buf = append(buf, '*', args)
	buf = append(buf, "\r\n$7\r\nRESTORE\r\n$"...)
	buf = strconv.AppendInt(buf, int64(len(it.key)), 10)
	buf = append(buf, "\r\n"...)
	buf = append(buf, it.key...)
	buf = appendNumber(append(buf, "\r\n"...), max(it.at, 0))
	buf = append(buf, '$')
	buf = strconv.AppendInt(buf, it.size, 10)
	return append(buf, "\r\n"...)
}

// trailer writes what comes after the value and its line end.
func (w *carrier) trailer(buf []byte, it *item) []byte {
	buf = append(buf, "$6\r\nABSTTL\r\n"...)
	if it.access >= 0 {
		buf = append(buf, '$')
		buf = strconv.AppendInt(buf, int64(len(w.access)), 10)
		buf = append(buf, "\r\n"...)
		buf = append(buf, w.access...)
		buf = appendNumber(append(buf, "\r\n"...), it.access)
	}
	return buf
}

// appendNumber appends a number as a bulk string.
func appendNumber(buf []byte, n int64) []byte {
	var digits [20]byte
	text := strconv.AppendInt(digits[:0], n, 10)
	buf = append(buf, '$')
	buf = strconv.AppendInt(buf, int64(len(text)), 10)
	buf = append(buf, "\r\n"...)
	return append(append(buf, text...), "\r\n"...)
}

// flush writes what was collected, and reads the answers. It is not interrupted by ctx: what was sent is waited for, shortly, so that it
// can be counted (session.cutConnections bounds it).
func (w *carrier) flush(ctx context.Context, b *trip) {
	for _, l := range w.loads {
		if len(l.items) > 0 {
			w.deliver(ctx, b, l)
		}
		l.items, l.buf = l.items[:0], l.buf[:0]
		if int64(cap(l.buf)) > 2*w.opt.BatchBytes {
			l.buf = nil
		}
	}
}

// deliver sends a load to its server.
func (w *carrier) deliver(ctx context.Context, b *trip, l *load) {
	if b.fatal != nil {
		return // not sent, not counted
	}
	var need int64
	for _, it := range l.items {
		need += it.memory()
	}
	free, err := w.room.take(ctx, l.addr, need)
	if err != nil {
		w.postpone(b, l.items, err, w.to)
		return
	}
	defer free()
	to, err := w.pipe(ctx, w.to, l.addr, b.toDB)
	if err != nil {
		w.postpone(b, l.items, err, w.to)
		return
	}
	if err := to.write(l.buf); err != nil { // perhaps all but its end arrived
		w.cut(b, to, l.items, err)
		return
	}
	w.answers(b, to, l.items)
}

// memory is about what the key will take on the target.
func (it *item) memory() int64 {
	if it.bytes == 0 {
		return 4*it.size + 256 // not told; serialized values are often compressed
	}
	return it.bytes + it.bytes/16 + 64
}

// write sends bytes that are complete commands, or a part of one.
func (p *rawPipe) write(data []byte) error {
	if err := p.conn.SetWriteDeadline(deadline(p.node.opts.WriteTimeout)); err != nil {
		return err
	}
	_, err := p.conn.Write(data)
	return err
}

// answers reads what became of each RESTORE.
func (w *carrier) answers(b *trip, to *rawPipe, items []item) {
	var t Tally
	var known int
	for i := range items {
		it := &items[i]
		if it.to.ask {
			if _, _, err := to.header(); err != nil && !isServerError(err) {
				w.settle(b, known, t)
				w.cut(b, to, items[i:], err)
				return
			}
		}
		_, _, err := to.header()
		switch {
		case err == nil:
			known++
			t.Copied++
			t.Bytes += it.size
		case !isServerError(err):
			w.settle(b, known, t)
			w.cut(b, to, items[i:], err)
			return
		case hasPrefix(err, "BUSYKEY"):
			b.busy = append(b.busy, *it)
		case transient(err):
			w.later(b, *it, w.restoreError(to.node.addr, b.toDB, it.key, err), w.to)
		default:
			b.fail(w.restoreError(to.node.addr, b.toDB, it.key, err))
		}
	}
	w.settle(b, known, t)
}

// cut gives up a connection to the target over which keys were sent that it has not answered.
func (w *carrier) cut(b *trip, to *rawPipe, items []item, err error) {
	w.drop(to)
	for i := range items {
		items[i].lost = true
	}
	w.postpone(b, items, failAt(w.to.side, to.node.addr, fmt.Sprintf("RESTORE %d keys of db %d", len(items), b.toDB), err), w.to)
}

// restoreError says what a refused RESTORE means.
func (c *copier) restoreError(addr string, db int, key string, err error) error {
	if strings.Contains(err.Error(), "DUMP payload version or checksum are wrong") {
		return fmt.Errorf("target %s (version %s): RESTORE of key %q in db %d: %w: the source (version %s) writes a newer format than the target reads; upgrade the target to at least the source's version, or restore a snapshot made by a server of the target's version",
			addr, c.to.id.version, key, db, err, c.from.id.version)
	}
	return failAt(c.to.side, addr, fmt.Sprintf("RESTORE of key %q in db %d", key, db), err)
}
