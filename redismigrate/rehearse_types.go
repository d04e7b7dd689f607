package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// TypeTiming says how fast keys of one type can be read from and written to the stand-ins, one connection at a time.
type TypeTiming struct {
	Type string `json:"type"`
	// Keys and Bytes are those of the sample, by their serialized length.
	Keys  int64 `json:"keys"`
	Bytes int64 `json:"bytes"`
	// Read is how long DUMP and the expiry of all of them took, Write how long RESTORE took, with an expiry in the past: the target takes
	// the value apart as always, and keeps nothing.
	Read  time.Duration `json:"read_ns"`
	Write time.Duration `json:"write_ns"`
}

const (
	typeSample = 2000     // keys of each type
	typeBytes  = 16 << 20 // and bytes
	typeBatch  = 100
)

// timeTypes measures each type by itself on a sample of the selected keys.
func timeTypes(ctx context.Context, m Move, types []Group) ([]TypeTiming, error) {
	sel, err := m.Keys.compile()
	if err != nil {
		return nil, err
	}
	from, to, err := openPair(ctx, m.From, m.To, nil, true)
	if err != nil {
		return nil, err
	}
	defer from.close()
	defer to.close()
	var out []TypeTiming
	for _, g := range types {
		t := TypeTiming{Type: g.Name}
		for _, db := range from.dbs {
			for _, n := range from.nodes {
				if err := t.sample(ctx, n, to, db, m.targetDB(db), sel); err != nil {
					return nil, err
				}
			}
		}
		if t.Keys > 0 {
			out = append(out, t)
		}
	}
	return out, nil
}

// sample adds keys of one db of one master.
func (t *TypeTiming) sample(ctx context.Context, n *node, to *session, db, toDB int, sel *selection) error {
	for cursor := uint64(0); ; {
		keys, next, err := n.db(db).ScanType(ctx, cursor, "", 5*typeBatch, t.Type).Result()
		if err != nil {
			return n.fail("SCAN with TYPE "+t.Type, err)
		}
		var batch []string
		for _, key := range keys {
			if sel.has(key) && len(batch) < typeBatch {
				batch = append(batch, key)
			}
		}
		if err := t.time(ctx, n.session, to, db, toDB, batch); err != nil {
			return err
		}
		if cursor = next; cursor == 0 || t.Keys >= typeSample || t.Bytes >= typeBytes {
			return nil
		}
	}
}

// time reads a batch and writes it with an expiry that is over.
func (t *TypeTiming) time(ctx context.Context, from, to *session, db, toDB int, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	groups, err := from.weigh(ctx, db, keys, typeBytes)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if g.bytes > typeBytes { // one value that would hold up both servers
			continue
		}
		start := time.Now()
		values, err := from.dump(ctx, db, g.keys)
		if err != nil {
			return err
		}
		t.Read += time.Since(start)
		pipe := to.db(toDB).Pipeline()
		for i, v := range values {
			if v.gone {
				continue
			}
			t.Keys++
			t.Bytes += int64(len(v.payload))
			pipe.Do(ctx, "RESTORE", fmt.Sprintf("%srehearsal:%d", canaryPrefix, i), 1, v.payload, "ABSTTL")
		}
		if pipe.Len() == 0 {
			continue
		}
		start = time.Now()
		if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
			return to.fail("RESTORE with an expiry that is over", err)
		}
		t.Write += time.Since(start)
	}
	return nil
}
