package redismigrate

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tashikame-go/tashikame/internal/bench"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// BenchmarkVerify300k verifies 300,000 sessions, which the source holds among 700,000 other keys. Floor: prebuilt DUMP streams of both
// sides, read side by side over raw sockets and compared. Peer: what a go-redis program does, pipelines of 500 DUMP and PEXPIRETIME on both
// sides and EXISTS back.
func BenchmarkVerify300k(b *testing.B) {
	source, target := servers.OwnRedis(b, "--save", ""), servers.OwnRedis(b, "--save", "")
	ctx := context.Background()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	must(fillBench(source.Direct()))
	m := Move{From: &Endpoint{URL: "redis://" + source.Direct()}, To: &Endpoint{URL: "redis://" + target.Direct()}, Keys: sessions}
	start := time.Now()
	_, err := Copy(ctx, m, CopyOptions{})
	must(err)
	b.Logf("the copy before took %v", time.Since(start))
	prebuilt := prebuiltDumps()
	bench.Benchmark{
		Name: "verify/300k", Runs: 3, Mem: true, Allocs: true,
		Ours: func() error {
			v, err := Verify(ctx, m, VerifyOptions{})
			if err == nil && (v.Verdict != Match || v.Compared != benchSessions || v.Scanned != benchSessions) {
				err = fmt.Errorf("unexpected result: %v", v)
			}
			return err
		},
		Floor:    func() error { return rawCompare(source.Direct(), target.Direct(), prebuilt, benchSessions) },
		PeerName: "go-redis-pipelines",
		Peer:     func() error { return naiveVerify(ctx, source.Direct(), target.Direct()) },
	}.Run(b)
}

func prebuiltDumps() []byte {
	var b bytes.Buffer
	for i := range benchSessions {
		appendCommand(&b, "DUMP", sessionKey(i))
	}
	return b.Bytes()
}

// rawCompare sends the same commands to both servers, and compares what comes back as it comes.
func rawCompare(a, b string, commands []byte, keys int) error {
	sent := make(chan error, 2)
	var replies [2]*bufio.Reader
	for i, addr := range []string{a, b} {
		conn, err := rawDial(addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		replies[i] = bufio.NewReaderSize(conn, 256<<10)
		go func(conn net.Conn) {
			_, err := conn.Write(commands)
			sent <- err
		}(conn)
	}
	for range keys {
		var n [2]int
		for i, r := range replies {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return err
			}
			size, ok := number(line[1 : len(line)-2])
			if line[0] != '$' || !ok || size <= 0 {
				return fmt.Errorf("reply %q", line)
			}
			n[i] = int(size) + 2
		}
		x, err := replies[0].Peek(n[0])
		if err != nil {
			return err
		}
		y, err := replies[1].Peek(n[1])
		if err != nil {
			return err
		}
		if !bytes.Equal(x, y) {
			return errors.New("the floor found a difference")
		}
		for i, r := range replies {
			if _, err := r.Discard(n[i]); err != nil {
				return err
			}
		}
	}
	return errors.Join(<-sent, <-sent)
}

func naiveVerify(ctx context.Context, a, b string) error {
	from, to := redis.NewClient(&redis.Options{Addr: a}), redis.NewClient(&redis.Options{Addr: b})
	defer from.Close()
	defer to.Close()
	over := func(c *redis.Client, work func(keys []string) error) error {
		return fanOut(ctx, 4, func(ctx context.Context, hand func([]string) error) error {
			iterator := c.Scan(ctx, 0, "session:*", 1000).Iterator()
			var keys []string
			for iterator.Next(ctx) {
				if keys = append(keys, iterator.Val()); len(keys) == 500 {
					if err := hand(keys); err != nil {
						return err
					}
					keys = nil
				}
			}
			return errors.Join(iterator.Err(), hand(keys))
		}, work)
	}
	err := over(from, func(keys []string) error {
		var both [2][]redis.Cmder
		for i, c := range []*redis.Client{from, to} {
			pipe := c.Pipeline()
			for _, key := range keys {
				pipe.Dump(ctx, key)
				pipe.Do(ctx, "PEXPIRETIME", key)
			}
			var err error
			if both[i], err = pipe.Exec(ctx); err != nil {
				return err
			}
		}
		for i := range both[0] {
			if both[0][i].String() != both[1][i].String() {
				return errors.New("the peer found a difference")
			}
		}
		return nil
	})
	return errors.Join(err, over(to, func(keys []string) error {
		pipe := from.Pipeline()
		for _, key := range keys {
			pipe.Exists(ctx, key)
		}
		_, err := pipe.Exec(ctx)
		return err
	}))
}
