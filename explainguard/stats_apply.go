package explainguard

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ApplyOptions say which databases may be written to. With the zero value that is one whose tables are empty, or all but.
type ApplyOptions struct {
	// MaxRows is how many rows each table of the database may hold; a database with more is refused, since it may be
	// production. The default is 1,000, enough for fixtures.
	MaxRows int64

	// Filled lifts that limit: the caller knows that this is a test database with many rows. The database that the statistics were
	// taken from is refused all the same.
	Filled bool

	// Warn, if set, hears what could not be applied: a table or an index that only one side has. It is no error, as migrations
	// do that; such an index is given the worst statistics there are, one value for all rows, and a Guard does not
	// judge what may use it.
	Warn func(Reason)
}

// ErrRefused says that statistics were not applied because the database may be production. Nothing was written.
var ErrRefused = errors.New("refused")

const (
	defaultMaxRows = 1000
	applyTimeout   = 2 * time.Minute // for a context without a deadline
	applyLockWait  = 15              // seconds, for other tests that hold a table
)

// Apply makes the server plan for the database that db selects as if it had these statistics, whatever its tables hold.
// It sets STATS_PERSISTENT=1 and STATS_AUTO_RECALC=0 on the tables, writes mysql.innodb_table_stats and innodb_index_stats for
// them, flushes them, brings in the histograms whose values are known, and then makes sure that the server took all of it. Applying again changes
// nothing; several processes may do so at once.
//
// It refuses (ErrRefused) the database the statistics were taken from, and one with more rows than ApplyOptions allow. TRUNCATE, ADD
// COLUMN, ANALYZE TABLE and a rebuild lose the statistics: apply again. A Guard with Stats does it by itself.
//
// The account needs ALTER, SELECT, INSERT on the tables, RELOAD or FLUSH_TABLES, and SELECT, INSERT, DELETE on the two
// tables in mysql.
func (s *Stats) Apply(ctx context.Context, db *sql.DB, opts ApplyOptions) error {
	if db == nil {
		return errors.New("explainguard: apply statistics: no database: pass one")
	}
	_, err := s.apply(ctx, db, opts, notByGuard)
	if err != nil {
		return fmt.Errorf("explainguard: apply statistics: %w", err)
	}
	return nil
}

func (s *Stats) apply(ctx context.Context, db Conner, opts ApplyOptions, guard byGuard) (*standing, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	var out *standing
	err := inSession(ctx, db, false, func(sess *session) error {
		a := applier{session: sess, stats: s, opts: opts, guard: guard}
		err := a.locked(ctx, a.run)
		out = a.standing
		return err
	})
	return out, err
}

type applier struct {
	session   *session
	stats     *Stats
	opts      ApplyOptions
	catalogue *catalogue
	standing  *standing
	pending   []*fitted // those of its tables that do not have their statistics
	guard     byGuard
}

// byGuard says who applies. ALTER TABLE takes most of the time, and a Guard notices when the server takes statistics of its own:
// it alters those tables only in which that has happened.
type byGuard int

const (
	notByGuard byGuard = iota
	firstByGuard
	againByGuard
)

// locked runs f while this session alone applies statistics to the database.
func (a *applier) locked(ctx context.Context, f func(context.Context) error) error {
	var schema sql.NullString
	if err := a.session.conn.QueryRowContext(ctx, "SELECT DATABASE()").Scan(&schema); err != nil {
		return explained(ctx, "ask which database is selected", err)
	}
	sum := sha256.Sum256([]byte(schema.String))
	lock := "tashikame.stats." + hex.EncodeToString(sum[:16]) // a lock's name has at most 64 characters
	var got sql.NullInt64
	if err := a.session.conn.QueryRowContext(ctx, "SELECT GET_LOCK(?, ?)", lock, int(applyTimeout.Seconds())).Scan(&got); err != nil {
		return explained(ctx, "wait for another process that applies statistics", err)
	}
	if got.Int64 != 1 {
		return errors.New("another session has been applying statistics to this database for two minutes; end it, see SHOW PROCESSLIST")
	}
	a.session.spoilt = true // until the lock is given back
	err := f(ctx)
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTimeout)
	defer cancel()
	if _, e := a.session.conn.ExecContext(release, "DO RELEASE_LOCK(?)", lock); e == nil {
		a.session.spoilt = false
	}
	return err
}

