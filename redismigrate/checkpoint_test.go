package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// onDisk is a checkpoint of a test.
func onDisk(t *testing.T) (Checkpoint, string) {
	path := filepath.Join(t.TempDir(), "copy.json")
	return FileCheckpoint(path), path
}

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	onOnePair(t, map[string]func(t *testing.T, source, target *servers.RedisServer){
		"goesOnFromACheckpoint":             goesOnFromACheckpoint,
		"aCheckpointOfAnotherPlanIsRefused": aCheckpointOfAnotherPlanIsRefused,
		"aCheckpointThatCannotBeUsed":       aCheckpointThatCannotBeUsed,
	})
}

// stopAfter copies until about n keys are done, and stops.
func stopAfter(t *testing.T, m Move, opt CopyOptions, n int64) Result {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	opt.Workers, opt.Batch, opt.ScanCount = 2, 50, 100
	opt.Progress = func(p Progress) {
		if p.Done >= n {
			cancel()
		}
	}
	r, err := Copy(ctx, m, opt)
	require.ErrorIs(t, err, context.Canceled)
	return r
}

func goesOnFromACheckpoint(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	const n = 6000
	fillMixed(t, source, n)
	unchanged(t, source)
	m := Move{From: all(source), To: all(target), Keys: everything}
	cp, path := onDisk(t)
	first := stopAfter(t, m, CopyOptions{Checkpoint: cp}, 1000)
	require.Positive(t, first.Copied)
	require.Less(t, first.Copied, int64(n))

	// What was done is not even looked at again.
	var scanned atomic.Int64
	second, err := Copy(ctx, m, CopyOptions{Checkpoint: cp, Progress: func(p Progress) {
		if p.DB == 0 {
			scanned.Store(p.Scanned)
		}
	}})
	require.NoError(t, err)
	require.EqualValues(t, n, second.Copied+second.Exists)
	require.Zero(t, second.Differs)
	require.Contains(t, strings.Join(second.Notes, "\n"), "went on from the checkpoint")
	require.Less(t, scanned.Load(), int64(n/len(mixedDBs)-500))
	verified(t, m)

	// A copy that is done says so, and counts what was done.
	third, err := Copy(ctx, m, CopyOptions{Checkpoint: cp})
	require.ErrorIs(t, err, ErrFinished)
	require.ErrorContains(t, err, path)
	require.Equal(t, second.Tally, third.Tally)
	require.False(t, third.Complete)

	// What it says does not hold for a target that was emptied.
	require.NoError(t, target.Client.FlushAll(ctx).Err())
	fourth, err := Copy(ctx, m, CopyOptions{Checkpoint: cp})
	require.NoError(t, err)
	require.EqualValues(t, n, fourth.Copied)
	require.Contains(t, strings.Join(fourth.Notes, "\n"), "holds no keys any more")
	verified(t, m)

	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Less(t, info.Size(), int64(8<<10))
}

func aCheckpointOfAnotherPlanIsRefused(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	fillMixed(t, source, 600)
	third := own(t)
	cp, path := onDisk(t)
	m := Move{From: all(source), To: all(target), Keys: sessions}
	stopAfter(t, m, CopyOptions{Checkpoint: cp}, 1)
	require.NoError(t, target.Client.FlushAll(ctx).Err())
	for says, other := range map[string]Move{
		`it selects sessions (include ["session:*"]), this plan everything`: {From: all(source), To: all(target), Keys: everything},
		"its source is " + source.Addr:                                      {From: all(third), To: all(target), Keys: sessions},
		"its target is " + target.Addr:                                      {From: all(source), To: all(third), Keys: sessions},
		"it is about all dbs of the source, this plan about db 0":           {From: &Endpoint{URL: source.URL}, To: &Endpoint{URL: target.URL}, Keys: sessions},
		"its DBMap is map[], this plan's map[1:7]":                          {From: all(source), To: all(target), Keys: sessions, DBMap: map[int]int{1: 7}},
	} {
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		r, err := Copy(ctx, other, CopyOptions{Checkpoint: cp})
		require.ErrorIs(t, err, ErrRefused)
		require.ErrorContains(t, err, says)
		require.ErrorContains(t, err, path)
		require.Zero(t, r.Copied)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(before), string(after))
	}
	// Under another name the source is the same.
	port := source.Addr[strings.LastIndex(source.Addr, ":"):]
	_, err := Copy(ctx, Move{From: &Endpoint{URL: "redis://localhost" + port, AllDBs: true}, To: all(target), Keys: sessions}, CopyOptions{Checkpoint: cp})
	require.NoError(t, err)
}

type brokenCheckpoint struct{ loaded, saves error }

func (b brokenCheckpoint) Load(context.Context) ([]byte, error) { return nil, b.loaded }
func (b brokenCheckpoint) Save(context.Context, []byte) error   { return b.saves }

func aCheckpointThatCannotBeUsed(t *testing.T, source, target *servers.RedisServer) {
	ctx := t.Context()
	fillMixed(t, source, 600)
	m := Move{From: all(source), To: all(target), Keys: sessions}
	_, path := onDisk(t)
	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	full := errors.New("disk full")
	for says, cp := range map[string]Checkpoint{
		"cannot be read":      FileCheckpoint(path),
		"the path is empty":   FileCheckpoint(""),
		"no such file":        FileCheckpoint(filepath.Join(t.TempDir(), "none", "x.json")),
		"load the checkpoint": brokenCheckpoint{loaded: full},
		"save the checkpoint": brokenCheckpoint{saves: full},
	} {
		begun := time.Now()
		_, err := Copy(ctx, m, CopyOptions{Checkpoint: cp})
		require.ErrorContains(t, err, says)
		require.Less(t, time.Since(begun), 15*time.Second, "it is not waited for")
		require.Zero(t, target.Client.DBSize(ctx).Val(), "nothing is written without it")
	}
}

