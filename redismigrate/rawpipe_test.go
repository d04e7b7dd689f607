package redismigrate

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestSlotOf(t *testing.T) {
	// The first is the check value that the CRC's definition gives; the others are hash tags, which decide alone unless they are empty.
	require.Equal(t, 0x31C3, slotOf("123456789"))
	for key, same := range map[string]string{"a{user}b": "user", "{user}": "user", "{user}{x}": "user", "{{user}": "{user", "a}b{user}": "user"} {
		require.Equal(t, slotOf(same), slotOf(key), key)
	}
	require.NotEqual(t, slotOf("user"), slotOf("user{}"))
	require.NotEqual(t, slotOf("user{"), slotOf("user"))
	require.Zero(t, slotOf(""))
	require.Zero(t, slotOf(inSlotZero))
}

func TestRawPipe(t *testing.T) {
	s := own(t, "--requirepass", "secret", "--cluster-enabled", "no")
	ctx := t.Context()
	require.NoError(t, s.Client.Do(ctx, "AUTH", "secret").Err())
	e := &Endpoint{Options: &redis.Options{Addr: s.Addr, Password: "secret", ReadTimeout: time.Second}}
	open := func(t *testing.T) (*session, *rawPipe) {
		side, err := openSession(ctx, "source", e, sessionOptions{})
		require.NoError(t, err)
		t.Cleanup(side.close)
		p, err := side.nodes[0].rawPipe(ctx, 3)
		require.NoError(t, err)
		t.Cleanup(p.close)
		return side, p
	}
	t.Run("replies of every form", func(t *testing.T) {
		_, p := open(t)
		p.queue("SET", "日本語\r\n\x00", "value")
		p.queue("RPUSH", "list", "", "b")
		p.queue("STRLEN", "日本語\r\n\x00")
		p.queue("GET", "nothing")
		p.queue("LRANGE", "list", "0", "-1")
		p.queue("GET", "list") // refused
		p.queue("EVAL", "return {1, {redis.error_reply('inner'), 'x'}}", "0")
		p.queue("PING")
		require.NoError(t, p.send())
		_, err := p.value()
		require.NoError(t, err)
		n, err := p.integer()
		require.NoError(t, err)
		require.EqualValues(t, 2, n)
		n, err = p.integer()
		require.NoError(t, err)
		require.EqualValues(t, 5, n)
		n, err = p.length()
		require.NoError(t, err)
		require.EqualValues(t, -1, n)
		v, err := p.value()
		require.NoError(t, err)
		require.Equal(t, []string{"", "b"}, []string{v.list[0].text, v.list[1].text})
		_, err = p.length()
		require.ErrorContains(t, err, "WRONGTYPE")
		require.True(t, isServerError(err))
		_, err = p.value()
		require.ErrorContains(t, err, "inner")
		v, err = p.value()
		require.NoError(t, err, "what follows an error is still read rightly")
		require.Equal(t, byte('+'), v.kind)

		own := redis.NewClient(&redis.Options{Addr: s.Addr, Password: "secret", DB: 3})
		defer own.Close()
		require.Equal(t, "value", own.Get(ctx, "日本語\r\n\x00").Val(), "the pipe works in its db")
	})
	t.Run("a value longer than the buffer is read in windows", func(t *testing.T) {
		_, p := open(t)
		long := strings.Repeat("0123456789", 100_000)
		p.queue("SET", "long", long)
		p.queue("GET", "long")
		p.queue("STRLEN", "long")
		require.NoError(t, p.send())
		_, err := p.value()
		require.NoError(t, err)
		n, err := p.length()
		require.NoError(t, err)
		var got strings.Builder
		for int64(got.Len()) < n {
			w, err := p.window(n - int64(got.Len()))
			require.NoError(t, err)
			require.NotEmpty(t, w)
			got.Write(w)
			require.NoError(t, p.discard(len(w)))
		}
		require.NoError(t, p.endBulk())
		require.Equal(t, long, got.String())
		n, err = p.integer()
		require.NoError(t, err)
		require.EqualValues(t, len(long), n)
	})
	t.Run("a server that does not answer is cut off by the timeout, or when the job ends", func(t *testing.T) {
		_, p := open(t)
		p.queue("BLPOP", "never", "0")
		require.NoError(t, p.send())
		_, err := p.value()
		require.ErrorContains(t, err, "i/o timeout")

		e.Options.ReadTimeout = time.Hour
		ending, cancel := context.WithCancel(ctx)
		side, err := openSession(ending, "source", e, sessionOptions{})
		require.NoError(t, err)
		defer side.close()
		p, err = side.nodes[0].rawPipe(ending, 0)
		require.NoError(t, err)
		defer p.close()
		p.queue("BLPOP", "never", "0")
		require.NoError(t, p.send())
		cancel()
		_, err = p.value()
		require.Error(t, err)
	})
	t.Run("the connection proves the server, and a wrong password never shows", func(t *testing.T) {
		side, _ := open(t)
		side.mu.Lock()
		side.known = map[string]bool{"0123456789abcdef": true}
		side.mu.Unlock()
		_, err := side.nodes[0].rawPipe(ctx, 0)
		require.ErrorContains(t, err, "another server process answers now")
		side.opts.Password = "hunter2"
		_, err = side.nodes[0].rawPipe(ctx, 0)
		require.ErrorContains(t, err, "check user and password")
		require.NotContains(t, err.Error(), "hunter2")
	})
}

func TestRawPipeRefusesWhatIsNoReply(t *testing.T) {
	for _, reply := range []string{"", "\r\n", "$", "$\r\n", "$x\r\n", "$-2\r\n", "$99999999999\r\n", ":1\n", "%1\r\n", "$3\r\nabcd\r\n", "*2\r\n:1\r\n", ":99999999999999999999\r\n",
		strings.Repeat("*1\r\n", maxRawDepth+2), "*-2\r\n"} {
		t.Run(fmt.Sprintf("%.20q", reply), func(t *testing.T) {
			here, there := net.Pipe()
			defer here.Close()
			go func() {
				there.Write([]byte(reply))
				there.Close()
			}()
			p := pipeOn(here)
			_, err := p.value()
			require.Error(t, err)
		})
	}
}

func pipeOn(conn net.Conn) *rawPipe {
	n := &node{session: &session{side: "source"}, addr: "pipe"}
	return &rawPipe{node: n, conn: conn, in: bufio.NewReaderSize(timedReader{conn, 10 * time.Second}, rawReadBuffer)}
}
