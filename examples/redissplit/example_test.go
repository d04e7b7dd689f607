package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/tashikame-go/tashikame/redismigrate"
)

// What a service needs.
func Example_service() {
	run := func(ctx context.Context) error {
		split, err := redismigrate.NewSplit(ctx, redismigrate.Move{
			From: &redismigrate.Endpoint{URL: os.Getenv("OLD_REDIS_URL")},
			To:   &redismigrate.Endpoint{URL: os.Getenv("NEW_REDIS_URL")},
			Keys: redismigrate.Selector{ID: "sessions", Include: []string{"session:*"}},
		}, redismigrate.SplitOptions{})
		if err != nil {
			return err
		}
		defer split.Close()
		client := split.Client() // was: redis.NewClient(…)
		return listen(ctx, client)
	}
	_ = run
}

// What its operator needs.
func Example_operator() {
	operate := func(ctx context.Context, split *redismigrate.Split, do, to string) error {
		state, _ := redismigrate.ParseSplitState(to)
		switch do {
		case "begin": // once, before the first process is deployed
			return split.Begin(ctx)
		case "step":
			return split.Step(ctx, state)
		case "sweep": // in home and away
			result, err := split.Sweep(ctx, redismigrate.SweepOptions{MaxRate: 5000})
			fmt.Printf("%+v\n", result)
			return err
		case "audit": // what would keep the split from that state, and how many keys are where
			audit, err := split.Audit(ctx, state)
			fmt.Printf("%+v\n", audit)
			return err
		case "forget": // in sealed, and in old when the split is given up
			_, err := split.Forget(ctx)
			return err
		}
		return fmt.Errorf("%q is none of begin, step, sweep, audit and forget", do)
	}
	_ = operate
}

// listen is a service that knows of no split.
func listen(_ context.Context, client *redis.Client) error {
	http.HandleFunc("/session", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, client.HGet(r.Context(), "session:"+r.FormValue("id"), "user").Val())
	})
	return http.ListenAndServe(":8080", nil) //nolint:gosec // it is never run
}
