package redismigrate

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// putStream adds the beginning, a range or the end of a stream.
func (d *draft) putStream(ctx context.Context, p *streamPiece) error {
	switch {
	case p.begin:
		return d.beginStream(ctx, p.groups)
	case p.end != nil:
		return d.endStream(ctx, p.end)
	case len(p.entries) == 0:
		return nil
	}
	return d.putEntries(ctx, p)
}

// beginStream makes the stream, still empty, with its groups.
func (d *draft) beginStream(ctx context.Context, groups []streamGroup) error {
	const none = "tashikame" // a group that is there only to make an empty stream
	err := d.transact(ctx, "XGROUP CREATE", func(p redis.Pipeliner) {
		p.XGroupCreateMkStream(ctx, d.name, none, "0")
		p.XGroupDestroy(ctx, d.name, none)
	})
	for _, g := range groups {
		if err != nil {
			return err
		}
		err = d.transact(ctx, "XGROUP CREATE", func(p redis.Pipeliner) {
			args := []any{"XGROUP", "CREATE", d.name, g.name, g.lastDelivered}
			if g.entriesRead != nil {
				args = append(args, "ENTRIESREAD", g.entriesRead)
			}
			p.Do(ctx, args...)
			for _, consumer := range g.consumers {
				p.XGroupCreateConsumer(ctx, d.name, g.name, consumer)
			}
		})
	}
	return err
}

// putEntries adds entries, hands the pending ones to their consumers, and takes out those that were there only for that.
func (d *draft) putEntries(ctx context.Context, p *streamPiece) error {
	var front, within []string // of the entries that are to go: those before all that stay, and the others
	err := d.transact(ctx, "XADD", func(pipe redis.Pipeliner) {
		for _, e := range p.entries {
			switch {
			case e.gone && d.members == 0:
				front = append(front, e.id.String())
			case e.gone:
				within = append(within, e.id.String())
			default:
				d.members++
			}
			pipe.Do(ctx, append([]any{"XADD", d.name, e.id.String()}, e.values...)...)
		}
	})
	if err != nil || len(p.pending) == 0 {
		return err
	}
	claims := make([]*redis.Cmd, len(p.pending))
	err = d.transact(ctx, "XCLAIM", func(pipe redis.Pipeliner) {
		for i, e := range p.pending {
			claims[i] = pipe.Do(ctx, "XCLAIM", d.name, e.group, e.consumer, 0, e.id.String(),
				"TIME", e.deliveredAt, "RETRYCOUNT", e.deliveries, "FORCE", "JUSTID")
		}
		// Deleting raises the stream's highest deleted id, trimming does not. What was deleted from the front may have been trimmed.
		if len(within) > 0 {
			pipe.XDel(ctx, d.name, within...)
		}
		if len(front) > 0 {
			pipe.XTrimMaxLen(ctx, d.name, d.members)
		}
	})
	if err != nil {
		return err
	}
	for i, claim := range claims {
		if ids, _ := claim.Slice(); len(ids) != 1 {
			return d.s.fail("XCLAIM", fmt.Errorf("pending entry %s was not taken over", p.pending[i].id))
		}
	}
	return nil
}

func (d *draft) endStream(ctx context.Context, end *streamEnd) error {
	if end.last == "0-0" {
		return nil // nothing was ever added
	}
	err := d.transact(ctx, "XSETID", func(p redis.Pipeliner) {
		args := []any{"XSETID", d.name, end.last}
		if end.told {
			args = append(args, "ENTRIESADDED", end.added, "MAXDELETEDID", end.maxDeleted)
		}
		p.Do(ctx, args...)
	})
	if err != nil && strings.Contains(err.Error(), "syntax error") {
		return fmt.Errorf("%w (Redis before 7.0 cannot be told how many entries a stream ever had; upgrade the target)", err)
	}
	return err
}
