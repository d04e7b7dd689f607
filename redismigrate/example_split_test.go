package redismigrate_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/tashikame-go/tashikame/redismigrate"
)

// The service makes its client once, and uses it as before. The operator goes through the states, back at any time before sealed.
func ExampleSplit() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	quick := redismigrate.SplitOptions{ // for the example; leave it out: a step takes 11 s
		Refresh: 20 * time.Millisecond, MaxAge: 100 * time.Millisecond, CommandTimeout: time.Second, Logger: slog.New(slog.DiscardHandler),
	}

	// In each process of the service:
	split, err := redismigrate.NewSplit(ctx, redismigrate.Move{
		From: &redismigrate.Endpoint{URL: old.URL}, To: &redismigrate.Endpoint{URL: fresh.URL}, Keys: sessions,
	}, quick)
	if err != nil {
		log.Fatal(err)
	}
	defer split.Close()
	client := split.Client() // was: redis.NewClient(…)

	// The operator, from a program of their own:
	if err := split.Begin(ctx); err != nil {
		log.Fatal(err)
	}
	for _, state := range []redismigrate.SplitState{redismigrate.SplitHome, redismigrate.SplitAway, redismigrate.SplitNew} {
		if state == redismigrate.SplitNew { // the keys that nobody has touched
			swept, err := split.Sweep(ctx, redismigrate.SweepOptions{})
			fmt.Println("swept:", swept.Complete, err)
		}
		if err := split.Step(ctx, state); err != nil {
			log.Fatal(err)
		}
		client.HIncrBy(ctx, "session:7", "hits", 1)
		fmt.Println(split.State(), client.HGet(ctx, "session:7", "hits").Val())
	}
	audit, err := split.Audit(ctx, redismigrate.SplitSealed)
	fmt.Println(audit.Old, audit.New, audit.Clean(), err)
	// Output:
	// home 1
	// away 2
	// swept: true <nil>
	// new 3
	// 0 100 true <nil>
}

// What cannot be carried out in two places is refused, with the way out, and not sent.
func ExampleSplitRefusedError() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	split, err := redismigrate.NewSplit(ctx, redismigrate.Move{
		From: &redismigrate.Endpoint{URL: old.URL}, To: &redismigrate.Endpoint{URL: fresh.URL}, Keys: sessions,
	}, redismigrate.SplitOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer split.Close()
	err = split.Client().BLPop(ctx, time.Second, "session:queue").Err()
	var refused *redismigrate.SplitRefusedError
	fmt.Println(errors.As(err, &refused), refused.Command)
	fmt.Println(refused.Why)
	// Output:
	// true BLPOP
	// it blocks, and a client that waits in one store does not see the key go to the other: ask without waiting (LPOP, LMOVE, ZPOPMIN, …), and again after a pause; for keys that are not part of the split, use the old store's own client (Split.Old)
}

// The state may be kept where a team keeps its switches. Then MayStep says whether it may be changed.
func ExampleSplitStateFile() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	dir, err := os.MkdirTemp("", "split")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "state")
	if err := os.WriteFile(name, []byte("old\n"), 0o600); err != nil {
		log.Fatal(err)
	}
	split, err := redismigrate.NewSplit(ctx, redismigrate.Move{
		From: &redismigrate.Endpoint{URL: old.URL}, To: &redismigrate.Endpoint{URL: fresh.URL}, Keys: sessions,
	}, redismigrate.SplitOptions{States: redismigrate.SplitStateFile(name), Refresh: 20 * time.Millisecond, MaxAge: 100 * time.Millisecond, CommandTimeout: time.Second})
	if err != nil {
		log.Fatal(err)
	}
	defer split.Close()
	fmt.Println(split.State(), split.MayStep(ctx, redismigrate.SplitHome), errors.Is(split.MayStep(ctx, redismigrate.SplitNew), redismigrate.ErrRefused))
	// Output: old <nil> true
}
