package redismigrate

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// canary is a key that a plan plants on the server it verified to be the target. Its name is unique and its value ties it to the plan and
// to the server process: where it is missing or different, something else answers, or the data was replaced.
type canary struct {
	db         int
	key, value string
	valid      time.Duration
	command    string // that removes it: UNLINK or DEL, as the server allows
}

func newCanary(db int, tag, plan string, target identity, valid time.Duration, command string) canary {
	var id [16]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	name := hex.EncodeToString(id[:])
	rand.Read(id[:])
	return canary{db: db, key: canaryPrefix + tag + name, value: fmt.Sprintf("prune plan %s for run_id %s, %x", plan, target.runID, id), valid: valid, command: command}
}

// canaries are those of one plan.
type canaries []canary

// newCanaries returns one for each db, so that dbs that are swapped show, and in a cluster one for each master. plan is the plan's
// fingerprint: a plan that was altered does not fit its canaries.
func newCanaries(ctx context.Context, target *session, plan string, valid time.Duration, command string) (canaries, error) {
	var out canaries
	if target.cluster == nil {
		for _, db := range target.dbs {
			out = append(out, newCanary(db, "", plan, target.id, valid, command))
		}
		return out, nil
	}
	shards, err := target.shards(ctx)
	if err != nil {
		return nil, err
	}
	for i, n := range target.nodes {
		tag, err := tagServedBy(shards[i])
		if err != nil {
			return nil, n.fail("find a slot for the canary", err)
		}
		out = append(out, newCanary(0, tag, plan, n.id, valid, command))
	}
	return out, nil
}

// tagServedBy returns a hash tag, "{123}", that brings any key into a slot of this node.
func tagServedBy(s shard) (string, error) {
	for i := range 64 * slotCount { // a node that serves but one slot needs some 16,384 tries
		if tag := "{" + strconv.Itoa(i) + "}"; s.serves(slotOf(tag)) {
			return tag, nil
		}
	}
	return "", errors.New("it serves no slots")
}

// plant writes the canaries and proves that they do not show on the source: the last word on whether these are two stores.
func (cs canaries) plant(ctx context.Context, source, target *session) error {
	for i, c := range cs {
		err := c.plant(ctx, source, target)
		if err != nil {
			return errors.Join(err, cs[:i].remove(ctx, target))
		}
	}
	return nil
}

// check refuses unless every canary is on the target, unchanged, and not on the source.
func (cs canaries) check(ctx context.Context, source, target *session) error {
	for _, c := range cs {
		if err := c.check(ctx, source, target); err != nil {
			return err
		}
	}
	return nil
}

func (cs canaries) remove(ctx context.Context, target *session) error {
	var errs []error
	for _, c := range cs {
		errs = append(errs, c.remove(ctx, target))
	}
	return errors.Join(errs...)
}

func (c canary) plant(ctx context.Context, source, target *session) error {
	err := target.db(c.db).SetArgs(ctx, c.key, c.value, redis.SetArgs{Mode: "NX", TTL: c.valid}).Err()
	if err != nil {
		return target.fail("plant the canary "+c.key, err)
	}
	if err := c.check(ctx, source, target); err != nil {
		return errors.Join(err, c.remove(ctx, target))
	}
	return nil
}

func (c canary) check(ctx context.Context, source, target *session) error {
	value, err := target.db(c.db).Get(ctx, c.key).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return refuse("the canary %s that the plan planted is missing in db %d of the target %s: its data was replaced, flushed or swapped with another db's, or the plan is older than %s; make a new plan", c.key, c.db, target.addr, c.valid)
	case err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE"):
		return refuse("the canary %s in db %d of the target %s is not the string that the plan wrote: it was tampered with; make a new plan", c.key, c.db, target.addr)
	case err != nil:
		return target.fail("read the canary "+c.key, err)
	case value != c.value:
		return refuse("the canary %s in db %d of the target %s does not hold what the plan wrote: it or the plan was tampered with; make a new plan", c.key, c.db, target.addr)
	}
	db := c.db
	if source.cluster != nil {
		db = 0
	}
	n, err := source.db(db).Exists(ctx, c.key).Result()
	if err != nil && strings.Contains(err.Error(), "DB index is out of range") {
		return nil // the source has no such db
	}
	if err != nil {
		return source.fail("look that the canary is not on the source", err)
	}
	if n != 0 {
		return refuse("the canary %s that was planted on the target %s shows on the source %s too: they are one store; give the new store as the target", c.key, target.addr, source.addr)
	}
	return nil
}

func (c canary) remove(ctx context.Context, target *session) error {
	err := target.db(c.db).Do(ctx, c.command, c.key).Err()
	if err != nil {
		return target.fail(fmt.Sprintf("remove the canary %s (it expires by itself within %s)", c.key, c.valid), err)
	}
	return nil
}
