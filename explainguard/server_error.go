package explainguard

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// The server's errors that are told apart; see MySQL's Server Error Message Reference, and MariaDB's list for those above 4000.
const (
	errDatabaseDenied = 1044
	errDuplicate      = 1062
	errSyntax         = 1064
	errUnknownID      = 1094 // of a thread to kill
	errUnknownTable   = 1109 // of information_schema
	errTableDenied    = 1142
	errColumnDenied   = 1143
	errNoSuchTable    = 1146
	errNoSuchKey      = 1176 // an invisible one cannot be forced
	errLockWait       = 1205
	errDeadlock       = 1213
	errSpecialDenied  = 1227
	errInterrupted    = 1317 // a mere note if EXPLAIN ANALYZE was stopped; it answers nevertheless, with what had been done by then
	errTimeLimit      = 3024
	errCheckViolated  = 3819
	errCheckMariaDB   = 4025
)

// fromServer reports whether the server answered with an error, so that the session is as good as before.
func fromServer(err error) bool {
	_, ok := errors.AsType[*mysql.MySQLError](err)
	return ok
}

// isError reports whether the server answered with one of these errors.
func isError(err error, numbers ...uint16) bool {
	my, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && slices.Contains(numbers, my.Number)
}

func denied(err error) bool {
	return isError(err, errTableDenied, errColumnDenied, errDatabaseDenied, errSpecialDenied)
}

// granting names the grant that is missing.
func granting(err error, grants ...string) error {
	my, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok || !denied(err) {
		return err
	}
	doing, _, _ := strings.Cut(err.Error(), ": "+my.Error()) // the advice that follows is for EXPLAIN
	return fmt.Errorf("%s: %w; run as an administrator: %s", doing, my, strings.Join(grants, "; "))
}
