package servers

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

var mysqlImage = image{server: "mysql", version: "9.7", env: "TASHIKAME_MYSQL_IMAGE"}

const mysqlDSNEnv = "TASHIKAME_MYSQL_DSN"

// MySQLServer is a database on a real MySQL server; see MySQL and OwnMySQL.
type MySQLServer struct {
	control
	DB       *sql.DB
	DSN      string // for go-sql-driver/mysql, an administrator's, Database selected
	Database string // our own, empty at the start

	dropped func(context.Context) error
}

// MySQL returns an own, empty database on the shared server; it is dropped when the test ends.
func MySQL(tb TB) *MySQLServer {
	tb.Helper()
	return given(tb, "MySQL", func(ctx context.Context) (*MySQLServer, error) { return StartMySQL(ctx) })
}

// OwnMySQL returns a MySQL server of the test's own, started with these arguments to mysqld. The test may kill,
// restart and configure it. It writes as durably as MySQL does by default.
func OwnMySQL(tb TB, args ...string) *MySQLServer {
	tb.Helper()
	return given(tb, "an own MySQL", func(ctx context.Context) (*MySQLServer, error) {
		c, dsn, err := runMySQL(ctx, true, args)
		if err != nil {
			return nil, err
		}
		s, err := newDatabase(ctx, dsn)
		if err != nil {
			return nil, errors.Join(err, c.remove(ctx))
		}
		s.control = control{c, pingMySQL(dsn)}
		s.dropped = c.remove
		return s, nil
	})
}

// StartMySQL is MySQL for programs and Examples: close what it returns.
func StartMySQL(ctx context.Context) (*MySQLServer, error) {
	dsn, err := sharedMySQL(ctx)
	if err != nil {
		return nil, err
	}
	return newDatabase(ctx, dsn)
}

// Direct returns the DSN with the server's address on the container network (see RedisServer.Direct).
func (s *MySQLServer) Direct() string {
	config, err := mysql.ParseDSN(s.DSN)
	if err != nil {
		return s.DSN
	}
	config.Addr = s.direct(config.Addr)
	return config.FormatDSN()
}

// Close drops the database, or removes the server if it is an own one.
func (s *MySQLServer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), controlTimeout)
	defer cancel()
	return errors.Join(s.DB.Close(), s.dropped(ctx))
}

// sharedMySQL returns the administrator's DSN, without a database, of the server that all tests of this process use.
var sharedMySQL = shared(bringUpMySQL)

func bringUpMySQL(ctx context.Context) (dsn string, remove func(context.Context) error, err error) {
	if dsn := os.Getenv(mysqlDSNEnv); dsn != "" {
		config, err := mysql.ParseDSN(dsn)
		if err != nil {
			return "", nil, fmt.Errorf("%s is not a DSN of the form user:password@tcp(host:port)/: %w", mysqlDSNEnv, err)
		}
		config.DBName = ""
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if err := pingMySQL(config.FormatDSN())(ctx, config.Addr); err != nil {
			return "", nil, fmt.Errorf("the server of %s (%s) does not let us in: %w", mysqlDSNEnv, config.Addr, err)
		}
		return config.FormatDSN(), func(context.Context) error { return nil }, nil
	}
	c, dsn, err := runMySQL(ctx, false, []string{
		// Its data live as long as the tests: no need to wait for the disk.
		"--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF", "--disable-log-bin",
		"--innodb-buffer-pool-size=512M", "--innodb-redo-log-capacity=512M",
	})
	if err != nil {
		return "", nil, err
	}
	return dsn, c.remove, nil
}

func runMySQL(ctx context.Context, own bool, args []string) (*container, string, error) {
	config := mysql.NewConfig()
	config.User, config.Net, config.Addr = "root", "tcp", "pending"
	config.Passwd = rand.Text()
	dsn := config.FormatDSN()
	c, addr, err := run(ctx, containerSpec{
		image: mysqlImage,
		port:  "3306",
		env:   map[string]string{"MYSQL_ROOT_PASSWORD": config.Passwd},
		args:  append([]string{"mysqld", "--mysqlx=OFF", "--max-connections=500"}, args...),
		own:   own,
	}, pingMySQL(dsn))
	if err != nil {
		return nil, "", err
	}
	config.Addr = addr
	dsn = config.FormatDSN()
	if os.Getenv(mysqlImage.env) == "" {
		if err := mustBe(ctx, dsn, mysqlImage.version); err != nil {
			return nil, "", errors.Join(err, c.remove(ctx))
		}
	}
	return c, dsn, nil
}

// mustBe refuses a server whose version is not what its image's name says.
func mustBe(ctx context.Context, dsn, version string) error {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	var found string
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&found); err != nil {
		return err
	}
	if !strings.HasPrefix(found, version+".") {
		return fmt.Errorf("the image says MySQL %s, the server %s: remove the image (make clean-images)", version, found)
	}
	return nil
}

func pingMySQL(dsn string) func(ctx context.Context, addr string) error {
	return func(ctx context.Context, addr string) error {
		config, err := mysql.ParseDSN(dsn)
		if err != nil {
			return err
		}
		config.Addr = addr
		config.Logger = log.New(io.Discard, "", 0) // that a starting server cuts connections is no news
		connector, err := mysql.NewConnector(config)
		if err != nil {
			return err
		}
		db := sql.OpenDB(connector)
		defer db.Close()
		return db.PingContext(ctx)
	}
}

// newDatabase creates a database on the server of this DSN.
func newDatabase(ctx context.Context, dsn string) (*MySQLServer, error) {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	name := "tashikame_" + strings.ToLower(rand.Text()[:12])
	dog, err := theWatchdog()
	if err != nil {
		return nil, err
	}
	left := leftover{DSN: dsn, Database: name}
	foreign := os.Getenv(mysqlDSNEnv) != "" // a container's databases go with it
	if foreign {
		if err := dog.remember(left); err != nil {
			return nil, err
		}
	}
	exec := func(ctx context.Context, statement string) error {
		admin, err := sql.Open("mysql", dsn)
		if err != nil {
			return err
		}
		defer admin.Close()
		_, err = admin.ExecContext(ctx, statement)
		return err
	}
	if err := exec(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, fmt.Errorf("create a database for the test: %w", err)
	}
	config.DBName = name
	db, err := sql.Open("mysql", config.FormatDSN())
	if err != nil {
		return nil, err
	}
	var once sync.Once
	return &MySQLServer{DB: db, DSN: config.FormatDSN(), Database: name, dropped: func(ctx context.Context) (err error) {
		once.Do(func() {
			if err = exec(ctx, "DROP DATABASE IF EXISTS "+name); err == nil && foreign {
				left.Done = true
				err = dog.remember(left)
			}
		})
		return err
	}}, nil
}
