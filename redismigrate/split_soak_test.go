package redismigrate

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// soakCount counts what a process of the soak did.
type soakCount struct {
	Written, NotWritten, Ambiguous, Read, Unread int64
	Wrong                                        []string
	Counted                                      map[string][]int64 // what INCR answered on the keys that all processes share
}

func (n *soakCount) add(o soakCount) {
	n.Written += o.Written
	n.NotWritten += o.NotWritten
	n.Ambiguous += o.Ambiguous
	n.Read += o.Read
	n.Unread += o.Unread
	n.Wrong = append(n.Wrong, o.Wrong...)
	for k, list := range o.Counted {
		if n.Counted == nil {
			n.Counted = map[string][]int64{}
		}
		n.Counted[k] = append(n.Counted[k], list...)
	}
}

// soakProcess is what the parent tells a process that writes.
type soakProcess struct {
	Name     string
	Old, New string
	Writers  int
	Seed     uint64
	Twice    bool // clusters: their client repeats what it sent on a connection that broke
}

func (p soakProcess) open(ctx context.Context) (*Split, error) {
	var ends [2]*Endpoint
	for i, url := range []string{p.Old, p.New} {
		o, err := redis.ParseURL(url)
		if err != nil {
			return nil, err
		}
		o.MaxRetries = -1
		ends[i] = &Endpoint{Options: o}
	}
	opt := soakSplit()
	if p.Seed%2 == 0 { // it is behind the others in each step
		opt.Refresh = 450 * time.Millisecond
	}
	return NewSplit(ctx, Move{From: ends[0], To: ends[1], Keys: sessions}, opt)
}

func soakSplit() SplitOptions {
	return SplitOptions{Refresh: 50 * time.Millisecond, MaxAge: time.Second, CommandTimeout: 2 * time.Second, Logger: slog.New(slog.DiscardHandler)}
}

// TestSoakSplitToBeKilled is the process that writes, until its standard input is closed; on its own it does nothing.
func TestSoakSplitToBeKilled(t *testing.T) {
	text := os.Getenv("TASHIKAME_SOAK_SPLIT")
	if text == "" {
		return
	}
	var p soakProcess
	require.NoError(t, json.Unmarshal([]byte(text), &p))
	var s *Split
	require.Eventually(t, func() (ok bool) {
		var err error
		if s, err = p.open(t.Context()); err != nil {
			fmt.Println("open:", err)
		}
		return err == nil
	}, time.Minute, 100*time.Millisecond)
	var stop atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop.Store(true)
	}()
	fmt.Println("writing")
	counts := make([]soakCount, p.Writers)
	var all sync.WaitGroup
	for w := range p.Writers {
		all.Go(func() { counts[w] = p.write(s, w, &stop) })
	}
	all.Wait()
	var sum soakCount
	for _, n := range counts {
		sum.add(n)
	}
	out, err := json.Marshal(sum)
	require.NoError(t, err)
	fmt.Printf("sum %s\n", out)
	require.NoError(t, s.Close())
}

// sharedCounters are keys that all processes count with.
const sharedCounters = 100

// write is one writer: it does things to its own objects, and counts with the others, until it is told to stop; then it looks at everything once more.
func (p soakProcess) write(s *Split, w int, stop *atomic.Bool) (n soakCount) {
	r := rand.New(rand.NewPCG(p.Seed, uint64(w))) //nolint:gosec // the same each time
	n.Counted = map[string][]int64{}
	c, ctx := s.Client(), context.Background()
	var objects []*oracle
	for i := range 40 {
		kind := objectKinds()[i%len(objectKinds())]
		o := &oracle{kind: kind, may: map[string]bool{"": true}, twice: p.Twice}
		for k := range kind.keys {
			o.keys = append(o.keys, fmt.Sprintf("session:{%s:%d:%d}:%d", p.Name, w, i, k))
		}
		objects = append(objects, o)
	}
	wrong := func(err error) {
		if err != nil && len(n.Wrong) < 20 {
			n.Wrong = append(n.Wrong, err.Error())
			fmt.Printf("wrong in state %s: %v\n", s.State(), err)
		}
	}
	for !stop.Load() {
		if r.IntN(3) == 0 {
			key := fmt.Sprintf("session:shared:%d", r.IntN(sharedCounters))
			switch got, err := c.Incr(ctx, key).Result(); judgeError(err) {
			case written:
				n.Written++
				n.Counted[key] = append(n.Counted[key], got)
			case ambiguous:
				n.Ambiguous++
			case notWritten:
				n.NotWritten++
			}
			continue
		}
		wrong(objects[r.IntN(len(objects))].act(ctx, c, r, &n))
	}
	for _, o := range objects {
		for range 50 { // until it can be read
			unread := n.Unread
			wrong(o.look(ctx, c, &n))
			if n.Unread == unread {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	return n
}

// soakChild is a running process that writes.
type soakChild struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	sum   chan soakCount // closed without a sum if it was killed
}

func startSoakChild(t *testing.T, p soakProcess) *soakChild {
	t.Helper()
	text, err := json.Marshal(p)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0], "-test.run", "^TestSoakSplitToBeKilled$", "-test.timeout", "3h")
	cmd.Env = append(os.Environ(), "TASHIKAME_SOAK_SPLIT="+string(text))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	c := &soakChild{cmd: cmd, stdin: stdin, sum: make(chan soakCount, 1)}
	begun := make(chan struct{})
	go func() {
		defer close(c.sum)
		in := bufio.NewScanner(out)
		in.Buffer(nil, 64<<20)
		for in.Scan() {
			line := in.Text()
			switch {
			case line == "writing":
				close(begun)
			case strings.HasPrefix(line, "sum "):
				var n soakCount
				if err := json.Unmarshal([]byte(line[4:]), &n); err == nil {
					c.sum <- n
				}
			case strings.HasPrefix(line, "wrong"), strings.HasPrefix(line, "open:"), strings.Contains(line, "DATA RACE"), strings.HasPrefix(line, "panic"):
				fmt.Printf("%s: %s\n", p.Name, line)
			}
		}
		_ = cmd.Wait()
	}()
	select {
	case <-begun:
	case <-time.After(time.Minute):
		t.Fatal("the process did not begin to write")
	}
	return c
}

