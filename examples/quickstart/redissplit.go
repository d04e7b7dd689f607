package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/redismigrate"
)

// redisSplit moves the sessions out of an overgrown Redis: restore its snapshot into a new one, and delete there what does
// not belong.
func redisSplit(ctx context.Context, say sayer) error {
	say.title("3  redismigrate: give the sessions a Redis of their own")
	old, err := servers.StartRedis(ctx, "--save", "")
	if err != nil {
		return err
	}
	defer old.Close()
	fresh, err := servers.StartRedis(ctx, "--save", "")
	if err != nil {
		return err
	}
	defer fresh.Close()
	if err := fillMixed(ctx, old.Client); err != nil {
		return err
	}
	if err := fresh.Restore(old); err != nil {
		return err
	}
	say("The old Redis holds sessions, carts, rankings and cached pages. Its snapshot was restored into a new one.")

	source, target := &redismigrate.Endpoint{URL: old.URL}, &redismigrate.Endpoint{URL: fresh.URL}
	sessions := redismigrate.Selector{ID: "sessions", Include: []string{"session:*"}}

	say("\nWhat if somebody mixes up the two, at three in the morning?")
	_, err = redismigrate.PlanPrune(ctx, source, source, sessions, redismigrate.PruneOptions{})
	if !errors.Is(err, redismigrate.ErrRefused) {
		return fmt.Errorf("a prune of the source should have been refused, not: %w", err)
	}
	say("→ %v", err)

	say("\nThe plan, which deletes nothing:")
	plan, err := redismigrate.PlanPrune(ctx, source, target, sessions, redismigrate.PruneOptions{})
	if err != nil {
		return err
	}
	say("→ %v", plan)
	if _, err = plan.Apply(ctx, "yes"); !errors.Is(err, redismigrate.ErrRefused) {
		return fmt.Errorf("a careless confirmation should have been refused, not: %w", err)
	}

	say("\nApplied, with the confirmation that names the target and the counts:")
	// A real program shows plan.Confirmation() and has a person type it.
	result, err := plan.Apply(ctx, plan.Confirmation())
	if err != nil {
		return err
	}
	say("→ %v", result)
	if planned := plan.Total(); result.Deleted != planned.Delete || result.Kept != planned.Keep {
		return fmt.Errorf("the plan said keep %d, delete %d", planned.Keep, planned.Delete)
	}

	say("\nAnd verified in both directions, types, values and expiries:")
	verification, err := redismigrate.Verify(ctx, redismigrate.Move{From: source, To: target, Keys: sessions}, redismigrate.VerifyOptions{})
	if err != nil {
		return err
	}
	say("→ %v", verification)
	if verification.Verdict != redismigrate.Match {
		return errors.New("the new Redis should hold exactly the sessions")
	}
	return nil
}

func fillMixed(ctx context.Context, client *redis.Client) error {
	pipe := client.Pipeline()
	for i := range 12_000 {
		session := fmt.Sprintf("session:%05d", i)
		pipe.HSet(ctx, session, "user", i, "name", "山田", "csrf", "token")
		pipe.Expire(ctx, session, 24*time.Hour)
		pipe.Set(ctx, fmt.Sprintf("page:%05d", i), "<html>…</html>", time.Hour)
		if i%3 == 0 {
			pipe.RPush(ctx, fmt.Sprintf("cart:%05d", i), "book", "pen")
		}
		if i%100 == 0 {
			pipe.ZAdd(ctx, fmt.Sprintf("ranking:%03d", i/100), redis.Z{Score: float64(i), Member: "a"})
		}
	}
	_, err := pipe.Exec(ctx)
	return err
}
