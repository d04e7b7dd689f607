package consistency

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var errCut = errors.New("cut off")

// counting is a side of the numbers 0 to n-1, without those that are missing, and with other values where differs says so.
type counting struct {
	n       int
	missing map[int]bool
	differs map[int]bool
	cutAt   int // fail there; 0: never
	slow    time.Duration
	starts  *[]any // where it was asked to start
}

func (c counting) row(i int) Row { return Row{{"id", i}, {"v", c.differs[i]}} }

func (c counting) Rows(ctx context.Context, after []any) iter.Seq2[Row, error] {
	first := 0
	if after != nil {
		first = int(after[0].(int64)) + 1
	}
	if c.starts != nil {
		*c.starts = append(*c.starts, first)
	}
	return func(yield func(Row, error) bool) {
		for i := first; i < c.n; i++ {
			if c.slow > 0 && i%100 == 0 {
				time.Sleep(c.slow)
			}
			if c.cutAt > 0 && i == c.cutAt {
				yield(nil, errCut)
				return
			}
			if !c.missing[i] && !yield(c.row(i), nil) {
				return
			}
		}
	}
}

func (c counting) Lookup(_ context.Context, keys [][]any) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for _, k := range keys {
			if i := int(k[0].(int64)); i < c.n && !c.missing[i] && !yield(c.row(i), nil) {
				return
			}
		}
	}
}

func set(numbers ...int) map[int]bool {
	m := map[int]bool{}
	for _, n := range numbers {
		m[n] = true
	}
	return m
}

func countingCheck(t *testing.T) (Reconcile, *counting, *counting) {
	left := &counting{n: 20000, missing: set(5, 15000), starts: &[]any{}}
	right := &counting{n: 20000, missing: set(7, 9000, 15001), differs: set(3, 8000, 19999)}
	return Reconcile{
		Meta: Meta{Name: "数 / counting"}, Left: left, Right: right, Key: []Column{{Name: "id", Kind: KindInteger}}, Compare: []Column{{Name: "v", Kind: KindBool}},
		Checkpoints: FileCheckpoints{Dir: filepath.Join(t.TempDir(), "new", "dir")}, CheckpointEvery: time.Nanosecond,
	}, left, right
}

func checkpointFiles(t *testing.T, check Reconcile) []string {
	files, err := filepath.Glob(filepath.Join(check.Checkpoints.(FileCheckpoints).Dir, "*"))
	require.NoError(t, err)
	return files
}

func TestALookThatWasCutOffGoesOnWhereItWas(t *testing.T) {
	check, left, right := countingCheck(t)
	right.cutAt = 10000
	_, err := check.Run(t.Context())
	require.ErrorIs(t, err, errCut)
	require.Len(t, checkpointFiles(t, check), 1)

	// Meanwhile one row heals, another changes, a third that was right goes wrong where nobody looks again in this round.
	right.cutAt, left.missing, right.differs = 0, set(15000), set(3, 8000, 100, 19999)
	right.missing = set(7, 9000, 15001)
	f, err := check.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, "3 7 8000 9000 15000 15001 19999", keysOf(f.Violations))
	require.Equal(t, int64(7), f.Total)
	require.Equal(t, []Count{{"missing in left", 1}, {"missing in right", 3}, {"different", 3}}, f.Breakdown)
	starts := *left.starts
	require.Len(t, starts, 2)
	require.Greater(t, starts[1], 9000, "it did not begin anew")
	require.Less(t, starts[1], 10001)
	require.InDelta(t, 40000, f.Examined, 10)
	require.Empty(t, checkpointFiles(t, check), "a look that ends well leaves nothing behind")

	f, err = check.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, "3 7 100 8000 9000 15000 15001 19999", keysOf(f.Violations))
}

func TestACheckpointCountsWhatIsPastTheCap(t *testing.T) {
	check, _, right := countingCheck(t)
	check.MaxRows = 2
	whole, err := check.Run(t.Context())
	require.NoError(t, err)
	right.cutAt = 10000
	_, err = check.Run(t.Context())
	require.ErrorIs(t, err, errCut)
	right.cutAt = 0
	f, err := check.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, whole, f)
	require.Equal(t, int64(8), f.Total)
	require.Equal(t, "3 5", keysOf(f.Violations))
}

