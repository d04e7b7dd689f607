package explainguard

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// DumpOptions say what DumpStats takes along. The zero value takes counts only, and none that is expensive to get.
type DumpOptions struct {
	Tables []string // only these; nil: every InnoDB table of the database
	Taken  string   // kept in the file as it is, a date for example; "" keeps dumps of the same statistics identical

	// Histograms whose values may leave the server, as "table.column". Of the others the shape is kept, which Apply
	// cannot use: a histogram without its values would call every value rare.
	HistogramValues []string

	// For every index but unique ones, the most frequent value is counted: a scan of that index. GroupRows says in how
	// large a table, by its statistics; 0 is 20 million rows, a negative figure counts nowhere. GroupTime bounds each
	// count; 0 is 30 s. What was not counted is unknown, and never taken for small.
	GroupRows int64
	GroupTime time.Duration
}

const (
	defaultGroupRows = 20_000_000
	defaultGroupTime = 30 * time.Second
	catalogueTime    = time.Minute // for each question to the server's catalogue
)

// DumpStats reads the statistics of the database that db selects, best on a replica of production. It only reads: the
// session is read-only, every statement is bounded in time, nothing waits for a lock longer than a second, and all of
// that is put back afterwards.
//
// The account needs SELECT on the database's tables and, to tell the pages and all prefixes, SELECT on
// mysql.innodb_table_stats and mysql.innodb_index_stats. Without the latter two, information_schema is read, which knows the
// declared columns of each index and rounds; then Unknown says so.
func DumpStats(ctx context.Context, db *sql.DB, opts DumpOptions) (*Stats, error) {
	s, err := dumpStats(ctx, db, opts)
	if err != nil {
		return nil, fmt.Errorf("explainguard: dump statistics: %w", err)
	}
	return s, nil
}

func dumpStats(ctx context.Context, db *sql.DB, opts DumpOptions) (*Stats, error) {
	if db == nil {
		return nil, errors.New("no database: pass one")
	}
	if opts.GroupRows == 0 {
		opts.GroupRows = defaultGroupRows
	}
	if opts.GroupTime == 0 {
		opts.GroupTime = defaultGroupTime
	}
	var out *Stats
	err := inSession(ctx, db, true, func(s *session) error {
		if err := s.limit(ctx, catalogueTime); err != nil {
			return err
		}
		c, err := readCatalogue(ctx, s)
		if err != nil {
			return err
		}
		if err := c.keep(opts.Tables); err != nil {
			return err
		}
		d := dumper{session: s, catalogue: c, opts: opts, stats: &Stats{Server: s.version, Source: c.fingerprint, Taken: opts.Taken}}
		if err := d.run(ctx); err != nil {
			return err
		}
		out = d.stats
		return out.validate()
	})
	return out, err
}

// keep leaves the named tables only.
func (c *catalogue) keep(names []string) error {
	if len(c.tables) == 0 {
		return fmt.Errorf("the database %s has no InnoDB table that this account may see; select the application's database, or grant SELECT on it", c.schema)
	}
	if len(names) == 0 {
		return nil
	}
	var kept []declared
	for _, name := range names {
		d := c.table(name)
		if d == nil {
			return fmt.Errorf("the database %s has no InnoDB table %q that this account may see; correct DumpOptions.Tables", c.schema, name)
		}
		kept = append(kept, *d)
	}
	c.tables = kept
	return nil
}

type dumper struct {
	session   *session
	catalogue *catalogue
	opts      DumpOptions
	stats     *Stats
}

func (d *dumper) run(ctx context.Context) error {
	kept, err := readPersistent(ctx, d.session.conn, d.catalogue.schema)
	if err != nil && !denied(err) && !isError(err, errNoSuchTable) {
		return err
	}
	for _, t := range d.catalogue.tables {
		d.stats.Tables = append(d.stats.Tables, describe(t, kept))
	}
	if err := d.histograms(ctx); err != nil {
		return err
	}
	if err := d.session.limit(ctx, d.opts.GroupTime); err != nil {
		return err
	}
	for i := range d.stats.Tables {
		if err := d.groups(ctx, &d.stats.Tables[i]); err != nil {
			return err
		}
	}
	d.stats.Tables = d.stats.sorted()
	return nil
}

// persistent are the rows of mysql.innodb_table_stats and innodb_index_stats of one database.
type persistent map[string]*physical // by InnoDB's table name

type physical struct {
	rows, pages, otherPages int64
	indexes                 []IndexStats // in the order of the key of innodb_index_stats
}

var prefixStat = regexp.MustCompile(`^n_diff_pfx(\d+)$`)

