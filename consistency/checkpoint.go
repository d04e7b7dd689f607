package consistency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	defaultCheckpointEvery  = 10 * time.Second
	defaultCheckpointMaxAge = 24 * time.Hour
)

// Checkpoints keeps how far a long look has come. FileCheckpoints is one. It holds keys and values of rows: keep it as safe as the data.
type Checkpoints interface {
	// LoadCheckpoint returns what was saved last under the name of a check; nil: nothing.
	LoadCheckpoint(ctx context.Context, check string) ([]byte, error)
	// SaveCheckpoint replaces it, all or nothing. Nil: forget it.
	SaveCheckpoint(ctx context.Context, check string, data []byte) error
}

// checkpointVersion changes with what a checkpoint holds: one of another version is not used.
const checkpointVersion = 1

// checkpoint is how far a look has come and what it had found.
type checkpoint struct {
	Version     int
	Fingerprint string // of the declaration
	Saved       time.Time
	After       [][]byte // the last key that was compared, in the neutral form
	Examined    [2]int64
	// Suspects are the keys that were kept; their rows are read again at the start. Beyond counts those past the cap.
	Suspects []string
	Beyond   counts
}

// fingerprint is a digest of all that decides what a look means; a checkpoint of another declaration is not used. It cannot see where a *sql.DB leads.
func (r Reconcile) fingerprint() string {
	l := r.layout()
	var b bytes.Buffer
	for _, s := range []Source{r.Left, r.Right} {
		if raw, ok := s.(rawSource); ok {
			fmt.Fprintf(&b, "%T %s\n", s, raw.describe())
		} else {
			fmt.Fprintf(&b, "%T\n", s)
		}
	}
	fmt.Fprintf(&b, "%q %d %d %q %q %d %s\n", l.names, l.keys, l.compared, l.mask, r.Name, r.MaxRows, r.AsOf.UTC())
	for _, c := range l.rules {
		location := "UTC"
		if c.Location != nil {
			location = c.Location.String()
		}
		c.Location = nil
		fmt.Fprintf(&b, "%+v %q\n", c, location)
	}
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:])
}

// resume compares from where the last look left off, if it left a checkpoint, and leaves one from time to time and when it is cut off.
func (r Reconcile) resume(ctx context.Context, found *differences) error {
	from, err := r.loadCheckpoint(ctx)
	if err != nil {
		return err
	}
	if from != nil {
		ok, err := r.verify(ctx, from, found)
		if err != nil {
			return err
		}
		if !ok {
			from = nil
			*found = *newDifferences(r)
		}
	}
	var after neutralKey
	if from != nil {
		for _, part := range from.After {
			after = append(after, string(part))
		}
	}
	progress := &progress{r: r, found: found, next: time.Now().Add(r.checkpointEvery())}
	progress.last = keyCells(after)
	found.visited = func(row []byte) error { return progress.visited(ctx, row) }
	err = merge(ctx, [2]Source{r.Left, r.Right}, newMeeting(r.layout()), after, nil, found)
	if err != nil {
		cutOff := ctx.Err() != nil || errors.Is(err, errTimeLimit) || !isPermanent(err) // and not, for example, a source that is out of order
		if progress.compared && cutOff {
			back, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
			defer cancel()
			err = errors.Join(err, progress.save(back))
		}
		return err
	}
	// A look that ends well leaves nothing behind.
	return r.checkpointError(r.Checkpoints.SaveCheckpoint(ctx, r.Name, nil))
}

func (r Reconcile) checkpointEvery() time.Duration {
	if r.CheckpointEvery == 0 {
		return defaultCheckpointEvery
	}
	return r.CheckpointEvery
}

func (r Reconcile) checkpointError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the checkpoint could not be kept, so that a look that is cut off would begin anew: %w: mend what Reconcile.Checkpoints writes to, or do without", err)
}

// loadCheckpoint returns the checkpoint to go on from; nil: there is none, or it is too old, of another declaration or not readable.
func (r Reconcile) loadCheckpoint(ctx context.Context) (*checkpoint, error) {
	data, err := r.Checkpoints.LoadCheckpoint(ctx, r.Name)
	if err != nil {
		return nil, r.checkpointError(err)
	}
	var c checkpoint
	if data == nil || !c.read(data) {
		return nil, nil //nolint:nilnil // none
	}
	maxAge := r.CheckpointMaxAge
	if maxAge == 0 {
		maxAge = defaultCheckpointMaxAge
	}
	age := time.Since(c.Saved)
	if c.Version != checkpointVersion || c.Fingerprint != r.fingerprint() || age > maxAge || age < 0 || len(c.After) != len(r.Key) {
		return nil, nil //nolint:nilnil // none
	}
	return &c, nil
}

// read reports whether data is a checkpoint, for example no torn one.
func (c *checkpoint) read(data []byte) bool { return json.Unmarshal(data, c) == nil }

// verify looks again at what was found before the look was cut off: what is right by now is not carried on. ok is false where that is not possible by key.
func (r Reconcile) verify(ctx context.Context, c *checkpoint, found *differences) (ok bool, err error) {
	suspects := make([]Violation, len(c.Suspects))
	for i, key := range c.Suspects {
		suspects[i] = Violation{Key: key}
	}
	again := newDifferences(r)
	again.maxRows = max(len(suspects), 1)
	if err := r.byKey(ctx, suspects, again); errors.Is(err, errNoFetch) && len(suspects) > 0 {
		return false, nil
	} else if err != nil && !errors.Is(err, errNoFetch) {
		return false, err
	}
	// Those past the cap cannot be looked at again: they stay counted.
	found.kept, found.keptCounts, found.bytes = again.kept, again.keptCounts, again.bytes
	found.counts = again.counts.plus(c.Beyond)
	found.examined = c.Examined
	return true, nil
}

// progress leaves checkpoints.
type progress struct {
	r        Reconcile
	found    *differences
	next     time.Time
	last     []byte // the last key that was compared, as cells
	rows     int
	compared bool
}

func (p *progress) visited(ctx context.Context, row []byte) error {
	p.last = append(p.last[:0], row[:keyEnd(row, p.found.p.keys)]...)
	p.compared = true
	if p.rows++; p.rows%1024 != 0 || time.Now().Before(p.next) {
		return nil
	}
	p.next = time.Now().Add(p.r.checkpointEvery())
	return p.save(ctx)
}

func (p *progress) save(ctx context.Context) error {
	d := p.found
	c := checkpoint{Version: checkpointVersion, Fingerprint: p.r.fingerprint(), Saved: time.Now(), Examined: d.examined, Beyond: d.counts.minus(d.keptCounts)}
	for _, text := range keyOf(p.last, d.p.keys) {
		c.After = append(c.After, []byte(text))
	}
	for _, v := range d.kept {
		c.Suspects = append(c.Suspects, v.Key)
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return p.r.checkpointError(p.r.Checkpoints.SaveCheckpoint(ctx, p.r.Name, data))
}
