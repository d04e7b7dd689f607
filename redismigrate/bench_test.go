package redismigrate

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tashikame-go/tashikame/internal/bench"
	"github.com/tashikame-go/tashikame/internal/servers"
)

const (
	benchSessions = 300_000
	benchOthers   = 700_000
)

// BenchmarkPrune1M prunes 1,000,000 keys to 300,000 sessions. Floor: a raw-socket SCAN of all keys, prebuilt UNLINKs of 1,000 keys for the
// 700,000, and a raw SCAN of what is left. Peer: redis-cli --scan | xargs redis-cli UNLINK inside the container.
func BenchmarkPrune1M(b *testing.B) {
	target := servers.OwnRedis(b, "--save", "", "--enable-debug-command", "yes")
	source := servers.OwnRedis(b, "--save", "")
	ctx := context.Background()
	addr := target.Direct()
	to, from := &Endpoint{URL: "redis://" + addr}, &Endpoint{URL: "redis://" + source.Direct()}
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	must(fillBench(addr))
	must(target.Client.Save(ctx).Err())
	prebuilt := prebuiltUnlinks()
	keep := Selector{ID: "sessions", Include: []string{"session:*"}}
	var plan *PrunePlan
	leftAre := func(want int64) error {
		n, err := target.Client.DBSize(ctx).Result()
		if err == nil && n != want {
			err = fmt.Errorf("%d keys are left, not %d", n, want)
		}
		return err
	}
	bench.Benchmark{
		Name: "prune/1M", Runs: 3, Mem: true, Allocs: true,
		Setup: func() error { // the whole data set again, from the snapshot
			c := redis.NewClient(&redis.Options{Addr: addr, ReadTimeout: 2 * time.Minute})
			defer c.Close()
			if err := c.Do(ctx, "DEBUG", "RELOAD", "NOSAVE").Err(); err != nil {
				return err
			}
			if err := leftAre(benchSessions + benchOthers); err != nil {
				return err
			}
			var err error
			plan, err = PlanPrune(ctx, from, to, keep, PruneOptions{AllowClients: true})
			return err
		},
		Ours: func() error {
			r, err := plan.Apply(ctx, plan.Confirmation())
			if err != nil {
				return err
			}
			if r.Deleted != benchOthers || r.Kept != benchSessions || r.Passes != 2 {
				return fmt.Errorf("unexpected result: %v", r)
			}
			return leftAre(benchSessions)
		},
		Floor: func() error {
			if err := rawScan(addr); err != nil {
				return err
			}
			if err := rawPipeline(addr, prebuilt, benchOthers/1000, ":1000"); err != nil {
				return err
			}
			if err := rawScan(addr); err != nil {
				return err
			}
			return leftAre(benchSessions + 1) // the plan's canary
		},
		PeerName: "redis-cli",
		Peer: func() error {
			out, err := target.Exec("sh", "-c", `redis-cli --scan --pattern 'other:*' | xargs -n 500 redis-cli UNLINK >/dev/null`)
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return leftAre(benchSessions + 1)
		},
	}.Run(b)
}

