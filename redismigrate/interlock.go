package redismigrate

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrRefused marks an error of an interlock: the job would not have been safe, and nothing was changed (or, in the middle of an Apply,
// nothing further).
var ErrRefused = errors.New("refused")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// checkApart refuses a pair of servers unless they are proved to be two separate stores and the target is a writable master. Names and
// addresses prove nothing (other host names, proxies), so it is the servers' own words that count.
func checkApart(source, target *session) error {
	s, t := source.id, target.id
	if s.runID == t.runID {
		return refuse("the target %s is the source %s: both addresses reach the same server process (run_id %.8s); give the new store as the target", target.addr, source.addr, t.runID)
	}
	if t.role != "master" {
		return refuse("the target %s is not a master (role %q, replica of %s); give the master of the new store, or detach it first (REPLICAOF NO ONE)", target.addr, t.role, t.replicaOf)
	}
	if s.role != "master" && s.role != "slave" {
		return refuse("the source %s does not say whether it is a master (role %q)", source.addr, s.role)
	}
	if s.role == "slave" && !s.masterLinkUp {
		return refuse("the source %s is a replica of %s and its link is down, so it cannot be proved that the target is not its master; wait for the link, or give the master as the source", source.addr, s.replicaOf)
	}
	if s.replID == "" || t.replID == "" {
		return refuse("source and target do not both tell their master_replid (INFO replication), so it cannot be proved that they do not replicate each other")
	}
	if s.replID == t.replID {
		return refuse("the target %s and the source %s belong to one replication group (master_replid %.8s): what is changed on the one changes on the other; give the new store as the target", target.addr, source.addr, t.replID)
	}
	return nil
}

// openPair opens source and target and proves them apart.
func openPair(ctx context.Context, from, to *Endpoint, targetRunID string, noTouch bool) (source, target *session, err error) {
	if target, err = openSession(ctx, "target", to, sessionOptions{runID: targetRunID}); err != nil {
		return nil, nil, err
	}
	if source, err = openSession(ctx, "source", from, sessionOptions{noTouch: noTouch}); err != nil {
		target.close()
		return nil, nil, fmt.Errorf("%w; without the source it cannot be proved that the target is another server", err)
	}
	if err = checkApart(source, target); err != nil {
		source.close()
		target.close()
		return nil, nil, err
	}
	return source, target, nil
}

// canary is a key that a plan plants on the server it verified to be the target. Its name is unique and its value ties it to the plan and
// to the server process: where it is missing or different, something else answers, or the data was replaced.
type canary struct {
	db         int
	key, value string
	valid      time.Duration
}

func newCanary(db int, target identity, valid time.Duration) canary {
	var id [16]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	name := hex.EncodeToString(id[:])
	rand.Read(id[:])
	return canary{db: db, key: canaryPrefix + name, value: fmt.Sprintf("prune plan for run_id %s, %x", target.runID, id), valid: valid}
}

// plant writes the canary and proves that it does not show on the source: the last word on whether these are two stores.
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

// check refuses unless the canary is on the target, unchanged, and not on the source.
func (c canary) check(ctx context.Context, source, target *session) error {
	value, err := target.db(c.db).Get(ctx, c.key).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return refuse("the canary %s that the plan planted is missing in db %d of the target %s: its data was replaced or flushed, or the plan is older than %s; make a new plan", c.key, c.db, target.addr, c.valid)
	case err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE"):
		return refuse("the canary %s in db %d of the target %s is not the string that the plan wrote: it was tampered with; make a new plan", c.key, c.db, target.addr)
	case err != nil:
		return target.fail("read the canary "+c.key, err)
	case value != c.value:
		return refuse("the canary %s in db %d of the target %s does not hold what the plan wrote: it was tampered with; make a new plan", c.key, c.db, target.addr)
	}
	n, err := source.db(c.db).Exists(ctx, c.key).Result()
	if err != nil {
		return source.fail("look that the canary is not on the source", err)
	}
	if n != 0 {
		return refuse("the canary %s that was planted on the target %s shows on the source %s too: they are one store; give the new store as the target", c.key, target.addr, source.addr)
	}
	return nil
}

func (c canary) remove(ctx context.Context, target *session) error {
	err := target.db(c.db).Unlink(ctx, c.key).Err()
	if err != nil {
		return target.fail(fmt.Sprintf("remove the canary %s (it expires by itself within %s)", c.key, c.valid), err)
	}
	return nil
}
