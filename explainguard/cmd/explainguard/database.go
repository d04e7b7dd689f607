package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/go-sql-driver/mysql"
)

const dsnEnv = "EXPLAINGUARD_DSN"

// database is where a command works.
type database struct{ dsnFile string }

func (d *database) flags(f *flag.FlagSet) {
	f.StringVar(&d.dsnFile, "dsn-file", "", "`file` that holds the DSN (default: the environment variable "+dsnEnv+")")
}

// connect opens a pool and makes sure that the server lets us in.
func (d *database) connect(ctx context.Context, command string) (*sql.DB, error) {
	pool, err := d.open()
	if err != nil {
		return nil, err
	}
	if err := pool.PingContext(ctx); err != nil {
		_ = pool.Close() // the first error says more
		return nil, fmt.Errorf("%s: the server does not let us in: %w", command, err)
	}
	return pool, nil
}

func (d *database) open() (*sql.DB, error) {
	dsn, from := os.Getenv(dsnEnv), dsnEnv
	if d.dsnFile != "" {
		text, err := os.ReadFile(d.dsnFile)
		if err != nil {
			return nil, usageError{fmt.Errorf("read the DSN: %w", err)}
		}
		dsn, from = strings.TrimSpace(string(text)), d.dsnFile
	}
	if dsn == "" {
		return nil, usageError{errors.New("no server is named: set " + dsnEnv + "=user:password@tcp(host:port)/database, or pass -dsn-file")}
	}
	config, err := mysql.ParseDSN(dsn)
	if err != nil { // the driver's message might quote the DSN
		return nil, usageError{fmt.Errorf("%s holds no DSN of the form user:password@tcp(host:port)/database", from)}
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: the DSN cannot be used: check its parameters", from)}
	}
	return sql.OpenDB(connector), nil
}