// BenchmarkCopy copies 300,000 sessions out of 1,000,000 keys. Floor: a raw-socket SCAN of all keys, then prebuilt DUMP+PEXPIRETIME of the
// 300,000 and prebuilt RESTOREs of them, side by side. Peer: the copy that one writes with go-redis in ten minutes: SCAN, and pipelines of 500.
func BenchmarkCopy300kOf1M(b *testing.B) {
	source, target := servers.OwnRedis(b, "--save", ""), servers.OwnRedis(b, "--save", "")
	ctx := context.Background()
	from, to := source.Direct(), target.Direct()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	must(fillBench(from))
	var dumps bytes.Buffer
	for i := range benchSessions {
		appendCommand(&dumps, "DUMP", sessionKey(i))
		appendCommand(&dumps, "PEXPIRETIME", sessionKey(i))
	}
	restores := filepath.Join(b.TempDir(), "restores") // a file: as much heap would let our own garbage wait
	must(prebuildRestores(from, restores))
	move := Move{From: &Endpoint{URL: "redis://" + from}, To: &Endpoint{URL: "redis://" + to}, Keys: Selector{Include: []string{"session:*"}}}
	arrived := func() error {
		n, err := target.Client.DBSize(ctx).Result()
		if err == nil && n != benchSessions {
			err = fmt.Errorf("%d keys arrived, not %d", n, benchSessions)
		}
		return err
	}
	bench.Benchmark{
		Name: "copy/300k-of-1M", Runs: 3, Mem: true, Allocs: true,
		Setup: func() error { return target.Client.FlushAll(ctx).Err() },
		Ours: func() error {
			r, err := Copy(ctx, move, CopyOptions{})
			if err != nil {
				return err
			}
			if r.Copied != benchSessions || !r.Complete {
				return fmt.Errorf("unexpected result: %v", r)
			}
			return arrived()
		},
		Floor: func() error {
			if err := rawScan(from); err != nil {
				return err
			}
			dumped := make(chan error, 1)
			go func() { dumped <- rawReplies(from, bytes.NewReader(dumps.Bytes()), 2*benchSessions) }()
			file, err := os.Open(restores)
			if err != nil {
				return err
			}
			defer file.Close()
			return errors.Join(rawReplies(to, file, benchSessions), <-dumped, arrived())
		},
		PeerName: "go-redis-pipelines",
		Peer:     func() error { return errors.Join(naiveCopy(ctx, from, to), arrived()) },
	}.Run(b)
}

