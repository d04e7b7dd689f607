package redismigrate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/tashikame-go/tashikame/redismigrate"
)

// Plan and apply are two processes: a person reads the plan in between.
func ExamplePrunePlan_Save() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	fresh.Client.MSet(ctx, "session:1", 1, "ranking:1", 1, "ranking:2", 1)
	source, target := &redismigrate.Endpoint{URL: old.URL}, &redismigrate.Endpoint{URL: fresh.URL}
	options := redismigrate.PruneOptions{AllowClients: true} // this program's other clients
	plan, err := redismigrate.PlanPrune(ctx, source, target, sessions, options)
	if err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer
	if err := plan.Save(&file); err != nil {
		log.Fatal(err)
	}

	// The other process brings the endpoints with their passwords; the file has none.
	_, err = redismigrate.LoadPrunePlan(bytes.NewReader(file.Bytes()[:100]), source, target, redismigrate.Selector{}, options)
	fmt.Println("half a file is an error:", err != nil)
	loaded, err := redismigrate.LoadPrunePlan(&file, source, target, redismigrate.Selector{}, options)
	if err != nil {
		log.Fatal(err)
	}
	result, err := loaded.Apply(ctx, loaded.Confirmation())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("deleted %d, kept %d\n", result.Deleted, result.Kept)
	// Output:
	// half a file is an error: true
	// deleted 2, kept 1
}

// The manifest proves afterwards what was kept, whatever has become of the source.
func ExampleVerifyManifest() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	fresh.Client.MSet(ctx, "session:1", 1, "session:2", 2, "ranking:1", 1)
	target := &redismigrate.Endpoint{URL: fresh.URL}
	var manifest bytes.Buffer // a file, in earnest
	plan, err := redismigrate.PlanPrune(ctx, &redismigrate.Endpoint{URL: old.URL}, target, sessions,
		redismigrate.PruneOptions{AllowClients: true, Manifest: &manifest})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := plan.Apply(ctx, plan.Confirmation()); err != nil {
		log.Fatal(err)
	}
	v, err := redismigrate.VerifyManifest(ctx, target, bytes.NewReader(manifest.Bytes()), redismigrate.VerifyOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v.Verdict, v.Compared)

	fresh.Client.Append(ctx, "session:2", "!")
	v, err = redismigrate.VerifyManifest(ctx, target, &manifest, redismigrate.VerifyOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v)
	fmt.Println(v.Differences[0])
	// Output:
	// match 2
	// mismatch: 2 keys compared, 2 keys of the target scanned, 1 differences, value 1
	// value    db 0  "session:2"  written to since the plan
}

// A prune that gives way to the target's other users and its replicas.
func ExampleThrottle() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	fresh.Client.MSet(ctx, "session:1", 1, "ranking:1", 1)
	plan, err := redismigrate.PlanPrune(ctx, &redismigrate.Endpoint{URL: old.URL}, &redismigrate.Endpoint{URL: fresh.URL}, sessions, redismigrate.PruneOptions{
		Throttle: redismigrate.Throttle{MaxLatency: 50 * time.Millisecond, MaxReplicaLag: 64 << 20, MaxRate: 200_000},
		Progress: func(p redismigrate.Progress) {
			if p.Held != "" {
				fmt.Println(p.Held) // "held to 12000 keys/s: replica 10.0.0.7:6379 of 10.0.0.5:6379 is 80000000 bytes behind (limit 67108864)"
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = plan.Apply(ctx, plan.Confirmation()) // this program's other client is connected to the target
	fmt.Println("refused while others are connected:", errors.Is(err, redismigrate.ErrRefused))
	// Output: refused while others are connected: true
}

// When little is kept, a copy into an empty store would have been faster.
func ExamplePrunePlan_Advice() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	fresh.Client.MSet(ctx, "session:1", 1, "ranking:1", 1)
	plan, err := redismigrate.PlanPrune(ctx, &redismigrate.Endpoint{URL: old.URL}, &redismigrate.Endpoint{URL: fresh.URL}, sessions, redismigrate.PruneOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(plan.Advice().CopyIsFaster)
	// Output: false
}
