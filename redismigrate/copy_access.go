package redismigrate

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// accessOf is what a server with this maxmemory-policy keeps of how its keys are used, as RESTORE calls it; "" when it does not matter.
func accessOf(policy string) string {
	switch {
	case strings.HasSuffix(policy, "-lru"):
		return "IDLETIME"
	case strings.HasSuffix(policy, "-lfu"):
		return "FREQ"
	}
	return ""
}

// chooseAccess says whether and how a key's use is carried along: only where the target deletes the keys that are used least.
func (c *copier) chooseAccess(ctx context.Context) error {
	theirs, err := c.to.nodes[0].memory(ctx)
	if err != nil {
		return err
	}
	access := accessOf(theirs.policy)
	if access == "" {
		return nil
	}
	for _, n := range c.from.nodes {
		ours, err := n.memory(ctx)
		if err != nil {
			return err
		}
		if (accessOf(ours.policy) == "FREQ") != (access == "FREQ") {
			c.note("the target evicts by %s, but the source, whose policy is %s, does not keep what that needs: all keys arrive as if used just now", theirs.policy, ours.policy)
			return nil
		}
		err = n.db(n.opts.DB).Do(ctx, "OBJECT", access, canaryPrefix+"probe").Err()
		switch {
		case err == nil || errors.Is(err, redis.Nil) || transient(err) && isServerError(err): // another node's key: the command is allowed
		case isServerError(err):
			c.note("the target evicts by %s, but the source does not tell how its keys were used (OBJECT %s: %v): all keys arrive as if used just now", theirs.policy, access, err)
			return nil
		default:
			return n.fail("probe OBJECT "+access, err)
		}
	}
	c.access = access
	return nil
}
