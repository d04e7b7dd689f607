// Command explainguard judges the plans of SQL files, moves production statistics to test databases, and shows the reports
// of test runs: explainguard for teams of any language, and for CI.
//
//	explainguard check [flags] file.sql …
//	explainguard stats dump [flags]
//	explainguard stats apply [flags] file.json
//	explainguard report [flags] directory-or-file …
//
// The server is named by the environment variable EXPLAINGUARD_DSN, in the form of go-sql-driver/mysql
// (user:password@tcp(host:port)/database), or by the flag -dsn-file; a password on the command line would be seen by
// every user of the machine.
//
// Exit codes: 0 all is good; 1 something fails; 2 wrong usage, or an input that cannot be read; 3 nothing fails, but
// something could not be told (an error of the server, a plan that cannot be judged).
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
)

// The exit codes.
const (
	exitGood    = 0
	exitBad     = 1
	exitUsage   = 2
	exitUnknown = 3
)

const usage = `usage:
  explainguard check [flags] file.sql …          judge the plan of every statement in the files
  explainguard stats dump [flags]                write the statistics of a database as JSON
  explainguard stats apply [flags] file.json     give them to a test database
  explainguard report [flags] directory|file …   show what test runs left in $EXPLAINGUARD_REPORTS

Set EXPLAINGUARD_DSN=user:password@tcp(host:port)/database, or pass -dsn-file.
Exit codes: 0 good, 1 bad, 2 usage or unreadable input, 3 could not tell.
'explainguard <command> -h' lists the flags.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// usageError is an error of whoever typed the command.
type usageError struct{ error }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	code, err := dispatch(ctx, args, stdout, stderr)
	switch {
	case err == nil:
		return code
	case errors.Is(err, flag.ErrHelp):
		return exitGood
	}
	fmt.Fprintln(stderr, "explainguard:", err)
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitUnknown
}

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) (int, error) {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return exitUsage, nil
	}
	name, rest := args[0], args[1:]
	if name == "stats" && len(rest) > 0 {
		name, rest = name+" "+rest[0], rest[1:]
	}
	switch name {
	case "check":
		return check(ctx, rest, stdout, stderr)
	case "stats dump":
		return statsDump(ctx, rest, stdout, stderr)
	case "stats apply":
		return statsApply(ctx, rest, stdout, stderr)
	case "report":
		return report(rest, stdout, stderr)
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
		return exitGood, nil
	default:
		fmt.Fprint(stderr, usage)
		return 0, usageError{fmt.Errorf("there is no command %q", name)}
	}
}

// parse reads a command's flags.
func parse(flags *flag.FlagSet, args []string, stderr io.Writer) error {
	flags.SetOutput(stderr)
	err := flags.Parse(args)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		return usageError{errors.New("see the flags above")}
	}
	return err
}
