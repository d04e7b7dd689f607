package redismigrate

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// soakPrune is what the parent tells the process that it kills.
type soakPrune struct{ Source, Target, Plan string }

// slowly makes a prune of a few thousand keys last long enough to be hit in the middle.
func slowly() PruneOptions {
	return PruneOptions{AllowClients: true, ScanCount: 50, Batch: 10, Progress: func(Progress) { time.Sleep(4 * time.Millisecond) }}
}

func (s soakPrune) load() (*PrunePlan, error) {
	file, err := os.Open(s.Plan)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return LoadPrunePlan(file, &Endpoint{URL: s.Source, AllDBs: true}, &Endpoint{URL: s.Target, AllDBs: true}, Selector{}, slowly())
}

// TestSoakPruneToBeKilled is the process that the next test kills; on its own it does nothing.
func TestSoakPruneToBeKilled(t *testing.T) {
	text := os.Getenv("TASHIKAME_SOAK_PRUNE")
	if text == "" {
		return
	}
	var s soakPrune
	require.NoError(t, json.Unmarshal([]byte(text), &s))
	p, err := s.load()
	require.NoError(t, err)
	fmt.Println("running")
	_, err = p.Apply(context.Background(), p.Confirmation())
	require.NoError(t, err)
}

// The program, and separately the target, are killed at random moments of a prune. After it was finished the target holds exactly the
// sessions, and the source what it held.
func TestSoakPruneKilled(t *testing.T) {
	t.Parallel()
	kills := 3
	if os.Getenv("TASHIKAME_SOAK") != "" {
		kills = 100
	}
	source := own(t)
	target := servers.OwnRedis(t, "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "yes")
	fillMixed(t, source, 6000)
	unchanged(t, source)
	random := rand.New(rand.NewPCG(7, uint64(kills)))
	planned := func(t *testing.T) *PrunePlan {
		t.Helper()
		require.NoError(t, target.Client.FlushAll(t.Context()).Err())
		copied(t, source, target)
		p, err := PlanPrune(t.Context(), all(source), all(target), sessions, slowly())
		require.NoError(t, err)
		return p
	}
	finished := func(t *testing.T, p *PrunePlan) {
		t.Helper()
		r, err := p.Apply(t.Context(), p.Confirmation())
		require.NoError(t, err)
		require.EqualValues(t, 1500, r.Kept)
		verified(t, Move{From: all(source), To: all(target), Keys: sessions})
	}
	t.Run("program", func(t *testing.T) {
		midway := 0
		for range kills {
			p := planned(t)
			s := soakPrune{source.URL, target.URL, filepath.Join(t.TempDir(), "plan.json")}
			require.NoError(t, os.WriteFile(s.Plan, saved(t, p), 0o600))
			cmd := exec.Command(os.Args[0], "-test.run=^TestSoakPruneToBeKilled$")
			text, err := json.Marshal(s)
			require.NoError(t, err)
			cmd.Env = append(os.Environ(), "TASHIKAME_SOAK_PRUNE="+string(text))
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			_, err = io.ReadFull(out, make([]byte, len("running")))
			require.NoError(t, err)
			time.Sleep(time.Duration(random.IntN(400_000)) * time.Microsecond)
			require.NoError(t, cmd.Process.Kill())
			_ = cmd.Wait()
			left := keysOf(t, target)
			if left > 1500 && left < 6000 {
				midway++
			}
			again, err := s.load()
			require.NoError(t, err)
			if left == 1500 { // it was as good as over; then its canaries may be gone
				verified(t, Move{From: all(source), To: all(target), Keys: sessions})
				continue
			}
			finished(t, again)
		}
		t.Logf("%d kills of the program, %d of them in the middle", kills, midway)
		require.GreaterOrEqual(t, midway, kills/10)
	})
	t.Run("target", func(t *testing.T) {
		midway := 0
		for range kills {
			p := planned(t)
			killed := make(chan error, 1)
			started := make(chan struct{})
			once := false
			p.opt.Progress = func(Progress) {
				if !once {
					once = true
					close(started)
				}
				time.Sleep(4 * time.Millisecond)
			}
			pause := time.Duration(random.IntN(400_000)) * time.Microsecond
			go func() {
				<-started
				time.Sleep(pause)
				killed <- target.Kill()
			}()
			r, err := p.Apply(t.Context(), p.Confirmation())
			require.NoError(t, <-killed)
			require.NoError(t, target.Start())
			left := keysOf(t, target)
			if err == nil {
				require.True(t, r.Complete)
				verified(t, Move{From: all(source), To: all(target), Keys: sessions})
				continue
			}
			require.False(t, r.Complete)
			require.LessOrEqual(t, left, 6000-r.Deleted, "what was counted as deleted stays so")
			if r.Deleted > 0 && r.Deleted < 4500 {
				midway++
			}
			_, err = p.Apply(t.Context(), p.Confirmation())
			require.ErrorIs(t, err, ErrRefused, "another process answers")
			fresh, err := PlanPrune(t.Context(), all(source), all(target), sessions, slowly()) // the dead plan's canaries are still there
			require.NoError(t, err)
			require.EqualValues(t, 1500, fresh.Total().Keep, "no kept key was lost")
			finished(t, fresh)
		}
		t.Logf("%d kills of the target, %d of them in the middle", kills, midway)
		require.GreaterOrEqual(t, midway, kills/10)
	})
}

// keysOf counts the keys of a mixed server, without canaries.
func keysOf(t *testing.T, s *servers.RedisServer) (n int64) {
	t.Helper()
	for _, db := range mixedDBs {
		c := client(t, s, db)
		n += c.DBSize(t.Context()).Val() - int64(len(c.Keys(t.Context(), canaryPrefix+"*").Val()))
	}
	return n
}