func TestACheckpointThatDoesNotFitIsNotUsed(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, check *Reconcile, file string){
		"none":          func(t *testing.T, _ *Reconcile, file string) { require.NoError(t, os.Remove(file)) },
		"torn":          func(t *testing.T, _ *Reconcile, file string) { require.NoError(t, os.Truncate(file, 100)) },
		"empty":         func(t *testing.T, _ *Reconcile, file string) { require.NoError(t, os.Truncate(file, 0)) },
		"other rules":   func(_ *testing.T, check *Reconcile, _ string) { check.Compare = []Column{{Name: "v", Kind: KindText}} },
		"other names":   func(_ *testing.T, check *Reconcile, _ string) { check.LeftName = "orders" },
		"fewer columns": func(_ *testing.T, check *Reconcile, _ string) { check.Compare = nil },
		"too old":       func(_ *testing.T, check *Reconcile, _ string) { check.CheckpointMaxAge = time.Nanosecond },
		"of the future": func(t *testing.T, _ *Reconcile, file string) {
			edit(t, file, func(c *checkpoint) { c.Saved = time.Now().Add(time.Hour) })
		},
		"newer version":  func(t *testing.T, _ *Reconcile, file string) { edit(t, file, func(c *checkpoint) { c.Version++ }) },
		"other key size": func(t *testing.T, _ *Reconcile, file string) { edit(t, file, func(c *checkpoint) { c.After = nil }) },
	} {
		t.Run(name, func(t *testing.T) {
			check, left, right := countingCheck(t)
			right.cutAt = 10000
			_, err := check.Run(t.Context())
			require.ErrorIs(t, err, errCut)
			change(t, &check, checkpointFiles(t, check)[0])
			right.cutAt = 0
			f, err := check.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, 0, (*left.starts)[1], "it begins anew")
			require.Equal(t, int64(20000-2+20000-3), f.Examined)
		})
	}
}

func edit(t *testing.T, file string, change func(*checkpoint)) {
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var c checkpoint
	require.NoError(t, json.Unmarshal(data, &c))
	change(&c)
	data, err = json.Marshal(c)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, data, 0o600))
}

func TestACheckpointThatCannotBeKeptIsSaid(t *testing.T) {
	check, _, _ := countingCheck(t)
	check.Checkpoints = FileCheckpoints{}
	_, err := check.Run(t.Context())
	require.ErrorContains(t, err, "FileCheckpoints.Dir is empty")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	check.Checkpoints = FileCheckpoints{Dir: file}
	_, err = check.Run(t.Context())
	require.ErrorContains(t, err, "the checkpoint could not be kept")
}

func TestASourceOutOfOrderLeavesNoCheckpoint(t *testing.T) {
	check, left, _ := countingCheck(t)
	check.CheckpointEvery = time.Hour
	check.Right = FuncSource(func(ctx context.Context, after []any) iter.Seq2[Row, error] {
		return func(yield func(Row, error) bool) {
			for row, err := range (counting{n: 5000}).Rows(ctx, after) {
				if !yield(row, err) {
					return
				}
			}
			yield(left.row(4), nil)
		}
	})
	_, err := check.Run(t.Context())
	require.ErrorContains(t, err, "out of order")
	require.Empty(t, checkpointFiles(t, check))
}

// TestScanToBeKilled is the process that the next test kills; on its own it does nothing.
func TestScanToBeKilled(t *testing.T) {
	if dir := os.Getenv("TASHIKAME_TEST_KILL_DIR"); dir != "" {
		check, left, right := countingCheck(t)
		left.slow, right.slow = 3*time.Millisecond, 3*time.Millisecond
		check.Checkpoints = FileCheckpoints{Dir: dir}
		f, err := check.Run(t.Context())
		require.NoError(t, err)
		fmt.Printf("FOUND %s of %d\n", keysOf(f.Violations), f.Total)
	}
}

// firstWord calls then when a process begins to print: how long it takes to start is nobody's business.
type firstWord struct {
	text strings.Builder
	then func()
	once sync.Once
}

func (w *firstWord) Write(b []byte) (int, error) {
	w.once.Do(w.then)
	return w.text.Write(b)
}

func TestNothingFoundIsLostWhenTheProcessIsKilled(t *testing.T) {
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(1, 2))
	killed := 0
	for deadline := time.Now().Add(2 * time.Minute); ; {
		require.True(t, time.Now().Before(deadline), "it never came to its end: no progress from kill to kill")
		cmd := osexec.Command(os.Args[0], "-test.run=^TestScanToBeKilled$", "-test.v")
		cmd.Env = append(os.Environ(), "TASHIKAME_TEST_KILL_DIR="+dir)
		out := &firstWord{then: func() {
			// Each life is longer than the one before, so that a slow machine comes to the end as well.
			time.AfterFunc(time.Duration(100+r.IntN(400)+100*killed)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		}}
		cmd.Stdout = out
		if cmd.Run() == nil {
			require.Contains(t, out.text.String(), "FOUND 3 5 7 8000 9000 15000 15001 19999 of 8\n")
			break
		}
		killed++
	}
	require.Positive(t, killed, "it has to be killed at least once to prove anything")
}
