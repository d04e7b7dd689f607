package consistency

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// DigestMode says whether and how Reconcile has two databases compute digests of the rows of two Tables, so that only the ranges of keys that differ are read.
//
// A digest is used where MySQL or MariaDB on both sides can write each value so that what the rules of the columns take for equal is the same text, and nothing else is: integers, decimals,
// FLOAT with FLOAT and DOUBLE with DOUBLE, text, binary, dates and times in UTC. With Fold, Tolerance, JSON, a Location, a key that is not unique on its
// table, AsOf or Checkpoints the rows themselves are read and merged, which is exact for all of them and takes longer.
//
// Each range is read in a statement of its own, the two sides at about the same time, not at the same moment: what changes in between is looked at again, as all suspects are. A range whose digests
// differ is read once more, on each side in one snapshot: if then the digests differ but no row does, or not as many rows come as were counted, the check ends as Unknown.
type DigestMode int

const (
	// DigestFast is the zero value: COUNT, and the SUM of a 32-bit hash of each row (the CRC32 of its CRC32). A change keeps the sum by accident about once in 2 billion (2³¹) times. Who may
	// write the values can construct such a change.
	DigestFast DigestMode = iota
	// DigestStrong sums 2×64 bits of the SHA2-256 of each row. It costs the servers about twice as much.
	DigestStrong
	// DigestOff reads and compares all rows.
	DigestOff
)

// String returns "fast", "strong" or "off".
func (m DigestMode) String() string {
	switch m {
	case DigestFast:
		return "fast"
	case DigestStrong:
		return "strong"
	case DigestOff:
		return "off"
	}
	return fmt.Sprintf("DigestMode(%d)", int(m))
}

const (
	// digestRows is the number of rows of a range: some tens of milliseconds on each side.
	digestRows = 16384
	// digestLeaf is the number of rows that are read rather than divided again.
	digestLeaf = 1024
	// digestParts is the number of parts of a range that differs.
	digestParts = 8
	// digestParallel is the number of ranges at a time; each keeps one connection of either side busy.
	digestParallel = 2
)

// digestLook compares by digests. done is false where the tables have none: the caller then merges.
func (r Reconcile) digestLook(ctx context.Context, found *differences) (done bool, err error) {
	plan, err := r.planDigest(ctx)
	if err != nil || plan == nil {
		return false, err
	}
	return plan.compare(ctx, found)
}

func (plan *digestPlan) compare(ctx context.Context, found *differences) (done bool, err error) {
	found.settled(plan.p)
	if plan.ranges {
		return true, plan.compareRanges(ctx, found)
	}
	return plan.compareBuckets(ctx, found)
}

// digestPlan is how two tables are compared by digests.
type digestPlan struct {
	p                                          *pairing
	mode                                       DigestMode
	sides                                      [2]*digestSide
	bigger                                     int   // the side with more rows, as its server estimates
	rows                                       int64 // of that side
	ranges                                     bool  // both servers order the keys alike, so that ranges of keys can be compared; else buckets of the keys' hashes
	parallel                                   int
	rangeRows, leafRows, chunkRows, bucketRows int64 // see the constants
}

// planDigest asks both servers about the tables; nil: there is no digest of them.
func (r Reconcile) planDigest(ctx context.Context) (*digestPlan, error) {
	if r.Digest == DigestOff || !r.AsOf.IsZero() || r.Checkpoints != nil {
		return nil, nil
	}
	left, ok := r.Left.(Table)
	if !ok {
		return nil, nil
	}
	right, ok := r.Right.(Table)
	if !ok {
		return nil, nil
	}
	plan := &digestPlan{mode: r.Digest, parallel: connectionsFor(left, right), rangeRows: digestRows, leafRows: digestLeaf, chunkRows: bucketChunk, bucketRows: bucketRows}
	if plan.parallel < 1 {
		return nil, nil
	}
	l := r.layout()
	var columns [2][]resolvedColumn
	var compared [2][]*tableColumn
	var estimates [2]int64
	for side, t := range [2]Table{left, right} {
		err := t.with(ctx, func(s *tableSession) (err error) {
			plan.sides[side] = &digestSide{table: t, schema: s.schema, form: digestForms[r.Digest]}
			names := l.request(side, nil, nil).columns
			if columns[side], err = s.resolve(ctx, names); err != nil {
				return err
			}
			for _, name := range names {
				compared[side] = append(compared[side], s.schema.column(name))
			}
			estimates[side], err = s.estimate(ctx)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.names[side], err)
		}
	}
	if estimates[1] > estimates[0] {
		plan.bigger = 1
	}
	plan.rows = estimates[plan.bigger]
	var err error
	if plan.p, err = l.pair(columns); err != nil {
		return nil, err
	}
	if !plan.settle(compared) {
		return nil, nil
	}
	return plan, nil
}

