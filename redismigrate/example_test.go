package redismigrate_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/redismigrate"
)

// twoStores starts two empty servers, and fills the first as story 3's: sessions among unrelated data.
func twoStores(ctx context.Context) (old, fresh *servers.RedisServer, stop func()) {
	for _, s := range []**servers.RedisServer{&old, &fresh} {
		var err error
		if *s, err = servers.StartRedis(ctx); err != nil {
			log.Fatal(err)
		}
	}
	for i := range 100 {
		old.Client.HSet(ctx, fmt.Sprintf("session:%d", i), "user", i)
		old.Client.Set(ctx, fmt.Sprintf("ranking:%d", i), i, 0)
		old.Client.Set(ctx, fmt.Sprintf("カート:%d", i), i, 0)
	}
	return old, fresh, func() {
		if err := errors.Join(old.Close(), fresh.Close()); err != nil {
			log.Fatal(err)
		}
	}
}

var sessions = redismigrate.Selector{ID: "sessions", Include: []string{"session:*"}}

// Restore the whole snapshot into the new store, then delete there what does not belong. (The copy stands for the restored snapshot.)
func ExamplePlanPrune() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	source := &redismigrate.Endpoint{URL: old.URL, AllDBs: true}
	target := &redismigrate.Endpoint{URL: fresh.URL, AllDBs: true}
	everything := redismigrate.Selector{Include: []string{"*"}}
	if _, err := redismigrate.Copy(ctx, redismigrate.Move{From: source, To: target, Keys: everything}, redismigrate.CopyOptions{}); err != nil {
		log.Fatal(err)
	}

	// The one mistake that must not happen: the old store as the target.
	_, err := redismigrate.PlanPrune(ctx, source, source, sessions, redismigrate.PruneOptions{})
	fmt.Println("the source as target is refused:", errors.Is(err, redismigrate.ErrRefused))

	// This program's other clients are connected to the target. An application's would be a reason to stop.
	plan, err := redismigrate.PlanPrune(ctx, source, target, sessions, redismigrate.PruneOptions{AllowClients: true})
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range plan.DBs() {
		fmt.Printf("db %d: keep %d, delete %d\n", c.DB, c.Keep, c.Delete)
	}
	_, err = plan.Apply(ctx, "yes")
	fmt.Println("a careless confirmation is refused:", errors.Is(err, redismigrate.ErrRefused))

	// A person reads plan.String() and types this.
	result, err := plan.Apply(ctx, plan.Confirmation())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("deleted %d, kept %d\n", result.Deleted, result.Kept)

	v, err := redismigrate.Verify(ctx, redismigrate.Move{From: source, To: target, Keys: sessions}, redismigrate.VerifyOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v.Verdict, v.Compared)
	// Output:
	// the source as target is refused: true
	// db 0: keep 100, delete 200
	// a careless confirmation is refused: true
	// deleted 200, kept 100
	// match 100
}

// A plan that is not wanted any more takes its canary back.
func ExamplePrunePlan_Discard() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	fresh.Client.MSet(ctx, "session:1", 1, "ranking:1", 1)
	plan, err := redismigrate.PlanPrune(ctx, &redismigrate.Endpoint{URL: old.URL}, &redismigrate.Endpoint{URL: fresh.URL}, sessions, redismigrate.PruneOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if err := plan.Discard(ctx); err != nil {
		log.Fatal(err)
	}
	_, err = plan.Apply(ctx, plan.Confirmation())
	fmt.Println(errors.Is(err, redismigrate.ErrRefused), fresh.Client.DBSize(ctx).Val())
	// Output: true 2
}

func ExampleCopy() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	move := redismigrate.Move{
		From: &redismigrate.Endpoint{URL: old.URL},
		To:   &redismigrate.Endpoint{URL: fresh.URL},
		Keys: sessions,
	}
	result, err := redismigrate.Copy(ctx, move, redismigrate.CopyOptions{})
	if err != nil {
		log.Fatal(err)
	}
	again, err := redismigrate.Copy(ctx, move, redismigrate.CopyOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("copied %d, then %d more; %d were there, %d of them different\n", result.Copied, again.Copied, again.Exists, again.Differs)
	// Output: copied 100, then 0 more; 100 were there, 0 of them different
}

func ExampleVerify() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	move := redismigrate.Move{
		From: &redismigrate.Endpoint{URL: old.URL},
		To:   &redismigrate.Endpoint{URL: fresh.URL},
		Keys: sessions,
	}
	if _, err := redismigrate.Copy(ctx, move, redismigrate.CopyOptions{}); err != nil {
		log.Fatal(err)
	}
	fresh.Client.HSet(ctx, "session:7", "user", "somebody else")
	v, err := redismigrate.Verify(ctx, move, redismigrate.VerifyOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v)
	for _, d := range v.Differences {
		fmt.Println(d)
	}
	// Output:
	// mismatch: 100 keys compared, 100 keys of the target scanned, 1 differences, value 1
	// value    db 0  "session:7"  hash field "user"
}

func ExampleSelector() {
	for _, s := range []redismigrate.Selector{
		{Include: []string{"session:*"}, Exclude: []string{"session:tmp:*"}},
		{},
		{Include: []string{"session:[0-9"}},
	} {
		fmt.Println(s.Validate())
	}
	// Output:
	// <nil>
	// the selector is empty and selects nothing; set Include or Match
	// selector: Include[0] "session:[0-9": the class opened at byte 8 is never closed; write \[ for the byte itself
}

func ExampleEndpoint() {
	e := redismigrate.Endpoint{URL: "redis://operator:secret@10.0.0.5:6379", DBs: []int{0, 2}}
	fmt.Println(e)
	// Output: 10.0.0.5:6379 (dbs 0, 2)
}
