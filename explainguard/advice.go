package explainguard

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// serverAdvice is the way out of the errors that MySQL gives to an EXPLAIN, by number (MySQL Error Message Reference).
var serverAdvice = map[uint16]string{
	1044: "the account may not use this database; grant it, or use another account",
	1045: "check user and password in the DSN",
	1049: "the DSN names a database that does not exist; create it or correct the DSN",
	1046: "the DSN selects no database; add one, or qualify the tables",
	1064: "the statement has a syntax error near the place that the server quotes",
	1142: "EXPLAIN needs the same privileges as the statement itself; grant them on this table",
	1143: "EXPLAIN needs the same privileges as the statement itself; grant them on this column",
	1146: "create the table (run the migrations), or select the right database in the DSN",
	1054: "the schema here differs from what the statement expects; run the migrations",
	1205: "the table is locked by another session (LOCK TABLES, DDL); wait for it or end it, see SHOW PROCESSLIST",
	1345: "EXPLAIN of a view needs SHOW VIEW on it and SELECT on its tables; grant them",
	1792: "a function in the statement writes, and the server runs constant subqueries while it plans; such a statement cannot be explained safely",
	1969: "planning took longer than " + planningTimeout.String() + ": MariaDB runs cheap constant subqueries and functions while it plans; make them cheaper",
	3024: "planning took longer than " + planningTimeout.String() + ": MySQL runs constant subqueries while it plans; make them cheaper",
	1210: "the number or type of the arguments does not fit the placeholders",
}

// explained adds the way out to an error.
func explained(ctx context.Context, doing string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if !errors.Is(err, cause) {
			err = fmt.Errorf("%w (%w)", cause, err)
		}
		if errors.Is(cause, context.Canceled) {
			return fmt.Errorf("%s: %w: the caller ended it before the server had answered", doing, err)
		}
		return fmt.Errorf("%s: %w; give the context more time, or look why the server does not answer", doing, err)
	}
	if way := advice(err); way != "" {
		return fmt.Errorf("%s: %w; %s", doing, err, way)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func advice(err error) string {
	if my, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return serverAdvice[my.Number]
	}
	_, network := errors.AsType[net.Error](err)
	switch {
	case network, errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "check that the address in the DSN is right and that MySQL answers there"
	case strings.HasPrefix(err.Error(), "sql: expected "): // database/sql has no name for it
		return "pass one argument for each placeholder (?) of the statement"
	}
	return ""
}