func (a *applier) run(ctx context.Context) error {
	err := a.session.setAll(ctx, variables("lock_wait_timeout", strconv.Itoa(applyLockWait), a.session.was.readOnly(), "0",
		// Repeatable reads would lock gaps that CREATE TABLE of other databases needs.
		"transaction_isolation", "READ-COMMITTED", "tx_isolation", "READ-COMMITTED",
		"time_zone", "+00:00", // marks are instants
		"sql_mode", "NO_ENGINE_SUBSTITUTION")...) // backslashes escape
	if err != nil {
		return err
	}
	if a.catalogue, err = readCatalogue(ctx, a.session); err != nil {
		return err
	}
	if err := a.interlock(ctx); err != nil {
		return err
	}
	a.standing = a.stats.fit(a.catalogue)
	if len(a.standing.tables) == 0 {
		return fmt.Errorf("none of the %d tables of the statistics is in the database %s; select the right one in the DSN, or run the migrations first",
			len(a.stats.Tables), a.catalogue.schema)
	}
	if a.opts.Warn != nil {
		for _, r := range a.standing.unfit {
			a.opts.Warn(r)
		}
	}
	marks, err := a.session.readMarks(ctx, a.standing)
	if err != nil {
		return err
	}
	for _, t := range a.standing.tables {
		owned := t.declared.owned()
		stands := a.standing.marked(t, marks) && t.took(t.declared) == nil
		if stands && (owned || a.guard != notByGuard) {
			continue
		}
		if !owned && (a.guard != firstByGuard || !t.declared.persistent(a.session.was)) {
			if err := a.own(ctx, t.declared); err != nil {
				return err
			}
		}
		a.pending = append(a.pending, t)
	}
	if len(a.pending) == 0 {
		return nil
	}
	if err := a.write(ctx); err != nil {
		return err
	}
	if err := a.histograms(ctx); err != nil {
		return err
	}
	return a.verify(ctx)
}

// marked reports whether the tables in mysql hold these statistics for a table, as far as their marks tell.
func (st *standing) marked(t *fitted, marks keptMarks) bool {
	for _, name := range t.physicalNames() {
		if kindOf(marks[strings.ToLower(name)].at) != st.kind {
			return false
		}
	}
	return true
}

// interlock refuses production.
func (a *applier) interlock(ctx context.Context) error {
	if a.stats.Source != "" && a.stats.Source == a.catalogue.fingerprint {
		return fmt.Errorf("%w: %s is the database that the statistics were taken from; apply them to a test database, never there", ErrRefused, a.catalogue.schema)
	}
	if a.opts.Filled {
		return nil
	}
	limit := a.opts.MaxRows
	if limit <= 0 {
		limit = defaultMaxRows
	}
	for tables := range slices.Chunk(a.catalogue.tables, 50) {
		var parts []string
		for _, t := range tables {
			parts = append(parts, fmt.Sprintf("EXISTS(SELECT 1 FROM %s LIMIT 1 OFFSET %d)", quoteName(a.catalogue.schema, t.name), limit))
		}
		more := make([]bool, len(parts))
		into := make([]any, len(parts))
		for i := range more {
			into[i] = &more[i]
		}
		if err := a.session.conn.QueryRowContext(ctx, "SELECT "+strings.Join(parts, ", ")).Scan(into...); err != nil {
			return explained(ctx, "look how many rows the tables hold", err)
		}
		for i, full := range more {
			if full {
				return fmt.Errorf("%w: table %s holds more than %d rows, so %s may be no test database, and nothing was written; "+
					"if it is one, set ApplyOptions.Filled or raise MaxRows", ErrRefused, tables[i].name, limit, a.catalogue.schema)
			}
		}
	}
	return nil
}

// owned reports whether the server keeps its hands off the table's statistics.
func (d *declared) owned() bool {
	options := strings.ToLower(d.options)
	return strings.Contains(options, "stats_persistent=1") && strings.Contains(options, "stats_auto_recalc=0")
}

// persistent reports whether the server reads the table's statistics from its tables in mysql.
func (d *declared) persistent(on server) bool {
	options := strings.ToLower(d.options)
	return strings.Contains(options, "stats_persistent=1") || !strings.Contains(options, "stats_persistent=0") && on["innodb_stats_persistent"] == "1"
}

// own has the server keep its hands off a table's statistics.
func (a *applier) own(ctx context.Context, t *declared) error {
	_, err := a.session.conn.ExecContext(ctx, "ALTER TABLE "+quoteName(a.catalogue.schema, t.name)+" STATS_PERSISTENT=1, STATS_AUTO_RECALC=0")
	if err != nil {
		return granting(explained(ctx, "alter table "+t.name, err), "GRANT ALTER, CREATE, INSERT ON "+quoteIdentifier(a.catalogue.schema)+".* TO "+theAccount)
	}
	return nil
}

const theAccount = "<this account>"

