package redismigrate

import (
	"context"
	"fmt"
	"io"
)

// pieceSize is how much of a large value is held at a time.
const pieceSize = 256 << 10

// pass passes one large value on as it arrives.
func (w *carrier) pass(ctx context.Context, b *trip, from *rawPipe, it *item) (broke, err error) {
	w.flush(ctx, b) // so that every answer that comes is this key's
	if b.fatal != nil {
		return nil, errUnread
	}
	if it.to.addr == "" {
		it.to.addr = w.to.serves(ctx, it.key)
	}
	free, err := w.room.take(ctx, it.to.addr, it.memory()+it.size) // the server holds both at once
	if err != nil {
		w.postpone(b, []item{*it}, err, w.to)
		return nil, errUnread
	}
	defer free()
	to, err := w.pipe(ctx, w.to, it.to.addr, b.toDB)
	if err != nil {
		w.postpone(b, []item{*it}, err, w.to)
		return nil, errUnread
	}
	if w.piece == nil {
		w.piece = make([]byte, pieceSize)
	}
	failed := to.write(w.command(nil, it))
	for left := it.size + 2; left > 0 && failed == nil; {
		piece := w.piece[:min(left, pieceSize)]
		if _, err := io.ReadFull(from.in, piece); err != nil {
			w.drop(to) // the server throws away the half of a command
			return err, nil
		}
		left -= int64(len(piece))
		failed = to.write(piece)
	}
	if failed != nil { // the command was not complete, so it was not carried out
		w.drop(to)
		w.postpone(b, []item{*it}, failAt(w.to.side, it.to.addr, fmt.Sprintf("RESTORE of key %q in db %d", it.key, b.toDB), failed), w.to)
		return nil, errUnread
	}
	if err := to.write(w.trailer(nil, it)); err != nil {
		w.cut(b, to, []item{*it}, err)
		return nil, nil
	}
	w.answers(b, to, []item{*it})
	return nil, nil
}

// errUnread says that a value was left unread: its connection is of no further use.
var errUnread = fmt.Errorf("the target was not ready: %w", errLater)
