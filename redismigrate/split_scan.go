package redismigrate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// masters are the servers that hold the store's keys.
func (s *splitStore) masters(ctx context.Context) (list []*redis.Client, err error) {
	c, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return []*redis.Client{s.client.(*redis.Client)}, nil
	}
	var mu sync.Mutex
	err = c.ForEachMaster(ctx, func(_ context.Context, master *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		list = append(list, master)
		return nil
	})
	slices.SortFunc(list, func(a, b *redis.Client) int { return strings.Compare(a.Options().Addr, b.Options().Addr) })
	return list, s.fail("find the masters", err)
}

// shape is what a scan relies on: which processes serve which slots.
func (s *splitStore) shape(ctx context.Context) (string, []*redis.Client, error) {
	list, err := s.masters(ctx)
	if err != nil {
		return "", nil, err
	}
	var b strings.Builder
	for _, c := range list {
		id, err := readIdentity(ctx, c)
		if err != nil {
			return "", nil, s.fail("ask INFO of "+c.Options().Addr, err)
		}
		if id.role != "master" {
			return "", nil, s.fail("ask INFO of "+c.Options().Addr, fmt.Errorf("it is a replica now; wait for the fail-over to end, then go on"))
		}
		fmt.Fprintf(&b, "%s %s\n", c.Options().Addr, id.runID)
	}
	if s.cluster {
		slots, err := list[0].ClusterSlots(ctx).Result() //nolint:staticcheck // CLUSTER SHARDS is not there before 7.0
		if err != nil {
			return "", nil, s.fail("ask CLUSTER SLOTS", err)
		}
		slices.SortFunc(slots, func(a, b redis.ClusterSlot) int { return a.Start - b.Start })
		for _, r := range slots {
			if len(r.Nodes) > 0 {
				fmt.Fprintf(&b, "%d-%d %s\n", r.Start, r.End, r.Nodes[0].ID)
			}
		}
	}
	return b.String(), list, nil
}

// scanPage is how many keys one SCAN looks at.
const scanPage = 1000

// scan shows all keys, at least once each, but for those that come and go meanwhile. changed is true when a master or the slots have changed meanwhile, so that keys may have been
// missed.
func (s *splitStore) scan(ctx context.Context, fn func(ctx context.Context, keys []string) error) (changed bool, err error) {
	before, list, err := s.shape(ctx)
	if err != nil {
		return false, err
	}
	for _, c := range list {
		for cursor := uint64(0); ; {
			keys, next, err := c.Scan(ctx, cursor, "", scanPage).Result()
			if err != nil {
				return false, s.fail("SCAN "+c.Options().Addr, err)
			}
			if err := fn(ctx, keys); err != nil {
				return false, err
			}
			if cursor = next; cursor == 0 {
				break
			}
		}
	}
	after, _, err := s.shape(ctx)
	return before != after, err
}

// keyOfRecord is the key that a record is about.
func keyOfRecord(name string) (key string, ok bool) {
	rest, ok := strings.CutPrefix(name, recordPrefix+"{")
	if !ok {
		return "", false
	}
	_, key, ok = strings.Cut(rest, "}:")
	return key, ok
}

// found is what a scan tells of one of the split's keys on a store.
type found struct {
	key      string
	exists   bool // SCAN has shown the key itself
	recorded bool
	standing standing
	seq      int64
	bytes    int64 // of memory; 0: not told
}

// looked turns a page of SCAN into what it tells of the split's keys: each once, with its record as it is now.
func (s *Split) looked(ctx context.Context, st *splitStore, names []string, sizes bool) ([]found, error) {
	at := map[string]int{}
	var list []found
	for _, name := range names {
		key, isRecord := keyOfRecord(name)
		if !isRecord {
			key = name
		}
		if !s.keys.has(key) {
			continue
		}
		i, ok := at[key]
		if !ok {
			i = len(list)
			at[key] = i
			list = append(list, found{key: key})
		}
		list[i].exists = list[i].exists || !isRecord
	}
	if len(list) == 0 {
		return nil, nil
	}
	records := make([]*redis.StringCmd, len(list))
	weights := make([]*redis.IntCmd, len(list))
	pipe := st.client.Pipeline()
	for i, f := range list {
		records[i] = pipe.Get(ctx, recordOf(f.key))
		if sizes && f.exists {
			weights[i] = pipe.MemoryUsage(ctx, f.key)
		}
	}
	_, _ = pipe.Exec(ctx) // each is looked at
	for i := range list {
		text, err := records[i].Result()
		switch {
		case err == nil && text != "":
			list[i].recorded = true
			list[i].standing, _ = standingOf(text[:1])
			if _, err := fmt.Sscan(text[1:], &list[i].seq); err != nil {
				return nil, st.fail("read a record", fmt.Errorf("key %q holds %q, which no split has written; delete that key", clipped(recordOf(list[i].key)), clipped(text)))
			}
		case err != nil && !isNil(err):
			return nil, st.fail("read records", err)
		}
		if weights[i] != nil && weights[i].Err() == nil {
			list[i].bytes = weights[i].Val()
		}
	}
	return list, nil
}

func isNil(err error) bool { return err == redis.Nil } //nolint:errorlint // go-redis returns it as it is
