package redismigrate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Checkpoint keeps what a copy needs to go on after it was killed: a small JSON document that holds run_ids, cursors and counts, no keys
// and no passwords. One copy at a time may use it.
type Checkpoint interface {
	// Load returns what Save was given last, or nil when there is nothing.
	Load(ctx context.Context) ([]byte, error)
	// Save replaces what is kept, wholly or not at all. It is called about once a second, never twice at the same time.
	Save(ctx context.Context, data []byte) error
}

// ErrFinished says that the checkpoint's copy had come to its end before: nothing was done now, and the Result counts what was done then.
// Verify tells whether it still holds.
var ErrFinished = errors.New("finished before")

// errCheckpoint marks what kept a checkpoint from being saved.
var errCheckpoint = errors.New("checkpoint")

const checkpointVersion = 1

// checkpointState is the document.
type checkpointState struct {
	Version  int         `json:"version"`
	Selector string      `json:"selector"`
	From     savedStore  `json:"from"`
	To       savedStore  `json:"to"`
	DBs      string      `json:"dbs"`
	DBMap    map[int]int `json:"db_map,omitempty"`
	Slots    string      `json:"slots,omitempty"` // of a source cluster
	Walks    []*nodeWalk `json:"walks"`
	Saved    time.Time   `json:"saved"`
	Finished bool        `json:"finished"`
}

// savedStore is a store as it was when the checkpoint was saved.
type savedStore struct {
	Addr   string   `json:"addr"`
	RunIDs []string `json:"run_ids"` // of its masters
}

func (s *session) saved() savedStore {
	out := savedStore{Addr: s.addr}
	for _, n := range s.nodes {
		out.RunIDs = append(out.RunIDs, n.id.runID)
	}
	slices.Sort(out.RunIDs)
	return out
}

// saver keeps the checkpoint of a running copy. Without a store it only holds the walks.
type saver struct {
	*copier
	store Checkpoint

	// The copier's lock is over what follows.
	state checkpointState
	dirty bool
	at    time.Time // of the last save
}

// resume reads the checkpoint, refuses that of another plan, and takes over as much of it as still holds.
func (c *copier) resume(ctx context.Context, slots slotMap) error {
	c.saver = &saver{copier: c, store: c.opt.Checkpoint, state: checkpointState{
		Version: checkpointVersion, Selector: c.keys.text, From: c.from.saved(), To: c.to.saved(),
		DBs: c.dbsText(), DBMap: c.move.DBMap, Slots: slots.text,
	}}
	if c.saver.store == nil {
		return nil
	}
	name := c.saver.name()
	data, err := c.saver.store.Load(ctx)
	if err != nil {
		return fmt.Errorf("load the %s: %w", name, err)
	}
	if len(data) > 0 {
		var old checkpointState
		if err := json.Unmarshal(data, &old); err != nil {
			return fmt.Errorf("the %s cannot be read: %w; if it is not wanted any more, remove it: the copy then begins anew, and leaves what is there", name, err)
		}
		if what := c.saver.state.differs(old, c.from, c.to); what != "" {
			return refuse("the %s belongs to another plan: %s; give the Move that it was made for, or another checkpoint", name, what)
		}
		if err := c.takeOver(ctx, old, slots); err != nil {
			return err
		}
	}
	c.saver.dirty = true // what cannot be written shows now
	return c.saver.save(ctx)
}

func (s *saver) name() string {
	if named, ok := s.store.(fmt.Stringer); ok {
		return "checkpoint " + named.String()
	}
	return "checkpoint"
}

func (c *copier) dbsText() string {
	if c.from.all {
		return "all dbs"
	}
	return c.from.coverageText()
}

// differs says in what the plan of an older checkpoint is not this one. A restarted server is the same store at the same address.
func (s checkpointState) differs(old checkpointState, from, to *session) string {
	switch {
	case old.Version != s.Version:
		return fmt.Sprintf("it is of format %d, this program's is %d", old.Version, s.Version)
	case old.Selector != s.Selector:
		return fmt.Sprintf("it selects %s, this plan %s", old.Selector, s.Selector)
	case old.DBs != s.DBs:
		return fmt.Sprintf("it is about %s of the source, this plan about %s", old.DBs, s.DBs)
	case !maps.Equal(old.DBMap, s.DBMap):
		return fmt.Sprintf("its DBMap is %v, this plan's %v", old.DBMap, s.DBMap)
	}
	return cmp.Or(old.From.differs(from), old.To.differs(to))
}

