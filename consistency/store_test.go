package consistency_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/consistency/consistencytest"
	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestMemoryStoreKeepsTheRules(t *testing.T) {
	consistencytest.Store(t, func(*testing.T) func() consistency.Store {
		store := &consistency.MemoryStore{}
		return func() consistency.Store { return store }
	})
}

func TestFileStoreKeepsTheRules(t *testing.T) {
	consistencytest.Store(t, func(t *testing.T) func() consistency.Store {
		dir := filepath.Join(t.TempDir(), "made", "when needed")
		return func() consistency.Store { return consistency.FileStore{Dir: dir} }
	})
}

func TestSQLStoreKeepsTheRules(t *testing.T) {
	for name, server := range map[string]func(servers.TB) *servers.MySQLServer{"MySQL": servers.MySQL, "MariaDB": servers.MariaDB} {
		for dsn, change := range map[string]func(*mysql.Config){
			"as it is": func(*mysql.Config) {},
			"odd connection": func(c *mysql.Config) {
				_ = c.Apply(mysql.Charset("latin1", ""))
				c.InterpolateParams, c.ParseTime = true, true
				c.Params = map[string]string{"autocommit": "0", "sql_mode": "''"}
			},
			"found rows": func(c *mysql.Config) { c.ClientFoundRows = true },
		} {
			t.Run(name+" "+dsn, func(t *testing.T) {
				consistencytest.Store(t, func(t *testing.T) func() consistency.Store {
					s := server(t)
					return func() consistency.Store { return consistency.SQLStore{DB: reopen(t, s, change)} }
				})
			})
		}
	}
}