// A restarted server is another process: cursors are void at the source, and what the target has kept is not known.
func TestACheckpointOutlivesRestartsOfTheServers(t *testing.T) {
	t.Parallel()
	args := []string{"--appendonly", "yes", "--appendfsync", "always"}
	source, target := own(t, args...), own(t, args...)
	keep, drop := fillMixed(t, source, 3000)
	var total int64
	for _, n := range []map[int]int64{keep, drop} {
		for _, n := range n {
			total += n
		}
	}
	m := Move{From: all(source), To: all(target), Keys: everything}
	for _, s := range []*servers.RedisServer{source, target} {
		cp, _ := onDisk(t)
		stopAfter(t, m, CopyOptions{Checkpoint: cp}, 500)
		require.NoError(t, s.Kill())
		_, err := Copy(t.Context(), m, CopyOptions{Checkpoint: cp, MaxWait: time.Millisecond})
		require.ErrorContains(t, err, s.Addr)
		require.NoError(t, s.Start())
		r, err := Copy(t.Context(), m, CopyOptions{Checkpoint: cp})
		require.NoError(t, err)
		require.Contains(t, strings.Join(r.Notes, "\n"), "was restarted")
		require.Equal(t, total, r.Copied+r.Exists)
		verified(t, m)
		require.NoError(t, target.Client.FlushAll(t.Context()).Err())
	}
}

// The cursor moves over pages in their order, whatever order they are done in.
func TestTheCursorWaitsForTheOldestPage(t *testing.T) {
	c := &copier{}
	c.saver = &saver{copier: c}
	w := c.saver.walk("a", 0)
	var pages []*pageWork
	for i := range 3 {
		p := &pageWork{walk: w, next: fmt.Sprint(10 * (i + 1)), open: 2}
		pages = append(pages, p)
		w.pages = append(w.pages, p)
	}
	pages[2].next = "0"
	db := &DBTally{}
	step := func(page int, cursor string, copied int64) {
		c.done(pages[page], db, 1, Tally{Copied: 1})
		require.Equal(t, cursor, w.Cursor)
		require.Equal(t, copied, w.Tally.Copied)
	}
	step(1, "0", 0)
	step(1, "0", 0)
	step(0, "0", 0)
	require.False(t, c.saver.dirty)
	step(0, "20", 4)
	require.True(t, c.saver.dirty)
	step(2, "20", 4)
	step(2, scanDone, 6)
	require.EqualValues(t, 6, db.Copied)
	require.Same(t, w, c.saver.walk("a", 0))
	require.NotSame(t, w, c.saver.walk("a", 1))
}

func TestSlotsOfANodeAreReadFromItsOwnLine(t *testing.T) {
	other := "b2 127.0.0.1:2@12,h master - 0 1 2 connected 5461-10922\n"
	text, settled := ownSlots(other + "a1 127.0.0.1:1@11,h myself,master - 0 1 1 connected 0-5459 5461\n")
	require.Equal(t, "a1 0-5459 5461", text)
	require.True(t, settled)
	_, settled = ownSlots(other + "a1 127.0.0.1:1@11,h myself,master - 0 1 1 connected 0-5460 [93->-b2]\n")
	require.False(t, settled)
	text, settled = ownSlots("a1 127.0.0.1:1@11,h myself,slave b2 0 1 1 connected\n")
	require.Equal(t, "a1", text)
	require.True(t, settled)
	_, settled = ownSlots(other)
	require.False(t, settled, "who does not name itself cannot be told")
}

func TestWhatPassesByItself(t *testing.T) {
	for _, err := range []error{
		serverError("MOVED 1 a:1"), serverError("ASK 1 a:1"), serverError("TRYAGAIN x"), serverError("LOADING x"), serverError("READONLY x"), serverError("CLUSTERDOWN x"),
		failAt("target", "a", "x", serverError("LOADING y")), context.DeadlineExceeded, errMeanwhile,
	} {
		require.True(t, transient(err), "%v", err)
	}
	for _, err := range []error{
		nil, serverError("OOM x"), serverError("BUSYKEY x"), serverError("NOPERM x"), redis.Nil, context.Canceled, &replacedError{},
		fmt.Errorf("%w: %w", errCheckpoint, &os.PathError{Op: "write", Path: "x", Err: os.ErrDeadlineExceeded}), errReply,
	} {
		require.False(t, transient(err), "%v", err)
	}
	addr, ask := redirected(failAt("target", "a:1", "x", serverError("ASK 3999 :6381")), "10.0.0.1:6379")
	require.Equal(t, "10.0.0.1:6381", addr)
	require.True(t, ask)
	addr, ask = redirected(serverError("MOVED 3999 h:6381"), "10.0.0.1:6379")
	require.Equal(t, "h:6381", addr)
	require.False(t, ask)
	addr, _ = redirected(serverError("TRYAGAIN"), "x:1")
	require.Empty(t, addr)
}
