package redismigrate

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

func (c valueComparer) hashes() (string, error) {
	n, detail, err := c.lengths("fields", func(r redis.UniversalClient) (int64, error) { return r.HLen(c.ctx, c.key).Result() })
	if err != nil || detail != "" {
		return detail, err
	}
	return c.scanMembers("HSCAN", func(cursor uint64) ([]string, uint64, error) {
		return c.a.HScan(c.ctx, c.key, cursor, "", c.piece(n)).Result()
	}, func(page []string) (string, error) {
		fields := make([]string, 0, len(page)/2)
		for i := 0; i < len(page); i += 2 {
			fields = append(fields, page[i])
		}
		values, err := c.b.HMGet(c.ctx, c.key, fields...).Result()
		if err != nil {
			return "", c.to.fail("HMGET", err)
		}
		for i, field := range fields {
			if value, ok := values[i].(string); !ok {
				return fmt.Sprintf("hash field %.40q is not on the target", field), nil
			} else if value != page[2*i+1] {
				return fmt.Sprintf("hash field %.40q", field), nil
			}
		}
		return c.fieldExpiries(fields)
	})
}

// fieldExpiries compares when single fields of a hash expire (Redis 7.4 and newer; a server that does not know the command has none).
func (c valueComparer) fieldExpiries(fields []string) (string, error) {
	args := append([]any{"HPEXPIRETIME", c.key, "FIELDS", len(fields)}, toAny(fields)...)
	a, b, err := both(c, "HPEXPIRETIME", func(r redis.UniversalClient) ([]int64, error) {
		at, err := r.Do(c.ctx, args...).Int64Slice()
		if err != nil && strings.Contains(err.Error(), "unknown command") {
			at, err = make([]int64, len(fields)), nil
			for i := range at {
				at[i] = -1
			}
		}
		return at, err
	})
	if err != nil {
		return "", err
	}
	if len(a) != len(fields) || len(b) != len(fields) {
		return "the hash vanished while it was compared", nil
	}
	for i, field := range fields {
		if !c.sameExpiry(a[i], b[i]) {
			return fmt.Sprintf("hash field %.40q %s", field, expiryDetail(a[i], b[i])), nil
		}
	}
	return "", nil
}

func (c valueComparer) sortedSets() (string, error) {
	n, detail, err := c.lengths("members", func(r redis.UniversalClient) (int64, error) { return r.ZCard(c.ctx, c.key).Result() })
	if err != nil || detail != "" {
		return detail, err
	}
	return c.scanMembers("ZSCAN", func(cursor uint64) ([]string, uint64, error) {
		return c.a.ZScan(c.ctx, c.key, cursor, "", c.piece(n)).Result()
	}, func(page []string) (string, error) {
		args := []any{"ZMSCORE", c.key}
		for i := 0; i < len(page); i += 2 {
			args = append(args, page[i])
		}
		scores, err := c.b.Do(c.ctx, args...).Slice()
		if err != nil {
			return "", c.to.fail("ZMSCORE", err)
		}
		for i := 0; i < len(page); i += 2 {
			theirs, ok := scores[i/2].(string)
			if !ok {
				return "a member of the source is not on the target", nil
			}
			same, err := sameScore(page[i+1], theirs)
			if err != nil {
				return "", err
			}
			if !same {
				return "the score of a member", nil
			}
		}
		return "", nil
	})
}

// sameScore compares two scores as numbers: versions write them differently.
func sameScore(a, b string) (bool, error) {
	if a == b {
		return true, nil
	}
	x, err := strconv.ParseFloat(a, 64)
	if err != nil {
		return false, fmt.Errorf("score: %w", err)
	}
	y, err := strconv.ParseFloat(b, 64)
	if err != nil {
		return false, fmt.Errorf("score: %w", err)
	}
	return x == y, nil
}

func (c valueComparer) streams() (string, error) {
	a, b, err := both(c, "XINFO STREAM", func(r redis.UniversalClient) (*redis.XInfoStream, error) {
		return r.XInfoStream(c.ctx, c.key).Result()
	})
	if err != nil {
		return "", err
	}
	switch {
	case a.Length != b.Length:
		return fmt.Sprintf("%d entries on the source, %d on the target", a.Length, b.Length), nil
	case a.LastGeneratedID != b.LastGeneratedID:
		return "last generated id", nil
	case a.MaxDeletedEntryID != b.MaxDeletedEntryID:
		return "highest deleted id", nil
	case a.EntriesAdded != b.EntriesAdded:
		return "number of entries ever added", nil
	case a.Groups != b.Groups:
		return fmt.Sprintf("%d consumer groups on the source, %d on the target", a.Groups, b.Groups), nil
	}
	if detail, err := c.streamEntries(a.Length); err != nil || detail != "" {
		return detail, err
	}
	if a.Groups == 0 {
		return "", nil
	}
	return c.streamGroups()
}

