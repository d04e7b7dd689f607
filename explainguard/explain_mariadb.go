package explainguard

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
)

// planMariaDB asks twice: the JSON holds the plan's tree, EXPLAIN EXTENDED the rewritten statement (note 1003) and which
// subqueries run again for each row. Neither holds both.
func (s *session) planMariaDB(ctx context.Context, query string, args []any) (*Plan, error) {
	text, err := s.ask(ctx, "EXPLAIN FORMAT=JSON "+query, args, nil) // its hints are comments here
	if err != nil {
		return nil, explained(ctx, "EXPLAIN", err)
	}
	p, err := parse([]byte(text), FormatMariaDB)
	if err != nil {
		return nil, err
	}
	rows, err := s.tabular(ctx, "EXPLAIN EXTENDED "+query, args...)
	if err != nil {
		return nil, explained(ctx, "EXPLAIN EXTENDED", err)
	}
	p.tell(rows)
	if err := s.warnings(ctx, p); err != nil {
		return nil, err
	}
	if p.Rewritten == "" {
		p.finish()
	}
	return p, s.settleCuts(ctx, p)
}

// tabular runs an EXPLAIN whose answer is a table.
func (s *session) tabular(ctx context.Context, explain string, args ...any) ([]tabularRow, error) {
	stmt, err := s.conn.PrepareContext(ctx, explain)
	if err != nil {
		return nil, err
	}
	defer stmt.Close()
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var out []tabularRow
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("read its rows: %w", err)
		}
		row := tabularRow{rows: unknown}
		for i, column := range columns {
			switch v := values[i].String; column {
			case "id":
				row.id, _ = strconv.Atoi(v) // NULL for the result of a union
			case "select_type":
				row.selectType = v
			case "table":
				row.table = v
			case "rows":
				if n, err := strconv.ParseFloat(v, 64); err == nil {
					row.rows = n
				}
			case "Extra":
				row.extra = v
			}
		}
		out = append(out, row)
	}
	return out, rows.Err()
}