// prebuildRestores writes a RESTORE for each session to a file.
func prebuildRestores(from, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	c := redis.NewClient(&redis.Options{Addr: from})
	defer c.Close()
	for i := 0; i < benchSessions; i += 1000 {
		values, expiries, err := naiveDump(context.Background(), c, func(j int) string { return sessionKey(i + j) }, 1000)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		for j := range values {
			appendCommand(&b, "RESTORE", sessionKey(i+j), fmt.Sprint(expiries[j].Val()), values[j].Val(), "ABSTTL")
		}
		if _, err := file.Write(b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func naiveDump(ctx context.Context, c *redis.Client, key func(int) string, n int) ([]*redis.StringCmd, []*redis.Cmd, error) {
	pipe := c.Pipeline()
	values, expiries := make([]*redis.StringCmd, n), make([]*redis.Cmd, n)
	for i := range n {
		values[i] = pipe.Dump(ctx, key(i))
		expiries[i] = pipe.Do(ctx, "PEXPIRETIME", key(i))
	}
	_, err := pipe.Exec(ctx)
	return values, expiries, err
}

// naiveCopy is the peer.
func naiveCopy(ctx context.Context, from, to string) error {
	source, target := redis.NewClient(&redis.Options{Addr: from}), redis.NewClient(&redis.Options{Addr: to})
	defer source.Close()
	defer target.Close()
	return fanOut(ctx, 4, func(ctx context.Context, hand func([]string) error) error {
		var batch []string
		keys := source.Scan(ctx, 0, "session:*", 1000).Iterator()
		for keys.Next(ctx) {
			if batch = append(batch, keys.Val()); len(batch) == 500 {
				if err := hand(batch); err != nil {
					return err
				}
				batch = nil
			}
		}
		return errors.Join(keys.Err(), hand(batch))
	}, func(keys []string) error {
		if len(keys) == 0 {
			return nil
		}
		values, expiries, err := naiveDump(ctx, source, func(i int) string { return keys[i] }, len(keys))
		if err != nil {
			return err
		}
		pipe := target.Pipeline()
		for i, key := range keys {
			pipe.Do(ctx, "RESTORE", key, expiries[i].Val(), values[i].Val(), "ABSTTL")
		}
		_, err = pipe.Exec(ctx)
		return err
	})
}

// rawReplies sends prebuilt commands while it reads their replies: one line each, or a string.
func rawReplies(addr string, commands io.Reader, n int) error {
	conn, err := rawDial(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(conn, commands)
		sent <- err
	}()
	replies := bufio.NewReaderSize(conn, 256<<10)
	for range n {
		line, err := replies.ReadSlice('\n')
		if err != nil {
			return err
		}
		switch line[0] {
		case '-':
			return fmt.Errorf("reply %q", line)
		case '$':
			size, ok := number(line[1 : len(line)-2])
			if !ok || size < 0 {
				return fmt.Errorf("reply %q", line)
			}
			if _, err := replies.Discard(int(size) + 2); err != nil {
				return err
			}
		}
	}
	return <-sent
}

// rawDial connects for the raw-socket parts.
func rawDial(addr string) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	}
	return conn, err
}

// rawPipeline sends prebuilt commands while it reads their one-line replies, of which each must begin with want ("" for any but an error).
func rawPipeline(addr string, commands []byte, n int, want string) error {
	conn, err := rawDial(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(commands)
		sent <- err
	}()
	replies := bufio.NewReaderSize(conn, 64<<10)
	for range n {
		line, err := replies.ReadSlice('\n')
		if err != nil {
			return err
		}
		if line[0] == '-' || want != "" && string(line) != want+"\r\n" {
			return fmt.Errorf("reply %q", line)
		}
	}
	return <-sent
}

// rawScan goes over all keys, COUNT 5000, and looks at nothing but the cursor and where a reply ends.
func rawScan(addr string) error {
	conn, err := rawDial(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	replies := bufio.NewReaderSize(conn, 256<<10)
	for cursor := "0"; ; {
		if _, err := fmt.Fprintf(conn, "*4\r\n$4\r\nSCAN\r\n$%d\r\n%s\r\n$5\r\nCOUNT\r\n$4\r\n5000\r\n", len(cursor), cursor); err != nil {
			return err
		}
		next, keys := "", 0
		for i := range 4 { // *2, $n, the cursor, *k
			line, err := replies.ReadSlice('\n')
			if err != nil {
				return err
			}
			switch i {
			case 2:
				next = strings.TrimSpace(string(line))
			case 3:
				if _, err := fmt.Sscanf(string(line), "*%d", &keys); err != nil {
					return err
				}
			}
		}
		for range keys {
			header, err := replies.ReadSlice('\n')
			if err != nil {
				return err
			}
			n := 0
			for _, c := range header[1 : len(header)-2] {
				n = n*10 + int(c-'0')
			}
			if _, err := replies.Discard(n + 2); err != nil {
				return err
			}
		}
		if cursor = next; cursor == "0" {
			return nil
		}
	}
}

func sessionKey(i int) string { return fmt.Sprintf("session:%08d", i) }
func otherKey(i int) string   { return fmt.Sprintf("other:%08d", i) }

func appendCommand(b *bytes.Buffer, args ...string) {
	fmt.Fprintf(b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(b, "$%d\r\n%s\r\n", len(arg), arg)
	}
}

func prebuiltUnlinks() []byte {
	var b bytes.Buffer
	for i := 0; i < benchOthers; i += 1000 {
		args := []string{"UNLINK"}
		for j := range 1000 {
			args = append(args, otherKey(i+j))
		}
		appendCommand(&b, args...)
	}
	return b.Bytes()
}

// fillBench loads 300,000 session hashes of about 250 B with an expiry, and 700,000 strings of 200 B.
func fillBench(addr string) error {
	token, value := strings.Repeat("t", 64), strings.Repeat("v", 200)
	expires := fmt.Sprint(time.Now().Add(24 * time.Hour).UnixMilli())
	send := func(from, to int, write func(b *bytes.Buffer, i int), each int) error {
		for ; from < to; from += 10_000 {
			var b bytes.Buffer
			for i := from; i < from+10_000; i++ {
				write(&b, i)
			}
			if err := rawPipeline(addr, b.Bytes(), 10_000*each, ""); err != nil {
				return err
			}
		}
		return nil
	}
	err := send(0, benchSessions, func(b *bytes.Buffer, i int) {
		appendCommand(b, "HSET", sessionKey(i), "user", fmt.Sprint(i), "token", token, "csrf", token, "agent", value[:60], "seen", expires)
		appendCommand(b, "PEXPIREAT", sessionKey(i), expires)
	}, 2)
	if err != nil {
		return err
	}
	return send(0, benchOthers, func(b *bytes.Buffer, i int) { appendCommand(b, "SET", otherKey(i), value) }, 1)
}
