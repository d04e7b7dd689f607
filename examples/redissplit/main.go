// Redissplit takes the sessions of a service that is in use from one Redis to a new one and back, on real servers that it starts and removes again:
//
//	go run ./redissplit
//
// README.md says what it shows, and what a service and its operator do of all this.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// Each process of the service is this very program, started again with these variables.
const (
	nameEnv    = "REDISSPLIT_PROCESS" // "a" or "b"
	oldEnv     = "OLD_REDIS_URL"
	newEnv     = "NEW_REDIS_URL"
	journalEnv = "REDISSPLIT_JOURNAL"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if name := os.Getenv(nameEnv); name != "" {
		err = serve(ctx, name)
	} else {
		err = errors.Join(tell(ctx, os.Stdout), servers.Close())
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "redissplit:", err)
		os.Exit(1)
	}
}