// settle writes the SQL of the rows' texts, and reports whether there is one.
func (plan *digestPlan) settle(columns [2][]*tableColumn) bool {
	p := plan.p
	for i, kind := range p.kinds {
		texts, reason := fieldText(kind, p.rules[i], [2]*tableColumn{columns[0][i], columns[1][i]})
		if reason != "" || i < p.keys && (p.rules[i].TrimSpace || columns[0][i].nullable || columns[1][i].nullable) {
			return false
		}
		for side, d := range plan.sides {
			d.fields = append(d.fields, texts[side])
			if i < p.keys {
				d.key = append(d.key, tableKey{column: columns[side][i], kind: kind, rule: p.rules[i]})
			}
		}
	}
	plan.ranges = true
	var classes [2][]string
	for side, d := range plan.sides {
		var inOrder bool
		if d.unique, inOrder = d.schema.uniqueOver(d.key.columns()); d.unique == nil {
			return false // a key that occurs twice has to be seen
		}
		var worst keyOrder
		classes[side], worst = d.key.classes()
		plan.ranges = plan.ranges && inOrder && worst != orderForeign
	}
	plan.ranges = plan.ranges && slices.Equal(classes[0], classes[1])
	return true
}

// connectionsFor returns how many ranges can be digested at a time with the connections that the pools allow; 0: too few.
func connectionsFor(left, right Table) int {
	parallel := digestParallel
	for _, t := range [2]Table{left, right} {
		limit := t.DB.Stats().MaxOpenConnections
		if limit == 0 {
			continue
		}
		perRange, others := 1, 2 // one reads rows, one looks for boundaries
		if left.DB == right.DB {
			perRange, others = 2, 3
		}
		parallel = min(parallel, (limit-others)/perRange)
	}
	return parallel
}

// estimate returns the server's estimate of the number of rows, which may be far off.
func (s *tableSession) estimate(ctx context.Context) (n int64, err error) {
	err = s.conn.QueryRowContext(ctx, "SELECT COALESCE(MAX(TABLE_ROWS), 0) FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?", s.schema.database, s.schema.name).Scan(&n)
	return n, advise("ask for the size of "+s.schema.quoted, err)
}

// errContradiction is what must not be: it would be a false answer to go on.
var errContradiction = errors.New("this contradicts itself: please report it with the columns of both tables; Digest: DigestOff compares without digests")

// readPart compares the rows of a part of both tables, each side in one snapshot, in which the digests are taken once more.
func (plan *digestPlan) readPart(ctx context.Context, sessions [2]*digestSession, parts [2]extent, found *differences) error {
	return sessions[0].snapshot(ctx, func() error {
		return sessions[1].snapshot(ctx, func() error {
			digests, err := digestBoth(ctx, sessions, [2]string{parts[0].where, parts[1].where})
			if err != nil {
				return err
			}
			if digests[0].same(digests[1]) { // what differed before was on its way
				found.examined[0] += digests[0].rows
				found.examined[1] += digests[1].rows
				return nil
			}
			before := found.counts.total()
			var sources [2]*extentSource
			for side := range sources {
				sources[side] = &extentSource{Table: plan.sides[side].table, session: sessions[side], extent: parts[side]}
			}
			if err := merge(ctx, [2]Source{sources[0], sources[1]}, settled(plan.p), nil, nil, found); err != nil {
				return err
			}
			for side, d := range digests {
				if d.rows != sources[side].rows {
					return Permanent(fmt.Errorf("%s: %d rows were counted and %d were read in one snapshot: %w", plan.p.names[side], d.rows, sources[side].rows, errContradiction))
				}
			}
			if found.counts.total() == before && digests[0].exact() && digests[1].exact() {
				return Permanent(fmt.Errorf("the digests of %d rows in %s and of %d rows in %s differ and no row does: %w",
					digests[0].rows, plan.p.names[0], digests[1].rows, plan.p.names[1], errContradiction))
			}
			return nil
		})
	})
}

// digestBoth asks both sides at the same time.
func digestBoth(ctx context.Context, sessions [2]*digestSession, where [2]string) (digests [2]*digest, err error) {
	var other error
	done := make(chan struct{})
	go func() {
		defer close(done)
		digests[1], other = sessions[1].digest(ctx, where[1])
	}()
	digests[0], err = sessions[0].digest(ctx, where[0])
	<-done
	return digests, errors.Join(err, other)
}

// openBoth opens a session on either side.
func (plan *digestPlan) openBoth(ctx context.Context) (sessions [2]*digestSession, err error) {
	for side, d := range plan.sides {
		if sessions[side], err = d.open(ctx); err != nil {
			return sessions, errors.Join(fmt.Errorf("%s: %w", plan.p.names[side], err), closeBoth(ctx, sessions))
		}
	}
	return sessions, nil
}

func closeBoth(ctx context.Context, sessions [2]*digestSession) (err error) {
	for _, s := range sessions {
		if s != nil {
			err = errors.Join(err, s.close(ctx))
		}
	}
	return err
}
