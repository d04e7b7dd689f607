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
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

// mysqlKind is a server that speaks MySQL's protocol, and how it is started.
type mysqlKind struct {
	image
	name     string // as a person writes it
	dsn      string // the environment variable that names a server which is there already
	daemon   string
	password string // the variable by which the image takes root's password
	args     []string
	fast     []string // for data that live as long as the tests: no need to wait for the disk
}

const mysqlDSNEnv = "TASHIKAME_MYSQL_DSN"

var mysqlServer = mysqlKind{
	image:    image{server: "mysql", version: "9.7", env: "TASHIKAME_MYSQL_IMAGE"},
	name:     "MySQL",
	dsn:      mysqlDSNEnv,
	daemon:   "mysqld",
	password: "MYSQL_ROOT_PASSWORD",
	args:     []string{"--mysqlx=OFF", "--max-connections=500"},
	fast: []string{
		"--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF", "--disable-log-bin",
		"--innodb-buffer-pool-size=512M", "--innodb-redo-log-capacity=512M",
	},
}

// MySQLServer is a database on a real MySQL or MariaDB server; see MySQL, OwnMySQL, MariaDB and OwnMariaDB.
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
	return given(tb, "an own MySQL", func(ctx context.Context) (*MySQLServer, error) { return mysqlServer.startOwn(ctx, args) })
}

// StartMySQL is MySQL for programs and Examples: close what it returns.
func StartMySQL(ctx context.Context) (*MySQLServer, error) {
	dsn, err := sharedMySQL(ctx)
	if err != nil {
		return nil, err
	}
	return mysqlServer.newDatabase(ctx, dsn)
}

// startOwn starts a server for one test.
func (k mysqlKind) startOwn(ctx context.Context, args []string) (*MySQLServer, error) {
	c, dsn, err := k.run(ctx, true, args)
	if err != nil {
		return nil, err
	}
	s, err := k.newDatabase(ctx, dsn)
	if err != nil {
		return nil, errors.Join(err, c.remove(ctx))
	}
	s.control = control{c, pingMySQL(dsn)}
	s.dropped = c.remove
	return s, nil
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
var sharedMySQL = shared(mysqlServer.bringUp)

func (k mysqlKind) bringUp(ctx context.Context) (dsn string, remove func(context.Context) error, err error) {
	if dsn := os.Getenv(k.dsn); dsn != "" {
		config, err := mysql.ParseDSN(dsn)
		if err != nil {
			return "", nil, fmt.Errorf("%s is not a DSN of the form user:password@tcp(host:port)/: %w", k.dsn, err)
		}
		config.DBName = ""
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if err := pingMySQL(config.FormatDSN())(ctx, config.Addr); err != nil {
			return "", nil, fmt.Errorf("the server of %s (%s) does not let us in: %w", k.dsn, config.Addr, err)
		}
		if err := k.mustBe(ctx, config.FormatDSN(), ""); err != nil {
			return "", nil, fmt.Errorf("%s: %w", k.dsn, err)
		}
		return config.FormatDSN(), func(context.Context) error { return nil }, nil
	}
	c, dsn, err := k.run(ctx, false, k.fast)
	if err != nil {
		return "", nil, err
	}
	return dsn, c.remove, nil
}

func (k mysqlKind) run(ctx context.Context, own bool, args []string) (*container, string, error) {
	config := mysql.NewConfig()
	config.User, config.Net, config.Addr = "root", "tcp", "pending"
	config.Passwd = rand.Text()
	dsn := config.FormatDSN()
	c, addr, err := run(ctx, containerSpec{
		image: k.image,
		port:  "3306",
		env:   map[string]string{k.password: config.Passwd},
		args:  slices.Concat([]string{k.daemon}, k.args, args),
		own:   own,
	}, pingMySQL(dsn))
	if err != nil {
		return nil, "", err
	}
	config.Addr = addr
	dsn = config.FormatDSN()
	version := k.version
	if os.Getenv(k.env) != "" {
		version = "" // whoever names an image chooses its version
	}
	if err := k.mustBe(ctx, dsn, version); err != nil {
		return nil, "", errors.Join(err, c.remove(ctx))
	}
	return c, dsn, nil
}

// mustBe refuses a server of the other kind, and one whose version is not what its image's name says ("" for any).
func (k mysqlKind) mustBe(ctx context.Context, dsn, version string) error {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	var found string
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&found); err != nil {
		return err
	}
	kind := "MySQL"
	if strings.Contains(found, "MariaDB") {
		kind = "MariaDB"
	}
	if kind != k.name {
		return fmt.Errorf("%s is wanted, and the server is %s %s", k.name, kind, found)
	}
	if version != "" && !strings.HasPrefix(found, version+".") {
		return fmt.Errorf("the image says %s %s, the server %s: remove the image (make clean-images)", k.name, version, found)
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
func (k mysqlKind) newDatabase(ctx context.Context, dsn string) (*MySQLServer, error) {
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
	foreign := os.Getenv(k.dsn) != "" // a container's databases go with it
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
