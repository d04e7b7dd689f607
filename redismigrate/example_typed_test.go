package redismigrate_test

import (
	"context"
	"fmt"
	"log"

	"github.com/tashikame-go/tashikame/redismigrate"
)

// Functions are not keys: Copy leaves them behind.
func ExampleCopyFunctions() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	old.Client.FunctionLoad(ctx, "#!lua name=carts\nredis.register_function('total', function(keys, args) return 42 end)")
	move := redismigrate.Move{From: &redismigrate.Endpoint{URL: old.URL}, To: &redismigrate.Endpoint{URL: fresh.URL}}
	result, err := redismigrate.CopyFunctions(ctx, move, redismigrate.FunctionsOptions{Scripts: []string{"return redis.call('GET', KEYS[1])"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result, result.Copied)
	fmt.Println(fresh.Client.FCall(ctx, "total", nil).Val())
	// Output:
	// libraries: copied 1, already there 0; scripts loaded 1 [carts]
	// 42
}

// The source sends the keys by itself, where it may: they do not pass through this program.
func ExampleCopy_migrate() {
	ctx := context.Background()
	old, fresh, stop := twoStores(ctx)
	defer stop()
	result, err := redismigrate.Copy(ctx, redismigrate.Move{
		From: &redismigrate.Endpoint{URL: old.URL},
		To:   &redismigrate.Endpoint{URL: fresh.URL},
		Keys: sessions,
	}, redismigrate.CopyOptions{
		Strategy:         redismigrate.MigrateKeys,
		TargetFromSource: fresh.Direct(), // the source sees the target at another address than we do
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Copied, old.Client.Exists(ctx, "session:1").Val())
	// Output: 100 1
}
