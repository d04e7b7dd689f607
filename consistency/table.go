package consistency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

const (
	// pageRows is the number of rows that one statement reads: a statement of some tens of milliseconds keeps no old row versions alive.
	pageRows = 20000
	// lookupKeys is the number of keys that one statement looks up.
	lookupKeys = 200
)

// Table is a Source: a table, or the part of it that Where selects, on MySQL 5.7.20 or newer or MariaDB 10.5 or newer. Where both sides of a Reconcile are one, the servers compute digests
// and only the ranges of keys that differ are read; see DigestMode.
//
// It is read in sessions that cannot write, with time_zone '+00:00', character set utf8mb4 and without the sql_modes that change values, whatever the DSN says. Where the key is a
// unique index whose order is that of Reconcile (numbers, dates and times, binary, text with a binary collation) it is read page by page, in statements of some tens of milliseconds that leave
// no old row versions behind. For other keys, text under a language's collation above all, the server sorts; that statement lasts until the last row was taken. Digests need no order, only a unique index
// without NULL over exactly the key columns. They take up to seven connections of a pool; fewer, where its SetMaxOpenConns allows fewer.
//
// A view is read too, without digests. Use an account that may only SELECT.
type Table struct {
	// DB is where the table is. Required.
	DB *sql.DB
	// Name is the table, optionally with its database: "orders", "shop.orders"; names with dots in backticks. Required.
	Name string
	// Where restricts the rows, for example "deleted_at IS NULL": a condition, read as the session's sql_mode says. Empty: all rows. What it leaves out on one side only is missing there.
	Where string
	// Args are the values for each ? in Where.
	Args []any
	// Brake, if not nil, is asked before each session that reads the table or its digests, about DB.
	Brake *Brake
}

func (t Table) validate() error {
	var errs []error
	if t.DB == nil {
		errs = append(errs, errors.New("Table.DB is nil: set it to the database to read"))
	}
	if t.Name == "" {
		errs = append(errs, errors.New("Table.Name is empty: name the table"))
	} else if _, _, err := tableName(t.Name); err != nil {
		errs = append(errs, err)
	}
	if strings.TrimSpace(t.Where) == "" {
		if len(t.Args) > 0 {
			errs = append(errs, errors.New("Table.Args is set but Table.Where is empty"))
		}
	} else if err := vetAnyMode(t.probe()); err != nil {
		errs = append(errs, fmt.Errorf("Table.Where: %w", err))
	}
	return errors.Join(errs...)
}

// probe is a statement that holds the condition as all others do. What follows the condition stands on a line of its own: it may end in a comment.
func (t Table) probe() string { return "SELECT 1 FROM t WHERE (" + t.Where + "\n)" }

func (t Table) describe() string {
	if strings.TrimSpace(t.Where) == "" {
		return "table " + t.Name
	}
	return fmt.Sprintf("table %s where %s %v", t.Name, t.Where, t.Args)
}

// Rows yields all columns of the rows in the order of the primary key, from behind the values of after (one for each column of the primary key).
// ctx needs a deadline.
func (t Table) Rows(ctx context.Context, after []any) iter.Seq2[Row, error] {
	return t.public(ctx, func(s *tableSession, want scanRequest, key keyColumns, sink rowSink) error {
		if after != nil {
			bound, err := publicKeys(key, [][]any{after})
			if err != nil {
				return err
			}
			want.after = bound[0]
		}
		return s.scan(ctx, want, key, sink)
	})
}

// Lookup yields all columns of the rows whose primary keys have these values. ctx needs a deadline.
func (t Table) Lookup(ctx context.Context, keys [][]any) iter.Seq2[Row, error] {
	return t.public(ctx, func(s *tableSession, want scanRequest, key keyColumns, sink rowSink) error {
		wanted, err := publicKeys(key, keys)
		if err != nil {
			return err
		}
		return s.fetch(ctx, want, key, wanted, &keyFilter{rowSink: sink, key: key, keys: wanted})
	})
}

