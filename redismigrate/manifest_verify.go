package redismigrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"time"
)

// maxNamed is of how many kept keys VerifyManifest remembers a hash (8 bytes each), to see what is there besides.
const maxNamed = 8 << 20

// VerifyManifest compares a store with the manifest that PlanPrune wrote (PruneOptions.Manifest): every key of it must still be there with
// its type, its expiry and its value, and nothing else in its dbs. So a prune is proved without a source, which may have gone on
// meanwhile. It only reads.
//
// A key whose expiry has passed may be gone. Values are compared by digests of what DUMP shows, which is exact for the server process
// that wrote them: there, a value that differs was written to. On another process (after a restart, on a replica that took over) the same value may be
// serialized differently, so that a digest which differs proves nothing there: such keys are counted in Uncompared, and the verdict is
// Unknown. It is Unknown as well when the manifest holds no values or is cut short, when it has more than 8,388,608 keys (what is there
// besides cannot be looked for in bounded memory), and, with an error, when the run was not finished.
//
// Of the options, TTLTolerance, MaxListed, ScanCount, Workers and Progress are used. The target's dbs must be those of the manifest.
func VerifyManifest(ctx context.Context, target *Endpoint, manifest io.Reader, opt VerifyOptions) (*Verification, error) {
	start := time.Now()
	m := &manifestCheck{
		v:    &verifier{opt: opt.withDefaults(), seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}, out: Verification{ByKind: map[Kind]int64{}}},
		room: maxNamed,
	}
	err := m.run(ctx, target, manifest)
	out := &m.v.out
	out.Elapsed = time.Since(start)
	switch {
	case err != nil:
		out.Reason = "not finished: " + err.Error()
		return out, fmt.Errorf("redismigrate: verify the manifest: %w", err)
	case out.Total > 0:
		out.Verdict = Mismatch
	case out.Compared == 0:
		out.Reason = "no key was compared: the manifest holds none that is still to be there"
	case !m.head.Values:
		out.Reason = "keys, types and expiries are as they were, but the manifest holds no digests of values (ManifestKeysOnly)"
	case out.Uncompared > 0:
		out.Reason = fmt.Sprintf("%d values are serialized differently than by the process that the plan was made for, which proves nothing; compare them with the source (Verify)", out.Uncompared)
	case m.overflow:
		out.Reason = fmt.Sprintf("every key of the manifest is as it was, but it has more than %d keys: what is on the target besides could not be looked for", m.room)
	default:
		out.Verdict = Match
	}
	return out, nil
}

type manifestCheck struct {
	v        *verifier // its counts and list
	to       *session
	head     manifestHead
	same     bool // the processes that digested the values answer now
	named    []uint64
	room     int
	overflow bool
}

func (m *manifestCheck) run(ctx context.Context, target *Endpoint, manifest io.Reader) error {
	in := json.NewDecoder(manifest)
	if err := in.Decode(&m.head); err != nil || m.head.Format < 1 {
		return errors.New("this is no manifest: its first line does not say so")
	}
	if m.head.Format > manifestFormat {
		return fmt.Errorf("the manifest is of format %d, which a newer version of this package wrote; this one reads up to %d", m.head.Format, manifestFormat)
	}
	var err error
	if m.to, err = openSession(ctx, "target", target, sessionOptions{noTouch: true}); err != nil {
		return err
	}
	defer m.to.close()
	for _, db := range m.to.dbs {
		if !slices.Contains(m.head.DBs, db) && !m.to.all {
			return fmt.Errorf("the endpoint names %s, but the manifest is of %s; name the same", m.to.coverageText(), dbsInWords(m.head.DBs))
		}
	}
	for _, db := range m.head.DBs {
		if !m.to.covers(db) {
			return fmt.Errorf("the endpoint names %s, but the manifest is of %s; name the same", m.to.coverageText(), dbsInWords(m.head.DBs))
		}
	}
	m.same = true
	for _, n := range m.to.nodes {
		m.same = m.same && slices.Contains(m.head.RunIDs, n.id.runID)
	}
	err = fanOut(ctx, m.v.opt.Workers, func(ctx context.Context, hand func([]manifestLine) error) error { return m.read(ctx, in, hand) },
		func(lines []manifestLine) error { return m.compare(ctx, lines) })
	if err != nil {
		return err
	}
	slices.Sort(m.named)
	if !m.overflow {
		for _, db := range m.head.DBs {
			if err := m.extras(ctx, db); err != nil {
				return err
			}
		}
	}
	for _, db := range m.to.id.usedDBs {
		if !slices.Contains(m.head.DBs, db) {
			m.v.out.Outside = append(m.v.out.Outside, DBCount{DB: db, Keep: m.to.id.keys[db]})
		}
	}
	return nil
}

