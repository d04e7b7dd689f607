package redismigrate_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/tashikame-go/tashikame/redismigrate"
)

// makePlan is what every plan is made from: two cards, and a census of the source.
func makePlan(ctx context.Context, m redismigrate.Move, app redismigrate.ClientAbilities) *redismigrate.Plan {
	source, err := redismigrate.Inspect(ctx, m.From, redismigrate.InspectOptions{Keys: m.Keys})
	if err != nil {
		log.Fatal(err)
	}
	target, err := redismigrate.Inspect(ctx, m.To, redismigrate.InspectOptions{Keys: m.Keys, Target: true})
	if err != nil {
		log.Fatal(err)
	}
	census, err := redismigrate.Measure(ctx, m.From, redismigrate.MeasureOptions{Keys: m.Keys})
	if err != nil {
		log.Fatal(err)
	}
	plan, err := redismigrate.MakePlan(m, source, target, census, app)
	if err != nil {
		log.Fatal(err)
	}
	return plan
}

// Which ways are there, before anything is touched?
func ExampleMakePlan() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	move := redismigrate.Move{From: &redismigrate.Endpoint{URL: old.URL}, To: &redismigrate.Endpoint{URL: fresh.URL}, Keys: sessions}
	plan := makePlan(ctx, move, redismigrate.ClientAbilities{TLS: true})

	for _, o := range plan.Options {
		fmt.Printf("%s: %s, moves %d keys, deletes %d\n", o.Strategy, o.Verdict, o.Moved.Keys.Value, o.Deleted.Keys.Value)
	}
	fmt.Println("chosen:", plan.Chosen) // plan.String() has the reasons, the steps and their ways back
	// Output:
	// prune after restore: possible, moves 300 keys, deletes 200
	// copy: possible, moves 100 keys, deletes 0
	// filtered snapshot: possible, moves 100 keys, deletes 0
	// migrate: possible, moves 100 keys, deletes 0
	// live split: impossible, moves 100 keys, deletes 0
	// chosen: prune after restore
}

// Run the plan on stand-ins, and forecast the day.
func ExampleRehearse() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	standIn, standTarget, stopStandIns := twoStores(ctx)
	defer stopStandIns()
	move := redismigrate.Move{From: &redismigrate.Endpoint{URL: old.URL}, To: &redismigrate.Endpoint{URL: fresh.URL}, Keys: sessions}
	plan := makePlan(ctx, move, redismigrate.ClientAbilities{})
	if err := plan.Choose(redismigrate.CopyKeys); err != nil {
		log.Fatal(err)
	}

	rehearsal, err := redismigrate.Rehearse(ctx, plan,
		redismigrate.Move{From: &redismigrate.Endpoint{URL: standIn.URL}, To: &redismigrate.Endpoint{URL: standTarget.URL}},
		redismigrate.RehearseOptions{Window: time.Hour, Back: 5 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rehearsal.Verdict)
	for _, step := range rehearsal.Steps { // step.Forecast says how long it will take, with a range
		fmt.Printf("%s: %d of %d keys; abort when it is not over after %s\n", step.Name, step.Measured.Keys.Value, step.Full.Keys.Value, step.AbortAt.Round(time.Minute))
	}
	// Output:
	// match
	// copy: 100 of 100 keys; abort when it is not over after 55m0s
	// verify: 100 of 100 keys; abort when it is not over after 55m0s
}