// public reads by the primary key, for callers that know no scanRequest.
func (t Table) public(ctx context.Context, read func(*tableSession, scanRequest, keyColumns, rowSink) error) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		err := t.with(ctx, func(s *tableSession) error {
			if len(s.schema.unique) == 0 {
				return Permanent(fmt.Errorf("%s has no primary key, so that its rows have no order: use a Query", s.schema.quoted))
			}
			want := scanRequest{}
			for _, c := range s.schema.unique[0].columns {
				want.columns = append(want.columns, c.name)
			}
			want.keys = len(want.columns)
			for _, c := range s.schema.columns {
				if !slices.Contains(want.columns, c.name) {
					want.columns = append(want.columns, c.name)
				}
			}
			want.rules = make([]Column, len(want.columns))
			key, err := s.key(ctx, want)
			if err != nil {
				return err
			}
			return read(s, want, key, &rowSinkFunc{yield: yield})
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

func (t Table) scan(ctx context.Context, want scanRequest, sink rowSink) error {
	return t.with(ctx, func(s *tableSession) error {
		key, err := s.key(ctx, want)
		if err != nil {
			return err
		}
		return s.scan(ctx, want, key, sink)
	})
}

func (t Table) fetch(ctx context.Context, want scanRequest, keys []neutralKey, sink rowSink) error {
	return t.with(ctx, func(s *tableSession) error {
		key, err := s.key(ctx, want)
		if err != nil {
			return err
		}
		return s.fetch(ctx, want, key, keys, sink)
	})
}

// tableSession is a session on a table's server in which all servers write values in the same way.
type tableSession struct {
	*session
	table  Table
	where  string // vetted
	schema *tableSchema
}

// keptModes are the parts of sql_mode that decide how Table.Where is read. The others change values or refuse them.
var keptModes = []string{"ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "PIPES_AS_CONCAT", "IGNORE_SPACE", "HIGH_NOT_PRECEDENCE"}

// with opens a session, reads what the table is like and calls f.
func (t Table) with(ctx context.Context, f func(*tableSession) error) error {
	if err := t.validate(); err != nil {
		return Permanent(err)
	}
	s, err := t.open(ctx, nil)
	if err != nil {
		return err
	}
	err = f(s)
	return errors.Join(err, s.close(ctx))
}

// open opens a session and asks what the table is like, if that is not known. Close it.
func (t Table) open(ctx context.Context, known *tableSchema) (ts *tableSession, err error) {
	if _, ok := ctx.Deadline(); !ok {
		return nil, Permanent(errors.New("reading a table needs a context with a deadline: use context.WithTimeout"))
	}
	if err := t.Brake.Ready(ctx, t.DB); err != nil {
		return nil, err
	}
	s, err := openSession(ctx, t.DB)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(ctx))
		}
	}()
	if err := s.beginPlain(ctx); err != nil {
		return nil, err
	}
	ts = &tableSession{session: s, table: t}
	if strings.TrimSpace(t.Where) != "" {
		// Vetted in the session's own mode, which pin below keeps.
		if _, err := vetSQL(t.probe(), s.mode); err != nil {
			return nil, Permanent(fmt.Errorf("Table.Where: %w", err))
		}
		if err := vetCondition(t.Where, s.mode); err != nil {
			return nil, Permanent(err)
		}
		ts.where = "(" + t.Where + "\n)"
	}
	var mode string
	if err := s.conn.QueryRowContext(ctx, "SELECT @@SESSION.sql_mode").Scan(&mode); err != nil {
		return nil, advise("ask for the session's sql_mode", err)
	}
	var kept []string
	for m := range strings.SplitSeq(mode, ",") {
		if slices.Contains(keptModes, m) {
			kept = append(kept, m)
		}
	}
	err = s.pin(ctx, []setting{
		{"time_zone", "'+00:00'"},
		{"sql_mode", "'" + strings.Join(kept, ",") + "'"}, // no NO_ZERO_DATE, which makes NULL of a zero date, no PAD_CHAR_TO_FULL_LENGTH
		{"character_set_client", "utf8mb4"},
		{"character_set_results", "utf8mb4"},
		{"collation_connection", "utf8mb4_general_ci"}, // every server has it
	})
	if err != nil {
		return nil, advise("set up the session", err)
	}
	if ts.schema = known; known == nil {
		ts.schema, err = loadSchema(ctx, s, t.Name)
	}
	return ts, err
}