// reopen opens the server's database once more, with the configuration changed.
func reopen(t *testing.T, server *servers.MySQLServer, change func(*mysql.Config)) *sql.DB {
	cfg, err := mysql.ParseDSN(server.DSN)
	require.NoError(t, err)
	change(cfg)
	connector, err := mysql.NewConnector(cfg)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestAFileThatCannotBeReadIsNeverTakenAsEmpty(t *testing.T) {
	store := consistency.FileStore{Dir: t.TempDir()}
	state := consistency.State{Check: "x", Reason: "precious"}
	_, err := store.Save(t.Context(), "x", state)
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(store.Dir, "*.json"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	whole, err := os.ReadFile(files[0])
	require.NoError(t, err)
	info, err := os.Stat(files[0])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode(), "rows are nobody else's business")

	mustFail := func(content []byte, want string) {
		require.NoError(t, os.WriteFile(files[0], content, 0o600))
		_, err := store.Load(t.Context(), "x")
		require.ErrorContains(t, err, want)
		_, err = store.Save(t.Context(), "x", consistency.State{})
		require.ErrorContains(t, err, want)
		kept, err := os.ReadFile(files[0])
		require.NoError(t, err)
		require.Equal(t, content, kept, "it was overwritten")
	}
	for n := range whole { // torn anywhere
		mustFail(whole[:n], files[0]+" is damaged or not a file of this store")
	}
	mustFail(make([]byte, len(whole)), "is damaged")
	mustFail([]byte(`{"name":"somebody else's"}`), "is damaged or not a file of this store")
	mustFail([]byte(strings.Replace(string(whole), `"tashikame_consistency_state":1`, `"tashikame_consistency_state":2`, 1)), consistency.ErrNewerStore.Error())
	mustFail([]byte(strings.Replace(string(whole), `"Check":"x"`, `"Check":"y"`, 1)), `the state of the check "y"`)
	mustFail([]byte(strings.Replace(string(whole), `"Outcome":"unknown"`, `"Outcome":"fine"`, 1)), "is not an outcome")

	require.NoError(t, os.WriteFile(files[0]+".tmp", []byte("left by a killed process"), 0o600))
	require.NoError(t, os.WriteFile(files[0], whole, 0o600))
	state.Version = 1
	_, err = store.Save(t.Context(), "x", state)
	require.NoError(t, err)

	_, err = consistency.FileStore{}.Load(t.Context(), "x")
	require.ErrorContains(t, err, "FileStore.Dir is empty")
	_, err = consistency.FileStore{Dir: filepath.Join(files[0], "below a file")}.Load(t.Context(), "x")
	require.Error(t, err)
	_, err = consistency.FileStore{Dir: filepath.Join(files[0], "below a file")}.Save(t.Context(), "x", state)
	require.Error(t, err)
	_, err = store.Save(t.Context(), "x", consistency.State{Version: -1})
	require.ErrorContains(t, err, "negative")
}

// TestFileStoreSurvivesSIGKILL kills a process that saves without a pause, at random moments.
func TestFileStoreSurvivesSIGKILL(t *testing.T) {
	if dir := os.Getenv("CONSISTENCY_TEST_SAVE_IN"); dir != "" {
		saveForEver(dir)
	}
	dir := t.TempDir()
	store := consistency.FileStore{Dir: dir}
	last := int64(0)
	for i := range 20 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFileStoreSurvivesSIGKILL$")
		cmd.Env = append(os.Environ(), "CONSISTENCY_TEST_SAVE_IN="+dir)
		require.NoError(t, cmd.Start())
		start := last
		require.Eventually(t, func() bool {
			s, err := store.Load(t.Context(), "x")
			require.NoError(t, err, "a reader saw a torn file")
			require.Equal(t, s.Version, s.Total)
			last = s.Version
			return last > start+int64(i%3)
		}, time.Minute, time.Duration(i%7)*300*time.Microsecond+time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		s, err := store.Load(t.Context(), "x")
		require.NoError(t, err)
		require.GreaterOrEqual(t, s.Version, last, "a saved state was lost")
		require.Equal(t, s.Version, s.Total, "version and state are of two different saves")
		last = s.Version
	}
	s, err := store.Load(t.Context(), "x")
	require.NoError(t, err)
	s.Total++
	_, err = store.Save(t.Context(), "x", s)
	require.NoError(t, err, "a lock was left behind")
}

func saveForEver(dir string) {
	store := consistency.FileStore{Dir: dir}
	for {
		s, err := store.Load(context.Background(), "x")
		if err == nil {
			s.Total++
			s.Reason = strings.Repeat("x", int(s.Total*7919%200_000))
			_, err = store.Save(context.Background(), "x", s)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func TestATableThatIsNotOursIsLeftAlone(t *testing.T) {
	server := servers.MySQL(t)
	for _, s := range []string{
		"CREATE TABLE consistency_state (id INT PRIMARY KEY)", "CREATE USER IF NOT EXISTS reader_of_store@'%'",
		"GRANT SELECT ON " + server.Database + ".* TO reader_of_store@'%'",
	} {
		_, err := server.DB.Exec(s)
		require.NoError(t, err)
	}
	store := consistency.SQLStore{DB: server.DB}
	_, err := store.Load(t.Context(), "x")
	require.ErrorContains(t, err, "the table `consistency_state` is not one of SQLStore: give SQLStore.Table another name")
	_, err = store.Save(t.Context(), "x", consistency.State{})
	require.ErrorContains(t, err, "is not one of SQLStore")

	store.Table = server.Database + ".状態`;x"
	version, err := store.Save(t.Context(), "x", consistency.State{Reason: "precious"})
	require.NoError(t, err)
	for _, change := range []struct{ set, want string }{
		{"format = 2", consistency.ErrNewerStore.Error()},
		{"format = 0", "is not one of SQLStore"},
		{"format = 1, state = ''", "damaged or not ours"},
		{"state = UNHEX('1f8b08')", "is damaged: put a copy back"},
		{"state = '{}'", `the state of the check ""`},
	} {
		_, err = server.DB.Exec("UPDATE `状態``;x` SET " + change.set)
		require.NoError(t, err)
		_, err = store.Load(t.Context(), "x")
		require.ErrorContains(t, err, change.want)
	}
	_, err = server.DB.Exec("UPDATE `状態``;x` SET format = 2")
	require.NoError(t, err)
	_, err = store.Save(t.Context(), "x", consistency.State{Version: version})
	require.ErrorIs(t, err, consistency.ErrConflict, "what a newer version wrote is not overwritten")

	reader := consistency.SQLStore{DB: reopen(t, server, func(c *mysql.Config) { c.User, c.Passwd = "reader_of_store", "" }), Table: "new"}
	_, err = reader.Load(t.Context(), "x")
	require.ErrorContains(t, err, "create the table `new`")
	for _, table := range []string{".", "a.b.c", "a."} {
		_, err = consistency.SQLStore{DB: server.DB, Table: table}.Load(t.Context(), "x")
		require.ErrorContains(t, err, "write table or database.table")
	}
	_, err = consistency.SQLStore{}.Load(t.Context(), "x")
	require.ErrorContains(t, err, "SQLStore.DB is nil")
}

// TestSQLStoreSurvivesAKilledServer kills the server while it saves.
func TestSQLStoreSurvivesAKilledServer(t *testing.T) {
	t.Parallel()
	server := servers.OwnMySQL(t)
	store := consistency.SQLStore{DB: server.DB}
	known := int64(0) // the last version that Save confirmed
	for range 3 {
		failed := make(chan error, 1)
		go func() {
			for {
				s, err := store.Load(context.Background(), "x")
				if err == nil {
					s.Total++
					s.Reason = strings.Repeat("x", 100_000)
					var version int64
					if version, err = store.Save(context.Background(), "x", s); err == nil {
						known = version
						continue
					}
				}
				failed <- err
				return
			}
		}()
		time.Sleep(300 * time.Millisecond)
		require.NoError(t, server.Kill())
		err := <-failed
		require.False(t, errors.Is(err, consistency.ErrConflict), "a server that died is no conflict: %v", err)
		_, err = store.Load(t.Context(), "x")
		require.ErrorContains(t, err, "is it up?")
		require.NoError(t, server.Start())
		s, err := store.Load(t.Context(), "x")
		require.NoError(t, err)
		require.GreaterOrEqual(t, s.Version, known, "a confirmed save was lost")
		require.LessOrEqual(t, s.Version, known+1)
		require.Equal(t, s.Version, s.Total, "version and state are of two different saves")
	}
	require.Positive(t, known)
}
