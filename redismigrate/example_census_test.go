package redismigrate_test

import (
	"context"
	"fmt"
	"log"

	"github.com/tashikame-go/tashikame/redismigrate"
)

// What is in there, and how much of it is what the job is about? The globs of the groups can be used in a Selector.
func ExampleMeasure() {
	ctx := context.Background()
	old, _, stop := twoStores(ctx)
	defer stop()
	census, err := redismigrate.Measure(ctx, &redismigrate.Endpoint{URL: old.URL, AllDBs: true}, redismigrate.MeasureOptions{Keys: sessions})
	if err != nil {
		log.Fatal(err)
	}
	// fmt.Println(census) prints it as tables.
	for _, g := range census.Prefixes {
		fmt.Println(g.Glob, g.Keys.Value, "keys,", g.Selected, "selected, exact:", g.Exact)
	}
	fmt.Println("complete:", census.Complete, "sampled:", census.Sampled, "selected:", census.Selected.Keys.Value, "of", census.Total.Keys.Value)
	// Unordered output:
	// カート:* 100 keys, 0 selected, exact: true
	// session:* 100 keys, 100 selected, exact: true
	// ranking:* 100 keys, 0 selected, exact: true
	// complete: true sampled: false selected: 100 of 300
}