func readPersistent(ctx context.Context, conn *sql.Conn, schema string) (persistent, error) {
	out := persistent{}
	err := each(ctx, conn, "read mysql.innodb_table_stats", func(scan func(...any) error) error {
		var name string
		p := &physical{}
		if err := scan(&name, &p.rows, &p.pages, &p.otherPages); err != nil {
			return err
		}
		out[name] = p
		return nil
	}, "SELECT table_name, n_rows, clustered_index_size, sum_of_other_index_sizes FROM mysql.innodb_table_stats WHERE database_name = ?", schema)
	if err != nil {
		return nil, err
	}
	return out, each(ctx, conn, "read mysql.innodb_index_stats", func(scan func(...any) error) error {
		var table, index, stat string
		var value int64
		if err := scan(&table, &index, &stat, &value); err != nil {
			return err
		}
		p := out[table]
		if p == nil {
			return nil
		}
		if n := len(p.indexes); n == 0 || p.indexes[n-1].Name != index {
			p.indexes = append(p.indexes, IndexStats{Name: index})
		}
		ix := &p.indexes[len(p.indexes)-1]
		switch {
		case stat == "size":
			ix.Pages = value
		case stat == "n_leaf_pages":
			ix.LeafPages = value
		case prefixStat.MatchString(stat):
			ix.Distinct = append(ix.Distinct, value)
		}
		return nil
	}, "SELECT table_name, index_name, stat_name, stat_value FROM mysql.innodb_index_stats WHERE database_name = ? "+
		"ORDER BY table_name, index_name, stat_name", schema)
}

