// Command redismigrate takes keys from one Redis or Valkey to another: it probes what the servers allow, measures, plans, rehearses,
// copies or prunes, and verifies.
//
//	redismigrate inspect  [flags]            what a server is and what it really allows
//	redismigrate measure  [flags]            keys, bytes and expiries of the source, by prefix
//	redismigrate plan     [flags]            which ways there are, and the steps of the best
//	redismigrate rehearse [flags]            run the plan on stand-ins, and forecast the day
//	redismigrate copy     [flags]            copy the selected keys to the target
//	redismigrate prune    [flags]            delete from the target what is not selected
//	redismigrate filter   [flags] in.rdb out.rdb   write a snapshot that holds only the selected keys
//	redismigrate verify   [flags]            compare source and target, both ways
//
// The stores are named by the environment variables REDISMIGRATE_SOURCE and REDISMIGRATE_TARGET, in the form
// redis://user:password@host:port/db (rediss:// for TLS); a password on the command line would be seen by every user of the machine.
//
// Nothing is written or deleted without -apply; a prune also wants the confirmation that its plan printed.
//
// Exit codes: 0 good; 1 bad: a difference, a refusal, a plan without a way; 2 wrong usage, or an input that cannot be read; 3 could not tell.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/tashikame-go/tashikame/redismigrate"
)

// The exit codes.
const (
	exitGood    = 0
	exitBad     = 1
	exitUsage   = 2
	exitUnknown = 3
)

const usage = `usage:
  redismigrate inspect  [flags]                  what a server is and what it really allows
  redismigrate measure  [flags]                  keys, bytes and expiries of the source, by prefix
  redismigrate plan     [flags]                  which ways there are, and the steps of the best
  redismigrate rehearse [flags]                  run the plan on stand-ins, and forecast the day
  redismigrate copy     [flags]                  copy the selected keys to the target
  redismigrate prune    [flags]                  delete from the target what is not selected
  redismigrate filter   [flags] in.rdb out.rdb   write a snapshot that holds only the selected keys
  redismigrate verify   [flags]                  compare source and target, both ways

Set REDISMIGRATE_SOURCE and REDISMIGRATE_TARGET to redis://user:password@host:port/db (rediss:// for TLS).
Nothing is written or deleted without -apply. 'redismigrate <command> -h' lists the flags.
Exit codes: 0 good, 1 bad, 2 usage or unreadable input, 3 could not tell.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// usageError is an error of whoever typed the command.
type usageError struct{ error }

// console is where a command reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
}

type command func(ctx context.Context, c *console, args []string) (int, error)

var commands = map[string]command{
	"inspect": inspect, "measure": measure, "plan": plan, "rehearse": rehearse, "copy": copyKeys, "prune": prune, "filter": filter, "verify": verify,
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
		return exitGood
	}
	cmd := commands[args[0]]
	if cmd == nil {
		fmt.Fprintf(stderr, "%sredismigrate: there is no command %q\n", usage, args[0])
		return exitUsage
	}
	code, err := cmd(ctx, &console{stdin, stdout, stderr}, args[1:])
	switch {
	case err == nil:
		return code
	case errors.Is(err, flag.ErrHelp):
		return exitGood
	}
	text := err.Error()
	fmt.Fprintln(stderr, "redismigrate:", trimPackage(text))
	switch {
	case isUsage(err):
		return exitUsage
	case errors.Is(err, redismigrate.ErrRefused):
		return exitBad
	}
	return exitUnknown
}

func isUsage(err error) bool {
	_, ok := errors.AsType[usageError](err)
	return ok
}

// trimPackage leaves out the package's name, which is the command's too.
func trimPackage(text string) string {
	const prefix = "redismigrate: "
	if len(text) > len(prefix) && text[:len(prefix)] == prefix {
		return text[len(prefix):]
	}
	return text
}
