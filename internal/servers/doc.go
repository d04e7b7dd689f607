// Package servers gives tests, benchmarks and the demo real MySQL, MariaDB, Redis and Valkey servers.
//
//	func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }
//
//	func TestSomething(t *testing.T) {
//		my := servers.MySQL(t)   // an own, empty database on a shared server; so is servers.MariaDB(t)
//		rd := servers.Redis(t)   // an own, empty db number on a shared server
//		own := servers.OwnRedis(t, "--maxmemory", "10mb") // a server that the test may kill, restart, configure
//		…
//	}
//
// Redis comes in other kinds too, each server a test's own:
//
//	valkey := servers.OwnRedisOf(t, servers.RedisKind{Flavour: "valkey", Version: "9.1", TLS: true})
//	managed := servers.OwnRedisOf(t, servers.RedisKind{Limits: servers.ElastiCache()}) // refuses what the service refuses
//	cluster := servers.RedisCluster(t, servers.RedisKind{Version: "7.0"})              // three masters with a replica each
//
// A server comes from the first of these that there is:
//
//  1. TASHIKAME_MYSQL_DSN and TASHIKAME_MARIADB_DSN (databases of our own are created there and dropped again) and
//     TASHIKAME_REDIS_URL (refused if any of its dbs holds keys that are not ours). A test's own
//     server never comes from them.
//  2. Docker, through testcontainers-go. One container serves all tests of a process.
//
// Without either, the test fails and says what to do. It is never skipped: a test that did not run proves nothing.
//
// Images: TASHIKAME_MYSQL_IMAGE, TASHIKAME_MARIADB_IMAGE, TASHIKAME_REDIS_IMAGE and TASHIKAME_VALKEY_IMAGE, or else the
// official mysql:9.7, mariadb:11.8, redis:8.0 and valkey/valkey:9.1, or, where these cannot be pulled, equivalents of our own name
// that images/build.sh makes of Debian packages, once. A version that a test asks for by name (redis:7.0, valkey/valkey:8.1) comes
// the same two ways, whatever the environment says.
//
// Nothing is left behind: a watchdog process, tied to this one by a pipe, removes containers, databases and keys when
// this process ends, whatever way it ends.
package servers
