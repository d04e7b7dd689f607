package redismigrate_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/tashikame-go/tashikame/redismigrate"
)

// All keys are checked to be there and nothing else to be; values are compared for a sample. Differences go to a file, or here to standard
// output, as JSON lines.
func ExampleVerify_sample() {
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
	v, err := redismigrate.Verify(ctx, move, redismigrate.VerifyOptions{Sample: 0.5})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v.Verdict, v.Selected, v.Bound.AtMost < 20)

	fresh.Client.Del(ctx, "session:7")
	v, err = redismigrate.Verify(ctx, move, redismigrate.VerifyOptions{Sample: 0.5, Differences: os.Stdout})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v.Verdict)
	// Output:
	// sample match 100 true
	// {"kind":"missing","db":0,"key":"session:7","detail":"hash"}
	// mismatch
}
