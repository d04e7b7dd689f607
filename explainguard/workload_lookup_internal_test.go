package explainguard

import (
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asks reports how many of the calls wait for a plan of their own.
func asks(t *testing.T, w *workload, run func() error) bool {
	t.Helper()
	goOn := w.holdUp()
	done := make(chan error, 1)
	go func() { done <- run() }()
	waits := true
	select {
	case err := <-done:
		done <- err
		w.mu.Lock()
		waits = len(w.behind) > 0
		w.mu.Unlock()
	case <-time.After(300 * time.Millisecond):
	}
	goOn()
	require.NoError(t, <-done)
	w.catchUp(0)
	return waits
}

// One plan of a look-up by a unique key stands for all, and only that.
func TestOnePlanStandsForAllLookUps(t *testing.T) {
	db, w, _ := lagging(t)
	read := func(query string, args ...any) func() error {
		return func() error {
			rows, err := db.QueryContext(t.Context(), query, args...)
			if err != nil {
				return err
			}
			for rows.Next() {
			}
			return rows.Close()
		}
	}
	for query, args := range map[string][2][]any{
		"SELECT hall FROM seats WHERE id = ?":                                         {{1}, {2}},
		"SELECT s.hall FROM seats AS s WHERE s.id = ? AND s.hall <> ?":                {{1, 9}, {3, 4}},
		"SELECT * FROM `seats` WHERE id = ? AND hall IS NOT NULL ORDER BY id LIMIT 1": {{4}, {5}},
	} {
		require.True(t, asks(t, w, read(query, args[0]...)), query)
		require.False(t, asks(t, w, read(query, args[1]...)), query)
	}
	for _, e := range w.order {
		require.Len(t, e.tuples, 2, "other arguments are told apart: one row after another is a finding")
		require.Equal(t, 2.0, e.examined(), "each reads one row")
	}
	for query, args := range map[string][2][]any{
		"SELECT hall FROM seats WHERE id = ? OR hall = ?":                           {{1, 99}, {2, 1}},
		"SELECT hall FROM seats WHERE hall = ?":                                     {{1}, {2}},
		"SELECT hall FROM seats WHERE (? = 0 OR id = ?)":                            {{1, 2}, {0, 2}},
		"SELECT id FROM seats WHERE id = ? AND hall = ?":                            {{1, 1}, {"2", 1}},
		"SELECT id, id FROM seats WHERE id = ? AND hall = ?":                        {{1, 1}, {sql.NullInt64{}, 1}},
		"SELECT hall FROM seats WHERE id > ? AND id < ?":                            {{1, 3}, {2, 5}},
		"SELECT MAX(id) FROM seats WHERE hall = ?":                                  {{1}, {2}},
		"SELECT hall FROM seats WHERE id IN (?, ?)":                                 {{1, 3}, {2, 5}},
		"SELECT hall, (SELECT ?) FROM seats WHERE id = ?":                           {{1, 3}, {2, 5}},
		"SELECT a.hall FROM seats a JOIN seats b ON b.hall = a.hall WHERE a.id = ?": {{1}, {7}},
	} {
		require.True(t, asks(t, w, read(query, args[0]...)), query)
		require.True(t, asks(t, w, read(query, args[1]...)), query)
	}

	again := "SELECT UPPER(hall) FROM seats WHERE id = ?"
	require.True(t, asks(t, w, read(again, 1)))
	require.False(t, asks(t, w, read(again, 2)))
	require.True(t, asks(t, w, read("SELECT UPPER( hall ) FROM seats WHERE id = ?", 3)), "a text of its own")
	require.True(t, asks(t, w, read("SELECT hall, hall FROM seats WHERE id = 1 AND hall < ?", 3)))
	require.True(t, asks(t, w, read("SELECT hall, hall FROM seats WHERE id = 'x1' AND hall < ?", 4)), "of the same shape")
	again = "SELECT LOWER(hall) FROM seats WHERE id = ?"
	require.True(t, asks(t, w, read(again, 1)))
	require.False(t, asks(t, w, read(again, 2)))
	_, err := db.ExecContext(t.Context(), "ALTER TABLE seats DROP PRIMARY KEY, MODIFY id INT NOT NULL")
	require.NoError(t, err)
	require.True(t, asks(t, w, read(again, 3)), "the table has changed")
	require.True(t, asks(t, w, read(again, 4)))
}
