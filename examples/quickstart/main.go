// Quickstart tells the three stories behind tashikame, in about a minute, on real MySQL and Redis servers that it starts
// and removes again:
//
//	make demo
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/internal/smartlist"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := tell(ctx, os.Stdout)
	stop()
	if err = errors.Join(err, servers.Close()); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// tell tells the three stories. Whatever does not come out as told is an error.
func tell(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute) // images may have to be built first
	defer cancel()
	var say sayer = func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }

	say("Starting real MySQL and Redis servers …")
	my, err := servers.StartMySQL(ctx)
	if err != nil {
		return err
	}
	defer my.Close()
	// The tables of the second story take a few seconds to fill: meanwhile the first one is told.
	shop, err := servers.StartMySQL(ctx)
	if err != nil {
		return err
	}
	defer shop.Close()
	empty, err := servers.StartMySQL(ctx)
	if err != nil {
		return err
	}
	defer empty.Close()
	var fillErr error
	filled := make(chan struct{})
	go func() {
		defer close(filled)
		if fillErr = errors.Join(smartlist.Create(ctx, shop.DB), smartlist.Create(ctx, empty.DB)); fillErr == nil {
			fillErr = smartlist.Fill(ctx, shop.DB)
		}
	}()
	defer func() { cancel(); <-filled }()

	if err := inconsistency(ctx, say, my.DB); err != nil {
		return fmt.Errorf("story 1: %w", err)
	}
	if <-filled; fillErr != nil {
		return fmt.Errorf("story 2: fill the tables: %w", fillErr)
	}
	if err := slowQuery(ctx, say, shop.DB, empty.DB); err != nil {
		return fmt.Errorf("story 2: %w", err)
	}
	if err := redisSplit(ctx, say); err != nil {
		return fmt.Errorf("story 3: %w", err)
	}
	say("\nThat was real: real servers, real output. The code is in examples/quickstart.")
	return nil
}

// sayer prints a line.
type sayer func(format string, args ...any)

// title begins a story.
func (say sayer) title(text string) {
	say("\n━━ %s", text)
}
