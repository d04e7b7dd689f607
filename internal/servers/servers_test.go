package servers_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// kinds are the servers that speak MySQL's protocol.
var kinds = map[string]struct {
	shared func(servers.TB) *servers.MySQLServer
	own    func(servers.TB, ...string) *servers.MySQLServer
	is     string // in VERSION()
}{
	"MySQL":   {servers.MySQL, servers.OwnMySQL, "9."},
	"MariaDB": {servers.MariaDB, servers.OwnMariaDB, "-MariaDB"},
}

func TestMySQLGivesEachTestAnEmptyDatabase(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			a, b := kind.shared(t), kind.shared(t)
			require.NotEqual(t, a.Database, b.Database)
			_, err := a.DB.Exec("CREATE TABLE t (id INT PRIMARY KEY)")
			require.NoError(t, err)
			var tables int
			var version string
			require.NoError(t, b.DB.QueryRow("SELECT VERSION(), COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()").Scan(&version, &tables))
			require.Zero(t, tables)
			require.Contains(t, version, kind.is)
			require.ErrorContains(t, a.Kill(), "other tests use")
		})
	}
}

func TestMySQLIsDroppedWhenTheTestEnds(t *testing.T) {
	for kind, k := range kinds {
		var name string
		t.Run(kind, func(t *testing.T) { name = k.shared(t).Database })
		var n int
		require.NoError(t, k.shared(t).DB.QueryRow("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?", name).Scan(&n))
		require.Zero(t, n)
	}
}

func TestRedisGivesEachTestAnEmptyDB(t *testing.T) {
	ctx := context.Background()
	var url string
	t.Run("user", func(t *testing.T) {
		a, b := servers.Redis(t), servers.Redis(t)
		url = a.URL
		require.NotEqual(t, a.DB, b.DB)
		require.NoError(t, a.Client.Set(ctx, "k", "v", 0).Err())
		n, err := b.Client.DBSize(ctx).Result()
		require.NoError(t, err)
		require.Zero(t, n)
	})
	again := servers.Redis(t)
	require.Equal(t, url, again.URL, "a released db is given again")
	n, err := again.Client.DBSize(ctx).Result()
	require.NoError(t, err)
	require.Zero(t, n, "and was emptied before")
}

func TestOwnRedisKeepsItsAddressAndItsDataOverKillAndStart(t *testing.T) {
	ctx := context.Background()
	own := servers.OwnRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	require.NoError(t, own.Client.Set(ctx, "k", "v", 0).Err())
	require.NoError(t, own.Kill())
	require.Error(t, own.Client.Get(ctx, "k").Err())
	require.NoError(t, own.Start())
	v, err := own.Client.Get(ctx, "k").Result()
	require.NoError(t, err)
	require.Equal(t, "v", v)
	out, err := own.Exec("redis-cli", "GET", "k")
	require.NoError(t, err)
	require.Equal(t, "v\n", out)
	_, err = own.Exec("sh", "-c", "echo no such thing; exit 3")
	require.ErrorContains(t, err, "exit code 3: no such thing")
}

func TestOwnMySQLKeepsItsAddressAndItsDataOverKillAndStart(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			own := kind.own(t, "--max-connections=77")
			_, err := own.DB.Exec("CREATE TABLE t (id INT PRIMARY KEY)")
			require.NoError(t, err)
			_, err = own.DB.Exec("INSERT INTO t VALUES (1)")
			require.NoError(t, err)
			require.NoError(t, own.Kill())
			require.Error(t, own.DB.Ping())
			require.NoError(t, own.Start())
			var n, connections int
			require.NoError(t, own.DB.QueryRow("SELECT COUNT(*), @@max_connections FROM t").Scan(&n, &connections))
			require.Equal(t, 1, n)
			require.Equal(t, 77, connections)
		})
	}
}

func TestARedisIsRestoredFromASnapshotOfAnother(t *testing.T) {
	ctx := t.Context()
	from, to := servers.OwnRedis(t), servers.OwnRedis(t)
	require.NoError(t, from.Client.Set(ctx, "k", "v", 0).Err())
	require.NoError(t, to.Client.Set(ctx, "own", "v", 0).Err())
	require.NoError(t, to.Restore(from))
	keys, err := to.Client.Keys(ctx, "*").Result()
	require.NoError(t, err)
	require.Equal(t, []string{"k"}, keys)
}

func TestServersMayBeStartedSideBySide(t *testing.T) {
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			s, err := servers.StartRedis(t.Context())
			if assert.NoError(t, err) {
				assert.NoError(t, s.Client.Ping(t.Context()).Err())
				assert.NoError(t, s.Close())
			}
		})
	}
	group.Wait()
}
