package explainguard

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// catalogue is what a database declares: base tables of InnoDB with their indexes and partitions.
type catalogue struct {
	server      server
	schema      string
	fingerprint string // of the server and the database
	foldsCase   bool   // table names differ by more than case
	tables      []declared
}

type declared struct {
	name       string
	options    string // CREATE_OPTIONS
	rows       int64  // by the server's statistics
	pages      int64
	otherPages int64
	indexes    []declaredIndex // B-trees
	spatial    []declaredIndex
	partitions []partition
}

// partition is one, or a subpartition.
type partition struct {
	name   string // p0#sp#p0sp1, in lower case
	suffix string // what InnoDB adds to the table's name
}

type declaredIndex struct {
	name      string
	columns   []string
	unique    bool
	nullable  bool    // the first column
	plain     bool    // whole columns only: neither prefixes nor expressions
	cardinals []int64 // information_schema's CARDINALITY; notMeasured where it is NULL
}

func (c *catalogue) table(name string) *declared {
	for i := range c.tables {
		if c.tables[i].name == name || c.foldsCase && strings.EqualFold(c.tables[i].name, name) {
			return &c.tables[i]
		}
	}
	return nil
}

// readCatalogue reads the selected database. The session must have information_schema_stats_expiry = 0.
func readCatalogue(ctx context.Context, s *session) (*catalogue, error) {
	c := &catalogue{server: s.was}
	var schema sql.NullString
	if err := s.conn.QueryRowContext(ctx, "SELECT DATABASE()").Scan(&schema); err != nil {
		return nil, explained(ctx, "ask which database is selected", err)
	}
	switch {
	case schema.String == "":
		return nil, errors.New("the DSN selects no database; add its name, since statistics are those of one database")
	case systemSchema[strings.ToLower(schema.String)]:
		return nil, fmt.Errorf("%s is a system database; select the application's in the DSN", schema.String)
	}
	c.schema, c.foldsCase = schema.String, s.was["lower_case_table_names"] != "0"
	id := s.was["server_uuid"]
	if s.was.mariaDB() {
		id = s.was["server_uid"] + "/" + s.was["hostname"] + ":" + s.was["port"]
	}
	sum := sha256.Sum256([]byte(id + "/" + c.schema))
	c.fingerprint = hex.EncodeToString(sum[:8])
	if err := c.readTables(ctx, s.conn); err != nil {
		return nil, err
	}
	if err := c.readIndexes(ctx, s.conn); err != nil {
		return nil, err
	}
	return c, c.readPartitions(ctx, s.conn)
}

func (c *catalogue) readTables(ctx context.Context, conn *sql.Conn) error {
	return each(ctx, conn, "list the tables", func(scan func(...any) error) error {
		var d declared
		if err := scan(&d.name, &d.options, &d.rows, &d.pages, &d.otherPages); err != nil {
			return err
		}
		c.tables = append(c.tables, d)
		return nil
	}, `SELECT TABLE_NAME, COALESCE(CREATE_OPTIONS, ''), COALESCE(TABLE_ROWS, 0),
			COALESCE(DATA_LENGTH, 0) DIV @@innodb_page_size, COALESCE(INDEX_LENGTH, 0) DIV @@innodb_page_size FROM information_schema.TABLES
		WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'BASE TABLE' AND ENGINE = 'InnoDB' ORDER BY TABLE_NAME`, c.schema)
}

func (c *catalogue) readIndexes(ctx context.Context, conn *sql.Conn) error {
	byName := map[string]*declared{}
	for i := range c.tables {
		byName[c.tables[i].name] = &c.tables[i]
	}
	expression := "EXPRESSION"
	if c.server.mariaDB() { // has no functional indexes
		expression = "NULL"
	}
	return each(ctx, conn, "list the indexes", func(scan func(...any) error) error {
		var table, index, nullable, kind string
		var column, expression sql.NullString
		var part, cardinality sql.NullInt64
		var nonUnique bool
		if err := scan(&table, &index, &column, &expression, &part, &nonUnique, &nullable, &cardinality, &kind); err != nil {
			return err
		}
		d := byName[table]
		if d == nil {
			return nil
		}
		if kind == "SPATIAL" {
			d.spatial = append(d.spatial, declaredIndex{name: index, columns: []string{column.String}})
			return nil
		}
		if n := len(d.indexes); n == 0 || d.indexes[n-1].name != index {
			d.indexes = append(d.indexes, declaredIndex{name: index, unique: !nonUnique, nullable: nullable == "YES", plain: true})
		}
		ix := &d.indexes[len(d.indexes)-1]
		name := column.String
		switch {
		case expression.Valid:
			name, ix.plain = "("+introducer.ReplaceAllString(expression.String, "$1")+")", false
		case part.Valid:
			name, ix.plain = fmt.Sprintf("%s(%d)", column.String, part.Int64), false
		}
		ix.columns = append(ix.columns, name)
		if cardinality.Valid {
			ix.cardinals = append(ix.cardinals, cardinality.Int64)
		} else {
			ix.cardinals = append(ix.cardinals, notMeasured)
		}
		return nil
	}, `SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, `+expression+`, SUB_PART, NON_UNIQUE, NULLABLE, CARDINALITY, INDEX_TYPE FROM information_schema.STATISTICS
		WHERE TABLE_SCHEMA = ? AND INDEX_TYPE IN ('BTREE', 'SPATIAL') ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX`, c.schema)
}

// introducer is the character set of the session that created a functional index; it says nothing about the index.
var introducer = regexp.MustCompile(`\b_[a-z0-9]+(\\?')`)

func (c *catalogue) readPartitions(ctx context.Context, conn *sql.Conn) error {
	return each(ctx, conn, "list the partitions", func(scan func(...any) error) error {
		var table, name string
		var sub sql.NullString
		if err := scan(&table, &name, &sub); err != nil {
			return err
		}
		if d := c.table(table); d != nil {
			d.partitions = append(d.partitions, c.partition(name, sub.String))
		}
		return nil
	}, `SELECT TABLE_NAME, PARTITION_NAME, SUBPARTITION_NAME FROM information_schema.PARTITIONS
		WHERE TABLE_SCHEMA = ? AND PARTITION_NAME IS NOT NULL ORDER BY TABLE_NAME, PARTITION_ORDINAL_POSITION, SUBPARTITION_ORDINAL_POSITION`, c.schema)
}

// partition names one as InnoDB does, which keeps the statistics of each under a table name of its own: t#p#p0#sp#p0sp1 on MySQL, in
// lower case after the table's name; t#P#p0#SP#p0sp1 on MariaDB.
func (c *catalogue) partition(name, sub string) partition {
	suffix := "#P#" + name
	if sub != "" {
		suffix += "#SP#" + sub
	}
	p := partition{name: strings.ToLower(suffix[len("#P#"):]), suffix: suffix}
	if !c.server.mariaDB() {
		p.suffix = strings.ToLower(suffix)
	}
	return p
}

// each runs a query and hands its rows over.
func each(ctx context.Context, conn *sql.Conn, doing string, row func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return explained(ctx, doing, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	if err := rows.Err(); err != nil {
		return explained(ctx, doing, err)
	}
	return nil
}
