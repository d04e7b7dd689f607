package consistency

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// DefaultStoreTable is the table of a SQLStore whose Table is empty.
const DefaultStoreTable = "consistency_state"

const (
	// storeTimeout bounds one operation of a store.
	storeTimeout = 10 * time.Second
	// compressFrom is the size from which a state is kept compressed; smaller ones can be read in any SQL client.
	compressFrom = 64 << 10
	// maxStored bounds what is unpacked, so that a damaged row cannot use up the memory.
	maxStored = 256 << 20

	errNoSuchTable  = 1146
	errDuplicate    = 1062
	errDeadlock     = 1213
	errBadField     = 1054
	errPacketTooBig = 1153
)

// SQLStore is a Store in a table of a MySQL or MariaDB database: a row for each check. The table is created when it is first needed and does not exist; the account needs
// SELECT, INSERT, UPDATE and, for that, CREATE on it. It does not belong on the server that is checked if that is to be written to by nobody: a store is a small database of its own.
//
// A server that is unreachable, a row that is damaged, a table that is not ours or was written by a newer version of this package is an error, never taken as empty.
type SQLStore struct {
	// DB is where the table is. Required. An operation takes one connection for a moment, at most 10 s.
	DB *sql.DB
	// Table is its name, optionally with its database: "ops.consistency_state". Empty: DefaultStoreTable.
	Table string
}

// Load reads the check's row.
func (q SQLStore) Load(ctx context.Context, check string) (s State, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	table, err := q.usable(ctx)
	if err == nil {
		err = q.withTable(ctx, table, func() error {
			s, err = q.load(ctx, table, check)
			return err
		})
	}
	return s, storeError("load", check, err)
}

// Save replaces the check's row in one transaction.
func (q SQLStore) Save(ctx context.Context, check string, s State) (version int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	table, err := q.usable(ctx)
	if err == nil {
		err = q.withTable(ctx, table, func() error { return q.save(ctx, table, check, s) })
	}
	if err != nil {
		return 0, storeError("save", check, err)
	}
	return s.Version + 1, nil
}

func (q SQLStore) usable(ctx context.Context) (table string, err error) {
	if q.DB == nil {
		return "", errors.New("SQLStore.DB is nil: set it to the database that holds the table")
	}
	name := q.Table
	if name == "" {
		name = DefaultStoreTable
	}
	parts := strings.Split(name, ".")
	for i, p := range parts {
		if p == "" || len(parts) > 2 {
			return "", fmt.Errorf("SQLStore.Table is %q: write table or database.table", name)
		}
		parts[i] = "`" + strings.ReplaceAll(p, "`", "``") + "`"
	}
	return strings.Join(parts, "."), ctx.Err()
}

// withTable does f, and once more where the table had to be created first.
func (q SQLStore) withTable(ctx context.Context, table string, f func() error) error {
	err := f()
	if err == nil || mysqlErrorNumber(err) != errNoSuchTable {
		return storeAdvice(table, err)
	}
	// The key is a digest, so that any name fits, whatever the collation; the name stands beside it for people.
	_, err = q.DB.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS "+table+` (
		name_sha256 BINARY(32) NOT NULL PRIMARY KEY,
		name MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
		format INT NOT NULL,
		version BIGINT NOT NULL,
		saved_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
		state LONGBLOB NOT NULL
	) ENGINE = InnoDB COMMENT = 'tashikame consistency: what is known of each check; JSON, gzip where it is large'`)
	if err != nil {
		return fmt.Errorf("create the table %s: %w", table, err)
	}
	return storeAdvice(table, f())
}

func storeAdvice(table string, err error) error {
	if err == nil {
		return nil
	}
	switch mysqlErrorNumber(err) {
	case errDuplicate, errDeadlock:
		return fmt.Errorf("%w (%w)", ErrConflict, err)
	case errBadField:
		return fmt.Errorf("the table %s is not one of SQLStore: give SQLStore.Table another name: %w", table, err)
	case errPacketTooBig:
		return fmt.Errorf("raise max_allowed_packet on the server of the store: %w", err)
	case 0:
		if isConnectionError(err) {
			return fmt.Errorf("the store's server did not answer: is it up? %w", err)
		}
	}
	return err
}

func nameDigest(check string) []byte {
	sum := sha256.Sum256([]byte(check))
	return sum[:]
}

func (q SQLStore) load(ctx context.Context, table, check string) (State, error) {
	var format int
	var version int64
	var data []byte
	err := q.DB.QueryRowContext(ctx, "SELECT format, version, state FROM "+table+" WHERE name_sha256 = ?", nameDigest(check)).Scan(&format, &version, &data)
	if errors.Is(err, sql.ErrNoRows) {
		return State{Check: check}, nil
	}
	if err != nil {
		return State{}, err
	}
	if format > storeFormat {
		return State{}, ErrNewerStore
	}
	if format < 1 || version < 1 {
		return State{}, fmt.Errorf("the row in %s is not one of SQLStore (format %d, version %d)", table, format, version)
	}
	if data, err = unpack(data); err != nil {
		return State{}, fmt.Errorf("the row in %s is damaged: put a copy back or, if what was known of the check may be forgotten, delete it: %w", table, err)
	}
	s, err := decodeState(check, data, version)
	if err != nil {
		return State{}, fmt.Errorf("the row in %s: %w", table, err)
	}
	return s, nil
}

func (q SQLStore) save(ctx context.Context, table, check string, s State) (err error) {
	if s.Version < 0 {
		return errNegativeVersion
	}
	data, err := encodeState(check, s)
	if err != nil {
		return err
	}
	if data, err = pack(data); err != nil {
		return err
	}
	// A transaction of its own: with autocommit off in the DSN nothing would be kept else.
	tx, err := q.DB.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	key := nameDigest(check)
	if s.Version == 0 {
		_, err = tx.ExecContext(ctx, "INSERT INTO "+table+" (name_sha256, name, format, version, state) VALUES (?, CONVERT(? USING utf8mb4), ?, 1, ?)", key, []byte(check), storeFormat, data)
	} else {
		var done sql.Result
		// A row of a newer format has a version that we never read: its writer raised it.
		done, err = tx.ExecContext(ctx, "UPDATE "+table+" SET format = ?, version = version + 1, state = ?, saved_at = CURRENT_TIMESTAMP WHERE name_sha256 = ? AND version = ? AND format <= ?",
			storeFormat, data, key, s.Version, storeFormat)
		if err == nil {
			var n int64
			if n, err = done.RowsAffected(); err == nil && n != 1 {
				return ErrConflict
			}
		}
	}
	if err != nil {
		return err
	}
	return tx.Commit()
}

// pack compresses what is large.
func pack(data []byte) ([]byte, error) {
	if len(data) < compressFrom {
		return data, nil
	}
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(data); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// unpack undoes pack: JSON begins with a brace, gzip does not.
func unpack(data []byte) ([]byte, error) {
	if len(data) < 2 || data[0] != 0x1f || data[1] != 0x8b {
		return data, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(z, maxStored+1))
	if err == nil && len(out) > maxStored {
		err = fmt.Errorf("it holds more than %d MiB", maxStored>>20)
	}
	return out, err
}
