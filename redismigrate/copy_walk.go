package redismigrate

import (
	"cmp"
	"context"
	"maps"
	"strings"
)

// pageWork is one page of SCAN while its keys are copied.
type pageWork struct {
	walk  *nodeWalk
	next  string // the cursor that goes on after it
	open  int    // keys whose fate is not known yet, and one for the page itself while it is handed out
	tally Tally
}

// nodeWalk is how far the copy of one db of one node is: all keys that SCAN shows before cursor are done, and tally counts them. Later
// pages may be done too, while an earlier one is not.
type nodeWalk struct {
	RunID  string `json:"run_id"`
	DB     int    `json:"db"`
	Cursor string `json:"cursor"` // scanDone: to its end
	Tally  Tally  `json:"tally"`
	pages  []*pageWork
}

// advance moves the cursor over the pages that are done. The caller holds the copier's lock.
func (n *nodeWalk) advance() (moved bool) {
	for len(n.pages) > 0 && n.pages[0].open == 0 {
		p := n.pages[0]
		n.pages[0] = nil
		n.pages = n.pages[1:]
		n.Cursor = p.next
		if p.next == "0" {
			n.Cursor = scanDone
		}
		n.Tally.add(p.tally)
		moved = true
	}
	return moved
}

// parcel is what a worker copies at a time: keys of one page.
type parcel struct {
	page *pageWork
	node *node
	db   *DBTally
	keys []string
}

// copyDB copies the selected keys of one db.
func (c *copier) copyDB(ctx context.Context, workers int, db *DBTally) error {
	walks := map[string]*nodeWalk{}
	from := map[string]string{} // where SCAN goes on, by node
	for _, n := range c.from.nodes {
		walks[n.id.runID] = c.saver.walk(n.id.runID, db.DB)
		from[n.id.runID] = walks[n.id.runID].Cursor
	}
	working, stop := context.WithCancelCause(ctx) // one worker's failure ends the others' waiting
	defer stop(nil)
	return fanOut(ctx, workers, func(ctx context.Context, hand func(parcel) error) error {
		var scanned, chosen int64
		again := newPatience(c.opt.MaxWait)
		for {
			w := newWalker(c.from, c.opt.ScanCount)
			w.prefix = c.prefix
			_, err := w.pages(ctx, db.DB, maps.Clone(from), func(p page) error {
				again.progress()
				n, err := c.handOut(p, walks[p.node.id.runID], db, hand)
				if scanned += int64(len(p.keys)); c.prefix != "" { // how many it has passed over is not told; about COUNT at a time
					scanned += max(0, int64(c.opt.ScanCount-len(p.keys)))
					scanned = min(scanned, max(c.from.id.keys[db.DB], chosen))
				}
				chosen += n
				if from[p.node.id.runID] = p.next; p.next == "0" {
					from[p.node.id.runID] = scanDone
				}
				c.report(db, scanned, chosen)
				return cmp.Or(err, c.saver.save(ctx))
			})
			if err == nil || !transient(err) {
				return err
			}
			if err := again.wait(ctx, err); err != nil {
				return err
			}
		}
	}, func(p parcel) error {
		err := c.pace.wait(working, int64(len(p.keys)))
		w := <-c.idle
		defer func() { c.idle <- w }()
		if err == nil {
			err = w.copy(working, p)
		}
		if err != nil {
			stop(err)
			return context.Cause(working)
		}
		return nil
	})
}

// plainPrefix is what every selected key begins with, when the selector says so in a way that leaves no doubt: one pattern, and in it
// nothing special but the asterisk at its end. The server can then leave out the others, which costs it and us less than telling them.
func (s Selector) plainPrefix() string {
	if len(s.Include) != 1 {
		return ""
	}
	prefix, ok := strings.CutSuffix(s.Include[0], "*")
	if !ok || strings.ContainsAny(prefix, `*?[]^\`) {
		return ""
	}
	return prefix
}

// handOut hands on the selected keys of a page.
func (c *copier) handOut(p page, walk *nodeWalk, db *DBTally, hand func(parcel) error) (chosen int64, err error) {
	keys := make([]string, 0, c.opt.Batch)
	work := &pageWork{walk: walk, next: strings.Clone(p.next), open: 1}
	c.mu.Lock()
	walk.pages = append(walk.pages, work)
	c.mu.Unlock()
	give := func() error {
		if len(keys) == 0 {
			return nil
		}
		c.mu.Lock()
		work.open += len(keys)
		c.mu.Unlock()
		full := keys
		keys = make([]string, 0, c.opt.Batch)
		return hand(parcel{page: work, node: p.node, db: db, keys: full})
	}
	for _, key := range p.keys {
		if !c.keys.has(key) {
			continue
		}
		chosen++
		if keys = append(keys, key); len(keys) == c.opt.Batch {
			if err := give(); err != nil {
				return chosen, err
			}
		}
	}
	if err := give(); err != nil {
		return chosen, err
	}
	c.done(work, db, 1, Tally{})
	return chosen, nil
}

// done counts keys of a page whose fate is known.
func (c *copier) done(page *pageWork, db *DBTally, keys int, t Tally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	db.add(t)
	page.tally.add(t)
	page.open -= keys
	if page.walk.advance() {
		c.saver.changed()
	}
}

func (c *copier) report(db *DBTally, scanned, chosen int64) {
	if c.opt.Progress == nil {
		return
	}
	c.mu.Lock()
	sent := db.Bytes
	c.mu.Unlock()
	c.opt.Progress(Progress{Job: "copy", DB: db.DB, Pass: c.result.Passes, Scanned: scanned, Total: c.from.id.keys[db.DB], Done: chosen, Bytes: sent, Held: c.pace.held()})
}
