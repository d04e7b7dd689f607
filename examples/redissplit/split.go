package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/tashikame-go/tashikame/redismigrate"
)

// openSplit begins a process's part of the split. The service's processes and the operator's program say the same here.
func openSplit(ctx context.Context, oldURL, newURL string) (*redismigrate.Split, error) {
	return redismigrate.NewSplit(ctx, redismigrate.Move{
		From: &redismigrate.Endpoint{URL: oldURL},
		To:   &redismigrate.Endpoint{URL: newURL},
		Keys: redismigrate.Selector{ID: "sessions", Include: []string{"session:*"}},
	}, quick)
}

// quick lets a step take two seconds instead of eleven, for the demo. Leave it out: redismigrate.SplitOptions{} is what a service wants.
var quick = redismigrate.SplitOptions{
	Refresh:        50 * time.Millisecond,
	MaxAge:         500 * time.Millisecond,
	CommandTimeout: 500 * time.Millisecond,
	Logger:         slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
}

// settling is after what time a command whose answer did not come is not carried out any more.
var settling = quick.CommandTimeout + time.Second
