package redismigrate_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/tashikame-go/tashikame/redismigrate"
)

// A copy that is killed goes on from its checkpoint when it is called again; one that is done says so.
func ExampleFileCheckpoint() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	dir, err := os.MkdirTemp("", "copy")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	move := redismigrate.Move{From: &redismigrate.Endpoint{URL: old.URL}, To: &redismigrate.Endpoint{URL: fresh.URL}, Keys: sessions}
	options := redismigrate.CopyOptions{Checkpoint: redismigrate.FileCheckpoint(filepath.Join(dir, "sessions.json"))}
	for range 2 {
		result, err := redismigrate.Copy(ctx, move, options)
		fmt.Println(result.Copied, result.Complete, errors.Is(err, redismigrate.ErrFinished))
	}
	// Output:
	// 100 true false
	// 100 false true
}

// Two dbs become one. A key that is in both would lose one of its values: that is refused before anything is written.
func ExampleMove() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	old.Client.Copy(ctx, "session:7", "session:7", 3, false)
	move := redismigrate.Move{
		From:  &redismigrate.Endpoint{URL: old.URL, DBs: []int{0, 3}},
		To:    &redismigrate.Endpoint{URL: fresh.URL},
		Keys:  sessions,
		DBMap: map[int]int{3: 0},
	}
	_, err := redismigrate.Copy(ctx, move, redismigrate.CopyOptions{})
	fmt.Println(errors.Is(err, redismigrate.ErrRefused), strings.Contains(err.Error(), `both hold the key "session:7"`))
	// Output: true true
}
