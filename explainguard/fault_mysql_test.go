package explainguard_test

import (
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// A real server's error 3024 in the middle of rows and an injected one look the same to a program.
func TestFaultLooksAsTheServersOwn(t *testing.T) {
	s := servers.MySQL(t)
	rec := &explainguard.Recorder{}
	db := wrappedPool(t, s.DSN, rec, nil)
	db.SetMaxOpenConns(1)
	read := func(query string) error {
		rows, err := db.Query(query)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
		}
		return rows.Err()
	}
	id := func() (n int) {
		require.NoError(t, db.QueryRow("SELECT CONNECTION_ID()").Scan(&n))
		return n
	}
	before := id()
	var real, ours *mysql.MySQLError
	require.ErrorAs(t, read("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT /*+ MAX_EXECUTION_TIME(200) */ a.i FROM n a, n b, n c"), &real)
	require.Equal(t, before, id(), "the connection stays")
	rec.Inject(t, explainguard.Fault{Contains: "FROM n a", When: explainguard.InRows, AfterRows: 300, Err: errTooLong})
	require.ErrorAs(t, read("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT a.i FROM n a"), &ours)
	require.Equal(t, real, ours)
	require.Equal(t, before, id(), "the connection stays, and has no rows left over")
}

// The answer to a commit is lost: it happened, and the program is told that it failed.
func TestFaultLosesTheAnswerToACommit(t *testing.T) {
	s := servers.MySQL(t)
	_, err := s.DB.Exec("CREATE TABLE bookings (id INT PRIMARY KEY)")
	require.NoError(t, err)
	rec := &explainguard.Recorder{}
	db := wrappedPool(t, s.DSN, rec, nil)
	rows := func() (n int) {
		require.NoError(t, s.DB.QueryRow("SELECT COUNT(*) FROM bookings").Scan(&n))
		return n
	}
	book := func(id int) error {
		tx, err := db.Begin()
		require.NoError(t, err)
		_, err = tx.Exec("INSERT INTO bookings VALUES (?)", id)
		require.NoError(t, err)
		return tx.Commit()
	}
	rec.Inject(t, explainguard.Fault{On: explainguard.OnCommit, Times: 1, When: explainguard.AfterExecution, Drop: true})
	require.ErrorIs(t, book(1), mysql.ErrInvalidConn)
	require.Equal(t, 1, rows())
	rec.Inject(t, explainguard.Fault{On: explainguard.OnCommit, Times: 1, Drop: true})
	require.ErrorIs(t, book(2), mysql.ErrInvalidConn)
	require.Equal(t, 1, rows())
	rec.Inject(t, explainguard.Fault{On: explainguard.OnCommit, Times: 1, Err: &mysql.MySQLError{Number: 1213, Message: "deadlock"}})
	require.Error(t, book(3))
	require.Equal(t, 1, rows())
	require.NoError(t, book(4))
	require.Equal(t, 2, rows())
}
