package redismigrate

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

var sameStreams = []sameCase{
	{"streams", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		for _, id := range []string{"1-1", "2-1", "3-1", "4-1", "5-1", "6-1"} {
			p.XAdd(ctx, &redis.XAddArgs{Stream: k("a"), ID: id, Values: []any{"f", id, "g", "x"}})
		}
		p.XAdd(ctx, &redis.XAddArgs{Stream: k("b"), ID: "9-9", Values: []any{"f", "値"}})
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		return []any{
			c.XLen(ctx, k("a")), c.XLen(ctx, k("none")), c.XRange(ctx, k("a"), "-", "2"), c.XRangeN(ctx, k("a"), "-", "+", 1), c.XRevRange(ctx, k("a"), "+", "6"), c.XRevRangeN(ctx, k("a"), "+", "-", 2), c.XRange(ctx, k("none"), "-", "+"),
			c.XRead(ctx, &redis.XReadArgs{Streams: []string{k("a"), k("b"), "5", "0"}, Count: 2, Block: -1}), c.XRead(ctx, &redis.XReadArgs{Streams: []string{k("a"), "9"}, Block: -1}), c.XRead(ctx, &redis.XReadArgs{Streams: []string{k("none"), "0"}, Block: -1}),
			c.XRead(ctx, &redis.XReadArgs{Streams: []string{k("b")}, ID: "0", Block: -1}), c.XAdd(ctx, &redis.XAddArgs{Stream: k("a"), ID: "7-*", Values: map[string]any{"f": 1}}), c.XAdd(ctx, &redis.XAddArgs{Stream: k("a"), ID: "1-1", Values: []any{"f", 1}}),
			c.XAdd(ctx, &redis.XAddArgs{Stream: k("none"), NoMkStream: true, Values: []any{"f", 1}}), works(c.XAdd(ctx, &redis.XAddArgs{Stream: k("a2"), Values: []any{"f", 1}})), c.Del(ctx, k("a2")), c.XAdd(ctx, &redis.XAddArgs{Stream: k("fresh"), ID: "1-1", MaxLen: 5, Approx: true, Values: []any{"f", 1}}),
			c.XDel(ctx, k("a"), "2-1", "99-1"), c.XTrimMaxLen(ctx, k("a"), 4), c.XTrimMinID(ctx, k("a"), "5"), c.XTrimMaxLenApprox(ctx, k("a"), 1, 0), c.XInfoStream(ctx, k("a")), c.XInfoStream(ctx, k("none")),
			c.Do(ctx, "XSETID", k("a"), "50-0", "ENTRIESADDED", 60, "MAXDELETEDID", "49-0"), c.XInfoStream(ctx, k("a")),
		}
	}},
	{"consumer groups", func(ctx context.Context, p redis.Pipeliner, k keyName) {
		for _, id := range []string{"1-1", "2-1", "3-1", "4-1", "5-1", "6-1"} {
			p.XAdd(ctx, &redis.XAddArgs{Stream: k("a"), ID: id, Values: []any{"f", id}})
		}
		p.XGroupCreate(ctx, k("a"), "g", "0")
		p.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "g", Consumer: "one", Streams: []string{k("a"), ">"}, Count: 3, Block: -1})
	}, func(ctx context.Context, c *redis.Client, k keyName) []any {
		pending := only2(c.XPendingExt(ctx, &redis.XPendingExtArgs{Stream: k("a"), Group: "g", Start: "-", End: "+", Count: 10}).Result())(func(list []redis.XPendingExt) any {
			for i := range list {
				list[i].Idle = 0
			}
			return list
		})
		group := func(id string) any {
			return c.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "g", Consumer: "two", Streams: []string{k("a"), id}, Count: 2, Block: -1})
		}
		return []any{
			pending, c.XPending(ctx, k("a"), "g"), c.XPending(ctx, k("a"), "none"), group("0"), group(">"), c.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "g", Consumer: "three", Streams: []string{k("a"), ">"}, NoAck: true, Block: -1}), group(">"), group("0"),
			c.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "none", Consumer: "x", Streams: []string{k("a"), ">"}, Block: -1}), c.XAck(ctx, k("a"), "g", "1-1", "99-1"), c.XDel(ctx, k("a"), "3-1"),
			c.XClaim(ctx, &redis.XClaimArgs{Stream: k("a"), Group: "g", Consumer: "two", Messages: []string{"2-1", "99-1"}}), c.XClaimJustID(ctx, &redis.XClaimArgs{Stream: k("a"), Group: "g", Consumer: "two", Messages: []string{"2-1"}}),
			autoClaimed(c.XAutoClaim(ctx, &redis.XAutoClaimArgs{Stream: k("a"), Group: "g", Consumer: "four", Start: "0", Count: 2})), autoClaimed(c.XAutoClaimJustID(ctx, &redis.XAutoClaimArgs{Stream: k("a"), Group: "g", Consumer: "five", Start: "0"})),
			c.XPending(ctx, k("a"), "g"), c.XGroupCreateConsumer(ctx, k("a"), "g", "six"), c.XGroupDelConsumer(ctx, k("a"), "g", "two"), c.XGroupCreate(ctx, k("a"), "g", "$"), c.XGroupCreateMkStream(ctx, k("fresh"), "h", "$"), c.XGroupSetID(ctx, k("a"), "g", "4"),
			c.XInfoGroups(ctx, k("a")), consumers(c.XInfoConsumers(ctx, k("a"), "g")), streamInFull(c.XInfoStreamFull(ctx, k("a"), 5)), c.XGroupDestroy(ctx, k("a"), "g"), c.XGroupDestroy(ctx, k("a"), "none"), c.XInfoGroups(ctx, k("a")),
		}
	}},
}

// only2 is only, for a command's Result.
func only2[T any](val T, err error) func(part func(T) any) any {
	return func(part func(T) any) any { return only(val, err, part) }
}

func autoClaimed[T any](cmd interface{ Result() (T, string, error) }) any {
	claimed, next, err := cmd.Result()
	return []any{claimed, next, err}
}

// consumers are what is told of them but for times.
func consumers(cmd *redis.XInfoConsumersCmd) any {
	return only(cmd.Val(), cmd.Err(), func(list []redis.XInfoConsumer) any {
		for i := range list {
			list[i].Idle, list[i].Inactive = 0, 0
		}
		return list
	})
}

// streamInFull is what is told of a stream but for times.
func streamInFull(cmd *redis.XInfoStreamFullCmd) any {
	return only(cmd.Val(), cmd.Err(), func(s *redis.XInfoStreamFull) any {
		for _, g := range s.Groups {
			for i := range g.Pending {
				g.Pending[i].DeliveryTime = time.Time{}
			}
			for i := range g.Consumers {
				c := &g.Consumers[i]
				c.SeenTime, c.ActiveTime = time.Time{}, time.Time{}
				for j := range c.Pending {
					c.Pending[j].DeliveryTime = time.Time{}
				}
			}
		}
		return s
	})
}
