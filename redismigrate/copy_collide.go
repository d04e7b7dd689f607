package redismigrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// maxCollisions is how many keys a refusal names.
const maxCollisions = 5

var errEnough = errors.New("enough")

// checkCollisions refuses dbs of the source that go to one db of the target and share a key: one of its two values would be lost.
// Of the dbs of one target, all but the largest are gone over, and looked up in those that are larger: memory does not grow with them.
func (c *copier) checkCollisions(ctx context.Context) error {
	for _, target := range c.targetDBs() {
		dbs := c.move.sourceDBs(c.from.dbs, target)
		slices.SortFunc(dbs, func(a, b int) int {
			return cmp.Or(cmp.Compare(c.from.id.keys[a], c.from.id.keys[b]), cmp.Compare(a, b))
		})
		for i, small := range dbs {
			if larger := dbs[i+1:]; len(larger) > 0 {
				if err := c.collide(ctx, small, larger, target); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// targetDBs are the dbs that keys go to, each once.
func (c *copier) targetDBs() []int {
	var out []int
	for _, db := range c.from.dbs {
		if db = c.move.targetDB(db); !slices.Contains(out, db) {
			out = append(out, db)
		}
	}
	return out
}

// collide refuses selected keys of one db that are in another one too.
func (c *copier) collide(ctx context.Context, db int, others []int, target int) error {
	found := map[int][]string{}
	n := 0
	look := func(keys []string) error {
		for _, other := range others {
			twice, err := c.from.among(ctx, other, keys)
			if err != nil {
				return err
			}
			for _, key := range twice {
				if n++; n <= maxCollisions {
					found[other] = append(found[other], fmt.Sprintf("%q", key))
				}
			}
		}
		if n >= maxCollisions {
			return errEnough
		}
		return nil
	}
	err := newWalker(c.from, c.opt.ScanCount).inBatches(ctx, db, c.opt.Batch, c.keys.has, look, nil)
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	for _, other := range others {
		if keys := found[other]; len(keys) > 0 {
			word := ""
			if errors.Is(err, errEnough) {
				word = " and perhaps more"
			}
			slices.Sort(keys)
			return refuse("dbs %d and %d of the source %s both go to db %d of the target, and both hold the key %s%s: one of the values would be lost; rename or remove the keys in one db, narrow the selector, or map the dbs apart (Move.DBMap)",
				min(db, other), max(db, other), c.from.addr, target, strings.Join(slices.Compact(keys), ", "), word)
		}
	}
	return nil
}

// among returns those of the keys that a db has.
func (s *session) among(ctx context.Context, db int, keys []string) ([]string, error) {
	pipe := s.db(db).Pipeline()
	there := make([]*redis.IntCmd, len(keys))
	for i, key := range keys {
		there[i] = pipe.Exists(ctx, key)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, s.fail(fmt.Sprintf("EXISTS of keys in db %d", db), err)
	}
	var out []string
	for i, key := range keys {
		if there[i].Val() > 0 {
			out = append(out, key)
		}
	}
	return out, nil
}
