package servers

import "context"

var mariaDBServer = mysqlKind{
	image:    image{server: "mariadb", version: "11.8", env: "TASHIKAME_MARIADB_IMAGE"},
	name:     "MariaDB",
	dsn:      "TASHIKAME_MARIADB_DSN",
	daemon:   "mariadbd",
	password: "MARIADB_ROOT_PASSWORD",
	args:     []string{"--max-connections=500"},
	fast: []string{
		"--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF", "--innodb-buffer-pool-size=512M", "--innodb-log-file-size=256M",
	},
}

var sharedMariaDB = shared(mariaDBServer.bringUp)

// MariaDB returns an own, empty database on the shared MariaDB server; it is dropped when the test ends.
func MariaDB(tb TB) *MySQLServer {
	tb.Helper()
	return given(tb, "MariaDB", StartMariaDB)
}

// OwnMariaDB returns a MariaDB server of the test's own, started with these arguments to mariadbd; see OwnMySQL.
func OwnMariaDB(tb TB, args ...string) *MySQLServer {
	tb.Helper()
	return given(tb, "an own MariaDB", func(ctx context.Context) (*MySQLServer, error) { return mariaDBServer.startOwn(ctx, args) })
}

// StartMariaDB is MariaDB for programs and Examples: close what it returns.
func StartMariaDB(ctx context.Context) (*MySQLServer, error) {
	dsn, err := sharedMariaDB(ctx)
	if err != nil {
		return nil, err
	}
	return mariaDBServer.newDatabase(ctx, dsn)
}