func (c valueComparer) streamEntries(n int64) (string, error) {
	piece := c.piece(n)
	for from := "-"; ; {
		a, b, err := both(c, "XRANGE", func(r redis.UniversalClient) ([]any, error) {
			return r.Do(c.ctx, "XRANGE", c.key, from, "+", "COUNT", piece).Slice() // go-redis' map would lose the order of fields
		})
		if err != nil {
			return "", err
		}
		for i := range a {
			id := entryID(a[i])
			if i >= len(b) || fmt.Sprintf("%q", a[i]) != fmt.Sprintf("%q", b[i]) {
				return "entry " + id, nil
			}
			from = "(" + id
		}
		if int64(len(a)) < piece {
			return "", nil
		}
	}
}

func entryID(entry any) string {
	if parts, ok := entry.([]any); ok && len(parts) > 0 {
		return fmt.Sprint(parts[0])
	}
	return "?"
}

// streamGroups compares consumer groups: where each stands, its consumers, and what was delivered but not acknowledged.
func (c valueComparer) streamGroups() (string, error) {
	a, b, err := both(c, "XINFO GROUPS", func(r redis.UniversalClient) ([]redis.XInfoGroup, error) {
		return r.XInfoGroups(c.ctx, c.key).Result()
	})
	if err != nil {
		return "", err
	}
	theirs := map[string]redis.XInfoGroup{}
	for _, g := range b {
		theirs[g.Name] = g
	}
	for _, g := range a {
		t, ok := theirs[g.Name]
		switch {
		case !ok:
			return fmt.Sprintf("consumer group %.40q is not on the target", g.Name), nil
		case g.LastDeliveredID != t.LastDeliveredID, g.EntriesRead != t.EntriesRead:
			return fmt.Sprintf("position of consumer group %.40q", g.Name), nil
		case g.Consumers != t.Consumers:
			return fmt.Sprintf("consumers of group %.40q", g.Name), nil
		case g.Pending != t.Pending:
			return fmt.Sprintf("pending entries of consumer group %.40q", g.Name), nil
		}
		if detail, err := c.groupConsumers(g.Name); err != nil || detail != "" {
			return detail, err
		}
		if detail, err := c.groupPending(g.Name); err != nil || detail != "" {
			return detail, err
		}
	}
	return "", nil
}

func (c valueComparer) groupConsumers(group string) (string, error) {
	a, b, err := both(c, "XINFO CONSUMERS", func(r redis.UniversalClient) (map[string]int64, error) {
		consumers, err := r.XInfoConsumers(c.ctx, c.key, group).Result()
		pending := map[string]int64{}
		for _, consumer := range consumers {
			pending[consumer.Name] = consumer.Pending
		}
		return pending, err
	})
	if err != nil {
		return "", err
	}
	for name, pending := range a {
		if theirs, ok := b[name]; !ok || theirs != pending {
			return fmt.Sprintf("consumer %.40q of group %.40q", name, group), nil
		}
	}
	return "", nil
}

func (c valueComparer) groupPending(group string) (string, error) {
	for from := "-"; ; {
		a, b, err := both(c, "XPENDING", func(r redis.UniversalClient) ([]redis.XPendingExt, error) {
			return r.XPendingExt(c.ctx, &redis.XPendingExtArgs{Stream: c.key, Group: group, Start: from, End: "+", Count: pieceMembers}).Result()
		})
		if err != nil {
			return "", err
		}
		for i, p := range a {
			// The idle time is left out: it runs on each server by its own.
			if i >= len(b) || p.ID != b[i].ID || p.Consumer != b[i].Consumer || p.RetryCount != b[i].RetryCount {
				return fmt.Sprintf("pending entry %s of consumer group %.40q", p.ID, group), nil
			}
			from = "(" + p.ID
		}
		if len(a) < pieceMembers {
			return "", nil
		}
	}
}
