package explainguard_test

import (
	"database/sql"
	"database/sql/driver"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

func TestFaultInRows(t *testing.T) {
	read := func(db *sql.DB) (n int, err error) {
		rows, err := db.Query("SELECT n")
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			n++
		}
		return n, rows.Err()
	}
	f := &fakeServer{rows: func() driver.Rows { return &fakeRows{n: 5} }}
	db, rec := faulty(t, f)
	for _, after := range []int{0, 3, 5} {
		disarm := arm(t, rec, explainguard.Fault{Contains: "SELECT", When: explainguard.InRows, AfterRows: after, Err: errTooLong})
		n, err := read(db)
		require.Equal(t, after, n)
		require.Equal(t, errTooLong, err)
		require.NoError(t, disarm())
	}
	disarm := arm(t, rec, explainguard.Fault{Contains: "SELECT", When: explainguard.InRows, AfterRows: 6, Err: errTooLong})
	n, err := read(db)
	require.NoError(t, err)
	require.Equal(t, 5, n)
	require.ErrorContains(t, disarm(), "nobody read beyond row 6")

	// A program that stops reading earlier does not meet the fault.
	disarm = arm(t, rec, explainguard.Fault{Contains: "SELECT", When: explainguard.InRows, AfterRows: 1, Err: errTooLong})
	require.NoError(t, db.QueryRow("SELECT n").Scan(&n))
	require.ErrorContains(t, disarm(), "nobody read beyond row 1")

	// Slow first, then broken; an Exec has no rows.
	disarm = arm(t, rec,
		explainguard.Fault{Contains: "SELECT", When: explainguard.InRows, AfterRows: 4, Times: 1, Drop: true},
		explainguard.Fault{Contains: "SELECT", When: explainguard.InRows, AfterRows: 2, Times: 1, Delay: time.Millisecond})
	_, err = db.Exec("SELECT n")
	require.NoError(t, err)
	n, err = read(db)
	require.Equal(t, 4, n)
	require.ErrorIs(t, err, mysql.ErrInvalidConn)
	require.NoError(t, disarm())
	require.NoError(t, db.Ping(), "on a new connection")
}

// Rows that a fault may strike look as the driver's own, with and without optional methods.
func TestFaultKeepsWhatRowsCanDo(t *testing.T) {
	for name, rows := range map[string]func() driver.Rows{
		"all":     func() driver.Rows { return &fullRows{fakeRows{n: 2}, 2} },
		"nothing": func() driver.Rows { return &fakeRows{n: 2} },
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeServer{rows: rows, conn: connKinds["all"]}
			look := func(db *sql.DB) (said []any) {
				rows, err := db.Query("SELECT n")
				require.NoError(t, err)
				defer rows.Close()
				types, err := rows.ColumnTypes()
				require.NoError(t, err)
				for _, c := range types {
					length, hasLength := c.Length()
					nullable, hasNullable := c.Nullable()
					precision, scale, decimal := c.DecimalSize()
					said = append(said, c.Name(), c.ScanType(), c.DatabaseTypeName(), length, hasLength, nullable, hasNullable, precision, scale, decimal)
				}
				for more := true; more; more = rows.NextResultSet() {
					for rows.Next() {
						var n int
						require.NoError(t, rows.Scan(&n))
						said = append(said, n)
					}
					said = append(said, "end", rows.Err())
				}
				return append(said, rows.NextResultSet(), rows.Err(), rows.Close())
			}
			plain := sql.OpenDB(f)
			want := look(plain)
			require.NoError(t, plain.Close())
			db, rec := faulty(t, f)
			disarm := arm(t, rec, explainguard.Fault{Contains: "n", When: explainguard.InRows, Delay: time.Microsecond})
			require.Equal(t, want, look(db))
			require.NoError(t, disarm(), "it was struck, so the rows were wrapped")
		})
	}
}

// A program that reads on after an error, on the raw connection, hears it again.
func TestFaultInRowsStays(t *testing.T) {
	db, rec := faulty(t, &fakeServer{rows: func() driver.Rows { return &fullRows{fakeRows{n: 5}, 2} }})
	rec.Inject(t, explainguard.Fault{Contains: "SELECT", When: explainguard.InRows, AfterRows: 1, Err: errTooLong})
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.Raw(func(dc any) error {
		rows, err := dc.(driver.QueryerContext).QueryContext(t.Context(), "SELECT n", nil)
		require.NoError(t, err)
		into := make([]driver.Value, 1)
		require.NoError(t, rows.Next(into))
		for range 2 {
			require.Equal(t, errTooLong, rows.Next(into))
		}
		require.Equal(t, errTooLong, rows.(driver.RowsNextResultSet).NextResultSet())
		require.False(t, rows.(driver.RowsNextResultSet).HasNextResultSet())
		return rows.Close()
	}))
}

// closedRows tells when they are closed.
type closedRows struct {
	fakeRows
	closed *int
}

func (r *closedRows) Close() error { *r.closed++; return nil }

func TestFaultAfterExecutionLeavesNoRows(t *testing.T) {
	closed := 0
	db, rec := faulty(t, &fakeServer{rows: func() driver.Rows { return &closedRows{fakeRows{n: 2}, &closed} }})
	rec.Inject(t, explainguard.Fault{Contains: "SELECT", When: explainguard.AfterExecution, Err: errTooLong})
	require.Equal(t, errTooLong, db.QueryRow("SELECT n").Scan(new(int)))
	require.Equal(t, 1, closed)
}
