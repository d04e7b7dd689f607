package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// examine compares one key thoroughly, counts it and reports how it differs. there says whether it is on both sides.
func (v *verifier) examine(ctx context.Context, db int, key string) (there bool, err error) {
	found, outcome, err := v.lookTwice(ctx, db, key)
	if err != nil {
		return false, err
	}
	missing := len(found) > 0 && found[0].Kind == Missing
	v.count(func(o *Verification) {
		switch outcome {
		case keyCompared:
			o.Compared++
		case keyGone:
			o.Gone++
		case keyOpaque:
			o.Uncompared++
		}
		if len(found) > 0 && !missing {
			o.differ++
		}
	})
	for _, d := range found {
		if err := v.report(d); err != nil {
			return false, err
		}
	}
	return outcome != keyGone && !missing, nil
}

// lookTwice compares one key. A difference must show in two looks, since the key may change or expire in between the reading of the two
// sides.
func (v *verifier) lookTwice(ctx context.Context, db int, key string) ([]Difference, keyOutcome, error) {
	found, outcome, err := v.compareKey(ctx, db, key)
	if err != nil || len(found) == 0 {
		return found, outcome, err
	}
	return v.compareKey(ctx, db, key)
}

type keyOutcome int

const (
	keyGone     keyOutcome = iota // on neither side, or expired by now
	keyCompared                   // compared
	keyOpaque                     // its value cannot be taken apart
)

// compareKey compares type, then value and expiry.
func (v *verifier) compareKey(ctx context.Context, db int, key string) ([]Difference, keyOutcome, error) {
	a, err := v.from.look(ctx, db, key)
	if err != nil {
		return nil, 0, err
	}
	b, err := v.to.look(ctx, v.move.targetDB(db), key)
	if err != nil {
		return nil, 0, err
	}
	diff := func(kind Kind, format string, args ...any) Difference {
		return Difference{Kind: kind, DB: db, Key: key, Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case a.kind == "none":
		return nil, keyGone, nil // if it is on the target, the other direction reports it
	case b.kind == "none" && v.expired(a.expireAt, a.now, b.now):
		return nil, keyGone, nil
	case b.kind == "none":
		return []Difference{diff(Missing, "%s", a.kind)}, keyCompared, nil
	case a.kind != b.kind:
		return []Difference{diff(TypeDiff, "%s on the source, %s on the target", a.kind, b.kind)}, keyCompared, nil
	}
	var found []Difference
	detail, err := v.compareValue(ctx, db, key, a.kind)
	outcome := keyCompared
	switch {
	case errors.Is(err, errOpaque):
		equal, err := v.samePayload(ctx, db, key)
		if err != nil {
			return nil, 0, err
		}
		if !equal {
			outcome = keyOpaque
		}
	case err != nil && strings.Contains(err.Error(), "WRONGTYPE"):
		found = append(found, diff(ValueDiff, "it changed its type while it was compared"))
	case err != nil:
		return nil, 0, err
	case detail != "":
		found = append(found, diff(ValueDiff, "%s", detail))
	}
	if !v.sameExpiry(a.expireAt, b.expireAt) {
		found = append(found, diff(TTLDiff, "%s", expiryDetail(a.expireAt, b.expireAt)))
	}
	return found, outcome, nil
}

func expiryDetail(a, b int64) string {
	switch {
	case a < 0:
		return "expires on the target, never on the source"
	case b < 0:
		return "expires on the source, never on the target"
	case b > a:
		return fmt.Sprintf("expires %d ms later on the target", b-a)
	}
	return fmt.Sprintf("expires %d ms earlier on the target", a-b)
}

// samePayload compares the serialized form of one key.
func (v *verifier) samePayload(ctx context.Context, db int, key string) (bool, error) {
	suspects, err := v.unequal(ctx, db, []string{key})
	if err != nil {
		return false, err
	}
	if len(suspects) == 0 {
		return true, nil
	}
	a, err := v.from.dump(ctx, db, []string{key})
	if err != nil {
		return false, err
	}
	b, err := v.to.dump(ctx, v.move.targetDB(db), []string{key})
	return err == nil && a[0].payload == b[0].payload, err
}

// errOpaque says that this package cannot take a value of that type apart.
var errOpaque = errors.New("a type that cannot be taken apart")

// Pieces in which large values are compared: bytes of a string, and members of the other types, fewer when they are large.
const (
	pieceBytes   = 1 << 20
	pieceMembers = 500
)

// weigh asks what a value takes on the side where it takes more; 0 when neither tells.
func (v *verifier) weigh(ctx context.Context, db int, key string) (int64, error) {
	var most int64
	for _, side := range []struct {
		s  *session
		db int
	}{{v.from, db}, {v.to, v.move.targetDB(db)}} {
		bytes, err := side.s.db(side.db).MemoryUsage(ctx, key).Result()
		if err != nil && !errors.Is(err, redis.Nil) && !isServerError(err) {
			return 0, side.s.fail("MEMORY USAGE", err)
		}
		most = max(most, bytes)
	}
	return most, nil
}

// piece is how many of n members are compared at a time.
func (c valueComparer) piece(n int64) int64 {
	if c.weight <= 0 {
		return pieceMembers
	}
	return max(1, min(pieceMembers, n*pieceBytes/c.weight))
}

// compareValue says in what two values of one type differ, or "".
func (v *verifier) compareValue(ctx context.Context, db int, key, kind string) (string, error) {
	c := valueComparer{ctx: ctx, key: key, a: v.from.db(db), b: v.to.db(v.move.targetDB(db)), from: v.from, to: v.to, sameExpiry: v.sameExpiry}
	if kind != "string" {
		var err error
		if c.weight, err = v.weigh(ctx, db, key); err != nil {
			return "", err
		}
	}
	switch kind {
	case "string":
		return c.strings()
	case "list":
		return c.lists()
	case "set":
		return c.sets()
	case "hash":
		return c.hashes()
	case "zset":
		return c.sortedSets()
	case "stream":
		return c.streams()
	}
	return "", errOpaque
}

// valueComparer compares the values of one key, a on the source and b on the target, piece by piece. Each method returns in what they
// differ, or "".
type valueComparer struct {
	ctx        context.Context
	key        string
	a, b       redis.UniversalClient
	from, to   *session
	weight     int64 // in bytes; 0: not told
	sameExpiry func(a, b int64) bool
}

// both asks each side the same question.
func both[T any](c valueComparer, what string, ask func(redis.UniversalClient) (T, error)) (a, b T, err error) {
	if a, err = ask(c.a); err != nil {
		return a, b, c.from.fail(what, err)
	}
	if b, err = ask(c.b); err != nil {
		return a, b, c.to.fail(what, err)
	}
	return a, b, nil
}

// lengths compares how long the two are.
func (c valueComparer) lengths(unit string, ask func(redis.UniversalClient) (int64, error)) (n int64, detail string, err error) {
	a, b, err := both(c, "length of a value", ask)
	if err == nil && a != b {
		detail = fmt.Sprintf("%d %s on the source, %d on the target", a, unit, b)
	}
	return a, detail, err
}

func (c valueComparer) strings() (string, error) {
	n, detail, err := c.lengths("bytes", func(r redis.UniversalClient) (int64, error) { return r.StrLen(c.ctx, c.key).Result() })
	if err != nil || detail != "" {
		return detail, err
	}
	for at := int64(0); at < n; at += pieceBytes {
		a, b, err := both(c, "GETRANGE", func(r redis.UniversalClient) (string, error) {
			return r.GetRange(c.ctx, c.key, at, at+pieceBytes-1).Result()
		})
		if err != nil {
			return "", err
		}
		if a != b {
			i := 0
			for i < min(len(a), len(b)) && a[i] == b[i] {
				i++
			}
			return fmt.Sprintf("byte %d", at+int64(i)), nil
		}
	}
	return "", nil
}

func (c valueComparer) lists() (string, error) {
	n, detail, err := c.lengths("elements", func(r redis.UniversalClient) (int64, error) { return r.LLen(c.ctx, c.key).Result() })
	if err != nil || detail != "" {
		return detail, err
	}
	piece := c.piece(n)
	for at := int64(0); at < n; at += piece {
		a, b, err := both(c, "LRANGE", func(r redis.UniversalClient) ([]string, error) {
			return r.LRange(c.ctx, c.key, at, at+piece-1).Result()
		})
		if err != nil {
			return "", err
		}
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				return fmt.Sprintf("element %d", at+int64(i)), nil
			}
		}
	}
	return "", nil
}