// end lets a process come to its end and returns what it counted.
func (c *soakChild) end(t *testing.T) soakCount {
	t.Helper()
	require.NoError(t, c.stdin.Close())
	select {
	case n, ok := <-c.sum:
		require.True(t, ok, "the process ended without a word")
		return n
	case <-time.After(2 * time.Minute):
		t.Fatal("the process does not end")
	}
	return soakCount{}
}

// TestSoakSplitLosesNothing goes through all states, back, and on to the end, while two processes write, connections are cut, servers stand still, a process is killed and, on clusters,
// masters fail over.
func TestSoakSplitLosesNothing(t *testing.T) {
	t.Parallel()
	durable := []string{"--appendonly", "yes", "--appendfsync", "always"}
	stay := 400 * time.Millisecond // in each state, beside what the steps take
	soak := os.Getenv("TASHIKAME_SOAK") != ""
	var p soakProcess
	var chaos *splitChaos
	if soak {
		old, fresh := servers.RedisCluster(t, servers.RedisKind{}, durable...), servers.RedisCluster(t, servers.RedisKind{}, durable...)
		p = soakProcess{Old: at(old).URL, New: at(fresh).URL, Writers: 4, Twice: true}
		chaos = &splitChaos{clusters: []*servers.RedisClusterServer{old, fresh}}
		stay = 110 * time.Second // twenty minutes in all
	} else {
		old, fresh := own(t, durable...), own(t, durable...)
		p = soakProcess{Old: old.URL, New: fresh.URL, Writers: 4}
		chaos = &splitChaos{servers: []*servers.RedisServer{old, fresh}}
	}
	s, err := p.open(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.NoError(t, s.Begin(t.Context()))
	sees(t, SplitOld, s)
	process := func(name string, seed uint64) *soakChild {
		q := p
		q.Name, q.Seed = name, seed
		return startSoakChild(t, q)
	}
	a, b := process("a", 1), process("b", 2)
	begin := time.Now()
	var all soakCount
	chaos.start(t)
	go_ := func(to SplitState) {
		t.Helper()
		until := time.Now().Add(3 * time.Minute)
		for {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			err := error(nil)
			if l, lerr := s.current(); lerr == nil && !l.state.direct() {
				_, err = s.Sweep(ctx, SweepOptions{})
			}
			if err == nil {
				err = s.Step(ctx, to)
			}
			cancel()
			if err == nil {
				break
			}
			if time.Now().After(until) {
				require.NoError(t, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		sees(t, to, s)
		t.Logf("%6.1fs %s", time.Since(begin).Seconds(), to)
		time.Sleep(stay)
	}
	time.Sleep(stay)
	go_(SplitHome)
	go_(SplitAway)
	require.NoError(t, b.cmd.Process.Kill())
	b = process("c", 3)
	go_(SplitNew)
	all.add(a.end(t)) // the other process rolls
	a = process("d", 4)
	for _, to := range []SplitState{SplitAway, SplitHome, SplitOld, SplitHome, SplitAway, SplitNew, SplitSealed} {
		go_(to)
	}
	chaos.end(t)
	for _, child := range []*soakChild{a, b} {
		all.add(child.end(t))
	}
	for key, list := range all.Counted {
		seen := map[int64]bool{}
		for _, n := range list {
			require.False(t, seen[n], "%s: INCR answered %d twice: one of the two was lost", key, n)
			seen[n] = true
		}
	}
	require.Empty(t, all.Wrong)
	audit, err := s.Audit(t.Context(), SplitSealed)
	require.NoError(t, err)
	require.Equal(t, int64(0), audit.Old)
	require.True(t, audit.Clean())
	n, err := s.Forget(t.Context())
	require.NoError(t, err)
	t.Logf("in %s: %d writes, %d ambiguous, %d not sent, %d reads, %d unread; %s; %d records forgotten; nothing lost, stale or resurrected",
		time.Since(begin).Round(time.Second), all.Written, all.Ambiguous, all.NotWritten, all.Read, all.Unread, chaos, n)
	require.Greater(t, all.Written, int64(1000))
	require.Positive(t, all.Ambiguous, "the chaos was none")
}
