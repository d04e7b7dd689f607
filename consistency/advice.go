package consistency

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"syscall"
)

// Error numbers of MySQL: https://dev.mysql.com/doc/mysql-errors/9.7/en/server-error-reference.html
// and of MariaDB, the same up to 1799 with a few exceptions: https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference
const (
	errUnknownThread   = 1094
	errUnknownVariable = 1193
)

var errTimeLimit = errors.New("it ran into its time limit; the server's partial answer is not used: make the query cheaper (does it use an index?) or raise Meta.Timeout")

type advice struct {
	wayOut    string
	permanent bool // trying again in a few seconds cannot help
}

var adviceByNumber = map[int]advice{
	1040: {"the server has no free connection: raise max_connections or lower the pools", false},
	1044: {"the account may not use this database: check the account, or GRANT SELECT", true},
	1045: {"the server refused user name or password: check the account of this *sql.DB", true},
	1049: {"check the database name in the DSN", true},
	1054: {"correct the column name in the query", true},
	1064: {"correct the query; try it in a SQL client first", true},
	1142: {"GRANT SELECT on this table to the check's account", true},
	1143: {"GRANT SELECT on this column to the check's account", true},
	1146: {"check the table name and the database of this *sql.DB", true},
	1205: {"somebody holds a lock on the table (LOCK TABLES, ALTER TABLE, …): see performance_schema.metadata_locks and the process list for who, or run the check on a replica", false},
	1227: {"GRANT the privilege that the message names to the check's account, or do without it (a Brake may ask a heartbeat table instead: Brake.Heartbeat)", true},
	1290: {"the server's options forbid this statement", true},
	1305: {"the function does not exist in this database: check its name", true},
	1317: {"somebody stopped the query on the server (KILL QUERY)", false},
	1370: {"GRANT EXECUTE on this routine to the check's account, or do without it", true},
	1461: {"the server's max_prepared_stmt_count is used up; a check needs one prepared statement", false},
	1792: {"the query writes, perhaps in a stored function that it calls: a check may only read", true},
	1819: {"check the account of this *sql.DB", true},
	1927: {"somebody stopped the connection on the server (KILL)", false},                                            // MariaDB
	1969: {"it ran into its time limit: make the query cheaper (does it use an index?) or raise Meta.Timeout", true}, // MariaDB
	3024: {"it ran into its time limit: make the query cheaper (does it use an index?) or raise Meta.Timeout", true},
	3118: {"unlock the check's account", true},
}

// errorNumber is how go-sql-driver writes an error of the server. Reading the text keeps the driver out of the dependencies and works
// through wrappers of drivers.
var errorNumber = regexp.MustCompile(`\bError (\d{4,5}) ?(?:\([0-9A-Z]{5}\))?:`)

// mysqlErrorNumber returns the server's error number, 0 if there is none.
func mysqlErrorNumber(err error) int {
	m := errorNumber.FindStringSubmatch(err.Error())
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

func isConnectionError(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || err.Error() == "invalid connection" || err.Error() == "driver: bad connection"
}

// advise says what was being done and, where the error is a known one, the way out.
func advise(doing string, err error) error {
	if err == nil {
		return nil
	}
	if a, ok := adviceByNumber[mysqlErrorNumber(err)]; ok {
		wrapped := fmt.Errorf("%s: %w: %s", doing, err, a.wayOut)
		if a.permanent {
			return Permanent(wrapped)
		}
		return wrapped
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded) && doing == "connect":
		return fmt.Errorf("%s: %w: the server did not answer, or every connection of the pool was in use (SetMaxOpenConns), until the time limit; check the address, the network and the pool", doing, err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", doing, err)
	case isConnectionError(err) && doing == "connect":
		return fmt.Errorf("%s: %w: check the address, the network and whether the server is up", doing, err)
	case isConnectionError(err):
		return fmt.Errorf("%s: the connection to the server was lost: %w: is the server up?", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