func (old savedStore) differs(now *session) string {
	if old.Addr == now.addr || slices.ContainsFunc(now.expected(), func(id string) bool { return slices.Contains(old.RunIDs, id) }) {
		return ""
	}
	return fmt.Sprintf("its %s is %s (run_id %s), this plan's is %s (run_id %s)", now.side, old.Addr, shortIDs(old.RunIDs), now.addr, shortIDs(now.saved().RunIDs))
}

// takeOver goes on from an older checkpoint of this plan, as far as the same server processes still answer.
func (c *copier) takeOver(ctx context.Context, old checkpointState, slots slotMap) error {
	when := old.Saved.UTC().Format(time.RFC3339)
	anew := func(why string) error {
		c.note("the checkpoint of %s does not hold any more, since %s: all keys are gone over anew, and what is there is left as it is", when, why)
		return nil
	}
	if !slices.Equal(old.To.RunIDs, c.saver.state.To.RunIDs) {
		return anew("a server of the target was restarted, replaced or failed over, and may not have kept what it was sent")
	}
	if old.Slots != slots.text || !slots.settled {
		return anew("slots of the source have moved")
	}
	var done Tally
	kept, lost := old.Walks[:0:0], 0
	for _, w := range old.Walks {
		if !slices.Contains(c.saver.state.From.RunIDs, w.RunID) || !c.from.covers(w.DB) {
			lost++
			continue
		}
		kept = append(kept, w)
		done.add(w.Tally)
	}
	if done.Copied+done.Unclear > 0 {
		var there int64
		for _, db := range c.targetDBs() {
			n, err := c.to.ownSize(ctx, db, 0)
			if err != nil {
				return err
			}
			there += n
		}
		if there == 0 {
			return anew("the target holds no keys any more")
		}
	}
	for i := range c.result.DBs {
		for _, w := range kept {
			if w.DB == c.result.DBs[i].DB {
				c.result.DBs[i].add(w.Tally)
			}
		}
	}
	if old.Finished && lost == 0 {
		return fmt.Errorf("%w: the %s says that the copy came to its end at %s; Verify tells whether it still holds; to copy again, remove the checkpoint", ErrFinished, c.saver.name(), when)
	}
	c.saver.state.Walks = kept
	if lost > 0 {
		c.note("a server of the source was restarted, replaced or failed over since the checkpoint of %s: its keys are gone over anew, and what is there is left as it is", when)
	}
	if len(kept) > 0 {
		c.note("went on from the checkpoint of %s; what was copied after it is counted as already there", when)
	}
	return nil
}

// walk is how far a db of a node is.
func (s *saver) walk(runID string, db int) *nodeWalk {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.state.Walks {
		if w.RunID == runID && w.DB == db {
			return w
		}
	}
	w := &nodeWalk{RunID: runID, DB: db, Cursor: "0"}
	s.state.Walks = append(s.state.Walks, w)
	return w
}

// changed says that there is something to save. The caller holds the copier's lock.
func (s *saver) changed() { s.dirty = true }

// startOver forgets the cursors but not the counts: all keys are gone over once more.
func (s *saver) startOver(slots slotMap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.state.Walks {
		w.Cursor, w.pages = "0", nil
	}
	s.state.Slots = slots.text
	s.dirty = true
}

// save saves what has changed, if the last time was long enough ago.
func (s *saver) save(ctx context.Context) error {
	s.mu.Lock()
	due := s.store != nil && s.dirty && time.Since(s.at) >= s.opt.savePause
	s.mu.Unlock()
	if !due {
		return nil
	}
	return s.write(ctx)
}

func (s *saver) write(ctx context.Context) error {
	s.mu.Lock()
	s.dirty, s.at = false, time.Now()
	s.state.Saved = s.at
	data, err := json.Marshal(s.state)
	s.mu.Unlock()
	if err == nil {
		err = s.store.Save(ctx, data)
	}
	if err != nil {
		return fmt.Errorf("%w: save the %s: %w", errCheckpoint, s.name(), err)
	}
	return nil
}

// last saves where the copy ended, with or without an error.
func (s *saver) last(ctx context.Context, err error) error {
	if s.store == nil || errors.Is(err, errCheckpoint) {
		return err
	}
	s.mu.Lock()
	s.state.Finished = err == nil
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openTimeout)
	defer cancel()
	return errors.Join(err, s.write(ctx))
}
