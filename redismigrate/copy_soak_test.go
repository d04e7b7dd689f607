package redismigrate

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// copyProcess is what the parent tells the process that it kills.
type copyProcess struct{ From, To, Checkpoint string }

func (p copyProcess) move() Move {
	return Move{From: &Endpoint{URL: p.From, AllDBs: true}, To: &Endpoint{URL: p.To, AllDBs: true}, Keys: sessions}
}

// options make a copy last long enough to be killed at any stage.
func (p copyProcess) options() CopyOptions {
	return CopyOptions{Checkpoint: FileCheckpoint(p.Checkpoint), Batch: 20, ScanCount: 200, Workers: 2, MaxWait: 5 * time.Second, savePause: time.Millisecond}
}

// TestSoakCopyToBeKilled is the process that the next test kills; on its own it does nothing.
func TestSoakCopyToBeKilled(t *testing.T) {
	text := os.Getenv("TASHIKAME_SOAK_COPY")
	if text == "" {
		return
	}
	var p copyProcess
	require.NoError(t, json.Unmarshal([]byte(text), &p))
	opt := p.options()
	opt.Progress = slow(func() { fmt.Println("copying") })
	_, err := Copy(context.Background(), p.move(), opt)
	fmt.Println("ended:", err)
}

// slow makes a copy last, and says when its first keys are on their way.
func slow(begun func()) func(Progress) {
	var once sync.Once
	return func(Progress) {
		once.Do(begun)
		time.Sleep(10 * time.Millisecond)
	}
}

// soakKills is how often each kind of process is killed.
func soakKills() int {
	if os.Getenv("TASHIKAME_SOAK") != "" {
		return 100
	}
	return 3
}

// Wherever the program, the source or the target is killed, the copy goes on from its checkpoint and ends exact: every selected key is
// there, equal, and nothing else is.
func TestSoakCopyKilledAtRandomMomentsEndsExact(t *testing.T) {
	t.Parallel()
	durable := []string{"--appendonly", "yes", "--appendfsync", "always"}
	source, target := own(t, durable...), own(t, durable...)
	const n = 6000
	keep, _ := fillMixed(t, source, n)
	var total int64
	for _, k := range keep {
		total += k
	}
	unchanged(t, source)
	ctx := t.Context()
	for _, victim := range []string{"program", "source", "target"} {
		t.Run(victim, func(t *testing.T) {
			var midway, resumed int
			kills := soakKills()
			for kill := 0; kill < kills || midway == 0 && kill < 10*kills; kill++ {
				require.NoError(t, target.Client.FlushAll(ctx).Err())
				p := copyProcess{From: source.URL, To: target.URL, Checkpoint: filepath.Join(t.TempDir(), fmt.Sprint(kill, ".json"))}
				delay := time.Duration(rand.IntN(300_000)) * time.Microsecond
				switch victim {
				case "program":
					p.killed(t, delay)
				case "source":
					require.NoError(t, p.whileKilled(t, source, delay))
				case "target":
					require.NoError(t, p.whileKilled(t, target, delay))
				}
				before := int64(0)
				for _, db := range mixedDBs {
					c := redis.NewClient(&redis.Options{Addr: target.Addr, DB: db})
					before += c.DBSize(ctx).Val()
					c.Close()
				}
				if before > 0 && before < total {
					midway++
				}
				r, err := Copy(ctx, p.move(), p.options())
				for err != nil && strings.Contains(err.Error(), "LOADING") { // opening is not tried again
					r, err = Copy(ctx, p.move(), p.options())
				}
				if err != nil {
					require.ErrorIs(t, err, ErrFinished)
				}
				if strings.Contains(strings.Join(r.Notes, "\n"), "went on from the checkpoint") {
					resumed++
				}
				require.Zero(t, r.Differs)
				require.Equal(t, total, r.Copied+r.Exists+r.Unclear, "%v", r)
				verified(t, p.move())
			}
			t.Logf("%d kills of the %s, %d of them midway, %d went on from a checkpoint: all %d keys there each time, and nothing else", soakKills(), victim, midway, resumed, total)
			require.Positive(t, midway, "no kill met a running copy")
			if victim == "program" { // a restarted server is another process, so that its part begins anew
				require.Positive(t, resumed, "no checkpoint was of use")
			}
		})
	}
}

// killed runs the copy in a process of its own, and kills it after a while.
func (p copyProcess) killed(t *testing.T, after time.Duration) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestSoakCopyToBeKilled$")
	text, err := json.Marshal(p)
	require.NoError(t, err)
	cmd.Env = append(os.Environ(), "TASHIKAME_SOAK_COPY="+string(text))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(out)
	for line := ""; line != "copying\n"; {
		line, err = lines.ReadString('\n')
		require.NoError(t, err)
	}
	time.Sleep(after)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
}

// whileKilled runs the copy here while a server is killed and started again.
func (p copyProcess) whileKilled(t *testing.T, s *servers.RedisServer, after time.Duration) error {
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		opt := p.options()
		opt.Progress = slow(func() { close(started) })
		_, err := Copy(t.Context(), p.move(), opt)
		ended <- err
	}()
	select {
	case <-started:
	case err := <-ended:
		return fmt.Errorf("it ended before it began: %w", err)
	}
	time.Sleep(after)
	if err := s.Kill(); err != nil {
		return err
	}
	if err := s.Start(); err != nil {
		return err
	}
	if err := <-ended; err != nil && !strings.Contains(err.Error(), s.Addr) {
		return fmt.Errorf("the error does not name the server: %w", err)
	}
	return nil
}
