package redismigrate

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// scriptedCommand runs one command inside a script.
type scriptedCommand struct {
	s *Split
	p *plannedCommand
}

func (c *scriptedCommand) keys() []string { return c.p.keys }
func (c *scriptedCommand) reads() bool    { return c.p.treatment.reads && len(c.p.keys) == 1 }

func (c *scriptedCommand) run(ctx context.Context, st *splitStore, free bool) (splitTold, error) {
	c.s.count.scripted.Add(1)
	err := st.client.Process(ctx, inScript(c.p, st.side, free, true))
	if err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
		c.p.cmd.SetErr(nil)
		err = st.client.Process(ctx, inScript(c.p, st.side, free, false))
	}
	return c.outcome(err)
}

// outcome tells "not here" from the command's own result.
func (c *scriptedCommand) outcome(err error) (splitTold, error) {
	if t, ok := notHere(err); ok {
		c.p.cmd.SetErr(nil)
		return t, nil
	}
	return answeredAs(err)
}

// answeredAs tells a command that the server has answered, if by an error, from one that it has not. An answer is the program's, and ends the errand.
func answeredAs(err error) (splitTold, error) {
	if err == nil || errors.Is(err, redis.Nil) || isServerError(err) {
		return splitTold{done: true}, nil
	}
	return splitTold{}, err
}

func (c *scriptedCommand) after(ctx context.Context, st *splitStore, first func(redis.Pipeliner) *redis.Cmd) (*redis.Cmd, splitTold, error, bool) {
	c.s.count.scripted.Add(1)
	pipe := st.client.Pipeline()
	arrived := first(pipe)
	own := inScript(c.p, st.side, false, false)
	if err := pipe.Process(ctx, own); err != nil {
		return nil, splitTold{}, err, true
	}
	_, _ = pipe.Exec(ctx) // each is looked at
	t, err := c.outcome(c.p.cmd.Err())
	return arrived, t, err, true
}

// watchedCommands runs commands that cannot run inside a script, or several as a whole: the records are watched and looked at, and the commands are a transaction that the
// server does not carry out if a record has changed meanwhile. That takes one round trip more.
type watchedCommands struct {
	s       *Split
	cmds    []redis.Cmder
	guarded []string
	read    bool
}

func (c *watchedCommands) keys() []string { return c.guarded }
func (c *watchedCommands) reads() bool    { return c.read }

func (c *watchedCommands) after(context.Context, *splitStore, func(redis.Pipeliner) *redis.Cmd) (*redis.Cmd, splitTold, error, bool) {
	return nil, splitTold{}, nil, false
}

// watchTries is how often a transaction is tried again when a record changes.
const watchTries = 16

func (c *watchedCommands) run(ctx context.Context, st *splitStore, free bool) (t splitTold, err error) {
	records := make([]string, len(c.guarded))
	for i, k := range c.guarded {
		records[i] = recordOf(k)
	}
	watch := records
	if free { // then a record may be missing, and the key itself must not appear
		watch = append(slices.Clone(records), c.guarded...)
	}
	for range watchTries {
		c.s.count.watched.Add(1)
		sent := false
		err = st.client.Watch(ctx, func(tx *redis.Tx) error {
			marks, err := tx.MGet(ctx, records...).Result()
			if err != nil {
				return st.fail("look at the records of keys", err)
			}
			for i, m := range marks {
				text, recorded := m.(string)
				standing := gone // of the new store: it gets a record first, as its vanishing would not be seen here
				switch {
				case recorded && text != "":
					standing, _ = standingOf(text[:1])
				case st.side == oldSide:
					standing = here
				case free:
					if standing, err = c.isNowhere(ctx, tx); err != nil {
						return st.fail("look at a key", err)
					}
				}
				if standing != here {
					t = splitTold{key: int8(i), standing: standing} //nolint:gosec // checked by the caller
					return errNotHere
				}
			}
			sent = true
			_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
				return addAll(ctx, p, c.cmds)
			})
			return err
		}, watch...)
		switch {
		case errors.Is(err, errNotHere):
			return t, nil
		case errors.Is(err, redis.TxFailedErr):
			for _, cmd := range c.cmds {
				cmd.SetErr(nil)
			}
			continue
		case err != nil && !sent:
			return splitTold{}, err
		}
		return answeredAs(err)
	}
	return splitTold{}, st.fail("run a transaction", errors.New("the keys were handed to and fro during each of its tries; wait until all processes are in the same state"))
}

// isNowhere says that a key without a record counts as here if it does not exist.
func (c *watchedCommands) isNowhere(ctx context.Context, tx *redis.Tx) (standing, error) {
	n, err := tx.Exists(ctx, c.guarded...).Result()
	if n == 0 {
		return here, err
	}
	return gone, err
}

var errNotHere = errors.New("a key is not here")