// vetCondition refuses a condition whose parentheses do not match: what is put behind it would no longer belong to all of it.
func vetCondition(where string, mode lexMode) error {
	tokens, err := lexSQL(where, mode)
	if err != nil {
		return fmt.Errorf("Table.Where: %w", err)
	}
	depth := 0
	for _, t := range tokens {
		switch {
		case t.kind != tokenPunct:
		case t.text == "(":
			depth++
		case t.text == ")":
			depth--
		case t.text == ";":
			return errors.New("Table.Where holds a semicolon: it is one condition")
		}
		if depth < 0 {
			break
		}
	}
	if depth != 0 {
		return errors.New("Table.Where: its parentheses do not match")
	}
	return nil
}

// resolve asks the server for the types of the columns, as it will deliver them.
func (s *tableSession) resolve(ctx context.Context, names []string) (columns []resolvedColumn, err error) {
	list, err := s.selectList(names)
	if err != nil {
		return nil, err
	}
	what := "read the columns of " + s.schema.quoted
	err = s.query(ctx, what, "SELECT "+list+" FROM "+s.schema.quoted+" LIMIT 0", nil, func(rows *sql.Rows) error {
		types, err := rows.ColumnTypes()
		if err != nil {
			return advise(what, err)
		}
		for _, t := range types {
			columns = append(columns, resolveColumn(t, true))
		}
		rows.Next()
		return rows.Err()
	})
	return columns, err
}

// selectList writes the columns, each under the name by which it was asked for.
func (s *tableSession) selectList(names []string) (string, error) {
	list := make([]string, len(names))
	for i, name := range names {
		c := s.schema.column(name)
		if c == nil {
			all := make([]string, len(s.schema.columns))
			for j, c := range s.schema.columns {
				all[j] = c.name
			}
			return "", Permanent(fmt.Errorf("%s has no column %q, only %s", s.schema.quoted, name, strings.Join(all, ", ")))
		}
		list[i] = quoteName(c.name)
	}
	return strings.Join(list, ", "), nil
}

// key settles how the key columns of a request are read.
func (s *tableSession) key(ctx context.Context, want scanRequest) (keyColumns, error) {
	names := want.columns[:want.keys]
	key := make(keyColumns, len(names))
	var undeclared []string
	for i, name := range names {
		c := s.schema.column(name)
		if c == nil {
			_, err := s.selectList(names)
			return nil, err
		}
		key[i] = tableKey{column: c, kind: want.rules[i].Kind, rule: want.rules[i]}
		if key[i].kind == KindAuto {
			undeclared = append(undeclared, name)
		}
	}
	if len(undeclared) == 0 {
		return key, nil
	}
	columns, err := s.resolve(ctx, names)
	if err != nil {
		return nil, err
	}
	for i := range key {
		if key[i].kind == KindAuto {
			key[i].kind = columns[i].kind
		}
	}
	return key, nil
}

// publicKeys writes values as Go has them in the neutral form.
func publicKeys(key keyColumns, keys [][]any) ([]neutralKey, error) {
	out := make([]neutralKey, len(keys))
	for i, values := range keys {
		if len(values) != len(key) {
			return nil, Permanent(fmt.Errorf("a key of %s was given, and the primary key has %s", plural(len(values), "value"), plural(len(key), "column")))
		}
		for j, v := range values {
			text, err := neutralValue(key[j], v)
			if err != nil {
				return nil, Permanent(err)
			}
			out[i] = append(out[i], text)
		}
	}
	return out, nil
}

func neutralValue(k tableKey, v any) (string, error) {
	var raw []byte
	switch v := v.(type) {
	case []byte:
		raw = v
	case string:
		raw = []byte(v)
	case time.Time:
		raw = []byte(v.UTC().Format("2006-01-02 15:04:05.999999999"))
		if k.kind == KindDate {
			raw = raw[:len(time.DateOnly)]
		}
	case nil:
		return "", errNullKey
	default:
		raw = []byte(fmt.Sprint(v))
	}
	reader := cellReader{kind: k.kind, key: true}
	text, err := reader.append(nil, raw)
	if err != nil {
		return "", fmt.Errorf("the key column %q: a value was given %w", k.column.name, err)
	}
	return string(text), nil
}