// describe puts together what a table declares and what the server keeps about it. Without the latter, information_schema
// tells what it knows.
func describe(t declared, kept persistent) TableStats {
	out := TableStats{Name: t.name, Rows: t.rows, Pages: t.pages, OtherPages: t.otherPages}
	var figures []IndexStats
	if p := kept[t.name]; p != nil {
		out.Rows, out.Pages, out.OtherPages, figures = p.rows, p.pages, p.otherPages, p.indexes
	}
	if parts := describeParts(t, kept); len(parts) > 0 {
		out.Partitions, out.Rows, out.Pages, out.OtherPages = parts, 0, 0, 0
		for _, p := range parts {
			out.Rows, out.Pages, out.OtherPages = out.Rows+p.Rows, out.Pages+p.Pages, out.OtherPages+p.OtherPages
			figures = mostDistinct(figures, p.Indexes)
		}
	}
	for _, ix := range t.indexes {
		one := IndexStats{Name: ix.name, Columns: ix.columns, Unique: ix.unique}
		if at := byName(figures, ix.name); at >= 0 {
			one.Distinct, one.Pages, one.LeafPages = figures[at].Distinct, figures[at].Pages, figures[at].LeafPages
		} else {
			for _, n := range ix.cardinals {
				if n < 0 {
					break
				}
				one.Distinct = append(one.Distinct, n)
			}
		}
		if ix.nullable {
			one.Nulls = notMeasured
		}
		out.Indexes = append(out.Indexes, one)
	}
	if at := byName(figures, rowIDIndex); at >= 0 {
		out.Indexes = append(out.Indexes, figures[at])
	}
	slices.SortFunc(out.Indexes, func(a, b IndexStats) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func describeParts(t declared, kept persistent) []PartitionStats {
	var parts []PartitionStats
	for _, part := range t.partitions {
		for physicalName, p := range kept {
			if strings.EqualFold(physicalName, t.name+part.suffix) {
				parts = append(parts, PartitionStats{Name: part.name, Rows: p.rows, Pages: p.pages, OtherPages: p.otherPages, Indexes: p.indexes})
			}
		}
	}
	slices.SortFunc(parts, func(a, b PartitionStats) int { return strings.Compare(a.Name, b.Name) })
	return parts
}

// mostDistinct adds a partition's pages to those of the others, and keeps the greater number of different values.
func mostDistinct(sum, part []IndexStats) []IndexStats {
	sum = cloneIndexes(sum)
	for _, p := range part {
		at := byName(sum, p.Name)
		if at < 0 {
			sum = append(sum, cloneIndexes([]IndexStats{p})...)
			continue
		}
		sum[at].Pages += p.Pages
		sum[at].LeafPages += p.LeafPages
		for i := range min(len(sum[at].Distinct), len(p.Distinct)) {
			sum[at].Distinct[i] = max(sum[at].Distinct[i], p.Distinct[i])
		}
	}
	return sum
}

func byName(list []IndexStats, name string) int {
	return slices.IndexFunc(list, func(ix IndexStats) bool { return strings.EqualFold(ix.Name, name) })
}

// groups counts the most frequent value of each prefix of a table's indexes.
func (d *dumper) groups(ctx context.Context, t *TableStats) error {
	declared := d.catalogue.table(t.Name)
	for i := range t.Indexes {
		ix := &t.Indexes[i]
		at := slices.IndexFunc(declared.indexes, func(x declaredIndex) bool { return x.name == ix.Name })
		if at < 0 || t.Rows > d.opts.GroupRows {
			continue
		}
		prefixes := len(ix.Columns)
		if ix.Unique {
			prefixes-- // the whole of it has one row, but for NULL
		}
		table := quoteName(d.catalogue.schema, t.Name) + " FORCE INDEX (" + quoteIdentifier(ix.Name) + ")"
		parts := grouping(declared.indexes[at])
		for n := 1; n <= min(prefixes, len(parts)); n++ {
			count, err := d.count(ctx, fmt.Sprintf("SELECT COUNT(*) FROM %s WHERE %s IS NOT NULL GROUP BY %s ORDER BY COUNT(*) DESC LIMIT 1",
				table, parts[0], strings.Join(parts[:n], ", ")))
			if err != nil {
				return fmt.Errorf("count the biggest group of %s.%s: %w", t.Name, ix.Name, err)
			}
			ix.Biggest = append(ix.Biggest, count)
			if count < 0 {
				break // the next prefix takes no less
			}
		}
		if declared.indexes[at].nullable && len(parts) > 0 {
			count, err := d.count(ctx, fmt.Sprintf("SELECT COUNT(*) FROM %s WHERE %s IS NULL", table, parts[0]))
			if err != nil {
				return fmt.Errorf("count the NULLs of %s.%s: %w", t.Name, ix.Name, err)
			}
			ix.Nulls = count
		}
	}
	return nil
}

// count runs a query that gives one count, or none for an empty table; what takes too long is not measured.
func (d *dumper) count(ctx context.Context, query string) (n int64, err error) {
	err = d.session.conn.QueryRowContext(ctx, query).Scan(&n)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, nil
	case isError(err, errTimeLimit, errTableDenied, errColumnDenied, errLockWait, errNoSuchKey):
		return notMeasured, nil
	case err != nil:
		return notMeasured, explained(ctx, "count", err)
	}
	return n, nil
}

// grouping is an index's leading parts as SQL can group by them without leaving the index: columns and expressions, but neither
// prefixes of columns nor arrays.
func grouping(ix declaredIndex) []string {
	var out []string
	for _, c := range ix.columns {
		switch {
		case ix.plain:
			out = append(out, quoteIdentifier(c))
		case strings.HasSuffix(c, " array))"), !strings.HasPrefix(c, "(") && strings.HasSuffix(c, ")"):
			return out
		case strings.HasPrefix(c, "("):
			out = append(out, strings.ReplaceAll(c, `\'`, "'")) // as information_schema writes it
		default:
			out = append(out, quoteIdentifier(c))
		}
	}
	return out
}

// histograms reads the shapes, and the values that the caller allowed.
func (d *dumper) histograms(ctx context.Context) error {
	found := map[string]bool{}
	err := each(ctx, d.session.conn, "read the histograms", func(scan func(...any) error) error {
		var table, column string
		var text []byte
		if err := scan(&table, &column, &text); err != nil {
			return err
		}
		at := slices.IndexFunc(d.stats.Tables, func(t TableStats) bool { return t.Name == table })
		if at < 0 {
			return nil
		}
		allowed := slices.Contains(d.opts.HistogramValues, table+"."+column)
		found[table+"."+column] = true
		h, err := readHistogram(column, text, allowed)
		if err != nil {
			return fmt.Errorf("histogram of %s.%s: %w", table, column, err)
		}
		d.stats.Tables[at].Histograms = append(d.stats.Tables[at].Histograms, h)
		return nil
	}, "SELECT TABLE_NAME, COLUMN_NAME, HISTOGRAM FROM information_schema.COLUMN_STATISTICS WHERE SCHEMA_NAME = ? ORDER BY TABLE_NAME, COLUMN_NAME",
		d.catalogue.schema)
	if err != nil {
		if isError(err, errUnknownTable) { // before 8.0 there are none
			err = nil
		}
		return err
	}
	for _, name := range d.opts.HistogramValues {
		if !found[name] {
			return fmt.Errorf("there is no histogram of %q; write table.column as the server spells it, or create one with ANALYZE TABLE … UPDATE HISTOGRAM", name)
		}
	}
	return nil
}

func readHistogram(column string, text []byte, values bool) (Histogram, error) {
	var doc struct {
		Buckets  [][]any `json:"buckets"`
		Type     string  `json:"histogram-type"`
		DataType string  `json:"data-type"`
		Nulls    float64 `json:"null-values"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return Histogram{}, err
	}
	h := Histogram{Column: column, Type: doc.Type, DataType: doc.DataType, Buckets: len(doc.Buckets), Nulls: doc.Nulls}
	before := 0.0
	for _, b := range doc.Buckets {
		at := 1 // [value, frequency up to here]
		if doc.Type == "equi-height" {
			at = 2 // [least, greatest, frequency up to here, different values]
		}
		if len(b) <= at {
			return h, fmt.Errorf("a bucket of %d fields is not known", len(b))
		}
		upTo, _ := b[at].(float64)
		h.Greatest = max(h.Greatest, upTo-before)
		before = upTo
	}
	if values {
		// last-updated would make every dump different.
		var whole map[string]json.RawMessage
		if err := json.Unmarshal(text, &whole); err != nil {
			return h, err
		}
		delete(whole, "last-updated")
		var err error
		if h.Values, err = json.Marshal(whole); err != nil {
			return h, err
		}
	}
	return h, nil
}