// scanMembers walks the members of a set, hash or sorted set of the source. Equal lengths and every member of the source on the target
// make them equal, also if SCAN shows a member twice.
func (c valueComparer) scanMembers(what string, scan func(cursor uint64) ([]string, uint64, error), look func(page []string) (string, error)) (string, error) {
	for cursor := uint64(0); ; {
		if c.ctx.Err() != nil {
			return "", c.ctx.Err()
		}
		page, next, err := scan(cursor)
		if err != nil {
			return "", c.from.fail(what, err)
		}
		if len(page) > 0 {
			if detail, err := look(page); err != nil || detail != "" {
				return detail, err
			}
		}
		if cursor = next; cursor == 0 {
			return "", nil
		}
	}
}

func (c valueComparer) sets() (string, error) {
	n, detail, err := c.lengths("members", func(r redis.UniversalClient) (int64, error) { return r.SCard(c.ctx, c.key).Result() })
	if err != nil || detail != "" {
		return detail, err
	}
	return c.scanMembers("SSCAN", func(cursor uint64) ([]string, uint64, error) {
		return c.a.SScan(c.ctx, c.key, cursor, "", c.piece(n)).Result()
	}, func(page []string) (string, error) {
		there, err := c.b.SMIsMember(c.ctx, c.key, toAny(page)...).Result()
		if err != nil {
			return "", c.to.fail("SMISMEMBER", err)
		}
		for i := range page {
			if !there[i] {
				return "a member of the source is not on the target", nil
			}
		}
		return "", nil
	})
}

func toAny(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
