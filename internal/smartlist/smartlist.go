// Package smartlist is the query that looked fine in EXPLAIN and then held a production database for twenty minutes, with its
// tables and data: 5,000 tenants, of which tenant 1 owns 20,000 of the 200,000 customers.
package smartlist

import (
	"context"
	"database/sql"
	_ "embed" // the SQL files
	"fmt"
	"strings"
)

// The case. Bad and Good return the same row; Single is Bad for one customer.
var (
	//go:embed schema.sql
	Schema string
	//go:embed data.sql
	Data string
	//go:embed bad.sql
	Bad string
	//go:embed good.sql
	Good string
	//go:embed single.sql
	Single string
)

// Create creates the tables, empty.
func Create(ctx context.Context, db *sql.DB) error { return run(ctx, db, Schema) }

// Fill fills the tables and has MySQL take statistics; it takes a few seconds.
func Fill(ctx context.Context, db *sql.DB) error { return run(ctx, db, Data) }

// run runs a script on one connection, since it sets session variables.
func run(ctx context.Context, db *sql.DB, script string) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for statement := range strings.SplitSeq(script, ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%.60s …: %w", strings.TrimSpace(statement), err)
		}
	}
	return nil
}
