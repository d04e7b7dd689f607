package explainguard

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
)

// pinnedForStats are the variables that decide what statistics are read, or how they are used.
const pinnedForStats = `'information_schema_stats_expiry', 'eq_range_index_dive_limit', 'optimizer_trace', ` +
	`'optimizer_trace_features', 'optimizer_trace_max_mem_size', 'optimizer_trace_limit', 'optimizer_trace_offset', ` +
	`'optimizer_switch', 'transaction_isolation', 'tx_isolation', 'sql_safe_updates', 'sql_mode', 'time_zone', 'foreign_key_checks', ` +
	`'server_uuid', 'server_uid', 'hostname', 'port', 'lower_case_table_names', 'innodb_stats_persistent'`

// inSession runs f on a connection of its own, whose variables are put back afterwards.
func inSession(ctx context.Context, db Conner, readOnly bool, f func(*session) error) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return explained(ctx, "connect to the server", err)
	}
	s := &session{conn: conn}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.load(ctx); err != nil {
		return err
	}
	if readOnly {
		if err := s.pin(ctx); err != nil {
			return err
		}
		if err := s.set(ctx, s.was.readOnly(), "1"); err != nil {
			return err
		}
	}
	// Else the server answers with figures up to a day old.
	if err := s.set(ctx, "information_schema_stats_expiry", "0"); err != nil {
		return err
	}
	return f(s)
}

// variables are names and values in turn.
func variables(pairs ...string) []variable {
	var out []variable
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, variable{pairs[i], pairs[i+1]})
	}
	return out
}

// limit bounds each statement of the session, on the server.
func (s *session) limit(ctx context.Context, d time.Duration) error {
	if s.was.mariaDB() {
		return s.set(ctx, "max_statement_time", strconv.FormatFloat(max(d.Seconds(), 0.001), 'f', 3, 64))
	}
	return s.set(ctx, "max_execution_time", strconv.FormatInt(max(d.Milliseconds(), 1), 10))
}

// The grants that writing statistics needs.
var statsGrants = []string{
	"GRANT SELECT, INSERT, DELETE ON mysql.innodb_table_stats TO " + theAccount,
	"GRANT SELECT, INSERT, DELETE ON mysql.innodb_index_stats TO " + theAccount,
}

// placeholders is n of them.
func placeholders(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }
