package redismigrate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/tashikame-go/tashikame/redismigrate"
)

// A snapshot becomes one with the sessions and nothing else; keys of db 1, if there are any, go to db 0, which is all that some stores have. No server takes part:
// here one only makes the snapshot, and another one shows that the output loads.
func ExampleFilter() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	snapshot, err := old.Snapshot() // in practice an open file, dump.rdb
	if err != nil {
		log.Fatal(err)
	}

	var out bytes.Buffer // and os.Create
	result, err := redismigrate.Filter(ctx, bytes.NewReader(snapshot), &out, sessions, redismigrate.FilterOptions{DBMap: map[int]int{1: 0}})
	if err != nil {
		log.Fatal(err) // the output does not load, on purpose
	}
	fmt.Printf("complete: %v, kept %d of %d keys\n", result.Complete, result.Kept, result.Kept+result.Dropped)
	for _, note := range result.Notes() {
		fmt.Println(note)
	}

	if err := fresh.Load(out.Bytes()); err != nil {
		log.Fatal(err)
	}
	v, err := redismigrate.Verify(ctx, redismigrate.Move{
		From: &redismigrate.Endpoint{URL: old.URL}, To: &redismigrate.Endpoint{URL: fresh.URL}, Keys: sessions,
	}, redismigrate.VerifyOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v.Verdict, v.Compared)

	// A slip in the selector does not end in an empty store.
	_, err = redismigrate.Filter(ctx, bytes.NewReader(snapshot), &out, redismigrate.Selector{Include: []string{"sesion:*"}}, redismigrate.FilterOptions{})
	fmt.Println("refused:", errors.Is(err, redismigrate.ErrRefused))
	// Output:
	// complete: true, kept 100 of 300 keys
	// match 100
	// refused: true
}