// write replaces what the server keeps about the tables, and has it read that again.
func (a *applier) write(ctx context.Context) error {
	var err error
	mark := newMark(a.standing.kind)
	for range 5 {
		if err = a.replace(ctx, mark); !isError(err, errDeadlock, errLockWait) {
			break
		}
	}
	if err != nil {
		return granting(err, statsGrants...)
	}
	if a.session.was.mariaDB() {
		return a.reload(ctx)
	}
	for tables := range slices.Chunk(a.pending, 100) {
		var names []string
		for _, t := range tables {
			names = append(names, quoteName(a.catalogue.schema, t.declared.name))
		}
		if _, err := a.session.conn.ExecContext(ctx, "FLUSH LOCAL TABLES "+strings.Join(names, ", ")); err != nil {
			return granting(explained(ctx, "flush the tables", err), "GRANT FLUSH_TABLES ON *.* TO "+theAccount)
		}
	}
	return nil
}

// reload makes MariaDB read the statistics again, which FLUSH TABLES does not (MDEV-35000): each table is renamed away and back, in one statement.
func (a *applier) reload(ctx context.Context) error {
	for _, t := range a.pending {
		name, away := quoteName(a.catalogue.schema, t.declared.name), quoteName(a.catalogue.schema, "tashikame_"+strings.ToLower(rand.Text()))
		if _, err := a.session.conn.ExecContext(ctx, "RENAME TABLE "+name+" TO "+away+", "+away+" TO "+name); err != nil {
			return granting(explained(ctx, "rename table "+t.declared.name+" and back, so that its statistics are read", err),
				"GRANT ALTER, DROP, CREATE, INSERT ON "+quoteIdentifier(a.catalogue.schema)+".* TO "+theAccount)
		}
	}
	return nil
}

func (a *applier) replace(ctx context.Context, mark int64) (err error) {
	tx, err := a.session.conn.BeginTx(ctx, nil)
	if err != nil {
		return explained(ctx, "start a transaction", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback()
		}
	}()
	exec := func(doing, query string, args ...any) error {
		if _, err := tx.ExecContext(ctx, query, args...); err != nil {
			return explained(ctx, doing, err)
		}
		return nil
	}
	var tables, indexes [][]any
	var names []any
	for _, p := range keptTables(a.pending) {
		names = append(names, p.name)
		tables = append(tables, []any{a.catalogue.schema, p.name, mark, p.rows, p.pages, p.otherPages})
		for _, f := range p.figures {
			indexes = append(indexes, []any{a.catalogue.schema, p.name, f.index, f.stat, f.value, f.about})
		}
	}
	for some := range slices.Chunk(names, 500) {
		for _, table := range []string{"innodb_index_stats", "innodb_table_stats"} {
			if err := exec("clear mysql."+table, "DELETE FROM mysql."+table+" WHERE database_name = ? AND table_name IN ("+placeholders(len(some))+")",
				append([]any{a.catalogue.schema}, some...)...); err != nil {
				return err
			}
		}
	}
	insert := func(doing, into, row string, all [][]any) error {
		for some := range slices.Chunk(all, 500) {
			if err := exec(doing, into+strings.TrimSuffix(strings.Repeat(row+", ", len(some)), ", "), slices.Concat(some...)...); err != nil {
				return err
			}
		}
		return nil
	}
	if err := insert("write mysql.innodb_table_stats", "INSERT INTO mysql.innodb_table_stats "+
		"(database_name, table_name, last_update, n_rows, clustered_index_size, sum_of_other_index_sizes) VALUES ", "(?, ?, FROM_UNIXTIME(?), ?, ?, ?)", tables); err != nil {
		return err
	}
	if err := insert("write mysql.innodb_index_stats", "INSERT INTO mysql.innodb_index_stats "+
		"(database_name, table_name, index_name, last_update, stat_name, stat_value, sample_size, stat_description) VALUES ", "(?, ?, ?, NOW(), ?, ?, NULL, ?)", indexes); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return explained(ctx, "commit the statistics", err)
	}
	return nil
}

// histograms brings in those whose values are known.
func (a *applier) histograms(ctx context.Context) error {
	for _, t := range a.pending {
		for _, h := range t.stats.Histograms {
			if len(h.Values) == 0 {
				continue
			}
			name := quoteName(a.catalogue.schema, t.declared.name)
			var kind, text, message sql.NullString
			var table, op sql.NullString
			data := strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(string(h.Values))
			err := a.session.conn.QueryRowContext(ctx, "ANALYZE LOCAL TABLE "+name+" UPDATE HISTOGRAM ON "+quoteIdentifier(h.Column)+" USING DATA '"+data+"'").
				Scan(&table, &op, &kind, &text)
			if isError(err, errSyntax) {
				return fmt.Errorf("MySQL %s cannot take the histogram of %s.%s: that came with 8.0.31; dump without DumpOptions.HistogramValues", a.session.version, t.declared.name, h.Column)
			}
			if err != nil {
				return explained(ctx, "write the histogram of "+t.declared.name+"."+h.Column, err)
			}
			if message = kind; message.String != "status" {
				return fmt.Errorf("write the histogram of %s.%s: the server says: %s; dump the statistics again if the column's type has changed",
					t.declared.name, h.Column, text.String)
			}
		}
	}
	return nil
}