func (m *manifestCheck) hash(db int, key string) uint64 {
	return maphash.String(m.v.seed, fmt.Sprint(db, ":")+key)
}

// read hands on the manifest's lines, in batches of one db.
func (m *manifestCheck) read(ctx context.Context, in *json.Decoder, hand func([]manifestLine) error) error {
	var batch []manifestLine
	var lines int64
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var line manifestLine
		if err := in.Decode(&line); err != nil {
			return fmt.Errorf("the manifest is cut short or damaged after %d keys (%w): what it kept is not known", lines, err)
		}
		if len(batch) == m.v.opt.Batch || len(batch) > 0 && (line.End || batch[0].DB != line.DB) {
			if err := hand(batch); err != nil {
				return err
			}
			batch = nil
		}
		if line.End {
			if line.Keys != lines {
				return fmt.Errorf("the manifest says that it has %d keys, but has %d: it was changed", line.Keys, lines)
			}
			return nil
		}
		batch = append(batch, line)
		if lines++; len(m.named) < m.room {
			m.named = append(m.named, m.hash(line.DB, line.key()))
		} else {
			m.overflow = true
		}
		if m.v.opt.Progress != nil && lines%10_000 == 0 {
			m.v.opt.Progress(Progress{Job: "verify manifest", DB: line.DB, Pass: 1, Scanned: lines, Done: lines})
		}
	}
}

// compare holds a batch against the target.
func (m *manifestCheck) compare(ctx context.Context, lines []manifestLine) error {
	db, keys := lines[0].DB, make([]string, len(lines))
	for i, l := range lines {
		keys[i] = l.key()
	}
	found, err := m.to.profiles(ctx, db, keys, m.head.Values)
	if err != nil {
		return err
	}
	now, err := m.to.keyless(db).Time(ctx).Result()
	if err != nil {
		return m.to.fail("TIME", err)
	}
	for i, l := range lines {
		f := found[i]
		if f.kind == "none" {
			if m.v.expired(l.ExpireAt, now.UnixMilli()) {
				m.v.count(func(o *Verification) { o.Gone++ })
			} else {
				m.v.count(func(o *Verification) { o.Compared++ })
				if err := m.v.report(Difference{Kind: Missing, DB: db, Key: keys[i], Detail: "kept by the plan, and not there any more"}); err != nil {
					return err
				}
			}
			continue
		}
		m.v.count(func(o *Verification) { o.Compared++ })
		var err error
		switch {
		case f.kind != l.Type:
			err = m.v.report(Difference{Kind: TypeDiff, DB: db, Key: keys[i], Detail: fmt.Sprintf("was a %s, is a %s", l.Type, f.kind)})
		case f.digest == l.Digest:
		case !m.same || f.digest[:1] == digestOther:
			m.v.count(func(o *Verification) { o.Uncompared++ })
		default:
			err = m.v.report(Difference{Kind: ValueDiff, DB: db, Key: keys[i], Detail: "written to since the plan"})
		}
		if err == nil && !m.v.sameExpiry(l.ExpireAt, f.expireAt) {
			err = m.v.report(Difference{Kind: TTLDiff, DB: db, Key: keys[i], Detail: fmt.Sprintf("expiry was %s, is %s", when(l.ExpireAt), when(f.expireAt))})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// when writes an expiry for a person.
func when(at int64) string {
	if at < 0 {
		return "never"
	}
	return time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z")
}

// extras looks for keys that the manifest does not have.
func (m *manifestCheck) extras(ctx context.Context, db int) error {
	unnamed := func(key string) bool {
		_, named := slices.BinarySearch(m.named, m.hash(db, key))
		return !named
	}
	report := func(scanned, done int64) {
		if m.v.opt.Progress != nil {
			m.v.opt.Progress(Progress{Job: "verify manifest", DB: db, Pass: 2, Scanned: scanned, Total: m.to.id.keys[db], Done: done})
		}
	}
	var scanned int64
	err := newWalker(m.to, m.v.opt.ScanCount).inBatches(ctx, db, m.v.opt.Batch, unnamed, func(keys []string) error {
		found, err := m.to.profiles(ctx, db, keys, false)
		if err != nil {
			return err
		}
		for i, key := range keys {
			if found[i].kind == "none" {
				continue
			}
			if err := m.v.report(Difference{Kind: Extra, DB: db, Key: key, Detail: "not in the manifest"}); err != nil {
				return err
			}
		}
		return nil
	}, func(n, done int64) {
		scanned = n
		report(n, done)
	})
	m.v.count(func(o *Verification) { o.Scanned += scanned })
	return err
}
