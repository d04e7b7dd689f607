package redismigrate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// rawPipe is one connection to one db of one master, over which commands are written and replies are read as bytes, without an object for
// each: for jobs that send hundreds of thousands. go-redis dials it, logs in, selects the db and proves the server, as for every connection
// of the session, and then holds it for this pipe alone. After an error other than a serverError it is of no use any more.
type rawPipe struct {
	node *node
	db   int
	pool *redis.Client // of this connection alone
	held *redis.Conn
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

const (
	rawReadBuffer = 128 << 10
	maxRawReply   = 512 << 20 // a bulk string is no longer by Redis' own limit (proto-max-bulk-len)
	maxRawDepth   = 8
)

func (n *node) rawPipe(ctx context.Context, db int) (*rawPipe, error) {
	var dialled atomic.Pointer[net.Conn]
	o := *n.opts
	o.Addr, o.DB, o.PoolSize = n.addr, db, 1
	o.ReadBufferSize, o.WriteBufferSize = 4<<10, 4<<10 // for the login only
	dial := o.Dialer
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err == nil {
			dialled.Store(&conn)
		}
		return conn, err
	}
	p := &rawPipe{node: n, db: db, pool: redis.NewClient(&o)}
	p.held = p.pool.Conn()
	if err := p.held.Ping(ctx).Err(); err != nil {
		p.close()
		return nil, n.fail(fmt.Sprintf("connect to db %d", db), err)
	}
	p.conn = *dialled.Load()
	p.in = bufio.NewReaderSize(timedReader{p.conn, n.opts.ReadTimeout}, rawReadBuffer)
	return p, nil
}

func (p *rawPipe) close() {
	_ = p.held.Close() // the connection is closed with its pool
	p.pool.Close()
}

// timedReader gives each read of a connection its time.
type timedReader struct {
	conn    net.Conn
	timeout time.Duration // not above zero: none
}

func (r timedReader) Read(b []byte) (int, error) {
	if err := r.conn.SetReadDeadline(deadline(r.timeout)); err != nil {
		return 0, err
	}
	return r.conn.Read(b)
}

func deadline(timeout time.Duration) time.Time {
	if timeout <= 0 {
		return time.Time{}
	}
	return time.Now().Add(timeout)
}

// queue adds a command to what send sends.
func (p *rawPipe) queue(args ...string) {
	b := append(p.out, '*')
	b = strconv.AppendInt(b, int64(len(args)), 10)
	for _, arg := range args {
		b = append(b, "\r\n$"...)
		b = strconv.AppendInt(b, int64(len(arg)), 10)
		b = append(b, "\r\n"...)
		b = append(b, arg...)
	}
	p.out = append(b, "\r\n"...)
}

// send writes the queued commands. The server reads on while it answers, so the replies may be read afterwards.
func (p *rawPipe) send() error {
	if len(p.out) == 0 {
		return nil
	}
	if err := p.conn.SetWriteDeadline(deadline(p.node.opts.WriteTimeout)); err != nil {
		return err
	}
	_, err := p.conn.Write(p.out)
	if p.out = p.out[:0]; cap(p.out) > rawReadBuffer*4 {
		p.out = nil
	}
	return err
}

var errReply = errors.New("a reply is not of the form that Redis documents")

// header reads the first line of a reply: its kind, and its number where that kind has one. An error reply is a serverError.
func (p *rawPipe) header() (kind byte, n int64, err error) {
	line, err := p.in.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, 0, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return 0, 0, errReply
	}
	kind, line = line[0], line[1:len(line)-2]
	switch kind {
	case '-':
		return 0, 0, serverError(line)
	case '+':
		return kind, 0, nil
	case ':', '$', '*':
		if n, ok := number(line); ok {
			return kind, n, nil
		}
	}
	return 0, 0, errReply
}

// number reads a decimal without allocating.
func number(text []byte) (n int64, ok bool) {
	negative := len(text) > 1 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	if len(text) == 0 || len(text) > 19 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

// integer reads a reply that is a number.
func (p *rawPipe) integer() (int64, error) {
	kind, n, err := p.header()
	if err == nil && kind != ':' {
		err = errReply
	}
	return n, err
}

// length reads the beginning of a reply that is a bulk string: how many bytes follow, then to be read with window and endBulk. -1: nil,
// and nothing follows.
func (p *rawPipe) length() (int64, error) {
	kind, n, err := p.header()
	if err == nil && (kind != '$' || n < -1 || n > maxRawReply) {
		err = errReply
	}
	return n, err
}

// window shows the next bytes, at most n and at most what the buffer holds, and at least one. They are valid until the next read; discard
// them when done.
func (p *rawPipe) window(n int64) ([]byte, error) {
	want := int(min(n, rawReadBuffer))
	if have := p.in.Buffered(); have > 0 && n > rawReadBuffer/2 {
		want = min(want, have) // a long value is taken as it comes, rather than moved about
	}
	b, err := p.in.Peek(want)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

func (p *rawPipe) discard(n int) error {
	_, err := p.in.Discard(n)
	return err
}

// endBulk reads what ends a bulk string.
func (p *rawPipe) endBulk() error {
	end, err := p.in.Peek(2)
	if err != nil {
		return err
	}
	if end[0] != '\r' || end[1] != '\n' {
		return errReply
	}
	return p.discard(2)
}

// bulk reads a bulk string whole, for what is known to be small.
func (p *rawPipe) bulk(n int64) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(p.in, b); err != nil {
		return "", err
	}
	return string(b), p.endBulk()
}

// respValue is a reply of any form, read whole.
type respValue struct {
	kind byte // ':', '$', '*' or '+'; 0 for nil
	text string
	n    int64
	list []respValue
}

// value reads a reply of any form.
func (p *rawPipe) value() (respValue, error) { return p.valueAt(0) }

func (p *rawPipe) valueAt(depth int) (respValue, error) {
	kind, n, err := p.header()
	if err != nil {
		return respValue{}, err
	}
	v := respValue{kind: kind, n: n}
	switch {
	case kind == ':' || kind == '+':
		return v, nil
	case n == -1:
		return respValue{}, nil
	case n < 0 || n > maxRawReply || depth == maxRawDepth:
		return respValue{}, errReply
	case kind == '$':
		v.text, err = p.bulk(n)
		return v, err
	}
	v.list = make([]respValue, 0, min(n, 1024))
	var refused error
	for range n {
		item, err := p.valueAt(depth + 1)
		if err != nil {
			if !isServerError(err) {
				return respValue{}, err
			}
			refused = err
		}
		v.list = append(v.list, item)
	}
	return v, refused
}
